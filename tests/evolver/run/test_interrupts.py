"""Notices to end: the first is told, the second stops, and the exit status says which."""

from __future__ import annotations

import os
import signal

import pytest

from evolver.run.interrupts import Stopped, exit_status, interrupts


@pytest.mark.parametrize(
    ("notice", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 143), (signal.SIGUSR2, 143)]
)
def test_the_first_notice_is_announced_and_the_second_stops_with_its_status(notice: signal.Signals, status: int) -> None:
    told: list[int] = []
    before = signal.getsignal(notice)
    with interrupts(told.append):
        os.kill(os.getpid(), notice)
        assert told == [notice]
        with pytest.raises(Stopped) as stopped:
            os.kill(os.getpid(), notice)
    assert stopped.value.status == exit_status(notice) == status
    assert told == [notice]
    assert signal.getsignal(notice) is before
    assert exit_status(None) == 0
