"""What a page carries of an archive: fronts whole, heat maps that count all, letters, ranges of interest."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from ecosel.choosing.scoring import distances
from ecosel.objectives import Objective
from ecosel.output.characters import shortened
from ecosel.output.measures import measure
from ecosel.report.page import _sampled as sampled
from ecosel.report.view.axes import axis
from ecosel.report.view.letters import letter, lettered
from ecosel.report.view.mark_data import WIDTH, error_rows, heat_rows, letter_rows, segment_rows, share_rows
from ecosel.report.view.view import ALL_DRAWN, HEAT_CELLS, group_views, heat_map, told_apart
from ecosel.samples import sample
from ecosel.selection import select
from tests.ecosel.report.archives import archive

YOUNG = pl.read_csv(sample("young2019.csv"))
DIGITS = pl.read_csv(sample("digits_mlp.csv"))


def test_letters_of_the_paper_are_those_of_its_table() -> None:
    letters = lettered(select(YOUNG, by=["dataset"], labels=["model"], preset="paper"))
    assert [(model.letter, YOUNG["model"][model.row]) for model in letters] == [(c, c) for c in "ABCDEFGHIJ"]


def test_letters_continue_after_z() -> None:
    assert [letter(k) for k in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]


def test_roles_are_gathered_in_words() -> None:
    first = lettered(select(YOUNG, by=["dataset"]))[0]
    assert first.roles == (
        "best trade-off: inference time, parameters, energy per inference, all objectives together",
        "lowest inference time, parameters, energy per inference",
    )


def test_up_to_the_limit_every_model_is_shipped_and_above_it_every_front() -> None:
    small, large = archive(ALL_DRAWN), archive(ALL_DRAWN + 1)
    (view,) = group_views(select(small))
    assert (view.models.height, view.is_sampled) == (ALL_DRAWN, False)
    assert all(not panel.heat for panel in view.panels)
    selection = select(large)
    (view,) = group_views(selection)
    assert view.is_sampled
    shipped = set(view.models["ecosel:row"])
    for choice in selection.choices:
        assert set(choice.front) <= shipped
    assert len(shipped) < 3_000


def test_the_sample_is_the_same_each_time_and_another_with_another_seed() -> None:
    frame = archive(6_000)
    first, again, other = (group_views(select(frame, seed=seed))[0].models["ecosel:row"].to_list() for seed in (0, 0, 1))
    assert first == again != other


def test_the_budget_is_shared_by_the_groups() -> None:
    frame = archive(12_000).with_columns(pl.Series("set", [k % 10 for k in range(12_000)]))
    views = group_views(select(frame, by=["set"]))
    assert len(views) == 10
    assert sum(view.models.height for view in views) < 6_000


def test_a_thinned_front_keeps_every_model_that_can_be_the_pick() -> None:
    angle = np.random.default_rng(3).uniform(0, np.pi / 2, 20_000)
    frame = pl.DataFrame(
        {"accuracy": 1 - np.cos(angle) ** 0.5, "parameters": np.sin(angle) ** 0.5}
    )  # all on the front, few can win
    selection = select(frame)
    (view,) = group_views(selection)
    (choice,) = view.choices
    assert len(choice.front) == 20_000
    shipped = set(view.fronts[0].tolist())
    assert len(shipped) < 8_000
    ideal, scale = (np.array(list(part.values())) for part in (choice.ideal, choice.scale))
    for weight in np.linspace(0.01, 0.99, 99):
        nearest = distances((choice.values - ideal) / scale, np.array([weight, 1 - weight])).argmin()
        assert choice.front[int(nearest)] in shipped, weight


def test_a_front_of_winners_alone_is_thinned_and_says_so() -> None:
    angle = np.random.default_rng(3).uniform(0, np.pi / 2, 40_000)
    (view,) = group_views(select(pl.DataFrame({"accuracy": np.sin(angle), "parameters": 1 - np.cos(angle)})))
    assert len(view.fronts[0]) < 15_000
    assert "may be a neighbour" in sampled(view)
    (whole,) = group_views(select(archive(6_000)))
    assert "may be a neighbour" not in sampled(whole)


@pytest.mark.parametrize("seed", range(5))
def test_a_heat_map_counts_every_point_inside_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    xs, ys = rng.normal(0, 1, (2, 3_000))
    x, y = (-1.0, 1.5), (-2.0, 0.5)
    heat = heat_map(xs, ys, x, y)
    twin: dict[tuple[int, int], int] = {}
    for a, b in zip(xs, ys, strict=True):
        cell = (math.floor((a - x[0]) / (x[1] - x[0]) * HEAT_CELLS[0]), math.floor((b - y[0]) / (y[1] - y[0]) * HEAT_CELLS[1]))
        if 0 <= cell[0] < HEAT_CELLS[0] and 0 <= cell[1] < HEAT_CELLS[1]:
            twin[cell] = twin.get(cell, 0) + 1
    assert {tuple(cell): int(count) for cell, count in zip(heat.cell.tolist(), heat.count, strict=True)} == twin, seed


def test_cells_of_a_logarithmic_heat_map_hold_their_points() -> None:
    frame = archive(6_000)
    (view,) = group_views(select(frame))
    panel = view.panels[1]
    rows = heat_rows(view, panel, zoom=False, log=True)
    assert rows["n"].sum() == 6_000
    densest = rows.sort("n", descending=True).row(0, named=True)
    inside = frame.filter(
        pl.col("parameters").is_between(densest["v2"], densest["x2"])
        & pl.col("accuracy").is_between(densest["v0"], densest["y2"])
    )
    assert inside.height == densest["n"]


def test_the_range_of_interest_leaves_out_models_that_guess() -> None:
    frame = pl.concat(
        [archive(300), archive(300).head(1).with_columns(accuracy=pl.lit(0.01), parameters=pl.lit(1, dtype=pl.Int64))]
    )
    (view,) = group_views(select(frame))
    panel = view.panels[1]
    assert panel.y.zoom[0] > 0.3
    assert panel.y.whole[0] == 0.01
    letters = letter_rows(view, panel, zoom=True, log=panel.x.log)
    (text,) = [text for text in letters["text"] if view.letter_of[300] in text]
    assert text.endswith("↓")
    assert panel.in_view[True] < panel.in_view[False] == 301


def test_letters_cover_one_another_nowhere() -> None:
    for selection in (select(YOUNG, by=["dataset"], preset="paper"), select(DIGITS), select(archive(2_000))):
        for view in group_views(selection):
            for panel in view.panels:
                rows = letter_rows(view, panel, zoom=True, log=panel.x.log)
                (x0, x1), _ = panel.domains(zoom=True, log=panel.x.log)
                x = f"v{[o.column for o in view.objectives].index(panel.x.objective.column)}"
                share = [math.log(v / x0) / math.log(x1 / x0) if panel.x.log else (v - x0) / (x1 - x0) for v in rows[x]]
                places = {(round(WIDTH * s + dx), round(dy, 1)) for s, dx, dy in zip(share, rows["dx"], rows["dy"], strict=True)}
                assert len(places) == rows.height


def test_models_at_one_place_share_a_label() -> None:
    (view,) = group_views(select(pl.concat([archive(1)] * 20), {"accuracy": "max", "parameters": "min"}))
    assert letter_rows(view, view.panels[0], zoom=True, log=False)["text"].to_list() == ["A,B +6"]
    (view,) = group_views(select(pl.concat([archive(1)] * 3), {"accuracy": "max", "parameters": "min"}))
    assert letter_rows(view, view.panels[0], zoom=True, log=False)["text"].to_list() == ["A,B,C"]


def test_letters_of_other_panels_do_not_crowd_the_edge() -> None:
    rng = np.random.default_rng(1)
    frame = pl.DataFrame({f"o{k}": rng.random(200) * 10.0**k for k in range(12)})
    (view,) = group_views(select(frame, {name: "max" if name in ("o0", "o1") else "min" for name in frame.columns}))
    assert len(view.letters) > 20
    joint = view.joint
    assert joint
    for panel in view.panels:
        own = {row for picks in panel.choice.picks.values() for row in picks} | set(joint.picks["trade_off"])
        rows = letter_rows(view, panel, zoom=True, log=panel.x.log)
        outside = rows.filter(pl.col("text").str.contains("[←→↑↓]"), ~pl.col("row").is_in(list(own)))
        assert outside.height <= 4
        assert own <= set(rows["row"])


def test_models_of_one_name_are_told_apart() -> None:
    (view,) = group_views(select(archive(40).with_columns(pl.lit("net").alias("model")), labels=["model"]))
    names = share_rows(view, view.choices[-1])["name"].unique()
    assert len(names) == share_rows(view, view.choices[-1])["row"].n_unique() > 3
    assert view.names[7] == "net (row 7)"
    unlettered = next(row for row in view.names if row not in view.letter_of)
    assert view.called(unlettered) == f"net (row {unlettered})"
    assert told_apart(["a" * 99 + "b", "a" * 99 + "c", "d"], [4, 5, 6], 12) == ["aaa… (row 4)", "aaa… (row 5)", "d"]


def test_a_front_of_two_is_shown_among_others() -> None:
    rng = np.random.default_rng(4)
    top = pl.DataFrame({"accuracy": [0.9, 0.9001], "parameters": [1.0, 1.01]})
    others = pl.DataFrame({"accuracy": rng.uniform(0.1, 0.8, 200), "parameters": rng.uniform(2, 100, 200)})
    (view,) = group_views(select(pl.concat([top, others]), {"accuracy": "max", "parameters": "min"}))
    assert view.panels[0].in_view[True] >= 2
    _, (y0, y1) = view.panels[0].domains(zoom=True, log=view.panels[0].x.log)
    assert y1 - y0 <= 4.5 * max(0.0001, 0.05 * 0.9)  # company widens the range by a factor at most


def test_a_front_of_one_is_shown_among_others() -> None:
    frame = pl.DataFrame({"accuracy": [0.99, 0.98, 0.97, 0.96, 0.95, 0.94, 0.9], "parameters": [1.0, 20, 30, 40, 50, 60, 900]})
    (view,) = group_views(select(frame, {"accuracy": "max", "parameters": "min"}))
    assert len(view.panels[0].choice.front) == 1
    assert view.panels[0].in_view[True] >= 4


def test_whoever_ties_has_all_its_roles() -> None:
    models = lettered(select(pl.concat([archive(1)] * 6), {"accuracy": "max", "parameters": "min"}))
    assert len(models) == 6
    assert {model.roles for model in models} == {("best trade-off: parameters", "highest accuracy", "lowest parameters")}


def test_a_scale_is_logarithmic_where_values_span_and_are_positive() -> None:
    cost = Objective("parameters", "min")

    def laid_out(*values: float) -> bool:
        numbers = np.array(values)
        return axis(measure(cost, pl.Series(numbers)), values=numbers, interest=numbers, log=True).log

    assert laid_out(1, 1e6)
    assert not laid_out(1, 20)
    assert not laid_out(0, 1e6)
    assert not laid_out(-5, 1e6)


@pytest.mark.parametrize("values", [(1.0, 1.0), (0.0, 0.0), (-3.0, -3.0), (1e-300, 1e300), (0.0, 1e308)])
def test_a_range_is_never_empty(values: tuple[float, float]) -> None:
    drawn = axis(measure(Objective("c", "min"), pl.Series(values)), values=np.array(values), interest=np.array(values), log=True)
    for zoom in (True, False):
        for log in {False, drawn.may_be_log}:
            low, high = drawn.domain(zoom=zoom, log=log)
            assert low < high
            assert np.isfinite([low, high]).all()
            assert low <= values[0] <= values[1] <= high


def test_ticks_of_a_logarithmic_axis_are_round_and_few() -> None:
    for high in (40.0, 1e3, 1e6, 1e12):
        numbers = np.array([1.0, high])
        ticks = axis(measure(Objective("c", "min"), pl.Series(numbers)), values=numbers, interest=numbers, log=True).ticks(
            zoom=True, log=True
        )
        assert ticks is not None
        assert 2 <= len(ticks) <= 9
        assert all(f"{tick:e}"[0] in "1235" for tick in ticks)


def test_titles_carry_units_and_directions() -> None:
    def title(name: str, *values: float) -> str:
        numbers = np.array(values)
        return axis(measure(Objective(name, "min"), pl.Series(numbers)), values=numbers, interest=numbers, log=False).title

    assert title("energy_per_inference_j", 0.01, 0.03) == "Energy per inference (mJ)"
    assert title("inference_time_s", 3, 7) == "Inference time (s)"
    assert title("watts", 3, 7) == "watts (lower is better)"


def test_a_tick_of_nothing_is_written_as_0() -> None:
    numbers = np.array([0.0, 1e-6])
    tick = axis(measure(Objective("watts", "min"), pl.Series(numbers)), values=numbers, interest=numbers, log=True).tick
    assert tick == "datum.value ? format(datum.value, '~e') : '0'"


def test_long_and_unprintable_texts_are_cut_and_marked() -> None:
    assert shortened("a" * 100, 10) == "a" * 9 + "…"
    assert shortened("a\u2028b\x1b", 10) == "a\ufffdb\ufffd"


def test_strips_cover_all_weights_once() -> None:
    for selection in (select(YOUNG, by=["dataset"]), select(archive(500))):
        for view in group_views(selection):
            for choice in view.choices[:-1]:
                rows = segment_rows(view, choice)
                assert rows["low"][0] == pytest.approx(0)
                assert rows["high"][-1] == pytest.approx(1)
                assert rows["low"].to_list()[1:] == pytest.approx(rows["high"].to_list()[:-1])


def test_error_bars_are_the_stated_intervals() -> None:
    (view,) = group_views(select(DIGITS, labels=["model"]))
    rows = error_rows(view, view.panels[0])
    front = DIGITS[list(view.panels[0].choice.front)]
    upright = rows.filter(pl.col("v1") == pl.col("x2"))
    assert upright["v0"].to_list() == pytest.approx(front["accuracy_low"].to_list(), abs=1e-9)
    assert upright["y2"].to_list() == pytest.approx(front["accuracy_high"].to_list(), abs=1e-9)
    level = rows.filter(pl.col("v0") == pl.col("y2"))
    half = (level["x2"] - level["v1"]) / 2
    assert half.to_list() == pytest.approx((1.959963984540054 * front["inference_time_s_std"]).to_list())
