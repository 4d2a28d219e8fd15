"""Turn a results folder of Ray Tune into a frame with one row for each trial that ended well."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from ecosel.readers.bounds import long_cells
from ecosel.readers.table import Archive, from_records
from ecosel.readers.tools.folder_reading import FolderReading


def open_ray_results(folder: Path, reading: FolderReading) -> Archive | None:
    """Read the last result of each trial below folder; return None if there is none.

    The status in experiment_state-*.json tells which trials ended well; without it, those whose last result is later than their
    last error. Ray also keeps pickles there; they are never opened, as unpickling runs code.
    """
    trials = [*reading.below(folder, 1), *reading.below(folder, 2)]
    files = {trial: file for trial in trials for file in (trial / "progress.csv", trial / "result.json") if file.is_file()}
    if not files:
        return None
    statuses = _statuses({trial.parent for trial in files}, reading)
    records, unfinished, retried = [], Counter[str](), 0
    absent: dict[str, str] = {}
    for trial, file in sorted(files.items()):
        last = _last_record(file, reading)
        status = statuses.get(trial) or statuses.get(str((last or {}).get("trial_id")))
        if status is None:
            status = "TERMINATED"
            if (trial / "error.txt").exists():
                status = "TERMINATED" if last and _is_after_errors(last, trial / "error.txt", reading) else "ERROR"
                retried += status == "TERMINATED"
        if last is None or status != "TERMINATED":
            absent[trial.name] = "it has no result" if last is None else f"its status is {status}"
            unfinished["without a result" if last is None else status] += 1
            continue
        # Ray's own flattened names: config/lr
        records.append({"trial": trial.name, **last})
    remarks = []
    if unfinished:
        remarks.append(f"trials left out as unfinished: {', '.join(f'{n} {why}' for why, n in sorted(unfinished.items()))}")
    if retried:
        some = "trial failed once and has" if retried == 1 else "trials failed once and have"
        remarks.append(f"{retried} {some} a later result, which is used")
    return from_records(
        reading.path, records, bounds=reading.bounds, size=reading.size, separator="/", unfinished=unfinished.total(),
        remarks=tuple(remarks), absent=absent,
    )  # fmt: skip


def _statuses(experiments: set[Path], reading: FolderReading) -> dict[Path | str, str]:
    """Return the status of each trial by folder and by id, as in the last state of its experiment."""
    statuses: dict[Path | str, str] = {}
    for experiment in experiments:
        for file in sorted(experiment.glob("experiment_state-*.json")):
            try:
                state = json.loads(reading.text(file))
                for entry in state.get("trial_data") or state.get("checkpoints") or ():
                    text = entry[0] if isinstance(entry, list) else entry
                    trial = json.loads(text) if isinstance(text, str) else text
                    status = str(trial["status"])
                    for name in (trial.get("relative_logdir"), Path(trial.get("logdir") or "").name):
                        if name:
                            statuses[experiment / name] = status
                    statuses[str(trial["trial_id"])] = status
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
                continue  # truncated while it was written; another state, or the errors, have the status
    return statuses


def _is_after_errors(last: dict[str, Any], errors: Path, reading: FolderReading) -> bool:
    """Tell whether a result came after the last failure; the same clock stamps both."""
    lines = "\n".join(reading.last_lines(errors))
    failures = re.findall(r"occurred at (\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)", lines)
    return bool(failures) and str(last.get("date", "")) > max(failures)


def _last_record(file: Path, reading: FolderReading) -> dict[str, Any] | None:
    # truncated while it was written: the last line is not a record, but the one before holds the last full result
    if file.suffix == ".csv":
        with long_cells():
            header = next(csv.reader([next(reading.lines(file), "")]), [])
        for line in reading.last_lines(file):
            with suppress(csv.Error), long_cells():
                cells = next(csv.reader([line]), [])
                if len(cells) == len(header) and cells != header:
                    return dict(zip(header, cells, strict=True))
        return None
    for line in reading.last_lines(file):
        with suppress(ValueError, RecursionError):
            record = json.loads(line)
            if isinstance(record, dict):
                return record
    return None
