"""Which parameters matter: the variance of the objective over a cube, split into its parameters and their pairs."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.base.errors import ConfigError
from traderagent.metrics.surface import Surface, surface

REST = "rest"


def effects(cube: xr.Dataset, objective: str = "sharpe_ratio", min_trades: int = 10) -> pd.DataFrame:
    """Main effects and pairwise interactions as shares of the variance of the objective, in sample.

    Functional analysis of variance with every point of equal weight: the main effect of a parameter is the variance of
    the objective's mean at each of its values; the interaction of two parameters is the variance of the mean at each
    pair of their values less both main effects; the rest is what three and more do together. The shares of a symbol
    sum to 1, and on a complete cube none is negative.

    Undefined points (NaN, or fewer round trips than `min_trades`) are left out: means and variances are over the
    defined ones, a value with more of them weighing more. The parameters then depend on each other, an effect may be
    counted under two of them, and an interaction or the rest may fall below 0: the more so, the lower the share in the
    row `defined`.

    Parameters
    ----------
    cube : of `ta.sweep` over a product of values
    objective : a metric of which more, or less, is better
    min_trades : closed round trips in sample that a trial needs

    Returns
    -------
    DataFrame of fractions; columns: the symbols and `pooled`; rows by `parameter` and `with` (empty for a main
    effect), then `rest`, then `defined` (share of the points that are). NaN where fewer than two points are defined
    or all are equal

    Raises
    ------
    ConfigError, DataError
        As `ta.best` does, and for sampled points, whose means over the other parameters are not balanced.

    Notes
    -----
    Sobol', "Global sensitivity indices for nonlinear mathematical models and their Monte Carlo estimates",
    Mathematics and Computers in Simulation 55, 2001, for a uniform distribution over the cube's own values.
    """
    seen = _product(cube, objective, min_trades)
    columns = {name: _shares(seen.values[row].reshape(seen.shape)) for row, name in enumerate(seen.rows)}
    names = list(seen.axes)
    keys = [(name, "") for name in names] + list(combinations(names, 2)) + [(REST, ""), ("defined", "")]
    index = pd.MultiIndex.from_tuples(keys, names=["parameter", "with"])
    return pd.DataFrame(columns, index).rename_axis(columns="symbol")


def total_effects(cube: xr.Dataset, objective: str = "sharpe_ratio", min_trades: int = 10) -> pd.DataFrame:
    """Total effect of each parameter: the share of the variance of the objective that goes if the others are known.

    One less the share that all other parameters explain without it: its main effect and every interaction that it has
    a part in. Totals of parameters that interact sum to more than 1; on a complete cube none is below its main effect.

    Parameters
    ----------
    cube, objective, min_trades : as `effects`

    Returns
    -------
    DataFrame of fractions, one row a parameter, columns the symbols and `pooled`; NaN and undefined points as in
    `effects`

    Raises
    ------
    ConfigError, DataError
        As `effects`.

    Notes
    -----
    Homma and Saltelli, "Importance measures in global sensitivity analysis of nonlinear models", Reliability
    Engineering & System Safety 52(1), 1996, for a uniform distribution over the cube's own values.
    """
    seen = _product(cube, objective, min_trades)
    columns = {name: _totals(seen.values[row].reshape(seen.shape)) for row, name in enumerate(seen.rows)}
    return pd.DataFrame(columns, pd.Index(list(seen.axes), name="parameter")).rename_axis(columns="symbol")


def _product(cube: xr.Dataset, objective: str, min_trades: int) -> Surface:
    """The objective over a product of values."""
    seen = surface(cube, objective, min_trades)
    if seen.sampled:
        raise ConfigError(
            "effects: got sampled points, allowed is a product of values, of which all but one parameter can be "
            "averaged; sweep a product, or look at the points with .top(n)"
        )
    return seen


def _totals(values: np.ndarray) -> list[float]:
    """Total effect of each axis of one symbol."""
    known = np.isfinite(values)
    n = int(known.sum())
    if n < 2 or np.ptp(values[known]) == 0.0:
        return [np.nan] * values.ndim
    centred = np.where(known, values - values[known].mean(), 0.0)
    total = float(np.square(centred).sum()) / n
    axes = range(values.ndim)
    return [1.0 - _between(centred, known, tuple(a for a in axes if a != k)) / total for k in axes]


def _shares(values: np.ndarray) -> list[float]:
    """Main effects, pairs, rest and defined share of one symbol, in the order of the rows."""
    n_axes, known = values.ndim, np.isfinite(values)
    n = int(known.sum())
    pairs = list(combinations(range(n_axes), 2))
    if n < 2 or np.ptp(values[known]) == 0.0:
        return [np.nan] * (n_axes + len(pairs) + 1) + [n / values.size]
    centred = np.where(known, values - values[known].mean(), 0.0)
    total = float(np.square(centred).sum()) / n
    main = [_between(centred, known, (k,)) / total for k in range(n_axes)]
    joint = [_between(centred, known, pair) / total - main[pair[0]] - main[pair[1]] for pair in pairs]
    return [*main, *joint, 1.0 - sum(main) - sum(joint), n / values.size]


def _between(centred: np.ndarray, known: np.ndarray, kept: tuple[int, ...]) -> float:
    """Variance of the means over all axes but the kept ones, weighted by the defined points behind each."""
    others: Any = tuple(k for k in range(centred.ndim) if k not in kept)
    n = known.sum(axis=others)
    means = centred.sum(axis=others) / np.where(n > 0, n, 1)
    return float((n * np.square(means)).sum() / n.sum())
