"""The kernels replay the 15 golden runs: every fill in order, the final equity, and the same by every candle."""

from __future__ import annotations

import pytest

from tests.engine.twin import run_kernel, skipping_differences
from tests.test_golden_twin import (
    ALL,
    FINAL_EQUITY,
    FIVE_MINUTES,
    GOLDEN,
    PHASES,
    STRATEGIES,
    WARMUP,
    golden_fills,
    market,
)

pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"no golden runs at {GOLDEN}; set TRADERAGENT_SHARED")


def replay(number: int, letter: str, every_candle: bool = False):
    candles = market(number)
    rows = range(len(candles["open_time"]))
    settings = {
        "duration_ms": FIVE_MINUTES,
        "strategies": STRATEGIES,
        "tick": 0.01,
        "step": 0.0001,
        "min_notional": 5.0,
        "max_daily_loss_pct": 0.01 if letter == "C" else 0.05,
    }
    route = [PHASES[row // 150 % 4] if letter == "B" else ALL for row in rows]
    return run_kernel(candles, route, WARMUP, settings, every_candle)


@pytest.mark.parametrize(("number", "letter"), sorted(FINAL_EQUITY))
def test_golden_run(number: int, letter: str) -> None:
    result = replay(number, letter)
    expected = golden_fills(number, letter)
    for position, (got, want) in enumerate(zip(result.trades.to_dict("records"), expected, strict=False)):
        where = f"fill {position}: got {got}, want {want}"
        assert (got["row"], got["strategy"], got["side"]) == (int(want["row"]), want["strategy"], want["side"]), where
        for name in ("price", "quantity", "fee"):
            assert abs(got[name] - float(want[name])) <= 1e-9, where
    assert len(result.trades) == len(expected)
    assert abs(result.final_balance - FINAL_EQUITY[number, letter]) <= 1e-6


@pytest.mark.parametrize(("number", "letter"), sorted(FINAL_EQUITY))
def test_skipping_candles_changes_no_bit(number: int, letter: str) -> None:
    result = replay(number, letter)
    assert len(result.trades) > 100
    assert result.raw.account["n_events"] < 0.9 * len(result.equity)
    assert skipping_differences(result, replay(number, letter, every_candle=True)) == []
