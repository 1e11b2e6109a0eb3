"""Hand-worked examples of the twin's perpetual account: margin, liquidation, funding, shorts, detail candles."""

from __future__ import annotations

import random

import pytest

from tests.reference import run
from tests.reference.frames import H1
from tests.reference.markets import (
    FIVE_MINUTES,
    START,
    candles_from,
    candles_through,
    random_candles,
    random_route,
    random_settings,
)
from tests.test_reference import DEAL, FREE, trades

NO_LIMITS = {"max_position_size_pct": None, "max_daily_loss_pct": None}
PERPETUAL = {"account": "perpetual", "leverage": 4.0, "funding": 0.0, **FREE, **NO_LIMITS}
# one cell of one coin: buys at 100 and sells at 110
CELL = {
    "num_levels": 2,
    "exit": "next_level",
    "lower_price": 100.0,
    "upper_price": 110.0,
    "amount_per_grid": 1.0,
    "amount_unit": "base",
    "initial_inventory": "none",
    "trailing_enabled": False,
}
# sells at 100 and buys back at 90
SHORT_CELL = {**CELL, "direction": "short", "lower_price": 90.0, "upper_price": 100.0}
BOUGHT = [(105,) * 4, (105, 105, 100, 100)]  # decided at row 0, filled at 100 in row 1
SOLD = [(95,) * 4, (95, 100, 95, 100)]


def trade(candles: dict, strategies: dict, **settings):
    active = [set(strategies)] * len(candles["open_time"])
    options = {"duration_ms": FIVE_MINUTES, "route": active, "warmup": 0, "strategies": strategies}
    return run(candles, **{**options, **PERPETUAL, **settings})


def lost(result) -> float:
    return 10_000.0 - result.final_equity


# liquidation
def test_a_long_is_liquidated_at_the_formula_price() -> None:
    """M = 100/4 = 25; (100 - 25)/0.995 = 75.376884422; fee 0.005 of it; loss and fee together are just M."""
    result = trade(candles_from([*BOUGHT, (100, 100, 75.5, 76), (76, 76, 70, 71)]), {"grid": CELL})
    price = 75.0 / 0.995
    assert trades(result)[1] == (3, "liquidation", pytest.approx(price, rel=1e-12), 1.0)
    assert result.fills[1]["fee"] == pytest.approx(0.005 * price, rel=1e-12)
    assert lost(result) == pytest.approx(25.0, abs=1e-9)
    assert result.liquidations == 1
    assert result.books[3]["grid"]["margin"] == 0.0
    assert (result.round_trips[0]["side"], result.round_trips[0]["pnl"]) == ("long", pytest.approx(-25.0))


def test_a_short_is_liquidated_at_the_formula_price() -> None:
    """(100 + 25)/1.005 = 124.378109453; loss 24.378 and fee 0.622 are M = 25."""
    result = trade(candles_from([*SOLD, (100, 124.3, 100, 124), (124, 130, 124, 129)]), {"grid": SHORT_CELL})
    assert trades(result)[1] == (3, "liquidation", pytest.approx(125.0 / 1.005, rel=1e-12), 1.0)
    assert result.fills[1]["side"] == "buy"
    assert lost(result) == pytest.approx(25.0, abs=1e-9)
    assert (result.round_trips[0]["side"], result.round_trips[0]["pnl"]) == ("short", pytest.approx(-25.0))


def test_slippage_and_taker_fee_beyond_the_margin_are_insured() -> None:
    """75.3769 x 0.998 = 75.2261; loss 24.7739 + fee 0.006 x 75.2261 = 0.4514 make 25.2252, 0.2252 above M."""
    candles = candles_from([*BOUGHT, (100, 100, 70, 71)])
    result = trade(candles, {"grid": CELL}, taker=0.001, slippage=0.002)
    price = 75.0 / 0.995 * 0.998
    assert result.fills[1]["price"] == pytest.approx(price, rel=1e-12)
    assert result.books[2]["grid"]["insurance"] == pytest.approx(100.0 - price + 0.006 * price - 25.0, abs=1e-12)
    assert lost(result) == pytest.approx(25.0, abs=1e-9)


