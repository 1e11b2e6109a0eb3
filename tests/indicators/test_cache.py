"""The cache saves time and never changes a number."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

from tests.causality import candles, same_bits
from traderagent.base.errors import ConfigError, DataError, UnknownName
from traderagent.indicators import INDICATORS, cache
from traderagent.indicators.cache import CacheWarning, FeatureCache


@pytest.fixture
def frame():
    return pd.DataFrame(candles(300))


def files(folder):
    return sorted(p.name for p in folder.iterdir())


class Counted:
    """A computation that counts its calls."""

    def __init__(self, **columns):
        self.columns, self.calls = columns, 0

    def __call__(self):
        self.calls += 1
        return self.columns


def test_every_indicator_comes_back_bit_for_bit(frame, tmp_path):
    store = FeatureCache(tmp_path)
    for name, record in INDICATORS.items():
        for sample in record.samples:
            fresh = record.columns(frame, **sample)
            for _ in range(2):
                kept = store.indicator(name, frame, **sample)
                assert list(kept) == list(fresh)
                for column in fresh:
                    assert same_bits(kept[column], fresh[column]).all()
    assert len(files(tmp_path)) == sum(len(r.samples) for _, r in INDICATORS.items())


def test_the_second_time_nothing_is_computed(tmp_path):
    compute = Counted(a=np.array([1.0, np.nan]), b=np.array([1, 2], np.int8))
    for _ in range(3):
        found = FeatureCache(tmp_path).get("thing", {"n": 1}, "data", compute)
    assert compute.calls == 1
    assert found["b"].dtype == np.int8
    found["a"][0] = 5.0  # a caller's copy, not the cache's
    assert FeatureCache(tmp_path).get("thing", {"n": 1}, "data", compute)["a"][0] == 1.0


def test_data_parameters_name_and_code_each_have_their_own_file(tmp_path, monkeypatch):
    compute = Counted(a=np.zeros(2))
    store = FeatureCache(tmp_path)
    for arguments in (
        ("thing", {"n": 1}, "x"),
        ("thing", {"n": 2}, "x"),
        ("thing", {"n": 1}, "y"),
        ("other", {"n": 1}, "x"),
    ):
        store.get(*arguments, compute)
    monkeypatch.setattr(cache, "code_hash", lambda *folders: "edited")
    store.get("thing", {"n": 1}, "x", compute)
    monkeypatch.setattr(cache, "version", lambda library: "9.9")
    store.get("thing", {"n": 1}, "x", compute)
    assert compute.calls == len(files(tmp_path)) == 6


def test_other_candles_are_never_answered_with_these(frame, tmp_path):
    store = FeatureCache(tmp_path)
    before = store.indicator("ema", frame, n=5)["ema"]
    frame.loc[299, "close"] *= 2
    assert store.indicator("ema", frame, n=5)["ema"][-1] != before[-1]


def damage_text(path):
    path.write_bytes(b"not a parquet file")


def damage_half(path):
    path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2])


def damage_empty(path):
    path.write_bytes(b"")


def damage_numbers(path):
    """A valid file with the same marks and another number."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    values = table.column("a").to_numpy().copy()
    values[0] += 1e-12
    pq.write_table(table.set_column(0, "a", [values]).replace_schema_metadata(table.schema.metadata), path)


def damage_marks(path):
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)


@pytest.mark.parametrize("damage", [damage_text, damage_half, damage_empty, damage_numbers, damage_marks])
def test_a_damaged_file_is_computed_again_with_a_warning(tmp_path, damage):
    compute = Counted(a=np.array([1.0, 2.0]))
    store = FeatureCache(tmp_path)
    store.get("thing", {}, "data", compute)
    damage(next(tmp_path.iterdir()))
    with pytest.warns(CacheWarning, match="computed again"):
        assert store.get("thing", {}, "data", compute)["a"].tolist() == [1.0, 2.0]
    assert store.get("thing", {}, "data", compute)["a"].tolist() == [1.0, 2.0]  # mended, no warning
    assert compute.calls == 2


def test_every_flipped_byte_is_noticed_or_harmless(tmp_path):
    compute = Counted(a=np.arange(3.0))
    store = FeatureCache(tmp_path)
    store.get("thing", {}, "data", compute)
    path = next(tmp_path.iterdir())
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CacheWarning)
            assert store.get("thing", {}, "data", compute)["a"].tolist() == [0.0, 1.0, 2.0], at


