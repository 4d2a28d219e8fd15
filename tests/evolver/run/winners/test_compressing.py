"""Winners are compressed by the command that people use, once, and what it says of them is handed on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from evolver.errors import EvolverError
from evolver.run.request import SearchRequest
from evolver.run.winners import compressing
from evolver.run.winners.compressing import as_lines, compress_winners, variants_of

ROWS: list[dict[str, Any]] = [
    {"candidate_id": "run-7", "variant": None, "parent": None, "status": "ok"},
    {"candidate_id": "run-7-int8", "variant": "int8", "parent": "run-7", "status": "ok", "time_ratio": 0.21, "accuracy": 0.98},
    {"candidate_id": "run-7-fold", "variant": "fold", "parent": "run-7", "status": "invalid", "remarks": "nothing to fold"},
]
FINALS: list[dict[str, Any]] = [{"candidate_id": "7", "saved": "run-7"}, {"candidate_id": "9", "saved": None}]


@pytest.fixture
def request_(tmp_path: Path) -> SearchRequest:
    settings = SimpleNamespace(dataset="digits", batch_size=50, meter="constant:9")
    return cast(SearchRequest, SimpleNamespace(archive=tmp_path / "run.db", settings=settings))


def _answering(monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]], out: str = "", err: str = "") -> list[list[str]]:
    """Let `ecosel compress` append rows, and print."""
    commands: list[list[str]] = []

    def run(command: list[str], **options: Any) -> Any:
        commands.append(command)
        archive = Path(command[command.index("--archive") + 1])
        archive.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return SimpleNamespace(stdout=out, stderr=err, returncode=1 if err else 0)

    monkeypatch.setattr(compressing, "subprocess", SimpleNamespace(run=run, PIPE=subprocess.PIPE))
    return commands


def test_each_winner_that_was_saved_is_compressed_with_its_weights(
    request_: SearchRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = _answering(monkeypatch, ROWS)
    assert compress_winners(request_, FINALS, "int8,fold") == ROWS
    (command,) = commands
    assert command[2:5] == ["ecosel", "compress", f"{request_.archive}#7"]
    options = dict(zip(command[5::2], command[6::2], strict=False))
    assert (options["--weights"], options["--variants"], options["--batch-size"]) == ("run-7.pt", "int8,fold", "50")
    assert options["--archive"] == str(variants_of(request_.archive))
    assert command[-2:] == ["--meter", "constant:9"]


def test_a_winner_whose_variants_are_there_is_not_compressed_again(
    request_: SearchRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = _answering(monkeypatch, [])
    variants_of(request_.archive).write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    assert compress_winners(request_, FINALS, "int8,fold") == ROWS
    assert commands == []


def test_a_winner_that_cannot_be_compressed_ends_in_one_line(request_: SearchRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    _answering(monkeypatch, [], err="waiting\necosel: digits has no training images\n")
    with pytest.raises(EvolverError, match=r"^--compress: .*run.db#7: digits has no training images$"):
        compress_winners(request_, FINALS, "int8")


def test_rows_that_are_printed_but_could_not_be_appended_are_an_error(
    request_: SearchRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answering(monkeypatch, [], json.dumps(ROWS), "ecosel: cannot append to run-variants.ndjson: No space left on device\n")
    with pytest.raises(EvolverError, match=r"run.db#7: cannot append to run-variants.ndjson: No space left on device$"):
        compress_winners(request_, FINALS, "int8")


def test_the_lines_say_what_each_variant_is(request_: SearchRequest) -> None:
    lines = list(as_lines(request_, ROWS))
    assert lines[:2] == [
        "variant run-7-int8: 0.21 of its parent's time, test accuracy 98.00%",
        "variant run-7-fold: invalid (nothing to fold)",
    ]
    assert lines[2].endswith("run-variants.ndjson")


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--final", "1", "--compress", "squash"), "no variant 'squash'"), (("--compress", "fold"), "add --final 1")],
)
def test_variants_that_cannot_be_made_are_refused_before_the_first_birth(
    options: tuple[str, ...], words: str, tmp_path: Path, ecosel: Callable[..., Any]
) -> None:
    found = ecosel("evolve", "--dataset", "digits", "--archive", tmp_path / "run.db", *options)
    assert (found.status, found.out) == (2, "")
    assert words in found.err
    assert list(tmp_path.iterdir()) == []
