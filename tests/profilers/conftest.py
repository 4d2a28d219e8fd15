"""A stand-in for libnvidia-ml.so.1, built here, so that children run the real pynvml on boards that a text file describes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, environment

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not there to compile a model")

SOURCE = Path(__file__).parent / "nvml_standin" / "standin.c"


@pytest.fixture(scope="session", autouse=True)
def _own_locks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the measurements of one worker wait for those of no other: tests of the lock itself name their folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("profilers.meters.locks._SHARED", tmp_path_factory.mktemp("locks"))
        yield


@pytest.fixture(scope="module")
def hasty() -> Iterator[None]:
    """Let --quick warm up and measure for a tenth of a second: how long it takes is no matter of who asks for this."""
    from profilers.measuring.settings import Plan

    def quick(*, ci: float = 0.5, max_s: float = 0.3) -> Plan:
        return Plan(ci=ci, min_s=min(0.1, max_s), max_s=max_s, warm_up_s=0.1, flat_s=0.05, idle_s=0.1, group_s=0.02)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Plan, "quick", quick)
        yield


@pytest.fixture(scope="session")
def _nvml_libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """Build the stand-in as of a driver of today (False) and one of 2020 (True)."""
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("gcc is not there to build the stand-in of libnvidia-ml.so.1")
    folders = {old: tmp_path_factory.mktemp("nvml") for old in (False, True)}
    for old, folder in folders.items():
        define = ["-DOLD_DRIVER"] if old else []
        library = folder / "libnvidia-ml.so.1"
        subprocess.run(
            [gcc, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", *define, "-o", library, SOURCE, "-lm", "-lpthread"], check=True
        )
    return folders


@pytest.fixture(scope="session")
def nvml_standin(_nvml_libraries: dict[bool, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, str]]:
    """Return a function from the text of a configuration (see standin.c) to the environment of a child with these boards.

    The file that the child's NVML_STANDIN names may be replaced while the child runs.
    """

    def serve(configuration: str, *, old_driver: bool = False, **extra: str) -> dict[str, str]:
        file = tmp_path_factory.mktemp("standin") / "nvml_standin.txt"
        file.write_text(configuration)
        return environment(
            LD_LIBRARY_PATH=str(_nvml_libraries[old_driver]), NVML_STANDIN=str(file), PYTHONPATH=str(ROOT), **extra
        )

    return serve


def run_child(env: dict[str, str], code: str) -> Any:
    """Run Python code in a child and return the JSON that it prints."""
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def as_nobody(work: Callable[[], str]) -> str:
    """Run work in a child that is not root, for whom file modes count."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            os.write(writer, work().encode())
        except BaseException as error:
            os.write(writer, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as answer:
        return answer.read()


@pytest.fixture
def folder_of_all() -> Iterator[Path]:
    """Return a folder that all users may enter: those of pytest are closed again by each pytest that begins beside this one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
