"""Gaps and the quality table: everything odd is counted, nothing is filled in silence."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.conftest import START, make_candles
from traderagent.base.errors import ConfigError, DataError
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import milliseconds, resample
from traderagent.market.gaps import close_gaps
from traderagent.market.load import load_market
from traderagent.market.quality import check, quality

FIVE = 300_000


def of(frame, **labels):
    return MultiTimeframeData.from_base("BTC", frame, **labels)


@given(st.lists(st.sampled_from([1, 1, 1, 2, 5, 40]), min_size=1, max_size=60), st.integers(0, 20))
@settings(max_examples=100, deadline=None)
def test_filled_rows_are_marked_flat_and_without_volume(steps, seed):
    base = make_candles(len(steps), seed=seed)
    time = START + np.cumsum(steps) * FIVE
    frame = base.set_axis(pd.DatetimeIndex(time.astype("datetime64[ms]"), tz="UTC", name="open_time"))
    kept, notes = close_gaps(frame, "BTC", "x", "5m", "keep", 1.0)
    filled, _ = close_gaps(frame, "BTC", "x", "5m", "forward_fill", 1.0)
    n_missing = sum(steps[1:]) - len(steps) + 1
    assert kept is frame
    assert bool(notes) == (n_missing > 0)
    assert (np.diff(milliseconds(filled.index)) == FIVE).all()
    if n_missing:
        real = filled[~filled["missing"]].drop(columns="missing")
        pd.testing.assert_frame_equal(real, frame, check_freq=False)
        added = filled[filled["missing"]]
        assert len(added) == n_missing
        assert (added["volume"] == 0).all()
        before = frame["close"].to_numpy()[np.searchsorted(time, milliseconds(added.index)) - 1]
        for column in ("open", "high", "low", "close"):
            assert (added[column].to_numpy() == before).all()
    assert resample(filled, "1h").equals(resample(frame, "1h"))


def test_gap_policy_of_a_load(tmp_path, candles):
    candles.drop(candles.index[100:116]).to_parquet(tmp_path / "BTCUSDT_5m.parquet")
    data = load_market(tmp_path, progress=False)["BTC"]
    assert len(data) == 584
    assert (
        "16 of 600 5m candles are missing (2.67%) in 1 gaps, the longest of 16 from 2024-01-01 08:20; kept as gaps"
        in data.notes
    )
    filled = load_market(tmp_path, gaps="forward_fill", progress=False)["BTC"]
    assert int(filled.m5["missing"].sum()) == 16
    assert filled.summary()["missing"] == data.summary()["missing"] == 16
    with pytest.raises(DataError, match="BTCUSDT .*16 of 600.*gaps='error' allows none"):
        load_market(tmp_path, gaps="error", progress=False)
    with pytest.raises(DataError, match="BTCUSDT .*allowed is max_gap_share=0.02: choose a span without the gap"):
        load_market(tmp_path, max_gap_share=0.02, progress=False)
    assert len(load_market(tmp_path, max_gap_share=0.02, end="2024-01-01 08:20", progress=False)["BTC"]) == 100


def test_filled_candles_survive_a_round_trip(tmp_path, candles):
    candles.drop(candles.index[100:116]).to_parquet(tmp_path / "BTCUSDT_5m.parquet")
    filled = load_market(tmp_path, gaps="forward_fill", progress=False)["BTC"]
    again = tmp_path / "again"
    again.mkdir()
    filled.m5.to_parquet(again / "BTCUSDT_5m.parquet")
    assert load_market(again, progress=False)["BTC"].hash == filled.hash


def test_the_table_counts_what_is_odd(candles):
    frame = candles.copy()
    flat = frame["close"].iloc[199]
    frame.iloc[200:214, :4] = flat
    frame.iloc[200:214, 4] = 0.0
    frame = frame.drop(frame.index[214:230])  # as on 2023-03-24: 14 flat ones, then 16 missing
    frame.iloc[400, 2] = 0.0001  # as a LINK 1h low
    table = quality(of(frame))
    row = table.loc[("BTCUSDT", "5m")]
    assert (row.candles, row.missing, row.gaps, row.longest_gap) == (584, 16, 1, 16)
    assert row.gap_share == pytest.approx(16 / 600)
    assert row.zero_volume_share == pytest.approx(14 / 584)
    assert (row.flat_runs, row.longest_flat_run) == (1, 14)
    assert row.jumps >= 1
    assert row.largest_jump_at == frame.index[400]
    assert row.largest_jump_atr > 50
    assert table.index.get_level_values("timeframe").tolist() == ["5m", "15m", "1h", "4h", "1d"]
    assert list(quality({"BTCUSDT": of(frame)}).columns) == list(table.columns)


def test_calm_candles_have_no_jump(candles):
    row = quality(of(candles)).loc[("BTCUSDT", "5m")]
    assert (row.jumps, row.gaps, row.flat_runs, row.zero_volume_share, row.filled) == (0, 0, 0, 0.0, 0)
    assert quality(of(candles), jump_atr=1.0).loc[("BTCUSDT", "5m")].jumps > 50
    for wrong in (0, True, "10", np.nan):
        with pytest.raises(ConfigError, match=f"jump_atr: got {wrong!r}, allowed is a number above 0"):
            quality(of(candles), jump_atr=wrong)


def test_true_range_of_a_jump_looks_back_only(candles):
    """A calm market that turns wild: only the first wild candle is a jump against what was before."""
    frame = candles.copy()
    frame.iloc[300, 1] = frame.iloc[300, 0] * 1.5
    assert quality(of(frame)).loc[("BTCUSDT", "5m")].jumps == 1
    assert quality(of(frame.iloc[:300])).loc[("BTCUSDT", "5m")].jumps == 0


def test_an_open_last_candle_is_seen(candles):
    closed = of(candles.iloc[:576])  # two whole days
    assert not quality(closed)["open_last"].any()
    later = quality(of(candles.iloc[:577]))["open_last"]
    assert not later[("BTCUSDT", "5m")]
    assert later.drop(("BTCUSDT", "5m")).all()
    early = quality(closed, as_of="2024-01-02 23:59")["open_last"]
    assert early[("BTCUSDT", "5m")]
    minutes = make_candles(1003, duration=60_000)
    partial = of(resample(minutes, "5m"), detail=minutes, detail_timeframe="1m")
    assert quality(partial)["open_last"][("BTCUSDT", "5m")]
    assert not quality(partial)["open_last"][("BTCUSDT", "1m")]


def test_the_table_says_synthetic_and_rounding(candles):
    table = quality(of(candles, synthetic=True))
    assert table["synthetic"].all()
    assert (table["rounding"] == "no rounding").all()


def test_undefined_is_nan_and_not_zero():
    row = quality(of(make_candles(10))).loc[("BTCUSDT", "5m")]
    assert np.isnan(row.largest_jump_atr)
    assert row.largest_jump_at is pd.NaT


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_candles_are_candles(n):
    check(make_candles(n), "few", "5m")
    assert quality(of(make_candles(n))).loc[("BTCUSDT", "5m")].candles == n


@given(st.integers(0, 79), st.sampled_from(["open", "high", "low", "close"]), st.floats(allow_nan=True, width=64))
@settings(max_examples=200, deadline=None)
def test_check_refuses_exactly_what_breaks_a_rule(row, column, value):
    frame = make_candles(80)
    frame.iloc[row, frame.columns.get_loc(column)] = value
    o, h, low, c, _ = frame.iloc[row].tolist()
    sound = all(np.isfinite([o, h, low, c])) and min(o, h, low, c) > 0 and h >= max(o, c) and low <= min(o, c)
    if sound:
        check(frame, "x", "5m")
    else:
        with pytest.raises(DataError, match=rf"x row {row + 1} \("):
            check(frame, "x", "5m")
