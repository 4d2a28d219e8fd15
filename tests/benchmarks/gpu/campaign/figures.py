"""Turn the archives and samples of a campaign into figures."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl

Row = dict[str, Any]


@dataclass(frozen=True)
class Search:
    """One archive: its trained candidates in the order in which they ended, and when its first session began (seconds since 1970)."""

    rows: tuple[Row, ...]
    began: float
    unfinished: int

    def by(self, end: float) -> list[Row]:
        return [row for row in self.rows if row["end"] <= end]

    def best(self, end: float) -> float | None:
        """Return the best accuracy of a single training until `end`."""
        return max((row["first_accuracy"] for row in self.by(end) if row["first_accuracy"] is not None), default=None)


def seconds_of(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def search_of(path: Path) -> Search:
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute("SELECT * FROM archive ORDER BY finished_at")]
        began = seconds_of(database.execute("SELECT MIN(started_at) FROM sessions").fetchone()[0])
        (births,) = database.execute("SELECT COUNT(*) FROM births").fetchone()
    for row in rows:
        row["begin"], row["end"] = seconds_of(row["created_at"]), seconds_of(row["finished_at"])
    return Search(tuple(rows), began, births - len(rows))


def lanes_of(search: Search, step: Row) -> Row:
    """Return rates, and the shares of the lanes' time, from the first birth to the signal to stop.

    A job lasts from its birth to its outcome. `share_starting` is the time beyond training in the first job of each lane (starting
    a process, importing, decoding and copying the images), `share_beside` that in the others (building, saving weights, messages).
    """
    lanes, end = step["workers"], float(step.get("stopped_at") or step["end"])
    done = search.by(end)
    if not done:
        return {"lanes": lanes, "outcomes": 0}
    first = min(row["begin"] for row in done)
    spent = lanes * (end - first)
    beside = [row["end"] - row["begin"] - (row["train_time_s"] or 0.0) for row in done]
    order = sorted(range(len(done)), key=lambda k: done[k]["begin"])
    firsts = set(order[:lanes])
    ready = max(done[k]["begin"] + beside[k] for k in firsts)
    later = [row for row in done if row["end"] > ready]
    trained = sum(row["train_time_s"] or 0.0 for row in done)
    started = sum(beside[k] for k in firsts)
    others = sum(value for k, value in enumerate(beside) if k not in firsts)
    full = [row["train_time_s"] for row in done if row["status"] == "ok"]
    return {
        "lanes": lanes, "outcomes": len(done), "ok": len(full),
        "until_first_birth_s": first - step["begin"], "ready_after_s": ready - step["begin"], "seconds": end - first,
        "per_hour": len(done) / (end - first) * 3600,
        "per_hour_once_ready": len(later) / (end - ready) * 3600 if end > ready else None,
        "median_full_training_s": median(full) if full else None,
        "share_starting": started / spent, "share_training": trained / spent, "share_beside": others / spent,
        "share_unfinished": max(0.0, 1 - (started + trained + others) / spent),
        "window": [ready, end],
    }  # fmt: skip


def board_of(samples: pl.DataFrame | None, window: list[float] | None) -> Row:
    """Return figures of the board in a window: busy share, mean power, energy from its counter, most memory."""
    if samples is None or window is None:
        return {}
    found = samples.filter(pl.col("time").is_between(window[0], window[1]))
    energy = found["energy_j"].drop_nulls()
    return {
        "busy": None if found["busy"].drop_nulls().is_empty() else float(found["busy"].mean()) / 100,  # type: ignore[arg-type]
        "power_w": found["power_w"].mean(),
        "energy_j": energy[-1] - energy[0] if len(energy) > 1 else None,
        "memory_gb": None if (most := found["memory_bytes"].max()) is None else float(most) / 1e9,  # type: ignore[arg-type]
        "samples": found.height,
    }


def samples_of(folder: Path) -> pl.DataFrame | None:
    path = folder / "gpu.parquet"
    return pl.read_parquet(path) if path.exists() else None


def record_of(folder: Path) -> Row:
    found: Row = json.loads((folder / "campaign.json").read_text())
    return found


def spread_of(path: Path, candidate: str) -> list[float]:
    """Return the validation accuracies of all trainings of one candidate: first that of the search, then those with other seeds."""
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as database:
        rows = database.execute(
            "SELECT accuracy FROM outcomes WHERE birth = ? AND task IN ('train', 'again-1', 'again-2') ORDER BY task = 'train' "
            "DESC, task",
            (int(candidate),),
        )
        return [accuracy for (accuracy,) in rows if accuracy is not None]


def images_of(path: Path, split: str) -> int:
    """Return how many images of a split a search had."""
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as database:
        settings = json.loads(database.execute("SELECT settings FROM run").fetchone()[0])
    return int(settings["survey"]["images"][split])
