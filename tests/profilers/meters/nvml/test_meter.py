"""NVML read by the real pynvml from a stand-in library: boards, capabilities, and every error at every call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.profilers.conftest import run_child

Standin = Callable[..., dict[str, str]]

UUID = "GPU-11111111-aaaa-bbbb-cccc-000000000001"
BOARD = f"""
board {UUID}
name NVIDIA H100 80GB HBM3
"""
# The stand-in's clock advances at each reading of power or energy, so nothing waits.
MOVING = f"clock step 0.05{BOARD}"

# What the children below start with.
START = f"""
import dataclasses, json, os, sys
import pynvml
from profilers.errors import MeterError
from profilers.meters.nvml.boards import machine
from profilers.meters.nvml.meter import NvmlMeter

MOVING = '''{MOVING}'''

def configure(text):
    with open(os.environ["NVML_STANDIN"] + ".new", "w") as file:
        file.write(text)
    os.replace(file.name, os.environ["NVML_STANDIN"])

def open_meter(index=0):
    return NvmlMeter(machine().boards[index], pause=lambda s: None)

def reading(meter):
    try:
        return dataclasses.asdict(meter.read())
    except MeterError as error:
        return {{"error": str(error)}}

def answer(*values):
    print(json.dumps([dataclasses.asdict(v) if dataclasses.is_dataclass(v) else v for v in values]))
