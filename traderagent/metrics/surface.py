"""What a choice may read of a cube: one objective in sample, by symbol and pooled, point after point.

Every reader of a search (best, effects, luck, optimisers) looks at a cube through here, so that the hold-out, too
few trades and undefined values are dealt with in one place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.base.config import plain
from traderagent.base.errors import ConfigError, DataError, unknown
from traderagent.base.space import TRIAL
from traderagent.metrics.record import METRICS

POOLED = "pooled"
SELECTIONS = ("plateau", "best")
TRADES = "round_trips"


@dataclass(frozen=True)
class Surface:
    """One objective over the points of a search; rows are the symbols and, last, all of them pooled.

    Attributes
    ----------
    objective, orientation : a metric, and +1 where more of it is better, −1 where less is
    symbols : names of the rows but for the last one
    axes : parameter → its values; along its own dim in a product, trial by trial in a sample
    sampled : whether the points are no product
    values : (n_symbols + 1, n_points) float64, in sample; NaN where undefined or with too few trades
    trades : (n_symbols + 1, n_points) float64, closed round trips in sample, their sum in the last row
    out : (n_symbols + 1, n_points) float64 of the hold-out, to be shown and never chosen by; None without one
    min_trades : round trips under which a point is not ranked

    The pooled objective is the median over symbols. One at which the point is undefined counts as worse than all
    others, so that a point cannot win by failing where it would lose; a symbol undefined at every point is left out.
    """

    objective: str
    orientation: int
    symbols: tuple[str, ...]
    axes: dict[str, tuple[Any, ...]]
    sampled: bool
    values: np.ndarray
    trades: np.ndarray
    out: np.ndarray | None
    min_trades: int

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of the rows: the symbols, then `pooled`."""
        return (*self.symbols, POOLED)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each dim of the search."""
        return (self.values.shape[1],) if self.sampled else tuple(len(values) for values in self.axes.values())

    def point(self, position: int) -> dict[str, Any]:
        """Parameters at a position in the order of the cube."""
        if self.sampled:
            return {name: values[position] for name, values in self.axes.items()}
        places = np.unravel_index(position, self.shape)
        return {name: values[k] for (name, values), k in zip(self.axes.items(), places, strict=True)}

    @cached_property
    def plateau(self) -> np.ndarray:
        """(n_symbols + 1, n_points) float64: mean of the objective over a point and its neighbours."""
        if self.sampled:
            return np.full(self.values.shape, np.nan)
        return plateau_scores(self.values, neighbours(self.axes))

    def place(self, position: int) -> dict[str, int]:
        """Index along every dim of the search, for `cube.isel`."""
        if self.sampled:
            return {TRIAL: position}
        return {name: int(k) for name, k in zip(self.axes, np.unravel_index(position, self.shape), strict=True)}

    def trials(self, row: int) -> pd.DataFrame:
        """Every point of a row in the order of the cube: its parameters, the objective as `in` and, where there is a
        hold-out, `out`, `trades` and `plateau`. What is not ranked is NaN in `in`.
        """
        grid: Any = () if self.sampled else np.indices(self.shape).reshape(len(self.axes), -1)
        columns: dict[str, Any] = {
            name: list(values) if self.sampled else [values[k] for k in grid[place]]
            for place, (name, values) in enumerate(self.axes.items())
        }
        columns |= {"in": self.values[row], **({} if self.out is None else {"out": self.out[row]})}
        return pd.DataFrame({**columns, "trades": self.trades[row], "plateau": self.plateau[row]})

    def scores(self, select: str) -> np.ndarray:
        """What points are ranked by, (n_symbols + 1, n_points): more is better, NaN is not ranked.

        Raises
        ------
        ConfigError
            For an unknown selection, and for plateaus among points that are no product.
        """
        if select not in SELECTIONS:
            raise unknown("select", select, SELECTIONS)
        if select == "best":
            return self.orientation * self.values
        if self.sampled:
            raise ConfigError(
                "select: got 'plateau' on sampled points, which have no neighbours; allowed is select='best', "
                "or sweep a product of values"
            )
        return self.orientation * self.plateau

    def ranking(self, row: int, select: str) -> np.ndarray:
        """Positions of the ranked points, best first; ties by the objective, then in the order of the cube."""
        score = self.scores(select)[row]
        ranked = np.flatnonzero(np.isfinite(score))
        order = np.lexsort((-self.orientation * self.values[row, ranked], -score[ranked]))
        return ranked[order]

    def why_none(self, row: int) -> str:
        """Why no point of a row can be ranked."""
        n, most = self.values.shape[1], np.nanmax(np.append(self.trades[row], -1.0))
        if np.isfinite(self.values[row]).any():
            return "no point has enough defined neighbours for a plateau; use select='best', or a wider space"
        if most < 1:
            return f"none of {n} trials closed a round trip"
        if row == len(self.symbols) and not np.isfinite(self.values).any():
            return "no point can be ranked on any symbol"
        if row == len(self.symbols):
            return f"no point of {n} is defined on more than half of the symbols"
        if most < self.min_trades:
            return f"at most {most:.0f} round trips in {n} trials, min_trades is {self.min_trades}"
        return f"{self.objective} is undefined at every trial with {self.min_trades} round trips or more"


def surface(cube: xr.Dataset, objective: str = "sharpe_ratio", min_trades: int = 10) -> Surface:
    """Read an objective from a cube of `ta.sweep`, with the rules of choosing applied.

    Parameters
    ----------
    cube : with dims `symbol[, sample]` and one dim a parameter, or `trial`; with a `sample`, only `in` is chosen by
    objective : a metric of which more, or less, is better
    min_trades : closed round trips that a trial needs; one without any is never ranked

    Raises
    ------
    ConfigError, DataError
        For an unknown objective or one without a direction, a number of trades below 0, a cube without symbols,
        trades or parameters, one with an empty dim, and one reduced to its hold-out.
    """
    if not isinstance(cube, xr.Dataset):
        raise ConfigError(f"cube: got {type(cube).__name__}, allowed is the xarray.Dataset that ta.sweep returns")
    orientation = direction(objective, {str(name): _way(cube, str(name)) for name in cube.data_vars}, "the cube")
    check_min_trades(min_trades)
    if TRADES not in cube:
        raise DataError(f"cube: has no {TRADES!r}, by which trials without trades are told; keep it in the cube")
    inside, outside = samples_of(with_symbols(cube))
    axes, sampled = axes_of(inside[objective])
    for dim, size in inside[objective].sizes.items():
        if not size:
            raise DataError(
                f"cube: nothing is left along {str(dim)!r}, at least one of it is needed; give the cube whole"
            )
    values, trades = (_flat(inside[name], axes, sampled) for name in (objective, TRADES))
    values = np.where(np.isfinite(values) & (trades >= max(min_trades, 1)), values, np.nan)
    out = None
    if outside is not None:
        out = _flat(outside[objective], axes, sampled)
        out = np.vstack([out, _median(np.where(np.isfinite(out), out, np.nan))])
    return Surface(
        objective,
        orientation,
        tuple(str(name) for name in inside["symbol"].to_numpy()),
        axes,
        sampled,
        np.vstack([values, pooled(values, orientation)]),
        np.vstack([trades, np.nansum(trades, axis=0)]),
        out,
        int(min_trades),
    )


def direction(objective: str, ways: Mapping[str, int], where: str = "") -> int:
    """+1 where more of an objective is better, −1 where less is.

    Raises
    ------
    ConfigError, UnknownName
        For a name that is not there, and one of which neither is better.
    """
    allowed = [name for name, way in ways.items() if way]
    if objective not in ways:
        raise unknown("objective", objective, allowed, where)
    if objective not in allowed:
        raise ConfigError(
            f"objective: got {objective!r}, of which neither more nor less is better; allowed: {', '.join(allowed)}"
        )
    return ways[objective]


def check_min_trades(value: Any) -> None:
    """Refuse what is no count of round trips."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise ConfigError(f"min_trades: got {value!r}, allowed is a whole number of at least 0")


