"""Recognise the tool that wrote a JSON document by its keys, and turn the document into records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

# smac.runhistory.StatusType
_SMAC = ("RUNNING", "SUCCESS", "CRASHED", "TIMEOUT", "MEMORYOUT")
_SMAC_FIELDS = ("config_id", "instance", "seed", "budget", "cost", "time")

Record = dict[str, Any]


def records_of_tool(document: dict[str, Any], /) -> Iterable[Record] | None:
    """Return the records of lm-evaluation-harness, SMAC or optimum-benchmark; None for other documents."""
    results = document.get("results")
    if (
        isinstance(results, dict)
        and isinstance(document.get("config"), dict)
        and all(isinstance(r, dict) for r in results.values())
    ):
        return [_of_harness(document)]
    runs = document.get("data")
    if (
        isinstance(document.get("configs"), dict)
        and isinstance(runs, list)
        and all(isinstance(run, (list, dict)) for run in runs)
    ):
        return _of_smac(document)
    if isinstance(document.get("report"), dict) and isinstance(document.get("config"), dict):
        return [document]
    if document and all(isinstance(part, dict) and _is_benchmark(part) for part in document.values()):
        return [document]
    return None


def _of_harness(document: Record) -> Record:
    """One model of lm-evaluation-harness: `arc_easy.acc`, `arc_easy.acc_stderr` of each task; only a filter that is not `none`
    stays in a name."""
    config = document["config"]
    row: Record = {"model": document.get("model_name") or config.get("model_args") or config.get("model")}
    row |= {f"config.{key}": value for key, value in config.items() if not isinstance(value, (dict, list))}
    if "total_evaluation_time_seconds" in document:
        row["total_evaluation_time_seconds"] = document["total_evaluation_time_seconds"]
    for task, metrics in document["results"].items():
        for name, value in metrics.items():
            if name != "alias":
                row[f"{task}.{name.removesuffix(',none')}"] = value
    return row


def _of_smac(document: Record) -> Iterator[Record]:
    """One row for each run of SMAC; several costs become `cost.0`, `cost.1` or what the document names them."""
    names: Any = document.get("objectives")
    for entry in document["data"]:
        if isinstance(entry, list):  # SMAC 2.0: a list, in which the status is the last small whole number after the times
            run = dict(zip(_SMAC_FIELDS, entry, strict=False))
            run["status"] = next((part for part in entry[6:] if isinstance(part, int) and not isinstance(part, bool)), 1)
        else:
            run = dict(entry)
        costs = run.pop("cost", None)
        if isinstance(costs, list):
            own = (
                list(map(str, names))
                if isinstance(names, list) and len(names) == len(costs)
                else [f"cost.{k}" for k in range(len(costs))]
            )
            run |= dict(zip(own, costs, strict=True))
        else:
            run["cost"] = costs
        status = run.get("status")
        run["status"] = _SMAC[status] if isinstance(status, int) and 0 <= status < len(_SMAC) else status
        config = document["configs"].get(str(run.get("config_id")))
        yield {**run, **{f"config.{name}": value for name, value in (config if isinstance(config, dict) else {}).items()}}


def _is_benchmark(part: Record) -> bool:
    """Recognise a stage of optimum-benchmark (load, prefill, decode): measurements with a unit."""
    measured = [one for one in part.values() if isinstance(one, dict)]
    return any("unit" in one or any(isinstance(v, dict) and "unit" in v for v in one.values()) for one in measured)


def unpacked_texts(record: Record, /) -> Record:
    """Spread JSON objects in texts over columns; NNI and trackers write several metrics into one cell."""
    packed = [key for key, cell in record.items() if isinstance(cell, str) and cell[:1] == "{" and cell[-1:] == "}"]
    if not packed:
        return record
    spread = dict(record)
    for key in packed:
        try:
            found = json.loads(record[key])
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            spread[key] = found
    return spread
