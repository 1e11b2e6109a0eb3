"""Files that are written whole or not at all, and what is said of those that cannot be read."""

import errno
import os
from multiprocessing import get_context

import pytest

from traderagent.base.errors import DataError
from traderagent.base.files import read_json, replacing, write_json
from traderagent.base.stored import stored_record


def test_what_was_written_is_read(tmp_path):
    write_json(tmp_path / "record.json", {"share": 0.5, "undefined": float("nan")})
    assert read_json(tmp_path / "record.json") == {"share": 0.5, "undefined": None}


def test_json_that_is_not_there_or_cut_short_says_what_to_run(tmp_path):
    path = tmp_path / "record.json"
    with pytest.raises(DataError, match="record.json: no such file; run the stage that writes it"):
        read_json(path)
    path.write_text('{"share": 0.')
    with pytest.raises(DataError, match="record.json: not readable as JSON .*run the stage that writes it again"):
        read_json(path)


def test_bytes_that_are_no_text_and_a_folder_in_its_place_say_what_to_run(tmp_path):
    path = tmp_path / "record.json"
    path.write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(DataError, match="record.json: not readable as JSON .*run the stage that writes it again"):
        read_json(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match="record.json: Is a directory; .*run the stage that writes it again"):
        read_json(path)


@pytest.mark.parametrize(
    ("stage", "rest"),
    [
        ("stress", {}),
        ("stress", {"candles": None}),
        ("baseline", {"candles": {}}),
        ("baseline", {"symbols": {}}),
        ("baseline", {"symbols": [], "holdout": None}),
    ],
)
def test_a_part_of_a_record_is_none(tmp_path, stage, rest):
    path = write_json(tmp_path / "record.json", {"stage": stage, **rest})
    with pytest.raises(DataError, match=f"record.json: not a whole record of the stage {stage}; run it again"):
        stored_record(path, stage)
    whole = {"stage": stage, "candles": {}, "symbols": {}, "holdout": None}
    assert stored_record(write_json(path, whole), stage) == whole


def test_a_block_that_writes_nothing_is_an_error_and_leaves_the_old(tmp_path):
    path = tmp_path / "record.json"
    path.write_text("old")
    with pytest.raises(FileNotFoundError, match="nothing was written for .*record.json"), replacing(path):
        pass
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]


def _write_folders(path, name):
    for k in range(60):
        with replacing(path) as scratch:
            scratch.mkdir()
            (scratch / "who").write_text(f"{name} {k}")


def test_of_several_who_replace_a_folder_at_once_each_ends_well_and_one_of_them_last(tmp_path):
    path = tmp_path / "folder"
    writers = [get_context("spawn").Process(target=_write_folders, args=(path, name)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert (path / "who").read_text() in {"a 59", "b 59", "c 59"}
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("fails_for_good", [False, True])
def test_a_swap_that_is_stopped_half_way_loses_no_folder(tmp_path, monkeypatch, fails_for_good):
    path, rename = tmp_path / "folder", os.replace
    with replacing(path) as scratch:
        scratch.mkdir()
        (scratch / "who").write_text("old")

    def stopped(source, target):
        if fails_for_good and not path.exists():
            raise OSError(errno.EIO, "input/output error")
        rename(source, target)
        if source == path and not fails_for_good:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stopped)
    with pytest.raises(OSError if fails_for_good else KeyboardInterrupt), replacing(path) as scratch:
        scratch.mkdir()
    found = {file.relative_to(tmp_path).parts[-2:] for file in tmp_path.rglob("who")}
    assert found == {("folder.old" if fails_for_good else "folder", "who")}


def test_a_folder_may_have_any_name_and_is_replaced_by_the_new_one(tmp_path):
    for text in ("first", "second"):
        with replacing(tmp_path / "old") as scratch:
            scratch.mkdir()
            (scratch / "who").write_text(text)
    assert (tmp_path / "old" / "who").read_text() == "second"
