"""Higher timeframes from the base candles, and which of them a base candle may see.

A candle labelled T of duration D covers [T, T + D) and is closed at T + D. At the close of a base
candle only frame candles whose whole span has passed are visible: everything that reads a frame goes
through `last_closed`, so that no strategy sees an unfinished hour.
"""

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError, DataError, unknown

COLUMNS = ("open", "high", "low", "close", "volume")

TIMEFRAMES: dict[str, int] = {
    "1s": 1_000,
    "5s": 5_000,
    "10s": 10_000,
    "15s": 15_000,
    "30s": 30_000,
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "6h": 21_600_000,
    "8h": 28_800_000,
    "12h": 43_200_000,
    "1d": 86_400_000,
}


def duration_of(timeframe: str) -> int:
    """Duration of a timeframe in milliseconds; an unknown name is an error with the nearest one."""
    if timeframe not in TIMEFRAMES:
        raise unknown("timeframe", timeframe, TIMEFRAMES)
    return TIMEFRAMES[timeframe]


def milliseconds(index: pd.Index) -> np.ndarray:
    """Open times of an index.

    Returns
    -------
    (n,) int64, milliseconds since 1970-01-01 UTC.
    """
    return pd.DatetimeIndex(index).as_unit("ms").asi8


def candle_frame(open_time_ms: np.ndarray, values: np.ndarray, missing: np.ndarray | None = None) -> pd.DataFrame:
    """Candles as the package keeps them.

    Parameters
    ----------
    open_time_ms : (n,) int64, milliseconds UTC, rising
    values : (n, 5) float64, columns in the order of `COLUMNS`
    missing : (n,) bool, optional; True marks rows that were filled, not traded

    Returns
    -------
    DataFrame indexed by `open_time` (datetime64[ms, UTC]).
    """
    index = pd.DatetimeIndex(np.asarray(open_time_ms, np.int64).astype("datetime64[ms]"), tz="UTC", name="open_time")
    frame = pd.DataFrame(np.asarray(values, np.float64), index=index, columns=list(COLUMNS))
    if missing is not None and missing.any():
        frame["missing"] = missing
    return frame


def traded(frame: pd.DataFrame) -> pd.DataFrame:
    """The candles that exist: without rows marked `missing`, and without that column."""
    if "missing" not in frame:
        return frame
    return frame.loc[~frame["missing"].to_numpy(), list(COLUMNS)]


def resample(frame: pd.DataFrame, timeframe: str, base: str | None = None) -> pd.DataFrame:
    """Build a coarser frame: open first, high max, low min, close last, volume sum.

    Labels are open times, aligned to midnight UTC. A frame candle with fewer base candles than its
    span exists, one with none does not; rows marked `missing` count as none.

    Parameters
    ----------
    frame : (n,) candles indexed by open time, finer than or equal to `timeframe`
    timeframe : name out of `TIMEFRAMES`
    base : timeframe of the candles; where given, it must divide `timeframe` (sparse candles do not tell it)

    Returns
    -------
    DataFrame like `frame`, one row a frame candle; the first and last one may be partial.

    Raises
    ------
    ConfigError
        Where `timeframe` is unknown or no multiple of `base`.
    """
    duration = duration_of(timeframe)
    if base is not None and duration % duration_of(base):
        raise ConfigError(f"candles of {base} cannot be resampled to {timeframe}; allowed are multiples of {base}")
    frame = traded(frame)
    time = milliseconds(frame.index)
    if len(time) == 0:
        return frame[list(COLUMNS)].copy()
    label = time - time % duration
    starts = np.flatnonzero(np.concatenate(([True], label[1:] != label[:-1])))
    ends = np.concatenate((starts[1:], [len(time)])) - 1
    return candle_frame(
        label[starts],
        np.column_stack(
            (
                frame["open"].to_numpy()[starts],
                np.maximum.reduceat(frame["high"].to_numpy(), starts),
                np.minimum.reduceat(frame["low"].to_numpy(), starts),
                frame["close"].to_numpy()[ends],
                np.add.reduceat(frame["volume"].to_numpy(), starts),
            )
        ),
    )


def last_closed(
    open_time_ms: np.ndarray, duration_ms: int, frame_open_time_ms: np.ndarray, frame_duration_ms: int
) -> np.ndarray:
    """Position of the last frame candle that is closed when each base candle closes.

    Parameters
    ----------
    open_time_ms : (n,) int64, open times of the base candles, rising
    duration_ms : duration of a base candle
    frame_open_time_ms : (m,) int64, open times of the frame candles, rising
    frame_duration_ms : duration of a frame candle

    Returns
    -------
    (n,) int64; -1 where no frame candle is closed yet. Frame candle j is visible at row i iff
    frame_open_time_ms[j] + frame_duration_ms <= open_time_ms[i] + duration_ms.
    """
    close = np.asarray(open_time_ms, np.int64) + np.int64(duration_ms)
    frame_close = np.asarray(frame_open_time_ms, np.int64) + np.int64(frame_duration_ms)
    return np.searchsorted(frame_close, close, side="right").astype(np.int64) - 1


def on_base(values: np.ndarray, closed: np.ndarray, fill: float = np.nan) -> np.ndarray:
    """Values of a frame as each base candle may see them.

    Parameters
    ----------
    values : (m,) or (m, k), one row a frame candle
    closed : (n,) int64 from `last_closed`
    fill : what stands where nothing is closed yet; NaN by default, give a code for integer arrays

    Returns
    -------
    (n,) or (n, k); integers stay integers where `fill` is one.

    Raises
    ------
    DataError
        Where `closed` points past the end of `values`: they belong to different frames.
    """
    values = np.asarray(values)
    closed = np.asarray(closed, np.int64)
    if len(closed) and closed.max() >= len(values):
        raise DataError(
            f"alignment reaches row {closed.max()} of a frame with {len(values)} rows; "
            f"build it with last_closed from the same frame"
        )
    kind = (
        values.dtype
        if np.issubdtype(values.dtype, np.integer) and isinstance(fill, int)
        else np.result_type(values.dtype, np.float64)
    )
    result = np.full((len(closed), *values.shape[1:]), fill, dtype=kind)
    seen = closed >= 0
    result[seen] = values[closed[seen]]
    return result


def check_shape(frame: pd.DataFrame, name: str) -> None:
    """Columns, index and dtypes are those of the package; values are the business of `quality.check`."""
    if not isinstance(frame, pd.DataFrame) or not set(COLUMNS) <= set(frame.columns):
        got = list(frame.columns) if isinstance(frame, pd.DataFrame) else type(frame).__name__
        raise DataError(f"{name}: got {got}, allowed are candles with columns {', '.join(COLUMNS)}")
    if extra := set(frame.columns) - {*COLUMNS, "missing"}:
        raise DataError(f"{name}: {unknown('column', min(extra, key=str), (*COLUMNS, 'missing'))}; drop it")
    index = frame.index
    if (
        not isinstance(index, pd.DatetimeIndex)
        or str(index.tz) != "UTC"
        or not index.is_monotonic_increasing
        or not index.is_unique
    ):
        raise DataError(
            f"{name}: the index must be open times in UTC, unique and rising; "
            f"load the file with load_market or build it with as_candles"
        )
    if any(frame[c].dtype != np.float64 for c in COLUMNS):
        raise DataError(f"{name}: got {dict(frame.dtypes.astype(str))}, allowed is float64 for {', '.join(COLUMNS)}")
