"""The ledger counts a search once, whoever enters it how often, and never overwrites what it cannot read."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from tests.house.sources import ROOT
from tests.research.cubes import cube_of, sampled_of
from traderagent.research import ledger, ledger_entry

ENTRY = {
    "data_hash": "d1",
    "space_hash": "s1",
    "config_hash": "c1",
    "candles": {"BTCUSDT": ["2024-01-03", "2024-03-01"], "ETHUSDT": None},
    "axes": ["dca_tp_pct"],
    "given": {"dca_tp_pct": 0.1},
    "shared": False,
    "trials": 9,
    "n_eff": 2.5,
    "holdout_opened": False,
}
PROJECTS = ledger.ledger_path  # before the tests' own takes its place
AXES = {"x": [1, 2, 3], "y": [1, 2]}
HASHES = {"data_hash": "d", "space_hash": "s", "config_hash": "c"}
MANY = """
import sys
from traderagent.research import ledger
for k in range(25):
    for other in (0, int(sys.argv[2])):
        ledger.enter(data_hash="d", space_hash=f"s{other}-{k}", config_hash="c", candles={"A": None}, axes=["x"],
                     given={}, shared=False, trials=4, n_eff=1.5, holdout_opened=True, path=sys.argv[1])
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "ledger.json"


def test_a_search_is_counted_once(path):
    ledger.enter(**ENTRY, path=path)
    first = path.read_bytes()
    assert ledger.enter(**ENTRY, path=path) == path
    assert path.read_bytes() == first
    assert ledger.entries(path) == [ENTRY]


@pytest.mark.parametrize("name", ["data_hash", "space_hash", "config_hash"])
def test_other_candles_space_or_config_are_another_search(path, name):
    ledger.enter(**ENTRY, path=path)
    ledger.enter(**ENTRY | {name: "a0"}, path=path)
    found = ledger.entries(path)
    assert len(found) == 2
    assert [entry[name] for entry in found] == ["a0", ENTRY[name]]
    assert ledger.n_effective("d1", path) == (2.5 if name == "data_hash" else 5.0)


def test_the_order_of_entering_changes_no_byte(path, tmp_path):
    more = ENTRY | {"trials": 12, "n_eff": 2.0, "holdout_opened": True}
    other = ENTRY | {"space_hash": "s0"}
    for place, order in ((path, (ENTRY, more, other)), (tmp_path / "b.json", (other, more, ENTRY))):
        for entry in order:
            ledger.enter(**entry, path=place)
    assert path.read_bytes() == (tmp_path / "b.json").read_bytes()
    assert ledger.entries(path)[1] == ENTRY | {"trials": 12, "holdout_opened": True}


def test_effective_trials_are_summed_over_the_searches_of_the_same_candles(path):
    assert ledger.n_effective("d1", path) == 0.0
    for k, data in enumerate(["d1", "d1", "d2"]):
        ledger.enter(**ENTRY | {"data_hash": data, "space_hash": f"s{k}", "n_eff": 1.25 + k}, path=path)
    assert ledger.n_effective("d1", path) == 3.5
    assert ledger.n_effective("d2", path) == 3.25
    assert not ledger.n_effective("d3", path)


def test_two_processes_at_once_lose_nothing(path):
    command = [sys.executable, "-c", MANY, str(path)]
    running = [subprocess.Popen([*command, str(k)], cwd=ROOT, stderr=subprocess.PIPE) for k in (1, 2)]
    assert [(p.communicate()[1], p.returncode) for p in running] == [(b"", 0)] * 2
    assert len(ledger.entries(path)) == 75
    assert [file.name for file in path.parent.iterdir() if "lock" not in file.name] == ["ledger.json"]


DAMAGED = {
    "empty": "",
    "half": '{"format": 1, "entries": [{"data_ha',
    "no text": b"\xff\xfe\x00",
    "a list": "[]",
    "the first format": '{"format": 1, "entries": []}',
    "an older format": '{"format": 2, "entries": []}',
    "no entries": '{"format": 3}',
    "a field too few": json.dumps({"format": 3, "entries": [{k: v for k, v in ENTRY.items() if k != "candles"}]}),
    "no number": json.dumps({"format": 3, "entries": [ENTRY | {"n_eff": None}]}),
    "no hash": json.dumps({"format": 3, "entries": [ENTRY | {"data_hash": 7}]}),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_ledger_is_an_error_and_stays_as_it_is(path, name):
    path.parent.mkdir()
    content = DAMAGED[name] if isinstance(DAMAGED[name], bytes) else DAMAGED[name].encode()
    path.write_bytes(content)
    for call in (lambda: ledger.enter(**ENTRY, path=path), lambda: ledger.n_effective("d1", path)):
        with pytest.raises(ta.DataError, match=r"ledger\.json: .*ledger.*moved away, a new one is begun"):
            call()
    assert path.read_bytes() == content


BAD = {
    "trials": [0, 2.0, "9", True, None],
    "n_eff": [0.5, 9.5, float("nan"), "2", True],
    "data_hash": ["", None, 5],
    "holdout_opened": [1, None],
    "candles": [
        {"BTCUSDT": ["2024-03-01", "2024-01-03"]},
        {"BTCUSDT": ["2024-01-03"]},
        {"BTCUSDT": ["3 January", "2024-03-01"]},
        {"BTCUSDT": [1, 2]},
    ],
    "axes": [[""], [3]],
    "given": [{"dca_trigger_pct": 0.05}, {"dca_tp_pct": float("nan")}, {"dca_tp_pct": {1: 2}}],
    "shared": [0, None],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD.items() for v in values])
