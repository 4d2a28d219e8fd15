"""Define the request for a search, and begin or resume it from its archive."""

from __future__ import annotations

import json
import platform
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ecosel import __version__
from ecosel.objectives import ENERGY
from evolver.archive import SearchArchive, one_line_errors
from evolver.errors import EvolverError
from evolver.jobs import Settings, Survey
from evolver.search.optimizer import Problem, SearchSettings
from evolver.search.run_state import MEASURED, Measure, RunState
from evolver.workers.executors import Engine
from evolver.workers.pool import look_up


class Genomes(Problem[str], Protocol):
    """A problem whose genomes are JSON text."""

    def adopted(self, genome: str, /) -> str:
        """Convert a genome from elsewhere to one of this problem. Raises ValueError if it is not a genome."""


@dataclass(frozen=True, slots=True)
class Work:
    """The work of a search: genomes of a space, and the module whose functions the workers call."""

    module: str
    genomes: Callable[[Mapping[str, Any]], Genomes]
    space: Callable[[Survey, Settings], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Budget:
    """When to stop; None means no limit. births counts those in the archive, time_s the seconds of this command."""

    births: int | None = None
    time_s: float | None = None
    joules: float | None = None

    def __post_init__(self) -> None:
        for name in ("births", "time_s", "joules"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}; a budget must be above 0")


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """Everything that a user asks of a search."""

    archive: Path
    settings: Settings
    plan: SearchSettings
    budget: Budget = field(default_factory=Budget)
    measure: Measure = "front"
    stops: bool = True
    deadline_s: float = 600.0
    start: tuple[str, ...] = ()  # genomes
    earlier: tuple[tuple[str, float], ...] = ()  # genomes and accuracies from which the surrogate first learns
    confirm: int = 0  # number of best candidates to train again with other seeds
    final: int = 0  # number of best candidates to train once more, test and save
    command: str = ""

    def __post_init__(self) -> None:
        if not self.deadline_s > 0:
            raise ValueError(f"the deadline of a candidate is {self.deadline_s:g} s; it must be above 0")

    def exported(self, birth: int) -> Path:
        """Return the path, without extension, to which a winner is saved."""
        return self.archive.with_name(f"{self.archive.stem}-{birth}")

    @property
    def fixed(self) -> dict[str, Any]:
        """Return the settings that must not change while an archive grows."""
        plan = asdict(self.plan)
        settings = {name: value for name, value in asdict(self.settings).items() if name != "space"}
        measured = {} if self.plan.columns.isdisjoint(MEASURED) else {"measure": self.measure}
        return {**settings, "plan": plan, **measured, "stops": self.stops}


def surveyed(request: SearchRequest, work: Work, engine: Engine) -> tuple[Survey, Settings]:
    """Have a worker survey the data set; return the survey, and the settings of all jobs. Raises EvolverError."""
    survey = engine.executor.submit(look_up, f"{work.module}:survey", request.settings.to_json()).result()
    if survey.no_energy is not None and ENERGY.column in request.plan.columns:
        raise EvolverError(f"{ENERGY.column} cannot be measured: {survey.no_energy}")
    return survey, replace(request.settings, space=work.space(survey, request.settings))


def begun(request: SearchRequest, work: Work, engine: Engine, archive: SearchArchive) -> tuple[RunState, Settings]:
    """Start the run of a new archive. Raises EvolverError if the data set or a genome to start from is unusable."""
    survey, settings = surveyed(request, work, engine)
    course = _course(request, work, settings, request.start, request.earlier)
    record = {
        **request.fixed,
        "start": list(request.start),
        "earlier": list(request.earlier),
        "space": settings.space,
        "survey": asdict(survey),
    }
    archive.begin(record, dataset=survey.dataset)
    return course, settings


def resumed(request: SearchRequest, work: Work, held: Mapping[str, Any], archive: SearchArchive) -> tuple[RunState, Settings]:
    """Resume the run in an archive. Raises EvolverError if it began with other settings than requested."""
    with one_line_errors(request.archive):
        return _resumed(request, work, held, archive)


def unlike(held: Mapping[str, Any], now: Mapping[str, Any], /) -> str | None:
    """Return a setting that has changed; one that an older version did not know counts as off."""
    before, asked = ({**fixed, **fixed["plan"]} for fixed in (held, now))
    names = (name for name in asked if name != "plan")
    return next((name for name in names if (before[name] != asked[name] if name in before else asked[name])), None)


def _resumed(request: SearchRequest, work: Work, held: Mapping[str, Any], archive: SearchArchive) -> tuple[RunState, Settings]:
    now = json.loads(json.dumps(request.fixed))
    name = unlike(held, now)
    if name is not None:
        before, asked = (json.dumps({**fixed, **fixed["plan"]}.get(name)) for fixed in (held, now))
        raise EvolverError(
            f"{request.archive} was started with {name} = {before}, not {asked}; "
            "use the same settings, or choose another --archive"
        )
    settings = replace(request.settings, space=held["space"])
    course = _course(request, work, settings, held["start"], held.get("earlier", ()))
    outcomes = list(archive.outcomes())
    # if outcomes are told in order of birth, each birth must know exactly those before it
    first = {number: outcome for number, task, outcome in outcomes if task == "train"} if request.plan.lag is not None else {}
    for birth in archive.births():
        course.replay(birth)
        if birth.number in first:
            course.tell(birth.number, "train", first[birth.number])
    for number, task, outcome in outcomes:
        if task != "train" or not first:
            course.tell(number, task, outcome)
    return course, settings


def _course(
    request: SearchRequest, work: Work, settings: Settings, start: Sequence[str], earlier: Sequence[tuple[str, float]]
) -> RunState:
    genomes = work.genomes(settings.space or {})
    try:
        adopted = tuple(genomes.adopted(genome) for genome in start)
        known = [(genomes.adopted(genome), accuracy) for genome, accuracy in earlier]
    except ValueError as error:
        raise EvolverError(f"--start: {error}") from error
    course = RunState(genomes, request.plan, request.measure, request.stops, settings.max_epochs, adopted)
    for genome, accuracy in known:
        course.search.learn(genome, accuracy)
    return course


def provenance(request: SearchRequest, executor: str, devices: Sequence[str], *, births: int) -> dict[str, Any]:
    """Return the provenance of one command of a run; `births` counts those in the archive before it."""
    return {
        "command": request.command,
        "executor": executor,
        "devices": list(devices),
        "host": platform.node(),
        "platform": platform.platform(),
        "versions": {
            "ecosel": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "sqlite": sqlite3.sqlite_version,
        },
        "budget": asdict(request.budget),
        "births": births,
    }
