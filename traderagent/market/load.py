"""One door to candles from anywhere: `load_market`."""

import inspect
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError, DataError, unknown
from traderagent.base.progress import bar
from traderagent.market.candles import Market, MultiTimeframeData
from traderagent.market.frames import duration_of
from traderagent.market.gaps import GAPS, close_gaps
from traderagent.market.quality import check
from traderagent.market.sources import SOURCES, Loaded, Offer, Request
from traderagent.market.symbols import symbol_name
from traderagent.market.times import span

_OWN = ("path", "symbols", "start", "end", "timeframe", "gaps", "max_gap_share", "progress", "workers")


def load_market(
    source: str | Path,
    *,
    path: str | Path | None = None,
    symbols: Iterable[str] | str | int | None = None,
    start: Any = None,
    end: Any = None,
    timeframe: str | None = None,
    gaps: str = "keep",
    max_gap_share: float = 0.05,
    progress: bool = True,
    workers: int | None = None,
    **options: Any,
) -> Market:
    """Load candles, check them and build the frames.

    Parameters
    ----------
    source : name of a source ("files", "synthetic", …), or a path, which is recognised
    path : folder or file of the source "files"
    symbols : names in any spelling; a number means the first so many synthetic ones; None means all
    start, end : first open time and the time after the last one, UTC; None is open-ended
    timeframe : base timeframe; by default 5m where there are candles of 5m or finer, else the finest there is
    gaps : "keep"; "forward_fill" adds flat rows without volume, marked `missing`; "error"
    max_gap_share : a symbol with a larger share of missing candles in its span is refused
    progress : show a bar while loading
    workers : threads; None chooses by the number of cores, results do not depend on it
    **options : further arguments of the source, e.g. days and seed of "synthetic"

    Returns
    -------
    Market: dict of symbol to MultiTimeframeData. What was recognised is printed.

    Raises
    ------
    ConfigError
        An argument that is unknown, of the wrong type or outside its bounds.
    UnknownName
        A source or symbol that does not exist.
    DataError
        Candles that cannot be used: file, row and rule are named.

    Examples
    --------
    >>> load_market("synthetic", symbols=1, days=1, progress=False)["SYN-01"].base
    SYNTHETIC market, 1 symbol, 5m, 2024-01-01 for 1 day, seed 7, tick and step given
    '5m'
    """
    name, options = _recognise(source, path, options)
    load = SOURCES[name]
    _known(name, load, options)
    if gaps not in GAPS:
        raise unknown("gaps", gaps, GAPS)
    if isinstance(max_gap_share, bool) or not isinstance(max_gap_share, (int, float)) or not 0 <= max_gap_share <= 1:
        raise ConfigError(f"max_gap_share: got {max_gap_share!r}, allowed is a fraction from 0 to 1, default 0.05")
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise ConfigError(f"workers: got {workers!r}, allowed is a whole number of at least 1, or None")
    if timeframe is not None:
        duration_of(timeframe)
    span(start, end)
    request = Request(
        _names(name, symbols),
        None if start is None else span(start, None)[0],
        None if end is None else span(None, end)[1],
        timeframe,
    )
    offer = load(request, **options)
    market = _gather(
        offer, partial(_finish, request=request, gaps=gaps, max_gap_share=max_gap_share), request, progress, workers
    )
    if "path" in options:
        options["path"] = str(Path(options["path"]).expanduser().absolute())
    market.origin = {
        "source": name,
        "start": start,
        "end": end,
        "timeframe": timeframe,
        "gaps": gaps,
        "max_gap_share": max_gap_share,
        **options,
    }
    print(market.source)
    for what, reason in market.skipped.items():
        print(f"  skipped {what}: {reason}")
    return market


