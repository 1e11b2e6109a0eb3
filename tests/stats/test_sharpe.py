"""Published values, the traps around them, and what the formulas of single Sharpe ratios refuse."""

import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from traderagent.base.errors import ConfigError, DataError, UnknownName
from traderagent.stats import (
    annualisation_factor,
    combinatorial_splits,
    deflated_sharpe_ratio,
    expected_max_drawdown,
    expected_max_sharpe,
    min_backtest_length,
    min_track_record_length,
    probabilistic_sharpe_ratio,
    sharpe_standard_error,
)

MONTHLY = 1.585 / math.sqrt(12)
HEDGE_FUND = {"n": 24, "skew": -2.448, "kurtosis": 10.164}
PAPER_2025 = 0.036 / 0.079


@pytest.mark.parametrize(
    ("trials", "expected"), [(10, 1.574598), (100, 2.5306028932), (1000, 3.255122), (1, 0.0), (1.99, 0.0)]
)
def test_expected_maximum(trials, expected):
    assert expected_max_sharpe(trials) == pytest.approx(expected, abs=1e-6)


def test_expected_maximum_grows_from_two_on_and_survives_any_number():
    luck = expected_max_sharpe(np.geomspace(2, 1e300, 500))
    assert luck[0] == pytest.approx(np.euler_gamma * norm.isf(1 / (2 * math.e)), rel=1e-12)
    assert (np.diff(luck) > 0).all()
    assert np.isfinite(luck).all()


def test_probabilistic_published():
    assert probabilistic_sharpe_ratio(MONTHLY, **HEDGE_FUND) == pytest.approx(0.91323430688, abs=1e-10)


def test_excess_kurtosis_gives_another_number_or_an_error():
    """The common fault: with the excess in place of the raw kurtosis, the published value becomes 0.9198."""
    fault = probabilistic_sharpe_ratio(MONTHLY, 24, -2.448, 10.164 - 3)
    assert fault == pytest.approx(0.9198, abs=5e-5)
    with pytest.raises(ConfigError, match=r"kurtosis: got 0, allowed are raw.*≥ 1 \+ skew² = 1.*add 3"):
        probabilistic_sharpe_ratio(0.1, 100, 0.0, 0.0)
    with pytest.raises(ConfigError, match=r"kurtosis: got 7, .*= 10,"):
        probabilistic_sharpe_ratio(0.1, 100, [0.0, -3.0], 7.0)


def test_deflated_published():
    variance = 0.5 / 250
    bar = math.sqrt(variance) * expected_max_sharpe(100)
    assert bar == pytest.approx(0.11317200, abs=1e-8)
    found = deflated_sharpe_ratio(2.5 / math.sqrt(250), 1250, -3.0, 10.0, 100, variance)
    assert found == pytest.approx(0.90039683445, abs=1e-10)


def test_deflated_is_the_probability_above_what_luck_reaches():
    for method, rho in (("2012", 0.0), ("2025", 0.2)):
        bar = math.sqrt(0.002) * expected_max_sharpe(17.5)
        direct = probabilistic_sharpe_ratio(0.15, 400, -0.5, 5.0, bar, method, rho)
        assert deflated_sharpe_ratio(0.15, 400, -0.5, 5.0, 17.5, 0.002, method, rho) == direct
        assert direct < probabilistic_sharpe_ratio(0.15, 400, -0.5, 5.0, 0.0, method, rho)


@pytest.mark.parametrize("variance", [0.0, 0.01, math.nan])
def test_one_trial_has_no_luck_to_deflate(variance):
    plain = probabilistic_sharpe_ratio(0.1, 100, 0.0, 3.0)
    assert deflated_sharpe_ratio(0.1, 100, 0.0, 3.0, 1.5, variance) == plain


def test_what_a_year_of_days_can_prove():
    """An annual ratio of 2.0 for one trial, 4.5 for 30 and 6.2 for 2,187 makes a DSR of 0.95 on 250 days, rounded."""
    for trials, annual in ((1, 2.0), (30, 4.5), (2187, 6.2)):
        sr = np.array([annual - 0.06, annual + 0.06]) / math.sqrt(365)
        below, above = deflated_sharpe_ratio(sr, 250, 0.0, 3.0, trials, 1 / 250)
        assert below < 0.95 < above


@pytest.mark.parametrize(
    ("year", "skew", "kurtosis", "years"), [(250, 0.0, 3.0, 2.7311878017), (12, -0.72, 5.78, 4.9912582239)]
)
def test_track_record_published(year, skew, kurtosis, years):
    found = min_track_record_length(2 / math.sqrt(year), 1 / math.sqrt(year), skew, kurtosis, alpha=0.05)
    assert found / year == pytest.approx(years, abs=1e-9)


