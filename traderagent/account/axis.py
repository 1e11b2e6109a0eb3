"""The common axis of several symbols: the union of their candles, and where each symbol stands at each time."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from traderagent.account.memory import aligned
from traderagent.base.errors import DataError
from traderagent.engine.limits import running_products
from traderagent.engine.records import FEED, LINE
from traderagent.engine.tape import DAY, HOUR, Tape, blocks_of, runs, tape_of
from traderagent.market.candles import MultiTimeframeData

LANES = LINE // 8  # numbers of a cache line


@dataclass(frozen=True)
class Axis:
    """Arrays over times (the union of open times) and symbols, in the order of their names.

    Rows are as wide as a whole number of cache lines; what follows the last symbol has no candle.

    Attributes
    ----------
    symbols : (n,) sorted; time : (n_times,) int64 open times, ms; duration : of a candle, ms
    prices : (n_times, 4, width) float64 low, high, open and close of a time, side by side, since a step reads them all;
        +inf, −inf and 0 where a symbol has no candle, and the last close known, 0 before the first
    row_at : (n_times, width) int32, a symbol's row, or −1 less its next one where it has no candle
    time_of : by symbol (n_rows + 1,) int32, the place of each row, n_times past the last
    next_day, blocks : as in a symbol's tape, for the axis itself
    """

    symbols: tuple[str, ...]
    time: np.ndarray
    duration: int
    prices: np.ndarray
    row_at: np.ndarray
    time_of: tuple[np.ndarray, ...]
    next_day: np.ndarray
    blocks: np.ndarray

    def __len__(self) -> int:
        return len(self.time)

    @property
    def close(self) -> np.ndarray:
        """(n_times, n) the last close known."""
        return self.prices[:, 3, : len(self.symbols)]

    @cached_property
    def first_turns(self) -> np.ndarray:
        """(n_times,) int32, the symbol that decides first at a time: at each candle the next one."""
        return (self.time // self.duration % len(self.symbols)).astype(np.int32)

    @property
    def sample(self) -> int:
        """Milliseconds between two samples of the Sharpe ratio: an hour, or a longer candle."""
        return max(HOUR, self.duration)

    @cached_property
    def days(self) -> np.ndarray:
        """(n_days,) label days that hold times, in days since 1970."""
        return np.unique(self.time // DAY)

    def days_from(self, place: int) -> np.ndarray:
        """(n_days,) label days that hold times from a place on."""
        return self.days[self.days >= self.time[place] // DAY]

    def feed(self, first: int) -> np.ndarray:
        """The axis as the loop reads it: a feed without prices, from the place of the first decision on."""
        feed = np.zeros(1, FEED)
        feed["n"], feed["first"], feed["duration"] = len(self), first, self.duration
        feed["first_block"] = np.searchsorted(self.blocks["end"], first, side="right")
        for name in ("time", "next_day", "blocks"):
            feed[name] = getattr(self, name).ctypes.data
        return feed


def axis_of(market: Mapping[str, MultiTimeframeData]) -> Axis:
    """Put the candles of several symbols on one axis.

    Raises
    ------
    DataError
        Where their candles differ in duration, or no two of several symbols ever trade at the same time.
    """
    symbols = tuple(sorted(market))
    tapes = [tape_of(market[s]) for s in symbols]
    durations = {tape.duration: s for s, tape in zip(symbols, tapes, strict=True)}
    if len(durations) > 1:
        got = ", ".join(f"{market[s].base} of {s}" for s in durations.values())
        raise DataError(f"candles on one account: got {got}, allowed is one timeframe; load them alike")
    time, count = np.unique(np.concatenate([tape.time for tape in tapes]), return_counts=True)
    if len(symbols) > 1 and count.max() < 2:
        spans = "; ".join(f"{s} {market[s].start:%Y-%m-%d} to {market[s].end:%Y-%m-%d}" for s in symbols)
        raise DataError(f"no two symbols trade at the same time ({spans}); load candles of one span")
    width = -(-len(symbols) // LANES) * LANES
    prices = aligned(len(time) * 4 * width * 8).view(np.float64).reshape(-1, 4, width)
    prices[:] = np.array([np.inf, -np.inf, 0.0, 0.0])[:, None]
    row_at = aligned(len(time) * width * 4).view(np.int32).reshape(-1, width)
    row_at[:] = -1
    places = []
    for s, tape in enumerate(tapes):
        place = np.searchsorted(time, tape.time)
        for k, column in enumerate((tape.low, tape.high, tape.open)):
            prices[place, k, s] = column
        before = np.searchsorted(tape.time, time, side="right")  # candles up to and with each time
        prices[:, 3, s] = np.where(before > 0, tape.close[np.maximum(before, 1) - 1], 0.0)
        row_at[:, s] = -1 - before
        row_at[place, s] = np.arange(len(tape))
        places.append(np.append(place, len(time)).astype(np.int32))
    duration = tapes[0].duration
    return Axis(symbols, time, duration, prices, row_at, tuple(places), *_calendar(time, duration))


def _calendar(time: np.ndarray, duration: int) -> tuple[np.ndarray, np.ndarray]:
    """Next day of each place, and the blocks of the axis, as those of a symbol whose price stands still."""
    day_of, day_end = runs(time // DAY)
    still = dict.fromkeys(("low", "high", "close"), np.ones(len(time)))
    return day_end[day_of].astype(np.int32), blocks_of(time, duration, still, day_end)


def hourly_returns(axis: Axis, tapes: Mapping[str, Tape]) -> tuple[np.ndarray, int, int]:
    """Log returns of closed hours (of candles, where they are longer).

    Returns
    -------
    returns : (n, n_hours) float64, NaN where an hour or the one before it has no candle
    first : hours since 1970 at which the first of them ends; hour : ms of each
    """
    hour = max(HOUR, axis.duration)
    first, last = int(axis.time[0]) // hour, int(axis.time[-1]) // hour
    closes = np.full((len(axis.symbols), last - first + 1), np.nan)
    for s, symbol in enumerate(axis.symbols):
        _, end = runs(tapes[symbol].time // hour)
        closes[s, tapes[symbol].time[end - 1] // hour - first] = tapes[symbol].close[end - 1]
    returns = np.full_like(closes, np.nan)
    returns[:, 1:] = np.log(closes[:, 1:] / closes[:, :-1])
    return returns, first + 1, hour


def moments_of(returns: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays from which the correlation over any window takes a few differences and products of less than two days.

    Parameters
    ----------
    returns : (n, n_hours) float64, NaN for unknown ones

    Returns
    -------
    returns : (n_hours, n), zero for unknown ones
    known, sum, square : (n_hours + 1, n) how many are known before each hour, their sum and that of their squares
    products : (n_blocks + 1, n, n) what `running_products` makes of them
    """
    known = ~np.isnan(returns.T)
    returns = np.where(known, returns.T, 0.0)

    def before(values: np.ndarray) -> np.ndarray:
        return np.pad(np.cumsum(values, axis=0), ((1, 0), (0, 0)))

    sums = {"known": before(known).astype(np.int32), "sum": before(returns), "square": before(returns * returns)}
    arrays = {name: np.ascontiguousarray(values) for name, values in ({"returns": returns} | sums).items()}
    return arrays | {"products": running_products(arrays["returns"])}
