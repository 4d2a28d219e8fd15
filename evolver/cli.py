"""`ecosel evolve`: search for networks, and keep every candidate in an archive that `ecosel select` reads."""

from __future__ import annotations

import json
import re
import shlex
import sys
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import click

from ecosel.limits import Limit, parse_limit
from ecosel.objectives import METRICS, Objective
from evolver.errors import EvolverError
from evolver.jobs import Outcome, Settings
from evolver.run.request import Budget, SearchRequest
from evolver.search.optimizer import SearchSettings

_Kind = TypeVar("_Kind")

# columns that an outcome of a candidate has
_COLUMNS = tuple(column for column in METRICS if column in Outcome.__dataclass_fields__)
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str) -> float:
    """Convert 90, 90s, 10m, 1h30m or 2d to seconds."""
    parts = re.fullmatch(r"((?:\d+(?:\.\d+)?[smhd])+|\d+(?:\.\d+)?)", text.strip().lower())
    if parts is None:
        raise ValueError(f"{text!r} is not a duration; write 90s, 10m, 1h30m or 2d")
    return sum(float(number) * _SECONDS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([smhd]?)", parts[1]))


def objectives(text: str) -> tuple[Objective, ...]:
    """Parse objectives such as "accuracy,parameters"."""
    return tuple(METRICS[_column(name.strip())].objective for name in text.split(","))


def limit(text: str) -> Limit:
    """Parse a limit such as `parameters <= 1e6` or `parameters=1e6`."""
    limit = parse_limit(text, column=_column, sense=lambda column: METRICS[column].objective.sense)
    if limit.value <= 0:
        raise ValueError(f"--limit {text!r}: the limit of {limit.column} must be above 0")
    return limit


def _column(name: str) -> str:
    if name not in _COLUMNS:
        raise ValueError(f"there is no column {name!r}; a search has {', '.join(_COLUMNS)}")
    return name


@click.command()
@click.option("--dataset", required=True, metavar="DATA", help="digits, cifar10, a folder with one folder per class, or Parquet.")
@click.option("--archive", required=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Archive to fill; the same command resumes it.")  # fmt: skip
@click.option("--objectives", default="accuracy", show_default=True, metavar="COL,...",
              help=f"One or more of {', '.join(_COLUMNS)}.")  # fmt: skip
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar='"COL <= V"',
    help="Limit that winners must meet; COL=V means at most a cost, at least an accuracy. Repeatable.",
)
@click.option("--births", type=int, metavar="N", help="Stop at N births in the archive.")
@click.option("--time", "time_", metavar="T", help="Start no new candidates after this long (90s, 10m, 1h30m).")
@click.option("--joules", type=float, metavar="J", help="Stop after this command has used J joules.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Seed of all births and trainings.")
@click.option(
    "--population", type=int, default=32, show_default=True, metavar="N", help="Number of candidates that can be parents."
)
@click.option("--tournament", type=int, default=4, show_default=True, metavar="N", help="Candidates compared to choose a parent.")
@click.option("--lifetime", type=int, default=256, show_default=True, metavar="N",
              help="Number of later results after which a candidate can no longer be a parent.")  # fmt: skip
@click.option("--start", type=click.Path(path_type=Path), metavar="FILE",
              help="Start from a genome (JSON) or the best of an archive.")  # fmt: skip
@click.option("--surrogate", is_flag=True,
              help="Screen children with a model of the accuracies seen so far, including those of --start.")  # fmt: skip
@click.option("--feature-slots", type=int, default=16, show_default=True, metavar="N", help="Feature slots of a genome.")
@click.option("--classifier-slots", type=int, default=16, show_default=True, metavar="N", help="Classifier slots of a genome.")
@click.option(
    "--max-epochs", type=int, default=30, show_default=True, metavar="N", help="Train each candidate for at most N epochs."
)
@click.option("--no-collapse-test", is_flag=True, help="Do not stop candidates that learned nothing in the first epoch.")
@click.option("--no-rungs", is_flag=True, help="Do not stop candidates below the median accuracy at 1, 3 or 9 epochs.")
@click.option("--reproducible", type=int, is_flag=False, flag_value=8, metavar="[N]",
              help="Same archive with any number of workers: a birth ignores the last N outcomes (default: 8).")  # fmt: skip
@click.option("--deadline", default="10m", show_default=True, metavar="T", help="Kill a candidate after this long.")
@click.option("--measure", type=click.Choice(["all", "front", "none"]), default="front", show_default=True,
              help="Candidates whose inference time and energy are measured.")  # fmt: skip
@click.option("--meter", metavar="METER", help="As in ecosel profile.")
@click.option("--batch-size", type=int, default=100, show_default=True, metavar="N", help="Images per batch when measuring.")
@click.option("--confirm", type=int, default=5, show_default=True, metavar="N",
              help="Train the N best twice more, and report their means.")  # fmt: skip
@click.option("--final", type=int, default=0, show_default=True, metavar="N", help="Retrain the N best, test and save them.")
@click.option("--compress", metavar="NAME,...",
              help="Make these variants of the models saved by --final, as in ecosel compress: fold,bf16,onnx,int8.")  # fmt: skip
@click.option("--devices", default="auto", show_default=True, metavar="D,...", help="cpu, or numbers or UUIDs of GPUs.")
@click.option("--workers", type=int, metavar="N", help="Processes per device (default: 1 per GPU, 1 per CPU core).")
@click.option(
    "--executor", metavar="X", help="dask:ADDRESS, a scheduler.json, or module:factory of a concurrent.futures.Executor."
)
@click.option("--page", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Keep a page of the search up to date here, as ecosel report --watch does.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show the plan and start nothing.")
@click.option("--quiet", "progress", flag_value="quiet", help="Show no progress.")
@click.option("--plain", "progress", flag_value="plain", help="Show progress as plain lines.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Output format.")
def evolve(**options: Any) -> int:
    """Search for networks with an asynchronous genetic algorithm, and keep every candidate in an archive.

    After Ctrl-C or SIGTERM running jobs finish; a second one stops at once. Run the same command again to resume, even after a
    crash. Exit status: 0 success, 130 after Ctrl-C, 143 after SIGTERM (or SIGUSR1, SIGUSR2), 1 failure, 2 wrong usage.
    """
    from ecosel.cli.watching import page_beside
    from evolver.run import session

    if options["executor"] is None and find_spec("torch") is None:  # with an executor, training takes place elsewhere
        raise EvolverError("torch is not installed: pip install 'ecosel[torch]'")
    request = _request(options)
    _check_variants(options["compress"], final=options["final"])
    with page_beside(request.archive, None if options["dry_run"] else options["page"]):
        answer = session.run(
            request,
            session.architectures(),
            executor=options["executor"],
            devices=options["devices"],
            workers=options["workers"],
            reproducible=options["reproducible"] is not None,
            dry_run=options["dry_run"],
            progress=options["progress"] or "auto",
        )
    said: list[str] = []
    if options["compress"] and answer.get("final"):
        from evolver.run.winners.compressing import as_lines, compress_winners

        answer["variants"] = compress_winners(request, answer["final"], options["compress"])
        said = list(as_lines(request, answer["variants"]))
    click.echo(json.dumps(answer) if options["form"] == "json" else "\n".join([session.as_text(answer), *said]))
    return int(answer.get("exit_status", 0))


def _check_variants(names: str | None, *, final: int) -> None:
    """Refuse variants that cannot be made, before the first birth."""
    if names is None:
        return
    from profilers.variants.names import check_packages, parse_variants

    if not final:
        raise ValueError("--compress makes variants of the models saved by --final; add --final 1")
    check_packages(parse_variants(names))


def _request(options: dict[str, Any]) -> SearchRequest:
    from evolver.candidates import genomes, outcomes

    for name in ("feature_slots", "classifier_slots", "confirm", "final", "max_epochs", "batch_size"):
        least = 1 if name in ("max_epochs", "batch_size") else 0
        if options[name] < least:
            raise ValueError(f"--{name.replace('_', '-')} is {options[name]}; it must be {least} or more")
    budget = Budget(options["births"], seconds(options["time_"]) if options["time_"] else None, options["joules"])
    plan = _of(
        SearchSettings, options, objectives=objectives(options["objectives"]), limits=tuple(map(limit, options["limits"])),
        lag=options["reproducible"],
    )  # fmt: skip
    settings = _of(
        Settings, options, collapse_test=not options["no_collapse_test"], reproducible=options["reproducible"] is not None
    )
    start: Path | None = options["start"]
    return _of(
        SearchRequest, options, settings=settings, plan=plan, budget=budget, stops=not options["no_rungs"],
        deadline_s=seconds(options["deadline"]), start=genomes(start, plan.population) if start else (),
        earlier=outcomes(start) if start and plan.surrogate else (), command=shlex.join(["ecosel", *sys.argv[1:]]),
    )  # fmt: skip


def _of(kind: type[_Kind], options: dict[str, Any], /, **read: Any) -> _Kind:
    """Construct a value from the given fields, taking its other fields from the options of the same names."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: options[name] for name in names if name in options} | read)
