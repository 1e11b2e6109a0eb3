"""Patterns, signals and orders of smc, on candles and books made by hand; no look-ahead; a candle of delay."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pytest

import traderagent as ta
from tests.causality import look_ahead
from tests.engine.real import needs_candles, real
from tests.engine.test_causality import LIVELY, columns_of, cut_points, data_of, synthetic
from tests.strategies.hours import QUARTER, START, hours
from traderagent.base.kernel import kernel
from traderagent.engine.columns import features_of
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.load import load_market
from traderagent.strategies.contract import (
    BLOCKED,
    BOOK,
    CLOSE,
    ENGULFING,
    ENTERED,
    EXIT,
    INSIDE_BAR,
    NOW,
    OFF_ROUTE,
    PIN_BAR,
    REASONS,
    RISK_DAILY,
    TARGET,
    TIME,
    tell,
)
from traderagent.strategies.features import Frames, frames_of
from traderagent.strategies.patterns import SIGNAL, Rules, signals_kernel
from traderagent.strategies.smc import Smc
from traderagent.strategies.structures import BLOCK, GAP, ZONE

HOUR, DAY = 3_600_000, 86_400_000
ANY = Rules(zone_atr=0.25, stop_atr=0.1, min_confidence=0.0, min_risk_reward=2.5)
ENGULF = [(10.0, 10.5, 9.0, 9.5), (9.5, 10.2, 9.2, 10.0)]
PIN = [(9.9, 10.0, 9.0, 10.0)]
INSIDE = [(10.0, 10.6, 9.4, 9.8), (9.8, 9.95, 9.5, 9.6), (9.65, 10.0, 9.6, 10.0)]


def signals(bars, *, zones=((8.0, 10.0),), target=np.nan, rules=ANY, agreeing=0, atr=1.0, trend=1, middle=10.0):
    """Signals on M15 bars after one H1 candle with live gaps, as (candle, reason, zones, stop, target, confidence)."""
    n = len(bars)
    columns = [np.array(column) for column in zip(*bars, strict=True)]
    gaps = np.zeros(len(zones), ZONE)
    gaps["kind"], gaps["ended"] = GAP, -1
    gaps["low"], gaps["high"] = np.array(zones, float).reshape(-1, 2).T
    hour = np.array([trend]), np.array([middle]), np.array([20.0])
    same = [np.full(n, float(x)) for x in (atr, agreeing, target)]
    out = np.zeros(n, SIGNAL)
    count = signals_kernel(*columns, same[0], np.zeros(n, int), same[1], *hour, gaps, same[2], rules, out)
    return [tuple(s) for s in out[["candle", "kind", "zones", "stop", "target", "confidence"]][:count].tolist()]


@pytest.mark.parametrize(
    ("bars", "reason", "score", "lowest"),
    [(ENGULF, ENGULFING, 1.0, 9.0), (PIN, PIN_BAR, 0.8, 9.0), (INSIDE, INSIDE_BAR, 0.6, 9.4)],
)
def test_a_pattern_at_a_zone_is_a_signal(bars, reason, score, lowest):
    [(candle, kind, zones, stop, target, confidence)] = signals(bars, zones=[(9.6, 9.9)])
    assert (candle, kind, zones) == (len(bars) - 1, reason, 1)
    assert stop == lowest - 0.1
    assert target == 10.0 + 2.5 * (10.0 - stop)
    assert confidence == pytest.approx(0.25 * score + 0.125 + 0.25 * 2.5 / 4)


@pytest.mark.parametrize(
    "bars",
    [
        [ENGULF[0], (9.6, 10.2, 9.4, 10.0)],  # opens above the close before
        [ENGULF[0], (9.5, 10.0, 9.4, 9.9)],  # closes below the open before
        [(9.5, 10.5, 9.0, 10.0), (9.4, 10.0, 9.3, 10.0)],  # the one before rises
        [(9.6, 10.3, 9.0, 9.65)],  # the wick is less than two thirds of the range
        [(10.0, 10.0, 10.0, 10.0)],  # no range
        [INSIDE[0], INSIDE[1], (9.65, 10.0, 9.6, 9.95)],  # closes at the high
        [INSIDE[0], (9.8, 10.61, 9.5, 9.6), (9.65, 10.9, 9.6, 10.7)],  # not inside
    ],
)
def test_what_misses_a_pattern_by_little_is_none(bars):
    assert signals(bars, middle=99.0, zones=[(8.0, 11.0)]) == []


def test_the_highest_score_counts():
    both = [(9.75, 9.8, 9.6, 9.7), (9.7, 9.8, 9.0, 9.8)]  # an engulfing pin bar
    assert [s[1] for s in signals(both)] == [ENGULFING]


def test_zones_count_within_a_quarter_atr_and_shrunk_gaps_less():
    assert signals(PIN, zones=[(8.0, 9.75)])[0][2] == 1  # 0.25 below the close
    assert signals(PIN, zones=[(8.0, 9.74)]) == []
    assert signals(PIN, zones=[(10.25, 11.0)])[0][2] == 1
    assert signals(PIN, zones=[(10.26, 11.0)]) == []
    [(_, _, zones, stop, _, confidence)] = signals(PIN, zones=[(8.5, 9.8), (8.0, 9.8), (8.8, 9.9)])
    assert (zones, stop) == (3, 7.9)  # below the lowest bottom, which lies below the wick
    assert confidence == pytest.approx(0.2 + 0.25 + 0.25 * 2.5 / 4)


def test_long_needs_trend_discount_and_atr():
    for without in ({"trend": 0}, {"trend": -1}, {"middle": 9.99}, {"middle": np.nan}, {"atr": np.nan}, {"zones": ()}):
        assert signals(PIN, **without) == []


def test_the_target_is_the_pool_where_it_pays():
    risk = 10.0 - 7.9
    assert signals(PIN, target=10.0 + 2.6 * risk)[0][4] == 10.0 + 2.6 * risk
    assert signals(PIN, target=10.0 + 2.4 * risk)[0][4] == 10.0 + 2.5 * risk
    far = signals(PIN, target=10.0 + 9.0 * risk, agreeing=2)[0]
    assert far[5] == pytest.approx(0.2 + 0.125 + 0.25 + 0.25)


def test_confidence_decides():
    confidence = signals(PIN, agreeing=1)[0][5]
    assert confidence == pytest.approx(0.2 + 0.125 + 0.125 + 0.25 * 2.5 / 4)
    assert signals(PIN, agreeing=1, rules=ANY._replace(min_confidence=confidence)) != []
    assert signals(PIN, agreeing=1, rules=ANY._replace(min_confidence=np.nextafter(confidence, 1))) == []


def test_zones_live_and_shrink_by_the_hour():
    """A gap from the first hour on shrinks at the second; a block from the second dies at the third."""
    zones = np.zeros(2, ZONE)
    zones["kind"], zones["confirmed"], zones["ended"] = (GAP, BLOCK), (0, 1), (-1, 2)
    zones["low"], zones["high"] = (8.0, 9.0), (10.0, 10.0)
    n, out = 3, np.zeros(3, SIGNAL)
    columns = [np.full(n, x) for x in PIN[0]]
    hour = np.ones(n, int), np.full(n, 10.0), np.array([20.0, 9.5, 20.0])
    count = signals_kernel(*columns, np.ones(n), np.arange(n), np.zeros(n), *hour, zones, np.full(n, np.nan), ANY, out)
    assert out["zones"][:count].tolist() == [1, 1]
    assert out["candle"][:count].tolist() == [0, 1]
    assert out["stop"][:count].tolist() == [7.9, 8.9]


def test_features_stand_at_the_close_of_the_quarter():
    market = load_market("synthetic", symbols=1, days=60, seed=3, progress=False)
    data = Frames(market["SYN-01"])
    smc = Smc(swing_length=4, min_confidence=0.5)
    columns, found = smc.features(data), smc.signals(data)
    assert list(columns) == ["kind", "stop", "target", "confidence", "zones"]
    rows = np.flatnonzero(columns["kind"])
    assert len(rows) == len(found) > 10
    closes = data["15m"].time[found["candle"]] + QUARTER
    assert (data["base"].time[rows] + 300_000).tolist() == closes.tolist()
    for name in ("kind", "stop", "target", "confidence", "zones"):
        assert columns[name][rows].tolist() == found[name].tolist()
    close, side = data["base"].close[rows], np.sign(found["kind"])
    assert {REASONS[abs(k)] for k in found["kind"]} == {"engulfing", "pin_bar", "inside_bar"}
    assert (side * found["stop"] < side * close).all()
    assert (side * found["target"] >= side * (close + 2.499 * (close - found["stop"]))).all()
    assert set(side) == {-1, 1}


def test_what_was_found_is_kept_by_what_it_depends_on():
    data = Frames(load_market("synthetic", symbols=1, days=30, seed=3, progress=False)["SYN-01"])
    found = Smc().found(data)
    assert Smc(min_confidence=0.5, risk_per_trade=0.01).found(data) is found
    assert Smc(swing_length=9).found(data) is not found
    signals = Smc().signals(data)
    assert Smc(max_hold_hours=3.0, risk_per_trade=0.01).signals(data) is signals
    for change in ({"zone_atr": 0.3}, {"stop_atr": 0.2}, {"min_confidence": 0.5}, {"min_risk_reward": 2.0}):
        assert Smc(**change).signals(data) is not signals


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("swing_length", 8),
        ("atr_period", 30),
        ("liquidity_atr", 0.5),
        ("zone_max_age", 24),
        ("zone_atr", 0.5),
        ("stop_atr", 0.2),
        ("min_confidence", 0.65),
        ("min_risk_reward", 2.0),
    ],
)
def test_every_parameter_of_a_signal_has_a_consumer(name, value):
    data = frames_of(year_of_candles())
    assert Smc(**{name: value}).signals(data).tolist() != Smc().signals(data).tolist()


@cache
def year_of_candles() -> MultiTimeframeData:
    return load_market("synthetic", symbols=1, days=365, seed=7, progress=False)["SYN-01"]


def test_too_few_candles_find_nothing():
    smc = Smc()
    for n in (1, 2, 30):
        data = Frames(hours([(10.0, 10.0, 10.0, 10.0)] * n))
        assert len(smc.structures(data)) == 0
        assert not smc.features(data)["kind"].any()


def test_warm_up_is_what_the_swings_need():
    """H1 candles: D1 and H4 have no bias until they have structures of their own."""
    assert Smc().warmup(300_000) == 100 * 12  # 100 hours
    assert Smc(swing_length=50).warmup(900_000) == 200 * 4


# --- no look-ahead -----------------------------------------------------------------------------------


def columns_by(smc: Smc, columns: dict) -> dict:
    return smc.features(Frames(data_of(columns)))


def test_signals_know_no_future():
    columns = synthetic()
    smc = Smc(**LIVELY["smc"])
    kinds = columns_by(smc, columns)["kind"]
    at = np.flatnonzero(kinds)
    assert len(at) > 10
    rows = sorted({*cut_points(columns, 20), *(int(r) for r in at), *(int(r) - 1 for r in at)} - {len(kinds) - 1})
    assert look_ahead(partial(columns_by, smc), columns, rows=rows) is None


@needs_candles
@pytest.mark.slow
def test_signals_know_no_future_on_real_candles():
    columns = {name: values[:30_000] for name, values in columns_of(real("2024", "BTCUSDT")["BTCUSDT"]).items()}
    at = np.flatnonzero(columns_by(Smc(), columns)["kind"])
    assert len(at) > 5
    assert look_ahead(partial(columns_by, Smc()), columns, rows=[int(r) for r in at]) is None


def signals_that_a_delay_changes(data: MultiTimeframeData, smc: Smc, delay: int = 1) -> tuple[int, int, int]:
    """Number of signals, of those with H1 structures used `delay` H1 candles later, and of those in one only."""
    sides = [{tuple(s) for s in smc.signals(Frames(data), d).tolist()} for d in (0, delay)]
    return len(sides[0]), len(sides[1]), len(sides[0] ^ sides[1])


def test_a_candle_of_delay_changes_some_signals_and_not_all():
    """Signals hang on what was confirmed in the last hour in part only; a strategy that peeked would lose most."""
    market = load_market("synthetic", symbols=2, days=365, seed=7, progress=False)
    for data in market.values():
        now, later, changed = signals_that_a_delay_changes(data, Smc())
        print(f"{data.symbol}: {now} signals, {later} with a candle of delay, {changed} differ")
        assert 50 < now < 1_000
        assert 0.5 * now < later < 2.0 * now
        assert 0 < changed < now + later
        assert signals_that_a_delay_changes(data, Smc(), 0)[2] == 0


# --- the step, on a book made by hand ----------------------------------------------------------------


@kernel
def drive(what, now, book):
    """Call a step as the engine does."""
    tell(what, now, book)


class Desk:
    """One book of smc whose orders can be read: `told` is what the engine would tell it."""

    def __init__(self, **parameters: float) -> None:
        self.now, self.book = np.zeros(1, NOW)[0], np.zeros(1, BOOK)[0]
        self.exits = np.zeros(4, EXIT)
        smc = Smc(**parameters)
        self.book["exits"], self.book["exits_capacity"] = self.exits.ctypes.data, len(self.exits)
        self.book["step"], self.book["side"] = Smc.step.address, 1
        self.book["parameter"][: len(smc.parameter_values())] = smc.parameter_values()
        self.now["equity"], self.now["max_position"], self.now["duration"] = 10_000.0, 0.25, 300_000
        self.now["tick"], self.now["tick_scale"], self.now["step"], self.now["step_scale"] = 0.5, 10.0, 0.01, 100.0
        self.now["time"] = START

    def close(self, price: float, signal: tuple = (), minutes: int = 5) -> None:
        self.now["row"] += 1
        self.now["time"] += minutes * 60_000
        self.now["close"], self.now["signal"] = price, int(bool(signal))
        self.now["feature"][:5] = [*(signal or (0.0, 0.0, 0.0)), 0.7, 1.0]
        drive(CLOSE, self.now, self.book)

    def fill(self, price: float, minutes: int = 5) -> None:
        self.now["row"] += 1
        self.now["time"] += minutes * 60_000
        self.book["quantity"], self.book["market_quantity"], self.book["entry_price"] = (
            self.book["market_quantity"],
            0.0,
            price,
        )
        drive(ENTERED, self.now, self.book)


LONG, SHORT = (float(PIN_BAR), 98.7, 104.2), (-float(PIN_BAR), 101.3, 95.8)


def test_a_long_is_sized_by_risk_and_protected_at_the_signals_prices():
    desk = Desk(risk_per_trade=0.001)
    desk.close(100.0, LONG)
    assert desk.book["market_quantity"] == 6.66  # 10 / 1.5 to the stop on its tick, down to the step
    assert (desk.book["market_reason"], desk.book["market_capped"], desk.book["side"]) == (PIN_BAR, 0, 1)
    desk.fill(100.5)
    assert desk.book["stop"] == 98.5
    assert desk.book["n_exits"] == 1
    assert desk.exits[0][["price", "quantity", "reason"]].tolist() == (104.5, 6.66, TARGET)


def test_a_short_stands_in_mirrored_prices():
    desk = Desk(risk_per_trade=0.001)
    desk.close(100.0, SHORT)
    assert (desk.book["market_quantity"], desk.book["market_reason"], desk.book["side"]) == (6.66, PIN_BAR, -1)
    desk.fill(99.5)
    assert desk.book["stop"] == -101.5  # up to the tick
    assert desk.exits["price"][0] == -95.5  # down to the tick


def test_the_limit_cuts_the_size():
    desk = Desk(risk_per_trade=0.02)
    desk.close(100.0, LONG)
    assert (desk.book["market_quantity"], desk.book["market_capped"]) == (25.0, 1)


def test_a_base_close_beyond_the_stop_starts_nothing():
    desk = Desk()
    desk.close(98.4, LONG)
    assert (desk.book["wish"], desk.book["market_quantity"]) == (0, 0.0)


def test_signals_to_sell_short_are_none_on_a_spot_account():
    data = load_market("synthetic", symbols=1, days=90, seed=7, progress=False)["SYN-01"]
    kinds = {shorts: features_of(data, [Smc()], shorts).columns[0] for shorts in (True, False)}
    assert (kinds[True] < 0).any()
    np.testing.assert_array_equal(kinds[False], np.maximum(kinds[True], 0.0))


def test_closed_entries_refuse_or_say_nothing():
    desk = Desk()
    desk.book["entry"] = BLOCKED
    desk.close(100.0, LONG)
    assert desk.book["wish"] == -1 - RISK_DAILY
    desk = Desk()
    desk.book["entry"] = OFF_ROUTE
    desk.close(100.0, LONG)
    assert (desk.book["wish"], desk.book["market_quantity"]) == (0, 0.0)


def test_a_position_is_left_after_its_hours_whatever_holes_lie_between():
    desk = Desk(max_hold_hours=1.0)
    desk.close(100.0, LONG)
    desk.fill(100.0, minutes=35)  # a hole of half an hour: the entry candle opens at its end
    opened = float(desk.now["time"]) - 300_000
    desk.now["time"] -= 300_000  # its close comes with the same candle
    for _ in range(11):
        desk.close(100.0, LONG)  # a signal while holding is lost
        assert (desk.book["exit_reason"], desk.book["wake_time"]) == (0, opened + HOUR)
    desk.close(100.0)
    assert (desk.now["time"], desk.book["exit_reason"]) == (opened + HOUR, TIME)


def test_runs_end_by_stop_target_and_time():
    """The whole engine: every entry has the reason of its pattern, and all three ends occur."""
    market = load_market("synthetic", symbols=1, days=120, seed=7, progress=False)
    config = ta.OrchestratorBacktestConfig(smc_params={"min_confidence": 0.5, "max_hold_hours": 12.0}).only("smc")
    result = ta.backtest(market["SYN-01"], config)
    reasons = set(result.trades["reason"])
    assert {"stop", "target", "time"} <= reasons
    assert reasons & {"engulfing", "pin_bar", "inside_bar"}
    held = result.round_trips["exit_time"] - result.round_trips["entry_time"]
    assert held.max().total_seconds() == 12 * 3600.0
