"""The steps of the campaign: which commands each step runs, and when it ends."""

from __future__ import annotations

import argparse
import json
import platform
import sqlite3
import tarfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl

from tests.benchmarks import cifar
from tests.benchmarks.gpu.campaign.running import Course, copy_archive

# seconds of each step if --seconds is 570, their sum; and with --quick, where most of the time goes into starting processes
SHARES = {"one lane": 36, "lanes": 36, "campaign": 200, "winners": 72, "front": 125, "variants": 101}
QUICK = {"one lane": 18, "lanes": 18, "campaign": 34, "winners": 40, "front": 30, "variants": 50}
_SEARCHED, _SEARCHED_QUICK = 0.86, 0.45  # share of the campaign's time for the search; the rest: starts, trainings under way
_LARGEST_TAR = 12 << 20
PACKAGES = ("torch", "torchvision", "numpy", "polars", "nvidia-ml-py", "onnx", "onnxruntime", "onnxscript")


@dataclass(frozen=True)
class Plan:
    """The settings that all steps share."""

    source: Path
    quick: bool
    device: str
    lanes: int
    each: int
    epochs: int
    flops: float
    objectives: str
    seed: int
    ends: dict[str, float]

    @classmethod
    def of(cls, given: argparse.Namespace) -> Plan:
        shares = QUICK if given.quick else SHARES
        scale = 1.0 if given.quick else given.seconds / sum(SHARES.values())
        if given.quick and given.device == "cpu":
            scale = given.seconds / sum(QUICK.values())
        ends = dict(zip(shares, accumulate(scale * share for share in shares.values()), strict=True))
        names = ("quick", "device", "lanes", "each", "epochs", "flops", "objectives", "seed")
        return cls(given.source.absolute(), **{name: getattr(given, name) for name in names}, ends=ends)


def facts(device: str) -> dict[str, Any]:
    """Return hardware, driver and versions."""
    found: dict[str, Any] = {"python": platform.python_version(), "host": platform.platform(), "versions": {}}
    for name in PACKAGES:
        try:
            found["versions"][name] = version(name)
        except PackageNotFoundError:
            found["versions"][name] = None
    try:
        from profilers.machine.processor import cores
        from profilers.meters.rapl import processor_name

        found |= {"processor": processor_name(), "cores": cores()}
        if device != "cpu":
            from profilers.meters.nvml.boards import machine

            here = machine()
            found |= {"driver": here.driver, "board": here.boards[int(device)].name}
    except Exception as error:
        found["unknown"] = str(error)
    return found


def go(course: Course, plan: Plan) -> None:
    """Run all steps; each ends on time, and one that fails does not stop the others."""
    course.pack = partial(_pack, course)
    data = plan.source
    if plan.quick:
        data = course.work / "few"
        cifar.subset(plan.source, data)
        for file in data.glob("*.parquet"):
            pl.read_parquet(file).head(1500 if file.name.startswith("train") else 500).write_parquet(file)
        course.say("made a subset")
    steps = {"one lane": _lanes, "lanes": _lanes, "campaign": _campaign, "winners": _winners, "front": _front,
             "variants": _variants}  # fmt: skip
    for name, step in steps.items():
        with course.step(name, plan.ends[name]) as found:
            step(course, plan, data, name, found)


def _evolve(plan: Plan, data: Path, archive: str, *more: str) -> list[str]:
    return ["evolve", "--dataset", str(data), "--archive", archive, "--seed", str(plan.seed), "--devices", plan.device,
            "--max-epochs", str(2 if plan.quick else plan.epochs), "--deadline", "60s", "--limit", f"flops={plan.flops:g}",
            "--objectives", plan.objectives, "--plain", *more]  # fmt: skip


_EVOLVED = ("--population", "16")
_RANDOM = ("--population", "100000", "--lifetime", "100000")


def _lanes(course: Course, plan: Plan, data: Path, name: str, found: dict[str, Any]) -> None:
    workers = 1 if name == "one lane" else plan.lanes
    found["workers"] = workers
    more = (*_EVOLVED, "--workers", str(workers), "--measure", "none", "--confirm", "0")
    course.run(found, [_evolve(plan, data, f"{name.replace(' ', '-')}.db", *more)], plan.ends[name])


def _campaign(course: Course, plan: Plan, data: Path, name: str, found: dict[str, Any]) -> None:
    limit_s = round((_SEARCHED_QUICK if plan.quick else _SEARCHED) * found["budget_s"])
    found |= {"workers": plan.each, "time_s": limit_s}
    more = ("--workers", str(plan.each), "--measure", "none", "--confirm", "0", "--time", f"{limit_s}s")
    both = [_evolve(plan, data, "run.db", *_EVOLVED, *more), _evolve(plan, data, "random.db", *_RANDOM, *more)]
    course.run(found, both, plan.ends[name])


