"""What only a real board can show: its counter, its sensor, the cost of sampling, and how far two runs agree."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from profilers.energy.sampling.trace import read_trace
from profilers.measuring.settings import Plan, ProfileSettings
from profilers.results.building import verify

pytestmark = pytest.mark.gpu

FACTORY = "torchvision:resnet18"
IMAGES = ("3x224x224",)


@pytest.fixture(scope="session")
def weights(results: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    import torchvision

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "resnet18.pt"
    # saved from the GPU, as training leaves it
    torch.save(torchvision.models.resnet18().cuda().state_dict(), path)
    return path


def measured(weights: Path, **more: Any) -> Any:
    from profilers.measuring.profile import profile

    return profile(ProfileSettings(str(weights), factory=FACTORY, inputs=IMAGES, device="cuda:0", **more))


def test_counter_and_integral_agree_within_2_percent_over_ten_seconds(
    weights: Path, results: dict[str, Any], results_folder: Path
) -> None:
    profiled = measured(weights, mode="device", plan=Plan(ci=0.002, min_s=10, max_s=20))
    profiled.write_trace(results_folder / "resnet18-device.parquet")
    energy = profiled.profile.energy
    results["device mode"] = profiled.profile.to_dict()
    assert energy.counter is not None, energy.reasons
    assert energy.power is not None, energy.reasons
    assert abs(energy.disagreement or 0.0) <= 0.02
    assert verify(*read_trace(results_folder / "resnet18-device.parquet"))[1] == []


def test_period_and_window_of_the_sensor_are_found(results: dict[str, Any]) -> None:
    from profilers.cli.devices import survey
    from profilers.meters.nvml.boards import machine

    found = next(iter(survey(machine(), 30.0)))
    results["sensor"] = dataclasses.asdict(found.probe) if found.probe else found.probe_reason
    assert found.probe is not None
    sensor = found.probe.power or found.probe.average_power
    assert sensor is not None
    assert sensor.update_period_s is not None, sensor.reasons
    assert sensor.averaging_window_s is not None, sensor.reasons


def test_sampling_costs_at_most_half_a_percent_of_the_throughput(weights: Path, results: dict[str, Any]) -> None:
    import torch

    from profilers.energy.sampling.sampler import Sampler, Stopwatch
    from profilers.inference.batches import Batch
    from profilers.inference.running import TorchInference
    from profilers.meters import NoMeter, find_meter
    from profilers.models.opening import open_model

    saved = open_model(str(weights), factory=FACTORY, device="cuda:0")
    batch = Batch((torch.randn(100, 3, 224, 224),), {}, 100)
    inference = TorchInference(saved.module, [batch], device=torch.device("cuda:0"), mode="device")
    meter = find_meter("nvml", "cuda:0")
    assert not isinstance(meter, NoMeter)
    inference.run(200)
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for sampled in (False, True, True, False) * 5:  # ABBA: heat falls on both alike
        with Sampler(meter) if sampled else Stopwatch():
            begin = time.perf_counter()
            inference.run(100)
            seconds[sampled].append(time.perf_counter() - begin)
    meter.close()
    cost = float(np.median(seconds[True]) / np.median(seconds[False]) - 1)
    results["sampling cost"] = {"share": cost, "n": 10, "seconds": seconds}
    assert cost <= 0.005


def test_two_runs_of_one_model_agree_within_1_5_percent(weights: Path, results: dict[str, Any], results_folder: Path) -> None:
    both = [measured(weights, mode="paper", plan=Plan(min_s=10, max_s=30)) for _ in range(2)]
    both[1].write_trace(results_folder / "resnet18-paper.parquet")
    values = [one.profile.energy.per_inference.value for one in both]
    results["two runs"] = {"joules": values, "difference": values[1] / values[0] - 1}
    results["paper mode"] = both[1].profile.to_dict()
    assert values[1] == pytest.approx(values[0], rel=0.015)


def test_modes_and_precisions_order_as_they_must(weights: Path, results: dict[str, Any]) -> None:
    plan = Plan.quick()
    found = {mode: measured(weights, mode=mode, plan=plan).profile for mode in ("paper", "pipelined", "device")}
    half = measured(weights, mode="device", precision="bf16", channels_last=True, plan=plan).profile
    results["modes"] = {mode: one.to_dict() for mode, one in found.items()} | {"bf16 channels last": half.to_dict()}
    assert found["device"].throughput.value > found["paper"].throughput.value
    assert found["pipelined"].throughput.value >= 0.95 * found["paper"].throughput.value
    assert half.energy.per_inference.value < found["device"].energy.per_inference.value
    facts = found["paper"].facts
    assert facts.to_device_s > 0
    assert facts.compute_s > 0
    assert facts.to_host_s > 0
    assert facts.peak_memory_bytes > facts.parameter_bytes
    idle = found["device"].energy
    assert 0 < idle.idle_cold_w < idle.mean_power_w
    assert 0 < idle.idle_warm_w < idle.mean_power_w


def test_pipelined_batches_arrive_whole_and_take_the_memory_of_two(results: dict[str, Any]) -> None:
    """The host enqueues 200 batches at once; a copy that came too early would mix two of them."""
    import torch

    from profilers.inference.batches import Batch
    from profilers.inference.running import TorchInference

    batches = [Batch((torch.full((100, 3, 224, 224), float(place)),), {}, 100) for place in range(8)]
    ends: list[Any] = []
    inference = TorchInference(
        lambda x: ends.append(torch.stack((x.amin(), x.amax()))), batches, device=torch.device("cuda:0"), mode="pipelined"
    )
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    inference.run(200)
    most = torch.cuda.max_memory_allocated() - before
    least, largest = torch.stack(ends).T.tolist()
    assert least == largest
    assert sorted(least) == sorted(list(range(8)) * 25)
    assert most <= 2.5 * 100 * 3 * 224 * 224 * 4
    results["pipelined memory"] = most
