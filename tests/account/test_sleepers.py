"""Starts that sleep on an account: through a halt, and beside symbols whose own sizing equity is below zero."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.account.twin import PortfolioCase, differences
from tests.reference.markets import FIVE_MINUTES

FREELY = {"step": 0.0001, "max_daily_loss_pct": None, "max_position_size_pct": None}
OFF = dict.fromkeys(("max_single_pair_pct", "max_total_exposure_pct", "max_correlation"))


def case_of(seed, account, strategies, pair, **config):
    """A case whose route never changes and whose dca has a signal at every candle."""
    case = PortfolioCase(seed, account=account)
    pair = (
        case.config.per_pair_config | {"step": 0.0001, "max_daily_loss_pct": None, "max_position_size_pct": None} | pair
    )
    pair["strategies"] = strategies | {"dca": {"trigger_pct": 0.0, "high_lookback": 1} | strategies["dca"]}
    case.config = replace(case.config, per_pair_config=pair, overrides={}, rebalance="none", **OFF, **config)
    for route in case.routes.values():
        route[:] = [{"grid", "dca"}] * len(route)
    return case


def found(case):
    """What differs from the twin, skipping and asking at every candle, and the twin."""
    twin = case.twin()
    return [d for every in (False, True) for d in differences(*case.kernel(every_candle=every), twin)], twin


@pytest.mark.parametrize("account", ["spot", "perpetual"])
def test_what_is_refused_after_a_halt_is_another_episode(account):
    strategies = {
        "grid": {"num_levels": 5, "atr_multiplier": 1.0, "amount_per_grid": None},
        "dca": {"base_order": 0.001, "safety_order": 0.001},
    }
    n_halts = 0
    for seed in range(3):
        pair = {"min_notional": 20.0, "enable_risk_manager": True, "warmup": 300}
        limits = {"portfolio_stop_loss_pct": 0.02, "resume_after": 30 * FIVE_MINUTES, "allocation": "equal"}
        case = case_of(seed, account, strategies, pair, initial_capital=30_000.0, weights=None, **limits)
        differs, twin = found(case)
        assert differs == [], f"seed {seed}"
        n_halts += len(twin.halts)
    assert n_halts > 3


@pytest.mark.parametrize("min_notional", [0.0, 5.0])
def test_nobody_else_sleeps_where_sizing_equity_is_below_zero(min_notional):
    """A symbol of four thousandths trades fixed amounts: what it loses is more than it was given."""
    strategies = {
        "grid": {
            "num_levels": 10,
            "atr_multiplier": 12.0,
            "amount_per_grid": 1_000.0,
            "trailing_enabled": True,
            "inventory_on_shift": "keep",
            "trailing_recenter_mode": "atr",
            "trailing_cooldown_candles": 288,
        },
        "dca": {
            "base_order": 0.5,
            "safety_order": 0.01,
            "max_safety_orders": 0,
            "tp_pct": 0.002,
            "stop_loss_pct": 0.004,
        },
    }
    lowest = 0.0
    for seed in range(5):
        pair = {"min_notional": min_notional, "enable_risk_manager": False, "warmup": 50}
        symbols = list(PortfolioCase(seed, account="spot").market)
        weights = {s: 0.004 if k == 0 else 0.9 / (len(symbols) - 1) for k, s in enumerate(symbols)}
        limits = {"portfolio_stop_loss_pct": None, "resume_after": None, "allocation": "weights", "weights": weights}
        case = case_of(seed, "spot", strategies, pair, initial_capital=60_000.0, **limits)
        differs, _ = found(case)
        assert differs == [], f"seed {seed}"
        lowest = min([lowest, *(float(of.account["cash"]) for of in case.kernel()[1].pairs)])
    assert lowest < -100.0
