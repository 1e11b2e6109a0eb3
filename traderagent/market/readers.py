"""A file → a raw table and its layout. Formats by suffix; what the columns mean is found in `columns`."""

import csv
import gzip
import io
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from traderagent.base.errors import DataError

SUFFIXES = (".parquet", ".feather", ".csv", ".csv.gz", ".json", ".json.gz", ".zip")

_BINANCE = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
_BYBIT = ("start", "open", "high", "low", "close", "volume", "turnover")
_PLAIN = ("timestamp", "open", "high", "low", "close", "volume")
_BY_WIDTH = {12: (_BINANCE, "Binance klines"), 7: (_BYBIT, "Bybit REST"), 6: (_PLAIN, "candle list")}


@dataclass(frozen=True)
class Raw:
    """A table as the file has it, what kind of file it was, and the symbol where the content names one."""

    table: pd.DataFrame
    layout: str
    symbol: str | None = None


def suffix_of(path: Path) -> str | None:
    """The suffix out of `SUFFIXES`, or None."""
    name = path.name.lower()
    return next((s for s in sorted(SUFFIXES, key=len, reverse=True) if name.endswith(s)), None)


def read_raw(path: Path) -> Raw:
    """Read any of the accepted formats.

    Raises
    ------
    DataError
        A suffix that is not accepted, a file that is empty, cut short or not what its name says.
    """
    import pyarrow

    suffix = suffix_of(path)
    if suffix is None:
        raise DataError(f"{path.name}: got the suffix {path.suffix!r}, allowed are {', '.join(SUFFIXES)}")
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path.name}: the file is empty (0 bytes); remove it or fetch it again")
        raw = _READERS[suffix](path)
    except (
        pyarrow.ArrowException,
        pd.errors.ParserError,
        pd.errors.EmptyDataError,
        UnicodeDecodeError,
        EOFError,
        OSError,
        zlib.error,
        zipfile.BadZipFile,
        json.JSONDecodeError,
        csv.Error,
    ) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{path.name}: not readable as {suffix.lstrip('.')} ({text}); the file is damaged or cut "
            f"short: fetch it again"
        ) from error
    return raw if raw.symbol else Raw(raw.table, raw.layout, _symbol_column(raw.table, path.name))


def holds_bybit(path: Path) -> bool:
    """Whether the beginning of a JSON file looks like an answer of Bybit, which names its symbol."""
    suffix = suffix_of(path)
    if suffix not in (".json", ".json.gz"):
        return False
    try:
        with gzip.open(path) if suffix == ".json.gz" else path.open("rb") as file:
            return b'"retCode"' in file.read(200)
    except (OSError, EOFError, zlib.error):  # damaged, and its name tells no symbol: it is skipped with that reason
        return False


def _symbol_column(table: pd.DataFrame, name: str) -> str | None:
    for column in table.columns:
        if str(column).lower() in ("symbol", "pair") and len(table):
            names = table[column].dropna().unique()
            if len(names) != 1:
                raise DataError(
                    f"{name}: column {column!r} holds {len(names)} symbols, allowed is one a file; split it"
                )
            return str(names[0])
    return None


def _parquet(path: Path) -> Raw:
    return Raw(pd.read_parquet(path), "Parquet")


def _feather(path: Path) -> Raw:
    return Raw(pd.read_feather(path), "Feather")


def _csv(path: Path) -> Raw:
    data = gzip.decompress(path.read_bytes()) if path.name.lower().endswith(".gz") else path.read_bytes()
    return _csv_bytes(data, path.name, "CSV")


