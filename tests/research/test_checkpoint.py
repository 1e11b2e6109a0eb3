"""A sweep that is killed and resumed gives the bytes of one that was not; a checkpoint is good for one sweep only."""

import errno
import multiprocessing
import os
import random
import signal
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

import traderagent as ta
from traderagent.research import outcomes

MARKET = ta.load_market("synthetic", symbols=2, days=12, seed=7, progress=False)
CONFIG = ta.OrchestratorBacktestConfig(dca_params={"trigger_pct": 0.01, "high_lookback": 50})
SPACE = {"dca_tp_pct": [0.005, 0.01, 0.02, 0.03], "grid_num_levels": [3, 5, 8, 10], "max_position_size_pct": [0.1, 0.9]}
KILLS = 20
# A server that has imported all this and is asked for nothing but new processes: each begins as if it had just been
# started, without the four seconds in which it imports.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload([__name__])


def bytes_of(cube):
    return {name: values.to_numpy().tobytes() for name, values in cube.variables.items()} | {"attrs": str(cube.attrs)}


def swept(**options):
    return ta.sweep(MARKET, CONFIG, SPACE, holdout=0.4, progress=False, **options)


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bytes(tmp_path):
    """Kill −9 a random moment after a random number of tasks was finished, until it has been killed often enough."""
    source = random.Random(5)
    place = tmp_path / "checkpoint"
    finished = []
    for _ in range(KILLS):
        more = (finished[-1] if finished else 0) + source.randrange(5)
        with started(place) as child:
            while n_finished(place) < more:
                assert child.is_alive()
                time.sleep(0.001)
            time.sleep(source.uniform(0.0, 0.02))
            child.kill()
        assert child.exitcode == -signal.SIGKILL, "it was faster than the kill: make the sweep longer"
        finished.append(n_finished(place))
    assert len(set(finished)) > KILLS / 2
    with started(place) as child:
        pass
    assert child.exitcode == 0
    assert bytes_of(swept(checkpoint=place)) == bytes_of(swept())


@contextmanager
def started(place):
    """A process that sweeps, from the moment on at which it begins until it has ended."""
    begins = SERVER.Event()
    child = SERVER.Process(target=sweep_in, args=(place, begins))
    child.start()
    try:
        assert begins.wait(60)
        yield child
    finally:
        child.join()


def sweep_in(place, begins):
    begins.set()
    swept(checkpoint=place, chunk=1, counted=False)


def n_finished(place):
    return len(list(place.glob("finished/c/*/*")))


def test_it_goes_on_where_it_was_and_runs_no_task_twice(tmp_path, monkeypatch):
    whole = bytes_of(swept())
    written = []
    write = outcomes.Checkpoint.write

    def fails_after_five(self, place, start, values, daily):
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append((place, start))
        write(self, place, start, values, daily)

    monkeypatch.setattr(outcomes.Checkpoint, "write", fails_after_five)
    with pytest.raises(KeyboardInterrupt):
        swept(checkpoint=tmp_path / "c", chunk=3, workers=1)
    first = set(written)

    def noted(self, place, start, values, daily):
        written.append((place, start))
        write(self, place, start, values, daily)

    monkeypatch.setattr(outcomes.Checkpoint, "write", noted)
    assert bytes_of(swept(checkpoint=tmp_path / "c", chunk=7)) == whole  # it goes on in the chunks it began with
    assert len(written) == len(set(written)) == 4 * 11
    assert len(first) == 5
    assert bytes_of(swept(checkpoint=tmp_path / "c")) == whole
    assert len(written) == 4 * 11


def test_a_full_disk_is_said_and_what_is_there_stays(tmp_path, monkeypatch):
    put = outcomes.Outcomes.write

    def full(self, place, start, values, daily):
        if isinstance(self, outcomes.Checkpoint) and start >= 16:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        put(self, place, start, values, daily)

    monkeypatch.setattr(outcomes.Outcomes, "write", full)
    with pytest.raises(
        ta.DataError, match="cannot be written, what is there stays valid: No space left on device; make"
    ):
        swept(checkpoint=tmp_path / "c", chunk=8)
    monkeypatch.undo()
    assert bytes_of(swept(checkpoint=tmp_path / "c")) == bytes_of(swept())