"""


def child(env: dict[str, str], code: str) -> Any:
    return run_child(env, START + code)


def opened(env: dict[str, str]) -> Any:
    return child(env, "m = open_meter()\nanswer(reading(m), m.capabilities(), m.conditions(), m.scope)")


def test_one_call_reads_power_average_and_counter_with_the_drivers_stamps(nvml_standin: Standin) -> None:
    # 75 W, 300 W from 9.5 s on: at 10 s the 1 s average is (75 + 300) / 2 and the counter grew by 9.5 * 75 + 0.5 * 300 J
    reading, able, scope = child(
        nvml_standin(MOVING + "power 75\n"),
        "m = open_meter()\n"
        f"configure('''clock at 10{BOARD}power 75\\nstep 9.5 300\\ncounter 200000\\n''')\n"
        "answer(reading(m), m.capabilities(), m.scope)",
    )
    assert reading["power_w"] == 300
    assert reading["average_power_w"] == 187.5
    assert reading["energy_j"] == pytest.approx(200000 + 862.5, abs=1e-3)
    assert reading["power_time_s"] == reading["energy_time_s"] == 1.7e9 + 10
    assert 0 < reading["duration_s"] < 0.1
    assert reading["warnings"] == []
    assert (able["power"], able["average_power"], able["energy"], able["notes"]) == (True, True, True, [])
    assert able["averaging_window_s"] is None
    assert scope == f"board {UUID} (NVIDIA H100 80GB HBM3)"


def test_a_board_without_instant_power_says_its_average_and_its_window(nvml_standin: Standin) -> None:
    fields = "".join(f"fail field:{field}:{scope} 3\n" for field in (185, 186) for scope in (0, 1))
    reading, able, _, _ = opened(nvml_standin(MOVING + "power 200\ncc 8 6\n" + fields))
    assert (reading["power_w"], reading["average_power_w"]) == (None, 200)
    assert (able["power"], able["average_power"], able["averaging_window_s"]) == (False, True, 1.0)
    assert "no instant power: instant power: Not Supported (field 186)" in able["notes"][0]


@pytest.mark.parametrize(
    ("capability", "instant"),
    [("7 0", True), ("7 5", True), ("8 0", True), ("8 6", False), ("8 9", False), ("9 0", False), ("12 0", False)],
)
def test_power_usage_is_instant_up_to_ga100_and_an_average_from_ga102_on(
    nvml_standin: Standin, capability: str, instant: bool
) -> None:
    reading, able, _, _ = opened(nvml_standin(f"{MOVING}power 200\ncc {capability}\n", old_driver=True))
    assert (able["power"], able["average_power"]) == (instant, not instant)
    assert (reading["power_w"], reading["average_power_w"]) == ((200, None) if instant else (None, 200))
    assert able["notes"][-1].endswith(f"{'is instant' if instant else 'may be a one-second average'} on this board")


def test_a_board_whose_kind_is_unknown_is_taken_to_average(nvml_standin: Standin) -> None:
    _, able, _, _ = opened(nvml_standin(MOVING + "cc 7 0\nfail nvmlDeviceGetCudaComputeCapability 999\n", old_driver=True))
    assert (able["power"], able["average_power"]) == (False, True)


def test_an_old_driver_still_gives_power_counter_temperature_and_reasons(nvml_standin: Standin) -> None:
    config = MOVING + "power 250\ncc 7 0\nreasons 4\ntemperature 61\nprocess 7\n"
    reading, able, conditions, _ = opened(nvml_standin(config, old_driver=True))
    assert (reading["power_w"], able["energy"]) == (250, True)
    assert reading["power_time_s"] is None  # those functions have no stamps
    assert conditions == {"temperature_c": 61, "clock_hz": 1.98e9, "slowdowns": ["power-cap"], "other_processes": 1}
    assert "Function Not Found (nvmlDeviceGetFieldValues)" in " ".join(able["notes"])


def test_module_scope_is_used_and_named_if_the_gpu_has_no_reading(nvml_standin: Standin) -> None:
    functions = "fail nvmlDeviceGetPowerUsage 3\nfail nvmlDeviceGetTotalEnergyConsumption 3\nfail field:83:0 3\n"
    reading, able, _, scope = opened(nvml_standin(MOVING + "power 500\nmodule 1\n" + functions))
    assert (reading["power_w"], reading["average_power_w"]) == (500, 500)
    assert reading["energy_j"] > 1e5
    assert scope.startswith("module of board GPU-")
    assert able["notes"] == ["module scope: the GPU and everything on its supply, since the GPU does not report its own power"]


def test_power_of_the_module_beside_a_counter_of_the_gpu_is_reported(nvml_standin: Standin) -> None:
    _, able, _, _ = opened(nvml_standin(MOVING + "module 1\nfail nvmlDeviceGetPowerUsage 3\n"))
    assert "power and counter have different scopes, so they cannot be compared" in able["notes"]


def test_a_mig_board_says_who_shares_its_power(nvml_standin: Standin) -> None:
    _, able, _, scope = opened(nvml_standin(MOVING + "migmode 1\nmig MIG-1\nmig MIG-2\nmig MIG-3\n"))
    assert scope.endswith(", shared by 3 MIG instances")
    assert able["notes"] == ["power is the whole board's, shared by 3 MIG instances"]


def test_conditions_name_every_reason_and_count_the_processes_of_others(nvml_standin: Standin) -> None:
    bits = 0x1 | 0x4 | 0x8 | 0x20 | 0x40 | 0x80 | 0x4000
    _, _, conditions, _ = opened(nvml_standin(MOVING + f"reasons {bits}\nprocess 11\nprocess 12\nprocess self\nsm 1410\n"))
    names = ["power-cap", "hw-slowdown", "sw-thermal", "hw-thermal", "power-brake", "reason-0x4000"]
    assert conditions == {"temperature_c": 40, "clock_hz": 1.41e9, "slowdowns": names, "other_processes": 2}


def test_an_idle_board_alone_has_no_slowdowns_and_no_others(nvml_standin: Standin) -> None:
    _, _, conditions, _ = opened(nvml_standin(MOVING + "reasons 1\n"))
    assert (conditions["slowdowns"], conditions["other_processes"]) == ([], 0)


# Zeus tells by the architecture whether there is a counter; a board may have the call and no counter behind it.
@pytest.mark.parametrize("fault", ["frozen 1", "counter 0\npower 0", "raw field:191:0 0\nraw field:83:0 0\nraw nvmlDeviceGetTotalEnergyConsumption 0"])  # fmt: skip
def test_a_counter_that_does_not_grow_is_not_a_capability(nvml_standin: Standin, fault: str) -> None:
    reading, able, _, _ = child(
        nvml_standin(f"{MOVING}{fault}\nraw field:186:0 80000\nraw field:185:0 80000\n"),
        "m = open_meter()\nanswer(reading(m), m.capabilities(), 0, 0)",
    )
    assert (able["energy"], reading["energy_j"], reading["power_w"]) == (False, None, 80)
    assert able["notes"][0].startswith("no energy counter: energy counter of the module: Not Supported (field 191)")
    assert able["notes"][0].endswith("the value does not grow")


def test_the_second_counter_serves_where_the_first_is_frozen(nvml_standin: Standin) -> None:
    reading, able, _, _ = opened(nvml_standin(MOVING + "raw field:191:0 5000\n"))
    assert able["energy"] is True
    assert reading["energy_j"] > 1e5


def test_a_counter_that_fell_has_no_number_ever_again(nvml_standin: Standin) -> None:
    answers = child(
        nvml_standin(MOVING),
        "m = open_meter()\nout = []\n"
        "for at, extra in ((50, ''), (60, 'backward 55 1000'), (61, 'backward 55 1000'), (90, 'backward 55 1000')):\n"
        f"    configure(f'''clock at {{at}}{BOARD}{{extra}}\\n''')\n"
        "    out.append(reading(m))\nanswer(*out)",
    )
    assert answers[0]["energy_j"] == pytest.approx(1e5 + 50 * 75)
    for later in answers[1:]:
        assert later["energy_j"] is None
        assert later["power_w"] == 75
        assert later["warnings"] == ["counter-backward: the energy counter fell from 103750.000 to 103500.000 J"]


def test_a_counter_that_stops_is_named_and_has_no_number(nvml_standin: Standin) -> None:
    first, later = child(
        nvml_standin(MOVING),
        "now = [0.0]\nm = NvmlMeter(machine().boards[0], clock=lambda: now[0], pause=lambda s: None)\n"
        f"configure('''clock at 20{BOARD}''')\n"
        "a = reading(m)\nnow[0] = 4.0\nanswer(a, reading(m))",
    )
    assert first["energy_j"] == pytest.approx(101500)
    assert (later["energy_j"], later["power_w"]) == (None, 75)
    assert later["warnings"] == ["counter-frozen: the energy counter has not moved for 4.0 s"]


@pytest.mark.parametrize(
    ("raw", "number", "warning"),
    [
        ("raw field:186:0 0", "power_w", "power-unbelievable: the board says 0 mW"),
        ("raw field:186:0 nan", "power_w", "power-unbelievable: the board says nan mW"),
        ("raw field:186:0 4294967295", "power_w", "power-unbelievable: the board says 4294967295 mW"),
        ("raw field:185:0 0", "average_power_w", "power-unbelievable: the board says 0 mW"),
        ("raw field:191:0 0", "energy_j", "counter-unbelievable: the energy counter reads nan J"),
        ("raw field:191:0 nan", "energy_j", "counter-unbelievable: the energy counter reads nan J"),
        ("raw field:191:0 1.9e19", "energy_j", "counter-unbelievable: the energy counter reads nan J"),
    ],
)
def test_a_number_that_cannot_be_is_a_named_warning(nvml_standin: Standin, raw: str, number: str, warning: str) -> None:
    (reading,) = child(nvml_standin(MOVING), f"m = open_meter()\nconfigure(MOVING + {raw!r})\nanswer(reading(m))")
    assert reading.pop(number) is None
    assert reading["warnings"] == [warning]
    assert all(reading[other] > 0 for other in ("power_w", "average_power_w", "energy_j") if other in reading)


def test_a_board_that_says_0_w_at_first_is_asked_again(nvml_standin: Standin) -> None:
    (able,) = child(
        nvml_standin(MOVING + "raw field:186:0 0\nraw field:185:0 0\nfail nvmlDeviceGetPowerUsage 3\n"),
        "m = NvmlMeter(machine().boards[0], pause=lambda s: configure(MOVING))\nanswer(m.capabilities())",
    )
    assert (able["power"], able["average_power"]) == (True, True)


# perun turns an NVML error into 0 W, CodeCarbon no reading into no energy.
def test_every_error_at_every_call_is_a_warning_a_note_none_or_a_meter_error(nvml_standin: Standin) -> None:
    faults = child(
        nvml_standin(MOVING),
        """
