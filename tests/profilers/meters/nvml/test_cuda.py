"""CUDA's names of devices lead to the boards that NVML knows, or to a plain word that they do not."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from profilers.errors import MeterError
from profilers.meters.nvml.boards import Board, Machine
from profilers.meters.nvml.cuda import board_of, device_named, devices_of_environment, devices_of_uuids
from tests.profilers.conftest import run_child

A, B, C = "GPU-aaaa1111", "GPU-aaaa2222", "GPU-cccc3333"


def boards(*names: str, mig: int | None = None) -> Machine:
    """Boards of the named models at A, B and C; the one at `mig` has two instances."""
    return Machine(
        "570",
        tuple(
            Board(
                place, uuid, name, f"0{place}", place == mig, (f"MIG-{uuid[4:]}-1", f"MIG-{uuid[4:]}-2") if place == mig else ()
            )
            for place, (uuid, name) in enumerate(zip((A, B, C), names, strict=False))
        ),
    )


SAME = boards("A100", "A100", "A100")
MIXED = boards("T4", "H100", "T4")


def shown(machine: Machine, **environment: str) -> list[str]:
    return [device.mig_uuid or device.board.uuid for device in devices_of_environment(machine, environment)]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("0,1,2", [A, B, C]),
        ("2,1", [C, B]),
        ("2", [C]),
        ("", []),
        ("-1", []),
        ("0,2,-1,1", [A, C]),  # the CUDA programming guide's own example
        ("0,7,1", [A]),
        ("0,0", []),
        ("1gpu2,2ampere", [B, C]),
        (" 1 , 0 ", [B, A]),
        ("none", []),
        (A, [A]),
        ("GPU-c", [C]),
        ("GPU-aaaa2,GPU-c", [B, C]),
        ("GPU-aaaa", []),  # two boards begin so
        (f"{C},GPU-nowhere,{A}", [C]),
        (f"{C},{C}", []),
        (f"{C},GPU-c", []),
        (f"{C},0", [C]),
        (f"0,{C}", [A]),
    ],
)
def test_visible_devices_are_read_as_cuda_reads_them(setting: str, expected: list[str]) -> None:
    assert shown(SAME, CUDA_VISIBLE_DEVICES=setting) == expected


def test_without_the_variable_all_boards_are_shown() -> None:
    assert shown(SAME) == [A, B, C]


# Zeus reads no CUDA_DEVICE_ORDER, so that its index N may be another board on a mixed machine.
def test_the_order_of_a_mixed_machine_is_known_by_bus_order_or_by_uuid_only() -> None:
    assert shown(MIXED, CUDA_DEVICE_ORDER="PCI_BUS_ID", CUDA_VISIBLE_DEVICES="1") == [B]
    assert shown(MIXED, CUDA_VISIBLE_DEVICES=B) == [B]
    assert shown(MIXED, CUDA_VISIBLE_DEVICES="") == []
    for order in ({}, {"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}):
        with pytest.raises(
            MeterError, match="it is unknown which board is which CUDA device: the boards differ and CUDA puts the fastest first"
        ):
            shown(MIXED, CUDA_VISIBLE_DEVICES="1", **order)


def test_a_board_that_nvml_would_not_describe_makes_indices_unknown_and_uuids_not() -> None:
    machine = Machine("570", SAME.boards[1:], ("board 0: NVML: GPU is lost",))
    with pytest.raises(MeterError, match="it is unknown which board is which CUDA device: board 0: NVML: GPU is lost"):
        shown(machine)
    assert shown(machine, CUDA_VISIBLE_DEVICES=C) == [C]


# Zeus fails with a ValueError where CUDA_VISIBLE_DEVICES names a MIG instance (issue 109).
@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("MIG-aaaa1111-2", ["MIG-aaaa1111-2"]),
        ("MIG-aaaa1111-2,MIG-aaaa1111-1", ["MIG-aaaa1111-2", "MIG-aaaa1111-1"]),
        ("MIG-aaaa1111", []),  # two instances begin so
        ("MIG-GPU-aaaa1111/1/0", ["MIG-GPU-aaaa1111/1/0"]),
        ("MIG-elsewhere", []),
        ("0", [A]),
        (C, [C]),
    ],
)
def test_mig_instances_lead_to_their_board(setting: str, expected: list[str]) -> None:
    machine = boards("A100", "A100", "A100", mig=0)
    assert shown(machine, CUDA_VISIBLE_DEVICES=setting) == expected
    devices = devices_of_environment(machine, {"CUDA_VISIBLE_DEVICES": setting})
    assert all(device.board.uuid == (C if setting == C else A) for device in devices)


def test_a_mig_board_among_others_has_no_order_without_its_instance() -> None:
    with pytest.raises(MeterError, match="it is unknown which MIG instance CUDA shows"):
        shown(boards("A100", "A100", mig=1))


def test_what_torch_reports_is_matched_by_uuid() -> None:
    machine = boards("T4", "H100", "T4", mig=1)
    devices = devices_of_uuids(machine, ["cccc3333", "aaaa2222-1"])
    assert [(device.name, device.board.uuid, device.mig_uuid) for device in devices] == [
        ("cuda:0", C, None),
        ("cuda:1", B, "MIG-aaaa2222-1"),
    ]
    with pytest.raises(MeterError, match="cuda:0 has the UUID ffff, and NVML lists no such board"):
        devices_of_uuids(machine, ["ffff"])


def test_a_device_that_cuda_does_not_show_is_named() -> None:
    assert board_of("cuda", SAME, {"CUDA_VISIBLE_DEVICES": "2"}).uuid == C
    assert board_of("cuda:1", SAME, {}).uuid == B
    with pytest.raises(MeterError, match="CUDA shows 1 device with CUDA_VISIBLE_DEVICES='2', so there is no cuda:1"):
        board_of("cuda:1", SAME, {"CUDA_VISIBLE_DEVICES": "2"})
    with pytest.raises(MeterError, match="CUDA shows no devices with CUDA_VISIBLE_DEVICES='', so there is no cuda:0"):
        board_of("cuda:0", SAME, {"CUDA_VISIBLE_DEVICES": ""})
    for name in ("cpu", "cuda:", "cuda:x", "gpu:0"):
        with pytest.raises(ValueError, match="is not a CUDA device"):
            board_of(name, SAME, {})


def test_random_settings_are_read_as_torch_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow twin: torch's own reading of the variable for its count of devices."""
    cuda = pytest.importorskip("torch").cuda
    rng = random.Random(20)
    indices = ["0", "1", "2", "3", "-1", "+1", "", "2x", "x", A]
    uuids = [A, B, C, "GPU-a", "GPU-c", "GPU-aaaa2", "GPU-", "GPU-zz", "0"]
    lengths = set()
    for _ in range(3000):
        setting = ",".join(rng.choices(rng.choice([indices, uuids]), k=rng.randint(1, 4)))
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", setting)
        entries = cuda._parse_visible_devices()
        if entries and isinstance(entries[0], str):
            entries = cuda._transform_uuid_to_ordinals(entries, [A, B, C])
        else:
            entries = entries[: next((place for place, entry in enumerate(entries) if entry >= 3), None)]
        ours = shown(SAME, CUDA_VISIBLE_DEVICES=setting)
        assert ours == [(A, B, C)[entry] for entry in entries], setting
        lengths.add(len(ours))
    assert lengths == {0, 1, 2, 3}


