"""Regimes: the state machine rule by rule, the scores by hand, causality, and what is refused."""

import math

import numpy as np
import pandas as pd
import pytest

from tests.causality import candles, look_ahead_in
from tests.routing.market import hourly, line
from traderagent.base.errors import DataError, UnknownName
from traderagent.routing import DETECTORS, RECOMMENDATIONS, REGIMES, MarketRegimeDetector, RegimeAnalysis, regime_code
from traderagent.routing.regime import confidence, confluence, percentile_kernel, regime_kernel

FIELDS = (
    "confidence",
    "confluence_score",
    "trend_strength",
    "volatility_percentile",
    "ema_divergence_pct",
    "atr_pct",
    "rsi",
    "adx",
    "bb_width_pct",
    "volume_ratio",
)


def states(steps):
    """Names of the states after warm-up for steps of (adx, divergence %, atr %)."""
    lead = np.full((63, 3), 99.0)
    adx, divergence, atr = np.vstack([lead, np.array(steps, float)]).T.copy()
    out = regime_kernel(adx, divergence, atr)
    assert (out[:63] == 0).all()
    return [REGIMES[code] for code in out[63:]]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([(32, 1, 1)], ["bull_trend"]),
        ([(32, 0, 1)], ["bull_trend"]),
        ([(32, -1, 1)], ["bear_trend"]),
        ([(31.9, 1, 1.9)], ["quiet_transition"]),
        ([(31.9, 1, 2.0)], ["volatile_transition"]),
        ([(17.9, 1, 0.99)], ["tight_range"]),
        ([(17.9, 1, 1.0)], ["wide_range"]),
        ([(18, 1, 1)], ["quiet_transition"]),
        # a trend holds down to 25 and may turn over; below, it is judged afresh
        (
            [(32, 1, 1), (25, 1, 1), (25, -1, 1), (24.9, 1, 1)],
            ["bull_trend", "bull_trend", "bear_trend", "quiet_transition"],
        ),
        ([(32, 1, 1), (24.9, 1, 2), (25, 1, 2)], ["bull_trend", "volatile_transition", "volatile_transition"]),
        ([(32, 1, 1), (17, 1, 0.5)], ["bull_trend", "tight_range"]),
        # a range holds below 22 and may widen; at 22 it is judged afresh
        (
            [(17, 1, 0.5), (21.9, 1, 0.5), (21.9, 1, 1), (22, 1, 1)],
            ["tight_range", "tight_range", "wide_range", "quiet_transition"],
        ),
        ([(17, 1, 0.5), (32, -1, 1)], ["tight_range", "bear_trend"]),
        # a transition remembers nothing: 21.9 is no range, 25 no trend
        ([(20, 1, 1), (21.9, 1, 1), (25, 1, 1), (31.9, 1, 1), (32, 1, 1)], ["quiet_transition"] * 4 + ["bull_trend"]),
    ],
)
def test_rules_in_their_order(steps, expected):
    assert states(steps) == expected


def test_sixty_three_candles_are_unknown_and_sixty_four_are_not():
    detector = MarketRegimeDetector()
    h1 = hourly(64)
    assert detector.analyze(h1.iloc[:63]).regime == "unknown"
    assert detector.analyze(h1).regime != "unknown"
    history = detector.history(h1)
    assert history.regime.values[:63].tolist() == [0] * 63
    assert history.regime.values[63] != 0
    assert np.isnan(history.rsi.values[:63]).all()


def test_unknown_holds_with_no_confidence():
    for n in (0, 1, 13, 63):
        analysis = MarketRegimeDetector().analyze(hourly(64).iloc[:n])
        assert (analysis.regime, analysis.recommended_strategy, analysis.confidence) == ("unknown", "hold", 0.0)
        assert all(math.isnan(getattr(analysis, f)) for f in FIELDS if f != "confidence")
        assert (analysis.previous_regime, analysis.since) == ("unknown", None)
        assert "fewer than 64" in repr(analysis)


def test_confluence_by_hand():
    def score(adx, divergence, strength, rsi, volume, width):
        return confluence(*(np.array([x], float) for x in (adx, divergence, strength, rsi, volume, width)))[0]

    assert score(40, 4, 1, 100, 1.5, 3) == pytest.approx(1.0)
    assert score(20, 0, 0, 50, 0.8, 0) == 0.0
    assert score(10, 0, 0, 40, 0.1, 9) == 0.0  # nothing falls below 0
    assert score(30, 0, 0, 50, 0.8, 0) == pytest.approx(0.30 * 0.5)
    assert score(20, -1, -0.4, 50, 0.8, 0) == pytest.approx(0.25 * 0.4)
    assert score(20, 1, 0, 75, 0.8, 0) == pytest.approx(0.20 * 0.5)
    assert score(20, -1, 0, 25, 0.8, 0) == pytest.approx(0.20 * 0.5)  # a fall in a falling market
    assert score(20, -1, 0, 75, 0.8, 0) == 0.0  # against the trend
    assert score(20, 0, 0, 50, 1.15, 0) == pytest.approx(0.15 * 0.5)
    assert score(20, 0, 0, 50, math.nan, 0) == 0.0  # nothing traded confirms nothing
    for width, band in ((1, 0.5), (2, 1), (4, 1), (6, 0.5), (8, 0)):
        assert score(20, 0, 0, 50, 0.8, width) == pytest.approx(0.10 * band)


