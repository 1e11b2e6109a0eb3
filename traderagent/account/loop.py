"""The loop of several symbols on one account: they advance together over the union of their candles.

A symbol is stepped only at times at which something of it may happen; its close counts at every time all the same.
Arrays over symbols: `below`, `above` prices and `due` the place on the axis until which it may be left alone;
`row_at` its row at a time, or −1 less its next one where it has no candle.
"""

import numpy as np

from traderagent.account.seats import (
    catch_up,
    close_out,
    decide_rank,
    finish_symbol,
    mark_symbol,
    meet_candle,
    prepare,
    reach_of,
    take_back,
    walk_symbol,
    wants_cash,
)
from traderagent.base.kernel import float64_at, inner_kernel, int32_at, int64_at, kernel
from traderagent.engine.limits import committed_of, recount
from traderagent.engine.marks import mark, use_capital
from traderagent.engine.money import start_candle
from traderagent.engine.orders import forget_refusals
from traderagent.engine.records import account_of, block_of, book_of, feed_of, pair_of, seat_of
from traderagent.engine.verdicts import block, halt, reopen
from traderagent.strategies.contract import HALTED, RISK_DAILY


@inner_kernel
def value_at_close(limits, quantity):
    """Σ quantity × last close, in the order of the symbols."""
    total = 0.0
    for s in range(limits.n):
        total += quantity[s] * float64_at(limits.close, s)
    return total


@inner_kernel
def ask_soon(limits, s, row, t, due):
    """A symbol is to be looked at, at its next candle or now."""
    seat = seat_of(limits, s)
    feed = feed_of(seat)
    if row < 0:
        row = -1 - row
    if row >= feed.first:
        due[s] = min(due[s], int32_at(seat.time_of, row))


@inner_kernel
def begin_day(limits, equity, rows, t, due):
    """Step 0: the day's loss counts from the last marks; what the day had blocked is open again."""
    limits.daily_reference = equity
    for s in range(limits.n):
        account = account_of(seat_of(limits, s))
        if account.blocked == 1:
            reopen(account, pair_of(seat_of(limits, s)))
            ask_soon(limits, s, rows[s], t, due)


@inner_kernel
def share_out(limits, weights, equity, rows, t, due, is_kept):
    """Step 0: sizing equities become weight × equity of the account; nothing is bought or sold."""
    for s in range(limits.n):
        seat = seat_of(limits, s)
        account, pair = account_of(seat), pair_of(seat)
        row = rows[s] if rows[s] >= 0 else -1 - rows[s]
        if is_kept:
            catch_up(seat, row)
        account.cash = weights[s] * equity - account.inventory * float64_at(limits.close, s)
        for b in range(pair.n_books):
            book_of(pair, b).ask = 1
        ask_soon(limits, s, rows[s], t, due)


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
def block_day(limits, equity, rows, t, due):
    """Step 4: symbols whose limit the account's loss of the day has reached are blocked until the next one."""
    for s in range(limits.n):
        seat = seat_of(limits, s)
        account, pair = account_of(seat), pair_of(seat)
        if (account.blocked == 1) | (seat.max_daily_loss == np.inf):
            continue
        if equity <= limits.daily_reference * (1 - seat.max_daily_loss):
            if rows[s] < 0:
                take_back(seat, RISK_DAILY)
            block(account, pair)
            recount(limits, pair, s)
            ask_soon(limits, s, rows[s], t, due)


@inner_kernel
def halt_all(limits, rows, t, due):
    """Step 4: every order of every symbol is cancelled, every book is sold at its symbol's next open."""
    limits.halted = 1
    limits.halted_at = limits.time
    limits.n_halts += 1
    for s in range(limits.n):
        seat = seat_of(limits, s)
        pair = pair_of(seat)
        take_back(seat, HALTED)
        halt(account_of(seat), pair)
        account_of(seat).halt_row = rows[s] if rows[s] >= 0 else -2 - rows[s]
        for b in range(pair.n_books):
            forget_refusals(book_of(pair, b))
        recount(limits, pair, s)
        ask_soon(limits, s, rows[s], t, due)


