"""The choice against loops over a dict of points; what never wins, what is never read, what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given, settings

import traderagent as ta
from tests.reference import choice as twin
from tests.research.cubes import cube_of, rows_of, sampled_of, searches

AXES = {"dca_tp_pct": [0.02, 0.01, 0.03], "grid_exit": ["profit", "next_level"]}
OBJECTIVES = {"sharpe_ratio": 1, "max_drawdown_pct": -1}


def small(**more):
    """One symbol; the lone peak at 0.03/profit, the broad ground around 0.01."""
    values = np.array([[[4.0, 0.0], [4.0, 4.0], [6.0, -9.0]]])
    return cube_of(AXES, values, np.full(values.shape, 20.0), **more)


def expected(axes, cube, select, min_trades):
    """Chosen point, objective and score of every row, by the twin."""
    objective = next(name for name in OBJECTIVES if name in cube)
    way = OBJECTIVES[objective]
    trades = rows_of(cube, "round_trips", axes)
    rows = [twin.ranked(v, t, min_trades) for v, t in zip(rows_of(cube, objective, axes), trades, strict=True)]
    rows.append(twin.pooled(rows, way) or dict.fromkeys(twin.points_of(axes), math.nan))
    for values in rows:
        scores = twin.plateau(axes, values) if select == "plateau" else values
        yield twin.chosen(scores, values, way), values, twin.plateau(axes, values)


@pytest.mark.parametrize("select", ["plateau", "best"])
@settings(max_examples=60, deadline=None)
@given(search=searches())
def test_the_choice_is_that_of_loops(select, search):
    axes, cube = search
    objective = next(name for name in OBJECTIVES if name in cube)
    table = ta.best(cube, objective, min_trades=5, select=select)
    assert list(table.index) == [*cube.symbol.values, "pooled"]
    column = f"{objective}_in" if "sample" in cube.dims else objective
    for (_, row), (point, values, plateau) in zip(table.iterrows(), expected(axes, cube, select, 5), strict=True):
        if point is None:
            assert row[[*axes, column, "trades", "plateau"]].isna().all()
            assert row["why"]
        else:
            assert tuple(row[name] for name in axes) == point
            assert row[column] == values[point]
            np.testing.assert_equal(row["plateau"], plateau[point])
            assert row["why"] == ""


@settings(max_examples=40, deadline=None)
@given(search=searches())
def test_a_plateau_is_the_mean_over_what_is_one_step_away(search):
    axes, cube = search
    objective = next(name for name in OBJECTIVES if name in cube)
    found = ta.plateau(cube, objective, min_trades=5)
    assert set(found.dims) == set(cube[objective].dims)
    part = found.sel(sample="in") if "sample" in cube.dims else found
    trades = rows_of(cube, "round_trips", axes)
    for symbol, values, n in zip(cube.symbol.values, rows_of(cube, objective, axes), trades, strict=True):
        for point, score in twin.plateau(axes, twin.ranked(values, n, 5)).items():
            ours = float(part.sel(symbol=symbol, **dict(zip(axes, point, strict=True))))
            np.testing.assert_equal(ours, score, err_msg=f"{point}")


def test_a_lone_peak_loses_against_broad_ground_by_plateau_and_wins_by_best():
    assert ta.best(small()).loc["S0", ["dca_tp_pct", "grid_exit"]].tolist() == [0.01, "profit"]
    assert ta.best(small(), select="best").loc["S0", ["dca_tp_pct", "grid_exit"]].tolist() == [0.03, "profit"]


def test_less_is_better_where_the_metric_says_so():
    cube = small(objective="max_drawdown_pct")
    assert ta.best(cube, "max_drawdown_pct", select="best").loc["S0", "max_drawdown_pct"] == -9.0


def test_numbers_are_next_to_each_other_by_value_and_not_by_place():
    scores = ta.plateau(small()).sel(symbol="S0", grid_exit="profit")
    # 0.01 touches 0.02, which stands before it; 0.03 touches 0.02, two places away; never each other.
    assert float(scores.sel(dca_tp_pct=0.01)) == (4 + 4 + 4) / 3
    assert float(scores.sel(dca_tp_pct=0.03)) == (6 + 4 - 9) / 3
    assert float(scores.sel(dca_tp_pct=0.02)) == (4 + 4 + 6 + 0) / 4


def test_ties_go_to_the_better_point_then_to_the_first():
    text = {"grid_exit": ["a", "b", "c"]}  # all of one neighbourhood, so all of one score
    values = np.array([[0.1, 0.3, 0.2]])
    assert ta.best(cube_of(text, values, values * 0 + 20)).loc["S0", "grid_exit"] == "b"
    same = np.array([[0.3, 0.3, 0.3]])
    for select in ("plateau", "best"):
        assert ta.best(cube_of(text, same, same * 0 + 20), select=select).loc["S0", "grid_exit"] == "a"


def test_without_trades_nothing_is_chosen_and_the_reason_is_said():
    cube = small()
    for trades, says in ((0.0, "none of 6 trials closed a round trip"), (9.0, "at most 9 round trips in 6 trials")):
        row = ta.best(cube.assign(round_trips=cube.round_trips * 0 + trades)).loc["S0"]
        assert row[["dca_tp_pct", "grid_exit", "sharpe_ratio", "trades", "plateau", "dsr", "pbo"]].isna().all()
        assert row["why"].startswith(says)
        assert row["ranked"] == 0
    # min_trades=0 still asks for one: what never traded has no objective, whatever its number says.
    assert ta.best(cube.assign(round_trips=cube.round_trips * 0), min_trades=0)["dca_tp_pct"].isna().all()
    assert ta.best(cube.assign(round_trips=cube.round_trips * 0 + 1), min_trades=0)["dca_tp_pct"].notna().all()


def test_a_point_cannot_win_pooled_by_failing_where_it_would_lose():
    axes = {"tf_ema_fast": [5, 10]}
    values = np.array([[9.0, 1.0], [np.nan, 1.0], [np.nan, 1.0]])
    table = ta.best(cube_of(axes, values, np.full(values.shape, 20.0)), select="best")
    assert table.loc["S0", "tf_ema_fast"] == 5
    assert table.loc["pooled", ["tf_ema_fast", "sharpe_ratio", "trades"]].tolist() == [10, 1.0, 60]


def test_the_hold_out_is_shown_and_never_chosen_by():
    rng = np.random.default_rng(4)
    values = rng.normal(size=(3, 2, 3, 2))
    trades = np.full(values.shape, 20.0)
    other = values.copy()
    other[:, 1] = rng.normal(size=(3, 3, 2)) * 100
    none = trades.copy()
    none[:, 1] = 0.0
    first, second = ta.best(cube_of(AXES, values, trades)), ta.best(cube_of(AXES, other, none))
    assert first.drop(columns="sharpe_ratio_out").equals(second.drop(columns="sharpe_ratio_out"))
    assert not np.isclose(first["sharpe_ratio_out"], second["sharpe_ratio_out"]).any()


def test_whole_numbers_stay_whole_beside_a_row_without_a_choice():
    axes = {"tf_ema_fast": [5, 10]}
    values = np.array([[1.0, 2.0], [np.nan, np.nan]])
    table = ta.best(cube_of(axes, values, np.full(values.shape, 20.0)), select="best")
    assert repr(table.loc["S0", "tf_ema_fast"]) in ("10", "np.int64(10)")
    assert math.isnan(table.loc["S1", "tf_ema_fast"])


@settings(max_examples=30, deadline=None)
@given(search=searches())
def test_a_list_of_points_is_chosen_from_as_their_product(search):
    axes, cube = search
    objective = next(name for name in OBJECTIVES if name in cube)
    product = ta.best(cube, objective, min_trades=5, select="best").drop(columns="plateau")
    listed = ta.best(sampled_of(cube, axes), objective, min_trades=5, select="best").drop(columns="plateau")
    for name in product:
        assert list(map(repr, listed[name])) == list(map(repr, product[name])), name


def test_points_without_neighbours_have_no_plateau():
    listed = sampled_of(small(), AXES)
    with pytest.raises(ta.ConfigError, match="got 'plateau' on sampled points.*allowed is select='best'"):
        ta.best(listed)
    with pytest.raises(ta.ConfigError, match="got 'plateau' on sampled points"):
        ta.plateau(listed)
    assert math.isnan(ta.best(listed, select="best").loc["S0", "plateau"])
    lonely = cube_of({"tf_ema_fast": [5, 10, 20]}, np.array([[1.0, np.nan, 2.0]]), np.full((1, 3), 20.0))
    assert "no point has enough defined neighbours" in ta.best(lonely).loc["S0", "why"]


BAD = {
    "no cube": (lambda c: ([1], {}), "cube: got list, allowed is the xarray.Dataset"),
    "unknown objective": (
        lambda c: (c, {"objective": "sharp_ratio"}),
        "unknown objective 'sharp_ratio'.*'sharpe_ratio'",
    ),
    "no direction": (lambda c: (c, {"objective": "round_trips"}), "'round_trips', of which neither more nor less"),
    "unknown selection": (lambda c: (c, {"select": "plato"}), "unknown select 'plato'.*allowed: best, plateau"),
    "trades below 0": (lambda c: (c, {"min_trades": -1}), "min_trades: got -1"),
    "trades as text": (lambda c: (c, {"min_trades": "10"}), "min_trades: got '10'"),
    "trades as a switch": (lambda c: (c, {"min_trades": True}), "min_trades: got True"),
    "no trades": (lambda c: (c.drop_vars("round_trips"), {}), "has no 'round_trips'"),
    "no symbols": (lambda c: (c.isel(symbol=0, drop=True), {}), "has no 'symbol'"),
    "no parameters": (lambda c: (c.isel(dca_tp_pct=0, grid_exit=0), {}), "has no parameters"),
    "no values": (lambda c: (c.drop_vars("grid_exit"), {}), r"dims \['grid_exit'\] have no values"),
    "the hold-out": (lambda c: (c.expand_dims(sample=["out"]), {}), "got the sample out alone"),
    "a part of it": (lambda c: (c.assign_coords(sample="out"), {}), "got the sample out alone"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_words(name):
    cube, options = BAD[name][0](small())
    with pytest.raises(ta.TraderAgentError, match=BAD[name][1]):
        ta.best(cube, **options)


def test_one_symbol_taken_out_of_a_cube_is_chosen_for_as_before():
    values = np.random.default_rng(1).normal(size=(2, 3, 2))
    cube = cube_of(AXES, values, np.full(values.shape, 20.0))
    assert ta.best(cube.sel(symbol="S1")).loc["S1"].equals(ta.best(cube).loc["S1"])


@pytest.mark.parametrize("ask", [ta.best, ta.effects, ta.plateau])
@pytest.mark.parametrize("dim", ["symbol", "x"])
def test_a_cube_with_nothing_left_is_refused(ask, dim):
    cube = cube_of({"x": [1, 2], "y": [3, 4]}, np.ones((2, 2, 2)), np.full((2, 2, 2), 20.0))
    with pytest.raises(ta.DataError, match=f"cube: nothing is left along '{dim}', at least one"):
        ask(cube.isel({dim: slice(0)}))
