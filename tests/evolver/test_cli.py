"""`ecosel evolve`: options, refusals in one line, progress, and a master that loads no torch and is quick to start."""

from __future__ import annotations

import io
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ecosel.limits import Limit
from ecosel.objectives import ACCURACY, Objective
from evolver.candidates import genomes
from evolver.cli import limit, objectives, seconds
from evolver.errors import EvolverError
from evolver.jobs import STATUSES
from evolver.run import session
from evolver.run.interrupts import Stopped
from evolver.run.progress import SearchProgress, duration, line_of, watching
from evolver.workers.executors import open_engine
from tests.conftest import ROOT, Outcome, environment
from tests.evolver.toy import WORK, request


@pytest.mark.parametrize(
    ("text", "value"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400), ("1h30m", 5400), ("2d", 172_800), (" 10M ", 600)]
)
def test_durations_are_read(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "m", "10x", "-5", "1 h", "5m3"])
def test_anything_but_a_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration; write 90s, 10m, 1h30m or 2d"):
        seconds(text)


def test_objectives_and_limits_are_read() -> None:
    assert objectives("accuracy, energy_per_inference_j") == (ACCURACY, Objective("energy_per_inference_j", "min"))
    assert limit("parameters=1e6") == limit("parameters <= 1e6") == limit("1e6>=parameters") == Limit("parameters", 1e6)
    assert limit("accuracy=0.9") == limit("accuracy ≥ 90%") == Limit("accuracy", 0.9, ">=")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--objectives", "accuracy,speed"],
            "there is no column 'speed'; a search has accuracy, inference_time_s, parameters,",
        ),
        (["--objectives", "accuracy,accuracy"], "each only once"),
        (["--limit", "parameters"], "--limit 'parameters': write COLUMN <= VALUE"),
        (["--limit", "parameters=many"], "--limit 'parameters=many': write COLUMN <= VALUE"),
        (["--limit", "parameters=0"], "--limit 'parameters=0': the limit of parameters must be above 0"),
        (["--limit", "speed<=1"], "there is no column 'speed'; a search has accuracy,"),
        (["--final", "-1"], "--final is -1; it must be 0 or more"),
        (["--deadline", "0"], "the deadline of a candidate is 0 s; it must be above 0"),
        (["--devices", "GPU-12"], "there is no device 'GPU-12'"),
        (["--births", "0"], "births is 0; a budget must be above 0"),
        (["--time", "soon"], "'soon' is not a duration"),
        (["--seed", "-1"], "seed is -1; it must be 0 or more"),
        (["--population", "0"], "must satisfy 1 <= tournament"),
        (["--workers", "0"], "--workers is 0; there must be at least 1"),
        (["--devices", "tpu"], "there is no device 'tpu'"),
        (["--executor", "nonsense"], "must be dask:ADDRESS, a scheduler.json or module:factory"),
        (["--max-epochs", "0"], "--max-epochs is 0; it must be 1 or more"),
        (["--measure", "some"], "'some' is not one of 'all', 'front', 'none'"),
    ],
)
def test_wrong_usage_gives_one_line(ecosel: Callable[..., Outcome], tmp_path: Path, arguments: list[str], words: str) -> None:
    ran = ecosel("evolve", "--dataset", "digits", "--archive", tmp_path / "run.db", *arguments)
    assert ran.status == 2, ran.err
    assert words in ran.err
    assert ran.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("dask:nonsense://x", "no Dask scheduler answers at dask:nonsense://x"),
        ("no.json", "there is no file no.json; start a scheduler"),
    ],
)
def test_a_cluster_that_is_not_there_gives_one_line(
    ecosel: Callable[..., Outcome], tmp_path: Path, where: str, words: str
) -> None:
    ran = ecosel("evolve", "--dataset", "digits", "--archive", tmp_path / "run.db", "--executor", where)
    assert ran.status == 1, ran.err
    assert words in ran.err
    assert ran.err.count("\n") == 1


LOADS_NO_TORCH = """
import sys
from pathlib import Path
from evolver.run import session
import evolver.cli
from tests.evolver.toy import WORK, request
{more}
if __name__ == "__main__":
    session.architectures()
    answer = session.run(request(Path(sys.argv[1])), WORK, executor=None, devices="cpu", workers=1, dry_run=False, progress="quiet")
    print(answer["births"], "torch" in sys.modules, "altair" in sys.modules, "distributed" in sys.modules)
"""


