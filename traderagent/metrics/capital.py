"""Capital: how much of it worked, what it cost, and whether holding the coin would have done better."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from traderagent.metrics.record import metric, ratio
from traderagent.metrics.returns import total_return_pct


@metric("1", 0, "mean over candles of (inventory at cost, or its margin, + reserved cash) / initial")
def capital_efficiency(t: Mapping[str, Any]) -> Any:
    """Mean share of the initial capital that was in inventory or reserved for orders."""
    return ratio(ratio(t["deployed_sum"], t["n_candles"]), t["initial"])


@metric("1", 0, "mean over hourly samples of |inventory| · close / equity")
def exposure(t: Mapping[str, Any]) -> Any:
    """Mean share of the equity that moved with the price."""
    return ratio(t["exposure_sum"], t["n_exposure"])


@metric("1", 0, "Σ fill notional / initial")
def turnover(t: Mapping[str, Any]) -> Any:
    """How many times the initial capital was traded."""
    return ratio(t["turnover_notional"], t["initial"])


@metric("quote", -1, "Σ fees of all fills")
def fees_paid(t: Mapping[str, Any]) -> Any:
    """Fees of all fills."""
    return t["fees"]


@metric("quote", -1, "Σ rate · inventory · close over the funding times")
def funding_paid(t: Mapping[str, Any]) -> Any:
    """Funding paid less received; 0 on a spot account."""
    return t["funding"]


@metric("%", +1, "(final − initial) / largest (inventory at cost + reserved cash) · 100; NaN if nothing was in use")
def return_on_deployed_pct(t: Mapping[str, Any]) -> Any:
    """Gain over the largest capital that was ever in use at once."""
    return ratio(t["final"] - t["initial"], t["max_deployed"]) * 100.0


@metric("quote", -1, "−min over closes of the unrealised PnL of all books, 0 if it was never negative")
def largest_floating_loss(t: Mapping[str, Any]) -> Any:
    """Worst unrealised loss that was open at a close."""
    return -np.minimum(t["worst_floating"], 0.0) + 0.0


@metric("percentage points", +1, "total_return_pct − hold_return · 100")
def alpha_over_hold(t: Mapping[str, Any]) -> Any:
    """Total return minus that of buying with everything at the first traded open, with costs."""
    return total_return_pct(t) - t["hold_return"] * 100.0


@metric("percentage points", +1, "total_return_pct − same_exposure_hold_return · 100")
def alpha_over_same_exposure_hold(t: Mapping[str, Any]) -> Any:
    """Total return minus that of holding the run's own mean exposure from the first traded open, with costs."""
    return total_return_pct(t) - t["same_exposure_hold_return"] * 100.0
