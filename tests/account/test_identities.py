"""What must hold of every portfolio whatever it trades: identities with single runs, and no meaning in the listing."""

from __future__ import annotations

import numpy as np
import pytest

import traderagent as ta
from traderagent.metrics.record import METRICS, RUN_METRICS

OFF = {
    "max_single_pair_pct": None,
    "max_total_exposure_pct": None,
    "portfolio_stop_loss_pct": None,
    "max_correlation": None,
}
FULL = OFF | {"max_single_pair_pct": 1.0, "max_total_exposure_pct": 1.0}


@pytest.fixture(scope="module")
def market():
    return ta.load_market("synthetic", symbols=4, days=60, seed=7)


def pair_config(**changes: object):
    return ta.OrchestratorBacktestConfig(**{"max_daily_loss_pct": None, **changes})


@pytest.mark.parametrize("sold", [False, True])
@pytest.mark.parametrize("account", ["spot", "perpetual"])
def test_one_symbol_with_full_limits_is_the_orchestrator_to_the_last_digit(market, account, sold):
    symbol = market.symbols[0]
    pair = pair_config(max_daily_loss_pct=0.01, account=account, liquidate_at_end=sold)
    alone = ta.backtest(market[symbol], pair)
    shared = ta.portfolio({symbol: market[symbol]}, ta.PortfolioBacktestConfig(per_pair_config=pair, **FULL))
    assert shared.equity.to_numpy().tobytes() == alone.equity.to_numpy().tobytes()
    assert shared.cash.to_numpy().tobytes() == alone.cash.to_numpy().tobytes()
    assert shared.trades.equals(alone.trades)
    assert shared.rejections == alone.rejections
    pair_of = shared.per_pair_results[symbol]
    for name in (*METRICS, *RUN_METRICS):
        for found in (shared.metrics[name], pair_of.metrics[name]):
            assert found == alone.metrics[name] or np.isnan([found, alone.metrics[name]]).all(), name
    assert len(alone.trades) > 50


def test_symbols_that_never_trade_return_exactly_nothing(market):
    pair = pair_config(enable_grid=False, enable_dca=True, enable_trend_follower=False, dca_params={"trigger_pct": 0.9})
    shared = ta.portfolio(market, ta.PortfolioBacktestConfig(per_pair_config=pair))
    assert len(shared.trades) == 0
    assert shared.portfolio_total_return_pct == 0.0
    assert set(shared.equity) == {10_000.0}
    assert shared.contribution["pnl"].eq(0.0).all()


def test_an_idle_symbol_beside_a_trading_one_changes_nothing_but_the_share(market):
    one, other = market.symbols[:2]
    pair = pair_config(enable_dca=False, enable_trend_follower=False)
    silent = {other: {"enable_grid": False, "enable_dca": True, "dca_params": {"trigger_pct": 0.9}}}
    config = ta.PortfolioBacktestConfig(symbols=[one, other], per_pair_config=pair, overrides=silent, **OFF)
    shared = ta.portfolio(market, config)
    alone = ta.backtest(market[one], pair.replace(initial_balance=5_000.0))
    assert shared.equity.iloc[-1] == pytest.approx(alone.final_balance + 5_000.0, rel=1e-12)
    assert shared.pair_returns[other] == 0.0


@pytest.mark.parametrize(("account", "n"), [("spot", 4), ("perpetual", 4), ("spot", 70)])
def test_copies_of_one_symbol_are_as_many_runs_on_their_share(market, account, n):
    data = market[market.symbols[0]]
    copies = {f"COPY{k}USDT": data.replace(symbol=f"COPY{k}USDT") for k in range(n)}
    pair = pair_config(account=account)
    shared = ta.portfolio(copies, ta.PortfolioBacktestConfig(initial_capital=10_000.0 * n, per_pair_config=pair, **OFF))
    alone = ta.backtest(data, pair)
    assert not {"cash", "margin"} & {*alone.rejections, *shared.rejections}
    np.testing.assert_allclose(shared.equity, n * alone.equity, rtol=1e-9)
    for result in shared.per_pair_results.values():
        assert result.trades.drop(columns="symbol").equals(alone.trades.drop(columns="symbol"))


@pytest.mark.parametrize("account", ["spot", "perpetual"])
def test_without_limits_and_want_of_cash_the_account_is_the_sum_of_independent_runs(market, account):
    weights = dict(zip(market.symbols, (0.4, 0.3, 0.2, 0.1), strict=True))
    config = ta.PortfolioBacktestConfig(
        per_pair_config=pair_config(account=account), allocation="weights", weights=weights, **OFF
    )
    shared = ta.portfolio(market, config)
    assert not {"cash", "margin"} & set(shared.rejections)
    np.testing.assert_allclose(shared.equity, shared.independent, rtol=1e-9)
    assert len(shared.trades) > 200


def test_the_order_in_which_symbols_are_listed_changes_nothing(market):
    tight = {"max_single_pair_pct": 0.3, "max_total_exposure_pct": 0.4, "max_correlation": 0.3, "rebalance": "weekly"}
    pair = pair_config(max_daily_loss_pct=0.005, max_position_size_pct=None)
    there = ta.PortfolioBacktestConfig(symbols=market.symbols, per_pair_config=pair, **tight)
    back = there.replace(symbols=market.symbols[::-1])
    one, other = ta.portfolio(market, there), ta.portfolio(ta.Market(dict(reversed(market.items()))), back)
    assert one.equity.to_numpy().tobytes() == other.equity.to_numpy().tobytes()
    assert one.trades.equals(other.trades)
    assert one.rejections == other.rejections
    assert {"risk_pair", "risk_exposure"} <= set(one.rejections)


def test_contributions_add_up_to_the_account(market):
    shared = ta.portfolio(market, ta.PortfolioBacktestConfig(portfolio_stop_loss_pct=0.02, resume_after="5D"))
    gained = shared.equity.iloc[-1] - 10_000.0
    assert shared.contribution["pnl"].sum() == pytest.approx(gained, rel=1e-9)
    assert shared.contribution["return_pct"].sum() == pytest.approx(shared.portfolio_total_return_pct, rel=1e-9)
    assert shared.contribution["drawdown_pct"].sum() == pytest.approx(shared.portfolio_max_drawdown_pct, rel=1e-9)
    assert shared.risk_halted


@pytest.mark.parametrize("resume_after", ["5D", None])
def test_every_pair_says_how_often_the_stop_closed_it_and_whether_it_still_does(market, resume_after):
    config = ta.PortfolioBacktestConfig(portfolio_stop_loss_pct=0.02, resume_after=resume_after)
    shared = ta.portfolio(market, config)
    ends = bool(shared.halted.iloc[-1])
    assert ends == (resume_after is None)
    assert shared.halts == int(shared.halted.astype(int).diff().eq(1).sum()) > 0
    for one in (shared, *shared.per_pair_results.values()):
        assert (one.risk_halted, one.halts, one.ends_halted) == (True, shared.halts, ends)
        told = one.to_dict()
        assert (told["risk_halted"], told["halts"], told["ends_halted"]) == (True, shared.halts, ends)


def test_a_pair_that_is_given_nothing_returns_exactly_nothing(market):
    weights = dict(zip(market.symbols, (0.4, 0.3, 0.3, 0.0), strict=True))
    shared = ta.portfolio(market, ta.PortfolioBacktestConfig(allocation="weights", weights=weights))
    idle = shared.per_pair_results[market.symbols[3]]
    assert idle.metrics["total_return_pct"] == 0.0
    assert len(idle.trades) == 0
    assert shared.pair_returns[market.symbols[3]] == 0.0
