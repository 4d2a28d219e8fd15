"""Turn an Optuna study into a frame."""

from __future__ import annotations

import json
from typing import Any

from ecosel.errors import ArchiveError
from ecosel.objectives import Objective
from ecosel.readers.bounds import Bounds, Query
from ecosel.readers.table import Archive, as_text, from_records, listed

# a choice is made for every pair of them
_MOST_OBJECTIVES = 20

_OF_STUDY = "JOIN trials USING (trial_id) WHERE study_id = ? AND state = 'COMPLETE'"
_Trials = dict[int, dict[str, Any]]


def read_optuna(path: str, query: Query, study: str | None, *, bounds: Bounds, size: int) -> Archive:
    """Read the complete, feasible trials of one study; numbers, names and directions are the study's own.

    Columns: the objectives by their metric names (else `value`, or `values_0`, ...), `params_<name>`, `user_attrs_<key>`.
    """
    key = (_study(path, query, study),)
    directions = [direction for (direction,) in query(
        "SELECT direction FROM study_directions WHERE study_id = ? ORDER BY objective", key)]  # fmt: skip
    attributes = dict(query("SELECT key, value_json FROM study_system_attributes WHERE study_id = ?", key))
    stated = attributes.get("study:metric_names")
    names = metric_names(None if stated is None else json.loads(stated), len(directions))
    trials = _complete(query, key, names)
    infeasible = _infeasible(query, key)
    absent = {str(number): f"its state is {state}" for number, state in query(
        "SELECT number, state FROM trials WHERE study_id = ? AND state != 'COMPLETE'", key)}  # fmt: skip
    absent |= {str(trials[trial]["number"]): "it violates the study's constraints" for trial in infeasible}
    feasible = [record for trial, record in trials.items() if trial not in infeasible]
    return from_records(
        path,
        feasible,
        bounds=bounds,
        size=size,
        columns=("number", *names),
        objectives=tuple(
            Objective(name, "max" if direction == "MAXIMIZE" else "min")
            for name, direction in zip(names, directions, strict=True)
        ),
        row_numbers=tuple(record["number"] for record in feasible),
        unfinished=len(absent),
        remarks=(f"{len(infeasible)} trials violate the study's constraints and count as unfinished",) if infeasible else (),
        absent=absent,
    )


def _study(path: str, query: Query, named: str | None) -> Any:
    """Return the key of the named study, or of the only one there is."""
    studies = dict(query("SELECT study_name, study_id FROM studies ORDER BY study_id"))
    if named is None and len(studies) != 1:
        raise ArchiveError(f"{path} holds {len(studies)} studies; name one with --study: {listed(list(studies))}")
    if named is not None and named not in studies:
        raise ArchiveError(f"{path}: no study {named!r}; it has: {listed(list(studies))}")
    return studies[named] if named is not None else next(iter(studies.values()))


def _complete(query: Query, key: tuple[Any], names: list[str]) -> _Trials:
    """Return the complete trials of a study by their keys, in order of their numbers."""
    trials: _Trials = {trial: {"number": number} for trial, number in query(
        "SELECT trial_id, number FROM trials WHERE study_id = ? AND state = 'COMPLETE' ORDER BY number", key)}  # fmt: skip
    values = query(f"SELECT trial_id, objective, value, value_type FROM trial_values {_OF_STUDY}", key)
    for trial, k, value, value_type in values:
        trials[trial][names[k]] = value if value_type == "FINITE" else None
    parameters = query(
        f"SELECT trial_id, param_name, param_value, distribution_json FROM trial_params {_OF_STUDY} ORDER BY param_id", key
    )
    for trial, name, value, distribution in parameters:
        trials[trial][f"params_{name}"] = parameter(value, json.loads(distribution))
    attributes = query(
        f"SELECT trial_id, key, value_json FROM trial_user_attributes {_OF_STUDY} ORDER BY trial_user_attribute_id", key
    )
    for trial, name, value in attributes:
        trials[trial][f"user_attrs_{name}"] = json.loads(value)
    return trials


def _infeasible(query: Query, key: tuple[Any]) -> set[int]:
    """Return the trials with a constraint above 0; since Optuna 5, each has its own attribute, before that one holds a list."""
    constraints = query(
        f"SELECT trial_id, value_json FROM trial_system_attributes {_OF_STUDY}"
        " AND (key = 'constraints' OR key LIKE 'constraints:%')",
        key,
    )
    return {trial for trial, value in constraints if violated(json.loads(value))}


def metric_names(stated: list[str] | None, count: int, /) -> list[str]:
    """Return the names of the objectives: those stated, else `value` or `values_0`, ...; all distinct from other columns."""
    if max(count, len(stated or ())) > _MOST_OBJECTIVES:
        raise ValueError(f"it has more than {_MOST_OBJECTIVES} objectives")
    if stated is None:
        return ["value"] if count == 1 else [f"values_{k}" for k in range(count)]
    return [
        f"values_{k}_{name}"
        if name == "number" or name.startswith(("params_", "user_attrs_")) or stated.count(name) > 1
        else name
        for k, name in enumerate(stated)
    ]


def violated(constraint: Any, /) -> bool:
    """Tell whether a stored constraint is above 0: one number, or a list before Optuna 5."""
    return any(part > 0 for part in (constraint if isinstance(constraint, list) else [constraint or 0]))


def parameter(value: float, distribution: dict[str, Any], /) -> Any:
    """Return a stored parameter as the objective function saw it; a categorical one is stored as an index."""
    attributes = distribution["attributes"]
    if "choices" in attributes:
        choice = attributes["choices"][int(value)]
        return choice if isinstance(choice, (bool, int, float, str)) or choice is None else as_text(choice)
    return int(value) if distribution["name"].startswith("Int") else value
