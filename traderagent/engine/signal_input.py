"""What `backtest_signals` is given: a bare frame of candles, and boolean series or columns on the same candles."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import DataError
from traderagent.engine.plan import check_candles
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import COLUMNS, TIMEFRAMES, milliseconds

UNNAMED = "SIGNALSUSDT"  # symbol of a frame for which nobody gave one


def data_of(candles: pd.DataFrame | MultiTimeframeData, symbol: str = UNNAMED) -> MultiTimeframeData:
    """One symbol's data, checked; of a bare frame the timeframe is the smallest step of its index.

    Raises
    ------
    DataError
        Where the frame has another index or other columns than candles have, or a candle breaks a rule. A frame without
        a symbol is called `candles`.
    """
    try:
        data = candles if isinstance(candles, MultiTimeframeData) else _from_frame(candles, symbol)
        check_candles(data)
    except DataError as error:
        if isinstance(candles, MultiTimeframeData):
            raise
        raise DataError(re.sub(rf"^{UNNAMED}( m5)?\b", "candles", str(error))) from None
    return data


def _from_frame(candles: pd.DataFrame, symbol: str) -> MultiTimeframeData:
    if not isinstance(candles, pd.DataFrame) or not isinstance(candles.index, pd.DatetimeIndex):
        raise DataError(f"candles: got {type(candles).__name__}, allowed is a DataFrame indexed by open time")
    if candles.index.tz is None:
        raise DataError("candles: the index has no time zone; use frame.tz_localize('UTC')")
    for column in candles.columns[candles.columns.duplicated()]:
        raise DataError(f"candles: column {column!r} stands there twice; drop one of the two")
    for column in COLUMNS:
        if column not in candles:
            raise DataError(
                f"candles: got the columns {', '.join(map(str, candles))}, allowed are "
                f"{', '.join(COLUMNS)}; {column!r} is missing"
            )
        if not pd.api.types.is_numeric_dtype(candles[column]):
            raise DataError(
                f"candles: column {column!r} holds {candles[column].dtype}, allowed are numbers; "
                "convert it with astype(float)"
            )
    frame = candles.astype(dict.fromkeys(COLUMNS, np.float64))
    frame.index = candles.index.tz_convert("UTC").as_unit("ms").rename("open_time")
    return MultiTimeframeData.from_base(symbol, frame, base=_timeframe(frame), source="given candles")


def _timeframe(frame: pd.DataFrame) -> str:
    """Timeframe of a frame whose times rise: the smallest step between two of them."""
    if len(frame) < 2:
        raise DataError(f"candles: got {len(frame)} rows, allowed are 2 or more")
    steps = np.diff(milliseconds(frame.index))
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0)) + 2
        raise DataError(
            f"candles: row {row} ({frame.index[row - 1]}) is not after the row before; allowed is each "
            "open time once, rising; use frame.sort_index() and drop duplicates"
        )
    names = {duration: name for name, duration in TIMEFRAMES.items()}
    if int(steps.min()) not in names:
        raise DataError(
            f"candles: {steps.min() / 1000:g} s between candles is no timeframe; allowed: "
            f"{', '.join(TIMEFRAMES)}; resample the candles"
        )
    return names[int(steps.min())]


@dataclass(frozen=True)
class Columns:
    """Signals of many trials on the candles of one symbol.

    Attributes
    ----------
    names : (k,) labels of the columns
    entries, exits : (n, k) bool, frames or arrays
    """

    names: pd.Index
    entries: Any
    exits: Any

    def block(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Entries and exits of columns `start` to `stop` − 1; of a frame in pieces only these are put together."""
        return _cut(self.entries, start, stop), _cut(self.exits, start, stop)


def series_of(name: str, values: Any, index: pd.DatetimeIndex) -> np.ndarray:
    """(n,) bool of one trial.

    Raises
    ------
    DataError
        Where the values have another length, index or kind.
    """
    if isinstance(values, pd.Series):
        _check_index(name, values.index, index)
    array = np.asarray(values)
    if array.shape != (len(index),):
        raise DataError(
            f"{name}: got shape {array.shape}, allowed is ({len(index)},), one value per candle; align it with reindex"
        )
    if array.dtype != bool:
        raise _not_boolean(name, array.dtype)
    return array


def columns_of(entries: Any, exits: Any, index: pd.DatetimeIndex, where: str = "") -> Columns:
    """Signals of many trials, checked; `where` names the symbol in errors.

    Raises
    ------
    DataError
        Where shape, index, kind or columns are others than allowed.
    """
    if np.ndim(entries) != 2 or np.ndim(exits) != 2:
        raise DataError(
            f"{where}entries: got shape {np.shape(entries)} beside exits of shape {np.shape(exits)}, allowed are two "
            "series, one value per candle, or two frames or arrays, one row a candle and one column a trial"
        )
    entries, names = _matrix(f"{where}entries", entries, index)
    exits, others = _matrix(f"{where}exits", exits, index)
    check_same(f"{where}exits", others, names, "entries")
    for name in names[names.duplicated()]:
        raise DataError(f"{where}entries: column {name!r} stands there twice; allowed is each name once, rename one")
    return Columns(names, entries, exits)


def check_same(what: str, got: pd.Index, allowed: pd.Index, of: str) -> None:
    """Refuse columns that are not those of `of` in the same order."""
    if len(got) != len(allowed):
        raise DataError(f"{what}: got {len(got)} columns, allowed are the {len(allowed)} of {of}, in their order")
    if not got.equals(allowed):
        k = int(np.argmax([a != b for a, b in zip(got, allowed, strict=True)]))
        raise DataError(
            f"{what}: got {got[k]!r} as column {k + 1}, allowed is {allowed[k]!r} as in {of}; "
            f"give both the same columns in one order"
        )


def _matrix(name: str, values: Any, index: pd.DatetimeIndex) -> tuple[Any, pd.Index]:
    """(n, k) bool frame or array, and the names of its columns."""
    array = values if isinstance(values, pd.DataFrame) else np.asarray(values)
    if array.shape[0] != len(index) or array.shape[1] == 0:
        raise DataError(
            f"{name}: got shape {array.shape}, allowed is ({len(index)}, k), one row a candle and at least one column; "
            "align it with reindex"
        )
    if isinstance(array, np.ndarray):
        if array.dtype != bool:
            raise _not_boolean(name, array.dtype)
        return array, pd.RangeIndex(array.shape[1])
    _check_index(name, array.index, index)
    for label, dtype in zip(array.columns, array.dtypes, strict=True):
        if dtype != np.dtype(bool):
            raise _not_boolean(f"{name} column {label!r}", dtype)
    return array, array.columns


def _check_index(name: str, got: pd.Index, allowed: pd.DatetimeIndex) -> None:
    numbered = got.equals(pd.RangeIndex(len(allowed)))
    if len(got) == len(allowed) and not got.equals(allowed) and not numbered:
        raise DataError(
            f"{name}: its index differs from that of the candles, allowed is the same; align it with reindex"
        )


def _not_boolean(name: str, dtype: Any) -> DataError:
    return DataError(
        f"{name}: got {dtype}, allowed is bool; NaN and numbers are not signals, "
        "compare them (e.g. fast > slow) or use fillna(False).astype(bool)"
    )


def _cut(values: Any, start: int, stop: int) -> np.ndarray:
    return values.iloc[:, start:stop].to_numpy() if isinstance(values, pd.DataFrame) else values[:, start:stop]