def with_symbols(cube: xr.Dataset) -> xr.Dataset:
    """The cube with a dim `symbol`, also where one symbol was selected."""
    if "symbol" in cube.dims:
        return cube
    if "symbol" not in cube.coords:
        raise DataError("cube: has no 'symbol'; a median over symbols is what the row 'pooled' is, give the cube whole")
    return cube.expand_dims("symbol")


def samples_of(cube: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset | None]:
    """What may be chosen by, and the hold-out where the cube has one.

    Raises
    ------
    ConfigError
        Where only the hold-out is left.
    """
    if "sample" not in cube.coords:
        return cube, None
    names = [str(name) for name in np.atleast_1d(cube["sample"].to_numpy())]
    if "in" not in names:
        raise ConfigError(f"cube: got the sample {', '.join(names)} alone, chosen is by 'in' only; give the cube whole")
    if "sample" not in cube.dims:
        return cube, None
    return cube.sel(sample="in"), cube.sel(sample="out") if "out" in names else None


def axes_of(values: xr.DataArray) -> tuple[dict[str, tuple[Any, ...]], bool]:
    """Parameters of a search with their values, and whether they are a sample.

    Raises
    ------
    DataError
        Where there is none, or a dim without its values.
    """
    dims = [str(dim) for dim in values.dims if dim not in ("symbol", "sample", "day")]
    if TRIAL in dims:
        names = [str(n) for n, c in values.coords.items() if c.dims == (TRIAL,) and n != TRIAL]
        extra = [dim for dim in dims if dim != TRIAL]
        if extra or not names:
            raise DataError(f"cube: 'trial' beside {extra} with the parameters {names}; give the cube as swept")
        return {name: tuple(plain(values[name].to_numpy())) for name in names}, True
    bare = [dim for dim in dims if dim not in values.coords]
    if bare or not dims:
        raise DataError(
            f"cube: {f'dims {bare} have no values' if bare else 'has no parameters'}; choose from a cube of ta.sweep"
        )
    return {dim: tuple(plain(values[dim].to_numpy())) for dim in dims}, False


