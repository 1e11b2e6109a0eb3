"""The regime detector, candle by candle over closed H1 candles."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.reference import indicators
from tests.reference.frames import H1

UNKNOWN = "unknown"
BULL, BEAR = "bull_trend", "bear_trend"
TIGHT, WIDE = "tight_range", "wide_range"
QUIET, VOLATILE = "quiet_transition", "volatile_transition"
FEWEST_CANDLES = 64


@dataclass(frozen=True)
class RegimeAnalysis:
    regime: str
    confidence: float
    recommended_strategy: str
    confluence_score: float
    trend_strength: float
    volatility_percentile: float
    ema_divergence_pct: float
    atr_pct: float
    rsi: float
    adx: float
    bb_width_pct: float
    volume_ratio: float
    since: int | None
    previous_regime: str


def clip(value: float, low: float = 0.0, high: float = 1.0) -> float:
    return min(max(value, low), high)


def unknown_analysis() -> RegimeAnalysis:
    nan = indicators.NAN
    return RegimeAnalysis(UNKNOWN, 0.0, "hold", nan, nan, nan, nan, nan, nan, nan, nan, nan, None, UNKNOWN)


def next_regime(before: str, adx: float, atr_pct: float, fast: float, slow: float) -> str:
    """The three rules, in their order."""
    trend = BULL if fast >= slow else BEAR
    sideways = TIGHT if atr_pct < 1.0 else WIDE
    if before in (BULL, BEAR) and adx >= 25.0:
        return trend
    if before in (TIGHT, WIDE) and adx < 22.0:
        return sideways
    if adx >= 32.0:
        return trend
    if adx < 18.0:
        return sideways
    return QUIET if atr_pct < 2.0 else VOLATILE


def strength_of_trend(divergence_pct: float, adx: float) -> float:
    return clip(divergence_pct / 2.0, -1.0, 1.0) * (0.5 + 0.5 * min(adx / 50.0, 1.0))


def confluence(adx: float, strength: float, rising: bool, rsi: float, volume_ratio: float, width_pct: float) -> float:
    direction = 1.0 if rising else -1.0
    rsi_score = clip(direction * (rsi - 50.0) / 50.0)
    volume_score = 0.0 if math.isnan(volume_ratio) else clip((volume_ratio - 0.8) / (1.5 - 0.8))
    return (
        0.30 * clip((adx - 20.0) / 20.0)
        + 0.25 * clip(abs(strength))
        + 0.20 * rsi_score
        + 0.15 * volume_score
        + 0.10 * band_score(width_pct)
    )


def band_score(width_pct: float) -> float:
    if width_pct < 2.0:
        return clip(width_pct / 2.0)
    if width_pct <= 4.0:
        return 1.0
    return clip((8.0 - width_pct) / 4.0)


def confidence_in(regime: str, divergence_pct: float, adx: float, strength: float, percentile: float) -> float:
    if regime in (TIGHT, WIDE):
        flatness = max(0.3, 1.0 - abs(divergence_pct) / 0.5)
        return min(1.0, 0.6 * flatness + 0.4 * max(0.0, 1.0 - adx / 25.0))
    if regime in (BULL, BEAR):
        return min(1.0, 0.6 * (0.5 + 0.5 * abs(strength)) + 0.4 * min(adx / 50.0, 1.0))
    return percentile / 100.0 if regime == VOLATILE else 0.5


def recommendation(regime: str, score: float) -> str:
    if regime in (TIGHT, WIDE):
        return "grid"
    if regime == BULL:
        return "hybrid" if score >= 0.7 else "dca"
    if regime == BEAR:
        return "dca"
    return "reduce_exposure" if regime == VOLATILE else "hold"


def percentile_of_last(values: list[float]) -> float:
    """Share (%) of the last 100 values at or below the present one, itself included."""
    known = [value for value in values[-100:] if not math.isnan(value)]
    return 100.0 * sum(1 for value in known if value <= values[-1] * (1.0 + 1e-9)) / len(known)


def regime_history(h1: dict) -> list[RegimeAnalysis]:
    """One analysis for each H1 candle, as known at its close."""
    high, low, close = h1["high"], h1["low"], h1["close"]
    fast, slow = indicators.ema(close, 20), indicators.ema(close, 50)
    atr, rsi = indicators.atr(high, low, close, 14), indicators.rsi(close, 14)
    adx = indicators.adx(high, low, close, 14)
    lower, middle, upper = indicators.bollinger(close, 20, 2.0)
    volume = indicators.volume_ratio(h1["volume"], 20)
    history: list[RegimeAnalysis] = []
    for k in range(len(close)):
        if k + 1 < FEWEST_CANDLES:
            history.append(unknown_analysis())
            continue
        before = history[-1]
        divergence = (fast[k] - slow[k]) / slow[k] * 100.0
        atr_pct = atr[k] / close[k] * 100.0
        width = (upper[k] - lower[k]) / middle[k] * 100.0
        regime = next_regime(before.regime, adx[k], atr_pct, fast[k], slow[k])
        strength = strength_of_trend(divergence, adx[k])
        percentile = percentile_of_last(atr[: k + 1])
        score = confluence(adx[k], strength, fast[k] >= slow[k], rsi[k], volume[k], width)
        changed = regime != before.regime
        history.append(
            RegimeAnalysis(
                regime=regime,
                confidence=confidence_in(regime, divergence, adx[k], strength, percentile),
                recommended_strategy=recommendation(regime, score),
                confluence_score=score,
                trend_strength=strength,
                volatility_percentile=percentile,
                ema_divergence_pct=divergence,
                atr_pct=atr_pct,
                rsi=rsi[k],
                adx=adx[k],
                bb_width_pct=width,
                volume_ratio=volume[k],
                since=h1["open_time"][k] + H1 if changed else before.since,
                previous_regime=before.regime if changed else before.previous_regime,
            )
        )
    return history
