"""Monte Carlo: closed forms where there are any, the run itself where nothing is drawn, one answer from any worker."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from arch.bootstrap import StationaryBootstrap, optimal_block_length
from scipy.signal import lfilter

import traderagent as ta
from traderagent.base.errors import ConfigError, DataError, UnknownName
from traderagent.engine.records import ROUND_TRIP
from traderagent.engine.tape import DAY
from traderagent.robustness.monte_carlo import METHODS
from traderagent.robustness.monte_carlo_result import concentration
from traderagent.robustness.resampling import day_ends, follow, kept_steps
from traderagent.stats import expected_max_drawdown

QUIET = {"progress": False}
STILL = ta.ExecutionNoise(slippage_spread=0.0, penetration_ticks=0, late_share=0.0)


@pytest.fixture(scope="module")
def data():
    return ta.load_market("synthetic", symbols=1, days=50, seed=7, progress=False)["SYN-01"]


@pytest.fixture(scope="module")
def run(data):
    return ta.backtest(data, ta.OrchestratorBacktestConfig(enable_smc=True))


def with_trips(run, pnl):
    """The run, had its round trips earned this."""
    trips = np.zeros(len(pnl), ROUND_TRIP)
    trips["net"] = pnl
    return replace(run, raw=replace(run.raw, round_trips=trips))


def bytes_of(found):
    return found.paths.to_numpy().tobytes() + found.fan.to_numpy().tobytes()


# --- round trips ------------------------------------------------------------------------------------
def test_a_shuffle_ends_where_the_run_ended_to_the_last_bit(run):
    found = ta.monte_carlo(run, "trade_shuffle", 200, seed=3)
    assert set(found.paths.total_return_pct) == {found.observed["total_return_pct"]}
    assert set(found.fan.iloc[-1]) == {found.fan.observed.iloc[-1]}
    assert found.interval("profit_factor") == (found.observed["profit_factor"],) * 2
    assert found.paths.max_drawdown_pct.nunique() > 100
    assert "by construction" in repr(found)


def test_a_shuffle_draws_every_round_trip_once(run):
    found = ta.monte_carlo(with_trips(run, [1.0] * 9 + [-100.0]), "trade_shuffle", 50)
    expected = [100 * 100 / (run.initial_balance + wins) for wins in range(10)]  # the one loss, after so many wins
    assert set(found.paths.max_drawdown_pct.round(9)) <= set(np.round(expected, 9))
    assert found.paths.max_drawdown_pct.nunique() > 5
    assert found.fan.q50.iloc[-1] == run.initial_balance - 91.0
    assert found.paths.win_rate.eq(0.9).all()


def test_a_bootstrap_has_the_mean_and_the_variance_of_its_closed_form(run):
    pnl = np.random.default_rng(1).standard_t(5, 80) * 20.0 + 3.0
    n = 4000
    found = ta.monte_carlo(with_trips(run, pnl), "trade_bootstrap", n, seed=11)
    final = run.initial_balance * (1 + found.paths.total_return_pct / 100)
    variance = len(pnl) * pnl.var()
    assert final.mean() == pytest.approx(run.initial_balance + pnl.sum(), abs=4 * math.sqrt(variance / n))
    assert final.var() == pytest.approx(variance, rel=4 * math.sqrt(2 / n))


def test_a_driftless_brownian_motion_falls_as_far_as_it_must(run):
    n_steps, size = 5000, 1e-3  # of 10 000: ratios to the peak are ratios to the start
    pnl = np.tile([size, -size], n_steps // 2)
    found = ta.monte_carlo(with_trips(run, pnl), "trade_bootstrap", 1500, seed=5)
    fall = found.paths.max_drawdown_pct.mean() / 100 * run.initial_balance
    assert fall == pytest.approx(expected_max_drawdown(size, n_steps), rel=0.03)
    assert fall == pytest.approx(1.2533 * size * math.sqrt(n_steps), rel=0.03)


def test_a_path_is_followed_as_a_plain_loop_would():
    draws = np.random.default_rng(2)
    for compounds in (False, True):
        for n in (1, 2, 7, 900):
            changes = draws.standard_normal(n) * 0.02 if compounds else draws.integers(-3, 4, n) * 1.0  # back to a peak
            order = draws.integers(0, n, n)
            steps = kept_steps(n)
            curve = np.empty(len(steps))
            end, deepest, longest = follow(100.0, changes, order, compounds, steps, curve)
            equity = [100.0]
            for k in order:
                equity.append(equity[-1] * (1 + changes[k]) if compounds else equity[-1] + changes[k])
            peaks = [max(equity[: i + 1]) for i in range(n + 1)]
            under = [i - max(j for j in range(i + 1) if equity[j] == peaks[j]) for i in range(n + 1)]
            assert end == equity[-1]
            assert deepest == max((p - e) / p for p, e in zip(peaks, equity, strict=True))
            assert longest == max(under)
            assert curve.tolist() == [equity[s] for s in steps]


def test_a_path_that_is_back_at_its_peak_is_not_under_water():
    changes, steps = np.array([1.0, -1.0, 1.0, -1.0]), np.array([0, 4])
    assert follow(100.0, changes, np.arange(4), False, steps, np.empty(2)) == (100.0, 1 / 101, 1)


def test_a_long_fan_is_thinned_and_keeps_both_ends():
    assert kept_steps(3).tolist() == [0, 1, 2, 3]
    assert len(kept_steps(100_000)) == 401
    assert kept_steps(100_000)[[0, -1]].tolist() == [0, 100_000]


def test_a_loss_that_is_still_open_is_not_hidden(run):
    """A grid that holds its losers has closed winners only: the headline names the run beside them."""
    found = ta.monte_carlo(with_trips(run, [500.0, 500.0]), "trade_bootstrap", 5)
    assert found.observed["total_return_pct"] == pytest.approx(10.0)
    assert f"run {run.metrics['total_return_pct']:+.2f} %, closed round trips +10.00 %" in found.headline()
    rest = run.final_balance - run.initial_balance - 1000.0
    assert f"{abs(rest):.2f} of positions open at the end is left out" in found.notes[0].replace("\u202f", "")


# --- days -------------------------------------------------------------------------------------------
def test_days_end_where_their_last_candle_does(run, data):
    begin = data.index[run.raw.first].floor("1D")
    daily = run.equity.iloc[run.raw.first :].resample("1D").last().ffill()
    assert daily.index[0] == begin
    assert day_ends(run).tolist() == [run.initial_balance, *daily]
    assert day_ends(run)[-1] == run.final_balance
    holed = data.candles.drop(data.index[20 * 288 : 23 * 288])
    pause = ta.backtest(ta.MultiTimeframeData.from_base("A", holed), run.config)
    ends = day_ends(pause)
    assert len(ends) == len(day_ends(run))
    first = data.index[run.raw.first].floor("1D").value // 10**6 // DAY
    hole = data.index[20 * 288].value // 10**6 // DAY - first
    assert len(set(ends[hole : hole + 4])) == 1


def with_returns(run, returns):
    """The run, had it earned this on its days."""
    equity = run.initial_balance * np.cumprod(1 + returns)
    day = run.plan.tape.time // DAY
    ledger = np.zeros_like(run.raw.ledger)
    ledger[:, 0] = equity[np.maximum(day - day[run.raw.first], 0)]
    return replace(run, raw=replace(run.raw, ledger=ledger))


def test_blocks_are_those_of_arch(run):
    noise = np.random.default_rng(3).standard_normal(len(day_ends(run)) - 1) * 0.01
    run = with_returns(run, lfilter([1.0], [1.0, -0.7], noise))
    ends = day_ends(run)
    returns = ends[1:] / ends[:-1] - 1
    found = ta.monte_carlo(run, "block_bootstrap", 20, seed=9)
    rule = optimal_block_length(returns)["stationary"].iloc[0]
    assert rule > 1.0
    assert found.settings["block_length_automatic"] == rule
    assert found.settings["block_length"] == math.ceil(rule) != rule
    for length in (found.settings["block_length"], 6):
        drawn = StationaryBootstrap(length, returns, seed=9).bootstrap(20)
        expected = [(np.prod(1 + positional[0]) - 1) * 100 for positional, _ in drawn]
        given = ta.monte_carlo(run, "block_bootstrap", 20, seed=9, length=length)
        assert given.paths.total_return_pct.to_numpy() == pytest.approx(expected, rel=1e-9)


def test_days_as_they_were_have_the_metrics_of_the_run(run):
    found = ta.monte_carlo(run, "block_bootstrap", 2)
    for name in ("sharpe_ratio_daily", "total_return_pct"):
        assert found.observed[name] == pytest.approx(run.metrics[name], rel=1e-9)


# --- the same from everywhere -----------------------------------------------------------------------
@pytest.mark.parametrize("method", METHODS)
def test_the_seed_makes_the_bytes_and_nothing_else_does(run, method):
    one = ta.monte_carlo(run, method, 6, seed=1, workers=1, **QUIET)
    many = ta.monte_carlo(run, method, 6, seed=1, workers=3, **QUIET)
    assert bytes_of(one) == bytes_of(many)
    assert bytes_of(one) != bytes_of(ta.monte_carlo(run, method, 6, seed=2, **QUIET))
    longer = ta.monte_carlo(run, method, 9, seed=1, **QUIET)
    assert longer.paths.iloc[:6].to_numpy().tobytes() == one.paths.to_numpy().tobytes()


# --- the result -------------------------------------------------------------------------------------
def test_losses_of_the_tail_are_those_of_the_worst_paths(run):
    found = ta.monte_carlo(run, "trade_bootstrap", 100)
    returns = np.random.default_rng(0).permutation(np.arange(-20.0, 80.0))
    falls = np.linspace(1, 100, 100)
    made = replace(found, paths=pd.DataFrame({"total_return_pct": returns, "max_drawdown_pct": falls}))
    assert made.value_at_risk_pct == 16.0
    assert made.conditional_value_at_risk_pct == 18.0
    assert made.probability_of_loss == 0.2
    assert made.probability_of_ruin == 0.51
    assert made.probability_of_drawdown(0.9) == 0.11
    assert made.interval("total_return_pct") == tuple(np.quantile(returns, [0.05, 0.95]))


def test_the_observed_value_is_placed_among_the_paths_by_what_is_better(run):
    found = ta.monte_carlo(run, "trade_bootstrap", 100)
    low = {**found.observed, "total_return_pct": -1e9, "max_drawdown_pct": -1e9}
    table = replace(found, observed=low).table()
    assert table.loc["total_return_pct", "worse"] == 0.0
    assert table.loc["max_drawdown_pct", "worse"] == 1.0


@pytest.mark.parametrize(
    ("pnl", "best", "share", "words"),
    [
        ([50, 30, 1, 10, 9], 2, 0.8, "2 of 5 round trips earn 80% of the profit"),
        ([100, -40, -10], 1, 2.0, "1 of 3 round trips earns 200% of the profit"),
        ([1, -2], np.nan, np.nan, "2 round trips without a profit to share"),
        ([], np.nan, np.nan, "0 round trips without a profit to share"),
    ],
)
def test_concentration(pnl, best, share, words):
    found = concentration(np.array(pnl, float))
    assert (found.best, found.share) == pytest.approx((best, share), nan_ok=True)
    assert str(found) == words


@pytest.mark.parametrize("method", METHODS)
def test_a_result_tells_itself(run, method):
    found = ta.monte_carlo(run, method, 5, **QUIET)
    record = found.to_dict()
    assert record["metrics"]["total_return_pct"]["observed"] == found.observed["total_return_pct"]
    assert record["assumptions"]["data_hash"] == run.plan.data.hash
    assert record["assumptions"]["arch_version"]
    assert "SYNTHETIC" in repr(found)
    assert method in found._repr_html_()
    assert {"observed", "low", "median", "high", "worse"} <= set(found.table())
    assert found.fan.index.name == found.step
    assert (found.fan.iloc[0] == run.initial_balance).all()
    assert len(found.paths) == 5


# --- bad input --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"method": "trade_shuffles"}, UnknownName, "did you mean 'trade_shuffle'"),
        ({"method": None}, UnknownName, "unknown method"),
        ({"n": 0}, ConfigError, "n: got 0"),
        ({"n": 10.0}, ConfigError, "n: got 10.0"),
        ({"seed": None}, ConfigError, "seed: got None"),
        ({"seed": -1}, ConfigError, "seed: got -1"),
        ({"seed": True}, ConfigError, "seed: got True"),
        ({"level": 1.0}, ConfigError, "level: got 1"),
        ({"tail": 0.0}, ConfigError, "tail: got 0"),
        ({"tail": [0.1, 0.2]}, ConfigError, "tail: got several"),
        ({"ruin": 1.5}, ConfigError, "ruin: got 1.5"),
        ({"workers": 0}, ConfigError, "workers: got 0"),
        ({"length": 5}, ConfigError, "allowed with block_bootstrap, synthetic_path"),
        ({"noise": STILL}, ConfigError, "allowed with execution_noise"),
        ({"method": "execution_noise", "noise": 1}, ConfigError, "noise: got int"),
        ({"method": "block_bootstrap", "length": 0}, ConfigError, "length: got 0"),
        ({"method": "block_bootstrap", "length": 1000}, ConfigError, "length: got 1000.*from 1 to 4"),
        ({"method": "synthetic_path", "length": 1.5}, ConfigError, "length: got 1.5"),
    ],
)
def test_bad_arguments_are_refused_with_the_reason(run, arguments, kind, words):
    with pytest.raises(kind, match=words):
        ta.monte_carlo(run, **arguments)


def test_what_is_no_run_is_refused(run, data):
    for given in ({"A": run}, None, data):
        with pytest.raises(ConfigError, match="one run of ta.backtest"):
            ta.monte_carlo(given)


@pytest.mark.parametrize("pnl", [[], [5.0]])
@pytest.mark.parametrize("method", ["trade_shuffle", "trade_bootstrap"])
def test_one_round_trip_is_too_few(run, pnl, method):
    with pytest.raises(DataError, match=f"got {len(pnl)} round trips?, allowed are 2"):
        ta.monte_carlo(with_trips(run, pnl), method)


@pytest.mark.parametrize("method", METHODS)
def test_a_run_without_trades_says_why_there_is_nothing(data, method):
    idle = ta.backtest(data, route=[set()] * len(data))
    with pytest.raises(DataError, match="nothing traded.*time on the route"):
        ta.monte_carlo(idle, method)


def test_days_that_are_all_alike_and_too_few_of_them_are_refused(run, data):
    ledger = run.raw.ledger.copy()
    ledger[:, 0], ledger[:, 3] = run.initial_balance, 0.0
    flat = replace(run, raw=replace(run.raw, ledger=ledger))
    with pytest.raises(DataError, match="the return of all 4[678] days is 0"):
        ta.monte_carlo(flat, "block_bootstrap")
    short = ta.backtest(data.slice(data.start, data.start + pd.Timedelta("8D")))
    with pytest.raises(DataError, match="days, allowed are 10"):
        ta.monte_carlo(short, "block_bootstrap")


def test_round_trips_that_are_all_alike_are_named(run):
    found = ta.monte_carlo(with_trips(run, [2.0, 2.0, 2.0]), "trade_bootstrap", 5)
    assert "all 3 round trips earned the same" in repr(found)
    assert np.isnan(found.table().loc["profit_factor", "observed"])
    assert found.to_dict()["metrics"]["profit_factor"]["observed"] is None
