"""Candles in memory: read-only, cut at the right candle, the same hash for the same content."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

from tests.market.conftest import make_candles
from traderagent.base.errors import ConfigError, DataError, UnknownName
from traderagent.market.candles import Market, MultiTimeframeData, symbol_name
from traderagent.market.frames import resample
from traderagent.market.instruments import Instrument


@pytest.fixture
def data(candles):
    return MultiTimeframeData.from_base("BTC/USDT", candles, "5m", instrument=Instrument(tick=0.01, origin="file"))


@pytest.mark.parametrize(
    "text", ["BTC/USDT", "BTC-USDT", "BTC", "BTCUSDT", "btc_usdt", "BTC/USDT:USDT", "BTC_USDT_USDT", " BTCUSDT "]
)
def test_every_spelling_is_one_symbol(text):
    assert symbol_name(text) == "BTCUSDT"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("SYN-01", "SYN-01"),
        ("syn-12", "SYN-12"),
        ("ETHBTC", "ETHBTC"),
        ("WBTC", "WBTCUSDT"),
        ("STETH", "STETHUSDT"),
        ("1INCH", "1INCHUSDT"),
        ("TUSDT", "TUSDT"),
        ("LUSD", "LUSDUSDT"),
        ("USDC", "USDCUSDT"),
        ("ETH/BTC", "ETHBTC"),
        ("BTCUSD", "BTCUSD"),
    ],
)
def test_symbols_with_a_catch(text, name):
    assert symbol_name(text) == name


@pytest.mark.parametrize("text", ["", "???", "/USDT", "BTC USDT 5m x", "BTC/US/DT", 3, None, True])
def test_no_symbol(text):
    with pytest.raises(ConfigError, match="as a symbol; allowed are forms like BTC"):
        symbol_name(text)


def test_frames_are_built_from_the_base(data, candles):
    pd.testing.assert_frame_equal(data.m5, candles)
    pd.testing.assert_frame_equal(data.candles, candles)
    for name, timeframe in {"m15": "15m", "h1": "1h", "h4": "4h", "d1": "1d"}.items():
        pd.testing.assert_frame_equal(getattr(data, name), resample(candles, timeframe))
    pd.testing.assert_frame_equal(data.frame("2h"), resample(candles, "2h"))
    assert data.duration == 300_000
    assert data.end - data.start == pd.Timedelta(minutes=5 * 600)


def test_a_coarse_base_has_no_finer_frames():
    hourly = make_candles(50, duration=3_600_000)
    data = MultiTimeframeData.from_base("BTC", hourly, "1h")
    assert data.m15 is None
    assert data.h1.equals(hourly)
    with pytest.raises(ConfigError, match="got timeframe 5m, allowed are 1h and longer"):
        data.frame("5m")


def test_nothing_handed_out_changes_what_is_inside(data):
    before = data.hash
    m5, h1 = data.m5, data.h1
    m5.loc[data.start, "close"] = 1.0
    h1["close"] = 0.0
    assert m5["close"].iloc[0] == 1.0
    assert data.m5["close"].iloc[0] != 1.0
    assert data.replace().hash == before
    with pytest.raises(AttributeError, match="read-only; use replace"):
        data.symbol = "ETHUSDT"


def test_hash_is_that_of_the_content(data, candles):
    assert data.hash == MultiTimeframeData.from_base("BTCUSDT", candles, "5m", instrument=data.instrument).hash
    assert data.hash == pickle.loads(pickle.dumps(data)).hash == copy.deepcopy(data).hash
    changed = candles.copy()
    changed.iloc[100, 3] = np.nextafter(changed.iloc[100, 3], 0)
    others = [
        MultiTimeframeData.from_base("BTCUSDT", changed, "5m", instrument=data.instrument),
        data.replace(symbol="ETHUSDT"),
        data.replace(instrument=Instrument()),
        data.slice(None, data.end - pd.Timedelta("5min")),
        data.replace(detail=candles, detail_timeframe="1m"),
        data.replace(synthetic=True),
        data.replace(h1=data.h1.iloc[1:]),
    ]
    assert len({data.hash, *(o.hash for o in others)}) == 1 + len(others)


def test_slice_includes_start_and_excludes_end(data):
    part = data.slice("2024-01-01 01:00", "2024-01-01 02:00")
    assert len(part) == 12
    assert str(part.start) == "2024-01-01 01:00:00+00:00"
    assert str(part.end) == "2024-01-01 02:00:00+00:00"
    assert len(part.h1) == 1
    with pytest.raises(DataError, match="BTCUSDT: no candles from 2030-01-01.*there are candles from 2024-01-01"):
        data.slice("2030-01-01", "2031-01-01")
    for start, end, said in (
        ("2030-01-01", "2030-02-01", "from 2030-01-01 to 2030-02-01"),
        ("2030-01-01", None, "from 2030-01-01 on"),
        (None, "2020-01-01 12:00", "before 2020-01-01 12:00"),
    ):
        with pytest.raises(DataError, match=f"BTCUSDT: no candles {said}; there are candles from 2024-01-01 to "):
            data.slice(start, end)
    with pytest.raises(ConfigError, match="start 2024-02-01 is not before end 2024-01-01"):
        data.slice("2024-02-01", "2024-01-01")


def test_slice_takes_detail_along(candles):
    minutes = make_candles(3000, duration=60_000)
    data = MultiTimeframeData.from_base("BTC", resample(minutes, "5m"), detail=minutes, detail_timeframe="1m")
    part = data.slice("2024-01-01 01:00", "2024-01-01 02:00")
    assert len(part.detail) == 60
    assert resample(part.detail, "5m").equals(part.m5)


@pytest.mark.parametrize("holdout", [0.1, 0.3, 1 / 3, 0.5])
def test_split_shares_no_candle_and_loses_none(data, holdout):
    before, after = data.split(holdout)
    assert pd.concat([before.m5, after.m5]).equals(data.m5)
    assert before.end <= after.start == data.cut(holdout)
    assert len(after) == round(len(data) * holdout)
    assert (before.sample, after.sample) == ("in", "out")


def test_cut_is_a_time_and_not_a_row(candles):
    """A gap early in the span moves no candle over the cut."""
    gappy = MultiTimeframeData.from_base("BTC", candles.drop(candles.index[10:200]))
    assert gappy.cut(0.3) == MultiTimeframeData.from_base("BTC", candles).cut(0.3)


@pytest.mark.parametrize("holdout", [0, 1, -0.1, 1.5, 0.00001])
def test_impossible_holdouts(data, holdout):
    with pytest.raises(ConfigError, match="holdout"):
        data.cut(holdout)


def test_market_knows_every_spelling(data):
    market = Market({"BTC": data}, skipped={"notes.csv": "no symbol in its name"}, source="a test")
    assert market["BTC-USDT"] is market["BTCUSDT"] is data
    with pytest.raises(UnknownName, match="unknown symbol 'BTD'.*did you mean 'BTCUSDT'"):
        market["BTD"]
    assert "skipped notes.csv" in repr(market)
    assert "<table" in market._repr_html_()
    assert "SYNTHETIC" not in market._repr_html_()
    synthetic = Market({"BTC": data.replace(synthetic=True)})
    assert "SYNTHETIC" in synthetic._repr_html_()
    assert "gradient" in synthetic._repr_html_()
    assert "SYNTHETIC" in repr(synthetic)


def test_a_market_is_said_once_and_in_one_way(data):
    market = Market(
        {"BTC": data.replace(synthetic=True)}, source="SYNTHETIC market, 1 symbol, 5m, 2024-01-01 for 1 day, seed 7"
    )
    html = market._repr_html_()
    assert html.count("SYNTHETIC") == 1
    assert "<b>SYNTHETIC market of 1 symbol</b>: 5m, 2024-01-01 for 1 day, seed 7" in html
    assert repr(market).startswith("SYNTHETIC market of 1 symbol: 5m, 2024-01-01")
    assert "00:00:00" not in html
    assert html.count("<th>symbol</th>") == 1
    assert "<th></th>" not in html
    assert "detail" not in html
    assert "**1 symbol** from " in market.in_words()
    assert "**synthetic**" in market.in_words()


def test_market_hash_does_not_depend_on_the_order(data):
    other = data.replace(symbol="ETHUSDT")
    assert Market({"BTC": data, "ETH": other}).hash == Market({"ETH": other, "BTC": data}).hash
    assert Market({"BTC": data}).hash != Market({"ETH": other}).hash


def test_market_slice_reports_who_has_nothing_there(data):
    late = MultiTimeframeData.from_base("ETH", make_candles(100, start=1_735_689_600_000))
    part = Market({"BTC": data, "ETH": late}).slice("2024-01-01", "2024-02-01")
    assert part.symbols == ["BTCUSDT"]
    assert part.skipped["ETHUSDT"].startswith("no candles ")
    assert "there are candles from 2025-01-01" in part.skipped["ETHUSDT"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.rename(columns={"close": "clsoe"}), "allowed are candles with columns"),
        (lambda f: f.assign(vwap=1.0), "unknown column 'vwap'"),
        (lambda f: f.set_axis(f.index.tz_localize(None)), "open times in UTC"),
        (lambda f: f.set_axis(f.index.tz_convert("Europe/Berlin")), "open times in UTC"),
        (lambda f: f.iloc[::-1], "unique and rising"),
        (lambda f: f.iloc[[0, 0, 1]], "unique and rising"),
        (lambda f: f.to_numpy(), "got ndarray, allowed are candles with columns"),
        (lambda f: f.reset_index(drop=True), "open times in UTC"),
        (lambda f: f.astype({"close": "float32"}), "float64"),
        (lambda f: f.iloc[:0], "got no candles"),
    ],
)
def test_frames_of_another_shape_are_refused(candles, change, message):
    with pytest.raises(DataError, match=message):
        MultiTimeframeData("BTC", change(candles))


def test_detail_needs_its_timeframe(data, candles):
    for half in ({"detail": candles}, {"detail_timeframe": "1m"}):
        with pytest.raises(ConfigError, match="BTCUSDT: detail and detail_timeframe go together"):
            data.replace(**half)


def test_a_span_in_which_no_symbol_has_candles(data):
    with pytest.raises(DataError, match="no symbol has candles there: BTCUSDT: no candles from 2030-01-01"):
        Market({"BTC": data}).slice("2030-01-01", "2031-01-01")
    assert len(Market().slice("2030-01-01", "2031-01-01")) == 0


def test_unknown_argument_of_replace(data):
    with pytest.raises(UnknownName, match="did you mean 'caption'"):
        data.replace(captoin="x")
