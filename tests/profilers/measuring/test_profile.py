"""Whole measurements of small real models on this machine's processor, with the meters that need no hardware."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from profilers.energy.sampling.trace import read_trace
from profilers.errors import ModelError, ProfilerError
from profilers.measuring.profile import Profiled, Uncompiled, profile
from profilers.measuring.settings import Plan, ProfileSettings
from profilers.measuring.several.sweep import unfinished
from profilers.results.building import verify
from tests.conftest import ROOT, Outcome
from tests.profilers.conftest import needs_compiler, run_child
from tests.profilers.networks import Small

SHORT = Plan(ci=0.5, min_s=0.1, max_s=1.0, warm_up_s=0.1, flat_s=0.05, idle_s=0.1, group_s=0.01)
FACTORY = f"{ROOT / 'tests/profilers/measuring/test_profile.py'}:digits_network"


def digits_network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))


@pytest.fixture(autouse=True, scope="module")
def undisturbed() -> Iterator[None]:
    """What others have of this machine while the tests run is no matter of theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("profilers.measuring.measurement.processor_time", lambda: None)
        patch.setattr("profilers.measuring.device._LEARN_S", 0.5)  # the meters here update often, or never
        yield


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "net.pt"
    torch.save(digits_network().state_dict(), path)
    return path


def measured(path: Path, **more: Any) -> Profiled:
    return profile(ProfileSettings(str(path), factory=FACTORY, dataset="digits", plan=SHORT, **more))


@pytest.fixture(scope="module")
def declared(undisturbed: None, weights: Path) -> Profiled:
    """A measurement with a declared power, which is read and not changed."""
    return measured(weights, meter="constant:65")


def test_without_a_meter_energy_is_null_with_a_reason_and_all_else_is_measured(weights: Path) -> None:
    found = measured(weights).profile
    plain = found.to_dict()
    if Path("/sys/class/powercap/intel-rapl:0").exists():
        pytest.skip("this machine has RAPL")
    assert found.energy.per_inference is None
    assert "RAPL" in found.energy.reasons[0]
    assert plain["reasons"]["energy"] == found.energy.reasons[0]
    assert found.accuracy is not None
    assert found.inference_time is not None
    assert found.facts.parameters == 64 * 32 + 32 + 32 * 10 + 10
    assert found.facts.flops == 2 * (64 * 32 + 32 * 10)
    assert set(found.latency_s) == {"p50", "p90", "p95", "p99"}
    assert json.loads(json.dumps(plain, allow_nan=False))["status"] == "ok"


def test_accuracy_is_that_of_the_batches_that_were_measured(weights: Path) -> None:
    from profilers.datasets import load_dataset
    from profilers.models.inputs import image_batch

    data = load_dataset("digits")
    network = digits_network()
    network.load_state_dict(torch.load(weights, weights_only=True))
    right = int((network(image_batch(data)).argmax(1).numpy() == data.labels).sum())
    for size in (7, 100, 10_000):
        raw = measured(weights, batch_size=size).record["raw"]
        assert (raw["correct"], raw["pass_images"]) == (right, len(data.labels))


def test_a_declared_power_gives_its_energy_and_says_that_it_is_assumed(declared: Profiled) -> None:
    found = declared.profile
    assert found.energy.source == "constant:65"
    assert found.energy.per_inference is not None
    assert found.energy.per_inference.value == pytest.approx(65 / found.throughput.value, rel=1e-6)
    assert found.energy.counter is None
    assert any("assumed" in warning for warning in found.warnings)
    assert found.energy.above_idle_j is None


def test_a_trace_gives_every_figure_again_to_the_bit_and_a_changed_one_does_not(declared: Profiled, tmp_path: Path) -> None:
    file = tmp_path / "trace.parquet"
    declared.write_trace(file)
    trace, header = read_trace(file)
    again, differing = verify(trace, header)
    assert differing == []
    assert again.to_dict()["energy"] == declared.profile.to_dict()["energy"]
    changed = replace(trace, power_w=trace.power_w + 1)
    assert verify(changed, header)[1] == ["energy"]
    header["raw"]["correct"] += 1
    assert verify(trace, header)[1] == ["accuracy"]
    del header["raw"]["marks"]
    with pytest.raises(ProfilerError, match="not complete"):
        verify(trace, header)


