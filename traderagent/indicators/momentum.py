"""Momentum: how one-sided the recent moves were (RSI), and whether there is a direction at all (ADX).

Source: J. Welles Wilder, New Concepts in Technical Trading Systems (1978).
"""

import numpy as np

from traderagent.base.kernel import kernel
from traderagent.indicators.record import indicator, window


@kernel
def rsi_kernel(values: np.ndarray, n: int) -> np.ndarray:
    """Relative strength index: 100 · gain/(gain + loss) of Wilder's averages."""
    out = np.full(values.size, np.nan)
    changes = -1
    gain = 0.0
    loss = 0.0
    for i in range(values.size):
        if not np.isfinite(values[i]):
            changes = -1
            continue
        changes += 1
        if changes == 0:
            gain = 0.0
            loss = 0.0
            continue
        change = values[i] - values[i - 1]
        if changes <= n:
            gain += max(change, 0.0)
            loss += max(-change, 0.0)
            if changes == n:
                gain /= n
                loss /= n
        else:
            gain = (gain * (n - 1) + max(change, 0.0)) / n
            loss = (loss * (n - 1) + max(-change, 0.0)) / n
        if changes >= n:
            out[i] = 50.0 if gain + loss == 0.0 else 100.0 * (gain / (gain + loss))
    return out


@kernel
def adx_kernel(high: np.ndarray, low: np.ndarray, close: np.ndarray, n: int) -> np.ndarray:
    """Average directional index.

    The true range by which both directional movements are divided cancels in
    DX = 100 · |+DI − −DI| / (+DI + −DI), so it is not computed. Without any movement DX is 0.
    """
    out = np.full(high.size, np.nan)
    moves = -1
    plus = 0.0
    minus = 0.0
    total = 0.0
    average = 0.0
    for i in range(high.size):
        if not (np.isfinite(high[i]) and np.isfinite(low[i]) and np.isfinite(close[i])):
            moves = -1
            continue
        moves += 1
        if moves == 0:
            plus = 0.0
            minus = 0.0
            total = 0.0
            continue
        up = high[i] - high[i - 1]
        down = low[i - 1] - low[i]
        plus_move = up if up > down and up > 0.0 else 0.0
        minus_move = down if down > up and down > 0.0 else 0.0
        if moves <= n:
            plus += plus_move
            minus += minus_move
            if moves == n:
                plus /= n
                minus /= n
        else:
            plus = (plus * (n - 1) + plus_move) / n
            minus = (minus * (n - 1) + minus_move) / n
        if moves < n:
            continue
        both = plus + minus
        direction = 100.0 * (abs(plus - minus) / both) if both > 0.0 else 0.0
        if moves < 2 * n:
            total += direction
            average = total / n
        else:
            average = (average * (n - 1) + direction) / n
        if moves >= 2 * n - 1:
            out[i] = average
    return out


@indicator("close", samples=[{"n": 1}, {"n": 2}, {"n": 14}], warmup=lambda n: n)
def rsi(close: np.ndarray, n: int = 14) -> np.ndarray:
    """Relative strength index after Wilder: 100 after gains only, 0 after losses only, 50 without any change.

    Averages of gains and losses start at the mean of the first n changes, then move by 1/n of the new change.

    Parameters
    ----------
    close : (n_candles,) array or Series of numbers.
    n : changes averaged, 1 or more.

    Returns
    -------
    (n_candles,) float64 in [0, 100], same kind as `close`; NaN on the first n rows, and after a gap
    until n changes have followed it.

    Raises
    ------
    ConfigError : n is not a whole number of 1 or more.
    DataError : not one-dimensional or not numbers.

    Notes
    -----
    TA-Lib answers 0 where there was no change at all; here it is 50.
    """
    return rsi_kernel(close, window(n))


@indicator("high", "low", "close", samples=[{"n": 1}, {"n": 2}, {"n": 14}], warmup=lambda n: 2 * n - 1)
def adx(high: np.ndarray, low: np.ndarray, close: np.ndarray, n: int = 14) -> np.ndarray:
    """Average directional index after Wilder: strength of a trend, whichever its direction.

    Directional movements are averaged like Wilder's (start: mean of the first n); the first ADX is the
    mean of the first n DX, then it moves by 1/n of the new one.

    Parameters
    ----------
    high, low, close : (n_candles,) arrays or Series of numbers. The close only tells gaps: the true
        range cancels out of the formula.
    n : candles averaged, 1 or more.

    Returns
    -------
    (n_candles,) float64 in [0, 100], same kind as the input; NaN on the first 2n − 1 rows, and after a
    gap until 2n candles have followed it.

    Raises
    ------
    ConfigError : n is not a whole number of 1 or more.
    DataError : not one-dimensional, not numbers or of unequal length.

    Notes
    -----
    TA-Lib starts from the sum of n − 1 movements; the difference dies out as (1 − 1/n) a candle.
    """
    return adx_kernel(high, low, close, window(n))
