"""Candles that the stage `data` has loaded, checked and written."""

from functools import partial
from pathlib import Path
from typing import Any

from traderagent.base.errors import ConfigError, unknown
from traderagent.market.sources import SOURCES, Loaded, Offer, Request
from traderagent.market.store import read_candles, read_funding, read_instrument, read_labels, read_planted


@SOURCES.register("stored")
def stored_source(request: Request, *, path: str | Path = "data/candles") -> Offer:
    """Candles with everything that is known about them, as `save_market` wrote them.

    Parameters
    ----------
    request : symbols default to all that are there; the timeframe is the stored one
    path : folder
    """
    folder = Path(path).expanduser()
    labels = read_labels(folder)
    symbols = labels["symbols"]
    for symbol in request.symbols or ():
        if symbol not in symbols:
            raise unknown("symbol", symbol, symbols, str(folder))
    wanted = request.symbols or tuple(symbols)
    bases = {symbols[s]["base"] for s in wanted}
    if request.timeframe is not None and bases != {request.timeframe}:
        raise ConfigError(
            f"timeframe: got {request.timeframe!r}, stored are {', '.join(sorted(bases))}; run the stage data with it"
        )
    loaders = {symbol: partial(_load, folder, symbol, symbols[symbol]) for symbol in wanted}
    return Offer(f"{labels['source']}, from {folder}", loaders, labels["skipped"] if request.symbols is None else {})


def _load(folder: Path, symbol: str, labels: dict[str, Any]) -> Loaded:
    base, detail = labels["base"], labels["detail"]
    return Loaded(
        read_candles(folder, symbol, base, labels),
        base,
        f"{symbol}_{base}.parquet",
        None if detail is None else read_candles(folder, symbol, detail, labels),
        detail,
        read_instrument(labels),
        read_planted(folder, symbol, labels),
        labels["caption"],
        labels["synthetic"],
        labels["source"],
        tuple(labels["notes"]),
        funding=read_funding(folder, symbol, labels),
    )
