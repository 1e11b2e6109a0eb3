"""Reality check and bootstrap: uniform on noise, sharp on skill, and what `arch` computes underneath."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr

from traderagent.base.errors import ConfigError, DataError, UnknownName
from traderagent.stats import block_length, bootstrap_interval, reality_check


def noise(seed, n_days=120, n_trials=10):
    return np.random.default_rng(seed).normal(0.0, 0.01, (n_days, n_trials))


def smoothed(seed, n_days=500, rho=0.6):
    series = noise(seed, n_days, 1)[:, 0]
    for i in range(1, n_days):
        series[i] += rho * series[i - 1]
    return series


@pytest.mark.slow
def test_p_values_are_uniform_on_noise():
    found = [reality_check(noise(seed), seed=seed, n_resamples=200, length=1).p_value for seed in range(400)]
    assert scipy.stats.kstest(found, "uniform").pvalue > 0.01
    assert 0.45 < np.mean(found) < 0.55


def test_p_values_on_noise_fill_their_range():
    found = [reality_check(noise(seed), seed=seed, n_resamples=100, length=1).p_value for seed in range(60)]
    assert scipy.stats.kstest(found, "uniform").pvalue > 0.01


def test_one_skilled_trial_is_found():
    table = noise(1)
    table[:, 7] += 0.005
    found = reality_check(table)
    assert found.best == 7
    assert found.p_value < 0.01
    assert found.best_lead == pytest.approx(table[:, 7].mean())


def test_p_values_are_in_order():
    table = noise(2) - np.linspace(0, 0.01, 10)
    found = reality_check(table)
    assert found.p_lower < found.p_spa < found.p_value


def test_by_hand_with_single_days():
    """Blocks of one day are plain draws of days: the same p-value by other draws, within its error."""
    table = noise(3, n_trials=4)
    found = reality_check(table, n_resamples=4_000, length=1).p_value
    rng = np.random.default_rng(5)
    lead = table.mean(axis=0)
    drawn = [(table[rng.integers(0, 120, 120)].mean(axis=0) - lead).max() for _ in range(4_000)]
    expected = np.mean(np.array(drawn) > lead.max())
    assert 0.05 < expected < 0.95
    assert abs(found - expected) < 4 * math.sqrt(2 * expected * (1 - expected) / 4_000)


def test_the_benchmark_is_what_trials_must_beat():
    table, mark = noise(4), noise(99, n_trials=1)[:, 0] + 0.004
    against = reality_check(table + mark[:, None], mark)
    alone = reality_check(table)
    assert against.p_value == pytest.approx(alone.p_value, abs=0.01)
    assert reality_check(table + mark[:, None]).p_value < 0.05 < against.p_value
    frame = pd.DataFrame(table, pd.date_range("2024-01-01", periods=120))
    assert reality_check(frame, pd.Series(mark, frame.index)) == reality_check(table, mark)


def test_the_benchmark_loses_the_same_days():
    table, mark = noise(5), noise(6, n_trials=1)[:, 0]
    longer = np.concatenate([np.full((7, 10), math.nan), table])
    found = reality_check(longer, np.concatenate([np.full(7, 0.5), mark]))
    assert found == reality_check(table, mark)
    assert found.n_days == 120


def test_the_same_seed_gives_the_same_answer():
    table = noise(7)
    for function, returns, answer in ((reality_check, table, "p_value"), (bootstrap_interval, table[:, 0], "low")):
        found, again, other = (function(returns, seed=seed) for seed in (3, 3, 4))
        assert found == again
        assert getattr(found, answer) != getattr(other, answer)


def test_longer_blocks_draw_other_histories():
    table = np.stack([smoothed(seed, 200, 0.8) for seed in range(5)], axis=1)
    single, long = (reality_check(table, length=n) for n in (1, 20))
    assert (single.block_length, long.block_length) == (1, 20)
    assert single.p_value < long.p_value - 0.1


def test_the_best_is_counted_among_all_columns():
    table = np.insert(noise(13), [0, 2], np.array([0.0, math.nan]), axis=1)
    table[:, 9] += 0.004
    found = reality_check(table, n_resamples=100)
    assert (found.best, found.n_trials, found.left_out) == (9, 10, 2)


def test_blocks_are_as_long_as_arch_says():
    from arch.bootstrap import optimal_block_length

    for rho in (0.0, 0.6, -0.4):
        series = smoothed(8, rho=rho)
        expected = max(1.0, optimal_block_length(series)["stationary"].item())
        assert block_length(series) == expected
        assert bootstrap_interval(series, n_resamples=100).block_length == math.ceil(expected)
    table = np.stack([smoothed(seed) for seed in range(5)], axis=1)
    mean = optimal_block_length(table)["stationary"].mean()
    assert reality_check(table, n_resamples=100).block_length == math.ceil(mean)
    assert block_length(smoothed(8, rho=0.8)) > block_length(smoothed(8, rho=0.3)) > 1.5


def test_blocks_of_returns_that_hardly_vary():
    assert block_length(np.zeros(50)) == 1.0
    single = np.zeros(50)
    single[3] = 0.1
    assert block_length(single) >= 1.0
    assert reality_check(single[:, None], n_resamples=100).n_trials == 1
    single[4] = -0.1  # the mean is 0, and so is all that follows
    assert block_length(single) >= 1.0
    assert block_length([0.1] * 50) == 1.0


def test_interval_of_a_mean_is_that_of_normal_theory():
    series = noise(9, 400, 1)[:, 0]
    found = bootstrap_interval(series, "mean", 0.9, n_resamples=4_000, length=1)
    error = series.std() / 20
    assert found.low == pytest.approx(series.mean() - 1.645 * error, abs=0.1 * error)
    assert found.high == pytest.approx(series.mean() + 1.645 * error, abs=0.1 * error)
    assert found.estimate == series.mean()


@pytest.mark.slow
def test_interval_covers_what_it_says():
    """Returns that trend: blocks keep what single days would lose."""
    by_blocks, by_days = [], []
    for seed in range(200):
        series = smoothed(seed, 500, 0.5)
        for found, length in ((by_blocks, None), (by_days, 1)):
            interval = bootstrap_interval(series, "mean", 0.9, n_resamples=300, length=length)
            found.append(interval.low < 0.0 < interval.high)
    assert 0.82 < np.mean(by_blocks) < 0.95
    assert np.mean(by_days) < 0.75


def test_statistics():
    series = noise(10, 50, 1)[:, 0]
    total, ratio = (bootstrap_interval(series, s, n_resamples=100) for s in ("total_return", "sharpe"))
    assert total.estimate == pytest.approx(np.prod(1 + series) - 1)
    assert ratio.estimate == pytest.approx(series.mean() / series.std(ddof=1))
    assert total.low < total.estimate < total.high
    wide = bootstrap_interval(series, level=0.99, n_resamples=100)
    assert wide.low < total.low < total.high < wide.high


def test_an_account_that_never_traded():
    total, ratio = (bootstrap_interval(np.zeros(30), s, n_resamples=100) for s in ("total_return", "sharpe"))
    assert (total.low, total.estimate, total.high) == (0.0, 0.0, 0.0)
    assert all(math.isnan(v) for v in (ratio.low, ratio.estimate, ratio.high))


def test_ruin_stays_ruin():
    series = noise(11, 30, 1)[:, 0]
    series[7] = -1.0
    found = bootstrap_interval(series, n_resamples=100)
    assert (found.estimate, found.low) == (-1.0, -1.0)


def test_results_are_readable():
    found = reality_check(noise(12), n_resamples=100)
    assert repr(found).startswith("reality check: p-value 0.")
    assert "not studentised" in found._repr_html_()
    interval = bootstrap_interval(noise(12)[:, 0], n_resamples=100)
    assert "90% interval" in repr(interval)
    assert "seed 0" in interval._repr_html_()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed: got -1, allowed are whole numbers ≥ 0"),
        ({"seed": None}, "seed: got None"),
        ({"seed": True}, "seed: got True"),
        ({"n_resamples": 99}, "n_resamples: got 99, allowed are whole numbers ≥ 100"),
        ({"n_resamples": 1e3}, "n_resamples: got 1000.0"),
        ({"length": 0}, "length: got 0, allowed are whole numbers from 1 to 120"),
        ({"length": 121}, "length: got 121"),
        ({"length": 2.5}, "length: got 2.5"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ConfigError, match=message):
        reality_check(noise(0), **options)
    with pytest.raises(ConfigError, match=message):
        bootstrap_interval(noise(0)[:, 0], **options)


@pytest.mark.parametrize("level", [0.0, 1.0, 90, math.nan, "0.9", [0.9]])
def test_bad_level(level):
    with pytest.raises(ConfigError, match="level: got "):
        bootstrap_interval(noise(0)[:, 0], level=level)


def test_unknown_statistic():
    with pytest.raises(UnknownName, match="unknown statistic 'sharp': did you mean 'sharpe'"):
        bootstrap_interval(noise(0)[:, 0], "sharp")


def test_too_few_days():
    for function, returns in ((reality_check, noise(0, 9)), (bootstrap_interval, noise(0, 9)[:, 0])):
        with pytest.raises(DataError, match="got 9 days, allowed are 10 or more"):
            function(returns)
    with pytest.raises(DataError, match="got 9 days"):
        block_length(noise(0, 9)[:, 0])


def test_a_lead_that_never_varies_has_no_p_value():
    noise = np.random.default_rng(3).normal(0.0, 0.01, (60, 2))
    for flat, words in ((0.001, "0.001"), (-0.002, "-0.002"), (0.1, "0.1")):
        held = np.column_stack([noise, np.full(60, flat)])
        for given in (held, np.full((60, 3), flat)):
            with pytest.raises(DataError, match=f"column [02] differs from the benchmark by {words} on every day"):
                reality_check(given, n_resamples=100)
    moved = np.column_stack([noise, np.full(60, 0.001)])
    assert reality_check(moved, noise[:, 1], n_resamples=100).n_trials == 3
    with pytest.raises(DataError, match=r"column 1 .* by 0.5 on every day \(1 of 2 columns do so\)"):
        reality_check(np.column_stack([noise[:, 0], noise[:, 1] + 0.5]), noise[:, 1], n_resamples=100)


def test_columns_without_a_number_are_left_out_and_not_judged():
    noise = np.random.default_rng(3).normal(0.0, 0.01, (60, 2))
    bare = np.column_stack([noise, np.full(60, np.nan)])
    assert reality_check(bare, n_resamples=100).left_out == 1
    assert reality_check(bare, n_resamples=100).p_value == reality_check(noise, n_resamples=100).p_value
    with pytest.raises(DataError, match="0 of 3 columns hold a trade"):
        reality_check(np.full((60, 3), np.nan), n_resamples=100)


def test_percent_are_no_fractions():
    with pytest.raises(DataError, match="got -2.5 on a day, .*are these percent"):
        bootstrap_interval([1.0, -2.5] * 10)


DAYS = pd.date_range("2024-01-01", periods=120, name="day")


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        (np.zeros(119), r"float64 of shape \(119,\), allowed are 120 numbers"),
        (np.zeros((120, 1)), r"shape \(120, 1\)"),
        (0.01, r"shape \(\)"),
        ("hold", "allowed are 120 numbers"),
        ([[1.0], [1.0, 2.0]], "allowed are 120 numbers"),
        ([math.nan] * 120, "120 days are not finite"),
        (pd.Series(0.0, DAYS + pd.Timedelta("1D")), "its days differ from those of returns"),
        (xr.DataArray(np.zeros(120), {"day": DAYS + pd.Timedelta("1D")}, "day"), "its days differ"),
    ],
)
def test_bad_benchmark(mark, message):
    frame = pd.DataFrame(noise(0), DAYS)
    with pytest.raises(DataError, match=message):
        reality_check(frame, mark)
