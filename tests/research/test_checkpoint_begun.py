"""Several begin the same checkpoint at once: one makes it, the others go on in it or are told that it is not theirs."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import zarr

import traderagent as ta
from tests.research.test_checkpoint import CONFIG, MARKET, bytes_of, swept
from traderagent.base import files
from traderagent.research import outcomes

TOGETHER, ROUNDS = 8, 5


def overtaken(monkeypatch, other):
    """Just before a checkpoint takes its place, somebody else's sweep begins and ends there."""
    replace = os.replace

    def late(*given):
        monkeypatch.setattr(files.os, "replace", replace)
        other()
        replace(*given)

    monkeypatch.setattr(files.os, "replace", late)


def test_whoever_is_late_goes_on_in_what_the_other_made(tmp_path, monkeypatch):
    place = tmp_path / "c"
    whole, written = bytes_of(swept()), []
    write = outcomes.Checkpoint.write
    monkeypatch.setattr(
        outcomes.Checkpoint, "write", lambda self, *given: written.append(given[:2]) or write(self, *given)
    )
    overtaken(monkeypatch, lambda: swept(checkpoint=place, chunk=8))
    assert bytes_of(swept(checkpoint=place, chunk=8)) == whole
    assert len(written) == len(set(written)) == 4 * 4
    assert [file.name for file in tmp_path.iterdir()] == ["c"]


def test_whoever_is_late_with_another_sweep_is_told(tmp_path, monkeypatch):
    place, options = tmp_path / "c", {"holdout": 0.4, "progress": False}
    overtaken(monkeypatch, lambda: swept(checkpoint=place))
    with pytest.raises(ta.ConfigError, match="got one made with other space"):
        ta.sweep(MARKET, CONFIG, {"dca_tp_pct": [0.01, 0.02]}, checkpoint=place, **options)
    assert bytes_of(swept(checkpoint=place)) == bytes_of(swept())


def test_at_once_nothing_that_one_of_them_wrote_is_lost(tmp_path, monkeypatch):
    jobs = []
    made = outcomes.Outcomes.__init__
    monkeypatch.setattr(outcomes.Outcomes, "__init__", lambda self, job: jobs.append(job) or made(self, job))
    cube = swept(chunk=4)
    n = cube.sizes["symbol"] * cube.sizes["sample"]
    for attempt in range(ROUNDS):
        together, place = Barrier(TOGETHER), tmp_path / f"{attempt}"

        def begin(k, together=together, place=place):
            together.wait()
            mine = outcomes.Checkpoint(jobs[0], place)
            mine.finished[k % n, k // n] = True
            return mine

        with ThreadPoolExecutor(TOGETHER) as pool:
            every = list(pool.map(begin, range(TOGETHER)))
        assert int(every[0].finished[:].sum()) == TOGETHER
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"{attempt}" for attempt in range(ROUNDS)]


def test_what_takes_the_place_meanwhile_is_left_alone(tmp_path, monkeypatch):
    place = tmp_path / "c"
    overtaken(monkeypatch, lambda: (place.mkdir(), (place / "diary.txt").write_text("dear")))
    with pytest.raises(ta.ConfigError, match="got a place that holds something else"):
        swept(checkpoint=place)
    assert (place / "diary.txt").read_text() == "dear"
    overtaken(monkeypatch, lambda: (tmp_path / "file").write_text("dear"))
    with pytest.raises(ta.DataError, match="checkpoint .*file: cannot be written: File exists"):
        swept(checkpoint=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "dear"


def test_an_empty_folder_and_a_link_to_one_are_places(tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "c")
    whole = bytes_of(swept(checkpoint=tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert bytes_of(swept(checkpoint=tmp_path / "c")) == whole


def test_a_place_that_cannot_be_made_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(ta.DataError, match="checkpoint .*file/c: cannot be written: File exists"):
        swept(checkpoint=tmp_path / "file" / "c")

    def busy(*given):
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    monkeypatch.setattr(files.os, "replace", busy)
    with pytest.raises(ta.DataError, match="checkpoint .*c: cannot be written: Device or resource busy; make"):
        swept(checkpoint=tmp_path / "c")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_one_that_an_older_version_left_half_made_is_named(tmp_path):
    zarr.open_group(tmp_path / "c", mode="w", zarr_format=3, attributes={"kind": outcomes.KIND})
    with pytest.raises(ta.DataError, match="checkpoint .*c: its making was interrupted; delete it to start anew"):
        swept(checkpoint=tmp_path / "c")