OTHERS = {
    "candles": lambda: {"market": MARKET.slice(None, MARKET["SYN-01"].index[-100])},
    "parameters": lambda: {"config": CONFIG.replace(penetration_ticks=1)},
    "space": lambda: {"space": SPACE | {"dca_tp_pct": [0.005, 0.01, 0.02, 0.04]}},
    "hold-out": lambda: {"holdout": 0.3},
    "returns": lambda: {"returns": None},
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_checkpoint_of_another_sweep_is_refused_by_name(tmp_path, what):
    given = {"market": MARKET, "config": CONFIG, "space": SPACE, "holdout": 0.4, "progress": False}
    place = {"checkpoint": tmp_path / "c"}
    ta.sweep(**given, **place)
    before = sorted((p, p.read_bytes()) for p in (tmp_path / "c").rglob("*") if p.is_file())
    with pytest.raises(ta.ConfigError, match=f"got one made with other {what}(,| and)"):
        ta.sweep(**given | OTHERS[what](), **place)
    assert sorted((p, p.read_bytes()) for p in (tmp_path / "c").rglob("*") if p.is_file()) == before


def test_a_checkpoint_of_other_code_is_refused_by_name(tmp_path, monkeypatch):
    swept(checkpoint=tmp_path / "c")
    from traderagent.research import sweep as module

    monkeypatch.setattr(sys.modules["traderagent.research.sweep"], "code_hash", lambda *folders: "0123456789abcdef")
    assert module
    with pytest.raises(ta.ConfigError, match="got one made with other code, allowed"):
        swept(checkpoint=tmp_path / "c")


def test_a_place_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "diary.txt").write_text("dear")
    with pytest.raises(ta.ConfigError, match="got a place that holds something else"):
        swept(checkpoint=tmp_path / "c")
    assert (tmp_path / "c" / "diary.txt").read_text() == "dear"
    ta.save_cube(swept(), tmp_path / "cube")
    with pytest.raises(ta.ConfigError, match="got a place that holds something else"):
        swept(checkpoint=tmp_path / "cube")
    (tmp_path / "f").write_text("file")
    with pytest.raises(ta.DataError, match="cannot be read: File exists"):
        swept(checkpoint=tmp_path / "f")