@inner_kernel
def resume_all(limits, equity, rows, t, due):
    """Step 4: the halt ends; drawdown is measured from here, and everybody is asked again."""
    limits.halted = 0
    limits.peak = equity
    for s in range(limits.n):
        pair = pair_of(seat_of(limits, s))
        account_of(seat_of(limits, s)).halted = 0
        pair.next_change = 0
        for b in range(pair.n_books):
            book_of(pair, b).ask = 1
        ask_soon(limits, s, rows[s], t, due)


@inner_kernel
def judge(limits, equity, floor, rows, t, due):
    """Step 4: verdicts that need the close; returns whether there was one."""
    limits.peak = max(limits.peak, equity)
    is_news = False
    waited = limits.time >= limits.halted_at + limits.resume_after
    if (limits.halted == 1) & (limits.resume_after > 0) & waited:
        resume_all(limits, equity, rows, t, due)
        is_news = True
    if limits.halted == 0:
        if equity <= floor:
            block_day(limits, equity, rows, t, due)
            is_news = True
        if (limits.peak - equity) / limits.peak >= limits.stop:
            halt_all(limits, rows, t, due)
            is_news = True
    return is_news


@inner_kernel
def decide_all(limits, turn, rows, t, due, ranks, n_ranks, is_short, queue, is_kept):
    """Steps 5 and 6: routes and moving stops of all, then their decisions, one strategy after the other.

    Who waits for cash is asked where others have freed some at this very close. Returns how many are in the queue.
    """
    n_queue = 0
    for k in range(limits.n):
        s = (turn + k) % limits.n
        if (rows[s] < 0) or not ((due[s] <= t) | is_short[s]):
            continue
        seat = seat_of(limits, s)
        queue[n_queue] = s
        n_queue += 1
        if (due[s] <= t) & (seat.fresh == 0):
            meet_candle(seat, rows[s], is_kept)
            mark_symbol(seat, is_kept)
        if (seat.fresh == 1) & (limits.halted == 0):
            prepare(limits, seat)
    if limits.halted == 0:
        for rank in range(n_ranks):
            for k in range(n_queue):
                seat = seat_of(limits, queue[k])
                if seat.fresh == 0:
                    if not wants_cash(seat):
                        continue
                    meet_candle(seat, rows[queue[k]], is_kept)
                    mark_symbol(seat, is_kept)
                    prepare(limits, seat)
                decide_rank(seat, ranks, rank)
    return n_queue


@inner_kernel
def leave_alone(limits, queue, n_queue, below, above, due, is_short, closes_out):
    """Whoever was looked at says how long it may be left alone; returns whether somebody is owed an answer on cash."""
    for k in range(n_queue):
        s = queue[k]
        seat = seat_of(limits, s)
        if seat.fresh == 1:
            finish_symbol(limits, seat, closes_out)
            below[s], above[s], row = reach_of(seat)
            due[s] = int32_at(seat.time_of, row)
            is_short[s] = seat.short == 1
    is_owed = False
    for s in range(limits.n):
        is_owed = is_owed or (is_short[s] and wants_cash(seat_of(limits, s)))
    return is_owed


@inner_kernel
def write_refusals(limits, log):
    """(n, n_reasons) refused orders of each symbol so far."""
    for s in range(limits.n):
        account = account_of(seat_of(limits, s))
        for reason in range(log.shape[1]):
            log[s, reason] = account.rejections[reason]


@inner_kernel
def write_curves(shared, limits, curves, committed, t):
    """The account's state after a time, and what each symbol has committed."""
    curves[t, 0] = shared.cash + shared.inventory
    curves[t, 1] = shared.cash
    curves[t, 2] = shared.reserved
    curves[t, 3] = shared.locked
    curves[t, 4] = limits.halted
    for s in range(committed.shape[1]):
        committed[t, s] = committed_of(limits, s)


