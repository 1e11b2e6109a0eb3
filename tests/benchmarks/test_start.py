"""What a user waits for before the first candle: import, compiling into an empty cache, starting from a full one."""

import json
import os
import subprocess
import sys

import pytest

from tests.benchmarks.measure import say

IMPORT = """
import json, time
start = time.process_time()
import traderagent as ta
print(json.dumps({"import traderagent": time.process_time() - start}))
"""
FIRST_RUN = """
import json, time
start = time.process_time()
import numba
libraries = time.process_time()
import numpy as np, pandas as pd
import traderagent as ta
index = pd.date_range("2024-01-01", periods=1200, freq="5min", tz="UTC", unit="ms", name="open_time")
close = 100 + np.cumsum(np.random.default_rng(0).normal(0, 0.1, 1200))
before = np.append(100, close[:-1])
frame = pd.DataFrame({"open": before, "high": np.maximum(before, close), "low": np.minimum(before, close),
                      "close": close, "volume": 1.0}, index)
config = ta.OrchestratorBacktestConfig()
made = time.process_time()
ta.backtest(ta.MultiTimeframeData.from_base("AUSDT", frame), config, progress=False)
first = time.process_time()
ta.backtest(ta.MultiTimeframeData.from_base("BUSDT", frame), config, progress=False)
again = time.process_time()
print(json.dumps({"first run": first - made, "second run": again - first, "modules": made - libraries,
                  "numba": libraries - start}))
"""


def child(code, cache):
    """What a fresh process prints, with a cache folder of its own."""
    environment = {**os.environ, "TRADERAGENT_CACHE": str(cache), "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def note(what, seconds):
    say("start", f"{what}: {seconds:.3f} s")


def test_import(benchmark, tmp_path):
    found = []
    benchmark.pedantic(lambda: found.append(child(IMPORT, tmp_path)["import traderagent"]), rounds=3)
    note("import traderagent", min(found))


@pytest.mark.filterwarnings("ignore")
def test_cold_and_warm(benchmark, tmp_path):
    """Compiling is what the first run costs more than the second one."""
    cold = child(FIRST_RUN, tmp_path)
    found = []
    benchmark.pedantic(lambda: found.append(child(FIRST_RUN, tmp_path)), rounds=3)
    warm = min(found, key=lambda f: f["first run"])
    note("compile into an empty cache", cold["first run"] - cold["second run"] + cold["modules"] - warm["modules"])
    note("start with a full cache, first run and modules", warm["first run"] + warm["modules"])
    note("import numba alone", warm["numba"])
