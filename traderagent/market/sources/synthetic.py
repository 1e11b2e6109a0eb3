"""The embedded synthetic market as a source."""

from collections.abc import Callable
from functools import partial

import pandas as pd

from traderagent.base.errors import ConfigError
from traderagent.base.words import counted
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.sources import SOURCES, Loaded, Offer, Request

_BASES = ("1m", "5m")


@SOURCES.register("synthetic")
def synthetic_source(
    request: Request,
    *,
    days: float | None = None,
    seed: int = 7,
    mode: str = "market",
    detail: bool = False,
    edge_strength: float = 1.0,
) -> Offer:
    """Seeded symbols SYN-01, SYN-02, …; see `traderagent.market.synthetic`.

    Parameters
    ----------
    request : symbols default to SYN-01 to SYN-08, start to 2024-01-01
    days : length from start; 365 where no end is given either
    seed : one seed gives the same candles for a symbol whatever the other symbols are
    mode : "market" or "martingale"
    detail : also hand out 1m candles
    edge_strength : factor on the planted edges
    """
    from traderagent.market import synthetic  # brings numba, which no other source needs

    if request.timeframe not in (None, *_BASES):
        raise ConfigError(
            f"timeframe: got {request.timeframe!r}, the synthetic market allows {', '.join(_BASES)}; "
            f"longer ones are frames of it"
        )
    if days is not None and request.end is not None:
        raise ConfigError("got days and end; give one of them")
    start = request.start or pd.Timestamp(synthetic.START, tz="UTC")
    synthetic.check_arguments(365 if days is None else days, seed, edge_strength)
    if days is None:
        days = 365.0 if request.end is None else (request.end - start) / pd.Timedelta(days=1)
    kinds = [synthetic.synthetic_symbol(s, mode) for s in request.symbols or range(1, 9)]
    make = partial(synthetic.generate, days=days, seed=seed, start=start, mode=mode, edge_strength=edge_strength)
    as_minutes = request.timeframe == "1m"
    loaders = {k.name: partial(_load, make, k.name, detail, as_minutes) for k in kinds}
    label = (
        f"SYNTHETIC {mode}, {counted(len(kinds), 'symbol')}, {request.timeframe or '5m'}, {start:%Y-%m-%d} for "
        f"{days:g} day{'' if days == 1 else 's'}, seed {seed}, tick and step given"
    )
    return Offer(label, loaders)


def _load(make: Callable[..., MultiTimeframeData], name: str, detail: bool, as_minutes: bool) -> Loaded:
    data = make(name, detail=detail or as_minutes)
    fine = None if as_minutes else data.detail
    frame, timeframe = (data.frame("5m"), "5m") if data.detail is None or not as_minutes else (data.detail, "1m")
    return Loaded(
        frame,
        timeframe,
        name,
        fine,
        None if fine is None else "1m",
        data.instrument,
        data.planted,
        data.caption,
        True,
        data.source,
    )
