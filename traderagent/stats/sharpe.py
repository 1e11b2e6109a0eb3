"""What a Sharpe ratio is worth: its standard error, and the probability that the true one beats a benchmark.

A Sharpe ratio of fat-tailed, left-skewed returns is less certain than one of normal returns, and the highest of many
is high by luck. The formulas take Sharpe ratios per period and **raw** kurtosis; a kurtosis that no distribution of
that skewness can have is refused, which catches an excess kurtosis passed by mistake wherever it can be told.

Two methods. "2012" (Bailey and López de Prado, "The Sharpe ratio efficient frontier", Journal of Risk 15(2), 2012)
takes the variance at the estimated ratio and divides by n − 1. "2025" (López de Prado, Lipton and Zoonekynd, "How to
use the Sharpe ratio", 2025) takes it at the ratio under test, divides by n, and knows returns with first-order
autocorrelation.
"""

from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from traderagent.base.errors import ConfigError
from traderagent.stats.arguments import elementwise, one_of, real, together, whole
from traderagent.stats.extremes import expected_max_sharpe

METHODS = ("2012", "2025")
STANDARD_ERRORS = ("lo", "mertens", *METHODS)
_ROUNDING = 1e-9


@elementwise
def probabilistic_sharpe_ratio(
    sr: Any,
    n: Any,
    skew: Any,
    kurtosis: Any,
    benchmark: Any = 0.0,
    method: str = "2012",
    autocorrelation: Any = 0.0,
) -> Any:
    """Probability that the true Sharpe ratio exceeds a benchmark.

    Parameters
    ----------
    sr : estimated Sharpe ratio, per period
    n : number of returns it was estimated from, ≥ 2
    skew : skewness of the returns
    kurtosis : raw kurtosis of the returns (normal 3)
    benchmark : Sharpe ratio to beat, per period
    method : "2012" or "2025", see the module
    autocorrelation : first-order autocorrelation of the returns, −1 to 1 exclusive; "2025" only

    Returns
    -------
    float64, 0 to 1, of the shape that the arguments broadcast to; NaN where an argument is, or the variance is 0

    Raises
    ------
    ConfigError
        For what is not allowed above, and a kurtosis below 1 + skew².
    """
    ratio, count, third, fourth, rho = _arguments(sr, n, skew, kurtosis, method, autocorrelation)
    bar = _ratio("benchmark", benchmark)
    together(sr=ratio, n=count, skew=third, kurtosis=fourth, benchmark=bar, autocorrelation=rho)
    return _probability(ratio, bar, count, third, fourth, method, rho)


@elementwise
def deflated_sharpe_ratio(
    sr: Any,
    n: Any,
    skew: Any,
    kurtosis: Any,
    trials: Any,
    trials_variance: Any,
    method: str = "2012",
    autocorrelation: Any = 0.0,
) -> Any:
    """Probability that the true Sharpe ratio of the best trial exceeds what the best of so many would get by luck.

    Parameters
    ----------
    sr, n, skew, kurtosis, method, autocorrelation : of the chosen trial, as in `probabilistic_sharpe_ratio`
    trials : number of independent trials, ≥ 1; `effective_trials` estimates it
    trials_variance : variance of the trials' Sharpe ratios, per period, ≥ 0; NaN gives NaN

    Returns
    -------
    float64, 0 to 1; with fewer than 2 trials the probabilistic ratio against 0, whatever the variance

    Raises
    ------
    ConfigError
        As `probabilistic_sharpe_ratio`, and for fewer than 1 trial or a negative variance.

    Notes
    -----
    Bailey and López de Prado, "The deflated Sharpe ratio", Journal of Portfolio Management 40(5), 2014: the benchmark
    is √trials_variance · `expected_max_sharpe(trials)`.
    """
    ratio, count, third, fourth, rho = _arguments(sr, n, skew, kurtosis, method, autocorrelation)
    variance = real("trials_variance", trials_variance, "variances ≥ 0, per period", lambda v: v >= 0.0, undefined=True)
    luck = np.asarray(expected_max_sharpe(trials))
    together(sr=ratio, n=count, skew=third, kurtosis=fourth, autocorrelation=rho, trials=luck, trials_variance=variance)
    bar = np.where(luck == 0.0, 0.0, np.sqrt(variance) * luck)
    return _probability(ratio, bar, count, third, fourth, method, rho)


