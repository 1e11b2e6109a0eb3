"""What a candle costs: the bar loop alone, whole calls, and what other backtesters need for the same signals."""

import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from tests.benchmarks.measure import Loop, loop_of, note, synthetic_year, timed, yardstick
from tests.engine.real import needs_candles, real
from tests.peers.cases import signals
from traderagent.engine.backtest import execute
from traderagent.engine.config import OrchestratorBacktestConfig as Config
from traderagent.engine.plan import plan
from traderagent.engine.run import run
from traderagent.engine.tape import tape_of

pytestmark = [
    pytest.mark.benchmark(timer=time.process_time, disable_gc=True),
    pytest.mark.filterwarnings("ignore"),  # of peers, on import
]
WAYS = {
    "orchestrated": Config(),
    "all three, no router": Config(enable_strategy_router=False),
    "all four, no router": Config(enable_strategy_router=False, enable_smc=True),
    "grid alone": Config().only("grid"),
    "dca alone": Config().only("dca"),
    "trend_follower alone": Config().only("trend_follower"),
    "smc alone": Config(enable_smc=True).only("smc"),
}
MARKETS = [
    "synthetic year",
    *(pytest.param(f"2024 {s}", marks=needs_candles) for s in ("BTCUSDT", "SOLUSDT", "PEPEUSDT")),
]
_SEEN = {}


def market(name):
    """Candles by the name that the table gives them."""
    if name not in _SEEN:
        _SEEN[name] = synthetic_year() if name == "synthetic year" else next(iter(real(*name.split()).values()))
    return _SEEN[name]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MARKETS)
def test_loop(benchmark, name, way):
    loop = loop_of(market(name), WAYS[way])
    timed(benchmark, name, f"loop, {way}", len(loop), run, setup=lambda: (loop.fresh(), {}), shares=loop.shares)


@pytest.mark.parametrize("exit_", ["profit", "next_level"])
def test_loop_of_a_wide_grid(benchmark, exit_):
    """20 levels, three σ of a candle apart, without trailing."""
    data = market("synthetic year")
    close = tape_of(data).close
    sigma, middle = np.std(np.diff(np.log(close))), np.median(close)
    reach = 19 / 2 * 3 * sigma
    parameters = {
        "num_levels": 20,
        "exit": exit_,
        "lower_price": middle * (1 - reach),
        "upper_price": middle * (1 + reach),
        "profit_per_grid": max(3 * sigma, 0.003),
        "trailing_enabled": False,
    }
    loop = loop_of(data, Config(grid_params=parameters).only("grid"))
    timed(
        benchmark,
        "synthetic year",
        f"loop, grid of 20 levels 3 σ apart, {exit_}",
        len(loop),
        run,
        setup=lambda: (loop.fresh(), {}),
        shares=loop.shares,
    )


