"""One symbol's part in the loop of an account that several share: the functions of the single run, on its own rows.

Its seat says between which prices and until when it may be left alone.
"""

import numpy as np

from traderagent.base.kernel import fetch, float64_at, inline_kernel, inner_kernel, int32_at, int64_at, rarely
from traderagent.engine.funding import settle_funding
from traderagent.engine.gate import count_start_refusal
from traderagent.engine.limits import recount
from traderagent.engine.loop import (
    decide_book,
    has_reason,
    liquidate,
    may_be_granted,
    read_candle,
    read_rest,
    write_ledger,
)
from traderagent.engine.marks import mark, settle, use_capital
from traderagent.engine.orders import cancel_entries, drop_deal, move_stop
from traderagent.engine.path import find_nearest, is_touched, walk_candle
from traderagent.engine.records import account_of, block_of, book_of, feed_of, now_of, pair_of
from traderagent.engine.skip import mark_until
from traderagent.engine.verdicts import follow_route


@inner_kernel
def catch_up(seat, row):
    """Mark the symbol's own sums at the closes before a row, on which nothing of it happened."""
    if rarely(seat.marked < row):
        mark_until(account_of(seat), pair_of(seat), feed_of(seat), seat.marked, row, -np.inf, np.inf)
        seat.marked = row


@inline_kernel
def meet_candle(limits, seat, row, is_marked):
    """A symbol's present candle begins: what a hole before it has left open is settled.

    Its prices are read from the common axis, where those of all symbols lie side by side.
    """
    account, pair, feed = account_of(seat), pair_of(seat), feed_of(seat)
    now, s = now_of(pair), account.seat
    seat.row = row
    seat.fresh = 1
    if rarely(is_marked):
        catch_up(seat, row)
        if row >= block_of(pair, feed).end:
            pair.block += 1
    now.time = limits.time
    now.low, now.high, now.close = float64_at(limits.low, s), float64_at(limits.high, s), float64_at(limits.present, s)
    now.open = float64_at(limits.open, s)
    read_rest(pair, feed, row)
    fetch(feed.columns + 8 * feed.along_columns * row)
    fetch(feed.next_signal + 4 * feed.along_signals * row)
    pair.last_close = float64_at(limits.before, s) if row > 0 else now.open
    if rarely((account.perpetual == 1) & (row > feed.first)):
        settle_funding(account, pair, float64_at(feed.funding_gap, row), pair.last_close)
    account.n_events += 1


@inner_kernel
def walk_symbol(seat):
    """Step 1: everything that can fill inside the candle."""
    account, pair = account_of(seat), pair_of(seat)
    if is_touched(pair, now_of(pair).low, now_of(pair).high):
        walk_candle(account, pair, feed_of(seat))
        settle(account, pair)


@inner_kernel
def mark_symbol(seat, is_marked):
    """Steps 2 and 3: funding, and the symbol's own sums at its close."""
    account, pair, feed = account_of(seat), pair_of(seat), feed_of(seat)
    close = now_of(pair).close
    if rarely(account.perpetual == 1):
        settle_funding(account, pair, float64_at(feed.funding, seat.row), close)
    if rarely(is_marked):
        mark(account, block_of(pair, feed), seat.row, close)
        seat.marked = seat.row + 1


@inline_kernel
def prepare(limits, seat):
    """Step 5, and the moving stops of step 6. Notes who is to be asked."""
    account, pair, feed = account_of(seat), pair_of(seat), feed_of(seat)
    if rarely(seat.row >= pair.next_change):
        follow_route(account, pair, feed, seat.row)
    for b in range(pair.n_books):
        move_stop(account, pair, book_of(pair, b))
    equity = account.cash + account.inventory * now_of(pair).close
    seat.asked = 0
    for turn in range(limits.n_turns):
        b = int64_at(seat.books, turn)
        if (b >= 0) and has_reason(account, pair, feed, book_of(pair, b), equity):
            seat.asked |= 1 << turn


@inline_kernel
def decide_turn(seat, turn):
    """Step 6 of the symbol's book whose turn it is."""
    account, pair, feed = account_of(seat), pair_of(seat), feed_of(seat)
    book = book_of(pair, int64_at(seat.books, turn))
    decide_book(account, pair, feed, book, account.cash + account.inventory * now_of(pair).close)


@inline_kernel
def finish_symbol(limits, seat, closes_out):
    """A symbol's work at this time is done: what it did is counted and written."""
    account, pair, feed = account_of(seat), pair_of(seat), feed_of(seat)
    for b in range(pair.n_books):
        book = book_of(pair, b)
        if may_be_granted(account, book) & (account.halted == 0):
            book.grant_row = min(book.grant_row, seat.row + 1)
    if not closes_out:
        use_capital(account)
    recount(limits, pair, account.seat)
    if rarely(feed.width > 0):
        write_ledger(account, pair, feed, seat.row)
    seat.fresh = seat.asked = 0


@inline_kernel
def reach_of(seat):
    """When the symbol cannot be left alone: (prices below and above which, the same of closes, the row from which on).

    Notes want of cash.
    """
    account, pair, feed = account_of(seat), pair_of(seat), feed_of(seat)
    if pair.known == 0:
        find_nearest(pair)
    below, above, low_close, high_close, row = pair.below, pair.above, -np.inf, np.inf, feed.n
    seat.short = 0
    for b in range(pair.n_books):
        book = book_of(pair, b)
        below = max(below, max(book.wake_below, book.move_below))
        above = min(above, min(book.wake_above, book.move_above))
        low_close, high_close = max(low_close, book.grant_below), min(high_close, book.grant_above)
        row = min(row, min(book.wake_row, book.grant_row))
        seat.short |= book.short
    if rarely((pair.overdue == 1) | (pair.pending == 1) | (feed.every == 1)):
        row = seat.row + 1
    if rarely(account.halted == 1):
        seat.short = 0
    else:
        row = min(row, pair.next_change)
        if rarely(account.perpetual == 1):
            row = min(row, int32_at(feed.next_funding, seat.row))
    return below, above, low_close, high_close, max(row, seat.row + 1)


@inner_kernel
def wants_cash(seat):
    """Whether an entry of the symbol waits for cash and the account's free cash has moved since."""
    account, pair = account_of(seat), pair_of(seat)
    wants = False
    for b in range(pair.n_books):
        wants |= (book_of(pair, b).short == 1) & may_be_granted(account, book_of(pair, b))
    return wants


@inner_kernel
def take_back(seat, reason):
    """Closing by the account reaches a symbol without a candle at once: its pending entries are refused."""
    account, pair = account_of(seat), pair_of(seat)
    for b in range(pair.n_books):
        book = book_of(pair, b)
        if (book.market_quantity != 0.0) | (book.market_fraction != 0.0):
            count_start_refusal(account, pair, book, reason)
            drop_deal(account, pair, book)
        cancel_entries(account, book)


@inner_kernel
def close_out(limits, seat, is_last, is_kept):
    """At the end every book sells at its symbol's last close; a symbol that trades to the end is marked after it."""
    account, pair, feed = account_of(seat), pair_of(seat), feed_of(seat)
    if feed.first >= feed.n:
        return
    if is_kept:
        catch_up(seat, feed.n - is_last)
    read_candle(pair, feed, feed.n - 1)
    liquidate(account, pair, now_of(pair).close)
    if is_kept:
        catch_up(seat, feed.n)
    use_capital(account)
    recount(limits, pair, account.seat)
    if (feed.width > 0) & (is_last == 1):  # one that ended earlier holds until here: its last candle says so
        write_ledger(account, pair, feed, feed.n - 1)
