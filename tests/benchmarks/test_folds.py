"""What a candle costs a trial in the folds of a walk-forward, with columns, routes and choices in it."""

import time

import pytest

import traderagent as ta
from tests.benchmarks.measure import synthetic_year, timed

pytestmark = pytest.mark.benchmark(timer=time.process_time, disable_gc=True)
SPACE = {
    "dca_trigger_pct": [0.03, 0.05, 0.07],
    "dca_tp_pct": [0.05, 0.08, 0.10],
    "tf_ema_fast": [10, 15, 20],
    "tf_tp_atr_mult": [1.5, 2.0, 2.5],
    "max_position_size_pct": [0.15, 0.20, 0.25],
}


def test_trials_of_a_walk_forward(benchmark, tmp_path, monkeypatch):
    """Nine folds of 90 and 30 days, 243 points; one thread."""
    monkeypatch.setenv("TRADERAGENT_ROOT", str(tmp_path))
    data = synthetic_year()
    candles = 9 * (90 + 30) * 288 * 243

    def walk(fresh):
        ta.walk_forward(fresh, None, SPACE, workers=1, progress=False)

    def fresh():
        return (data.replace(),), {}  # nothing that an earlier round has made is kept with it

    timed(benchmark, "synthetic year", "trial of a walk-forward, 243 points", candles, walk, setup=fresh, rounds=3)
