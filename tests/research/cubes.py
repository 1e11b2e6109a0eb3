"""Cubes as `ta.sweep` makes them, with whatever numbers a test wants in them."""

from __future__ import annotations

import numpy as np
import xarray as xr
from hypothesis import strategies as st

from traderagent.metrics.record import METRICS

NUMBERS = st.lists(st.sampled_from([3, 1, 7, 20, 0]), min_size=1, max_size=4, unique=True)
TEXTS = st.lists(st.sampled_from(["profit", "next_level", "none"]), min_size=1, max_size=3, unique=True)
SWITCHES = st.just([True, False])


def cube_of(axes: dict[str, list], values: np.ndarray, trades: np.ndarray, **more: object) -> xr.Dataset:
    """Cube of one objective; values are (n_symbols[, 2], *axes), with `objective`, `returns` and attrs in `more`."""
    objective = more.pop("objective", "sharpe_ratio")
    returns = more.pop("returns", None)
    split = values.ndim == 2 + len(axes)
    dims = ("symbol", *(("sample",) if split else ()), *axes)
    coords: dict = {"symbol": [f"S{k}" for k in range(len(values))], **axes}
    if split:
        coords["sample"] = ["in", "out"]
    data = {
        objective: (dims, values, METRICS[objective].attributes),
        "round_trips": (dims, trades, METRICS["round_trips"].attributes),
    }
    if returns is not None:
        coords["day"] = np.datetime64("2024-01-01", "ns") + np.arange(returns.shape[-1]) * np.timedelta64(1, "D")
        data["returns"] = ((*dims, "day"), returns)
    return xr.Dataset(data, coords, more)


def sampled_of(cube: xr.Dataset, axes: dict[str, list]) -> xr.Dataset:
    """The same points as a list of trials."""
    return cube.stack(trial=list(axes)).reset_index("trial")


@st.composite
def searches(draw: st.DrawFn) -> tuple[dict[str, list], xr.Dataset]:
    """Axes, and a cube over them: few distinct numbers whose sums are exact, so that ties are ties; many undefined."""
    kinds = draw(st.lists(st.one_of(NUMBERS, TEXTS, SWITCHES), min_size=1, max_size=3))
    axes = {f"axis_{k}": values for k, values in enumerate(kinds)}
    n_symbols = draw(st.integers(1, 4))
    shape = (n_symbols, *((2,) if draw(st.booleans()) else ()), *(len(v) for v in axes.values()))
    seed = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    undefined = draw(st.sampled_from([0.0, 0.1, 0.4, 0.9]))
    values = seed.integers(-6, 7, shape) / draw(st.sampled_from([1.0, 4.0, 8.0]))
    values = np.where(seed.random(shape) < undefined, np.nan, values)
    trades = seed.integers(0, 30, shape).astype(float)
    objective = draw(st.sampled_from(["sharpe_ratio", "max_drawdown_pct"]))
    return axes, cube_of(axes, values, trades, objective=objective)


def rows_of(cube: xr.Dataset, name: str, axes: dict[str, list]) -> list[dict[tuple, float]]:
    """Per symbol, point → number, looked up label by label; the part before the cut where there are two."""
    from tests.reference.choice import points_of

    array = cube[name].sel(sample="in") if "sample" in cube.dims else cube[name]
    return [
        {p: float(array.sel(symbol=s, **dict(zip(axes, p, strict=True)))) for p in points_of(axes)}
        for s in array.symbol.values
    ]
