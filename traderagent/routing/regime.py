"""Market regime from closed hourly candles: range, trend or something in between.

A trend is told by a strong ADX and its direction by two EMAs, a range by a weak ADX; between the two
thresholds the present state is kept, so that a market on the edge does not flicker. It is
late by construction (ADX 14 needs a day and a half to see a trend) and wrong at turns: it names
the weather, it does not forecast it. Source: source document §4b; thresholds and scores: specification 5.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.base.errors import DataError
from traderagent.base.kernel import kernel
from traderagent.indicators.averages import ema_kernel, sma_kernel
from traderagent.indicators.momentum import adx_kernel, rsi_kernel
from traderagent.indicators.volatility import atr_kernel, deviation_kernel
from traderagent.indicators.volume import volume_ratio_kernel
from traderagent.market.frames import COLUMNS, TIMEFRAMES, milliseconds, traded
from traderagent.routing.detectors import DETECTORS
from traderagent.routing.words import (
    BEAR_TREND,
    BULL_TREND,
    DCA,
    GRID,
    HOLD,
    HYBRID,
    QUIET_TRANSITION,
    RECOMMENDATIONS,
    REDUCE_EXPOSURE,
    REGIMES,
    TIGHT_RANGE,
    UNKNOWN,
    VOLATILE_TRANSITION,
    WIDE_RANGE,
)

MIN_CANDLES = 64
FAST, SLOW = 20, 50
ATR_PERIOD = RSI_PERIOD = ADX_PERIOD = 14
BAND_PERIOD, BAND_WIDTH = 20, 2.0
VOLUME_PERIOD = 20
PERCENTILE_CANDLES = 100

ADX_TREND_BEGINS, ADX_TREND_HOLDS = 32.0, 25.0
ADX_RANGE_BEGINS, ADX_RANGE_HOLDS = 18.0, 22.0
TIGHT_ATR_PCT, QUIET_ATR_PCT = 1.0, 2.0
HYBRID_CONFLUENCE = 0.7

_HOUR = TIMEFRAMES["1h"]
_FIELDS = {  # variable → unit, text
    "confidence": ("1", "how clear the regime is, 0 to 1"),
    "confluence_score": ("1", "weighted agreement of ADX, EMAs, RSI, volume and bands, 0 to 1"),
    "trend_strength": ("1", "signed strength of the trend, −1 to 1"),
    "volatility_percentile": ("%", "share of the last 100 ATR values at or below the present one"),
    "ema_divergence_pct": ("%", "(EMA20 − EMA50) / EMA50"),
    "atr_pct": ("%", "ATR 14 / close"),
    "rsi": ("1", "RSI 14, 0 to 100"),
    "adx": ("1", "ADX 14, 0 to 100"),
    "bb_width_pct": ("%", "distance of the Bollinger bands 20/2 / their middle"),
    "volume_ratio": ("1", "volume / its mean of the last 20; NaN where nothing was traded"),
}


@dataclass(frozen=True)
class RegimeAnalysis:
    """The regime at the close of one hourly candle, with what it was told from.

    Fields ending in `_pct` are percent. NaN: unknown regime, or nothing traded (`volume_ratio`).
    `since` is the market time (UTC) of the close at which the regime began, None while it is unknown;
    `previous_regime` the one before it, "unknown" if there was none.
    """

    regime: str
    confidence: float = 0.0
    recommended_strategy: str = "hold"
    confluence_score: float = math.nan
    trend_strength: float = math.nan
    volatility_percentile: float = math.nan
    ema_divergence_pct: float = math.nan
    atr_pct: float = math.nan
    rsi: float = math.nan
    adx: float = math.nan
    bb_width_pct: float = math.nan
    volume_ratio: float = math.nan
    since: pd.Timestamp | None = None
    previous_regime: str = "unknown"

    def __repr__(self) -> str:
        if self.regime == "unknown":
            return f"<RegimeAnalysis unknown → hold; fewer than {MIN_CANDLES} hourly candles>"
        since = "" if self.since is None else f" since {self.since:%Y-%m-%d %H:%M} UTC, before {self.previous_regime}"
        return (
            f"<RegimeAnalysis {self.regime} → {self.recommended_strategy}, confidence {self.confidence:.2f}"
            f"{since}; ADX {self.adx:.1f}, EMA divergence {self.ema_divergence_pct:+.2f} %, "
            f"ATR {self.atr_pct:.2f} %, RSI {self.rsi:.1f}, bands {self.bb_width_pct:.2f} %, "
            f"volume × {self.volume_ratio:.2f}, confluence {self.confluence_score:.2f}>"
        )


@kernel
def regime_kernel(adx: np.ndarray, divergence_pct: np.ndarray, atr_pct: np.ndarray) -> np.ndarray:
    """The state machine: (n,) int8 codes of `REGIMES`; UNKNOWN while fewer than 64 candles are there."""
    out = np.zeros(adx.size, np.int8)
    state = UNKNOWN
    for i in range(MIN_CANDLES - 1, adx.size):
        in_trend = state in (BULL_TREND, BEAR_TREND)
        in_range = state in (TIGHT_RANGE, WIDE_RANGE)
        trend = in_trend and adx[i] >= ADX_TREND_HOLDS
        ranging = in_range and adx[i] < ADX_RANGE_HOLDS
        if not trend and not ranging:
            trend = adx[i] >= ADX_TREND_BEGINS
            ranging = adx[i] < ADX_RANGE_BEGINS
        if trend:
            state = BULL_TREND if divergence_pct[i] >= 0.0 else BEAR_TREND
        elif ranging:
            state = TIGHT_RANGE if atr_pct[i] < TIGHT_ATR_PCT else WIDE_RANGE
        else:
            state = QUIET_TRANSITION if atr_pct[i] < QUIET_ATR_PCT else VOLATILE_TRANSITION
        out[i] = state
    return out


@kernel
def percentile_kernel(values: np.ndarray, n: int) -> np.ndarray:
    """Share (%) of the last n values, or of those there are, that lie at or below the present one, itself included.

    Equal but for rounding is equal: the means of like windows differ in their last bits.
    """
    out = np.full(values.size, np.nan)
    for i in range(values.size):
        if np.isnan(values[i]):
            continue
        below = 0
        known = 0
        for j in range(max(0, i - n + 1), i + 1):
            known += not np.isnan(values[j])
            below += values[j] <= values[i] * (1 + 1e-9)
        out[i] = 100.0 * below / known
    return out


@kernel
def _recommendation(regime: int, confluence: float) -> int:
    if regime in (TIGHT_RANGE, WIDE_RANGE):
        return GRID
    if regime == BULL_TREND:
        return HYBRID if confluence >= HYBRID_CONFLUENCE else DCA
    if regime == BEAR_TREND:
        return DCA
    return REDUCE_EXPOSURE if regime == VOLATILE_TRANSITION else HOLD


def _clip(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0.0, 1.0)


def confluence(
    adx: np.ndarray,
    divergence_pct: np.ndarray,
    strength: np.ndarray,
    rsi: np.ndarray,
    volume_ratio: np.ndarray,
    width_pct: np.ndarray,
) -> np.ndarray:
    """Agreement of the five signs, 0 to 1; a volume ratio that is undefined agrees with nothing.

    All (n,); NaN where one of the others is.
    """
    with_trend = np.where(divergence_pct >= 0.0, rsi - 50.0, 50.0 - rsi) / 50.0
    volume = np.nan_to_num((volume_ratio - 0.8) / 0.7, nan=0.0)
    band = np.minimum(width_pct / 2.0, (8.0 - width_pct) / 4.0)
    return (
        0.30 * _clip((adx - 20.0) / 20.0)
        + 0.25 * np.abs(strength)
        + 0.20 * _clip(with_trend)
        + 0.15 * _clip(volume)
        + 0.10 * _clip(band)
    )


def confidence(
    regime: np.ndarray, adx: np.ndarray, divergence_pct: np.ndarray, strength: np.ndarray, percentile: np.ndarray
) -> np.ndarray:
    """How clear the regime is: (n,) in [0, 1]."""
    ranging = 0.6 * np.maximum(0.3, 1.0 - np.abs(divergence_pct) / 0.5) + 0.4 * np.maximum(0.0, 1.0 - adx / 25.0)
    trending = 0.6 * (0.5 + 0.5 * np.abs(strength)) + 0.4 * np.minimum(adx / 50.0, 1.0)
    is_range = (regime == TIGHT_RANGE) | (regime == WIDE_RANGE)
    is_trend = (regime == BULL_TREND) | (regime == BEAR_TREND)
    return np.select(
        [is_range, is_trend, regime == VOLATILE_TRANSITION, regime == QUIET_TRANSITION],
        [np.minimum(1.0, ranging), np.minimum(1.0, trending), percentile / 100.0, 0.5],
        0.0,
    )


class MarketRegimeDetector:
    """Regimes of hourly candles: every label from its own and earlier candles only.

    `history` labels all candles, `analyze` tells about the last one. Nothing is kept between calls.
    """

    def history(self, h1: pd.DataFrame) -> xr.Dataset:
        """Regime and its signs at the close of every candle.

        Parameters
        ----------
        h1 : (n,) closed hourly candles (open, high, low, close, volume) indexed by open time in UTC; rows
            marked `missing` are left out. An hour still running must be cut off by the caller.

        Returns
        -------
        xarray.Dataset over `time`, the open times (UTC, without zone as xarray has none). `regime`,
        `previous_regime`, `recommended_strategy` are int8 codes whose names stand in their attribute
        `names`; `since` is a time, NaT while unknown; the other fields of `RegimeAnalysis` are float64, NaN
        while unknown.

        Raises
        ------
        DataError : columns, index or values that are no hourly candles.
        """
        h1 = _checked(h1)
        columns = {c: np.ascontiguousarray(h1[c].to_numpy(np.float64)) for c in COLUMNS}
        signs = _signs(columns)
        regime = regime_kernel(signs["adx"], signs["ema_divergence_pct"], signs["atr_pct"])
        known = regime != UNKNOWN
        signs = {name: np.where(known, values, np.nan) for name, values in signs.items()}
        signs["confidence"] = confidence(
            regime, signs["adx"], signs["ema_divergence_pct"], signs["trend_strength"], signs["volatility_percentile"]
        )
        recommended = _recommendations(regime, signs["confluence_score"])
        time = milliseconds(pd.DatetimeIndex(h1.index)).astype("datetime64[ms]")
        since, previous = _since(regime, time + np.timedelta64(_HOUR, "ms"))
        codes = {
            "regime": (regime, REGIMES),
            "recommended_strategy": (recommended, RECOMMENDATIONS),
            "previous_regime": (previous, REGIMES),
        }
        variables: dict[str, Any] = {
            name: ("time", values, {"names": list(names)}) for name, (values, names) in codes.items()
        }
        variables |= {
            name: ("time", signs[name], {"unit": unit, "long_name": text}) for name, (unit, text) in _FIELDS.items()
        }
        variables["since"] = ("time", since, {"long_name": "close time (UTC) at which the regime began"})
        return xr.Dataset(variables, coords={"time": ("time", time, {"long_name": "open time of the candle, UTC"})})

    def analyze(self, h1: pd.DataFrame) -> RegimeAnalysis:
        """Regime at the close of the last candle; unknown with fewer than 64 of them.

        Parameters and errors as in `history`.
        """
        history = self.history(h1)
        if history.sizes["time"] < MIN_CANDLES:
            return RegimeAnalysis("unknown")
        last = history.isel(time=-1)
        return RegimeAnalysis(
            regime=REGIMES[int(last.regime)],
            recommended_strategy=RECOMMENDATIONS[int(last.recommended_strategy)],
            previous_regime=REGIMES[int(last.previous_regime)],
            since=pd.Timestamp(last.since.values, tz="UTC"),
            **{name: float(last[name]) for name in _FIELDS},
        )


DETECTORS.add("market_regime", MarketRegimeDetector)


def _signs(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    high, low, close = columns["high"], columns["low"], columns["close"]
    slow = ema_kernel(close, SLOW)
    divergence_pct = (ema_kernel(close, FAST) - slow) / slow * 100.0
    atr, adx, rsi = (
        atr_kernel(high, low, close, ATR_PERIOD),
        adx_kernel(high, low, close, ADX_PERIOD),
        rsi_kernel(close, RSI_PERIOD),
    )
    width_pct = 2.0 * BAND_WIDTH * deviation_kernel(close, BAND_PERIOD) / sma_kernel(close, BAND_PERIOD) * 100.0
    volume_ratio = volume_ratio_kernel(columns["volume"], VOLUME_PERIOD)
    strength = np.clip(divergence_pct / 2.0, -1.0, 1.0) * (0.5 + 0.5 * np.minimum(adx / 50.0, 1.0))
    return {
        "ema_divergence_pct": divergence_pct,
        "atr_pct": atr / close * 100.0,
        "rsi": rsi,
        "adx": adx,
        "bb_width_pct": width_pct,
        "volume_ratio": volume_ratio,
        "trend_strength": strength,
        "volatility_percentile": percentile_kernel(atr, PERCENTILE_CANDLES),
        "confluence_score": confluence(adx, divergence_pct, strength, rsi, volume_ratio, width_pct),
    }


@kernel
def _recommendations(regime: np.ndarray, confluence_score: np.ndarray) -> np.ndarray:
    out = np.zeros(regime.size, np.int8)
    for i in range(regime.size):
        out[i] = _recommendation(regime[i], confluence_score[i])
    return out


def _since(regime: np.ndarray, close_time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Close time at which each row's regime began, and the code of the one before it."""
    begins = np.r_[True, regime[1:] != regime[:-1]][: regime.size]
    first = np.maximum.accumulate(np.where(begins, np.arange(regime.size), 0))
    previous = np.where(first > 0, regime[np.maximum(first - 1, 0)], UNKNOWN).astype(np.int8)
    return np.where(regime == UNKNOWN, np.datetime64("NaT", "ms"), close_time[first]), previous


