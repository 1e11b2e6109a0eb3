"""Frames made by hand: what `load_market` would have refused is refused here too, and later edits change nothing."""

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from traderagent.base import files
from traderagent.base.config import read_yaml

Config = ta.OrchestratorBacktestConfig


def frame(n: int, freq: str = "5min") -> pd.DataFrame:
    """A seeded walk of n candles."""
    close = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.003, n)))
    open_ = np.r_[close[0], close[:-1]]
    index = pd.date_range("2024-01-01", periods=n, freq=freq, tz="UTC", name="open_time").as_unit("ms")
    high, low = np.maximum(open_, close) * 1.001, np.minimum(open_, close) * 0.999
    return pd.DataFrame({"open": open_, "high": high, "low": low, "close": close, "volume": 1.0}, index=index)


def test_hourly_candles_are_no_five_minute_candles():
    data = ta.MultiTimeframeData.from_base("X", frame(300, "1h"))
    with pytest.raises(ta.DataError, match="3600 s apart as 5m"):
        ta.backtest(data, Config(enable_strategy_router=False))


def test_times_off_the_grid_are_refused():
    candles = frame(2000)
    candles.index = (candles.index + pd.Timedelta("7s")).rename("open_time")
    with pytest.raises(ta.DataError, match="not on the 5m grid"):
        ta.backtest(ta.MultiTimeframeData.from_base("X", candles))


def test_writing_into_the_callers_frame_changes_no_data():
    candles = frame(2000)
    data = ta.MultiTimeframeData.from_base("X", candles)
    hash_before, equity = data.hash, ta.backtest(data).equity
    candles.iloc[100:1900, :] = np.nan
    again = ta.MultiTimeframeData.from_base("X", frame(2000))
    assert not data.candles["close"].isna().any()
    assert data.hash == hash_before == again.hash
    assert ta.backtest(data).equity.equals(equity)


def test_signals_fill_nothing_in_a_candle_without_data():
    missing = np.zeros(300, bool)
    missing[11:14] = True
    entries, exits = np.zeros(300, bool), np.zeros(300, bool)
    entries[10] = exits[20] = True
    candles = frame(300)
    trades = ta.backtest_signals(candles.assign(missing=missing), entries[~missing], exits[~missing]).trades
    assert trades["time"].tolist() == [candles.index[14], candles.index[21]]


@pytest.mark.parametrize("index", [pd.RangeIndex(5, 305), pd.RangeIndex(299, -1, -1)])
def test_signals_of_another_index_are_refused(index: pd.Index):
    entries = np.zeros(300, bool)
    with pytest.raises(ta.DataError, match="its index differs"):
        ta.backtest_signals(frame(300), pd.Series(entries, index), entries)


@pytest.mark.parametrize(("mark", "said"), [("no", "'no'"), (2, "2"), (0.5, "0.5")])
def test_marks_of_missing_rows_are_no_words(tmp_path, mark: object, said: str):
    frame(300).assign(missing=mark).reset_index().to_csv(tmp_path / "BTCUSDT_5m.csv", index=False)
    with pytest.raises(ta.DataError, match=f"row 1: missing is {said}, allowed are true and false"):
        ta.load_market(tmp_path, progress=False)


def test_a_doubled_key_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("initial_balance: 5.0\ninitial_balance: 7.0\n")
    with pytest.raises(ta.ConfigError, match="'initial_balance' stands there twice"):
        read_yaml(path)


def test_a_folder_whose_replacement_fails_comes_back(tmp_path, monkeypatch):
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "old.txt").write_text("old")
    replace, calls = files.os.replace, []

    def failing(source: object, target: object) -> None:
        calls.append(source)
        if len(calls) == 2:
            raise OSError("disk full")
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", failing)
    with pytest.raises(OSError, match="disk full"), files.replacing(folder) as scratch:
        scratch.mkdir()
    assert (folder / "old.txt").read_text() == "old"
