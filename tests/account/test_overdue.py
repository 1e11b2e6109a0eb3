"""Funding that moves a liquidation beyond the close, on an account of several symbols."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import traderagent as ta

OFF = dict.fromkeys(("max_single_pair_pct", "max_total_exposure_pct", "portfolio_stop_loss_pct", "max_correlation"))


class Once(ta.Strategy):
    """Buys at the twentieth close, and never again."""

    memory: ClassVar = {"asked": 0.0}
    compiled = "never"

    def decide(self, now, book):
        book.asked += 1
        if book.asked == 20:
            return ta.buy(notional=500.0)
        return None


def falling_to_the_edge() -> pd.DataFrame:
    """100, then 98.7 from the candle that closes at 07:35 until 08:00, then back at 99 and never below 98.9."""
    rows = [(100.0,) * 4] * 90 + [(100.0, 100.0, 98.7, 98.7)] + [(98.7,) * 4] * 5
    rows += [(99.0, 99.2, 98.9, 99.1)] + [(99.1, 99.3, 98.95, 99.1)] * 23
    index = pd.date_range("2024-01-01", periods=len(rows), freq="5min", tz="UTC", name="open_time")
    return pd.DataFrame(np.array(rows), index, columns=["open", "high", "low", "close"]).assign(volume=1.0)


def test_the_next_candle_of_each_symbol_liquidates_though_no_price_reaches_it():
    """5 coins at 100 with leverage 50; at 98.7 the liquidation stands at 98.49, after funding at 98.79."""
    pair = ta.OrchestratorBacktestConfig(
        account="perpetual",
        leverage=50.0,
        funding_rate=0.003,
        warmup_bars=20,
        enable_strategy_router=False,
        enable_grid=False,
        enable_dca=False,
        enable_trend_follower=False,
        max_position_size_pct=None,
        costs=ta.Costs(maker=0.001, taker=0.001, slippage=0.0),
    )
    market = {name: ta.MultiTimeframeData.from_base(name, falling_to_the_edge()) for name in ("AAAUSDT", "BBBUSDT")}
    config = ta.PortfolioBacktestConfig(per_pair_config=pair, **OFF)
    result = ta.portfolio(market, config, strategies=[Once()], progress=False)
    ended = result.trades[result.trades["reason"] == "liquidation"]
    assert sorted(ended["symbol"]) == ["AAAUSDT", "BBBUSDT"]
    assert list(ended["price"]) == [99.0, 99.0]
    alone = ta.backtest(market["AAAUSDT"], pair, strategies=[Once()])
    assert result.equity.iloc[-1] - config.initial_capital == pytest.approx(
        2 * (alone.final_balance - pair.initial_balance), rel=1e-9
    )
