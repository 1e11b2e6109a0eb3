"""Frames: the same as the plain twin, and never visible before their whole span has passed."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.conftest import MINUTE, START, make_candles
from tests.reference import frames as reference
from traderagent.base.errors import ConfigError, DataError, UnknownName
from traderagent.market.frames import COLUMNS, TIMEFRAMES, candle_frame, last_closed, milliseconds, on_base, resample

BASES = [t for t in TIMEFRAMES if TIMEFRAMES["1m"] <= TIMEFRAMES[t] <= TIMEFRAMES["1h"]]


@st.composite
def markets(draw):
    """Base candles with gaps that start anywhere in an hour, and a frame at least as long."""
    base = draw(st.sampled_from(BASES))
    longer = [t for t in TIMEFRAMES if TIMEFRAMES[t] >= TIMEFRAMES[base] and TIMEFRAMES[t] % TIMEFRAMES[base] == 0]
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 1, 1, 2, 7, 400]), min_size=1, max_size=120))
    first = START // TIMEFRAMES[base] + draw(st.integers(0, 300))
    time = (first + np.cumsum(steps)) * TIMEFRAMES[base]
    frame = make_candles(len(time), seed=draw(st.integers(0, 50)))
    return base, draw(st.sampled_from(longer)), candle_frame(time, frame.to_numpy())


def plain(frame):
    return {"open_time": milliseconds(frame.index).tolist(), **{c: frame[c].tolist() for c in COLUMNS}}


@given(markets())
@settings(max_examples=150, deadline=None)
def test_frames_are_those_of_the_twin(market):
    _, timeframe, frame = market
    got = resample(frame, timeframe)
    expected = reference.resample(plain(frame), TIMEFRAMES[timeframe])
    assert milliseconds(got.index).tolist() == expected["open_time"]
    for column in COLUMNS[:4]:
        assert got[column].tolist() == expected[column]
    np.testing.assert_allclose(got["volume"], expected["volume"], rtol=1e-13)


@given(markets())
@settings(max_examples=150, deadline=None)
def test_a_frame_candle_is_visible_iff_its_span_has_passed(market):
    base, timeframe, frame = market
    higher = resample(frame, timeframe)
    time, frame_time = milliseconds(frame.index), milliseconds(higher.index)
    seen = last_closed(time, TIMEFRAMES[base], frame_time, TIMEFRAMES[timeframe])
    for i, t in enumerate(time):
        visible = [j for j, label in enumerate(frame_time) if label + TIMEFRAMES[timeframe] <= t + TIMEFRAMES[base]]
        assert seen[i] == (visible[-1] if visible else -1)


@given(markets(), st.data())
@settings(max_examples=100, deadline=None)
def test_cutting_the_future_off_changes_nothing_visible(market, data):
    base, timeframe, frame = market
    t = data.draw(st.integers(0, len(frame) - 1))

    def closes(part):
        higher = resample(part, timeframe)
        seen = last_closed(
            milliseconds(part.index), TIMEFRAMES[base], milliseconds(higher.index), TIMEFRAMES[timeframe]
        )
        return on_base(higher.to_numpy(), seen)

    np.testing.assert_array_equal(closes(frame.iloc[: t + 1]), closes(frame)[: t + 1])


def test_an_open_hour_would_be_seen_by_a_careless_alignment(candles):
    """The test above has power: alignment by label alone differs and knows the future."""
    h1 = resample(candles, "1h")
    time = milliseconds(candles.index)
    careless = np.searchsorted(milliseconds(h1.index), time, side="right") - 1
    honest = last_closed(time, 5 * MINUTE, milliseconds(h1.index), 60 * MINUTE)
    assert (careless > honest).mean() > 0.9
    assert honest[10] == -1
    assert honest[11] == 0  # 00:55 closes at 01:00, when the first hour has passed


def test_days_begin_at_midnight_utc_and_gaps_leave_no_candle():
    frame = make_candles(288 * 3, start=START + 7 * 60 * MINUTE)
    frame = frame[(frame.index < "2024-01-02 03:00") | (frame.index >= "2024-01-02 06:00")]
    assert [str(t) for t in resample(frame, "1d").index] == [f"2024-01-0{d} 00:00:00+00:00" for d in (1, 2, 3, 4)]
    hours = resample(frame, "1h").index
    assert pd.Timestamp("2024-01-02 02:00", tz="UTC") in hours
    assert pd.Timestamp("2024-01-02 04:00", tz="UTC") not in hours


def test_filled_rows_count_in_no_frame(candles):
    filled = candles.assign(missing=False)
    filled.iloc[3:7, :5] = 1e9
    filled.iloc[3:7, 5] = True
    pd.testing.assert_frame_equal(resample(filled, "15m"), resample(candles.drop(candles.index[3:7]), "15m"))


def test_on_base_keeps_integers_and_marks_what_is_not_known():
    seen = np.array([-1, 0, 0, 1])
    np.testing.assert_array_equal(on_base(np.array([1.5, 2.5]), seen), [np.nan, 1.5, 1.5, 2.5])
    codes = on_base(np.array([3, 4], np.int8), seen, fill=0)
    assert codes.dtype == np.int8
    assert codes.tolist() == [0, 3, 3, 4]
    assert len(on_base(np.array([1.0]), np.array([], np.int64))) == 0
    with pytest.raises(DataError, match="row 1 of a frame with 1 rows"):
        on_base(np.array([1.0]), seen)


def test_frames_cannot_be_made_finer(candles):
    with pytest.raises(ConfigError, match="candles of 5m cannot be resampled to 1m; allowed are multiples"):
        resample(candles, "1m", "5m")
    with pytest.raises(UnknownName, match="unknown timeframe '60m'.*allowed"):
        resample(candles, "60m")


def test_times_in_other_units_mean_the_same(candles):
    nanoseconds = candles.set_axis(candles.index.as_unit("ns"))
    pd.testing.assert_frame_equal(resample(nanoseconds, "1h"), resample(candles, "1h"))
