"""Sort columns by their bits, and turn costs into ranks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecosel.dominance.compiled import in_parts, kernel

Costs = NDArray[np.float64]
Rows = NDArray[np.int32]
Ranks = NDArray[np.int32]
Bits = NDArray[np.int64]
Keys = NDArray[np.uint64]

# Places to count the digits of a radix sort, of up to 11 bits.
_DIGITS = 1 << 11
# Fewer rows are not worth a thread.
_ROWS_A_THREAD = 20_000


def dense_ranks(costs: Costs, /, *, orders: Rows | None = None) -> Ranks:
    """Return the ranks [d, n] of costs [n, d], equal values alike; write the order [d, n] of the rows by each column.

    The same dominance in half the memory; one sort a column, on all cores.
    """
    n, d = costs.shape
    bits = np.ascontiguousarray(costs.T).view(np.int64)
    ranks = np.empty((d, n), dtype=np.int32)

    def work(first: int, last: int) -> None:
        key, pairs = np.empty(n, dtype=np.uint64), np.empty((2, n), dtype=np.uint64)
        written = np.empty((1, n), dtype=np.int32) if orders is None else orders
        rank_columns(bits, first, last, key, pairs, np.empty(_DIGITS, dtype=np.int32), ranks, written)

    if n:
        in_parts(work, d, smallest=1 if n > _ROWS_A_THREAD else d)
    return ranks


def ranks_and_orders(costs: Costs, /) -> tuple[Ranks, Rows]:
    orders = np.empty(costs.shape[::-1], dtype=np.int32)
    return dense_ranks(costs, orders=orders), orders


def sort_whole(numbers: NDArray[np.int64], /) -> Rows:
    """Return the order of whole numbers from 0 to 2**32, ties by their place."""
    order = np.arange(len(numbers), dtype=np.int32)
    width = int(numbers.max(initial=0)).bit_length()
    pairs, count = np.empty((2, len(numbers)), dtype=np.uint64), np.empty(_DIGITS, dtype=np.int32)
    radix_sort(numbers.view(np.uint64), 0, width, 11, order, pairs, count)
    return order


@kernel
def rank_columns(bits: Bits, first: int, last: int, key: Keys, pairs: Keys, count: Rows, ranks: Ranks, orders: Rows) -> None:
    """Write ranks and order of the columns first to last of the bits [d, n] of floats.

    A radix sort by the leading 16 bits in which the values differ, of up to 1,024 rows, 22 of up to 32,768, 32 of more; an
    insertion puts what is alike in these in order. Where that takes many steps, a radix sort by all bits.
    key [n], pairs [2, n] and count [2048] are room to work.
    """
    n = bits.shape[1]
    digit = 8 if n <= 1024 else 11
    upper, lower = np.uint64(32), np.uint64(0xFFFFFFFF)
    top = 2 * digit if n <= 32_768 else 32
    for j in range(first, last):
        order = orders[j % len(orders)]
        low, high = np.int64(0x7FFFFFFFFFFFFFFF), np.int64(-0x7FFFFFFFFFFFFFFF)
        for i in range(n):
            value = bits[j, i]
            # negative numbers count downwards, and -0.0 is 0.0
            if value < 0:
                value = (value ^ np.int64(0x7FFFFFFFFFFFFFFF)) + 1
            key[i] = np.uint64(value)
            low = value if value < low else low
            high = value if value > high else high
            order[i] = np.int32(i)
        for i in range(n):
            key[i] -= np.uint64(low)
        span = np.uint64(high) - np.uint64(low)
        width = 0
        while width < 64 and span >> np.uint64(width):
            width += 1
        shift = width - top if width > top else 0
        at = radix_sort(key, shift, width - shift, digit, order, pairs, count)
        steps = 4 * n
        for i in range(1, n):
            mine = pairs[at, i]
            k = i
            while k > 0 and pairs[at, k - 1] >> upper == mine >> upper and key[pairs[at, k - 1] & lower] > key[mine & lower]:
                pairs[at, k] = pairs[at, k - 1]
                k -= 1
            pairs[at, k] = mine
            steps -= i - k
            if steps < 0:
                break
        if steps < 0:
            for i in range(n):
                order[i] = np.int32(i)
            radix_sort(key, np.int64(0), np.int64(32), digit, order, pairs, count)
            at = radix_sort(key, np.int64(32), width - 32, digit, order, pairs, count)
        rank = np.int32(0)
        before = pairs[at, 0]
        for i in range(n):
            row = pairs[at, i] & lower
            if pairs[at, i] >> upper != before >> upper or key[row] != key[before & lower]:
                rank += np.int32(1)
            before = pairs[at, i]
            order[i] = np.int32(row)
            ranks[j, row] = rank


@kernel
def radix_sort(key: Keys, shift: int | np.int64, width: int | np.int64, digit: int, order: Rows, pairs: Keys, count: Rows) -> int:
    """Sort order by up to 32 bits of the rows' keys, those above shift, a digit a pass; ties stay in order.

    Return which of pairs [2, n] holds these bits with the row below them, in order.
    """
    n = len(key)
    for i in range(n):
        row = order[i]
        pairs[0, i] = ((key[row] >> np.uint64(shift)) << np.uint64(32)) | np.uint64(row)
    mask = np.uint64((1 << digit) - 1)
    low, at = 32, 0
    while low < 32 + width:
        by = np.uint64(low)
        for k in range(1 << digit):
            count[k] = 0
        for i in range(n):
            count[(pairs[at, i] >> by) & mask] += 1
        total = np.int32(0)
        for k in range(1 << digit):
            mine = count[k]
            count[k] = total
            total += mine
        for i in range(n):
            k = (pairs[at, i] >> by) & mask
            pairs[1 - at, count[k]] = pairs[at, i]
            count[k] += 1
        at = 1 - at
        low += digit
    for i in range(n):
        order[i] = np.int32(pairs[at, i] & np.uint64(0xFFFFFFFF))
    return at


@kernel
def lexicographic(ranks: Ranks, orders: Rows) -> Rows:
    """Return the order of the rows by the columns of ranks [d, n], one after the other; orders [d, n] are those by each."""
    d, n = ranks.shape
    if n == 0 or ranks[0, orders[0, n - 1]] == n - 1:  # no two rows share the first
        first: Rows = orders[0]
        return first
    order: Rows = orders[d - 1].copy()
    other = np.empty(n, dtype=np.int32)
    place = np.empty(n + 1, dtype=np.int32)
    for j in range(d - 2, -1, -1):
        for k in range(n + 1):
            place[k] = 0
        for i in range(n):
            place[ranks[j, i] + 1] += 1
        for k in range(n):
            place[k + 1] += place[k]
        for i in range(n):
            row = order[i]
            other[place[ranks[j, row]]] = row
            place[ranks[j, row]] += 1
        order, other = other, order
    return order
