"""Explain one model: which models dominate it, or which weights make it the choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ecosel.choosing.choice import Choice, Chosen, Group, models_of
from ecosel.choosing.scoring import distances
from ecosel.dominance import dominators
from ecosel.readers.table import ROW

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """Another model, by its row, and its objectives."""

    row: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Explanation:
    """The place of one model in one selection."""

    choice: Choice
    row: int
    values: Mapping[str, float]
    distance: float
    breaks: tuple[str, ...]
    """The limits that it violates; a model that violates one is on no front."""
    dominated_by: tuple[int, ...]
    """Row numbers of all models that dominate it, nearest to the ideal first; empty on the front."""
    wins: float
    weighting: Mapping[str, float] | None
    """A weighting with sum 1 that makes it the best trade-off; None if there is none, or none was found."""
    others: tuple[Comparison, ...]
    """Up to three of its dominators; on the front, its neighbours there."""

    @property
    def on_front(self) -> bool:
        return not self.dominated_by and not self.breaks

    @property
    def is_pick(self) -> bool:
        return self.row in self.choice.answer


def absent(selection: Chosen, rows: pl.DataFrame, filtered: pl.DataFrame, /) -> pl.DataFrame:
    """Return the rows of an archive that were not used, with their labels, and `why` in words.

    rows: those that the selection was given; filtered: those that it was not, with the `ecosel:filter` that removed them.
    """
    unfinished = pl.format("was left out as unfinished: its {} is {}", "column", pl.col("state").fill_null("empty"))
    reasons = [
        selection.unfinished.select(ROW, why=pl.coalesce(unfinished, pl.lit("was left out: it summarises the rows above"))),
        selection.left_out.select(ROW, pl.format("was left out: it has no value in {}", "missing").alias("why")),
    ]
    columns = [ROW, *selection.labels, "why"]
    parts = [rows.join(part, on=ROW, how="inner").select(columns) for part in reasons if part.height]
    why = pl.format('was filtered out: --where "{}" is not true for it', "ecosel:filter").alias("why")
    return pl.concat([*parts, filtered.with_columns(why).select(columns)])


def find_row(selection: Chosen, model: str, /, others: pl.DataFrame | None = None) -> int:
    """Return the row number that model denotes: a row number, or the label of exactly one row.

    others: the result of `absent`, to explain why such a row is not among those used.
    Raises ValueError if there is none or more than one.
    """
    columns = [ROW, *selection.labels]
    named = selection.models.select(columns).with_columns(why=pl.lit(None, dtype=pl.String))
    if others is not None:
        named = pl.concat([named, others.select(named.columns)])
    is_number = model.isascii() and model.isdigit() and len(model) < 19
    labels = [named[column].cast(pl.String) for column in selection.labels]
    lower = [cells.str.to_lowercase() for cells in labels]
    for fits in (
        [named[ROW] == int(model)] if is_number else [],
        [cells == model for cells in labels],
        [cells == model.lower() for cells in lower],
        [cells.str.contains(model.lower(), literal=True) for cells in lower],
    ):
        found = named.filter(pl.any_horizontal(fit.fill_null(False) for fit in fits)) if fits else named.clear()
        used = found.filter(pl.col("why").is_null())
        if used.height == 1:
            return int(used[ROW][0])
        if found.height:
            raise ValueError(_not_one(model, used if used.height else found, selection.labels))
    if is_number:
        missing = dict(selection.left_out.iter_rows()).get(int(model))
        if missing:
            raise ValueError(f"row {model} was left out: it has no value in {missing}")
        raise ValueError(f"row {model} is not among the {selection.models.height:,} rows used")
    rows = named[ROW]
    by = f"a value of {' or '.join(selection.labels)}" if labels else "name a label column with --label"
    raise ValueError(f"no model is called {model!r}; give a row ({rows.min()!r} to {rows.max()!r}) or {by}")


def _not_one(model: str, found: pl.DataFrame, labels: Sequence[str]) -> str:
    """State why the rows found cannot be explained: unused, or more than one."""
    found = found.sort(ROW)

    def name(k: int) -> str:
        label = " / ".join("" if found[column][k] is None else str(found[column][k]) for column in labels)
        return f"{found[ROW][k]} ({label})" if label else str(found[ROW][k])

    if found.height == 1:
        return f"row {name(0)} {found['why'][0]}"
    if found["why"][0] is None:
        shown = ", ".join(map(name, range(min(6, found.height))))
        return f"{model!r} fits {found.height} models; name one by its row: {shown}{', ...' if found.height > 6 else ''}"
    return f"{model!r} fits {found.height} rows, none of which is used: row {name(0)} {found['why'][0]}"


def explain(selection: Chosen, row: int, /) -> tuple[Group, tuple[Explanation, ...]]:
    """Explain the place of the model with that row number in each selection of its group."""
    for group in selection.groups:
        models = models_of(selection, group)
        at = models[ROW].index_of(row)
        if at is not None:
            kept = selection.requirements.kept(models)
            breaks = tuple(limit.text for limit, mask in zip(selection.requirements.limits, kept, strict=True) if not mask[at])
            may = np.logical_and.reduce([np.ones(models.height, dtype=np.bool_), *kept])
            may[at] = True  # compared with the models that may be chosen
            models = models.filter(pl.Series(may))
            at = int(np.count_nonzero(may[:at]))
            return group, tuple(_explain(choice, models, at, breaks=breaks, seed=selection.seed) for choice in group.choices)
    raise ValueError(f"row {row} is not among the rows used")


def _explain(choice: Choice, models: pl.DataFrame, at: int, *, breaks: tuple[str, ...], seed: int) -> Explanation:
    columns = [o.column for o in choice.objectives]
    values = np.column_stack([models[column].cast(pl.Float64).to_numpy() for column in columns])
    costs = np.column_stack([o.costs(models[o.column]) for o in choice.objectives])
    ideal, scale, weights = (np.array(list(part.values())) for part in (choice.ideal, choice.scale, choice.weights))
    deviations = values / scale - ideal / scale
    distance = distances(deviations, weights)
    (beaten_by,) = dominators(costs, [at])
    numbers = models[ROW].to_numpy()

    def compare(positions: NDArray[np.int64]) -> tuple[Comparison, ...]:
        return tuple(Comparison(int(numbers[k]), dict(zip(columns, values[k].tolist(), strict=True))) for k in positions)

    row, shown = int(numbers[at]), dict(zip(columns, values[at].tolist(), strict=True))
    if len(beaten_by) or breaks:
        beaten_by = beaten_by[np.argsort(distance[beaten_by], kind="stable")]
        return Explanation(
            choice,
            row,
            shown,
            float(distance[at]),
            breaks,
            tuple(numbers[beaten_by].tolist()),
            0.0,
            None,
            compare(beaten_by[:3]),
        )
    on_front = choice.at(row)
    weighting = choice.wins.weightings[on_front]
    if np.isnan(weighting).any() and len(columns) > 2:
        weighting = _search_weighting(np.abs(choice.values / scale - ideal / scale), on_front, np.random.default_rng(seed))
    front = np.flatnonzero(np.isin(numbers, choice.front.array))
    return Explanation(
        choice, row, shown, float(distance[at]), (), (), float(choice.wins.shares[on_front]),
        None if np.isnan(weighting).any() else dict(zip(columns, weighting.tolist(), strict=True)),
        compare(_neighbours(deviations, front, at)),
    )  # fmt: skip


def _neighbours(deviations: Values, front: NDArray[np.int64], at: int) -> NDArray[np.int64]:
    """Return two front rows near a row: its neighbours on a front of two objectives, else the nearest by deviation."""
    others = front[(deviations[front] != deviations[at]).any(axis=1)]
    if deviations.shape[1] == 2:
        along = deviations[:, 1]
        before, after = others[along[others] < along[at]], others[along[others] > along[at]]
        return np.array([*before[np.argsort(along[before])][-1:], *after[np.argsort(along[after])][:1]], dtype=np.int64)
    apart = np.sum((deviations[others] - deviations[at]) ** 2, axis=1)
    near: NDArray[np.int64] = others[np.argsort(apart, kind="stable")[:2]]
    return near


def _search_weighting(z: Values, at: int, rng: np.random.Generator) -> Values:
    """Search for a weighting [d] under which row `at` of deviations z [n, d] wins; NaN if none is found.

    With u = w², the margin min_k u · (z_k² - z_at²) is concave in u, so drawing ever closer to the best draw so far
    climbs to its maximum; the row wins somewhere if that is not negative.
    """
    gaps = np.delete(z**2, at, axis=0) - z[at] ** 2
    d = z.shape[1]
    best, centre = -np.inf, np.full(d, 1.0 / d)
    for closeness in 2.0 ** np.arange(0, 46):
        draws = rng.dirichlet(1e-3 + closeness * centre, 60)
        margins = (draws @ gaps.T).min(axis=1, initial=np.inf)
        if margins.max() > best:
            best, centre = float(margins.max()), draws[np.argmax(margins)]
        if best >= 0:
            w: Values = np.sqrt(centre) / np.sqrt(centre).sum()
            return w
    return np.full(d, np.nan)
