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
    raise ValueError(f"unknown path {model!r}; allowed: candle, nearest, olhc, ohlc, detail")


def finer_candles(candles: dict, duration: int, detail: dict | None, detail_duration: int) -> list[list[tuple]]:
    """The (open, high, low, close) of the finer candles of each base candle, which they make up exactly."""
    if detail is None:
        raise ValueError("path detail needs detail candles")
    if duration % detail_duration != 0:
        raise ValueError(f"candles of {duration} ms are not made of candles of {detail_duration} ms")
    by_label: dict[int, list[tuple]] = {label: [] for label in candles["open_time"]}
    for k, time in enumerate(detail["open_time"]):
        label = time // duration * duration
        if label in by_label:
            by_label[label].append((detail["open"][k], detail["high"][k], detail["low"][k], detail["close"][k]))
    for row, label in enumerate(candles["open_time"]):
        base = (candles["open"][row], candles["high"][row], candles["low"][row], candles["close"][row])
        if not by_label[label] or base != made_of(by_label[label]):
            raise ValueError(f"the candle of {label} (row {row}) is not made of its finer candles")
    return list(by_label.values())


def made_of(bars: list[tuple]) -> tuple:
    return bars[0][0], max(bar[1] for bar in bars), min(bar[2] for bar in bars), bars[-1][3]
