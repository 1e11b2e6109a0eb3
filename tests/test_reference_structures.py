"""Hand-made candles for the twin's market structure: each one's birth, confirmation time and death."""

from __future__ import annotations

import pytest

from tests.reference.frames import H1, M15
from tests.reference.markets import START, random_candles
from tests.reference.smc import SMC_DEFAULTS
from tests.reference.structures import DOWN, UP, Hours, last_atr, seen

SMALL = {**SMC_DEFAULTS, "swing_length": 1, "atr_period": 2}
# A low at 95, a high at 106 that breaks after a low at 99, a high at 110 and a way back into the order block.
MARKET = [
    (100, 101, 99, 100),
    (100, 100.5, 95, 96),
    (96, 104, 95.5, 103),
    (103, 106, 102, 105),
    (105, 105.5, 100, 101),
    (101, 103, 99, 100),
    (100, 108, 99.5, 107),
    (107, 110, 106, 106.5),
    (106.5, 107, 102, 102.5),
]


def candle(index: int, bar: tuple, span: int = H1) -> dict:
    return {"open_time": START + index * span, **dict(zip(("open", "high", "low", "close"), bar, strict=True))}


def fed(bars: list[tuple], **parameters) -> Hours:
    hours = Hours({**SMALL, **parameters}, [])
    for index, bar in enumerate(bars):
        hours.feed(candle(index, bar))
    return hours


def flat(high: float, low: float) -> tuple:
    return ((high + low) / 2.0, high, low, (high + low) / 2.0)


def life(structure: dict) -> tuple:
    """Where it lies, when it was confirmed and ended, in candles: a candle's close is its place plus one."""
    at, confirmed, ended = (
        None if time is None else (time - START) / H1
        for time in (structure["at"], structure["confirmed"], structure["ended"])
    )
    return at, confirmed, structure["low"], structure["high"], ended, structure["end_reason"]


def lives(hours: Hours, kind: str, side: int) -> list[tuple]:
    return [life(s) for s in hours.records if s["kind"] == kind and s["side"] == side]


def upside_down(bars: list[tuple]) -> list[tuple]:
    return [(200 - o, 200 - low, 200 - high, 200 - c) for o, high, low, c in bars]


def seen_bar(bar: tuple) -> tuple:
    turned = seen(candle(0, bar), DOWN)
    return tuple(turned[name] for name in ("open", "high", "low", "close"))


# swings
def test_a_swing_is_known_at_the_close_of_the_last_candle_it_needs() -> None:
    bars = [flat(high, 1.0) for high in (10, 11, 15, 12, 11)]
    assert lives(fed(bars[:4], swing_length=2), "swing", UP) == []
    assert lives(fed(bars, swing_length=2), "swing", UP) == [(2, 5, 15, 15, None, None)]
    assert lives(fed(bars[1:], swing_length=2), "swing", UP) == []  # one candle short on its left


@pytest.mark.parametrize("neighbour", [0, 1, 3, 4])
def test_an_equal_high_in_its_reach_is_no_swing(neighbour: int) -> None:
    highs = [10, 11, 15, 12, 11]
    highs[neighbour] = 15
    assert lives(fed([flat(high, 1.0) for high in highs], swing_length=2), "swing", UP) == []


def test_swings_alternate_and_the_more_extreme_one_takes_over_at_its_confirmation() -> None:
    hours = fed([flat(high, 1.0) for high in (10, 20, 10, 22, 10, 22, 10, 21, 10)])
    assert lives(hours, "swing", UP) == [
        (1, 3, 20, 20, 5, "replaced"),
        (3, 5, 22, 22, None, None),
        (5, 7, 22, 22, 7, "left_out"),
        (7, 9, 21, 21, 9, "left_out"),
    ]
    assert [swing["high"] for swing in hours.sequence] == [22]


def test_a_candle_that_is_both_enters_as_high_then_low() -> None:
    hours = fed([flat(10, 8), flat(12, 6), flat(10, 8)])
    assert [(s["side"], s["low"]) for s in hours.sequence] == [(UP, 12), (DOWN, 6)]


