"""Count the FLOPs of torchvision's networks twice: by PyTorch's FlopCounterMode, and from the ONNX files they export to.

python -m tests.benchmarks.onnx_flops [NAME ...]; needs ecosel[torch], ecosel[onnx] and onnxscript, about a minute a network.
PyTorch's counter leaves out the attention of vision transformers on a CPU, so these are compared with ecosel's own as well.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import warnings
from pathlib import Path

NAMES = (
    "alexnet", "vgg11", "squeezenet1_1", "resnet18", "resnet50", "wide_resnet50_2", "resnext50_32x4d", "densenet121", "googlenet",
    "inception_v3", "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5", "shufflenet_v2_x0_5", "efficientnet_b0", "regnet_x_400mf",
    "regnet_y_400mf", "convnext_tiny", "swin_t", "maxvit_t",
)  # fmt: skip


def main(names: list[str]) -> int:
    different = 0
    for name in names or NAMES:
        ours, torchs, own, parameters = _counted(name)
        same = "same" if ours == torchs else "same as ecosel's own counter" if ours == own else "DIFFERENT"
        different += same == "DIFFERENT"
        print(f"{name:20} {torchs:>15,} {ours or 0:>15,} {same:28} {parameters[0]:>12,} {parameters[1] or 0:>12,}", flush=True)
    print(f"{different} of {len(names or NAMES)} differ")
    return min(different, 1)


def _counted(name: str) -> tuple[int | None, int, int | None, tuple[int, int | None]]:
    import torch
    import torchvision
    from torch.utils.flop_counter import FlopCounterMode

    from profilers.inference.batches import Batch
    from profilers.inference.flops.counting import count_flops as torch_flops
    from profilers.inference.running import TorchInference
    from profilers.models.onnx.checking import check_file
    from profilers.models.onnx.flops import count_flops
    from profilers.models.onnx.graph import Constants
    from profilers.models.onnx.parameters import count_parameters
    from profilers.models.onnx.shapes import inputs_of, shapes_of

    more = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    network = getattr(torchvision.models, name)(**more).eval()
    size = 299 if name == "inception_v3" else 224
    images = torch.randn(2, 3, size, size)
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(images)
    own, _ = torch_flops(TorchInference(network, [Batch((images,), {}, 2)], device=torch.device("cpu"), mode="paper"))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        path = Path(folder) / "net.onnx"
        torch.onnx.export(network, (images,), str(path), dynamo=True, dynamic_shapes=({0: torch.export.Dim("b")},), verbose=False)
        model = check_file(path)
        learned = count_parameters(model, Constants(model)).total
        (one,) = inputs_of(model)
        flops, _ = count_flops(model, shapes_of(model, {one.name: tuple(images.shape)}))
    parameters = sum(tensor.numel() for tensor in network.parameters())
    return flops, counter.get_total_flops(), None if own is None else 2 * own, (parameters, learned)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
