"""The order in which the prices of a candle are thought to have come."""

from __future__ import annotations


def points_after_open(model: str, open_: float, high: float, low: float, close: float) -> list[float]:
    """The turning points after the open."""
    low_first = [low, high, close]
    high_first = [high, low, close]
    if model == "candle":
        return low_first if close >= open_ else high_first
    if model == "nearest":
        return low_first if open_ - low <= high - open_ else high_first
    if model == "olhc":
        return low_first
    if model == "ohlc":
        return high_first
    raise ValueError(f"unknown path {model!r}; allowed: candle, nearest, olhc, ohlc")
