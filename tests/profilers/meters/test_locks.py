"""One board is measured by one process at a time, and a dead owner owns nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from profilers.errors import MeterError
from profilers.meters.locks import board_lock
from tests.conftest import ROOT, environment
from tests.profilers.conftest import as_nobody

UUID = "GPU-11111111-aaaa-bbbb-cccc-000000000001"
HOLD = f"""
import sys
from pathlib import Path
from profilers.meters.locks import board_lock
with board_lock({UUID!r}, folder=Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """Start a process that holds the lock until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(PYTHONPATH=str(ROOT)),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def file_of(folder: Path) -> Path:
    return folder / f"ecosel-board-{UUID}.lock"


def test_a_killed_owners_lock_is_free_at_once(tmp_path: Path) -> None:
    process = holder(tmp_path)
    busy = f"^board {UUID} is being measured by process {process.pid}; wait until it ends"
    with pytest.raises(MeterError, match=busy), board_lock(UUID, folder=tmp_path):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    with board_lock(UUID, folder=tmp_path):
        assert file_of(tmp_path).read_text() == f"{os.getpid()}\n"
    process.communicate()


def test_a_wait_names_the_holder_once_and_ends_when_it_lets_go(tmp_path: Path) -> None:
    process = holder(tmp_path)
    told: list[str] = []
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            process.communicate()  # its input ends, and so does it

    with board_lock(UUID, 30, folder=tmp_path, waiting=told.append, pause=pause):
        pass
    assert told == [f"board {UUID} is being measured by process {process.pid}; waiting up to 30 s"]
    assert len(pauses) == 3


def test_a_wait_ends_at_its_time(tmp_path: Path) -> None:
    now = [0.0]

    def pause(seconds: float) -> None:
        now[0] += seconds

    late = board_lock(UUID, 2, folder=tmp_path, clock=lambda: now[0], pause=pause)
    with board_lock(UUID, folder=tmp_path), pytest.raises(MeterError, match="is being measured by process"), late:
        pass
    assert now[0] == pytest.approx(2, abs=0.06)


def test_threads_of_one_process_exclude_each_other_and_boards_do_not(tmp_path: Path) -> None:
    seen: list[str] = []

    def other() -> None:
        try:
            with board_lock(UUID, folder=tmp_path):
                seen.append("got it")
        except MeterError:
            seen.append("refused")

    with board_lock(UUID, folder=tmp_path), board_lock("GPU-2", folder=tmp_path), board_lock("cpu", folder=tmp_path):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert seen == ["refused"]


def test_a_forked_child_does_not_keep_the_lock_of_a_dead_parent(tmp_path: Path) -> None:
    code = f"""
import os, sys
from pathlib import Path
from profilers.meters.locks import board_lock
lock = board_lock({UUID!r}, folder=Path(sys.argv[1]))
lock.__enter__()
if os.fork() == 0:
    print("forked", os.getppid(), flush=True)
    sys.stdin.read()
    os._exit(0)
sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(PYTHONPATH=str(ROOT)),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == f"forked {process.pid}\n"
    with pytest.raises(MeterError), board_lock(UUID, folder=tmp_path):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    with board_lock(UUID, folder=tmp_path):  # the child still lives
        pass
    assert process.stdin is not None
    process.stdin.close()
    process.stdout.close()


def test_the_file_is_for_all_users_whatever_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        with board_lock(UUID, folder=tmp_path):
            pass
    finally:
        os.umask(umask)
    assert file_of(tmp_path).stat().st_mode & 0o777 == 0o666
    assert file_of(tmp_path).read_text() == ""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can act for two users")
def test_users_exclude_each_other(folder_of_all: Path) -> None:
    folder_of_all.chmod(0o1777)

    def try_as_other() -> str:
        try:
            with board_lock(UUID, folder=folder_of_all):
                return "got it"
        except MeterError as error:
            return str(error)

    with board_lock(UUID, folder=folder_of_all):
        assert (
            as_nobody(try_as_other)
            == f"board {UUID} is being measured by process {os.getpid()}; wait until it ends ({file_of(folder_of_all)})"
        )
    assert as_nobody(try_as_other) == "got it"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    file_of(tmp_path).symlink_to(victim)
    with (
        pytest.raises(MeterError, match="cannot be opened: it is a link; remove it"),
        board_lock(UUID, folder=tmp_path),
    ):
        pass
    assert victim.read_text() == "precious"


def test_a_pipe_or_a_folder_in_its_place_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(file_of(tmp_path))
    with pytest.raises(MeterError, match="is not a file; remove it"), board_lock(UUID, folder=tmp_path):
        pass
    file_of(tmp_path).unlink()
    file_of(tmp_path).mkdir()
    with pytest.raises(MeterError, match="cannot be opened: Is a directory"), board_lock(UUID, folder=tmp_path):
        pass


def test_a_lock_file_that_was_removed_is_made_anew_and_locked(tmp_path: Path) -> None:
    with board_lock(UUID, folder=tmp_path):
        file_of(tmp_path).unlink()
    with board_lock(UUID, folder=tmp_path), pytest.raises(MeterError), board_lock(UUID, folder=tmp_path):
        pass


def test_a_missing_folder_gives_one_line(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match="cannot be opened"), board_lock(UUID, folder=tmp_path / "none"):
        pass


@pytest.mark.parametrize("uuid", ["", "../etc", "a/b", ".hidden", "a" * 201])
def test_anything_but_a_uuid_is_refused(uuid: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a board's UUID"), board_lock(uuid, folder=tmp_path):
        pass