@pytest.mark.parametrize(
    ("cell", "rows", "open_", "insurance"),
    [
        (CELL, BOUGHT, 60.0, 15.3),  # loss 40, fee 0.005 x 60 = 0.3: 40.3 - 25
        (SHORT_CELL, SOLD, 150.0, 25.75),  # loss 50, fee 0.75: 50.75 - 25
    ],
)
def test_a_gap_beyond_the_liquidation_price_loses_the_margin_and_no_more(cell, rows, open_, insurance) -> None:
    result = trade(candles_from([*rows, (open_,) * 4]), {"grid": cell})
    assert trades(result)[1] == (2, "liquidation", open_, 1.0)
    assert result.books[2]["grid"]["insurance"] == pytest.approx(insurance, abs=1e-9)
    assert lost(result) == pytest.approx(25.0, abs=1e-9)
    assert result.round_trips[0]["pnl"] == pytest.approx(-25.0 - insurance)  # not part of the net


@pytest.mark.parametrize(("open_", "reason"), [(7.0, "stop"), (6.5, "liquidation")])
def test_a_stop_whose_open_lies_beyond_the_liquidation_price_is_a_liquidation(open_: float, reason: str) -> None:
    """1 coin at 9, M = 2.25: 6.75/0.995 = 6.784; stop at 7.2."""
    deal = {**DEAL, "max_safety_orders": 0, "stop_loss_pct": 0.2}
    result = trade(candles_from([(10,) * 4, (9,) * 4, (9,) * 4, (open_,) * 4]), {"dca": deal})
    assert trades(result) == [(2, "base", 9.0, 1.0), (3, reason, open_, 1.0)]


def test_a_liquidation_cancels_the_other_cells_which_rest_again_from_the_next_close_above() -> None:
    """Buys at 100, 90, 70 (M 25 + 22.5): (190 - 47.5)/2/0.995 = 71.608 comes before 70."""
    ladder = {**CELL, "exit": "profit", "profit_per_grid": 0.1, "num_levels": 4, "lower_price": 70.0}
    ladder |= {"upper_price": 100.0}
    result = trade(candles_from([*BOUGHT, (100, 100, 69, 72), (72, 72, 69, 72)]), {"grid": ladder})
    assert [(row, reason) for row, reason, _, _ in trades(result)] == [
        (1, "buy"),
        (2, "buy"),  # 90
        (2, "buy"),  # 80: (270 - 67.5)/3/0.995 = 67.839 is not reached at 69
        (2, "buy"),  # 70: 63.75/... lower still
    ]
    ladder |= {"num_levels": 2}  # 70 and 100: 75.377 comes first, 70 is cancelled and rests from the close 72 on
    result = trade(candles_from([*BOUGHT, (100, 100, 69, 72), (72, 72, 69, 72)]), {"grid": ladder})
    assert [(row, reason) for row, reason, _, _ in trades(result)] == [(1, "buy"), (2, "liquidation"), (3, "buy")]


@pytest.mark.parametrize(("open_", "insurance", "loss"), [(105.0, 10.525, 25.0), (120.0, 0.0, 20.6)])
def test_funding_that_moves_the_liquidation_price_beyond_the_close_liquidates_at_the_next_open(
    open_: float, insurance: float, loss: float
) -> None:
    """Rate 0.2 at the close 100 costs 20: M = 5, (100 - 5)/0.995 = 95.477; again 20: M = -15, 115.578 > 100.

    At 105: gross 5, fee 0.525, 0.525 - 5 + 15 insured; 40 of funding less all that is M = 25 again.
    At 120, which is better than 115.578 again: gross 20, fee 0.6, 40 - 20 + 0.6 lost; not the cell's exit at 110.
    """
    candles = candles_from([*BOUGHT, (100,) * 4, (open_,) * 4], start=START + 8 * H1 - 2 * FIVE_MINUTES)
    series = {START + 8 * H1: 0.2, START + 8 * H1 + 1: 0.2, START + 16 * H1: 0.0}
    result = trade(candles, {"grid": CELL}, funding=series)
    assert [row["grid"]["margin"] for row in result.books[1:3]] == pytest.approx([5.0, -15.0])
    assert trades(result)[1] == (3, "liquidation", open_, 1.0)
    assert result.books[3]["grid"]["insurance"] == pytest.approx(insurance)
    assert lost(result) == pytest.approx(loss)