@given(
    sr=st.floats(0.05, 0.5),
    margin=st.floats(0.01, 0.5),
    skew=st.floats(-2, 2),
    extra=st.floats(0, 10),
    alpha=st.floats(0.001, 0.4),
    way=st.sampled_from([("2012", 0.0), ("2025", 0.0), ("2025", 0.3), ("2025", -0.3)]),
)
def test_track_record_inverts_the_probability(sr, margin, skew, extra, alpha, way):
    moments = {"skew": skew, "kurtosis": 1.2 + 1.2 * skew**2 + extra, "benchmark": sr - margin}
    method, rho = way
    length = min_track_record_length(sr, alpha=alpha, method=method, autocorrelation=rho, **moments)
    if length >= 2:
        found = probabilistic_sharpe_ratio(sr, length, method=method, autocorrelation=rho, **moments)
        assert found == pytest.approx(1 - alpha, abs=1e-9)


def test_no_record_is_long_enough_for_a_ratio_below_its_benchmark():
    """The square in the formula would hide the sign."""
    found = min_track_record_length([0.05, 0.1, 0.2], 0.1, 0.0, 3.0)
    assert np.isnan(found).tolist() == [True, True, False]


def test_backtest_length_published():
    assert min_backtest_length(45, 1.0) == pytest.approx(4.9980870044, abs=1e-9)
    assert min_backtest_length(45, 2.0) == pytest.approx(4.9980870044 / 4, abs=1e-9)
    assert min_backtest_length(1, 1.0) == 0.0


def test_2025_published():
    moments = {"skew": -2.448, "kurtosis": 10.164, "method": "2025"}
    assert round(sharpe_standard_error(PAPER_2025, 24, **moments), 3) == 0.329
    assert round(probabilistic_sharpe_ratio(PAPER_2025, 24, **moments), 3) == 0.987
    assert round(probabilistic_sharpe_ratio(PAPER_2025, 24, benchmark=0.1, **moments), 3) == 0.939


def test_2025_autocorrelation_by_hand():
    rho, at = 0.25, 0.1
    scale = 1.25 / 0.75 - (1 + 0.25 + 0.0625) / 0.9375 * -0.5 * at + 1.0625 / 0.9375 * (6 - 1) / 4 * at**2
    expected = norm.cdf((0.2 - at) / math.sqrt(scale / 300))
    assert probabilistic_sharpe_ratio(0.2, 300, -0.5, 6.0, at, "2025", rho) == pytest.approx(expected, rel=1e-12)


def test_standard_errors():
    sr, n, skew, kurtosis = 0.2, 101, -1.0, 7.0
    assert sharpe_standard_error(sr, n, method="lo") == pytest.approx(math.sqrt((1 + 0.5 * 0.04) / 101))
    mertens = 1 + 0.2 + 6 / 4 * 0.04
    for method, divisor in (("mertens", 101), ("2012", 100), ("2025", 101)):
        found = sharpe_standard_error(sr, n, skew, kurtosis, method)
        assert found == pytest.approx(math.sqrt(mertens / divisor), rel=1e-12)


def test_standard_error_is_the_scatter_of_estimates():
    days = np.random.default_rng(1).standard_t(8, (4_000, 250)) * 0.01 + 0.001
    found = days.mean(axis=1) / days.std(axis=1, ddof=1)
    true = 0.1 / math.sqrt(8 / 6)
    claimed = sharpe_standard_error(true, 250, 0.0, 4.5, "mertens")
    assert found.std() == pytest.approx(claimed, rel=4 / math.sqrt(2 * 4_000))


@pytest.mark.parametrize(("rho", "expected"), [(-0.2, 4.1708), (0.0, 3.4641), (0.2, 2.8788)])
def test_annualisation_published(rho, expected):
    assert round(annualisation_factor(12, rho), 4) == expected
    assert annualisation_factor(12, [rho**k for k in range(1, 12)]) == pytest.approx(annualisation_factor(12, rho))


def test_annualisation_of_one_period():
    assert annualisation_factor(1, 0.5) == 1.0


def test_drawdown_of_a_walk():
    assert expected_max_drawdown(1.0, 1.0) == pytest.approx(1.2533141, abs=1e-7)
    steps = np.random.default_rng(3).normal(0, 0.02, (3_000, 2_000))
    walk = np.cumsum(steps, axis=1)
    deepest = (np.maximum(np.maximum.accumulate(walk, axis=1), 0) - walk).max(axis=1)
    # Seen at closes only, a walk misses about 0.58 σ of its peak and as much of its trough.
    assert deepest.mean() + 2 * 0.5826 * 0.02 == pytest.approx(expected_max_drawdown(0.02, 2_000), rel=0.025)