def pooled(values: np.ndarray, orientation: int) -> np.ndarray:
    """Median over symbols (the first axis), undefined ones as the worst; NaN where that is one of them."""
    known = values[np.isfinite(values).any(axis=1)]
    if not len(known):
        return np.full(values.shape[1], np.nan)
    middle = np.median(np.where(np.isfinite(known), known, -orientation * np.inf), axis=0)
    return np.where(np.isfinite(middle), middle, np.nan)


def ordered(values: tuple[Any, ...]) -> bool:
    """Whether the values of an axis are numbers, so that some of them are next to each other."""
    return all(isinstance(value, Real) and not isinstance(value, bool) for value in values)


def neighbours(axes: Mapping[str, tuple[Any, ...]]) -> np.ndarray:
    """(n_points, n) int64 positions of the points that differ in one parameter by one step; −1 beyond an edge.

    Numbers are ordered by value, whatever their order in the cube; of text and of yes or no, every other value is one
    step away.
    """
    shape = tuple(len(values) for values in axes.values())
    places = np.indices(shape).reshape(len(shape), -1)
    flat = np.arange(places.shape[1])
    found = []
    for k, values in enumerate(axes.values()):
        steps = _steps(values)
        stride = int(np.prod(shape[k + 1 :]))
        near = steps[places[k]]
        found.append(np.where(near < 0, -1, flat[:, None] + (near - places[k][:, None]) * stride))
    return np.concatenate(found, axis=1)


def _steps(values: tuple[Any, ...]) -> np.ndarray:
    """(n, …) positions of the neighbours of each value of one axis; −1 for none."""
    n = len(values)
    if not ordered(values):
        return np.array([[j for j in range(n) if j != k] for k in range(n)], np.int64).reshape(n, n - 1)
    order = sorted(range(n), key=lambda k: values[k])
    steps = np.full((n, 2), -1, np.int64)
    for below, above in pairwise(order):
        steps[above, 0], steps[below, 1] = below, above
    return steps


def plateau_scores(values: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Mean over each point and its defined neighbours.

    Parameters
    ----------
    values : (n_rows, n_points) float64
    around : (n_points, n) positions of neighbours, −1 for none

    Returns
    -------
    (n_rows, n_points) float64; NaN where the point itself is undefined, or more than half of its neighbours are
    """
    own = np.arange(values.shape[1])[:, None]
    wanted = (around >= 0).sum(axis=1)
    scores = np.full(values.shape, np.nan)
    for row, line in enumerate(values):
        # Sorted, so that points with the same neighbourhood get the same sum to the last bit, and tie.
        near = np.sort(np.append(line, np.nan)[np.hstack([own, around])], axis=1)
        n = np.isfinite(near).sum(axis=1)
        enough = np.isfinite(line) & (2 * (n - 1) >= wanted)
        scores[row, enough] = np.nansum(near[enough], axis=1) / n[enough]
    return scores


def _way(cube: xr.Dataset, name: str) -> int:
    """Orientation of a variable; arithmetic on a cube may have dropped its attributes, a metric's is known."""
    return int(cube[name].attrs.get("orientation", METRICS[name].orientation if name in METRICS else 0))


def _flat(values: xr.DataArray, axes: Mapping[str, Any], sampled: bool) -> np.ndarray:
    """(n_symbols, n_points) float64 in the order of the cube."""
    dims = ("symbol", TRIAL) if sampled else ("symbol", *axes)
    return values.transpose(*dims).to_numpy().astype(np.float64).reshape(values.sizes["symbol"], -1)


def _median(values: np.ndarray) -> np.ndarray:
    """Median over the defined symbols, for a look; NaN where there is none."""
    known = np.isfinite(values).any(axis=0)
    middle = np.full(values.shape[1], np.nan)
    middle[known] = np.nanmedian(values[:, known], axis=0)
    return middle
