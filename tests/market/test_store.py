"""What the data stage writes comes back as it was, and twice the same bytes."""

import hashlib
import json
import shutil

import pandas as pd
import pytest

import traderagent as ta
from traderagent.base.errors import ConfigError, DataError, UnknownName


@pytest.fixture(scope="module")
def market():
    return ta.load_market("synthetic", symbols=2, days=3, detail=True, progress=False)


def digest(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return [(p.relative_to(folder).as_posix(), hashlib.sha256(p.read_bytes()).hexdigest()) for p in files]


def test_comes_back_whole(market, tmp_path):
    folder = ta.save_market(market, tmp_path / "candles", quality=ta.quality(market))
    back = ta.load_market("stored", path=folder, progress=False)
    assert back.hash == market.hash
    assert back.synthetic
    for symbol, data in market.items():
        assert back[symbol].planted.regime.equals(data.planted.regime)
        assert back[symbol].planted.edge == data.planted.edge
        assert back[symbol].caption == data.caption
        assert back[symbol].detail.equals(data.detail)
    assert (tmp_path / "quality.parquet").is_file()


def test_funding_comes_back(market, tmp_path):
    times = pd.date_range("2024-01-01", periods=10, freq="8h", tz="UTC")
    rates = pd.Series([0.0001, -0.0002] * 5, times)
    given = ta.Market({"SYN-01": market["SYN-01"].replace(funding=rates), "SYN-02": market["SYN-02"]})
    back = ta.load_market("stored", path=ta.save_market(given, tmp_path / "candles"), progress=False)
    pd.testing.assert_series_equal(back["SYN-01"].funding, rates, check_names=False, check_freq=False)
    assert back["SYN-02"].funding is None
    assert back.hash == given.hash


def test_a_folder_that_is_no_stored_market_is_left_alone(market, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "BTCUSDT_5m.csv").write_text("mine")
    for place in (mine, mine / "BTCUSDT_5m.csv"):
        with pytest.raises(DataError, match="holds something else than a stored market"):
            ta.save_market(market, place)
    assert (mine / "BTCUSDT_5m.csv").read_text() == "mine"
    assert ta.save_market(market, tmp_path / "new").is_dir()
    assert ta.save_market(market, tmp_path / "new").is_dir()


def test_same_bytes_twice_and_nothing_of_the_old(market, tmp_path):
    first = digest(ta.save_market(market, tmp_path / "a"))
    assert digest(ta.save_market(market, tmp_path / "b")) == first
    ta.save_market(market.select(["SYN-01"]), tmp_path / "a")
    assert [p.name for p in (tmp_path / "a").glob("SYN-02*")] == []


def test_a_part_can_be_asked_for(market, tmp_path):
    folder = ta.save_market(market, tmp_path / "candles")
    assert list(ta.load_market("stored", path=folder, symbols=["SYN-02"], progress=False)) == ["SYN-02"]
    with pytest.raises(UnknownName, match="SYN-09"):
        ta.load_market("stored", path=folder, symbols=["SYN-09"], progress=False)
    with pytest.raises(ConfigError, match="stored are 5m"):
        ta.load_market("stored", path=folder, timeframe="1h", progress=False)


def test_the_stored_timeframe_may_be_asked_for(market, tmp_path):
    folder = ta.save_market(market, tmp_path / "candles")
    asked = ta.load_market("stored", path=folder, timeframe="5m", progress=False)
    assert asked.hash == ta.load_market("stored", path=folder, progress=False).hash


def test_missing_folder_and_file_say_what_to_run(market, tmp_path):
    with pytest.raises(DataError, match="run the stage data"):
        ta.load_market("stored", path=tmp_path / "none", progress=False)
    folder = ta.save_market(market, tmp_path / "candles")
    (folder / "SYN-01_5m.parquet").unlink()
    with pytest.raises(DataError, match=r"SYN-01_5m.parquet: no such file although market.json names it"):
        ta.load_market("stored", path=folder, progress=False)


def _rewritten(change):
    def spoil(path):
        change(pd.read_parquet(path)).to_parquet(path, compression="zstd")

    return spoil


SPOILT = {
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "one bit": lambda path: path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])),
    "no rows": _rewritten(lambda frame: frame.iloc[:0]),
    "no column": _rewritten(lambda frame: frame.drop(columns=frame.columns[-1])),
    "text": _rewritten(lambda frame: frame.astype(str)),
    "of another symbol": lambda path: shutil.copy(str(path).replace("SYN-01", "SYN-02"), path),
}


