"""How often evolution beats random search in `make demo`, by the test accuracy of the networks that are finally chosen.

python -m tests.benchmarks.demo_seeds run FOLDER SEED...    runs both searches of the demo, a file for each seed
python -m tests.benchmarks.demo_seeds try FOLDER SEED... -- OPTIONS   runs the evolved search alone, with other options
python -m tests.benchmarks.demo_seeds show FOLDER           prints the table of the seeds that were run
python -m tests.benchmarks.demo_seeds compare FOLDER OTHER...   compares evolved searches in FOLDER with the same seeds in others

The searches are those of the Makefile, reproducible, but in this process and one job at a time: by `--reproducible` that
gives the archives that `make demo SEED=...` gives. OPTIONS are of `ecosel evolve`; `--training-gene SHARE` sets the share of
changes that fall on a training gene.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from statistics import median
from typing import Any

from profilers.machine.child import DeviceSlot

ROOT = Path(__file__).parents[2]


class InProcess(Executor):
    """Does each job as it is submitted."""

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future[Any]:
        from evolver.training import evaluation
        from evolver.workers.pool import look_up

        future: Future[Any] = Future()
        future.set_result(evaluation.survey(arguments[1]) if fn is look_up else evaluation.evaluate(arguments[1]))
        return future


def commands(seed: int) -> dict[str, list[str]]:
    """Return the options of the two searches as the Makefile has them."""
    makefile = (ROOT / "Makefile").read_text()
    variables = dict(re.findall(r"^(\w+) [:?]?= (.*)$", makefile, re.M)) | {"SEED": str(seed)}

    def expanded(text: str) -> str:
        while "$(" in text:
            text = re.sub(r"\$\((\w+)\)", lambda name: variables[name[1]], text)
        return text

    lines = [expanded(line) for line in makefile.splitlines() if "ecosel evolve" in line]
    found = {"random" if "random.db" in line else "evolved": shlex.split(line.partition("ecosel evolve")[2]) for line in lines}
    assert set(found) == {"random", "evolved"}, lines
    return found


def search(options: list[str], archive: Path, dataset: Path) -> dict[str, Any]:
    from evolver import cli
    from evolver.architectures import variation
    from evolver.run import session
    from evolver.workers.executors import Engine

    drop = ("--archive", "--dataset", "--measure")
    if "--training-gene" in options:
        place = options.index("--training-gene")
        variation.TRAINING_GENE = float(options[place + 1])
        options = options[:place] + options[place + 2 :]
    own = [word for k, word in enumerate(options) if word not in drop and (k == 0 or options[k - 1] not in drop)]
    own += ["--archive", str(archive), "--dataset", str(dataset), "--measure", "none"]
    request = cli._request(cli.evolve.make_context("evolve", own).params)
    engine = Engine("in this process", InProcess(), lambda: 1, lambda: None, lambda: ("1 x cpu",))
    began = time.process_time()
    answer = session.evolve(request, session.architectures(), engine, progress="quiet")
    tested = [final["test_accuracy"] for final in answer["final"] if final["status"] == "ok"]
    return {
        "outcomes": answer["outcomes"],
        "best": answer["best"],
        "first": max_accuracy(archive),
        "test": tested[0] if tested else None,
        "cpu_s": round(time.process_time() - began, 1),
    }


def max_accuracy(archive: Path) -> float:
    from evolver.candidates import foreign

    with foreign(archive) as database:
        return float(database.execute("SELECT MAX(first_accuracy) FROM archive").fetchone()[0])


def run(folder: Path, seeds: list[int], more: list[str] | None = None) -> None:
    import torch

    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    dataset = folder / "shifted-digits"
    if not (dataset / "test-00000-of-00001.parquet").exists():
        subprocess.run([sys.executable, ROOT / "data" / "shifted_digits.py", dataset], check=True)
    for seed in seeds:
        file = folder / f"seed-{seed}.json"
        if not file.exists():
            found = {
                name: search([*options, *(more or ())], folder / f"{name}-{seed}.db", dataset)
                for name, options in commands(seed).items()
                if name == "evolved" or more is None
            }
            file.write_text(json.dumps({"seed": seed, "torch": torch.__version__, **found}) + "\n")
            print(file.read_text(), end="", flush=True)


def evolved(folder: Path) -> dict[int, dict[str, Any]]:
    rows = (json.loads(file.read_text()) for file in folder.glob("seed-*.json"))
    return {row["seed"]: row["evolved"] for row in rows}


def compare(folder: Path, others: list[Path]) -> None:
    """Show what other settings of evolution give on the seeds that both have."""
    print("| settings | seeds | median test accuracy, least | mean of 3: median | as it is: median test, least | better, worse |")
    print("| --- | --- | --- | --- | --- | --- |")
    base = evolved(folder)
    for other in others:
        tried = evolved(other)
        seeds = sorted(base.keys() & tried.keys())
        ours, theirs = ([rows[seed]["test"] or 0 for seed in seeds] for rows in (base, tried))
        means = median(tried[seed]["best"]["accuracy"] for seed in seeds)
        better, worse = (sum(sign * (b - a) > 0 for a, b in zip(ours, theirs, strict=True)) for sign in (1, -1))
        print(
            f"| {other.name} | {len(seeds)} | {median(theirs):.3f}, {min(theirs):.3f} | {means:.3f} "
            f"| {median(ours):.3f}, {min(ours):.3f} | {better}, {worse} |"
        )


def show(folder: Path) -> None:
    rows = sorted((json.loads(file.read_text()) for file in folder.glob("seed-*.json")), key=lambda row: int(row["seed"]))
    print(f"{platform.machine()}, Python {platform.python_version()}, torch {rows[0]['torch']}, {len(rows)} seeds\n")
    print("| seed | random: first, mean of 3, test | evolved: first, mean of 3, test | evolved - random, test | core seconds |")
    print("| --- | --- | --- | --- | --- |")
    gains = []
    for row in rows:
        cells = []
        for name in ("random", "evolved"):
            part = row[name]
            cells.append(f"{part['first']:.3f}, {part['best']['accuracy']:.3f}, {part['test'] or 0:.3f}")
        gains.append((row["evolved"]["test"] or 0) - (row["random"]["test"] or 0))
        cost = row["random"]["cpu_s"] + row["evolved"]["cpu_s"]
        print(f"| {row['seed']} | {cells[0]} | {cells[1]} | {gains[-1]:+.3f} | {cost:.0f} |")
    wins = sum(gain > 0 for gain in gains)
    print(f"\nevolution wins {wins} of {len(gains)}; median gain {median(gains):+.3f}, least {min(gains):+.3f}")


def main() -> None:
    action, folder, *rest = sys.argv[1:]
    split = rest.index("--") if "--" in rest else len(rest)
    if action == "show":
        show(Path(folder))
    elif action == "compare":
        compare(Path(folder), [Path(other) for other in rest])
    else:
        run(Path(folder), [int(seed) for seed in rest[:split]], rest[split + 1 :] if action == "try" else None)


if __name__ == "__main__":
    same = DeviceSlot("cpu", 1, reproducible=True).environment()
    if any(os.environ.get(name) != value for name, value in same.items()):
        os.execve(sys.executable, [sys.executable, "-m", "tests.benchmarks.demo_seeds", *sys.argv[1:]], same)
    main()
