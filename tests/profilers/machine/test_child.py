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


def test_messages_of_a_child_arrive_before_its_result_and_its_death_is_reported() -> None:
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
