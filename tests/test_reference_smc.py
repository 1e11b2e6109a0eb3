"""Hand-made candles for the twin of smc: patterns, signals, one trade; then generated markets."""

from __future__ import annotations

import itertools
import math

import pytest

from tests.reference import run
from tests.reference.engine import FRAMES
from tests.reference.frames import M15, last_closed, resample
from tests.reference.markets import FIVE_MINUTES, candles_from, random_candles, random_route, random_settings
from tests.reference.rounding import Instrument
from tests.reference.smc import confidence_of, pattern_of, read_market, signal_of
from tests.reference.structures import DOWN, UP, Structures, seen
from tests.test_reference import FREE, trades
from tests.test_reference_structures import MARKET, SMALL, candle, seen_bar


# patterns
@pytest.mark.parametrize(
    ("bars", "pattern"),
    [
        ([(12, 13, 10, 11), (11, 13, 10, 12)], "engulfing"),
        ([(12, 13, 10, 11), (11.1, 13, 10, 12)], None),  # opens above the previous close
        ([(12, 13, 10, 11), (11, 13, 10, 11.9)], None),  # does not cover the body
        ([(11, 13, 10, 12), (11, 13, 10, 12)], None),  # the previous one rose
        ([(11, 13, 10, 12), (12, 13, 10, 13)], "pin_bar"),  # wick 2, body 1, range 3
        ([(11, 13, 10, 12), (12, 13.1, 10, 13)], None),  # wick under two thirds of the range
        ([(11, 13, 10, 12), (12, 13.1, 10, 13.1)], None),
        ([(11, 13, 10, 12), (12, 12, 12, 12)], None),  # no range
        ([(10, 14, 8, 13), (12, 13, 9, 12), (12, 14, 12, 13.5)], "inside_bar"),
        ([(10, 13, 9, 13), (12, 13, 9, 12), (12, 14, 12, 13.5)], "inside_bar"),  # both ends inclusive
        ([(10, 14, 8, 13), (12, 13, 9, 12), (12, 14, 12, 13)], None),  # does not close above it
        ([(10, 12.5, 8, 12), (12, 13, 9, 12), (12, 14, 12, 13.5)], None),
        ([(10, 14, 9.5, 13), (12, 13, 9, 12), (12, 14, 12, 13.5)], None),
        ([(12, 13, 10, 11), (11, 13, 5, 12)], "engulfing"),  # a pin bar too: the higher score counts
    ],
)
def test_patterns(bars: list[tuple], pattern: str | None) -> None:
    candles = [candle(index, bar, M15) for index, bar in enumerate(bars)]
    assert pattern_of(candles) == pattern
    turned = [seen(candle(index, seen_bar(bar), M15), DOWN) for index, bar in enumerate(bars)]
    assert pattern_of(turned) == pattern


# signals
def quarters(bar: tuple) -> list[tuple]:
    """Four M15 candles of an hour, along the path of its colour."""
    open_, high, low, close = bar
    first, second = (low, high) if close >= open_ else (high, low)
    stops = [open_, first, second, close, close]
    return [(a, max(a, b), min(a, b), b) for a, b in itertools.pairwise(stops)]


ENGULFING = [(102.5, 102.6, 101.5, 101.6), (101.6, 103, 101, 102.8)]  # true ranges 1.1 and 2
ATR, STOP = 1.55, 99 - 0.155  # the block's low is below the pattern's


def state(pattern: list[tuple] = ENGULFING, **parameters):
    market = Structures({**SMALL, **parameters})
    for index, bar in enumerate(MARKET):
        market.h1.feed(candle(index, bar))
    bars = [*quarters(MARKET[-1]), *pattern]
    m15 = [candle(32 + index, bar, M15) for index, bar in enumerate(bars)]
    return market, lambda: signal_of(UP, market, m15, {**SMALL, **parameters}, Instrument())


def test_a_signal_by_hand() -> None:
    market, look = state()
    signal = look()
    assert (signal["pattern"], signal["zones"], signal["agreeing"], signal["accepted"]) == ("engulfing", 1, 0, False)
    assert signal["stop"] == pytest.approx(STOP)
    assert signal["target"] == pytest.approx(102.8 + 2.5 * (102.8 - STOP))
    assert signal["confidence"] == pytest.approx(0.25 + 0.125 + 0.0 + 0.25 * 2.5 / 4.0)
    market.d1.trend, market.h4.trend = UP, DOWN
    assert (look()["agreeing"], look()["accepted"]) == (1, True)
    assert look()["confidence"] == pytest.approx(signal["confidence"] + 0.125)
    market.h1.trend = 0
    assert look() is None


