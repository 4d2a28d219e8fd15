"""ONNX models measured by ONNX Runtime: as PyTorch measures its own, without PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from profilers.errors import ModelError
from tests.conftest import ROOT, Outcome, environment

onnxruntime = pytest.importorskip("onnxruntime")

from profilers.measuring.device import Device  # noqa: E402  needs onnxruntime
from profilers.measuring.profile import Profiled, profile  # noqa: E402
from profilers.measuring.runtime import Prepared, check  # noqa: E402
from profilers.measuring.settings import Plan, ProfileSettings  # noqa: E402
from profilers.runtimes.onnx_inference import run_in_time  # noqa: E402
from profilers.runtimes.onnxruntime import OnnxRuntime, threads  # noqa: E402
from tests.profilers.models.onnx import files  # noqa: E402
from tests.profilers.models.onnx.files import helper, node, tensor, values  # noqa: E402

SHORT = Plan(min_s=0.05, max_s=0.2, warm_up_s=0.05, flat_s=0.01, idle_s=0.05, group_s=0.005)
CPU = Device("cpu", "a processor", "cpu")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return files.save(files.network(), tmp_path / "net.onnx")


def measured(path: Path, **more: Any) -> Profiled:
    return profile(ProfileSettings(str(path), plan=SHORT, **more))


def prepared(path: Path, **more: Any) -> Prepared:
    settings = ProfileSettings(str(path), **more)
    check(settings)
    return OnnxRuntime().prepare(settings, CPU)


def refused(path: Path, **more: Any) -> str:
    with pytest.raises(ModelError) as error:
        prepared(path, **more)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_runtime_keeps_no_records_of_its_use(tmp_path: Path) -> None:
    places = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    code = "import profilers.runtimes.onnxruntime"
    without = {name: value for name, value in environment(**places).items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", code], check=True, env=without, cwd=ROOT)
    assert list(tmp_path.iterdir()) == []


def test_every_figure_is_measured_and_the_row_says_how(net: Path) -> None:
    found = measured(net, dataset="digits", meter="constant:10").profile
    facts = found.facts
    assert found.accuracy is not None
    assert found.energy.per_inference is not None
    assert found.inference_time is not None
    assert (facts.model_format, facts.runtime, facts.precision) == ("onnx", "onnxruntime", "fp32")
    assert (facts.parameters, facts.flops, facts.trainable_parameters) == (files.PARAMETERS, files.FLOPS, None)
    assert (facts.threads, facts.providers) == (threads(), "CPUExecutionProvider")
    assert facts.device_name.endswith(f", {threads()} threads")
    assert set(found.latency_s) == {"p50", "p90", "p95", "p99"}
    assert facts.peak_memory_of == "the whole process, ONNX Runtime and batches included"
    assert "onnxruntime" in facts.versions
    assert "torch" not in facts.versions


def test_accuracy_is_that_of_the_model_on_the_images(net: Path) -> None:
    from profilers.datasets import load_dataset
    from profilers.models.inputs import image_array

    data = load_dataset("digits", limit=250)
    (scores,) = onnxruntime.InferenceSession(str(net)).run(None, {"x": image_array(data)})
    found = measured(net, dataset="digits", limit=250, batch_size=60).profile
    assert found.accuracy is not None
    assert found.accuracy.value == np.mean(scores.argmax(axis=1) == data.labels)


LOADS_NO_TORCH = """
import sys
from ecosel.cli import main
from profilers.measuring.settings import Plan
Plan.quick = lambda **options: Plan(min_s=0.1, max_s=0.3, warm_up_s=0.1, flat_s=0.05, idle_s=0.1, group_s=0.02)
for more in {more!r}:
    try:
        main(["profile", {path!r}, "--quick", *more])
    except SystemExit as end:
        assert not end.code, end.code
    assert "onnxruntime" in sys.modules
    assert not {{"torch", "torchvision"}} & sys.modules.keys(), more
