"""The worst of every scenario, as the stage `stress` has left it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.judgements import ACCOUNT
from traderagent.base.stored import check_same_candles, stored_frame, stored_record
from traderagent.base.stress_evidence import CELL
from traderagent.robustness.scenarios import SCENARIOS

STAGE = "stress"
WINDOWS = "volatile_window_"  # what the names of volatile windows begin with


@dataclass(frozen=True, eq=False)
class WorstStress:
    """Lowest equity in any scenario, % of what it was less 100, over all samples.

    Attributes
    ----------
    cells : a row a variant (given, chosen, pooled), scenario, symbol and sample with `worst_pct`; None where the stage
        has not run, or has left something out
    record : of the stage: `config`, and what was chosen when it ran
    """

    cells: pd.DataFrame | None = None
    record: Mapping[str, Any] = field(default_factory=dict)

    def given(self, symbol: str) -> float | None:
        """Worst of a symbol as given; None where it was not run, NaN where no scenario fits."""
        return self._worst(symbol, "given")

    def chosen(self, symbol: str, point: Mapping[str, Any] | None) -> float | None:
        """Worst of a symbol with the parameters chosen for it; None where others were chosen when it was shocked."""
        return self._worst(symbol, "chosen") if self.record.get("chosen", {}).get(symbol) == point else None

    def shared(self, config: Mapping[str, Any]) -> float | None:
        """Worst of one account of all symbols; None where another account was shocked, or none."""
        return self._worst(ACCOUNT, "given") if self.record.get("account") == config else None

    def sum_of(self, symbols: Sequence[str], point: Mapping[str, Any] | None = None) -> float | None:
        """Worst of accounts of equal size together, each at its own lowest: as deep as their sum can fall, or deeper.

        Parameters
        ----------
        symbols : one account each
        point : the parameters chosen for all; None: as given

        Returns
        -------
        None where the stage has not run on all symbols with these parameters
        """
        if point is not None and self.record.get("pooled") != point:
            return None
        mine = self._rows(symbols, "given" if point is None else "pooled")
        if mine is None or set(mine["symbol"]) != set(symbols):
            return None
        lowest = mine.groupby(["scenario", "symbol"])["worst_pct"].min()
        return _lowest(lowest.groupby("scenario").mean())  # where a scenario fits some only, the mean of those

    def _worst(self, symbol: str, variant: str) -> float | None:
        mine = self._rows([symbol], variant)
        return None if mine is None else _lowest(mine["worst_pct"])

    def _rows(self, symbols: Sequence[str], variant: str) -> pd.DataFrame | None:
        if self.cells is None:
            return None
        mine = self.cells[self.cells["symbol"].isin(symbols) & (self.cells["variant"] == variant)]
        return None if mine.empty else mine


def is_whole(scenarios: Sequence[str]) -> bool:
    """Whether scenarios are all that there are, volatile windows among them: the worst of fewer is no worst."""
    return set(SCENARIOS) <= set(scenarios) and any(name.startswith(WINDOWS) for name in scenarios)


def load_worst_stress(results: Path, baseline: dict[str, Any]) -> WorstStress:
    """What the stage `stress` wrote below a folder of results; nothing where it has not run whole, in every sample and
    with the config of the stage `baseline`.

    Raises
    ------
    DataError
        For files that are broken or of other candles than the stage `baseline` has run.
    """
    folder = results / STAGE
    if not folder.is_dir():
        return WorstStress()
    record = stored_record(folder / f"{STAGE}.json", STAGE)
    check_same_candles(baseline, STAGE, record)
    cells = stored_frame(folder / "cells.parquet", STAGE, (*CELL, "worst_pct"))
    same = record["config"] == baseline["config"] and set(cells["sample"]) == set(record["samples"])
    return WorstStress(cells, record) if same and is_whole(list(record["scenarios"])) else WorstStress()


def _lowest(values: pd.Series) -> float:
    known = values.dropna()
    return float(np.minimum(known.min(), 0.0)) if len(known) else np.nan
