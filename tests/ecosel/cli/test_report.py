"""`ecosel report`: files, refusals, the command that makes the page again."""

from __future__ import annotations

import html
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import vl_convert

from ecosel.report.vega import vega_bundle
from ecosel.samples import sample
from tests.conftest import environment
from tests.ecosel.report.archives import evolved

YOUNG, DIGITS = str(sample("young2019.csv")), str(sample("digits_mlp.csv"))
Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_page_is_written_and_its_path_printed(ecosel: Run) -> None:
    outcome = ecosel("report", YOUNG, "--by", "dataset")
    assert (outcome.status, outcome.out, outcome.err) == (0, "report.html\n", "")
    assert Path("report.html").read_text().startswith("<!DOCTYPE html>")


def test_a_file_that_exists_is_replaced_only_by_force(ecosel: Run) -> None:
    Path("a.html").write_text("mine")
    outcome = ecosel("report", YOUNG, "-o", "a.html")
    assert (outcome.status, outcome.err) == (
        1, "ecosel: a.html exists; add --force to replace it, or name another file\n")  # fmt: skip
    assert Path("a.html").read_text() == "mine"
    assert ecosel("report", YOUNG, "-o", "a.html", "--force").status == 0
    assert len(Path("a.html").read_text()) > 500_000
    Path("f.svg").write_text("mine")
    assert ecosel("report", YOUNG, "--static", "f.svg").status == 1


def test_a_failure_leaves_nothing_behind(ecosel: Run) -> None:
    assert ecosel("report", YOUNG, "--maximize", "nothing").status == 2
    assert ecosel("report", YOUNG, "--static", "figure.eps").status == 2
    assert ecosel("report", "missing.csv").status == 1
    assert ecosel("report", YOUNG, "-o", "no/such/folder/a.html").status == 1
    assert ecosel("report", DIGITS, "-o", "a.html", "--static", "no/such/a.svg").status == 1
    assert list(Path().iterdir()) == []


def test_the_archive_is_never_the_output(ecosel: Run) -> None:
    Path("a.csv").write_bytes(Path(YOUNG).read_bytes())
    assert ecosel("report", "a.csv", "-o", "a.csv", "--force").status == 2
    assert Path("a.csv").read_bytes() == Path(YOUNG).read_bytes()


def test_page_and_figure_are_written_together(ecosel: Run) -> None:
    outcome = ecosel("report", DIGITS, "-o", "a.html", "--static", "a.pdf", "--columns", "1")
    assert outcome.out == "a.html\na.pdf\n"
    assert Path("a.pdf").read_bytes().startswith(b"%PDF")
    alone = ecosel("report", DIGITS, "--static", "b.svg")
    assert (alone.out, sorted(path.name for path in Path().iterdir())) == ("b.svg\n", ["a.html", "a.pdf", "b.svg"])


def test_the_page_goes_to_standard_output(ecosel: Run) -> None:
    outcome = ecosel("report", YOUNG, "-o", "-")
    assert outcome.out.startswith("<!DOCTYPE html>")
    assert outcome.out.endswith("</html>\n")


def test_a_full_disk_leaves_the_old_page_and_nothing_else(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    Path("a.html").write_text("mine")
    code = (f"import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
            f"resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); from ecosel.cli import main; "
            f"main(['report', {YOUNG!r}, '-o', 'a.html', '--force'])")  # fmt: skip
    outcome = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment(XDG_CACHE_HOME=str(cache))
    )
    assert (outcome.returncode, outcome.stderr) == (1, "ecosel: cannot write a.html: File too large\n")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.html"]  # nor half a script in the cache
    assert Path("a.html").read_text() == "mine"


def test_what_fails_only_when_a_file_is_closed_leaves_nothing_behind() -> None:
    code = ("import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
            "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)); from ecosel.cli.writing import write; "
            "write(('x' * 100, 'a.txt'))")  # fmt: skip
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment())
    assert "cannot write a.txt" in outcome.stderr
    assert list(Path().iterdir()) == []


def command_in(page: Path) -> list[str]:
    found = re.search(r'<code id="command"><bdi>(.*?)</bdi>', page.read_text())
    assert found
    return shlex.split(html.unescape(found[1]))


def test_the_command_on_the_page_makes_it_again(ecosel: Run) -> None:
    Path("my runs.csv").write_bytes(Path(YOUNG).read_bytes())
    options = ["--by", "dataset", "--weight", "accuracy=2", "--no-joint", "--where", "accuracy > 0.5", "--scale", "range",
               "--derive", "double = parameters * 2", "--label", "model", "--seed", "3"]  # fmt: skip
    assert ecosel("report", "my runs.csv", *options, "-o", "a.html").status == 0
    command = command_in(Path("a.html"))
    assert command[:3] == ["ecosel", "report", "my runs.csv"]
    assert ecosel(*command[1:]).status == 0
    assert Path("report.html").read_bytes() == Path("a.html").read_bytes()


def test_provenance_is_reported(ecosel: Run) -> None:
    evolved(60).write_parquet("a.parquet")
    assert ecosel("report", "a.parquet", "--where", "birth > 2", "--weight", "accuracy=2.5").status == 0
    page = Path("report.html").read_text()
    for words in ("45 of 60 models used (3 filtered, 11 oom, 1 timeout)", "accuracy 2.5, inference_time_s 1", "NVIDIA H100 (45)",
                  "the maker states no accuracy", "energy_per_inference_j has no interval", "vl-convert-python", "SHA-256",
                  "a.parquet"):  # fmt: skip
        assert words in page


def test_energy_of_unknown_source_is_labelled_as_unknown(ecosel: Run) -> None:
    ecosel("report", YOUNG)
    assert "The archive does not say how energy was measured" in Path("report.html").read_text()


def test_a_constant_power_is_called_an_assumption(ecosel: Run) -> None:
    pl.read_csv(YOUNG).with_columns(pl.lit("constant:65").alias("energy_source")).write_csv("a.csv")
    ecosel("report", "a.csv")
    assert "No power was measured: a constant power was assumed" in Path("report.html").read_text()


def test_the_browser_is_opened_on_the_page(tmp_path: Path) -> None:
    # a browser of our own, as $BROWSER names it: it writes down what it was asked to open
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    outcome = subprocess.run(
        [sys.executable, "-m", "ecosel", "report", YOUNG, "-o", "a b.html", "--open"],
        capture_output=True, text=True, check=False, env=environment(BROWSER=str(browser)),
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
    assert (tmp_path / "opened").read_text().strip() == (tmp_path / "a b.html").as_uri()


def test_open_needs_a_page(ecosel: Run) -> None:
    assert ecosel("report", YOUNG, "--open", "-o", "-").status == 2
    assert ecosel("report", YOUNG, "--open", "--static", "a.svg").status == 2


def test_a_broken_cache_of_the_scripts_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def bundle(snippet: str) -> str:
        made.append(snippet)
        return "window.vegaEmbed = 'café';\n" * 1000

    monkeypatch.setattr(vl_convert, "javascript_bundle", bundle)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    look = vega_bundle.__wrapped__  # a process asks only once
    first = look()
    (kept,) = (tmp_path / "cache" / "ecosel").iterdir()
    whole = kept.read_bytes()
    assert (look(), len(made)) == (first, 1)
    for broken in (whole[: len(whole) // 2] + b"alert(1)", whole[:-1], whole[:-1] + b"\xff", b""):
        made.clear()
        kept.write_bytes(broken)
        assert (look(), len(made)) == (first, 1)
        assert kept.read_bytes() == whole