def test_what_cannot_be_is_refused_and_not_entered(path, name, value):
    with pytest.raises(ta.ConfigError, match=f"ledger: {name} is"):
        ledger.enter(**ENTRY | {name: value}, path=path)
    assert not path.exists()


def swept(returns=None, split=False, **attrs):
    shape = (2, *((2,) if split else ()), 3, 2)
    return cube_of(AXES, np.ones(shape), np.full(shape, 20.0), returns=returns, **HASHES, **attrs)


def test_a_sweep_is_entered_with_its_effective_trials(path):
    returns = np.random.default_rng(0).normal(size=(2, 3, 2, 50))
    returns[1] = returns[1, :1, :1]  # one and the same trial, six times
    cube = swept(returns)
    ledger.enter_sweep(cube, path)
    effective = [ta.stats.effective_trials(r.reshape(6, 50).T).n_effective for r in (returns[0], returns.mean(axis=0))]
    (entry,) = ledger.entries(path)
    days = ["2024-01-01", "2024-02-19"]
    seen = {"candles": {"S0": days, "S1": days}, "axes": ["x", "y"], "given": {}, "shared": False}
    assert entry == {**HASHES, **seen, "trials": 6, "n_eff": max(effective), "holdout_opened": True}
    assert 3.0 < max(effective) < 6.0
    ledger.enter_sweep(sampled_of(cube, AXES), path)
    assert len(ledger.entries(path)) == 1


def test_without_returns_every_trial_counts_on_whatever_days(path):
    ledger.enter_sweep(swept(split=True), path)
    assert ledger.n_effective("d", path) == 6.0
    assert ledger.entries(path)[0]["candles"] == {"S0": None, "S1": None}
    ledger.enter_sweep(swept(np.zeros((2, 2, 3, 2, 50)), split=True), path)
    assert ledger.entries(path)[0]["candles"] == {"S0": None, "S1": None}


def test_days_are_those_on_which_trials_traded_behind_the_cut_too(path):
    returns = np.full((2, 2, 3, 2, 50), np.nan)
    returns[0, 0, 1, :, 5:30] = returns[0, 1, :, :, 29:] = returns[1, 1] = 0.0
    ledger.enter_sweep(swept(returns, split=True), path)
    behind = ["2024-01-01", "2024-02-19"]
    assert ledger.entries(path)[0]["candles"] == {"S0": ["2024-01-06", "2024-02-19"], "S1": behind}
    returns[0, 0, 2, 1, 3] = 0.0
    returns[0, 1, :, :, 40:] = np.nan
    ledger.enter_sweep(swept(returns, split=True), path)
    assert ledger.entries(path)[0]["candles"] == {"S0": ["2024-01-04", "2024-02-19"], "S1": behind}


def test_a_search_of_an_account_saw_the_candles_of_all_its_symbols(path):
    cube = swept(np.zeros((2, 3, 2, 50)), symbols="BTCUSDT, ETHUSDT").isel(symbol=[0])
    ledger.enter_sweep(cube.assign_coords(symbol=["portfolio"]), path, since=pd.Timestamp("2023-12-24", tz="UTC"))
    days = ["2023-12-24", "2024-02-19"]
    assert ledger.entries(path)[0]["candles"] == {"BTCUSDT": days, "ETHUSDT": days}


@pytest.mark.parametrize(
    ("symbol", "first", "last", "seen"),
    [
        ("BTCUSDT", "2023-01-01", "2025-01-01", True),
        ("BTCUSDT", "2024-02-01", "2024-02-01", True),
        ("BTCUSDT", "2024-02-29", "2024-04-01", True),
        ("BTCUSDT", "2024-03-01", "2024-04-01", False),
        ("BTCUSDT", "2023-12-01", "2024-01-03", False),
        ("BTCUSDT", "2023-12-01", "2024-01-04", True),
        ("ETHUSDT", "2030-01-01", "2031-01-01", True),
        ("SOLUSDT", "2024-01-03", "2024-03-01", False),
    ],
)
def test_candles_are_the_same_by_symbol_and_day(symbol, first, last, seen):
    assert ledger_entry.overlaps(ENTRY, symbol, (first, last)) is seen


