"""Daily returns of stretches of time, joined into the curve of one account, by symbol and pooled."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from traderagent.engine.tape import DAY
from traderagent.metrics.record import METRICS
from traderagent.robustness.spans import Span, SpanRuns

NUMBERS = ("total_return_pct", "max_drawdown_pct", "sharpe_ratio_daily")


def joined(parts: Iterable[tuple[Span, np.ndarray]], days: tuple[int, int]) -> np.ndarray:
    """Returns of one account that goes from one stretch to the next with all it has.

    Parameters
    ----------
    parts : stretches, each with its (…, n_days) daily returns; NaN, and days of no stretch, are cash
    days : first and last label day, in days since 1970

    Returns
    -------
    (…, n_days) float64; where two stretches share a day, both of its returns compound
    """
    growth: np.ndarray | None = None
    for span, returns in parts:
        if growth is None:
            growth = np.ones((*returns.shape[:-1], days[1] - days[0] + 1))
        first = span.days[0] - days[0]
        growth[..., first : first + span.n_days] *= 1.0 + np.nan_to_num(returns)
    return np.zeros(days[1] - days[0] + 1) if growth is None else growth - 1.0


def trial_returns(runs: SpanRuns) -> np.ndarray:
    """(n_symbols, n_points, n_days) float64 daily returns of every point over all spans that keep them, chained.

    A stretch without the symbol's candles is cash; a point that never ran is NaN.
    """
    chained = joined([(runs.spans[k], daily) for k, daily in runs.daily.items()], days_of(runs))
    ran = np.any([np.isfinite(daily).any(axis=-1) for daily in runs.daily.values()], axis=0)
    return np.where(ran[..., None], chained, np.nan)


def days_of(runs: SpanRuns) -> tuple[int, int]:
    """First and last label day of the spans that keep daily returns."""
    return span_of(runs.spans[k] for k in runs.daily)


def pooled_returns(returns: np.ndarray) -> np.ndarray:
    """Mean over symbols (the first axis): accounts brought back to equal weights every day; NaN is cash."""
    return np.nan_to_num(returns).mean(axis=0)


def span_of(spans: Iterable[Span]) -> tuple[int, int]:
    """First and last label day of some spans."""
    days = [span.days for span in spans]
    return min(first for first, _ in days), max(last for _, last in days)


def dates(days: tuple[int, int]) -> pd.DatetimeIndex:
    """Label days as times in UTC."""
    return pd.DatetimeIndex(pd.to_datetime(np.arange(days[0], days[1] + 1) * DAY, unit="ms", utc=True), name="day")


def equity_of(returns: pd.DataFrame, balance: float) -> pd.DataFrame:
    """Equity at the end of every day of some daily returns, and `balance` on the day before the first one."""
    index = returns.index.insert(0, returns.index[0] - pd.Timedelta("1D")).rename("day")
    grown = np.cumprod(np.vstack([np.ones(returns.shape[1]), 1.0 + returns.to_numpy()]), axis=0)
    return pd.DataFrame(balance * grown, index, returns.columns)


def numbers_of(returns: np.ndarray) -> dict[str, float]:
    """Return, drawdown and annualised Sharpe ratio of daily returns; NaN where undefined."""
    equity = np.cumprod(np.append(1.0, 1.0 + returns))
    peak = np.maximum.accumulate(equity)
    totals = {
        "initial": 1.0,
        "final": equity[-1],
        "max_drawdown": ((peak - equity) / peak).max(),
        "n_days": float(len(returns)),
        "sum_d": returns.sum(),
        "sum_d2": (returns**2).sum(),
    }
    return {name: float(METRICS[name](totals)) for name in NUMBERS}
