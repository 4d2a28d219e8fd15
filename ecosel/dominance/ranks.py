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

# Places for counting the digits of a radix sort, of up to 11 bits.
_DIGITS = 1 << 11
# Fewer rows are not worth a thread.
_ROWS_A_THREAD = 20_000


def dense_ranks(costs: Costs, /, *, orders: Rows | None = None) -> Ranks:
    """Return the ranks [d, n] of costs [n, d], the same for equal values; write the order [d, n] of the rows by each column.

    Ranks keep dominance in half the memory. Each column is sorted, on all cores, by the leading 16 bits in which values differ
    for up to 4,096 rows, 22 for up to 32,768, 32 for more; an insertion sort orders values alike in these bits. If that takes
    many steps, a sort by all bits follows.
    """
    n, d = costs.shape
    bits = np.ascontiguousarray(costs.T).view(np.int64)
    ranks = np.empty((d, n), dtype=np.int32)
    digit = 8 if n <= 4096 else 11
    top = 2 * digit if n <= 32_768 else 32

    def work(first: int, last: int) -> None:
        key, pairs, count = np.empty(n, dtype=np.int64), np.empty((2, n), dtype=np.uint64), np.empty(_DIGITS, dtype=np.int32)
        halves = tuple(pairs)
        if orders is None:
            order = np.empty(n, dtype=np.int32)
        for j in range(first, last):
            if orders is not None:
                order = orders[j]
            low, high = keys_of(bits[j], key)
            width = int(high - low).bit_length()
            at = radix_sort(key, low, max(width - top, 0), min(width, top), digit, pairs, count)
            if not rank_sorted(key, halves[at], 4 * n, order, ranks[j]):
                pairs[0] = np.argsort(key, kind="stable")
                rank_sorted(key, halves[0], 0, order, ranks[j])

    if n:
        in_parts(work, d, smallest=1 if n > _ROWS_A_THREAD else d)
    return ranks


def ranks_and_orders(costs: Costs, /) -> tuple[Ranks, Rows]:
    orders = np.empty(costs.shape[::-1], dtype=np.int32)
    return dense_ranks(costs, orders=orders), orders


def sort_whole(numbers: NDArray[np.int64], /) -> Rows:
    """Return the order of whole numbers from 0 to 2**32; ties by position."""
    width = int(numbers.max(initial=0)).bit_length()
    pairs, count = np.empty((2, len(numbers)), dtype=np.uint64), np.empty(_DIGITS, dtype=np.int32)
    at = radix_sort(numbers, 0, 0, width, 11, pairs, count)
    order: Rows = (pairs[at] & 0xFFFFFFFF).astype(np.int32)
    return order


def lexicographic(ranks: Ranks, orders: Rows, /) -> Rows:
    """Return the order of the rows by the columns of ranks [d, n], one after the other; orders [d, n] are those by each."""
    d, n = ranks.shape
    if n == 0 or ranks[0, orders[0, -1]] == n - 1:  # no two rows share the first
        first: Rows = orders[0]
        return first
    order: Rows = orders[d - 1]
    for j in range(d - 2, -1, -1):
        other = np.empty(n, dtype=np.int32)
        sort_by_rank(ranks[j], order, np.zeros(n + 1, dtype=np.int32), other)
        order = other
    return order


@kernel
def keys_of(bits: Bits, key: Bits) -> tuple[np.int64, np.int64]:
    """Write whole numbers in the order of floats given as bits; return the smallest and the largest."""
    low, high = np.int64(0x7FFFFFFFFFFFFFFF), np.int64(-0x7FFFFFFFFFFFFFFF)
    for i in range(len(bits)):
        value = bits[i]
        # negative numbers count downwards, and -0.0 is 0.0
        if value < 0:
            value = (value ^ np.int64(0x7FFFFFFFFFFFFFFF)) + 1
        key[i] = value
        low = value if value < low else low
        high = value if value > high else high
    return low, high


@kernel
def rank_sorted(key: Bits, pairs: Keys, steps: int, order: Rows, ranks: Rows) -> bool:
    """Sort pairs alike in their upper half by insertion; write order and ranks, unless it takes more steps than allowed."""
    n = len(key)
    upper, lower = np.uint64(32), np.uint64(0xFFFFFFFF)
    for i in range(1, n):
        mine = pairs[i]
        k = i
        while k > 0 and pairs[k - 1] >> upper == mine >> upper and key[pairs[k - 1] & lower] > key[mine & lower]:
            pairs[k] = pairs[k - 1]
            k -= 1
        pairs[k] = mine
        steps -= i - k
        if steps < 0:
            return False
    rank = np.int32(0)
    before = pairs[0]
    for i in range(n):
        row = pairs[i] & lower
        if pairs[i] >> upper != before >> upper or key[row] != key[before & lower]:
            rank += np.int32(1)
        before = pairs[i]
        order[i] = np.int32(row)
        ranks[row] = rank
    return True


@kernel
def radix_sort(key: Bits, least: int | np.int64, shift: int, width: int, digit: int, pairs: Keys, count: Rows) -> int:
    """Sort rows by up to 32 bits above shift of their keys less the least, one digit per pass; ties by position.

    Return which of pairs [2, n] holds these bits, with the row below them, in order.
    """
    n = len(key)
    for i in range(n):
        pairs[0, i] = ((np.uint64(key[i] - least) >> np.uint64(shift)) << np.uint64(32)) | np.uint64(i)
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
    return at


@kernel
def sort_by_rank(rank: Rows, order: Rows, place: Rows, other: Rows) -> None:
    """Write order to other, by rank; ties stay in order. place [n + 1] is 0."""
    for i in range(len(order)):
        place[rank[i] + 1] += 1
    for k in range(len(order)):
        place[k + 1] += place[k]
    for row in order:
        other[place[rank[row]]] = row
        place[rank[row]] += 1