@kernel
def run_account(shared, limits, clock, axis, low, high, close, row_at, ranks, n_ranks, shares, weights, out):
    """Run all symbols over the common axis.

    Parameters
    ----------
    shared, limits, clock, axis : records of the account, of its limits, and of the axis as a pair and a feed
    low, high, close : (n_times, n) float64, beyond reach where a symbol has no candle, its last close kept
    row_at : (n_times, n) int32, a symbol's row, or −1 less its next one
    ranks : (n, MAX_BOOKS) int8, whose turn a book has among the strategies; n_ranks : how many turns there are
    shares : (n_times,) int32, row of `weights` (k, n) that is dealt before a time, −1 for none
    out : curves (n_times, 5) float64 of equity, cash, reserved, locked and whether halted; (n_times, n) float64
        committed; (n_days + 1, n, n_reasons) int64 refusals up to the start of each day; all of no rows where not kept
    """
    curves, committed, log = out
    n, is_kept, day = limits.n, len(curves) > 0, 0
    below, above, inventory, costs = np.full(n, -np.inf), np.full(n, np.inf), np.zeros(n), np.zeros(n)
    due, queue, is_short = np.empty(n, np.int64), np.empty(n, np.int64), np.zeros(n, np.bool_)
    for s in range(n):
        seat = seat_of(limits, s)
        due[s] = int32_at(seat.time_of, min(feed_of(seat).first, feed_of(seat).n))
        seat.marked = feed_of(seat).first
        pair_of(seat).block, pair_of(seat).next_change = feed_of(seat).first_block, feed_of(seat).first
    clock.block, clock.next_day, floor, is_owed = axis.first_block, axis.first, daily_floor(limits), False
    for t in range(axis.first, axis.n):
        opened = int64_at(axis.time, t)
        limits.time = opened + axis.duration
        limits.close = close.ctypes.data + 8 * n * max(t - 1, 0)
        turn = (opened // axis.duration) % n
        n_queue, is_news = 0, False
        for s in range(n):
            is_news |= (low[t, s] <= below[s]) | (high[t, s] >= above[s]) | (due[s] <= t)
        if is_news:
            for k in range(n):
                s = (turn + k) % n
                touched = (low[t, s] <= below[s]) | (high[t, s] >= above[s]) | (due[s] <= t)
                if touched & (row_at[t, s] >= 0):
                    due[s] = t
                    queue[n_queue] = s
                    n_queue += 1
                    meet_candle(seat_of(limits, s), row_at[t, s], is_kept)
        if (t >= clock.next_day) | (shares[t] >= 0):
            equity = shared.cash + value_at_close(limits, inventory)
            if t >= clock.next_day:
                clock.next_day = int32_at(axis.next_day, t)
                if t > axis.first:
                    begin_day(limits, equity, row_at[t], t, due)
                    floor = daily_floor(limits)
                if len(log) > 0:
                    write_refusals(limits, log[day])
                    day += 1
            if shares[t] >= 0:
                share_out(limits, weights[shares[t]], equity, row_at[t], t, due, is_kept)
            is_news = True
        limits.close = close.ctypes.data + 8 * n * t
        closes_out = (shared.sell_at_end == 1) & (t == axis.n - 1)
        if n_queue > 0:
            start_candle(shared)
            for k in range(n_queue):
                walk_symbol(seat_of(limits, queue[k]))
            for k in range(n_queue):
                account = account_of(seat_of(limits, queue[k]))
                mark_symbol(seat_of(limits, queue[k]), is_kept & (not closes_out))
                inventory[queue[k]], costs[queue[k]] = account.inventory, account.cost
            shared.cost = costs.sum()
        shared.inventory = value_at_close(limits, inventory)
        equity = shared.cash + shared.inventory
        if t >= block_of(clock, axis).end:
            clock.block += 1
        if t + 1 == block_of(clock, axis).end:
            shared.gross = value_at_close(limits, np.abs(inventory))
        if not closes_out:
            mark(shared, block_of(clock, axis), t, 1.0)
        if judge(limits, equity, floor, row_at[t], t, due):
            floor = daily_floor(limits)
            is_news = True
        if is_news | is_owed:
            limits.equity = equity
            n_queue = decide_all(limits, turn, row_at[t], t, due, ranks, n_ranks, is_short, queue, is_kept)
            is_owed = leave_alone(limits, queue, n_queue, below, above, due, is_short, closes_out)
        if closes_out:
            for s in range(n):
                close_out(limits, seat_of(limits, s), int(row_at[t, s] >= 0), is_kept)
            shared.inventory = shared.gross = shared.cost = 0.0
            mark(shared, block_of(clock, axis), t, 1.0)
        use_capital(shared)
        if is_kept:
            write_curves(shared, limits, curves, committed, t)
    for s in range(n):
        if is_kept:
            catch_up(seat_of(limits, s), feed_of(seat_of(limits, s)).n)
    if len(log) > 0:
        write_refusals(limits, log[day])