"""


def test_no_torch_is_loaded_wherever_the_images_come_from(net: Path, tmp_path: Path) -> None:
    """The twin that can fail: `import torch` in any module on the way makes the last line of the program raise."""
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for number in range(8):
        file = tmp_path / "images" / "test" / "ab"[number % 2] / f"{number}.{('jpg', 'png')[number // 4]}"
        file.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(file)
    files_of = ["--dataset", str(tmp_path / "images"), "--normalise", "none", "--batch-size", "4"]
    more = [["--dataset", "digits"], ["--input", "1x8x8", "--format", "json"], files_of]
    code = LOADS_NO_TORCH.format(path=str(net), more=more)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_missing_runtime_is_asked_for_before_anything_is_written(net: Path, tmp_path: Path) -> None:
    for package in ("onnx", "onnxruntime"):
        archive = tmp_path / f"{package}.db"
        code = f"import sys; sys.modules[{package!r}] = None\nfrom ecosel.cli import main\nmain(['profile', {str(net)!r}, '--archive', {str(archive)!r}])"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, f"ecosel: {package} is not installed: pip install 'ecosel[onnx]'\n")
        assert not archive.exists()


def test_a_trace_gives_every_figure_again(net: Path, tmp_path: Path) -> None:
    from profilers.energy.sampling.trace import read_trace
    from profilers.results.building import verify

    measured(net, dataset="digits", meter="constant:10").write_trace(tmp_path / "run.parquet")
    assert verify(*read_trace(tmp_path / "run.parquet"))[1] == []


def test_a_sweep_over_batches_makes_rows(hasty: None, net: Path, tmp_path: Path, ecosel: Callable[..., Outcome]) -> None:
    archive = tmp_path / "runs.ndjson"
    done = ecosel("profile", net, "--sweep", "batch=1,3", "--archive", archive, "--quick", "--max-seconds", "0.2")
    assert done.status == 0, done.err
    rows = pl.read_ndjson(archive)
    assert rows["batch_size"].to_list() == [1, 3]
    assert rows["runtime"].to_list() == ["onnxruntime"] * 2
    assert rows["throughput_per_s"].null_count() == 0  # the status tells whether a busy machine disturbed it
    refusal = ecosel("profile", net, "--sweep", "precision=fp32,bf16", "--archive", archive)
    assert (refusal.status, refusal.out) == (2, "")
    assert "has its precision and layout in the file; leave out --precision" in refusal.err


def test_flops_equal_pytorchs_counter_where_the_file_does_not_tell_its_shapes(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from tests.profilers.networks import Exported

    network, images = Exported().eval(), torch.randn(2, 3, 16, 16)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(images)
    path = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # the older exporter, which takes a second where the one by torch.export takes twenty: tests.benchmarks.onnx_flops
        torch.onnx.export(network, (images,), str(path), dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "b"}})
    assert prepared(path, batch_size=2, inputs=("3x16x16",)).inference.flops() == (counter.get_total_flops() / 2, None)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"compile": True}, "--compile compiles PyTorch models"),
        ({"precision": "bf16"}, "has its precision and layout in the file"),
        ({"channels_last": True}, "has its precision and layout in the file"),
        ({"mode": "pipelined"}, "mode 'pipelined' is for PyTorch models"),
        ({"factory": "torchvision:resnet18"}, "holds its network"),
    ],
)
def test_settings_that_are_pytorchs_are_wrong_usage(settings: dict[str, Any], words: str, net: Path) -> None:
    with pytest.raises(ValueError, match=words):
        check(ProfileSettings(str(net), **settings))


def test_a_batch_that_the_file_fixes_is_kept(tmp_path: Path) -> None:
    path = files.save(files.network(batch=7), tmp_path / "net.onnx")
    assert "takes only batches of 7; give --batch-size 7" in refused(path)
    found = prepared(path, batch_size=7, dataset="digits", limit=20)
    assert (found.inference.batches, found.inference.images) == (2, 14)
    assert "the last 6 images are left out: the model takes only batches of 7" in found.notes


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"inputs": ("3x8x8",)}, "the input 'x' takes 1x8x8 (without the batch), not 3x8x8"),
        ({"inputs": ("1x8x8", "4")}, "has no input for one more; it takes x"),
        ({"inputs": ("ids=1x8x8",)}, "has no input for ids; it takes x"),
        ({"inputs": ("1x8x8:int64",)}, "takes float32, not int64"),
        ({"values": ("x=red",)}, "takes float32, not 'red'"),
    ],
)
def test_inputs_that_do_not_fit_are_one_line(settings: dict[str, Any], words: str, net: Path) -> None:
    assert words in refused(net, **settings)


def test_free_sizes_are_asked_for_and_constants_fill_an_input(tmp_path: Path) -> None:
    nodes = [node("Add", "x k", "a"), node("GlobalAveragePool", "a", "y")]
    path = files.save(files.model(nodes, [], {"x": ["b", 3, "h", "w"], "k": []}), tmp_path / "net.onnx")
    assert "the input 'x' has free sizes (h, w); give --input 3x224x224" in refused(path)
    found = prepared(path, inputs=("3x5x5",), values=("k=2",), batch_size=4)
    assert found.inputs == "4x3x5x5, one number"


def test_images_that_the_model_does_not_take_are_one_line(tmp_path: Path) -> None:
    nodes = [node("Flatten", "x", "f"), node("MatMul", "f w", "y")]
    path = files.save(files.model(nodes, [tensor("w", 192, 10)], {"x": ["b", 8, 8, 3]}), tmp_path / "net.onnx")
    assert "takes inputs of 8x8x3, and the images of digits" in refused(path, dataset="digits")
    whole = files.model([node("Cast", "x", "y", to=1)], [], {"x": ["b", 1, 8, 8]}, kinds={"x": 2})
    assert "takes uint8, but normalised images are floating-point numbers" in refused(
        files.save(whole, tmp_path / "whole.onnx"), dataset="digits"
    )


def test_a_model_that_fails_as_it_runs_gives_one_line(tmp_path: Path) -> None:
    nodes = [node("Reshape", "x s", "y")]
    path = files.save(files.model(nodes, [values("s", [7, 5], "int64")], {"x": ["b", 3]}), tmp_path / "net.onnx")
    with pytest.raises(ModelError, match=r"^the model on a batch of 4x3 ") as error:
        prepared(path, batch_size=4).inference.run(1)
    assert "\n" not in str(error.value)


def test_an_operator_that_onnx_runtime_does_not_have_gives_one_line(tmp_path: Path) -> None:
    path = files.save(files.model([node("Nonesuch", "x", "y")], [], {"x": ["b", 3]}), tmp_path / "net.onnx")
    assert "Nonesuch" in refused(path)


def test_weights_beside_the_model_are_used_and_belong_to_its_configuration(tmp_path: Path) -> None:
    path = files.save_apart(files.network(), tmp_path / "net.onnx")
    whole = files.save(files.network(), tmp_path / "whole.onnx")
    outputs = [next(prepared(one, dataset="digits", limit=10).inference.outputs())[0] for one in (path, whole)]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    settings = ProfileSettings(str(path))
    before = settings.configuration
    data = tmp_path / "net.onnx.data"
    data.write_bytes(data.read_bytes()[:-1] + b"\x55")
    assert settings.configuration != before


def test_threads_are_those_that_somebody_asks_of_every_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert threads() >= 1


def test_a_device_that_this_onnx_runtime_does_not_have_gives_one_line(net: Path) -> None:
    with pytest.raises(ValueError, match="is not one of auto, cpu, cuda"):
        OnnxRuntime().find_device("mps")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(ModelError, match="runs only on the processor; pip install onnxruntime-gpu"):
            OnnxRuntime().find_device("cuda")


def test_the_answer_names_the_runtime(hasty: None, net: Path, ecosel: Callable[..., Outcome]) -> None:
    done = ecosel("profile", net, "--quick", "--max-seconds", "0.2", "--batch-size", "2")
    assert done.status == 0, done.err
    assert "fp32, batch 2, mode paper, onnxruntime; random inputs (2x1x8x8)" in done.out
    assert f"parameters  {files.PARAMETERS:,}" in " ".join(done.out.split()).replace("parameters ", "parameters  ")
    plain = json.loads(ecosel("profile", net, "--quick", "--max-seconds", "0.2", "--format", "json").out)
    assert (plain["runtime"], plain["flops"]) == ("onnxruntime", files.FLOPS)


def test_a_nested_loop_of_names_does_not_hang(tmp_path: Path) -> None:
    made = files.model([node("Identity", "a", "b"), node("Identity", "b", "a"), node("MatMul", "x a", "y")], [], {"x": ["b", 3]})
    assert refused(files.save(made, tmp_path / "net.onnx"))
    assert helper


def test_a_loop_that_never_ends_is_stopped(tmp_path: Path) -> None:
    def known(name: str, kind: int, *sizes: int) -> Any:
        return helper.make_tensor_value_info(name, kind, sizes)

    taken = [known("i", 7), known("more", 9), known("v", 1, 2)]
    turns = [node("Identity", "more", "on"), node("Identity", "v", "w")]
    body = helper.make_graph(turns, "body", taken, [known("on", 9), known("w", 1, 2)])
    loop = node("Loop", "n go x", "y", body=body)
    made = files.model(
        [loop],
        [helper.make_tensor("n", 7, (), [2**62]), helper.make_tensor("go", 9, (), [True])],
        {"x": [2]},
    )
    session = onnxruntime.InferenceSession(made.SerializeToString())
    with pytest.raises(ModelError, match="raise --max-seconds"):
        run_in_time(session, {"x": np.zeros(2, np.float32)}, max_s=0.005)
