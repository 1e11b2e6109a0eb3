"""Hand-worked examples of the reference twin: what each fill, fee and sum must be."""

from __future__ import annotations

import itertools
import random

import pytest

from tests.reference import metrics, run
from tests.reference.dca import deviation
from tests.reference.markets import (
    FIVE_MINUTES,
    candles_from,
    candles_through,
    random_candles,
    random_reduction,
    random_route,
    random_settings,
)

FREE = {"maker": 0.0, "taker": 0.0, "slippage": 0.0}
LADDER = {
    "num_levels": 6,
    "exit": "next_level",
    "lower_price": 2.0,
    "upper_price": 7.0,
    "amount_per_grid": 1.0,
    "amount_unit": "base",
    "trailing_enabled": False,
}


def trade(candles: dict, strategies: dict, *, route: list | None = None, warmup: int = 0, **settings):
    rows = len(candles["open_time"])
    active = [set(strategies)] * rows if route is None else route
    return run(candles, duration_ms=FIVE_MINUTES, route=active, warmup=warmup, strategies=strategies, **settings)


def trades(result) -> list[tuple]:
    return [(f["row"], f["reason"], f["price"], f["quantity"]) for f in result.fills]


# grid
def test_the_ladder_of_the_specification_earns_six_and_pays_three_hundredths() -> None:
    candles = candles_through([4, 4, 3, 4, 5, 6])
    free = trade(candles, {"grid": LADDER}, **FREE)
    assert free.final_equity - 10_000.0 == pytest.approx(6.0, abs=1e-9)
    paid = trade(candles, {"grid": LADDER}, maker=0.001, taker=0.001, slippage=0.0)
    assert sum(f["fee"] for f in paid.fills) == pytest.approx(0.030, abs=1e-12)
    assert paid.final_equity == pytest.approx(10_006.0 - 0.030, abs=1e-9)
    assert [trip["kind"] for trip in paid.round_trips] == ["cell", "initial", "initial"]


@pytest.mark.parametrize("seed", range(20))
def test_arithmetic_grid_on_ticks_earns_what_the_identity_says(seed: int) -> None:
    source = random.Random(seed)
    steps = [source.choice([-1.0, 1.0]) for _ in range(200)]
    prices = [1_000.0, 1_000.0]
    for step in steps:
        prices.append(prices[-1] + step)
    ladder = {**LADDER, "num_levels": 601, "lower_price": 700.0, "upper_price": 1_300.0}
    free = {**FREE, "max_position_size_pct": None, "max_daily_loss_pct": None, "initial_balance": 1e7}
    result = trade(candles_through(prices), {"grid": ladder}, **free)
    net_steps = sum(steps)
    start = result.fills[0]["price"]
    held = sum(f["quantity"] for f in result.fills if f["reason"] == "initial")
    expected = held * (prices[-1] - start) + (len(steps) - net_steps**2) / 2.0
    assert result.final_equity - 1e7 == pytest.approx(expected, abs=1e-6)
    sold = len(result.round_trips)
    assert sold - max(net_steps, 0.0) == (len(steps) - abs(net_steps)) / 2
    highest = max(0.0, max(prices) - start)
    assert len([trip for trip in result.round_trips if trip["kind"] == "initial"]) == highest


def test_fault_6_a_flat_tape_earns_nothing() -> None:
    candles = candles_through([66_000.0] * 50)
    ladder = {"lower_price": 60_000.0, "upper_price": 72_000.0}
    assert trade(candles, {"grid": ladder}, **FREE).final_equity == pytest.approx(10_000.0, abs=1e-9)
    assert trade(candles, {"grid": ladder}).final_equity < 10_000.0


def test_fault_7_a_counter_order_is_live_for_the_rest_of_the_candle() -> None:
    down_and_up = candles_from([(4.5,) * 4, (4.5,) * 4, (4.5, 4.6, 2.5, 4.5), (4.5, 4.6, 2.5, 4.5)])
    result = trade(down_and_up, {"grid": {**LADDER, "initial_inventory": "none"}}, path="olhc", **FREE)
    once = [("buy", 4.0), ("buy", 3.0), ("sell", 4.0)]
    twice = [*once, ("buy", 3.0), ("sell", 4.0)]
    assert [(reason, price) for _, reason, price, _ in trades(result)] == twice