def _checked(h1: pd.DataFrame) -> pd.DataFrame:
    """The traded hourly candles, or an error that says why these are none."""
    if not isinstance(h1, pd.DataFrame):
        raise DataError(f"h1: got {type(h1).__name__}, allowed is a DataFrame of hourly candles")
    absent = [c for c in COLUMNS if c not in h1]
    if absent:
        raise DataError(f"h1: no column {', '.join(absent)}; got {', '.join(map(str, h1.columns))}")
    h1 = traded(h1)
    index = h1.index
    if not isinstance(index, pd.DatetimeIndex) or str(index.tz) != "UTC":
        raise DataError("h1: the index must be open times in UTC; use tz_localize('UTC') or tz_convert('UTC')")
    times = milliseconds(index)
    if np.any(times % _HOUR) or np.any(np.diff(times) <= 0):
        row = int(np.argmax((times % _HOUR != 0) | np.r_[False, np.diff(times) <= 0]))
        raise DataError(
            f"h1 row {row} ({index[row]}): open times must be full hours, rising, each once; "
            f"build them with resample(frame, '1h')"
        )
    values = h1[list(COLUMNS)].to_numpy(np.float64)
    wrong = ~(np.isfinite(values).all(axis=1) & (values[:, :4] > 0).all(axis=1) & (values[:, 4] >= 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"h1 row {row} ({index[row]}): prices must be finite and above 0, volume 0 or more; "
            f"got {dict(zip(COLUMNS, values[row].tolist(), strict=True))}"
        )
    return h1
