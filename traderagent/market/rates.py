"""Funding rates of a perpetual as they come with its candles."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import DataError
from traderagent.base.hashing import hash_frame


def rates_of(funding: Any, symbol: str) -> pd.Series | None:
    """Rates by time; a later write into the caller's series changes nothing here. The engine checks what they say."""
    if isinstance(funding, Mapping):
        funding = pd.Series(funding)
    if funding is None or isinstance(funding, pd.Series):
        return None if funding is None else funding.copy(deep=False)
    raise DataError(
        f"{symbol} funding: got {type(funding).__name__}, allowed is a Series of rates indexed by times in UTC; one "
        "rate for all times is funding_rate in the config"
    )


def hash_of_rates(funding: pd.Series) -> str:
    """Hash of times and rates, whatever kind of numbers holds them."""
    return hash_frame(pd.to_numeric(funding, errors="coerce").astype(np.float64).to_frame("rate"))
