"""Volume: whether a move was traded by many or by few."""

import numpy as np

from traderagent.base.kernel import kernel
from traderagent.indicators.averages import sma_kernel
from traderagent.indicators.record import indicator, window


@kernel
def volume_ratio_kernel(volume: np.ndarray, n: int) -> np.ndarray:
    """Volume over the mean of the last n, its own included."""
    out = np.full(volume.size, np.nan)
    mean = sma_kernel(volume, n)
    for i in range(volume.size):
        if mean[i] > 0.0:
            out[i] = volume[i] / mean[i]
    return out


@kernel
def volume_surge_kernel(volume: np.ndarray, n: int) -> np.ndarray:
    """Volume over the mean of the n before it."""
    out = np.full(volume.size, np.nan)
    mean = sma_kernel(volume, n)
    for i in range(1, volume.size):
        if mean[i - 1] > 0.0 and np.isfinite(volume[i]):
            out[i] = volume[i] / mean[i - 1]
    return out


@indicator("volume", samples=[{"n": 1}, {"n": 2}, {"n": 20}], warmup=lambda n: n - 1)
def volume_ratio(volume: np.ndarray, n: int = 20) -> np.ndarray:
    """Volume divided by its own simple moving average, the present candle included.

    Parameters
    ----------
    volume : (n_candles,) array or Series of numbers of 0 or more.
    n : candles in the window, 1 or more.

    Returns
    -------
    (n_candles,) float64 in [0, n], same kind as `volume`; NaN on the first n − 1 rows, while a gap is in the
    window, and where nothing was traded in the whole window.

    Raises
    ------
    ConfigError : n is not a whole number of 1 or more.
    DataError : not one-dimensional or not numbers.
    """
    return volume_ratio_kernel(volume, window(n))


@indicator("volume", samples=[{"n": 1}, {"n": 2}, {"n": 20}], warmup=lambda n: n)
def volume_surge(volume: np.ndarray, n: int = 20) -> np.ndarray:
    """Volume divided by the mean of the n candles before it, the present candle excluded.

    Parameters
    ----------
    volume : (n_candles,) array or Series of numbers of 0 or more.
    n : earlier candles averaged, 1 or more.

    Returns
    -------
    (n_candles,) float64 of 0 or more, same kind as `volume`; NaN on the first n rows, while a gap is among
    the n earlier candles or in its own, and where nothing was traded in them.

    Raises
    ------
    ConfigError : n is not a whole number of 1 or more.
    DataError : not one-dimensional or not numbers.
    """
    return volume_surge_kernel(volume, window(n))
