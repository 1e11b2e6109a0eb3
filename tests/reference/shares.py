"""Hourly returns of symbols, how alike two of them are, and the weights with which symbols share an account."""

from __future__ import annotations

import itertools
import math

from tests.reference.frames import DAY, H1, resample

ENOUGH_HOURS = 168  # returns, below which nothing is known
VOLATILITY_WINDOW = 30 * DAY
TIE = 1e-9  # correlations this close to the limit have reached it


class Hours:
    """The hourly log returns of one symbol, by the time at which each hour ends.

    An hour has a return where it and the hour before it have a candle. Candles longer than an hour are their own hours.
    """

    def __init__(self, candles: dict, duration: int):
        span = max(H1, duration)
        frame = resample(candles, span)
        bars = zip(frame["open_time"], frame["close"], strict=True)
        self.returns: dict[int, float] = {}
        for (before, close_before), (label, close) in itertools.pairwise(bars):
            if label - before == span:
                self.returns[label + span] = math.log(close / close_before)

    def between(self, after: int, until: int) -> dict[int, float]:
        return {end: value for end, value in self.returns.items() if after < end <= until}


def pearson(x: list[float], y: list[float]) -> float:
    """NaN where one of them does not move."""
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    across = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    square_x = math.fsum((a - mean_x) ** 2 for a in x)
    square_y = math.fsum((b - mean_y) ** 2 for b in y)
    return across / math.sqrt(square_x * square_y) if square_x > 0.0 and square_y > 0.0 else math.nan


def correlation(one: Hours, other: Hours, now: int, window: int) -> float:
    """Over the hours that both have in the window before `now`; NaN below 168 of them."""
    mine, theirs = one.between(now - window, now), other.between(now - window, now)
    common = [end for end in mine if end in theirs]
    if len(common) < ENOUGH_HOURS:
        return math.nan
    return pearson([mine[end] for end in common], [theirs[end] for end in common])


def volatility(hours: Hours, now: int) -> float:
    """Sample deviation of the returns of 30 days; NaN below 168 of them or where nothing moved."""
    values = list(hours.between(now - VOLATILITY_WINDOW, now).values())
    if len(values) < ENOUGH_HOURS:
        return math.nan
    mean = math.fsum(values) / len(values)
    found = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return found if found > 0.0 else math.nan


def inverse_volatility(hours: dict[str, Hours], now: int) -> dict[str, float]:
    """A symbol of unknown volatility has an equal weight; the others share what is left."""
    found = {symbol: volatility(of_symbol, now) for symbol, of_symbol in hours.items()}
    inverse = {symbol: 1.0 / value for symbol, value in found.items() if not math.isnan(value)}
    equal = 1.0 / len(hours)
    rest, total = len(inverse) / len(hours), math.fsum(inverse.values())
    return {symbol: rest * (inverse[symbol] / total) if symbol in inverse else equal for symbol in hours}
