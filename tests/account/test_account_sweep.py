"""`ta.sweep(…, portfolio=…)`: a cube whose every point is the portfolio's run of that config."""

from __future__ import annotations

import numpy as np
import pytest

import traderagent as ta
from traderagent.metrics.record import METRICS
from traderagent.research import estimate

SPACE = {"max_total_exposure_pct": [0.3, 0.6], "dca_tp_pct": [0.03, 0.08], "rebalance": ["none", "weekly"]}


@pytest.fixture(scope="module")
def market():
    return ta.load_market("synthetic", symbols=3, days=60, seed=5)


@pytest.fixture(scope="module")
def cube(market):
    config = ta.PortfolioBacktestConfig(max_single_pair_pct=0.2)
    return ta.sweep(market, space=SPACE, portfolio=config, holdout=0.3, progress=False)


def test_every_point_is_the_run_of_its_config(market, cube):
    assert cube.sharpe_ratio.dims == ("symbol", "sample", *SPACE)
    assert cube.symbol.values.tolist() == ["portfolio"]
    for tp in SPACE["dca_tp_pct"]:
        for total in SPACE["max_total_exposure_pct"]:
            for rule in SPACE["rebalance"]:
                pair = ta.OrchestratorBacktestConfig(dca_params={"tp_pct": tp})
                config = ta.PortfolioBacktestConfig(
                    max_single_pair_pct=0.2, per_pair_config=pair, max_total_exposure_pct=total, rebalance=rule
                )
                runs = ta.portfolio(market, config, holdout=0.3)
                point = cube.sel(symbol="portfolio", dca_tp_pct=tp, max_total_exposure_pct=total, rebalance=rule)
                for sample, run in runs.items():
                    for name in METRICS:
                        found = float(point[name].sel(sample=sample))
                        assert found == run.metrics[name] or np.isnan([found, run.metrics[name]]).all(), name
                    day = run.equity.iloc[run.roster.shares.start :].resample("1D").last().dropna()
                    gained = np.diff(np.append(10_000.0, day)) / np.append(10_000.0, day)[:-1]
                    kept = point.returns.sel(sample=sample).dropna("day").to_numpy()
                    np.testing.assert_array_equal(kept, gained.astype(np.float32))
    assert len(np.unique(cube.total_return_pct.sel(sample="in"))) > 4


def test_choosing_from_it_is_choosing_from_any_cube(cube):
    best = ta.best(cube, objective="sharpe_ratio", min_trades=1)
    assert "portfolio" in best.index.get_level_values("symbol") if "symbol" in best.index.names else True
    assert ta.effects(cube) is not None


def test_threads_and_a_second_time_change_no_byte(market, cube):
    config = ta.PortfolioBacktestConfig(max_single_pair_pct=0.2)
    again = ta.sweep(market, space=SPACE, portfolio=config, holdout=0.3, progress=False, workers=1)
    assert again.identical(cube)


@pytest.mark.parametrize(
    ("space", "config", "words"),
    [
        ({"weights": [1, 2]}, {}, "weights"),
        ({"max_total_exposure_pct": [0.3, 3.0]}, {}, None),
        ({"dca_tp_pct": [0.03, 0.08]}, {"overrides": {"SYN-01": {"dca_params": {"tp_pct": 0.05}}}}, None),
        ({"max_daily_loss_pct": [0.03, 0.08]}, {"overrides": {"SYN-01": {"max_daily_loss_pct": 0.1}}}, "overridden"),
    ],
)
def test_axes_that_cannot_be(market, space, config, words):
    told = ta.PortfolioBacktestConfig(**config)
    if words is None:
        cube = ta.sweep(market, space=space, portfolio=told, progress=False)
        assert cube.total_return_pct.size == 2
        return
    with pytest.raises((ta.ConfigError, ta.UnknownName), match=words):
        ta.sweep(market, space=space, portfolio=told, progress=False)


def test_options_of_a_sweep_by_symbol_are_refused(market, tmp_path):
    with pytest.raises(ta.ConfigError, match="runs in this process only"):
        ta.sweep(market, space=SPACE, portfolio=ta.PortfolioBacktestConfig(), checkpoint=tmp_path / "c", progress=False)


def test_more_points_than_memory_holds_are_refused_with_numbers(market):
    space = {name: np.linspace(0.01, 0.2, 10_000).tolist() for name in ("dca_tp_pct", "max_total_exposure_pct")}
    with pytest.raises(ta.ConfigError, match=r"got 100,000,000 points in 2 places, which need .* GiB, allowed"):
        ta.sweep(market, space=space, portfolio=ta.PortfolioBacktestConfig(), holdout=0.3, progress=False)


def test_a_long_sweep_says_so_before_it_starts(market, monkeypatch, capsys):
    monkeypatch.setattr(estimate, "LONG", 0.0)
    space = {"max_total_exposure_pct": [0.3, 0.6], "dca_tp_pct": [0.03, 0.08]}
    ta.sweep(market, space=space, portfolio=ta.PortfolioBacktestConfig(), workers=2)
    assert "4 points on 3 symbols: about 0 min 0" in capsys.readouterr().err
