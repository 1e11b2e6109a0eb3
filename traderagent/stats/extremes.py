"""What luck alone is expected to reach: the best of many trials, the deepest drawdown, how often it can be tried."""

import math
from typing import Any

import numpy as np
from scipy.special import ndtri

from traderagent.base.errors import ConfigError
from traderagent.stats.arguments import elementwise, real, together, whole


@elementwise
def expected_max_sharpe(trials: Any) -> Any:
    """Expected highest of so many independent standard normal numbers: what the best of many trials gets by luck.

    Parameters
    ----------
    trials : number of independent trials, ≥ 1; need not be whole

    Returns
    -------
    float64 ≥ 0, in standard deviations of the trials' Sharpe ratios; 0 for fewer than 2 trials

    Raises
    ------
    ConfigError
        For fewer than 1 trial.

    Notes
    -----
    (1 − γ) Z⁻¹(1 − 1/N) + γ Z⁻¹(1 − 1/(N e)), γ Euler's constant: Bailey and López de Prado, "The deflated Sharpe
    ratio", 2014, equation 6. An approximation (N = 2: 0.52, exactly 0.56; N = 10: 1.57, exactly 1.54). It falls below 0
    as N nears 1, where it means nothing; there we say 0.
    """
    n = real("trials", trials, "numbers of trials ≥ 1", lambda t: t >= 1.0)
    several = np.where(n < 2.0, 2.0, n)
    best = -(1.0 - np.euler_gamma) * ndtri(1.0 / several) - np.euler_gamma * ndtri(1.0 / (several * math.e))
    return np.where(n < 2.0, 0.0, np.maximum(best, 0.0))[()]


@elementwise
def min_backtest_length(trials: Any, expected_max: Any) -> Any:
    """Years of candles below which so many worthless trials are expected to show an annual Sharpe ratio this high.

    Parameters
    ----------
    trials : number of independent trials, ≥ 1
    expected_max : annual Sharpe ratio of the best trial that luck alone shall not reach, > 0

    Returns
    -------
    float64, years; 0 for fewer than 2 trials

    Raises
    ------
    ConfigError
        For fewer than 1 trial, or a ratio that is not positive.

    Notes
    -----
    (E[max_N] / expected_max)²: Bailey, Borwein, López de Prado and Zhu, "Pseudo-mathematics and financial
    charlatanism", Notices of the AMS 61(5), 2014, theorem 1.
    """
    ratio = real("expected_max", expected_max, "annual Sharpe ratios > 0", lambda r: r > 0.0)
    luck = np.asarray(expected_max_sharpe(trials))
    together(trials=luck, expected_max=ratio)
    return ((luck / ratio) ** 2)[()]


@elementwise
def expected_max_drawdown(deviation: Any, n: Any) -> Any:
    """Expected deepest drawdown of a walk that neither gains nor loses, watched all the time.

    Parameters
    ----------
    deviation : standard deviation of a period's return, ≥ 0
    n : number of periods, ≥ 0

    Returns
    -------
    float64, unit of `deviation`; a walk watched at closes only falls a little less

    Raises
    ------
    ConfigError
        For negative arguments.

    Notes
    -----
    √(π/2) · σ · √n: Magdon-Ismail, Atiya, Pratap and Abu-Mostafa, "On the maximum drawdown of a Brownian motion",
    Journal of Applied Probability 41(1), 2004, drift 0. Sums of returns, not compounded.
    """
    sigma = real("deviation", deviation, "standard deviations ≥ 0", lambda s: s >= 0.0, undefined=True)
    periods = real("n", n, "numbers of periods ≥ 0", lambda p: p >= 0.0)
    together(deviation=sigma, n=periods)
    return (np.sqrt(np.pi / 2.0) * sigma * np.sqrt(periods))[()]


def combinatorial_splits(groups: int, test_groups: int) -> tuple[int, int]:
    """Number of splits, and of whole out-of-sample paths, of combinatorial cross-validation.

    Parameters
    ----------
    groups : equal groups that the candles are cut into, ≥ 2
    test_groups : groups tested at a time, 1 to groups − 1

    Returns
    -------
    splits : C(groups, test_groups)
    paths : splits · test_groups / groups; every group is tested in that many splits

    Raises
    ------
    ConfigError
        For numbers outside these bounds.

    Notes
    -----
    López de Prado, "Advances in financial machine learning", 2018, section 12.4.
    """
    n = whole("groups", groups, 2)
    k = whole("test_groups", test_groups, 1)
    if k >= n:
        raise ConfigError(
            f"test_groups: got {k} of {n} groups, allowed are 1 to {n - 1}; a group must stay to train on"
        )
    return math.comb(n, k), math.comb(n - 1, k - 1)
