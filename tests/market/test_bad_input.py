"""Bad input of every kind: a typed error that names file, row or key, what was got, what is allowed and what next."""

import gzip
import json
import zipfile

import numpy as np
import pytest

import traderagent as ta
from tests.market.conftest import make_candles
from traderagent.base.errors import ConfigError, DataError, TraderAgentError, UnknownName
from traderagent.market.load import load_market

CANDLES = make_candles(200)


def folder(tmp_path, frame=CANDLES, name="BTCUSDT_5m.parquet"):
    (frame.to_csv if name.endswith(".csv") else frame.to_parquet)(tmp_path / name)
    return tmp_path


def change(row, column, value):
    frame = CANDLES.copy()
    frame.iloc[row, frame.columns.get_loc(column)] = value
    return frame


def moved(row, minutes):
    index = CANDLES.index.to_numpy().copy()
    index[row] = index[row] + np.timedelta64(minutes, "m")
    return CANDLES.set_axis(CANDLES.index[:0].append(type(CANDLES.index)(index, tz="UTC", name="open_time")))


BYBIT_OF_TWO = json.dumps(
    [
        {"retCode": 0, "result": {"symbol": s, "list": [[1704067200000, 1, 2, 1, 1, 1, 1]]}}
        for s in ("BTCUSDT", "ETHUSDT")
    ]
).encode()
VALUES = {
    "NaN": (
        change(9, "low", np.nan),
        r"row 10 \(2024-01-01 00:45:00 UTC\): low is nan, not a finite number; allowed is finite",
    ),
    "infinite": (change(9, "volume", np.inf), r"row 10 .*volume is inf, not a finite number"),
    "zero price": (change(3, "low", 0.0), r"row 4 .*low is 0, not above 0; allowed is prices above 0"),
    "negative price": (change(3, "close", -1.0), r"row 4 .*close is -1, not above 0"),
    "high below low": (change(5, "high", 1.0), r"row 6 .*high 1 is below \w+ .*allowed is high >= max"),
    "low above close": (change(5, "low", 999.0), r"row 6 .*low 999 is above \w+ .*allowed is low <= min"),
    "negative volume": (change(0, "volume", -2.5), r"row 1 .*volume is -2.5, below 0; allowed is volume of at least 0"),
    "unsorted": (CANDLES.iloc[[0, 1, 3, 2, *range(4, 200)]], r"row 4 .*earlier than the row before.*sort the file"),
    "doubled": (
        CANDLES.iloc[[0, 1, 1, *range(2, 200)]],
        r"row 3 .*the same open time as the row before.*remove the dup",
    ),
    "one time only": (CANDLES.iloc[[0, 0]], r"row 2 .*the same open time as the row before"),
    "off the grid": (moved(7, 2), r"row 8 .*not on the 5m grid; allowed are open times that are multiples"),
    "hours named 5m": (
        make_candles(100, duration=3_600_000),
        r"taken as 5m, but its candles are 1h apart; rename the file",
    ),
    "minutes named 5m": (
        make_candles(100, duration=60_000),
        r"taken as 5m, but its candles are 1m apart; rename the file",
    ),
    "empty": (CANDLES.iloc[:0], r"holds no candles"),
    "misspelt column": (
        CANDLES.rename(columns={"close": "clsoe"}),
        r"unknown column 'clsoe'.*did you mean 'close'.*rename",
    ),
    "strange column": (CANDLES.assign(signal=1), r"unknown column 'signal'"),
    "lacking column": (CANDLES.drop(columns="volume"), r"no column for volume; got open_time, open.*needed are a time"),
    "doubled column": (CANDLES.assign(vol=1.0), r"columns 'volume' and 'vol' both mean volume; remove one"),
}


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_bad_candles_are_refused_by_file_row_and_rule(tmp_path, kind, suffix):
    frame, message = VALUES[kind]
    name = f"BTCUSDT_5m.{suffix}"
    with pytest.raises(DataError, match=f"(?s)^{name}.*{message}"):
        load_market(folder(tmp_path, frame, name), progress=False)


