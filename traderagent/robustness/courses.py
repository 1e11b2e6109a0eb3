"""What a stress test looks at: the course of one account, where it was most exposed, and what a shock did to it.

An account is one symbol run by itself, or several symbols with one purse; `runners.py` says who runs it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError, DataError
from traderagent.base.hashing import hash_bytes
from traderagent.engine.tape import DAY, HOUR, tape_of
from traderagent.market.candles import MultiTimeframeData

Candles = Mapping[str, MultiTimeframeData]
HOURS_BEFORE = 24  # of a curve, before the shock


@dataclass(frozen=True)
class Course:
    """One account from the start of trading on.

    Attributes
    ----------
    close : (n,) int64, close times, milliseconds UTC, rising; duration : of a candle
    equity : (n,) float64, quote, marked at these closes; initial : at the start of trading
    exposure : (n,) float64, value of what it holds relative to equity; NaN where nobody knows
    starts : symbol → open time (milliseconds) of its first candle of trading; 0 where it is not named
    skipped : symbol → why it is not on the account
    """

    close: np.ndarray
    duration: int
    equity: np.ndarray
    initial: float
    exposure: np.ndarray
    starts: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)

    def before(self, time: int) -> float:
        """Equity at the last close at or before a time; the initial one where there is none."""
        at = int(np.searchsorted(self.close, time, side="right")) - 1
        return self.initial if at < 0 else float(self.equity[at])

    def after(self, time: int, until: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Close times and equity of the closes after a time, up to `until`."""
        begin = int(np.searchsorted(self.close, time, side="right"))
        end = len(self.close) if until is None else int(np.searchsorted(self.close, until, side="right"))
        return self.close[begin:end], self.equity[begin:end]

    def hourly(self, time: int, hours: int) -> np.ndarray:
        """(HOURS_BEFORE + hours + 1,) equity relative to that at a time, by hours from it; NaN beyond its ends."""
        at = time + np.arange(-HOURS_BEFORE, hours + 1) * HOUR
        last = np.searchsorted(self.close, at, side="right") - 1
        known = (last >= 0) & (at <= self.close[-1])
        return np.where(known, self.equity[np.maximum(last, 0)], np.nan) / self.before(time)


@dataclass(frozen=True)
class Account:
    """One account of a stress test, in one sample: its candles, when it begins, and its undisturbed course."""

    name: str
    sample: str
    candles: Candles
    begins: Mapping[str, pd.Timestamp] | None
    course: Course = field(repr=False)


def worst_moment(course: Course, seed: int, name: str) -> int:
    """Time at which a shock hurts most: the close at which the account holds most, relative to what it is worth.

    A shock needs candles to show itself: the last seven days, or the last quarter of a short run, are left to it. An
    account that holds nothing, or does not say what it holds, is hit at a close drawn by the seed and its name.

    Returns
    -------
    int, milliseconds UTC: the shock begins with the candle that opens then.
    """
    n = len(course.close)
    room = max(1, min(7 * DAY // course.duration, n // 4))
    held = np.nan_to_num(course.exposure[: n - room], nan=0.0)
    if not len(held):
        raise DataError(f"{name}: {n} candles of trading are too few for a shock; load a longer span")
    if held.max() > 0.0:
        return int(course.close[np.argmax(held)])
    draws = np.random.default_rng(np.random.SeedSequence([seed, int(hash_bytes(name.encode()), 16)]))
    return int(course.close[draws.integers(0, len(held))])


def volatile_windows(candles: Candles, course: Course, length: int, n: int) -> list[tuple[int, int]]:
    """Begin and end (milliseconds) of the n windows in which the closes moved most; they do not overlap.

    Parameters
    ----------
    length : of a window, milliseconds
    n : windows; fewer are found where fewer fit

    Raises
    ------
    DataError
        Where not even one fits into the span traded.

    Notes
    -----
    Sum of squared log returns of the base candles, of several symbols their mean.
    """
    span = int(course.close[-1] - course.close[0])
    if length > span:
        name = ", ".join(candles)
        raise DataError(
            f"{name}: got windows of {length / DAY:g} days, allowed are up to {span / DAY:.4g} days, the span traded; "
            "give a shorter window=…, or load a longer span"
        )
    parts = {}
    for symbol, data in candles.items():
        tape = tape_of(data)
        moves = np.square(np.diff(np.log(tape.close)))
        parts[symbol] = pd.Series(moves, pd.Index(tape.time[1:] + tape.duration))
    moved = pd.DataFrame(parts).mean(axis=1).reindex(course.close).fillna(0.0).to_numpy()
    total = np.concatenate([[0.0], np.cumsum(moved)])
    begins = np.flatnonzero(course.close + length <= course.close[-1])
    ends = np.searchsorted(course.close, course.close[begins] + length, side="right") - 1
    energy = total[ends + 1] - total[begins + 1]
    found: list[tuple[int, int]] = []
    for _ in range(n):
        best = int(np.argmax(energy))
        if energy[best] < 0.0:
            break
        begin = int(course.close[begins[best]])
        found.append((begin, begin + length))
        energy[np.abs(course.close[begins] - begin) < length] = -1.0
    return found


def row_at(data: MultiTimeframeData, time: int) -> int | None:
    """First candle that opens at or after a time; None where there is none, or none before it."""
    row = int(np.searchsorted(tape_of(data).time, time))
    return row if 0 < row < len(tape_of(data)) else None


def damage(course: Course, time: int, until: int | None) -> dict[str, float]:
    """What an account lost from a time on, and how long it took to get it back.

    Parameters
    ----------
    until : end of the look at losses, milliseconds; None is the end of the candles, which recoveries may always use

    Returns
    -------
    worst_pct : lowest equity relative to that at the time, less 1, at most 0; %
    recovery_days : until equity is back at what it was, after its lowest close; 0 where it never fell below, NaN where
        it never came back
    """
    mark = course.before(time)
    _, seen = course.after(time, until)
    worst = min(float(seen.min()) / mark - 1.0, 0.0) if len(seen) else 0.0
    recovery = 0.0
    if worst < 0.0:
        closes, equity = course.after(time)
        lowest = int(np.argmin(seen))
        back = np.flatnonzero(equity[lowest:] >= mark)
        recovery = (closes[lowest + back[0]] - time) / DAY if len(back) else np.nan
    return {"worst_pct": worst * 100.0, "recovery_days": float(recovery)}


def check_run(found: Any) -> Course:
    """The course that a runner of one's own returned.

    Raises
    ------
    ConfigError
        For anything else.
    """
    if not isinstance(found, Course):
        raise ConfigError(f"run: returned {type(found).__name__}, allowed is a Course; make one of its equity by close")
    return found
