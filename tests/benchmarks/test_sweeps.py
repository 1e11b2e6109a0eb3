"""What a candle costs a trial in a sweep: orchestrated trials, and columns of signals here and in other backtesters."""

import json
import os
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from tests.benchmarks.measure import cpu, note, say, synthetic_year, yardstick
from tests.engine.real import needs_candles, real
from traderagent.base.space import Space
from traderagent.engine import lane, signal_cube
from traderagent.engine.config import OrchestratorBacktestConfig as Config
from traderagent.engine.plan import members_of, warmup_rows
from traderagent.engine.trials import trials_of
from traderagent.indicators import ema
from traderagent.research.placement import Placement

pytestmark = [
    pytest.mark.benchmark(timer=time.process_time, disable_gc=True),
    pytest.mark.filterwarnings("ignore"),  # of peers, on import
]
STRIDE = 89  # every 89th of the 2187 points: 25 trials in which every value of every parameter occurs
N_TRIALS = 2187 // STRIDE + 1
WAYS = {
    "orchestrated": Config(),
    "all four, no router": Config(enable_strategy_router=False, enable_smc=True),
}
BALANCE, FEE, SLIPPAGE = 10_000.0, 0.001, 0.0003
FAST, SLOW = range(5, 30), range(40, 240, 10)


class Counted:
    """A kernel over many trials, and what the accounts say after it."""

    def __init__(self, kernel):
        self._kernel, self.shares = kernel, (np.nan, np.nan)

    def __call__(self, accounts, *others):
        self._kernel(accounts, *others)
        self.shares = tuple((accounts[name] / accounts["n_candles"]).mean() for name in ("n_events", "n_fills"))


