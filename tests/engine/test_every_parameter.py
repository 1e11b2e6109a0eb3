"""Every parameter of a run and of its strategies has a consumer: fault 26 of the earlier system, where an axis of
the documented grid had none and user settings never reached the pipeline."""

from __future__ import annotations

import pytest

import traderagent as ta
from tests.engine.twin import data_of
from tests.reference.markets import random_candles
from traderagent.engine.config import Costs, OrchestratorBacktestConfig

CHANGES = {
    "grid_params": {
        "num_levels": 5,
        "spacing": "geometric",
        "exit": "next_level",
        "profit_per_grid": 0.02,
        "initial_inventory": "none",
        "amount_per_grid": 50.0,
        "atr_period": 3,
        "atr_multiplier": 1.0,
        "trailing_enabled": False,
        "trailing_shift_threshold_pct": 0.03,
        "trailing_cooldown_candles": 2_000,
        "trailing_recenter_mode": "fixed",
        "inventory_on_shift": "sell",
    },
    "dca_params": {
        "trigger_pct": 0.04,
        "high_lookback": 5,
        "base_order": 0.03,
        "safety_order": 0.03,
        "max_safety_orders": 2,
        "deviation_pct": 0.02,
        "step_scale": 1.5,
        "volume_scale": 1.5,
        "tp_pct": 0.02,
        "stop_loss_pct": 0.02,
        "cooldown": 200,
    },
    "tf_params": {
        "ema_fast": 10,
        "ema_slow": 40,
        "divergence_pct": 0.01,
        "atr_period": 5,
        "rsi_period": 5,
        "pullback_pct": 0.0001,
        "breakout_lookback": 10,
        "volume_ratio": 3.0,
        "max_atr_pct": 0.002,
        "sl_atr_mult": 3.0,
        "tp_atr_mult": 1.0,
        "partial_fraction": 0.2,
        "partial_at": 0.3,
        "breakeven_atr": 0.3,
        "trailing_start_atr": 0.5,
        "trailing_atr": 0.1,
        "risk_per_trade": 0.0002,
        "loss_streak": 1,
    },
    "run": {
        "costs": Costs(maker=0.0, taker=0.002, slippage=0.001),
        "path": "ohlc",
        "max_position_size_pct": 0.1,
        "max_daily_loss_pct": 0.002,
        "portfolio_stop_loss_pct": 0.005,
        "liquidate_at_end": True,
        "initial_balance": 500.0,
        "warmup_bars": 900,
        "penetration_ticks": 200,
    },
}


@pytest.mark.parametrize(("field", "name"), [(field, name) for field, names in CHANGES.items() for name in names])
def test_every_parameter_has_a_consumer(field: str, name: str) -> None:
    """Another value makes another run, somewhere in a few markets."""
    basis = OrchestratorBacktestConfig(
        enable_strategy_router=False,
        warmup_bars=800,
        max_position_size_pct=None,
        grid_params={"trailing_cooldown_candles": 0, "amount_per_grid": 300.0},
        dca_params={"trigger_pct": 0.02},
        tf_params={"volume_ratio": 0.5, "divergence_pct": 0.002, "risk_per_trade": 0.002},
    )
    value = CHANGES[field][name]
    changed = basis.replace(**({name: value} if field == "run" else {field: {**getattr(basis, field), name: value}}))
    settings = {"tick": 0.01, "step": 0.0001, "min_notional": 5.0}
    for seed in range(5):
        data = data_of(random_candles(seed, 3_000, volatility=0.004), settings)
        if ta.backtest(data, basis).raw.fills.tobytes() != ta.backtest(data, changed).raw.fills.tobytes():
            return
    pytest.fail(f"{field} {name} = {value} changes nothing in five markets")