def test_confidence_by_hand():
    def clear(regime, adx, divergence, strength, percentile):
        values = (np.array([x], float) for x in (adx, divergence, strength, percentile))
        return confidence(np.array([regime_code(regime)], np.int8), *values)[0]

    assert clear("tight_range", 0, 0, 0, 0) == 1.0
    assert clear("wide_range", 12.5, -0.25, 0, 0) == pytest.approx(0.6 * 0.5 + 0.4 * 0.5)
    assert clear("wide_range", 30, 5, 0, 0) == pytest.approx(0.18)
    assert clear("bull_trend", 50, 0, 1, 0) == 1.0
    assert clear("bear_trend", 25, 0, -0.5, 0) == pytest.approx(0.6 * 0.75 + 0.4 * 0.5)
    assert clear("volatile_transition", 20, 0, 0, 73) == pytest.approx(0.73)
    assert (clear("quiet_transition", 20, 0, 0, 73), clear("unknown", 20, 0, 0, 73)) == (0.5, 0.0)


def test_percentile_counts_itself_and_what_is_there():
    values = np.array([math.nan, 2.0, 3.0, 1.0, 2.0, 2.0])
    np.testing.assert_allclose(percentile_kernel(values, 3), [math.nan, 100, 100, 100 / 3, 200 / 3, 100])


def test_a_steady_rise_is_a_bull_trend_with_rsi_100():
    analysis = MarketRegimeDetector().analyze(line(100 * 1.002 ** np.arange(200)))
    assert (analysis.regime, analysis.rsi, analysis.previous_regime) == ("bull_trend", 100.0, "unknown")
    assert analysis.adx == pytest.approx(100)
    assert analysis.recommended_strategy == "hybrid"
    assert analysis.confluence_score >= 0.7
    assert analysis.since == pd.Timestamp("2024-01-03 16:00", tz="UTC")  # close of the 64th candle


def test_a_steady_fall_is_a_bear_trend_to_average_into():
    analysis = MarketRegimeDetector().analyze(line(100 * 0.998 ** np.arange(200)))
    assert (analysis.regime, analysis.recommended_strategy) == ("bear_trend", "dca")
    assert analysis.trend_strength < 0
    assert analysis.ema_divergence_pct < 0


def test_a_flat_market_is_a_tight_range_for_the_grid():
    analysis = MarketRegimeDetector().analyze(line(np.full(100, 100.0)))
    assert (analysis.regime, analysis.recommended_strategy, analysis.rsi) == ("tight_range", "grid", 50.0)
    assert analysis.confidence == pytest.approx(1.0)
    assert analysis.volatility_percentile == 100.0


def test_recommendations_follow_regime_and_confluence():
    codes = {}
    for scale in (0.001, 0.003, 0.008):
        history = MarketRegimeDetector().history(hourly(3_000, seed=3, scale=scale))
        for regime, score, advice in zip(
            history.regime.values, history.confluence_score.values, history.recommended_strategy.values, strict=True
        ):
            codes.setdefault((REGIMES[regime], bool(score >= 0.7)), set()).add(RECOMMENDATIONS[advice])
    expected = {
        "unknown": "hold",
        "tight_range": "grid",
        "wide_range": "grid",
        "bear_trend": "dca",
        "quiet_transition": "hold",
        "volatile_transition": "reduce_exposure",
    }
    assert {name for name, _ in codes} == set(REGIMES)
    assert {("bull_trend", True), ("bull_trend", False)} <= set(codes)
    for (name, agreed), recommendations in codes.items():
        only = {True: "hybrid", False: "dca"}[agreed] if name == "bull_trend" else expected[name]
        assert recommendations == {only}


def test_analysis_is_the_last_row_of_the_history():
    h1, detector = hourly(300, seed=4), MarketRegimeDetector()
    history = detector.history(h1)
    for n in (64, 65, 150, 300):
        analysis, row = detector.analyze(h1.iloc[:n]), history.isel(time=n - 1)
        assert analysis.regime == REGIMES[int(row.regime)]
        assert analysis.previous_regime == REGIMES[int(row.previous_regime)]
        assert analysis.since == pd.Timestamp(row.since.values, tz="UTC")
        assert [getattr(analysis, f) for f in FIELDS] == [float(row[f]) for f in FIELDS]


