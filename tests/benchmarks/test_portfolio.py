"""What a symbol's candle costs on an account of 45 symbols and a year, beside reading it once; memory at its most."""

import resource
import time

import numpy as np
import pytest

import traderagent as ta
from tests.benchmarks.measure import timed
from traderagent.account.pairs import layouts_of
from traderagent.account.run import roster_of, simulate_account

pytestmark = pytest.mark.benchmark(timer=time.process_time, disable_gc=True)
LIMITS = ("max_single_pair_pct", "max_total_exposure_pct", "portfolio_stop_loss_pct", "max_correlation")


@pytest.fixture(scope="module")
def year():
    market = ta.load_market("synthetic", symbols=45, days=365, seed=7, progress=False)
    layouts, _ = layouts_of(dict(market), ta.PortfolioBacktestConfig(), (), {}, None, 2, False)
    return roster_of(layouts["whole"], ta.PortfolioBacktestConfig())


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

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    what = f"portfolio of {capital:,.0f}, {limits}, {peak:.1f} GiB"
    timed(benchmark, "45 synthetic years", what, candles, once, rounds=3, shares=shares)
