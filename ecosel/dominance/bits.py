"""Find the front and the layers of four and more columns, 512 or 1024 rows at once, with one bit per row."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from ecosel.dominance.compiled import CORES, count_ones, in_parts, kernel, lowest_one
from ecosel.dominance.ranks import dense_ranks, sort_whole

Costs = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
Numbers = NDArray[np.int32]
Ranks = NDArray[np.uint32]
Words = NDArray[np.uint64]  # also used for [d, n] and [d, n, m]

# Rows in a block, one bit each: for tables up to a number of rows, and for larger ones.
_BLOCK, _SMALL, _LARGE_BLOCK = 512, 4096, 1024
# Blocks that are compared with all later rows at once, so that fewer threads are started.
_BLOCKS = 8
# Dominated rows are removed if they are more than one in this many.
_DOMINATED = 8
# The lowest sum of a block, the layers and sums by bit, and its tables.
_Block = tuple[np.int64, Numbers, Rows, Words, Words]
# With fewer rows, a thread costs more than it saves.
_ROWS_A_THREAD = 4_000


def front_of_many(costs: Costs, /) -> Mask:
    """Mark the front of costs [n, d], including copies: O(n · front · d / 64).

    Rows are taken by rising sum of ranks, so that those that dominate a row come before it and have a smaller sum; a copy
    of the row does not (SFS, Chomicki et al. 2003). A block of rows is compared with all later ones, which are on the
    second layer if it dominates them, and are removed if there are many.
    """
    ranks, total, number = _by_sum(dense_ranks(costs))
    front = np.zeros(len(number), dtype=np.bool_)
    room, size, start = _room(*ranks.shape), _block(len(number)), 0
    layer, zeros, in_order = np.zeros(len(number), dtype=np.int32), np.zeros(size, dtype=np.int32), np.arange(size)
    while start < (n := len(number)):
        stop = min(start + size, n)
        _fill(ranks, start, in_order[: stop - start], room)
        block = (total[start], zeros[: stop - start], total[start:stop], *room)
        in_parts(partial(_raise, (ranks, total, layer), [block], start), n - start, smallest=_ROWS_A_THREAD)
        start = stop
        if _DOMINATED * np.count_nonzero(layer[stop:]) > n - stop:
            front[number[:stop][layer[:stop] == 0]] = True
            left = np.flatnonzero(layer[stop:] == 0) + stop
            ranks, total, number, start = ranks.take(left, axis=1), total[left], number[left], 0
            layer = np.zeros(len(number), dtype=np.int32)
    front[number[layer == 0]] = True
    return front


def layers_of_many(costs: Costs, /) -> Rows:
    """Return the layer of each row of costs [n, d], d >= 4: O(n² · d / 64).

    A row's layer is one above the highest of those that dominate it, which come before it in blocks as in front_of_many.
    Once the layers of a block are known, its bits are sorted by them, highest first: the first bit decides. Some blocks
    are compared with all later rows at once, the last first: the higher a row's layer already is, the fewer bits count.
    """
    ranks, total, number = _by_sum(dense_ranks(costs))
    n, size = len(number), _block(len(number))
    rooms = [_room(*ranks.shape) for _ in range(min(_BLOCKS, n // size + 1))]
    layer = np.zeros(n, dtype=np.int32)
    rows, unordered = (ranks, total, layer), np.full(size, n, dtype=np.int32)
    for begin in range(0, n, size * _BLOCKS):
        end = min(begin + size * _BLOCKS, n)
        blocks: list[_Block] = []
        for start, room in zip(range(begin, end, size), rooms, strict=False):
            stop = min(start + size, n)
            _fill(ranks, start, np.arange(stop - start), room)
            _raise(
                rows,
                [(total[start], layer[start:stop], total[start:stop], *room)],
                start,
                0,
                stop - start,
                tops=unordered[: stop - start],
            )
            by_bit = np.argsort(-layer[start:stop], kind="stable")
            _fill(ranks, start, by_bit, room)
            blocks.insert(0, (total[start], layer[start + by_bit], total[start + by_bit], *room))
            _raise(rows, blocks[:1], stop, 0, end - stop)
        in_parts(partial(_raise_in_turn, rows, blocks, end), CORES, smallest=1 if n - end > 2 * _ROWS_A_THREAD else CORES)
    by_number = np.empty(n, dtype=np.int64)
    by_number[number] = layer
    return by_number


def _raise(
    rows: tuple[Ranks, Rows, Numbers], blocks: list[_Block], start: int, first: int, last: int, /, *, tops: Numbers | None = None
) -> None:
    """Compare blocks with the rows first to last behind start."""
    ranks, total, layer = rows
    room = np.empty(len(ranks), dtype=np.uint64), np.empty(4, dtype=np.uint64)
    for lowest, layers, totals, lookup, tables in blocks:
        given = (lowest, layers if tops is None else tops, layers, totals, lookup, tables.reshape(-1), tables.shape[2])
        raise_layers(ranks, total, start + first, start + last, *given, layer, *room)


def _raise_in_turn(rows: tuple[Ranks, Rows, Numbers], blocks: list[_Block], end: int, first: int, last: int) -> None:
    """Take the share of the rows behind end for each core from first to last: the nearer a row is, the longer it takes."""
    n = len(rows[2])
    for core in range(first, last):
        for begin in range(end + core * _ROWS_A_THREAD, n, CORES * _ROWS_A_THREAD):
            _raise(rows, blocks, begin, 0, min(_ROWS_A_THREAD, n - begin))


def _by_sum(ranks: NDArray[np.int32]) -> tuple[Ranks, Rows, Numbers]:
    """Return ranks [d, n] by rising sum, the sums [n], and the numbers [n] of the rows."""
    total = ranks.sum(axis=0, dtype=np.int64)
    number = sort_whole(total)
    return ranks.take(number, axis=1).view(np.uint32), total[number], number


def _room(d: int, n: int) -> tuple[Words, Words]:
    tables = np.empty((d, _block(n) + 1, _block(n) // 64), dtype=np.uint64)
    return np.empty((d, 2 * (n // 64 + 1)), dtype=np.uint64), tables


def _fill(ranks: Ranks, start: int, by_bit: Rows, room: tuple[Words, Words]) -> None:
    for part in room:
        part.fill(0)
    fill(ranks, start, by_bit, *room)


def _block(n: int) -> int:
    return _BLOCK if n <= _SMALL else _LARGE_BLOCK


@kernel
def fill(ranks: Ranks, start: int, by_bit: Rows, lookup: Words, tables: Words) -> None:
    """Write, for each column and each k, which rows of the block at start have one of its k smallest values, as bits.

    The lookup has two words for 64 ranks: which of them are in the block, and how many smaller ones are. So k, the number of
    values in the block up to a rank, is one sum, and a column of 100,000 ranks needs 25 KB.
    """
    one = np.uint64(1)
    for j in range(len(ranks)):
        for i in range(start, start + len(by_bit)):
            rank = ranks[j, i]
            lookup[j, 2 * (rank >> 6)] |= one << np.uint64(rank & 63)
        count = np.uint64(0)
        for w in range(0, lookup.shape[1], 2):
            lookup[j, w + 1] = count
            count += count_ones(lookup[j, w])
        for b in range(len(by_bit)):
            rank = ranks[j, start + by_bit[b]]
            at = 2 * np.intp(rank >> 6)
            place = np.intp(lookup[j, at + 1] + count_ones(lookup[j, at] << np.uint64(63 - (rank & 63))))
            tables[j, place, b >> 6] |= one << np.uint64(b & 63)
        for k in range(1, np.intp(count) + 1):
            for v in range(tables.shape[2]):
                tables[j, k, v] |= tables[j, k - 1, v]


@kernel
def raise_layers(
    ranks: Ranks, total: Rows, first: int, last: int, lowest: np.int64, tops: Numbers, layers: Numbers, totals: Rows,
    lookup: Words, tables: Words, row: int, layer: Numbers, places: Words, words: Words,
) -> None:  # fmt: skip
    """Raise the layers of the rows first to last above those of the block, given by bit with its lowest sum.

    The rows of the block that are larger in no column are those that all tables have in common. Each of them with a smaller sum
    dominates; those with an equal sum are copies. tops [bits] bounds the layers from a bit on. places [d], words [4]: work space.
    """
    d = len(ranks)
    all_ones, of_column, of_row = ~np.uint64(0), np.uint64(len(tables) // d), np.uint64(row)
    for q in range(first, last):
        mine = layer[q]
        if total[q] <= lowest or tops[0] < mine:
            continue
        for j in range(d):
            rank = ranks[j, q]
            w = 2 * np.intp(rank >> 6)
            k = lookup[j, w + 1] + count_ones(lookup[j, w] << np.uint64(63 - (rank & 63)))
            places[j] = np.uint64(j) * of_column + k * of_row
        for b in range(0, len(totals), 256):
            if tops[b] < mine:
                break
            for v in range(4):
                words[v] = all_ones
            for j in range(d):
                at = places[j] + np.uint64(b >> 6)
                for v in range(4):
                    words[v] &= tables[at + np.uint64(v)]
            some = np.uint64(0)
            for v in range(4):
                some |= words[v]
            if not some:
                continue
            for v in range(4):
                left = words[v]
                while left:
                    k = b + 64 * v + np.intp(lowest_one(left))
                    if tops[k] < mine:
                        break
                    if totals[k] < total[q] and layers[k] >= mine:
                        mine = layers[k] + 1
                    left &= left - np.uint64(1)
        layer[q] = mine