def _csv_bytes(data: bytes, name: str, kind: str) -> Raw:
    first = data[:4096].decode("utf-8-sig").split("\n", 1)[0].strip()
    if not first:
        raise DataError(f"{name}: the first line is empty; needed is a header or a candle")
    separator = max(",;\t", key=first.count)
    fields = [f.strip().strip('"') for f in first.split(separator)]
    options = {"sep": separator, "encoding": "utf-8-sig", "skipinitialspace": True}
    if not fields[0][:1].isdigit():
        table = pd.read_csv(io.BytesIO(data), **options)  # type: ignore[call-overload]
        binance = tuple(c.strip().lower() for c in table.columns) == _BINANCE
        return Raw(table, f"Binance klines {kind} with header" if binance else kind)
    names, layout = _names_for(len(fields), name)
    table = pd.read_csv(io.BytesIO(data), header=None, **options)  # type: ignore[call-overload]
    if table.shape[1] != len(names):
        raise DataError(f"{name}: got {table.shape[1]} fields in a row, the first row has {len(names)}; fix the file")
    return Raw(table.set_axis(list(names), axis=1), f"{layout} {kind}")


def _names_for(width: int, name: str) -> tuple[tuple[str, ...], str]:
    if width not in _BY_WIDTH:
        raise DataError(
            f"{name}: got {width} columns without a header, allowed are 12 (Binance klines), 7 (Bybit) or "
            f"6 (time, open, high, low, close, volume); add a header line"
        )
    return _BY_WIDTH[width]


def _zip(path: Path) -> Raw:
    parts = []
    with zipfile.ZipFile(path) as archive:
        for member in sorted(archive.namelist()):
            if member.lower().endswith(".csv"):
                parts.append(_csv_bytes(archive.read(member), f"{path.name}/{member}", "zip"))
    if not parts:
        raise DataError(f"{path.name}: holds no .csv; needed is a zipped kline file")
    return Raw(pd.concat([p.table for p in parts], ignore_index=True), parts[0].layout)


def _json(path: Path) -> Raw:
    data = gzip.decompress(path.read_bytes()) if path.name.lower().endswith(".gz") else path.read_bytes()
    values = json.loads(data.decode("utf-8-sig"))
    pages = values if isinstance(values, list) and values and isinstance(values[0], dict) else [values]
    if isinstance(pages[0], dict) and ("result" in pages[0] or "retCode" in pages[0]):
        return _bybit(pages, path.name)
    if not isinstance(values, list):
        raise DataError(f"{path.name}: got the JSON {str(values)[:60]}, allowed is a list of candles or a Bybit answer")
    if values and isinstance(values[0], dict):
        return Raw(pd.DataFrame(values), "JSON records")
    return _rows(values, path.name, None, "")


def _bybit(pages: list, name: str) -> Raw:
    rows: list = []
    symbols = set()
    for page in pages:
        result = page.get("result") if isinstance(page, dict) else None
        if not isinstance(result, dict) or not isinstance(result.get("list"), list) or page.get("retCode", 0) != 0:
            raise DataError(
                f"{name}: a Bybit answer without candles (retCode {page.get('retCode')!r}, "
                f"{page.get('retMsg')!r}); fetch it again"
            )
        rows += result["list"]
        symbols.add(result.get("symbol"))
    if len(symbols) > 1:
        raise DataError(f"{name}: answers for {len(symbols)} symbols, allowed is one a file; split it")
    return _rows(rows, name, symbols.pop(), "Bybit REST JSON")


def _rows(rows: list, name: str, symbol: str | None, layout: str) -> Raw:
    if not rows:
        raise DataError(f"{name}: holds no candles, at least one is needed; remove the file or fetch it again")
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(rows[0]):
            raise DataError(
                f"{name} row {i + 1}: got {str(row)[:60]}, allowed are lists like [ms, open, high, low, "
                f"close, volume], all of one length; fix the file"
            )
    names, found = _names_for(len(rows[0]), name)
    kind = "JSON list" if len(rows[0]) == 6 else f"{found} JSON"
    return Raw(pd.DataFrame(rows, columns=list(names)), layout or kind, symbol)


_READERS = {
    ".parquet": _parquet,
    ".feather": _feather,
    ".csv": _csv,
    ".csv.gz": _csv,
    ".json": _json,
    ".json.gz": _json,
    ".zip": _zip,
}
