"""ONNX files give the network's scores; what is said to be quantised is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from profilers.variants.execution import execution_of_onnx  # noqa: E402
from profilers.variants.rewriting.folding import folded  # noqa: E402
from profilers.variants.rewriting.graph import layered  # noqa: E402
from profilers.variants.rewriting.onnx_files import count_quantised, has_vnni, write_int8, write_onnx  # noqa: E402
from tests.profilers.variants.networks import seeded  # noqa: E402  needs torch

IMAGES = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("onnx")
    network, _ = folded(layered(seeded(), IMAGES[:2]), pool_first=False)
    write_onnx(network, IMAGES[:2], folder / "float.onnx")
    write_int8(folder / "float.onnx", folder / "int8.onnx", IMAGES.numpy(), has_vnni=True)
    return folder / "float.onnx", folder / "int8.onnx"


def _scores(path: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(None, {"images": IMAGES.numpy()})[0]
    return found


def test_both_files_take_any_batch_and_give_the_scores(files: tuple[Path, Path]) -> None:
    with torch.no_grad():
        expected = seeded()(IMAGES).numpy()
    largest = np.abs(expected).max()
    assert np.abs(_scores(files[0]) - expected).max() <= 1e-4 * largest
    assert 1e-4 * largest < np.abs(_scores(files[1]) - expected).max() < 0.2 * largest


def test_layers_are_counted_in_the_file_and_as_they_run(files: tuple[Path, Path]) -> None:
    assert [count_quantised(file) for file in files] == [(0, 4), (4, 4)]
    assert [execution_of_onnx(file).integer_layers for file in files] == [0, 4]
    assert [execution_of_onnx(file).precision for file in files] == ["fp32", "int8"]


def test_nothing_is_left_beside_the_files(files: tuple[Path, Path]) -> None:
    assert sorted(path.name for path in files[0].parent.iterdir()) == ["float.onnx", "int8.onnx"]


@pytest.mark.parametrize(
    ("flags", "has"), [("fma avx512_vnni", True), ("avx_vnni", True), ("asimddp", True), ("avx2 avx512f", False), ("", False)]
)
def test_processors_with_dot_products_of_bytes_are_known_by_their_flags(flags: str, has: bool) -> None:
    assert has_vnni(f"model name : A\nflags : {flags}\n") is has
