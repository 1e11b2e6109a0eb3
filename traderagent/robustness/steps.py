"""Around a chosen point: each parameter a little less and a little more, within its bounds, one at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pydantic.fields import FieldInfo

from traderagent.base.config import bounds_of, plain
from traderagent.base.errors import ConfigError, unknown
from traderagent.metrics.surface import POOLED
from traderagent.research.optimisation import OptimizationResult

CHOSEN = "chosen"


@dataclass(frozen=True)
class Step:
    """One parameter moved.

    Attributes
    ----------
    parameter, step : which one, and by what signed fraction of its value
    value : after rounding whole numbers and clipping to the bounds
    trial : position of its point among those that are run; 0 is the chosen one
    same_as : which point it is the same as, "" where it is one of its own
    """

    parameter: str
    step: float
    value: Any
    trial: int
    same_as: str


def steps_around(
    point: Mapping[str, Any], fields: Mapping[str, FieldInfo], steps: Sequence[float]
) -> tuple[list[Step], list[dict[str, Any]], list[str]]:
    """Points with one parameter moved.

    Parameters
    ----------
    point : the chosen values; fields : declarations by name
    steps : fractions by which values are lowered and raised

    Returns
    -------
    steps : every parameter's, in the order of the point, from the largest decrease to the largest increase
    points : those to run, each once, the chosen one first
    notes : which parameters are no numbers and stay
    """
    found, points, notes = [], [dict(point)], []
    signed = sorted([-s for s in steps] + list(steps))
    for name, value in point.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            notes.append(f"{name} is {value!r}, no number, and stays")
            continue
        # Smaller steps first: a larger one that ends at the same value is the copy.
        seen: dict[Any, tuple[int, str]] = {value: (0, CHOSEN)}
        made = {}
        for step in sorted(signed, key=lambda s: (abs(s), s)):
            moved = _moved(value, step, fields[name])
            if moved in seen:
                made[step] = Step(name, step, moved, *seen[moved])
            else:
                points.append({**point, name: moved})
                seen[moved] = (len(points) - 1, f"{step:+.0%}")
                made[step] = Step(name, step, moved, len(points) - 1, "")
        found += [made[step] for step in signed]
    return found, points, notes


def _moved(value: float, step: float, field: FieldInfo) -> float:
    """A value by a fraction more, a whole number where it was one, inside the bounds."""
    low, high = bounds_of(field)
    moved: float = value * (1.0 + step)
    if isinstance(value, int):
        moved = int(np.floor(moved + 0.5))
    if low is not None and moved < low:
        moved = type(moved)(low)
    if high is not None and moved > high:
        moved = type(moved)(high)
    return moved


def chosen_points(
    around: Any, symbols: Sequence[str], fields: Mapping[str, FieldInfo]
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """The chosen point of every symbol, and why some have none.

    Parameters
    ----------
    around : one point for all, as a mapping of parameters to values or a row of `ta.best`; or that table, or an
        `OptimizationResult`, with one row a symbol (or `pooled`, for all that have none of their own)

    Raises
    ------
    ConfigError, UnknownName
        For anything else, an unknown parameter, and where no symbol has a point.
    """
    if isinstance(around, OptimizationResult):
        around = around.table
    if isinstance(around, pd.DataFrame):
        rows = {symbol: _row_of(around, symbol) for symbol in symbols}
        found = {symbol: _point(row, fields) for symbol, row in rows.items()}
        missing = {s: str(rows[s].get("why") or "nothing was chosen") for s, point in found.items() if not point}
        if len(missing) == len(found):
            raise ConfigError(f"around: no symbol has a chosen point: {next(iter(missing.values()))}")
        return {symbol: point for symbol, point in found.items() if point}, missing
    if isinstance(around, pd.Series):
        around = _point(around, fields)
    if not isinstance(around, Mapping) or not around:
        raise ConfigError(
            f"around: got {around!r:.80}, allowed are the chosen parameters as a mapping of names to values, a table "
            "of ta.best with one that was chosen, or the result of an optimiser"
        )
    for name in around:
        if name not in fields:
            raise unknown("parameter", name, fields, "around")
    return {symbol: plain(dict(around)) for symbol in symbols}, {}


def _row_of(table: pd.DataFrame, symbol: str) -> pd.Series:
    for name in (symbol, POOLED):
        if name in table.index:
            return pd.Series(table.loc[name])
    raise unknown("symbol", symbol, map(str, table.index), "around")


def _point(row: pd.Series, fields: Mapping[str, FieldInfo]) -> dict[str, Any]:
    """Parameters among the columns of a row of `ta.best`; none where nothing was chosen."""
    point = {str(name): plain(value) for name, value in row.items() if name in fields}
    return {} if any(isinstance(v, float) and np.isnan(v) for v in point.values()) else point