@pytest.mark.parametrize(
    ("row", "column", "text", "message"),
    [
        (4, 4, "n/a?", r"row 4: close is 'n/a\?', allowed is a number; fix the file"),
        (4, 1, "1,000", r"not readable as csv"),
        (4, 0, "yesterday", r"row 4: time is 'yesterday', allowed"),
        (4, 0, "", r"row 4: time is nan, allowed"),
        (2, 5, "1e400", r"row 2 .*volume is inf"),
    ],
)
def test_text_where_a_number_belongs(tmp_path, row, column, text, message):
    path = tmp_path / "BTCUSDT_5m.csv"
    CANDLES.to_csv(path)
    lines = path.read_text().split("\n")
    fields = lines[row].split(",")
    fields[column] = text
    lines[row] = ",".join(fields)
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=f"(?s)BTCUSDT_5m.csv.*{message}"):
        load_market(tmp_path, progress=False)


@pytest.mark.parametrize(
    ("time", "message"),
    [
        ("-5", r"row 4: time is -5.*allowed are s, ms or µs since 1970 as in row 1"),
        ("", r"row 4: time is nan, allowed are s, ms or µs"),
        ("inf", r"row 4: time is inf, allowed are s, ms or µs"),
        ("1704067200000.5", r"row 4: time 1704067200000.5 lies between milliseconds"),
    ],
)
def test_numbers_that_are_no_times(tmp_path, time, message):
    times = [str(t) for t in CANDLES.index.as_unit("ms").asi8]
    times[3] = time
    CANDLES.reset_index(drop=True).assign(open_time=times).to_csv(tmp_path / "BTCUSDT_5m.csv", index=False)
    with pytest.raises(DataError, match=f"BTCUSDT_5m.csv {message}"):
        load_market(tmp_path, progress=False)


def test_times_between_milliseconds(tmp_path):
    index = CANDLES.index.as_unit("ns")
    between = index[:3].append((index[3:4] + np.timedelta64(7, "us")).append(index[4:])).rename("open_time")
    CANDLES.set_axis(between).to_parquet(tmp_path / "BTCUSDT_5m.parquet")
    with pytest.raises(DataError, match="row 4: time 2024-01-01 00:15:00.000007.* lies between milliseconds"):
        load_market(tmp_path, progress=False)


def test_row_of_a_file_with_the_newest_first_is_that_of_the_file(tmp_path):
    frame = change(9, "high", 1.0).iloc[::-1]
    with pytest.raises(DataError, match=r"row 191 \(2024-01-01 00:45:00 UTC\): high 1 is below"):
        load_market(folder(tmp_path, frame, "BTCUSDT_5m.csv"), progress=False)