@elementwise
def min_track_record_length(
    sr: Any,
    benchmark: Any,
    skew: Any,
    kurtosis: Any,
    alpha: Any = 0.05,
    method: str = "2012",
    autocorrelation: Any = 0.0,
) -> Any:
    """Number of returns after which `sr` beats the benchmark at the significance `alpha`, all else as estimated.

    Parameters
    ----------
    sr, benchmark : Sharpe ratios, per period
    skew, kurtosis, method, autocorrelation : as in `probabilistic_sharpe_ratio`
    alpha : probability of error, above 0 and below ½

    Returns
    -------
    float64, observations, not rounded: the probabilistic ratio with that n is 1 − alpha; NaN where `sr` does not
    exceed the benchmark, which no length of record proves

    Raises
    ------
    ConfigError
        For what is not allowed.
    """
    ratio, _, third, fourth, rho = _arguments(sr, 2, skew, kurtosis, method, autocorrelation)
    bar = _ratio("benchmark", benchmark)
    error = real("alpha", alpha, "probabilities above 0 and below 0.5", lambda a: (a > 0.0) & (a < 0.5))
    together(sr=ratio, benchmark=bar, skew=third, kurtosis=fourth, alpha=error, autocorrelation=rho)
    scale = _variance(ratio if method == "2012" else bar, third, fourth, rho)
    margin = np.where(ratio > bar, ratio - bar, np.nan)
    length = scale * (ndtri(error) / margin) ** 2
    return (length + 1.0 if method == "2012" else length)[()]


@elementwise
def sharpe_standard_error(
    sr: Any, n: Any, skew: Any = 0.0, kurtosis: Any = 3.0, method: str = "2012", autocorrelation: Any = 0.0
) -> Any:
    """Standard error of an estimated Sharpe ratio.

    Parameters
    ----------
    sr, n, skew, kurtosis, autocorrelation : as in `probabilistic_sharpe_ratio`
    method : "lo" (independent normal returns), "mertens" (independent returns, over n), "2012" (the same over n − 1)
        or "2025" (over n, with autocorrelation)

    Returns
    -------
    float64, per period

    Raises
    ------
    ConfigError
        For what is not allowed, and for moments or an autocorrelation that the method would not use.

    Notes
    -----
    Lo, "The statistics of Sharpe ratios", Financial Analysts Journal 58(4), 2002; Mertens, "Comments on variance of
    the IID estimator in Lo (2002)", 2002.
    """
    one_of("method of the standard error", method, STANDARD_ERRORS)
    ratio, count, third, fourth, rho = _arguments(
        sr, n, skew, kurtosis, method if method in METHODS else "2012", autocorrelation
    )
    together(sr=ratio, n=count, skew=third, kurtosis=fourth, autocorrelation=rho)
    if method == "lo" and (np.any(third != 0.0) or np.any(fourth != 3.0)):
        raise ConfigError(
            "method 'lo' takes returns as normal and would not use skew and kurtosis; leave them out, or use 'mertens'"
        )
    return np.sqrt(_variance(ratio, third, fourth, rho) / (count - 1.0 if method == "2012" else count))[()]


