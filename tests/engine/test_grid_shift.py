"""Exact facts of the trailing shift: when the ladder moves, how wide it is then, and what becomes of what it holds."""

import numpy as np
import pytest

from tests.engine.test_grid_facts import FREE, trade
from tests.reference.markets import candles_from, candles_through
from traderagent.strategies.contract import IDLE, RESTING

LOWER, UPPER, THRESHOLD = 98.0, 102.0, 0.01
LADDER = {
    "lower_price": LOWER,
    "upper_price": UPPER,
    "num_levels": 3,
    "profit_per_grid": 0.01,
    "initial_inventory": "none",
    "trailing_recenter_mode": "fixed",
    "trailing_cooldown_candles": 0,
    "trailing_shift_threshold_pct": THRESHOLD,
}


def shifts(result):
    return int(result.raw.books["n_shifts"][0])


def prices(result):
    return result.raw.cells[0]["price"][: result.raw.books["n_cells"][0]]


@pytest.mark.parametrize(
    ("close", "moved"),
    [
        (UPPER * (1 + THRESHOLD), 0),
        (UPPER * (1 + THRESHOLD) + 1e-9, 1),
        (LOWER * (1 - THRESHOLD), 0),
        (LOWER * (1 - THRESHOLD) - 1e-9, 1),
        (UPPER, 0),
        (LOWER, 0),
    ],
)
def test_a_shift_needs_a_close_beyond_the_raw_bound_and_the_threshold(close, moved):
    assert shifts(trade(candles_through([100.0, 100.0, close, close]), LADDER, **FREE)) == moved


def test_the_start_does_not_begin_the_cooldown_but_a_shift_does():
    lazy = LADDER | {"trailing_cooldown_candles": 5}
    rising = [100.0, 110.0, *[121.0] * 4]
    assert shifts(trade(candles_through(rising), lazy, **FREE)) == 1
    assert prices(trade(candles_through(rising), lazy, **FREE)).tolist() == [108.0, 110.0, 112.0]
    later = trade(candles_through([*rising, 121.0]), lazy, **FREE)
    assert shifts(later) == 2
    assert prices(later).tolist() == [119.0, 121.0, 123.0]


def test_no_shift_at_the_close_of_the_start():
    """Starts above its own bounds and is back inside them a candle later: a shift at the start would need another."""
    assert shifts(trade(candles_through([120.0, 100.0]), LADDER, **FREE)) == 0
    assert shifts(trade(candles_through([120.0, 120.0]), LADDER, **FREE)) == 1


@pytest.mark.parametrize("close", [110.0, 91.0, 103.1])
def test_fixed_keeps_the_width_or_the_ratio(close):
    path = candles_through([100.0, 100.0, close, close])
    arithmetic = prices(trade(path, LADDER, **FREE))
    np.testing.assert_allclose(arithmetic, [close - 2.0, close, close + 2.0], rtol=1e-14)
    geometric = prices(trade(path, LADDER | {"spacing": "geometric"}, **FREE))
    assert geometric[-1] / geometric[0] == pytest.approx(UPPER / LOWER, rel=1e-14)
    assert geometric[1] == pytest.approx(close, rel=1e-14)


def test_atr_mode_uses_only_hours_closed_by_then():
    """A shift inside the hour of range 12 still has the width of the hours of range 4 before it."""
    narrow = [100.0, 102.0, 98.0] + [100.0] * 9
    path = narrow * 20 + [100.0] * 7 + [112.0] * 5
    parameters = {
        "num_levels": 3,
        "atr_multiplier": 1.0,
        "atr_period": 3,
        "initial_inventory": "none",
        "trailing_cooldown_candles": 0,
    }
    inside = trade(candles_through(path), parameters, **FREE)
    assert shifts(inside) == 1
    np.testing.assert_allclose(prices(inside), [108.0, 112.0, 116.0], rtol=1e-12)
    after = trade(candles_through([*path, 112.0, 130.0]), parameters, **FREE)
    width = (4.0 + 4.0 + 12.0) / 3
    assert shifts(after) == 2
    np.testing.assert_allclose(prices(after), [130.0 - width, 130.0, 130.0 + width], rtol=1e-9)


