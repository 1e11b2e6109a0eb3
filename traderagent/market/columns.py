"""Any table of candles → the package's columns and times, or an error that names file, row and column."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from traderagent.base.config import plain
from traderagent.base.errors import DataError, unknown
from traderagent.market.frames import COLUMNS, candle_frame

TIME_NAMES = (
    "open_time",
    "timestamp_ms",
    "timestamp",
    "start_time",
    "starttime",
    "start",
    "time",
    "date",
    "datetime",
    "unix",
    "ts",
)
_VALUE_NAMES = {
    "o": "open",
    "h": "high",
    "l": "low",
    "c": "close",
    "v": "volume",
    "vol": "volume",
    "base_volume": "volume",
    "volume_base": "volume",
    "base_asset_volume": "volume",
    **{c: c for c in COLUMNS},
}
# Columns of known layouts that candles do not need; any other one is an error, since a misspelt name looks like it.
_UNUSED = {
    "close_time",
    "closetime",
    "quote_volume",
    "quote_asset_volume",
    "volume_quote",
    "count",
    "trades",
    "n_trades",
    "number_of_trades",
    "trade_count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "taker_buy_base_volume",
    "taker_buy_base_asset_volume",
    "taker_buy_quote_asset_volume",
    "ignore",
    "turnover",
    "symbol",
    "pair",
    "ticker",
    "timeframe",
    "interval",
    "exchange",
    "vwap",
    "confirm",
    "unnamed_0",
}
# Name, smallest number that is read as it, milliseconds in it or it in a millisecond.
_UNITS = (("ns", 1e17, 1, 1_000_000), ("µs", 1e14, 1, 1_000), ("ms", 1e11, 1, 1), ("s", 0.0, 1_000, 1))


@dataclass(frozen=True)
class Table:
    """Candles read from one file, in rising order where the file had them newest first."""

    frame: pd.DataFrame
    newest_first: bool
    time_unit: str

    def row(self, position: int) -> int:
        """Row of the file, counted from 1 without a header, that holds candle `position`."""
        return len(self.frame) - position if self.newest_first else position + 1


def normalise(raw: pd.DataFrame, name: str) -> Table:
    """Find time and value columns, turn text into numbers and times into UTC milliseconds.

    Parameters
    ----------
    raw : table as read from a file; the time may be its index
    name : what errors call it, usually the file name

    Returns
    -------
    Table whose frame has the package's columns; its values are not checked yet (`quality.check`).

    Raises
    ------
    DataError
        No rows, an unknown, missing or doubled column, text in a number, a time that is none.
    """
    if isinstance(raw.index, pd.DatetimeIndex):
        raw = raw.reset_index(names=raw.index.name or "open_time")
    if len(raw) == 0:
        raise DataError(f"{name}: holds no candles, at least one row is needed; remove the file or fetch it again")
    columns = _columns(raw, name)
    time, unit = _times(raw[columns["open_time"]], name)
    values = np.column_stack([_numbers(raw[columns[c]], name, c) for c in COLUMNS])
    missing = _marks(raw[columns["missing"]], name) if "missing" in columns else None
    newest_first = len(time) > 1 and bool(np.all(np.diff(time) < 0))
    if newest_first:
        time, values = time[::-1], values[::-1]
        missing = None if missing is None else missing[::-1]
    return Table(candle_frame(time, values, missing), newest_first, unit)


def _plain_name(column: object) -> str:
    return re.sub(r"[^a-z0-9]+", "_", str(column).lower()).strip("_")


def _columns(raw: pd.DataFrame, name: str) -> dict[str, object]:
    """Column of the file for each column of the package."""
    found: dict[str, object] = {}
    times: dict[str, object] = {}
    for column in raw.columns:
        plain = _plain_name(column)
        if plain in TIME_NAMES:
            times[plain] = column
        elif plain in _VALUE_NAMES or plain == "missing":
            target = _VALUE_NAMES.get(plain, plain)
            if target in found:
                raise DataError(f"{name}: columns {found[target]!r} and {column!r} both mean {target}; remove one")
            found[target] = column
        elif plain not in _UNUSED:
            raise DataError(
                f"{name}: {unknown('column', column, {'open_time', 'timestamp', 'date', *COLUMNS})}; "
                f"rename or drop the column"
            )
    for plain in TIME_NAMES:
        if plain in times:
            found["open_time"] = times[plain]
            break
    lacking = [c for c in ("open_time", *COLUMNS) if c not in found]
    if lacking:
        raise DataError(
            f"{name}: no column for {', '.join(lacking)}; got {', '.join(map(str, raw.columns))}; "
            f"needed are a time (open_time, timestamp, date) and {', '.join(COLUMNS)}"
        )
    return found


def _numbers(column: pd.Series, name: str, what: str) -> np.ndarray:
    if column.dtype.kind in "fiu":
        return column.to_numpy(np.float64)
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    bad = np.isnan(numbers) & column.notna().to_numpy()
    bad &= column.astype(str).str.strip().str.lower().ne("nan").to_numpy()
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"{name} row {row + 1}: {what} is {plain(column.iloc[row])!r}, allowed is a number; fix the file"
        )
    return numbers


def _times(column: pd.Series, name: str) -> tuple[np.ndarray, str]:
    """Milliseconds UTC, and the unit they had in the file."""
    if isinstance(column.dtype, pd.DatetimeTZDtype) or column.dtype.kind == "M":
        return _stamps(column, name), "dates"
    if column.dtype.kind in "fiu":
        numbers = column
    else:
        numbers = pd.to_numeric(column, errors="coerce")
        if numbers.isna().all():
            return _stamps(pd.to_datetime(column, utc=True, errors="coerce", format="ISO8601"), name, column), "dates"
    values = numbers.to_numpy(np.float64, na_value=np.nan)
    if not np.isfinite(values).all() or (values < 0).any():
        row = int(np.argmax(~np.isfinite(values) | (values < 0)))
        raise DataError(
            f"{name} row {row + 1}: time is {plain(column.iloc[row])!r}, allowed are s, ms or µs since 1970 as in "
            f"row {1 if row else 2}; fix the file"
        )
    kinds = np.select([values >= limit for _, limit, *_ in _UNITS], range(len(_UNITS)))
    if (kinds != kinds[0]).any():
        row = int(np.argmax(kinds != kinds[0]))
        raise DataError(
            f"{name} row {row + 1}: time {column.iloc[row]} is in {_UNITS[kinds[row]][0]}, the first row "
            f"in {_UNITS[kinds[0]][0]}; allowed is one unit a file: split or fix it"
        )
    unit, _, factor, divisor = _UNITS[kinds[0]]
    whole = numbers.to_numpy(np.int64) if numbers.dtype.kind in "iu" else np.rint(values * factor).astype(np.int64)
    exact = whole * factor if numbers.dtype.kind in "iu" else whole
    between = (exact % divisor != 0) | ((exact != values * factor) & (numbers.dtype.kind == "f"))
    if between.any():
        row = int(np.argmax(between))
        raise DataError(
            f"{name} row {row + 1}: time {column.iloc[row]} lies between milliseconds; allowed are open "
            f"times on the grid of the timeframe; fix the file"
        )
    return exact // divisor, unit


def _stamps(times: pd.Series, name: str, text: pd.Series | None = None) -> np.ndarray:
    if times.isna().any():
        row = int(np.argmax(times.isna().to_numpy()))
        got = (times if text is None else text).iloc[row]
        raise DataError(
            f"{name} row {row + 1}: time is {got!r}, allowed is a time like 2024-01-31 12:05:00 (UTC); fix the file"
        )
    index = pd.DatetimeIndex(times)
    index = index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")
    whole = index.as_unit("ms")
    if not (whole == index).all():
        row = int(np.argmax(np.asarray(whole != index)))
        raise DataError(
            f"{name} row {row + 1}: time {index[row]} lies between milliseconds; allowed are open times on "
            f"the grid of the timeframe; fix the file"
        )
    return whole.asi8


def _marks(values: pd.Series, name: str) -> np.ndarray:
    """Marks of filled rows: booleans, 0 and 1, or the words true and false."""
    words = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
    marks = values.astype(str).str.strip().str.lower().map(words)
    unread = marks.isna().to_numpy()
    if unread.any():
        row = int(np.argmax(unread))
        raise DataError(f"{name} row {row + 1}: missing is {plain(values.iloc[row])!r}, allowed are true and false")
    return marks.to_numpy(bool)
