"""Turn a results folder of Ray Tune into a frame: one row for each trial that ended well."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from ecosel.readers.table import Archive, flatten, frame_of, from_frame


def open_ray_results(path: str, folder: Path) -> Archive | None:
    """Read the last result of each trial below folder, or return None where there is none.

    The status in experiment_state-*.json says which trials ended well; without it, one whose last result is later than its
    last error. Ray also keeps pickles there; they are never opened, as unpickling runs code.
    """
    files: dict[Path, Path] = {}
    for pattern in ("*/result.json", "*/*/result.json", "*/progress.csv", "*/*/progress.csv"):
        if not files or pattern.endswith(".csv"):
            for file in folder.glob(pattern):
                files.setdefault(file.parent, file)
    if not files:
        return None
    statuses = _statuses({trial.parent for trial in files})
    records, unfinished, retried = [], Counter[str](), 0
    absent: dict[str, str] = {}
    for trial, file in sorted(files.items()):
        last = _last_record(file)
        status = statuses.get(trial) or statuses.get(str((last or {}).get("trial_id")))
        if status is None:
            status = "TERMINATED"
            if (trial / "error.txt").exists():
                status = "TERMINATED" if last and _is_after_errors(last, trial / "error.txt") else "ERROR"
                retried += status == "TERMINATED"
        if last is None or status != "TERMINATED":
            absent[trial.name] = "it has no result" if last is None else f"its status is {status}"
            unfinished["without a result" if last is None else status] += 1
            continue
        # Ray's own flattened names: config/lr
        records.append({"trial": trial.name, **flatten(last, "/")})
    remarks = []
    if unfinished:
        remarks.append(f"trials left out as unfinished: {', '.join(f'{n} {why}' for why, n in sorted(unfinished.items()))}")
    if retried:
        some = "trial failed once and has" if retried == 1 else "trials failed once and have"
        remarks.append(f"{retried} {some} a later result, which is used")
    return from_frame(path, frame_of(records), unfinished=unfinished.total(), remarks=tuple(remarks), absent=absent)


def _statuses(experiments: set[Path]) -> dict[Path | str, str]:
    """Return the status of each trial by its folder and by its id, as the last state of its experiment has it."""
    statuses: dict[Path | str, str] = {}
    for experiment in experiments:
        for file in sorted(experiment.glob("experiment_state-*.json")):
            try:
                state = json.loads(file.read_text("utf-8", "replace"))
                for entry in state.get("trial_data") or state.get("checkpoints") or ():
                    text = entry[0] if isinstance(entry, list) else entry
                    trial = json.loads(text) if isinstance(text, str) else text
                    status = str(trial["status"])
                    for name in (trial.get("relative_logdir"), Path(trial.get("logdir") or "").name):
                        if name:
                            statuses[experiment / name] = status
                    statuses[str(trial["trial_id"])] = status
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
                continue  # cut off while it was written; another state, or the errors, say it
    return statuses


def _is_after_errors(last: dict[str, Any], errors: Path) -> bool:
    """Tell whether a result came after the last failure; both are stamped by the same clock."""
    failures = re.findall(r"occurred at (\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)", errors.read_text("utf-8", "replace"))
    return bool(failures) and str(last.get("date", "")) > max(failures)


def _last_record(file: Path) -> dict[str, Any] | None:
    text = file.read_text("utf-8", "replace")
    if file.suffix == ".csv":
        rows = [row for row in csv.DictReader(text.splitlines()) if None not in row and None not in row.values()]
        return dict(rows[-1]) if rows else None
    for line in reversed(text.split("\n")):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):  # cut off while it was written: the line before holds the last full result
            continue
        if isinstance(record, dict):
            return record
    return None
