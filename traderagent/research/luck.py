"""How much of a search's best result is luck: what its trials are worth together, from their daily returns in sample.

The best of many worthless trials looks good. The probabilistic Sharpe ratio asks whether one trial beats zero, the
deflated one whether it beats what the best of so many reaches by luck, and the probability of backtest overfitting
(PBO) whether the way of choosing picks what stays good. All are of daily returns, whatever the objective was.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.base.errors import DataError
from traderagent.base.space import TRIAL
from traderagent.base.threads import cores
from traderagent.metrics.surface import POOLED, axes_of, samples_of, with_symbols
from traderagent.stats import (
    deflated_sharpe_ratio,
    effective_trials,
    expected_max_sharpe,
    probabilistic_sharpe_ratio,
    probability_of_backtest_overfitting,
)

SPLITS = 16
METHOD = "2012"


@dataclass(frozen=True, eq=False)
class DailyReturns:
    """Daily returns of the trials of one row, in sample.

    Attributes
    ----------
    days : (T,) datetime64, those on which any trial has a number
    values : (T, n_points) float64 in the order of the cube; a column of NaN is a point that no config allows
    """

    days: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class SearchLuck:
    """Luck of the search of one symbol, or of the pooled account. Sharpe ratios are per day, not annualised.

    Attributes
    ----------
    n_trials, left_out : trials that traded, and those that did not or that no config allows
    n_effective : effective number of independent trials
    trials_variance : variance of the trials' Sharpe ratios
    n_days : days in sample
    expected_max : Sharpe ratio that the best of so many worthless trials is expected to reach
    pbo, logits : probability of backtest overfitting, and the logit of each split
    sharpe, skew, kurtosis : (n_points,) of each trial, kurtosis raw; NaN without variance
    method : of the Sharpe tests, "2012" or "2025"
    why : why a number is undefined; empty where none is
    """

    n_trials: int
    left_out: int
    n_effective: float
    trials_variance: float
    n_days: int
    expected_max: float
    pbo: float
    logits: np.ndarray
    sharpe: np.ndarray
    skew: np.ndarray
    kurtosis: np.ndarray
    method: str
    why: str

    def probabilistic(self, position: int | None) -> float:
        """Probability that the true Sharpe ratio of a trial exceeds 0; NaN where it has none."""
        if position is None or np.isnan(self.sharpe[position]):
            return np.nan
        return float(probabilistic_sharpe_ratio(*self._moments(position), method=self.method))

    def deflated(self, position: int | None) -> float:
        """Probability that the true Sharpe ratio of a trial exceeds `expected_max`; NaN where either is undefined."""
        if position is None or np.isnan(self.sharpe[position]) or np.isnan(self.n_effective):
            return np.nan
        trials = (self.n_effective, self.trials_variance)
        return float(deflated_sharpe_ratio(*self._moments(position), *trials, method=self.method))

    def row(self, position: int | None) -> dict[str, Any]:
        """Everything about the chosen trial and its search, for a table."""
        chosen = {
            "sharpe_per_day": self.sharpe,
            "skew": self.skew,
            "kurtosis": self.kurtosis,
        }
        return {
            "n_trials": self.n_trials,
            "left_out": self.left_out,
            "n_effective": self.n_effective,
            "days": self.n_days,
            "trials_variance": self.trials_variance,
            "expected_max_per_day": self.expected_max,
            **{name: np.nan if position is None else float(values[position]) for name, values in chosen.items()},
            "psr": self.probabilistic(position),
            "dsr": self.deflated(position),
            "pbo": self.pbo,
            "why": self.why,
        }

    def _moments(self, position: int) -> tuple[float, int, float, float]:
        return self.sharpe[position], self.n_days, self.skew[position], self.kurtosis[position]


def search_luck(cube: xr.Dataset, *, method: str = METHOD, splits: int = SPLITS) -> dict[str, SearchLuck]:
    """Luck of a whole search, by symbol and pooled.

    Parameters
    ----------
    cube : of `ta.sweep` with `returns`; with a dim `sample`, only its part `in` is read
    method : of the Sharpe tests, "2012" or "2025"
    splits : blocks of days that PBO is cross-validated over

    Returns
    -------
    Symbol → its luck, and `pooled`: that of equal accounts, one a symbol, brought back to equal weights every day;
    before its first candle and after its cut a symbol's account holds cash

    Raises
    ------
    DataError, ConfigError
        For a cube without returns or without a sample `in`, an unknown method, and an odd number of splits.
    """
    return lucks_of(daily_returns(cube), method, splits)


def lucks_of(
    returns: Mapping[str, Callable[[], DailyReturns]], method: str = METHOD, splits: int = SPLITS
) -> dict[str, SearchLuck]:
    """Luck of several searches, in threads; each holds its returns only while it is judged."""
    with ThreadPoolExecutor(cores()) as pool:
        found = pool.map(lambda read: luck_of(read(), method, splits), returns.values())
        return dict(zip(returns, found, strict=True))


def daily_returns(cube: xr.Dataset) -> dict[str, Callable[[], DailyReturns]]:
    """Daily returns in sample of every symbol and of the pooled account, read from the cube when called.

    Raises
    ------
    DataError, ConfigError
        As `search_luck` does.
    """
    if "returns" not in cube:
        raise DataError(
            "cube: has no daily returns, which every statistic of luck needs; sweep with returns='1D' (the default)"
        )
    inside = samples_of(with_symbols(cube))[0]["returns"]
    axes, sampled = axes_of(inside)
    table = inside.transpose("symbol", *((TRIAL,) if sampled else axes), "day")
    names = [str(name) for name in table["symbol"].to_numpy()]
    found: dict[str, Callable[[], DailyReturns]] = {name: partial(_one, table, k) for k, name in enumerate(names)}
    return found | {POOLED: partial(_pooled, table)}


def _one(table: xr.DataArray, symbol: int) -> DailyReturns:
    days = table["day"].to_numpy()
    values = table[symbol].to_numpy().reshape(-1, len(days)).T.astype(np.float64)
    span = np.isfinite(values).any(axis=1)
    return DailyReturns(days[span], values[span])


def _pooled(table: xr.DataArray) -> DailyReturns:
    """Mean over the symbols' accounts; one that does not trade on a day holds cash."""
    days = table["day"].to_numpy()
    n_points = table[0].size // len(days)
    total, traded, lawful = np.zeros((len(days), n_points)), np.zeros(len(days), bool), np.zeros(n_points, bool)
    for symbol in range(table.sizes["symbol"]):
        values = table[symbol].to_numpy().reshape(-1, len(days)).T
        known = np.isfinite(values)
        total += np.where(known, values, 0.0)
        traded |= known.any(axis=1)
        lawful |= known.any(axis=0)
    total /= table.sizes["symbol"]
    total[:, ~lawful] = np.nan
    return DailyReturns(days[traded], total[traded])