def annualisation_factor(periods: int, autocorrelation: Any = 0.0) -> float:
    """What a Sharpe ratio per period is multiplied with to get that of `periods` periods.

    Parameters
    ----------
    periods : number of periods in the longer one, ≥ 1 (12 months, 365 days)
    autocorrelation : ρ₁ of a first-order autoregression (ρ_k = ρ₁^k), or the sequence ρ₁ … ρ_{periods−1}

    Returns
    -------
    float; √periods without autocorrelation, less where returns trend, more where they revert

    Raises
    ------
    ConfigError
        For correlations outside −1 to 1 (exclusive), a sequence of another length, or one that no process can have.

    Notes
    -----
    q / √(q + 2 Σ (q − k) ρ_k), Lo (2002), equation 20.
    """
    q = whole("periods", periods, 1)
    rho = _autocorrelation(autocorrelation)
    lags = np.arange(1, q)
    if rho.ndim and rho.shape != lags.shape:
        raise ConfigError(
            f"autocorrelation: got shape {rho.shape}, allowed are one number or the {q - 1} lags before {q}"
        )
    variance = q + 2.0 * np.sum((q - lags) * (rho if rho.ndim else rho**lags))
    if variance <= 0.0:
        raise ConfigError(
            f"autocorrelation: the variance over {q} periods would be {variance:g} times that of one; these are no "
            "autocorrelations of a process, use fewer lags or one number"
        )
    return float(q / np.sqrt(variance))


def _arguments(
    sr: Any, n: Any, skew: Any, kurtosis: Any, method: str, autocorrelation: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    one_of("method", method, METHODS)
    ratio, third, fourth = _ratio("sr", sr), _ratio("skew", skew), _ratio("kurtosis", kurtosis)
    count = real("n", n, "numbers of returns ≥ 2", lambda c: c >= 2.0)
    rho = _autocorrelation(autocorrelation)
    if method == "2012" and np.any(rho != 0.0):
        raise ConfigError(
            f"autocorrelation: got {autocorrelation!r}, but this method takes returns as independent; leave it out, or "
            "use method='2025'"
        )
    together(skew=third, kurtosis=fourth)
    lowest = 1.0 + third**2
    if np.any(fourth < lowest * (1.0 - _ROUNDING)):
        where = np.broadcast_to(fourth < lowest * (1.0 - _ROUNDING), np.broadcast_shapes(third.shape, fourth.shape))
        got, least = (np.broadcast_to(a, where.shape)[where][0] for a in (fourth, lowest))
        raise ConfigError(
            f"kurtosis: got {got:g}, allowed are raw kurtoses ≥ 1 + skew² = {least:g}, which every distribution has; "
            "is this the excess kurtosis? then add 3"
        )
    return ratio, count, third, fourth, rho


def _ratio(name: str, value: Any) -> np.ndarray:
    return real(name, value, "finite numbers, or NaN where undefined", undefined=True)


def _autocorrelation(value: Any) -> np.ndarray:
    return real("autocorrelation", value, "correlations above -1 and below 1", lambda r: np.abs(r) < 1.0)


def _variance(at: np.ndarray, skew: np.ndarray, kurtosis: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """N times the variance of an estimated Sharpe ratio whose true value is `at`."""
    over = 1.0 - rho**2
    parts = (
        (1.0 + rho) / (1.0 - rho),
        -(1.0 + rho + rho**2) / over * skew * at,
        (1.0 + rho**2) / over * (kurtosis - 1.0) / 4.0 * at**2,
    )
    total = parts[0] + parts[1] + parts[2]
    if np.any(total < -_ROUNDING * (np.abs(parts[0]) + np.abs(parts[1]) + np.abs(parts[2]))):
        raise ConfigError(
            f"the variance of the Sharpe ratio would be {np.nanmin(total):g}: these skew, kurtosis and autocorrelation "
            "do not go together; check that they are of the same returns and that the kurtosis is raw"
        )
    return np.maximum(total, 0.0)


def _probability(
    sr: np.ndarray,
    bar: np.ndarray,
    n: np.ndarray,
    skew: np.ndarray,
    kurtosis: np.ndarray,
    method: str,
    rho: np.ndarray,
) -> Any:
    if method == "2012":
        variance = _variance(sr, skew, kurtosis, rho) / (n - 1.0)
    else:
        variance = _variance(bar, skew, kurtosis, rho) / n
    return ndtr((sr - bar) / np.sqrt(np.where(variance > 0.0, variance, np.nan)))[()]
