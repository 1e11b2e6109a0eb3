"""Curves that a verdict is computed from: parts of a span in a row, several accounts together, day by day."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from traderagent.stats import moments

YEAR_DAYS = 365.0


def in_a_row(parts: Sequence[pd.Series], initial: float) -> pd.Series:
    """One curve that begins at 1 of parts that each begin at `initial`, the second going on where the first ended.

    Parameters
    ----------
    parts : equity by time, quote currency, in the order of time; what runs on beside the next part is left out
    initial : what each part begins with

    Returns
    -------
    Series by time, relative to the beginning of the first part
    """
    level, found = 1.0, []
    for part, follower in zip(parts, [*parts[1:], None], strict=True):
        own = part if follower is None else part[part.index <= follower.index[0]]
        found.append(own / initial * level)
        level = float(found[-1].iloc[-1])
    whole = pd.concat(found)
    return whole[~whole.index.duplicated(keep="last")]


def together(curves: Sequence[pd.Series]) -> pd.Series:
    """Mean of accounts that each begin at 1: one holds cash before its first time, and its last value after its end."""
    index = curves[0].index
    for curve in curves[1:]:
        index = index.union(curve.index)
    filled = [curve.reindex(index).ffill().fillna(1.0) for curve in curves]
    return sum(filled[1:], filled[0]) / len(filled)


def daily_of(curve: pd.Series) -> pd.Series:
    """Daily returns of a curve that begins at 1, by UTC day; a day without a value, and each after a total loss, is one
    without a gain.
    """
    last = curve.resample("1D").last().ffill()
    before = np.r_[1.0, last.to_numpy()[:-1]]
    alive = np.minimum.accumulate(before) > 0.0
    return pd.Series(np.divide(last.to_numpy(), before, out=np.ones(len(before)), where=alive) - 1.0, last.index)


def compounded(returns: pd.Series) -> pd.Series:
    """The curve that begins at 1 and has these daily returns."""
    return (1.0 + returns).cumprod()


def drawdown_pct(curve: pd.Series) -> float:
    """Largest fall below the highest value so far, 1 at the beginning, %."""
    return float((1.0 - curve / curve.cummax().clip(lower=1.0)).max() * 100.0)


def gain_pct(curve: pd.Series) -> float:
    """Change of a curve that begins at 1, %."""
    return float((curve.iloc[-1] - 1.0) * 100.0)


def sharpe_of(returns: pd.Series) -> float:
    """Sharpe ratio of daily returns, annualised; NaN without scatter."""
    return moments(returns.to_numpy()).sr * float(np.sqrt(YEAR_DAYS))
