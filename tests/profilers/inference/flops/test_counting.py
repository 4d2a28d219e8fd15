"""Floating-point operations by hand: all of a model, or none with the operators that cannot be counted."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from profilers.errors import Uncountable
from profilers.inference.batches import Batch
from profilers.inference.flops.counting import count_flops
from profilers.inference.flops.formulas import flops_of
from profilers.inference.running import TorchInference

SEQUENCE, IMAGES = torch.ones(4, 30, 16), torch.ones(2, 3, 16, 16)


def counted(module: Callable[..., Any], *args: torch.Tensor) -> tuple[int | None, str | None]:
    batch = Batch(args, {}, len(args[0]))
    return count_flops(TorchInference(module, [batch], device=torch.device("cpu"), mode="paper"))


class Attending(nn.Module):  # type: ignore[misc]
    """A layer of an encoder over a sequence, and a linear one of 3 classes on its last vector."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.TransformerEncoderLayer(16, 2, 24, batch_first=True), nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(x)[:, -1])


class Recurring(nn.Module):  # type: ignore[misc]
    """A recurrent layer over a sequence, and a linear one of 3 classes on its last vector."""

    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(x)[0][:, -1])


class Bert(nn.Module):  # type: ignore[misc]
    """Two layers of width 64 with 4 heads and 128 hidden units, and a pooler: BERT with scaled-dot-product attention."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(100, 64)
        self.qkv = nn.ModuleList(nn.ModuleList(nn.Linear(64, 64) for _ in range(4)) for _ in range(2))
        self.ffn = nn.ModuleList(nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 64)) for _ in range(2))
        self.pooler = nn.Linear(64, 64)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        for (query, key, value, out), ffn in zip(self.qkv, self.ffn, strict=True):
            heads = [layer(x).unflatten(-1, (4, 16)).transpose(1, 2) for layer in (query, key, value)]
            x = x + out(F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))
            x = x + ffn(x)
        return self.pooler(x[:, 0])


def encoder() -> nn.Module:
    return Attending().eval()


def recurrent(kind: Any = nn.LSTM, **more: Any) -> nn.Module:
    return Recurring(kind(16, 20, batch_first=True, **more), 20 * (2 if more.get("bidirectional") else 1)).eval()


def convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, groups=4),
        nn.ConvTranspose2d(16, 6, 3, stride=2, groups=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4),
    ).eval()  # fmt: skip


# 30 vectors of 16: projections 4 * 2*16*16, both products of attention 2 * 2*30*16, two linear layers of 24; a head of 3
ENCODER = 30 * (4 * 512 + 2 * 960 + 2 * 768) + 96
LSTM = 30 * 2 * 80 * (16 + 20) + 120
CONVOLUTIONS = 2 * 16 * 16 * 8 * 27 + 2 * 14 * 14 * 16 * 18 + 2 * 14 * 14 * 16 * 27 + 2 * 24


def test_the_values_by_hand_are_those_that_were_told() -> None:
    assert (ENCODER, LSTM) == (165_216, 172_920)


@pytest.mark.parametrize(
    ("make", "flops"),
    [
        (encoder, ENCODER),
        (recurrent, LSTM),
        (lambda: recurrent(nn.GRU), 30 * 2 * 60 * 36 + 120),
        (lambda: recurrent(nn.RNN), 30 * 2 * 20 * 36 + 120),
        (lambda: recurrent(bidirectional=True, num_layers=2), 30 * 2 * 2 * (80 * 36 + 80 * 60) + 240),
        (lambda: nn.MultiheadAttention(16, 2, batch_first=True), None),
    ],
)
def test_attention_and_recurrent_layers_count(make: Callable[[], nn.Module], flops: int | None) -> None:
    if flops is None:
        attention = make().eval()
        assert counted(lambda x: attention(x, x, x, need_weights=False)[0], SEQUENCE) == (30 * (4 * 512 + 2 * 960), None)
    else:
        assert counted(make(), SEQUENCE) == (flops, None)


def test_a_bert_with_scaled_dot_product_attention_counts_its_attention() -> None:
    linear = 64 * 2 * 2 * (4 * 64 * 64 + 2 * 64 * 128) + 2 * 64 * 64
    attention = 2 * 2 * 2 * 64 * 64 * 64
    assert linear + attention == 10_493_952
    assert counted(Bert().eval(), torch.zeros(1, 64, dtype=torch.int64)) == (10_493_952, None)


@pytest.mark.parametrize(("make", "flops"), [(encoder, ENCODER), (recurrent, LSTM)])
def test_a_saved_program_counts_as_the_network_it_was_made_from(make: Callable[[], nn.Module], flops: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert counted(torch.jit.script(make()), SEQUENCE) == (flops, None)
        assert counted(torch.jit.trace(make(), SEQUENCE, check_trace=False), SEQUENCE) == (flops, None)
        assert counted(torch.export.export(make(), (SEQUENCE,)).module(), SEQUENCE) == (flops, None)


def test_convolutions_count_by_groups_and_backwards() -> None:
    assert counted(convolutions(), IMAGES) == (CONVOLUTIONS, None)


def test_groups_that_torchscript_fuses_are_named() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.jit.optimize_for_inference(torch.jit.script(convolutions()))
    assert counted(program, IMAGES) == (None, "operators that cannot be counted: prim::mkldnn_convolution")


@pytest.mark.parametrize("layers", [{nn.Linear}, {nn.Linear, nn.LSTM}])
def test_dynamically_quantised_layers_count(layers: set[type]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantised = torch.ao.quantization.quantize_dynamic(recurrent(), layers)
        program = torch.jit.trace(quantised, SEQUENCE, check_trace=False)
    assert counted(quantised, SEQUENCE) == (LSTM, None)
    assert counted(program, SEQUENCE) == (LSTM, None)


def test_a_convolution_before_dynamically_quantised_layers_is_not_the_whole() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 10)
    ).eval()
    images = torch.rand(2, 1, 8, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.jit.trace(torch.ao.quantization.quantize_dynamic(network, {nn.Linear}), images, check_trace=False)
    assert counted(program, images) == (276_992, None)


@pytest.mark.parametrize(
    ("function", "flops"),
    [
        (lambda x: torch.einsum("bij,bkj->bik", x, x), 2 * 30 * 30 * 16),
        (lambda x: torch.baddbmm(x @ x.mT, x, x.mT), 2 * 2 * 30 * 30 * 16),
        (lambda x: torch.stack([torch.mv(one, one[0]) for one in x]), 2 * 30 * 16),
        (lambda x: torch.stack([torch.addmv(one[:, 0], one, one[0]) for one in x]), 2 * 30 * 16),
        (lambda x: torch.stack([torch.zeros(30).addmv_(one, one[0]) for one in x]), 2 * 30 * 16),
        (lambda x: torch.stack([torch.dot(one[0], one[0]) for one in x]), 2 * 16),
        (lambda x: (x + 0j) @ (x + 0j).mT, 4 * 2 * 30 * 30 * 16),
        (lambda x: F.conv1d(x.mT, torch.ones(8, 4, 5), groups=4), 2 * 26 * 8 * 4 * 5),
        (lambda x: torch.cond(x.sum() < 0, lambda a: a, lambda a: a @ a.mT, (x,)), 2 * 30 * 30 * 16),
    ],
)
def test_single_operators_count(function: Callable[..., Any], flops: int) -> None:
    assert counted(function, SEQUENCE) == (flops, None)


@torch.library.custom_op("ecosel_flops_test::product", mutates_args=())  # type: ignore[untyped-decorator]
def product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return left @ right


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: product(x @ x.mT, x), "ecosel_flops_test::product"),
        (lambda x: torch.fft.rfft(x @ x.mT).abs(), "_fft_r2c"),
        (lambda x: torch.linalg.inv(x @ x.mT + torch.eye(30)), "linalg_inv_ex"),
        (lambda x: torch.cdist(x, x @ x.mT @ x), "_euclidean_dist"),
        (lambda x: torch.sparse.mm(torch.eye(30).to_sparse(), x[0] @ torch.ones(16, 2)), "_sparse_addmm"),
    ],
)
def test_an_operator_that_cannot_be_counted_makes_no_count_of_the_rest(function: Callable[..., Any], name: str) -> None:
    assert counted(function, SEQUENCE) == (None, f"operators that cannot be counted: {name}")


def test_a_model_without_products_has_no_count_rather_than_0() -> None:
    flops, reason = counted(nn.ReLU(), SEQUENCE)
    assert flops is None
    assert reason == "the model has no matrix products or convolutions, and nothing else is counted"


def test_every_product_of_torch_has_a_formula_or_is_uncountable() -> None:
    """By its name: an operator that sounds like a product must not count as nothing."""
    names = {name.partition(".")[0] for name in torch._C._dispatch_get_all_op_names()}
    sounding = [
        name for name in names if name.startswith("aten::") and name.endswith(("mm", "mm_", "conv2d", "lstm", "attention"))
    ]
    assert len(sounding) > 20
    for name in sounding:
        with pytest.raises(Uncountable):
            flops_of(name, (), {}, None)
    assert flops_of("aten::relu_", (), {}, None) == 0
    assert flops_of("aten::resolve_conj", (), {}, None) == 0
