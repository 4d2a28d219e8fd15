"""Fuzz a reader whose library aborts the process on some files: damage valid files at random, in children that may die.

No coverage guides it: the reader is native code. A death of the child is what the command line tells in one line.
"""

from __future__ import annotations

import mmap
import os
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.targets import Target

_NUMBERS = tuple(n.to_bytes(size, "little") for size in (1, 4, 8) for n in (0, 1, 127, 2 ** (8 * size - 1), 2 ** (8 * size) - 1))


def fuzz(
    make: Callable[[], Target],
    files: list[Path],
    keep: Callable[[bytes, BaseException], None],
    *,
    seconds: int,
    runs: int,
    seed: int,
) -> None:
    """Read damaged copies of files until the time is over, or so many were read; print the counts."""
    target = make()  # imports, and no more: a process with threads cannot be forked
    contents = [file.read_bytes() for file in files]
    at = mmap.mmap(-1, 8)  # which input the child reads
    ends = Counter[str]()
    began, number = time.monotonic(), 0
    while time.monotonic() - began < seconds and number != runs:

        def read() -> None:
            while time.monotonic() - began < seconds and (k := int.from_bytes(at, "little")) != runs:
                content = damaged(contents, random.Random(f"{seed}-{k}"))
                signal.alarm(10)
                try:
                    target(content)
                except BaseException as error:  # a panic of polars is no Exception
                    keep(content, error)
                at[:] = (k + 1).to_bytes(8, "little")

        end = in_child(read)
        number = int.from_bytes(at, "little")
        if end:
            ends[end] += 1
            if ends[end] == 1:
                Path(f"/tmp/ecosel-{end}-{seed}-{number}").write_bytes(damaged(contents, random.Random(f"{seed}-{number}")))
            number += 1
            at[:] = number.to_bytes(8, "little")
        print(f"#{number} after {time.monotonic() - began:.0f} s, deaths of a child: {dict(ends)}", file=sys.stderr, flush=True)


def in_child(work: Callable[[], None]) -> str:
    """Do work in a forked process; return the signal that ended it, or nothing."""
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else ""


def damaged(contents: list[bytes], rng: random.Random) -> bytes:
    """Return a copy of one of the contents with a few bytes changed, put in, left out or taken from elsewhere."""
    content = bytearray(rng.choice(contents))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        at, length = rng.randrange(len(content) + 1), rng.randint(1, 8)
        match rng.randrange(6):
            case 0 if at < len(content):
                content[at] ^= 1 << rng.randrange(8)
            case 1:
                content[at : at + length] = rng.randbytes(length)
            case 2:
                del content[at : at + length]
            case 3:
                number = rng.choice(_NUMBERS)
                content[at : at + len(number)] = number
            case 4:
                content[at:at] = rng.randbytes(length)
            case _:
                other = rng.choice(contents)
                start = rng.randrange(len(other))
                content[at : at + 4 * length] = other[start : start + 4 * length]
    return bytes(content)
