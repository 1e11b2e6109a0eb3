"""Every registered scenario is seen in the candles from its moment on, and felt by nobody before it."""

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from traderagent.base.errors import ConfigError
from traderagent.engine.config import Costs
from traderagent.engine.plan import check_candles
from traderagent.engine.tape import HOUR
from traderagent.robustness.scenarios import SCENARIOS, Scenario, Shock, candle_scenario, shocked

OF_CANDLES = [name for name, s in SCENARIOS.items() if s.candles is not None]
OF_COSTS = [name for name, s in SCENARIOS.items() if s.costs is not None]
ROW = 5000


@pytest.fixture(scope="module")
def data():
    return ta.load_market("synthetic", symbols=1, days=45, seed=7, progress=False)["SYN-01"]


def coarse(data, timeframe):
    return ta.MultiTimeframeData.from_base(data.symbol, data.frame(timeframe), timeframe, instrument=data.instrument)


# --- scenarios --------------------------------------------------------------------------------------
def test_all_that_the_specification_names_is_registered():
    assert OF_CANDLES == ["crash", "delisting", "flash_crash", "gap", "outage", "stuck_price", "volatility"]
    assert OF_COSTS == ["double_fees", "wide_spread"]


@pytest.mark.parametrize("timeframe", ["5m", "1h", "1d"])
@pytest.mark.parametrize("name", OF_CANDLES)
def test_a_shock_is_seen_from_its_candle_on_and_by_nobody_before(data, name, timeframe):
    candles = coarse(data, timeframe)
    for row in (1, len(candles) // 2):
        bent = shocked(candles, SCENARIOS[name], row)
        check_candles(bent)
        before, after = candles.candles, bent.candles
        assert after.iloc[:row].to_numpy().tobytes() == before.iloc[:row].to_numpy().tobytes()
        assert after.index[:row].equals(before.index[:row])
        assert after.iloc[row : row + 1].to_numpy().tobytes() != before.iloc[row : row + 1].to_numpy().tobytes()
        ticks = after.iloc[row:, :4].to_numpy() / data.instrument.tick
        assert np.abs(ticks - np.round(ticks)).max() < 1e-6
        assert bent.synthetic
        assert name in bent.source
        assert shocked(candles, SCENARIOS[name], row).hash == bent.hash


@pytest.mark.parametrize("name", OF_COSTS)
@pytest.mark.parametrize("costs", [Costs(), Costs(maker=0.2, taker=0.2, slippage=0.5), Costs(maker=-0.0001)])
def test_costs_rise_and_candles_stay(data, name, costs):
    changed = SCENARIOS[name].costs(costs)
    assert shocked(data, SCENARIOS[name], ROW) is data
    for field in ("maker", "taker", "slippage"):
        assert getattr(changed, field) >= getattr(costs, field)
    assert changed != costs


def test_costs_are_those_that_are_named():
    assert SCENARIOS["wide_spread"].costs(Costs(slippage=0.001)).slippage == 0.01
    assert SCENARIOS["wide_spread"].costs(Costs(slippage=0.0)).slippage == pytest.approx(0.003)
    doubled = SCENARIOS["double_fees"].costs(Costs(maker=0.0002, taker=0.0005))
    assert (doubled.maker, doubled.taker) == (0.0004, 0.001)


def bent(data, name):
    return data.candles, shocked(data, SCENARIOS[name], ROW).candles


def test_a_flash_crash_falls_by_three_tenths_in_an_hour_and_is_over_after_five(data):
    before, after = bent(data, "flash_crash")
    ratio = (after["close"] / before["close"]).to_numpy()[ROW:]
    assert ratio[11] == pytest.approx(0.7, rel=1e-4)
    assert (np.diff(ratio[:12]) < 0).all()
    assert (np.diff(ratio[11:60]) > 0).all()
    assert after.iloc[ROW + 60 :].to_numpy().tobytes() == before.iloc[ROW + 60 :].to_numpy().tobytes()
    assert (after["volume"] == before["volume"]).all()


def test_a_crash_halves_the_price_in_a_day_for_good(data):
    before, after = bent(data, "crash")
    ratio = (after["close"] / before["close"]).to_numpy()[ROW:]
    assert ratio[143] == pytest.approx(np.sqrt(0.5), rel=1e-4)
    assert ratio[287:] == pytest.approx(0.5, rel=1e-4)


def test_a_gap_has_no_price_in_between(data):
    before, after = bent(data, "gap")
    for name in ("open", "high", "low", "close"):
        assert (after[name] / before[name]).to_numpy()[ROW:] == pytest.approx(0.8, rel=1e-4)


def test_moves_are_three_times_as_large_for_a_week(data):
    before, after = bent(data, "volatility")
    was, now = np.log(before["close"].to_numpy()), np.log(after["close"].to_numpy())
    week = slice(ROW - 1, ROW + 7 * 288)
    assert np.diff(now[week]) == pytest.approx(3 * np.diff(was[week]), abs=3e-4)
    assert np.diff(now[week.stop - 1 :]) == pytest.approx(np.diff(was[week.stop - 1 :]), abs=3e-4)
    inside = np.log(after["high"] / after["low"]).to_numpy()[ROW : ROW + 500]
    assert inside == pytest.approx(3 * np.log(before["high"] / before["low"]).to_numpy()[ROW : ROW + 500], abs=6e-4)


def test_an_outage_leaves_a_hole_of_six_hours(data):
    before, after = bent(data, "outage")
    assert after.index[ROW] - after.index[ROW - 1] == pd.Timedelta("6h5min")
    assert after.iloc[ROW:].equals(before.iloc[ROW + 72 :])


def test_a_stuck_price_stands_for_a_day_and_then_jumps_to_the_market(data):
    before, after = bent(data, "stuck_price")
    still = after.iloc[ROW : ROW + 288]
    assert (still[["open", "high", "low", "close"]] == before["close"].iloc[ROW - 1]).all().all()
    assert (still["volume"] == 0).all()
    assert after.iloc[ROW + 288 :].equals(before.iloc[ROW + 288 :])


def test_a_delisting_ends_at_a_thousandth(data):
    before, after = bent(data, "delisting")
    assert len(after) == ROW + 288
    assert after["close"].iloc[-1] == pytest.approx(0.001 * before["close"].iloc[ROW + 287], abs=data.instrument.tick)


def test_a_name_is_given_once_and_its_docstring_is_needed():
    def gap(shock):
        """Another one."""
        return shock

    with pytest.raises(ConfigError, match="registered twice"):
        candle_scenario(gap)
    with pytest.raises(ConfigError, match="no docstring"):
        candle_scenario(lambda shock: shock)
    with pytest.raises(ConfigError, match="exactly one"):
        Scenario("both", "", candles=gap, costs=gap)


def test_more_than_the_candles_that_are_left_is_cut(data):
    values = np.tile(np.array([[10.0, 11.0, 9.0, 10.0, 1.0]]), (5, 1))
    shock = Shock(np.arange(5) * HOUR, HOUR, values, 3, 0.0)
    assert shock.bent((4, 0.5)).values[4, 3] == pytest.approx(10 * 0.5**0.5)
    assert len(shock.stretched(90, 3.0).values) == 5
    assert len(shock.without(0, 90).values) == 3
    assert shock.stuck(90).values[4].tolist() == [10.0, 10.0, 10.0, 10.0, 0.0]
