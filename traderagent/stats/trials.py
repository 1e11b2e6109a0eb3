"""How many different things a search really tried, and the moments that a single trial is judged by."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from traderagent.base.errors import DataError
from traderagent.base.kernel import kernel
from traderagent.base.words import counted, number
from traderagent.stats.columns import Columns, columns_of, series_of
from traderagent.stats.record import Shown

_TILE = 64  # rows of the product that stay in the processor's cache; changes no number


@dataclass(frozen=True, repr=False)
class EffectiveTrials(Shown):
    """What a deflated Sharpe ratio needs to know of a search.

    Attributes
    ----------
    n_effective : effective number of independent trials, 1 to `n_trials` and below `n_days`
    n_trials : trials with a trade, the raw count
    trials_variance : variance (ddof 1) of the trials' Sharpe ratios per day; NaN for one trial
    n_days : days with returns
    left_out : trials without a trade or without a number
    """

    n_effective: float
    n_trials: int
    trials_variance: float
    n_days: int
    left_out: int

    def headline(self) -> str:
        """The answer in one line."""
        return f"{number(self.n_effective)} effective trials of {number(self.n_trials, 0)}"

    def lines(self) -> dict[str, str]:
        """What the answer rests on: name → number in words."""
        return {
            "variance of daily Sharpe ratios": f"{self.trials_variance:.4g}",
            "days": number(self.n_days, 0),
            "left out": counted(self.left_out, "trial"),
        }


@dataclass(frozen=True, repr=False)
class Moments(Shown):
    """Moments of one trial's returns, named as the formulas of `ta.stats` call them.

    Attributes
    ----------
    sr : mean / standard deviation (ddof 1), per period; NaN without variance
    n : number of returns
    skew, kurtosis : third and fourth standardised moments (divisor n), kurtosis **raw**; NaN without variance
    autocorrelation : of first order; NaN without variance
    """

    sr: float
    n: int
    skew: float
    kurtosis: float
    autocorrelation: float

    def headline(self) -> str:
        """The answer in one line."""
        return f"Sharpe ratio {number(self.sr, 4)} per period over {counted(self.n, 'period')}"

    def lines(self) -> dict[str, str]:
        """What the answer rests on: name → number in words."""
        return {
            "skewness": number(self.skew),
            "raw kurtosis": number(self.kurtosis),
            "autocorrelation": number(self.autocorrelation),
        }


def effective_trials(returns: Any) -> EffectiveTrials:
    """Effective number of independent trials, from the correlations of their returns.

    Parameters
    ----------
    returns : (T, N) array of one column a trial, DataFrame, or cube of one symbol; T ≥ 2. Trials without a trade or
        without a number are left out and counted, days without any number dropped

    Returns
    -------
    EffectiveTrials

    Raises
    ------
    DataError
        For input that `returns` does not allow, and a trial whose return is the same every day: it correlates with
        nothing.

    Notes
    -----
    (Σ λ)² / Σ λ² over the eigenvalues of the N × N correlation matrix, computed as N² / Σ ρ² without eigenvalues and
    from the T × T matrix of products where that is smaller: both have the same sum of squares. Sample correlations of
    independent trials scatter by 1/√(T−1), so that N of them count as about N / (1 + (N−1)/(T−1)): fewer than T − 1
    however many there are.
    """
    columns = columns_of(returns)
    mean, deviation = _scatter(columns)
    scaled = (columns.values - mean) / (deviation * np.sqrt(columns.n_days - 1.0))
    rows = scaled.T if columns.n_trials > columns.n_days else scaled
    n = columns.n_trials
    squares = _sum_of_squared_products(np.ascontiguousarray(rows), np.empty((_TILE, rows.shape[1])))
    ratios = mean / deviation
    return EffectiveTrials(
        n_effective=float(min(max(n**2 / squares, 1.0), n)),
        n_trials=n,
        trials_variance=float(np.var(ratios, ddof=1)) if n > 1 else np.nan,
        n_days=columns.n_days,
        left_out=columns.left_out,
    )


def moments(returns: Any) -> Moments:
    """Sharpe ratio, count, skewness, raw kurtosis and autocorrelation of one trial.

    Parameters
    ----------
    returns : (T,) array or Series, or a cube of one symbol at one point; days without a number are dropped

    Returns
    -------
    Moments

    Raises
    ------
    DataError
        For several trials, or one without a number.

    Notes
    -----
    `ta.stats.probabilistic_sharpe_ratio(m.sr, m.n, m.skew, m.kurtosis)` is meant to follow.
    """
    series = series_of(returns)
    n = series.size
    if n < 2 or is_flat(series[:, None])[0]:
        return Moments(np.nan, n, np.nan, np.nan, np.nan)
    centred = series - series.mean()
    second = np.mean(centred**2)
    return Moments(
        sr=float(series.mean() / series.std(ddof=1)),
        n=n,
        skew=float(np.mean(centred**3) / second**1.5),
        kurtosis=float(np.mean(centred**4) / second**2),
        autocorrelation=float(np.mean(centred[1:] * centred[:-1]) * (n - 1) / n / second),
    )


def is_flat(values: np.ndarray) -> np.ndarray:
    """(N,) bool of (T, N) values: columns whose scatter is rounding, whose Sharpe ratio would be noise."""
    spread = np.sum((values - values.mean(axis=0)) ** 2, axis=0)
    return spread <= 16.0 * np.finfo(np.float64).eps ** 2 * len(values) * np.sum(values**2, axis=0)


def _scatter(columns: Columns) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation (ddof 1) of every column."""
    if columns.n_days < 2:
        raise DataError(f"returns: got {columns.n_days} day, allowed are 2 or more")
    flat = is_flat(columns.values)
    if flat.any():
        raise DataError(
            f"returns: column {columns.kept[np.argmax(flat)]} is the same number on every day, and "
            f"{int(flat.sum())} columns are like it; it has no Sharpe ratio and no correlation, leave it out"
        )
    return columns.values.mean(axis=0), columns.values.std(axis=0, ddof=1)


@kernel
def _sum_of_squared_products(rows, tile):
    """Sum of the squared entries of rowsᵀ · rows, by tiles of its upper triangle, in one order of additions."""
    n = rows.shape[1]
    total = 0.0
    for first in range(0, n, tile.shape[0]):
        height = min(tile.shape[0], n - first)
        tile[:] = 0.0
        for r in range(rows.shape[0]):
            for i in range(height):
                factor = rows[r, first + i]
                for j in range(first + i, n):
                    tile[i, j] += factor * rows[r, j]
        for i in range(height):
            total += tile[i, first + i] ** 2
            for j in range(first + i + 1, n):
                total += 2.0 * tile[i, j] ** 2
    return total
