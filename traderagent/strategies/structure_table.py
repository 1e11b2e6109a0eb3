"""The structures of a symbol as a table, one row each, to look at and to draw."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from traderagent.strategies.features import Frame, Frames
from traderagent.strategies.structures import (
    BLOCK,
    BOS,
    CHOCH,
    END_REASONS,
    GAP,
    SIDES,
    TIMEFRAMES,
    Structures,
    Swings,
    closed_candles,
)

KINDS = ("swing_high", "swing_low", "bos", "choch", "order_block", "fair_value_gap", "liquidity")
TIMES = ("at", "confirmed", "ended")
COLUMNS = ("timeframe", "kind", "side", "at", "confirmed", "low", "high", "ended", "end_reason")
NOT_ENDED = np.iinfo(np.int64).min  # becomes NaT as a time

Columns = dict[str, np.ndarray]


def structure_columns(data: Frames, found: Structures) -> Columns:
    """All structures as arrays, in order of confirmation.

    Returns
    -------
    dict of (n,) arrays by the names of `COLUMNS`: `at`, `confirmed` and `ended` int64, ms UTC (`NOT_ENDED` where a
    structure lives); `side` int8; `low` and `high` float64 in price; the others text. What they mean: `Smc.structures`.
    """
    length = found.measures.swing_length
    parts = [part for name in TIMEFRAMES for part in _of_swings(data[name], found.swings[name], length)]
    parts += _of_zones(data["1h"], found)
    parts += _of_pools(data["1h"], data["15m"], found)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}
    order = np.lexsort((columns["at"], columns["confirmed"]))
    return {name: values[order] for name, values in columns.items()}


def structure_table(data: Frames, found: Structures) -> pd.DataFrame:
    """The same as a DataFrame with times in UTC."""
    columns = structure_columns(data, found)
    times = {name: pd.DatetimeIndex(columns[name].view("datetime64[ms]"), tz="UTC") for name in TIMES}
    return pd.DataFrame({name: times.get(name, values) for name, values in columns.items()})


def _part(frame: Frame, kind: np.ndarray | str, side: int, at: np.ndarray, confirmed: np.ndarray) -> Columns:
    """Columns of structures that lie at a candle, confirmed at the close of another; they live and have no prices."""
    n = len(at)
    return {
        "timeframe": np.full(n, frame.timeframe),
        "kind": np.broadcast_to(np.asarray(kind), n),
        "side": np.full(n, side, np.int8),
        "at": frame.time[at],
        "confirmed": frame.time[confirmed] + frame.duration,
        "low": np.full(n, np.nan),
        "high": np.full(n, np.nan),
        "ended": np.full(n, NOT_ENDED),
        "end_reason": np.full(n, END_REASONS[0]),
    }


def _ends(frame: Frame, ended: np.ndarray, reason: np.ndarray) -> Columns:
    return {
        "ended": np.where(ended >= 0, frame.time[np.maximum(ended, 0)] + frame.duration, NOT_ENDED),
        "end_reason": np.array(END_REASONS)[reason],
    }


def _of_swings(frame: Frame, swings: Swings, length: int) -> Iterator[Columns]:
    """Swings and breaks of one timeframe; a swing is confirmed as many candles later as the swings' length."""
    for s, side in enumerate(SIDES):
        level = side * closed_candles(frame, side).high
        at = np.flatnonzero(swings.is_swing[s])
        prices = {"low": level[at], "high": level[at]}
        ends = _ends(frame, swings.ended[s, at], swings.reason[s, at])
        yield _part(frame, KINDS[s], side, at, at + length) | prices | ends
        rows = np.flatnonzero(swings.change[s])
        at = swings.broken[s, rows]
        kind = np.select([swings.change[s, rows] == BOS, swings.change[s, rows] == CHOCH], ["bos", "choch"], "")
        yield _part(frame, kind, side, at, rows) | {"low": level[at], "high": level[at]}


def _of_zones(frame: Frame, found: Structures) -> Iterator[Columns]:
    for side, zones in zip(SIDES, found.zones, strict=True):
        kind = np.select([zones["kind"] == BLOCK, zones["kind"] == GAP], ["order_block", "fair_value_gap"], "")
        ends = _ends(frame, zones["ended"], zones["reason"])
        prices = _prices(side, zones["low"], zones["high"])
        yield _part(frame, kind, side, zones["at"], zones["confirmed"]) | prices | ends


def _of_pools(frame: Frame, swept_by: Frame, found: Structures) -> Iterator[Columns]:
    for side, pools in zip(SIDES, found.pools, strict=True):
        ends = _ends(swept_by, pools["ended"], pools["reason"])
        prices = _prices(side, pools["edge"], pools["level"])
        yield _part(frame, "liquidity", side, pools["at"], pools["confirmed"]) | prices | ends


def _prices(side: int, low: np.ndarray, high: np.ndarray) -> Columns:
    """Back from the prices that a side sees."""
    return {"low": low, "high": high} if side > 0 else {"low": -high, "high": -low}
