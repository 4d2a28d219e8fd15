"""Turn an Optuna journal file, with one operation per line, into a frame."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ecosel.errors import ArchiveError
from ecosel.objectives import Objective
from ecosel.readers.bounds import Bounds
from ecosel.readers.table import Archive, from_records, listed
from ecosel.readers.tools.optuna import metric_names, parameter, violated

# optuna.storages.journal.JournalOperation, and TrialState
_CREATE_STUDY, _DELETE_STUDY, _STUDY_ATTRIBUTE, _CREATE_TRIAL, _PARAMETER, _STATE = 0, 1, 3, 4, 5, 6
_USER_ATTRIBUTE, _SYSTEM_ATTRIBUTE = 8, 9
_STATES = ("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING")
_FINISHED = ("COMPLETE", "PRUNED", "FAIL")


@dataclass
class _Study:
    name: str
    directions: list[int]
    attributes: dict[str, Any] = field(default_factory=dict)
    trials: list[_Trial] = field(default_factory=list)


@dataclass
class _Trial:
    number: int
    state: str
    values: list[float | None] | None
    parameters: dict[str, Any] = field(default_factory=dict)
    user: dict[str, Any] = field(default_factory=dict)
    system: dict[str, Any] = field(default_factory=dict)


def is_journal(records: Sequence[dict[str, Any]], /) -> bool:
    return bool(records) and all("op_code" in record for record in records)


def read_journal(path: str, operations: Sequence[dict[str, Any]], study: str | None, *, bounds: Bounds, size: int) -> Archive:
    """Replay the operations, and read the complete, feasible trials of one study as from its database."""
    studies = _replayed(operations)
    if study is None and len(studies) != 1:
        raise ArchiveError(f"{path} holds {len(studies)} studies; name one with --study: {listed([s.name for s in studies])}")
    chosen = studies[0] if study is None else next((s for s in studies if s.name == study), None)
    if chosen is None:
        raise ArchiveError(f"{path}: no study {study!r}; it has: {listed([s.name for s in studies])}")
    names = metric_names(chosen.attributes.get("study:metric_names"), len(chosen.directions))
    stated = tuple(Objective(name, "max" if d == 2 else "min") for name, d in zip(names, chosen.directions, strict=True))
    infeasible = {trial.number for trial in chosen.trials if any(map(violated, _constraints(trial)))}
    feasible = [trial for trial in chosen.trials if trial.state == "COMPLETE" and trial.number not in infeasible]
    absent = {str(trial.number): f"its state is {trial.state}" for trial in chosen.trials if trial.state != "COMPLETE"}
    broken = {str(trial.number) for trial in chosen.trials if trial.state == "COMPLETE" and trial.number in infeasible}
    records = [
        {"number": trial.number, **dict(zip(names, trial.values or [], strict=False)),
         **{f"params_{name}": value for name, value in trial.parameters.items()},
         **{f"user_attrs_{name}": value for name, value in trial.user.items()}}
        for trial in feasible
    ]  # fmt: skip
    return from_records(
        path,
        records,
        bounds=bounds,
        size=size,
        columns=("number", *names),
        objectives=stated,
        row_numbers=tuple(trial.number for trial in feasible),
        unfinished=len(absent) + len(broken),
        remarks=(f"{len(broken)} trials violate the study's constraints and count as unfinished",) if broken else (),
        absent=absent | dict.fromkeys(broken, "it violates the study's constraints"),
    )


def _constraints(trial: _Trial) -> list[Any]:
    return [value for key, value in trial.system.items() if key == "constraints" or key.startswith("constraints:")]


def _replayed(operations: Sequence[dict[str, Any]]) -> list[_Study]:
    studies: dict[int, _Study] = {}
    taken: dict[str, int] = {}
    trials: list[_Trial | None] = []
    created = 0
    for log in operations:
        code = log["op_code"]
        if code == _CREATE_STUDY:
            if log["study_name"] not in taken:
                studies[created] = _Study(log["study_name"], list(log["directions"]))
                taken[log["study_name"]] = created
                created += 1
        elif code == _DELETE_STUDY:
            if log["study_id"] in studies:
                del taken[studies.pop(log["study_id"]).name]
        elif code == _STUDY_ATTRIBUTE and log["study_id"] in studies:
            studies[log["study_id"]].attributes |= log["system_attr"]
        elif code == _CREATE_TRIAL and log["study_id"] in studies:
            trial = _created(log, len(studies[log["study_id"]].trials))
            studies[log["study_id"]].trials.append(trial)
            trials.append(trial)
        elif "trial_id" in log and log["trial_id"] < len(trials):
            _update(trials[log["trial_id"]], code, log)
    return list(studies.values())


def _created(log: dict[str, Any], number: int) -> _Trial:
    values = log.get("values") or ([log["value"]] if log.get("value") is not None else None)
    trial = _Trial(number, _STATES[log.get("state", 0)], values, {},
                   dict(log.get("user_attrs", {})), dict(log.get("system_attrs", {})))  # fmt: skip
    for name, value in log.get("params", {}).items():
        trial.parameters[name] = parameter(value, json.loads(log["distributions"][name]))
    return trial


def _update(trial: _Trial | None, code: int, log: dict[str, Any]) -> None:
    if trial is None or trial.state in _FINISHED:  # later entries are ignored, as in Optuna
        return
    if code == _PARAMETER:
        trial.parameters[log["param_name"]] = parameter(log["param_value_internal"], json.loads(log["distribution"]))
    elif code == _STATE:
        trial.state = _STATES[log["state"]]
        trial.values = log["values"] if log["values"] is not None else trial.values
    elif code == _USER_ATTRIBUTE:
        trial.user |= log["user_attr"]
    elif code == _SYSTEM_ATTRIBUTE:
        trial.system |= log["system_attr"]
