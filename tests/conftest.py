"""What several tests share: real files that stand beside a checkout, and the command line in this process."""

from __future__ import annotations

import gc
import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"

# the workers that run these tests share the cores: threads of several pools would spin while they wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # for those that are given more threads all the same
# each child would compile every module again
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# modules are not garbage: to collect while they load would take 3 s of the processor in each worker
gc.disable()

# a busy machine turns no test red; what failed is printed as code that gives it again
settings.register_profile("ecosel", deadline=None, print_blob=True, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ecosel")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def shared_archive() -> Callable[[str], Path]:
    """Return the path of a real archive by others, or skip where those do not stand beside the checkout."""

    def find(name: str) -> Path:
        path = SHARED / "archives" / name
        if not path.exists():
            pytest.skip(f"{name} does not stand beside this checkout")
        return path

    return find


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


@pytest.fixture
def ecosel(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run the command line with some arguments and return its exit status and what it wrote."""
    from ecosel.cli import main

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        sys.stdout.flush()
        out, err = capfd.readouterr()
        assert isinstance(exit_.value.code, int)
        return Outcome(exit_.value.code, out, err)

    return run


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as on a full disk: the rest of a write is an OSError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))  # Python ignores the signal that comes with it
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def environment(**extra: str) -> dict[str, str]:
    """Return the environment for a child process, without what a terminal or a user may have set."""
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS")}
    return kept | extra
