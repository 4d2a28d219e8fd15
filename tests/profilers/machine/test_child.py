"""A child process tells its parent where it stands, and how it died; `evolver.workers` tests the rest."""

from __future__ import annotations

import os
from typing import Any

import pytest

from profilers.machine.child import ChildProcess, DeviceSlot, Died, say


def count_to(last: int) -> str:
    for number in range(last):
        say(number)
    return "done"


def leave() -> None:
    os._exit(3)


def test_what_a_child_says_is_heard_before_it_answers_and_its_death_is_told() -> None:
    heard: list[Any] = []
    child = ChildProcess(DeviceSlot(), shows=True)
    try:
        assert child.call(f"{__name__}:count_to", (3,), deadline_s=60.0, hear=heard.append) == "done"
        assert heard == [0, 1, 2]
        with pytest.raises(Died, match="exit status 3") as death:
            child.call(f"{__name__}:leave", (), deadline_s=60.0)
        assert death.value.kind == "crash"
    finally:
        child.kill()
    say("nobody listens")  # this process is no child