def test_confidence_is_capped_at_two_zones_and_four_risks() -> None:
    assert confidence_of("engulfing", 2, 2, 4.0) == confidence_of("engulfing", 3, 2, 9.0) == 1.0
    assert confidence_of("inside_bar", 1, 0, 2.0) == pytest.approx(0.15 + 0.125 + 0.125)


@pytest.mark.parametrize(
    ("pools", "target"), [((113,), 113), ((112,), None), ((104, 113), None), ((120, 113), 113), ((102.8, 113), 113)]
)
def test_the_target_is_the_nearest_pool_above_if_it_pays(pools: tuple, target: float | None) -> None:
    market, look = state()
    market.h1.pools[UP] = [market.h1.record("liquidity", UP, 3, pool, pool) for pool in pools]
    assert look()["target"] == pytest.approx(102.8 + 2.5 * (102.8 - STOP) if target is None else target)
    assert look()["reward_risk"] == pytest.approx(2.5 if target is None else (113 - 102.8) / (102.8 - STOP))


def test_the_zone_must_be_near_and_the_price_in_the_lower_half() -> None:
    market, look = state()
    (block,) = market.h1.live_zones(UP)
    for top, near in ((102.8 - 0.25 * ATR + 1e-6, True), (102.8 - 0.25 * ATR - 1e-6, False)):
        block["top"] = top
        assert (look() is not None) == near
    block["top"] = 103.0
    for high, cheap in ((106.6 + 1e-6, True), (106.6 - 1e-6, False)):  # (99 + high) / 2 and the close at 102.8
        market.h1.sequence[-1]["high"] = high
        assert (look() is not None) == cheap


def test_the_stop_lies_below_the_lowest_of_pattern_and_zones() -> None:
    wick = [ENGULFING[0], (101.6, 103, 98, 102.8)]
    assert state(wick)[1]()["stop"] == pytest.approx(98 - 0.1 * (1.1 + 5.0) / 2.0)
    inside = [(102.5, 102.6, 98.5, 101.6), (102, 102.4, 101, 101.5), (101.5, 102.6, 101.5, 102.5)]
    assert state(inside)[1]()["pattern"] == "engulfing"  # the higher score; its two candles leave 98.5 out
    assert state(inside)[1]()["stop"] == pytest.approx(99 - 0.1 * (1.4 + 1.1) / 2.0)
    inside[1] = (101.5, 102.4, 101, 102)
    assert state(inside)[1]()["stop"] == pytest.approx(98.5 - 0.1 * (1.4 + 1.1) / 2.0)


# one trade
def m15_market(after: list[tuple]) -> dict:
    return candles_from([quarter for bar in MARKET for quarter in quarters(bar)] + ENGULFING + after, duration=M15)


def traded(candles: dict, parameters: dict | None = None, route: list | None = None, **settings):
    chosen = {**SMALL, "min_confidence": 0.5, "risk_per_trade": 0.005, **(parameters or {})}
    active = [{"smc"}] * len(candles["open_time"]) if route is None else route
    options = {"duration_ms": M15, "warmup": 20, "tick": 0.01, "step": 0.001, **settings}
    return run(candles, route=active, strategies={"smc": chosen}, **options)


ENTRY = (102.9, 103.5, 102.5, 103)
QUANTITY = 12.626  # 50 / (102.8 - 98.84), the stop on its tick


def test_one_trade_by_hand() -> None:
    result = traded(m15_market([ENTRY, (103, 113, 103, 112)]), maker=0.001, taker=0.002, slippage=0.01)
    assert [signal["row"] for signal in result.smc_signals] == [37]
    assert trades(result) == [
        (38, "engulfing", pytest.approx(102.9 * 1.01), QUANTITY),
        (39, "target", 112.69, QUANTITY),
    ]
    fees = QUANTITY * (102.9 * 1.01 * 0.002 + 112.69 * 0.001)
    assert result.final_equity - 10_000.0 == pytest.approx((112.69 - 102.9 * 1.01) * QUANTITY - fees)
    (trip,) = result.round_trips
    assert (trip["strategy"], trip["kind"], trip["entry_row"], trip["exit_row"]) == ("smc", "position", 38, 39)
    assert trip["pnl"] == pytest.approx(result.final_equity - 10_000.0)
    assert trip["worst"] == pytest.approx(103 / (102.9 * 1.01) - 1.0)
    assert (result.entries, result.capped_entries) == (1, 0)


