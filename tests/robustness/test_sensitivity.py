"""Sensitivity: every step is a backtest, cliffs and plateaus are where they were put, nothing is chosen or counted."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from tests.research.cubes import cube_of, sampled_of
from traderagent.base.errors import ConfigError, UnknownName
from traderagent.metrics.surface import surface
from traderagent.research.best_params import config_at
from traderagent.research.placement import fields_of
from traderagent.robustness.cliffs import cliffs_in, is_cliff, lost, plateau_widths, position_of
from traderagent.robustness.steps import CHOSEN, steps_around

QUIET = {"progress": False}
CONFIG = ta.OrchestratorBacktestConfig(warmup_bars=900)
POINT = {"dca_tp_pct": 0.05, "tf_ema_fast": 12, "max_position_size_pct": 0.2}
FIELDS = fields_of(CONFIG)


@pytest.fixture(scope="module")
def market():
    return ta.load_market("synthetic", symbols=2, days=50, seed=7, progress=False)


@pytest.fixture(scope="module")
def cube(market):
    space = {"dca_tp_pct": [0.05, 0.08], "max_position_size_pct": [0.1, 0.2, 0.3], "tf_ema_fast": [12, 16]}
    return ta.sweep(market, CONFIG, space, returns=None, counted=False, **QUIET)


# --- steps ------------------------------------------------------------------------------------------
def test_whole_numbers_stay_whole_and_bounds_are_kept():
    point = {"tf_ema_fast": 12, "regime_check_every_n": 1, "reduce_factor": 0.95, "dca_tp_pct": 0.05}
    steps, points, notes = steps_around(point, FIELDS, (0.05, 0.2))
    found = {(s.parameter, s.step): (s.value, s.same_as) for s in steps}
    assert found[("tf_ema_fast", 0.2)] == (14, "")
    assert found[("tf_ema_fast", -0.2)] == (10, "")
    assert found[("tf_ema_fast", 0.05)] == (13, "")
    assert found[("tf_ema_fast", -0.05)] == (11, "")
    assert [found[("regime_check_every_n", s)] for s in (-0.2, -0.05, 0.05, 0.2)] == [(1, CHOSEN)] * 4
    assert found[("reduce_factor", 0.2)] == (1.0, "")
    assert found[("dca_tp_pct", -0.2)] == (pytest.approx(0.04), "")
    assert all(isinstance(s.value, int) for s in steps if isinstance(point[s.parameter], int))
    assert points[0] == point
    assert len(points) == 1 + 4 + 0 + 4 + 4
    assert all(points[s.trial][s.parameter] == s.value for s in steps)
    assert all(sum(p[n] != point[n] for n in point) == 1 for p in points[1:])
    assert [s.step for s in steps[:4]] == [-0.2, -0.05, 0.05, 0.2]
    assert notes == []
    (down, _), points, _ = steps_around({"regime_check_every_n": 1}, FIELDS, (0.9,))
    assert (down.value, down.same_as) == (1, CHOSEN)
    assert points == [{"regime_check_every_n": 1}, {"regime_check_every_n": 2}]


def test_a_step_that_ends_where_a_smaller_one_did_is_named_and_not_run_again():
    steps, points, _ = steps_around({"reduce_factor": 0.99, "regime_check_every_n": 6}, FIELDS, (0.05, 0.1, 0.2))
    same = {(s.parameter, s.step): s.same_as for s in steps if s.same_as}
    assert same == {
        ("reduce_factor", 0.1): "+5%",
        ("reduce_factor", 0.2): "+5%",
        ("regime_check_every_n", -0.05): CHOSEN,
        ("regime_check_every_n", 0.05): CHOSEN,
        ("regime_check_every_n", -0.2): "-10%",
        ("regime_check_every_n", 0.2): "+10%",
    }
    assert len({tuple(p.values()) for p in points}) == len(points) == 7


def test_what_is_no_number_stays():
    steps, points, notes = steps_around({"on_deactivate": "keep", "dca_tp_pct": 0.05}, FIELDS, (0.1,))
    assert {s.parameter for s in steps} == {"dca_tp_pct"}
    assert all(p["on_deactivate"] == "keep" for p in points)
    assert notes == ["on_deactivate is 'keep', no number, and stays"]


def test_every_step_is_a_backtest(market):
    data = market["SYN-01"]
    found = ta.sensitivity(data, CONFIG, POINT, steps=(0.1, 0.3), min_trades=1, **QUIET)
    base = ta.backtest(data, config_at(CONFIG, POINT)[0]).metrics["sharpe_ratio"]
    assert found.chosen == {"SYN-01": base}
    assert len(found.steps) == 3 * 4
    for row in found.steps.to_dict("records"):
        run = ta.backtest(data, config_at(CONFIG, POINT | {row["parameter"]: row["value"]})[0])
        assert row["objective"] == run.metrics["sharpe_ratio"]
        assert row["change"] == row["objective"] - base
        assert row["trades"] == run.total_trades
    tornado = found.tornado()
    for name in POINT:
        changes = found.steps[found.steps.parameter == name].change
        assert tornado.loc[name, "lowest"] == min(changes.min(), 0.0)
        assert tornado.loc[name, "highest"] == max(changes.max(), 0.0)
    assert tornado.swing.is_monotonic_decreasing
    assert tornado.swing.iloc[0] > 0.0


def test_the_pooled_row_is_the_median_of_symbols_that_share_the_point(market):
    found = ta.sensitivity(market, CONFIG, POINT, steps=(0.2,), min_trades=1, **QUIET)
    assert found.rows == ["SYN-01", "SYN-02", "pooled"]
    table = found.steps.pivot(index=["parameter", "step"], columns="symbol", values="objective")
    assert table["pooled"].to_numpy() == pytest.approx(((table["SYN-01"] + table["SYN-02"]) / 2).to_numpy(), rel=1e-12)
    assert found.tornado().equals(found.tornado("pooled"))


# --- where the point comes from ---------------------------------------------------------------------
def test_a_table_of_choices_gives_each_symbol_its_own_point(market, cube):
    best = ta.best(cube, min_trades=1, luck=False)
    best.loc["SYN-01", "dca_tp_pct"], best.loc["SYN-02", "dca_tp_pct"] = 0.05, 0.08
    found = ta.sensitivity(market, CONFIG, best, steps=(0.1,), min_trades=1, **QUIET)
    assert found.points["SYN-01"]["dca_tp_pct"] == 0.05
    assert found.points["SYN-02"]["dca_tp_pct"] == 0.08
    assert isinstance(found.points["SYN-01"]["tf_ema_fast"], int)
    assert found.rows == ["SYN-01", "SYN-02"]
    alone = ta.sensitivity(market["SYN-02"], CONFIG, best, steps=(0.1,), min_trades=1, **QUIET)
    mine = found.steps[found.steps.symbol == "SYN-02"].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, alone.steps)
    with pytest.raises(UnknownName, match="unknown symbol None"):
        found.tornado()
    row = ta.sensitivity(market, CONFIG, best.loc["pooled"], steps=(0.1,), min_trades=1, **QUIET)
    assert set(row.points["SYN-01"]) == set(POINT)
    others = ta.sensitivity(market, CONFIG, best.loc[["pooled"]], steps=(0.1,), min_trades=1, **QUIET)
    pd.testing.assert_frame_equal(others.steps, row.steps)


def test_symbols_are_pooled_only_where_all_share_the_point(market, cube):
    best = ta.best(cube, min_trades=1, luck=False).loc[["pooled", "pooled", "pooled"]]
    best.index = ["SYN-01", "SYN-02", "AAAUSDT"]
    best.loc["AAAUSDT", "dca_tp_pct"] = 0.06
    third = market | {"AAAUSDT": market["SYN-01"].replace(symbol="AAAUSDT")}
    found = ta.sensitivity(third, CONFIG, best, steps=(0.1,), min_trades=1, **QUIET)
    assert found.rows == ["SYN-01", "SYN-02", "AAAUSDT"]
    assert set(found.steps["symbol"]) == {"SYN-01", "SYN-02", "AAAUSDT"}


def test_a_symbol_without_a_choice_is_skipped_with_the_reason(market, cube):
    best = ta.best(cube, min_trades=1, luck=False)
    best["tf_ema_fast"] = best["tf_ema_fast"].astype(object)
    best.loc["SYN-01", ["dca_tp_pct", "tf_ema_fast", "max_position_size_pct"]] = np.nan
    best.loc["SYN-01", "why"] = "none of 12 trials closed a round trip"
    found = ta.sensitivity(market, CONFIG, best, steps=(0.1,), min_trades=1, **QUIET)
    assert found.skipped == {"SYN-01": "none of 12 trials closed a round trip"}
    assert found.rows == ["SYN-02"]
    with pytest.raises(ConfigError, match="no symbol has a chosen point"):
        ta.sensitivity(market["SYN-01"], CONFIG, best, **QUIET)


def test_the_result_of_an_optimiser_is_a_table(market):
    space = {"dca_tp_pct": [0.05, 0.08], "max_position_size_pct": [0.1, 0.2]}
    search = ta.optimize_orchestrator(market["SYN-01"], CONFIG, space, holdout=0.3, min_trades=1, **QUIET)
    found = ta.sensitivity(market["SYN-01"], CONFIG, search, steps=(0.1,), holdout=0.3, min_trades=1, **QUIET)
    assert found.points["SYN-01"] == search.best_params["SYN-01"]


# --- cliffs -----------------------------------------------------------------------------------------
AXES = {"a": [1, 2, 3, 4, 5], "b": ["x", "y", "z"]}


def planted(values, objective="sharpe_ratio", trades=20.0):
    values = np.array(values, float)[None]
    return surface(cube_of(AXES, values, np.full(values.shape, trades), objective=objective), objective)


@pytest.mark.parametrize(
    ("chosen", "other", "orientation", "share", "cliff"),
    [
        (2.0, 1.0, 1, 0.5, False),
        (2.0, 0.99, 1, 0.505, True),
        (2.0, -1.0, 1, 1.5, True),
        (2.0, 3.0, 1, -0.5, False),
        (2.0, math.nan, 1, math.nan, True),
        (0.0, -1.0, 1, math.nan, False),
        (-2.0, -9.0, 1, math.nan, False),
        (math.nan, 1.0, 1, math.nan, False),
        (10.0, 15.0, -1, 0.5, False),
        (10.0, 15.1, -1, 0.51, True),
        (10.0, 2.0, -1, -0.8, False),
    ],
)
def test_more_than_half_lost_is_a_cliff(chosen, other, orientation, share, cliff):
    assert lost(chosen, other, orientation) == pytest.approx(share, nan_ok=True)
    assert bool(is_cliff(chosen, other, orientation)) is cliff


def test_cliffs_and_plateaus_of_a_cube_are_where_they_were_put():
    values = np.full((5, 3), 2.0)
    values[4, 0], values[2, 1], values[0, 0], values[3, 2] = 0.5, 0.9, math.nan, 0.1
    seen = planted(values)
    at = position_of(seen, {"a": 3, "b": "x", "other": 7})
    assert seen.point(at) == {"a": 3, "b": "x"}
    found = cliffs_in(seen, 0, at)
    assert [(c["symbol"], c["parameter"], c["value"], c["objective"]) for c in found] == [("S0", "b", "y", 0.9)]
    assert found[0]["lost"] == pytest.approx(0.55)
    width = plateau_widths(seen, 0, at)
    assert width.loc["a"].tolist() == [2, 4, 3, 5]
    assert width.loc["b"].tolist() == pytest.approx([math.nan, math.nan, 2, 3], nan_ok=True)
    edge = cliffs_in(seen, 0, position_of(seen, {"a": 2, "b": "x"}))
    assert [(c["parameter"], c["value"]) for c in edge] == [("a", 1)]
    assert math.isnan(edge[0]["objective"])
    assert position_of(seen, {"a": 9, "b": "x"}) is None
    assert position_of(seen, {"a": 3}) is None


def test_a_plateau_goes_by_value_whatever_the_order_of_the_axis():
    values = np.array([2.0, 0.1, 2.0, 2.0, 2.0])
    cube = cube_of({"a": [4, 1, 3, 5, 2]}, values[None], np.full((1, 5), 20.0))
    width = plateau_widths(surface(cube), 0, 2)
    assert width.loc["a"].tolist() == [2, 5, 4, 5]


def test_a_point_that_is_worth_nothing_has_no_plateau_and_no_cliff():
    seen = planted(np.full((5, 3), -1.0))
    assert cliffs_in(seen, 0, 0) == []
    assert plateau_widths(seen, 0, 0)["n_values"].isna().all()


def test_a_cube_adds_shares_plateaus_and_its_own_neighbours(market, cube):
    found = ta.sensitivity(market, CONFIG, POINT, steps=(0.1,), min_trades=1, cube=cube, **QUIET)
    shares = ta.effects(cube, "sharpe_ratio", 1)
    for symbol, name in product(("SYN-01", "SYN-02", "pooled"), POINT):
        assert found.shares.loc[(symbol, name), "main"] == shares.loc[(name, ""), symbol]
        assert found.shares.loc[(symbol, name), "total"] >= found.shares.loc[(symbol, name), "main"] - 1e-12
    assert set(found.plateaus.index.get_level_values("symbol")) == {"SYN-01", "SYN-02", "pooled"}
    assert {"swing", "main", "total", "n_values"} <= set(found.table("SYN-01"))
    elsewhere = ta.sensitivity(market, CONFIG, POINT | {"tf_ema_fast": 13}, (0.1,), min_trades=1, cube=cube, **QUIET)
    assert elsewhere.plateaus is None
    assert any("does not hold the chosen point" in note for note in elsewhere.notes)
    sampled = sampled_of(cube, {name: [] for name in POINT})
    with pytest.raises(ConfigError, match="sampled points"):
        ta.sensitivity(market, CONFIG, POINT, cube=sampled, **QUIET)


def test_a_cliff_of_the_steps_is_reported_once(market):
    data = market["SYN-01"]
    point, way = {"max_position_size_pct": 0.2}, "total_return_pct"
    found = ta.sensitivity(data, CONFIG, point, (0.5, 0.99), min_trades=1, objective=way, **QUIET)
    mine = found.steps[found.steps.cliff]
    chosen = found.chosen["SYN-01"]
    assert chosen > 0.0
    expected = found.steps[found.steps.objective < chosen / 2]
    assert len(expected) >= 1
    assert mine.index.tolist() == expected.index.tolist()
    assert found.cliffs["value"].tolist() == mine["value"].tolist()
    assert found.has_cliff() is True
    assert "cliff" in repr(found)


# --- rules ------------------------------------------------------------------------------------------
def test_nothing_is_counted_as_a_search(market, monkeypatch):
    def refuse(*told):
        raise AssertionError("entered in the ledger")

    monkeypatch.setattr("traderagent.research.sweep.enter_finished", refuse)
    ta.sensitivity(market["SYN-01"], CONFIG, POINT, steps=(0.1,), **QUIET)


def test_the_hold_out_is_only_looked_at(market):
    data = market["SYN-01"]
    frame = data.candles
    frame.loc[frame.index >= data.cut(0.3), ["open", "high", "low", "close"]] *= 1.1
    other = ta.MultiTimeframeData.from_base(data.symbol, frame, instrument=data.instrument)
    found = [ta.sensitivity(d, CONFIG, POINT, (0.2,), holdout=0.3, min_trades=1, **QUIET) for d in (data, other)]
    pd.testing.assert_frame_equal(found[0].steps.drop(columns="out"), found[1].steps.drop(columns="out"))
    assert not found[0].steps["out"].equals(found[1].steps["out"])
    inside = ta.sensitivity(data.split(0.3)[0], CONFIG, POINT, (0.2,), min_trades=1, **QUIET)
    pd.testing.assert_frame_equal(inside.steps, found[0].steps.drop(columns="out"))


def test_workers_change_no_byte(market):
    found = [ta.sensitivity(market, CONFIG, POINT, (0.2,), workers=n, **QUIET).to_dict() for n in (1, 3)]
    assert repr(found[0]) == repr(found[1])


def test_an_undefined_point_says_so(market):
    found = ta.sensitivity(market["SYN-01"], CONFIG, POINT, (0.2,), min_trades=10_000, **QUIET)
    assert math.isnan(found.chosen["SYN-01"])
    assert found.has_cliff() is None
    assert found.cliffs.empty
    assert found.tornado()["swing"].isna().all()
    assert "undefined at the chosen point" in repr(found)
    assert "not to be told for 1 of 1" in found.headline()
    assert found.to_dict()["chosen"] == {"SYN-01": None}


def test_a_step_that_no_config_allows_is_named(market):
    point = {"tf_ema_fast": 18, "tf_ema_slow": 20}
    found = ta.sensitivity(market["SYN-01"], CONFIG, point, (0.2, 0.21), min_trades=1, **QUIET)
    crossing = found.steps[(found.steps.parameter == "tf_ema_fast") & (found.steps.step > 0)]
    assert crossing["value"].tolist() == [22, 22]
    assert crossing["objective"].isna().all()
    assert crossing["cliff"].all()
    assert sum("1 points:" in note for note in found.notes) == 2
    assert found.tornado().loc["tf_ema_fast", "undefined"] == 2
    # Both steps are the same point: one cliff.
    assert found.cliffs[found.cliffs.parameter == "tf_ema_fast"]["value"].tolist() == [22]


# --- bad input --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"around": None}, ConfigError, "around: got None"),
        ({"around": {}}, ConfigError, "around: got {}"),
        ({"around": 5}, ConfigError, "around: got 5"),
        ({"around": {"dca_tp_pc": 0.05}}, UnknownName, "did you mean 'dca_tp_pct'"),
        ({"around": {"smc_max_hold_hours": 5}}, UnknownName, "unknown parameter"),
        ({"steps": ()}, ConfigError, "steps: got"),
        ({"steps": (0.1, 0.1)}, ConfigError, "each once"),
        ({"steps": (0.0,)}, ConfigError, "steps: got 0"),
        ({"steps": (1.0,)}, ConfigError, "steps: got 1"),
        ({"steps": "0.1"}, ConfigError, "steps: got '0.1'"),
        ({"objective": "sharp_ratio"}, UnknownName, "did you mean 'sharpe_ratio'"),
        ({"objective": "turnover"}, ConfigError, "neither more nor less"),
        ({"min_trades": -1}, ConfigError, "min_trades: got -1"),
        ({"cfg": {}}, ConfigError, "cfg: got dict"),
        ({"market": {}}, ConfigError, r"market: got \{\}"),
        ({"workers": 0}, ConfigError, "workers: got 0"),
        ({"cube": 5}, ConfigError, "cube: got int"),
    ],
)
def test_bad_arguments_are_refused_with_the_reason(market, arguments, kind, words):
    given = {"market": market["SYN-01"], "cfg": CONFIG, "around": POINT, "steps": (0.1,), **QUIET} | arguments
    with pytest.raises(kind, match=words):
        ta.sensitivity(**given)


def test_a_table_without_the_symbol_is_refused(market, cube):
    best = ta.best(cube, min_trades=1, luck=False).loc[["SYN-02"]]
    with pytest.raises(UnknownName, match="unknown symbol 'SYN-01' in around"):
        ta.sensitivity(market, CONFIG, best, **QUIET)
