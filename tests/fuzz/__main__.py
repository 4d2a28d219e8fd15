"""Fuzz one reader for a stated time: `python -m tests.fuzz csv --seconds 60`. What breaks it is kept in tests/fuzz/corpus.

Guided by coverage (atheris), with a corpus of the seeds of `seeds.py`, of the files that TARGETS names, and of what was found.
A reader whose library aborts the process is fuzzed blindly instead, in processes of its own (`blind.py`).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from hashlib import sha1
from pathlib import Path

os.environ |= {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "RUST_BACKTRACE": "0"}  # read when the libraries are imported

import atheris

from tests.conftest import ROOT

CORPUS = Path(__file__).parent / "corpus"
_LONGEST, _SMALL = 1 << 16, 1 << 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--runs", type=int, default=-1, help="stop after N executions (default: no limit)")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with atheris.instrument_imports(include=["ecosel", "profilers", "evolver"]):
        from tests.fuzz.blind import fuzz, in_child
        from tests.fuzz.targets import ABORTING, TARGETS
    make, files = TARGETS[given.target]
    found = Found(CORPUS / given.target)
    started = Path(tempfile.mkdtemp(prefix=f"ecosel-fuzz-{given.target}-"))
    in_child(lambda: _begin(given.target, files, started, found.folder))
    if given.target in ABORTING:
        fuzz(make, sorted(started.iterdir()), found.keep, seconds=given.seconds, runs=given.runs, seed=given.seed)
        sys.exit(found.status)
    contents = [file.read_bytes() for file in sorted(started.iterdir())]
    with atheris.instrument_imports(include=["ecosel", "profilers", "evolver"]):
        target = make()
        target(contents[0])  # imports all that it needs, which is no part of the time of an execution
    # inputs as short as most of the corpus: the shorter they are, the more of them there are in a second
    longest = min(_LONGEST, max(_SMALL, *sorted(map(len, contents))[: 1 + len(contents) // 2]))
    options = [
        f"-max_total_time={given.seconds}", f"-runs={given.runs}", f"-seed={given.seed}", f"-max_len={longest}", "-timeout=60",
        "-rss_limit_mb=3000", "-print_final_stats=1", f"-artifact_prefix={found.folder}/", str(started),
    ]  # fmt: skip

    def one(content: bytes) -> None:
        try:
            target(content)
        except Exception as error:
            found.keep(content, error)

    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


def _begin(name: str, files: tuple[str, ...], folder: Path, kept: Path) -> None:
    """Fill the folder that fuzzing begins with."""
    from tests.fuzz.seeds import seeds

    # most damaged copies of a file on which a library aborts would abort too
    found = [file for file in sorted(kept.iterdir()) if not file.name.startswith("aborts")]
    named = [file.read_bytes()[:_LONGEST] for pattern in files for file in sorted(ROOT.glob(pattern))]
    for number, content in enumerate([*seeds(name), *named, *(file.read_bytes() for file in found)]):
        (folder / f"seed-{number:03}").write_bytes(content)


class Found:
    """Keeps the first input for each place in the code that an error comes from, and lets fuzzing continue."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._places = folder, set[str]()
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def status(self) -> int:
        return 1 if self._places else 0

    def keep(self, content: bytes, error: BaseException) -> None:
        at = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} in {at.filename}:{at.lineno}"
        if place not in self._places:
            self._places.add(place)
            file = self.folder / sha1(content).hexdigest()
            file.write_bytes(content)
            print(f"FOUND {place}: {str(error)[:200]!r}, kept in {file}", file=sys.stderr, flush=True)
            traceback.print_exception(error)


if __name__ == "__main__":
    main()
