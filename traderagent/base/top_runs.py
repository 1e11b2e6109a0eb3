"""Equity of a search's best points, run again candle by candle: what is drawn of them."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, eq=False)
class TopRuns:
    """Curves of the best points of a search, in and out of sample, against holding.

    Attributes
    ----------
    curves : hourly, index `time` (UTC); a column a rank ("1" is the best), `hold` and `same_exposure_hold` (of rank
        1), all in % of the balance at the start of their part, and `sample`
    points : rank → parameters
    symbol : whose choice it is; `pooled` are the sums of independent accounts, one a symbol
    synthetic : whether any candles are synthetic
    why : why there are no curves; empty where there are
    """

    curves: pd.DataFrame
    points: pd.DataFrame
    symbol: str
    synthetic: bool
    why: str = ""

    def __repr__(self) -> str:
        label = "SYNTHETIC " if self.synthetic else ""
        return f"<{label}best {len(self.points)} points of {self.symbol}, run again>\n{self.points.to_string()}"
