"""Volatility: how far the price moves in a candle, and how wide it scatters around its mean."""

from typing import Any, NamedTuple

import numpy as np

from traderagent.base.kernel import kernel
from traderagent.indicators.averages import sma_kernel
from traderagent.indicators.record import indicator, positive, window


class Bands(NamedTuple):
    """Bollinger bands: lower, middle (the SMA) and upper, each (n_candles,), in price."""

    lower: Any
    middle: Any
    upper: Any


@kernel
def true_range_kernel(high: np.ndarray, low: np.ndarray, close: np.ndarray) -> np.ndarray:
    """Largest of high − low and the distances of both to the previous close; a first candle has high − low."""
    out = np.full(high.size, np.nan)
    first = True
    for i in range(high.size):
        if not (np.isfinite(high[i]) and np.isfinite(low[i]) and np.isfinite(close[i])):
            first = True
            continue
        out[i] = high[i] - low[i]
        if not first:
            out[i] = max(out[i], abs(high[i] - close[i - 1]), abs(low[i] - close[i - 1]))
        first = False
    return out


@kernel
def atr_kernel(high: np.ndarray, low: np.ndarray, close: np.ndarray, n: int) -> np.ndarray:
    """Mean of the last n true ranges."""
    return sma_kernel(true_range_kernel(high, low, close), n)


@kernel
def deviation_kernel(values: np.ndarray, n: int) -> np.ndarray:
    """Sample standard deviation of the last n values, in two passes over each window.

    Exactly 0 for equal values and never the root of a negative number, which the one-pass form
    (Σx² − n·mean²) gives on prices of 1e5 that move by a tick.
    """
    out = np.full(values.size, np.nan)
    mean = sma_kernel(values, n)
    for i in range(n - 1, values.size):
        if np.isnan(mean[i]):
            continue
        squares = 0.0
        rest = 0.0
        for j in range(i - n + 1, i + 1):
            distance = values[j] - mean[i]
            squares += distance * distance
            rest += distance
        out[i] = np.sqrt(max(squares - rest * rest / n, 0.0) / (n - 1))
    return out


@indicator("high", "low", "close", samples=[{}], warmup=lambda: 0)
def true_range(high: np.ndarray, low: np.ndarray, close: np.ndarray) -> np.ndarray:
    """True range: high − low, widened by the jump from the previous close.

    Parameters
    ----------
    high, low, close : (n_candles,) arrays or Series of numbers.

    Returns
    -------
    (n_candles,) float64 in price, same kind as the input; the first candle, and the first after a gap, has
    high − low; NaN in the gap itself.

    Raises
    ------
    DataError : not one-dimensional, not numbers or of unequal length.
    """
    return true_range_kernel(high, low, close)


@indicator("high", "low", "close", samples=[{"n": 1}, {"n": 2}, {"n": 14}], warmup=lambda n: n - 1)
def atr(high: np.ndarray, low: np.ndarray, close: np.ndarray, n: int = 14) -> np.ndarray:
    """Average true range: the simple mean of the last n true ranges (not Wilder's average).

    Parameters
    ----------
    high, low, close : (n_candles,) arrays or Series of numbers.
    n : candles averaged, 1 or more.

    Returns
    -------
    (n_candles,) float64 in price, same kind as the input; NaN on the first n − 1 rows and while a gap is in
    the window.

    Raises
    ------
    ConfigError : n is not a whole number of 1 or more.
    DataError : not one-dimensional, not numbers or of unequal length.
    """
    return atr_kernel(high, low, close, window(n))


@indicator(
    "close",
    samples=[{"n": 2, "width": 1.0}, {"n": 20, "width": 2.0}],
    outputs=Bands._fields,
    warmup=lambda n, width: n - 1,
)
def bollinger(close: np.ndarray, n: int = 20, width: float = 2.0) -> Bands:
    """Bollinger bands: the SMA and `width` sample standard deviations on both sides.

    Parameters
    ----------
    close : (n_candles,) array or Series of numbers.
    n : candles in the window, 2 or more (a sample deviation of one value is undefined).
    width : distance of the bands in standard deviations, above 0.

    Returns
    -------
    Bands of lower, middle, upper: (n_candles,) float64 in price, same kind as `close`; NaN on the first
    n − 1 rows and while a gap is in the window.

    Raises
    ------
    ConfigError : n below 2 or width not above 0.
    DataError : not one-dimensional or not numbers.

    Notes
    -----
    TA-Lib takes the population deviation: its bands are narrower by √((n − 1)/n).
    """
    n, width = window(n, low=2), positive(width, "width")
    middle, deviation = sma_kernel(close, n), deviation_kernel(close, n)
    return Bands(middle - width * deviation, middle, middle + width * deviation)
