"""How often the verdict is wrong: money where there is none to be made, and none where there is.

Driftless markets at no costs go through the real code, from candles to verdicts; as no market is shocked there, the
worst scenario is given as 0. What 95 % power takes is a matter of returns alone.
"""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from traderagent.base.files import write_json
from traderagent.engine.config import Costs
from traderagent.research.search_evidence import save_search
from traderagent.robustness.scenarios import SCENARIOS

pytestmark = pytest.mark.slow
SEEDS, DAYS = 100, 90
FREE = ta.OrchestratorBacktestConfig(
    costs=Costs(maker=0.0, taker=0.0, slippage=0.0),
    max_daily_loss_pct=None,
    enable_strategy_router=False,
    enable_smc=True,
)
SPACE = {"dca_trigger_pct": [0.01, 0.02, 0.04], "dca_tp_pct": [0.01, 0.02, 0.04], "tf_ema_fast": [10, 20]}


def judged(seed, results):
    """Verdicts on one driftless market, as given and chosen."""
    market = ta.load_market("synthetic", symbols=1, days=DAYS, seed=seed, mode="martingale", progress=False)
    candles = {symbol: market[symbol].hash for symbol in market}
    ta.baseline(market, FREE, holdout=0.3, progress=False).save(results / "baseline")
    found = ta.optimize_orchestrator(market, FREE, SPACE, holdout=0.3, min_trades=5, progress=False)
    save_search(found, results, candles)
    (results / "stress").mkdir(exist_ok=True)
    chosen = found.best_params["SYN-01"]
    told = {
        "scenarios": dict.fromkeys([*SCENARIOS, "volatile_window_1"]),
        "samples": ["out"],
        "chosen": {"SYN-01": chosen},
    }
    told |= {"config": FREE.to_dict(), "candles": candles, "holdout": 0.3}
    write_json(results / "stress/stress.json", {"stage": "stress", **told})
    cells = {"variant": ["given", "chosen"], "scenario": "none", "symbol": "SYN-01", "sample": "out", "worst_pct": 0.0}
    pd.DataFrame(cells).to_parquet(results / "stress/cells.parquet", index=False)
    return ta.verdicts(results, limits=ta.Thresholds(), ledger=results / "ledger.json").rows


def test_on_driftless_markets_hardly_anything_is_traded(tmp_path):
    words, reasons, traded = Counter(), Counter(), []
    for seed in range(SEEDS):
        for row in judged(seed, tmp_path):
            words[row["variant"], row["verdict"]] += 1
            reasons.update((row["variant"], reason["name"]) for reason in row["reasons"])
            if row["verdict"] == "TRADE":
                traded.append(row["variant"])
    print(f"{dict(words)}, {dict(reasons)}")
    assert sum(n for (_, word), n in words.items() if word == "NOT JUDGED") == 0
    assert sum(words.values()) == 2 * SEEDS
    held = {name for _, name in reasons}
    assert not held & {"breaks in stress", "data gaps"}
    assert ("given", "too few cycles") not in reasons
    assert len(traded) <= 5


def luck_of_the_best(seed, annual, days, n):
    """The test of the best of `n` independent trials, of which the first has a true Sharpe ratio."""
    returns = np.random.default_rng(seed).standard_normal((days, n)) * 0.01
    returns[:, 0] += annual / np.sqrt(365.0) * 0.01
    trials = ta.stats.effective_trials(returns)
    best = int(np.argmax(returns.mean(axis=0) / returns.std(axis=0, ddof=1)))
    return ta.SharpeTest.of(returns[:, best], trials.n_effective, trials.trials_variance)


def test_five_years_of_a_sharpe_ratio_of_2_5_are_seen_among_thirty_trials():
    tests = [luck_of_the_best(seed, 2.5, 5 * 365, 30) for seed in range(SEEDS)]
    assert max(test.trials for test in tests) <= 30.0
    assert min(test.trials for test in tests) > 25.0
    seen = sum(test.dsr >= 0.95 for test in tests)
    print(f"seen on {seen} of {SEEDS}")
    assert seen >= 90


def test_one_year_of_it_is_not_seen_and_nothing_is_seen_as_nothing():
    year = sum(luck_of_the_best(seed, 2.5, 365, 30).dsr >= 0.95 for seed in range(SEEDS))
    none = sum(luck_of_the_best(seed, 0.0, 5 * 365, 30).dsr >= 0.95 for seed in range(SEEDS))
    print(f"one year: seen on {year} of {SEEDS}; no skill: on {none}")
    assert year < 50
    assert none <= 5
