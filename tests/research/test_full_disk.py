"""A disk that is full in the middle of a file: what was finished stays, and the next run ends with the same bytes.

Nothing is mounted: the process may write no file beyond a few bytes from some moment on, so that the system itself cuts
a file short and refuses the rest, as a full disk does.
"""

import json
import subprocess
import sys

import traderagent as ta
from tests.base.test_cube import content, small
from tests.house.sources import ROOT
from tests.research.test_checkpoint import bytes_of, n_finished, swept
from traderagent.research import outcomes

WRITTEN, ALLOWED = 5, 100  # tasks before the disk is full; bytes of a file from then on
PRELUDE = f"""
import json, resource, sys
import traderagent as ta

def fill():
    resource.setrlimit(resource.RLIMIT_FSIZE, ({ALLOWED}, resource.RLIM_INFINITY))

def told(call):
    try:
        call()
    except ta.DataError as error:
        print(json.dumps([str(error), type(error.__cause__).__name__]))
"""
SWEEP = f"""
from tests.research import test_checkpoint as t
from traderagent.research import outcomes
write, written = outcomes.Checkpoint.write, []

def until_full(self, place, start, values, daily):
    if len(written) == {WRITTEN}:
        fill()
    write(self, place, start, values, daily)
    written.append(start)

outcomes.Checkpoint.write = until_full
told(lambda: t.swept(checkpoint=sys.argv[1], chunk=3, workers=1, counted=False))
"""
CUBE = """
from tests.base.test_cube import small
fill()
told(lambda: ta.save_cube(small(1), sys.argv[1]))
"""
LEDGER = """
from traderagent.research import ledger
fill()
told(lambda: ledger.enter(data_hash="d", space_hash="s2", config_hash="c", candles={"A": None}, axes=["x"], given={},
                          shared=False, trials=9, n_eff=2.5, holdout_opened=True, path=sys.argv[1]))
"""


def last_words(code, place):
    """What a process says that fills the disk: message, and kind of the system's refusal."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code, str(place)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_checkpoint_holds_what_was_finished_and_goes_on(tmp_path, monkeypatch):
    place = tmp_path / "c"
    says, cause = last_words(SWEEP, place)
    assert says.startswith(
        f"checkpoint {place}: cannot be written, what is there stays valid: File too large; make room"
    )
    assert cause == "OSError"
    assert n_finished(place) == WRITTEN
    chunks = [file for file in place.rglob("*") if file.is_file() and file.name != "zarr.json"]
    assert len(chunks) <= 3 * WRITTEN + 2  # whole ones, none beside them
    again, put = [], outcomes.Checkpoint.write
    monkeypatch.setattr(outcomes.Checkpoint, "write", lambda self, *given: again.append(given[:2]) or put(self, *given))
    assert bytes_of(swept(checkpoint=place)) == bytes_of(swept())
    assert len(again) == 4 * 11 - WRITTEN


def test_a_cube_stays_as_it_was(tmp_path):
    ta.save_cube(small(), tmp_path / "cube")
    before = content(tmp_path / "cube")
    says, cause = last_words(CUBE, tmp_path / "cube")
    assert says == f"cube {tmp_path / 'cube'}: cannot be written: File too large; make room or name another place"
    assert cause == "OSError"
    assert content(tmp_path / "cube") == before
    assert [file.name for file in tmp_path.iterdir()] == ["cube"]


def test_a_ledger_stays_as_it_was(tmp_path):
    from tests.research.test_ledger import ENTRY
    from traderagent.research import ledger

    place = ledger.enter(**ENTRY, path=tmp_path / "ledger.json")
    before = place.read_bytes()
    says, cause = last_words(LEDGER, place)
    assert says.startswith(f"{place}: the ledger of searches cannot be written: File too large; make room")
    assert cause == "OSError"
    assert place.read_bytes() == before
