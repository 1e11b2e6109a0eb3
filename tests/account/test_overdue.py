"""Funding that moves a liquidation beyond the close, on an account of several symbols."""

from __future__ import annotations

import pytest

import traderagent as ta
from tests.engine.test_perpetual import BACK, LAST, Probe, candles

OFF = dict.fromkeys(("max_single_pair_pct", "max_total_exposure_pct", "portfolio_stop_loss_pct", "max_correlation"))


def test_the_next_candle_of_each_symbol_liquidates_though_no_price_reaches_it():
    """The probe asks for nothing once it holds, so only the overdue liquidation has its symbol looked at."""
    pair = ta.OrchestratorBacktestConfig(
        account="perpetual",
        leverage=10.0,
        funding_rate=0.01,
        warmup_bars=1,
        enable_strategy_router=False,
        enable_grid=False,
        enable_dca=False,
        enable_trend_follower=False,
        enable_risk_manager=False,
        costs=ta.Costs(maker=0.0, taker=0.001, slippage=0.0),
    )
    frame = candles((100.0, 100.0, 100.0, 100.0), LAST, *BACK, start="2024-01-01 07:35")
    market = {name: ta.MultiTimeframeData.from_base(name, frame) for name in ("AAAUSDT", "BBBUSDT")}
    config = ta.PortfolioBacktestConfig(per_pair_config=pair, **OFF)
    result = ta.portfolio(market, config, strategies=[Probe()], progress=False)
    ended = result.trades[result.trades["reason"] == "liquidation"]
    assert sorted(ended["symbol"]) == ["AAAUSDT", "BBBUSDT"]
    assert list(ended["price"]) == [92.0, 92.0]
    alone = ta.backtest(market["AAAUSDT"], pair, strategies=[Probe()])
    gained = alone.final_balance - alone.config.initial_balance
    assert result.equity.iloc[-1] - config.initial_capital == pytest.approx(2 * gained, rel=1e-9)
