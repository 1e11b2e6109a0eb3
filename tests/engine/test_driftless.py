"""A market that pays nobody: on a driftless walk of ticks a strategy earns what it held times what the price moved.

The walk itself stands under the 5m candles as `detail`, one candle a step. There the engine must neither give nor
take; a path model that orders the extremes by a fixed rule does, and the same statistic must see it.
"""

import numpy as np
import pytest

from traderagent.engine.backtest import execute
from traderagent.engine.config import Costs, OrchestratorBacktestConfig
from traderagent.engine.detail import detail_of
from traderagent.engine.plan import plan
from traderagent.market.synthetic import tick_walk
from traderagent.strategies.base import STRATEGIES

pytestmark = pytest.mark.slow
N, SEEDS, FEE = 2016, 200, 0.0005
SIGMA = 0.01 * np.sqrt(300)  # of a 5m candle, quote
BOUNDS = {"lower_price": 100 - 240 * 0.17, "upper_price": 100 + 240 * 0.17, "num_levels": 481}
# What makes each strategy trade often on a week of a walk; a new strategy needs its own line.
EAGER = {
    "grid": {"exit": "next_level", "amount_per_grid": 1.0, "amount_unit": "base", "trailing_enabled": False} | BOUNDS,
    "dca": {"trigger_pct": 0.003, "high_lookback": 24, "tp_pct": 0.004, "deviation_pct": 0.002, "cooldown": 0},
    "trend_follower": {"ema_fast": 3, "ema_slow": 8, "divergence_pct": 0.0005, "volume_ratio": 0.0},
    "smc": {"swing_length": 1, "atr_period": 3, "zone_atr": 5.0, "min_confidence": 0.0, "min_risk_reward": 0.5},
}
FIELDS = {"grid": "grid_params", "dca": "dca_params", "trend_follower": "tf_params", "smc": "smc_params"}


SHORT = {"account": "perpetual", "leverage": 3.0, "funding_rate": None}
# name of the case → strategy, its direction, the account
CASES = {name: (name, {}, {}) for name in sorted(STRATEGIES)} | {
    "grid, short": ("grid", {"direction": "short"}, SHORT),
    "grid, neutral": ("grid", {"direction": "neutral"}, SHORT),
    "trend_follower, both ways": ("trend_follower", {}, SHORT),
    "smc, both ways": ("smc", {}, SHORT),
}


def result_of(case, data, path):
    name, more, account = CASES[case]
    is_grid = name == "grid"
    config = OrchestratorBacktestConfig(
        initial_balance=1e6 if is_grid else 1e4,
        costs=Costs(maker=0.0 if is_grid else FEE, taker=FEE, slippage=0.0),
        path=path,
        warmup_bars=0 if is_grid else 96,
        enable_risk_manager=False,
        **{FIELDS[name]: EAGER[name] | more},
        **account,
    )
    return execute(plan(data, config.only(name)))


def surplus(result):
    """PnL before costs beyond Σ inventory at the last close × change of the close."""
    held = result.books.xs("quantity", axis=1, level="field").sum(axis=1).to_numpy()
    costs = (result.books.xs("fees", axis=1, level="field").sum(axis=1)).to_numpy()
    gained = np.diff(result.equity.to_numpy() + costs)
    return float((gained - held[:-1] * np.diff(result.plan.tape.close)).sum())


def surplus_of_steps(result):
    """The same step by step: what was held before each step × the step."""
    detail = detail_of(result.plan.data)
    moved = np.diff(detail["detail_close"], prepend=detail["detail_open"][0])
    fills = result.raw.fills
    signed = np.bincount(fills["detail_row"], fills["side"] * fills["quantity"], minlength=len(moved))
    # What fills within a step fills at one of its ends: at the open of the walk or where the step arrives.
    at_open = fills["price"] == detail["detail_open"][fills["detail_row"]]
    early = np.bincount(fills["detail_row"], at_open * fills["side"] * fills["quantity"], minlength=len(moved))
    held = np.cumsum(signed) - signed + early
    paid = result.final_balance - result.initial_balance + result.fees
    return paid - float((held * moved).sum())


def found():
    """Case → surplus of each seed, and number of fills; each walk is made once and serves all."""
    gains, fills = {case: [] for case in (*CASES, "olhc")}, dict.fromkeys((*CASES, "olhc"), 0)
    for seed in range(SEEDS):
        data = tick_walk(N, seed=seed)
        for case in gains:
            result = result_of("grid" if case == "olhc" else case, data, "olhc" if case == "olhc" else "detail")
            if case != "olhc":
                assert abs(surplus_of_steps(result)) < 1e-6, f"{case}, seed {seed}"
            gains[case].append(surplus(result))
            fills[case] += int((result.trades["reason"] != "initial").sum())
    return gains, fills


def z_of(values):
    return float(np.mean(values) / (np.std(values, ddof=1) / np.sqrt(len(values))))


def test_no_strategy_earns_from_a_driftless_walk():
    """In every seed step by step to rounding (asserted on the way); over the seeds candle by candle a mean of zero.

    `olhc` at a spacing of one σ earns from nothing, and the same statistic sees it: without this it would have no
    power. One test, so that one worker makes the walks, once.
    """
    gains, fills = found()
    for case in CASES:
        print(f"\n{case}: {fills[case]} fills, mean surplus {np.mean(gains[case]):+.4f}, z {z_of(gains[case]):+.2f}")
    bias = np.sum(gains["olhc"]) / fills["olhc"] / SIGMA
    print(f"\nolhc: {bias:+.3f} σ a fill, z {z_of(gains['olhc']):+.1f}")
    assert [case for case in CASES if fills[case] <= 5 * SEEDS] == []
    assert [case for case in CASES if not abs(z_of(gains[case])) < 3] == []
    assert z_of(gains["olhc"]) > 10
