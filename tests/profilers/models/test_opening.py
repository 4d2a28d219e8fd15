"""One network saved in every format opens as the same network, or says in one line why not."""

from __future__ import annotations

import hashlib
import sqlite3
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from profilers.errors import ModelError
from profilers.measuring.settings import ProfileSettings
from profilers.models.inputs import Input, image_batch, make_batch, parse_inputs
from profilers.models.opening import SavedModel, count_parameters, open_model
from tests.conftest import SHARED
from tests.profilers.conftest import needs_compiler

torch = pytest.importorskip("torch")

from profilers.measuring.profile import profile  # noqa: E402  needs torch
from tests.profilers import hostile  # noqa: E402  needs torch
from tests.profilers.saving import (  # noqa: E402  needs torch
    FACTORY,
    IMAGES,
    compiled_in_lightning,
    data_parallel_checkpoint,
    exported,
    legacy,
    nested_entry,
    refused,
    safetensors,
    scripted,
    state_dict,
    traced,
    trained,
    try_once,
    whole,
    whole_in_a_checkpoint,
)


@pytest.fixture(scope="module")
def network() -> Any:
    return trained()


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} does not stand beside this checkout")
    return path


WEIGHTS = {"factory": FACTORY}
PROGRAM = {"trust": True}
IMAGE = (Input(None, (3, 4, 4)),)
SAVED: list[tuple[Callable[[Any, Path], None], dict[str, Any], str, tuple[Input, ...] | None]] = [
    (state_dict, WEIGHTS, "state_dict", None),
    (legacy, WEIGHTS, "state_dict", None),
    (data_parallel_checkpoint, WEIGHTS, "state_dict", None),
    (compiled_in_lightning, WEIGHTS, "state_dict", None),
    (nested_entry, WEIGHTS, "state_dict", None),
    (safetensors, WEIGHTS, "safetensors", None),
    (whole, PROGRAM, "pickle", None),
    (whole_in_a_checkpoint, PROGRAM, "pickle", None),
    (scripted, PROGRAM, "torchscript", None),
    (traced, PROGRAM, "torchscript", IMAGE),
    (exported, PROGRAM, "export", IMAGE),
]


