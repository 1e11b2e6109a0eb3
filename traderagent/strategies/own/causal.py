"""Own features as a run reads them: made once, and refused where they look ahead.

They are computed again as they would have been at a few moments: with the candles that follow cut off, or at other
prices. What they said up to then must stay.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import RuleError
from traderagent.market.times import day
from traderagent.strategies.features import Frames, candles_at
from traderagent.strategies.own.blueprint import WAKES
from traderagent.strategies.own.columns import computed
from traderagent.strategies.own.source import identity_of

KEPT = 16
N_MOMENTS, FUTURES = 6, (None, 1.5, 0.6)  # cut off, and prices times these
APART = (997, 331, 149, 79, 31, 13, 5, 1)  # candles; multiples of these end hours and days in their middle
AHEAD = 500  # candles of another future
ROUNDING = 1e-9  # of a column's largest value: linear algebra rounds by the length of what it is given
# What code that has just run on all candles may do on fewer: it reads a table of its own, or asserts something.
FAILURES = (RuleError, ArithmeticError, AssertionError, LookupError, RuntimeError, StopIteration, TypeError, ValueError)


def columns_of(strategy: Any, data: Frames) -> dict[str, np.ndarray]:
    """(n_base,) float64 by name, made once per candles, source and parameters; the wakes first, where there are any.

    Raises
    ------
    RuleError
        Where they look ahead, or are no columns.
    """
    kept = data.__dict__.setdefault("_own", {})
    key = identity_of(type(strategy), strategy.to_dict())
    found = kept.get(key)
    if found is None:
        found = computed(strategy, data)
        check_features(strategy, data, found)
        _keep(kept, key, found)
    return dict(found)


def check_features(strategy: Any, data: Frames, columns: Mapping[str, np.ndarray]) -> None:
    """Ask columns at a few moments; `ta.audit` asks at many. Errors as of `check_causal`."""
    for k, stop in enumerate(moments(columns, len(data["base"].time))):
        if not check_causal(strategy, data, columns, stop, FUTURES[k % len(FUTURES)]):
            return


def moments(columns: Mapping[str, np.ndarray], n: int) -> list[int]:
    """Rows from which on the future is another, soon after every feature is a number: short cuts are cheap."""
    first = max((int(np.argmax(np.isfinite(values))) for values in columns.values()), default=n)
    apart = next((a for a in APART if (first // a + N_MOMENTS) * a < n), 1)
    rows = [(first // apart + k) * apart for k in range(1, N_MOMENTS + 1)]
    return [row for row in rows if row < n]


def check_causal(
    strategy: Any, data: Frames, columns: Mapping[str, np.ndarray], stop: int, factor: float | None = None
) -> bool:
    """Refuse features that change with the candles from `stop` on: cut off, or with prices times a factor.

    Returns
    -------
    Whether they could be asked: a table by row knows no other number of candles. A warning says where not.

    Raises
    ------
    RuleError
        With feature and candle.
    """
    base, cls = data["base"], type(strategy).__name__
    end = int(base.time[stop - 1]) + base.duration
    try:
        other = computed(strategy, _frames_at(data, end, factor))
    except FAILURES as error:
        warnings.warn(
            f"{cls}.features cannot be asked whether it looks ahead: it fails on other candles than all of them "
            f"({type(error).__name__}: {error}); compute from the frames that it is given, m5.close or m5.index",
            stacklevel=2,
        )
        return False
    if set(other) != set(columns):
        raise RuleError(
            f"{cls}.features: got {', '.join(other)} on fewer candles and {', '.join(columns)} on all of them, allowed "
            "are the same names on any candles"
        )
    for name, values in other.items():
        at = first_other(values[:stop], columns[name][:stop])
        if at is None:
            continue
        where = f"{cls}.wakes" if name == WAKES else f"{cls}.features: {name!r}"
        if first_other(computed(strategy, data)[name], columns[name]) is not None:
            raise RuleError(
                f"{where} is another each time it is computed; allowed are features of candles; fix its seed"
            )
        candle, then = (day(pd.Timestamp(int(t), unit="ms", tz="UTC")) for t in (base.time[at], end))
        raise RuleError(
            f"{where} looks ahead: at the candle of {candle} on {data.data.symbol} it changes with the candles from "
            f"{then} on; allowed are features of candles that have closed, however many follow; ta.audit names the "
            "candle that it uses"
        )
    return True


def _frames_at(data: Frames, end: int, factor: float | None) -> Frames:
    """Frames of another future; its candles are kept for the next parameters, their indicators are not."""
    kept = data.__dict__.setdefault("_at", {})
    candles = kept.get((end, factor))
    if candles is None:
        candles = candles_at(data.data, end, factor, AHEAD * data["base"].duration)
        _keep(kept, (end, factor), candles)
    return Frames(candles, on_disk=False)


def _keep(kept: dict[Any, Any], key: Any, value: Any) -> None:
    for old in list(kept)[: max(0, len(kept) + 1 - KEPT)]:
        kept.pop(old, None)
    kept[key] = value


def first_other(left: np.ndarray, right: np.ndarray) -> int | None:
    """The first row at which two columns differ by more than rounding; None where none is."""
    known = np.abs(right[np.isfinite(right)])
    margin = ROUNDING * known.max(initial=0.0)
    with np.errstate(invalid="ignore"):  # ∞ − ∞
        same = (left == right) | (np.isnan(left) & np.isnan(right)) | (np.abs(left - right) <= margin)
    return None if same.all() else int(np.argmin(same))
