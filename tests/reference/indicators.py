"""Indicators as plain Python lists: one value per candle, NaN before there are enough candles."""

from __future__ import annotations

import math

NAN = float("nan")


def sma(values: list[float], length: int) -> list[float]:
    """Mean of the last `length` values; NaN where one of them is NaN."""
    result = []
    for index in range(len(values)):
        if index + 1 < length:
            result.append(NAN)
        else:
            result.append(sum(values[index + 1 - length : index + 1]) / length)
    return result


def ema(values: list[float], length: int) -> list[float]:
    """Alpha 2/(length+1), starting at the mean of the first `length` values."""
    result = [NAN] * len(values)
    if len(values) < length:
        return result
    alpha = 2.0 / (length + 1)
    average = sum(values[:length]) / length
    result[length - 1] = average
    for index in range(length, len(values)):
        average = alpha * values[index] + (1.0 - alpha) * average
        result[index] = average
    return result


def rsi(close: list[float], length: int) -> list[float]:
    """Wilder's: averages start at the mean of the first `length` changes."""
    result = [NAN] * len(close)
    if len(close) <= length:
        return result
    gains = [max(close[i] - close[i - 1], 0.0) for i in range(1, len(close))]
    losses = [max(close[i - 1] - close[i], 0.0) for i in range(1, len(close))]
    average_gain = sum(gains[:length]) / length
    average_loss = sum(losses[:length]) / length
    result[length] = rsi_of(average_gain, average_loss)
    for index in range(length + 1, len(close)):
        average_gain = (average_gain * (length - 1) + gains[index - 1]) / length
        average_loss = (average_loss * (length - 1) + losses[index - 1]) / length
        result[index] = rsi_of(average_gain, average_loss)
    return result


def rsi_of(average_gain: float, average_loss: float) -> float:
    """100 without losses, 50 with neither gains nor losses."""
    if average_loss == 0.0:
        return 50.0 if average_gain == 0.0 else 100.0
    return 100.0 - 100.0 / (1.0 + average_gain / average_loss)


def true_range(high: list[float], low: list[float], close: list[float]) -> list[float]:
    """The first one is high - low."""
    result = []
    for index in range(len(close)):
        spread = high[index] - low[index]
        if index > 0:
            before = close[index - 1]
            spread = max(spread, abs(high[index] - before), abs(low[index] - before))
        result.append(spread)
    return result


def atr(high: list[float], low: list[float], close: list[float], length: int) -> list[float]:
    """Simple mean of the true range."""
    return sma(true_range(high, low, close), length)


def adx(high: list[float], low: list[float], close: list[float], length: int) -> list[float]:
    """Wilder's book: sums start over candles 1 to `length`, the ADX is a mean of `length` DX first."""
    result = [NAN] * len(close)
    plus, minus = directional_movement(high, low)
    ranges = true_range(high, low, close)
    strengths = []
    plus_sum = minus_sum = range_sum = 0.0
    average = NAN
    for index in range(1, len(close)):
        if index > length:
            plus_sum -= plus_sum / length
            minus_sum -= minus_sum / length
            range_sum -= range_sum / length
        plus_sum += plus[index]
        minus_sum += minus[index]
        range_sum += ranges[index]
        if index < length:
            continue
        strengths.append(directional_index(plus_sum, minus_sum, range_sum))
        if len(strengths) == length:
            average = sum(strengths) / length
        elif len(strengths) > length:
            average = (average * (length - 1) + strengths[-1]) / length
        result[index] = average
    return result


def directional_movement(high: list[float], low: list[float]) -> tuple[list[float], list[float]]:
    plus, minus = [0.0], [0.0]
    for index in range(1, len(high)):
        up = high[index] - high[index - 1]
        down = low[index - 1] - low[index]
        plus.append(up if up > down and up > 0.0 else 0.0)
        minus.append(down if down > up and down > 0.0 else 0.0)
    return plus, minus


def directional_index(plus_sum: float, minus_sum: float, range_sum: float) -> float:
    """0 where nothing moved."""
    if range_sum == 0.0 or plus_sum + minus_sum == 0.0:
        return 0.0
    plus = 100.0 * plus_sum / range_sum
    minus = 100.0 * minus_sum / range_sum
    return 100.0 * abs(plus - minus) / (plus + minus)


def bollinger(values: list[float], length: int, width: float) -> tuple[list[float], list[float], list[float]]:
    """Lower, middle and upper band; sample standard deviation (n - 1)."""
    lower, upper = [], []
    middle = sma(values, length)
    for index, mean in enumerate(middle):
        if math.isnan(mean):
            lower.append(NAN)
            upper.append(NAN)
            continue
        window = values[index + 1 - length : index + 1]
        deviation = math.sqrt(sum((value - mean) ** 2 for value in window) / (length - 1))
        lower.append(mean - width * deviation)
        upper.append(mean + width * deviation)
    return lower, middle, upper


def rolling_max(values: list[float], length: int) -> list[float]:
    """Highest of the last `length` values, the present one included."""
    return [max(values[index + 1 - length : index + 1]) if index + 1 >= length else NAN for index in range(len(values))]


def previous_max(values: list[float], length: int) -> list[float]:
    """Highest of the `length` values before the present one."""
    return [max(values[index - length : index]) if index >= length else NAN for index in range(len(values))]


def volume_ratio(volume: list[float], length: int) -> list[float]:
    """Volume over its mean of the last `length`, the present one included; NaN where the mean is 0."""
    return [ratio(value, mean) for value, mean in zip(volume, sma(volume, length), strict=True)]


def volume_ratio_previous(volume: list[float], length: int) -> list[float]:
    """Volume over the mean of the `length` before it."""
    result = []
    for index, value in enumerate(volume):
        mean = sum(volume[index - length : index]) / length if index >= length else NAN
        result.append(ratio(value, mean))
    return result


def ratio(value: float, mean: float) -> float:
    return value / mean if mean > 0.0 else NAN
