"""Products, points and draws: order, bounds, evenness, and what is refused."""

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from traderagent.base.space import Between, Points, Space, latin_hypercube

AXES = {"a": [1, 2, 3], "b": ["x", "y"], "c": [0.5, 0.25]}


def test_a_product_is_laid_out_like_a_cube():
    space = Space.of(AXES)
    points = list(space)
    assert len(points) == len(space) == 12
    assert points[0] == {"a": 1, "b": "x", "c": 0.5}
    assert points[5] == {"a": 2, "b": "x", "c": 0.25} == space[5]
    assert space.slice(3, 99) == points[3:]
    assert np.ravel_multi_index((1, 0, 1), space.shape) == 5


def test_points_keep_their_order_and_their_names():
    points = Points.of([{"a": 1, "b": 2.0}, {"b": 3.0, "a": np.int64(1)}])
    assert points.axes == {"a": (1, 1), "b": (2.0, 3.0)}
    assert [list(point) for point in points] == [["a", "b"]] * 2
    assert points.coords == {"trial": [0, 1], "a": ("trial", [1, 1]), "b": ("trial", [2.0, 3.0])}


def test_a_hypercube_uses_each_slice_of_each_axis_once():
    n = 40
    drawn = latin_hypercube({"p": Between(0.0, 1.0), "q": Between(1e-3, 1e3, log=True), "r": [7, 8]}, n, seed=3)
    axes = {name: np.array(values) for name, values in drawn.axes.items()}
    assert sorted(np.floor(axes["p"] * n)) == list(range(n))
    assert sorted(np.floor((np.log10(axes["q"]) + 3) / 6 * n)) == list(range(n))
    assert np.bincount(axes["r"])[7:].tolist() == [20, 20]


def test_whole_bounds_draw_whole_numbers_and_both_ends():
    drawn = latin_hypercube({"k": Between(2, 5), "x": Between(0.0, 1.0)}, 64, seed=0)
    assert {type(k) for k in drawn.axes["k"]} == {int}
    assert np.bincount(drawn.axes["k"]).tolist() == [0, 0, 16, 16, 16, 16]
    logged = latin_hypercube({"k": Between(1, 100, log=True), "x": Between(0.0, 1.0)}, 500, seed=0).axes["k"]
    assert (min(logged), max(logged)) == (1, 100)


def test_a_seed_is_a_draw_and_a_doubled_point_counts_once():
    space = {"p": Between(0.0, 1.0), "k": [1, 2, 3]}
    assert latin_hypercube(space, 20, seed=1) == latin_hypercube(space, 20, seed=1)
    assert latin_hypercube(space, 20, seed=1) != latin_hypercube(space, 20, seed=2)
    assert len(latin_hypercube({"a": [1, 2], "b": [1, 2]}, 50, seed=0)) == 4


def test_bounds_of_numpy_are_numbers_and_draw_the_same():
    for given, same in (((np.int64(2), np.int32(5)), (2, 5)), ((np.float32(0.5), np.float64(2)), (0.5, 2.0))):
        assert Between(*given) == Between(*same)
        drawn = [latin_hypercube({"a": Between(*b), "b": [1, 2]}, 9, seed=0) for b in (given, same)]
        assert drawn[0] == drawn[1]
        assert {type(value) for value in drawn[0].axes["a"]} == {type(same[0])}


def test_the_largest_whole_bounds_are_drawn_exactly():
    top = 2**53
    drawn = latin_hypercube({"a": Between(top - 3, top), "b": Between(0.0, 1.0)}, 64, seed=0).axes["a"]
    assert np.bincount(np.array(drawn) - top + 3).tolist() == [16] * 4


def test_whole_numbers_below_0_are_drawn_as_often_as_those_above():
    drawn = latin_hypercube({"a": Between(-2, 1), "b": Between(0.0, 1.0)}, 64, seed=0).axes["a"]
    assert np.bincount(np.array(drawn) + 2).tolist() == [16] * 4


BAD = {
    "nothing": (lambda: Points.of([]), "points: got none"),
    "no names": (lambda: Points.of([{}]), "points: got none"),
    "other names": (lambda: Points.of([{"a": 1}, {"b": 1}]), "number 1 names b, the first one a"),
    "twice": (lambda: Points.of([{"a": 1}, {"a": 2}, {"a": 1}]), "number 2 is the same as number 0"),
    "turned": (lambda: Between(2, 1), "got 2 to 1, allowed is low below high"),
    "words": (lambda: Between("a", 1), "Between.low: got 'a', allowed is a finite number"),
    "endless": (lambda: Between(0.0, float("inf")), "Between.high: got inf"),
    "log of 0": (lambda: Between(0, 1, log=True), "allowed is a low above 0"),
    "no draws": (lambda: latin_hypercube(AXES, 1, seed=0), "n: got 1, allowed is a whole number of at least 2"),
    "half a draw": (lambda: latin_hypercube(AXES, 2.5, seed=0), "n: got 2.5"),
    "no seed": (lambda: latin_hypercube(AXES, 5, seed=None), "seed: got None"),
    "no axes": (lambda: latin_hypercube({}, 5, seed=0), "space: got {}, allowed is a mapping"),
    "a number": (lambda: Points.of(5), "points: got 5, allowed is a list of mappings"),
    "a text": (lambda: Points.of("ab"), "points: got 'ab', allowed is a list of mappings"),
    "a space": (lambda: Points.of({"a": [1, 2], "b": [1]}), "points: got {'a': .*its product is a space"),
    "a table": (lambda: Points.of(pd.DataFrame({"a": [1]})), r"got a table, .* write table.to_dict\('records'\)"),
    "scalars": (lambda: Points.of([{"a": 1}, 2]), "points: number 1 is 2, allowed is a mapping of names to values"),
    "pairs": (lambda: Points.of([[("a", 1)]]), r"points: number 0 is \[\('a', 1\)\], allowed is a mapping"),
    "undefined": (lambda: Points.of([{"a": np.nan}]), "'a' holds nan, allowed are values that a choice"),
    "beyond 64 bits": (lambda: Space.of({"a": [1, 2**63]}), "'a' holds a whole number of 64 bits, allowed are at most"),
    "beyond texts": (lambda: Points.of([{"a": 10**5000}]), "'a' holds a whole number of 16610 bits"),
    "beyond floats": (lambda: Between(0, 10**5000), "Between.high: got a whole number of 16610 bits, allowed are"),
    "beyond draws": (lambda: Between(-(2**53) - 1, 0), "Between.low: got a whole number of 54 bits"),
    "too wide": (lambda: Between(-1e308, 1e308), "got -1e.308 to 1e.308, allowed is a finite width"),
    "a truth value": (lambda: Between(np.True_, 2), "Between.low: got True, allowed is a finite number"),
    "log of what": (lambda: Between(1, 2, log="yes"), "Between.log: got 'yes', allowed are true and false"),
    "range": (lambda: Space.of({"a": Between(0, 1)}), "'a' is a range, which has no product"),
}


@pytest.mark.parametrize("name", BAD)
def test_refused(name):
    make, says = BAD[name]
    with pytest.raises(ta.ConfigError, match=says):
        make()
