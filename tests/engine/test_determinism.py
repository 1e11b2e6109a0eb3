"""One answer: the same bytes for any number of threads, any order of symbols, in any process, zone and hash seed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import traderagent as ta
from traderagent.engine.backtest import Results
from traderagent.engine.config import OrchestratorBacktestConfig

ROOT = Path(__file__).resolve().parents[2]
CONFIG = OrchestratorBacktestConfig(router_cooldown_bars=12, dca_params={"trigger_pct": 0.02})
# Another value of every parameter that some feature is made of.
OTHER = CONFIG.replace(
    grid_params={"num_levels": 5, "atr_period": 3},
    dca_params={"trigger_pct": 0.02, "high_lookback": 60},
    tf_params={"ema_fast": 5, "ema_slow": 15, "atr_period": 3, "rsi_period": 5, "breakout_lookback": 12},
)
PROGRAM = """
from tests.engine.test_determinism import CONFIG, digest, market
import traderagent as ta
data = market()
backwards = type(data)({symbol: data[symbol] for symbol in reversed(data)})
print(digest(ta.backtest(backwards, CONFIG, workers=2, progress=False)))
"""


def market(symbols: int = 4) -> dict:
    return ta.load_market("synthetic", symbols=symbols, days=40, seed=5, progress=False)


def digest(results: Results) -> str:
    """Hash of everything that the runs say, symbol by symbol in the order of their names."""
    parts = hashlib.sha256()
    for symbol in sorted(results):
        run = results[symbol]
        for records in (run.raw.fills, run.raw.round_trips, run.raw.ledger):
            parts.update(symbol.encode() + records.tobytes())
        parts.update(json.dumps(run.to_dict(curves=True), sort_keys=True, allow_nan=False).encode())
        parts.update(run.trades.to_csv(index=False).encode() + run.pnl_by_regime.to_csv().encode())
    return parts.hexdigest()


@pytest.fixture(scope="module")
def answer() -> str:
    results = ta.backtest(market(), CONFIG, workers=1, progress=False)
    assert sum(len(run.trades) for run in results.values()) > 100
    return digest(results)


@pytest.mark.parametrize("workers", [1, 2, 4, None])
def test_any_number_of_threads(workers: int | None, answer: str) -> None:
    assert digest(ta.backtest(market(), CONFIG, workers=workers, progress=False)) == answer


def test_any_order_of_symbols(answer: str) -> None:
    data = market()
    for order in (sorted(data, reverse=True), [*list(data)[2:], *list(data)[:2]]):
        shuffled = type(data)({symbol: data[symbol] for symbol in order})
        results = ta.backtest(shuffled, CONFIG, workers=3, progress=False)
        assert list(results) == order
        assert digest(results) == answer


def test_each_symbol_alone(answer: str) -> None:
    assert digest(Results({symbol: ta.backtest(data, CONFIG) for symbol, data in market().items()})) == answer


def test_a_run_leaves_nothing_behind_for_the_next(answer: str) -> None:
    """Features and regimes are kept with the candles: settings that were asked for first change none of them."""
    data = market()
    assert digest(ta.backtest(data, OTHER, progress=False)) != answer
    assert digest(ta.backtest(data, CONFIG, progress=False)) == answer


@pytest.mark.parametrize(("zone", "hash_seed"), [("Asia/Kathmandu", "1"), ("America/St_Johns", "4711")])
def test_a_fresh_process_in_another_zone(zone: str, hash_seed: str, answer: str) -> None:
    """Its symbols come the other way round: what a process keeps of its first symbol must not reach the next."""
    environment = os.environ | {"TZ": zone, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.split()[-1] == answer


def test_undefined_numbers_are_null_in_json() -> None:
    """Rule 3: a run that traded nothing has no Sharpe ratio; JSON says null, never NaN or Infinity."""
    data = next(iter(market(1).values()))
    idle = ta.backtest(data, CONFIG.only("dca").replace(dca_params={"trigger_pct": 0.9}))
    assert len(idle.trades) == 0
    assert np.isnan([idle.metrics[name] for name in ("sharpe_ratio", "profit_factor", "win_rate")]).all()
    text = json.dumps(idle.to_dict(curves=True), allow_nan=False)
    back = json.loads(text)
    assert back["metrics"]["sharpe_ratio"] is None
    assert back["metrics"]["profit_factor"] is None
    assert back["metrics"]["total_return_pct"] == 0.0
    assert "NaN" not in text
    assert "Infinity" not in text
    assert any("nothing traded" in note for note in idle.notes)
