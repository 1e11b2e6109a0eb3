"""One symbol's candles as the bar loop reads them: columns, calendar marks and hourly summaries."""

from dataclasses import dataclass

import numpy as np

from traderagent.engine.records import BLOCK, SPAN
from traderagent.market.candles import COLUMNS, MultiTimeframeData
from traderagent.market.frames import milliseconds, traded

HOUR = 3_600_000
DAY = 86_400_000


@dataclass(frozen=True)
class Tape:
    """Arrays of length n_candles (existing candles only) and of n_blocks, shared by all trials of a symbol.

    Attributes
    ----------
    time : open times, ms; open, high, low, close, volume : float64 columns
    next_day : row of the first candle of the next label day
    blocks : (n_blocks,) BLOCK, summaries of the candles of each UTC hour (or of one candle if longer)
    """

    time: np.ndarray
    duration: int
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    next_day: np.ndarray
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


def until(tape: Tape, stop: int) -> Tape:
    """The tape of the first `stop` candles, as if no later one had ever been loaded; columns are views."""
    blocks = tape.blocks[: int(np.searchsorted(tape.blocks["end"], stop)) + 1].copy()
    first = int(blocks["end"][-2]) if len(blocks) > 1 else 0
    columns = {name: getattr(tape, name)[:stop] for name in COLUMNS}
    part = {name: column[first:] for name, column in columns.items()}
    blocks[-1] = blocks_of(tape.time[first:stop], tape.duration, part, np.array([stop - first]))[0]
    blocks["end"][-1] = stop
    return Tape(
        tape.time[:stop], tape.duration, **columns, next_day=np.minimum(tape.next_day[:stop], stop), blocks=blocks
    )


def _build(data: MultiTimeframeData) -> Tape:
    frame = traded(data.candles)
    time = milliseconds(frame.index)
    columns = {c: np.ascontiguousarray(frame[c].to_numpy(np.float64)) for c in frame.columns}
    day_of, day_end = runs(time // DAY)
    return Tape(
        time=time,
        duration=data.duration,
        **columns,
        next_day=day_end[day_of].astype(np.int32),
        blocks=blocks_of(time, data.duration, columns, day_end),
    )


def runs(label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of each row's run of equal labels, and the row after each run."""
    changes = np.flatnonzero(np.diff(label) != 0) + 1
    of = np.zeros(len(label), np.int64)
    of[changes] = 1
    return np.cumsum(of), np.append(changes, len(label))


def blocks_of(time: np.ndarray, duration: int, columns: dict[str, np.ndarray], day_end: np.ndarray) -> np.ndarray:
    """(n_blocks,) BLOCK: what is known of the candles of each UTC hour (or of one candle, if longer)."""
    sample = max(HOUR, duration)
    _, end = runs(time // sample)
    first = np.append(0, end[:-1])
    close = columns["close"]
    peak, trough = _running_peak(close, first), -_running_peak(-close, first)
    blocks = np.zeros(len(end), BLOCK)
    blocks["low"] = np.minimum.reduceat(columns["low"], first)
    blocks["high"] = np.maximum.reduceat(columns["high"], first)
    blocks["lowest_close"] = np.minimum.reduceat(close, first)
    blocks["highest_close"] = np.maximum.reduceat(close, first)
    blocks["fall"] = np.maximum.reduceat(peak - close, first)
    blocks["rise"] = np.maximum.reduceat(close - trough, first)
    blocks["end"] = end
    blocks["hours"] = _hours(time, duration, sample, end)
    blocks["ends_day"] = np.isin(end, day_end)
    return blocks


def _hours(time: np.ndarray, duration: int, sample: int, end: np.ndarray) -> np.ndarray:
    """Full hours whose sample is a block's last mark: those from its close on, before the next candle closes one."""
    close_time = time[end - 1] + duration
    first_hour = -(-close_time // sample)
    following = np.append(first_hour[1:], close_time[-1] // sample + 1)
    return np.maximum(following - first_hour, 0)


def _running_peak(close: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Highest close of each block so far."""
    peak = close.copy()
    is_start = np.zeros(len(close), bool)
    is_start[starts] = True
    for _ in range(int(np.diff(np.append(starts, len(close))).max()) - 1):
        before = np.where(is_start[1:], -np.inf, peak[:-1])
        peak[1:] = np.maximum(peak[1:], before)
    return peak


def spans_of(mask: np.ndarray, size_factor: np.ndarray) -> np.ndarray:
    """(n_spans,) records of candles with the same route and size factor, from (n,) of each."""
    differs = (mask[1:] != mask[:-1]) | (size_factor[1:] != size_factor[:-1])
    ends = np.append(np.flatnonzero(differs) + 1, len(mask))
    spans = np.zeros(len(ends), SPAN)
    spans["end"], spans["mask"], spans["size_factor"] = ends, mask[ends - 1], size_factor[ends - 1]
    return spans
