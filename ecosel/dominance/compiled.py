"""Compile kernels, keep them on disk if a cache folder can be written, and run them on all cores."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba import types
from numba.extending import intrinsic

_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])

# numpy: divisions are not checked for 0, which is less to compile
_OPTIONS = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def kernel(function: _Kernel) -> _Kernel:
    """Compile on the first call, to run without the interpreter lock; cached on disk if a cache folder can be written."""
    try:
        compiled: _Kernel = numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # numba found no place for the cache
        compiled = numba.njit(**_OPTIONS)(function)
    return compiled


@intrinsic  # type: ignore[untyped-decorator]
def count_ones(_: Any, word: Any) -> Any:
    """Count the bits of a uint64 that are set."""
    return types.uint64(types.uint64), lambda context, builder, signature, arguments: builder.ctpop(arguments[0])


@intrinsic  # type: ignore[untyped-decorator]
def lowest_one(_: Any, word: Any) -> Any:
    """Return the place of the lowest bit of a uint64 that is set; one must be."""
    return types.uint64(types.uint64), lambda context, builder, signature, arguments: builder.cttz(
        arguments[0], context.get_constant(types.boolean, True)
    )


def part_bounds(n: int, /, *, smallest: int) -> list[int]:
    """Return the starts of the parts of range(n), and n; one part per core, but none below smallest."""
    parts = max(1, min(CORES, n // smallest))
    return [n * k // parts for k in range(parts + 1)]


def in_parts(work: Callable[[int, int], Any], n: int, /, *, smallest: int) -> list[Any]:
    """Call work(start, stop) for consecutive parts of range(n), one per core but none below smallest; return results in order."""
    if n < 2 * smallest or CORES == 1:
        return [work(0, n)]
    bounds = part_bounds(n, smallest=smallest)
    parts = len(bounds) - 1
    results: list[Any] = [None] * parts

    def run(k: int) -> None:
        results[k] = work(bounds[k], bounds[k + 1])

    threads = [threading.Thread(target=run, args=(k,)) for k in range(1, parts)]
    for thread in threads:
        thread.start()
    run(0)
    for thread in threads:
        thread.join()
    return results