codes = sorted({v for k, v in vars(pynvml).items() if k.startswith("NVML_ERROR_")})
assert len(codes) >= 31, codes
listing = ["nvmlInitWithFlags", "nvmlShutdown", "nvmlSystemGetDriverVersion", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2",
           "nvmlDeviceGetUUID", "nvmlDeviceGetName", "nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetMigMode", "nvmlDeviceGetMaxMigDeviceCount",
           "nvmlDeviceGetMigDeviceHandleByIndex"]
opening = ["nvmlDeviceGetHandleByUUID", "nvmlDeviceGetCudaComputeCapability"]
reads = ["nvmlDeviceGetFieldValues", "field:186:0", "field:185:0", "field:191:0", "field:83:0", "field:186:1", "field:185:1",
         "field:191:1", "nvmlDeviceGetPowerUsage", "nvmlDeviceGetTotalEnergyConsumption"]
context = ["nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature", "nvmlDeviceGetClockInfo", "nvmlDeviceGetCurrentClocksEventReasons",
           "nvmlDeviceGetCurrentClocksThrottleReasons", "running"]
NUMBERS = {"power_w": "power", "average_power_w": "average_power", "energy_j": "energy"}
wrong, refused, warned, lines = [], {}, 0, set()

def judge(where, meter):
    global warned
    able, conditions = meter.capabilities(), meter.conditions()
    reading = meter.read()
    for number, capability in NUMBERS.items():
        value = getattr(reading, number)
        if value is None and not (reading.warnings if getattr(able, capability) else able.notes):
            wrong.append((where, number, "missing without a word"))
        elif value is not None and not value > 0:
            wrong.append((where, number, value))
    for number in ("temperature_c", "clock_hz"):
        if getattr(conditions, number) is not None and not getattr(conditions, number) > 0:
            wrong.append((where, number, getattr(conditions, number)))
    if where[0] == "running" and conditions.other_processes is not None:
        wrong.append((where, "other_processes", conditions.other_processes))
    warned += bool(reading.warnings)

