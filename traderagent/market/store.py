"""Checked candles on disk, between the stage that loads them and the stages that use them.

One Parquet file (zstd) a symbol, and beside it what the candles alone do not say: instrument,
caption, source, notes, and of synthetic candles that they are synthetic and what was planted. The
same market gives the same bytes, and their hashes tell whether a file is still the one that was written.
"""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from traderagent.base.errors import DataError
from traderagent.base.files import read_json, replacing, write_json
from traderagent.base.hashing import hash_bytes
from traderagent.base.words import counted
from traderagent.market.candles import Market, MultiTimeframeData, Planted
from traderagent.market.given import market_of
from traderagent.market.instruments import Instrument

LABELS = "market.json"
_LABELS = ("base", "detail", "synthetic", "caption", "source", "notes", "instrument", "planted", "files")
_PLANTED, _FUNDING = ".planted", ".funding"  # hidden folders: no candles in there


def save_market(
    market: Mapping[str, MultiTimeframeData] | MultiTimeframeData,
    folder: str | Path,
    quality: pd.DataFrame | None = None,
) -> Path:
    """Write a market to a folder, whole or not at all; an older one there is replaced.

    Parameters
    ----------
    market : what `load_market` returned, a dict of symbols, or one symbol
    folder : is made or replaced; `load_market("stored", path=folder)` reads it back
    quality : table of `quality(market)`, written as `quality.parquet` beside the folder

    Returns
    -------
    The folder.

    Raises
    ------
    ConfigError
        Where `market` is neither a market nor candles of one symbol.
    DataError
        Where the folder holds something else than a stored market.
    """
    folder, every = Path(folder).expanduser(), market_of(market)
    if folder.exists() and not (folder.is_dir() and ((folder / LABELS).is_file() or not any(folder.iterdir()))):
        raise DataError(
            f"{folder}: holds something else than a stored market, and would be replaced; allowed are a folder that is "
            "empty, not there yet, or written by save_market; give another one"
        )
    own = ", ".join(dict.fromkeys(data.source for data in every.values()))
    source = market.source if isinstance(market, Market) else own
    with replacing(folder) as scratch:
        (scratch / _PLANTED).mkdir(parents=True)
        (scratch / _FUNDING).mkdir()
        labels = {symbol: _save_symbol(data, scratch) for symbol, data in sorted(every.items())}
        write_json(scratch / LABELS, {"source": source, "skipped": every.skipped, "symbols": labels})
    if quality is not None:
        with replacing(folder.parent / "quality.parquet") as scratch:
            quality.to_parquet(scratch, compression="zstd")
    return folder


def read_labels(folder: Path) -> dict[str, Any]:
    """What `save_market` wrote about the symbols of a folder.

    Raises
    ------
    DataError
        Where no stage has written it, or something of it is missing.
    """
    path = folder / LABELS
    if not path.is_file():
        raise DataError(
            f"{folder}: no {LABELS} there, so no stage has written it; run the stage data, "
            "or use source files for candles of your own"
        )
    labels = read_json(path)
    lacking = _lacking(labels, ("source", "skipped", "symbols"))
    if not lacking:
        every = labels["symbols"].items() if isinstance(labels["symbols"], dict) else [("symbols", None)]
        lacking = next((f"{lack} of {symbol}" for symbol, one in every if (lack := _lacking(one, _LABELS))), "")
    if lacking:
        raise DataError(f"{path}: lacks {lacking}, so this version has not written it; run the stage data again")
    return labels


def read_planted(folder: Path, symbol: str, labels: dict[str, Any]) -> Planted | None:
    """What a synthetic symbol hides, or None. Errors as of `read_candles`."""
    planted = labels["planted"]
    if planted is None:
        return None
    frame = _read(folder, f"{_PLANTED}/{symbol}.parquet", labels)
    return Planted(planted["edge"], planted["cluster"], frame["regime"], planted["parameters"])


def read_funding(folder: Path, symbol: str, labels: dict[str, Any]) -> pd.Series | None:
    """A symbol's funding rates by time, or None. Errors as of `read_candles`."""
    name = f"{_FUNDING}/{symbol}.parquet"
    return _read(folder, name, labels)["rate"] if name in labels["files"] else None


def read_candles(folder: Path, symbol: str, timeframe: str, labels: dict[str, Any]) -> pd.DataFrame:
    """Candles of one stored symbol.

    Raises
    ------
    DataError
        Where the file is missing, or is not the one that was written with these labels.
    """
    return _read(folder, f"{symbol}_{timeframe}.parquet", labels)


def read_instrument(labels: dict[str, Any]) -> Instrument:
    """Trading rules of one stored symbol."""
    return Instrument(**labels["instrument"])


def _save_symbol(data: MultiTimeframeData, folder: Path) -> dict[str, Any]:
    frames = {f"{data.symbol}_{data.base}.parquet": data.candles}
    if data.detail is not None:
        frames[f"{data.symbol}_{data.detail_timeframe}.parquet"] = data.detail
    if data.funding is not None:
        frames[f"{_FUNDING}/{data.symbol}.parquet"] = data.funding.to_frame("rate")
    planted = None
    if data.planted is not None:
        frames[f"{_PLANTED}/{data.symbol}.parquet"] = data.planted.regime.to_frame("regime")
        planted = {
            "edge": data.planted.edge,
            "cluster": data.planted.cluster,
            "parameters": dict(data.planted.parameters),
        }
    for name, frame in frames.items():
        frame.to_parquet(folder / name, compression="zstd")
    return {
        "base": data.base,
        "detail": data.detail_timeframe,
        "synthetic": data.synthetic,
        "caption": data.caption,
        "source": data.source,
        "notes": list(data.notes),
        "instrument": data.instrument.to_dict(),
        "planted": planted,
        "files": {name: _fingerprint((folder / name).read_bytes()) for name in frames},
    }


def _fingerprint(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "hash": hash_bytes(content)}


def _read(folder: Path, name: str, labels: dict[str, Any]) -> pd.DataFrame:
    """One stored table, held to what was written about it."""
    path = folder / name
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file although {LABELS} names it; run the stage data again") from None
    except OSError as error:  # a folder in its place, no right to read
        raise DataError(f"{path}: {error.strerror or 'not readable'}; run the stage data again") from None
    found, written = _fingerprint(content), labels["files"].get(name)
    if found != written:
        raise DataError(
            f"{path}: got {_in_words(found)}, but {LABELS} names {_in_words(written)}, so this is not the file that "
            "was written; run the stage data again"
        )
    return pd.read_parquet(io.BytesIO(content))


def _in_words(file: dict[str, Any] | None) -> str:
    return "no such file" if file is None else f"{counted(file['bytes'], 'byte')} of hash {file['hash']}"


def _lacking(record: Any, names: Iterable[str]) -> str:
    """The first of these names that a record does not have, "" where it has them all."""
    return next((name for name in names if not isinstance(record, dict) or name not in record), "")