# resume only for what follows a search; trainings that did not end in time stay unfinished
_NO_SEARCH = ("--time", "0.0001s")


def _winners(course: Course, plan: Plan, data: Path, name: str, found: dict[str, Any]) -> None:
    """Train the best of both again at the same time: three from the evolution and, for comparison, one from random search."""
    few = 1 if plan.quick else 3
    course.run(
        found, [_final(plan, data, "run.db", few, plan.each), _final(plan, data, "random.db", 1, plan.each)], plan.ends[name]
    )


def _final(plan: Plan, data: Path, archive: str, few: int, workers: int, *, confirm: bool = True) -> list[str]:
    how = _EVOLVED if archive == "run.db" else _RANDOM
    more = (
        "--workers",
        str(workers),
        "--measure",
        "none",
        "--confirm",
        str(few if confirm else 0),
        "--final",
        str(few),
        *_NO_SEARCH,
    )
    return _evolve(plan, data, archive, *how, *more)


def _front(course: Course, plan: Plan, data: Path, name: str, found: dict[str, Any]) -> None:
    """Measure with one worker while nothing else runs on the GPU."""
    more = ("--workers", "1", "--measure", "front", "--confirm", "0", *_NO_SEARCH)
    course.run(found, [_evolve(plan, data, "run.db", *_EVOLVED, *more)], plan.ends[name])


def saved(work: Path) -> list[str]:
    """Return the candidates of the evolution that were saved, the best first."""
    with closing(sqlite3.connect(work / "run.db")) as database:
        rows = database.execute("SELECT candidate_id FROM archive WHERE test_accuracy IS NOT NULL ORDER BY accuracy DESC")
        return [one for (one,) in rows if (work / f"run-{one}.pt").exists()]


def _variants(course: Course, plan: Plan, data: Path, name: str, found: dict[str, Any]) -> None:
    end_s = plan.ends["front"]
    if not saved(course.work):  # the step for the winners was too short
        end_s += (plan.ends[name] - end_s) / 2
        course.run(found, [_final(plan, data, "run.db", 1, 1, confirm=False)], end_s)
    chosen = saved(course.work)[: 1 if plan.quick else 2]
    if not chosen:
        raise RuntimeError("no winner was saved")
    share_s = (plan.ends[name] - end_s) / (2 * len(chosen))
    for one in chosen:
        for command in (_on_gpu(plan, data, one), _compressed(plan, data, one)):
            end_s += share_s
            course.run(found, [command], end_s)
            course.save()


def _on_gpu(plan: Plan, data: Path, candidate: str) -> list[str]:
    device = "cpu" if plan.device == "cpu" else f"cuda:{plan.device}"
    return ["profile", f"run-{candidate}.pt", "--factory", "evolver:candidate", "--dataset", str(data), "--device", device,
            "--sweep", "precision=fp32,bf16", "--quick", "--max-seconds", "3", "--archive", "gpu.ndjson"]  # fmt: skip


def _compressed(plan: Plan, data: Path, candidate: str) -> list[str]:
    """Compress on the processor: the command has no --device, as its variants are made for processors."""
    return ["compress", f"run-{candidate}.pt", "--factory", "evolver:candidate", "--dataset", str(data), "--limit", "1000",
            "--variants", "fold,bf16,onnx,int8", "--quick", "--max-seconds", "0.5", "-o", f"run-{candidate}-variants",
            "--archive", "variants.ndjson", "--format", "json"]  # fmt: skip


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _pack(course: Course) -> None:
    """Copy the archives, and pack as many other files as fit into one tar, the smallest first."""
    work = course.work
    for name in ("run.db", "random.db"):
        copy_archive(work / name, course.out / name)
    for name in ("one-lane.db", "lanes.db"):
        copy_archive(work / name, work / f"copy-{name}")
    for name in ("gpu", "variants"):
        course.record[name] = rows_of(work / f"{name}.ndjson")
    wanted = [*work.glob("copy-*.db"), *work.glob("*.ndjson"), *work.glob("run-*.*"), *work.glob("random-*.json")]
    _tar(course, sorted((path for path in wanted if path.is_file()), key=lambda path: path.stat().st_size))


def _tar(course: Course, files: Sequence[Path]) -> None:
    total, part, left = 0, course.out / "part-rest.tar", []
    with tarfile.open(part, "w") as packed:
        for path in files:
            total += path.stat().st_size
            if total > _LARGEST_TAR:
                left.append(path.name)
            else:
                packed.add(path, path.name.removeprefix("copy-"))
    part.replace(course.out / "rest.tar")
    course.record["not_packed"] = left
