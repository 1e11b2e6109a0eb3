"""Rolling extremes: the highest and lowest of the last n values, for breakouts and pullbacks."""

import numpy as np

from traderagent.base.kernel import kernel
from traderagent.indicators.record import indicator, window


@kernel
def rolling_max_kernel(values: np.ndarray, n: int) -> np.ndarray:
    """Highest of the last n values in one walk: rows that a later, higher one made irrelevant are dropped."""
    out = np.full(values.size, np.nan)
    queue = np.empty(values.size, np.int64)
    head = 0
    tail = 0
    count = 0
    for i in range(values.size):
        if not np.isfinite(values[i]):
            head = tail = count = 0
            continue
        count += 1
        while tail > head and values[queue[tail - 1]] <= values[i]:
            tail -= 1
        queue[tail] = i
        tail += 1
        if queue[head] <= i - n:
            head += 1
        if count >= n:
            out[i] = values[queue[head]]
    return out


@kernel
def rolling_min_kernel(values: np.ndarray, n: int) -> np.ndarray:
    """Lowest of the last n values."""
    return -rolling_max_kernel(-values, n)


@indicator("high", samples=[{"n": 1}, {"n": 2}, {"n": 50}], warmup=lambda n: n - 1)
def rolling_max(high: np.ndarray, n: int) -> np.ndarray:
    """Highest of the last n values, the present one included.

    Parameters
    ----------
    high : (n_candles,) array or Series of numbers; any column will do.
    n : candles in the window, 1 or more.

    Returns
    -------
    (n_candles,) float64, same kind as `high`; NaN on the first n − 1 rows and while a gap is in the window.

    Raises
    ------
    ConfigError : n is not a whole number of 1 or more.
    DataError : not one-dimensional or not numbers.
    """
    return rolling_max_kernel(high, window(n))


@indicator("low", samples=[{"n": 1}, {"n": 2}, {"n": 50}], warmup=lambda n: n - 1)
def rolling_min(low: np.ndarray, n: int) -> np.ndarray:
    """Lowest of the last n values, the present one included.

    Parameters
    ----------
    low : (n_candles,) array or Series of numbers; any column will do.
    n : candles in the window, 1 or more.

    Returns
    -------
    (n_candles,) float64, same kind as `low`; NaN on the first n − 1 rows and while a gap is in the window.

    Raises
    ------
    ConfigError : n is not a whole number of 1 or more.
    DataError : not one-dimensional or not numbers.
    """
    return rolling_min_kernel(low, window(n))