FILES = ("SYN-01_5m.parquet", "SYN-01_1m.parquet", ".planted/SYN-01.parquet")
# In three days both symbols hide the same regime, so that one file is as good as the other.
CASES = [(how, name) for how in SPOILT for name in FILES if (how, name) != ("of another symbol", FILES[-1])]


@pytest.mark.parametrize(("how", "name"), CASES)
def test_a_file_that_is_not_the_one_that_was_written_is_refused(market, tmp_path, how, name):
    folder = ta.save_market(market, tmp_path / "candles")
    SPOILT[how](folder / name)
    with pytest.raises(DataError, match=rf"{name}: got [0-9\s]+ bytes? of hash .* run the stage data again"):
        ta.load_market("stored", path=folder, progress=False)
    assert list(ta.load_market("stored", path=folder, symbols=["SYN-02"], progress=False)) == ["SYN-02"]


def test_a_folder_in_place_of_a_file_is_refused(market, tmp_path):
    folder = ta.save_market(market, tmp_path / "candles")
    (folder / "SYN-01_5m.parquet").unlink()
    (folder / "SYN-01_5m.parquet").mkdir()
    with pytest.raises(DataError, match=r"SYN-01_5m.parquet: .*; run the stage data again"):
        ta.load_market("stored", path=folder, progress=False)


def _without_files(labels):
    del labels["symbols"]["SYN-02"]["files"]
    return labels


@pytest.mark.parametrize(
    ("spoil", "lack"),
    [
        (lambda labels: [], "source"),
        (lambda labels: labels | {"symbols": None}, "base of symbols"),
        (lambda labels: {"source": "x", "skipped": {}}, "symbols"),
        (_without_files, "files of SYN-02"),
    ],
)
def test_labels_that_are_not_whole_are_refused(market, tmp_path, spoil, lack):
    path = ta.save_market(market, tmp_path / "candles") / "market.json"
    path.write_text(json.dumps(spoil(json.loads(path.read_text()))))
    with pytest.raises(DataError, match=rf"market.json: lacks {lack}, so .* run the stage data again"):
        ta.load_market("stored", path=path.parent, progress=False)


def test_a_file_that_is_not_named_is_refused(market, tmp_path):
    path = ta.save_market(market, tmp_path / "candles") / "market.json"
    labels = json.loads(path.read_text())
    labels["symbols"]["SYN-01"]["files"] = {}
    path.write_text(json.dumps(labels))
    with pytest.raises(DataError, match="but market.json names no such file"):
        ta.load_market("stored", path=path.parent, progress=False)


def test_true_range_pct_by_hand(market):
    table = ta.true_range_pct(market)
    day = market["SYN-01"].d1
    before = day["close"].shift()
    true_range = day[["high"]].assign(b=before).max(axis=1) - day[["low"]].assign(b=before).min(axis=1)
    assert table.loc["SYN-01", "1d"] == pytest.approx((true_range / before)[1:].mean() * 100)
    assert (table.diff(axis=1).iloc[:, 1:] > 0).all(axis=None)


def test_small_steps_survive(tmp_path):
    market = ta.load_market("synthetic", symbols=["SYN-03"], days=1, progress=False)
    assert 0 < market["SYN-03"].instrument.step < 1e-4
    back = ta.load_market("stored", path=ta.save_market(market, tmp_path / "c"), progress=False)
    assert back["SYN-03"].instrument == market["SYN-03"].instrument
