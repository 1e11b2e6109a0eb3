"""A ledger that breaks or is locked loses no finished search and no count, and nobody waits without a word."""

import errno
import fcntl
import os
import re
from contextlib import contextmanager
from importlib import import_module

import pytest

import traderagent as ta
from tests.research.test_checkpoint import CONFIG, MARKET, bytes_of
from traderagent.research import ledger

SPACE = {"dca_tp_pct": [0.005, 0.01]}
MODULE = import_module("traderagent.research.sweep")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "ledger_path", lambda: tmp_path / "data" / "ledger.json")
    return tmp_path / "data" / "ledger.json"


@contextmanager
def locked(place):
    """Somebody else holds the lock: a file opened by itself is as good as another process."""
    place.parent.mkdir(exist_ok=True)
    with (place.parent / ".ledger.json.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def swept(**options):
    return ta.sweep(MARKET, CONFIG, SPACE, holdout=0.4, progress=False, **options)


def after_the_run(monkeypatch, break_it):
    """Something happens to the ledger while the sweep runs."""
    run = MODULE._run

    def then_broken(*given):
        found = run(*given)
        break_it()
        return found

    monkeypatch.setattr(MODULE, "_run", then_broken)


BREAKS = {
    "no folder": (
        lambda place, held: (os.rename(place.parent, place.parents[1] / "away"), place.parent.write_text("")),
        lambda place: (place.parent.unlink(), os.rename(place.parents[1] / "away", place.parent)),
        "the ledger of searches cannot be written: File exists; make room, make",
    ),
    "damaged": (
        lambda place, held: place.write_text("{"),
        lambda place: place.unlink(),
        "the ledger of searches cannot be read",
    ),
    "locked": (
        lambda place, held: (
            held.append(open(place.parent / ".ledger.json.lock", "w"))  # noqa: SIM115
            or fcntl.flock(held[0], fcntl.LOCK_EX)
        ),
        lambda place: None,
        "another process has locked the ledger of searches for 0 s",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_finished_sweep_is_returned_and_said_to_be_uncounted(place, monkeypatch, name):
    whole = bytes_of(swept(counted=False))
    break_it, mend, says = BREAKS[name]
    held = []
    monkeypatch.setattr(ledger, "PATIENCE", 0.1)
    after_the_run(monkeypatch, lambda: break_it(place, held))
    with pytest.warns(ledger.UncountedSearch, match=f"{re.escape(says)}.*enter it afterwards with") as told:
        cube = swept()
    assert [warning.filename for warning in told] == [__file__]
    assert bytes_of(cube) == whole
    mend(place)
    for handle in held:
        handle.close()
    assert ledger.entries(place) == []
    ledger.enter_sweep(cube)
    assert [entry["trials"] for entry in ledger.entries(place)] == [2]


def test_with_a_checkpoint_it_is_an_error_and_the_next_run_only_enters_it(place, monkeypatch, tmp_path):
    after_the_run(monkeypatch, lambda: place.write_text("{"))
    with pytest.raises(ta.DataError, match=r"cannot be read.* The sweep is finished and kept in .*c; run it again"):
        swept(checkpoint=tmp_path / "c")
    place.unlink()
    monkeypatch.undo()
    monkeypatch.setattr(ledger, "ledger_path", lambda: place)
    monkeypatch.setattr("traderagent.research.job.Runner.run", lambda *given: pytest.fail("a task ran twice"))
    swept(checkpoint=tmp_path / "c")
    assert [entry["trials"] for entry in ledger.entries(place)] == [2]


def never_run(*given):
    pytest.fail("the search ran although it could not be counted")


def test_a_lock_that_is_kept_is_said_and_refused_before_the_search(place, monkeypatch, capsys):
    monkeypatch.setattr(ledger, "SAID_AFTER", 0.05)
    monkeypatch.setattr(ledger, "PATIENCE", 0.3)
    monkeypatch.setattr(MODULE, "_run", never_run)
    with locked(place), pytest.raises(ta.DataError, match=r"has locked the ledger of searches for 0 s.*`fuser .*lock`"):
        swept()
    assert capsys.readouterr().err.count("waiting for the ledger of searches, which another process has locked") == 1


def test_a_short_wait_is_none_of_anybodys_business(place, capsys):
    ledger.check_ledger()
    assert capsys.readouterr() == ("", "")
    assert not place.exists()
    assert [file.name for file in place.parent.iterdir()] == [".ledger.json.lock"]


def read_only(**options):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def full(**options):
    return open("/dev/full", "wb")


@pytest.mark.parametrize(("made", "says"), [(read_only, "Read-only file system"), (full, "No space left on device")])
def test_a_ledger_that_cannot_be_written_is_said_before_the_search(place, monkeypatch, made, says):
    monkeypatch.setattr(ledger.tempfile, "TemporaryFile", made)
    monkeypatch.setattr(MODULE, "_run", never_run)
    with pytest.raises(ta.DataError, match=f"cannot be written: {says}; make room, make .*data writable"):
        swept()


def test_a_folder_that_cannot_be_made_is_said_before_the_search(place, monkeypatch):
    place.parent.write_text("")
    monkeypatch.setattr(MODULE, "_run", never_run)
    with pytest.raises(ta.DataError, match="cannot be written: File exists; make room"):
        swept()
