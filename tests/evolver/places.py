"""Workers in places that may be broken: what prepares looks at the place, and never at the candidate."""

from __future__ import annotations

import os

from evolver.jobs import Job, Outcome, Settings, Survey
from evolver.run.request import Work
from profilers.errors import DataError
from tests.evolver import toy

WORK = Work("tests.evolver.places", toy.ToyGenomes, toy.space)


def survey(settings: str) -> Survey:
    return toy.survey("{}" if not settings else Settings("").to_json())


def prepare(settings: str) -> None:
    """Read the data, which may be away; a place with CUDA_VISIBLE_DEVICES GPU-broken never has it."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "GPU-broken" or not os.path.exists(Settings.from_json(settings).dataset):
        raise DataError("no data set there")


def evaluate(job: Job) -> Outcome:
    return toy.evaluate(job)
