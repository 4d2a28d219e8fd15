"""Turn the trials of a KerasTuner project into a frame."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ecosel.readers.table import Archive, from_records
from ecosel.readers.tools.folder_reading import FolderReading


def open_keras_tuner(folder: Path, reading: FolderReading) -> Archive | None:
    """Read `trial_*/trial.json` below folder: hyperparameters, score, and the best value of each metric over its steps."""
    trials = [trial for level in (1, 2) for trial in reading.below(folder, level) if trial.name.startswith("trial_")]
    files = [trial / "trial.json" for trial in trials if (trial / "trial.json").is_file()]
    if not files:
        return None
    records: list[dict[str, Any]] = []
    absent: dict[str, str] = {}
    unfinished = Counter[str]()
    for file in files:
        try:
            trial = json.loads(reading.text(file))
            status = str(trial.get("status", "COMPLETED"))
            record = {
                "trial": str(trial.get("trial_id", file.parent.name)), "score": trial.get("score"), **_metrics(trial),
                "hp": dict(trial.get("hyperparameters", {}).get("values", {})),
            }  # fmt: skip
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
            status, record = "cut off", {"trial": file.parent.name}
        if status == "COMPLETED":
            records.append(record)
        else:
            unfinished[status] += 1
            absent[record["trial"]] = f"its status is {status}"
    said = ", ".join(f"{count} {status}" for status, count in sorted(unfinished.items()))
    remarks = (f"trials left out as unfinished: {said}",) if said else ()
    return from_records(
        reading.path, records, bounds=reading.bounds, size=reading.size, separator=".", unfinished=unfinished.total(),
        remarks=remarks, absent=absent,
    )  # fmt: skip


def _metrics(trial: dict[str, Any]) -> dict[str, float | None]:
    best: dict[str, float | None] = {}
    for name, history in trial.get("metrics", {}).get("metrics", {}).items():
        means = [sum(one["value"]) / len(one["value"]) for one in history.get("observations", ()) if one.get("value")]
        known = [mean for mean in means if mean == mean]
        best[name] = (max(known) if history.get("direction") == "max" else min(known)) if known else None
    return best
