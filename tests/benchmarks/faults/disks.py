"""Mount small disks, and disks that are slow, die or refuse to be written (all need root)."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PAGE = 4096
_SHUT_DOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
_BLKIO = Path("/sys/fs/cgroup/blkio")


def _do(*words: object) -> str:
    return subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def small_disk(folder: Path, pages: int) -> Iterator[Path]:
    """Mount a disk in memory with room for so many pages."""
    folder.mkdir(exist_ok=True)
    _do("mount", "-t", "tmpfs", "-o", f"size={PAGE * pages}", "tmpfs", folder)
    try:
        yield folder
    finally:
        _do("umount", "-l", folder)


def grow(folder: Path, pages: int) -> None:
    _do("mount", "-o", f"remount,size={PAGE * pages}", folder)


@contextmanager
def loop_disk(folder: Path, kind: str = "ext4") -> Iterator[str]:
    """Mount a disk of 64 MB in a file beside the folder; yield its block device."""
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(64 << 20)
    _do(f"mkfs.{kind}", "-q", image)
    folder.mkdir(exist_ok=True)
    device = _do("losetup", "-f", "--show", image)
    try:
        _do("mount", device, folder)
        try:
            yield device
        finally:
            allow(folder)
            _do("umount", "-l", folder)
    finally:
        _do("losetup", "-d", device)
        image.unlink()


def die(folder: Path) -> None:
    """Let an ext4 disk fail: every further access is an I/O error."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(handle, _SHUT_DOWN, (2).to_bytes(4, "little"))  # without flushing
    finally:
        os.close(handle)


def forbid(folder: Path) -> None:
    """Let a folder of an ext4 disk, and all within, refuse to be written, even by root and through open files."""
    with suppress(subprocess.CalledProcessError):  # a file may go meanwhile
        _do("chattr", "-R", "+i", folder)


def allow(folder: Path) -> None:
    """Undo `forbid`; a dead disk takes no orders."""
    with suppress(subprocess.CalledProcessError):
        _do("chattr", "-R", "-i", folder)


@contextmanager
def throttled(device: str, writes_per_s: int) -> Iterator[Path]:
    """Bound the writes per second to a block device, for the processes that join the group; yield the file to join by."""
    group = _BLKIO / f"slow-{os.getpid()}"
    group.mkdir()
    try:
        number = Path(f"/sys/block/{Path(device).name}/dev").read_text().strip()
        (group / "blkio.throttle.write_iops_device").write_text(f"{number} {writes_per_s}")
        yield group / "cgroup.procs"
    finally:
        group.rmdir()