def test_a_trace_without_a_meter_verifies_too(weights: Path, tmp_path: Path) -> None:
    measured(weights).write_trace(tmp_path / "t.parquet")
    assert verify(*read_trace(tmp_path / "t.parquet"))[1] == []


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PAR1"])
def test_anything_but_a_trace_gives_one_line(content: bytes, tmp_path: Path, ecosel: Callable[..., Outcome]) -> None:
    file = tmp_path / "t.parquet"
    file.write_bytes(content)
    outcome = ecosel("profile", "--verify", file)
    assert outcome.status == 1
    assert "not a trace written by ecosel" in outcome.err
    pl.DataFrame({"a": [1]}).write_parquet(file)
    assert "--trace FILE writes one" in ecosel("profile", "--verify", file).err


def test_a_recorded_trace_serves_as_a_meter(weights: Path, tmp_path: Path) -> None:
    recording = tmp_path / "power.csv"
    recording.write_text("time_s,power_w\n0,80\n600,80\n")
    energy = measured(weights, meter=f"replay:{recording}").profile.energy
    assert energy.source == "replay"
    assert energy.mean_power_w == pytest.approx(80)


BOARD = "board GPU-1234\nname Test board\npower 120\nperiod 0.02\nwindow 0.025\ntick 0.02\n"
BOARDS = {
    "good": "temperature 40\nsm 1400\n",
    "spoilt": "reasons 64\nprocess 4242\nfrozen 1\n",
}


@pytest.fixture(scope="module")
def boards(weights: Path, nvml_standin: Callable[..., dict[str, str]]) -> dict[str, Any]:
    """Measure over the real binding in one child, on one board of 120 W by the stand-in driver after the other."""
    code = f"""
import json, os, sys
from profilers.measuring import device
from profilers.measuring.profile import profile
from profilers.measuring.settings import Plan, ProfileSettings
device._LEARN_S = 0.5  # time for 25 updates of these boards
plan = Plan(ci=0.5, min_s=0.2, max_s=0.8, warm_up_s=0.1, flat_s=0.05, idle_s=0.3, group_s=0.02)
found = {{}}
for name, more in {BOARDS!r}.items():
    with open(os.environ["NVML_STANDIN"], "w") as file:
        file.write({BOARD!r} + more)
    one = profile(ProfileSettings({str(weights)!r}, factory={FACTORY!r}, dataset="digits", meter="nvml:0", plan=plan)).profile
    found[name] = [one.to_dict(), [*one.warnings, *one.energy.reasons]]
print(json.dumps({{**found, "compiler": "torch._dynamo" in sys.modules}}))
"""
    found: dict[str, Any] = run_child(nvml_standin(BOARD), code)
    return found


def test_the_whole_path_runs_over_the_real_nvml_binding(boards: dict[str, Any]) -> None:
    """Counter and integrated power agree, and both idles are there."""
    assert not boards["compiler"], "2 s are spent on importing a compiler that nobody asked for"
    found, _ = boards["good"]
    energy = found["energy"]
    assert found["meter"] == "nvml"
    # a starved machine sees the counter's ticks late, and then the power is preferred: test_protocol.py has the exact figures
    assert energy["source"] in ("nvml-counter", "nvml-power")
    assert energy["counter"]["value"] == pytest.approx(energy["power"]["value"], rel=0.3)
    assert energy["mean_power_w"] == pytest.approx(120, rel=0.1)
    assert energy["idle_cold_w"] == pytest.approx(120, rel=0.01)
    assert energy["idle_warm_w"] == pytest.approx(120, rel=0.01)
    assert energy["invalid"] is None


@pytest.mark.parametrize(
    "words",
    [
        "not valid for ranking: clocks were throttled: hw-thermal",
        "other processes used the board",
        "the value does not grow",
    ],
)
def test_conditions_that_spoil_a_measurement_are_reported(words: str, boards: dict[str, Any]) -> None:
    found, said = boards["spoilt"]
    assert any(words in warning for warning in said), said
    assert not any(words in warning for warning in boards["good"][1])
    # a busy machine may spoil them all
    assert (found["status"] == "invalid") == any("not valid" in warning for warning in said)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_every_precision_runs(precision: Any, weights: Path) -> None:
    assert measured(weights, precision=precision).profile.facts.precision == precision