def test_units_that_change_inside_a_file(tmp_path):
    times = CANDLES.index.as_unit("ms").asi8.copy()
    times[50:] *= 1000
    CANDLES.reset_index(drop=True).assign(open_time=times).to_csv(tmp_path / "BTCUSDT_5m.csv", index=False)
    with pytest.raises(
        DataError, match=r"row 51: time 1704082200000000 is in µs, the first row in ms; allowed is one unit"
    ):
        load_market(tmp_path, progress=False)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("BTCUSDT_5m.parquet", b"", "the file is empty"),
        ("BTCUSDT_5m.csv", b"", "the file is empty"),
        ("BTCUSDT_5m.csv", b"\n\n", "the first line is empty"),
        ("BTCUSDT_5m.csv", b"open_time,open,high,low,close,volume\n", "holds no candles"),
        ("BTCUSDT_5m.csv", b"1,2,3,4\n", "got 4 columns without a header, allowed are 12"),
        ("BTCUSDT_5m.csv", b"1,2,3,4,5,6\n1,2,3,4,5,6,7\n", "not readable as csv"),
        ("BTCUSDT_5m.csv", b"\xff\xfe\x00\x00", "not readable as csv"),
        ("BTCUSDT_5m.csv", b'1704067200000,"1,5",2,1,1,1\n', "got 6 fields in a row, the first row has 7"),
        ("BTCUSDT_5m.csv.gz", b"no gzip", "not readable as csv.gz"),
        ("BTCUSDT_5m.feather", b"no arrow at all", "not readable as feather"),
        ("BTCUSDT_5m.json", b"[[1,2", "not readable as json"),
        ("BTCUSDT_5m.json", b"[]", "holds no candles"),
        ("BTCUSDT_5m.json", b"42", "got the JSON 42, allowed is a list of candles"),
        ("BTCUSDT_5m.json", b"[[1,2,3,4,5,6],[1,2]]", r"row 2: got \[1, 2\], allowed are lists"),
        (
            "BTCUSDT_5m.json",
            b'{"retCode": 10001, "retMsg": "params error", "result": {}}',
            "without candles .retCode 10001, 'params",
        ),
        ("BTCUSDT_5m.json", b'[[1,2,3,4,5,6],"123456"]', "row 2: got 123456, allowed are lists"),
        ("BTCUSDT_5m.json", b'{"retCode": 0, "result": [1]}', "without candles .retCode 0"),
        ("BTCUSDT_5m.json", b'{"retCode": 0, "result": {"list": "none"}}', "without candles .retCode 0"),
        ("BTCUSDT_5m.json", b'{"retCode": 7, "result": {"list": [[1,2,3,4,5,6,7]]}}', "without candles .retCode 7"),
        ("BTCUSDT_5m.json", BYBIT_OF_TWO, "answers for 2 symbols, allowed is one a file; split it"),
        ("BTCUSDT-5m-2024-01.zip", b"PK but cut", "not readable as zip"),
        ("BTCUSDT_5m.json.gz", gzip.compress(b"[[1,2,3,4,5,6]]", mtime=0)[:-9], "not readable as json.gz"),
        ("BTCUSDT.csv", b"1704067200000,1,2,1,1,1\n", "no timeframe in its name, and a single candle tell none"),
        (
            "BTCUSDT.csv",
            b"1704067200000,1,2,1,1,1\n1704067620000,1,2,1,1,1\n",
            "no timeframe in its name, and candles 420 s apart tell none; allowed are 1s",
        ),
    ],
)
def test_damaged_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"(?s)^{name}.*{message}"):
        load_market(tmp_path, progress=False)


def test_a_file_that_names_no_symbol_at_all(tmp_path):
    path = tmp_path / "candles.json"
    path.write_bytes(b"[[1704067200000,1,2,1,1,1]]")
    with pytest.raises(DataError, match=r"candles.json: .*, nor in its content; name it like BTCUSDT_5m.json"):
        load_market(path, progress=False)


def test_minutes_that_fill_no_candle(tmp_path):
    make_candles(3, duration=60_000).to_parquet(tmp_path / "BTCUSDT_1m.parquet")
    with pytest.raises(DataError, match="3 candles of 1m do not fill one of 5m; add candles or set timeframe"):
        load_market(tmp_path, progress=False)
    assert len(load_market(tmp_path, timeframe="1m", progress=False)["BTC"]) == 3


@pytest.mark.parametrize("keep", [8, 0.3, 0.5, 0.99])
def test_a_truncated_parquet_file(tmp_path, keep):
    path = folder(tmp_path) / "BTCUSDT_5m.parquet"
    data = path.read_bytes()
    path.write_bytes(data[: keep if keep > 1 else int(keep * len(data))])
    with pytest.raises(DataError, match="BTCUSDT_5m.parquet: not readable as parquet.*cut short: fetch it again"):
        load_market(tmp_path, progress=False)


