"""What a sweep is to do, in a record that travels to any worker, and the runner that does a piece of it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np

from traderagent.base.hashing import hash_values
from traderagent.base.space import Points, Space
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.lane import Lane, label_days
from traderagent.engine.tape import tape_of
from traderagent.engine.trials import Trial, Trials, trials_of
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import milliseconds
from traderagent.metrics.record import METRICS, evaluate
from traderagent.research.placement import Placement
from traderagent.strategies.base import Strategy

BLOCK = 2048  # trials whose records are in memory at a time
COLUMNS = 512 * 2**20  # bytes of feature columns in memory at a time

Place = tuple[str, str]  # symbol and sample


@dataclass(frozen=True)
class Job:
    """All that must be known to run any of the trials, apart from the candles.

    Attributes
    ----------
    config : what all trials share, its warm-up a number; own : own strategies
    space : of the points; symbols : with the hash of their candles
    holdout : share of the span set aside, None for none
    daily : keep daily returns; days : first and last label day of the cube, in days since 1970
    chunk : trials of a task; block : trials whose records and columns are in memory at a time, whole chunks
    code : hash of the sources that make the numbers
    origin : arguments of `load_market` by which a worker finds the candles, None where it cannot
    """

    config: OrchestratorBacktestConfig
    own: tuple[Strategy, ...]
    space: Space | Points
    symbols: dict[str, str]
    holdout: float | None
    daily: bool
    days: tuple[int, int]
    chunk: int
    block: int
    code: str
    origin: dict[str, Any] | None = field(default=None, compare=False)

    @property
    def samples(self) -> tuple[str, ...]:
        """Parts of the span that are run by themselves."""
        return ("whole",) if self.holdout is None else ("in", "out")

    @property
    def places(self) -> list[Place]:
        """Every symbol and sample, in the order of the cube."""
        return [(symbol, sample) for symbol in self.symbols for sample in self.samples]

    @property
    def n_days(self) -> int:
        """Length of the cube's dim `day`."""
        return self.days[1] - self.days[0] + 1

    def chunks(self) -> Iterator[tuple[int, int]]:
        """Start and stop of every task's points."""
        for start in range(0, len(self.space), self.chunk):
            yield start, min(start + self.chunk, len(self.space))

    @property
    def parts(self) -> dict[str, Any]:
        """What makes the numbers, in words, each with its hash: a checkpoint is good for exactly these."""
        own = [strategy.identity() for strategy in self.own]
        return {
            "candles": hash_values(self.symbols),
            "parameters": hash_values([self.config.to_dict(), own]),
            "space": hash_values([self.space.dims, self.space.names, list(self.space.axes.values())]),
            "hold-out": "none" if self.holdout is None else self.holdout,
            "returns": self.daily,
            "code": self.code,
        }


@dataclass
class Block:
    """Neighbouring points made into records.

    Attributes
    ----------
    start : its first point
    allowed : (n,) bool, whether a config allows the point; trials : of the allowed ones
    """

    start: int
    allowed: np.ndarray
    trials: Trials | None


class Runner:
    """Runs pieces of a job; keeps the records and columns that the next piece needs as well.

    Parameters
    ----------
    job : what is to be done
    candles : symbol → its candles
    """

    def __init__(self, job: Job, candles: Callable[[str], MultiTimeframeData]) -> None:
        self.job, self._candles = job, candles
        self._placement = Placement(job.config, job.own, job.space.names)
        self._lock = Lock()
        self._block: Block | None = None
        self._lane: tuple[tuple[Place, int], Lane | None] | None = None

    def lane(self, place: Place, start: int) -> tuple[Block, Lane | None]:
        """The block that holds a point, and the place made ready for its trials; None where it allows none.

        Raises
        ------
        DataError
            Where the symbol's candles do not do.
        """
        with self._lock:
            block = self._block_of(start)
            key = (place, block.start)
            if self._lane is None or self._lane[0] != key:
                self._lane = None
                lane = None
                if block.trials is not None:
                    data, first = candles_of(self._candles(place[0]), place[1], self.job.holdout)
                    lane = Lane(data, block.trials, first=first, daily=self.job.daily)
                    if self.job.own:
                        lane.run(0, 1)  # an own rule is compared with its compiled form once, before many use it
                self._lane = (key, lane)
            return block, self._lane[1]

    def run(self, place: Place, start: int, stop: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Metrics (n, n_metrics) float64 and daily returns (n, n_days) float32 of points `start` to `stop` − 1."""
        block, lane = self.lane(place, start)
        allowed = block.allowed[start - block.start : stop - block.start]
        values = np.full((stop - start, len(METRICS)), np.nan)
        daily = np.full((stop - start, self.job.n_days), np.nan, np.float32) if self.job.daily else None
        if lane is None or not allowed.any():
            return values, daily
        before = int(block.allowed[: start - block.start].sum())
        totals, returns = lane.run(before, before + int(allowed.sum()))
        for k, value in enumerate(evaluate(totals).values()):
            values[allowed, k] = value
        if daily is not None and returns is not None:
            first = self.job.days[0]
            span = np.zeros((len(returns), lane.days[-1] - lane.days[0] + 1), np.float32)
            span[:, lane.days - lane.days[0]] = returns
            daily[allowed, lane.days[0] - first : lane.days[-1] - first + 1] = span
        return values, daily

    def _block_of(self, position: int) -> Block:
        start = position - position % self.job.block
        if self._block is None or self._block.start != start:
            self._block = self._lane = None
            self._block = block_at(self.job, self._placement, start)
        return self._block


def block_at(job: Job, placement: Placement, start: int) -> Block:
    """The points of a block, which begins with point `start`, as records."""
    found = [placement.trial(point) for point in job.space.slice(start, start + job.block)]
    trials = [trial for trial in found if isinstance(trial, Trial)]
    records = trials_of(trials, int(job.config.warmup_bars)) if trials else None
    return Block(start, np.array([isinstance(trial, Trial) for trial in found]), records)


def candles_of(data: MultiTimeframeData, sample: str, holdout: float | None) -> tuple[MultiTimeframeData, int | None]:
    """Candles of a sample and the row before which nothing is decided, where there is one."""
    if holdout is None:
        return data, None
    if sample == "in":
        return data.split(holdout)[0], None
    cut = milliseconds(data.index[data.index == data.cut(holdout)])[0]
    return data, int((cut > tape_of(data).time).sum())


def n_days_of(market: Iterable[MultiTimeframeData]) -> int:
    """Label days from the first to the last that any of the symbols has, as many as a cube's dim `day` may hold."""
    spans = [days_of(data, "whole", None, 0) or (0, 0) for data in market]
    return max(b for _, b in spans) - min(a for a, _ in spans) + 1


def days_of(data: MultiTimeframeData, sample: str, holdout: float | None, first: int) -> tuple[int, int] | None:
    """First and last label day of a sample, in days since 1970; None where it is shorter than the warm-up."""
    part, after = candles_of(data, sample, holdout)
    days = label_days(tape_of(part), max(first, after or 0))
    return (int(days[0]), int(days[-1])) if len(days) else None
