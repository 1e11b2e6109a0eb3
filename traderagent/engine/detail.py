"""Finer candles of a symbol, as the path model `detail` walks them inside each base candle."""

import numpy as np

from traderagent.base.errors import DataError
from traderagent.engine.tape import tape_of
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import duration_of, milliseconds, traded
from traderagent.market.quality import check


def detail_of(data: MultiTimeframeData) -> dict[str, np.ndarray]:
    """Columns of the finer candles and where each base candle's begin, made once and kept with the symbol.

    Returns
    -------
    detail_first : (n + 1,) int32, position of each base candle's first finer one
    detail_open, detail_high, detail_low, detail_close : (m,) float64; detail_time : (m,) int64, open times, ms

    Raises
    ------
    DataError
        Where there are none, one breaks a rule of candles, or a base candle is not made of its finer ones exactly.
    """
    if "_detail" not in data.__dict__:
        data.__dict__["_detail"] = _build(data)
    return data.__dict__["_detail"]


def _build(data: MultiTimeframeData) -> dict[str, np.ndarray]:
    if data.detail is None:
        raise DataError(
            f"{data.symbol}: path 'detail' needs finer candles, got none beside {data.base}; put 1m files into the "
            "same folder, or choose another path"
        )
    tape, frame = tape_of(data), traded(data.detail)
    time = milliseconds(frame.index)
    row = np.searchsorted(tape.time, time, side="right") - 1
    inside = (row >= 0) & (time < tape.time[np.maximum(row, 0)] + tape.duration)  # holes of the base are left out
    counts = np.bincount(row[inside], minlength=len(tape))
    columns = {c: np.ascontiguousarray(frame[c].to_numpy(np.float64)[inside]) for c in ("open", "high", "low", "close")}
    _check(data, columns, counts)
    _check_each(data, columns)
    first = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    return {
        "detail_first": first,
        "detail_time": time[inside],
        **{f"detail_{c}": values for c, values in columns.items()},
    }


def _check_each(data: MultiTimeframeData, columns: dict[str, np.ndarray]) -> None:
    """Own frames have been checked by nobody, and the path goes wherever an open or a close says."""
    open_, high, low, close = columns.values()
    sound = (low > 0) & (low <= np.minimum(open_, close)) & (high >= np.maximum(open_, close)) & np.isfinite(high)
    if not sound.all():
        timeframe = str(data.detail_timeframe)
        check(traded(data.detail), f"{data.symbol} {timeframe}", timeframe, in_memory=True)


def _check(data: MultiTimeframeData, columns: dict[str, np.ndarray], counts: np.ndarray) -> None:
    tape, index = tape_of(data), traded(data.candles).index
    name = f"{data.symbol} {data.detail_timeframe}"
    if (counts == 0).any():
        raise DataError(
            f"{name}: the candle of {index[int(np.argmax(counts == 0))]} has none of them ({int((counts == 0).sum())} "
            f"of {len(counts)} have none), allowed is that they cover the whole span; load more, or choose another path"
        )
    last = np.cumsum(counts)
    first = last - counts
    made = {
        "open": columns["open"][first],
        "high": np.maximum.reduceat(columns["high"], first),
        "low": np.minimum.reduceat(columns["low"], first),
        "close": columns["close"][last - 1],
    }
    for column, values in made.items():
        wrong = values != getattr(tape, column)
        if wrong.any():
            row = int(np.argmax(wrong))
            whole = data.duration // duration_of(str(data.detail_timeframe))
            if counts[row] < whole:
                raise DataError(
                    f"{name}: of the {whole} candles that {index[row]} is made of there are {counts[row]}, which make "
                    f"{column} {values[row]}, while the {data.base} candle says {getattr(tape, column)[row]}; load the "
                    "missing ones, or choose another path"
                )
            raise DataError(
                f"{name}: those of {index[row]} make {column} {values[row]}, the {data.base} candle says "
                f"{getattr(tape, column)[row]} ({int(wrong.sum())} candles differ); load both from one source"
            )