def test_a_model_with_images_runs_channels_last(tmp_path: Path) -> None:
    path = tmp_path / "small.pt"
    torch.save(Small().state_dict(), path)
    request = ProfileSettings(
        str(path), factory=f"{ROOT / 'tests/profilers/networks.py'}:Small", inputs=("3x4x4",), channels_last=True, plan=SHORT
    )
    found = profile(request).profile
    assert found.facts.channels_last
    assert found.accuracy is None
    assert found.inference_time is None
    assert found.facts.reasons["accuracy"] == "no labels were given (--dataset)"


@needs_compiler
def test_a_compiled_model_tells_what_compiling_cost_and_when_it_pays_off(weights: Path) -> None:
    import torch._inductor.config

    # PyTorch would try six ways to compile for this processor first, which takes 7 s, and then compile headers for later
    with torch._inductor.config.patch({"cpp.vec_isa_ok": False, "cpp_cache_precompile_headers": False}):
        found = measured(weights, compile=True, limit=100, meter="constant:65").profile
    assert found.facts.flops == 2 * (64 * 32 + 32 * 10)
    assert found.compile_time_s is not None
    assert found.compile_energy_j == pytest.approx(65 * found.compile_time_s, rel=1e-6)
    if found.break_even_images is None:
        assert "break_even_images" in found.facts.reasons
    else:
        assert found.break_even_images > 0


def test_outputs_that_are_not_scores_give_no_accuracy(tmp_path: Path, weights: Path) -> None:
    path = tmp_path / "odd.pt"
    torch.save(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 7)).state_dict(), path)
    factory = tmp_path / "odd.py"
    factory.write_text("import torch\ndef odd(): return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 7))\n")
    found = profile(ProfileSettings(str(path), factory=f"{factory}:odd", dataset="digits", plan=SHORT)).profile
    assert found.accuracy is None
    assert "not one score for each of 10 classes" in found.facts.reasons["accuracy"]


def test_a_model_that_does_not_take_the_images_gives_one_line(weights: Path) -> None:
    with pytest.raises(ModelError, match="the model on a batch of 100x3x5x5 fails: ") as caught:
        profile(ProfileSettings(str(weights), factory=FACTORY, inputs=("3x5x5",), plan=SHORT))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mode": "pipelined"}, "overlaps copies to a GPU"),
        ({"batch_size": 0}, "at least 1"),
        ({"inputs": ("3x4x4",)}, "give one of them"),
        ({"device": "tpu"}, "not one of auto, cpu"),
        ({"meter": "wattmeter"}, "is not a meter"),
    ],
)
def test_a_wrong_argument_is_a_value_error(settings: dict[str, Any], words: str, weights: Path) -> None:
    with pytest.raises(ValueError, match=words):
        measured(weights, **settings)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_not_there_gives_one_line(weights: Path) -> None:
    with pytest.raises(ModelError, match="no CUDA device here"):
        measured(weights, device="cuda")


TALKATIVE = """
import os, torch
class Talkative(torch.nn.Sequential):
    def forward(self, x):
        print("from Python")
        os.write(1, b"from native code")
        return super().forward(x)
def network():
    print("from the factory")
    return Talkative(torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
"""
DEADLY = """
import pathlib, signal
def deadly():
    mark = pathlib.Path(__file__).with_suffix(".died")
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return network()
"""
PRINTED = ("from Python", "from native code", "from the factory")