@pytest.mark.parametrize("place", ["{folder}/c", "memory://interrupted/c"])
def test_one_whose_making_was_interrupted_is_made_anew(tmp_path, monkeypatch, place):
    where = place.format(folder=tmp_path)
    monkeypatch.setattr(outcomes.Checkpoint, "_key", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        swept(checkpoint=where)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []  # a folder is there whole or not at all
    assert bytes_of(swept(checkpoint=where)) == bytes_of(swept())


def test_a_damaged_one_is_named(tmp_path):
    swept(checkpoint=tmp_path / "c")
    chunk = tmp_path / "c" / "values" / "c" / "0" / "0" / "0"
    chunk.write_bytes(b"rubbish")
    with pytest.raises(ta.DataError, match="checkpoint .* cannot be read: .*; delete it to start anew"):
        swept(checkpoint=tmp_path / "c")


def test_any_place_that_fsspec_knows(tmp_path):
    assert bytes_of(swept(checkpoint="memory://sweeps/one")) == bytes_of(swept())
    with pytest.raises(ta.ConfigError, match="other space"):
        ta.sweep(
            MARKET, CONFIG, {"dca_tp_pct": [0.01, 0.02]}, holdout=0.4, checkpoint="memory://sweeps/one", progress=False
        )


def test_a_symbol_that_fails_leaves_the_others(monkeypatch):
    from traderagent.research.job import Runner

    lane = Runner.lane

    def broken(self, place, start):
        if place[0] == "SYN-01":
            raise ta.DataError("SYN-01: no good")
        return lane(self, place, start)

    monkeypatch.setattr(Runner, "lane", broken)
    cube = swept()
    assert list(cube.symbol.values) == ["SYN-02"]
    assert cube.attrs["skipped"] == ["SYN-01: no good"]
    monkeypatch.undo()
    whole = swept()
    np.testing.assert_array_equal(cube.returns, whole.returns.sel(symbol=["SYN-02"]))


@pytest.mark.parametrize("place", ["file://{folder}", "memory://somebody/else"])
def test_a_url_that_holds_something_else_is_left_alone(tmp_path, place):
    from fsspec.core import url_to_fs

    where = place.format(folder=tmp_path / "mine")
    files, path = url_to_fs(where)
    files.makedirs(path, exist_ok=True)
    files.pipe_file(f"{path}/diary.txt", b"dear")
    with pytest.raises(ta.ConfigError, match="got a place that holds something else"):
        swept(checkpoint=where)
    with pytest.raises(ta.ConfigError, match="got a place that holds something else"):
        ta.save_cube(swept(), where)
    assert files.cat_file(f"{path}/diary.txt") == b"dear"
    with pytest.raises(ta.DataError, match="checkpoint nosuch://place: cannot be read: Protocol not known"):
        swept(checkpoint="nosuch://place")
    with pytest.raises(ta.ConfigError, match="nosuch://place: got a place that cannot be opened"):
        ta.save_cube(swept(), "nosuch://place")


def test_a_cube_takes_no_checkpoints_place(tmp_path):
    cube = swept(checkpoint=tmp_path / "c")
    with pytest.raises(ta.ConfigError, match="got a place that holds something else"):
        ta.save_cube(cube, tmp_path / "c")
    assert bytes_of(swept(checkpoint=tmp_path / "c")) == bytes_of(cube)


@pytest.mark.parametrize("gone", ["values/c/0/0/0", "daily/c/1/0/0", "finished/c/0/0"])
def test_what_vanishes_while_a_sweep_runs_is_no_result(tmp_path, monkeypatch, gone):
    """Somebody clears up too early: no NaN in place of numbers."""
    module = sys.modules["traderagent.research.sweep"]
    run = module._run

    def then_lost(job, symbols, outcomes_, *others):
        skipped = run(job, symbols, outcomes_, *others)
        (tmp_path / "c" / gone).unlink()
        return skipped

    monkeypatch.setattr(module, "_run", then_lost)
    with pytest.raises(ta.DataError, match="checkpoint .*c: 1 of 32 tasks are gone although they were finished"):
        swept(checkpoint=tmp_path / "c", chunk=4)


def test_refused_points_are_no_lost_tasks(tmp_path):
    space = {"tf_ema_fast": [5, 20], "tf_ema_slow": [10, 50]}
    options = {"holdout": 0.4, "progress": False, "chunk": 1}
    cube = ta.sweep(MARKET, CONFIG, space, checkpoint=tmp_path / "c", **options)
    assert cube.total_return_pct.sel(tf_ema_fast=20, tf_ema_slow=10).isnull().all()


def test_a_place_is_the_same_after_the_folder_changed(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    write = outcomes.Outcomes.write

    def moved(self, *given):
        os.chdir(tmp_path / "elsewhere")
        write(self, *given)

    monkeypatch.setattr(outcomes.Outcomes, "write", moved)
    assert bytes_of(swept(checkpoint="c", chunk=4)) == bytes_of(swept())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c", "elsewhere"]


def test_a_worker_makes_no_checkpoint_of_its_own(tmp_path):
    job = None
    with pytest.raises(ta.DataError, match="not there, although the sweep has begun one"):
        outcomes.Checkpoint(job, tmp_path / "c", begun=True)
    assert not (tmp_path / "c").exists()


def test_points_and_their_product_are_other_spaces(tmp_path):
    product = {"dca_tp_pct": [0.005, 0.01], "grid_num_levels": [3, 5]}
    points = ta.Points.of([{"dca_tp_pct": 0.005, "grid_num_levels": 3}, {"dca_tp_pct": 0.01, "grid_num_levels": 5}])
    options = {"holdout": 0.4, "progress": False, "checkpoint": tmp_path / "c"}
    ta.sweep(MARKET, CONFIG, points, **options)
    with pytest.raises(ta.ConfigError, match="other space"):
        ta.sweep(MARKET, CONFIG, product, **options)