def test_a_folder_that_cannot_be_written_is_survived(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    compute = Counted(a=np.array([1.0]))
    with pytest.warns(CacheWarning, match=r"was not written \(NotADirectoryError.*TRADERAGENT_CACHE|FileExistsError"):
        assert FeatureCache(blocked).get("thing", {}, "data", compute)["a"].tolist() == [1.0]


def test_a_read_only_folder_is_read_and_not_written(tmp_path, monkeypatch):
    """The system's answers are played, since the superuser may write anywhere."""

    def refused(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    compute = Counted(a=np.array([1.0]))
    FeatureCache(tmp_path).get("thing", {}, "data", compute)
    monkeypatch.setattr(cache.os, "utime", refused)
    monkeypatch.setattr("tempfile.mkdtemp", refused)
    assert FeatureCache(tmp_path).get("thing", {}, "data", compute)["a"].tolist() == [1.0]
    assert compute.calls == 1
    with pytest.warns(CacheWarning, match=r"was not written \(PermissionError"):
        assert FeatureCache(tmp_path).get("thing", {}, "other", compute)["a"].tolist() == [1.0]


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    def full(table, path, **options):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.pq, "write_table", full)
    compute = Counted(a=np.array([1.0]))
    with pytest.warns(CacheWarning, match="No space left"):
        FeatureCache(tmp_path).get("thing", {}, "data", compute)
    assert files(tmp_path) == []


def test_the_least_recently_used_are_deleted_first(tmp_path):
    compute = Counted(a=np.random.default_rng(0).random(1_000))
    store = FeatureCache(tmp_path)
    names = ["first", "second", "third"]
    for age, name in enumerate(names):
        store.get(name, {}, "data", compute)
        path = next(tmp_path.glob(f"{name}-*"))
        os.utime(path, ns=(age * 10**9, age * 10**9))
    size = path.stat().st_size
    store.get("first", {}, "data", compute)  # used again: now the newest
    FeatureCache(tmp_path, limit_mb=2.5 * size / 1e6).get("fourth", {}, "data", compute)
    assert [name.split("-")[0] for name in files(tmp_path)] == ["first", "fourth"]
    FeatureCache(tmp_path, limit_mb=1e-9).get("fifth", {}, "data", compute)
    assert [name.split("-")[0] for name in files(tmp_path)] == ["fifth"]  # the one just written stays


def test_the_key_is_the_same_in_every_process(frame, tmp_path):
    FeatureCache(tmp_path).indicator("rsi", frame, n=14)
    program = (
        "import pandas as pd; from tests.causality import candles; "
        "from traderagent.indicators.cache import FeatureCache; "
        f"FeatureCache({str(tmp_path)!r}).indicator('rsi', pd.DataFrame(candles(300)), n=14)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ | {"PYTHONHASHSEED": "7"})
    assert len(files(tmp_path)) == 1


def test_default_folder_follows_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("TRADERAGENT_CACHE", str(tmp_path))
    assert FeatureCache().folder == tmp_path / "features"


def test_bad_use_is_refused(frame, tmp_path):
    store = FeatureCache(tmp_path)
    with pytest.raises(UnknownName, match="did you mean 'ema'"):
        store.indicator("emma", frame, n=5)
    with pytest.raises(ConfigError, match="whole number"):
        store.indicator("ema", frame, n=0)
    with pytest.raises(ConfigError, match="unexpected keyword"):
        store.indicator("ema", frame, n=5, period=5)
    with pytest.raises(DataError, match="no column close"):
        store.indicator("ema", frame[["open"]], n=5)
    with pytest.raises(ConfigError, match="letters, digits and _"):
        store.get("../escape", {}, "data", Counted(a=np.zeros(1)))
    for columns in ({}, {"a": np.zeros(2), "b": np.zeros(3)}, {"a": np.zeros((2, 2))}):
        with pytest.raises(DataError, match="one-dimensional columns of one length"):
            store.get("thing", {}, "data", Counted(**columns))
    for limit in (0, -1, float("nan"), "1", True):
        with pytest.raises(ConfigError, match="limit_mb must be a number above 0"):
            FeatureCache(tmp_path, limit_mb=limit)
    assert files(tmp_path) == []
