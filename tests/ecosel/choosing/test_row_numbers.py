"""Row numbers behave like a tuple of ints."""

from __future__ import annotations

import numpy as np
import polars as pl

from ecosel.choosing.row_numbers import RowNumbers


def test_row_numbers_behave_like_a_tuple() -> None:
    numbers = tuple(range(3, 20_000, 2))
    rows = RowNumbers(np.array(numbers))
    assert rows == numbers
    assert numbers == rows
    assert rows == RowNumbers(np.array(numbers))
    assert rows != numbers[1:]
    assert rows[1:] == numbers[1:]
    assert rows[:-1] != numbers[1:]
    assert rows != list(numbers)
    assert hash(rows) == hash(numbers)
    assert (len(rows), rows[-1], rows.index(5)) == (len(numbers), numbers[-1], 1)
    assert 5 in rows
    assert 4 not in rows
    assert list(rows) == list(numbers)
    assert type(rows[0]) is type(next(iter(rows))) is int
    assert repr(rows[:2]) == "(3, 5)"
    assert not RowNumbers(np.array([], dtype=np.int64))


def test_row_numbers_become_arrays_and_series() -> None:
    rows = RowNumbers(np.array([1, 5]))
    assert np.array(rows).tolist() == np.asarray(rows).tolist() == [1, 5]
    assert pl.Series(rows.array).to_list() == [1, 5]
    assert np.isin(np.arange(6), rows).nonzero()[0].tolist() == [1, 5]
