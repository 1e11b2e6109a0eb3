"""No registered indicator knows the future, and one that does is caught by the same check."""

import numpy as np
import pytest

from tests.causality import Events, candles, look_ahead, look_ahead_in
from traderagent.indicators import INDICATORS, Indicator
from traderagent.indicators.record import indicator


def registered():
    """Every registered indicator with every sample, as functions of columns."""
    for name, record in INDICATORS.items():
        for sample in record.samples:

            def outputs(columns, record=record, sample=sample):
                result = record.function(*(columns[c] for c in record.inputs), **sample)
                return dict(zip(record.outputs, result if isinstance(result, tuple) else (result,), strict=True))

            yield f"{name} {sample}", outputs


def with_gaps(columns):
    random = np.random.default_rng(5)
    return {c: np.where(random.random(v.size) < 0.01, np.nan, v) for c, v in columns.items()}


@pytest.mark.parametrize("price", [1e-5, 1.0, 1e5])
def test_nothing_registered_looks_ahead(price):
    assert look_ahead_in(registered(), candles(180, seed=1, price=price)) == {}


def test_nothing_registered_looks_ahead_across_gaps():
    assert look_ahead_in(registered(), with_gaps(candles(400, seed=2))) == {}


def test_planted_centred_average_in_the_registry_is_caught(monkeypatch):
    monkeypatch.setattr(INDICATORS, "_items", dict(INDICATORS.items()))

    @indicator("close", samples=[{"n": 3}], warmup=lambda n: 0)
    def centred_average(close, n):
        return np.convolve(close, np.ones(n) / n, mode="same")

    assert set(look_ahead_in(registered(), candles(180, seed=3))) == {"centred_average {'n': 3}"}


def newest_is_a_top(columns):
    """The earlier system's swing: the last row always counts as a confirmed extreme."""
    high = columns["high"]
    after = np.r_[high[1:], -np.inf]
    return (high > np.r_[np.inf, high[:-1]]) & (high > after)


def rare(columns):
    """Knows the next close, but tells only at one row."""
    out = np.zeros(columns["close"].size)
    if out.size > 101:
        out[100] = columns["close"][101]
    return out


def late_event(columns):
    """Puts an event one row before the close that caused it."""
    rows = np.flatnonzero(columns["close"][1:] > columns["open"][1:])
    return {"fills": Events(rows, {"price": columns["close"][rows]})}


def calm_ahead(columns):
    """Stays out of markets that will jump; calm candles give it nothing to tell, only changed ones do."""
    jumps = np.abs(np.diff(np.log(columns["close"]))) > 0.08
    return np.full(columns["close"].size, float(jumps.any()))


@pytest.mark.parametrize(
    "offender",
    [
        newest_is_a_top,
        calm_ahead,
        lambda columns: columns["close"] / columns["close"].mean(),
        lambda columns: np.r_[columns["close"][1:], np.nan],
        lambda columns: np.full(columns["close"].size, float(columns["close"].size)),
        late_event,
    ],
)
def test_other_offenders_are_caught(offender):
    assert "looks ahead" in look_ahead(offender, candles(180, seed=4))


def test_an_offence_at_a_single_row_is_caught_when_every_row_is_asked():
    assert "row 100 " in look_ahead(rare, candles(180, seed=4), rows=range(180))


def test_events_of_the_past_are_no_offence():
    def fills(columns):
        rows = np.flatnonzero(columns["close"] > columns["open"])
        return {"fills": Events(rows, {"price": columns["close"][rows]})}

    assert look_ahead(fills, candles(180, seed=4)) is None


def test_warm_up_is_what_the_record_says():
    for name, record in INDICATORS.items():
        assert isinstance(record, Indicator)
        for sample in record.samples:
            columns = candles(180, seed=6)
            result = record.function(*(columns[c] for c in record.inputs), **sample)
            for output in result if isinstance(result, tuple) else (result,):
                undefined = np.isnan(output)
                assert undefined[: record.warmup(**sample)].all(), (name, sample)
                assert not undefined[record.warmup(**sample) :].any(), (name, sample)


def test_a_gap_starts_every_indicator_afresh():
    """Rows after a gap equal, to the last bit, those of a series that begins there."""
    columns = candles(300, seed=7)
    for missing in (np.nan, np.inf, -np.inf):
        holed = {c: v.copy() for c, v in columns.items()}
        for values in holed.values():
            values[100] = missing
        later = {c: v[101:] for c, v in columns.items()}
        for name, function in registered():
            whole, fresh = function(holed), function(later)
            for output in whole:
                assert np.isnan(whole[output][100]), (name, missing)
                np.testing.assert_array_equal(whole[output][101:], fresh[output], err_msg=name)
