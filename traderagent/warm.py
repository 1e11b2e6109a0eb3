"""`python -m traderagent.warm`: compile the kernels once, so that the first stage does not seem to hang.

What is compiled is cached on disk and found again by every later process, until a kernel changes.
"""

import os
import sys
from tempfile import TemporaryDirectory

from traderagent.account.portfolio import portfolio
from traderagent.engine.backtest import backtest
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.market.load import load_market
from traderagent.research.optimise import optimize_orchestrator

SPACE = {"dca_tp_pct": [0.05, 0.08], "tf_ema_fast": [10, 20]}


def main() -> int:
    """Run every built-in strategy on a small synthetic market: alone, on an account, and in a search that is judged."""
    market = load_market("synthetic", symbols=1, days=45, progress=False)
    backtest(market, OrchestratorBacktestConfig(enable_smc=True), progress=False)
    portfolio(market, progress=False)
    with TemporaryDirectory() as elsewhere:
        os.environ["TRADERAGENT_ROOT"] = elsewhere  # what is compiled here is no search of the project's ledger
        len(optimize_orchestrator(market, space=SPACE, progress=False).searches)
    return 0


if __name__ == "__main__":
    sys.exit(main())
