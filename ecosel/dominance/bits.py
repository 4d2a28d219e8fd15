"""The front and the layers of four and more columns, 512 rows at once: one bit a row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecosel.dominance.compiled import in_parts, kernel
from ecosel.dominance.ranks import dense_ranks, sort_whole

Costs = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
Numbers = NDArray[np.int32]
Ranks = NDArray[np.uint32]
Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Places = NDArray[np.uint16]

# Rows of a block, one bit each in 64 bytes, and rows that are held against a block at once: 16 KiB of bits.
_BLOCK, _BYTES, _WORDS, _AT_ONCE = 512, 64, 8, 256
# Below, a thread costs more than it saves.
_ROWS_A_THREAD = 4_000


def front_of_many(costs: Costs, /) -> Mask:
    """Mark the front of costs [n, d], copies included: O(n · front · d / 512).

    Rows are taken by rising sum of their ranks, so those that dominate a row come before it and have a smaller sum; a copy
    of the row has not (SFS, Chomicki et al. 2003). A block of 512 rows is held against all later ones: for each column,
    a table tells for each place among the values of the block which of its rows are not larger. The rows that all columns
    have in common dominate. What is dominated leaves before the next block.
    """
    ranks, total, number = _by_sum(dense_ranks(costs))
    n = m = len(number)
    front, dominated = np.ones(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    tables, places = _room(ranks)
    bit, member = np.arange(_BLOCK), np.empty(_BLOCK, dtype=np.int64)
    start = 0
    while start < m:
        _fill_places(ranks, start, m, places)
        fill_tables(ranks, start, m, bit, member, tables.view(np.uint64), places)

        def ask(first: int, last: int, start: int = start, m: int = m) -> None:
            words = np.empty(_AT_ONCE * _WORDS, dtype=np.uint64)
            mark_dominated(
                ranks, total, start, m, start + first, start + last, tables, places, words, words.view(np.uint8), dominated
            )

        in_parts(ask, m - start, smallest=_ROWS_A_THREAD)
        start += _BLOCK
        m = drop(ranks, total, number, start, m, dominated, front)
    return front


def layers_of_many(costs: Costs, /) -> Rows:
    """Return the layer of each row of costs [n, d], d >= 4: O(n² · d / 512).

    The layer is one above the highest of those that dominate the row, which come before it in blocks as in front_of_many.
    Once the layers of a block are known, its bits are put in their order, highest first: the first bit decides.
    """
    ranks, total, number = _by_sum(dense_ranks(costs))
    n = len(number)
    tables, places = _room(ranks)
    layer = np.zeros(n, dtype=np.int32)
    in_order, member = np.arange(_BLOCK), np.empty(_BLOCK, dtype=np.int64)
    for start in range(0, n, _BLOCK):
        _fill_places(ranks, start, n, places)
        fill_tables(ranks, start, n, in_order, member, tables.view(np.uint64), places)
        words = np.empty(_BLOCK * _WORDS, dtype=np.uint64)
        settle_block(ranks, total, start, tables, places, words, words.view(np.uint8), layer)
        stop = start + _BLOCK
        if stop >= n:
            break
        bit = np.empty(_BLOCK, dtype=np.int64)
        bit[np.argsort(-layer[start:stop], kind="stable")] = np.arange(_BLOCK)
        fill_tables(ranks, start, n, bit, member, tables.view(np.uint64), places)

        def ask(first: int, last: int, start: int = start, bit: Rows = bit) -> None:
            words = np.empty(_AT_ONCE * _WORDS, dtype=np.uint64)
            first, last = start + _BLOCK + first, start + _BLOCK + last
            raise_layers(ranks, total, start, first, last, bit, tables, places, words, words.view(np.uint8), layer)

        in_parts(ask, n - stop, smallest=_ROWS_A_THREAD)
    by_number = np.empty(n, dtype=np.int64)
    by_number[number] = layer
    return by_number


def _by_sum(ranks: NDArray[np.int32]) -> tuple[Ranks, Rows, Numbers]:
    """Return ranks [d, n] by rising sum, the sums [n], and the numbers [n] of the rows."""
    total = ranks.sum(axis=0, dtype=np.int64)
    number = sort_whole(total)
    return ranks.take(number, axis=1).view(np.uint32), total[number], number


def _room(ranks: Ranks) -> tuple[Bytes, Places]:
    d, n = ranks.shape
    # the first row of each table, none of the block's, is never written
    return np.zeros((d, (_BLOCK + 1) * _BYTES), dtype=np.uint8), np.empty((d, n), dtype=np.uint16)


def _fill_places(ranks: Ranks, start: int, m: int, places: Places) -> None:
    d, n = ranks.shape
    in_parts(
        lambda first, last: fill_places(ranks, start, m, first, last, places), d, smallest=1 if n > 4 * _ROWS_A_THREAD else d
    )


@kernel
def fill_places(ranks: Ranks, start: int, m: int, first: int, last: int, places: Places) -> None:
    """Write for columns first to last how many rows of the block at start, of m rows, have no larger rank; for each rank."""
    size = _BLOCK if start + _BLOCK < m else m - start
    for j in range(first, last):
        for k in range(places.shape[1]):
            places[j, k] = 0
        for i in range(start, start + size):
            places[j, ranks[j, i]] += np.uint16(1)
        smaller = np.uint16(0)
        for k in range(places.shape[1]):
            smaller += places[j, k]
            places[j, k] = smaller


@kernel
def fill_tables(ranks: Ranks, start: int, m: int, bit: Rows, member: Rows, tables: Words, places: Places) -> None:
    """Write for each k and each column which rows of the block at start have one of the k smallest values, as bits."""
    size = _BLOCK if start + _BLOCK < m else m - start
    for j in range(len(ranks)):
        for i in range(size):
            places[j, ranks[j, start + i]] -= np.uint16(1)
            member[places[j, ranks[j, start + i]]] = bit[i]
        for i in range(size):
            places[j, ranks[j, start + i]] += np.uint16(1)
        for k in range(size):
            for w in range(_WORDS):
                tables[j, _WORDS * (k + 1) + w] = tables[j, _WORDS * k + w]
            tables[j, _WORDS * (k + 1) + (member[k] >> 6)] |= np.uint64(1) << np.uint64(member[k] & 63)


@kernel
def no_larger(ranks: Ranks, first: int, m: int, tables: Bytes, places: Places, rows: Bytes) -> None:
    """Leave of the bits [64 · m] of rows first to first + m those rows of the block that are nowhere larger."""
    for j in range(len(ranks)):
        for q in range(m):
            k = np.intp(places[j, ranks[j, first + q]]) * _BYTES
            for w in range(_BYTES):
                rows[q * _BYTES + w] &= tables[j, k + w]


@kernel
def set_lowest(words: Words, row: int, count: int) -> None:
    for w in range(_WORDS):
        ones = count - 64 * w
        if ones >= 64:
            words[_WORDS * row + w] = ~np.uint64(0)
        else:
            words[_WORDS * row + w] = (np.uint64(1) << np.uint64(ones)) - np.uint64(1) if ones > 0 else np.uint64(0)


@kernel
def mark_dominated(
    ranks: Ranks,
    total: Rows,
    start: int,
    m: int,
    first: int,
    last: int,
    tables: Bytes,
    places: Places,
    words: Words,
    rows: Bytes,
    dominated: Mask,
) -> None:
    """Mark the rows first to last, of m, that a row of the block at start dominates."""
    highest = total[(start + _BLOCK if start + _BLOCK < m else m) - 1]
    smaller = 0
    for q in range(first, last, _AT_ONCE):
        size = _AT_ONCE if q + _AT_ONCE < last else last - q
        for i in range(len(rows)):
            rows[i] = 255
        for i in range(size):
            if total[q + i] > highest:
                break
            while total[start + smaller] < total[q + i]:
                smaller += 1
            set_lowest(words, i, smaller)
        no_larger(ranks, q, size, tables, places, rows)
        for i in range(size):
            found = np.uint64(0)
            for w in range(_WORDS):
                found |= words[_WORDS * i + w]
            if found:
                dominated[q + i] = True


@kernel
def drop(ranks: Ranks, total: Rows, number: Numbers, start: int, m: int, dominated: Mask, front: Mask) -> int:
    """Take what is dominated off the front, and the later rows among them out of the m rows; return how many are left."""
    keep = start if start < m else m
    for i in range(start - _BLOCK, m):
        if dominated[i]:
            dominated[i] = False
            front[number[i]] = False
        elif i >= start:
            if keep < i:
                total[keep], number[keep] = total[i], number[i]
                for j in range(len(ranks)):
                    ranks[j, keep] = ranks[j, i]
            keep += 1
    return keep


@kernel
def settle_block(
    ranks: Ranks, total: Rows, start: int, tables: Bytes, places: Places, words: Words, rows: Bytes, layer: Numbers
) -> None:
    """Raise the layers of the rows of the block at start by those of the same block."""
    size = min(_BLOCK, len(total) - start)
    smaller = 0
    for i in range(size):
        while total[start + smaller] < total[start + i]:
            smaller += 1
        set_lowest(words, i, smaller)
    no_larger(ranks, start, size, tables, places, rows)
    for i in range(size):
        mine = layer[start + i]
        for w in range((i + 63) // 64):
            left = words[_WORDS * i + w]
            k = start + 64 * w
            while left:
                if left & np.uint64(1):
                    mine = max(mine, layer[k] + 1)
                left >>= np.uint64(1)
                k += 1
        layer[start + i] = mine


@kernel
def raise_layers(
    ranks: Ranks,
    total: Rows,
    start: int,
    first: int,
    last: int,
    bit: Rows,
    tables: Bytes,
    places: Places,
    words: Words,
    rows: Bytes,
    layer: Numbers,
) -> None:
    """Raise the layers of the rows first to last, behind the block at start, by the first of their bits."""
    by_bit = np.empty(_BLOCK, dtype=np.int32)
    highest = total[start + _BLOCK - 1]
    smaller = np.zeros(8, dtype=np.uint64)  # rows of the block whose sum is below its highest
    for i in range(_BLOCK):
        by_bit[bit[i]] = layer[start + i]
        if total[start + i] < highest:
            smaller[bit[i] >> 6] |= np.uint64(1) << np.uint64(bit[i] & 63)
    for q in range(first, last, _AT_ONCE):
        size = min(_AT_ONCE, last - q)
        for i in range(len(rows)):
            rows[i] = 255
        for i in range(size):
            if total[q + i] > highest:
                break
            for w in range(_WORDS):
                words[_WORDS * i + w] = smaller[w]
        no_larger(ranks, q, size, tables, places, rows)
        for i in range(size):
            mine = layer[q + i]
            for w in range(_WORDS):
                if by_bit[64 * w] < mine:
                    break
                left = words[_WORDS * i + w]
                if left:
                    k = 64 * w
                    while not left & np.uint64(0xFF):
                        left >>= np.uint64(8)
                        k += 8
                    while not left & np.uint64(1):
                        left >>= np.uint64(1)
                        k += 1
                    mine = max(mine, by_bit[k] + 1)
                    break
            layer[q + i] = mine
