"""Benchmarks run only when asked for (`make bench`), and end in one table."""

import os
import platform
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from tests.benchmarks.measure import ROWS, YEAR, yardstick

WARM = """
import traderagent as ta
market = ta.load_market("synthetic", symbols=2, days=30, seed=7, progress=False)
config = ta.OrchestratorBacktestConfig(enable_smc=True)
ta.backtest(market, config, progress=False)
ta.portfolio(market, ta.PortfolioBacktestConfig(), progress=False)
ta.sweep(market, config, {"grid_num_levels": [5, 10]}, progress=False)
"""


@pytest.fixture(scope="session", autouse=True)
def warm(tmp_path_factory):
    """Compile in another process: kernels that are loaded from the cache lie side by side, as users find them.

    What is searched there is no search of the project's ledger.
    """
    elsewhere = os.environ | {"TRADERAGENT_ROOT": str(tmp_path_factory.mktemp("warm"))}
    subprocess.run([sys.executable, "-c", WARM], check=True, capture_output=True, env=elsewhere)


def pytest_collection_modifyitems(config, items):
    """They are no tests: without --benchmark-only they are left out."""
    if not config.getoption("benchmark_only"):
        mine = [item for item in items if "tests/benchmarks" in item.path.as_posix()]
        config.hook.pytest_deselected(items=mine)
        items[:] = [item for item in items if item not in mine]


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter):
    """The table, and what it was measured with."""
    if not ROWS:
        return
    table = pd.DataFrame(ROWS)
    text = {
        "ns per candle": "{:,.2f}",
        "× yardstick": "{:,.1f}",
        "peer": "{:,.1f}",
        "peer / ours": "{:,.1f}",
        "events": "{:.1%}",
        "fills": "{:.1%}",
        "ns per event": "{:,.0f}",
    }
    shown = {c: [t.format(v) if np.isfinite(v) else "" for v in table[c]] for c, t in text.items()}
    write = terminalreporter.write_line
    terminalreporter.section("speed: CPU time of one core, the least of several rounds")
    for line in table.assign(**shown).to_string(index=False).splitlines():
        write(line)
    write(
        f"yardstick: reading open, high, low and close of {YEAR:,} candles once, {yardstick():.2f} ns a candle now; "
        f"Python {platform.python_version()}, {time.get_clock_info('process_time').implementation}"
    )
