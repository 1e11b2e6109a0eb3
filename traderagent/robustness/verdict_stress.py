"""The worst of every scenario, as the stage `stress` has left it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.stored import check_same_candles, stored_frame, stored_record

STAGE = "stress"


@dataclass(frozen=True, eq=False)
class WorstStress:
    """Lowest equity in any scenario, % of what it was less 100, over all samples.

    Attributes
    ----------
    cells : a row a variant (given, chosen, pooled), scenario, symbol and sample with `worst_pct`; None where the stage
        has not run
    """

    cells: pd.DataFrame | None = None

    def of(self, symbol: str, variant: str) -> float | None:
        """Worst of a symbol; None where it was not run, NaN where no scenario fits."""
        mine = self._rows([symbol], variant)
        return None if mine is None else _lowest(mine["worst_pct"])

    def account(self, symbols: Sequence[str], variant: str) -> float | None:
        """Worst of accounts of equal size together, each at its own lowest: as deep as their sum can fall, or deeper.

        None where the stage has not run, or not on all symbols.
        """
        mine = self._rows(list(symbols), variant)
        if mine is None or set(mine["symbol"]) != set(symbols):
            return None
        lowest = mine.groupby(["scenario", "symbol"])["worst_pct"].min()
        return _lowest(lowest.groupby("scenario").mean())  # where a scenario fits some only, the mean of those

    def _rows(self, symbols: list[str], variant: str) -> pd.DataFrame | None:
        if self.cells is None:
            return None
        mine = self.cells[self.cells["symbol"].isin(symbols) & (self.cells["variant"] == variant)]
        return None if mine.empty else mine


def load_worst_stress(results: Path, baseline: dict[str, Any]) -> WorstStress:
    """What the stage `stress` wrote below a folder of results; nothing where it has not run.

    Raises
    ------
    DataError
        For files that are broken or of other candles than the stage `baseline` has run.
    """
    folder = results / STAGE
    if not folder.is_dir():
        return WorstStress()
    check_same_candles(baseline, STAGE, stored_record(folder / f"{STAGE}.json", STAGE))
    return WorstStress(stored_frame(folder / "cells.parquet", STAGE))


def _lowest(values: pd.Series) -> float:
    known = values.dropna()
    return float(np.minimum(known.min(), 0.0)) if len(known) else np.nan