def test_sweep_makes_a_row_of_every_combination_and_continues_where_it_stopped(
    hasty: None, weights: Path, tmp_path: Path, ecosel: Callable[..., Outcome]
) -> None:
    """The first child is killed, which costs its own row alone; what the others print does not get into the answer."""
    archive, code = tmp_path / "sweep.db", tmp_path / "deadly.py"
    code.write_text(TALKATIVE + DEADLY)
    model = ("profile", weights, "--factory", f"{code}:deadly", "--dataset", "digits")
    command = (*model, "--quick", "--max-seconds", "0.2", "--archive", archive)
    outcome = ecosel(*command, "--sweep", "batch=50,1000", "--format", "json")
    assert outcome.status == 0, outcome.err
    for words in PRINTED:
        assert words in outcome.err
    killed, row = json.loads(outcome.out)
    assert (killed["batch_size"], killed["status"]) == (50, "crash")
    assert killed["remarks"] == "its process was killed from outside (SIGKILL)"
    # the children see how busy this machine is: a row may be marked for that alone
    finished = row["status"] == "ok"
    assert row["batch_size"] == 1000
    assert finished or "other processes took" in row["remarks"]
    again = ecosel(*command, "--sweep", "batch=1000", "--sweep", "mode=paper,pipelined", "--format", "json")
    assert not finished or "1 of 2 combinations are in" in again.err
    rows = json.loads(again.out)
    assert [row["mode"] for row in rows] == ["paper"] * (not finished) + ["pipelined"]
    assert rows[-1]["status"] == "invalid"
    assert "overlaps copies to a GPU" in rows[-1]["remarks"]
    chosen = ecosel("select", archive, "--format", "json")
    assert chosen.status == 0 or (not finished and "none is finished: 3 invalid" in chosen.err)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--sweep", "batch=0"), "positive whole number"),
        (("--sweep", "colour=red"), "with a NAME of batch, precision"),
        (("--sweep", "batch=1", "--sweep", "batch=2"), "names batch-size twice"),
        (("--sweep", "precision=fp33"), "one of fp32"),
        (("--ci", "much"), "not a percentage"),
        (("--factory-args", "{"), "not JSON"),
        (("--max-seconds", "0"), "above 0"),
    ],
)
def test_wrong_usage_gives_one_line_and_exit_2(
    options: tuple[str, ...], words: str, weights: Path, tmp_path: Path, ecosel: Callable[..., Outcome]
) -> None:
    outcome = ecosel("profile", weights, "--factory", FACTORY, "--archive", tmp_path / "a.db", *options)
    assert outcome.status == 2, outcome.err
    assert words in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_name_that_could_drive_a_terminal_is_shown_with_marks_in_its_place(weights: Path, tmp_path: Path) -> None:
    from profilers.results.text import profile_text

    path = Path(shutil.copy(weights, tmp_path / "we\nird\x1b[31m.pt"))
    assert "we\ufffdird\ufffd[31m.pt (state_dict)" in profile_text(measured(path, limit=10).profile)


def test_the_table_shows_intervals_units_and_what_is_missing(declared: Profiled) -> None:
    from profilers.results.text import profile_text

    text = profile_text(declared.profile)
    assert "constant:65 (assumed, not measured)" in text
    assert "2,410" in text
    assert "±" in text
    assert max(map(len, text.split("\n\n")[-1].splitlines())) <= 80


WITHOUT_TORCH = "import sys; sys.modules['torch'] = None\nfrom ecosel.cli import main\nmain({!r})".format


def test_help_needs_no_torch_and_a_measurement_asks_for_it_before_anything_is_written(weights: Path, tmp_path: Path) -> None:
    def without_torch(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = WITHOUT_TORCH(["profile", *arguments])
        return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert without_torch("--help").returncode == 0
    archive = tmp_path / "runs.db"
    single = (str(weights), "--factory", FACTORY, "--dataset", "digits", "--archive", str(archive))
    for arguments in (single, (*single, "--sweep", "batch=1,2")):
        run = without_torch(*arguments)
        assert (run.returncode, run.stderr) == (1, "ecosel: torch is not installed: pip install 'ecosel[torch]'\n")
        assert not archive.exists()


def test_no_figure_of_a_profile_is_a_silent_nan(declared: Profiled) -> None:
    def numbers(value: Any) -> list[float]:
        if isinstance(value, dict):
            return [number for one in value.values() for number in numbers(one)]
        if isinstance(value, (list, tuple)):
            return [number for one in value for number in numbers(one)]
        return [value] if isinstance(value, float) else []

    assert all(map(math.isfinite, numbers(declared.profile.to_dict())))


def test_a_model_in_memory_is_measured_without_a_file() -> None:
    from profilers.inference.batches import Batch
    from profilers.runtimes.module import measure_batches

    torch.manual_seed(0)
    batches = [Batch((torch.randn(50, 1, 8, 8),), {}, 50) for _ in range(3)]
    cost = measure_batches(digits_network().eval(), batches, device="cpu", meter="constant:65", plan=SHORT)
    assert cost.energy.per_inference is not None
    assert cost.energy.per_inference.value * 150 == pytest.approx(65 * cost.inference_time.value, rel=1e-6)
    assert cost.energy.source == "constant:65"


def scripted(path: Path, network: torch.nn.Module) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(network.eval()), str(path))
    return path


