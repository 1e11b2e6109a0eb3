"""`python -m traderagent.warm`: compile the kernels once, so that the first stage does not seem to hang.

What is compiled is cached on disk and found again by every later process, until a kernel changes.
"""

import sys

from traderagent.engine.backtest import backtest
from traderagent.market.load import load_market


def main() -> int:
    """Run the engine once on a small synthetic market."""
    backtest(load_market("synthetic", symbols=1, days=45, progress=False), progress=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
