"""Run one command's part of a search, from the request to the summary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from evolver.archive import SearchArchive
from evolver.jobs import AGAIN, Outcome
from evolver.run.interrupts import exit_status
from evolver.run.loop import JouleMeter, Loop
from evolver.run.progress import Mode, duration, say_waiting, watching
from evolver.run.request import SearchRequest, Work, begun, resumed, surveyed
from evolver.run.winners.leftovers import remove_leftovers, remove_leftovers_unless_running
from evolver.run.winners.manifest import write_manifest
from evolver.search.run_state import RunState
from evolver.workers.executors import Engine, open_engine
from profilers.machine.ending import clean_ends

# what a command did, and the word for it
_DONE = {
    "finished": "trained",
    "confirming": "trained again to confirm",
    "measured": "measured",
    "retrained": "retrained and tested",
}


def architectures() -> Work:
    """Return the search over the networks of the paper."""
    from evolver.architectures.problem import Architectures, space_for

    return Work("evolver.training.evaluation", Architectures, space_for)


def evolve(request: SearchRequest, work: Work, engine: Engine, *, progress: Mode = "auto") -> dict[str, Any]:
    """Search until a budget is spent; return the summary as a JSON object."""
    new = not request.archive.exists()
    # the meter first, so that without one no archive is begun, which another --meter would not fit
    with one_thread(request.plan.surrogate), _meter(request, engine) as meter, SearchArchive(request.archive) as archive:
        remove_leftovers(request.archive)
        held = archive.settings
        try:
            course, settings = begun(request, work, engine, archive) if held is None else resumed(request, work, held, archive)
        except BaseException:
            if new:
                archive.discard()
            raise
        with watching(progress) as watch:
            loop = Loop(request, work.module, engine, archive, course, settings, watch, meter)
            loop.run()
            watch(loop.progress())
    for birth, outcome in sorted(course.finals.items()):
        if outcome.status == "ok" and (birth in loop.saved or _lacks_manifest(request.exported(birth))):
            write_manifest(request.archive, birth, outcome, request.exported(birth))
    return _summary(request, loop, course)


def _lacks_manifest(stem: Path) -> bool:
    """Tell whether a winner was saved by an earlier command that could not finish, as the disk was full."""
    saved, manifest = (stem.with_name(f"{stem.name}{suffix}") for suffix in (".pt2", ".json"))
    return saved.exists() and not manifest.exists()


def one_thread(surrogate: bool) -> AbstractContextManager[object]:
    """Limit NumPy's linear algebra to one thread for a surrogate, as more would wait for cores used by workers."""
    if not surrogate:
        return nullcontext()
    from threadpoolctl import threadpool_limits

    return cast(AbstractContextManager[object], threadpool_limits(1, user_api="blas"))


@contextmanager
def _meter(request: SearchRequest, engine: Engine) -> Iterator[JouleMeter | None]:
    """Open the meters of the devices only if energy is a budget, as opening some takes longer than starting a run."""
    if request.budget.joules is None:
        yield None
    else:
        from evolver.run.energy_budget import Joules

        with closing(Joules(engine.places, request.settings.meter)) as meter:
            yield meter


def plan(request: SearchRequest, work: Work, engine: Engine) -> dict[str, Any]:
    """Return the plan of a search as a JSON object; nothing is written."""
    survey, settings = surveyed(request, work, engine)
    births: int | None = None
    if request.archive.exists():
        with SearchArchive(request.archive) as archive:
            held = archive.settings
            births = len(list(archive.births())) if held is not None else None
            if held is not None:
                resumed(request, work, held, archive)
    return {
        "archive": str(request.archive),
        "goes_on_after_births": births,
        "dataset": {
            "name": survey.dataset,
            "shape": list(survey.input_shape),
            "classes": survey.classes,
            "images": survey.images,
        },
        "space": settings.space,
        "objectives": [f"{'highest' if part.is_quality else 'lowest'} {part.column}" for part in request.plan.objectives],
        "limits": [limit.text for limit in request.plan.limits],
        "budget": asdict(request.budget),
        **{name: getattr(request.plan, name) for name in ("population", "tournament", "lifetime", "seed")},
        **{name: getattr(request, name) for name in ("measure", "deadline_s", "confirm", "final")},
        "executor": engine.name,
        "devices": list(engine.devices()),
        "at_one_time": engine.capacity(),
        "worker": {"device": survey.device, **survey.versions},
    }


