"""Metrics of single runs, from the whole equity curve and the list of round trips."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from traderagent.base.errors import DataError
from traderagent.metrics.record import DAY_MS, RUN_METRICS, metric


@metric(
    "days", -1, "longest time from a close at the peak (or the start) to a later close below it", registry=RUN_METRICS
)
def time_under_water(run: Mapping[str, Any]) -> Any:
    """Longest spell below the peak. Needs equity, close_ms (n_candles,), initial, start_ms."""
    equity, close_ms = _curve(run)
    if equity.size == 0:
        return np.nan
    peak = np.maximum.accumulate(np.r_[run["initial"], equity])
    at_peak = np.r_[True, equity >= peak[:-1]]
    time = np.r_[run["start_ms"], close_ms]
    since = np.maximum.accumulate(np.where(at_peak, time, -np.inf))
    return np.max(time - since) / DAY_MS


@metric("%", -1, "√ mean over closes of (drawdown %)²", registry=RUN_METRICS)
def ulcer_index(run: Mapping[str, Any]) -> Any:
    """Depth and length of drawdowns in one number. Needs equity (n_candles,), close_ms, initial."""
    equity, _ = _curve(run)
    if equity.size == 0:
        return np.nan
    peak = np.maximum(np.maximum.accumulate(equity), run["initial"])
    return np.sqrt(np.mean(((peak - equity) / peak * 100.0) ** 2))


@metric(
    "1", -1, "max over round trips of −(worst unrealised PnL) / cost; NaN without a round trip", registry=RUN_METRICS
)
def max_adverse_excursion(run: Mapping[str, Any]) -> Any:
    """Deepest a round trip stood below its cost. Needs trip_worst (≤ 0, quote) and the cost it had then, trip_cost."""
    worst, cost = np.atleast_1d(run["trip_worst"]), np.atleast_1d(run["trip_cost"])
    if worst.shape != cost.shape:
        raise DataError(f"trip_worst has {worst.size} and trip_cost {cost.size} entries; give one of each a round trip")
    if worst.size == 0:
        return np.nan
    return np.max(np.maximum(-worst, 0.0) / np.where(cost > 0.0, cost, np.nan))


def _curve(run: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    equity, close_ms = np.atleast_1d(run["equity"]), np.atleast_1d(run["close_ms"])
    if equity.shape != close_ms.shape:
        raise DataError(f"equity has {equity.size} and close_ms {close_ms.size} entries; give one of each a candle")
    return equity, close_ms
