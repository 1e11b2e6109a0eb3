"""Money adds up at every candle, on generated and on real candles, and metrics are those of the fills."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as limits
from hypothesis import strategies as st

import traderagent as ta
from tests.engine.accounting import broken_rules, metrics_off
from tests.engine.generated import Case, cases, orchestrated_cases
from tests.engine.real import needs_candles, real
from tests.engine.twin import config_of, data_of, run_kernel
from traderagent.engine.config import Costs, OrchestratorBacktestConfig
from traderagent.market.instruments import infer_instruments

SETTINGS = {
    "derandomize": True,
    "database": None,
    "deadline": None,
    "phases": (Phase.generate, Phase.shrink),
    "suppress_health_check": list(HealthCheck),
}
DEFAULT = OrchestratorBacktestConfig()
TIGHT = OrchestratorBacktestConfig(
    initial_balance=150.0,
    costs=Costs(maker=0.0008, taker=0.0012, slippage=0.002),
    max_position_size_pct=None,
    max_daily_loss_pct=0.005,
    portfolio_stop_loss_pct=0.1,
    on_deactivate="flatten",
    liquidate_at_end=True,
    router_cooldown_bars=12,
    grid_params={"num_levels": 20, "atr_multiplier": 1.0, "inventory_on_shift": "sell"},
    dca_params={"trigger_pct": 0.02, "base_order": 0.1, "safety_order": 0.05, "tp_pct": 0.01},
    tf_params={"volume_ratio": 0.0, "risk_per_trade": 0.05},
)
EVERYTHING = OrchestratorBacktestConfig(
    enable_strategy_router=False,
    costs=Costs(maker=0.0008, taker=0.0012),
    max_position_size_pct=0.15,
    max_daily_loss_pct=0.01,
    liquidate_at_end=True,
    penetration_ticks=2,
    path="nearest",
)
PERPETUAL = OrchestratorBacktestConfig(
    account="perpetual",
    leverage=20.0,
    funding_rate=0.0004,
    enable_smc=True,
    enable_strategy_router=False,
    max_position_size_pct=3.0,
    max_daily_loss_pct=None,
    liquidate_at_end=True,
    grid_params={"direction": "neutral", "atr_multiplier": 6.0},
    dca_params={"trigger_pct": 0.02, "base_order": 0.2, "safety_order": 0.2, "stop_loss_pct": 0.0, "tp_pct": 0.02},
    tf_params={"volume_ratio": 0.0, "risk_per_trade": 0.05},
    smc_params={"min_confidence": 0.4, "swing_length": 4},
)
CONFIGS = {"default": DEFAULT, "tight": TIGHT, "everything": EVERYTHING, "perpetual": PERPETUAL}


@limits(max_examples=60, **SETTINGS)
@given(st.one_of(cases("together"), cases("together", "perpetual")))
def test_generated_runs_keep_the_rules(case: Case) -> None:
    assert broken_rules(run_kernel(case.candles, case.route, case.warmup, case.run_settings)) == []


@limits(max_examples=30, **SETTINGS)
@given(orchestrated_cases())
def test_generated_orchestrated_runs_keep_the_rules(case: Case) -> None:
    result = ta.backtest(data_of(case.candles, case.run_settings), config_of(case.settings, case.warmup, router=True))
    assert broken_rules(result) == []


def judged(market: dict, config: OrchestratorBacktestConfig, reached: Counter) -> dict[str, list[str]]:
    """Broken rules by symbol, with and without an instrument's tick and step."""
    instruments, found = infer_instruments(market), {}
    for symbol, data in market.items():
        for rounded in (False, True):
            run = ta.backtest(data.replace(instrument=instruments[symbol]) if rounded else data, config)
            found[f"{symbol} {'on ticks' if rounded else 'as it is'}"] = broken_rules(run)
            reached.update(run.trades["reason"])
            reached.update({"fills": len(run.trades), "trips": len(run.round_trips), "halted": run.risk_halted})
    return {name: rules for name, rules in found.items() if rules}


@needs_candles
@pytest.mark.parametrize("config", CONFIGS)
def test_a_few_real_symbols_keep_the_rules(config: str) -> None:
    reached: Counter = Counter()
    assert judged(real("2024", "BTCUSDT", "PEPEUSDT"), CONFIGS[config], reached) == {}
    assert reached["fills"] > 50


@needs_candles
@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("year", ["2022", "2024"])
def test_all_real_symbols_keep_the_rules(year: str, config: str) -> None:
    reached: Counter = Counter()
    assert judged(real(year), CONFIGS[config], reached) == {}
    print(f"\n{year} {config}:", dict(reached))
    assert reached["fills"] > 1_000
    wanted = {"buy", "sell", "base", "safety", "stop", "trailing", "partial"}
    only = {"liquidation", "time", "target"} if config == "perpetual" else {"initial"}
    assert wanted | only <= set(reached)


@needs_candles
@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("symbol", ["BTCUSDT", "SUIUSDT"])
def test_metrics_of_real_runs_are_those_of_their_fills(config: str, symbol: str) -> None:
    """Sharpe, Sortino, drawdown, annual return, exposure, win rate and the rest, from sums kept while running."""
    result = ta.backtest(real("2024", symbol)[symbol], CONFIGS[config])
    assert len(result.round_trips) > 5
    assert metrics_off(result) == []


def test_money_from_nowhere_is_noticed() -> None:
    """The rules can be broken: each is, in one run, by hand."""
    data = ta.load_market("synthetic", symbols=1, days=30, seed=3, progress=False)
    run = ta.backtest(next(iter(data.values())), EVERYTHING)
    assert broken_rules(run) == []
    fills = run.raw.fills
    assert len(fills) > 10
    half = len(fills) // 2
    for field, value, rule in (("price", 1.1, "price above"), ("fee", 1.37, "a fee"), ("quantity", 1.01, "cash from")):
        kept = fills[field][half]
        fills[field][half] = kept * value
        spoiled = type(run)(run.plan, run.raw)
        assert any(rule in broken for broken in broken_rules(spoiled)), (field, broken_rules(spoiled))
        fills[field][half] = kept
    run.raw.ledger[-1, 0] += 0.01
    assert any("cash from fills" in broken for broken in broken_rules(type(run)(run.plan, run.raw)))
    run.raw.ledger[-1, 0] = -np.abs(run.raw.ledger[-1, 0])
    assert any("cash ≥ 0" in broken for broken in broken_rules(type(run)(run.plan, run.raw)))
