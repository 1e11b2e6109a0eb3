"""Where candles come from: one file a source, found by its presence in this folder.

A source is a function with keyword arguments only. It looks at what there is, reads as little as
it can, and offers a loader per symbol; `load_market` runs the loaders in parallel and checks what they give.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from traderagent.base.registry import Registry
from traderagent.market.candles import Planted
from traderagent.market.instruments import Instrument


@dataclass(frozen=True)
class Request:
    """What every source is asked: symbols (None: all there are), span [start, end) and base timeframe."""

    symbols: tuple[str, ...] | None
    start: pd.Timestamp | None
    end: pd.Timestamp | None
    timeframe: str | None


@dataclass(frozen=True)
class Loaded:
    """Candles of one symbol as a source gives them; `load_market` checks them unless `checked` says it is done."""

    frame: pd.DataFrame
    timeframe: str
    file: str
    detail: pd.DataFrame | None = None
    detail_timeframe: str | None = None
    instrument: Instrument = field(default_factory=Instrument)
    planted: Planted | None = None
    caption: str = ""
    synthetic: bool = False
    source: str = ""
    notes: tuple[str, ...] = ()
    layouts: frozenset[str] = frozenset()
    checked: bool = False
    funding: pd.Series | None = None


@dataclass(frozen=True)
class Offer:
    """What a source found: a label, a loader per symbol, what it left out and why.

    `describe(loaded, start, end)` makes the line that is printed after loading; without it that is the label.
    """

    label: str
    loaders: Mapping[str, Callable[[], Loaded]]
    skipped: Mapping[str, str] = field(default_factory=dict)
    describe: Callable[[Sequence[Loaded], pd.Timestamp, pd.Timestamp], str] | None = None


SOURCES: Registry[Callable[..., Offer]] = Registry("source", "traderagent.market.sources")
