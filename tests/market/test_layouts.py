"""Every layout that a trader may bring gives the same candles."""

import gzip
import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from tests.market.conftest import START, make_candles
from traderagent.base.errors import DataError
from traderagent.market.frames import milliseconds, resample
from traderagent.market.load import load_market
from traderagent.market.names import read_name, timeframe_of

CANDLES = make_candles(300)
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)


def rows(frame, factor=1):
    return [[int(t) * factor, *map(float, v)] for t, v in zip(milliseconds(frame.index), frame.to_numpy(), strict=True)]


def klines(frame, factor=1, header=False):
    lines = [
        f"{t},{o},{h},{lo},{c},{v},{t + 300_000 * factor - 1},1.5,10,0.5,0.7,0"
        for t, o, h, lo, c, v in rows(frame, factor)
    ]
    return "\n".join(([HEADER] if header else []) + lines) + "\n"


def plain_csv(frame, head, time):
    return head + "\n" + "\n".join(",".join(map(str, [time(t), *v])) for t, *v in rows(frame)) + "\n"


def text_time(ms):
    return str(pd.Timestamp(ms, unit="ms"))


def zipped(path, text, inside="x.csv"):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(inside, text)


def bybit(frame):
    listed = [[str(x) for x in [int(t), *v, 1.5]] for t, *v in rows(frame)][::-1]
    return {"retCode": 0, "retMsg": "OK", "result": {"category": "spot", "symbol": "BTCUSDT", "list": listed}}


WRITERS = {
    "parquet, time as index": ("BTCUSDT_5m.parquet", lambda p: CANDLES.to_parquet(p)),
    "parquet, unnamed index": ("BTC-USDT_5m.parquet", lambda p: CANDLES.rename_axis(None).to_parquet(p)),
    **{
        f"parquet, column {name}": (
            "BTCUSDT_5m.parquet",
            lambda p, name=name: CANDLES.reset_index(names=name).to_parquet(p),
        )
        for name in ("open_time", "timestamp", "date")
    },
    "parquet, time in ms": (
        "BTCUSDT_5m.parquet",
        lambda p: CANDLES.reset_index().assign(open_time=milliseconds(CANDLES.index)).to_parquet(p),
    ),
    "parquet, naive ns": (
        "BTC_5m.parquet",
        lambda p: (
            CANDLES.set_axis(CANDLES.index.tz_localize(None).as_unit("ns")).reset_index(names="date").to_parquet(p)
        ),
    ),
    "parquet, another zone": (
        "BTC_5m.parquet",
        lambda p: CANDLES.set_axis(CANDLES.index.tz_convert("Asia/Tokyo")).reset_index(names="date").to_parquet(p),
    ),
    "freqtrade feather": ("BTC_USDT-5m.feather", lambda p: CANDLES.reset_index(names="date").to_feather(p)),
    "freqtrade futures": (
        "BTC_USDT_USDT-5m-futures.feather",
        lambda p: CANDLES.reset_index(names="date").to_feather(p),
    ),
    "freqtrade json": ("BTC_USDT-5m.json", lambda p: p.write_text(json.dumps(rows(CANDLES)))),
    "freqtrade json.gz": (
        "BTC_USDT-5m.json.gz",
        lambda p: p.write_bytes(gzip.compress(json.dumps(rows(CANDLES)).encode())),
    ),
    "binance zip": ("BTCUSDT-5m-2024-01.zip", lambda p: zipped(p, klines(CANDLES))),
    "binance zip, header": ("BTCUSDT-5m-2024-01.zip", lambda p: zipped(p, klines(CANDLES, header=True))),
    "binance zip, microseconds": ("BTCUSDT-5m-2025-01.zip", lambda p: zipped(p, klines(CANDLES, 1000))),
    "binance csv": ("BTCUSDT-5m-2024-01-01.csv", lambda p: p.write_text(klines(CANDLES))),
    "csv.gz": ("BTCUSDT_5m.csv.gz", lambda p: p.write_bytes(gzip.compress(klines(CANDLES, header=True).encode()))),
    "PAIR_TF with Open time": (
        "BTCUSDT_5m.csv",
        lambda p: p.write_text(plain_csv(CANDLES, "Open time,Open,High,Low,Close,Volume", text_time)),
    ),
    "PAIR_TF in capitals": (
        "BTC-USDT_M5.csv",
        lambda p: p.write_text(plain_csv(CANDLES, "Open time,Open,High,Low,Close,Volume", text_time)),
    ),
    "timestamp(ms),datetime": (
        "BTCUSDT_5m.csv",
        lambda p: p.write_text(
            "timestamp(ms),datetime,open,high,low,close,volume\n"
            + "\n".join(f"{t},{text_time(t)},{','.join(map(str, v))}" for t, *v in rows(CANDLES))
        ),
    ),
    "seconds": (
        "BTCUSDT_5m.csv",
        lambda p: p.write_text(plain_csv(CANDLES, "timestamp,open,high,low,close,volume", lambda t: t // 1000)),
    ),
    "semicolons and Windows": (
        "BTCUSDT_5m.csv",
        lambda p: p.write_bytes(
            b"\xef\xbb\xbf"
            + plain_csv(CANDLES, "timestamp,open,high,low,close,volume", str)
            .replace(",", ";")
            .replace("\n", "\r\n")
            .encode()
        ),
    ),
    "bybit answer": ("anything.json", lambda p: p.write_text(json.dumps(bybit(CANDLES)))),
    "bybit answers in pages": (
        "BTCUSDT_5.json",
        lambda p: p.write_text(json.dumps([bybit(CANDLES[200:]), bybit(CANDLES[:200])])),
    ),
    "bybit list": ("BTCUSDT_5m.json", lambda p: p.write_text(json.dumps(bybit(CANDLES)["result"]["list"]))),
    "bybit csv, no header": (
        "bybit_BTCUSDT_5m.csv",
        lambda p: p.write_text("\n".join(",".join(r) for r in bybit(CANDLES)["result"]["list"])),
    ),
    "no timeframe in the name": ("BTCUSDT.parquet", lambda p: CANDLES.to_parquet(p)),
}


@pytest.mark.parametrize("layout", WRITERS)
def test_layout_gives_the_same_candles(tmp_path, layout, capsys):
    name, write = WRITERS[layout]
    write(tmp_path / name)
    for place in (tmp_path, tmp_path / name):
        market = load_market(place, progress=False)
        assert market.symbols == ["BTCUSDT"]
        data = market["BTCUSDT"]
        assert data.base == "5m"
        assert str(data.m5.index.dtype) == "datetime64[ms, UTC]"
        pd.testing.assert_frame_equal(data.m5, CANDLES, check_freq=False)
    printed = capsys.readouterr().out
    assert "1 symbol, 5m, 2024-01-01 to 2024-01-02, no instruments.yaml: no rounding" in printed


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ("freqtrade feather", "freqtrade feather, 1 symbol"),
        ("binance zip", "Binance klines zip, 1"),
        ("binance zip, header", "Binance klines zip with header"),
        ("binance zip, microseconds", "Binance klines zip in µs"),
        ("bybit answer", "Bybit REST JSON, newest first"),
        ("seconds", "CSV in s"),
    ],
)
def test_what_was_recognised_is_printed(tmp_path, layout, words, capsys):
    name, write = WRITERS[layout]
    write(tmp_path / name)
    market = load_market(tmp_path, progress=False)
    assert words in capsys.readouterr().out
    assert words in market.source


