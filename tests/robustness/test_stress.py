"""Stress: losses are those of arithmetic, and the same from any worker; nothing is felt before its moment."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from traderagent.base.errors import ConfigError, DataError, UnknownName
from traderagent.engine.tape import DAY, HOUR, tape_of
from traderagent.market.frames import candle_frame, milliseconds
from traderagent.robustness.courses import Course, damage, volatile_windows, worst_moment
from traderagent.robustness.runners import Runner, orchestrators
from traderagent.robustness.scenarios import SCENARIOS, Scenario, shocked

QUIET = {"progress": False}
OF_CANDLES = [name for name, s in SCENARIOS.items() if s.candles is not None]
OF_COSTS = [name for name, s in SCENARIOS.items() if s.costs is not None]
ROW = 5000


@pytest.fixture(scope="module")
def market():
    return ta.load_market("synthetic", symbols=2, days=45, seed=7, progress=False)


@pytest.fixture(scope="module")
def data(market):
    return market["SYN-01"]


def holding(candles, config, begins):
    """One account that holds a unit of every symbol and a purse of 1, marked at every close of the first one."""
    first = next(iter(candles.values()))
    time = milliseconds(first.index) + first.duration
    prices = pd.DataFrame({s: pd.Series(tape_of(d).close, tape_of(d).time + d.duration) for s, d in candles.items()})
    equity = prices.reindex(time).ffill().sum(axis=1).to_numpy()
    return Course(time, first.duration, equity, float(equity[0]), np.linspace(0.1, 0.9, len(time)))


HOLDER = Runner(together=True, run=holding, with_costs=lambda config, change: config)


# --- what it does to an account ---------------------------------------------------------------------
def course(equity, exposure=None):
    n = len(equity)
    close = (np.arange(n) + 1) * HOUR
    return Course(close, HOUR, np.array(equity, float), 100.0, np.zeros(n) if exposure is None else np.array(exposure))


@pytest.mark.parametrize(
    ("equity", "until", "worst", "recovery"),
    [
        ([100, 100, 90, 60, 95, 100, 120], None, -40.0, 4 / 24),
        ([100, 100, 90, 60, 95, 99, 99], None, -40.0, np.nan),
        ([100, 100, 100, 130], None, 0.0, 0.0),
        ([100, 100, 90, 110, 60, 70, 105], None, -40.0, 5 / 24),
        ([100, 100, 90, 110, 60, 70, 105], 4 * HOUR, -10.0, 2 / 24),
        ([100, 100], None, 0.0, 0.0),
    ],
)
def test_damage(equity, until, worst, recovery):
    found = damage(course(equity), 2 * HOUR, until)
    assert found == pytest.approx({"worst_pct": worst, "recovery_days": recovery}, nan_ok=True)


def test_damage_from_the_start_is_relative_to_the_initial_balance():
    assert damage(course([80, 90, 100]), 0, None) == pytest.approx({"worst_pct": -20.0, "recovery_days": 3 / 24})


def test_the_worst_moment_is_that_of_the_largest_exposure_with_candles_left(data):
    held = np.zeros(100)
    held[[20, 40, 99]] = 0.3, 0.5, 0.9
    assert worst_moment(course(np.full(100, 100.0), held), 0, "A") == 41 * HOUR
    idle = course(np.full(100, 100.0))
    drawn = {worst_moment(idle, seed, name) for seed in range(20) for name in "AB"}
    assert len(drawn) > 20
    assert max(drawn) <= 75 * HOUR
    assert worst_moment(idle, 3, "A") == worst_moment(idle, 3, "A")
    run = ta.backtest(data)
    at = pd.Timestamp(worst_moment(orchestrators().run({"A": data}, run.config, None), 0, "A"), unit="ms", tz="UTC")
    quantity = run.books.xs("quantity", axis=1, level="field").sum(axis=1)
    exposure = (quantity * data.candles["close"] / run.equity)[: -7 * 288]
    assert at == exposure.idxmax() + pd.Timedelta("5min")


def test_holding_loses_what_the_price_loses(data):
    found = ta.stress(data, run=HOLDER, scenarios=OF_CANDLES, at=data.index[ROW], horizon="26h", **QUIET)
    close = data.candles["close"].to_numpy()
    start = close[ROW - 1]
    moves = {"gap": close[ROW : ROW + 312].min() * 0.8, "crash": (shocked_low(data, "crash", 312))}
    moves |= {name: shocked_low(data, name, 312) for name in OF_CANDLES if name not in moves}
    for name, low in moves.items():
        worst = found.cube.worst_pct.sel(scenario=name).item()
        assert worst == pytest.approx(min(low / start - 1, 0) * 100, abs=0.01), name
    assert found.cube.worst_pct.sel(scenario="delisting").item() < -99.0
    assert found.cube.recovery_days.sel(scenario="delisting").isnull().item()
    assert np.isnan(found.cube.curve.sel(scenario="delisting", hour=25).item())


def shocked_low(data, name, n):
    frame = shocked(data, SCENARIOS[name], ROW).candles
    begin, end = data.index[ROW], data.index[ROW] + n * pd.Timedelta("5min")
    return frame["close"][(frame.index >= begin) & (frame.index < end)].min()


def test_nobody_feels_a_shock_before_it_comes(market):
    found = ta.stress(market, scenarios=OF_CANDLES, **QUIET).cube
    early = found.sel(hour=slice(None, 0))
    assert np.array_equal(early.curve, early.undisturbed_curve, equal_nan=True)
    late = found.sel(hour=slice(1, None))
    assert not np.array_equal(late.curve, late.undisturbed_curve, equal_nan=True)
    assert (found.curve.sel(hour=0) == 1.0).all()
    assert (found.worst_pct.sel(scenario="crash") < -3.0).all()
    assert (found.cost_pct.sel(scenario="crash") < 0.0).all()


def test_costs_are_paid_over_the_whole_run(data):
    config = ta.OrchestratorBacktestConfig()
    found = ta.stress(data, config, scenarios=OF_COSTS, **QUIET)
    calm = ta.backtest(data, config)
    for name in OF_COSTS:
        dear = ta.backtest(data, config.replace(costs=SCENARIOS[name].costs(config.costs_in_force)))
        cell = found.cube.sel(scenario=name, symbol="SYN-01")
        expected = dear.metrics["total_return_pct"] - calm.metrics["total_return_pct"]
        assert cell.cost_pct.item() == pytest.approx(expected, rel=1e-9)
        assert cell.max_drawdown_pct.item() == pytest.approx(dear.metrics["max_drawdown_pct"], rel=1e-9)
        lowest = min(dear.equity.min() / 10_000 - 1, 0) * 100
        assert cell.worst_pct.item() == pytest.approx(lowest, rel=1e-9)
    assert any("whole run" in note for note in found.notes)


def test_a_shock_hits_all_symbols_of_one_account_at_the_same_time(market):
    found = ta.stress(market, run=HOLDER, scenarios=["gap"], at=market["SYN-01"].index[ROW], **QUIET)
    assert found.cube["symbol"].to_numpy().tolist() == ["account"]
    prices = sum(d.candles["close"].to_numpy()[ROW - 1] for d in market.values())
    after = sum(d.candles["close"].to_numpy()[ROW + 11] for d in market.values())
    assert found.cube.curve.sel(hour=1).item() == pytest.approx(0.8 * after / prices, rel=1e-4)
    ended = market["SYN-02"].slice(None, market["SYN-02"].index[ROW])
    one_left = ta.stress(
        {"SYN-01": market["SYN-01"], "SYN-02": ended}, run=HOLDER, scenarios="gap", at=ended.end, **QUIET
    )
    last = ended.candles["close"].iloc[-1]
    expected = (0.8 * market["SYN-01"].candles["close"].iloc[ROW + 11] + last) / prices
    assert one_left.cube.curve.sel(hour=1).item() == pytest.approx(expected, rel=1e-4)


def test_a_runner_must_return_a_course(data):
    with pytest.raises(ConfigError, match="returned int, allowed is a Course"):
        ta.stress(data, run=replace(HOLDER, run=lambda candles, config, begins: 1), **QUIET)


def test_a_scenario_of_ones_own_is_run_and_may_not_look_ahead(data):
    def up(shock):
        """Twice the price."""
        return shock.bent((0, 2.0))

    def early(shock):
        return replace(shock, values=shock.values * 1.01)

    def nothing(shock):
        return shock

    def shortened(shock):
        return shock.without(-3, 5)

    found = ta.stress(data, scenarios=["gap", Scenario("up", "doubles", candles=up)], run=HOLDER, **QUIET)
    assert found.scenarios == ["gap", "up"]
    assert found.cube.worst_pct.sel(scenario="up").item() == 0.0
    for function, words in ((early, "before row"), (nothing, "changes no candle"), (shortened, "before row")):
        with pytest.raises(ConfigError, match=words):
            shocked(data, Scenario("own", "", candles=function), ROW)


# --- windows ----------------------------------------------------------------------------------------
def test_the_most_volatile_windows_are_found_and_do_not_overlap():
    draws = np.random.default_rng(4)
    sigma = np.full(24 * 60, 1e-4)
    sigma[24 * 20 : 24 * 22], sigma[24 * 40 : 24 * 42] = 0.03, 0.02
    close = 100 * np.exp(np.cumsum(draws.standard_normal(len(sigma)) * sigma))
    open_ = np.append(100.0, close[:-1])
    values = np.column_stack([open_, np.maximum(open_, close), np.minimum(open_, close), close, np.ones(len(close))])
    candles = candle_frame(np.arange(len(close)) * HOUR, values)
    data = ta.MultiTimeframeData.from_base("A", candles, "1h")
    account = course(close)
    found = volatile_windows({"A": data}, account, 2 * DAY, 3)
    assert [begin / DAY for begin, _ in found[:2]] == pytest.approx([20.0, 40.0], abs=1 / 12)
    moves = np.square(np.diff(np.log(close)))

    def energy(begin):
        at = int(begin // HOUR) - 1
        return moves[at : at + 48].sum()

    everything = [energy(b) for b in account.close if b + 2 * DAY <= account.close[-1]]
    assert energy(found[0][0]) == pytest.approx(max(everything), rel=1e-9)
    assert all(end - begin == 2 * DAY for begin, end in found)
    begins = sorted(begin for begin, _ in found)
    assert (np.diff(begins) >= 2 * DAY).all()
    assert len(volatile_windows({"A": data}, account, 25 * DAY, 9)) <= 2


def test_a_window_holds_the_moves_after_its_begin_and_not_the_one_that_ends_there():
    moves = np.zeros(24 * 20)
    moves[[100, 148]] = 0.03  # as far apart as a window is long: no window holds both
    moves[[300, 310]] = 0.025
    close = 100 * np.exp(np.cumsum(moves))
    open_ = np.append(100.0, close[:-1])
    values = np.column_stack([open_, close, open_, close, np.ones(len(close))])
    data = ta.MultiTimeframeData.from_base("A", candle_frame(np.arange(len(close)) * HOUR, values), "1h")
    ((begin, end),) = volatile_windows({"A": data}, course(close), 2 * DAY, 1)
    assert begin < 301 * HOUR
    assert end >= 311 * HOUR


def test_a_loss_at_the_first_close_is_a_drawdown(data):
    def poorer(candles, config, begins):
        return replace(holding(candles, config, begins), initial=1e6)

    found = ta.stress(data, run=replace(HOLDER, run=poorer), scenarios="gap", at=data.index[ROW], **QUIET)
    assert found.cube.max_drawdown_pct.item() > 99.0


def test_windows_are_looked_at_in_the_undisturbed_run(data):
    found = ta.stress(data, scenarios="volatile_windows", windows=2, window="3D", **QUIET)
    assert found.scenarios == ["volatile_window_1", "volatile_window_2"]
    assert (found.cube.cost_pct == 0.0).all()
    run = ta.backtest(data)
    for name in found.scenarios:
        cell = found.cube.sel(scenario=name, symbol="SYN-01")
        begin = pd.Timestamp(cell.shock.item(), tz="UTC")
        inside = run.equity[(run.equity.index >= begin) & (run.equity.index < begin + pd.Timedelta("3D"))]
        mark = run.equity[run.equity.index < begin].iloc[-1]
        assert cell.worst_pct.item() == pytest.approx(min(inside.min() / mark - 1, 0) * 100, rel=1e-9)


def test_windows_that_do_not_fit_are_refused_or_said(data):
    with pytest.raises(DataError, match=r"SYN-01: got windows of 90 days, allowed are up to 42.3"):
        ta.stress(data, scenarios="volatile_windows", window="90D", **QUIET)
    found = ta.stress(data, scenarios="volatile_windows", window="15D", windows=9, **QUIET)
    assert any(f"only {len(found.scenarios)} of 9" in note for note in found.notes)


def test_a_symbol_too_short_for_the_windows_is_skipped_and_the_others_run(market):
    young = market["SYN-02"].slice(None, "2024-01-22")
    found = ta.stress({"SYN-01": market["SYN-01"], "SYN-02": young}, holdout=0.3, **QUIET)
    assert list(found.cube["symbol"]) == ["SYN-01"]
    assert found.skipped["SYN-02"].startswith("got windows of 7 days, allowed are up to")
    assert np.isfinite(found.cube["worst_pct"].sel(scenario="volatile_window_1")).all()
    with pytest.raises(DataError, match="SYN-02: got windows of 7 days"):
        ta.stress(young, holdout=0.3, **QUIET)


def test_a_sample_without_any_number_has_no_worst(data):
    found = ta.stress(data, scenarios="gap", holdout=0.3, **QUIET)
    found.cube["worst_pct"].loc[{"sample": "out"}] = np.nan
    value, *names = found.worst("out")
    assert np.isnan(value)
    assert names == ["", ""]
    assert found.worst("in")[1:] == ("gap", "SYN-01")
    assert found.headline() == "SYNTHETIC stress of 1 account, sample out: no loss is known"
    assert found.to_dict()["worst"]["out"]["worst_pct"] is None


# --- samples, seeds ---------------------------------------------------------------------------------
def test_each_sample_is_shocked_by_itself(market):
    config = ta.OrchestratorBacktestConfig()
    found = ta.stress(market, config, scenarios=["crash", "volatile_windows"], holdout=0.4, window="3D", **QUIET)
    assert found.cube["sample"].to_numpy().tolist() == ["in", "out"]
    cut = market["SYN-01"].cut(0.4).tz_localize(None)
    assert (found.cube.shock.sel(sample="in") < cut.to_datetime64()).all()
    assert (found.cube.shock.sel(sample="out") > cut.to_datetime64()).all()
    assert found.shown == "out"
    with pytest.raises(UnknownName, match="whole"):
        found.part("whole")
    data = market["SYN-01"]
    whole = ta.stress(data.split(0.4)[0], config, scenarios="crash", **QUIET)
    cell = found.cube.sel(symbol="SYN-01", sample="in", scenario="crash")
    assert whole.cube.worst_pct.item() == cell.worst_pct.item()


def test_other_candles_after_the_cut_change_nothing_before_it(data):
    frame = data.candles
    later = frame.index >= data.cut(0.4)
    frame.loc[later, ["open", "high", "low", "close"]] *= 1.1
    other = ta.MultiTimeframeData.from_base(data.symbol, frame, instrument=data.instrument)
    found = [
        ta.stress(d, scenarios=["crash", "volatile_windows"], holdout=0.4, window="3D", **QUIET).cube.sel(sample="in")
        for d in (data, other)
    ]
    assert found[0].drop_attrs().equals(found[1].drop_attrs())
    assert found[0].attrs["data_hash"] != found[1].attrs["data_hash"]


def test_workers_change_no_byte(market):
    cubes = [ta.stress(market, workers=n, scenarios=["crash", "outage", "double_fees"], **QUIET).cube for n in (1, 3)]
    assert cubes[0].identical(cubes[1])


def test_an_account_that_holds_nothing_says_so(data):
    config = ta.OrchestratorBacktestConfig(max_position_size_pct=1e-6)
    one, two = (ta.stress(data, config, scenarios="crash", seed=s, **QUIET) for s in (1, 2))
    assert "SYN-01 holds nothing" in repr(one)
    assert one.cube.shock.item() != two.cube.shock.item()
    assert one.worst()[0] == 0.0


# --- the result -------------------------------------------------------------------------------------
def test_a_result_tells_itself(market):
    found = ta.stress(market, scenarios=["crash", "delisting", "volatile_windows"], window="3D", **QUIET)
    table = found.table()
    worst = found.cube.worst_pct
    assert table.loc["crash", "worst_pct"] == worst.sel(scenario="crash").min().item()
    assert table.loc["crash", "mean_pct"] == worst.sel(scenario="crash").mean().item()
    assert table.loc["delisting", "never_back"] == 2
    assert found.worst() == (worst.min().item(), *found.worst()[1:])
    assert worst.sel(scenario=found.worst()[1], symbol=found.worst()[2]).item() == worst.min().item()
    record = found.to_dict()
    assert record["worst"]["whole"]["worst_pct"] == worst.min().item()
    assert record["table"]["whole"]["delisting"]["recovery_days"] is None
    assert record["assumptions"]["code_hash"]
    assert "SYNTHETIC" in repr(found)
    assert "delisting" in found._repr_html_()
    assert found.cube.worst_pct.attrs["unit"] == "%"
    assert len(found.to_frame()) == worst.size


# --- bad input --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"scenarios": "flash_crush"}, UnknownName, "did you mean 'flash_crash'"),
        ({"scenarios": []}, ConfigError, "got none, allowed is each scenario once"),
        ({"scenarios": ["gap", "gap"]}, ConfigError, "got 'gap' twice"),
        ({"scenarios": [3]}, ConfigError, "scenarios: got 3"),
        ({"scenarios": None}, ConfigError, "scenarios: got None, allowed are 'all', names"),
        ({"windows": 0}, ConfigError, "windows: got 0"),
        ({"window": "soon"}, ConfigError, "window: got 'soon'"),
        ({"window": "5min"}, ConfigError, "window: got '5min'"),
        ({"horizon": 30}, ConfigError, "horizon: got 30"),
        ({"horizon": None}, ConfigError, "horizon: got None"),
        ({"seed": None}, ConfigError, "seed: got None"),
        ({"workers": 0}, ConfigError, "workers: got 0"),
        ({"holdout": True}, ConfigError, "holdout: got True"),
        ({"holdout": 1.5}, ConfigError, "holdout: got 1.5"),
        ({"at": "yesterday-ish"}, ConfigError, "at: got 'yesterday-ish'"),
        ({"at": 5}, ConfigError, "at: got 5"),
        ({"at": "2023-01-01"}, ConfigError, "allowed are times while SYN-01 trades"),
        ({"run": 5}, ConfigError, "run: got int"),
        ({"run": HOLDER, "strategies": [1]}, ConfigError, "beside run"),
        ({"cfg": {}}, ConfigError, "cfg: got dict"),
        ({"cfg": ta.OrchestratorBacktestConfig(path="detail")}, ConfigError, "path: detail"),
    ],
)
def test_bad_arguments_are_refused_with_the_reason(data, arguments, kind, words):
    with pytest.raises(kind, match=words):
        ta.stress(data, **QUIET | arguments)


def test_what_are_no_candles_is_refused(data):
    for given in ({}, None, 3):
        with pytest.raises(ConfigError, match="market: got"):
            ta.stress(given)
    short = data.slice(None, data.index[300])
    with pytest.raises(DataError, match="no symbol could be run"):
        ta.stress(short, **QUIET)
    found = ta.stress({"SYN-01": data, "SYN-09": short}, scenarios="gap", **QUIET)
    assert "warm-up takes" in found.skipped["SYN-09"]
    assert "skipped SYN-09" in repr(found)
