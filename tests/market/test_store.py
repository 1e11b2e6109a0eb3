"""What the data stage writes comes back as it was, and twice the same bytes."""

import hashlib

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
