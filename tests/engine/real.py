"""Real candles for the tests of the engine, where they are at hand."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from traderagent.market.candles import Market
from traderagent.market.load import load_market

FOLDER = Path(os.environ.get("TRADERAGENT_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "candles"
needs_candles = pytest.mark.skipif(
    not (FOLDER / "manifest.csv").is_file(),
    reason=f"no real candles at {FOLDER}: set TRADERAGENT_SHARED to the folder that holds candles/manifest.csv",
)


@cache
def real(year: str, *symbols: str) -> Market:
    """Candles of a year's folder; all its symbols where none is named."""
    return load_market(FOLDER / year, symbols=list(symbols) or None, progress=False)