for code in codes:
    for call in listing + opening + reads + context:
        for also in ("", "migmode 1\\nmig MIG-1\\n") if call in listing else ("",):
            base, failing = MOVING + "process 5\\n" + also, f"fail {call} {code}\\n"
            if call == "running":
                failing = "".join(f"fail nvmlDeviceGetComputeRunningProcesses_v{n} {code}\\n" for n in (2, 3))
            for before, after in ((failing, failing), ("", failing)):
                configure(base + before)
                meter = None
                try:
                    meter = open_meter() if machine().boards else None
                    if meter is None:
                        assert machine().problems, (call, code)
                        continue
                    configure(base + after)
                    judge((call, code, bool(also), bool(before)), meter)
                except MeterError as error:
                    refused[call] = refused.get(call, 0) + 1
                    lines.add(str(error))
                finally:
                    if meter is not None:
                        meter.close()
assert all(line and "\\n" not in line for line in lines)
answer(wrong, refused, warned, len(codes))
""",
    )
    wrong, refused, warned, codes = faults
    assert wrong == []
    # with and without MIG, and from the start or from after the start
    assert refused == {
        "nvmlInitWithFlags": 2 * codes,
        "nvmlDeviceGetCount_v2": 2 * codes,
        "nvmlDeviceGetHandleByUUID": codes,
        "nvmlDeviceGetFieldValues": codes,
    }
    assert warned == 3 * codes  # the three fields in use, failing after the start


def test_a_failing_field_is_none_with_the_name_of_the_error(nvml_standin: Standin) -> None:
    (reading,) = child(nvml_standin(MOVING), "m = open_meter()\nconfigure(MOVING + 'fail field:186:0 15')\nanswer(reading(m))")
    assert reading["power_w"] is None
    assert reading["warnings"] == ["nvml-error: instant power: GPU is lost (field 186)"]


def test_a_lost_board_is_a_meter_error_that_names_it(nvml_standin: Standin) -> None:
    (reading,) = child(
        nvml_standin(MOVING), "m = open_meter()\nconfigure(MOVING + 'fail nvmlDeviceGetFieldValues 15')\nanswer(reading(m))"
    )
    assert reading["error"].startswith(f"board {UUID} (NVIDIA H100 80GB HBM3) cannot be read: instant power: GPU is lost")


def test_a_board_without_any_number_is_refused_with_the_reasons(nvml_standin: Standin) -> None:
    fields = "".join(f"fail field:{f}:{s} 3\n" for f in (83, 185, 186, 191) for s in (0, 1))
    functions = "fail nvmlDeviceGetPowerUsage 3\nfail nvmlDeviceGetTotalEnergyConsumption 3\n"
    (error,) = child(
        nvml_standin(MOVING + fields + functions),
        "try:\n    open_meter()\nexcept MeterError as error:\n    answer(str(error))",
    )
    assert "reports neither power nor energy: no instant power: instant power: Not Supported" in error


def test_a_forked_child_opens_nvml_anew_and_leaves_the_parents_open(nvml_standin: Standin) -> None:
    env = nvml_standin(MOVING + "power 120\n")
    parent, of_child, raw = child(
        env,
        """
