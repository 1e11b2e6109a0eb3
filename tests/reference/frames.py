"""Frames built from base candles, and which frame candle is the last closed one at each row."""

from __future__ import annotations

MINUTE = 60_000
M15 = 15 * MINUTE
H1 = 60 * MINUTE
H4 = 4 * H1
DAY = 24 * H1


def resample(candles: dict, frame: int) -> dict:
    """Frame candles labelled by their open; one without a base candle does not exist."""
    result: dict = {name: [] for name in ("open_time", "open", "high", "low", "close", "volume")}
    for row in range(len(candles["open_time"])):
        label = candles["open_time"][row] // frame * frame
        if not result["open_time"] or result["open_time"][-1] != label:
            result["open_time"].append(label)
            for name in ("open", "high", "low", "close", "volume"):
                result[name].append(candles[name][row])
            continue
        result["high"][-1] = max(result["high"][-1], candles["high"][row])
        result["low"][-1] = min(result["low"][-1], candles["low"][row])
        result["close"][-1] = candles["close"][row]
        result["volume"][-1] += candles["volume"][row]
    return result


def last_closed(candles: dict, duration: int, frame_candles: dict, frame: int) -> list[int]:
    """For each base row, the last frame candle T with T + frame <= close time of the row; -1 without."""
    result = []
    visible = -1
    for open_time in candles["open_time"]:
        close_time = open_time + duration
        while (
            visible + 1 < len(frame_candles["open_time"])
            and frame_candles["open_time"][visible + 1] + frame <= close_time
        ):
            visible += 1
        result.append(visible)
    return result