# funding
@pytest.mark.parametrize(
    ("cell", "rows", "close", "paid"), [(CELL, BOUGHT, 100.0, 0.1), (SHORT_CELL, SOLD, 100.0, -0.1)]
)
def test_longs_pay_and_shorts_receive_at_eight(cell: dict, rows: list, close: float, paid: float) -> None:
    """Row 1 closes at 08:00 exactly: 0.001 x 1 coin x 100; the margin of 25 falls or rises by it."""
    candles = candles_from([*rows, (close,) * 4], start=START + 8 * H1 - 2 * FIVE_MINUTES)
    result = trade(candles, {"grid": cell}, funding=0.001, liquidate_at_end=True)
    assert result.books[0]["grid"]["funding"] == 0.0
    assert result.books[1]["grid"]["funding"] == pytest.approx(paid)
    assert result.books[1]["grid"]["margin"] == pytest.approx(25.0 - paid)
    assert lost(result) == pytest.approx(paid)
    assert result.round_trips[0]["funding"] == pytest.approx(paid)
    assert result.round_trips[0]["pnl"] == pytest.approx(-paid)


def test_funding_in_a_hole_settles_at_the_last_close_before_the_daily_reference_is_taken() -> None:
    """Row 1 closes at 08:00 at 100; the next candle opens at 08:00 of the next day: 16, 00 and 08, 10 each."""
    candles = candles_from([*BOUGHT, (104,) * 4], start=START + 8 * H1 - 2 * FIVE_MINUTES)
    candles["open_time"][2] = START + 32 * H1
    settings = {"funding": 0.1, "leverage": 1.0, "initial_balance": 1_000.0}
    result = trade(candles, {"grid": CELL}, **settings, max_daily_loss_pct=0.02)
    assert [row["grid"]["funding"] for row in result.books] == pytest.approx([0.0, 10.0, 40.0])
    assert result.equity == pytest.approx([1_000.0, 990.0, 964.0])  # reference 990 - 30 = 960, not 990
    assert result.blocked_rows == []
    assert result.books[2]["grid"]["margin"] == pytest.approx(60.0)


def test_a_series_is_used_at_its_times_and_must_have_them_all() -> None:
    candles = candles_from([*BOUGHT, *[(100,) * 4] * 200], start=START)
    times = [START + k * 8 * H1 for k in range(4)]
    rates = dict(zip(times, [0.5, 0.001, -0.003, 0.5], strict=True))
    result = trade(candles, {"grid": CELL}, funding=list(rates.items()))
    assert result.books[-1]["grid"]["funding"] == pytest.approx(0.1 - 0.3)  # 08 and 16; 00 and 24 lie outside
    for bad in (times[:2] + times[3:], times[:2], [times[3]], []):
        with pytest.raises(ValueError, match="funding series"):
            trade(candles, {"grid": CELL}, funding=[(time, 0.0) for time in bad])


# margin
def test_leverage_three_reserves_a_third_and_refuses_for_margin() -> None:
    """100 x (1/3 + 0.001) = 33.4333."""
    candles = candles_from(BOUGHT)
    paid = trade(candles, {"grid": CELL}, leverage=3.0, taker=0.001, initial_balance=33.44)
    assert paid.free_cash == pytest.approx([33.44 - 33.4 - 1 / 30, 33.44 - 100 / 3])
    assert paid.deployed == pytest.approx([33.4 + 1 / 30, 100 / 3])
    assert paid.cash[1] == pytest.approx(-66.56)
    refused = trade(candles, {"grid": CELL}, leverage=3.0, taker=0.001, initial_balance=33.43)
    assert refused.rejections == {"margin": 1}
    assert refused.fills == []


def test_an_open_above_the_close_cuts_a_leveraged_order() -> None:
    """19,000 at the close 9 reserve 9,519; at 10 a coin takes 10 x (1/2 + 0.001) = 5.01 of the 10,000."""
    deal = {**DEAL, "base_order": 1.9, "max_safety_orders": 0}
    result = trade(candles_from([(10,) * 4, (9,) * 4, (10,) * 4]), {"dca": deal}, leverage=2.0, taker=0.001, step=0.001)
    assert result.fills[0]["quantity"] == 1996.007
    assert (result.cut_orders, result.rejections) == (1, {})


