"""Cross-validation against its plain twin, on noise, on skill, and on what it was published with."""

import math
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference.overfitting import dominance, judged_columns, overfitting
from traderagent.base.errors import ConfigError, DataError, UnknownName
from traderagent.stats import probability_of_backtest_overfitting as pbo_of
from traderagent.stats.overfitting import _dominance

KINDS = ["own", "copy", "multiple", "shuffled", "one day", "zero", "nan", "pause", "steady"]


@st.composite
def tables(draw, metric):
    """Returns on a grid of 1/1024: with ties of every kind, single days of trading, pauses, zeros and NaN."""
    n_blocks = draw(st.sampled_from([2, 4, 6]))
    length, extra = draw(st.integers(2, 4)), draw(st.integers(0, n_blocks - 1))
    n_columns = draw(st.integers(2, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    coarse = draw(st.sampled_from([1, 3, 50, 5_000]))
    table = rng.integers(-coarse, coarse + 1, (n_blocks * length + extra, n_columns)) / 1024
    for column in range(1, n_columns):
        kind = draw(st.sampled_from(KINDS))
        if kind == "copy":
            table[:, column] = table[:, 0]
        elif kind == "multiple":
            table[:, column] = table[:, 0] * 3
        elif kind == "one day":
            table[:, column] *= np.arange(len(table)) == rng.integers(len(table))
        elif kind == "shuffled":  # the same mean and deviation in every block
            for first in range(extra, len(table), length):
                table[first : first + length, column] = rng.permutation(table[first : first + length, 0])
        elif kind == "pause":
            table[rng.integers(len(table)) :, column] = 0.0
        elif kind == "steady":
            table[: rng.integers(len(table)), column] = 0.25
        elif kind in ("zero", "nan"):
            table[:, column] = 0.0 if kind == "zero" else math.nan
    before, after = (np.full((draw(st.integers(0, 2)), n_columns), math.nan) for _ in range(2))
    return np.concatenate([before, table, after]), n_blocks, metric


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["mean", "sharpe"]).flatmap(tables))
def test_equals_the_twin(drawn):
    table, n_blocks, metric = drawn
    if len(judged_columns(table.tolist())[0]) < 2:
        with pytest.raises(DataError, match="columns hold a trade, allowed are 2 or more"):
            pbo_of(table, n_blocks, metric)
        return
    try:
        expected = overfitting(table.tolist(), n_blocks, metric)
    except ZeroDivisionError:
        with pytest.raises(DataError, match="same number other than 0 on every day of half the blocks"):
            pbo_of(table, n_blocks, metric)
        return
    found = pbo_of(table, n_blocks, metric)
    for name in ("chosen", "performance_in", "performance_out", "average_out", "logits"):
        np.testing.assert_allclose(getattr(found, name), expected.pop(name), rtol=1e-9, atol=1e-12, err_msg=name)
    assert {name: getattr(found, name) for name in expected} == expected


STEADY = np.tile([0.01, 0.11, 0.21], (32, 1))


def noise(seed, n_days=160, n_trials=20):
    return np.random.default_rng(seed).normal(0.0, 0.01, (n_days, n_trials))


@pytest.mark.parametrize("metric", ["sharpe", "mean"])
def test_noise_looks_like_noise(metric):
    """The mean over searches of noise is ½, within three of its own standard errors (about 0.03)."""
    found = np.array([pbo_of(noise(seed), 8, metric).pbo for seed in range(200)])
    error = found.std(ddof=1) / math.sqrt(len(found))
    assert 0.01 < error < 0.025
    assert abs(found.mean() - 0.5) < 3 * error


def test_one_skilled_trial_is_found():
    table = noise(1)
    table[:, 7] += 0.008
    found = pbo_of(table)
    assert found.pbo < 0.001
    assert np.mean(found.chosen == 7) > 0.999
    assert found.probability_of_loss == 0.0
    assert found.dominance == "first"


@pytest.mark.parametrize("n_trials", [2, 20, 33])
def test_columns_without_a_mean_over_the_whole_span(n_trials):
    """What was gained in one half is lost in the other: the best is always the worst."""
    table = noise(2, n_trials=n_trials)
    found = pbo_of(table - table.mean(axis=0), 16, "mean")
    np.testing.assert_allclose(found.logits, -math.log(n_trials), rtol=1e-12)
    assert found.pbo == 1.0
    assert found.probability_of_loss == np.mean(found.performance_in > 0)
    assert found.slope == pytest.approx(-1.0, abs=1e-9)
    assert found.intercept == pytest.approx(0.0, abs=1e-12)
    assert found.dominance == "none"


def test_a_dominating_column():
    table = noise(3)
    table[:, 0] = table.max(axis=1) + 0.001
    found = pbo_of(table)
    assert found.pbo == 0.0
    assert set(found.chosen) == {0}
    np.testing.assert_allclose(found.logits, math.log(20))


