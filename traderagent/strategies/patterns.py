"""Patterns of M15 candles at zones of H1: where a structure trade may begin, with its stop, target and confidence.

A pattern counts only at the candle that completes it. The kernel knows longs; shorts are the same
kernel on mirrored candles, zones and trends.

Source: spec "The four strategies", smc; readings in docs/execution.md, smc.
"""

from typing import NamedTuple

import numpy as np

from traderagent.base.kernel import inner_kernel, kernel
from traderagent.strategies.contract import ENGULFING, INSIDE_BAR, NO_REASON, PIN_BAR, record_dtype
from traderagent.strategies.features import Frames
from traderagent.strategies.structures import GAP, SIDES, Structures, closed_candles

# A signal: its M15 candle, the reason of the entry (negative for shorts), zones near the close; real prices.
SIGNAL = record_dtype(("candle kind zones", "i8"), ("stop target confidence", "f8"))

FULL_REWARD = 4.0  # reward per risk that earns the whole of its part of the confidence


class Rules(NamedTuple):
    """Parameters of entries; see `traderagent.strategies.smc`."""

    zone_atr: float
    stop_atr: float
    min_confidence: float
    min_risk_reward: float


@inner_kernel
def is_engulfing(open_, close, t):
    """A rising body that covers the falling one before it."""
    if (t < 1) or not (close[t] > open_[t]) or not (close[t - 1] < open_[t - 1]):
        return False
    return (open_[t] <= close[t - 1]) and (close[t] >= open_[t - 1])


@inner_kernel
def is_pin_bar(open_, high, low, close, t):
    """A lower wick of two bodies and two thirds of the range (which says the former too, but for rounding)."""
    span = high[t] - low[t]
    wick = min(open_[t], close[t]) - low[t]
    return (span > 0.0) and (wick >= 2.0 * abs(close[t] - open_[t])) and (3.0 * wick >= 2.0 * span)


@inner_kernel
def breaks_inside_bar(high, low, close, t):
    """A close above the candle before, which lay within the one before it."""
    return (t >= 2) and (high[t - 1] <= high[t - 2]) and (low[t - 1] >= low[t - 2]) and (close[t] > high[t - 1])


@inner_kernel
def pattern_at(open_, high, low, close, t):
    """The pattern with the highest score that candle t completes: its reason, its score, the number of its candles."""
    if is_engulfing(open_, close, t):
        return ENGULFING, 1.0, 2
    if is_pin_bar(open_, high, low, close, t):
        return PIN_BAR, 0.8, 1
    if breaks_inside_bar(high, low, close, t):
        return INSIDE_BAR, 0.6, 3
    return NO_REASON, 0.0, 0


@inner_kernel
def move_on(zones, top, live, n_live, i, low):
    """Forget zones that end at the close of H1 candle i and shrink the live gaps; return the number of live ones."""
    kept = 0
    for p in range(n_live):
        z = live[p]
        if zones[z].ended == i:
            continue
        if zones[z].kind == GAP:
            top[z] = min(top[z], low[i])
        live[kept] = z
        kept += 1
    return kept


@inner_kernel
def zones_near(zones, top, live, n_live, price, distance):
    """Number of live zones within `distance` of a price, and the lowest of their bottoms."""
    n_near, lowest = 0, np.inf
    for p in range(n_live):
        zone = zones[live[p]]
        if (zone.low - distance <= price) and (price <= top[live[p]] + distance):
            n_near += 1
            lowest = min(lowest, zone.low)
    return n_near, lowest


