"""What is refused before a shared account runs, in words that say what, got, allowed and the next step."""

from __future__ import annotations

import re

import pytest

import traderagent as ta

PAIR = ta.OrchestratorBacktestConfig


@pytest.fixture(scope="module")
def market():
    return ta.load_market("synthetic", symbols=3, days=30, seed=7)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"symbols": ["BTC", "BTCUSDT"]}, "BTCUSDT twice, allowed is each symbol once"),
        ({"symbols": []}, "got none, allowed is each symbol once"),
        ({"weights": {"BTCUSDT": 1.0}}, "got some with allocation 'equal'"),
        ({"allocation": "weights"}, "got none with allocation 'weights'"),
        ({"max_single_pair_pct": 1.5}, "max_single_pair_pct: got 1.5, allowed is at most 1"),
        ({"max_total_exposure_pct": 2.0}, "max_total_exposure_pct: got 2.0, allowed is at most 1"),
        ({"max_single_pair_pct": 0.5, "max_total_exposure_pct": 0.3}, "the first can never bind"),
        ({"max_single_pair_pct": 0.0}, "max_single_pair_pct"),
        ({"portfolio_stop_loss_pct": 1.5}, "portfolio_stop_loss_pct"),
        ({"initial_capital": 0.0}, "initial_capital"),
        ({"correlation_window": "a while"}, "allowed is a time span above 0"),
        ({"resume_after": "0D"}, "allowed is a time span above 0"),
        ({"rebalance": "hourly"}, "rebalance"),
        ({"max_pair_pct": 0.3}, "max_single_pair_pct"),
        ({"per_pair_config": PAIR(initial_balance=5.0)}, "set initial_capital of the portfolio instead"),
        ({"per_pair_config": PAIR(portfolio_stop_loss_pct=0.2)}, "set portfolio_stop_loss_pct of the portfolio"),
        ({"overrides": {"BTC": {"liquidate_at_end": True}}}, "allowed is one for all pairs"),
        ({"overrides": {"BTC": {"grid_param": {}}}}, "overrides of BTCUSDT"),
        ({"overrides": {"BTC": 3}}, "overrides: got 3 for BTC"),
        ({"overrides": {"BTC": None}}, "overrides: got None for BTC"),
        ({"symbols": [3]}, "symbols: got 3, allowed are names"),
        ({"symbols": [None]}, "symbols: got None, allowed are names"),
        ({"symbols": ["ETH"], "overrides": {"BTC": {}}}, "BTCUSDT"),
    ],
)
def test_a_config_that_cannot_be_is_refused(values, words):
    with pytest.raises((ta.ConfigError, ta.UnknownName), match=None) as error:
        ta.PortfolioBacktestConfig(**values)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"SYN-01": 0.5, "SYN-02": 0.5}, "got none for SYN-03"),
        ({"SYN-01": 0.5, "SYN-02": 0.3, "SYN-03": 0.1}, "got a sum of 0.9"),
        ({"SYN-01": 1.5, "SYN-02": -0.5, "SYN-03": 0.0}, "got -0.5 for SYN-02"),
        ({"SYN-01": 0.5, "SYN-02": 0.3, "SYN-03": 0.1, "SYN-99": 0.1}, "SYN-99"),
        ({"SYN-01": 1.5, "SYN-02": -0.5, "SYN-03": 0.0}, "give 0 to a pair that is to get nothing"),
        ({"SYN-01": float("nan"), "SYN-02": 0.5, "SYN-03": 0.5}, "weights: got nan for SYN-01, allowed are finite"),
        ({"SYN-01": float("inf"), "SYN-02": 0.5, "SYN-03": 0.5}, "weights: got inf for SYN-01, allowed are finite"),
        ({"SYN-01": "0.5", "SYN-02": 0.5, "SYN-03": 0.0}, "weights: got '0.5' for SYN-01, allowed are finite"),
        ({"SYN-01": True, "SYN-02": 0.0, "SYN-03": 0.0}, "weights: got True for SYN-01, allowed are finite"),
        ({"SYN-01": None, "SYN-02": 0.5, "SYN-03": 0.5}, "weights: got None for SYN-01, allowed are finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(market, weights, words):
    with pytest.raises((ta.ConfigError, ta.UnknownName)) as error:
        ta.portfolio(market, ta.PortfolioBacktestConfig(allocation="weights", weights=weights))
    assert words in str(error.value)


@pytest.mark.parametrize("routes", [3, [1]])
def test_routes_that_are_no_mapping_are_refused(market, routes):
    with pytest.raises(ta.ConfigError, match=r"routes: got .*, allowed is a mapping of symbols to routes"):
        ta.portfolio(market, routes=routes)


def test_an_allocation_of_ones_own_is_held_to_the_same(market):
    with pytest.raises(ta.ConfigError, match="allocate at .*got a sum of 0.3"):
        ta.portfolio(market, allocate=lambda past: dict.fromkeys(past.columns, 0.1))


@pytest.mark.parametrize(
    ("allocate", "words"),
    [
        (lambda past: 1 / 0, "the given function fails with ZeroDivisionError: division by zero; it is called with a"),
        (lambda past: past["SYN-99"], "fails with KeyError: 'SYN-99'; .*gives a mapping of symbols to weights$"),
        (lambda past: dict(zip(past.columns, [0.5, 0.7, -0.2], strict=True)), "got -0.2 for SYN-03.*give 0 to a pair"),
        (lambda past: dict.fromkeys(past.columns, float("nan")), "got nan for SYN-01, allowed are finite weights"),
        (lambda past: dict.fromkeys(past.columns, float("inf")), "got inf for SYN-01, allowed are finite weights"),
    ],
)
def test_an_allocation_that_fails_says_how(market, allocate, words):
    with pytest.raises(ta.ConfigError, match=rf"^allocate at 20.*: {words}|^allocate at 20.*: .*{words}"):
        ta.portfolio(market, allocate=allocate)


def test_an_account_without_a_trade_says_why(market):
    pair = PAIR(enable_grid=False, enable_dca=False, trend_regimes=[])
    idle = ta.portfolio(market, ta.PortfolioBacktestConfig(per_pair_config=pair))
    pairs = idle.per_pair_results.values()
    candles = sum(len(run.plan.tape) - run.raw.first for run in pairs)
    signals = sum(int(re.search(r"trend_follower (\d+);", run.why_no_trades())[1]) for run in pairs)
    assert signals > 0
    why = f"3 pairs, {candles} candles to trade on; time on the route: trend_follower 0%; "
    why += f"signals: trend_follower {signals}; refused: none"
    assert idle.why_no_trades() == why
    assert idle.notes == idle.to_dict()["notes"] == [f"nothing traded: {why}"]
    assert repr(idle).endswith(f"; nothing traded: {why}>")
    assert idle._repr_html_().count(why) == 1
    traded = ta.portfolio(market)
    unknown = "orders let through with an unknown correlation: "
    unknown += "fewer than 168 common returns, or a price that stood still"
    assert traded.notes == [f"{traded.correlation_unknown} {unknown}"]
    assert f"; {traded.correlation_unknown} {unknown}>" in repr(traded)
    assert ta.portfolio(market, ta.PortfolioBacktestConfig(max_correlation=None)).notes == []
    assert "nothing traded" not in repr(traded) + traded._repr_html_()


def test_an_unknown_symbol_is_named_with_the_nearest(market):
    with pytest.raises(ta.UnknownName, match="SYN-01"):
        ta.portfolio(market, ta.PortfolioBacktestConfig(symbols=["SYN-011"]))


def test_a_symbol_without_candles_in_the_span_is_an_error_where_it_is_named_and_skipped_where_not(market):
    short = market["SYN-02"].slice(None, market["SYN-02"].start + (market["SYN-02"].end - market["SYN-02"].start) / 50)
    mixed = {**market, "SYN-02": short}
    with pytest.raises(ta.DataError, match="1 of 3 symbols cannot be run: SYN-02"):
        ta.portfolio(mixed, ta.PortfolioBacktestConfig(symbols=list(mixed)))
    result = ta.portfolio(mixed)
    assert result.symbols == ("SYN-01", "SYN-03")
    assert "SYN-02" in result.skipped
    assert "skipped SYN-02" in result._repr_html_()


def test_symbols_that_never_trade_together_are_no_portfolio(market):
    data = market["SYN-01"]
    middle = data.start + (data.end - data.start) / 2
    apart = {"SYN-01": data.slice(None, middle), "SYN-02": market["SYN-02"].slice(middle, None)}
    with pytest.raises(ta.DataError, match="no two symbols trade at the same time"):
        ta.portfolio(apart)


def test_timeframes_are_not_mixed(market):
    coarse = ta.MultiTimeframeData.from_base("SYN-02", market["SYN-02"].frame("1h"), base="1h")
    pair = PAIR(enable_strategy_router=False, warmup_bars=50)
    with pytest.raises(ta.DataError, match="allowed is one timeframe"):
        ta.portfolio({"SYN-01": market["SYN-01"], "SYN-02": coarse}, ta.PortfolioBacktestConfig(per_pair_config=pair))


def test_a_capital_too_small_for_any_order_says_so(market):
    result = ta.portfolio(market, ta.PortfolioBacktestConfig(initial_capital=3.0))
    assert len(result.trades) == 0
    assert result.portfolio_total_return_pct == 0.0
    assert result.rejections.get("min_notional", 0) > 0
    assert f"refused: min_notional {result.rejections['min_notional']}" in repr(result)


@pytest.mark.parametrize("market_given", [None, {}, [], "2024"])
def test_no_market_is_no_portfolio(market_given):
    with pytest.raises(ta.ConfigError, match="allowed are one symbol's candles"):
        ta.portfolio(market_given)


@pytest.mark.parametrize(("top_n", "holdout", "words"), [(0, 0.3, "from 1 to the 3"), (2, None, "got no holdout")])
def test_top_n_needs_earlier_candles(market, top_n, holdout, words):
    with pytest.raises(ta.ConfigError, match=words):
        ta.portfolio(market, top_n=top_n, holdout=holdout)


def test_a_config_goes_to_yaml_and_back(tmp_path):
    config = ta.PortfolioBacktestConfig(
        symbols=["BTC", "ETH"],
        allocation="weights",
        weights={"BTC": 0.6, "ETH": 0.4},
        overrides={"ETH": {"dca_params": {"tp_pct": 0.08}}},
        resume_after="2D",
    )
    config.to_yaml(tmp_path / "portfolio.yaml")
    assert ta.PortfolioBacktestConfig.from_yaml(tmp_path / "portfolio.yaml") == config
