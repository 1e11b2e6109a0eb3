"""What strategies look at: frames of one symbol, their indicators, and both as a base candle may see them.

Everything is computed once per symbol and distinct parameter value and kept with the candles.
"""

from collections.abc import Callable, Hashable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from traderagent.indicators import INDICATORS
from traderagent.indicators.cache import FeatureCache
from traderagent.market.candles import FRAMES, MultiTimeframeData
from traderagent.market.frames import COLUMNS, duration_of, last_closed, milliseconds, on_base, traded

_cache: list[FeatureCache] = []


def use_feature_cache(folder: str | Path | None) -> FeatureCache | None:
    """Keep indicators in Parquet under `folder` for the next session; None keeps them in memory only.

    Worth it for slow indicators: most of the built-in ones take about a millisecond, reading a file takes more.
    """
    _cache[:] = [] if folder is None else [FeatureCache(folder)]
    return _cache[0] if _cache else None


class Frame:
    """Candles of one timeframe as arrays, with their indicators and their view from the base candles.

    Attributes
    ----------
    open, high, low, close, volume : (m,) float64, candles of this timeframe
    time : (m,) int64, open times, milliseconds UTC
    duration : milliseconds of a candle
    closed : (n_base,) int64, the last candle of this frame that is closed at each base close, −1 for none
    """

    def __init__(self, data: MultiTimeframeData, timeframe: str, on_disk: bool = True) -> None:
        frame = traded(data.frame(timeframe))
        base = traded(data.candles)
        self.timeframe, self._data, self._on_disk = timeframe, data, on_disk
        self.duration = duration_of(timeframe)
        self.time = milliseconds(frame.index)
        self._base_time, self._base_duration = milliseconds(base.index), data.duration
        columns = [np.ascontiguousarray(frame[name].to_numpy(np.float64)) for name in COLUMNS]
        self.open, self.high, self.low, self.close, self.volume = columns
        self._known: dict[tuple, np.ndarray] = {}

    @cached_property
    def closed(self) -> np.ndarray:
        """Position of the last closed candle at each base close."""
        return last_closed(self._base_time, self._base_duration, self.time, self.duration)

    def indicator(self, name: str, *parameters: float, of: str | None = None) -> np.ndarray:
        """(m,) float64: a registered indicator of this frame's candles; `of` names another column than its own."""
        key = (name, parameters, of)
        if key not in self._known:
            self._known[key] = self._from_disk(key) if _cache and self._on_disk else self._compute(key)
        return self._known[key]

    def _compute(self, key: tuple) -> np.ndarray:
        name, parameters, of = key
        record = INDICATORS[name]
        inputs = (of,) if of else record.inputs
        return record.function(*(getattr(self, column) for column in inputs), *parameters)

    def _from_disk(self, key: tuple) -> np.ndarray:
        name, parameters, of = key
        known = _cache[0].get(
            name,
            {"values": list(parameters), "of": of, "timeframe": self.timeframe},
            self._data.hash,
            lambda: {name: self._compute(key)},
        )
        return known[name]

    def on_base(self, values: np.ndarray | str, *parameters: float) -> np.ndarray:
        """(n_base,) float64: the last closed candle's value at each base close, NaN where there is none."""
        if isinstance(values, str):
            values = self.indicator(values, *parameters)
        return on_base(np.asarray(values, np.float64), self.closed)

    def as_events(self, values: np.ndarray) -> np.ndarray:
        """(n_base,) float64: the value at the base close with which a new candle of this frame closes, else 0."""
        fresh = np.diff(self.closed, prepend=-1) > 0
        return np.where(fresh, values[np.maximum(self.closed, 0)], 0.0)


class Frames:
    """Frames of one symbol by timeframe: `frames["1h"]`, `frames["base"]`; `data` is what they were made of."""

    def __init__(self, data: MultiTimeframeData, on_disk: bool = True) -> None:
        self.data, self._on_disk = data, on_disk
        self._frames: dict[str, Frame] = {}
        self._known: dict[Hashable, Any] = {}

    def once(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """What `compute` gives, kept under `key` (a name and every parameter); for things that read several frames."""
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]

    def __getitem__(self, timeframe: str) -> Frame:
        name = self.data.base if timeframe == "base" else timeframe
        if name not in self._frames:
            self._frames[name] = Frame(self.data, name, self._on_disk)
        return self._frames[name]


def frames_of(data: MultiTimeframeData, on_disk: bool = True) -> Frames:
    """The frames of a symbol, made once and kept with it.

    `on_disk`, where it is the first to ask, says whether they use the cache on disk; not for candles that nobody will
    see again.
    """
    return data.__dict__.setdefault("_features", Frames(data, on_disk))


def candles_at(data: MultiTimeframeData, end: int, factor: float | None = None, ahead: int = 0) -> MultiTimeframeData:
    """The candles of a symbol as they were at `end` (ms): of every timeframe the candles that had closed.

    With a factor, those that close up to `ahead` ms later follow, with prices and volumes times the factor.
    """
    duration = {"m5": data.duration} | {name: duration_of(timeframe) for name, timeframe in FRAMES.items()}
    known: dict[str, pd.DataFrame | None] = {}
    for name, span in duration.items():
        frame = getattr(data, name)
        if frame is not None:
            closes = milliseconds(frame.index) + span
            frame = frame[closes <= (end if factor is None else end + ahead)]
            if factor is not None:
                times = np.where(closes[: len(frame)] > end, factor, 1.0)
                frame = frame.assign(**{column: frame[column] * times for column in COLUMNS})
        known[name] = frame
    return data.replace(detail=None, detail_timeframe=None, **known)
