"""Verdicts of an account that several symbols share: the day's loss, the stop and its end, shares dealt anew.

What they change of a symbol is looked at again at its next candle, or at this one.
"""

import numpy as np

from traderagent.account.seats import catch_up, take_back
from traderagent.base.kernel import float64_at, inner_kernel, int32_at, int64_at, rarely, write_int64
from traderagent.engine.limits import recount
from traderagent.engine.orders import forget_refusals
from traderagent.engine.records import account_of, book_of, feed_of, pair_of, seat_of
from traderagent.engine.verdicts import block, halt, reopen
from traderagent.strategies.contract import HALTED, RISK_DAILY


@inner_kernel
def next_row(limits, s):
    """A symbol's row at this time, or its next one where it has no candle."""
    row = int32_at(limits.rows, s)
    return row if row >= 0 else -1 - row


@inner_kernel
def ask_soon(limits, s):
    """A symbol that has begun is to be looked at, at its next candle or now."""
    row = next_row(limits, s)
    if row >= feed_of(seat_of(limits, s)).first:
        write_int64(limits.due, s, min(int64_at(limits.due, s), row))


@inner_kernel
def begin_day(limits, equity):
    """Step 0: the day's loss counts from the last marks; what the day had blocked is open again."""
    limits.daily_reference = equity
    for s in range(limits.n):
        account = account_of(seat_of(limits, s))
        if account.blocked == 1:
            reopen(account, pair_of(seat_of(limits, s)))
            ask_soon(limits, s)


@inner_kernel
def share_out(limits, weights, equity, is_kept):
    """Step 0: sizing equities become weight × equity of the account; nothing is bought or sold."""
    for s in range(limits.n):
        seat = seat_of(limits, s)
        account, pair = account_of(seat), pair_of(seat)
        if is_kept:
            catch_up(seat, next_row(limits, s))
        account.cash = weights[s] * equity - account.inventory * float64_at(limits.close, s)
        for b in range(pair.n_books):
            book_of(pair, b).ask = 1
        ask_soon(limits, s)


@inner_kernel
def daily_floor(limits):
    """Equity at or below which some symbol that is not blocked yet will be."""
    floor = -np.inf
    for s in range(limits.n):
        seat = seat_of(limits, s)
        if (account_of(seat).blocked == 0) & (seat.max_daily_loss < np.inf):
            floor = max(floor, limits.daily_reference * (1 - seat.max_daily_loss))
    return floor


@inner_kernel
def block_day(limits, equity):
    """Step 4: symbols whose limit the account's loss of the day has reached are blocked until the next one."""
    for s in range(limits.n):
        seat = seat_of(limits, s)
        account, pair = account_of(seat), pair_of(seat)
        if (account.blocked == 1) | (seat.max_daily_loss == np.inf):
            continue
        if equity <= limits.daily_reference * (1 - seat.max_daily_loss):
            if int32_at(limits.rows, s) < 0:
                take_back(seat, RISK_DAILY)
            block(account, pair)
            recount(limits, pair, s)
            ask_soon(limits, s)


@inner_kernel
def halt_all(limits):
    """Step 4: every order of every symbol is cancelled, every book is sold at its symbol's next open."""
    limits.halted = 1
    limits.halted_at = limits.time
    limits.n_halts += 1
    for s in range(limits.n):
        seat = seat_of(limits, s)
        pair = pair_of(seat)
        take_back(seat, HALTED)
        halt(account_of(seat), pair)
        account_of(seat).halt_row = next_row(limits, s) - (int32_at(limits.rows, s) < 0)
        for b in range(pair.n_books):
            book = book_of(pair, b)
            forget_refusals(book)
            book.refused_row = min(book.refused_row, next_row(limits, s) - 1)  # who sleeps is refused no longer
        recount(limits, pair, s)
        ask_soon(limits, s)


@inner_kernel
def resume_all(limits, equity):
    """Step 4: the halt ends; drawdown is measured from here, and everybody is asked again."""
    limits.halted = 0
    limits.peak = equity
    for s in range(limits.n):
        pair = pair_of(seat_of(limits, s))
        account_of(seat_of(limits, s)).halted = 0
        pair.next_change = 0
        for b in range(pair.n_books):
            book_of(pair, b).ask = 1
        ask_soon(limits, s)


@inner_kernel
def judge(limits, equity, floor):
    """Step 4: verdicts that need the close; returns whether there was one."""
    limits.peak = max(limits.peak, equity)
    is_news = False
    waited = limits.time >= limits.halted_at + limits.resume_after
    if rarely((limits.halted == 1) & (limits.resume_after > 0) & waited):
        resume_all(limits, equity)
        is_news = True
    if limits.halted == 0:
        if rarely(equity <= floor):
            block_day(limits, equity)
            is_news = True
        if rarely((limits.peak - equity) / limits.peak >= limits.stop):
            halt_all(limits)
            is_news = True
    return is_news
