"""What the benchmarks share: the yardstick, the bar loop without its Python set-up, and the one table."""

import time
from dataclasses import dataclass, field

import numpy as np

import traderagent as ta
from traderagent.base.kernel import kernel
from traderagent.engine.columns import Features
from traderagent.engine.plan import Plan, plan
from traderagent.engine.run import new_account, new_books, new_feed, new_pair, run, setup_of, sides_of
from traderagent.engine.tape import tape_of

YEAR = 105_120  # 5m candles
ROWS = []  # of the table, in the order of the benchmarks


@kernel
def read_once(open_, high, low, close):
    """Sum of all four columns, in strict floating point: what reading every candle costs."""
    total = 0.0
    for i in range(open_.size):
        total += open_[i] + high[i] + low[i] + close[i]
    return total


_COLUMNS = [np.full(YEAR, 1.0 + k) for k in range(4)]


def cpu(function, rounds):
    """Least CPU seconds of this process over some rounds."""
    best = np.inf
    for _ in range(rounds):
        start = time.process_time()
        function()
        best = min(best, time.process_time() - start)
    return best


def yardstick(rounds=40):
    """Nanoseconds for one candle of a year, now: taken beside every measurement, since machines are noisy."""
    read_once(*_COLUMNS)
    return cpu(lambda: read_once(*_COLUMNS), rounds) / YEAR * 1e9


@dataclass
class Loop:
    """A planned run whose loop can be started again and again on fresh records."""

    plan: Plan
    features: Features | None = None
    kept: tuple = field(default=(), repr=False)  # records point into these

    def __post_init__(self):
        data = self.plan.data
        plan = self.plan
        self.setup = setup_of(
            data, plan.config, plan.strategies, plan.mask, plan.size_factor, plan.regime, plan.first, self.features
        )
        self.features = self.setup.features
        self.feed = new_feed(self.setup)

    def __len__(self):
        return len(tape_of(self.plan.data))

    def fresh(self):
        """Account, pair and feed before the first candle."""
        account = new_account(self.plan.config)
        strategies = self.plan.strategies
        rules = [strategies[s].rule(()) for s, _ in sides_of(strategies)]
        books, *others = new_books(strategies, rules, self.features, self.plan.first, 256)
        pair = new_pair(self.plan.config, self.plan.data.instrument, books)
        self.kept = (account, books, others, pair)
        return account[0], pair[0], self.feed[0]

    def once(self):
        """CPU seconds of one pass of the loop alone."""
        records = self.fresh()
        start = time.process_time()
        run(*records)
        return time.process_time() - start

    def shares(self):
        """Events and fills per candle of the last pass."""
        account, books = self.kept[0][0], self.kept[1]
        assert not books["overflow"].any()
        return account["n_events"] / len(self), account["n_fills"] / len(self)


def loop_of(data, config):
    """The loop of a run, compiled and once run."""
    loop = Loop(plan(data, config))
    loop.once()
    return loop


def note(market, what, seconds, candles, yard, shares=(np.nan, np.nan), peer=np.nan):
    """Add a row to the table; CPU seconds of one core for so many candles, and a peer's nanoseconds for the same."""
    nanoseconds = seconds / candles * 1e9
    ROWS.append(
        {
            "market": market,
            "what": what,
            "ns per candle": nanoseconds,
            "× yardstick": nanoseconds / yard,
            "peer": peer,
            "peer / ours": peer / nanoseconds,
            "events": shares[0],
            "fills": shares[1],
            "ns per event": nanoseconds / shares[0],
        }
    )


def say(market, what):
    """Add a row that holds no time a candle."""
    note(market, what, np.nan, 1, np.nan)


def timed(benchmark, market, what, candles, function, *, setup=None, rounds=15, shares=None):
    """Measure a call with pytest-benchmark in CPU time and add it to the table, beside a yardstick of the moment."""
    yard = yardstick()
    benchmark.pedantic(function, setup=setup, rounds=rounds, warmup_rounds=1)
    yard = min(yard, yardstick())
    note(market, what, benchmark.stats.stats.min, candles, yard, shares() if shares else (np.nan, np.nan))


def synthetic_year():
    """One symbol of the embedded market for a year."""
    return ta.load_market("synthetic", symbols=1, days=365, seed=7, progress=False)["SYN-01"]
