"""Values worked out by hand, properties of the definitions, and TA-Lib as an oracle."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.causality import candles
from traderagent.indicators import (
    adx,
    atr,
    bollinger,
    ema,
    rolling_max,
    rolling_min,
    rsi,
    sma,
    true_range,
    volume_ratio,
    volume_surge,
)

NAN = math.nan
prices = st.floats(1e-5, 1e5)


def same(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-13, atol=0)


def test_by_hand():
    same(sma([1.0, 2.0, 6.0, 7.0], 3), [NAN, NAN, 3.0, 5.0])
    same(ema([1.0, 2.0, 6.0, 7.0, 3.0], 3), [NAN, NAN, 3.0, 5.0, 4.0])
    same(rolling_max([3.0, 1.0, 2.0, 2.0, 0.0], 2), [NAN, 3.0, 2.0, 2.0, 2.0])
    same(rolling_min([3.0, 1.0, 2.0, 2.0, 0.0], 2), [NAN, 1.0, 1.0, 2.0, 0.0])
    same(volume_ratio([1.0, 3.0, 5.0], 2), [NAN, 1.5, 1.25])
    same(volume_surge([1.0, 3.0, 5.0], 2), [NAN, NAN, 2.5])


def test_true_range_and_atr_by_hand():
    high, low, close = [10.0, 12.0, 9.0, 8.0], [8.0, 11.0, 7.0, 7.5], [9.0, 11.0, 8.0, 7.75]
    same(true_range(high, low, close), [2.0, 3.0, 4.0, 0.5])
    same(atr(high, low, close, 2), [NAN, 2.5, 3.5, 2.25])


def test_rsi_by_hand():
    # changes +1 −1 +2: first averages 0.5, 0.5; then (0.5+2)/2 = 1.25 and 0.25
    same(rsi([1.0, 2.0, 1.0, 3.0], 2), [NAN, NAN, 50.0, 100 * 1.25 / 1.5])


def test_rsi_of_one_sided_and_flat_windows():
    assert rsi(np.arange(1.0, 31.0), 14)[14:].tolist() == [100.0] * 16
    assert rsi(np.arange(30.0, 0.0, -1.0), 14)[14:].tolist() == [0.0] * 16
    assert rsi(np.full(30, 0.1), 14)[14:].tolist() == [50.0] * 16


def test_adx_by_hand():
    # up 1, up 3, down 2: +DM 1, 3, 0 and −DM 0, 0, 2, so with n = 2 the averages are
    # (2, 0) → DX 100 and ((2+0)/2, (0+2)/2) = (1, 1) → DX 0; ADX is their mean
    high, low = [10.0, 11.0, 14.0, 13.0], [8.0, 9.0, 10.0, 8.0]
    same(adx(high, low, [9.0, 10.0, 11.0, 9.0], 2), [NAN, NAN, NAN, 50.0])


def test_adx_of_one_way_and_flat_markets():
    rising = np.arange(1.0, 61.0)
    assert adx(rising + 1, rising, rising, 14)[27:].tolist() == [100.0] * 33
    assert adx(np.ones(60), np.ones(60), np.ones(60), 14)[27:].tolist() == [0.0] * 33


def test_bollinger_by_hand_has_the_sample_deviation():
    lower, middle, upper = bollinger([1.0, 2.0, 3.0], 3, 2.0)
    assert (lower[2], middle[2], upper[2]) == (0.0, 2.0, 4.0)


@given(prices, st.integers(2, 40))
def test_flat_prices_have_exact_averages_and_no_deviation(price, n):
    flat = np.full(60, price)
    bands = bollinger(flat, n)
    for line in (sma(flat, n), ema(flat, n), *bands):
        assert line[n - 1 :].tolist() == [price] * (61 - n)
    assert volume_ratio(flat, n)[n - 1 :].tolist() == [1.0] * (61 - n)


@given(st.lists(prices, min_size=1, max_size=60), st.integers(1, 20))
def test_windows_equal_exact_arithmetic(values, n):
    out, top, bottom = sma(values, n), rolling_max(values, n), rolling_min(values, n)
    for i in range(n - 1, len(values)):
        part = values[i - n + 1 : i + 1]
        assert abs(out[i] - math.fsum(part) / n) <= 4e-16 * n * max(part)
        assert (top[i], bottom[i]) == (max(part), min(part))


def test_a_spike_leaves_no_trace_after_its_window():
    """A running sum would: 1e5 has rounding of 1e-11, a ten-millionth of the prices after it."""
    values = np.full(60, 1.2345e-5)
    values[10] = 1e5
    assert sma(values, 5)[15:].tolist() == [1.2345e-5] * 45
    assert bollinger(values, 5).upper[15:].tolist() == [1.2345e-5] * 45


def test_deviation_of_a_tick_on_a_large_price():
    """The one-pass formula loses every digit here."""
    values = 1e5 + 1e-8 * 2.0 ** np.arange(-7, 0)  # steps that may round, told from the values themselves
    spread = np.std(values - 1e5, ddof=1)
    lower, _, upper = bollinger(values, 7, 1.0)
    assert upper[-1] - lower[-1] == pytest.approx(2 * spread, abs=2e-11)


def test_nothing_traded_has_no_ratio():
    assert np.isnan(volume_ratio(np.zeros(30), 20)).all()
    assert np.isnan(volume_surge(np.r_[np.zeros(20), 5.0], 20)).all()


@pytest.mark.parametrize("price", [1e-5, 1.0, 1e5])
@pytest.mark.parametrize("seed", range(3))
def test_talib_agrees(price, seed):
    talib = pytest.importorskip("talib")
    c = candles(2_000, seed=seed, price=price)
    high, low, close = c["high"], c["low"], c["close"]

    def near(ours, theirs, start, tolerance=1e-9):
        np.testing.assert_allclose(ours[start:], theirs[start:], rtol=tolerance, atol=0)

    scaled = 1.0 / price  # TA-Lib takes differences below 1e-14 for none
    high, low, close = high * scaled, low * scaled, close * scaled
    near(sma(close, 20), talib.SMA(close, 20), 19)
    near(ema(close, 20), talib.EMA(close, 20), 19)
    near(rsi(close, 14), talib.RSI(close, 14), 14)
    near(true_range(high, low, close), talib.TRANGE(high, low, close), 1)
    ranges = np.r_[high[0] - low[0], talib.TRANGE(high, low, close)[1:]]
    near(atr(high, low, close, 14), talib.SMA(ranges, 14), 13)
    near(adx(high, low, close, 14), talib.ADX(high, low, close, 14), 600)
    near(rolling_max(high, 50), talib.MAX(high, 50), 49)
    near(rolling_min(low, 50), talib.MIN(low, 50), 49)
    near(volume_ratio(c["volume"], 20), c["volume"] / talib.SMA(c["volume"], 20), 19)
    upper, middle, lower = talib.BBANDS(close, 20, 2.0, 2.0)
    ours = bollinger(close, 20, 2.0)
    near(ours.middle, middle, 19)
    near(ours.upper - ours.middle, (upper - middle) * math.sqrt(20 / 19), 19, 1e-6)
    near(ours.middle - ours.lower, (middle - lower) * math.sqrt(20 / 19), 19, 1e-6)


@pytest.mark.parametrize("factor", [1e-5, 2.0**-17, 1e5])
def test_the_unit_of_the_price_does_not_matter(factor):
    c = candles(400, seed=9)
    scaled = {k: v * factor for k, v in c.items()}
    np.testing.assert_allclose(rsi(scaled["close"]), rsi(c["close"]), rtol=1e-8)
    np.testing.assert_allclose(
        adx(scaled["high"], scaled["low"], scaled["close"]), adx(c["high"], c["low"], c["close"]), rtol=1e-8
    )
    np.testing.assert_allclose(
        atr(scaled["high"], scaled["low"], scaled["close"]), atr(c["high"], c["low"], c["close"]) * factor, rtol=1e-9
    )
