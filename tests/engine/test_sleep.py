"""A start that equity is too small for: asked once a run of signals, refused as if it were asked on each candle."""

from __future__ import annotations

import numpy as np
import pytest

from tests.engine.generated import INSTRUMENTS, generate
from tests.engine.twin import compared, run_kernel
from tests.reference.markets import FIVE_MINUTES

ROWS, WARMUP = 1500, 50
DCA = {"trigger_pct": 0.002, "high_lookback": 12, "base_order": 0.02, "tp_pct": 0.01, "max_safety_orders": 2}
GRID = {"num_levels": 10, "atr_multiplier": 1.0, "amount_per_grid": 60.0}
NEED = 500.0  # of which 2 % are the smallest notional
ACCOUNTS = {"spot": {}, "perpetual": {"account": "perpetual", "leverage": 3.0, "funding": 0.0003}}


def settings_of(account, balance, strategies, reduce=None):
    _, tick, step, _ = INSTRUMENTS["usual"]
    settings = {"duration_ms": FIVE_MINUTES, "tick": tick, "step": step, "min_notional": 10.0, "reduce": reduce}
    return settings | {"strategies": strategies, "initial_balance": balance, **ACCOUNTS[account]}


def market(seed, shape="walk"):
    given = {"instrument": "usual", "volatility": 0.003, "jump": 0.3, "holes": 1, "longest_hole": 40, "start": 7}
    return generate(seed, ROWS, shape=shape, **given)


def test_a_refused_start_is_asked_once_a_run_of_signals():
    settings = settings_of("spot", 0.9 * NEED, {"dca": DCA})
    whole = [run_kernel(market(1), [{"dca"}] * ROWS, WARMUP, settings, every_candle=every) for every in (False, True)]
    skipping, every = (int(result.raw.books["n_told"][0]) for result in whole)
    refused = [result.rejections["min_notional"] for result in whole]
    assert refused[0] == refused[1] > 20
    assert len(whole[0].trades) == len(whole[1].trades) == 0
    assert skipping <= refused[0] + 1 < every / 5


@pytest.mark.parametrize("account", ACCOUNTS)
def test_a_book_that_sleeps_wakes_where_equity_suffices(account):
    """Equity moves about what the start needs, by what the grid holds and earns, and by a factor that changes."""
    reached = {"refused": 0, "opened": 0, "both": 0}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        reduce = list(np.repeat(rng.choice([1.0, 0.97, 0.5], ROWS // 50), 50)) if seed % 2 else None
        settings = settings_of(account, NEED * rng.uniform(0.97, 1.03), {"grid": GRID, "dca": DCA}, reduce)
        route = [{"grid", "dca"} if row % 400 < 350 else {"grid"} for row in range(ROWS)]
        candles = market(seed, shape=("walk", "reverting", "falling", "saw")[seed % 4])
        found, twin = compared(candles, route, WARMUP, settings)
        assert found == []
        opened = any(fill["reason"] == "base" for fill in twin.fills)
        refused = twin.rejections.get("min_notional", 0) > 0
        reached["refused"] += refused
        reached["opened"] += opened
        reached["both"] += opened and refused
    assert min(reached.values()) > 5, reached
