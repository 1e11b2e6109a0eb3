"""What comes later changes nothing before, on a shared account too."""

from __future__ import annotations

import numpy as np
import pytest

import traderagent as ta

LIMITS = {
    "max_single_pair_pct": 0.2,
    "max_total_exposure_pct": 0.4,
    "portfolio_stop_loss_pct": 0.05,
    "resume_after": "3D",
    "max_correlation": 0.1,
    "rebalance": "daily",
    "allocation": "inverse_volatility",
}


@pytest.fixture(scope="module")
def market():
    return ta.load_market("synthetic", symbols=4, days=80, seed=11)


def run(market):
    pair = ta.OrchestratorBacktestConfig(max_daily_loss_pct=0.01, max_position_size_pct=0.5)
    return ta.portfolio(market, ta.PortfolioBacktestConfig(per_pair_config=pair, **LIMITS))


@pytest.fixture(scope="module")
def whole(market):
    return run(market)


def same_until(one, other, time):
    """Fills, curves and what was committed up to a time."""
    n = int((one.index <= time).sum())
    assert n > 1_000
    assert one.raw.curves[:n].tobytes() == other.raw.curves[:n].tobytes()
    assert one.raw.committed[:n].tobytes() == other.raw.committed[:n].tobytes()
    first, second = (r.trades[r.trades["time"] <= time] for r in (one, other))
    assert first.equals(second)
    return len(first)


@pytest.mark.parametrize("day", [45, 60, 71])
def test_cutting_the_candles_off_changes_nothing_before(market, whole, day):
    end = market["SYN-01"].start + (market["SYN-01"].end - market["SYN-01"].start) * day / 80
    cut = run(market.slice(None, end))
    assert same_until(whole, cut, cut.index[-1]) > 20


def test_other_candles_later_change_nothing_before(market, whole):
    end = market["SYN-01"].start + (market["SYN-01"].end - market["SYN-01"].start) * 0.6
    other = {}
    for symbol, data in market.items():
        frame = data.candles[["open", "high", "low", "close", "volume"]].copy()
        late = np.asarray(frame.index >= end)
        frame.loc[late, ["open", "high", "low", "close"]] *= 1.7
        other[symbol] = ta.MultiTimeframeData.from_base(symbol, frame, instrument=data.instrument, synthetic=True)
    changed = run(ta.Market(other))
    assert same_until(whole, changed, end - (whole.index[1] - whole.index[0])) > 20
    assert changed.raw.curves[:, 0].tobytes() != whole.raw.curves[:, 0].tobytes()


def test_limits_of_correlation_were_met(whole):
    assert whole.rejections.get("correlation", 0) > 0


def test_symbols_are_ranked_by_candles_before_the_cut(market):
    ranked = ta.rank_symbols(market, holdout=0.3, min_trades=1)
    other = {}
    for symbol, data in market.items():
        frame = data.candles[["open", "high", "low", "close", "volume"]].copy()
        late = np.asarray(frame.index >= data.cut(0.3))
        frame.loc[late, ["open", "high", "low", "close"]] *= 0.5
        other[symbol] = ta.MultiTimeframeData.from_base(symbol, frame, instrument=data.instrument, synthetic=True)
    assert ta.rank_symbols(ta.Market(other), holdout=0.3, min_trades=1).equals(ranked)
    assert ranked["rank"].tolist() == [1, 2, 3, 4]
    assert ranked["sharpe_ratio_daily"].is_monotonic_decreasing
    chosen = ta.portfolio(market, holdout=0.3, top_n=2)
    assert set(chosen["out"].symbols) == set(ranked.index[:2])
