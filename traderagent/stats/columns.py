"""Returns as every statistic here takes them: one row a day, one column a trial, nothing undefined inside."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.base.errors import DataError

DAY = "day"
# Dims of cubes that are no parameters: candles of different markets or spans are not trials of one search.
APART = {
    "symbol": "choose one with .sel(symbol=…), or pool them with .mean('symbol')",
    "sample": "choose the searched part with .sel(sample='in')",
    "fold": "choose one with .sel(fold=…)",
}
SHAPES = "an array (days, trials), a DataFrame with one column a trial, or a cube of ta.sweep with returns"


@dataclass(frozen=True)
class Columns:
    """Returns of the trials that can be judged.

    Attributes
    ----------
    values : (T, N) float64, C order, finite
    kept : (N,) positions among the columns given; those of a cube in the order of its dims, `day` left out
    left_out : number of columns without a number or without a trade
    inside : (days given,) bool, the days kept: those on which some column has a number
    days : their labels, as given; None for arrays
    """

    values: np.ndarray
    kept: np.ndarray
    left_out: int
    inside: np.ndarray
    days: pd.Index | None

    @property
    def n_days(self) -> int:
        """Rows."""
        return self.values.shape[0]

    @property
    def n_trials(self) -> int:
        """Columns."""
        return self.values.shape[1]


def columns_of(returns: Any, fewest: int = 1) -> Columns:
    """Columns with a trade, over the days on which any column has a number.

    Parameters
    ----------
    returns : (T, N) array, DataFrame, `xr.DataArray` with the dim `day`, or `xr.Dataset` with such a variable `returns`
    fewest : columns that the statistic needs

    Raises
    ------
    DataError
        For other kinds and shapes, text, infinities, several symbols or samples, a column with numbers on a part of
        the days only, and where fewer columns than needed stay.
    """
    table, days, name = _table(returns)
    known = ~np.isnan(table)
    inside = known.any(axis=1)
    traded = ((table != 0.0) & known).any(axis=0)
    values = table[np.ix_(inside, traded)]
    kept = np.flatnonzero(traded)
    partly = np.isnan(values).any(axis=0)
    if partly.any():
        first = int(np.argmax(partly))
        raise DataError(
            f"returns: column {name(int(kept[first]))} is NaN on {int(np.isnan(values[:, first]).sum())} of "
            f"{len(values)} days, and {int(partly.sum())} columns are like it; allowed are whole columns: give trials "
            "of one span, or fill the days without candles with 0"
        )
    if len(kept) < fewest:
        raise DataError(
            f"returns: {len(kept)} of {table.shape[1]} columns hold a trade, allowed are {fewest} or more; search more "
            "points, or points that trade"
        )
    return Columns(np.ascontiguousarray(values), kept, int((~traded).sum()), inside, days)


def series_of(returns: Any) -> np.ndarray:
    """Returns of one trial: (T,) float64 without the days outside its span; a series of zeros is one, too.

    Raises
    ------
    DataError
        As `columns_of`, and for several columns or a series without a number.
    """
    if isinstance(returns, pd.Series):
        returns = returns.to_frame()
    elif not isinstance(returns, (pd.DataFrame, xr.Dataset, xr.DataArray)) and np.ndim(_plain(returns)) == 1:
        returns = _plain(returns)[:, None]
    table, _, _ = _table(returns)
    if table.shape[1] != 1:
        raise DataError(
            f"returns: got {table.shape[1]} columns, allowed is one trial; choose it, of a cube with .sel(…)"
        )
    series = table[~np.isnan(table[:, 0]), 0]
    if not series.size:
        raise DataError("returns: the trial holds no number; choose a point that the sweep did not refuse")
    return series


def _table(returns: Any) -> tuple[np.ndarray, pd.Index | None, Callable[[int], str]]:
    """Days × columns as float64, labels of the days, and the name of a column for errors."""
    days: pd.Index | None = None
    if isinstance(returns, (xr.Dataset, xr.DataArray)):
        array = _cube(returns)
        dims, shape = array.dims[1:], array.shape[1:]
        labels = {d: array.indexes[d] for d in dims if d in array.indexes}
        days, table = array.indexes.get(DAY), np.asarray(array.values).reshape(array.shape[0], -1)

        def name(column: int) -> str:
            places = zip(dims, np.unravel_index(column, shape), strict=True) if shape else ()
            return ", ".join(f"{d}={labels[d][p] if d in labels else p}" for d, p in places) or "0"
    else:
        names = returns.columns if isinstance(returns, pd.DataFrame) else None
        days, table = (
            (returns.index, returns.to_numpy()) if isinstance(returns, pd.DataFrame) else (None, _plain(returns))
        )

        def name(column: int) -> str:
            return repr(names[column]) if names is not None else str(column)

    if table.dtype.kind not in "iuf":
        raise DataError(f"returns: got values of type {table.dtype}, allowed are numbers")
    if table.ndim != 2 or 0 in table.shape:
        raise DataError(f"returns: got shape {table.shape}, allowed is {SHAPES}")
    table = table.astype(np.float64)
    if np.isinf(table).any():
        row, column = np.argwhere(np.isinf(table))[0]
        raise DataError(
            f"returns: column {name(int(column))} is infinite in row {row}; allowed are finite numbers and NaN"
        )
    return table, days, name


def _cube(returns: xr.Dataset | xr.DataArray) -> xr.DataArray:
    """The returns of a cube, `day` first."""
    if isinstance(returns, xr.Dataset):
        if "returns" not in returns:
            raise DataError(
                f"returns: the cube holds {', '.join(map(str, returns.data_vars)) or 'nothing'}, but no returns; sweep "
                "with returns='1D'"
            )
        returns = returns["returns"]
    if DAY not in returns.dims:
        raise DataError(f"returns: got dims {', '.join(map(str, returns.dims))}, allowed are {DAY} and parameters")
    for dim, next_step in APART.items():
        if returns.sizes.get(dim, 1) > 1:
            raise DataError(f"returns: got {returns.sizes[dim]} values of {dim}, allowed is one; {next_step}")
    return returns.transpose(DAY, ...)


def _plain(returns: Any) -> np.ndarray:
    try:
        return np.asarray(returns)
    except ValueError:
        raise DataError(f"returns: got rows of different lengths, allowed is {SHAPES}") from None
