"""What torch says in pages is said in one line."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from profilers.errors import ModelError, OutOfMemory
from profilers.models.opening import open_model
from profilers.models.torch_errors import in_one_line

torch = pytest.importorskip("torch")

from tests.profilers import hostile  # noqa: E402  needs torch
from tests.profilers.saving import (  # noqa: E402  needs torch
    FACTORY,
    legacy,
    refused,
    rewritten,
    state_dict,
    traced,
    trained,
    try_once,
    whole,
)


@pytest.fixture(scope="module")
def network() -> Any:
    return trained()


def test_a_missing_operator_is_named(network: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    traced(network, path)
    rewritten(
        path, lambda name, content: content.replace(b"torch.linear(", b"ops.vendor.linear(") if "code/" in name else content
    )
    assert "needs an operator that is not registered here, vendor::linear; import" in refused(path, trust=True)
    hostile.exported(path)
    rewritten(path, lambda _, content: content.replace(b"torch.ops.aten.linear.default", b"torch.ops.vendor.linear.default"))
    assert "needs an operator that is not registered here, torch.ops.vendor.linear.default" in refused(path, trust=True)


def test_a_missing_class_is_named(network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.pt"
    whole(network, path)
    assert "names tests.profilers.networks.Small" in refused(path)
    with monkeypatch.context() as patch:
        patch.delattr(sys.modules["tests.profilers.networks"], "Small")
        assert "needs the class tests.profilers.networks.Small, which is not defined here" in refused(path, trust=True)
    rewritten(path, lambda _, content: content.replace(b"ctests.profilers.networks\n", b"cvendor_of_networks\n"))
    assert "needs the module vendor_of_networks, which is not installed here" in refused(path, trust=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_model_that_needs_cuda_says_so(network: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    hostile.exported(path)
    rewritten(path, lambda _, content: content.replace(b'"type": "cpu"', b'"type": "cuda"'))
    assert "is bound to CUDA, and torch finds no CUDA GPU here" in refused(path, trust=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(torch.nn.Linear(4, 2), torch.zeros(3, 4)).save(str(path))
    bound = b'torch.linear(torch.to(input, torch.device("cuda"))'
    rewritten(path, lambda name, code: code.replace(b"torch.linear(input", bound) if "code/" in name else code)
    model = open_model(str(path), trust=True)
    with pytest.raises(ModelError, match="the model on a batch of 3x4 is bound to CUDA"):
        try_once(model, (torch.zeros(3, 4),), {})
    state_dict(network, path)
    assert "torch finds no CUDA GPU here; use cpu" in refused(path, factory=FACTORY, device="cuda")


def test_a_damaged_tensor_is_reported(network: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    legacy(network, path)
    path.write_bytes(path.read_bytes()[:-100])
    assert "is cut short or damaged" in refused(path, factory=FACTORY)


@pytest.mark.parametrize("said", ["CUDA out of memory. Tried", "CUBLAS_STATUS_ALLOC_FAILED when calling", "bad_alloc"])
def test_memory_that_ran_out_is_told_from_other_errors(said: str) -> None:
    with pytest.raises(OutOfMemory, match="the model: out of memory"), in_one_line("the model"):
        raise RuntimeError(said)
    with pytest.raises(ModelError) as other, in_one_line("the model"):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    assert not isinstance(other.value, OutOfMemory)