def test_fault_8_what_was_bought_is_sold_whole_and_its_cell_lives_on() -> None:
    candles = candles_through([4.5, 4.5, *([3.5, 5.0] * 10)])
    result = trade(candles, {"grid": {**LADDER, "initial_inventory": "none"}})
    bought = sum(f["quantity"] for f in result.fills if f["side"] == "buy")
    assert len([f for f in result.fills if f["side"] == "sell"]) == 10
    assert bought - sum(f["quantity"] for f in result.fills if f["side"] == "sell") == 0.0


def test_fault_12_cycles_below_their_fees_lose() -> None:
    candles = candles_through([100.5, 100.5, *([99.5, 100.5] * 20)])
    ladder = {"lower_price": 98.0, "upper_price": 100.0, "num_levels": 2, "profit_per_grid": 0.001}
    result = trade(candles, {"grid": {**ladder, "initial_inventory": "none", "trailing_enabled": False}})
    found = metrics(result, candles)
    assert found["completed_cycles"] == 20
    assert found["win_rate"] == 0.0
    assert found["profit_factor"] == 0.0
    assert sum(trip["pnl"] for trip in result.round_trips) == pytest.approx(result.final_equity - 10_000.0)


def test_fault_18_a_shift_keeps_the_inventory_and_its_sell_orders() -> None:
    candles = candles_through([100.0, 100.0, 99.0, 90.0, 90.0, 101.0])
    ladder = {"lower_price": 98.0, "upper_price": 102.0, "num_levels": 3, "profit_per_grid": 0.01}
    ladder |= {"trailing_recenter_mode": "fixed", "initial_inventory": "none", "trailing_cooldown_candles": 0}
    result = trade(candles, {"grid": ladder}, **FREE)
    assert result.shifts[0] == 3
    assert trades(result)[0][1:3] == ("buy", 98.0)
    assert result.books[4]["grid"]["quantity"] == trades(result)[0][3]
    assert (5, "sell", 98.0 * 1.01, trades(result)[0][3]) in trades(result)


def test_initial_cells_are_chosen_and_paid_at_the_open() -> None:
    candles = candles_from([(4.5,) * 4, (4.9, 4.9, 4.9, 4.9), (4.9, 5.0, 4.9, 5.0)])
    result = trade(candles, {"grid": LADDER}, **FREE)
    assert trades(result) == [(1, "initial", 4.9, 1.0), (1, "initial", 4.9, 1.0)]
    refused = trade(candles, {"grid": LADDER}, initial_balance=9.0, max_position_size_pct=None)
    assert refused.rejections == {"cash": 3}  # 6 is payable, then not 5, 4 and 3; 2 is; at row 1 nothing changes
    assert min(refused.free_cash) >= 0.0


# dca
def test_deviations_known_by_heart() -> None:
    assert [round(deviation(0.02, 2.0, n), 10) for n in range(1, 6)] == [0.02, 0.06, 0.14, 0.30, 0.62]
    depths = [0.0] + [deviation(0.03, 1.2, n) for n in range(1, 5)]
    steps = [round(b - a, 12) for a, b in itertools.pairwise(depths)]
    assert steps == [0.03, 0.036, 0.0432, 0.05184]
    assert deviation(0.015, 1.0, 3) == pytest.approx(0.045)


DEAL = {
    "trigger_pct": 0.1,
    "high_lookback": 2,
    "base_order": 9.0 / 10_000.0,
    "safety_order": 13.5 / 10_000.0,
    "max_safety_orders": 1,
    "deviation_pct": 0.5,
    "tp_pct": 0.1,
    "stop_loss_pct": 0.0,
}


def test_fault_10_one_coin_at_9_and_three_at_4_and_a_half_average_5_625() -> None:
    candles = candles_through([10, 9, 9, 4.5, 4.5, 7.0])
    result = trade(candles, {"dca": DEAL}, max_daily_loss_pct=None, **FREE)
    assert trades(result)[:2] == [(2, "base", 9.0, 1.0), (3, "safety", 4.5, 3.0)]
    held = result.books[3]["dca"]
    assert held["quantity"] == 4.0
    assert held["unrealised"] == pytest.approx((4.5 - 5.625) * 4.0)
    assert result.cash[3] == pytest.approx(10_000.0 - 9.0 - 13.5)
    assert trades(result)[2] == (5, "target", pytest.approx(5.625 * 1.1), 4.0)
    assert result.round_trips[0]["quantity"] == 4.0