TWO = """clock step 0.05
board GPU-11111111-aaaa
name NVIDIA A30
power 100
board GPU-22222222-bbbb
name NVIDIA A30
power 200
migmode 1
mig MIG-9999
"""
FIND = """
import json, sys
from profilers.errors import MeterError
from profilers.meters import NoMeter, find_meter
import profilers.meters.nvml.meter as nvml
def found(spec, device):
    try:
        meter = find_meter(spec, device)
    except (MeterError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return meter.reason if isinstance(meter, NoMeter) else [meter.name, meter.scope, meter.read().power_w]
"""


def find(env: dict[str, str], *cases: tuple[str | None, str]) -> Any:
    return run_child(env, f"{FIND}print(json.dumps([found(*case) for case in {cases!r}]))")


def test_a_meter_is_found_for_a_device_or_named_for_any_run(nvml_standin: Callable[..., dict[str, str]]) -> None:
    one, two = "board GPU-11111111-aaaa (NVIDIA A30)", "board GPU-22222222-bbbb (NVIDIA A30), shared by 1 MIG instance"
    found = find(
        nvml_standin(TWO, CUDA_VISIBLE_DEVICES="GPU-2,GPU-1", CUDA_DEVICE_ORDER="PCI_BUS_ID"),
        ("nvml:1", "cpu"),
        ("nvml:GPU-11", "cpu"),
        ("nvml:MIG-9999", "cpu"),
        ("nvml:GPU-", "cpu"),
        ("nvml:7", "cuda:0"),
        ("nvml", "cpu"),
        ("nvml:", "cuda:0"),
    )
    assert found[:3] == [["nvml", two, 200], ["nvml", one, 100], ["nvml", two, 200]]
    there = "there are: 0 GPU-11111111-aaaa (NVIDIA A30), 1 GPU-22222222-bbbb (NVIDIA A30)"
    assert found[3] == f"MeterError: nvml:GPU- names several boards; {there}"
    assert found[4] == f"MeterError: nvml:7 names no board; {there}"
    assert found[5] == "ValueError: nvml measures a CUDA device, but the run is on cpu; name the board to read, such as nvml:0"
    assert found[6].startswith("ValueError: 'nvml:' is not a meter; there are nvml, ")


def test_a_cuda_device_finds_its_board_behind_cuda_visible_devices(nvml_standin: Callable[..., dict[str, str]]) -> None:
    found = find(
        nvml_standin(TWO.replace("migmode 1\nmig MIG-9999\n", ""), CUDA_VISIBLE_DEVICES="GPU-2,GPU-1"),
        (None, "cuda:0"),
        ("nvml", "cuda:1"),
        (None, "cuda:2"),
    )
    assert [found[0][2], found[1][2]] == [200, 100]
    assert found[2] == (
        "CUDA shows 2 devices with CUDA_VISIBLE_DEVICES='GPU-2,GPU-1', so there is no cuda:2; --meter constant:WATTS assumes a power"
    )


@pytest.mark.parametrize(
    ("name", "board"),
    [("cuda:0", A), ("cuda:1", B), (C, C), ("GPU-c", C), (B, B), ("GPU-aaaa", None), ("GPU-nowhere", None), ("cuda:3", None)],
)
def test_a_device_is_found_by_its_number_or_its_uuid_and_never_another_one(name: str, board: str | None) -> None:
    found = device_named(name, devices_of_environment(SAME, {}))
    assert (found and found.board.uuid) == board


def test_a_mig_instance_is_found_by_its_uuid() -> None:
    machine = boards("A100", "A100", mig=1)
    one = f"MIG-{B[4:]}-2"
    found = device_named(one, devices_of_environment(machine, {"CUDA_VISIBLE_DEVICES": one}))
    assert found is not None
    assert (found.name, found.mig_uuid, found.board.uuid) == ("cuda:0", one, B)
