"""Effective number of trials against eigenvalues, and moments against scipy."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from traderagent.base.errors import DataError
from traderagent.stats import effective_trials, moments, probabilistic_sharpe_ratio
from traderagent.stats.trials import is_flat


def correlated(seed, n_days, n_trials, share):
    rng = np.random.default_rng(seed)
    common = rng.normal(0.0, 0.01, (n_days, 1))
    return share * common + rng.normal(0.0, 0.01, (n_days, n_trials)) + 0.001


def by_eigenvalues(table):
    values = np.linalg.eigvalsh(np.atleast_2d(np.corrcoef(table, rowvar=False)))
    return values.sum() ** 2 / (values**2).sum()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(3, 150), st.integers(1, 150), st.floats(0, 3))
def test_equals_the_eigenvalues(seed, n_days, n_trials, share):
    """On both sides of N = T, and over more than one tile."""
    table = correlated(seed, n_days, n_trials, share)
    assert effective_trials(table).n_effective == pytest.approx(by_eigenvalues(table), rel=1e-9)


@pytest.mark.parametrize("n_trials", [1, 2, 50, 500])
def test_identical_trials_are_one(n_trials):
    one = correlated(1, 100, 1, 0.0)
    assert effective_trials(np.repeat(one, n_trials, axis=1)).n_effective == pytest.approx(1.0, rel=1e-9)
    assert effective_trials(one * np.arange(1, n_trials + 1)).n_effective == pytest.approx(1.0, rel=1e-9)
    assert effective_trials(np.repeat(one, n_trials, axis=1)).n_effective >= 1.0


@pytest.mark.parametrize(("n_trials", "n_days"), [(30, 2_000), (200, 400), (2_187, 365)])
def test_independent_trials_count_each_but_for_the_bias(n_trials, n_days):
    """Sample correlations scatter by 1/√(T−1): N trials count as N / (1 + (N−1)/(T−1)), here within 2 %."""
    found = effective_trials(correlated(2, n_days, n_trials, 0.0))
    assert found.n_effective == pytest.approx(n_trials / (1 + (n_trials - 1) / (n_days - 1)), rel=0.02)
    assert found.n_effective < n_days
    assert found.n_trials == n_trials


def test_groups_of_like_trials():
    groups = np.repeat(correlated(3, 5_000, 4, 0.0), 25, axis=1)
    assert effective_trials(groups).n_effective == pytest.approx(4.0, rel=0.01)


def test_variance_of_the_ratios():
    table = correlated(4, 250, 40, 0.5)
    ratios = table.mean(axis=0) / table.std(axis=0, ddof=1)
    assert effective_trials(table).trials_variance == pytest.approx(np.var(ratios, ddof=1), rel=1e-12)
    assert math.isnan(effective_trials(table[:, :1]).trials_variance)


def test_order_and_scale_of_trials_do_not_matter():
    table = correlated(5, 90, 120, 0.5)
    found = effective_trials(table).n_effective
    assert effective_trials(table[:, ::-1] * 7).n_effective == pytest.approx(found, rel=1e-12)


def test_the_same_in_every_call_and_layout():
    table = correlated(6, 365, 400, 0.5)
    assert effective_trials(table) == effective_trials(table.copy()) == effective_trials(np.asfortranarray(table))


def test_left_out_trials_are_counted():
    table = np.insert(correlated(7, 60, 5, 0.0), [0, 3], np.array([0.0, math.nan]), axis=1)
    found = effective_trials(table)
    assert (found.n_trials, found.left_out, found.n_days) == (5, 2, 60)
    assert "effective trials of 5" in repr(found)
    assert "2 trials" in found._repr_html_()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.tile([[0.1, 0.2], [0.1, -0.1]], (5, 1)), "column 0 is the same number on every day, and 1 columns"),
        (np.full((9, 3), 0.1), "column 0 is the same number .*, and 3 columns"),
        (np.array([[0.1, 0.2]]), "got 1 day, allowed are 2"),
    ],
)
def test_bad_trials(table, message):
    with pytest.raises(DataError, match=message):
        effective_trials(table)


def test_rounding_is_no_scatter():
    steady = np.full((365, 1), 0.1)
    steady[::2] = np.nextafter(0.1, 1)
    assert is_flat(steady).tolist() == [True]
    assert is_flat(np.array([[1.0], [1.0 + 1e-9]] * 50)).tolist() == [False]
    assert is_flat(np.zeros((5, 1))).tolist() == [True]


def test_moments_are_those_of_scipy():
    series = np.random.default_rng(8).standard_t(5, 500) * 0.01 + 0.001
    found = moments(series)
    assert found.sr == pytest.approx(series.mean() / series.std(ddof=1), rel=1e-12)
    assert found.skew == pytest.approx(scipy.stats.skew(series), rel=1e-9)
    assert found.kurtosis == pytest.approx(scipy.stats.kurtosis(series, fisher=False), rel=1e-9)
    assert found.n == 500
    assert "raw kurtosis" in repr(found)
    assert 0.0 < probabilistic_sharpe_ratio(found.sr, found.n, found.skew, found.kurtosis) < 1.0


def test_autocorrelation():
    shocks = np.random.default_rng(9).normal(0.0, 0.01, 20_000)
    series = shocks.copy()
    for i in range(1, len(series)):
        series[i] += 0.4 * series[i - 1]
    assert moments(series).autocorrelation == pytest.approx(0.4, abs=0.02)
    centred = series[:50] - series[:50].mean()
    assert moments(series[:50]).autocorrelation == pytest.approx(centred[1:] @ centred[:-1] / (centred @ centred))


@pytest.mark.parametrize("series", [[0.1], [0.0, 0.0, 0.0], [0.1] * 300])
def test_moments_without_scatter_are_undefined(series):
    found = moments(series)
    assert found.n == len(series)
    assert all(math.isnan(v) for v in (found.sr, found.skew, found.kurtosis, found.autocorrelation))
