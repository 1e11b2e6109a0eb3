"""Luck of a search: each number against its formula, noise that looks like noise, skill that is found."""

import numpy as np
import pytest
from scipy import stats

import traderagent as ta
from tests.research.cubes import cube_of, sampled_of
from traderagent.research.luck import daily_returns, search_luck

AXES = {"x": [1, 2, 3, 4], "y": ["a", "b", "c"]}


def search(returns, split=False):
    """Cube of a search with these returns (n_symbols[, 2], 4, 3, n_days); the objective is their mean over scatter."""
    values = np.nanmean(returns, axis=-1) / np.nanstd(returns, axis=-1)
    return cube_of(AXES, values, np.full(values.shape, 20.0), returns=returns.astype(np.float32))


def noise(seed, n_symbols=1, days=160, drift=0.0):
    returns = np.random.default_rng(seed).normal(0.0, 0.01, (n_symbols, 4, 3, days))
    returns[:, 1, 1] += drift
    return returns


def test_every_number_is_that_of_its_formula():
    cube = search(noise(5))
    daily = cube.returns.values[0].astype(np.float64).reshape(12, -1)
    found = search_luck(cube)["S0"]
    sharpe = daily.mean(axis=1) / daily.std(axis=1, ddof=1)
    np.testing.assert_allclose(found.sharpe, sharpe, rtol=1e-12)
    np.testing.assert_allclose(found.skew, stats.skew(daily, axis=1), rtol=1e-9)
    np.testing.assert_allclose(found.kurtosis, stats.kurtosis(daily, axis=1, fisher=False), rtol=1e-9)
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(daily))
    n_effective = eigenvalues.sum() ** 2 / np.square(eigenvalues).sum()
    assert found.n_effective == pytest.approx(n_effective)
    assert found.trials_variance == pytest.approx(np.var(sharpe, ddof=1))
    assert found.expected_max == pytest.approx(np.std(sharpe, ddof=1) * ta.stats.expected_max_sharpe(n_effective))
    k = int(sharpe.argmax())
    moments = (sharpe[k], 160, found.skew[k], found.kurtosis[k])
    assert found.probabilistic(k) == pytest.approx(ta.stats.probabilistic_sharpe_ratio(*moments))
    assert found.deflated(k) == pytest.approx(
        ta.stats.deflated_sharpe_ratio(*moments, n_effective, np.var(sharpe, ddof=1)), rel=1e-9
    )
    assert found.pbo == ta.stats.probability_of_backtest_overfitting(daily.T).pbo
    assert len(found.logits) == 12_870
    assert (found.n_trials, found.left_out, found.n_days, found.why) == (12, 0, 160, "")
    later = search_luck(cube, method="2025")["S0"]
    assert later.deflated(k) == pytest.approx(
        ta.stats.deflated_sharpe_ratio(*moments, n_effective, np.var(sharpe, ddof=1), method="2025"), rel=1e-9
    )
    assert later.deflated(k) != found.deflated(k)


def test_the_table_of_the_best_carries_both():
    cube = search(noise(5, n_symbols=2))
    table, found = ta.best(cube), search_luck(cube)
    for name in ("S0", "S1", "pooled"):
        place = AXES["x"].index(table.loc[name, "x"]) * 3 + AXES["y"].index(table.loc[name, "y"])
        assert table.loc[name, "dsr"] == found[name].deflated(place)
        assert table.loc[name, "pbo"] == found[name].pbo
    assert 0.0 < table.loc["S0", "dsr"] < 1.0
    assert ta.best(cube, luck=False)[["dsr", "pbo"]].isna().all(axis=None)
    assert ta.best(cube.drop_vars("returns"))[["dsr", "pbo"]].isna().all(axis=None)


def test_trials_that_never_traded_are_left_out_and_counted():
    returns = noise(1)
    returns[0, 0, 0] = 0.0
    returns[0, 3, 2] = np.nan
    found = search_luck(cube_of(AXES, returns[..., 0] * 0 + 1, returns[..., 0] * 0 + 20, returns=returns))["S0"]
    rest = np.delete(returns[0].reshape(12, -1), [0, 11], axis=0)
    assert (found.n_trials, found.left_out) == (10, 2)
    assert found.n_effective == pytest.approx(ta.stats.effective_trials(rest.T).n_effective)
    assert np.isnan(found.sharpe[[0, 11]]).all()
    assert np.isnan(found.deflated(0))
    assert np.isnan(found.deflated(None))