def lane_of(data, config):
    """A symbol ready for some of the points of the spec's space."""
    config = config.replace(warmup_bars=warmup_rows(data, config, members_of(config)))
    of_router = () if config.enable_strategy_router else ("router_cooldown_bars", "regime_check_every_n")
    space = {name: values for name, values in ta.ORCHESTRATOR_PARAM_GRID.items() if name not in of_router}
    points = list(Space.of(space))
    placement = Placement(config, (), list(space))
    trials = [placement.trial(point) for point in points[:: len(points) // N_TRIALS][:N_TRIALS]]
    return lane.Lane(data, trials_of(trials, config.warmup_bars))


@pytest.mark.parametrize("way", WAYS)
def test_trials_of_a_sweep(benchmark, monkeypatch, way):
    counted = Counted(lane.run_many)
    monkeypatch.setattr(lane, "run_many", counted)
    data = synthetic_year()
    ready = lane_of(data, WAYS[way])
    yard = yardstick()
    benchmark.pedantic(lambda: ready.run(0, N_TRIALS), rounds=5, warmup_rounds=1)
    yard = min(yard, yardstick())
    seconds, candles = benchmark.stats.stats.min, N_TRIALS * len(data)
    note("synthetic year", f"trial of a sweep, {way}", seconds, candles, yard, counted.shares)


@needs_candles
@pytest.mark.parametrize("way", WAYS)
def test_trials_of_a_sweep_on_real_symbols(benchmark, monkeypatch, way):
    """Median and worst symbol, in multiples of a yardstick taken beside each."""
    counted = Counted(lane.run_many)
    monkeypatch.setattr(lane, "run_many", counted)
    found = {}

    def every_symbol():
        for symbol, data in real("2024").items():
            ready = lane_of(data, WAYS[way])
            yard, candles = yardstick(), N_TRIALS * len(data)
            found[symbol] = (cpu(lambda r=ready: r.run(0, N_TRIALS), 3), candles, yard, counted.shares)

    benchmark.pedantic(every_symbol, rounds=1)
    order = sorted(found, key=lambda symbol: found[symbol][0] / found[symbol][1] / found[symbol][2])
    for word, symbol in (("median", order[(len(order) - 1) // 2]), ("worst", order[-1])):
        note(f"2024 {symbol}", f"trial of a sweep, {way}, {word} of {len(order)}", *found[symbol])


def test_two_threads_of_a_sweep(benchmark):
    """Wall time of two halves of the trials in turn and side by side; a busy second core shows as a low factor."""
    data = synthetic_year()
    ready = lane_of(data, WAYS["orchestrated"])
    halves = [(0, N_TRIALS // 2), (0, N_TRIALS // 2)]

    def wall(walk):
        start = time.perf_counter()
        list(walk(lambda half: ready.run(*half), halves))
        return time.perf_counter() - start

    found = []
    with ThreadPoolExecutor(2) as pool:
        benchmark.pedantic(lambda: found.append((wall(map), wall(pool.map))), rounds=15, warmup_rounds=1)
    alone, together = np.min(found, axis=0)
    what = f"trials of a sweep, two threads: {alone / together:.2f} × one"
    note("synthetic year", what, together, 2 * halves[0][1] * len(data), yardstick())


# memory: what one more trial takes at the worst moment, Python and numpy together, in a process of its own
PEAKS = """
import gc, json, tracemalloc
import numpy as np
import traderagent as ta
market = ta.load_market("synthetic", symbols=1, days=30, seed=7, progress=False)
data = next(iter(market.values()))
grid = {k: v for k, v in ta.ORCHESTRATOR_PARAM_GRID.items() if k not in ("tf_tp_atr_mult", "max_position_size_pct")}
signals = np.random.default_rng(0).random((2, len(data.candles), 2000)) < 0.01
def swept(n, returns):
    space = {**grid, "max_position_size_pct": list(np.linspace(0.1, 0.3, n // 243))}
    ta.sweep(market, None, space, returns=returns, progress=False, workers=1)
def columns(n, _):
    ta.backtest_signals(data, *signals[:, :, :n], progress=False, workers=1)
def more(does, few, many, *given):
    does(few, *given)
    peaks = []
    for n in (few, many):
        gc.collect()
        tracemalloc.start()
        does(n, *given)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return (peaks[1] - peaks[0]) / (many - few)
print(json.dumps({
    "sweep, below 2048 trials": more(swept, 486, 1944, None),
    "sweep, above": more(swept, 2187, 19683, None),
    "sweep, above, with returns of 28 days": more(swept, 2187, 19683, "1D"),
    "columns of signals": more(columns, 200, 2000, None),
}))
"""


def test_memory_of_a_trial(benchmark):
    def measured():
        environment = {**os.environ, "PYTHONPATH": os.getcwd()}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PEAKS], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    for what, size in benchmark.pedantic(measured, rounds=1).items():
        say("30 days", f"bytes of one more trial (tracemalloc), {what}: {size:,.0f}")


# the same EMA crosses, here and in other backtesters
@cache
def crosses():
    """Five symbol-years without tick or step, and (n, 500) entries and exits of each, columns contiguous."""
    found = []
    for data in ta.load_market("synthetic", symbols=5, days=365, seed=7, progress=False).values():
        close = data.candles["close"].to_numpy()
        averages = {span: ema(close, span) for span in (*FAST, *SLOW)}
        above = np.stack([averages[fast] > averages[slow] for fast in FAST for slow in SLOW])
        before = np.zeros_like(above)
        before[:, 1:] = above[:, :-1]
        entries, exits = above & ~before, ~above & before
        entries[:, 0] = exits[:, 0] = False  # not every peer looks at the first candle
        bare = ta.MultiTimeframeData.from_base(data.symbol, data.candles)
        found.append((bare, entries.T, exits.T))
    return found


def ours(symbols):
    costs = ta.Costs(maker=FEE, taker=FEE, slippage=SLIPPAGE)
    for data, entries, exits in symbols:
        yield ta.backtest_signals(data, entries, exits, initial_balance=BALANCE, costs=costs, workers=1, progress=False)


@cache
def our_time():
    """CPU nanoseconds a candle and column of all 500 × 5, the yardstick beside it, and what it does not skip."""
    counted = Counted(signal_cube.run_events)
    symbols = crosses()
    list(ours([(data, e[:, :2], x[:, :2]) for data, e, x in symbols]))
    signal_cube.run_events, kernel = counted, signal_cube.run_events
    try:
        yard = yardstick()
        seconds = cpu(lambda: list(ours(symbols)), 2)
        yard = min(yard, yardstick())
    finally:
        signal_cube.run_events = kernel
    return seconds, sum(len(data) * entries.shape[1] for data, entries, _ in symbols), yard, counted.shares


def compare(name, final, theirs, part):
    """Check that a peer ends with the same equity, then add a row with its time; `theirs` in nanoseconds."""
    data, entries, exits = crosses()[0]
    for k in (0, 250, 499):
        (cube,) = ours([(data, entries[:, k : k + 1], exits[:, k : k + 1])])
        mine = BALANCE * (1 + cube["total_return_pct"].item() / 100)
        np.testing.assert_allclose(final(data.candles, entries[:, k], exits[:, k]), mine, rtol=1e-6)
    note("5 synthetic years", f"500 × 5 EMA crosses; {name}, {part}", *our_time(), peer=theirs())


def test_crosses_against_vectorbt(benchmark):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        vectorbt = pytest.importorskip("vectorbt", reason="vectorbt is not installed: make peers")
    n_columns = 100

    def portfolio(frame, entries, exits):
        index = pd.RangeIndex(len(frame))
        late = [pd.DataFrame(np.vstack([np.zeros_like(s[:1]), s[:-1]]), index) for s in (entries, exits)]
        prices = {name: frame[name].set_axis(index) for name in ("open", "close")}
        return vectorbt.Portfolio.from_signals(
            prices["close"],
            *late,
            price=prices["open"],
            fees=FEE,
            slippage=SLIPPAGE,
            init_cash=BALANCE,
            freq="5min",
        )

    def final(frame, entries, exits):
        return portfolio(frame, entries[:, None], exits[:, None]).final_value().item()

    data, entries, exits = crosses()[0]

    def theirs():
        def does():
            found = portfolio(data.candles, entries[:, ::5], exits[:, ::5])
            found.total_return(), found.max_drawdown(), found.sharpe_ratio(), found.trades.win_rate()

        benchmark.pedantic(does, rounds=3, warmup_rounds=1)
        return benchmark.stats.stats.min / (n_columns * len(data)) * 1e9

    part = f"4 metrics, timed on {n_columns} × 1"
    compare(f"vectorbt {vectorbt.__version__} numba", final, theirs, part)


def test_crosses_against_raptorbt(benchmark, monkeypatch):
    monkeypatch.setenv("RAPTORBT_NO_VERSION_CHECK", "1")  # it asks the network when it is imported
    raptorbt = pytest.importorskip("raptorbt", reason="raptorbt is not installed: make peers")
    config = raptorbt.BacktestConfig(initial_capital=BALANCE, fees=FEE, slippage=SLIPPAGE, fill_timing="next_bar_open")
    n_columns = 100

    def run(frame, columns):
        prices = [frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")]
        items = [raptorbt.BatchSingleItem(str(k), *pair) for k, pair in enumerate(columns)]
        return raptorbt.batch_single_backtest(frame.index.as_unit("ns").asi8, *prices, items, config)

    def final(frame, entries, exits):
        return run(frame, [(entries, exits)])[0][1].equity_curve()[-1]

    data, entries, exits = crosses()[0]

    def theirs():
        columns = list(zip(entries.T[::5], exits.T[::5], strict=True))
        benchmark.pedantic(lambda: run(data.candles, columns), rounds=3, warmup_rounds=1)
        return benchmark.stats.stats.min / (n_columns * len(data)) * 1e9

    part = f"its metrics, timed on {n_columns} × 1"
    compare(f"raptorbt {raptorbt.__version__} batch", final, theirs, part)