@pytest.mark.parametrize(("more", "loaded"), [("", False), ("sys.modules['torch'] = sys", True)])
def test_the_master_loads_no_torch(tmp_path: Path, more: str, loaded: bool) -> None:
    code = LOADS_NO_TORCH.format(more=more)
    command = [sys.executable, "-c", code, str(tmp_path / "run.db")]
    ran = subprocess.run(command, cwd=ROOT, env=environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True, check=True)
    assert ran.stdout == f"30 {loaded} False False\n"


READY = """
import resource, evolver.cli, evolver.run.session
from evolver.workers.executors import open_engine
evolver.run.session.architectures()
engine = open_engine(None, devices="cpu", workers=2)
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime)
engine.close()
"""


def test_the_master_is_ready_within_half_a_second() -> None:
    # of processor time: the clock on the wall also counts who else is at work on the machine
    command = [sys.executable, "-c", READY]
    took = []
    for _ in range(3):
        ran = subprocess.run(command, cwd=ROOT, env=environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True, check=True)
        took.append(float(ran.stdout))
    assert min(took) < 0.5, took


PROGRESS = SearchProgress(
    "search", 120, 200, 100, 4, 16, 0.5, (0.97, 42), 7, {"ok": 90, "nan": 10}, ("4 x cpu",), 200.0, 3700.0, 1234.5, 0
)


def test_a_line_of_progress_says_all() -> None:
    assert line_of(PROGRESS) == (
        "search: 100 of 200 done, 4 running · 1,800/h · best 97.00% (candidate 42) · front 7 · 10 nan, 90 ok · on 4 x cpu"
        " · 16 waiting · 1,234 J · 3:20, 1:01:40 left"
    )
    assert line_of(replace(PROGRESS, asked=None)).startswith("search: 100 done, 4 running")
    assert "on 5 nodes" in line_of(replace(PROGRESS, devices=tuple(f"4 x node{k}" for k in range(5))))
    assert duration(59.7) == "1:00"


def test_progress_is_lines_on_a_pipe_and_nothing_when_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with watching("auto") as watch:
        watch(PROGRESS)
        watch(PROGRESS)  # again within ten seconds: said before
    assert capsys.readouterr().err == line_of(PROGRESS) + "\n"
    with watching("quiet") as watch:
        watch(PROGRESS)
    assert capsys.readouterr() == ("", "")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_one_line_that_stays_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "300")
    with watching("auto") as watch:
        watch(PROGRESS)
    assert "best 97.00% (candidate 42)" in terminal.getvalue()


def test_a_population_starts_from_a_genome_or_from_the_best_of_an_archive(tmp_path: Path) -> None:
    with closing(open_engine(None, devices="cpu", workers=2)) as engine:
        answer = session.evolve(request(tmp_path / "run.db"), WORK, engine, progress="quiet")
    best = genomes(tmp_path / "run.db", 3)
    assert len(best) == 3
    (tmp_path / "seed.json").write_text(best[0] + "\n")
    assert genomes(tmp_path / "seed.json", 3) == (best[0],)
    with closing(open_engine(None, devices="cpu", workers=2)) as engine:
        again = session.evolve(request(tmp_path / "again.db", start=best), WORK, engine, progress="quiet")
    assert again["best"]["accuracy"] >= answer["best"]["accuracy"]
    for wrong in ("missing.db", "."):
        with pytest.raises(EvolverError, match=r"--start: cannot read .* name a genome"):
            genomes(tmp_path / wrong, 3)