@pytest.mark.parametrize(("save", "options", "format", "inputs"), SAVED, ids=[case[0].__name__ for case in SAVED])
def test_a_network_survives_every_format_whatever_the_file_is_called(
    save: Callable[[Any, Path], None],
    options: dict[str, Any],
    format: str,
    inputs: tuple[Input, ...] | None,
    network: Any,
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.csv"
    save(network, path)
    opened = open_model(str(path), **options)
    assert (opened.format, opened.inputs, opened.batch) == (format, inputs, None)
    assert opened.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert count_parameters(opened.module) == count_parameters(network)
    with torch.no_grad():
        assert torch.allclose(try_once(opened, (IMAGES,), {}), network(IMAGES), atol=1e-5)
        args, kwargs = make_batch(opened.inputs or IMAGE, 9, 0)
        assert try_once(opened, args, kwargs).shape == (9, 10)


@needs_compiler
def test_a_native_package_runs(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    network, rows = torch.nn.Linear(3, 2).eval(), torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    program = torch.export.export(network, (rows,))
    # compiled the quick way: without optimising, without headers made for the next compilation, without vector units
    quick = {
        "aot_inductor.compile_wrapper_opt_level": "O0",
        "aot_inductor.precompile_headers": False,
        "cpp.vec_isa_ok": False,
        "cpp.simdlen": 1,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch._inductor.aoti_compile_and_package(program, package_path=str(path), inductor_configs=quick)
    path = path.rename(tmp_path / "model.bin")
    assert "an AOTInductor package: native code" in refused(path)
    opened = open_model(str(path), trust=True)
    assert (opened.format, opened.inputs) == ("aotinductor", None)
    assert count_parameters(opened.module).total is None
    # it does not check the types of its inputs: halved ones would be read past their end
    request = ProfileSettings(str(path), trust=True, inputs=("3",), batch_size=5)
    for changed in (replace(request, precision="bf16"), replace(request, channels_last=True)):
        with pytest.raises(ModelError, match="compiled in; profile it without --precision and --channels-last"):
            profile(changed)
    with torch.no_grad():
        assert torch.allclose(try_once(opened, (rows,), {}), network(rows), atol=1e-5)


def test_the_resnet_20_of_another_author_knows_the_classes() -> None:
    """8,103 of all 10,000 are right (its author: 91.7 % of the original pixels, before these JPEG of quality 75)."""
    from profilers.datasets import load_dataset

    model = open_model(str(shared("models/akamaster-resnet20-12fca82f.th")), factory="tests.profilers.networks:ResNet20")
    assert model.notes == ("weights taken from the entry 'state_dict' of a checkpoint", "prefix 'module.' removed from every key")
    assert count_parameters(model.module).total == 269_722  # the author's table: 0.27M
    data = load_dataset(str(shared("datasets/cifar10") / "test-00000-of-00001.parquet"), limit=500)
    images = image_batch(data, normalise="imagenet")
    right, reversed_colours = (
        (try_once(model, (batch,), {}).argmax(1).numpy() == data.labels).mean() for batch in (images, images.flip(1))
    )
    assert abs(right - 0.81) < 0.05  # 3 standard errors of 500
    assert reversed_colours < right - 0.05


def test_the_torchscript_of_another_author_runs_with_its_second_input() -> None:
    path = shared("models/silero_vad.jit")
    assert "is a TorchScript program: torch.jit.load runs its __setstate__" in refused(path)
    model = open_model(str(path), trust=True)
    assert model.inputs is None
    assert model.notes == ("forward takes (x: Tensor, sr: int)",)
    assert count_parameters(model.module).total == sum(p.numel() for p in model.module.parameters())  # type: ignore[attr-defined]
    for samples, rate in ((512, 16000), (256, 8000)):
        args, kwargs = make_batch(parse_inputs([f"x={samples}"], [f"sr={rate}"]), 3, 0)
        speech = try_once(model, args, kwargs)
        assert speech.shape == (3, 1)
        assert 0 <= float(speech.min()) <= float(speech.max()) <= 1
    with pytest.raises(ModelError, match="Provided number of samples is 600") as error:
        try_once(model, *make_batch(parse_inputs(["x=600"], ["sr=16000"]), 3, 0))
    assert "\n" not in str(error.value)


def test_weights_without_a_factory_ask_for_one_and_programs_take_none(network: Any, tmp_path: Path) -> None:
    state_dict(network, tmp_path / "model.pt")
    assert "holds weights without a network; name the code that builds it, such as --factory" in refused(tmp_path / "model.pt")
    hostile.exported(tmp_path / "model.pt2")
    with pytest.raises(ValueError, match="which holds its network"):
        open_model(str(tmp_path / "model.pt2"), factory=FACTORY, trust=True)


def test_an_unknown_device_is_wrong_usage(network: Any, tmp_path: Path) -> None:
    state_dict(network, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="torch knows no such device"):
        open_model(str(tmp_path / "model.pt"), factory=FACTORY, device="gpu0")


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    assert refused(tmp_path / "model.pt").endswith("model.pt does not exist")
    assert refused(tmp_path / "run.db#a1").endswith("run.db#a1 does not exist")


def test_a_candidate_without_the_evolver_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "run.db"
    sqlite3.connect(archive).executescript("create table candidate (candidate_id text)")
    monkeypatch.setitem(sys.modules, "evolver.training.candidate", None)  # how Python itself marks what cannot be imported
    assert "this installation cannot build candidates" in refused(Path(f"{archive}#a1"))


def test_a_candidate_that_is_not_in_the_archive_is_reported(tmp_path: Path) -> None:
    pytest.importorskip("evolver.training.candidate")
    archive = tmp_path / "run.db"
    sqlite3.connect(archive).executescript("create table candidate (candidate_id text)")
    assert "run.db#a1" in refused(Path(f"{archive}#a1"))


def test_opening_leaves_no_trace_on_the_terminal(network: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    scripted(network, tmp_path / "model.pt")
    capfd.readouterr()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert isinstance(open_model(str(tmp_path / "model.pt"), trust=True), SavedModel)
    assert (capfd.readouterr(), caught) == (("", ""), [])
