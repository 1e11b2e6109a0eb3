"""Files that are written whole or not at all, and what is said of those that cannot be read."""

import pytest

from traderagent.base.errors import DataError
from traderagent.base.files import read_json, replacing, write_json


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


def test_a_block_that_writes_nothing_is_an_error_and_leaves_the_old(tmp_path):
    path = tmp_path / "record.json"
    path.write_text("old")
    with pytest.raises(FileNotFoundError, match="nothing was written for .*record.json"), replacing(path):
        pass
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]
