"""State in one line why torch cannot open or run a model."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from profilers.errors import ModelError, OutOfMemory, ProfilerError

_OP = "an operator that is not registered here, {0}; import the package that defines it, or save the model without it"
_CUDA = "is bound to CUDA, and torch finds no CUDA GPU here; save it on the CPU, or run it where there is one"
_REASONS = (
    (r"Unknown builtin op: ([\w:.]+?)\.?$", "needs " + _OP),
    (r"[Ff]ailed to resolve ([\w.]+) to an operator", "needs " + _OP),
    (r"Could not find (?:schema for|operator) '?([\w:.]+)", "needs " + _OP),
    (r"Couldn't find an operator for ([\w:.]+)", "needs " + _OP),
    (r"Unknown type name '(?:__torch__\.)?([\w.]+)'",
     "needs the class {0}, which is not registered here; import the package that defines it"),
    (r"[Cc]an't get attribute '([\w.]+)' on <module '([\w.]+)'",
     "needs the class {1}.{0}, which is not defined here; save its state_dict() and give --factory instead"),
    (r"^No module named '([\w.]+)'", "needs the module {0}, which is not installed here"),
    (r"Could not run '([\w:.]+)' with arguments from the '(?:CPU|Meta)' backend", "needs {0} on another device than the CPU"),
    (r"Found no NVIDIA driver|Torch not compiled with CUDA|No CUDA GPUs are available|deserialize object on a? ?CUDA device"
     r"|CUDA driver version is insufficient|AOTInductor.*CUDA|register for device cuda|device cuda is not supported", _CUDA),
    # do not repeat torch's advice to switch the check off
    (r"weights_only", "is not what it seems: torch refuses to read it as plain weights"),
    (r"PytorchStreamReader failed|unexpected EOF|not a ZIP archive|unexpected pos|Ran out of input|invalid header",
     "is cut short or damaged; copy or download it again"),
)  # fmt: skip


# CUDA's libraries have words of their own: CUBLAS_STATUS_ALLOC_FAILED, CUDNN_STATUS_..._ALLOCATION_FAILED
_NO_MEMORY = re.compile(r"out of memory|allocate memory|bad_alloc|_ALLOC_FAILED|_ALLOCATION_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of torch, CUDA or Python means that memory was short, on the device or the host."""
    return isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)) is not None


@contextmanager
def in_one_line(subject: str) -> Iterator[None]:
    """Turn any error of torch or a model, including an exit, into one line that begins with the subject.

    Raises OutOfMemory if memory was short, ModelError for everything else.
    """
    try:
        yield
    except ProfilerError:
        raise
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise OutOfMemory(f"{subject}: out of memory; use a smaller --batch-size, or a smaller model") from error
        raise ModelError(_said(subject, error)) from error


def some(names: Sequence[str]) -> str:
    """Return the first three of some names, which may be a stranger's and of any length, and the number of the others."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(name[:80] for name in names[:3]) + more


@contextmanager
def quiet() -> Iterator[None]:
    """Keep torch's warnings and logs off the terminal; important ones are raised or noted."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def first_line(error: BaseException) -> str:
    """Return the first informative line of an error, cut to 200 characters."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line), "no message")[:200]


def _said(subject: str, error: BaseException) -> str:
    chain: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        chain.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    text = "\n".join(chain)
    for pattern, reason in _REASONS:
        if found := re.search(pattern, text, re.MULTILINE):
            return f"{subject} {reason.format(*found.groups())}"
    # TorchScript puts the actual error last, below a traceback of the saved program
    raised = re.findall(r"^(?:builtins\.)?(\w*(?:Error|Exception): .+)$", chain[0], re.MULTILINE)
    line = raised[-1] if raised else f"{type(error).__name__}: " + next((row for row in chain[0].splitlines() if row.strip()), "")
    return f"{subject} fails: {line.strip()[:300]}"
