"""Rule 8, one hold-out: two separate runs; nothing of the first reads the candles of the second."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import COLUMNS

HOLDOUT = 0.3
CONFIG = OrchestratorBacktestConfig(
    router_cooldown_bars=12, dca_params={"trigger_pct": 0.02}, grid_params={"atr_multiplier": 2.0}
)
ROUTELESS = CONFIG.replace(enable_strategy_router=False)


@pytest.fixture(scope="module")
def data() -> MultiTimeframeData:
    return next(iter(ta.load_market("synthetic", symbols=1, days=60, seed=9, progress=False).values()))


def said(run: OrchestratorBacktestResult) -> dict[str, object]:
    """All that a run says, apart from the hash and the label of the candles it was given."""
    assumptions = {k: v for k, v in run.assumptions.items() if k not in ("data_hash", "sample")}
    return {
        "fills": run.raw.fills.tobytes(),
        "trips": run.raw.round_trips.tobytes(),
        "ledger": run.raw.ledger.tobytes(),
        "metrics": repr(run.metrics),
        "route": run.route.to_numpy().tobytes(),
        "regimes": list(run.regimes),
        "switches": run.strategy_switches,
        "assumptions": repr(assumptions),
        "rejections": run.rejections,
        "benchmarks": run.benchmarks.to_numpy().tobytes(),
    }


def with_other_candles(data: MultiTimeframeData, rows: slice, factor: float) -> MultiTimeframeData:
    """The same symbol with other prices (still valid) in some rows; frames are built anew."""
    frame = data.candles[list(COLUMNS)].copy()
    walk = np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.01, len(frame.iloc[rows]))))
    frame.iloc[rows, :4] = frame.iloc[rows, :4].to_numpy() * walk[:, None] * factor
    return MultiTimeframeData.from_base(data.symbol, frame, base=data.base, instrument=data.instrument)


@pytest.mark.parametrize("config", [CONFIG, ROUTELESS], ids=["router", "no router"])
def test_in_is_the_run_of_the_candles_before_the_cut(data: MultiTimeframeData, config) -> None:
    parts = ta.backtest(data, config, holdout=HOLDOUT)
    cut = data.cut(HOLDOUT)
    alone = ta.backtest(data.slice(None, cut), config)
    assert len(alone.trades) > 20
    assert said(parts["in"]) == said(alone)
    assert parts["in"].index[-1] < cut
    assert [parts[part].assumptions["sample"] for part in ("in", "out")] == ["in", "out"]


@pytest.mark.parametrize("config", [CONFIG, ROUTELESS], ids=["router", "no router"])
def test_other_hold_out_candles_change_nothing_of_in(data: MultiTimeframeData, config) -> None:
    data = with_other_candles(data, slice(0, 0), 1.0)
    before = ta.backtest(data, config, holdout=HOLDOUT)
    row = int(data.index.searchsorted(data.cut(HOLDOUT)))
    after = ta.backtest(with_other_candles(data, slice(row, None), 1.7), config, holdout=HOLDOUT)
    assert said(after["in"]) == said(before["in"])
    assert after["out"].raw.fills.tobytes() != before["out"].raw.fills.tobytes()


def test_out_starts_flat_from_the_initial_capital_at_the_cut(data: MultiTimeframeData) -> None:
    run = ta.backtest(data, ROUTELESS, holdout=HOLDOUT)["out"]
    row = int(data.index.searchsorted(data.cut(HOLDOUT)))
    assert run.raw.first == row
    assert len(run.trades) > 20
    assert run.trades["row"].min() > row
    assert (run.equity.iloc[: row + 1] == ROUTELESS.initial_balance).all()
    assert (run.books.xs("quantity", axis=1, level="field").iloc[: row + 1] == 0.0).all().all()
    assert pd.Timestamp(run.assumptions["trading_starts"]) == data.cut(HOLDOUT)


def test_out_knows_the_candles_before_the_cut_as_warm_up_only(data: MultiTimeframeData) -> None:
    """Long before the cut nothing matters but what the features remember: a moved past changes no fill of a strategy
    that looks back a day."""
    config = ROUTELESS.only("dca")
    before = ta.backtest(data, config, holdout=HOLDOUT)["out"]
    row = int(data.index.searchsorted(data.cut(HOLDOUT)))
    moved = with_other_candles(data, slice(0, row - 600), 1.0)
    after = ta.backtest(moved, config, holdout=HOLDOUT)["out"]
    assert len(before.trades) > 5
    assert after.raw.fills.tobytes() == before.raw.fills.tobytes()


def test_a_given_route_is_cut_with_the_candles(data: MultiTimeframeData) -> None:
    rng = np.random.default_rng(1)
    names = ("grid", "dca", "trend_follower")
    blocks = [{n for n in names if rng.random() < 0.6} for _ in range(len(data) // 100 + 1)]
    route = [blocks[row // 100] for row in range(len(data))]
    parts = ta.backtest(data, ROUTELESS, route=route, holdout=HOLDOUT)
    row = int(data.index.searchsorted(data.cut(HOLDOUT)))
    alone = ta.backtest(data.slice(None, data.cut(HOLDOUT)), ROUTELESS, route=route[:row])
    assert said(parts["in"]) == said(alone)
    out = parts["out"].route
    assert [{n for n in names if out[n].iloc[r]} for r in range(row, len(data), 50)] == route[row::50]


def test_a_market_is_split_symbol_by_symbol() -> None:
    """Each at a cut of its own: the symbols do not begin on the same day."""
    market = ta.load_market("synthetic", symbols=3, days=40, seed=9, progress=False)
    late = market.symbols[1]
    market[late] = market[late].slice("2024-01-08", None)
    assert len({data.cut(HOLDOUT) for data in market.values()}) == 2
    results = ta.backtest(market, CONFIG, holdout=HOLDOUT, progress=False)
    for symbol, data in market.items():
        for part in ("in", "out"):
            assert said(results[symbol][part]) == said(ta.backtest(data, CONFIG, holdout=HOLDOUT)[part])


def test_the_whole_span_says_so(data: MultiTimeframeData) -> None:
    assert ta.backtest(data, CONFIG).assumptions["sample"] == "whole"


def test_too_few_candles_before_the_hold_out_are_said_to_be_that(data: MultiTimeframeData) -> None:
    n = int(data.index.searchsorted(data.cut(0.99)))
    with pytest.raises(ta.DataError, match=rf"got {n} candles of 5m before the hold-out, .*set aside less or shorten"):
        ta.backtest(data, CONFIG, holdout=0.99)
    with pytest.raises(ta.DataError, match=rf"got {n} candles of 5m, .*load a longer span or shorten"):
        ta.backtest(data.slice(None, data.cut(0.99)), CONFIG)
