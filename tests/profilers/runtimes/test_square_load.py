"""A load is on when it is switched on, and leaves no thread."""

from __future__ import annotations

import threading
import time

import pytest

from profilers.errors import ProfilerError
from profilers.runtimes.square_load import _Load, square_load

pytest.importorskip("torch")


def used_by_others_s() -> float:
    """Processor time of this process outside this thread."""
    return time.process_time() - time.thread_time()


def test_a_load_works_while_it_is_on_and_ends_with_its_block() -> None:
    threads = threading.active_count()
    with square_load("cpu") as load:
        load(False)  # off already: nothing to wait for
        for _ in range(3):
            before_s, give_up_s = used_by_others_s(), time.monotonic() + 20
            load(True)
            while used_by_others_s() < before_s + 0.01:
                assert time.monotonic() < give_up_s, "the load does not work"
            load(False)
        load(True)  # left on: the block ends it
    assert threading.active_count() == threads


def test_a_device_that_torch_does_not_have_gives_one_line() -> None:
    with pytest.raises(ProfilerError, match="torch cannot use nvml:1"), square_load("nvml:1"):
        pass


def test_the_thread_of_a_load_meets_the_device_before_its_first_product() -> None:
    done: list[tuple[str, int]] = []
    load = _Load(lambda: done.append(("begin", threading.get_ident())), lambda: done.append(("run", threading.get_ident())))
    load.thread.start()
    load.switch(True, "cuda:0")
    while len(done) < 2:
        load.thread.join(0.001)
    load.switch(False, "cuda:0")
    load.leave()
    assert [what for what, _ in done[:2]] == ["begin", "run"]
    assert {thread for _, thread in done} == {load.thread.ident}


def test_a_device_that_fails_in_the_thread_gives_one_line() -> None:
    def fail() -> None:
        raise RuntimeError("CUDA is gone")

    def switched() -> None:
        while True:
            load.switch(True, "cuda:0")
            load.thread.join(0.001)
            load.switch(False, "cuda:0")

    load = _Load(fail, lambda: None)
    load.thread.start()
    with pytest.raises(ProfilerError, match="the load failed on cuda:0: CUDA is gone"):
        switched()
    load.leave()
