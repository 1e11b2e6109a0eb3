"""What a synthetic market hides beside its candles."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Planted:
    """What a synthetic market hides, so that the lab can be graded.

    Attributes
    ----------
    edge : "mean_reversion", "trend" or "none"
    cluster : cluster of spec "grid lab" that the symbol was built for
    regime : (n,) categorical Series by open time: range, bull, bear, volatile
    parameters : numbers the candles were made with
    """

    edge: str
    cluster: str
    regime: pd.Series
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_edge(self) -> bool:
        """Whether there is anything to find beside luck."""
        return self.edge != "none"

    def slice(self, start: pd.Timestamp, end: pd.Timestamp) -> "Planted":
        """The same for candles with start <= open time < end."""
        keep = (self.regime.index >= start) & (self.regime.index < end)
        return replace(self, regime=self.regime[keep])
