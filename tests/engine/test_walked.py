"""How many candles a run walks: a trigger that fires too early costs time and nothing else, so nothing else notices."""

from __future__ import annotations

import pytest

from tests.engine.generated import INSTRUMENTS, generate
from tests.engine.twin import run_kernel
from tests.reference.markets import FIVE_MINUTES

SHAPES = ("walk", "reverting", "rising", "falling", "crash", "saw")
STRATEGIES = {
    "grid": {"num_levels": 10, "atr_multiplier": 1.0, "amount_per_grid": 1_500.0},
    "dca": {"trigger_pct": 0.005, "high_lookback": 12, "trailing_activation_pct": 0.004, "base_order": 0.1},
    "trend_follower": {"ema_fast": 3, "ema_slow": 8, "volume_ratio": 0.0, "breakout_lookback": 5, "partial_at": 0.7},
    "smc": {"swing_length": 1, "min_confidence": 0.0, "min_risk_reward": 0.5},
}
ACCOUNTS = {"spot": {}, "perpetual": {"account": "perpetual", "leverage": 3.0, "funding": 0.0001}}

# One number a shape. A smaller one is better: write it here.
WALKED = {
    ("grid", "spot"): [595, 131, 1178, 56, 78, 875],
    ("grid", "perpetual"): [634, 172, 1185, 250, 141, 907],
    ("dca", "spot"): [222, 208, 230, 98, 176, 157],
    ("dca", "perpetual"): [238, 226, 245, 116, 191, 175],
    ("trend_follower", "spot"): [92, 42, 167, 43, 65, 170],
    ("trend_follower", "perpetual"): [150, 75, 201, 116, 178, 257],
    ("smc", "spot"): [20, 25, 13, 14, 17, 14],
    ("smc", "perpetual"): [38, 48, 30, 49, 37, 35],
    ("together", "spot"): [634, 510, 872, 249, 366, 562],
    ("together", "perpetual"): [659, 553, 884, 362, 498, 632],
}


def walked(kind: str, account: str) -> list[int]:
    _, tick, step, smallest = INSTRUMENTS["usual"]
    chosen = STRATEGIES if kind == "together" else {kind: STRATEGIES[kind]}
    settings = {"duration_ms": FIVE_MINUTES, "tick": tick, "step": step, "min_notional": smallest, "strategies": chosen}
    found = []
    for seed, shape in enumerate(SHAPES):
        market = {"instrument": "usual", "volatility": 0.003, "jump": 0.3, "holes": 1, "longest_hole": 40, "start": 7}
        candles = generate(seed, 2000, shape=shape, **market)
        route = [set(chosen) if row % 500 < 400 else set() for row in range(2000)]
        result = run_kernel(candles, route, 300, settings | ACCOUNTS[account])
        found.append(int(result.raw.account["n_events"]))
    return found


@pytest.mark.parametrize(("kind", "account"), WALKED)
def test_no_more_candles_are_walked_than_before(kind, account):
    assert walked(kind, account) == WALKED[kind, account]


def test_fills_of_a_ladder_do_not_ask_its_rule():
    _, tick, step, smallest = INSTRUMENTS["usual"]
    grid = {"num_levels": 10, "atr_multiplier": 1.0, "trailing_enabled": False}
    settings = {"duration_ms": FIVE_MINUTES, "tick": tick, "step": step, "min_notional": smallest}
    market = {"instrument": "usual", "volatility": 0.003, "jump": 0.3, "holes": 0, "longest_hole": 1, "start": 7}
    candles = generate(1, 2000, shape="saw", **market)
    result = run_kernel(candles, [{"grid"}] * 2000, 300, settings | {"strategies": {"grid": grid}})
    assert result.raw.account["n_fills"] > 100
    assert result.raw.books["n_told"][0] < 10