def luck_of(returns: DailyReturns, method: str = METHOD, splits: int = SPLITS) -> SearchLuck:
    """Luck of one search from the daily returns of all its trials."""
    values = returns.values
    probabilistic_sharpe_ratio(0.0, 2, 0.0, 3.0, method=method)  # refuses an unknown method before the work
    sharpe, skew, kurtosis = _moments_of(values)
    traded = int(((values != 0.0) & np.isfinite(values)).any(axis=0).sum())
    why, n_effective, variance = [], np.nan, np.nan
    pbo, logits = np.nan, np.empty(0)
    try:
        trials = effective_trials(values)
        n_effective, variance = trials.n_effective, trials.trials_variance
    except DataError as error:
        why.append(str(error))
    try:
        found = probability_of_backtest_overfitting(values, splits)
        pbo, logits = found.pbo, found.logits
    except DataError as error:
        why += [str(error)] if traded else []  # without a trade the same is said already
    return SearchLuck(
        n_trials=traded,
        left_out=values.shape[1] - traded,
        n_effective=n_effective,
        trials_variance=variance,
        n_days=len(values),
        expected_max=_expected_max(n_effective, variance),
        pbo=pbo,
        logits=logits,
        sharpe=sharpe,
        skew=skew,
        kurtosis=kurtosis,
        method=method,
        why="; ".join(dict.fromkeys(why)),
    )


def luck_table(found: Mapping[str, SearchLuck], chosen: Mapping[str, int | None]) -> pd.DataFrame:
    """One row a symbol, and `pooled`: the chosen trial and the search that chose it."""
    rows = [luck.row(chosen.get(name)) for name, luck in found.items()]
    frame = pd.DataFrame(rows, index=pd.Index(list(found), name="symbol"))
    frame.attrs["method"] = next(iter(found.values())).method
    return frame


def joined(first: DailyReturns, second: DailyReturns, keep: np.ndarray) -> DailyReturns:
    """Trials of two sweeps of the same candles: those of the first that are kept, then all of the second.

    Raises
    ------
    DataError
        Where the sweeps began or ended on different days.
    """
    if not np.array_equal(first.days, second.days):
        raise DataError(
            f"returns: got trials of {len(first.days)} and of {len(second.days)} days, allowed are the same days; give "
            "both sweeps one warm-up (warmup_bars)"
        )
    return DailyReturns(first.days, np.hstack([first.values[:, keep], second.values]))


def _expected_max(n_effective: float, variance: float) -> float:
    if np.isnan(n_effective):
        return np.nan
    most = float(expected_max_sharpe(n_effective))
    return 0.0 if most == 0.0 else float(np.sqrt(variance)) * most


def _moments_of(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sharpe ratio (ddof 1), skewness and raw kurtosis of every column; NaN where one has no variance."""
    n = len(values)
    if n < 2:
        empty = np.full(values.shape[1], np.nan)
        return empty, empty, empty
    mean = values.mean(axis=0)
    centred = values - mean
    second = np.square(centred).mean(axis=0)
    # A scatter within the rounding of the sums is none, or a constant return would get a Sharpe ratio of 1e7.
    real = second > 16.0 * np.finfo(np.float64).eps ** 2 * n * np.square(values).mean(axis=0)
    second = np.where(real, second, np.nan)
    third, fourth = (centred**3).mean(axis=0), (centred**4).mean(axis=0)
    return mean / np.sqrt(second * n / (n - 1)), third / second**1.5, fourth / second**2
