"""Checked candles on disk, between the stage that loads them and the stages that use them.

One Parquet file (zstd) a symbol, and beside it what the candles alone do not say: instrument,
caption, source, notes, and of synthetic candles that they are synthetic and what was planted. The
same market gives the same bytes.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from traderagent.base.errors import DataError
from traderagent.base.files import read_json, replacing, write_json
from traderagent.market.candles import Market, MultiTimeframeData, Planted
from traderagent.market.instruments import Instrument

LABELS = "market.json"
_PLANTED = ".planted"  # a hidden folder: no candles in there


def save_market(market: Market, folder: str | Path, quality: pd.DataFrame | None = None) -> Path:
    """Write a market to a folder, whole or not at all; an older one there is replaced.

    Parameters
    ----------
    market : what `load_market` returned
    folder : is made or replaced; `load_market("stored", path=folder)` reads it back
    quality : table of `quality(market)`, written as `quality.parquet` beside the folder

    Returns
    -------
    The folder.
    """
    folder = Path(folder)
    with replacing(folder) as scratch:
        (scratch / _PLANTED).mkdir(parents=True)
        labels = {symbol: _save_symbol(data, scratch) for symbol, data in sorted(market.items())}
        write_json(scratch / LABELS, {"source": market.source, "skipped": market.skipped, "symbols": labels})
    if quality is not None:
        with replacing(folder.parent / "quality.parquet") as scratch:
            quality.to_parquet(scratch, compression="zstd")
    return folder


def read_labels(folder: Path) -> dict[str, Any]:
    """What `save_market` wrote about the symbols of a folder."""
    if not (folder / LABELS).is_file():
        raise DataError(
            f"{folder}: no {LABELS} there, so no stage has written it; run the stage data, "
            "or use source files for candles of your own"
        )
    return read_json(folder / LABELS)


def read_planted(folder: Path, symbol: str, labels: dict[str, Any]) -> Planted | None:
    """What a synthetic symbol hides, or None."""
    if labels is None:
        return None
    frame = pd.read_parquet(folder / _PLANTED / f"{symbol}.parquet")
    return Planted(labels["edge"], labels["cluster"], frame["regime"], labels["parameters"])


def read_candles(folder: Path, symbol: str, timeframe: str) -> pd.DataFrame:
    """Candles of one stored symbol."""
    path = folder / f"{symbol}_{timeframe}.parquet"
    if not path.is_file():
        raise DataError(f"{path}: no such file although {LABELS} names it; run the stage data again")
    return pd.read_parquet(path)


def read_instrument(labels: dict[str, Any]) -> Instrument:
    """Trading rules of one stored symbol."""
    return Instrument(**labels["instrument"])


def _save_symbol(data: MultiTimeframeData, folder: Path) -> dict[str, Any]:
    data.candles.to_parquet(folder / f"{data.symbol}_{data.base}.parquet", compression="zstd")
    if data.detail is not None:
        data.detail.to_parquet(folder / f"{data.symbol}_{data.detail_timeframe}.parquet", compression="zstd")
    planted = None
    if data.planted is not None:
        data.planted.regime.to_frame("regime").to_parquet(folder / _PLANTED / f"{data.symbol}.parquet")
        planted = {
            "edge": data.planted.edge,
            "cluster": data.planted.cluster,
            "parameters": dict(data.planted.parameters),
        }
    return {
        "base": data.base,
        "detail": data.detail_timeframe,
        "synthetic": data.synthetic,
        "caption": data.caption,
        "source": data.source,
        "notes": list(data.notes),
        "instrument": data.instrument.to_dict(),
        "planted": planted,
    }
