"""Moving averages: where the price has been, smoothed; late by construction, useless in ranges."""

import numpy as np

from traderagent.base.kernel import kernel
from traderagent.indicators.record import indicator, window

_TILE = 1024
"""Rows summed side by side: they fit the first cache and give the processor independent additions."""


@kernel
def sma_kernel(values: np.ndarray, n: int) -> np.ndarray:
    """Mean of the last n values.

    Every window is summed afresh, oldest value first, as distances from its oldest value. A running
    sum would carry the rounding of all earlier windows along (after a candle of 1e5, a mean of 1e-5
    is noise); this way a value depends on its own window only, and the mean of equal values
    is exactly that value.
    """
    size = values.size
    out = np.full(size, np.nan)
    for start in range(n - 1, size, _TILE):
        rows = min(_TILE, size - start)
        total = np.zeros(rows)
        oldest = values[start - n + 1 : start - n + 1 + rows]
        for k in range(1, n):
            newer = values[start - n + 1 + k : start - n + 1 + k + rows]
            for i in range(rows):
                total[i] += newer[i] - oldest[i]
        for i in range(rows):
            mean = oldest[i] + total[i] / n
            if np.isfinite(mean):
                out[start + i] = mean
    return out


@kernel
def ema_kernel(values: np.ndarray, n: int) -> np.ndarray:
    """Exponential average, alpha 2/(n+1), seeded by the mean of the first n values since the last gap."""
    out = np.full(values.size, np.nan)
    alpha = 2.0 / (n + 1)
    count = 0
    first = 0.0
    total = 0.0
    average = 0.0
    for i in range(values.size):
        value = values[i]
        if not np.isfinite(value):
            count = 0
            continue
        count += 1
        if count == 1:
            first = value
            total = 0.0
        if count <= n:
            total += value - first
            average = first + total / n
        else:
            average += alpha * (value - average)
        if count >= n:
            out[i] = average
    return out


@indicator("close", samples=[{"n": 1}, {"n": 2}, {"n": 20}], warmup=lambda n: n - 1)
def sma(close: np.ndarray, n: int) -> np.ndarray:
    """Simple moving average: the mean of the last n values.

    Parameters
    ----------
    close : (n_candles,) array or Series of numbers; any column will do.
    n : candles in the window, 1 or more.

    Returns
    -------
    (n_candles,) float64, same kind as `close`; NaN on the first n − 1 rows and while a gap is in the window.

    Raises
    ------
    ConfigError : n is not a whole number of 1 or more.
    DataError : not one-dimensional or not numbers.
    """
    return sma_kernel(close, window(n))


@indicator("close", samples=[{"n": 1}, {"n": 2}, {"n": 20}], warmup=lambda n: n - 1)
def ema(close: np.ndarray, n: int) -> np.ndarray:
    """Exponential moving average, alpha 2/(n + 1), starting at the SMA of its first n values.

    Parameters
    ----------
    close : (n_candles,) array or Series of numbers; any column will do.
    n : span in candles, 1 or more.

    Returns
    -------
    (n_candles,) float64, same kind as `close`; NaN on the first n − 1 rows, and after a gap until n
    values have followed it.

    Raises
    ------
    ConfigError : n is not a whole number of 1 or more.
    DataError : not one-dimensional or not numbers.
    """
    return ema_kernel(close, window(n))