# trend
def test_the_first_break_turns_the_trend_and_a_swing_breaks_once() -> None:
    hours = fed(MARKET[:6])
    assert (hours.trend, lives(hours, "choch", UP)) == (0, [])
    hours = fed([*MARKET[:6], (100, 120, 99.5, 106)])  # the wick is far beyond, the close is not
    assert (hours.trend, lives(hours, "choch", UP)) == (0, [])
    hours = fed([*MARKET, (103, 109, 103, 109)])
    assert (hours.trend, lives(hours, "choch", UP), lives(hours, "bos", UP)) == (UP, [(3, 7, 106, 106, None, None)], [])
    assert lives(hours, "swing", UP)[0] == (3, 5, 106, 106, 7, "broken")


def test_a_break_with_the_trend_is_a_bos_and_one_against_it_a_choch() -> None:
    bars = [*MARKET, (103, 112, 103, 111), (111, 111, 104, 105), (105, 106, 101, 101.5)]
    hours = fed(bars)
    assert lives(hours, "bos", UP) == [(7, 10, 110, 110, None, None)]
    assert lives(hours, "choch", DOWN) == [(8, 12, 102, 102, None, None)]
    assert hours.trend == DOWN


def test_swings_alone_make_a_trend() -> None:
    rising = [(10, 8), (12, 9), (10, 7), (13, 10), (11, 8), (14, 11), (12, 9)]
    bars = [(low, high, low, low) for high, low in rising]  # closes at the lows break no high
    assert fed(bars[:5]).trend == 0
    hours = fed(bars[:6])  # the second low is confirmed
    assert (hours.trend, lives(hours, "choch", UP)) == (UP, [])
    assert fed(upside_down(bars[:6])).trend == DOWN


# order blocks
def test_an_order_block_lives_from_the_break_to_a_close_below_it() -> None:
    assert lives(fed(MARKET[:6]), "order_block", UP) == []
    assert lives(fed(MARKET), "order_block", UP) == [(5, 7, 99, 103, None, None)]
    dipped = fed([*MARKET, (102, 102, 98, 99)])
    assert lives(dipped, "order_block", UP) == [(5, 7, 99, 103, None, None)]
    broken = fed([*MARKET, (102, 102, 98, 98.9)])
    assert lives(broken, "order_block", UP) == [(5, 7, 99, 103, 10, "broken")]
    assert broken.live_zones(UP) == []


def test_an_order_block_ages_from_its_confirmation() -> None:
    assert lives(fed(MARKET, zone_max_age=3), "order_block", UP) == [(5, 7, 99, 103, None, None)]
    assert lives(fed(MARKET, zone_max_age=2), "order_block", UP) == [(5, 7, 99, 103, 9, "age")]


def test_the_block_is_the_last_falling_candle_of_the_leg_and_none_before_its_swing() -> None:
    two = [*MARKET[:6], (100, 101, 99.5, 99.8), (99.8, 108, 99.7, 107)]
    assert lives(fed(two), "order_block", UP) == [(6, 8, 99.5, 101, None, None)]
    rising = [*MARKET[:5], (99.5, 103, 99, 100), *MARKET[6:]]  # the low at 99 is a rising candle
    assert lives(fed(rising), "order_block", UP) == []
    assert lives(fed(rising), "choch", UP) != []


def test_one_candle_makes_one_block() -> None:
    """After 110 a rising low; its break has no falling candle but that of the first block."""
    bars = [*MARKET[:7], (107, 110, 107, 109), (109, 109.5, 108, 109.2), (109.2, 112, 108.5, 111)]
    for age in (168, 1):  # even where it is dead by then
        hours = fed(bars, zone_max_age=age)
        assert len(lives(hours, "bos", UP)) == 1
        assert len(lives(hours, "order_block", UP)) == 1


