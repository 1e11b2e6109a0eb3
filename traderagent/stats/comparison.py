"""Many trials against one benchmark, and intervals that keep the order of days: bootstraps by blocks, from `arch`.

Days are drawn in blocks of random, geometrically distributed length that wrap around the end (the stationary
bootstrap: Politis and Romano, Journal of the American Statistical Association 89, 1994), so that a drawn history keeps
the dependence of neighbouring days. How long blocks should be: Politis and White, Econometric Reviews 23(1), 2004,
with the correction of Patton, Politis and White, 28(4), 2009.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.base.errors import ConfigError, DataError
from traderagent.base.words import counted, number
from traderagent.stats.arguments import one_of, real, whole
from traderagent.stats.columns import DAY, Columns, columns_of, series_of
from traderagent.stats.record import Shown
from traderagent.stats.trials import is_flat

FEWEST_DAYS = 10  # below, the rule for the length of blocks has nothing to look at


def _total_return(r: np.ndarray) -> float:
    return float(np.prod(1.0 + r) - 1.0)


def _sharpe(r: np.ndarray) -> float:
    return float(np.nan if is_flat(r[:, None])[0] else r.mean() / r.std(ddof=1))


def _mean(r: np.ndarray) -> float:
    return float(r.mean())


STATISTICS: dict[str, Callable[[np.ndarray], float]] = {
    "total_return": _total_return,
    "mean": _mean,
    "sharpe": _sharpe,
}


def _resamples(result: Any) -> str:
    blocks = counted(result.block_length, "day")
    return f"{number(result.n_resamples, 0)}, blocks of {blocks}, seed {result.seed}"


@dataclass(frozen=True, repr=False)
class RealityCheck(Shown):
    """Whether the best of many trials beats the benchmark by more than luck.

    Attributes
    ----------
    p_value : White's reality check: share of resamples in which the best of trials without any lead leads by more;
        0 means less than 1 / `n_resamples`
    p_spa, p_lower : Hansen's consistent p-value and its lower bound, both without studentisation: they set trials
        that are far behind, or behind at all, aside; p_lower ≤ p_spa ≤ p_value
    best : position of the best trial among the columns given
    best_lead : its mean daily return above the benchmark
    block_length : mean length of the blocks, days
    n_resamples, seed : of the bootstrap
    n_trials, n_days : compared
    left_out : trials without a trade or without a number
    """

    p_value: float
    p_spa: float
    p_lower: float
    best: int
    best_lead: float
    block_length: int
    n_resamples: int
    seed: int
    n_trials: int
    n_days: int
    left_out: int

    def headline(self) -> str:
        """The answer in one line."""
        return f"reality check: p-value {number(self.p_value, 3)}, best of {counted(self.n_trials, 'trial')}"

    def lines(self) -> dict[str, str]:
        """What the answer rests on: name → number in words."""
        return {
            "p-value, consistent (SPA, not studentised)": number(self.p_spa, 3),
            "p-value, lower bound": number(self.p_lower, 3),
            "best trial": f"column {self.best}, {self.best_lead:+.3%} a day above the benchmark",
            "resamples": _resamples(self),
            "days": number(self.n_days, 0),
            "left out": counted(self.left_out, "trial"),
        }


@dataclass(frozen=True, repr=False)
class BootstrapInterval(Shown):
    """A statistic of one trial's returns with the interval that its days allow.

    Attributes
    ----------
    estimate : the statistic of the days as they were
    low, high : two-sided percentile interval; NaN where the statistic is not defined on a resample
    level : probability between them
    statistic : "total_return", "mean" or "sharpe"
    block_length : mean length of the blocks, days
    n_resamples, seed : of the bootstrap
    n_days : days with a return
    """

    estimate: float
    low: float
    high: float
    level: float
    statistic: str
    block_length: int
    n_resamples: int
    seed: int
    n_days: int

    def headline(self) -> str:
        """The answer in one line."""
        low, high, estimate = (number(v, 4, signed=True) for v in (self.low, self.high, self.estimate))
        return f"{self.statistic} {estimate}, {self.level:.0%} interval {low} to {high}"

    def lines(self) -> dict[str, str]:
        """What the answer rests on: name → number in words."""
        return {
            "resamples": _resamples(self),
            "days": number(self.n_days, 0),
        }


def block_length(returns: Any) -> float:
    """Mean block length that the stationary bootstrap should use, by the rule of Politis and White.

    Parameters
    ----------
    returns : (T,) array or Series of one trial, or a cube of one symbol at one point; T ≥ 10

    Returns
    -------
    float, days, ≥ 1; 1 for returns that do not vary

    Raises
    ------
    DataError
        For several trials or fewer than 10 days.
    """
    series = series_of(returns)
    _enough(series.size)
    return float(_block_lengths(series[:, None])[0])


def reality_check(
    returns: Any,
    benchmark: Any = None,
    seed: int = 0,
    *,
    n_resamples: int = 1000,
    length: int | None = None,
) -> RealityCheck:
    """Test whether the best of many trials beats a benchmark by more than the search explains.

    Parameters
    ----------
    returns : (T, N) array of one column a trial, DataFrame, or cube of one symbol; T ≥ 10. Trials without a trade or
        without a number are left out and counted, days without any number dropped
    benchmark : (T,) returns of the same days, as array, Series or `xr.DataArray`; None is cash, 0 every day
    seed : of the resamples, ≥ 0
    n_resamples : ≥ 100
    length : mean block length, days, 1 to T; None is the mean over trials of the Politis–White lengths, rounded up

    Returns
    -------
    RealityCheck

    Raises
    ------
    ConfigError
        For options outside their bounds.
    DataError
        For input that `returns` does not allow, a benchmark of other days, and a trial that leads or lags by the same
        every day: its resamples are all alike, and their share says nothing.

    Notes
    -----
    White, "A reality check for data snooping", Econometrica 68(5), 2000; Hansen, "A test for superior predictive
    ability", Journal of Business & Economic Statistics 23(4), 2005. `arch.bootstrap.SPA` compares losses, here negative
    returns, and does not studentise, whatever its flag says: this is not Hansen's studentised test. It keeps
    24 · N · `n_resamples` bytes.
    """
    whole("seed", seed, 0)
    whole("n_resamples", n_resamples, 100)
    columns = columns_of(returns)
    _enough(columns.n_days)
    mark = _benchmark(benchmark, columns)
    lead = columns.values - mark[:, None]
    _scatters(lead, columns)
    blocks = _length(length, lead)
    from arch.bootstrap import SPA

    test = SPA(-mark, -columns.values, block_size=blocks, reps=n_resamples, studentize=False, seed=int(seed))
    test.compute()
    best = int(np.argmax(lead.mean(axis=0)))
    return RealityCheck(
        p_value=float(test.pvalues["upper"]),
        p_spa=float(test.pvalues["consistent"]),
        p_lower=float(test.pvalues["lower"]),
        best=int(columns.kept[best]),
        best_lead=float(lead[:, best].mean()),
        block_length=blocks,
        n_resamples=int(n_resamples),
        seed=int(seed),
        n_trials=columns.n_trials,
        n_days=columns.n_days,
        left_out=columns.left_out,
    )


def bootstrap_interval(
    returns: Any,
    statistic: str = "total_return",
    level: float = 0.9,
    seed: int = 0,
    *,
    n_resamples: int = 2000,
    length: int | None = None,
) -> BootstrapInterval:
    """Interval of a statistic of one trial's daily returns, by the stationary bootstrap.

    Parameters
    ----------
    returns : (T,) array or Series, or a cube of one symbol at one point; T ≥ 10, days without a number are dropped
    statistic : "total_return" (compounded, a fraction), "mean" or "sharpe" (both per day)
    level : probability inside, 0 to 1 exclusive; each side loses (1 − level) / 2
    seed : of the resamples, ≥ 0
    n_resamples : ≥ 100
    length : mean block length, days, 1 to T; None is the Politis–White length, rounded up

    Returns
    -------
    BootstrapInterval

    Raises
    ------
    ConfigError
        For an unknown statistic and options outside their bounds.
    DataError
        For several trials, fewer than 10 days, and a total return over a day that lost more than everything.
    """
    one_of("statistic", statistic, STATISTICS)
    share = real("level", level, "probabilities above 0 and below 1", lambda p: (p > 0.0) & (p < 1.0))
    if share.ndim:
        raise ConfigError(f"level: got shape {share.shape}, allowed is one number")
    whole("seed", seed, 0)
    whole("n_resamples", n_resamples, 100)
    series = series_of(returns)
    _enough(series.size)
    if statistic == "total_return" and series.min() < -1.0:
        raise DataError(
            f"returns: got {series.min():g} on a day, allowed are fractions ≥ -1 to compound; are these percent?"
        )
    blocks = _length(length, series[:, None])
    from arch.bootstrap import StationaryBootstrap

    compute = STATISTICS[statistic]
    bootstrap = StationaryBootstrap(blocks, series, seed=int(seed))
    drawn = [compute(np.asarray(positional[0])) for positional, _ in bootstrap.bootstrap(n_resamples)]
    low, high = np.quantile(drawn, [(1.0 - share) / 2.0, (1.0 + share) / 2.0])
    return BootstrapInterval(
        estimate=compute(series),
        low=float(low),
        high=float(high),
        level=float(share),
        statistic=statistic,
        block_length=blocks,
        n_resamples=int(n_resamples),
        seed=int(seed),
        n_days=series.size,
    )


def _enough(n_days: int) -> None:
    if n_days < FEWEST_DAYS:
        raise DataError(f"returns: got {counted(n_days, 'day')}, allowed are {FEWEST_DAYS} or more; give a longer span")


def _scatters(lead: np.ndarray, columns: Columns) -> None:
    """Refuse trials whose lead does not vary; one that is the benchmark itself leads by nothing and may stay."""
    flat = is_flat(lead) & (lead != 0.0).any(axis=0)
    if flat.any():
        first = int(np.argmax(flat))
        raise DataError(
            f"returns: column {columns.kept[first]} differs from the benchmark by {lead[0, first]:g} on every day "
            f"({int(flat.sum())} of {flat.size} columns do so); drawing such days again shows no luck, so there is "
            "no p-value; leave it out"
        )


def _length(length: int | None, values: np.ndarray) -> int:
    """Mean block length in whole days, as asked for or by the rule."""
    if length is not None:
        return whole("length", length, 1, len(values))
    return math.ceil(_block_lengths(values).mean())


def _block_lengths(values: np.ndarray) -> np.ndarray:
    """(N,) lengths by the rule, ≥ 1; 1 for columns that do not vary."""
    from arch.bootstrap import optimal_block_length

    found = np.ones(values.shape[1])
    moving = ~is_flat(values)
    if moving.any():
        with np.errstate(invalid="ignore", divide="ignore"):  # correlations at lags where all returns are alike
            found[moving] = optimal_block_length(values[:, moving])["stationary"].to_numpy()
    return np.where(found > 1.0, found, 1.0)


def _benchmark(benchmark: Any, columns: Columns) -> np.ndarray:
    """(T,) returns of the benchmark on the days that were kept."""
    if benchmark is None:
        return np.zeros(columns.n_days)
    days = None
    if isinstance(benchmark, pd.Series):
        days = benchmark.index
    elif isinstance(benchmark, xr.DataArray):
        days = benchmark.indexes.get(DAY)
    if days is not None and columns.days is not None and not days.equals(columns.days):
        raise DataError("benchmark: its days differ from those of returns; reindex it to the same days")
    try:
        array = np.asarray(benchmark)
    except ValueError:
        array = np.empty((0, 0))
    if array.dtype.kind not in "iuf" or array.shape != columns.inside.shape:
        raise DataError(
            f"benchmark: got {array.dtype} of shape {array.shape}, allowed are {len(columns.inside)} numbers, one a day"
        )
    mark = array.astype(np.float64)[columns.inside]
    if not np.isfinite(mark).all():
        raise DataError(f"benchmark: {int((~np.isfinite(mark)).sum())} days are not finite; allowed are finite numbers")
    return mark