def test_an_exit_of_a_part_takes_the_same_part_of_the_margin() -> None:
    """100 and 90 bought: M = 47.5; one of two coins sold at 100: 23.75; (100 - 23.75)/0.995 = 76.633."""
    ladder = {**CELL, "num_levels": 3, "lower_price": 90.0}
    candles = candles_from([*BOUGHT, (100, 100, 90, 95), (95, 100, 95, 100), (100, 100, 76, 76)])
    closed = [{"grid"}, {"grid"}, set(), set(), set()]  # so that the sold cell does not buy again
    result = trade(candles, {"grid": ladder}, route=closed)
    assert [row["grid"]["margin"] for row in result.books] == pytest.approx([0.0, 25.0, 47.5, 23.75, 0.0])
    assert trades(result)[-1][:3] == (4, "liquidation", pytest.approx(76.25 / 0.995))
    assert lost(result) == pytest.approx(13.75)  # 23.75 less the 10 that the other cell earned


def test_a_spot_account_has_no_shorts_and_no_leverage() -> None:
    candles = candles_from(SOLD)
    with pytest.raises(ValueError, match="perpetual"):
        trade(candles, {"grid": SHORT_CELL}, account="spot", leverage=1.0)
    with pytest.raises(ValueError, match="leverage"):
        trade(candles, {"grid": CELL}, account="spot", leverage=2.0)


@pytest.mark.parametrize("seed", range(12))
def test_what_comes_in_is_what_the_books_say_at_every_candle(seed: int) -> None:
    source = random.Random(seed)
    settings = random_settings(seed)
    settings["strategies"].setdefault("grid", {})
    settings["strategies"]["grid"] |= {"direction": source.choice(["long", "short", "neutral"])}
    settings |= {"account": "perpetual", "leverage": source.choice([1.0, 3.0, 10.0, 50.0]), "funding": 0.001}
    candles = random_candles(seed, 700, volatility=0.006)
    result = run(candles, route=random_route(seed, 700), warmup=100, **{**settings, "liquidate_at_end": True})
    for row, books in enumerate(result.books):
        net = sum(b["realised"] + b["unrealised"] - b["fees"] - b["funding"] + b["insurance"] for b in books.values())
        assert result.equity[row] - result.initial_balance == pytest.approx(net, abs=1e-7)
        wallet = result.cash[row] + sum(b["cost"] for b in books.values())
        margin = sum(b["margin"] for b in books.values())
        assert result.free_cash[row] <= wallet - margin + 1e-6
    last = result.books[-1].values()
    trips = sum(trip["pnl"] for trip in result.round_trips)
    assert trips == pytest.approx(sum(b["realised"] - b["fees"] - b["funding"] for b in last), abs=1e-7)
    assert result.free_cash[-1] == pytest.approx(result.final_equity)


# shorts
def test_a_short_grid_earns_one_cycle() -> None:
    """Sold at 100, bought back at 90; fees 0.002 x 190 = 0.38."""
    result = trade(candles_from([*SOLD, (100, 100, 90, 92)]), {"grid": SHORT_CELL}, maker=0.002)
    assert [(f["side"], f["reason"], f["price"]) for f in result.fills] == [
        ("sell", "sell", 100.0),
        ("buy", "buy", 90.0),
    ]
    assert result.books[1]["grid"]["quantity"] == -1.0
    assert (result.books[1]["grid"]["cost"], result.cash[1]) == (-100.0, 10_099.8)
    assert result.final_equity == pytest.approx(10_000.0 + 10.0 - 0.38)


def test_initial_shorts_are_sold_at_the_open_from_the_highest_level_down() -> None:
    """Levels 100, 110, 120, 132 quote each: at the open 115 those of 110 (1.2) and 100 (1.32) are sold."""
    ladder = {**SHORT_CELL, "exit": "profit", "profit_per_grid": 0.1, "num_levels": 3, "initial_inventory": "buy"}
    ladder |= {"lower_price": 100.0, "upper_price": 120.0, "amount_per_grid": 132.0, "amount_unit": "quote"}
    candles = candles_from([(112,) * 4, (115,) * 4, (115, 120, 115, 120), (120, 120, 107.5, 107.5)])
    result = trade(candles, {"grid": ladder})
    assert trades(result)[:2] == [(1, "initial", 115.0, 1.2), (1, "initial", 115.0, 1.32)]
    assert trades(result)[2:] == [(2, "sell", 120.0, 1.1), (3, "buy", pytest.approx(108.0), 1.1)]
    assert [trip["kind"] for trip in result.round_trips] == ["cell"]


def mirrored(candles: dict, around: float) -> dict:
    def turned(name: str) -> list[float]:
        return [round(2.0 * around - price, 10) for price in candles[name]]

    return {**candles, "open": turned("open"), "high": turned("low"), "low": turned("high"), "close": turned("close")}