# gaps
def test_a_gap_shrinks_and_ends_when_it_is_filled() -> None:
    bars = [flat(10, 9), (10, 13, 10, 13), (13, 15, 12, 14)]
    assert lives(fed(bars[:2]), "gap", UP) == []
    assert lives(fed(bars), "gap", UP) == [(1, 3, 10, 12, None, None)]
    half = fed([*bars, (14, 14, 11, 13), (13, 14, 12, 13)])
    (gap,) = half.live_zones(UP)
    assert (gap["bottom"], gap["top"], gap["low"], gap["high"]) == (10, 11, 10, 12)
    filled = fed([*bars, (14, 14, 10, 13)])
    assert lives(filled, "gap", UP) == [(1, 3, 10, 12, 4, "filled")]
    assert lives(fed([flat(10, 9), (10, 13, 10, 13), (13, 15, 10, 14)]), "gap", UP) == []
    mirrored = fed(upside_down([*bars, (14, 14, 11, 13)]))
    assert lives(mirrored, "gap", DOWN) == [(1, 3, 188, 190, None, None)]
    assert [(zone["bottom"], zone["top"]) for zone in mirrored.live_zones(DOWN)] == [(189, 190)]


# liquidity
POOL = [flat(high, 10.0) for high in (15, 20, 15, 20.4, 15)]  # true ranges 10.4 and 7.9 where the second is known


def test_two_near_highs_make_a_pool_that_a_trade_through_sweeps() -> None:
    assert last_atr(fed(POOL).views[UP], 2) == pytest.approx((10.4 + 5.2) / 2.0)
    assert lives(fed(POOL[:4]), "liquidity", UP) == []
    hours = fed(POOL)
    assert lives(hours, "liquidity", UP) == [(3, 5, 20.4, 20.4, None, None)]
    assert lives(fed(POOL, liquidity_atr=0.05), "liquidity", UP) == []
    touch, through = (20, 20.4, 20, 20), (20, 20.5, 20, 20)
    hours.sweep(candle(20, touch, M15), START + 21 * M15)
    hours.sweep(candle(18, through, M15), START + 19 * M15)  # closed before the pool was known
    assert len(hours.live_pools(UP)) == 1
    hours.sweep(candle(21, through, M15), START + 22 * M15)
    assert lives(hours, "liquidity", UP) == [(3, 5, 20.4, 20.4, 5.5, "swept")]


def test_no_pool_where_a_high_was_traded_through_or_one_of_that_level_lives() -> None:
    between = [flat(15, 10), flat(20, 10), flat(15, 10), (15, 21, 10, 15), (15, 21, 10, 15), flat(15, 10)]
    assert lives(fed([*between, flat(20.4, 10), flat(15, 10)]), "liquidity", UP) == []  # 21 twice is no swing
    third = [*POOL, flat(20.2, 10), flat(15, 10)]
    assert lives(fed(third), "liquidity", UP) == [(3, 5, 20.4, 20.4, None, None)]
    lows = fed([seen_bar(bar) for bar in POOL])
    assert lives(lows, "liquidity", DOWN) == [(3, 5, -20.4, -20.4, None, None)]


# no rewriting
@pytest.mark.parametrize("seed", range(3))
def test_replaying_prefix_by_prefix_never_rewrites_what_was_confirmed(seed: int) -> None:
    made = random_candles(seed, 240, volatility=0.01, holes=0)
    columns = [made[name] for name in ("open", "high", "low", "close")]
    bars = list(zip(*columns, strict=True))
    final = fed(bars, swing_length=2, zone_max_age=24)
    seen_kinds = set()
    for length in range(1, len(bars)):
        now = START + length * H1
        known = fed(bars[:length], swing_length=2, zone_max_age=24).records
        assert all(later["confirmed"] > now for later in final.records[len(known) :])
        for early, late in zip(known, final.records, strict=False):
            for name in ("kind", "side", "frame", "at", "confirmed", "low", "high", "index", "born"):
                assert early[name] == late[name]
            assert early["at"] < early["confirmed"] <= now
            assert early["bottom"] <= late["bottom"] or late["side"] == UP
            assert early["top"] >= late["top"] or late["side"] == DOWN
            if early["ended"] is None:
                assert late["ended"] is None or late["ended"] > now
            else:
                assert early == late
                seen_kinds.add((early["kind"], early["end_reason"]))
    assert seen_kinds >= {("order_block", "broken"), ("order_block", "age"), ("gap", "filled"), ("swing", "broken")}
