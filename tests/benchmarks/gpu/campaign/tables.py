"""Write the tables of a campaign as Markdown, from its files alone."""

from __future__ import annotations

import sqlite3
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from profilers.energy.intervals import share
from tests.benchmarks.gpu.campaign.figures import (
    Row,
    Search,
    board_of,
    images_of,
    lanes_of,
    record_of,
    samples_of,
    search_of,
    spread_of,
)

PAPER = {"A": (0.8024, 1_070_311), "B": (0.8182, 25_506_331)}  # Young et al. 2019, Table I, CIFAR-10


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def number(value: Any, form: str = ".3g") -> str:
    return "-" if value is None else format(value, form)


def interval(row: Row, column: str, form: str, scale: float = 1.0) -> str:
    value, low, high = (row.get(f"{column}{part}") for part in ("", "_low", "_high"))
    if value is None:
        return "-"
    text = format(value * scale, form)
    return text if low is None or high is None else f"{text} ({format(low * scale, form)} to {format(high * scale, form)})"


def of_images(accuracy: float | None, images: int) -> str:
    if accuracy is None:
        return "-"
    found = share(round(accuracy * images), images)
    return f"{accuracy:.2%} ({found.low:.2%} to {found.high:.2%})"


def page(folder: Path) -> str:
    record, parts = record_of(folder), []
    with TemporaryDirectory() as extracted:
        rest = folder / "rest.tar"
        if rest.exists():
            with tarfile.open(rest) as packed:
                packed.extractall(extracted, filter="data")
        for write in (_head, _lanes, _equal_time, _winners, _front, _on_gpu, _variants, _failed):
            try:
                parts.append("\n".join(write(folder, Path(extracted), record)))
            except (KeyError, OSError, ValueError, TypeError, sqlite3.Error) as error:
                parts.append(f"({write.__name__[1:]}: not to be had: {type(error).__name__}: {error})")
    return "\n\n".join(part for part in parts if part)


def _head(folder: Path, rest: Path, record: Row) -> Iterator[str]:
    facts = record["facts"]
    versions = ", ".join(f"{name} {value}" for name, value in facts["versions"].items() if value)
    yield f"{facts.get('board', 'no GPU')}, driver {facts.get('driver', '-')}; {facts.get('processor')}, {facts.get('cores')} cores."
    yield f"Python {facts['python']}, {versions}."
    yield f"`{' '.join(['python -m tests.benchmarks.gpu.campaign', *record['command'][1:]])}`"
    if record.get("no_samples"):
        yield f"The board was not sampled: {record['no_samples']}."


def _lanes(folder: Path, rest: Path, record: Row) -> Iterator[str]:
    rows, samples = [], samples_of(folder)
    places = {
        "one lane": [rest / "one-lane.db"],
        "lanes": [rest / "lanes.db"],
        "campaign": [folder / "run.db", folder / "random.db"],
    }
    for name, paths in places.items():
        step = record["steps"].get(name)
        for path in paths if step else ():
            if not path.exists():
                continue
            search = search_of(path)
            end = {"stopped_at": search.began + step["time_s"]} if name == "campaign" else {}
            found = lanes_of(search, {**step, **end})
            board = board_of(samples, found.get("window"))
            label = name if len(paths) == 1 else f"{name}: {path.stem}"
            rows.append([
                label, found["lanes"], found["outcomes"], number(found.get("per_hour"), ".0f"),
                number(found.get("per_hour_once_ready"), ".0f"), number(found.get("median_full_training_s")),
                *(number(board.get(key), form) for key, form in (("busy", ".0%"), ("power_w", ".0f"), ("memory_gb", ".1f"))),
                number(found.get("ready_after_s"), ".1f"),
                *(number(found.get(f"share_{part}"), ".0%") for part in ("starting", "training", "beside", "unfinished")),
            ])  # fmt: skip
    yield table(
        ("step", "lanes", "outcomes", "outcomes per hour", "per hour once all lanes were ready", "median full training (s)", "GPU busy",
         "mean power (W)", "most memory (GB)", "all lanes ready after (s)", "time spent starting", "in training and validation",
         "in the rest of the jobs", "in unfinished jobs"), rows,
    )  # fmt: skip