def test_a_stop_a_size_at_its_limit_and_a_confidence_too_low() -> None:
    candles = m15_market([ENTRY, (103, 103, 98, 98.5), (98.5,) * 4])
    assert trades(traded(candles, **FREE)) == [(38, "engulfing", 102.9, QUANTITY), (39, "stop", 98.84, QUANTITY)]
    large = traded(candles, {"risk_per_trade": 0.02}, **FREE)
    assert large.fills[0]["quantity"] == math.floor(2_500.0 / 102.8 * 1_000) / 1_000
    assert large.capped_entries == 1
    doubtful = traded(candles, {"min_confidence": 0.6})
    assert (doubtful.fills, doubtful.rejections) == ([], {})
    assert [signal["accepted"] for signal in doubtful.smc_signals] == [False]


def test_time_is_up_at_a_close_and_the_position_leaves_at_the_next_open() -> None:
    candles = m15_market([ENTRY, *[(103, 103.5, 102.5, 103)] * 3, (103.2, 103.2, 103, 103)])
    result = traded(candles, {"max_hold_hours": 1}, **FREE)
    assert [(row, reason, price) for row, reason, price, _ in trades(result)[1:]] == [(42, "time", 103.2)]


def test_what_leaves_the_route_at_the_same_close_says_so() -> None:
    candles = m15_market([ENTRY, *[(103, 103.5, 102.5, 103)] * 3, (103.2, 103.2, 103, 103)])
    route = [{"smc"} if row < 41 else set() for row in range(len(candles["open_time"]))]
    result = traded(candles, {"max_hold_hours": 1}, route, on_deactivate="flatten")
    assert [fill["reason"] for fill in result.fills] == ["engulfing", "deactivated"]


def test_a_signal_while_a_position_is_open_is_lost() -> None:
    again = [(102.9, 103, 102, 102.2), (102.2, 103.2, 102, 103.1), (103.1, 103.1, 103, 103)]
    result = traded(m15_market(again))
    assert [signal["row"] for signal in result.smc_signals if signal["accepted"]] == [37, 39]
    assert [fill["row"] for fill in result.fills] == [38]
    assert result.rejections == {}


def test_a_signal_off_the_route_or_on_a_blocked_day_is_lost() -> None:
    candles = m15_market([ENTRY] * 4)
    rows = len(candles["open_time"])
    assert traded(candles, route=[{"smc"} if row != 37 else set() for row in range(rows)]).fills == []
    blocked = traded(candles, max_daily_loss_pct=0.0)
    assert (blocked.fills, blocked.rejections) == ([], {"risk_daily": 1})


@pytest.mark.parametrize(("price", "quantity"), [(101.0, 23.148), (98.84, None), (90.0, None)])
def test_a_signal_seen_after_a_hole_is_sized_at_the_base_close(price: float, quantity: float | None) -> None:
    """The last base candle of the pattern is missing: it shows when the next one closes, half an hour later."""
    m15 = m15_market([])
    bars = list(zip(*(m15[name] for name in ("open", "high", "low", "close")), strict=True))
    candles = candles_from([five for bar in bars for five in (bar, (bar[3],) * 4, (bar[3],) * 4)])
    for name, value in {**dict.fromkeys(("open", "high", "low", "close"), price), "volume": 1.0}.items():
        candles[name] = [*candles[name][:-1], value, value]
    candles["open_time"] = [*candles["open_time"][:-1], *(candles["open_time"][-1] + n * FIVE_MINUTES for n in (4, 5))]
    result = traded(candles, duration_ms=FIVE_MINUTES, **FREE)
    assert [signal["row"] for signal in result.smc_signals] == [113]
    assert trades(result) == ([] if quantity is None else [(114, "engulfing", price, quantity)])
    assert result.rejections == {}


def turned_at(price: float, candles: dict) -> dict:
    """The market upside down: what rose falls."""
    sources = {"open": "open", "high": "low", "low": "high", "close": "close"}
    return {**candles, **{name: [2.0 * price - x for x in candles[source]] for name, source in sources.items()}}


def test_a_spot_account_sees_shorts_and_trades_none() -> None:
    candles = m15_market([ENTRY] * 4)
    result = traded(turned_at(100.0, candles))
    (signal,) = result.smc_signals
    assert (signal["row"], signal["side"], signal["accepted"]) == (37, DOWN, True)
    assert (signal["stop"], signal["target"]) == (101.16, 87.31)
    assert result.fills == []


