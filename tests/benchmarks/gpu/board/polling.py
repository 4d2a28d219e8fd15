"""Poll a board as fast as NVML answers, in a separate process, while another process runs the load."""

from __future__ import annotations

import gc
import multiprocessing
import time
from array import array
from collections.abc import Callable
from contextlib import closing
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import numpy as np
import polars as pl

from profilers.energy.readings import Floats
from profilers.errors import MeterError
from profilers.meters import NoMeter, find_meter

READINGS = ("power_w", "average_power_w", "usage_power_w")
COLUMNS = (*READINGS, "energy_j")
_GRID_S = 0.02  # of rows in which nothing changed, one is kept in this time
_LOOK = 16  # polls between two checks for a message
_TIMEOUT_S = 30.0


class Poller:
    """A process that polls between start() and stop(), with the times of time.monotonic(), which all processes share."""

    def __init__(self, spec: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, spec), daemon=True)
        self._process.start()
        self.costs: dict[str, Any] = self._answer()

    def __enter__(self) -> Poller:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._here.close()
        self._process.join(2)
        self._process.kill()

    def start(self) -> None:
        self._here.send("start")

    def stop(self) -> tuple[Floats, dict[str, Any]]:
        """Return the rows [n, 1 + columns] since the start, and the time that polls took."""
        self._here.send("stop")
        rows, cost = self._answer()
        return rows, cost

    def _answer(self) -> Any:
        if not self._here.poll(_TIMEOUT_S):
            raise MeterError("the polling process does not answer")
        answer = self._here.recv()
        if isinstance(answer, str):
            raise MeterError(answer)
        return answer


def _serve(connection: Connection, spec: str) -> None:
    try:
        meter = find_meter(spec, "cuda")
        if isinstance(meter, NoMeter):
            raise MeterError(meter.reason)
        with closing(meter):
            usage = _usage(getattr(meter, "uuid", ""))
            connection.send(_costs(meter))
            gc.disable()
            while connection.recv() == "start":
                _record(connection, meter, usage)
    except EOFError:
        pass
    except Exception as error:  # the parent raises it
        connection.send(f"polling failed: {type(error).__name__}: {error}")


def _usage(uuid: str) -> Callable[[], float | None]:
    import pynvml

    handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)

    def ask() -> float | None:
        try:
            return float(pynvml.nvmlDeviceGetPowerUsage(handle)) / 1e3
        except pynvml.NVMLError:
            return None

    return ask


def _record(connection: Connection, meter: Any, usage: Callable[[], float | None]) -> None:
    """Poll until a message comes; answer it with the rows and the cost."""
    kept, costs, refused, stamps = _Kept(), array("d"), 0, set()
    while not connection.poll():
        for _ in range(_LOOK):
            try:
                one = meter.read()
            except MeterError:
                refused += 1
                continue
            before_s = time.monotonic()
            used_w = usage()
            costs.extend((one.time_s, one.duration_s, time.monotonic() - before_s))
            kept.add(one.time_s, (one.power_w, one.average_power_w, used_w, one.energy_j))
            stamps.add(one.power_time_s)
    connection.recv()
    connection.send((kept.table(), _cost(np.array(costs).reshape(-1, 3), refused, len(stamps))))


class _Kept:
    """Keeps the rows in which a number changed, the poll before each of them, and one row every 20 ms."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, tuple[float | None, ...]]] = []
        self._prior: tuple[float, tuple[float | None, ...]] | None = None
        self._next_s = 0.0

    def add(self, time_s: float, numbers: tuple[float | None, ...]) -> None:
        changed = self._prior is None or numbers != self._prior[1]
        if changed or time_s >= self._next_s:
            if changed and self._prior is not None and self._rows[-1] is not self._prior:
                self._rows.append(self._prior)
            self._rows.append((time_s, numbers))
            self._next_s, self._prior = time_s + _GRID_S, self._rows[-1]
        else:
            self._prior = (time_s, numbers)

    def table(self) -> Floats:
        nan = float("nan")
        rows = [[time_s, *(nan if one is None else one for one in numbers)] for time_s, numbers in self._rows]
        return np.array(rows, np.float64).reshape(-1, 1 + len(COLUMNS))


def _cost(table: Floats, refused: int, stamps: int) -> dict[str, Any]:
    gaps_s = np.diff(table[:, 0])
    if not len(gaps_s):
        return {"polls": len(table), "refused": refused}
    return {
        "polls": len(table),
        "refused": refused,
        "distinct driver stamps": stamps,
        "gap": quantiles(gaps_s),
        "three fields in one call": quantiles(table[:, 1]),
        "nvmlDeviceGetPowerUsage": quantiles(table[:, 2]),
    }


def quantiles(values: Floats) -> dict[str, float]:
    """Return the median, the 95 % quantile and the maximum in milliseconds."""
    found = (float(np.quantile(values, share)) * 1e3 for share in (0.5, 0.95, 1.0))
    return dict(zip(("median_ms", "p95_ms", "max_ms"), (round(one, 4) for one in found), strict=True))


def _costs(meter: Any) -> dict[str, Any]:
    """Time each source alone, 100 calls each."""
    import pynvml

    from profilers.meters.nvml.fields import AVERAGE, COUNTERS, INSTANT, USAGE, FieldQuery

    handle = pynvml.nvmlDeviceGetHandleByUUID(meter.uuid)
    found: dict[str, Any] = {"notes": list(meter.capabilities().notes)}
    for source in (INSTANT, AVERAGE, USAGE, *COUNTERS):
        query, took_s, answer = FieldQuery([source]), [], None
        for _ in range(100):
            before_s = time.monotonic()
            answer = query.ask(handle)[0]
            took_s.append(time.monotonic() - before_s)
        found[source.words] = {**quantiles(np.array(took_s)), "error": answer.error if answer else None}
    limit_mw = None
    try:
        limit_mw = pynvml.nvmlDeviceGetEnforcedPowerLimit(handle)
    except (pynvml.NVMLError, AttributeError) as error:
        found["power limit unknown"] = str(error)
    found["power_limit_w"] = None if limit_mw is None else limit_mw / 1e3
    return found


def frame_of(rows: Floats, origin_s: float) -> pl.DataFrame:
    """Return rows as a recording: times from the origin, rounded to 10 µs, without the columns that the board lacks."""
    frame = pl.DataFrame({name: rows[:, place] for place, name in enumerate(("time_s", *COLUMNS))})
    frame = frame.with_columns((pl.col("time_s") - origin_s).round(5), pl.all().exclude("time_s").round(3).fill_nan(None))
    frame = frame.unique("time_s", keep="last", maintain_order=True)
    return frame.select("time_s", *(name for name in COLUMNS if frame[name].null_count() < len(frame)))