def test_a_summary_and_a_plan_are_for_people_and_for_programs(tmp_path: Path) -> None:
    with closing(open_engine(None, devices="cpu", workers=2)) as engine:
        planned = session.plan(request(tmp_path / "run.db"), WORK, engine)
        assert not list(tmp_path.iterdir())
        answer = session.evolve(request(tmp_path / "run.db", command="ecosel evolve"), WORK, engine, progress="quiet")
        assert session.plan(request(tmp_path / "run.db"), WORK, engine)["goes_on_after_births"] == 30
    assert json.loads(json.dumps(planned))["budget"] == {"births": 30, "time_s": None, "joules": None}
    assert "objectives:           highest accuracy" in session.as_text(planned)
    text = session.as_text(answer)
    assert "30 births" in text
    assert f"ecosel select {tmp_path / 'run.db'}" in text


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A real search on real images, small enough for a test: the archive, and what the command said."""
    archive = tmp_path_factory.mktemp("digits") / "run.db"
    options = ["--births", "4", "--max-epochs", "2", "--workers", "1", "--devices", "cpu", "--measure", "none", "--population", "4", "--limit", "flops=1e6",
               "--final", "1", "--feature-slots", "4", "--classifier-slots", "2"]  # fmt: skip
    command = [sys.executable, "-m", "ecosel", "evolve", "--dataset", "digits", "--archive", str(archive), *options]
    return archive, subprocess.run(command, cwd=ROOT, env=environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True)


def test_a_search_on_digits_fills_an_archive_that_select_reads(
    digits: tuple[Path, subprocess.CompletedProcess[str]], ecosel: Callable[..., Outcome]
) -> None:
    archive, ran = digits
    assert ran.returncode == 0, ran.stderr
    assert "4 births" in ran.stdout
    assert not list(archive.parent.glob("run.db-[sw]*"))  # the files of the log went with the search
    assert " of 4 done" in ran.stderr  # whichever phases are so long that they get a line
    chosen = ecosel("select", archive, "--maximize", "accuracy", "--minimize", "parameters", "--format", "json")
    assert chosen.status == 0, chosen.err
    assert json.loads(chosen.out)["archive"]["used"] > 0
    with closing(sqlite3.connect(archive)) as database:
        names = [row[1] for row in database.execute("PRAGMA table_info(archive)")]
        rows = [dict(zip(names, row, strict=True)) for row in database.execute("SELECT * FROM archive")]
    assert len(rows) == 4
    for row in rows:
        assert row["status"] in STATUSES
        assert row["parameters"] > 0
        assert row["flops"] > 0
        assert (row["accuracy"] is not None) == (row["status"] == "ok"), row
        assert row["energy_per_inference_j"] is None
        assert json.loads(row["topology"])
    tested = [row for row in rows if row["test_accuracy"] is not None]
    assert len(tested) == 1
    for suffix in (".pt2", ".pt"):
        assert (archive.parent / f"run-{tested[0]['candidate_id']}{suffix}").stat().st_size > 0


def test_a_data_set_that_is_not_there_gives_one_line_and_leaves_no_file(ecosel: Callable[..., Outcome], tmp_path: Path) -> None:
    ran = ecosel(
        "evolve", "--dataset", tmp_path / "nothing", "--archive", tmp_path / "run.db", "--workers", "1", "--devices", "cpu"
    )
    assert ran.status == 1, ran.err
    assert "nothing" in ran.err
    assert ran.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("raised", "status"), [(None, 143), (Stopped(signal.SIGTERM), 143), (KeyboardInterrupt(), 130)])
def test_the_exit_status_says_that_a_search_was_interrupted(
    ecosel: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException | None, status: int
) -> None:
    def run(*_: object, **__: object) -> dict[str, object]:
        if raised is not None:
            raise raised
        return {"exit_status": 143}

    monkeypatch.setattr(session, "run", run)
    ran = ecosel("evolve", "--dataset", "digits", "--archive", tmp_path / "run.db", "--format", "json")
    assert ran.status == status
    assert ran.err.strip() == ("" if raised is None else "ecosel: stopped")


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_machine_without_torch_is_reported_before_anything_is_written(more: list[str], tmp_path: Path) -> None:
    arguments = [
        "evolve",
        "--dataset",
        "digits",
        "--archive",
        str(tmp_path / "run.db"),
        "--page",
        str(tmp_path / "run.html"),
        *more,
    ]
    code = f"import sys; sys.modules['torch'] = None\nfrom ecosel.cli import main\nmain({arguments!r})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "ecosel: torch is not installed: pip install 'ecosel[torch]'\n")
    assert not list(tmp_path.iterdir())
