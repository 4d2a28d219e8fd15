"""Run one function at a time in a child process, kill it at a deadline, and report how it died.

The child is a fresh interpreter (never a fork), with its environment already pinned to a device. Neither pebble 5.2 nor the
pools of the standard library can do this: pebble waits for the deadline if a job calls os._exit(0), and its pool is broken for
good if an idle worker is killed; concurrent.futures has no deadline, and hides the exit status before Python 3.14.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import importlib
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Literal

# Preparing (imports, copying data to the device) does not count as the candidate's time; it has its own limit.
PREPARE_S = 600.0
_LARGEST_RESULT = 64 << 20
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from profilers.machine.child import serve; serve(*map(int, sys.argv[2:]))"
)
_PR_SET_PDEATHSIG = 1
# PyTorch, oneDNN and MKL choose kernels by processor, which differ in the last bits, and cuBLAS even varies between calls.
_SAME_KERNELS = {
    "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "COMPATIBLE", "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}  # fmt: skip
_STOPPED = "the search was stopped"


@dataclass(frozen=True, slots=True)
class DeviceSlot:
    """The place of a child. device: the UUID of a GPU, "cpu", or "" for the devices that this process sees."""

    device: str = ""
    threads: int | None = None
    memory_bytes: int = 0  # bytes that a child on the CPU may allocate, 0 for no limit
    reproducible: bool = False

    def environment(self) -> dict[str, str]:
        own: dict[str, str] = {}
        if self.device:
            own["CUDA_VISIBLE_DEVICES"] = "" if self.device == "cpu" else self.device
        if self.threads:
            own |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(self.threads))
        return {**os.environ, **own, **(_SAME_KERNELS if self.reproducible else {})}


Death = Literal["timeout", "oom", "lost", "crash", "error", "unready"]


class Died(Exception):  # noqa: N818
    """A call returned no value: `kind` is the cause, the message explains it in one line."""

    def __init__(self, kind: Death, message: str, names: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.kind: Death = kind
        self.names = names  # names of the error's class and its bases


class ChildProcess:
    """A child process in a slot, started at its first call, and again after it has died.

    Its output is kept to explain its death; with `shows`, it goes to standard error.
    """

    def __init__(self, slot: DeviceSlot, *, shows: bool = False) -> None:
        self.slot = slot
        self._shows = shows
        self.failures = 0  # consecutive failures to prepare
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._starting = threading.Lock()

    def call(
        self, entry: str, arguments: tuple[Any, ...], *, deadline_s: float, prepare: str | None = None,
        hear: Callable[[Any], None] = lambda message: None,
    ) -> Any:  # fmt: skip
        """Return the result of entry, "module:function", in the child; raise Died if there is none.

        `hear` gets each message that it sends by `say`; the deadline restarts with each message.

        If prepare is given and the module has a function of that name, that is called with it once in each child, before
        the deadline begins. Importing the module and preparing do not depend on the arguments: a failure there
        is "unready".
        """
        try:
            self._ready()
            reply = self._reply((entry, arguments, prepare), PREPARE_S)
            if reply[0] == "error":
                self.kill()
                raise Died("error", reply[2], reply[1])
        except Died as death:
            if self._closed:
                raise
            self.failures += death.kind != "lost"  # a kill from outside says nothing about the slot
            raise Died("unready", str(death), death.names) from None
        self.failures = 0
        while (reply := self._reply(None, deadline_s))[0] == "said":
            hear(reply[1])
        if reply[0] == "value":
            return reply[1]
        # an error may leave the device or the heap in any state, so the next call gets a new process
        self.kill()
        names, message = reply[1:]
        raise Died("oom" if "MemoryError" in names or "OutOfMemoryError" in names else "error", message, names)

    def _reply(self, request: tuple[Any, ...] | None, limit_s: float) -> tuple[Any, ...]:
        killed_before = _kernel_kills()
        try:
            if request is not None:
                self._log.truncate(0)
                self._pipe.send_bytes(pickle.dumps(request))
            return self._receive(limit_s)
        except TimeoutError:
            self.kill()
            raise Died("timeout", f"not done within {limit_s:g} s") from None
        except (EOFError, OSError):
            raise self._burial(killed_before) from None

    def kill(self) -> None:
        """End the child, and all processes that it started, at once."""
        if self._child is not None:
            # the group outlives its leader, whose number stays reserved until it is waited for
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
            self._child = None
            self._pipe.close()
            self._log.close()
            if self._exit is not None:
                os.close(self._exit)

    def close(self) -> None:
        """Kill the child from a thread other than the calling one; its call ends with Died, and no other follows."""
        with self._starting:
            self._closed = True
            child = self._child
        if child is not None and child.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)

    def _ready(self) -> None:
        if self._child is not None and self._child.poll() is not None:
            self.kill()
        with self._starting:
            if self._closed:
                raise Died("lost", _STOPPED)
            if self._child is None:
                try:
                    self._start()
                except OSError as error:
                    raise Died("lost", f"could not start a process ({error.strerror})") from error

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        self._pipe = Connection(ours.detach())
        self._log = tempfile.TemporaryFile("a+b", buffering=0)  # noqa: SIM115
        with theirs:
            numbers = map(str, (theirs.fileno(), os.getpid(), self.slot.memory_bytes))
            self._child = subprocess.Popen(
                [sys.executable, "-c", _BOOT, json.dumps(sys.path), *numbers],
                stdin=subprocess.DEVNULL,
                stdout=2 if self._shows else self._log,
                stderr=2 if self._shows else self._log,
                env=self.slot.environment(),
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C goes to the master only; and the child's own children die with it
            )
        # a grandchild may hold the pipe open, so also wait for the end of the process itself
        self._exit = os.pidfd_open(self._child.pid) if hasattr(os, "pidfd_open") else None

    def _receive(self, limit_s: float) -> tuple[Any, ...]:
        ready = wait([self._pipe, *([] if self._exit is None else [self._exit])], limit_s)
        if not ready:
            raise TimeoutError
        if self._pipe not in ready:
            raise EOFError
        reply: tuple[Any, ...] = pickle.loads(self._pipe.recv_bytes(_LARGEST_RESULT))
        return reply

    def _burial(self, killed_before: int) -> Died:
        child, last_words = self._child, self._last_words()
        assert child is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.2)
        died_itself = child.poll() is not None
        self.kill()
        status = child.returncode
        if self._closed:
            return Died("lost", _STOPPED)
        if not died_itself:
            return Died("crash", f"it closed its pipe{last_words}")
        if status >= 0:
            return Died("crash", f"exit status {status}{last_words}")
        if status == -signal.SIGKILL and _kernel_kills() > killed_before:
            return Died("oom", "killed by the kernel: out of memory")
        if -status in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP):
            return Died("lost", f"its process was killed from outside ({signal.Signals(-status).name})")
        return Died("crash", f"{signal.strsignal(-status)} (signal {-status}){last_words}")

    def _last_words(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        lines = os.pread(self._log.fileno(), 4000, max(0, size - 4000)).decode("utf-8", "replace").split("\n")
        words = [
            line.strip() for line in lines if line.strip() and not line.startswith((" ", "Current thread", "Thread", "Extension"))
        ]
        return f": {words[-1][:300]}" if words else ""


def _kernel_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory, 0 if it does not report them."""
    with contextlib.suppress(OSError), open("/proc/vmstat", encoding="ascii") as counters:
        for line in counters:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