def _recognise(source: str | Path, path: str | Path | None, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name of the source and its options; a path stands for the source "files"."""
    if isinstance(source, str) and source in SOURCES:
        return source, options if path is None else options | {"path": path}
    if isinstance(source, Path) or any(c in str(source) for c in "/\\.~") or Path(str(source)).exists():
        if path is not None:
            raise ConfigError(f"got the path {str(source)!r} as source and path={str(path)!r}; give one of them")
        return "files", options | {"path": source}
    raise unknown("source", source, [*SOURCES, "a path"], "load_market")


def _known(name: str, load: Callable[..., Offer], options: dict[str, Any]) -> None:
    parameters = [p for p in inspect.signature(load).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for key in options:
        if key not in {p.name for p in parameters}:
            raise unknown("parameter", key, {*_OWN, *(p.name for p in parameters)}, f"load_market({name!r})")
    for p in parameters:
        if p.default is p.empty and p.name not in options:
            raise ConfigError(f"load_market({name!r}): {p.name} is missing; give {p.name}=…")


def _names(source: str, symbols: Iterable[str] | str | int | None) -> tuple[str, ...] | None:
    if symbols is None or symbols == "all":
        return None
    if isinstance(symbols, int) and not isinstance(symbols, bool):
        if source != "synthetic" or not 1 <= symbols <= 99:
            raise ConfigError(
                f"symbols: got the number {symbols}, allowed are names"
                f"{' or a number from 1 to 99' if source == 'synthetic' else ''}"
            )
        return tuple(f"SYN-{i:02d}" for i in range(1, symbols + 1))
    if not isinstance(symbols, (str, Iterable)):
        raise ConfigError(f"symbols: got {symbols!r}, allowed are names like ['BTCUSDT', 'ETHUSDT']")
    names = tuple(symbol_name(s) for s in ([symbols] if isinstance(symbols, str) else symbols))
    if not names:
        raise ConfigError("symbols: got an empty list; leave it out to load all, or name at least one")
    return tuple(dict.fromkeys(names))


def _gather(
    offer: Offer,
    finish: Callable[[str, Loaded], MultiTimeframeData],
    request: Request,
    progress: bool,
    workers: int | None,
) -> Market:
    """Run the loaders; a symbol that nobody asked for by name and that has no candle in the span is skipped."""

    def one(symbol: str) -> tuple[Loaded, MultiTimeframeData] | str:
        loaded = offer.loaders[symbol]()
        if request.symbols is None and (reason := _outside(loaded, request)):
            return reason
        return loaded, finish(symbol, loaded)

    kept: dict[str, tuple[Loaded, MultiTimeframeData]] = {}
    skipped = dict(offer.skipped)
    with ThreadPoolExecutor(workers or min(8, 2 * _cores())) as pool:
        parts = pool.map(one, offer.loaders)
        for symbol, part in zip(
            offer.loaders,
            bar(parts, len(offer.loaders), label="loading", shown=progress),
            strict=True,
        ):
            if isinstance(part, str):
                skipped[symbol] = part
            else:
                kept[symbol] = part
    if not kept:
        raise DataError(
            f"{offer.label}: no symbol has candles from start to end: "
            f"{'; '.join(f'{k}: {v}' for k, v in skipped.items())}; choose another span"
        )
    data = {symbol: pair[1] for symbol, pair in kept.items()}
    label = offer.label
    if offer.describe is not None:
        label = offer.describe(
            [pair[0] for pair in kept.values()], min(d.start for d in data.values()), max(d.end for d in data.values())
        )
    return Market(data, skipped=skipped, source=label)


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _outside(loaded: Loaded, request: Request) -> str | None:
    index = loaded.frame.index
    first = index.searchsorted(request.start) if request.start is not None else 0
    last = index.searchsorted(request.end) if request.end is not None else len(index)
    return (
        None if last > first else (f"no candles there, it has {index[0]:%Y-%m-%d %H:%M} to {index[-1]:%Y-%m-%d %H:%M}")
    )


def _finish(symbol: str, loaded: Loaded, *, request: Request, gaps: str, max_gap_share: float) -> MultiTimeframeData:
    """Cut to the span, treat gaps, build frames."""
    frame = _between(loaded.frame, request)
    detail = None if loaded.detail is None else _between(loaded.detail, request)
    if len(frame) == 0:
        raise DataError(f"{symbol}: {_outside(loaded, request)}; choose another start or end, or leave the symbol out")
    if not loaded.checked:
        check(frame, loaded.file, loaded.timeframe)
    frame, notes = close_gaps(frame, symbol, loaded.file, loaded.timeframe, gaps, max_gap_share)
    planted = loaded.planted and loaded.planted.slice(*span(request.start, request.end))
    return MultiTimeframeData.from_base(
        symbol,
        frame,
        loaded.timeframe,
        instrument=loaded.instrument,
        detail=detail,
        detail_timeframe=loaded.detail_timeframe,
        funding=loaded.funding,
        source=loaded.source,
        synthetic=loaded.synthetic,
        planted=planted,
        caption=loaded.caption,
        notes=(*loaded.notes, *notes),
    )


def _between(frame: pd.DataFrame, request: Request) -> pd.DataFrame:
    if request.start is None and request.end is None:
        return frame
    first, last = span(request.start, request.end)
    keep = np.asarray((frame.index >= first) & (frame.index < last))
    return frame[keep]
