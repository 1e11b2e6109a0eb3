"""The reference twin replays the golden runs: every fill, in order, and the final equity."""

from __future__ import annotations

import csv
import datetime
import os
from functools import cache
from pathlib import Path

import pytest

from tests.reference import run

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = Path(os.environ.get("TRADERAGENT_SHARED", ROOT.parent / "shared")) / "golden"
FIVE_MINUTES = 300_000
WARMUP = 800
ALL = {"grid", "dca", "trend_follower"}
PHASES = ({"grid"}, {"dca", "trend_follower"}, set(), ALL)
FINAL_EQUITY = {
    (1, "A"): 9798.831238,
    (1, "B"): 9838.581557,
    (1, "C"): 9822.829872,
    (2, "A"): 9417.035683,
    (2, "B"): 9415.040246,
    (2, "C"): 9428.640732,
    (3, "A"): 9106.686245,
    (3, "B"): 9338.727862,
    (3, "C"): 9831.764403,
    (4, "A"): 9997.171277,
    (4, "B"): 10193.541228,
    (4, "C"): 9952.372604,
    (5, "A"): 8873.106022,
    (5, "B"): 9010.372962,
    (5, "C"): 8946.821075,
}
STRATEGIES = {
    "grid": {"num_levels": 10, "profit_per_grid": 0.006},
    "dca": {"trigger_pct": 0.03, "volume_scale": 1.2, "tp_pct": 0.02},
    "trend_follower": {"volume_ratio": 0, "tp_atr_mult": 2.0},
}

pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"no golden runs at {GOLDEN}; set TRADERAGENT_SHARED")


@cache
def market(number: int) -> dict:
    with open(GOLDEN / f"market_{number}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    candles: dict = {name: [float(row[name]) for row in rows] for name in ("open", "high", "low", "close", "volume")}
    times = [datetime.datetime.fromisoformat(row["open_time"]) for row in rows]
    candles["open_time"] = [round(time.timestamp() * 1000) for time in times]
    return candles


def golden_fills(number: int, letter: str) -> list[dict]:
    with open(GOLDEN / f"fills_{number}_{letter}.csv", newline="") as file:
        return list(csv.DictReader(file))


def replay(number: int, letter: str):
    candles = market(number)
    rows = range(len(candles["open_time"]))
    return run(
        candles,
        duration_ms=FIVE_MINUTES,
        route=[PHASES[row // 150 % 4] if letter == "B" else ALL for row in rows],
        warmup=WARMUP,
        strategies=STRATEGIES,
        tick=0.01,
        step=0.0001,
        min_notional=5.0,
        max_daily_loss_pct=0.01 if letter == "C" else 0.05,
    )


@pytest.mark.parametrize(("number", "letter"), sorted(FINAL_EQUITY))
def test_golden_run(number: int, letter: str) -> None:
    result = replay(number, letter)
    expected = golden_fills(number, letter)
    for position, (got, want) in enumerate(zip(result.fills, expected, strict=False)):
        where = f"fill {position}: got {got}, want {want}"
        assert (got["row"], got["strategy"], got["side"]) == (int(want["row"]), want["strategy"], want["side"]), where
        for name in ("price", "quantity", "fee"):
            assert abs(got[name] - float(want[name])) <= 1e-9, where
    assert len(result.fills) == len(expected)
    assert abs(result.final_equity - FINAL_EQUITY[number, letter]) <= 1e-6