def test_a_search_says_from_which_values_it_began_as_far_as_json_holds_them(path):
    cube = swept(given={"x": np.float32(0.1), "y": object(), "z": 3})
    ledger.enter_sweep(cube, path)
    assert ledger.entries(path)[0]["given"] == {"x": float(np.float32(0.1))}


@pytest.mark.parametrize(("x", "y", "left"), [(2, None, ["x", "y"]), (2.5, None, ["y"]), (True, 0, [])])
def test_a_value_in_which_two_entries_of_a_search_contradict_each_other_is_unknown(path, x, y, left):
    for given in ({"x": 2, "y": None}, {"x": x, "y": y}, {"x": 2, "y": None}):
        ledger.enter_sweep(swept(given=given), path)
    assert list(ledger.entries(path)[0]["given"]) == left


@pytest.mark.parametrize(
    ("begun", "value", "differ"),
    [
        (0.1 + 0.2, np.float64(0.1) + 0.2, False),
        (0.1 + 0.2, 0.3, True),
        (1, 1.0, False),
        (1, True, True),
        (2**60 + 1, 2**60, True),
        (None, None, False),
        (None, 0.0, True),
        ("none", None, True),
        ("1", 1, True),
        (["bull_trend"], ("bull_trend",), False),
        (0.3, float("nan"), True),
        (0.3, object(), True),
    ],
)
def test_values_are_the_same_after_they_were_written_and_read(path, begun, value, differ):
    ledger.enter(**ENTRY | {"given": {"dca_tp_pct": begun}}, path=path)
    (entry,) = ledger.entries(path)
    assert ledger_entry.differs(entry, {"dca_tp_pct": value, "dca_trigger_pct": 7.0}) is differ


def test_a_parameter_that_a_run_does_not_have_was_not_chosen_unless_its_own_rule_has_lost_it(path):
    assert not ledger_entry.differs(ENTRY, {"max_position_size_pct": 0.2})
    assert ledger_entry.differs(ENTRY | {"given": {}}, {"max_position_size_pct": 0.2})  # begun with nobody knows what
    own = ENTRY | {"axes": ["dip_fall"], "given": {"dip_fall": 0.02}}
    assert [ledger_entry.differs(own, {}, prefixes) for prefixes in ((), ("di_",), ("dip_",))] == [False, False, True]


def test_a_cube_that_was_stored_is_the_same_search(path, tmp_path):
    market = ta.load_market("synthetic", symbols=1, days=12, seed=7, progress=False)
    space = {"dca_tp_pct": [0.05, 0.08], "router_cooldown_minutes": [30.0, 60.0]}
    cube = ta.sweep(market, None, space, progress=False)
    assert cube.attrs["given"] == {"dca_tp_pct": 0.08, "router_cooldown_minutes": None}
    ledger.enter_sweep(cube, path)
    first = path.read_bytes()
    ta.save_cube(cube, tmp_path / "cube")
    ledger.enter_sweep(ta.load_cube(tmp_path / "cube"), path)
    assert path.read_bytes() == first


def test_a_part_before_the_cut_does_not_open_the_hold_out(path):
    ledger.enter_sweep(swept(sample="in"), path)
    assert ledger.entries(path)[0]["holdout_opened"] is False
    ledger.enter_sweep(swept(split=True), path)
    assert ledger.entries(path)[0]["holdout_opened"] is True


def test_a_test_that_takes_back_its_patches_still_enters_its_own_ledger(monkeypatch, ledger_of_tests):
    monkeypatch.undo()
    ledger.enter_sweep(swept())
    assert ledger.ledger_path() == ledger_of_tests != PROJECTS()
    assert len(ledger.entries(ledger_of_tests)) == 1


def test_the_ledger_is_the_projects_and_outside_of_one_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "ledger_path", PROJECTS)
    monkeypatch.delenv("TRADERAGENT_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    assert ledger.enter_sweep(swept()) is None
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "dvc.yaml").write_text("")
    assert ledger.enter_sweep(swept()) == tmp_path / "data" / "ledger.json"
    assert len(ledger.entries()) == 1
    with pytest.raises(ta.DataError, match="attrs lack data_hash, space_hash, config_hash"):
        ledger.enter_sweep(swept().assign_attrs(data_hash=1).drop_attrs())