def test_a_safety_order_at_or_below_the_stop_is_not_placed() -> None:
    candles = candles_through([10, 9, 9, 8, 8])
    result = trade(candles, {"dca": {**DEAL, "stop_loss_pct": 0.5}}, max_daily_loss_pct=None, **FREE)
    assert result.free_cash[2] == pytest.approx(10_000.0 - 9.0)


def test_fault_17_a_stop_sells_pays_and_does_not_fire_on_rises() -> None:
    deal = {**DEAL, "max_safety_orders": 0, "stop_loss_pct": 0.05, "tp_pct": 1.0}
    risen = trade(candles_through([10, 9, 9, 12, 13]), {"dca": deal})
    assert [f["reason"] for f in risen.fills] == ["base"]
    fallen = trade(candles_through([10, 9, 9, 8]), {"dca": deal}, slippage=0.001, taker=0.002)
    _base, stop = fallen.fills
    assert stop["price"] == pytest.approx(9.0 * 1.001 * 0.95 * 0.999)
    assert stop["fee"] == pytest.approx(stop["price"] * stop["quantity"] * 0.002)
    jumped = trade(candles_from([(10,) * 4, (9,) * 4, (9,) * 4, (7, 7, 6, 6)]), {"dca": deal}, **FREE)
    assert jumped.fills[1]["price"] == 7.0


def test_a_candle_that_could_have_met_stop_and_target_is_counted() -> None:
    deal = {**DEAL, "max_safety_orders": 0, "stop_loss_pct": 0.1, "tp_pct": 0.1}
    wide = candles_from([(10,) * 4, (9,) * 4, (9,) * 4, (9, 12, 6, 9.5)])
    result = trade(wide, {"dca": deal}, **FREE)
    assert [f["reason"] for f in result.fills] == ["base", "stop"]
    assert result.ambiguous_fills == 1
    assert [f["reason"] for f in trade(wide, {"dca": deal}, path="ohlc", **FREE).fills] == ["base", "target"]


def test_a_trailed_stop_waits_for_the_close_and_says_so() -> None:
    deal = {**DEAL, "max_safety_orders": 0, "tp_pct": 0.0}
    deal |= {"trailing_activation_pct": 0.1, "trailing_distance_pct": 0.1}
    candles = candles_from([(10,) * 4, (9,) * 4, (9,) * 4, (9, 12, 9, 11.5), (11.5, 11.5, 10, 10)])
    result = trade(candles, {"dca": deal}, **FREE)
    assert trades(result)[1] == (4, "trailing", pytest.approx(10.8), pytest.approx(1.0))
    beyond = candles_from([(10,) * 4, (9,) * 4, (9,) * 4, (9, 12, 9, 10.5), (10.4, 10.4, 10, 10)])
    assert trades(trade(beyond, {"dca": deal}, **FREE))[1][:3] == (4, "trailing", 10.4)


def test_the_high_of_a_safety_fill_inside_a_candle_moves_no_stop() -> None:
    deal = {**DEAL, "tp_pct": 0.0, "deviation_pct": 0.1, "safety_order": 0.0009}
    deal |= {"trailing_activation_pct": 0.2, "trailing_distance_pct": 0.1}
    start = [(10,) * 4, (9,) * 4, (9,) * 4]
    inside = candles_from([*start, (9, 12, 8, 11), (11, 11, 10, 10.5)])
    assert [f["reason"] for f in trade(inside, {"dca": deal}, **FREE).fills] == ["base", "safety"]
    at_open = candles_from([*start, (8, 12, 8, 11), (11, 11, 10, 10.5)])
    assert [f["reason"] for f in trade(at_open, {"dca": deal}, **FREE).fills] == ["base", "safety", "trailing"]


# trend follower
def rising_market(after: list[tuple]) -> dict:
    """Three flat hours, one rising hour that ends at row 47, and what comes after."""
    bars = [(100.0, 100.5, 99.5, 100.0)] * 36
    price = 100.0
    for _ in range(12):
        bars.append((price, price + 0.6, price - 0.1, price + 0.5))
        price += 0.5
    return candles_from(bars + [tuple(price + x for x in bar) for bar in after])


TREND = {
    "ema_fast": 2,
    "ema_slow": 3,
    "divergence_pct": 0.0001,
    "atr_period": 2,
    "rsi_period": 2,
    "breakout_lookback": 2,
    "volume_ratio": 0.0,
    "breakeven_atr": 0.0,
    "trailing_start_atr": 0.0,
    "risk_per_trade": 0.001,
}