m = open_meter()
ours = m._handle
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    try:
        pynvml.nvmlDeviceGetPowerUsage(ours)
        raw = "survived"
    except pynvml.NVMLError as error:
        raw = str(error)
    os.write(w, json.dumps([reading(m)["power_w"], m.conditions().temperature_c, raw]).encode())
    m.close()
    os._exit(0)
os.waitpid(pid, 0)
power, temperature, raw = json.loads(os.read(r, 10000))
answer(reading(m), [power, temperature], raw)
""",
    )
    assert raw == "Uninitialized"  # the stand-in, like the real library, does not survive a fork
    assert of_child == [120, 40]
    assert parent["power_w"] == 120


def test_two_threads_may_read_at_once(nvml_standin: Standin) -> None:
    numbers = child(
        nvml_standin(f"clock real{BOARD}power 100\ntick 0.001\n"),
        """
from concurrent.futures import ThreadPoolExecutor
sys.setswitchinterval(1e-5)
m = NvmlMeter(machine().boards[0])
with ThreadPoolExecutor(4) as pool:
    readings = [one for many in pool.map(lambda _: [m.read() for _ in range(500)], range(4)) for one in many]
answer(sorted({one.power_w for one in readings}), sum(one.energy_j is None for one in readings), [w for one in readings for w in one.warnings][:3])
""",
    )
    assert numbers == [[100], 0, []]


def test_a_missing_driver_is_one_plain_line(nvml_standin: Standin) -> None:
    env = nvml_standin(MOVING)
    env.pop("LD_LIBRARY_PATH")
    (error,) = child(env, "try:\n    machine()\nexcept MeterError as error:\n    answer(str(error))")
    if "board" in error:
        pytest.skip("this machine has a driver of its own")
    assert error == "no NVIDIA driver on this machine"


def test_boards_are_listed_with_uuid_name_and_bus(nvml_standin: Standin) -> None:
    (two,) = child(nvml_standin(MOVING + "board GPU-2\nname NVIDIA A30\nbus 00000000:41:00.0\n"), "answer(machine())")
    assert [(b["index"], b["uuid"], b["name"], b["bus"]) for b in two["boards"]] == [
        (0, UUID, "NVIDIA H100 80GB HBM3", "00000000:01:00.0"),
        (1, "GPU-2", "NVIDIA A30", "00000000:41:00.0"),
    ]
    assert two["driver"] == "570.124.06"
    assert two["problems"] == []