# generated markets
LOOSE = {**SMALL, "swing_length": 2, "min_confidence": 0.3, "max_hold_hours": 4, "zone_max_age": 48, "zone_atr": 2.0}


@pytest.mark.parametrize("seed", [0, 2, 3])  # without a candle that is both swings: there the high comes first
def test_the_market_upside_down_has_the_same_signals_for_the_other_side(seed: int) -> None:
    candles = random_candles(seed, 4_000, tick=0.0)
    sides = []
    for market in (candles, turned_at(0.0, candles)):
        frames: dict = {}
        for name, span in FRAMES.items():
            frames[name] = resample(market, span)
            frames[f"{name}_at"] = last_closed(market, FIVE_MINUTES, frames[name], span)
        sides.append(read_market({**LOOSE, "swing_length": 3}, frames, Instrument()))
    (structures, signals), (turned_structures, turned_signals) = sides
    assert len(signals) > 2
    turned = [{**s, "side": -s["side"], "stop": -s["stop"], "target": -s["target"]} for s in turned_signals]
    assert signals == turned

    def lives(records: list[dict], sign: int) -> set[tuple]:
        names = ("kind", "frame", "at", "confirmed", "ended", "end_reason", "index", "born")
        prices = [(s["low"], s["high"], s["bottom"], s["top"]) for s in records]
        if sign < 0:
            prices = [(-high, -low, -top, -bottom) for low, high, bottom, top in prices]
        facts = [(sign * s["side"], *(s[name] for name in names)) for s in records]
        return {(*fact, *price) for fact, price in zip(facts, prices, strict=True)}

    assert lives(structures, 1) == lives(turned_structures, -1)


@pytest.mark.parametrize("seed", range(3))
def test_a_run_cut_short_found_what_the_whole_one_finds(seed: int) -> None:
    candles = random_candles(seed, 3_000, holes=2)
    whole = traded(candles, LOOSE, duration_ms=FIVE_MINUTES, warmup=400)
    assert len(whole.fills) > 1
    for rows in range(500, 3_000, 271):
        early = traded(
            {name: values[:rows] for name, values in candles.items()}, LOOSE, duration_ms=FIVE_MINUTES, warmup=400
        )
        assert early.smc_signals == [signal for signal in whole.smc_signals if signal["row"] < rows]
        assert early.fills == [fill for fill in whole.fills if fill["row"] < rows]
        assert early.equity == whole.equity[:rows]


@pytest.mark.parametrize("seed", range(3))
def test_a_pool_ends_with_the_first_m15_candle_that_trades_through_it(seed: int) -> None:
    candles = random_candles(seed, 3_000, holes=0)
    m15 = resample(candles, M15)
    pools = [s for s in traded(candles, LOOSE, duration_ms=FIVE_MINUTES).structures if s["kind"] == "liquidity"]
    assert any(pool["end_reason"] == "swept" for pool in pools)
    for pool in pools:
        through = [
            time + M15
            for time, high, low in zip(m15["open_time"], m15["high"], m15["low"], strict=True)
            if time + M15 >= pool["confirmed"] and (high > pool["high"] if pool["side"] == UP else low < pool["low"])
        ]
        assert pool["ended"] == (through[0] if through else None)


@pytest.mark.parametrize("seed", [0, 1, 2, 5, 6, 7])
def test_money_adds_up_with_the_fourth_book(seed: int) -> None:
    rows = 2_000
    settings = random_settings(seed)
    settings["strategies"]["smc"] = {**LOOSE, "min_confidence": 0.0}
    candles = random_candles(seed, rows, volatility=(0.001, 0.003, 0.006)[seed % 3])
    route = [active | {"smc"} for active in random_route(seed, rows)]
    result = run(candles, route=route, warmup=300, **settings)
    assert any(trip["strategy"] == "smc" for trip in result.round_trips)
    for row in range(rows):
        books = result.books[row].values()
        net = sum(book["realised"] + book["unrealised"] - book["fees"] for book in books)
        assert result.initial_balance + net == pytest.approx(result.equity[row], rel=1e-9)
        assert min(result.cash[row], result.free_cash[row]) >= -1e-9 * result.initial_balance
        assert min(book["quantity"] for book in books) >= 0.0
    for trip in result.round_trips:
        if trip["strategy"] == "smc":
            hold = candles["open_time"][trip["exit_row"]] - candles["open_time"][trip["entry_row"]]
            assert hold <= 4 * 3_600_000 + 45 * FIVE_MINUTES  # and a hole