def test_a_model_that_was_saved_in_half_precision_runs_in_the_precision_that_is_named(tmp_path: Path) -> None:
    path = scripted(tmp_path / "half.pt", digits_network().half())
    found = profile(ProfileSettings(str(path), trust=True, dataset="digits", plan=SHORT)).profile
    assert found.facts.precision == "fp32"
    assert "the model is saved as torch.float16 and runs in fp32" in found.warnings


def test_tf32_is_refused_where_no_hardware_has_it(weights: Path) -> None:
    with pytest.raises(ValueError, match="'tf32' needs an NVIDIA board since Ampere, and the device is cpu"):
        measured(weights, precision="tf32")


def test_fewer_images_than_a_batch_are_reported(weights: Path, declared: Profiled) -> None:
    found = measured(weights, limit=5).profile
    assert "batches hold 5 images, which are all there are" in found.warnings
    assert not any("all there are" in warning for warning in declared.profile.warnings)


def test_a_pass_that_is_not_run_to_its_end_is_called_a_sample(weights: Path) -> None:
    plan = Plan(ci=0.5, min_s=0.01, max_s=0.01, warm_up_s=0.01, flat_s=0.01, group_s=1e-6)
    found = profile(ProfileSettings(str(weights), factory=FACTORY, dataset="digits", batch_size=1, plan=plan)).profile
    assert any("a random sample of the 540 of a pass" in warning for warning in found.warnings)


def said(outcome: Outcome) -> list[str]:
    """Return the lines on standard error, but for those on waiting: another test may be measuring."""
    return [line for line in outcome.err.splitlines() if "is being measured by" not in line]


@pytest.mark.parametrize("shape", ["3x100000x100000", "99999999999999999999x4"])
def test_inputs_that_no_memory_holds_are_one_line(shape: str, weights: Path, ecosel: Callable[..., Outcome]) -> None:
    outcome = ecosel("profile", weights, "--factory", FACTORY, "--input", shape)
    assert outcome.status == 1
    [line] = said(outcome)
    assert line.startswith("ecosel: making random inputs for batches of 100")


def test_a_model_that_cannot_be_compiled_gives_one_line(tmp_path: Path, weights: Path) -> None:
    factory = tmp_path / "opaque.py"
    factory.write_text("""
import torch
@torch.library.custom_op("ecosel_test::opaque", mutates_args=())
def opaque(x: torch.Tensor) -> torch.Tensor:
    return x.clone()
class Opaque(torch.nn.Sequential):
    def forward(self, x):
        return opaque(super().forward(x))
def network():
    return Opaque(torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
""")
    request = ProfileSettings(str(weights), factory=f"{factory}:network", inputs=("1x8x8",), compile=True, plan=SHORT)
    with pytest.raises(ModelError, match=r"^compiled, the model on a batch of 100x1x8x8 fails: ") as caught:
        profile(request)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, Uncompiled)
    kept = caught.value.profiled
    assert (kept.profile.facts.compiled, kept.profile.facts.parameters) == (False, 64 * 32 + 32 + 32 * 10 + 10)


