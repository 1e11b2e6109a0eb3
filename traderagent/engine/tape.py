"""One symbol's candles as the bar loop reads them: columns, calendar marks and hourly summaries."""

from dataclasses import dataclass

import numpy as np

from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import milliseconds, traded

HOUR = 3_600_000
DAY = 86_400_000


@dataclass(frozen=True)
class Tape:
    """Arrays of length n_candles (existing candles only) and of n_blocks, shared by all trials of a symbol.

    Attributes
    ----------
    time : open times, ms; close_time : close times, ms, as floats; open, high, low, close, volume : float64 columns
    day_first : 1 at the first candle of a label day; next_day : row of the next such candle
    ends_day : 1 at the last candle of a label day
    hour_weight : at the last candle of a block the number of full hours that its mark serves (holes included), else 0
    block_of, block_end : block of a row and the row after a block; a block is a UTC hour (or one candle if longer)
    blocks : (5, n_blocks): low, high, lowest close, highest close, largest fall of the close
    """

    time: np.ndarray
    close_time: np.ndarray
    duration: int
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    day_first: np.ndarray
    next_day: np.ndarray
    ends_day: np.ndarray
    hour_weight: np.ndarray
    block_of: np.ndarray
    block_end: np.ndarray
    blocks: np.ndarray

    def __len__(self) -> int:
        return len(self.time)

    @property
    def sample(self) -> int:
        """Milliseconds between two samples of the Sharpe ratio: an hour, or a longer base candle."""
        return max(HOUR, self.duration)


def tape_of(data: MultiTimeframeData) -> Tape:
    """The tape of a symbol, made once and kept with it."""
    if "_tape" not in data.__dict__:
        data.__dict__["_tape"] = _build(data)
    return data.__dict__["_tape"]


def _build(data: MultiTimeframeData) -> Tape:
    frame = traded(data.candles)
    time = milliseconds(frame.index)
    columns = {c: np.ascontiguousarray(frame[c].to_numpy(np.float64)) for c in frame.columns}
    sample = max(HOUR, data.duration)
    block_of, block_end = runs(time // sample)
    day_of, day_end = runs(time // DAY)
    ends_day = np.zeros(len(time), np.int8)
    ends_day[day_end - 1] = 1
    return Tape(
        time=time,
        close_time=(time + data.duration).astype(np.float64),
        duration=data.duration,
        **columns,
        day_first=np.diff(day_of, prepend=-1).astype(np.int8),
        next_day=day_end[day_of].astype(np.int32),
        ends_day=ends_day,
        hour_weight=_hour_weight(time, data.duration, sample, block_end),
        block_of=block_of.astype(np.int32),
        block_end=block_end.astype(np.int32),
        blocks=_summaries(columns, block_of, block_end),
    )


def runs(label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of each row's run of equal labels, and the row after each run."""
    changes = np.flatnonzero(np.diff(label) != 0) + 1
    of = np.zeros(len(label), np.int64)
    of[changes] = 1
    return np.cumsum(of), np.append(changes, len(label))


def _hour_weight(time: np.ndarray, duration: int, sample: int, block_end: np.ndarray) -> np.ndarray:
    """Full hours whose sample is the mark of a row: those from its close on, before the next candle closes one."""
    last = block_end - 1
    close_time = time[last] + duration
    first_hour = -(-close_time // sample)
    following = np.append(first_hour[1:], close_time[-1] // sample + 1)
    weight = np.zeros(len(time), np.int32)
    weight[last] = np.maximum(following - first_hour, 0)
    return weight


def _summaries(columns: dict[str, np.ndarray], block_of: np.ndarray, block_end: np.ndarray) -> np.ndarray:
    starts = np.append(0, block_end[:-1])
    close = columns["close"]
    peak = _running_peak(close, starts)
    return np.ascontiguousarray(
        np.vstack(
            (
                np.minimum.reduceat(columns["low"], starts),
                np.maximum.reduceat(columns["high"], starts),
                np.minimum.reduceat(close, starts),
                np.maximum.reduceat(close, starts),
                np.maximum.reduceat(peak - close, starts),
            )
        )
    )


def _running_peak(close: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Highest close of each block so far."""
    peak = close.copy()
    is_start = np.zeros(len(close), bool)
    is_start[starts] = True
    for _ in range(int(np.diff(np.append(starts, len(close))).max()) - 1):
        before = np.where(is_start[1:], -np.inf, peak[:-1])
        peak[1:] = np.maximum(peak[1:], before)
    return peak