def test_fault_15_a_partial_closes_its_fraction_and_the_stop_the_rest() -> None:
    candles = rising_market([(0, 0, 0, 0), (0, 2.5, 0, 2.5), (2.5, 2.5, -9, -9)])
    result = trade(candles, {"trend_follower": TREND}, warmup=47, step=0.001, **FREE)
    buy, partial, stop = result.fills
    assert (buy["row"], partial["reason"], stop["reason"]) == (48, "partial", "stop")
    assert partial["quantity"] == pytest.approx(buy["quantity"] / 2.0, abs=0.001)
    assert partial["quantity"] + stop["quantity"] == pytest.approx(buy["quantity"])
    atr = (buy["price"] - stop["price"]) / TREND.get("sl_atr_mult", 1.0)
    assert partial["price"] == pytest.approx(buy["price"] + 0.7 * 2.0 * atr)
    assert buy["quantity"] == pytest.approx(0.001 * 10_000.0 / atr, abs=0.001)
    assert len(result.round_trips) == 1


def test_a_position_at_the_limit_of_its_size_is_reported_as_capped() -> None:
    candles = rising_market([(0, 0, 0, 0)])
    result = trade(candles, {"trend_follower": {**TREND, "risk_per_trade": 0.5}}, warmup=47, **FREE)
    assert (result.entries, result.capped_entries) == (1, 1)
    assert result.fills[0]["quantity"] * candles["close"][47] == pytest.approx(2_500.0)


def test_the_risk_is_halved_once_after_a_streak_of_losses_until_a_win() -> None:
    candles = random_candles(2, 2_000)
    plain, careful = (
        trade(candles, {"trend_follower": {**TREND, "loss_streak": streak}}, warmup=100, max_daily_loss_pct=None)
        for streak in (0, 2)
    )
    sizes = [[trip["quantity"] for trip in each.round_trips] for each in (plain, careful)]
    losses = [trip["pnl"] < 0.0 for trip in plain.round_trips]
    streak, expected = 0, []
    for lost in losses:
        expected.append(0.5 if streak >= 2 else 1.0)
        streak = streak + 1 if lost else 0
    ratios = [halved / whole for whole, halved in zip(*sizes, strict=True)]
    assert {0.5, 1.0} == set(expected)
    assert ratios == pytest.approx(expected, rel=0.1)


# all together
@pytest.mark.parametrize("seed", range(24))
def test_money_adds_up_at_every_row(seed: int) -> None:
    """Faults 9 to 11: every book has its own inventory, and their PnL is the account's."""
    settings = random_settings(seed)
    rows = 1_200
    candles = random_candles(seed, rows, volatility=(0.001, 0.003, 0.006)[seed % 3])
    reduce = random_reduction(seed, rows)
    result = run(candles, route=random_route(seed, rows), warmup=400, reduce=reduce, **settings)
    for row in range(rows):
        books = result.books[row].values()
        inventory = sum(book["quantity"] for book in books)
        net = sum(book["realised"] + book["unrealised"] - book["fees"] for book in books)
        tolerance = 1e-9 * result.equity[row]
        assert abs(result.cash[row] + inventory * candles["close"][row] - result.equity[row]) <= tolerance
        assert abs(result.initial_balance + net - result.equity[row]) <= tolerance
        assert min(result.cash[row], result.free_cash[row]) >= -1e-9 * result.initial_balance
        assert min(book["quantity"] for book in books) >= 0.0
    slippage = settings["slippage"] + 1e-12
    for fill in result.fills:
        row = fill["row"]
        assert row > 400
        assert candles["low"][row] * (1.0 - slippage) <= fill["price"] <= candles["high"][row] * (1.0 + slippage)
        assert fill["fee"] >= 0.0


@pytest.mark.parametrize("seed", range(6))
def test_the_future_changes_nothing(seed: int) -> None:
    settings = {**random_settings(seed), "liquidate_at_end": False}
    rows, cut = 1_000, 700
    candles = random_candles(seed, rows)
    changed = {name: list(values) for name, values in candles.items()}
    for row in range(cut, rows):
        for name in ("open", "high", "low", "close"):
            changed[name][row] = round(changed[name][row] * 1.5, 2)
    route = random_route(seed, rows)
    runs = [run(market, route=route, warmup=400, **settings) for market in (candles, changed)]
    assert runs[0].equity[:cut] == runs[1].equity[:cut]
    past = [[fill for fill in each.fills if fill["row"] < cut] for each in runs]
    assert past[0] == past[1]