def test_too_few_trials_or_days_are_undefined_with_their_reason():
    returns = noise(1)
    returns[0, :, 1:] = 0.0
    returns[0, 1:] = 0.0
    one = search_luck(search_of(returns))["S0"]
    assert (one.n_trials, one.n_effective, one.expected_max) == (1, 1.0, 0.0)
    assert one.deflated(0) == one.probabilistic(0)
    assert np.isnan(one.pbo)
    assert "1 of 12 columns hold a trade" in one.why
    none = search_luck(search_of(returns * 0))["S0"]
    assert np.isnan([none.n_effective, none.pbo, none.expected_max, none.deflated(0)]).all()
    short = search_luck(search_of(noise(1, days=12)))["S0"]
    assert np.isnan(short.pbo)
    assert "got 12 days" in short.why
    assert "got 12 days" in ta.best(search_of(noise(1, days=12))).loc["S0", "why"]
    assert np.isfinite(short.deflated(0))


def search_of(returns):
    return cube_of(AXES, returns[..., 0] * 0 + 1, returns[..., 0] * 0 + 20, returns=returns)


def test_the_pooled_account_holds_cash_where_a_symbol_has_no_candles():
    returns = noise(3, n_symbols=2, days=30)
    returns[1, :, :, :10] = np.nan  # the second symbol comes later
    returns[:, 0, 0] = np.nan  # no config allows this point
    pooled = daily_returns(search_of(returns))["pooled"]()
    assert pooled.values.shape == (30, 12)
    assert np.isnan(pooled.values[:, 0]).all()
    np.testing.assert_allclose(pooled.values[:10, 1], returns[0, 0, 1, :10] / 2)
    np.testing.assert_allclose(pooled.values[10:, 1], returns[:, 0, 1, 10:].sum(axis=0) / 2)
    assert len(daily_returns(search_of(returns))["S1"]().days) == 20


def test_only_days_before_the_cut_are_read():
    rng = np.random.default_rng(8)
    returns = rng.normal(0, 0.01, (2, 2, 4, 3, 60))
    returns[:, 0, ..., 40:], returns[:, 1, ..., :40] = np.nan, np.nan
    other = returns.copy()
    other[:, 1] *= -3.0
    first, second = search_luck(search_of(returns)), search_luck(search_of(other))
    for name in ("S0", "S1", "pooled"):
        assert first[name].n_days == 40
        assert str(first[name].row(4)) == str(second[name].row(4))
    assert str(first["S0"].row(4)) != str(search_luck(search_of(-returns))["S0"].row(4))


def test_a_list_of_points_has_the_luck_of_its_product():
    cube = search(noise(5, n_symbols=2))
    product, listed = search_luck(cube), search_luck(sampled_of(cube, AXES))
    for name in product:
        assert str(product[name].row(3)) == str(listed[name].row(3))


def test_noise_looks_like_noise_and_skill_is_found():
    seeds = range(40)
    tables = [ta.best(search(noise(seed)), select="best").loc["S0"] for seed in seeds]
    # The standard error of a mean of 40 PBOs is about 0.04 (their standard deviation is about 0.25).
    assert 0.38 < np.mean([row["pbo"] for row in tables]) < 0.62
    # A worthless search reaches a DSR of 0.95 in about one of twenty; six of forty would be far above that.
    assert sum(row["dsr"] >= 0.95 for row in tables) < 6
    assert np.mean([row["dsr"] for row in tables]) < 0.7
    skilled = [ta.best(search(noise(seed, drift=0.01)), select="best").loc["S0"] for seed in range(8)]
    assert all((row["x"], row["y"]) == (2, "b") for row in skilled)
    assert all(row["dsr"] > 0.99 and row["pbo"] < 0.1 for row in skilled)


def test_bad_input_is_refused_in_words():
    cube = search(noise(1))
    with pytest.raises(ta.DataError, match="has no daily returns.*sweep with returns='1D'"):
        search_luck(cube.drop_vars("returns"))
    with pytest.raises(ta.UnknownName, match="unknown method '2014'"):
        search_luck(cube, method="2014")
    with pytest.raises(ta.ConfigError, match="splits: got 7"):
        search_luck(cube, splits=7)
    with pytest.raises(ta.ConfigError, match="got the sample out alone"):
        search_luck(cube.expand_dims(sample=["out"]))
