"""Money on a shared account: it adds up, limits hold where something is decided, a crash loses none of it."""

from __future__ import annotations

import numpy as np
import pytest

import traderagent as ta
from tests.engine.real import needs_candles, real

TIGHT = {
    "max_single_pair_pct": 0.08,
    "max_total_exposure_pct": 0.3,
    "portfolio_stop_loss_pct": 0.06,
    "resume_after": "7D",
    "rebalance": "weekly",
}


def crashed(market, at, depth=0.8):
    """Every symbol loses `depth` over the twelve candles from `at` on and stays there."""
    found = {}
    for symbol, data in market.items():
        frame = data.candles[["open", "high", "low", "close", "volume"]].copy()
        row = int(frame.index.searchsorted(at))
        factor = np.ones(len(frame) + 1)
        factor[row + 1 : row + 13] = np.linspace(1.0, 1.0 - depth, 12)
        factor[row + 13 :] = 1.0 - depth
        before, after = factor[:-1], factor[1:]
        frame["open"] *= before
        frame["close"] *= after
        frame["high"] = np.maximum(frame["high"] * before, frame[["open", "close"]].max(axis=1))
        frame["low"] = np.minimum(frame["low"] * after, frame[["open", "close"]].min(axis=1))
        found[symbol] = ta.MultiTimeframeData.from_base(symbol, frame, instrument=data.instrument)
    return ta.Market(found)


def held_of(result):
    """(n_times, n) signed inventory of each pair at each time."""
    axis = result.roster.axis
    held = np.zeros(axis.close.shape)
    for s, raw in enumerate(result.raw.pairs):
        rows = np.where(axis.row_at[:, s] >= 0, axis.row_at[:, s], -2 - axis.row_at[:, s])
        held[:, s] = np.where(rows >= 0, raw.ledger[np.maximum(rows, 0), 3], 0.0)
    return held


def check_money(result):
    """Equity is cash and inventory; cash is never negative; what the pairs gave is what the account gained."""
    axis, held = result.roster.axis, held_of(result)
    value = (held * axis.close).sum(axis=1)
    np.testing.assert_allclose(result.equity, result.cash.to_numpy() + value, rtol=1e-9)
    assert result.cash.min() >= -1e-6
    assert result.free_cash.min() >= -1e-6
    assert held.min() >= 0.0
    gained = result.equity.iloc[-1] - result.config.initial_capital
    assert result.contribution["pnl"].sum() == pytest.approx(gained, rel=1e-6, abs=1e-6)


def check_limits(result):
    """Where a pair, or all of them, stand above a limit, no entry was granted at that close.

    Of runs without dca: safety orders of an open deal come back after a day's block or a change of route, unasked.
    """
    config, axis, held = result.config, result.roster.axis, held_of(result)
    committed, equity = result.committed.to_numpy(), result.equity.to_numpy()
    entries = committed - held * axis.close
    filled = np.zeros(axis.close.shape, bool)
    for s, raw in enumerate(result.raw.pairs):
        filled[axis.time_of[s][raw.fills["row"]], s] = True
    news = np.zeros_like(filled)
    news[1:] = (entries[1:] > entries[:-1] * (1 + 1e-9) + 1e-6) & ~filled[1:]
    pair = committed > config.max_single_pair_pct * equity[:, None] * (1 + 1e-8)
    total = committed.sum(axis=1) > config.max_total_exposure_pct * equity * (1 + 1e-8)
    assert news.sum() > 20, "nothing was granted: the check says nothing"
    assert not (news & pair).any()
    assert not (news & total[:, None]).any()


def check_stopped(result):
    """At the close at which the drawdown reached the limit all was halted, and what was held is sold; returns where."""
    halted, equity = result.halted.to_numpy(), result.equity
    first, stop = int(np.argmax(halted)), result.config.portfolio_stop_loss_pct
    assert result.risk_halted
    assert halted[first:].all()
    assert 1 - equity.iloc[first] / equity.iloc[: first + 1].max() >= stop
    assert equity.iloc[first - 1] > (1 - stop) * equity.iloc[:first].max()
    assert (held_of(result)[-1] == 0.0).all()
    assert (result.committed.iloc[first + 1 :] == 0.0).all(axis=None)
    stopped = result.trades[result.trades["reason"] == "portfolio_stop"]
    assert len(stopped) > 0
    assert result.trades["time"].max() == stopped["time"].max()
    return first


@pytest.fixture(scope="module")
def market():
    return ta.load_market("synthetic", symbols=5, days=120, seed=7)


def test_money_adds_up_and_limits_hold(market):
    pair = ta.OrchestratorBacktestConfig(max_position_size_pct=None, enable_dca=False)
    result = ta.portfolio(market, ta.PortfolioBacktestConfig(per_pair_config=pair, **TIGHT))
    check_money(result)
    check_limits(result)
    assert {"risk_pair", "risk_exposure"} <= set(result.rejections)


def test_a_flash_crash_closes_everything_and_nothing_is_lost(market):
    at = market["SYN-01"].start + (market["SYN-01"].end - market["SYN-01"].start) / 2
    broken = crashed(market, at)
    pair = ta.OrchestratorBacktestConfig(max_daily_loss_pct=None, enable_strategy_router=False)
    config = ta.PortfolioBacktestConfig(per_pair_config=pair, portfolio_stop_loss_pct=0.2, max_correlation=None)
    result = ta.portfolio(broken, config)
    check_money(result)
    first = check_stopped(result)
    assert at <= result.index[first] <= at + (market["SYN-01"].end - at) / 10
    assert (held_of(result)[first + 1 :] == 0.0).all()


@needs_candles
@pytest.mark.slow
@pytest.mark.parametrize(("folder", "n"), [("2022", 31), ("2024", 27)])
def test_on_every_real_symbol(folder, n):
    market = real(folder)
    pair = ta.OrchestratorBacktestConfig(max_position_size_pct=None)
    result = ta.portfolio(market, ta.PortfolioBacktestConfig(per_pair_config=pair, **TIGHT))
    assert len(result.symbols) == n
    check_money(result)
    without = ta.portfolio(market, result.config.replace(per_pair_config=pair.replace(enable_dca=False)))
    check_money(without)
    check_limits(without)
    again = ta.portfolio(ta.Market(dict(reversed(market.items()))), result.config)
    assert again.equity.to_numpy().tobytes() == result.equity.to_numpy().tobytes()


@needs_candles
@pytest.mark.slow
@pytest.mark.parametrize("folder", ["2022", "2024"])
def test_a_flash_crash_in_real_candles_closes_everything(folder):
    market = real(folder)
    at = market["BTCUSDT"].start + (market["BTCUSDT"].end - market["BTCUSDT"].start) / 4
    pair = ta.OrchestratorBacktestConfig(max_daily_loss_pct=None, enable_strategy_router=False)
    config = ta.PortfolioBacktestConfig(per_pair_config=pair, portfolio_stop_loss_pct=0.2, max_correlation=None)
    result = ta.portfolio(crashed(market, at), config)
    check_money(result)
    first = check_stopped(result)
    assert at <= result.index[first] <= at + (market["BTCUSDT"].end - at) / 10
    a_day_on = result.index[first] + np.timedelta64(1, "D")
    assert (held_of(result)[result.index > a_day_on] == 0.0).all()
