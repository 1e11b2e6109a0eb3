"""Missing candles: counted, refused, or filled and marked; never filled in silence."""

import numpy as np
import pandas as pd

from traderagent.base.errors import DataError
from traderagent.market.frames import COLUMNS, candle_frame, duration_of, milliseconds, traded

GAPS = ("keep", "forward_fill", "error")


def gap_lengths(open_time_ms: np.ndarray, duration_ms: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows before which candles are missing, and how many are.

    Returns
    -------
    (k,) int64 rows i with missing candles between i - 1 and i; (k,) int64 numbers of them.
    """
    lacking = np.diff(np.asarray(open_time_ms, np.int64)) // duration_ms - 1
    rows = np.flatnonzero(lacking > 0)
    return rows + 1, lacking[rows]


def close_gaps(
    frame: pd.DataFrame, symbol: str, file: str, timeframe: str, gaps: str, max_gap_share: float
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Apply the policy for missing candles.

    Parameters
    ----------
    frame : (n,) checked candles
    symbol, file, timeframe : for messages and the grid
    gaps : "keep", "forward_fill" or "error"
    max_gap_share : largest allowed share of missing candles between the first and the last one

    Returns
    -------
    The candles and notes on what was done. Filled rows repeat the last close with volume 0 and are
    marked True in a column `missing`.

    Raises
    ------
    DataError
        A gap where gaps="error", or too large a share of missing candles.
    """
    duration = duration_of(timeframe)
    time = milliseconds(traded(frame).index)
    rows, lengths = gap_lengths(time, duration)
    if len(rows) == 0:
        return frame, ()
    n_missing = int(lengths.sum())
    share = n_missing / (n_missing + len(time))
    worst = int(np.argmax(lengths))
    where = (
        f"{n_missing} of {n_missing + len(time)} {timeframe} candles are missing ({share:.2%}) in {len(rows)} "
        f"gaps, the longest of {lengths[worst]} from {_moment(time[rows[worst] - 1] + duration)}"
    )
    if share > max_gap_share:
        raise DataError(
            f"{symbol} ({file}): {where}; allowed is max_gap_share={max_gap_share:g}: choose a span "
            f"without the gap by start and end, leave the symbol out, or raise max_gap_share"
        )
    if gaps == "error":
        raise DataError(
            f"{symbol} ({file}): {where}, and gaps='error' allows none; "
            f"set gaps='keep' or 'forward_fill', or complete the file"
        )
    if gaps == "keep":
        return frame, (f"{where}; kept as gaps",)
    return _filled(traded(frame), time, duration), (f"{where}; filled forward and marked missing",)


def _filled(frame: pd.DataFrame, time: np.ndarray, duration: int) -> pd.DataFrame:
    full = np.arange(time[0], time[-1] + 1, duration)
    last = np.searchsorted(time, full, side="right") - 1
    missing = time[last] != full
    values = frame[list(COLUMNS)].to_numpy()[last]
    close = values[missing, COLUMNS.index("close")]
    values[missing, :4] = close[:, None]
    values[missing, 4] = 0.0
    return candle_frame(full, values, missing)


def _moment(time_ms: int) -> str:
    return f"{pd.Timestamp(time_ms, unit='ms'):%Y-%m-%d %H:%M}"
