"""Count the floating-point operations of a model on one batch: all of them, or none."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Protocol

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from profilers.errors import Uncountable
from profilers.inference.batches import Batch
from profilers.inference.flops.formulas import flops_of
from profilers.models.torch_errors import quiet, some


class OnDevice(Protocol):
    """A torch model and its batches on a device."""

    eager: Callable[..., object]
    batches_of: list[Batch]

    def fresh(self, batch: Batch) -> Batch: ...

    def to_device(self, batch: Batch) -> Batch: ...

    def running(self, batch: Batch) -> AbstractContextManager[None]: ...


def count_flops(inference: OnDevice, /) -> tuple[int | None, str | None]:
    """Return floating-point operations per image (a multiply-add is two), or None and why they cannot be counted."""
    batch = inference.to_device(inference.fresh(inference.batches_of[0]))
    with quiet(), inference.running(batch), _unfused(), _Counter() as counter:
        inference.eager(*batch.args, **batch.kwargs)
    if uncountable := counter.uncountable | _fused(inference.eager):
        return None, f"operators that cannot be counted: {some(sorted(uncountable))}"
    if not isinstance(inference.eager, torch.nn.Module) and not counter.total:
        return None, "the model's format hides its operators from the counter"
    if not counter.total:
        return None, "the model has no matrix products or convolutions, and nothing else is counted"
    return round(counter.total / batch.images), None


class _Counter(TorchDispatchMode):  # type: ignore[misc]
    """Add up the operations of every operator that runs, after decomposing composite ones."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()
        self.total = 0
        self.uncountable: set[str] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Do not load a compiler just to tell it not to compile the counter; if it is loaded, it is switched off (`_unfused`)."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if isinstance(func, torch._ops.HigherOrderOperator):
            return self._higher_order(func, args, kwargs)
        if func.name() in _QUESTIONS:
            return NotImplemented
        name = func.name().partition(".")[0]
        with self:
            taken_apart = func.decompose(*args, **kwargs) if name != "prim::device" else NotImplemented
        if taken_apart is not NotImplemented:
            return taken_apart
        out = func(*args, **kwargs)
        self._add(name, args, kwargs, out, func._overloadpacket)
        return out

    def _higher_order(self, func: Any, args: Any, kwargs: Any) -> Any:
        if func is torch.ops.higher_order.cond:
            condition, if_true, if_false, operands = args
            with self:
                return (if_true if bool(condition) else if_false)(*operands)
        out = func(*args, **kwargs)
        self._add(f"higher_order::{func.name()}", args, kwargs, out, func)
        return out

    def _add(self, name: str, args: Any, kwargs: Any, out: Any, target: object) -> None:
        try:
            self.total += flops_of(name, args, kwargs, out, target=target)
        except Uncountable as error:
            self.uncountable.add(str(error))


def _fused(module: object) -> set[str]:
    """Return an operator that TorchScript runs itself, invisible to the counter."""
    if isinstance(module, torch.jit.ScriptModule) or not isinstance(module, torch.nn.Module):
        scripts = [module]
    else:
        scripts = [one for one in module.modules() if isinstance(one, torch.jit.ScriptModule)]
    return {kind for script in scripts for kind in _HIDDEN.findall(str(getattr(script, "inlined_graph", "")))}


_HIDDEN = re.compile(r"\bprim::(?:mkldnn_convolution|MM\w+|\w*Fusion\w*|TensorExpr\w*|StaticSubgraph)\b")
# Queries of tensors whose sizes are not plain numbers; they compute nothing.
_QUESTIONS = {
    f"aten::{name}"
    for name in (
        "sym_is_contiguous", "is_contiguous", "is_strides_like_format", "is_non_overlapping_and_dense", "size", "sym_size",
        "stride", "sym_stride", "storage_offset", "sym_storage_offset", "numel", "sym_numel", "dim",
    )
} | {"prim::layout", "aten::is_contiguous.memory_format"}  # fmt: skip


@contextmanager
def _unfused() -> Iterator[None]:
    """Prevent compilers and fast paths of whole layers from fusing operators into one that cannot be counted."""
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        torch.backends.mha.set_fastpath_enabled(False)
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        stack.enter_context(torch.jit.optimized_execution(False))
        # the model has run: if it compiles itself, the compiler is loaded; otherwise importing it would waste 2 s
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield
