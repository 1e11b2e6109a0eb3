"""Finer candles inside the base ones, and the spread of the path models: what they decide, and what they refuse."""

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from tests.engine.test_perpetual import Probe
from traderagent.engine.path import PATHS
from traderagent.market.frames import resample

COLUMNS = ["open", "high", "low", "close"]


def minutes(*rows):
    """1m candles from 01:00 on."""
    index = pd.date_range("2024-01-01 01:00", periods=len(rows), freq="1min", tz="UTC", name="open_time").as_unit("ms")
    return pd.DataFrame(rows, index, columns=COLUMNS, dtype=float).assign(volume=1.0)


def data_of(fine, detail=None):
    detail = fine if detail is None else detail
    return ta.MultiTimeframeData.from_base("XUSDT", resample(fine, "5m"), detail=detail, detail_timeframe="1m")


def run(data, stop, path="detail", sells_at_end=False):
    config = ta.OrchestratorBacktestConfig(
        path=path,
        liquidate_at_end=sells_at_end,
        warmup_bars=1,
        enable_grid=False,
        enable_dca=False,
        enable_trend_follower=False,
        enable_strategy_router=False,
        enable_risk_manager=False,
        costs=ta.Costs(maker=0.0, taker=0.0, slippage=0.0),
    )
    return ta.backtest(data, config, strategies=[Probe(stop=stop)])


FLAT = [(100, 100, 100, 100)] * 15  # three base candles; the probe enters at the open of the third
# The fourth rises to 110 first and falls through 95 in its fourth minute.
LAST = [(100, 110, 100, 108), (108, 108, 104, 104), (104, 104, 99, 99), (98, 98, 94, 96), (96, 97, 96, 97)]


def test_a_stop_fills_in_its_minute():
    result = run(data_of(minutes(*FLAT, *LAST)), 95.0)
    assert list(result.trades["reason"]) == ["signal", "stop"]
    assert result.trades["time"].iloc[-1] == pd.Timestamp("2024-01-01 01:18", tz="UTC")
    assert result.trades["price"].iloc[-1] == 95.0


def test_a_jump_between_minutes_fills_at_the_open_of_the_next():
    result = run(data_of(minutes(*FLAT, *LAST)), 98.5)
    assert result.trades["price"].iloc[-1] == 98.0
    assert run(data_of(minutes(*FLAT, *LAST)), 98.5, "candle").trades["price"].iloc[-1] == 98.5


def test_what_is_sold_at_the_end_has_the_time_of_its_base_candle():
    result = run(data_of(minutes(*FLAT, *LAST)), 50.0, sells_at_end=True)
    assert list(result.trades["reason"]) == ["signal", "end"]
    assert list(result.trades["time"]) == list(pd.to_datetime(["2024-01-01 01:10", "2024-01-01 01:15"], utc=True))


def test_a_run_without_finer_candles_says_where_to_get_them():
    data = ta.MultiTimeframeData.from_base("XUSDT", resample(minutes(*FLAT, *LAST), "5m"))
    with pytest.raises(ta.DataError, match="path 'detail' needs finer candles, got none beside 5m; put 1m files"):
        run(data, 95.0)


def test_finer_candles_that_do_not_cover_the_span_are_refused_by_name():
    fine = minutes(*FLAT, *LAST)
    with pytest.raises(ta.DataError, match=r"XUSDT 1m: the candle of 2024-01-01 01:15.* has none of them \(1 of 4"):
        run(data_of(fine, fine.iloc[:15]), 95.0)
    with pytest.raises(ta.DataError, match=r"5 candles that 2024-01-01 01:15.* there are 4, .*close 96.0, .*says 97.0"):
        run(data_of(fine, fine.iloc[:19]), 95.0)
    gone = fine.drop(fine.index[[15, 16, 17]])
    with pytest.raises(ta.DataError, match=r"XUSDT 1m: of the 5 candles that .* there are 2, .*load the missing ones"):
        run(data_of(fine, gone), 95.0)


@pytest.mark.parametrize(("column", "row"), [("open", 15), ("high", 15), ("low", 18), ("close", 19)])
def test_finer_candles_of_another_market_are_refused(column, row):
    fine = minutes(*FLAT, *LAST)
    other = fine.copy()
    other.iloc[row, COLUMNS.index(column)] *= 1.001 if column in ("high", "close") else 0.999
    with pytest.raises(ta.DataError, match=f"make {column} .* load both from one source"):
        run(data_of(fine, other), 95.0)


def test_minutes_in_a_hole_of_the_base_candles_are_left_out():
    fine = minutes(*FLAT, *LAST)
    whole = data_of(fine)
    data = whole.replace(m5=whole.candles.iloc[[0, 1, 3]], m15=None, h1=None, h4=None, d1=None)
    result = run(data, 95.0)
    assert list(result.trades["price"]) == [100.0, 95.0]


def test_the_spread_of_the_path_models_holds_each_of_them():
    data = ta.load_market("synthetic", symbols=1, days=20, seed=7, progress=False)["SYN-01"]
    config = ta.OrchestratorBacktestConfig(warmup_bars=800).only("grid")
    result = ta.backtest(data, config, path_spread=True)
    models = [p for p in PATHS if p != "detail"]
    table = result.path_spread
    assert list(table.columns) == ["lowest", "highest", *models]
    for model in models:
        alone = ta.backtest(data, config.replace(path=model))
        np.testing.assert_array_equal(table[model], pd.Series(alone.metrics))
    returns = table.loc["total_return_pct"]
    assert returns["lowest"] == returns[models].min() < returns[models].max() == returns["highest"]
    assert ta.backtest(data, config).path_spread is None
    parts = ta.backtest(data, config, path_spread=True, holdout=0.5)
    assert parts["out"].path_spread is not None


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [("open", 1e9, "row 18"), ("close", 1e9, "row 18"), ("close", -5.0, "row 18"), ("open", np.nan, "row 18")],
)
def test_a_finer_candle_that_is_none_is_refused_though_the_base_candle_is_made_of_it(column, value, says):
    """Open, high, low and close of the whole are right; the path would go to a price that never was."""
    fine = minutes(*FLAT, *LAST)
    wrong = fine.copy()
    wrong.iloc[17, COLUMNS.index(column)] = value
    with pytest.raises(ta.DataError, match=f"XUSDT 1m {says}"):
        run(data_of(fine, wrong), 95.0)


def test_finer_candles_are_not_longer_than_those_they_make():
    data = data_of(minutes(*FLAT, *LAST))
    with pytest.raises(ta.ConfigError, match="got detail_timeframe 1h, allowed are 5m and finer"):
        data.replace(detail_timeframe="1h")
    with pytest.raises(ta.UnknownName, match="unknown timeframe '7q'"):
        data.replace(detail_timeframe="7q")


def test_an_entry_in_a_later_jump_is_no_entry_at_the_open_of_its_candle():
    """Half a deal is bought at 98 as the second minute opens; the 104 after it moves no stop before the next candle."""
    jump = [(100, 100, 99, 99), (98, 104, 98, 99), (99, 99, 99, 99), (99, 99, 99, 99), (99, 99, 99, 99)]
    after = [(99, 99, 99, 99)] * 5
    deal = {
        "trigger_pct": 0.0,
        "high_lookback": 1,
        "base_order": 0.1,
        "safety_order": 0.1,
        "max_safety_orders": 1,
        "deviation_pct": 0.015,
        "tp_pct": 0.0,
        "stop_loss_pct": 0.0,
        "trailing_activation_pct": 0.03,
        "trailing_distance_pct": 0.01,
    }
    config = ta.OrchestratorBacktestConfig(
        path="detail",
        warmup_bars=1,
        enable_grid=False,
        enable_trend_follower=False,
        enable_strategy_router=False,
        enable_risk_manager=False,
        costs=ta.Costs(maker=0.0, taker=0.0, slippage=0.0),
        dca_params=deal,
    )
    result = ta.backtest(data_of(minutes(*FLAT, *jump, *after)), config)
    assert list(result.trades["reason"]) == ["base", "safety"]
    assert list(result.trades["price"]) == [100.0, 98.0]