@pytest.mark.parametrize("seed", range(6))
def test_a_short_grid_in_the_mirror_is_the_long_one(seed: int) -> None:
    ladder = {"num_levels": 6, "exit": "next_level", "amount_per_grid": 1.0, "amount_unit": "base"}
    ladder |= {"trailing_shift_threshold_pct": 0.0, "trailing_cooldown_candles": 12, "atr_multiplier": 1.5}
    ladder |= {"inventory_on_shift": ["keep", "sell"][seed % 2], "initial_inventory": ["buy", "none"][seed // 2 % 2]}
    candles = random_candles(seed, 600)
    settings = {"warmup": 250, "tick": 0.01, "leverage": 1.0, "path": ["olhc", "ohlc"][seed % 2]}
    long = trade(candles, {"grid": ladder}, **settings)
    settings["path"] = ["ohlc", "olhc"][seed % 2]
    short = trade(mirrored(candles, 100.0), {"grid": {**ladder, "direction": "short"}}, **settings)
    assert long.shifts
    turned = {"buy": "sell", "sell": "buy"}
    assert [(f["row"], turned[f["side"]], f["quantity"], turned.get(f["reason"], f["reason"])) for f in long.fills] == [
        (f["row"], f["side"], f["quantity"], f["reason"]) for f in short.fills
    ]
    assert [200.0 - f["price"] for f in long.fills] == pytest.approx([f["price"] for f in short.fills])
    assert short.equity == pytest.approx(long.equity)


@pytest.mark.parametrize("seed", range(6))
def test_trend_follower_in_the_mirror_sells_short(seed: int) -> None:
    """With moves so small that a share of a price is nearly the same on both sides of 100."""
    parameters = {"divergence_pct": 1e-6, "pullback_pct": 2e-6, "volume_ratio": 0.0, "breakeven_atr": 0.5}
    parameters |= {"ema_fast": 3, "ema_slow": 8, "rsi_period": 4, "breakout_lookback": 5}
    candles = random_candles(seed, 1500, tick=0.0, volatility=2e-6)
    settings = {"warmup": 200, "leverage": 2.0, "max_position_size_pct": 0.5}
    long = trade(candles, {"trend_follower": parameters}, path="olhc", **settings)
    short = trade(mirrored(candles, 100.0), {"trend_follower": parameters}, path="ohlc", **settings)
    assert {trip["side"] for trip in long.round_trips} == {"long", "short"}
    assert {"pullback", "rsi", "stop", "trailing", "partial", "target"} <= {f["reason"] for f in long.fills}
    turned = {"buy": "sell", "sell": "buy"}
    assert [(f["row"], turned[f["side"]], f["reason"]) for f in long.fills] == [
        (f["row"], f["side"], f["reason"]) for f in short.fills
    ]
    assert [200.0 - f["price"] for f in long.fills] == pytest.approx([f["price"] for f in short.fills], rel=1e-6)
    for row in long.books:  # the margin is a half of the cost, after partial exits too
        book = row["trend_follower"]
        assert book["margin"] == pytest.approx(abs(book["cost"]) / 2.0)


# neutral
NEUTRAL = {**CELL, "direction": "neutral", "num_levels": 5, "lower_price": 90.0, "upper_price": 110.0}


def test_a_neutral_grid_earns_on_both_sides_of_its_start() -> None:
    """Start at 100: longs 90 to 95 and 95 to 100, shorts 110 to 105 and 105 to 100; a cycle of 5 on each side."""
    result = trade(candles_through([100, 95, 100, 105, 100]), {"grid": NEUTRAL})
    assert [(row, reason, price) for row, reason, price, _ in trades(result)] == [
        (1, "buy", 95.0),
        (2, "sell", 100.0),
        (3, "sell", 105.0),
        (4, "buy", 100.0),
    ]
    assert [row["grid"]["quantity"] for row in result.books] == [0.0, 1.0, 0.0, -1.0, 0.0]
    assert {fill["strategy"] for fill in result.fills} == {"grid"}
    assert [trip["side"] for trip in result.round_trips] == ["long", "short"]
    assert result.final_equity == pytest.approx(10_010.0)
    assert result.cells_laid == 4


def test_the_halves_of_a_neutral_grid_hold_apart_and_stand_in_the_gate_together() -> None:
    """Exits 20 % away: 1 coin long at 95 and 1 short at 105 are held at once, M = (95 + 105)/4."""
    ladder = {**NEUTRAL, "exit": "profit", "profit_per_grid": 0.2}
    result = trade(candles_through([100, 95, 105]), {"grid": ladder})
    book = result.books[2]["grid"]
    assert (book["quantity"], book["cost"], book["margin"]) == (0.0, -10.0, 50.0)
    assert book["unrealised"] == pytest.approx(10.0)
    # 95 + 90 + 105 + 110 = 400 of 1,000: the long half asks first, so that 110 is refused below 0.4
    for limit, refused in ((0.4, {}), (0.39, {"risk_position": 1})):
        gated = trade(candles_through([100, 100]), {"grid": ladder}, max_position_size_pct=limit, initial_balance=1e3)
        assert gated.rejections == refused
        assert gated.deployed[1] == pytest.approx(100.0 if not refused else 72.5)


def test_a_neutral_ladder_is_split_anew_at_a_shift_and_shares_its_amount() -> None:
    """At 115 the same width lies around 115: buys 105 and 110, sells 120 and 125; 4 cells share 1,000."""
    ladder = {**NEUTRAL, "exit": "profit", "profit_per_grid": 0.5, "trailing_enabled": True}
    ladder |= {"trailing_recenter_mode": "fixed", "trailing_shift_threshold_pct": 0.0, "amount_per_grid": None}
    candles = candles_through([100, 100, 115, 115, 120, 110])
    result = trade(candles, {"grid": ladder}, max_position_size_pct=0.1, enable_risk_manager=False)
    assert result.shifts == [2]
    assert [(row, reason, price) for row, reason, price, _ in trades(result)] == [
        (2, "sell", 105.0),
        (2, "sell", 110.0),
        (4, "sell", 120.0),
        (5, "buy", 110.0),
    ]
    assert result.fills[0]["quantity"] == pytest.approx(250.0 / 105.0)
    assert result.cells_laid == 8


# detail candles
def finer(bars: list[tuple], start: int = START) -> dict:
    return {"detail": candles_from(bars, start=start, duration=60_000), "path": "detail"}


FLAT = [(105,) * 4] * 5


def test_finer_candles_say_which_extreme_came_first() -> None:
    """The whole candle falls first as it closes above its open: a cycle; in truth it rose first: only a buy."""
    candles = candles_from([(105,) * 4, (105, 111, 99, 106)])
    assert len(trade(candles, {"grid": CELL}).round_trips) == 1
    bars = [(105, 111, 105, 111), (111, 111, 99, 99), (99, 106, 99, 106), (106,) * 4, (106,) * 4]
    result = trade(candles, {"grid": CELL}, **finer([*FLAT, *bars]))
    assert trades(result) == [(1, "buy", 100.0, 1.0)]


def test_a_jump_between_finer_candles_fills_at_the_finer_open() -> None:
    candles = candles_from([(105,) * 4, (105, 112, 97, 104)])
    bars = [(105, 105, 102, 102), (98, 98, 97, 97), (97, 108, 97, 108), (112, 112, 104, 104), (104,) * 4]
    result = trade(candles, {"grid": CELL}, **finer([*FLAT, *bars]))
    assert trades(result) == [(1, "buy", 98.0, 1.0), (1, "sell", 112.0, 1.0)]


def test_market_orders_execute_at_the_open_of_the_first_finer_candle_only() -> None:
    ladder = {**CELL, "initial_inventory": "buy", "lower_price": 104.0, "upper_price": 106.0}
    candles = candles_from([(105,) * 4, (103, 107, 102, 107)])
    bars = [(103, 103, 102, 102), (102, 107, 102, 107)]
    result = trade(candles, {"grid": ladder}, **finer([*FLAT, *bars]))
    assert trades(result) == [(1, "initial", 103.0, 1.0), (1, "sell", 106.0, 1.0)]


def test_a_base_candle_that_its_finer_ones_do_not_make_is_named() -> None:
    candles = candles_from([(105,) * 4, (105, 106, 105, 106)])
    for bars in ([(105, 107, 105, 106)], [(105, 106, 105, 105)], []):
        with pytest.raises(ValueError, match=r"row 1"):
            trade(candles, {"grid": CELL}, **finer([*FLAT, *bars]))
