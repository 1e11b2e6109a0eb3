"""A cube on disk is the cube in memory, and the same bytes each time."""

import errno
import os
import sys

import numpy as np
import pytest
import xarray as xr

import traderagent as ta
from traderagent.base import cube as module
from traderagent.base.cube import axis_values, load_cube, save_cube


def small(seed: int = 0) -> xr.Dataset:
    values = np.random.default_rng(seed).normal(size=(2, 3, 2))
    values[0, 1, 0] = np.nan
    return xr.Dataset(
        {"sharpe_ratio": (("symbol", "tp", "mode"), values, {"unit": "1", "orientation": 1})},
        {"symbol": ["A", "B"], "tp": [0.1, 0.2, np.nan], "mode": axis_values(["profit", "next_level"])},
        {"refused": ["2 points: no"], "warmup_bars": 600, "holdout": 0.3},
    )


def content(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("where", ["folder", "memory://cubes/a"])
def test_what_is_read_is_what_was_written(tmp_path, where):
    place = tmp_path / where if where == "folder" else where
    save_cube(small(1), place)
    save_cube(small(), place)
    read = load_cube(place)
    xr.testing.assert_identical(read, small())
    assert read.attrs == small().attrs
    assert read.sharpe_ratio.attrs == {"unit": "1", "orientation": 1}


def test_the_same_content_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        save_cube(small(), tmp_path / name)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    save_cube(small(1), tmp_path / "b")
    assert content(tmp_path / "a") != content(tmp_path / "b")


def test_a_failed_write_leaves_the_older_cube(tmp_path, monkeypatch):
    save_cube(small(), tmp_path / "a")
    before = content(tmp_path / "a")

    def full(cube, where):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "_write", full)
    with pytest.raises(ta.DataError, match="cube .*a: cannot be written: No space left on device; make room"):
        save_cube(small(1), tmp_path / "a")
    assert content(tmp_path / "a") == before
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_what_is_no_cube_is_neither_read_nor_replaced(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("dear")
    with pytest.raises(ta.ConfigError, match="got a place that holds something else"):
        save_cube(small(), tmp_path / "notes")
    assert content(tmp_path / "notes") == {"diary.txt": b"dear"}
    for place in (tmp_path / "notes", tmp_path / "absent"):
        with pytest.raises(ta.DataError, match=r"got no readable cube .*ta.save_cube has written"):
            load_cube(place)


UNSTORABLE = {
    "no cube": (lambda: small().sharpe_ratio, "got DataArray, allowed is an xarray.Dataset"),
    "stacked": (lambda: small().stack(trial=["tp", "mode"]), r"MultiIndex of tp, mode, .* cube.reset_index\('trial'\)"),
    "things": (lambda: small().assign_coords(symbol=np.array([1, {}], object)), "holds what cannot be stored"),
    "a thing as attribute": (lambda: small().assign_attrs(x=object()), "holds what cannot be stored"),
}


@pytest.mark.parametrize("what", UNSTORABLE)
def test_what_cannot_be_stored_is_refused_and_the_older_cube_stays(tmp_path, what):
    save_cube(small(), tmp_path / "a")
    before = content(tmp_path / "a")
    make, says = UNSTORABLE[what]
    with pytest.raises(ta.ConfigError, match=f"cube .*a: .*{says}"):
        save_cube(make(), tmp_path / "a")
    assert content(tmp_path / "a") == before
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_the_way_out_of_a_stacked_cube_leads_back(tmp_path):
    stacked = small().assign_coords(tp=[0.1, 0.2, 0.3]).stack(trial=["tp", "mode"])
    save_cube(stacked.reset_index("trial"), tmp_path / "a")
    xr.testing.assert_identical(load_cube(tmp_path / "a").set_index(trial=["tp", "mode"]), stacked)


def test_a_url_whose_package_is_missing_names_it(monkeypatch):
    from traderagent.research.outcomes import remove_checkpoint, stored_chunk

    monkeypatch.setitem(sys.modules, "s3fs", None)
    for call in (lambda place: save_cube(small(), place), load_cube, stored_chunk, remove_checkpoint):
        with pytest.raises(ta.ConfigError, match=r"s3://b/x: got a place that cannot be opened \(.*s3fs.*\), allowed"):
            call("s3://b/x")


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ([1, 2], [1, 2]),
        ([True, False], [True, False]),
        (["profit", "next_level"], ["profit", "next_level"]),
    ],
)
def test_values_of_an_axis_as_a_cube_holds_them(given, held):
    found = axis_values(given)
    assert found.dtype != object
    np.testing.assert_array_equal(found, held)


def test_a_cube_is_read_without_the_scheduler_that_a_closed_client_left_behind(tmp_path):
    """A dask client closed on another thread leaves its scheduler's name among dask's settings."""
    import dask

    save_cube(small(), tmp_path / "cube")
    with dask.config.set(scheduler="dask.distributed"):
        xr.testing.assert_identical(load_cube(tmp_path / "cube"), small())