def test_a_zip_without_candles(tmp_path):
    with zipfile.ZipFile(tmp_path / "BTCUSDT-5m-2024-01.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(DataError, match="holds no .csv"):
        load_market(tmp_path, progress=False)


def test_content_and_name_must_agree(tmp_path):
    CANDLES.assign(symbol="ETHUSDT").to_csv(tmp_path / "BTCUSDT_5m.csv")
    with pytest.raises(DataError, match="its content says ETHUSDT, its name BTCUSDT; rename the file"):
        load_market(tmp_path, progress=False)
    CANDLES.assign(symbol=["ETHUSDT", "BTCUSDT"] * 100).to_csv(tmp_path / "BTCUSDT_5m.csv")
    with pytest.raises(DataError, match="column 'symbol' holds 2 symbols, allowed is one a file"):
        load_market(tmp_path, progress=False)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ({"symbols": ["BTCUSD", "ETHUSDT"]}, UnknownName, "unknown symbol 'BTCUSD' in .*did you mean 'BTCUSDT'"),
        ({"symbols": []}, ConfigError, "symbols: got an empty list"),
        ({"symbols": 3}, ConfigError, "symbols: got the number 3, allowed are names"),
        ({"symbols": 2.5}, ConfigError, "symbols: got 2.5, allowed are names"),
        ({"symbols": ["?"]}, ConfigError, r"got '\?' as a symbol"),
        ({"strat": "2024"}, UnknownName, "unknown parameter 'strat'.*did you mean 'start'"),
        ({"seed": 7}, UnknownName, "unknown parameter 'seed' in load_market"),
        ({"start": "soon"}, ConfigError, "start: got 'soon', allowed is a time"),
        ({"end": 5}, ConfigError, "end: got 5, allowed is a time"),
        ({"start": "NaT"}, ConfigError, "start: got 'NaT', allowed is a time"),
        ({"start": "2024-02-01", "end": "2024-01-01"}, ConfigError, "start 2024-02-01 is not before end 2024-01-01"),
        ({"start": "2024-01-01", "end": "2024-01-01"}, ConfigError, "is not before end"),
        ({"start": "2030-01-01"}, DataError, "BTCUSDT: no candles there, it has 2024-01-01 00:00 to .*another span"),
        (
            {"start": "2030-01-01", "symbols": ["BTC"]},
            DataError,
            "BTCUSDT: no candles there.*choose another start or end",
        ),
        ({"gaps": "fill"}, UnknownName, "unknown gaps 'fill'.*allowed: error, forward_fill, keep"),
        ({"max_gap_share": 5}, ConfigError, "max_gap_share: got 5, allowed is a fraction"),
        ({"max_gap_share": -0.1}, ConfigError, "max_gap_share: got -0.1, allowed is a fraction"),
        ({"max_gap_share": True}, ConfigError, "max_gap_share: got True, allowed is a fraction"),
        ({"max_gap_share": "0.1"}, ConfigError, "max_gap_share: got '0.1', allowed is a fraction"),
        ({"timeframe": "5min"}, UnknownName, "unknown timeframe '5min'.*did you mean '5m'"),
        ({"timeframe": "1m"}, DataError, "got timeframe='1m', but there are only candles of 5m"),
        ({"repair": "all"}, UnknownName, "unknown repair 'all'"),
        ({"workers": 0}, ConfigError, "workers: got 0, allowed"),
        ({"workers": 1.5}, ConfigError, "workers: got 1.5, allowed is a whole number"),
        ({"workers": True}, ConfigError, "workers: got True, allowed"),
        ({"instruments": "nowhere.yaml"}, ConfigError, "nowhere.yaml: no such file"),
    ],
)
def test_arguments(tmp_path, call, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        load_market("files", path=folder(tmp_path), progress=False, **call)


def test_places_that_are_not_there(tmp_path):
    (tmp_path / "candles").mkdir()
    with pytest.raises(DataError, match="(?s)candels: no such folder or file.*did you mean 'candles'.*give the folder"):
        load_market(tmp_path / "candels")
    with pytest.raises(DataError, match=r"0_else: no such folder or file; give the folder that holds the candles$"):
        load_market(tmp_path / "0_else")
    with pytest.raises(DataError, match="no candle files; allowed are names like"):
        load_market(tmp_path / "candles")
    with pytest.raises(ConfigError, match=r"path is missing; give path="):
        load_market("files")
    with pytest.raises(UnknownName, match="unknown source 'file'.*did you mean 'files'"):
        load_market("file")
    (tmp_path / "candles.xlsx").write_text("x")
    with pytest.raises(DataError, match="candles.xlsx: got the suffix '.xlsx', allowed are .parquet"):
        load_market(tmp_path / "candles.xlsx")
    with pytest.raises(ConfigError, match="give one of them"):
        load_market(tmp_path / "candles", path=tmp_path)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"symbols": ["SYN-1O"]}, "unknown synthetic symbol 'SYN-1OUSDT'|SYN-1O"),
        ({"symbols": ["BTCUSDT"]}, "unknown synthetic symbol 'BTCUSDT'"),
        ({"symbols": ["SYN-0"]}, "unknown synthetic symbol 'SYN-0'"),
        ({"symbols": ["SYN-100"]}, "unknown synthetic symbol 'SYN-100'"),
        ({"symbols": 0}, "from 1 to 99"),
        ({"symbols": 100}, "from 1 to 99"),
        ({"days": 0}, "days: got 0"),
        ({"days": "a year"}, "days: got 'a year'"),
        ({"days": 40_000}, "days: got 40000"),
        ({"days": True}, "days: got True"),
        ({"seed": -1}, "seed: got -1"),
        ({"seed": 1.5}, "seed: got 1.5"),
        ({"seed": None}, "seed: got None"),
        ({"seed": True}, "seed: got True"),
        ({"mode": "real"}, "unknown mode 'real'"),
        ({"day": 3}, "unknown parameter 'day'.*did you mean 'days'"),
        ({"days": 3, "end": "2024-02-01"}, "give one of them"),
        ({"timeframe": "1h"}, "the synthetic market allows 1m, 5m"),
        ({"path": "x"}, "unknown parameter 'path'"),
        ({"end": "2023-01-01"}, "days: got|not before"),
        ({"edge_strength": -1}, "edge_strength: got -1"),
        ({"edge_strength": 11}, "edge_strength: got 11"),
        ({"edge_strength": "1"}, "edge_strength: got '1'"),
        ({"edge_strength": True}, "edge_strength: got True"),
    ],
)
def test_arguments_of_the_synthetic_market(call, message):
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        load_market("synthetic", progress=False, **call)


