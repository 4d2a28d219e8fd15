"""Cells with units, durations and errors are numbers of one unit, or stop with both cells."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from ecosel.errors import ArchiveError
from ecosel.readers.cells.units import read_quantities
from ecosel.selection import Selection, select


def read(cells: list[Any], unit: str | None = None) -> tuple[list[Any], str | None]:
    found = read_quantities(pl.Series("x", cells), rows=pl.Series(range(len(cells))), unit=unit)
    return found.numbers.to_list(), found.unit


@pytest.mark.parametrize(
    ("cells", "numbers", "unit"),
    [
        (["12.3 ms", "4 ms", None, "n/a"], [12.3, 4, None, None], "ms"),
        (["45.2M", "1.5M"], [45.2, 1.5], "M"),
        (["85 mJ", "7mJ"], [85, 7], "mJ"),
        (["1.2k", "3k"], [1.2, 3], "k"),
        (["7B", "13B"], [7, 13], "B"),
        (["1,024.5 MB", "2 MB"], [1024.5, 2], "MB"),
        (["12 img/s", "9 img/s"], [12, 9], "img/s"),
        (["3 layers", "5 layers"], [3, 5], "layers"),
        (["1.5e-3 s", "2 s"], [0.0015, 2], "s"),
        (["12 ms", "1.5 s"], [0.012, 1.5], "s"),
        (["500 mJ", "2 J", "0.001 kJ"], [0.0005, 0.002, 0.001], "kJ"),
        (["900", "1.2k"], [0.9, 1.2], "k"),
        (["512 KB", "2 MB"], [0.512, 2], "MB"),
        (["512 MiB", "2 GiB"], [0.5, 2], "GiB"),
        (["250 mW", "1 W"], [0.25, 1], "W"),
        (["1 Wh", "1800 J"], [1, 0.5], "Wh"),
        (["5 GFLOPs", "900 MFLOPs"], [5, 0.9], "GFLOPs"),
        (["12 ms/img", "0.02 s/img"], [0.012, 0.02], "s/img"),
        (["0 days 00:00:01.5", "0 days 00:01:00"], [1.5, 60], "s"),
        (["1 day, 0:00:01", "00:00:02"], [86401, 2], "s"),
        (["1.5", "2"], [1.5, 2], None),
        (["5.3M", "900000", "0"], [5.3, 0.9, 0], "M"),
        (["1.2k", "850"], [1.2, 0.85], "k"),
        (["5.3M params", "900k params"], [5.3, 0.9], "M params"),
        (["1.2 × 10^9", "3.4E+08", "4.1×10⁹", "5 x 10^−3"], [1.2e9, 3.4e8, 4.1e9, 5e-3], None),
        (["1.2 × 10^9 FLOPs", "4·10⁸ FLOPs"], [1.2e9, 4e8], "FLOPs"),
    ],
)
def test_one_unit_is_kept_and_several_of_one_kind_become_the_largest(
    cells: list[Any], numbers: list[Any], unit: str | None
) -> None:
    found, its = read(cells)
    assert [value if value is None else pytest.approx(value) for value in found] == numbers
    assert its == unit


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["12 ms", "3 mJ"], "column 'x': '12 ms' in row 0 and '3 mJ' in row 1 are units of different kinds"),
        (["12 ms", "13"], "column 'x': '12 ms' in row 0 has a unit, but '13' in row 1 has none; give all cells their unit"),
        (["13", "12 ms"], "column 'x': '12 ms' in row 1 has a unit, but '13' in row 0 has none"),
        (["5.3M", "25.6"], "column 'x': '25.6' in row 1 has no unit, unlike '5.3M' in row 0; give all cells their unit"),
        (["25", "5.3M", "1B"], "column 'x': '25' in row 0 has no unit, unlike '5.3M' in row 1"),
        (["1.2k", "12.5"], "column 'x': '12.5' in row 1 has no unit, unlike '1.2k' in row 0"),
        (["$2", "3 ms"], "'$2' in row 0 and '3 ms' in row 1 are units of different kinds"),
        (["3 layers", "4 blocks"], "'3 layers' in row 0 and '4 blocks' in row 1 are units of different kinds"),
        (["12 ms", "OOM"], "'OOM' in row 1 is not a number"),
        (["12 ms", "12 %"], "is not a number"),
    ],
)
def test_mixed_kinds_stop_with_both_cells(cells: list[Any], words: str) -> None:
    with pytest.raises(ArchiveError) as refused:
        read(cells)
    assert words in str(refused.value)


def test_cells_of_a_column_whose_name_has_a_unit_are_converted_to_it() -> None:
    assert read(["12 ms", "1 s"], "s")[0] == pytest.approx([0.012, 1])
    assert read(["45.2M", "900k"], "")[0] == pytest.approx([45.2e6, 9e5])
    assert read(["5.3M params", "900k"], "")[0] == pytest.approx([5.3e6, 9e5])
    for cells, unit, to in ((["3 mJ"], "s", "s"), (["3 GFLOPs"], "", "a plain number")):
        with pytest.raises(ArchiveError, match=f"'{cells[0]}' in row 0 cannot be converted to {to}; correct the unit"):
            read(cells, unit)


def test_flops_are_counted_in_flops_but_not_in_multiplications_or_per_second() -> None:
    models = {"accuracy": [0.9, 0.8], "flops": ["3.4 GFLOPs", "900 MFLOPS"]}
    chosen = select(pl.DataFrame(models), {"accuracy": "max", "flops": "min"})
    assert chosen.models["flops"].to_list() == pytest.approx([3.4e9, 9e8])
    assert "flops: 'GFLOPs' and 'MFLOPS' are converted to plain numbers" in chosen.remarks
    for wrong in ("3.4 GMACs", "3.4 GFLOP/s"):
        with pytest.raises(ArchiveError, match="column 'flops'"):
            select(pl.DataFrame({**models, "flops": [wrong, wrong]}), {"accuracy": "max", "flops": "min"})


def chosen(cells: list[str], **options: Any) -> Selection:
    models = pl.DataFrame({"acc": [0.9, 0.8, 0.7][: len(cells)], "latency": cells})
    return select(models, {"acc": "max", "latency": "min"}, **options)


def test_a_unit_is_shown_in_the_heading_and_a_conversion_is_a_remark() -> None:
    text = str(chosen(["12.3 ms", "4 ms"]))
    assert "latency\n" not in text.split("distance")[0] or "(ms)" in text
    assert "(ms)" in text
    selection = chosen(["12 ms", "1.5 s"])
    assert selection.units == {"latency": "s"}
    assert "latency: 'ms' and 's' are converted to 's'" in selection.remarks
    assert selection.to_dict()["units"] == {"latency": "s"}


def test_a_limit_may_name_a_unit() -> None:
    cells = ["12.3 ms", "4 ms", "900 ms"]
    assert chosen(cells, limits=["latency <= 0.01 s"]).choices[0].front == (1,)
    assert chosen(cells, limits=["latency <= 5"]).choices[0].front == (1,)
    canonical = pl.DataFrame({"accuracy": [0.9, 0.8], "energy_per_inference_j": [0.03, 0.01]})
    assert select(canonical, limits=["energy_per_inference_j <= 20 mJ"]).choices[0].front == (1,)
    with pytest.raises(ValueError, match="the limit latency <= 5 J: latency is in ms, not in J"):
        chosen(cells, limits=["latency <= 5 J"])


def test_filters_compare_cells_with_a_unit_as_numbers(tmp_path: Any, ecosel: Any) -> None:
    (tmp_path / "t.csv").write_text("acc,latency,size\n0.9,12.3 ms,45M\n0.8,4 ms,7M\n")
    outcome = ecosel(
        "select", tmp_path / "t.csv", "--maximize", "acc", "--minimize", "latency", "--where", "size < 10", "--format", "csv"
    )
    assert (outcome.status, outcome.out.count("\n0") + outcome.out.count(",1,")) == (0, 6), outcome
    quoted = ecosel("select", tmp_path / "t.csv", "--maximize", "acc", "--minimize", "latency", "--where", "size = '7M'")
    assert "1 of 2 models used (1 filtered)" in " ".join(quoted.out.split())


def test_what_stands_after_a_plus_minus_is_the_error() -> None:
    selection = chosen(["12.3 ± 0.4 ms", "4 +/- 0.1 ms", "2 ms"])
    assert selection.models["latency_std"].to_list() == [0.4, 0.1, None]
    assert selection.units == {"latency": "ms"}
    assert selection.choices[0].resampling is not None
    assert "the number after ± in latency is read as its standard deviation" in selection.remarks
    mixed = chosen(["12 ± 1 ms", "1.5 ± 0.5 s"])
    assert mixed.models["latency_std"].to_list() == pytest.approx([0.001, 0.5])
