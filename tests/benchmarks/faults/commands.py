"""Name the commands, and judge what stands in the folder into which they wrote."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tests.conftest import ROOT, environment

ECOSEL = (sys.executable, "-m", "ecosel")
OBJECTIVES = ("--maximize", "acc", "--minimize", "ms")
NETWORK = "import sys, torch; from data.digits_cnn import network; torch.save(network().state_dict(), sys.argv[1])"
LOG = 60.0  # seconds of a power log


@dataclass(frozen=True)
class Command:
    words: list[str]
    files: tuple[Path, ...] = ()
    """What it writes, each whole or not at all."""
    archive: Path | None = None
    """What it appends to."""
    resumes: bool = False


def inputs(folder: Path, rows: int = 2_000) -> None:
    """Write what the commands read: a table, two models and a power log."""
    from tests.profilers.models.onnx import files

    rng = random.Random(1)
    numbers = {name: [rng.random() for _ in range(rows)] for name in ("acc", "ms")}
    pl.DataFrame({"model": [f"m{k}" for k in range(rows)], **numbers}).write_csv(folder / "models.csv")
    times = [k / 10 for k in range(int(10 * LOG))]
    pl.DataFrame({"time_s": times, "power_w": [100.0 + k % 3 for k in range(len(times))]}).write_csv(folder / "log.csv")
    files.save(files.network(), folder / "net.onnx")
    subprocess.run([sys.executable, "-c", NETWORK, str(folder / "net.pt")], check=True, env=environment())


def commands(folder: Path, outputs: Path, only: str = "") -> dict[str, Command]:
    """Return the commands named, or all, that read files of a folder."""
    table, page = folder / "models.csv", outputs / "page.html"
    chosen, front, trace = (outputs / name for name in ("chosen.json", "front.csv", "trace.parquet"))
    lines, rows, logged, found = (outputs / name for name in ("lines.ndjson", "rows.db", "logged.db", "run.db"))
    variants: list[str | Path] = [
        "--variants",
        "fold,bf16,int8",
        "--limit",
        "50",
        "--quick",
        "--max-seconds",
        "0.5",
        "-o",
        outputs / "variants",
    ]
    profile: list[str | Path] = ["profile", folder / "net.onnx", "--meter", "constant:5", "--quick", "--max-seconds", "0.5"]
    small = [
        "--limit",
        "parameters=2000",
        "--feature-slots",
        "2",
        "--classifier-slots",
        "2",
        "--max-epochs",
        "1",
        "--confirm",
        "0",
    ]
    search = ["evolve", "--dataset", "digits", "--births", "3", "--population", "4", *small, "--measure", "none", "--plain"]
    each: dict[str, tuple[list[str | Path], Command]] = {
        "select": (
            ["select", table, *OBJECTIVES, "--format", "json", "-o", chosen, "--front", front],
            Command([], (chosen, front)),
        ),
        "report": (["report", table, *OBJECTIVES, "-o", page], Command([], (page,))),
        "energy": (
            ["energy", folder / "log.csv", "--start", "10", "--end", "50", "--inferences", "1000", "--archive", logged],
            Command([], archive=logged),
        ),
        "profile": ([*profile, "--archive", lines, "--trace", trace], Command([], (trace,), lines)),
        "profile-db": ([*profile, "--archive", rows, "--trace", trace], Command([], (trace,), rows)),
        "evolve": ([*search, "--final", "1", "--archive", found], Command([], archive=found, resumes=True)),
        "compress": (
            ["compress", folder / "net.pt", "--factory", f"{ROOT / 'data/digits_cnn.py'}:network", "--dataset", "digits", *variants,
             "--archive", lines], Command([], archive=lines),
        ),
    }  # fmt: skip
    return {
        name: Command([*ECOSEL, *map(str, words)], one.files, one.archive, one.resumes)
        for name, (words, one) in each.items()
        if not only or name in only.split("|")
    }


def run(command: list[str], **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment(OMP_NUM_THREADS="1", **extra))


def clear_line(said: str) -> bool:
    """Tell whether a failed command said why in one line, the last one, apart from its progress."""
    lines = said.strip().splitlines() or [""]
    return lines[-1].startswith("ecosel: ") and "Traceback" not in said


def names(archive: Path | None) -> list[str]:
    """Return the candidates in an archive, [] if there is none yet."""
    if archive is None or not archive.exists() or not archive.stat().st_size:
        return []
    if archive.suffix == ".ndjson":
        return [json.loads(line)["candidate_id"] for line in archive.read_text().splitlines()]
    with closing(sqlite3.connect(archive)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
            return []
        return [name for (name,) in database.execute("SELECT candidate_id FROM archive")]


def wrongs(outputs: Path) -> Iterator[str]:
    """Yield what is half written or left behind in a folder."""
    for file in sorted(outputs.rglob("*")) if outputs.exists() else ():
        if file.name.startswith(".") or ".part" in file.name or file.name.endswith("-journal"):
            yield f"LEFT BEHIND {file.relative_to(outputs)}"
        elif file.is_file() and not _is_whole(file):
            yield f"HALF {file.relative_to(outputs)}"


def _is_whole(file: Path) -> bool:
    try:
        match file.suffix:
            case ".parquet":
                pl.read_parquet(file)
            case ".db":
                with closing(sqlite3.connect(file)) as database:
                    return bool(database.execute("PRAGMA integrity_check").fetchone() == ("ok",))
            case ".pt" | ".pt2":
                with zipfile.ZipFile(file) as members:
                    return members.testzip() is None
            case ".onnx":
                import onnx

                onnx.checker.check_model(str(file), full_check=True)
            case ".json":
                json.loads(file.read_text())
            case ".ndjson":
                return all(isinstance(json.loads(line), dict) for line in file.read_text().splitlines()) and (
                    not file.stat().st_size or file.read_bytes().endswith(b"}\n")
                )
            case ".html":
                return file.read_text().rstrip().endswith("</html>")
            case ".csv":
                return file.read_text().endswith("\n")
    except Exception as error:
        print(f"{file.name}: {type(error).__name__}: {str(error)[:200]}", flush=True)
        return False
    return True


def processes_of(group: int) -> bool:
    """Tell whether a process of a group still runs."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
