"""Candles that might have been: those of a run, put together anew in blocks drawn from the same regime.

The sequence of regimes stays as it was; inside each spell stand blocks of candles that were seen in the same regime,
chained by their returns (the stationary bootstrap, of each regime's candles laid end to end in a ring, so that every
candle is as likely as any other). A block begins at the same place of its hour as the candle that it stands for,
so that hourly candles, from which regimes are read, are whole pieces of what happened and not seams. What is lost is
everything longer than a block: trends end with theirs, and nothing remembers a price level.
"""

from dataclasses import dataclass

import numpy as np

from traderagent.base.kernel import kernel
from traderagent.engine.plan import Plan
from traderagent.engine.tape import HOUR, Tape
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import candle_frame


@kernel
def draw_rows(start, key, n_phases, following, pool, begins, restarts, uniform, source):
    """Fill `source[start:]` with the row that each candle is copied from.

    key: (n,) regime and place in the hour; following: (n,) the next row of the same regime, the first one after the
    last; pool: rows from `start` on by key, those of key k from begins[k] to begins[k + 1]; restarts: (n,) below 1
    where a block ends at a whole hour; uniform: (n,) in [0, 1), which block comes next.
    """
    for i in range(start, len(key)):
        at = following[source[i - 1]]
        for _ in range(n_phases - 1):  # where the ring's ends, or the edges of a hole, do not meet inside an hour
            if key[at] % n_phases == key[i] % n_phases:
                break
            at = following[at]
        over = (key[i] % n_phases == 0) & (restarts[i] < 1.0)
        if (i == start) | over | (key[at] != key[i]):
            first, last = begins[key[i]], begins[key[i] + 1]
            at = pool[first + int(uniform[i] * (last - first))]
        source[i] = at


@kernel
def chain(start, source, values, out):
    """Candles of `source` one after the other: each moves from the close before it as its source did, with the same
    turnover in quote. values, out: (n, 5) open high low close volume; `out[:start]` stands.
    """
    level = values[start - 1, 3]
    for i in range(start, len(source)):
        s = source[i]
        scale = level / values[s - 1, 3]
        for column in range(4):
            out[i, column] = values[s, column] * scale
        level = out[i, 3]
        out[i, 4] = values[s, 4] / scale


def on_tick(prices: np.ndarray, tick: float) -> np.ndarray:
    """Prices rounded to the tick, at least one tick; as they are where no tick is known."""
    if tick == 0.0:
        return prices
    decimals = max(0, int(np.ceil(-np.log10(tick)))) + 2
    return np.maximum(np.round(np.round(prices / tick) * tick, decimals), tick)


@dataclass(frozen=True)
class CandleMill:
    """Everything that is the same for all resamplings of one run.

    Attributes
    ----------
    start : first row that is drawn; those before it, the warm-up, stay as they were
    hours : mean length of a block
    """

    data: MultiTimeframeData
    tape: Tape
    start: int
    hours: float
    key: np.ndarray
    n_phases: int
    pool: np.ndarray
    begins: np.ndarray
    following: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, plan: Plan, hours: float) -> "CandleMill":
        """Sort the candles of a run by regime and place in the hour."""
        tape = plan.tape
        n_phases = max(1, HOUR // tape.duration)
        start = max(plan.first, 1)
        regime = np.append(plan.regime[:1], plan.regime[:-1]).astype(np.int64)  # in force while the candle formed
        key = regime * n_phases + tape.time % HOUR // tape.duration
        pool = np.argsort(key[start:], kind="stable") + start
        begins = np.searchsorted(key[pool], np.arange(key.max() + 2))
        values = np.column_stack([tape.open, tape.high, tape.low, tape.close, tape.volume])
        following = _next_alike(regime, start)
        return cls(plan.data, tape, start, hours, key, n_phases, pool, begins, following, values)

    def source(self, dice: np.random.Generator) -> np.ndarray:
        """(n,) int64: the row that each candle is copied from, its own before the start."""
        n = len(self.tape)
        source = np.arange(n)
        tape = self.tape
        restarts = dice.random(n) * (self.hours * HOUR / max(HOUR, tape.duration))
        uniform = dice.random(n)
        draw_rows(
            self.start, self.key, self.n_phases, self.following, self.pool, self.begins, restarts, uniform, source
        )
        return source

    def candles(self, dice: np.random.Generator) -> MultiTimeframeData:
        """One resampling, on the times of the candles that there were, prices on the tick."""
        values = self.values.copy()
        chain(self.start, self.source(dice), self.values, values)
        data = self.data
        values[self.start :, :4] = on_tick(values[self.start :, :4], data.instrument.tick)
        return MultiTimeframeData.from_base(
            data.symbol,
            candle_frame(self.tape.time, values),
            data.base,
            instrument=data.instrument,
            funding=data.funding,
            source=f"{data.source}, resampled in blocks",
            synthetic=True,
            sample=data.sample,
        )


def _next_alike(regime: np.ndarray, start: int) -> np.ndarray:
    """(n,) int64: the next row with the same regime, after the last one the first from `start` on."""
    following = np.zeros(len(regime), np.int64)
    for code in np.unique(regime[start:]):
        rows = np.flatnonzero(regime[start:] == code) + start
        following[rows] = np.roll(rows, -1)
    return following
