"""Runs on candles drawn anew and with worse fills: the run itself where nothing is drawn, and every rule of drawing."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from traderagent.base.errors import ConfigError
from traderagent.engine.backtest import execute
from traderagent.engine.plan import check_candles, plan
from traderagent.engine.run import setup_of, simulate
from traderagent.engine.tape import HOUR
from traderagent.robustness.monte_carlo import METHODS
from traderagent.robustness.reruns import late
from traderagent.robustness.resampled_candles import CandleMill, on_tick
from traderagent.robustness.resampling import day_ends, dice
from traderagent.strategies import features

QUIET = {"progress": False}
STILL = ta.ExecutionNoise(slippage_spread=0.0, penetration_ticks=0, late_share=0.0)


@pytest.fixture(scope="module")
def data():
    return ta.load_market("synthetic", symbols=1, days=50, seed=7, progress=False)["SYN-01"]


@pytest.fixture(scope="module")
def run(data):
    return ta.backtest(data, ta.OrchestratorBacktestConfig(enable_smc=True))


# --- candles ----------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def mill(run):
    return CandleMill.of(run.plan, 12)


def test_candles_come_from_the_same_regime_and_the_same_place_of_the_hour(run, mill):
    in_force = np.append(run.plan.regime[:1], run.plan.regime[:-1])
    minute = run.plan.tape.time % HOUR
    source = mill.source(dice(0, 4))
    assert (source[: mill.start] == np.arange(mill.start)).all()
    assert (in_force[source] == in_force).all()
    assert (minute[source] == minute).all()
    assert (source[mill.start :] >= mill.start).all()
    assert (source != np.arange(len(source)))[mill.start :].mean() > 0.9


def test_blocks_of_candles_have_their_mean_length_and_begin_at_whole_hours(run):
    alone = replace(run.plan, regime=np.zeros_like(run.plan.regime))
    mill = CandleMill.of(alone, 12)
    source = mill.source(dice(0, 1))[mill.start :]
    ring = np.diff(source) % (len(run.plan.tape) - mill.start)
    seams = np.flatnonzero(ring != 1) + 1
    assert (run.plan.tape.time[mill.start :][seams] % HOUR == 0).all()
    hours = len(source) / 12
    assert len(seams) == pytest.approx(hours / 12, rel=4 / math.sqrt(hours / 12))


def test_every_candle_is_as_likely_as_any_other(run):
    mill = CandleMill.of(run.plan, 24)
    n_paths, regime = 600, np.append(run.plan.regime[:1], run.plan.regime[:-1])
    times = sum(np.bincount(mill.source(dice(1, k)), minlength=len(regime)) for k in range(n_paths))
    common = np.bincount(regime[mill.start :]).argmax()
    rows = np.flatnonzero(regime[mill.start :] == common) + mill.start
    tenth = len(rows) // 10
    edges = (times[rows[:tenth]].mean(), times[rows[-tenth:]].mean())
    assert edges == pytest.approx((n_paths, n_paths), rel=0.1)


def test_candles_move_as_those_they_were_copied_from(run, mill):
    tape, source = run.plan.tape, mill.source(dice(0, 2))
    made = mill.candles(dice(0, 2))
    check_candles(made)
    now = made.candles
    before = made.candles.iloc[: mill.start].to_numpy()
    assert before.tobytes() == run.plan.data.candles.iloc[: mill.start].to_numpy().tobytes()
    rows = np.arange(mill.start, len(tape))
    tick = run.plan.data.instrument.tick
    for name in ("open", "high", "low", "close"):
        moved = now[name].to_numpy()[rows] / now["close"].to_numpy()[rows - 1]
        was = getattr(tape, name)[source[rows]] / tape.close[source[rows] - 1]
        assert np.abs(moved - was).max() < 3 * tick / now["low"].min()
    quote = (now["volume"] * now["close"]).to_numpy()[rows]
    assert quote == pytest.approx(tape.volume[source[rows]] * tape.close[source[rows]], rel=1e-4)
    assert now.index.equals(run.plan.data.index)
    assert made.synthetic


def test_prices_stand_on_the_tick():
    prices = on_tick(np.array([100.123, 0.004, 17.0]), 0.05)
    assert prices.tolist() == [100.1, 0.05, 17.0]
    assert on_tick(np.array([1.23456]), 0.0).tolist() == [1.23456]


def test_candles_that_were_not_drawn_anew_give_the_run_itself(run, monkeypatch):
    monkeypatch.setattr(CandleMill, "source", lambda self, _: np.arange(len(self.tape)))
    found = ta.monte_carlo(run, "synthetic_path", 1, **QUIET)
    assert found.paths.iloc[0].drop("time_under_water").to_dict() == pytest.approx(
        {k: v for k, v in run.metrics.items() if k in found.paths and k != "time_under_water"}, abs=0, nan_ok=True
    )
    assert found.fan.q50.to_numpy() == pytest.approx(found.fan.observed.to_numpy(), rel=1e-9)


def test_resampled_candles_leave_nothing_in_the_feature_cache(run, tmp_path):
    features.use_feature_cache(tmp_path)
    try:
        ta.monte_carlo(run, "synthetic_path", 1, **QUIET)
    finally:
        features.use_feature_cache(None)
    assert list(tmp_path.rglob("*.parquet")) == []


# --- execution --------------------------------------------------------------------------------------
def test_no_noise_gives_the_run_itself(run):
    found = ta.monte_carlo(run, "execution_noise", 3, noise=STILL, **QUIET)
    expected = {k: v for k, v in run.metrics.items() if k in found.paths and k != "time_under_water"}
    for _, path in found.paths.drop(columns="time_under_water").iterrows():
        assert path.to_dict() == pytest.approx(expected, abs=0, nan_ok=True)


@pytest.mark.parametrize(
    "change", [{"slippage_spread": 1.0}, {"penetration_ticks": 50}, {"late_share": 1.0}], ids=lambda c: next(iter(c))
)
def test_every_noise_alone_changes_runs(run, change):
    found = ta.monte_carlo(run, "execution_noise", 6, noise=STILL.replace(**change), **QUIET)
    assert (found.paths.total_return_pct != found.observed["total_return_pct"]).any()


def test_a_given_route_is_kept_under_noise_and_refused_on_other_candles(data):
    route = pd.Series([{"grid"}, set(), {"grid"}], data.index[[0, 6000, 9000]])
    run = ta.backtest(data, route=route)
    found = ta.monte_carlo(run, "execution_noise", 2, noise=STILL, **QUIET)
    assert found.paths.total_return_pct.tolist() == [run.metrics["total_return_pct"]] * 2
    with pytest.raises(ConfigError, match="route of its own"):
        ta.monte_carlo(run, "synthetic_path", 2)


def test_late_signals_are_traded_one_candle_later(data):
    config = ta.OrchestratorBacktestConfig().only("trend_follower")
    layout = plan(data, config)
    setup = setup_of(data, config, layout.strategies, layout.mask, layout.size_factor, layout.regime, layout.first)
    entries = [simulate(s, config, layout.strategies).fills["row"][0] for s in (setup, late(setup, layout.strategies))]
    assert entries[0] == execute(layout).raw.fills["row"][0]
    assert entries[1] == entries[0] + 1


def test_late_reads_nothing_of_its_own_candle(data):
    layout = plan(data, ta.OrchestratorBacktestConfig(enable_smc=True))
    setup = setup_of(
        data, layout.config, layout.strategies, layout.mask, layout.size_factor, layout.regime, layout.first
    )
    after = late(setup, layout.strategies)
    n = len(setup.tape)
    assert np.array_equal(after.features.columns[:, 1:], setup.features.columns[:, :-1], equal_nan=True)
    assert (after.arrays["regime"][1:] == setup.arrays["regime"][:-1]).all()
    before, later = (np.repeat(s.arrays["route"], np.diff(s.arrays["route"]["end"], prepend=0)) for s in (setup, after))
    assert len(before) == len(later) == n
    for name in ("mask", "size_factor"):
        assert (later[name][1:] == before[name][:-1]).all()
    assert later["mask"][0] == 0
    for signals, moved in zip(setup.features.next_signal, after.features.next_signal, strict=True):
        rows = np.unique(signals[signals < n])
        assert np.unique(moved[moved < n]).tolist() == [r + 1 for r in rows if r + 1 < n]
        assert (moved >= np.append(np.arange(n), n)).all()


def test_finer_candles_do_not_exist_for_resampled_ones(data):
    finer = data.replace(detail=data.candles, detail_timeframe="5m")
    run = ta.backtest(finer, ta.OrchestratorBacktestConfig(path="detail"))
    with pytest.raises(ConfigError, match="no finer ones"):
        ta.monte_carlo(run, "synthetic_path", 2)
    assert len(ta.monte_carlo(run, "execution_noise", 2, **QUIET).paths) == 2


def test_a_part_after_the_cut_keeps_the_candles_before_it(data):
    outside = ta.backtest(data, holdout=0.3)["out"]
    mill = CandleMill.of(outside.plan, 24)
    made = mill.candles(dice(0, 0)).candles
    cut = outside.plan.first
    assert made.iloc[:cut].to_numpy().tobytes() == data.candles.iloc[:cut].to_numpy().tobytes()
    found = ta.monte_carlo(outside, "synthetic_path", 2, **QUIET)
    assert len(found.fan) == len(day_ends(outside))


@pytest.mark.parametrize("method", METHODS)
def test_given_signals_are_drawn_from_and_not_run_again(data, method):
    hours = np.arange(len(data)) // 12 % 4
    signals = ta.backtest_signals(data, hours == 0, hours == 2)
    if method not in ("synthetic_path", "execution_noise"):
        assert len(ta.monte_carlo(signals, method, 5, **QUIET).paths) == 5
        return
    with pytest.raises(ConfigError, match=f"got '{method}' for a run of ta.backtest_signals.*allowed are 'trade_shu"):
        ta.monte_carlo(signals, method, 5, **QUIET)