def _equal_time(folder: Path, rest: Path, record: Row) -> Iterator[str]:
    """Compare after a quarter, half and all of the time that both had."""
    step, rows = record["steps"]["campaign"], []
    for name in ("run", "random"):
        search = search_of(folder / f"{name}.db")
        ends = [search.began + part * step["time_s"] for part in (0.25, 0.5, 1)]
        done = search.by(ends[-1])
        small = [row["first_accuracy"] for row in done if row["first_accuracy"] and row["parameters"] <= PAPER["A"][1]]
        statuses = sorted({row["status"] for row in done})
        counts = ", ".join(f"{sum(row['status'] == status for row in done)} {status}" for status in statuses)
        images = images_of(folder / f"{name}.db", "validation")
        rows.append([{"run": "evolution"}.get(name, name), len(done), counts, *(of_images(search.best(end), images) for end in ends),
                     of_images(max(small, default=None), images)])  # fmt: skip
    yield table(("search", "outcomes", "of which", "best of one training after 1/4", "1/2", "all of the time",
                 "best with at most 1.07 M parameters"), rows)  # fmt: skip
    yield "The paper's networks: " + ", ".join(f"{name} {accuracy:.2%} with {count:,} parameters"
                                               for name, (accuracy, count) in PAPER.items()) + " (on the images by which the paper also selects)."  # fmt: skip


def _trained(search: Search) -> list[Row]:
    again = [row for row in search.rows if (row["trainings"] or 0) > 1 or row["test_accuracy"] is not None]
    return sorted(again, key=lambda row: -row["accuracy"])


def _winners(folder: Path, rest: Path, record: Row) -> Iterator[str]:
    rows = []
    for name in ("run", "random"):
        path = folder / f"{name}.db"
        tests = images_of(path, "test")
        for row in _trained(search_of(path)):
            seeds = ", ".join(f"{accuracy:.2%}" for accuracy in spread_of(path, row["candidate_id"]))
            rows.append([{"run": "evolution"}.get(name, name), row["candidate_id"], f"{row['parameters']:,}", f"{row['flops'] / 1e6:.1f}",
                         interval(row, "accuracy", ".2%"), seeds, of_images(row["test_accuracy"], tests)])  # fmt: skip
    yield table(("search", "candidate", "parameters", "MFLOPs", "mean validation accuracy (95 %)", "with each seed",
                 "test accuracy, tested once (95 %)"), rows)  # fmt: skip


def _front(folder: Path, rest: Path, record: Row) -> Iterator[str]:
    search = search_of(folder / "run.db")
    found = [row for row in search.rows if row["inference_time_s"] is not None]
    images = images_of(folder / "run.db", "validation")
    rows = [
        [row["candidate_id"], interval(row, "accuracy", ".2%"), f"{row['parameters']:,}", f"{row['flops'] / 1e6:.1f}",
         interval(row, "inference_time_s", ".2f", 1e6 / images), interval(row, "energy_per_inference_j", ".3f", 1e3),
         row["energy_source"] or "-", row["batch_size"]]
        for row in sorted(found, key=lambda row: -row["accuracy"])
    ]  # fmt: skip
    yield table(("candidate", "accuracy (95 %)", "parameters", "MFLOPs", "µs per image (95 %)", "mJ per image (95 %)", "energy from",
                 "batch"), rows)  # fmt: skip


def _on_gpu(folder: Path, rest: Path, record: Row) -> Iterator[str]:
    rows = [
        [row["candidate_id"], row["status"], row.get("device") or "-", row.get("precision") or "-", interval(row, "accuracy", ".2%"),
         interval(row, "inference_time_s", ".3g"), interval(row, "energy_per_inference_j", ".3f", 1e3), row.get("remarks") or ""]
        for row in record.get("gpu") or ()
    ]  # fmt: skip
    yield table(
        ("winner", "status", "device", "precision", "test accuracy (95 %)", "s per pass", "mJ per image", "remarks"), rows
    )


def _variants(folder: Path, rest: Path, record: Row) -> Iterator[str]:
    rows = [
        [row["candidate_id"], row.get("variant") or "parent", row["status"], interval(row, "accuracy", ".2%"),
         interval(row, "time_ratio", ".2f"), interval(row, "inference_time_s", ".3g"), row.get("device") or "-",
         row.get("remarks") or ""]
        for row in record.get("variants") or ()
    ]  # fmt: skip
    yield table(("model", "variant", "status", "test accuracy (95 %)", "time divided by the parent's", "s per pass", "device", "remarks"),
                rows)  # fmt: skip


def _failed(folder: Path, rest: Path, record: Row) -> Iterator[str]:
    for name, step in record["steps"].items():
        if step.get("failed"):
            yield f"Step {name} failed: {step['failed'].strip().splitlines()[-1]}"
        for command in step.get("commands", ()):
            if command["status"] not in (0, 143):
                last = command["output"][-1] if command["output"] else "no output"
                yield f"Step {name}: status {command['status']} of `{command['command']}`: {last}"