def test_combinatorial_counts():
    assert combinatorial_splits(6, 2) == (15, 5)
    assert combinatorial_splits(10, 3) == (120, 36)


def test_arrays_broadcast():
    sr, n = np.array([[0.1], [0.2]]), np.array([100, 200, 300])
    found = probabilistic_sharpe_ratio(sr, n, 0.0, 3.0)
    assert found.shape == (2, 3)
    assert found[1, 2] == probabilistic_sharpe_ratio(0.2, 300, 0.0, 3.0)
    assert deflated_sharpe_ratio(sr, 250, 0.0, 3.0, [1, 10, 100], 0.002).shape == (2, 3)
    assert isinstance(probabilistic_sharpe_ratio(0.1, 100, 0.0, 3.0), float)


def test_labels_stay():
    sr = xr.DataArray([[0.1, 0.2]], {"symbol": ["A"], "x": [1, 2]}, ["symbol", "x"], "sharpe", {"unit": "1"})
    skew = xr.DataArray([[0.0], [-1.0]], {"x": [1, 2], "symbol": ["A"]}, ["x", "symbol"])
    found = probabilistic_sharpe_ratio(sr, 100, skew, 4.0)
    assert found.sel(symbol="A", x=2) == probabilistic_sharpe_ratio(0.2, 100, -1.0, 4.0)
    assert (found.name, found.attrs) == ("probabilistic_sharpe_ratio", {})
    with pytest.raises(DataError, match="coordinates of sr and skew differ"):
        probabilistic_sharpe_ratio(sr, 100, skew.isel(x=[1]), 4.0)
    with pytest.raises(ConfigError, match="labels for sr and none for skew"):
        probabilistic_sharpe_ratio(sr, 100, np.zeros(2), 4.0)


def test_undefined_stays_undefined():
    for name in ("sr", "skew", "kurtosis", "benchmark"):
        arguments = {"sr": 0.1, "skew": 0.0, "kurtosis": 3.0, "benchmark": 0.0, "n": 100} | {name: math.nan}
        assert math.isnan(probabilistic_sharpe_ratio(**arguments))
    assert math.isnan(deflated_sharpe_ratio(0.1, 100, 0.0, 3.0, 5, math.nan))
    # With skew·sr = 2 and the least kurtosis the variance is 0.
    assert math.isnan(probabilistic_sharpe_ratio(1.0, 100, 2.0, 5.0))
    assert sharpe_standard_error(3.125, 100, 0.64, 1.4096) == 0.0  # rounding alone would make it −1e-16


