"""Hourly candles for the tests of this folder."""

import numpy as np
import pandas as pd

from tests.causality import candles


def hourly(n: int, seed: int = 0, **options) -> pd.DataFrame:
    """Valid random hourly candles."""
    index = pd.date_range("2024-01-01", periods=n, freq="1h", tz="UTC", name="open_time").as_unit("ms")
    return pd.DataFrame(candles(n, seed, **options), index=index)


def line(close: np.ndarray, spread: float = 0.001) -> pd.DataFrame:
    """Hourly candles along a given line of closes, high and low at a fixed relative distance."""
    close = np.asarray(close, float)
    start = np.r_[close[0], close[:-1]]
    index = pd.date_range("2024-01-01", periods=close.size, freq="1h", tz="UTC", name="open_time").as_unit("ms")
    return pd.DataFrame(
        {
            "open": start,
            "high": np.maximum(start, close) * (1 + spread),
            "low": np.minimum(start, close) * (1 - spread),
            "close": close,
            "volume": np.full(close.size, 10.0),
        },
        index=index,
    )
