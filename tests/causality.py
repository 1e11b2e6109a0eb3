"""The one check for look-ahead: truncation and mutation, for indicators, features, regimes and whole runs.

A thing under test is a function of columns (name → array, one row a candle) that returns named
outputs: arrays with one row per candle, or `Events` (fills, orders, switches) that each belong to a row.
What it says about rows up to t may depend on rows up to t only.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

Columns = Mapping[str, np.ndarray]


class Events(NamedTuple):
    """Things that happen at rows: (n_events,) rows in order of time, and their values, one entry an event."""

    rows: np.ndarray
    values: Mapping[str, np.ndarray]


def candles(n: int, seed: int = 0, price: float = 100.0, scale: float = 0.004) -> dict[str, np.ndarray]:
    """Valid random candles: columns open, high, low, close, volume."""
    random = np.random.default_rng(seed)
    path = price * np.exp(np.cumsum(random.normal(0, scale, (n, 8)).ravel())).reshape(n, 8)
    return {
        "open": path[:, 0],
        "high": path.max(axis=1),
        "low": path.min(axis=1),
        "close": path[:, -1],
        "volume": random.lognormal(3, 1, n),
    }


def look_ahead(
    function: Callable[[Columns], Any], columns: Columns, *, rows: Iterable[int] | None = None, seed: int = 0
) -> str | None:
    """First sign that `function` knows the future, as a sentence; None where there is none.

    Parameters
    ----------
    function : columns → mapping of outputs, or a single array.
    columns : the candles; times and other columns that are no prices are passed unchanged if integer.
    rows : rows t at which the future is cut off or changed; by default about 60 spread over all, both ends in.
    """
    n = len(next(iter(columns.values())))
    if rows is None:
        rows = np.unique(np.r_[0:3, np.linspace(0, n - 1, 60).astype(int), n - 2])
    random = np.random.default_rng(seed)
    whole = _outputs(function(_copy(columns)))
    for t in (int(r) for r in rows):
        cut = _outputs(function({c: v[: t + 1].copy() for c, v in columns.items()}))
        changed = _outputs(function(_mutated(columns, t, random)))
        for how, other in (("cut off", cut), ("changed", changed)):
            for name, values in whole.items():
                row = _first_difference(values, other[name], t)
                if row is not None:
                    return f"looks ahead: {name!r} at row {row} differs when the candles after row {t} are {how}"
    return None


def look_ahead_in(
    registered: Iterable[tuple[str, Callable[[Columns], Any]]], columns: Columns, **options: Any
) -> dict[str, str]:
    """Offenders among named functions: name → sentence."""
    found = {name: look_ahead(function, columns, **options) for name, function in registered}
    return {name: sentence for name, sentence in found.items() if sentence is not None}


def same_bits(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Per row: equal to the last bit, any NaN equal to any NaN, −0.0 unlike 0.0."""
    left, right = np.asarray(left), np.asarray(right)
    if left.dtype.kind != "f":
        equal = left == right
    else:
        equal = (left == right) & (np.signbit(left) == np.signbit(right)) | np.isnan(left) & np.isnan(right)
    return equal.reshape(len(left), math.prod(left.shape[1:])).all(axis=1)


def _copy(columns: Columns) -> dict[str, np.ndarray]:
    return {c: v.copy() for c, v in columns.items()}


def _mutated(columns: Columns, t: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """The candles with everything after row t scaled: still valid candles, at other prices and volumes."""
    n = len(next(iter(columns.values())))
    price = np.exp(np.cumsum(random.normal(0, 0.05, n)) * (np.arange(n) > t))
    volume = np.where(np.arange(n) > t, random.lognormal(0, 1, n), 1.0)
    return {
        c: v.copy() if v.dtype.kind != "f" else v * (volume if c == "volume" else price) for c, v in columns.items()
    }


def _outputs(result: Any) -> Mapping[str, Any]:
    return result if isinstance(result, Mapping) else {"value": result}


def _first_difference(whole: Any, other: Any, t: int) -> int | None:
    if isinstance(whole, Events):
        return _first_event_difference(whole, other, t)
    same = same_bits(np.asarray(whole)[: t + 1], np.asarray(other)[: t + 1])
    return None if same.all() else int(np.argmin(same))


def _first_event_difference(whole: Events, other: Events, t: int) -> int | None:
    left, right = (int(np.sum(np.asarray(e.rows) <= t)) for e in (whole, other))
    both = min(left, right)
    for column in (
        {"row": (whole.rows, other.rows)} | {c: (whole.values[c], other.values[c]) for c in whole.values}
    ).values():
        same = same_bits(np.asarray(column[0])[:both], np.asarray(column[1])[:both])
        if not same.all():
            return int(whole.rows[int(np.argmin(same))])
    return None if left == right else int((whole if left > right else other).rows[both])