PSR = {"sr": 0.1, "n": 100, "skew": 0.0, "kurtosis": 3.0}
DSR = PSR | {"trials": 10, "trials_variance": 0.002}
TRACK = {"sr": 0.1, "benchmark": 0.0, "skew": 0.0, "kurtosis": 3.0}


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (probabilistic_sharpe_ratio, PSR | {"n": 1}, "n: got 1, allowed are numbers of returns ≥ 2"),
        (probabilistic_sharpe_ratio, PSR | {"n": math.nan}, "n: got nan"),
        (probabilistic_sharpe_ratio, PSR | {"n": [100, 0]}, "n: got 0"),
        (probabilistic_sharpe_ratio, PSR | {"n": math.inf}, "n: got inf"),
        (probabilistic_sharpe_ratio, PSR | {"sr": "0.1"}, "sr: got '0.1', allowed are finite numbers"),
        (probabilistic_sharpe_ratio, PSR | {"sr": math.inf}, "sr: got inf"),
        (probabilistic_sharpe_ratio, PSR | {"sr": True}, "sr: got True"),
        (probabilistic_sharpe_ratio, PSR | {"sr": None}, "sr: got None"),
        (probabilistic_sharpe_ratio, PSR | {"sr": 1j}, "sr: got 1j"),
        (probabilistic_sharpe_ratio, PSR | {"sr": [[1], [1, 2]]}, "sr: got lists of different lengths"),
        (probabilistic_sharpe_ratio, PSR | {"sr": pd.Series([0.1])}, r"sr: got a Series.*\.to_numpy\(\)"),
        (probabilistic_sharpe_ratio, PSR | {"sr": [1.0, 2.0], "skew": [0.0, 0.0, 0.0]}, r"sr \(2,\), skew \(3,\)"),
        (
            probabilistic_sharpe_ratio,
            PSR | {"skew": [0.0, 0.0], "kurtosis": [3.0] * 3},
            r"skew \(2,\), kurtosis \(3,\)",
        ),
        (probabilistic_sharpe_ratio, PSR | {"kurtosis": 0.2}, "kurtosis: got 0.2, .*excess"),
        (probabilistic_sharpe_ratio, PSR | {"autocorrelation": 0.1}, "autocorrelation: got 0.1, .*method='2025'"),
        (probabilistic_sharpe_ratio, PSR | {"method": "2025", "autocorrelation": 1.0}, "above -1 and below 1"),
        (deflated_sharpe_ratio, DSR | {"trials": 0}, "trials: got 0, allowed are numbers of trials ≥ 1"),
        (deflated_sharpe_ratio, DSR | {"trials": math.nan}, "trials: got nan"),
        (deflated_sharpe_ratio, DSR | {"trials_variance": -0.1}, "trials_variance: got -0.1"),
        (deflated_sharpe_ratio, DSR | {"kurtosis": 0.0}, "add 3"),
        (
            min_track_record_length,
            TRACK | {"alpha": 0.0},
            "alpha: got 0, allowed are probabilities above 0 and below 0.5",
        ),
        (min_track_record_length, TRACK | {"alpha": 1.5}, "alpha: got 1.5"),
        (min_track_record_length, TRACK | {"alpha": 0.95}, "alpha: got 0.95"),
        (sharpe_standard_error, {"sr": 0.1, "n": 9, "skew": -1.0, "method": "lo"}, "'lo' .*would not use skew"),
        (sharpe_standard_error, {"sr": 0.1, "n": 9, "method": "mertens", "autocorrelation": 0.1}, "method='2025'"),
        (annualisation_factor, {"periods": 0}, "periods: got 0, allowed are whole numbers ≥ 1"),
        (annualisation_factor, {"periods": 12.0}, "periods: got 12.0"),
        (annualisation_factor, {"periods": True}, "periods: got True"),
        (annualisation_factor, {"periods": 12, "autocorrelation": 1.0}, "autocorrelation: got 1"),
        (annualisation_factor, {"periods": 12, "autocorrelation": [0.1]}, r"shape \(1,\), .*the 11 lags"),
        (annualisation_factor, {"periods": 3, "autocorrelation": [-0.9, -0.9]}, "no autocorrelations of a process"),
        (min_backtest_length, {"trials": 45, "expected_max": 0.0}, "expected_max: got 0"),
        (min_backtest_length, {"trials": 0.5, "expected_max": 1.0}, "trials: got 0.5"),
        (expected_max_drawdown, {"deviation": -1.0, "n": 1}, "deviation: got -1"),
        (expected_max_drawdown, {"deviation": 1.0, "n": -1}, "n: got -1"),
        (combinatorial_splits, {"groups": 6, "test_groups": 6}, "test_groups: got 6 of 6 groups, allowed are 1 to 5"),
        (combinatorial_splits, {"groups": 1, "test_groups": 1}, "groups: got 1"),
        (combinatorial_splits, {"groups": 6, "test_groups": 0}, "test_groups: got 0"),
    ],
)
def test_bad_input(function, arguments, message):
    with pytest.raises(ConfigError, match=message):
        function(**arguments)


def test_a_variance_below_zero_is_refused():
    """Possible with autocorrelation only: without it a lawful kurtosis keeps the variance at 0 or more."""
    with pytest.raises(ConfigError, match="variance of the Sharpe ratio would be -.*do not go together"):
        probabilistic_sharpe_ratio(0.5, 100, 4.0, 17.0, 0.75, "2025", 0.9)


@given(skew=st.floats(-20, 20), sr=st.floats(-5, 5), share=st.floats(0, 10))
def test_a_lawful_kurtosis_never_makes_the_variance_negative(skew, sr, share):
    assert sharpe_standard_error(sr, 10, skew, 1 + skew**2 + share) >= 0.0


def test_unknown_method():
    for function, arguments in ((probabilistic_sharpe_ratio, PSR), (deflated_sharpe_ratio, DSR)):
        with pytest.raises(UnknownName, match="unknown method '2021': did you mean '20[12]"):
            function(**arguments, method="2021")
        with pytest.raises(UnknownName, match="allowed: 2012, 2025"):
            function(**arguments, method=2012)
    with pytest.raises(UnknownName, match="allowed: 2012, 2025, lo, mertens"):
        sharpe_standard_error(0.1, 9, method="newey")