def test_holding_cells_keep_their_sells_sell_once_and_are_dropped():
    path = candles_through([100.5, 100.5, 99.5, 90.0, 90.0, 101.0, 99.0, 101.5])
    result = trade(path, LADDER, **FREE)
    fills = result.trades
    assert shifts(result) >= 1
    kept = fills[(fills["row"] == 2) & (fills["side"] == "buy")]
    assert kept["price"].tolist() == [100.0]
    quantity = kept["quantity"].iloc[0]
    sold = fills[(fills["side"] == "sell") & (fills["quantity"] == quantity)]
    assert sold["price"].tolist() == [101.0]
    assert set(fills["reason"]) == {"buy", "sell"}


def test_nothing_is_bought_at_market_and_cells_at_or_above_the_close_are_idle():
    result = trade(candles_through([100.0, 100.0, 110.0, 110.0]), LADDER, **FREE)
    assert len(result.trades) == 0
    cells = result.raw.cells[0][:3]
    assert dict(zip(cells["price"], cells["state"], strict=True)) == {108.0: RESTING, 110.0: IDLE, 112.0: IDLE}


def test_selling_at_the_shift_sells_everything_at_the_next_open():
    path = candles_through([100.5, 100.5, 97.5, 90.0, 90.0, 90.0])
    result = trade(path, LADDER | {"inventory_on_shift": "sell"}, maker=0.001, taker=0.002, slippage=0.01)
    sold = result.trades[result.trades["reason"] == "shift"]
    held = result.trades[result.trades["row"] <= 3].query("side == 'buy'")["quantity"].sum()
    assert sold["row"].tolist() == [4]
    assert sold["quantity"].iloc[0] == pytest.approx(held, rel=1e-12)
    assert sold["price"].iloc[0] == pytest.approx(90.0 * 0.99, rel=1e-14)
    assert sold["fee"].iloc[0] == pytest.approx(sold["price"].iloc[0] * held * 0.002, rel=1e-12)
    assert result.books["grid"]["quantity"].iloc[4] == 0.0


def test_the_sale_at_a_shift_leaves_what_the_new_ladder_bought_in_the_jump():
    rows = [(p, p, p, p) for p in (100.5, 100.5)] + [(100.5, 100.5, 97.5, 97.5), (97.5, 97.5, 90.0, 90.0)]
    jump = [(87.5, 87.5, 87.5, 87.5)] * 2  # through the new ladder's cell at 88
    parameters = LADDER | {"inventory_on_shift": "sell", "amount_unit": "base", "amount_per_grid": 0.5}
    result = trade(candles_from(rows + jump), parameters, maker=0.0, taker=0.002, slippage=0.0)
    fills = result.trades[["row", "reason", "price", "quantity"]].to_numpy().tolist()
    assert fills == [[2, "buy", 100.0, 0.5], [2, "buy", 98.0, 0.5], [4, "buy", 87.5, 0.5], [4, "shift", 87.5, 1.0]]
    assert result.books["grid"]["quantity"].iloc[-1] == 0.5
    assert result.round_trips["fees"].to_list() == pytest.approx([0.0875] * 2)
    assert result.round_trips["pnl"].to_list() == pytest.approx([-10.5 / 2 - 0.0875, -12.5 / 2 - 0.0875])


def test_without_trailing_the_ladder_stays():
    result = trade(candles_through([100.0, 100.0, 150.0, 50.0]), LADDER | {"trailing_enabled": False}, **FREE)
    assert shifts(result) == 0
    assert prices(result).tolist() == [98.0, 100.0, 102.0]
