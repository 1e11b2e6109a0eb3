"""Candles in memory: one symbol with its frames, and a market of several symbols.

Both are read-only: a frame taken out of them is a copy that costs nothing until it is written to, so the
content hash always tells what is inside.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, cast

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError, DataError, reason, reasons, unknown
from traderagent.base.hashing import hash_bytes, hash_frame
from traderagent.base.words import counted
from traderagent.market import shown
from traderagent.market.frames import COLUMNS, TIMEFRAMES, check_shape, duration_of, milliseconds, resample, traded
from traderagent.market.instruments import Instrument
from traderagent.market.planted import Planted
from traderagent.market.rates import hash_of_rates, rates_of
from traderagent.market.symbols import symbol_name
from traderagent.market.times import day, span, span_in_words

__all__ = ["COLUMNS", "FRAMES", "TIMEFRAMES", "Market", "MultiTimeframeData", "Planted", "symbol_name"]

FRAMES = {"m15": "15m", "h1": "1h", "h4": "4h", "d1": "1d"}


class MultiTimeframeData:
    """Candles of one symbol: the base frame and the frames built from it.

    Parameters
    ----------
    symbol : name, any spelling
    m5 : (n,) base candles, whatever their timeframe (`base` says which)
    m15, h1, h4, d1 : frames; None where they would be finer than the base
    base : timeframe of the base candles
    instrument : tick, step and minimum notional
    detail : finer candles of the same span for `path="detail"`, or None
    detail_timeframe : their timeframe, e.g. "1m"
    funding : funding rates of a perpetual by time (fraction paid by longs), or None
    source : text for reports, e.g. "files" or "synthetic, seed 7"
    synthetic : True for candles that no exchange has ever seen
    planted : what a synthetic market hides
    caption : a few words, e.g. "mean-reverting"
    sample : "whole", or "in" and "out" for the parts before and after a hold-out
    notes : what was repaired, dropped or filled while loading

    Raises
    ------
    DataError
        Where a frame has other columns or another index than the package uses, or no rows.
    """

    symbol: str
    base: str
    duration: int
    instrument: Instrument
    detail_timeframe: str | None
    funding: pd.Series | None
    source: str
    synthetic: bool
    planted: Planted | None
    caption: str
    sample: str
    notes: tuple[str, ...]
    _frames: dict[str, pd.DataFrame | None]

    def __init__(
        self,
        symbol: str,
        m5: pd.DataFrame,
        m15: pd.DataFrame | None = None,
        h1: pd.DataFrame | None = None,
        h4: pd.DataFrame | None = None,
        d1: pd.DataFrame | None = None,
        *,
        base: str = "5m",
        instrument: Instrument | None = None,
        detail: pd.DataFrame | None = None,
        detail_timeframe: str | None = None,
        funding: pd.Series | None = None,
        source: str = "",
        synthetic: bool = False,
        planted: Planted | None = None,
        caption: str = "",
        sample: str = "whole",
        notes: Iterable[str] = (),
    ) -> None:
        duration = duration_of(base)
        if (detail is None) != (detail_timeframe is None):
            raise ConfigError(f"{symbol}: detail and detail_timeframe go together; give both or none")
        if detail_timeframe is not None and duration_of(detail_timeframe) > duration:
            raise ConfigError(
                f"{symbol}: got detail_timeframe {detail_timeframe}, allowed are {base} and finer; give its true one"
            )
        frames = {"m5": m5, "m15": m15, "h1": h1, "h4": h4, "d1": d1, "detail": detail}
        for name, frame in frames.items():
            if frame is not None:
                check_shape(frame, f"{symbol} {name}")
        # A later write into the caller's frame copies that one; this one stays as it was hashed and checked.
        frames = {name: None if frame is None else frame.copy(deep=False) for name, frame in frames.items()}
        if len(m5) == 0:
            raise DataError(f"{symbol} {base}: got no candles, at least one is needed; choose a longer span")
        self.__dict__.update(
            symbol=symbol_name(symbol),
            base=base,
            duration=duration,
            instrument=instrument or Instrument(),
            detail_timeframe=detail_timeframe,
            funding=rates_of(funding, symbol),
            source=source,
            synthetic=synthetic,
            planted=planted,
            caption=caption,
            sample=sample,
            notes=tuple(notes),
            _frames=frames,
        )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is read-only; use replace({name}=…) for a changed copy")

    @classmethod
    def from_base(cls, symbol: str, frame: pd.DataFrame, base: str = "5m", **labels: Any) -> "MultiTimeframeData":
        """Build every frame at least as long as the base by resampling.

        Parameters
        ----------
        symbol : name, any spelling
        frame : (n,) base candles indexed by open time
        base : their timeframe
        **labels : keyword arguments of the class (instrument, detail, source, …)
        """
        duration = duration_of(base)
        frames: dict[str, Any] = {
            name: resample(frame, timeframe, base) if TIMEFRAMES[timeframe] >= duration else None
            for name, timeframe in FRAMES.items()
        }
        return cls(symbol, frame, **frames, base=base, **labels)

    def _frame(self, name: str) -> pd.DataFrame | None:
        frame = self._frames[name]
        return None if frame is None else frame.copy(deep=False)

    @property
    def _candles(self) -> pd.DataFrame:
        return cast(pd.DataFrame, self._frames["m5"])

    @property
    def candles(self) -> pd.DataFrame:
        """(n,) base candles: open high low close volume, and `missing` where rows were filled."""
        return self._candles.copy(deep=False)

    @property
    def index(self) -> pd.DatetimeIndex:
        """(n,) open times of the base candles."""
        return cast(pd.DatetimeIndex, self._candles.index)

    m5 = candles
    m15 = property(lambda self: self._frame("m15"), doc="15 minute candles, or None")
    h1 = property(lambda self: self._frame("h1"), doc="1 hour candles, or None")
    h4 = property(lambda self: self._frame("h4"), doc="4 hour candles, or None")
    d1 = property(lambda self: self._frame("d1"), doc="1 day candles, or None")
    detail = property(lambda self: self._frame("detail"), doc="finer candles of the same span, or None")

    def frame(self, timeframe: str) -> pd.DataFrame:
        """Candles of any timeframe at least as long as the base."""
        if duration_of(timeframe) < self.duration:
            raise ConfigError(
                f"{self.symbol}: got timeframe {timeframe}, allowed are {self.base} and longer; load finer candles"
            )
        name = {v: k for k, v in FRAMES.items()}.get(timeframe)
        if timeframe == self.base:
            return self.candles
        built = self._frame(name) if name else None
        return resample(self._candles, timeframe, self.base) if built is None else built

    def __len__(self) -> int:
        return len(self._candles)

    @property
    def start(self) -> pd.Timestamp:
        """Open time of the first candle."""
        return self.index[0]

    @property
    def end(self) -> pd.Timestamp:
        """Close time of the last candle."""
        return self.index[-1] + pd.Timedelta(self.duration, "ms")

    @cached_property
    def hash(self) -> str:
        """Hash of everything a run reads: candles of all frames, detail, symbol and instrument."""
        return hash_bytes(
            *(
                part.encode()
                for part in (
                    self.symbol,
                    self.base,
                    str(self.detail_timeframe),
                    str(self.synthetic),
                    repr(self.instrument),
                    "" if self.funding is None else hash_of_rates(self.funding),
                    *(f"{name}:{'' if f is None else hash_frame(f)}" for name, f in self._frames.items()),
                )
            )
        )

    def replace(self, **changes: Any) -> "MultiTimeframeData":
        """A copy with some arguments of the class changed; frames are kept unless they are given."""
        given = {n: self._frames[n] for n in (*FRAMES, "detail")} | {"symbol": self.symbol, "m5": self.candles}
        labels = (
            "base",
            "instrument",
            "detail_timeframe",
            "funding",
            "source",
            "synthetic",
            "planted",
            "caption",
            "sample",
            "notes",
        )
        given |= {n: self.__dict__[n] for n in labels}
        if bad := set(changes) - set(given):
            raise unknown("argument", min(bad), given, type(self).__name__)
        return type(self)(**given | changes)

    def slice(self, start: object = None, end: object = None) -> "MultiTimeframeData":
        """Candles with start <= open time < end, with frames built from these alone.

        Raises
        ------
        DataError
            Where the span holds no candle.
        """
        first, last = span(start, end)
        first, last = max(first, self.start), min(last, self.end)
        index = self.index
        keep = (index >= first) & (index < last)
        if not keep.any():
            raise DataError(
                f"{self.symbol}: no candles {span_in_words(start, end)}; "
                f"there are candles from {day(self.start)} to {day(self.end)}"
            )
        detail = self._frames["detail"]
        if detail is not None:
            detail = detail[(detail.index >= first) & (detail.index < last)]
        frame = self._candles[keep]
        return self.from_base(
            self.symbol,
            frame,
            self.base,
            instrument=self.instrument,
            detail=detail,
            detail_timeframe=self.detail_timeframe,
            funding=self.funding,
            source=self.source,
            synthetic=self.synthetic,
            planted=self.planted and self.planted.slice(first, last),
            caption=self.caption,
            sample=self.sample,
            notes=self.notes,
        )

    def cut(self, holdout: float) -> pd.Timestamp:
        """Open time of the first candle of the hold-out: the last `holdout` of the span, on the candle grid.

        Raises
        ------
        ConfigError
            Where `holdout` is not a fraction between 0 and 1, or a part would be empty.
        """
        if not 0.0 < holdout < 1.0:
            raise ConfigError(f"holdout: got {holdout!r}, allowed is a fraction above 0 and below 1, e.g. 0.3")
        first, last = milliseconds(pd.DatetimeIndex([self.start, self.end]))
        steps = round((last - first) * (1.0 - holdout) / self.duration)
        time = milliseconds(self.index)
        row = int(np.searchsorted(time, first + steps * self.duration))
        if row in (0, len(time)):
            raise ConfigError(
                f"{self.symbol}: a holdout of {holdout} leaves a part of {len(time)} candles empty; "
                f"load more candles or change it"
            )
        return self.index[row]

    def split(self, holdout: float) -> tuple["MultiTimeframeData", "MultiTimeframeData"]:
        """The candles before and after the cut, labelled `sample` in and out; they share no candle."""
        cut = self.cut(holdout)
        return self.slice(None, cut).replace(sample="in"), self.slice(cut, None).replace(sample="out")

    def summary(self) -> dict[str, Any]:
        """What a table shows of it."""
        frame = self._candles
        expected = (self.end - self.start) // pd.Timedelta(self.duration, "ms")
        return {
            "caption": self.caption,
            "base": self.base,
            "candles": len(frame),
            "missing": int(expected - len(traded(frame))),
            "start": self.start,
            "end": self.end,
            "last close": float(frame["close"].iloc[-1]),
            "detail": self.detail_timeframe or "",
            "instrument": str(self.instrument),
        }

    def __repr__(self) -> str:
        label = " SYNTHETIC" if self.synthetic else ""
        caption = f" ({self.caption})" if self.caption else ""
        part = "" if self.sample == "whole" else f", sample {self.sample}"
        detail = f", detail {self.detail_timeframe}" if self.detail_timeframe else ""
        return (
            f"<{self.symbol}{caption}{label}: {counted(len(self), 'candle')} of {self.base}, {day(self.start)} to "
            f"{day(self.end)}{part}{detail}, {self.instrument}>"
        )

    def _repr_html_(self) -> str:
        return Market({self.symbol: self}, source=self.source)._repr_html_()


class Market(dict[str, MultiTimeframeData]):
    """Symbols of one load: a dict that knows what was skipped, and any spelling of a symbol.

    Parameters
    ----------
    data : mapping of symbol to `MultiTimeframeData`
    skipped : mapping of what was left out to the reason
    source : what was recognised, as printed by `load_market`
    origin : arguments of `load_market` that load these candles again, elsewhere, too; None where there are none
    """

    def __init__(
        self,
        data: Mapping[str, MultiTimeframeData] | None = None,
        *,
        skipped: Mapping[str, str] | None = None,
        source: str = "",
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__({symbol_name(s): d for s, d in (data or {}).items()})
        self.origin = origin
        self.skipped = dict(skipped or {})
        self.source = source

    def __missing__(self, symbol: str) -> MultiTimeframeData:
        name = symbol_name(symbol)
        if name not in self.keys():
            raise unknown("symbol", symbol, self)
        return self[name]

    @property
    def symbols(self) -> list[str]:
        """Names, in the order of the load."""
        return list(self)

    @property
    def synthetic(self) -> bool:
        """Whether any of its candles are synthetic."""
        return any(d.synthetic for d in self.values())

    @property
    def hash(self) -> str:
        """Hash of all symbols' hashes, in any order of symbols."""
        return hash_bytes(*(self[s].hash.encode() for s in sorted(self)))

    def select(self, symbols: Iterable[str]) -> "Market":
        """The same market with only these symbols."""
        kept = {symbol_name(s): self[s] for s in symbols}
        return Market(kept, skipped=self.skipped, source=self.source, origin=self.origin)

    def slice(self, start: object = None, end: object = None) -> "Market":
        """Every symbol with start <= open time < end; symbols without candles there are skipped with the reason."""
        kept, skipped = {}, dict(self.skipped)
        for symbol, data in self.items():
            try:
                kept[symbol] = data.slice(start, end)
            except DataError as error:
                skipped[symbol] = reason(error, symbol)
        if not kept and self:
            raise DataError(f"no symbol has candles there: {reasons(skipped)}")
        return Market(kept, skipped=skipped, source=self.source)

    def table(self) -> pd.DataFrame:
        """One row a symbol: base, candles, missing, span, last close, instrument."""
        return pd.DataFrame.from_dict({s: d.summary() for s, d in self.items()}, orient="index").rename_axis("symbol")

    def in_words(self) -> str:
        """What was loaded, in a few sentences computed from the candles."""
        return shown.sentence(self)

    def __repr__(self) -> str:
        return shown.text(self)

    def _repr_html_(self) -> str:
        return shown.html(self)
