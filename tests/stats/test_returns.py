"""What counts as returns: arrays, tables and cubes give the same columns, and everything else says why not."""

import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import traderagent as ta
from traderagent.base.errors import DataError
from traderagent.stats import (
    block_length,
    bootstrap_interval,
    effective_trials,
    moments,
    probability_of_backtest_overfitting,
    reality_check,
)
from traderagent.stats.columns import columns_of, series_of

DAYS = pd.date_range("2024-01-01", periods=40, name="day")
VALUES = np.random.default_rng(0).normal(0.0, 0.01, (40, 6)).astype(np.float32)


def cube(values=VALUES, symbols=("A",)):
    """A cube as `ta.sweep` makes it: symbol, parameters, day."""
    cells = np.stack([values.T.reshape(2, 3, 40)] * len(symbols))
    coords = {"symbol": list(symbols), "x": [1, 2], "y": [0.1, 0.2, 0.3], "day": DAYS}
    return xr.Dataset({"returns": (("symbol", "x", "y", "day"), cells)}, coords)


def given_as(kind):
    return {
        "array": VALUES,
        "lists": VALUES.tolist(),
        "frame": pd.DataFrame(VALUES, DAYS),
        "cube": cube(),
        "one symbol of a cube": cube(symbols=("A", "B")).sel(symbol="B"),
        "pooled cube": cube(symbols=("A", "B")).mean("symbol"),
        "returns of a cube": cube()["returns"],
        "day first": cube()["returns"].transpose("day", "symbol", "x", "y"),
    }[kind]


KINDS = ["array", "lists", "frame", "cube", "one symbol of a cube", "pooled cube", "returns of a cube", "day first"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_columns(kind):
    found = columns_of(given_as(kind))
    assert found.values.dtype == np.float64
    assert found.values.flags.c_contiguous
    np.testing.assert_array_equal(found.values, VALUES.astype(np.float64))
    assert (found.left_out, found.kept.tolist()) == (0, [0, 1, 2, 3, 4, 5])


def test_what_was_given_does_not_change():
    values = VALUES.copy()
    columns_of(values).values[:] = 0.0
    np.testing.assert_array_equal(values, VALUES)


def test_days_outside_the_span_and_columns_without_a_trade():
    values = VALUES.astype(np.float64)
    values[:, 1], values[:, 4] = 0.0, math.nan
    values[:3], values[-2:] = math.nan, math.nan
    found = columns_of(cube(values))
    assert (found.n_days, found.n_trials, found.left_out) == (35, 4, 2)
    assert found.kept.tolist() == [0, 2, 3, 5]
    np.testing.assert_array_equal(found.values, values[3:-2][:, [0, 2, 3, 5]])
    assert found.inside.tolist() == [False] * 3 + [True] * 35 + [False] * 2


def test_a_sweep_goes_straight_in():
    market = ta.load_market("synthetic", symbols=2, days=60, progress=False)
    made = ta.sweep(market, space={"dca_tp_pct": [0.02, 0.05], "grid_num_levels": [6, 10, 14]}, progress=False)
    symbol = str(made.symbol[0].item())
    with pytest.raises(DataError, match=r"got 2 values of symbol, allowed is one; choose one with \.sel\(symbol=…\)"):
        effective_trials(made)
    found = effective_trials(made.sel(symbol=symbol))
    assert found.n_trials + found.left_out == 6
    direct = made["returns"].sel(symbol=symbol).stack(trial=["dca_tp_pct", "grid_num_levels"]).transpose("day", "trial")
    assert found == effective_trials(direct.to_numpy())
    assert probability_of_backtest_overfitting(made.mean("symbol"), 4).n_splits == 6


PARTLY = VALUES.astype(np.float64)
PARTLY[5:9, 3] = math.nan
INFINITE = VALUES.astype(np.float64)
INFINITE[7, 2] = math.inf
BOTH = xr.concat([cube(), cube()], pd.Index(["in", "out"], name="sample"))


@pytest.mark.parametrize(
    ("returns", "message"),
    [
        (PARTLY, "column 3 is NaN on 4 of 40 days, and 1 columns are like it; .*fill the days"),
        (cube(PARTLY), "column symbol=A, x=2, y=0.1 is NaN"),
        (pd.DataFrame(PARTLY, columns=list("abcdef")), "column 'd' is NaN"),
        (INFINITE, "column 2 is infinite in row 7"),
        (cube(symbols=("A", "B")), r"2 values of symbol, .*\.sel\(symbol=…\), or pool them with \.mean\('symbol'\)"),
        (BOTH, r"2 values of sample, .*\.sel\(sample='in'\)"),
        (xr.Dataset({"sharpe_ratio": 1.0}), "the cube holds sharpe_ratio, but no returns; sweep with returns='1D'"),
        (cube()["returns"].rename(day="time"), "got dims symbol, x, y, time, allowed are day and parameters"),
        (VALUES[:, 0], r"got shape \(40,\), allowed is an array \(days, trials\)"),
        (VALUES[None], r"got shape \(1, 40, 6\)"),
        (np.empty((0, 3)), r"got shape \(0, 3\)"),
        (np.zeros((9, 3)), "0 of 3 columns hold a trade, allowed are"),
        (np.full((9, 3), math.nan), "0 of 3 columns hold a trade"),
        (VALUES.astype(str), "values of type <U.*, allowed are numbers"),
        (VALUES > 0, "values of type bool"),
        (VALUES * 1j, "values of type complex"),
        ("returns", "values of type <U7"),
        (None, "values of type object"),
        ([[1.0], [1.0, 2.0]], "rows of different lengths"),
        (pd.DataFrame({"a": ["x"] * 3}), "values of type"),
    ],
)
@pytest.mark.parametrize("function", [columns_of, effective_trials, probability_of_backtest_overfitting, reality_check])
def test_bad_returns(function, returns, message):
    with pytest.raises(DataError, match=message):
        function(returns)


@pytest.mark.parametrize("kind", ["array", "series", "list", "column", "point"])
def test_series(kind):
    made = {
        "array": VALUES[:, 4],
        "series": pd.Series(VALUES[:, 4], DAYS),
        "list": VALUES[:, 4].tolist(),
        "column": VALUES[:, [4]],
        "point": cube().sel(x=2, y=0.2),
    }[kind]
    np.testing.assert_array_equal(series_of(made), VALUES[:, 4].astype(np.float64))


def test_series_without_days_outside_the_span():
    assert series_of([math.nan, 0.0, 0.1, math.nan]).tolist() == [0.0, 0.1]


@pytest.mark.parametrize(
    ("returns", "message"),
    [
        (VALUES, "got 6 columns, allowed is one trial"),
        (cube(), "got 6 columns, allowed is one trial; choose it, of a cube with .sel"),
        ([math.nan] * 12, "the trial holds no number"),
        ([], "got shape"),
        ("ab", "values of type"),
        ([1.0, math.inf] * 10, "infinite in row 1"),
        (0.1, "got shape"),
    ],
)
@pytest.mark.parametrize("function", [series_of, moments, block_length, bootstrap_interval])
def test_bad_series(function, returns, message):
    with pytest.raises(DataError, match=message):
        function(returns)
