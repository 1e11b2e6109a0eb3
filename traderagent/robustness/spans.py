"""All trials of a space on many spans of the same candles, each span flat from start to end.

Columns and records are made once a symbol and serve every span: what is causal does not depend on where the candles
end. A trial on a span is what `ta.sweep` gives on the candles cut at the span's end, with a warm-up up to its start
and `liquidate_at_end`, to the last bit.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from traderagent.base.errors import RuleError
from traderagent.base.progress import counting
from traderagent.base.threads import cores
from traderagent.engine.lane import Columns, Lane, columns_of
from traderagent.engine.plan import regimes_on_base
from traderagent.engine.tape import DAY, tape_of
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import milliseconds
from traderagent.metrics.record import METRICS, evaluate
from traderagent.research.job import Block, Job, block_at
from traderagent.research.placement import Placement
from traderagent.robustness.splits import Interval
from traderagent.strategies.features import frames_of
from traderagent.strategies.own.causal import check_causal

SUMS = ("sum_d", "sum_d2", "n_days")  # of daily returns, beside the metrics
FEWEST = 2  # candles of a span: one to decide at, one to fill in


@dataclass(frozen=True)
class Span:
    """A stretch of candles on which every trial runs by itself.

    Attributes
    ----------
    interval : its first and last candle's place in time; a warm-up before it trades nothing
    daily : keep the daily returns of its trials
    """

    interval: Interval
    daily: bool = False

    @property
    def days(self) -> tuple[int, int]:
        """First and last label day, in days since 1970."""
        first, last = milliseconds(pd.DatetimeIndex([self.interval.start, self.interval.end])).tolist()
        return first // DAY, (last - 1) // DAY

    @property
    def n_days(self) -> int:
        """Label days from the first to the last."""
        return self.days[1] - self.days[0] + 1


@dataclass
class SpanRuns:
    """What the trials did.

    Attributes
    ----------
    symbols, spans : names of the axes
    values : (n_symbols, n_spans, n_points, n_metrics) float64; NaN where a point is refused, or the span has too few
        candles of the symbol
    sums : (n_symbols, n_spans, n_points, 3) float64: sum and sum of squares of the daily returns, and number of days
    daily : span → (n_symbols, n_points, n_days) float64 daily returns, NaN on days without the symbol's candles
    why : (symbol, span) → why nothing ran there
    """

    symbols: tuple[str, ...]
    spans: tuple[Span, ...]
    values: np.ndarray
    sums: np.ndarray
    daily: dict[int, np.ndarray]
    why: dict[tuple[str, int], str] = field(default_factory=dict)

    def metric(self, name: str) -> np.ndarray:
        """(n_symbols, n_spans, n_points) float64."""
        return self.values[..., list(METRICS).index(name)]


def run_spans(
    job: Job, symbols: Mapping[str, MultiTimeframeData], spans: Sequence[Span], workers: int | None, progress: bool
) -> SpanRuns:
    """Run every point of a job on every span of every symbol, in threads over spans.

    Parameters
    ----------
    job : of a sweep, for its space, strategies, config and sizes
    symbols : name → candles
    spans : in any order; each is run by itself
    workers : threads, None for one a core
    progress : show a bar when it takes longer than two seconds
    """
    shape = (len(symbols), len(spans), len(job.space))
    runs = SpanRuns(
        tuple(symbols),
        tuple(spans),
        np.full((*shape, len(METRICS)), np.nan),
        np.full((*shape, len(SUMS)), np.nan),
        {k: np.full((shape[0], shape[2], span.n_days), np.nan) for k, span in enumerate(spans) if span.daily},
    )
    placement = Placement(job.config, job.own, job.space.names)
    pool = ThreadPoolExecutor(workers or cores())
    try:
        with counting(int(np.prod(shape)), unit="trial", shown=progress, delay=2) as bar:
            _in_blocks(job, placement, symbols, runs, pool, bar.update)
    finally:
        pool.shutdown(cancel_futures=True)
    return runs


def _in_blocks(
    job: Job,
    placement: Placement,
    symbols: Mapping[str, MultiTimeframeData],
    runs: SpanRuns,
    pool: ThreadPoolExecutor,
    done: Callable[[int], object],
) -> None:
    """Columns of the next symbol are made while the spans of the last one run."""
    longest_first = sorted(range(len(runs.spans)), key=lambda k: -runs.spans[k].interval.length)
    running: list[Future[int]] = []
    for start in range(0, len(job.space), job.block):
        block = block_at(job, placement, start)
        for s, data in enumerate(symbols.values()):
            task = _Task(job, block, data, s, runs)
            following = [pool.submit(task.run, k) for k in longest_first]
            for future in running:
                done(future.result())
            running = following
    for future in running:
        done(future.result())


class _Task:
    """A block of points on one symbol, ready for any span."""

    def __init__(self, job: Job, block: Block, data: MultiTimeframeData, symbol: int, runs: SpanRuns) -> None:
        self._block, self._data, self._symbol, self._runs = block, data, symbol, runs
        self._time = tape_of(data).time
        self._columns: Columns | None = None
        if block.trials is None:
            return
        self._columns = columns_of(data, block.trials)
        regimes_on_base(data, job.config)  # kept with the candles, before threads ask for them
        ready = sorted(rows for rows in map(self._rows, runs.spans) if rows[1] - rows[0] >= FEWEST)
        if job.own and ready:
            names = {strategy.name for strategy in job.own}
            frames = frames_of(data)
            for strategy in (one for of in block.trials.sets for one in of if one.name in names):
                if not check_causal(strategy, frames, strategy.columns(frames), ready[0][1]):
                    raise RuleError(
                        f"{strategy.name}: its features cannot be computed on the candles of a training alone, so that "
                        "training might see its own test; allowed are features of the frames that they are given"
                    )
            # An own rule is compared with its compiled form once, before many threads use it.
            self._lane(*ready[0], daily=False).run(0, 1)

    def run(self, k: int) -> int:
        """Run a span and write its results; how many points that were."""
        block, runs, span = self._block, self._runs, self._runs.spans[k]
        points = slice(block.start, block.start + len(block.allowed))
        first, stop = self._rows(span)
        if stop - first < FEWEST:
            runs.why[runs.symbols[self._symbol], k] = (
                f"{max(stop - first, 0)} candles after a warm-up of {self._warmup}, {FEWEST} are needed"
            )
        elif block.trials is not None:
            lane = self._lane(first, stop, daily=span.daily)
            totals, returns = lane.run(0, int(block.allowed.sum()))
            allowed = np.arange(points.start, points.stop)[block.allowed]
            for m, value in enumerate(evaluate(totals).values()):
                runs.values[self._symbol, k, allowed, m] = value
            for m, name in enumerate(SUMS):
                runs.sums[self._symbol, k, allowed, m] = totals[name]
            if returns is not None:
                days = np.full((len(returns), span.n_days), np.nan)
                days[:, lane.days[0] - span.days[0] : lane.days[-1] - span.days[0] + 1] = 0.0  # holes of whole days
                days[:, lane.days - span.days[0]] = returns
                runs.daily[k][self._symbol, allowed] = days
        return points.stop - points.start

    @property
    def _warmup(self) -> int:
        return 0 if self._block.trials is None else self._block.trials.first

    def _rows(self, span: Span) -> tuple[int, int]:
        """The row of the first decision on a span, and the row after its last candle."""
        times = milliseconds(pd.DatetimeIndex([span.interval.start, span.interval.end]))
        first, stop = np.searchsorted(self._time, times)
        return max(int(first), self._warmup), int(stop)

    def _lane(self, first: int, stop: int, daily: bool) -> Lane:
        trials = self._block.trials
        assert trials is not None
        return Lane(self._data, trials, first=first, stop=stop, daily=daily, columns=self._columns)
