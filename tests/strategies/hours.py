"""Hand-made hours: each is one quarter with the whole candle and three flat ones at its close."""

from __future__ import annotations

import numpy as np
import pandas as pd

from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import COLUMNS, candle_frame
from traderagent.strategies.features import Frames
from traderagent.strategies.smc import Smc

START = 1_704_067_200_000  # 2024-01-01 00:00 UTC
QUARTER, HOUR = 900_000, 3_600_000


def quarters(bars: list[tuple], start: int = START) -> MultiTimeframeData:
    """M15 candles from (open, high, low, close), one after the other."""
    values = np.array([(*bar, 1.0) for bar in bars], float)
    return MultiTimeframeData.from_base(
        "HOURSUSDT", candle_frame(start + QUARTER * np.arange(len(bars)), values), base="15m"
    )


def hours(bars: list[tuple]) -> MultiTimeframeData:
    """H1 candles from (open, high, low, close)."""
    return quarters([quarter for bar in bars for quarter in (bar, *3 * [(bar[3],) * 4])])


def spans(*pairs: tuple[float, float]) -> MultiTimeframeData:
    """H1 candles from (low, high) that open and close in their middle."""
    return hours([((low + high) / 2, high, low, (low + high) / 2) for low, high in pairs])


def rows(data: MultiTimeframeData, kind: str, side: int, **parameters: float) -> list[tuple]:
    """H1 structures of a kind: (at, confirmed, low, high, ended, end_reason), times in hours from the start."""
    table = Smc(**{"swing_length": 1} | parameters).structures(Frames(data))
    table = table[(table["timeframe"] == "1h") & (table["kind"] == kind) & (table["side"] == side)]

    def hour(time: pd.Timestamp) -> float | None:
        return None if time is pd.NaT else (time.value // 1_000_000 - START) / HOUR

    return [(hour(r.at), hour(r.confirmed), r.low, r.high, hour(r.ended), r.end_reason) for r in table.itertuples()]


def mirrored(data: MultiTimeframeData, around: float) -> MultiTimeframeData:
    """The same candles upside down: each price x as 2 · around − x."""
    frame = 2 * around - data.candles[list(COLUMNS)]
    frame["volume"] = data.candles["volume"]
    return MultiTimeframeData.from_base(
        data.symbol, frame.rename(columns={"high": "low", "low": "high"})[list(COLUMNS)], base=data.base
    )
