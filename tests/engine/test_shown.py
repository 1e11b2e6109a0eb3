"""A run in one line says how long it could trade, without what it needed to warm up."""

import pytest

import traderagent as ta


@pytest.mark.parametrize(("days", "warmup", "words"), [(20, 288, "19 days"), (3, 288, "2 days"), (2, 288, "24 hours")])
def test_a_run_says_how_long_it_could_trade(days, warmup, words):
    candles = ta.load_market("synthetic", symbols=1, days=days, seed=3, progress=False)["SYN-01"]
    run = ta.backtest(candles, ta.OrchestratorBacktestConfig(warmup_bars=warmup).only("grid"), progress=False)
    assert f"{run.metrics['total_return_pct']:+.2f} % in {words}, drawdown" in repr(run)
    assert f"% in {words}, drawdown" in run._repr_html_()


def test_an_account_says_how_many_days_it_could_trade():
    market = ta.load_market("synthetic", symbols=2, days=20, seed=3, progress=False)
    pair = ta.OrchestratorBacktestConfig(warmup_bars=288).only("grid")
    run = ta.portfolio(market, ta.PortfolioBacktestConfig(per_pair_config=pair), progress=False)
    assert f"{run.portfolio_total_return_pct:+.2f} % in 19 days, drawdown" in repr(run)
