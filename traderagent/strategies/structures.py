"""Structures: swings, trend, breaks, order blocks, gaps and pools of liquidity, with the candle that confirmed each.

Nothing is used before it is confirmed, and nothing confirmed is rewritten: later candles only say when
and why it ended. Every kernel knows one side only, highs and what a long looks at. The other side is the
same kernel on mirrored candles (each price x as −x, highs and lows exchanged), which is exact in floats.

Source: spec "The four strategies", smc; readings in docs/execution.md, smc.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from traderagent.base.kernel import inner_kernel, kernel
from traderagent.strategies.contract import record_dtype
from traderagent.strategies.features import Frame, Frames

TIMEFRAMES = ("1d", "4h", "1h")
SIDES = (1, -1)

# Why a structure ended. PASSED_OVER: confirmed, but the sequence holds a more extreme one already.
END_REASONS = ("", "broken", "replaced", "followed", "passed_over", "aged", "filled", "swept")
LIVE, BROKEN, REPLACED, FOLLOWED, PASSED_OVER, AGED, FILLED, SWEPT = range(8)

NO_BREAK, BOS, CHOCH = 0, 1, 2
BLOCK, GAP = 1, 2

# Positions of H1 candles in `at` and `confirmed`; `ended` of a pool is one of M15 candles; −1: not ended.
ZONE = record_dtype(("kind at confirmed ended reason", "i8"), ("low high", "f8"))
POOL = record_dtype(("at confirmed ended reason", "i8"), ("edge level", "f8"))


class Measures(NamedTuple):
    """Parameters that structures depend on; see `traderagent.strategies.smc`."""

    swing_length: int
    atr_period: int
    liquidity_atr: float
    zone_max_age: int


class Candles(NamedTuple):
    """Closed candles of a frame as one side sees them: (m,) float64 each, negative for shorts."""

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray


class Swings(NamedTuple):
    """Swings, trend and breaks of one timeframe; axis 0 of two is (highs, lows), (m,) is candles of the frame.

    Attributes
    ----------
    trend : (m,) int8, +1 bullish, −1 bearish, 0 ranging, after each close
    last : (2, m) int64, candle of the last swing of the sequence after each close, −1 for none
    is_swing : (2, m) bool, a swing lies at the candle (confirmed swing_length candles later)
    ended, reason : (2, m) int64 and int8, close at which the candle's swing ended, −1 for not, and why
    broken : (2, m) int64, candle of the swing that each close broke, −1 for none
    change : (2, m) int8, NO_BREAK, BOS or CHOCH
    """

    trend: np.ndarray
    last: np.ndarray
    is_swing: np.ndarray
    ended: np.ndarray
    reason: np.ndarray
    broken: np.ndarray
    change: np.ndarray


@dataclass(frozen=True)
class Structures:
    """All structures of a symbol under one set of measures; pairs are (bullish, bearish), the latter in −price.

    Attributes
    ----------
    swings : by timeframe
    seen : by timeframe, (n_m15,) int64, the last candle that is closed when each M15 candle becomes visible
    zones : pair of ZONE arrays in order of confirmation, blocks before gaps
    pools : pair of POOL arrays (of highs, of lows)
    targets : pair of (n_m15,) float64, nearest live pool beyond the close of each M15 candle, NaN for none
    """

    measures: Measures
    swings: dict[str, Swings]
    seen: dict[str, np.ndarray]
    zones: tuple[np.ndarray, np.ndarray]
    pools: tuple[np.ndarray, np.ndarray]
    targets: tuple[np.ndarray, np.ndarray]


@inner_kernel
def is_peak(values, k, length):
    """Whether values[k] is above all others of [k − length, k + length]."""
    j = k - length
    while (j <= k + length) and ((j == k) or (values[j] < values[k])):
        j += 1
    return j > k + length


@inner_kernel
def direction_of(extreme, last, before, present):
    """Trend after a swing has entered the sequence."""
    if min(before[0], before[1]) < 0:
        return present
    is_high_above = extreme[0, last[0]] > extreme[0, before[0]]
    is_high_below = extreme[0, last[0]] < extreme[0, before[0]]
    is_low_above = extreme[1, last[1]] < extreme[1, before[1]]
    is_low_below = extreme[1, last[1]] > extreme[1, before[1]]
    if is_high_above and is_low_above:
        return 1
    if is_high_below and is_low_below:
        return -1
    return present


@kernel
def swings_kernel(extreme, close, length):
    """The arrays of `Swings` from (2, m) extremes (highs, −lows) and closes (close, −close).

    At each close: swings first, highs before lows, then the break up, then the break down.
    """
    n = close.shape[1]
    trend = np.zeros(n, np.int8)
    last_at = np.full((2, n), -1, np.int64)
    is_swing = np.zeros((2, n), np.bool_)
    ended = np.full((2, n), -1, np.int64)
    reason = np.zeros((2, n), np.int8)
    broken = np.full((2, n), -1, np.int64)
    change = np.zeros((2, n), np.int8)
    last, before = np.full(2, -1, np.int64), np.full(2, -1, np.int64)
    newest, present = -1, 0
    for i in range(n):
        k = i - length
        for s in range(2):
            if (k < length) or not is_peak(extreme[s], k, length):
                continue
            is_swing[s, k] = True
            old = last[s]
            if (newest == s) and extreme[s, k] <= extreme[s, old]:
                ended[s, k], reason[s, k] = i, PASSED_OVER
                continue
            if (old >= 0) and (reason[s, old] == LIVE):
                ended[s, old], reason[s, old] = i, REPLACED if newest == s else FOLLOWED
            if newest != s:
                before[s] = old
            last[s], newest = k, s
            present = direction_of(extreme, last, before, present)
        for s in range(2):
            top = last[s]
            last_at[s, i] = top
            if (top >= 0) and (reason[s, top] == LIVE) and (close[s, i] > extreme[s, top]):
                side = 1 - 2 * s
                broken[s, i], change[s, i] = top, BOS if present == side else CHOCH
                ended[s, top], reason[s, top] = i, BROKEN
                present = side
        trend[i] = present
    return trend, last_at, is_swing, ended, reason, broken, change


@inner_kernel
def end_of_block(zone, close, max_age):
    """A block dies of the first later close below it, or of age."""
    last = zone.confirmed + max_age
    for m in range(zone.confirmed + 1, min(last + 1, close.size)):
        if close[m] < zone.low:
            zone.ended, zone.reason = m, BROKEN
            return
    if last < close.size:
        zone.ended, zone.reason = last, AGED


@inner_kernel
def end_of_gap(zone, low):
    """A gap dies when the lows have lowered its top to its bottom."""
    for m in range(zone.confirmed + 1, low.size):
        if low[m] <= zone.low:
            zone.ended, zone.reason = m, FILLED
            return


@kernel
def zones_kernel(open_, high, low, close, broken, opposite, max_age, zones):
    """Write order blocks and gaps of the bullish side into `zones`, one of a kind a candle; return their number.

    `broken` (m,): candle of the swing high that each close broke; `opposite` (m,): the last swing low then.
    """
    n_zones = 0
    is_block = np.zeros(close.size, np.bool_)
    for i in range(close.size):
        if (broken[i] >= 0) and (opposite[i] >= 0):
            j = i - 1
            while (j >= opposite[i]) and (close[j] >= open_[j]):
                j -= 1
            if (j >= opposite[i]) and not is_block[j]:
                is_block[j] = True
                zone = zones[n_zones]
                zone.kind, zone.at, zone.confirmed, zone.ended, zone.reason = BLOCK, j, i, -1, LIVE
                zone.low, zone.high = low[j], high[j]
                end_of_block(zone, close, max_age)
                n_zones += 1
        if (i >= 2) and (low[i] > high[i - 2]):
            zone = zones[n_zones]
            zone.kind, zone.at, zone.confirmed, zone.ended, zone.reason = GAP, i - 1, i, -1, LIVE
            zone.low, zone.high = high[i - 2], low[i]
            end_of_gap(zone, low)
            n_zones += 1
    return n_zones


@inner_kernel
def join_swings(pool, high, is_swing, k, i, reach):
    """Make `pool` of the swing high at k and the earlier ones as high, unless the price was above them since."""
    pool.at, pool.confirmed, pool.ended, pool.reason = -1, i, -1, LIVE
    pool.edge = pool.level = highest = high[k]
    if not reach >= 0.0:
        return
    for j in range(k - 1, -1, -1):
        if is_swing[j] and (abs(high[j] - high[k]) <= reach) and (highest <= max(high[j], high[k])):
            pool.at = j
            pool.level = max(pool.level, high[j])
            pool.edge = min(pool.edge, high[j])
        highest = max(highest, high[j])
        if highest - high[k] > reach:  # no earlier swing can be both within reach and unexceeded
            return


@inner_kernel
def has_level(pools, live, n_live, level):
    """Whether a live pool stands at exactly this level."""
    found = False
    for p in range(n_live):
        found |= pools[live[p]].level == level
    return found


@kernel
def pools_kernel(high, is_swing, atr, length, tolerance, high15, close15, seen, pools, target):
    """Write pools of swing highs into `pools` and the nearest live one beyond each M15 close into `target`.

    H1 candles move on before the M15 candle with which they become visible. Returns the number of pools.
    """
    n_pools = n_live = 0
    live = np.empty(pools.size, np.int64)
    i = -1
    for t in range(high15.size + 1):
        until = seen[t] if t < high15.size else high.size - 1
        while i < until:
            i += 1
            k = i - length
            if (k >= length) and is_swing[k]:
                pool = pools[n_pools]
                join_swings(pool, high, is_swing, k, i, tolerance * atr[i])
                if (pool.at >= 0) and not has_level(pools, live, n_live, pool.level):
                    live[n_live] = n_pools
                    n_live += 1
                    n_pools += 1
        if t == high15.size:
            break
        kept = 0
        target[t] = np.nan
        for p in range(n_live):
            pool = pools[live[p]]
            if high15[t] > pool.level:
                pool.ended, pool.reason = t, SWEPT
                continue
            live[kept] = live[p]
            kept += 1
            if (pool.level > close15[t]) and not pool.level >= target[t]:
                target[t] = pool.level
        n_live = kept
    return n_pools


def n_closed(frame: Frame) -> int:
    """Candles of the frame that are closed at the last base close."""
    return int(frame.closed[-1]) + 1 if len(frame.closed) else 0


def closed_candles(frame: Frame, side: int = 1) -> Candles:
    """The frame's closed candles as a side (+1 long, −1 short) sees them."""
    n = n_closed(frame)
    if side > 0:
        return Candles(frame.open[:n], frame.high[:n], frame.low[:n], frame.close[:n])
    return Candles(-frame.open[:n], -frame.low[:n], -frame.high[:n], -frame.close[:n])