def test_since_and_previous_regime_follow_the_labels():
    history = MarketRegimeDetector().history(hourly(2_000, seed=5))
    begun, before = None, 0
    for i, code in enumerate(history.regime.values):
        if i == 0 or code != history.regime.values[i - 1]:
            begun = history.time.values[i] + np.timedelta64(1, "h")
            before = history.regime.values[i - 1] if i else 0
        assert history.previous_regime.values[i] == before
        assert history.since.values[i] == begun if code else np.isnat(history.since.values[i])


def test_history_carries_every_field_with_names_and_units():
    history = MarketRegimeDetector().history(hourly(100))
    assert set(history.data_vars) == set(RegimeAnalysis.__dataclass_fields__)
    assert history.sizes == {"time": 100}
    assert history.regime.dtype == np.int8
    assert history.regime.attrs["names"] == list(REGIMES)
    assert all("unit" in history[f].attrs and history[f].dtype == np.float64 for f in FIELDS)


def test_empty_history_has_all_fields():
    assert MarketRegimeDetector().history(hourly(1).iloc[:0]).sizes == {"time": 0}


def test_repr_tells_what_a_trader_asks():
    text = repr(MarketRegimeDetector().analyze(line(100 * 1.002 ** np.arange(200))))
    for part in ("bull_trend → hybrid", "since 2024-01-03 16:00 UTC", "ADX 100.0", "RSI 100.0", "confluence"):
        assert part in text


def registered():
    for name, detector in DETECTORS.items():

        def outputs(columns, detector=detector):
            index = pd.DatetimeIndex(columns["open_time"].astype("datetime64[ms]"), tz="UTC")
            h1 = pd.DataFrame({c: v for c, v in columns.items() if c != "open_time"}, index=index)
            return {
                v: d.values.astype(np.int64) if d.dtype.kind == "M" else d.values
                for v, d in detector().history(h1).data_vars.items()
            }

        yield name, outputs


def hours(n, seed):
    return candles(n, seed) | {"open_time": 1_704_067_200_000 + 3_600_000 * np.arange(n)}


def test_no_detector_looks_ahead():
    assert "market_regime" in DETECTORS
    assert look_ahead_in(registered(), hours(260, seed=6)) == {}


def test_a_smoothing_detector_is_caught(monkeypatch):
    class Smoothed(MarketRegimeDetector):
        """Fills every regime backwards from where it is first known."""

        def history(self, h1):
            history = super().history(h1)
            regime = history.regime.values
            known = np.flatnonzero(regime)
            return history.assign(
                regime=("time", np.r_[np.full(known[:1].sum(), regime[known[:1]].sum()), regime[known[:1].sum() :]])
            )

    monkeypatch.setattr(DETECTORS, "_items", dict(DETECTORS.items()) | {"smoothed": Smoothed})
    assert list(look_ahead_in(registered(), hours(260, seed=6))) == ["smoothed"]


def test_missing_rows_are_left_out():
    h1 = hourly(120)
    marked = h1.assign(missing=np.arange(120) == 50)
    dropped = MarketRegimeDetector().history(h1.drop(h1.index[50]))
    assert MarketRegimeDetector().history(marked).identical(dropped)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda h1: h1.to_numpy(), "allowed is a DataFrame"),
        (lambda h1: h1.drop(columns="volume"), "no column volume"),
        (lambda h1: h1.reset_index(drop=True), "must be open times in UTC"),
        (lambda h1: h1.tz_localize(None), "tz_localize"),
        (lambda h1: h1.tz_convert("Europe/Berlin"), "UTC"),
        (lambda h1: h1.iloc[::-1], "row 1 .*rising, each once"),
        (lambda h1: pd.concat([h1, h1.iloc[-1:]]), "row 80 .*rising, each once"),
        (lambda h1: h1.set_axis(h1.index + pd.Timedelta("5min")), "row 0 .*full hours"),
        (lambda h1: h1.assign(close=np.where(np.arange(80) == 7, np.nan, h1.close)), "row 7 .*finite and above 0"),
        (lambda h1: h1.assign(low=0.0), "row 0 .*finite and above 0"),
        (lambda h1: h1.assign(volume=-1.0), "volume 0 or more"),
    ],
)
def test_what_is_no_hourly_market_is_refused(spoil, words):
    with pytest.raises(DataError, match=words):
        MarketRegimeDetector().history(spoil(hourly(80)))


def test_unknown_regime_names_are_refused():
    with pytest.raises(UnknownName, match="did you mean 'bull_trend'"):
        regime_code("bul_trend")