_pipe: Connection | None = None  # the child's connection to its parent


def say(message: Any, /) -> None:
    """Send a message to the caller of this child; do nothing if this process is not a child."""
    if _pipe is not None:
        _pipe.send_bytes(pickle.dumps(("said", message)))


def serve(descriptor: int, parent: int, memory_bytes: int) -> None:
    """Serve as the child: run the calls that come through the pipe until it closes."""
    global _pipe
    os.set_inheritable(descriptor, False)
    _die_with(parent)
    faulthandler.enable()
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
        score.write("1000")  # if memory runs out, the kernel should kill this process before the master
    if memory_bytes:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    pipe = _pipe = Connection(descriptor)
    prepared: set[tuple[str, str]] = set()
    with contextlib.suppress(EOFError):
        while True:
            entry, arguments, prepare = pickle.loads(pipe.recv_bytes())
            _answer(pipe, entry, arguments, prepare, prepared)


def _answer(
    pipe: Connection, entry: str, arguments: tuple[Any, ...], prepare: str | None, prepared: set[tuple[str, str]]
) -> None:
    try:
        module_name, _, name = entry.partition(":")
        if module_name not in sys.modules:
            gc.disable()  # modules are not garbage
            importlib.import_module(module_name)
            gc.freeze()
            gc.enable()
        module = sys.modules[module_name]
        if prepare is not None and (entry, prepare) not in prepared and hasattr(module, "prepare"):
            module.prepare(prepare)
            prepared.add((entry, prepare))
        pipe.send_bytes(pickle.dumps(("ready",)))
        reply = pickle.dumps(("value", getattr(module, name)(*arguments)))
    except BaseException as error:
        names = tuple(kind.__name__ for kind in type(error).__mro__)
        reply = pickle.dumps(("error", names, _one_line(error)))
    pipe.send_bytes(reply)


def _one_line(error: BaseException) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    where = traceback.extract_tb(error.__traceback__)
    if any(name in ("DataError", "ProfilerError", "EvolverError") for name in (kind.__name__ for kind in type(error).__mro__)):
        return said
    place = f" ({os.path.basename(where[-1].filename)}:{where[-1].lineno})" if where else ""
    return f"{type(error).__name__}: {said[:500]}{place}"


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; on systems other than Linux, it ends with its current job."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