def test_one_except_clause_catches_them_all(tmp_path):
    assert issubclass(DataError, TraderAgentError)
    with pytest.raises(ValueError, match="no such folder"):
        load_market(tmp_path / "x" / "y")


def test_repair_drops_only_on_request_and_says_so(tmp_path):
    frame = change(9, "high", 1.0)
    frame.iloc[20, 0] = np.nan
    folder(tmp_path, frame)
    data = load_market(tmp_path, repair="drop", progress=False)["BTC"]
    assert len(data) == 198
    assert CANDLES.index[9] not in data.m5.index
    assert any("2 rows dropped that break finite, high, the first is row 10" in n for n in data.notes)


def test_repair_that_leaves_nothing_is_an_error(tmp_path):
    folder(tmp_path, CANDLES.assign(low=999.0))
    with pytest.raises(DataError, match="BTCUSDT_5m.parquet: no row is left after repair='drop'"):
        load_market(tmp_path, repair="drop", progress=False)


def test_json_rows_hold_numbers(tmp_path):
    (tmp_path / "BTC_USDT-5m.json").write_text(json.dumps([[1704067200000, 1, 2, 1, "x", 1]]))
    with pytest.raises(DataError, match="BTC_USDT-5m.json row 1: close is 'x', allowed is a number"):
        load_market(tmp_path, progress=False)


@pytest.mark.parametrize("call", [ta.quality, ta.true_range_pct, ta.infer_instruments, ta.save_market])
@pytest.mark.parametrize("given", [None, "BTCUSDT", 5, CANDLES, {}, [], {"BTCUSDT": CANDLES}])
def test_what_is_no_market_is_refused(call, given, tmp_path):
    arguments = (tmp_path / "saved",) if call is ta.save_market else ()
    with pytest.raises(ConfigError, match=r"(?s)market: got .*, allowed are .*ta.load_market"):
        call(given, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_one_symbol_is_as_good_as_a_market_of_one(tmp_path):
    market = load_market("synthetic", symbols=1, days=3, progress=False)
    one = market["SYN-01"]
    for call in (ta.quality, ta.true_range_pct):
        assert call(one).equals(call(market))
    assert ta.infer_instruments(one) == ta.infer_instruments(market)
    back = load_market("stored", path=ta.save_market(one, tmp_path / "saved"), progress=False)
    assert back.hash == market.hash
    assert back.source == f"synthetic market, seed 7, from {tmp_path / 'saved'}"
