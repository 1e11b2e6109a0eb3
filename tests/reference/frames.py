"""Frames built from base candles, and which frame candle is the last closed one at each row."""

from __future__ import annotations

MINUTE = 60_000
M15 = 15 * MINUTE
H1 = 60 * MINUTE
H4 = 4 * H1
DAY = 24 * H1
COLUMNS = ("open_time", "open", "high", "low", "close", "volume")


def resample(candles: dict, frame: int) -> dict:
    """Frame candles labelled by their open; one without a base candle does not exist."""
    labels, opens, highs, lows, closes, volumes = columns = [[] for _ in COLUMNS]
    for time, open_, high, low, close, volume in zip(*(candles[name] for name in COLUMNS), strict=True):
        label = time // frame * frame
        if not labels or labels[-1] != label:
            labels.append(label)
            opens.append(open_)
            highs.append(high)
            lows.append(low)
            closes.append(close)
            volumes.append(volume)
            continue
        highs[-1] = max(highs[-1], high)
        lows[-1] = min(lows[-1], low)
        closes[-1] = close
        volumes[-1] += volume
    return dict(zip(COLUMNS, columns, strict=True))


def last_closed(candles: dict, duration: int, frame_candles: dict, frame: int) -> list[int]:
    """For each base row, the last frame candle T with T + frame <= close time of the row; -1 without."""
    result = []
    ends = [label + frame for label in frame_candles["open_time"]]
    visible = -1
    for open_time in candles["open_time"]:
        while visible + 1 < len(ends) and ends[visible + 1] <= open_time + duration:
            visible += 1
        result.append(visible)
    return result