@kernel
def signals_kernel(
    open_, high, low, close, atr, seen, agreeing, trend, middle, hour_low, zones, target, rules, signals
):
    """Write the signals of the bullish side into `signals` and return their number.

    M15: candles (n,), `atr`, `seen` (the last closed H1 candle), `agreeing` (0 to 2 of D1 and H4), `target` (the
    nearest pool or NaN). H1: `trend`, `middle` of the dealing range or NaN, lows, zones. `rules`: a `Rules`.
    """
    n_signals = n_live = z = 0
    live, top = np.empty(zones.size, np.int64), np.empty(zones.size)
    i = -1
    for t in range(close.size):
        while i < seen[t]:
            i += 1
            n_live = move_on(zones, top, live, n_live, i, hour_low)
            while (z < zones.size) and (zones[z].confirmed == i):
                live[n_live], top[z] = z, zones[z].high
                n_live += 1
                z += 1
        if (i < 0) or (trend[i] != 1) or not (close[t] <= middle[i]) or np.isnan(atr[t]):
            continue
        reason, score, n_candles = pattern_at(open_, high, low, close, t)
        if reason == NO_REASON:
            continue
        n_near, lowest = zones_near(zones, top, live, n_live, close[t], rules.zone_atr * atr[t])
        if n_near == 0:
            continue
        for j in range(t - n_candles + 1, t + 1):
            lowest = min(lowest, low[j])
        stop = lowest - rules.stop_atr * atr[t]
        risk = close[t] - stop
        aim = close[t] + rules.min_risk_reward * risk
        if (target[t] - close[t]) / risk >= rules.min_risk_reward:
            aim = target[t]
        confidence = 0.25 * score + 0.25 * min(n_near, 2) / 2 + 0.25 * agreeing[t] / 2
        confidence += 0.25 * min((aim - close[t]) / risk / FULL_REWARD, 1.0)
        if confidence >= rules.min_confidence:
            signal = signals[n_signals]
            signal.candle, signal.kind, signal.zones = t, reason, n_near
            signal.stop, signal.target, signal.confidence = stop, aim, confidence
            n_signals += 1
    return n_signals


def signals_of(data: Frames, found: Structures, rules: Rules, delay: int = 0) -> np.ndarray:
    """(n_signals,) SIGNAL in order of time, computed once per structures and rules; both sides, real prices.

    `delay`: that of the structures.
    """
    key = ("signals", found.measures, rules, delay)
    return data.once(key, lambda: _both_sides(data, found, rules))


def _both_sides(data: Frames, found: Structures, rules: Rules) -> np.ndarray:
    m15, hour = data["15m"], data["1h"]
    swings, seen = found.swings["1h"], found.seen
    atr = m15.indicator("atr", found.measures.atr_period)
    middle = _middle(closed_candles(hour).high, closed_candles(hour).low, swings.last)
    sides = []
    for s, side in enumerate(SIDES):
        candles = closed_candles(m15, side)
        signals = np.zeros(len(candles.close), SIGNAL)
        agreeing = sum(_known(found.swings[name].trend, seen[name]) == side for name in ("1d", "4h"))
        n = signals_kernel(
            *candles,
            atr,
            seen["1h"],
            agreeing,
            side * swings.trend,
            side * middle,
            closed_candles(hour, side).low,
            found.zones[s],
            found.targets[s],
            rules,
            signals,
        )
        for name in ("kind", "stop", "target"):
            signals[name] *= side
        sides.append(signals[:n])
    both = np.concatenate(sides)
    return both[np.argsort(both["candle"], kind="stable")]


def _middle(high: np.ndarray, low: np.ndarray, last: np.ndarray) -> np.ndarray:
    """(m,) middle of the dealing range after each H1 close; NaN without both swings, or where it is upside down."""
    is_known = (last >= 0).all(axis=0)
    top = np.where(is_known, high[last[0]], np.nan)
    bottom = np.where(is_known, low[last[1]], np.nan)
    return np.where(bottom < top, (bottom + top) / 2, np.nan)


def _known(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The frame's value as each M15 candle sees it, 0 before the first."""
    if len(values) == 0:
        return np.zeros(len(seen), values.dtype)
    return np.where(seen >= 0, values[seen], 0)
