"""What a symbol's candle costs on an account of 45 symbols and a year, beside reading it once; memory at its most."""

import subprocess
import sys
import time

import numpy as np
import pytest

import traderagent as ta
from tests.benchmarks.measure import read_once, say, timed
from traderagent.account.pairs import layouts_of
from traderagent.account.run import roster_of, simulate_account

pytestmark = pytest.mark.benchmark(timer=time.process_time, disable_gc=True)
LIMITS = ("max_single_pair_pct", "max_total_exposure_pct", "portfolio_stop_loss_pct", "max_correlation")
WHOLE = """
import resource
import traderagent as ta
market = ta.load_market("synthetic", symbols=45, days=365, seed=7, progress=False)
ta.portfolio(market, ta.PortfolioBacktestConfig(initial_capital=450_000.0), progress=False).equity
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


@pytest.fixture(scope="module")
def year():
    market = ta.load_market("synthetic", symbols=45, days=365, seed=7, progress=False)
    layouts, _ = layouts_of(dict(market), ta.PortfolioBacktestConfig(), (), {}, None, 2, False)
    return roster_of(layouts["whole"], ta.PortfolioBacktestConfig())


def test_reading_the_same_candles_once(benchmark, year):
    """What their way from memory costs, since the yardstick's one year stays in the cache."""
    tapes = [layout.tape for layout in year.layouts]

    def once():
        for tape in tapes:
            read_once(tape.open, tape.high, tape.low, tape.close)

    timed(benchmark, "45 synthetic years", "reading OHLC once, from memory", sum(map(len, tapes)), once, rounds=5)


@pytest.mark.parametrize("capital", [10_000.0, 450_000.0])  # of the former no dca deal reaches the minimum notional
@pytest.mark.parametrize("limits", ["default limits", "no limits"])
def test_a_year_of_45_symbols(benchmark, year, limits, capital):
    off = dict.fromkeys(LIMITS) if limits == "no limits" else {}
    config = ta.PortfolioBacktestConfig(initial_capital=capital, **off)
    candles = sum(len(p.tape) for p in year.layouts)
    found = {}

    def once():
        found["raw"] = simulate_account(year, config, record=False)

    def shares():
        events = sum(int(pair.account["n_events"]) for pair in found["raw"].pairs)
        return events / candles, np.nan

    what = f"portfolio of {capital:,.0f}, {limits}"
    timed(benchmark, "45 synthetic years", what, candles, once, rounds=40, shares=shares)


def test_memory_of_a_year_of_45_symbols(benchmark):
    """Peak of a process of its own that loads the candles and keeps every fill and curve."""
    found = []

    def once():
        ran = subprocess.run([sys.executable, "-c", WHOLE], capture_output=True, text=True, check=True)
        found.append(float(ran.stdout.split()[-1]))  # what was loaded is said first

    benchmark.pedantic(once, rounds=1)
    say("45 synthetic years", f"ta.portfolio of 450,000, recorded: at most {found[0]:.2f} GiB")
