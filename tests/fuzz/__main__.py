"""Fuzz one reader for a stated time: `python -m tests.fuzz csv --seconds 60`. What breaks it is kept in tests/fuzz/corpus.

Coverage-guided by atheris, with a corpus of the seeds of `seeds.py`, of the files that TARGETS names, and of what was found.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import atheris

from tests.conftest import ROOT

CORPUS = Path(__file__).parent / "corpus"
_LONGEST = 1 << 16


def main() -> None:
    if sys.argv[2:3] == ["--child"]:  # one of the processes of -fork
        _fuzz(sys.argv[1], sys.argv[3:])
    else:
        _start()


def _start() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--runs", type=int, default=-1, help="stop after N executions (default: no limit)")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with atheris.instrument_imports(include=["ecosel", "profilers", "evolver"]):
        from tests.fuzz.seeds import seeds
        from tests.fuzz.targets import COMMANDS, TARGETS

        valid, files = seeds(given.target), TARGETS[given.target][1]
    kept = CORPUS / given.target
    kept.mkdir(parents=True, exist_ok=True)
    started = Path(tempfile.mkdtemp(prefix=f"ecosel-fuzz-{given.target}-"))
    contents = [*valid, *(file.read_bytes() for pattern in files for file in sorted(ROOT.glob(pattern)))]
    for number, content in enumerate(contents):
        (started / f"seed-{number}").write_bytes(content[:_LONGEST])
    for file in kept.iterdir():
        shutil.copy(file, started)
    options = [
        f"-max_total_time={given.seconds}", f"-runs={given.runs}", f"-seed={given.seed}", f"-max_len={_LONGEST}", "-timeout=10",
        "-rss_limit_mb=3000", "-print_final_stats=1", f"-artifact_prefix={kept}/", str(started),
    ]  # fmt: skip
    if given.target in COMMANDS:  # an abort of the library under the reader is told by the command line; look on
        options += ["-fork=1", "-ignore_crashes=1"]
        program = started.with_suffix(".sh")
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tests.fuzz {given.target} --child "$@"\n')
        program.chmod(0o755)
        _fuzz(given.target, options, program=str(program))
    else:
        _fuzz(given.target, options)


def _fuzz(name: str, options: list[str], *, program: str = sys.argv[0]) -> None:
    with atheris.instrument_imports(include=["ecosel", "profilers", "evolver"]):
        from tests.fuzz.seeds import seeds
        from tests.fuzz.targets import TARGETS

        target = TARGETS[name][0]()
        for content in seeds(name)[:1]:
            target(content)  # imports all that it needs, which is no part of the time of an execution
    atheris.Setup([program, *options], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
