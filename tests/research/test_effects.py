"""Shares of variance against sums over groups of points, and on cubes whose shares are known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings

import traderagent as ta
from tests.reference import choice as twin
from tests.research.cubes import cube_of, rows_of, sampled_of, searches
from traderagent.base.errors import ConfigError
from traderagent.research.effects import total_effects

WAYS = {"sharpe_ratio": 1, "max_drawdown_pct": -1}


def keyed(column, names):
    """A column of the table as the twin has it."""
    rest = column.loc[("rest", "")]
    main = {(name,): column.loc[(name, "")] for name in names}
    pairs = {key: value for key, value in column.items() if key[1]}
    return main | pairs | {(): rest}


@settings(max_examples=80, deadline=None)
@given(search=searches())
def test_shares_are_those_of_loops(search):
    axes, cube = search
    objective = next(name for name in WAYS if name in cube)
    table = ta.effects(cube, objective, min_trades=5)
    trades = rows_of(cube, "round_trips", axes)
    rows = [twin.ranked(v, t, 5) for v, t in zip(rows_of(cube, objective, axes), trades, strict=True)]
    rows.append(twin.pooled(rows, WAYS[objective]) or dict.fromkeys(twin.points_of(axes), math.nan))
    assert list(table) == [*cube.symbol.values, "pooled"]
    for name, values in zip(table, rows, strict=True):
        expected = twin.shares(axes, values)
        ours = keyed(table[name].drop(("defined", "")), axes)
        if expected is None:
            assert all(math.isnan(v) for v in ours.values())
        else:
            assert ours.keys() == expected.keys()
            np.testing.assert_allclose(list(ours.values()), [expected[k] for k in ours], atol=1e-9)
        defined = sum(not math.isnan(v) for v in values.values()) / len(values)
        assert table.loc[("defined", ""), name] == defined


def complete(function, trades=20.0):
    """One symbol, every point defined: a function of three parameters on their product."""
    axes = {"x": [0.0, 1.0, 2.0], "y": [0.0, 1.0, 3.0, 4.0], "z": ["a", "b"]}
    x, y, z = np.meshgrid(axes["x"], axes["y"], [0.0, 1.0], indexing="ij")
    values = function(x, y, z)[None]
    return cube_of(axes, values, np.full(values.shape, trades))


def test_a_sum_has_main_effects_only_and_their_variances_share_it():
    table = ta.effects(complete(lambda x, y, z: 3 * x + y))["S0"]
    of_x, of_y = 9 * np.var([0, 1, 2]), np.var([0, 1, 3, 4])
    expected = {("x", ""): of_x / (of_x + of_y), ("y", ""): of_y / (of_x + of_y)}
    for key, share in table.drop(("defined", "")).items():
        assert share == pytest.approx(expected.get(key, 0.0), abs=1e-12)


def test_what_two_do_together_is_their_interaction_and_three_the_rest():
    two = ta.effects(complete(lambda x, y, z: (x - 1) * (y - 2)))["S0"]
    assert two[("x", "y")] == pytest.approx(1.0)
    three = ta.effects(complete(lambda x, y, z: (x - 1) * (y - 2) * (z - 0.5)))["S0"]
    assert three[("rest", "")] == pytest.approx(1.0)
    assert three.drop([("rest", ""), ("defined", "")]).abs().max() < 1e-12


def test_shares_of_a_complete_cube_are_a_partition():
    rng = np.random.default_rng(2)
    table = ta.effects(complete(lambda x, y, z: rng.normal(size=x.shape)))["S0"].drop(("defined", ""))
    assert table.sum() == pytest.approx(1.0)
    assert table.min() > 0.0


def test_without_variance_or_trades_shares_are_undefined():
    for cube in (complete(lambda x, y, z: 0 * x + 0.1), complete(lambda x, y, z: x, trades=9.0)):
        assert ta.effects(cube).drop(("defined", "")).isna().all(axis=None)


def test_the_hold_out_has_no_say():
    rng = np.random.default_rng(3)
    values, trades = rng.normal(size=(2, 2, 3, 2)), np.full((2, 2, 3, 2), 20.0)
    axes = {"x": [1, 2, 3], "y": [1, 2]}
    other = values.copy()
    other[:, 1] *= 7.0
    assert ta.effects(cube_of(axes, values, trades)).equals(ta.effects(cube_of(axes, other, trades)))
    assert not ta.effects(cube_of(axes, values, trades)).equals(ta.effects(cube_of(axes, values[:, ::-1], trades)))


def test_points_that_are_no_product_are_refused():
    cube = complete(lambda x, y, z: x)
    with pytest.raises(ta.ConfigError, match="effects: got sampled points, allowed is a product"):
        ta.effects(sampled_of(cube, {"x": 0, "y": 0, "z": 0}))
    with pytest.raises(ta.UnknownName, match="unknown objective 'sharpe'"):
        ta.effects(cube, "sharpe")


def test_a_total_effect_is_what_the_others_leave_unexplained():
    cube = complete(lambda x, y, z: x * y + z + np.sin(3 * x + y * z))
    values = cube["sharpe_ratio"].isel(symbol=0)
    totals = total_effects(cube)["S0"]
    for name in totals.index:
        known = values.mean(name)  # what the others alone explain
        assert totals[name] == pytest.approx(1.0 - float(known.var()) / float(values.var()), abs=1e-12)
    main = ta.effects(cube)["S0"].xs("", level="with")
    assert (totals >= main[totals.index]).all()


def test_totals_of_a_sum_are_its_main_effects_and_of_a_product_more_than_them():
    totals = total_effects(complete(lambda x, y, z: 3 * x + y))["S0"]
    main = ta.effects(complete(lambda x, y, z: 3 * x + y))["S0"].xs("", level="with")
    assert totals.to_numpy() == pytest.approx(main[totals.index].to_numpy(), abs=1e-12)
    crossed = total_effects(complete(lambda x, y, z: (x - 1) * (y - 2)))["S0"]
    assert crossed.to_numpy() == pytest.approx([1.0, 1.0, 0.0], abs=1e-12)
    assert total_effects(complete(lambda x, y, z: 0 * x))["S0"].isna().all()
    with pytest.raises(ConfigError, match="sampled points"):
        total_effects(sampled_of(complete(lambda x, y, z: x), {"x": [], "y": [], "z": []}))