def test_neither_what_a_model_prints_nor_a_trace_that_cannot_be_written_spoils_the_answer(
    hasty: None, weights: Path, tmp_path: Path, ecosel: Callable[..., Outcome]
) -> None:
    (tmp_path / "talkative.py").write_text(TALKATIVE)
    trace = tmp_path / ("t" * 250)  # with what is added to it while it is written, too long for a name
    command = ["profile", weights, "--factory", f"{tmp_path / 'talkative.py'}:network", "--dataset", "digits", "--quick"]
    archive = tmp_path / "runs.ndjson"
    outcome = ecosel(*command, "--max-seconds", "0.1", "--format", "json", "--trace", trace, "--archive", archive)
    assert outcome.status == 1
    assert f"ecosel: cannot write {trace}: File name too long" in outcome.err
    assert json.loads(archive.read_text())["trace"] is None
    assert json.loads(outcome.out)["status"] == "ok"
    for words in PRINTED:
        assert words in outcome.err


def test_a_sweep_over_a_model_that_cannot_be_opened_makes_no_rows(
    tmp_path: Path, weights: Path, ecosel: Callable[..., Outcome]
) -> None:
    archive = tmp_path / "a.db"
    path = scripted(tmp_path / "program.pt", digits_network())
    for model, words in (
        (path, "--trust opens it"),
        (weights, "name the code that builds it"),
        (tmp_path / "none", "does not exist"),
    ):
        outcome = ecosel("profile", model, "--dataset", "digits", "--sweep", "batch=1,2", "--archive", archive)
        assert (outcome.status, outcome.out) == (1, "")
        assert words in outcome.err
    assert not archive.exists()


def test_a_sweep_retries_failures_but_not_measured_combinations(weights: Path) -> None:
    requests = [
        replace(ProfileSettings(str(weights), factory=FACTORY, dataset="digits"), batch_size=size) for size in (1, 2, 3, 4, 5)
    ]
    status = dict(zip((one.configuration for one in requests), ("ok", "oom", "invalid", "crash"), strict=False))
    assert [one.batch_size for one in unfinished(requests, status)] == [3, 4, 5]


def test_a_record_of_nonsense_gives_one_line(declared: Profiled, tmp_path: Path) -> None:
    file = tmp_path / "trace.parquet"
    declared.write_trace(file)
    trace, whole = read_trace(file)
    for spoil in (
        lambda header: header["raw"]["marks"]["groups"].clear(),
        lambda header: [group.update(images=0) for group in header["raw"]["marks"]["groups"]],
        lambda header: header["raw"].update(latencies_s=["a"]),
        lambda header: header["raw"].update(correct=10**9),
        lambda header: header.update(raw=[]),
        lambda header: header.update(profile=7),
        lambda header: header.update(facts=None),
    ):
        header = json.loads(json.dumps(whole))
        spoil(header)
        with pytest.raises(ProfilerError, match="the trace's record is not complete"):
            verify(trace, header)


def test_a_machine_that_others_used_is_named_and_the_row_is_marked(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from profilers.results.archive import row_of

    monkeypatch.setattr("profilers.measuring.measurement.lost_share", lambda before, after: 0.6)
    found = measured(weights, limit=100).profile
    assert found.status == "invalid"
    assert found.facts.processor_lost == pytest.approx(0.6)
    assert found.warnings[0].startswith("not valid for ranking: other processes took 60% of the processor time needed")
    assert any(warning.startswith("the machine was busy: other processes took 60.0%") for warning in found.warnings)
    row = row_of(found, candidate="a", configuration="c")
    assert (row["status"], row["processor_lost"]) == ("invalid", pytest.approx(0.6))


def test_the_loop_around_a_tiny_model_is_in_the_interval(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from profilers.inference.running import TorchInference

    monkeypatch.setattr(TorchInference, "loop_s", lambda self: 1.0)  # as long as can be: all of the time
    found = measured(weights, limit=100, meter="constant:65").profile
    for estimate in (found.inference_time, found.energy.per_inference):
        assert estimate is not None
        assert estimate.low is None or estimate.low <= 0
    assert any("the loop around the model takes up to 100.0% of the time" in warning for warning in found.warnings)


def test_a_trace_of_another_python_verifies() -> None:
    """Recorded by Python 3.12 and numpy 2.5 on an H200; the sum() of Python 3.12 rounds otherwise than that of 3.11."""
    assert verify(*read_trace(ROOT / "data" / "h200" / "h200_resnet18.trace.parquet"))[1] == []
