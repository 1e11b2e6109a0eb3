"""Real candles, with the defects that real candles have."""

import time

import numpy as np
import pandas as pd
import pytest

from traderagent.market.candles import Market
from traderagent.market.load import load_market
from traderagent.market.quality import quality


@pytest.mark.parametrize("year", ["2022", "2024"])
def test_both_folders_load_as_the_manifest_says(real, manifest, year):
    rows = manifest[manifest["file"].str.startswith(year)].set_index("symbol")
    market = real[year]
    assert set(market) == set(rows.index)
    for symbol, data in market.items():
        row = rows.loc[symbol]
        assert len(data) == row["rows"]
        assert data.start == pd.Timestamp(row["start"])
        assert data.m5.index[-1] == pd.Timestamp(row["end"])
        assert data.m5["low"].min() == row["min_low"]
        assert data.m5["high"].max() == row["max_high"]
        assert str(data.m5.index.dtype) == "datetime64[ms, UTC]"
        assert (data.m5["volume"] == 0).sum() == row["zero_volume"]


def test_symbols_are_filtered_in_the_order_asked(shared):
    market = load_market("files", path=shared / "candles" / "2024", symbols=["ETH/USDT", "BTC"], progress=False)
    assert market.symbols == ["ETHUSDT", "BTCUSDT"]


def test_span_includes_start_and_excludes_end(shared):
    data = load_market(
        shared / "candles" / "2024", symbols="BTC", start="2024-03-01", end="2024-03-02", progress=False
    )["BTC"]
    assert len(data) == 288
    assert str(data.start) == "2024-03-01 00:00:00+00:00"


def test_workers_change_nothing_and_loading_is_quick(shared, real):
    begin = time.perf_counter()
    one = load_market(shared / "candles" / "2024", progress=False, workers=1)
    assert time.perf_counter() - begin < 10
    assert one.hash == real["2024"].hash


def test_every_real_candle_has_a_quality_row(real):
    table = quality(Market(dict(real["2024"])))
    assert len(table) == 27 * 5
    assert (table["gaps"] == 0).all()
    assert table.xs("5m", level="timeframe")["jumps"].between(1, 200).all()


DEFECTS = {
    "16 candles missing after 14 flat ones": ("BTC", lambda f: _flat_then_missing(f)),
    "a LINK low of 0.0001": ("LINK", lambda f: _low(f, 0.0001)),
    "a stable coin at 0.76": ("TRX", lambda f: _low(f, f["low"].iloc[5000] * 0.76)),
    "a PEPE low at 34 % of the open": ("PEPE", lambda f: _low(f, f["open"].iloc[5000] * 0.34)),
}


def _flat_then_missing(frame):
    frame.iloc[5000:5014, :4] = frame["close"].iloc[4999]
    frame.iloc[5000:5014, 4] = 0.0
    return frame.drop(frame.index[5014:5030])


def _low(frame, low):
    frame.iloc[5000, 2] = low
    return frame


@pytest.mark.parametrize("defect", DEFECTS)
@pytest.mark.parametrize("gaps", ["keep", "forward_fill"])
def test_real_defects_are_survived_and_reported(real, tmp_path, defect, gaps):
    symbol, spoil = DEFECTS[defect]
    frame = spoil(real["2024"][symbol].m5)
    frame.to_parquet(tmp_path / f"{symbol}USDT_5m.parquet")
    data = load_market(tmp_path, gaps=gaps, progress=False)[symbol]
    assert data.m5["low"].min() == frame["low"].min()
    row = quality(data).loc[(f"{symbol}USDT", "5m")]
    if "missing" in defect:
        assert (row.missing, row.longest_gap, row.longest_flat_run) == (16, 16, 14)
        assert row.filled == (16 if gaps == "forward_fill" else 0)
    else:
        assert row.largest_jump_at == frame.index[5000]
    assert np.isfinite(data.h1.to_numpy()).all()


def test_two_years_in_one_folder_are_refused_for_their_gap(shared):
    with pytest.raises(ValueError, match=r"AAVEUSDT .*candles are missing.*max_gap_share"):
        load_market(shared / "candles", symbols=["AAVE"], progress=False)
