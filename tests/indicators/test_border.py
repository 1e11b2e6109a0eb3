"""What goes in, what comes out, and what is refused with which words."""

import numpy as np
import pandas as pd
import pytest

import traderagent.indicators as indicators
from tests.causality import candles
from traderagent.base.errors import ConfigError, DataError, UnknownName
from traderagent.indicators import INDICATORS

times = pd.date_range("2024-01-01", periods=40, freq="5min", tz="UTC")


def frame():
    return pd.DataFrame(candles(40), index=times)


def test_series_in_series_out_on_the_same_index():
    f = frame()
    out = indicators.ema(f["close"], 5)
    assert isinstance(out, pd.Series)
    assert out.name == "ema"
    assert out.index.equals(f.index)
    np.testing.assert_array_equal(out, indicators.ema(f["close"].to_numpy(), 5))
    bands = indicators.bollinger(f["close"])
    assert all(isinstance(b, pd.Series) for b in bands)
    assert bands.upper.name == "upper"


def test_arrays_lists_and_integers_give_arrays():
    for values in ([1, 2, 3], np.array([1, 2, 3]), np.array([1, 2, 3], np.float32), np.arange(6.0)[::2]):
        out = indicators.sma(values, 2)
        assert isinstance(out, np.ndarray)
        assert out.dtype == np.float64
        assert out.size == 3


def test_absent_values_are_gaps():
    nullable = pd.Series([1.0, None, 3.0, 5.0], dtype="Float64")
    assert indicators.sma(nullable, 2).tolist()[3] == 4.0
    assert np.isnan(indicators.sma(nullable, 2)[:3]).all()
    masked = np.ma.masked_array([1.0, 9.0, 3.0, 5.0], mask=[0, 1, 0, 0])
    np.testing.assert_array_equal(indicators.sma(masked, 2), [np.nan, np.nan, np.nan, 4.0])


def test_input_is_not_changed_and_output_is_new():
    close = candles(40)["close"]
    before = close.copy()
    out = indicators.sma(close, 1)
    out[:] = 0.0
    np.testing.assert_array_equal(close, before)


def test_fewer_candles_than_the_window_are_all_undefined():
    for name, record in INDICATORS.items():
        for sample in record.samples:
            for n in range(record.warmup(**sample) + 1):
                columns = candles(max(n, 1))
                out = record.function(*(columns[c][:n] for c in record.inputs), **sample)
                for array in out if isinstance(out, tuple) else (out,):
                    np.testing.assert_array_equal(array, np.full(n, np.nan), err_msg=f"{name} {sample} {n}")


@pytest.mark.parametrize("n", [0, -1, 2.0, "14", None, True, np.nan])
def test_a_window_that_is_no_window_is_refused(n):
    for name in ("sma", "ema", "rsi", "rolling_max", "rolling_min", "volume_ratio", "volume_surge"):
        with pytest.raises(ConfigError, match="n must be a whole number of candles, 1 or more; got"):
            INDICATORS[name].function(np.arange(5.0), n)
    for name in ("atr", "adx"):
        with pytest.raises(ConfigError, match="whole number"):
            INDICATORS[name].function(np.arange(5.0), np.arange(5.0), np.arange(5.0), n)


def test_bollinger_refuses_what_has_no_deviation():
    with pytest.raises(ConfigError, match="2 or more; got 1"):
        indicators.bollinger(np.arange(5.0), 1)
    for width in (0, -1.0, np.inf, np.nan, "2", True):
        with pytest.raises(ConfigError, match="width must be a finite number above 0"):
            indicators.bollinger(np.arange(5.0), 2, width)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (["a", "b"], "allowed are integers and floats"),
        (pd.Series(["1", "2"]), "allowed are integers and floats"),
        (pd.Series(times), "allowed are integers and floats"),
        (np.array([True, False]), "allowed are integers and floats"),
        (np.array([1j]), "allowed are integers and floats"),
        (np.array([1.0, None]), "allowed are integers and floats"),
        (np.ones((2, 2)), r"shape \(2, 2\), allowed is one dimension"),
        (5.0, r"shape \(\), allowed is one dimension"),
        (None, "shape"),
        (frame(), "give one column"),
    ],
)
def test_columns_that_are_none_are_refused(bad, words):
    with pytest.raises(DataError, match=words):
        indicators.sma(bad, 2)


def test_unequal_columns_are_refused():
    with pytest.raises(DataError, match=r"unequal length .high 3, low 2, close 3"):
        indicators.atr(np.ones(3), np.ones(2), np.ones(3), 1)
    f = frame()
    with pytest.raises(DataError, match="different indices"):
        indicators.atr(f["high"], f["low"].shift(1, freq="5min"), f["close"])


def test_wrong_arguments_are_refused_with_the_signature():
    with pytest.raises(ConfigError, match=r"ema\(close, n\): missing a required argument: 'n'"):
        indicators.ema(np.ones(3))
    with pytest.raises(ConfigError, match="unexpected keyword argument 'period'"):
        indicators.ema(np.ones(3), 3, period=3)


def test_unknown_names_are_refused():
    with pytest.raises(UnknownName, match="did you mean 'ema'"):
        INDICATORS["emma"]
    with pytest.raises(AttributeError, match="no attribute 'emma'"):
        indicators.emma  # noqa: B018
    assert {
        "sma",
        "ema",
        "rsi",
        "true_range",
        "atr",
        "adx",
        "bollinger",
        "rolling_max",
        "rolling_min",
        "volume_ratio",
    } <= set(dir(indicators))


def test_columns_of_a_frame():
    out = INDICATORS["bollinger"].columns(frame(), n=5, width=2.0)
    assert list(out) == ["lower", "middle", "upper"]
    with pytest.raises(DataError, match="no column high"):
        INDICATORS["atr"].columns(frame().drop(columns="high"), n=5)
