"""Stress of one account of several symbols: a shock hits all of them at once, and nothing before it moves."""

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from traderagent.base.errors import ConfigError, DataError
from traderagent.market.frames import milliseconds
from traderagent.robustness.courses import row_at
from traderagent.robustness.runners import one_account
from traderagent.robustness.scenarios import SCENARIOS, shocked

QUIET = {"progress": False}
LIMITS = ta.PortfolioBacktestConfig(max_single_pair_pct=0.3, max_total_exposure_pct=0.5, portfolio_stop_loss_pct=0.1)
OFF = {"max_single_pair_pct": 1.0, "max_total_exposure_pct": 1.0, "portfolio_stop_loss_pct": None}
CRASHES = ["crash", "flash_crash", "delisting"]


@pytest.fixture(scope="module")
def market():
    return ta.load_market("synthetic", symbols=2, days=45, seed=7, progress=False)


@pytest.fixture(scope="module")
def found(market):
    return ta.stress(market, LIMITS, CRASHES, **QUIET)


def test_one_symbol_with_full_limits_is_the_stress_of_that_symbol(market):
    one = market.select(["SYN-01"])
    alone = ta.stress(one, ta.OrchestratorBacktestConfig(), holdout=0.3, **QUIET).cube
    shared = ta.stress(one, ta.PortfolioBacktestConfig(**OFF, max_correlation=None), holdout=0.3, **QUIET).cube
    assert list(shared["symbol"].to_numpy()) == ["account"]
    assert alone["worst_pct"].min() < -1.0
    for name in alone.data_vars:
        np.testing.assert_array_equal(shared[name].isel(symbol=0), alone[name].isel(symbol=0), name)


@pytest.mark.parametrize("name", CRASHES)
def test_a_shock_hits_every_symbol_at_the_same_moment(market, found, name):
    cell = found.cube.sel(scenario=name, symbol="account")
    at = pd.Timestamp(cell["shock"].item(), unit="ns", tz="UTC")
    ms = int(milliseconds(pd.DatetimeIndex([at]))[0])
    bent = ta.Market({s: shocked(d, SCENARIOS[name], row_at(d, ms)) for s, d in market.items()})
    calm, hit = (ta.portfolio(m, LIMITS, **QUIET) for m in (market, bent))
    before = calm.equity.index < at
    np.testing.assert_array_equal(hit.equity.to_numpy()[: before.sum()], calm.equity[before])
    mark, after = calm.equity[before].iloc[-1], hit.equity[hit.equity.index >= at]
    until = after.index + (calm.index[1] - calm.index[0]) <= at + pd.Timedelta("30D")
    lowest = float(after[until].min()) / mark - 1.0
    assert cell["worst_pct"].item() == pytest.approx(min(lowest, 0.0) * 100.0, abs=1e-12)
    assert lowest < -0.01


def test_the_worst_moment_is_when_the_account_holds_most(market, found):
    exposure = ta.portfolio(market, LIMITS, **QUIET)
    share = exposure.exposure.sum(axis=1) / exposure.equity
    share = share.iloc[: len(share) - 7 * 288]
    step = share.index[1] - share.index[0]
    assert pd.Timestamp(found.cube["shock"].to_numpy()[0, 0], tz="UTC") == share.idxmax() + step


def test_costs_are_changed_for_every_pair(market):
    config = LIMITS.replace(overrides={"SYN-02": {"costs": "binance_spot"}})
    changed = one_account().with_costs(config, SCENARIOS["double_fees"].costs)
    for symbol in market:
        given, doubled = config.of_pair(symbol).costs_in_force, changed.of_pair(symbol).costs_in_force
        assert doubled.taker == 2.0 * given.taker > 0.0
    cell = ta.stress(market, config, "double_fees", **QUIET).cube.isel(scenario=0, symbol=0)
    runs = [ta.portfolio(market, c, **QUIET).equity.iloc[-1] for c in (config, changed)]
    assert cell["cost_pct"].item() == pytest.approx((runs[1] - runs[0]) / 10_000.0 * 100.0, abs=1e-12)


def test_symbols_that_do_not_trade_yet_or_never_stay_as_they_are(market):
    late = market["SYN-02"].slice(market["SYN-02"].index[6000], None)
    short = market["SYN-02"].slice(None, market["SYN-02"].index[100])
    given = {"SYN-01": market["SYN-01"], "SYN-02": late, "SYN-03": short.replace(symbol="SYN-03")}
    at = late.index[50]
    found = ta.stress(given, LIMITS, "crash", at=at, **QUIET)
    assert found.skipped["SYN-03"].startswith("got ")
    assert "warm-up takes" in found.skipped["SYN-03"]
    row = row_at(given["SYN-01"], int(milliseconds(pd.DatetimeIndex([at]))[0]))
    bent = {**given, "SYN-01": shocked(given["SYN-01"], SCENARIOS["crash"], row)}
    course = one_account().run(bent, LIMITS, None)
    assert found.cube["max_drawdown_pct"].item() == pytest.approx(
        100.0 * float((1.0 - course.equity / np.maximum.accumulate(np.append(1e4, course.equity))[1:]).max()), abs=1e-12
    )
    with pytest.raises(DataError, match="1 of 3 symbols cannot be run: .*warm-up"):
        ta.stress(given, LIMITS.replace(symbols=list(given)), "crash", **QUIET)


def test_every_symbol_is_cut_where_it_is_cut_everywhere(market):
    late = market["SYN-02"].slice(market["SYN-02"].index[3000], None)
    given = ta.Market({"SYN-01": market["SYN-01"], "SYN-02": late})
    cube = ta.stress(given, LIMITS, "volatile_windows", windows=1, window="2D", holdout=0.3, **QUIET).cube
    parts = ta.portfolio(given, LIMITS, holdout=0.3, **QUIET)
    for sample, run in parts.items():
        equity = run.equity.loc[run.starts :].to_numpy()
        fall = 1.0 - equity / np.maximum.accumulate(np.append(1e4, equity))[1:]
        assert cube.sel(sample=sample)["max_drawdown_pct"].item() == pytest.approx(100.0 * fall.max(), abs=1e-12)


def test_configs_of_neither_kind_are_refused(market):
    with pytest.raises(ConfigError, match=r"cfg: got dict, allowed are .* ta\.PortfolioBacktestConfig"):
        ta.stress(market, {}, **QUIET)
    with pytest.raises(ConfigError, match="path: detail"):
        ta.stress(market, LIMITS.replace(overrides={"SYN-02": {"path": "detail"}}), **QUIET)


def test_the_stage_shocks_the_account_that_the_stage_portfolio_ran(market, tmp_path):
    options = {"scenarios": "gap", "holdout": 0.3, **QUIET}
    ta.shared_account(market, LIMITS, holdout=0.3, progress=False).save(tmp_path / "portfolio")
    found = ta.stress_study(market, None, account=tmp_path / "portfolio", **options)
    alone = ta.stress(market, LIMITS, **options).cube
    assert set(found.cells()["symbol"]) == set(found.symbols)  # the account is none of them
    cells = found.frames["cells"].query("symbol == 'account'")
    np.testing.assert_array_equal(cells["worst_pct"], alone["worst_pct"].to_numpy().ravel())
    assert found.record["account"] == LIMITS.to_dict()
    assert found.symbols == list(market)
    assert ta.stress_study(market, None, account=tmp_path / "nothing", **options).record["account"] is None
    with pytest.raises(ConfigError, match="account: got int, allowed are"):
        ta.stress_study(market, None, account=5, **options)
