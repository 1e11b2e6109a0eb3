"""A cell that the gate refused is asked again where cash has moved, though inventory is what it was.

Found where dca buys at an open and sells at its target inside the same candle, beside a grid: the gate then lets in
more, its share of what that earned.
"""

from __future__ import annotations

import pytest

from tests.engine.generated import generate
from tests.engine.twin import compared, differences, run_kernel, skipping_differences
from tests.reference import run as reference_run
from tests.reference.markets import FIVE_MINUTES, candles_from

SHARED = {
    "duration_ms": FIVE_MINUTES,
    "tick": 0.0,
    "step": 0.0,
    "min_notional": 0.0,
    "slippage": 0.0,
    "max_daily_loss_pct": None,
    "portfolio_stop_loss_pct": None,
}
GRID = {"num_levels": 10, "exit": "profit", "profit_per_grid": 0.006, "initial_inventory": "buy"}
DCA = {"trigger_pct": 0.002, "high_lookback": 12, "max_safety_orders": 0, "stop_loss_pct": 0.03}
CASES = {
    "spot": (
        152,
        {"path": "olhc", "max_position_size_pct": 0.4, "maker": 0.0, "taker": 0.0002},
        {"amount_per_grid": 400.0, "atr_multiplier": 3.0},
        {"base_order": 0.3, "tp_pct": 0.005, "cooldown": 50},
    ),
    "perpetual": (
        497,
        {
            "path": "nearest",
            "max_position_size_pct": 0.6,
            "maker": 0.0,
            "taker": 0.0002,
            "leverage": 3.0,
            "funding": 0.0,
        },
        {"amount_per_grid": 1_200.0, "atr_multiplier": 12.0, "direction": "long"},
        {"base_order": 0.2, "tp_pct": 0.002, "cooldown": 12},
    ),
}


@pytest.mark.parametrize("account", CASES)
def test_what_the_gate_refused_asks_again_as_a_round_trip_inside_a_candle_earns(account):
    seed, assumed, grid, dca = CASES[account]
    market = {"instrument": "none", "shape": "saw", "volatility": 0.006, "jump": 0.0}
    candles = generate(seed, 1_400, **market, holes=0, longest_hole=3, start=0)
    strategies = {"grid": {**GRID, "trailing_cooldown_candles": 288, **grid}, "dca": {**DCA, **dca}}
    settings = {**SHARED, **assumed, "account": account, "strategies": strategies}
    route = [{"grid", "dca"}] * 1_400
    skipping = run_kernel(candles, route, 20, settings)
    assert skipping.rejections["risk_position"] > 0
    assert skipping_differences(skipping, run_kernel(candles, route, 20, settings, every_candle=True)) == []
    assert differences(skipping, reference_run(candles, route=route, warmup=20, **settings)) == []


def test_a_ladder_asks_again_after_its_fill_though_another_book_brings_cash_and_inventory_back():
    """At the gap's open a deal's stop sells what the ladder buys there: only the ladder's own room has moved."""
    bars = [(100, 100, 100, 100)] * 4 + [(89, 89, 85, 85)] + [(85, 85, 85, 85)] * 5 + [(85, 85, 45, 45)]
    candles = candles_from(bars + [(45, 45, 45, 45)] * 3)
    free = {"maker": 0.0, "taker": 0.0, "slippage": 0.0, "tick": 1.0, "step": 1.0, "min_notional": 0.0}
    bounds = {"num_levels": 6, "spacing": "arithmetic", "lower_price": 50.0, "upper_price": 100.0, "exit": "next_level"}
    cell = {"initial_inventory": "none", "amount_per_grid": 1.0, "amount_unit": "base", "trailing_enabled": False}
    deal = {"trigger_pct": 0.0, "high_lookback": 1, "base_order": 0.08, "max_safety_orders": 0, "tp_pct": 0.5}
    settings = {
        "duration_ms": FIVE_MINUTES,
        "path": "ohlc",
        "initial_balance": 1_365.0,
        "max_position_size_pct": 0.1,
        "strategies": {"grid": bounds | cell, "dca": deal | {"stop_loss_pct": 0.1, "cooldown": 100}},
    }
    found, twin = compared(candles, [{"grid", "dca"}] * 14, 0, settings | free)
    assert found == []
    assert len(twin.fills) == 4
