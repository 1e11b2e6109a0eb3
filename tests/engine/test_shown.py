"""A run says how long it could trade, without what it needed to warm up, and which share it cannot hold."""

import pytest

import traderagent as ta
from traderagent.base.words import lasting


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


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(1, "1 minute"), (119, "119 minutes"), (120, "2 hours"), (2_879, "48 hours"), (2_880, "2 days")],
)
def test_a_length_is_in_the_largest_unit_of_which_there_are_two(minutes, words):
    assert lasting(minutes * 60_000) == words


@pytest.mark.parametrize(
    ("given", "n"),
    [
        ({"max_position_size_pct": 25}, 1),
        ({"max_position_size_pct": 1.0}, 0),
        ({"max_position_size_pct": 25, "enable_risk_manager": False}, 0),
        ({"max_position_size_pct": 2.5, "account": "perpetual", "leverage": 3.0}, 0),
        ({"max_position_size_pct": 3.5, "account": "perpetual", "leverage": 3.0}, 1),
    ],
)
def test_a_share_that_no_account_of_its_own_can_hold_is_noted(given, n):
    market = ta.load_market("synthetic", symbols=2, days=20, seed=3, progress=False)
    config = ta.OrchestratorBacktestConfig(**given).only("grid")
    run = ta.backtest(market["SYN-01"], config, progress=False)
    assert len([note for note in run.notes if "sizes books at" in note and "0.25 is a quarter" in note]) == n
    shared = ta.portfolio(market, ta.PortfolioBacktestConfig(per_pair_config=config), progress=False)
    assert not any("sizes books at" in note for pair in shared.per_pair_results.values() for note in pair.notes)