@needs_candles
def test_loop_over_all_real_symbols(benchmark):
    """Median and worst of the orchestrated loop, each symbol alone as in a sweep, in multiples of its own yardstick."""
    loops = {symbol: loop_of(data, WAYS["orchestrated"]) for symbol, data in real("2024").items()}
    found = {}

    def every_symbol():
        for symbol, loop in loops.items():
            yard = yardstick()
            found[symbol] = (min(loop.once() for _ in range(12)), yard, loop.shares())

    benchmark.pedantic(every_symbol, rounds=1)
    order = sorted(found, key=lambda symbol: found[symbol][0] / len(loops[symbol]) / found[symbol][1])
    for word, symbol in (("median", order[(len(order) - 1) // 2]), ("worst", order[-1])):
        seconds, yard, shares = found[symbol]
        note(f"2024 {symbol}", f"loop, orchestrated, {word} of {len(loops)}", seconds, len(loops[symbol]), yard, shares)


def test_two_threads(benchmark):
    """Wall time of two loops one after the other and side by side; a busy second core shows as a low factor."""
    loops = [Loop(loop_of(market("synthetic year"), WAYS["orchestrated"]).plan) for _ in range(2)]

    def wall(walk):
        records, kept = [[], []], []
        for k in [0, 1] * 20:
            records[k].append(loops[k].fresh())
            kept.append(loops[k].kept)
        start = time.perf_counter()
        list(walk(lambda k: [run(*r) for r in records[k]], range(2)))
        return time.perf_counter() - start

    with ThreadPoolExecutor(2) as pool:
        found = []
        benchmark.pedantic(lambda: found.append((wall(map), wall(pool.map))), rounds=7)
    alone, together = np.min(found, axis=0)
    note(
        "synthetic year",
        f"loop, orchestrated, two threads: {alone / together:.2f} × one",
        together / 40,
        len(loops[0]),
        yardstick(),
    )


@pytest.mark.parametrize("what", ["plan", "run without records", "backtest", "backtest and metrics"])
def test_whole_call(benchmark, what):
    """What a user waits for beside the loop: regime, route, features, records, curves."""
    data, config = market("synthetic year"), WAYS["orchestrated"]
    layout = plan(data, config)
    does = {
        "plan": lambda: plan(data, config),
        "run without records": lambda: execute(layout, record=False),
        "backtest": lambda: ta.backtest(data, config, progress=False),
        "backtest and metrics": lambda: ta.backtest(data, config, progress=False).metrics,
    }[what]
    timed(benchmark, "synthetic year", f"whole call, {what}", len(layout.tape), does, rounds=4)


class Breakout(ta.Strategy):
    """Buys a one-day high, trails an ATR stop."""

    lookback: int = ta.parameter(288, low=12, high=5_000)

    def features(self, m5, h1):
        return {"top": m5.high.rolling_max(self.lookback).shift(1), "atr": h1.atr(14)}

    def decide(self, now, book):
        stop = now.close - 3.0 * now.atr
        if book.flat and now.close > now.top:
            return ta.buy(risk=0.01, stop=stop)
        if book.long and stop > book.stop:
            return ta.move(stop=stop)
        return None


@pytest.mark.parametrize("form", ["never", "always"])
def test_own_rule(benchmark, form):
    """One source in its two forms: what a candle costs at which the rule is asked."""
    rule = type(f"Breakout{form.title()}", (Breakout,), {"compiled": form})
    data = market("synthetic year")
    config = Config(**dict.fromkeys(("enable_grid", "enable_dca", "enable_trend_follower"), False))

    def once():
        ta.backtest(data, config, strategies=[rule()], progress=False)

    words = {"never": "plain Python", "always": "compiled"}[form]
    timed(benchmark, "synthetic year", f"own rule, {words}, whole call", len(data), once, rounds=3)


# the same signals, ours and others
def crosses():
    frame = market("synthetic year").candles
    return frame, *signals("ema cross", frame)


@pytest.mark.parametrize(
    "what", ["ta.backtest_signals, loop", "ta.backtest_signals", "ta.backtest_signals and metrics"]
)
def test_signals(benchmark, what):
    data = market("synthetic year")
    _, entries, exits = crosses()
    result = ta.backtest_signals(data, entries, exits)
    loop = Loop(result.plan, result.raw.features)
    whole = {
        "ta.backtest_signals": lambda: ta.backtest_signals(data, entries, exits),
        "ta.backtest_signals and metrics": lambda: ta.backtest_signals(data, entries, exits).metrics,
    }
    if what in whole:
        timed(benchmark, "EMA cross", what, len(data), whole[what], rounds=5)
    else:
        timed(benchmark, "EMA cross", what, len(data), run, setup=lambda: (loop.fresh(), {}), shares=loop.shares)


@pytest.mark.parametrize("what", ["from_signals", "from_signals and 4 metrics"])
def test_vectorbt(benchmark, what):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        vectorbt = pytest.importorskip("vectorbt", reason="vectorbt is not installed: make peers")
    frame, entries, exits = crosses()
    late = [pd.Series(np.append(False, s[:-1]), frame.index) for s in (entries, exits)]

    def simulate():
        found = vectorbt.Portfolio.from_signals(
            frame["close"], *late, price=frame["open"], fees=0.001, slippage=0.0003, init_cash=10_000.0, freq="5min"
        )
        if what != "from_signals":
            found.total_return(), found.max_drawdown(), found.sharpe_ratio(), found.trades.win_rate()

    timed(benchmark, "EMA cross", f"vectorbt {vectorbt.__version__}, {what}", len(frame), simulate, rounds=8)


def test_raptorbt(benchmark, monkeypatch):
    monkeypatch.setenv("RAPTORBT_NO_VERSION_CHECK", "1")  # it asks the network when it is imported
    raptorbt = pytest.importorskip("raptorbt", reason="raptorbt is not installed: make peers")
    frame, entries, exits = crosses()
    columns = [frame[c].to_numpy() for c in ("open", "high", "low", "close", "volume")]
    stamps = frame.index.as_unit("ns").asi8
    config = raptorbt.BacktestConfig(initial_capital=10_000.0, fees=0.001, slippage=0.0003)
    timed(
        benchmark,
        "EMA cross",
        f"raptorbt {raptorbt.__version__}, run_single_backtest",
        len(frame),
        lambda: raptorbt.run_single_backtest(stamps, *columns, entries, exits, config=config),
        rounds=8,
    )
