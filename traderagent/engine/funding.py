"""Funding of a perpetual account: what holders of one side pay those of the other at fixed times."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import DataError
from traderagent.base.kernel import inner_kernel
from traderagent.engine.config import MOST_FUNDING
from traderagent.engine.money import move_cash
from traderagent.engine.orders import set_triggers
from traderagent.engine.records import book_of
from traderagent.strategies.contract import cell_of, exit_of, mirrored

EVERY = 8 * 3_600_000


@inner_kernel
def settle_funding(account, pair, rate, price):
    """Step 2: every book pays rate × its inventory × price, out of its margin; its lots share it by quantity.

    It moves the account's equity, by which the gate goes: also a book that holds nothing is to ask again.
    """
    if rate == 0.0:
        return
    for b in range(pair.n_books):
        book = book_of(pair, b)
        book.ask = 1
        if book.quantity == 0.0:
            continue
        paid = rate * (book.side * book.quantity) * price
        move_cash(account, book, -paid, 0.0, -paid)
        account.funding += paid
        book.funding += paid
        book.margin -= paid
        if book.is_ladder == 1:
            share_among_lots(book, paid)
        else:
            book.deal_funding += paid
        set_triggers(account, pair, book)
        pair.overdue |= int(book.liquidation >= mirrored(book, price))


@inner_kernel
def share_among_lots(book, paid):
    """Charge holding cells and kept exits by their quantity."""
    each = paid / book.quantity
    for k in range(book.n_cells):
        cell = cell_of(book, k)
        if cell.held > 0.0:
            cell.funding += each * cell.held
    for k in range(book.n_exits):
        kept = exit_of(book, k)
        kept.funding += each * kept.quantity


def funding_on_candles(
    time: np.ndarray, duration: int, rates: float | pd.Series | None, symbol: str = ""
) -> dict[str, np.ndarray]:
    """Rates that each candle settles.

    Parameters
    ----------
    time : (n,) int64, open times in ms
    duration : of a candle, ms
    rates : fraction paid by longs at 00, 08 and 16 UTC, or a Series of such fractions by time; None: no funding

    Returns
    -------
    funding : (n,) float64, sum of the rates with open < time ≤ close, settled at the close
    funding_gap : (n,) float64, sum of those in the hole before the candle, settled at the last close
    next_funding : (n,) int32, the next row that settles anything, n for none

    Raises
    ------
    DataError
        Where a series has holes, does not rise, does not cover the candles, or holds a rate beyond ±5 %.
    """
    n = len(time)
    at, rate = _schedule(time, duration, rates, symbol)
    row = np.searchsorted(time, at, side="left") - 1
    inside = row >= 0
    at, rate, row = at[inside], rate[inside], row[inside]
    in_candle = at <= time[row] + duration
    hole = ~in_candle & (row + 1 < n)
    funding = np.bincount(row[in_candle], rate[in_candle], minlength=n)
    gap = np.bincount(row[hole] + 1, rate[hole], minlength=n)
    rows = np.where((funding != 0) | (gap != 0), np.arange(n), n)
    following = np.append(np.minimum.accumulate(rows[::-1])[::-1][1:], n)
    return {"funding": funding, "funding_gap": gap, "next_funding": following.astype(np.int32)}


def _schedule(
    time: np.ndarray, duration: int, rates: float | pd.Series | None, symbol: str
) -> tuple[np.ndarray, np.ndarray]:
    first, last = int(time[0]), int(time[-1]) + duration
    if rates is None or isinstance(rates, (int, float)):
        at = np.arange(first // EVERY + 1, last // EVERY + 1, dtype=np.int64) * EVERY
        return at, np.full(len(at), float(rates or 0.0))
    at, rate = check_funding(rates, symbol)
    if at[0] > (first // EVERY + 1) * EVERY or at[-1] < last // EVERY * EVERY:
        raise DataError(
            f"{symbol} funding: got rates from {_text(at[0])} to {_text(at[-1])}, allowed are those that cover the "
            f"candles from {_text(first)} to {_text(last)}; load more, or set funding_rate to a constant"
        )
    return at, rate


def check_funding(rates: Any, symbol: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Times in ms and rates of a series.

    Raises
    ------
    DataError
        Where it is no series of numbers by rising UTC times, times of the 8 h rhythm are missing in between, or a rate
        lies beyond ±5 %.
    """
    if isinstance(rates, Mapping):
        rates = pd.Series(rates)
    name = f"{symbol} funding"
    at = _funding_times(rates, name)
    rate = pd.to_numeric(rates, errors="coerce").to_numpy(np.float64)
    rules = (
        (~np.isfinite(rate), "is no number"),
        (np.diff(at, prepend=at[0] - 1) <= 0, "does not rise"),
        (np.abs(rate) > MOST_FUNDING, f"lies beyond ±{MOST_FUNDING:g}; allowed are fractions, 0.01 % is 0.0001"),
    )
    for bad, what in rules:
        if bad.any():
            row = int(np.argmax(bad))
            raise DataError(f"{name} row {row + 1} ({_text(at[row])}): {rates.iloc[row]} {what}; correct the series")
    expected = np.arange(at[0] // EVERY + (at[0] % EVERY > 0), at[-1] // EVERY + 1, dtype=np.int64) * EVERY
    missing = expected[~np.isin(expected, at)]
    if len(missing):
        raise DataError(
            f"{name}: {len(missing)} times are missing, the first is {_text(missing[0])}; allowed is a rate at every "
            "00, 08 and 16 UTC; fill the hole, with 0 where nothing was paid"
        )
    return at, rate


def _funding_times(rates: Any, name: str) -> np.ndarray:
    """Times of a series of rates, ms UTC."""
    allowed = "allowed is a Series of rates indexed by times in UTC"
    if not isinstance(rates, pd.Series):
        raise DataError(f"{name}: got {type(rates).__name__}, {allowed}")
    if not len(rates):
        raise DataError(f"{name}: got no rates, allowed is at least one; set funding_rate to a constant instead")
    index = rates.index
    if not isinstance(index, pd.DatetimeIndex):
        raise DataError(
            f"{name}: got a Series indexed by {index.dtype}, {allowed}; turn milliseconds into times by "
            "pd.to_datetime(…, unit='ms', utc=True)"
        )
    if index.tz is None:
        raise DataError(
            f"{name}: got times without a time zone, the first is {index[0]}, {allowed}; where they are UTC, set "
            "rates.index = rates.index.tz_localize('UTC')"
        )
    return index.tz_convert("UTC").as_unit("ms").asi8


def _text(ms: int) -> str:
    return str(pd.Timestamp(int(ms), unit="ms", tz="UTC"))