def test_months_with_and_without_microseconds_are_one_series(tmp_path):
    zipped(tmp_path / "BTCUSDT-5m-2024-12.zip", klines(CANDLES[:100]))
    zipped(tmp_path / "BTCUSDT-5m-2025-01.zip", klines(CANDLES[100:200], 1000, header=True))
    folder = tmp_path / "daily" / "BTCUSDT"
    folder.mkdir(parents=True)
    zipped(folder / "BTCUSDT-5m-2025-01-02.zip", klines(CANDLES[190:], 1000))
    data = load_market(tmp_path, progress=False)["BTC"]
    pd.testing.assert_frame_equal(data.m5, CANDLES, check_freq=False)
    assert "10 candles were in two files, alike in both" in data.notes


def test_files_that_contradict_each_other_are_refused(tmp_path):
    CANDLES.to_parquet(tmp_path / "BTCUSDT_5m.parquet")
    other = CANDLES.copy()
    other.iloc[7, 4] += 1
    other.reset_index(names="date").to_feather(tmp_path / "BTC_USDT_USDT-5m-futures.feather")
    with pytest.raises(DataError, match=r"(?s)BTCUSDT_5m.parquet.*different candles for 2024-01-01 00:35 UTC"):
        load_market(tmp_path, progress=False)


