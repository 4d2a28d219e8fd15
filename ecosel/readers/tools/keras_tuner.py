"""Turn the trials of a KerasTuner project into a frame."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ecosel.readers.table import Archive, flatten, frame_of, from_frame


def open_keras_tuner(path: str, folder: Path) -> Archive | None:
    """Read `trial_*/trial.json` below folder: hyperparameters, score, and the best value of each metric over its steps."""
    files = sorted(folder.glob("trial_*/trial.json")) or sorted(folder.glob("*/trial_*/trial.json"))
    if not files:
        return None
    records: list[dict[str, Any]] = []
    absent: dict[str, str] = {}
    unfinished = Counter[str]()
    for file in files:
        try:
            trial = json.loads(file.read_text("utf-8"))
            status = str(trial.get("status", "COMPLETED"))
            record = {
                "trial": str(trial.get("trial_id", file.parent.name)), "score": trial.get("score"), **_metrics(trial),
                **{f"hp.{name}": value for name, value in flatten(trial.get("hyperparameters", {}).get("values", {})).items()},
            }  # fmt: skip
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            status, record = "cut off", {"trial": file.parent.name}
        if status == "COMPLETED":
            records.append(record)
        else:
            unfinished[status] += 1
            absent[record["trial"]] = f"its status is {status}"
    said = ", ".join(f"{count} {status}" for status, count in sorted(unfinished.items()))
    remarks = (f"trials left out as unfinished: {said}",) if said else ()
    return from_frame(path, frame_of(records), unfinished=unfinished.total(), remarks=remarks, absent=absent)


def _metrics(trial: dict[str, Any]) -> dict[str, float | None]:
    best: dict[str, float | None] = {}
    for name, history in trial.get("metrics", {}).get("metrics", {}).items():
        means = [sum(one["value"]) / len(one["value"]) for one in history.get("observations", ()) if one.get("value")]
        known = [mean for mean in means if mean == mean]
        best[name] = (max(known) if history.get("direction") == "max" else min(known)) if known else None
    return best
