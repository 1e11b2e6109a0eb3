"""What a curve of equity alone is worth, where there is no run behind it: ways of holding, sums of accounts."""

import numpy as np
import pandas as pd

from traderagent.metrics.record import evaluate

CURVE_METRICS = ("total_return_pct", "max_drawdown_pct", "sharpe_ratio_daily")


def curve_metrics(curve: pd.Series, initial: float) -> dict[str, float]:
    """Return, largest drawdown and daily Sharpe ratio of a curve of one value a candle that begins at `initial`."""
    values = curve.to_numpy(float)
    peak = np.maximum(np.maximum.accumulate(values), initial)
    daily = np.asarray(curve.resample("1D").last().ffill(), float)
    change = np.diff(daily, prepend=initial) / np.r_[initial, daily[:-1]]
    totals = {
        "initial": initial,
        "final": values[-1],
        "max_drawdown": np.max(1 - values / peak),
        "n_days": len(change),
        "sum_d": float(np.sum(change)),
        "sum_d2": float(np.sum(change**2)),
    }
    return {metric: float(value) for metric, value in evaluate(totals, CURVE_METRICS).items()}