def structures_of(data: Frames, measures: Measures, delay: int = 0) -> Structures:
    """All structures of a symbol, computed once per set of measures.

    Parameters
    ----------
    data : frames of the symbol
    measures : what structures depend on
    delay : H1 candles by which M15 candles see everything of H1 later than they could; 0 but in comparisons
    """
    return data.once(("structures", measures, delay), lambda: _compute(data, measures, delay))


def _compute(data: Frames, measures: Measures, delay: int) -> Structures:
    swings = {name: _swings(data[name], measures.swing_length) for name in TIMEFRAMES}
    m15, h1 = data["15m"], data["1h"]
    first_row = np.searchsorted(m15.closed, np.arange(n_closed(m15)))
    seen = {name: data[name].closed[first_row] for name in TIMEFRAMES}
    seen["1h"] = np.maximum(seen["1h"] - delay, -1)
    atr = h1.indicator("atr", measures.atr_period)
    zones, pools, targets = [], [], []
    for s, side in enumerate(SIDES):
        hours, quarters = closed_candles(h1, side), closed_candles(m15, side)
        zone = np.zeros(2 * len(hours.close), ZONE)
        of = swings["1h"]
        zones.append(zone[: zones_kernel(*hours, of.broken[s], of.last[1 - s], measures.zone_max_age, zone)])
        pool, target = np.zeros(len(hours.close), POOL), np.empty(len(quarters.close))
        n_pools = pools_kernel(
            hours.high,
            of.is_swing[s],
            atr,
            measures.swing_length,
            measures.liquidity_atr,
            quarters.high,
            quarters.close,
            seen["1h"],
            pool,
            target,
        )
        pools.append(pool[:n_pools])
        targets.append(target)
    return Structures(measures, swings, seen, (zones[0], zones[1]), (pools[0], pools[1]), (targets[0], targets[1]))


def _swings(frame: Frame, length: int) -> Swings:
    sides = [closed_candles(frame, side) for side in SIDES]
    extreme, close = np.vstack([c.high for c in sides]), np.vstack([c.close for c in sides])
    return Swings(*swings_kernel(extreme, close, length))
