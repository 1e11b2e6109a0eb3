"""Columns of the market chart as bytes that compress well, so that a year of candles fits into a page.

A column is held in whole units (0.01 of a price, say) as differences: from the row before, or from another column that
nearly says it. Differences are small, so of their four bytes the upper ones are nearly all zero; written plane by plane
they take next to nothing in the compressed page. The script in the page goes back by the same arithmetic.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from traderagent.market.frames import milliseconds

LARGEST = 2**29
# Digits that are kept: of prices all that float64 has room for, of the rest more than a pixel shows.
PRICE_DIGITS, MONEY_DIGITS, SHARE_DIGITS, EXPOSURE_DIGITS = 20, 4, 3, 2


def packed_level(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The columns of a level of `market_levels.pyramid`, and `time`, in the order in which they can be unpacked."""
    columns: dict[str, dict[str, Any]] = {}
    found: dict[str, np.ndarray] = {}

    def add(name: str, digits: int, follow: str = "", **how: Any) -> None:
        columns[name] = packed(frame[name].to_numpy(), digits, follow, references(found), **how)
        found[name] = unpacked(columns[name], references(found))

    add("close", PRICE_DIGITS)
    add("open", PRICE_DIGITS, "close", slope=1.0, shift=1)  # nearly always the close before it
    add("high", PRICE_DIGITS, "top", slope=1.0, summed=False)
    add("low", PRICE_DIGITS, "bottom", slope=1.0, summed=False)
    add("equity", SHARE_DIGITS)
    for name in ("hold", "same_exposure_hold"):
        add(name, SHARE_DIGITS, "close", **_line(found["close"], frame[name].to_numpy()))
    add("drawdown", SHARE_DIGITS, "equity", **_line(found["equity"], frame["drawdown"].to_numpy()))
    for name in frame.columns.drop([*columns, "end"]):
        add(name, EXPOSURE_DIGITS if name.startswith("exposure") else 0)
    return columns | {"time": packed_time(milliseconds(frame.index)), "end": packed_time(frame["end"].to_numpy())}


def packed(
    values: np.ndarray,
    digits: int,
    follow: str = "",
    others: Mapping[str, np.ndarray] | None = None,
    *,
    slope: float = 0.0,
    offset: float = 0.0,
    shift: int = 0,
    summed: bool = True,
) -> dict[str, Any]:
    """A column as differences, their bytes sorted by weight.

    Parameters
    ----------
    values : (n,) float64, finite
    digits : decimals that are kept; fewer where the values have fewer, or are too large for 30 bits
    follow, others : name of a column, and columns as they will be unpacked: what is written is what differs from
        `slope` × that column `shift` rows before + `offset`
    summed : write steps from row to row of that; False: itself

    Returns
    -------
    steps, (4 n,) uint8, and what `unpacked` and the page's script need to go back.
    """
    unit = 10.0 ** -_digits(np.r_[values, offset], digits)
    how = {"unit": unit, "follow": follow, "slope": slope, "offset": offset, "shift": shift, "summed": summed}
    whole = np.rint((values - offset) / unit).astype(np.int64) - _near(how, others, len(values))
    return how | {"steps": _planes(whole, summed)}


def packed_time(time: np.ndarray) -> dict[str, Any]:
    """(n,) int64 ms since the epoch, packed in units of the greatest length that all steps are multiples of."""
    first = int(time[0]) if len(time) else 0
    unit = max(int(np.gcd.reduce(np.diff(time))), 1)
    how = {"unit": unit, "follow": "", "slope": 0.0, "offset": first, "shift": 0, "summed": True}
    return how | {"steps": _planes((time - first) // unit, summed=True)}


def unpacked(record: Mapping[str, Any], others: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
    """(n,) float64: the column that was packed, to the last of its digits."""
    planes = np.ascontiguousarray(record["steps"].reshape(4, -1).T).view("<u4").ravel().astype(np.int64)
    steps = (planes >> 1) ^ -(planes & 1)
    whole = np.cumsum(steps) if record["summed"] else steps
    return (whole + _near(record, others, len(steps))) * record["unit"] + record["offset"]


def references(found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Columns that others may follow: those found, and top and bottom of the candles' bodies."""
    if "open" not in found:
        return dict(found)
    ends = found["open"], found["close"]
    return {**found, "top": np.maximum(*ends), "bottom": np.minimum(*ends)}


def _planes(whole: np.ndarray, summed: bool) -> np.ndarray:
    """Whole numbers, or their steps, as bytes: the lowest of all rows, then the next; the sign is the lowest bit."""
    steps = np.diff(whole, prepend=0) if summed else whole
    folded = ((steps << 1) ^ (steps >> 63)).astype("<u4")
    return np.ascontiguousarray(folded.view(np.uint8).reshape(-1, 4).T).ravel()


def _near(record: Mapping[str, Any], others: Mapping[str, np.ndarray] | None, n: int) -> np.ndarray:
    """What the followed column says, in whole units."""
    near = np.zeros(n, np.int64)
    if record["follow"] and others is not None:
        shift = record["shift"]
        near[shift:] = np.floor(record["slope"] * others[record["follow"]][: n - shift] / record["unit"] + 0.5)
    return near


def _digits(values: np.ndarray, most: int) -> int:
    """Decimals that say the values to nine places, at most those asked for and those that 30 bits hold."""
    largest = max(float(np.abs(values).max(initial=0.0)), 1e-15)
    most = min(most, int(np.floor(np.log10(LARGEST / largest))))
    for digits in range(min(0, most), most):
        scaled = values * 10.0**digits
        if np.abs(scaled - np.rint(scaled)).max(initial=0.0) < 1e-9 * largest * 10.0**digits:
            return digits
    return most


def _line(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Slope and offset of the straight line through the later half: the first rows come before the first buy."""
    x, y = x[len(x) // 2 :], y[len(y) // 2 :]
    spread = float(((x - x.mean()) ** 2).sum())
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread if spread > 0 else 0.0
    return {"slope": slope, "offset": float(y.mean() - slope * x.mean())}
