"""Choosing from a cube: the best point of every symbol and of all pooled, with the luck of the search beside it.

A lone peak is where an optimiser finds noise, so points are ranked by their plateau unless asked otherwise: the mean
of the objective over the point and its neighbours. Only the part before the hold-out's cut is ever chosen by.
"""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.base.words import number
from traderagent.metrics.surface import Surface, plateau_scores, surface
from traderagent.metrics.surface import neighbours as neighbours_of
from traderagent.research.luck import SearchLuck, search_luck

DSR, PBO = "dsr", "pbo"


def best(
    cube: xr.Dataset,
    objective: str = "sharpe_ratio",
    min_trades: int = 10,
    select: str = "plateau",
    *,
    luck: bool = True,
) -> pd.DataFrame:
    """The chosen point of every symbol, and of all symbols pooled.

    Parameters
    ----------
    cube : of `ta.sweep`; with a dim `sample`, only its part `in` is chosen by
    objective : a metric of which more, or less, is better
    min_trades : closed round trips in sample that a trial needs; one without any is never ranked
    select : "plateau", the highest mean over the point and its neighbours in the cube; "best", the highest point.
        Ties go to the better point, then to the first one in the order of the cube
    luck : add the deflated Sharpe ratio and the probability of backtest overfitting of the search, where the cube
        holds returns; they ask most of the time that this takes

    Returns
    -------
    DataFrame with one row a symbol and the last one `pooled`; columns: the parameters, the objective (`…_in` and
    `…_out` where the cube has a hold-out), `trades` (in sample; pooled: their sum), `plateau` (mean of the objective
    over the point and its neighbours; NaN for sampled points), `ranked` (how many points could be chosen), `dsr` and
    `pbo` (daily returns in sample; NaN where the cube has none), and `why` nothing was chosen or luck is undefined. The
    pooled objective is the median over symbols, one where it is undefined counting as the worst. A row without a
    choice is NaN.

    Raises
    ------
    ConfigError, DataError
        For an unknown objective or selection, one without a direction, plateaus of a sampled cube, and a cube
        without trades or reduced to its hold-out.
    """
    seen = surface(cube, objective, min_trades)
    chosen = chosen_of(seen, select)
    rows = [choice_row(seen, row, chosen[row], select) for row in range(len(seen.rows))]
    found = search_luck(cube) if luck and "returns" in cube else {}
    rows = [with_luck(row, found.get(name), k) for row, name, k in zip(rows, seen.rows, chosen, strict=True)]
    return framed(seen.rows, rows, seen.axes)


def plateau(cube: xr.Dataset, objective: str = "sharpe_ratio", min_trades: int = 10) -> xr.DataArray:
    """Mean of the objective over every point and its neighbours: how broad the ground is on which a point stands.

    Neighbours differ in one parameter by one step: numbers by value, whatever their order in the cube; of text and of
    yes or no, every other value is one step away.

    Parameters
    ----------
    cube : of `ta.sweep` over a product of values
    objective : a metric of which more, or less, is better
    min_trades : closed round trips under which a point counts as undefined

    Returns
    -------
    DataArray with the dims of the objective, and its unit; each sample by itself. NaN where the point is undefined,
    or more than half of its neighbours are; undefined neighbours are left out of the mean

    Raises
    ------
    ConfigError, DataError
        As `best` does; sampled points have no neighbours.
    """
    apart = isinstance(cube, xr.Dataset) and "sample" in cube.dims
    samples = list(cube["sample"].to_numpy()) if apart else [None]
    parts = []
    for sample in samples:
        part = cube.sel(sample=sample, drop=True) if apart else cube
        seen = surface(part, objective, min_trades)
        seen.scores("plateau")
        scores = plateau_scores(seen.values[:-1], neighbours_of(seen.axes))
        parts.append(
            xr.DataArray(
                scores.reshape(len(seen.symbols), *seen.shape),
                {"symbol": list(seen.symbols), **{name: part[name].to_numpy() for name in seen.axes}},
                ("symbol", *seen.axes),
            )
        )
    found = xr.concat(parts, pd.Index(samples, name="sample")).transpose("symbol", ...) if apart else parts[0]
    attrs = {"unit": cube[objective].attrs.get("unit", ""), "long_name": f"{objective}: mean over point and neighbours"}
    return found.rename("plateau").assign_attrs(attrs)


def chosen_of(seen: Surface, select: str) -> list[int | None]:
    """Position of the chosen point of every row; None where no point is ranked."""
    rankings = [seen.ranking(row, select) for row in range(len(seen.rows))]
    return [int(ranking[0]) if len(ranking) else None for ranking in rankings]


def choice_row(seen: Surface, row: int, position: int | None, select: str) -> dict[str, Any]:
    """What a table says about one point of a row, but for luck."""
    suffix = "" if seen.out is None else "_in"
    values = {f"{seen.objective}{suffix}": _at(seen.values, row, position)}
    if seen.out is not None:
        values[f"{seen.objective}_out"] = _at(seen.out, row, position)
    point = dict.fromkeys(seen.axes, np.nan) if position is None else seen.point(position)
    return {
        **point,
        **values,
        "trades": np.nan if position is None else int(seen.trades[row, position]),
        "plateau": _at(seen.plateau, row, position),
        "ranked": int(np.isfinite(seen.scores(select)[row]).sum()),
        "why": seen.why_none(row) if position is None else "",
    }


def with_luck(row: Mapping[str, Any], found: SearchLuck | None, position: int | None) -> dict[str, Any]:
    """A row of a table with a trial's deflated Sharpe ratio and the PBO of its search; NaN without returns."""
    if found is None:
        return {**row, DSR: np.nan, PBO: np.nan}
    why = "; ".join(reason for reason in (row["why"], found.why) if reason)
    return {**row, DSR: found.deflated(position), PBO: found.pbo, "why": why}


def framed(
    names: Iterable[Any], rows: Iterable[Mapping[str, Any]], axes: Mapping[str, tuple[Any, ...]]
) -> pd.DataFrame:
    """Rows as a table whose parameters keep their kind: whole numbers stay whole beside an undefined row."""
    listed, index = list(rows), pd.Index(list(names), name="symbol")
    order = [*(name for name in listed[0] if name != "why"), "why"]
    columns = {name: pd.Series([row[name] for row in listed], index, dtype=object) for name in order}
    for name, column in columns.items():
        if name not in axes or column.notna().all():
            columns[name] = column.infer_objects()
    return pd.DataFrame(columns)


def html_of(frame: pd.DataFrame, head: str) -> str:
    """A table for notebooks: undefined numbers as dashes, texts escaped."""
    shown = frame.map(lambda value: number(value, 3) if isinstance(value, float) else escape(str(value)))
    return f"<b>{escape(head)}</b>{shown.to_html(border=0, escape=False)}"


def _at(values: np.ndarray, row: int, position: int | None) -> float:
    return np.nan if position is None else float(values[row, position])
