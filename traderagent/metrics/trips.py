"""Round trips and cycles: what the closed trades earned, net of their costs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from traderagent.metrics.record import metric, ratio


@metric("1", +1, "Σ gains / |Σ losses| of round trips, net; NaN without a loss")
def profit_factor(t: Mapping[str, Any]) -> Any:
    """Quote earned by winning round trips per quote lost by losing ones."""
    return ratio(t["gross_profit"], np.abs(t["gross_loss"]))


@metric("1", +1, "winning / all round trips; NaN without one")
def win_rate(t: Mapping[str, Any]) -> Any:
    """Fraction of round trips that ended with a net gain, 0 to 1."""
    return ratio(t["winning"], t["round_trips"])


@metric("count", 0, "number of entries from flat to flat, however closed, sales of initial inventory included")
def round_trips(t: Mapping[str, Any]) -> Any:
    """Closed round trips; `min_trades` counts these."""
    return t["round_trips"]


@metric("count", 0, "number of round trips, those of initial inventory left out")
def completed_cycles(t: Mapping[str, Any]) -> Any:
    """Closed cycles of grid cells, deals and positions."""
    return t["completed_cycles"]


@metric("quote", +1, "Σ net profit of completed cycles / completed cycles; NaN without one")
def avg_profit_per_cycle(t: Mapping[str, Any]) -> Any:
    """Mean net profit of a completed cycle."""
    return ratio(t["cycle_pnl"], t["completed_cycles"])


@metric("1", 0, "distinct cells with a fill / cells; NaN without a grid")
def grid_fill_rate(t: Mapping[str, Any]) -> Any:
    """Fraction of the grid's cells that ever traded, 0 to 1."""
    return ratio(t["cells_filled"], t["cells"])
