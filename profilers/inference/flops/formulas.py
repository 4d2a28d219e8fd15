"""Compute the floating-point operations of one operator from its arguments and output; a multiply-add counts as two.

The convention is PyTorch's: matrix products, convolutions, attention and recurrent layers count; operators that work element by
element, reduce or move numbers count as 0. An operator that is not clearly one of these has no formula, and does not count as 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.flop_counter import flop_registry

from profilers.errors import Uncountable

Formula = Callable[[Sequence[Any], Any], int]

# Operators in other namespaces are custom: without a formula, their operations are unknown.
_OWN = {
    "aten", "prim", "prims", "quantized", "_quantized", "quantized_decomposed", "quantization", "mkldnn", "mkl", "onednn",
    "inductor", "mkldnn_prepacked", "sparse", "torchvision", "profiler", "_c10d_functional", "_c10d_functional_autograd", "c10d",
    "static_runtime",
}  # fmt: skip
# Names of operators that multiply matrices, convolve, solve or transform.
_HEAVY = re.compile(
    r"mm(_|\d|$)|conv(?!ert)|linear|lstm|gru|rnn|attention|matmul|einsum|(^|_)v?dot|(^|_)(add)?mv$|fft|[cp]dist|euclidean_dist"
    r"|^_?linalg|cholesky|(^|_)lu_|(?<!re)solve|geqrf|orgqr|ormqr|svd|inverse|trilinear$|matrix_(exp|power)|encoder_layer|sdp_flash"
    r"|semi_structured|multi_head|mixed_|sparse_csr_prod"
)
# Similar names of operators that work element by element, look up, or only prepare.
_LIGHT = re.compile(
    r"upsample|prepack|unpack|reorder|pack_(gemm|quantized)|weight$|weight_to|linalg_(vector_norm|norm|cross|diagonal|check)"
    r"|slice_inverse|lu_unpack|fftshift|fftfreq|conv(_transpose)?\dd_(padding|stride|dilation|groups|transpose|output_padding)$|thnn_fused_(lstm|gru)_cell$"
    r"|cell_params|flatten_weight|pairwise_distance|fft_(get|set|clear)|cufft|to_sparse"
)


def flops_of(name: str, args: Sequence[Any], kwargs: dict[str, Any], out: Any, /, *, target: object = None) -> int:
    """Return the floating-point operations of "namespace::operator"; raise Uncountable if they are not known."""
    short = name.removeprefix("aten::").rstrip("_")  # the in-place form computes the same
    formula = _FORMULAS.get(short)
    if formula is None and target in flop_registry:
        formula = _torchs(target, kwargs)
    if formula is None:
        namespace, _, operator = name.rstrip("_").partition("::")
        known = namespace in _OWN and (not _HEAVY.search(operator) or _LIGHT.search(operator))
        if not known:
            raise Uncountable(short)
        return 0
    tensors = list(_tensors((args, out)))
    if any(tensor.is_nested or tensor.layout not in (torch.strided, torch._mkldnn) for tensor in tensors):
        raise Uncountable(f"{short} of sparse or nested tensors")
    try:
        # a product of complex numbers takes four real products, and the sums grow alike
        return formula(args, out) * (4 if any(tensor.is_complex() for tensor in tensors) else 1)
    except (AttributeError, IndexError, TypeError, RuntimeError, ValueError) as error:
        raise Uncountable(short) from error


def _tensors(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _tensors(one)


def _torchs(target: object, kwargs: dict[str, Any]) -> Formula:
    return lambda args, out: int(flop_registry[target](*args, **kwargs, out_val=out))


def _product(left: int) -> Formula:
    """Count a sum over the last dimension of the left factor for every number of the output."""
    return lambda args, out: 2 * int(_first(out).numel()) * int(args[left].shape[-1])


def _first(out: Any) -> Any:
    return out[0] if isinstance(out, tuple | list) else out


def _addbmm(args: Sequence[Any], out: Any) -> int:
    return 2 * int(args[1].numel()) * int(args[2].shape[-1])


def _grouped(args: Sequence[Any], out: Any) -> int:
    left, right = args[0], args[1]
    if left.dim() == right.dim() == 2:  # the groups divide the sum
        return 2 * int(left.numel()) * int(right.shape[-1])
    return 2 * int(out.numel()) * int(left.shape[-1])


def _convolution(weight: int, transposed: int | bool = False) -> Formula:
    """Count the weights of one channel for every number of the output, or of the input if transposed; these reflect groups."""

    def formula(args: Sequence[Any], out: Any) -> int:
        backwards = transposed if isinstance(transposed, bool) else args[transposed]
        weights = args[weight] if isinstance(args[weight], torch.Tensor) else args[weight].unpack()[0]
        met = args[0] if backwards else _first(out)
        return 2 * int(met.numel()) * int(weights.numel()) // int(met.shape[1])

    return formula


def _attention(args: Sequence[Any], out: Any) -> int:
    """Take query, key and value [..., heads, length, width]; by convention, a mask or causality saves nothing."""
    query, key, value = args[:3]
    return 2 * int(query.numel() // query.shape[-1]) * int(key.shape[-2]) * int(query.shape[-1] + value.shape[-1])


def _projected_attention(batch: int, length: int, keys: int, width: int) -> int:
    projections = 2 * batch * width * width * (2 * length + 2 * keys)
    return projections + 4 * batch * length * keys * width


def _multi_head(args: Sequence[Any], out: Any) -> int:
    batch, length, width = map(int, args[0].shape)
    return _projected_attention(batch, length, int(args[1].shape[1]), width)


def _encoder_layer(args: Sequence[Any], out: Any) -> int:
    batch, length, width = map(int, args[0].shape)
    forward = 2 * batch * length * int(args[14].numel() + args[16].numel())
    return _projected_attention(batch, length, length, width) + forward


def _steps(sequence: Any) -> int:
    """Return the number of vectors in a sequence [steps, batch, width], or in a packed one [all, width]."""
    return int(sequence.numel() // sequence.shape[-1])


def _mkldnn_rnn(args: Sequence[Any], out: Any) -> int:
    weights = int(args[1].numel() + args[2].numel())
    return 2 * _steps(args[0]) * weights


def _recurrent(args: Sequence[Any], out: Any) -> int:
    return 2 * _steps(args[0]) * sum(int(weight.numel()) for weight in args[1] if weight.dim() == 2)


def _quantised_recurrent(gates: int) -> Formula:
    def formula(args: Sequence[Any], out: Any) -> int:
        packed = isinstance(args[1], torch.Tensor) and args[1].dim() == 1  # (data, batch_sizes, hx, ...)
        hidden = args[2] if packed else args[1]
        size = int(_first(hidden).shape[-1] if isinstance(hidden, tuple | list) else hidden.shape[-1])
        layers, both_ways = args[4 + packed], args[7 + packed]
        directions = 2 if both_ways else 1
        widths = [int(args[0].shape[-1])] + [size * directions] * (layers - 1)
        return 2 * _steps(args[0]) * directions * gates * size * sum(width + size for width in widths)

    return formula


def _quantised_cell(gates: int) -> Formula:
    def formula(args: Sequence[Any], out: Any) -> int:
        hidden = _first(args[1])
        return 2 * gates * int(hidden.numel()) * int(args[0].shape[-1] + hidden.shape[-1])

    return formula


_LINEAR = (
    "linear", "mkldnn_linear", "_mixed_dtypes_linear", "fbgemm_linear_int8_weight", "fbgemm_linear_int8_weight_fp32_activation",
    "fbgemm_linear_fp16_weight", "fbgemm_linear_fp16_weight_fp32_activation", "_weight_int8pack_mm", "_weight_int4pack_mm",
    "_weight_int4pack_mm_for_cpu", "_weight_int4pack_mm_with_scales_and_zeros", "_dyn_quant_matmul_4bit", "mkl::_mkl_linear",
    "_wrapped_quantized_linear_prepacked", "_quantized::_wrapped_quantized_linear_prepacked",
    "_quantized::wrapped_quantized_linear",
    "mkldnn::_linear_pointwise", "onednn::linear_dynamic_fp16", "onednn::linear_relu_dynamic_fp16", "onednn::qlinear_pointwise",
    "quantized::linear", "quantized::linear_relu", "quantized::linear_leaky_relu", "quantized::linear_tanh",
    "quantized::linear_dynamic", "quantized::linear_relu_dynamic", "quantized::linear_dynamic_fp16",
    "quantized::linear_relu_dynamic_fp16", "quantized::linear_dynamic_fp16_unpacked_weight", "_quantized::linear",
    "_quantized::linear_dynamic", "quantized::linear_with_input_q_dq_qweight_dq_output_fp32",
    "quantized::linear_with_input_q_dq_qweight_dq_relu_output_fp32", "quantized::int4mm_packed_weight_cpu",
    "_quantized::wrapped_fbgemm_linear_fp16_weight", "quantized::matmul",
)  # fmt: skip
_CONVOLUTIONS = (
    "conv1d", "conv2d", "conv3d", "mkldnn_convolution", "cudnn_convolution", "cudnn_convolution_relu", "thnn_conv2d",
    "cudnn_convolution_add_relu", "miopen_convolution", "miopen_convolution_relu", "miopen_convolution_add_relu", "slow_conv3d",
    "miopen_depthwise_convolution", "_nnpack_spatial_convolution", "_slow_conv2d_forward", "slow_conv3d_forward",
    "slow_conv_dilated2d", "slow_conv_dilated3d", "_conv_depthwise2d", "conv_depthwise3d", "mkldnn::_convolution_pointwise",
    "torchvision::deform_conv2d", "_mps_convolution",
    *(f"{space}::conv{n}d{end}" for space in ("quantized", "_quantized") for n in (1, 2, 3)
      for end in ("", "_relu", "_add", "_add_relu", "_dynamic")),
)  # fmt: skip
_TRANSPOSED = (
    "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "slow_conv_transpose2d", "slow_conv_transpose3d",
    "cudnn_convolution_transpose", "miopen_convolution_transpose", "mkldnn::_convolution_transpose_pointwise",
    *(f"{space}::conv_transpose{n}d{end}" for space in ("quantized", "_quantized") for n in (1, 2, 3)
      for end in ("", "_dynamic")),
)  # fmt: skip
_ATTENTIONS = (
    "scaled_dot_product_attention", "_scaled_dot_product_flash_attention", "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention", "_scaled_dot_product_attention_math",
    "_scaled_dot_product_fused_attention_overrideable", "_scaled_dot_product_attention_math_for_mps",
)  # fmt: skip
_FORMULAS: dict[str, Formula] = {
    **dict.fromkeys(("mm", "bmm", "mv", "dot", "vdot", "_int_mm", "_scaled_mm", "_scaled_mm_v2", *_LINEAR), _product(0)),
    **dict.fromkeys(("addmm", "baddbmm", "addmv", "_addmm_activation"), _product(1)),
    "addbmm": _addbmm,
    **dict.fromkeys(("_grouped_mm", "_scaled_grouped_mm", "_scaled_grouped_mm_v2"), _grouped),
    **dict.fromkeys(_CONVOLUTIONS, _convolution(1)),
    **dict.fromkeys(_TRANSPOSED, _convolution(1, True)),
    **dict.fromkeys(("convolution", "_convolution", "convolution_overrideable"), _convolution(1, 6)),
    **dict.fromkeys((f"onednn::qconv{n}_pointwise" for n in ("", "1d", "2d", "3d")), _convolution(3)),
    "conv_tbc": lambda args, out: 2 * int(out.numel()) * math.prod(args[1].shape[:2]),
    **dict.fromkeys(_ATTENTIONS, _attention),
    "_native_multi_head_attention": _multi_head,
    "_transformer_encoder_layer_fwd": _encoder_layer,
    "mkldnn_rnn_layer": _mkldnn_rnn,
    **dict.fromkeys(("_cudnn_rnn", "miopen_rnn"), _recurrent),
    "quantized_lstm": _quantised_recurrent(4),
    "quantized_gru": _quantised_recurrent(3),
    "quantized::quantized_lstm_cell_dynamic": _quantised_cell(4),
    "quantized::quantized_gru_cell_dynamic": _quantised_cell(3),
    "quantized::quantized_rnn_relu_cell_dynamic": _quantised_cell(1),
    "quantized::quantized_rnn_tanh_cell_dynamic": _quantised_cell(1),
}