def run(
    request: SearchRequest,
    work: Work,
    *,
    executor: str | None,
    devices: str,
    workers: int | None,
    dry_run: bool,
    progress: Mode,
    reproducible: bool = False,
) -> dict[str, Any]:
    """Open the workers, search (or only plan), and always close the workers."""
    with clean_ends():
        try:
            with closing(open_engine(executor, devices=devices, workers=workers, reproducible=reproducible)) as engine:
                if engine.capacity() <= 0:
                    say_waiting(progress)
                return plan(request, work, engine) if dry_run else evolve(request, work, engine, progress=progress)
        finally:
            remove_leftovers_unless_running(request.archive)


def as_text(answer: dict[str, Any]) -> str:
    """Return the plan or the summary as text."""
    if "ended" not in answer:
        return "\n".join(f"{name.replace('_', ' ') + ':':22}{_words(value)}" for name, value in answer.items())
    counts = ", ".join(f"{count} {status}" for status, count in answer["outcomes"].items()) or "no outcome"
    earlier = "all" if answer["resumed"] == answer["births"] else answer["resumed"]
    again = f", {earlier} of them from earlier runs" if answer["resumed"] else ""
    lines = [f"{answer['archive']}: {answer['births']} births{again}: {counts}"]
    done = ", ".join(f"{answer[name]} {word}" for name, word in _DONE.items() if answer[name]) or "nothing finished"
    lines.append(f"this command: {done} in {duration(answer['elapsed_s'])}; ended by: {answer['ended']}")
    if answer["best"] is not None:
        best = answer["best"]
        many = best["trainings"] > 1
        how = f", mean of {best['trainings']} trainings, {best['low']:.1%} to {best['high']:.1%}" if many else ", one training"
        lines.append(
            f"best validation accuracy {best['accuracy']:.2%} (candidate {best['candidate_id']}{how}); "
            f"{len(answer['front'])} on the front"
        )
    for final in answer["final"]:
        what = f"final: candidate {final['candidate_id']}: "
        if final["status"] == "ok":
            files = f"saved as {final['saved']}.pt2 and .pt" if final["saved"] else "its files are missing"
            lines.append(f"{what}test accuracy {final['test_accuracy']:.2%}, {files}")
        else:
            lines.append(f"{what}{final['status']} ({final['reason']}), nothing was saved")
    if answer["unfinished"]:
        lines.append(f"{answer['unfinished']} births have no outcome yet; run the same command to finish them")
    lines.append(f"choose:   ecosel select {answer['archive']}")
    spent = answer["ended"].endswith(" births")
    lines.append(f"{'continue with more --births:' if spent else 'continue:'} {answer['command']}")
    return "\n".join(lines)


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(part)}" for name, part in value.items() if part is not None) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)


def _final(request: SearchRequest, birth: int, outcome: Outcome, *, now: bool) -> dict[str, Any]:
    path = request.exported(birth)
    there = now or path.with_name(f"{path.name}.pt2").exists()  # files saved by an earlier command may have been moved
    saved = str(path) if outcome.status == "ok" and there else None
    return {
        "candidate_id": str(birth),
        "status": outcome.status,
        "test_accuracy": outcome.accuracy,
        "saved": saved,
        "reason": outcome.reason,
    }


def _summary(request: SearchRequest, loop: Loop, course: RunState) -> dict[str, Any]:
    progress = loop.progress()
    best: dict[str, Any] | None = None
    if course.best is not None:
        accuracy, birth = course.best
        found = course.reestimates.get(birth)
        interval = {"low": found.low, "high": found.high} if found else {}
        best = {"candidate_id": str(birth), "accuracy": accuracy, "trainings": found.trainings if found else 1, **interval}
    return {
        "archive": str(request.archive),
        "ended": loop.ended or "nothing left to do",
        "exit_status": exit_status(loop.interrupted_by),
        "births": progress.births,
        "resumed": progress.resumed,
        "finished": loop.done["train"],
        "confirming": sum(loop.done[task] for task in AGAIN),
        "measured": loop.done["measure"],
        "retrained": loop.done["final"],
        "unfinished": progress.births - progress.finished,
        "outcomes": dict(sorted(progress.statuses.items())),
        "best": best,
        "front": [str(birth) for birth in course.front],
        "final": [_final(request, birth, outcome, now=birth in loop.saved) for birth, outcome in sorted(course.finals.items())],
        "elapsed_s": round(progress.elapsed_s, 3),
        "births_per_hour": round(progress.rate_per_s * 3600, 1),
        "joules": progress.joules,
        "command": request.command or f"ecosel evolve --archive {Path(request.archive)}",
    }
