"""Verdicts that close entries or everything: the day's loss, the stop, the route; and what opens them again."""

import numpy as np

from traderagent.base.kernel import inner_kernel
from traderagent.engine.orders import (
    cancel_entries,
    forget_refusals,
    leave_at_next_open,
    no_wakes,
    no_watch,
    set_triggers,
)
from traderagent.engine.records import book_of, now_of, span_of
from traderagent.strategies.contract import BLOCKED, DEACTIVATED, OFF_ROUTE, OPEN, PORTFOLIO_STOP, is_idle


@inner_kernel
def start_day(account, pair):
    """Step 0: the reference is the last mark; what the day had blocked is open again."""
    account.daily_reference = account.cash + account.inventory * pair.last_close
    reopen(account, pair)


@inner_kernel
def reopen(account, pair):
    """The day's block ends; who may open again is asked."""
    if account.blocked == 1:
        account.blocked = 0
        for b in range(pair.n_books):
            book = book_of(pair, b)
            if book.entry == BLOCKED:
                book.entry = OPEN
            book.ask = 1


@inner_kernel
def judge(account, pair, equity):
    """Step 4: verdicts that need the close."""
    limited = (account.blocked == 0) & (account.max_daily_loss < np.inf)
    if limited and (equity <= account.daily_reference * (1 - account.max_daily_loss)):
        block(account, pair)
    stops = account.portfolio_stop < np.inf
    if stops and (account.peak - equity) / account.peak >= account.portfolio_stop:
        account.portfolio_stop = np.inf
        account.max_daily_loss = np.inf
        halt(account, pair)


@inner_kernel
def block(account, pair):
    """Entries close until the next day."""
    account.blocked = 1
    account.daily_blocks += 1
    for b in range(pair.n_books):
        book = book_of(pair, b)
        if book.entry == OPEN:
            book.entry = BLOCKED
        cancel_entries(account, book)
        forget_refusals(book)
        set_triggers(account, pair, book)  # among others it may be walked before it decides again
        book.ask = 1


@inner_kernel
def halt(account, pair):
    """Every order is cancelled, every book is sold at its next open, nobody is asked, no fill opens anything."""
    account.halted = 1
    account.n_halts += 1
    account.halt_row = now_of(pair).row
    for b in range(pair.n_books):
        book = book_of(pair, b)
        no_wakes(book)
        no_watch(book)
        book.entry = OFF_ROUTE
        book.n_exits = 0 if book.is_ladder == 0 else book.n_exits
        leave_at_next_open(account, book, PORTFOLIO_STOP)
        set_triggers(account, pair, book)  # a liquidation comes before the sale


@inner_kernel
def awaits_signal(book):
    """Whether a book has nothing but its next signal on the route to wait for: when that is, it knows already."""
    has_nothing = is_idle(book) & (book.n_cells == 0) & (book.need == 0.0)
    return has_nothing & (book.signal >= 0) & (book.everywhere == 0)


@inner_kernel
def follow_route(account, pair, feed, row):
    """Step 5: leaving the route closes entries, coming back opens them unless the day is blocked."""
    while span_of(feed, pair.span).end <= row:
        pair.span += 1
    span = span_of(feed, pair.span)
    pair.size_factor, pair.next_change = span.size_factor, span.end
    for b in range(pair.n_books):
        book = book_of(pair, b)
        on_route = (span.mask >> book.strategy) & 1
        if on_route == (book.entry != OFF_ROUTE):
            continue
        book.ask |= int(not awaits_signal(book))
        if on_route == 1:
            book.entry = BLOCKED if account.blocked == 1 else OPEN
        else:
            book.entry = OFF_ROUTE
            if account.keep_entries == 0:
                cancel_entries(account, book)
                if (account.flatten == 1) and (book.quantity > 0.0) and (book.exit_reason == 0):
                    leave_at_next_open(account, book, DEACTIVATED)
            forget_refusals(book)