@pytest.mark.parametrize(("splits", "expected"), [(8, 70), (16, 12870)])
def test_number_of_splits(splits, expected):
    found = pbo_of(noise(4, n_days=170), splits)
    assert found.n_splits == len(found.logits) == len(found.chosen) == expected
    assert (found.n_blocks, found.block_days, found.days_dropped) == (splits, 170 // splits, 170 % splits)


def test_the_oldest_days_are_dropped():
    table = noise(5, n_days=85)
    changed = table.copy()
    changed[:5] = 1.0
    assert (pbo_of(table, 16).logits == pbo_of(changed, 16).logits).all()
    changed[5] = 1.0
    assert (pbo_of(table, 16).logits != pbo_of(changed, 16).logits).any()


def test_columns_left_out_change_nothing_else():
    table = noise(6)
    found = pbo_of(table)
    wide = np.insert(table, [0, 5, 9], np.array([0.0, math.nan, 0.0]), axis=1)
    again = pbo_of(wide)
    assert (found.logits == again.logits).all()
    assert (again.left_out, again.n_trials, found.left_out) == (3, 20, 0)
    places = np.delete(np.arange(23), [0, 6, 11])
    assert (again.chosen == places[found.chosen]).all()


def test_single_precision_is_computed_in_double():
    table = noise(7).astype(np.float32)
    found, again = pbo_of(table), pbo_of(table.astype(np.float64))
    assert (found.performance_out == again.performance_out).all()
    assert (pbo_of(np.asfortranarray(table)).performance_out == found.performance_out).all()


def test_a_small_scatter_around_a_large_mean_is_no_noise():
    """Sums of squares lose half their digits to the mean; those that stay must still rank."""
    table = noise(8) * 1e-3 + 1.0
    expected = overfitting(table[:16, :4].tolist(), 4, "sharpe")
    np.testing.assert_allclose(pbo_of(table[:16, :4], 4).performance_out, expected["performance_out"], rtol=1e-5)


def test_a_whole_search_fits_time_and_memory():
    """Targets: 20 s and 2 GiB for 2,187 trials over a year; it takes some tenths of a second and two copies."""
    table = noise(10, 365, 2_187)
    pbo_of(table[:, :2], 4)  # compiles
    tracemalloc.start()
    try:
        start = time.process_time()
        found = pbo_of(table, 16)
        spent = time.process_time() - start
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.n_splits == 12_870
    assert spent < 10
    assert peak < 6 * table.nbytes


@pytest.mark.parametrize(
    ("chosen", "average", "expected"),
    [
        ([1.0, 2.0, 3.0], [0.0, 1.0, 2.0], "first"),
        ([1.0, 2.0, 3.0], [1.0, 2.0, 2.0], "first"),
        ([1.0, 1.0, 1.0], [0.0, 1.0, 1.5], "second"),
        ([0.0, 1.0, 5.0], [0.5, 0.5, 0.5], "none"),
        ([1.0, 2.0], [2.0, 1.0], "none"),
        ([0.0, 1.0], [1.0, 2.0], "none"),
        ([0.0, 2.0], [1.0, 1.0], "none"),
        ([1.0, 1.0], [0.0, 2.0], "second"),
        ([0.1 + 0.2, 1.0], [0.3, 1.0], "none"),  # equal, but for rounding
    ],
)
def test_dominance(chosen, average, expected):
    assert _dominance(np.array(chosen), np.array(average)) == dominance(chosen, average) == expected


def test_slope_is_undefined_where_nothing_varies():
    found = pbo_of(np.tile([[0.01, 0.02], [0.02, 0.03]], (8, 1)), 4)
    assert math.isnan(found.slope)
    assert math.isnan(found.intercept)
    assert found.pbo == 0.0


def test_rounding_ranks_nobody():
    """Trials that traded on one day of a half share its ratio, and multiples that of the whole; rounding differs."""
    sizes = np.random.default_rng(11).uniform(0.001, 0.1, 50)
    table = np.zeros((64, 50))
    table[3], table[60] = sizes, -sizes[::-1]
    found = pbo_of(table, 2)
    np.testing.assert_array_equal(found.logits, [0.0, 0.0])  # all tie: the middle rank
    np.testing.assert_array_equal(found.chosen, [0, 0])
    assert found.dominance == "none"
    multiples = noise(12, n_trials=1) * sizes
    np.testing.assert_array_equal(pbo_of(multiples, 8).logits, np.zeros(70))


def test_results_are_closed_and_readable():
    found = pbo_of(noise(9), 4)
    with pytest.raises(ValueError, match="read-only"):
        found.logits[0] = 0.0
    assert "probability of backtest overfitting 0." in repr(found)
    assert "6, of 4 blocks of 40 days" in repr(found)
    assert "<table>" in found._repr_html_()


@pytest.mark.parametrize("splits", [0, -2, 7, 26, 16.0, "16", True, None])
def test_bad_number_of_splits(splits):
    with pytest.raises(ConfigError, match=rf"splits: got {splits!r}, allowed are .*"):
        pbo_of(noise(0), splits)


@pytest.mark.parametrize(
    ("table", "splits", "message"),
    [
        (noise(0, n_days=15), 16, "got 15 days, allowed are 16 or more for 16 blocks ranked by sharpe; .*fewer splits"),
        (noise(0, n_days=3), 2, "got 3 days, allowed are 4"),
        (noise(0, n_trials=1), 16, "1 of 1 columns hold a trade, allowed are 2"),
        (STEADY, 16, "column 0 is the same number other than 0.*metric='mean'"),
    ],
)
def test_bad_returns(table, splits, message):
    with pytest.raises(DataError, match=message):
        pbo_of(table, splits)


def test_constant_columns_have_a_mean():
    assert pbo_of(STEADY, 16, "mean").pbo == 0.0
    assert pbo_of(noise(0, n_days=2), 2, "mean").n_splits == 2


@pytest.mark.parametrize("metric", ["sortino", None, 1])
def test_unknown_metric(metric):
    with pytest.raises(UnknownName, match="unknown metric .*allowed: mean, sharpe"):
        pbo_of(noise(0), 4, metric)