def test_minutes_become_base_candles_and_stay_as_detail(tmp_path, capsys):
    minutes = make_candles(1003, duration=60_000)
    minutes.reset_index(names="date").to_feather(tmp_path / "BTC_USDT-1m.feather")
    data = load_market(tmp_path, progress=False)["BTC"]
    assert "5m + 1m (used as detail)" in capsys.readouterr().out
    expected = resample(minutes, "5m").iloc[:-1]
    pd.testing.assert_frame_equal(data.m5, expected, check_freq=False)
    assert len(data.m5) == 200, "the last three minutes do not fill a candle: it is still open"
    assert data.detail.equals(minutes)
    assert data.detail_timeframe == "1m"
    assert load_market(tmp_path, detail=False, progress=False)["BTC"].detail is None
    assert load_market(tmp_path, timeframe="1m", progress=False)["BTC"].m5.equals(minutes)
    assert load_market(tmp_path, timeframe="15m", progress=False)["BTC"].base == "15m"


def test_five_minutes_win_over_resampled_ones_and_longer_files_are_not_used(tmp_path):
    minutes = make_candles(1500, duration=60_000)
    CANDLES.to_parquet(tmp_path / "BTCUSDT_5m.parquet")
    minutes.to_parquet(tmp_path / "BTCUSDT_1m.parquet")
    make_candles(24, duration=3_600_000).to_parquet(tmp_path / "BTCUSDT_1h.parquet")
    data = load_market(tmp_path, progress=False)["BTC"]
    assert data.m5.equals(CANDLES)
    assert data.detail.equals(minutes)
    assert "1h not used: frames are built from 5m" in data.notes


def test_only_hours_are_a_base_of_hours(tmp_path):
    make_candles(100, duration=3_600_000).to_parquet(tmp_path / "BTCUSDT_1h.parquet")
    assert load_market(tmp_path, progress=False)["BTC"].base == "1h"
    with pytest.raises(DataError, match="got timeframe='5m', but there are only candles of 1h"):
        load_market(tmp_path, timeframe="5m", progress=False)


def test_no_digit_is_lost_in_text(tmp_path):
    frame = make_candles(200, price=1.2e-5, decimals=9)
    frame.iloc[5, :4] = 0.1 + 0.2
    (tmp_path / "PEPEUSDT_5m.csv").write_text(plain_csv(frame, "date,open,high,low,close,volume", text_time))
    assert np.array_equal(load_market(tmp_path, progress=False)["PEPE"].m5.to_numpy(), frame.to_numpy())


def test_what_is_no_candle_file_is_named(tmp_path, capsys):
    CANDLES.to_parquet(tmp_path / "BTCUSDT_5m.parquet")
    (tmp_path / "manifest.csv").write_text("a,b\n1,2\n")
    (tmp_path / "notes.txt").write_text("x")
    for name in ("BTC_USDT_USDT-8h-funding_rate.feather", "BTC_USDT_USDT-1h-mark.feather"):
        (tmp_path / name).write_bytes(b"x")
    market = load_market(tmp_path, progress=False)
    assert set(market.skipped) == {
        "manifest.csv",
        "BTC_USDT_USDT-8h-funding_rate.feather",
        "BTC_USDT_USDT-1h-mark.feather",
    }
    assert "skipped manifest.csv: no symbol and timeframe in its name" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "timeframe"),
    [
        ("5m", "5m"),
        ("5M", "5m"),
        ("5min", "5m"),
        ("M5", "5m"),
        ("1H", "1h"),
        ("H4", "4h"),
        ("60", "1h"),
        ("1d", "1d"),
        ("D1", "1d"),
        ("1M", None),
        ("3w", None),
        ("7m", None),
        ("01", None),
        ("abc", None),
        ("30s", "30s"),
    ],
)
def test_timeframe_of_a_token(text, timeframe):
    assert timeframe_of(text) == timeframe


@pytest.mark.parametrize(
    ("stem", "symbol", "timeframe"),
    [
        ("SYN-01_5m", "SYN-01", "5m"),
        ("SYN-15", "SYN-15", None),
        ("1INCHUSDT_5m", "1INCHUSDT", "5m"),
        ("1INCH_USDT-5m", "1INCHUSDT", "5m"),
        ("BTCUSDT-1m-2024-01", "BTCUSDT", "1m"),
        ("Binance_BTCUSDT_1h", "BTCUSDT", "1h"),
        ("BTC_USDT", "BTCUSDT", None),
        ("results", None, None),
        ("1000SATS_USDT-1d", "1000SATSUSDT", "1d"),
    ],
)
def test_name_of_a_file(stem, symbol, timeframe):
    named = read_name(stem)
    assert (named.symbol, named.timeframe) == (symbol, timeframe)


def test_start_of_the_test_candles_is_what_the_names_say():
    assert str(pd.Timestamp(START, unit="ms")) == "2024-01-01 00:00:00"
