"""Places on the common axis: where what the loop reads of a time lies, and having that of later ones brought near.

The processor follows a stream of lines by itself, but loses track of it where a time has much else to do.
"""

from traderagent.base.kernel import fetch, inline_kernel, inner_kernel


@inner_kernel
def stand_at(limits, prices, rows, t):
    """Where the candles of a place on the axis stand, given the addresses of its arrays."""
    step = 8 * limits.width
    limits.low = prices + 4 * step * t
    limits.high, limits.open, limits.present = limits.low + step, limits.low + 2 * step, limits.low + 3 * step
    limits.before = limits.present if t == 0 else limits.low - step
    limits.close = limits.before
    limits.rows = rows + 4 * limits.width * t


@inline_kernel
def fetch_soon(limits, axis, prices, rows, turns, shares, t):
    """Have what there is of each symbol at the time after the next one brought near.

    Of what there is once a time, a line holds 8 or 16 times: the next one.
    """
    after, step = min(t + 2, axis.n - 1), 32 * limits.width
    for at in range(0, step, 64):
        fetch(prices + step * after + at)
    for at in range(0, 4 * limits.width, 64):
        fetch(rows + 4 * limits.width * after + at)
    fetch(axis.time + 8 * (t + 16))
    fetch(turns + 4 * (t + 16))
    fetch(shares + 4 * (t + 16))
