"""What a regime detector is, and the registry that finds the detectors in this folder."""

from typing import Protocol

import pandas as pd
import xarray as xr

from traderagent.base.registry import Registry


class Detector(Protocol):
    """Labels closed H1 candles, each from itself and earlier ones only.

    `history(h1)` gives one row per candle with at least the variables `regime` and
    `recommended_strategy` (int8 codes of `REGIMES` and `RECOMMENDATIONS`).
    """

    def history(self, h1: pd.DataFrame) -> xr.Dataset:
        """All candles at once."""
        ...


DETECTORS: Registry[type[Detector]] = Registry("detector", "traderagent.routing")
