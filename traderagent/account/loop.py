"""The loop of several symbols on one account: they advance together over the union of their candles.

A symbol is stepped only at times at which something of it may happen; its close counts at every time all the same.
Arrays over symbols: `below`, `above` prices and `due` the row of its own until which it may be left alone.
"""

import numpy as np

from traderagent.account.seats import (
    catch_up,
    close_out,
    decide_turn,
    finish_symbol,
    mark_symbol,
    meet_candle,
    prepare,
    reach_of,
    take_back,
    walk_symbol,
    wants_cash,
)
from traderagent.base.kernel import (
    fetch,
    float64_at,
    inline_kernel,
    inner_kernel,
    int32_at,
    int64_at,
    kernel,
    uint8_at,
    write_int64,
)
from traderagent.engine.limits import committed_of, recount
from traderagent.engine.marks import mark, use_capital
from traderagent.engine.money import start_candle
from traderagent.engine.orders import forget_refusals
from traderagent.engine.records import account_of, block_of, book_of, feed_of, pair_of, seat_of
from traderagent.engine.verdicts import block, halt, reopen
from traderagent.strategies.contract import HALTED, RISK_DAILY


@inner_kernel
def value_at(quantity, price, n):
    """Σ quantity × price of (n,) each; four sums side by side, since one would wait for each of its additions."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for s in range(0, n - 3, 4):
        a += float64_at(quantity, s) * float64_at(price, s)
        b += float64_at(quantity, s + 1) * float64_at(price, s + 1)
        c += float64_at(quantity, s + 2) * float64_at(price, s + 2)
        d += float64_at(quantity, s + 3) * float64_at(price, s + 3)
    for s in range(n - n % 4, n):
        a += float64_at(quantity, s) * float64_at(price, s)
    return (a + b) + (c + d)


@inner_kernel
def gross_at(quantity, price, n):
    """Σ |quantity| × price of (n,) each."""
    total = 0.0
    for s in range(n):
        total += abs(float64_at(quantity, s)) * float64_at(price, s)
    return total


@inner_kernel
def stand_at(limits, prices, rows, t):
    """Where the candles of a place on the axis stand, given the addresses of its arrays."""
    step = 8 * limits.n
    limits.low = prices + 4 * step * t
    limits.high, limits.open, limits.present = limits.low + step, limits.low + 2 * step, limits.low + 3 * step
    limits.before = limits.present if t == 0 else limits.low - step
    limits.close = limits.before
    limits.rows = rows + 4 * limits.n * t


@inline_kernel
def fetch_time(limits, prices, rows, t):
    """Have the candles of a later time brought near; the processor alone loses their track between two times."""
    step = 32 * limits.n
    for at in range(0, step, 64):
        fetch(prices + step * t + at)
    for at in range(0, 4 * limits.n, 64):
        fetch(rows + 4 * limits.n * t + at)


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
def take_seats(limits):
    """Every symbol is to be looked at from the row of its first decision on."""
    for s in range(limits.n):
        seat = seat_of(limits, s)
        pair, feed = pair_of(seat), feed_of(seat)
        pair.block, pair.next_change, seat.marked = feed.first_block, feed.first, feed.first
        write_int64(limits.due, s, feed.first)


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
    if (limits.halted == 1) & (limits.resume_after > 0) & waited:
        resume_all(limits, equity)
        is_news = True
    if limits.halted == 0:
        if equity <= floor:
            block_day(limits, equity)
            is_news = True
        if (limits.peak - equity) / limits.peak >= limits.stop:
            halt_all(limits)
            is_news = True
    return is_news


@inline_kernel
def line_up(n, turn, is_met, queue):
    """Put the symbols that are met into the queue, in the turn; returns where it begins, and how many they are.

    Flags are looked at eight at a time, since most are 0; those before the turn go to the end.
    """
    n_queue, n_before = 0, 0
    for of in range(0, n, 8):
        if int64_at(is_met + of, 0) == 0:
            continue
        for s in range(of, of + 8):
            write_int64(queue, n_queue, s)
            n_queue += uint8_at(is_met, s)
            n_before += uint8_at(is_met, s) & (s < turn)
    for k in range(n_before):
        write_int64(queue, n_queue + k, int64_at(queue, k))
    return queue + 8 * n_before, n_queue


@inline_kernel
def meet_all(limits, queue, n_queue, is_kept):
    """The present candles of the symbols in the queue begin."""
    for k in range(n_queue):
        s = int64_at(queue, k)
        row = int32_at(limits.rows, s)
        write_int64(limits.due, s, row)
        meet_candle(limits, seat_of(limits, s), row, is_kept)


@inner_kernel
def decide_all(limits, queue, n_queue, is_kept):
    """Steps 5 and 6: routes and moving stops of all, then their decisions, one strategy after the other.

    Who waits for cash is asked where others have freed some at this very close.
    """
    for k in range(n_queue):
        s = int64_at(queue, k)
        seat, row = seat_of(limits, s), int32_at(limits.rows, s)
        if (seat.fresh == 0) & (int64_at(limits.due, s) <= row):
            meet_candle(limits, seat, row, is_kept)
            mark_symbol(seat, is_kept)
        if (seat.fresh == 1) & (limits.halted == 0):
            prepare(limits, seat)
    if limits.halted == 0:
        for turn in range(limits.n_turns):
            for k in range(n_queue):
                s = int64_at(queue, k)
                seat = seat_of(limits, s)
                if seat.fresh == 0:
                    if not wants_cash(seat):
                        continue
                    meet_candle(limits, seat, int32_at(limits.rows, s), is_kept)
                    mark_symbol(seat, is_kept)
                    prepare(limits, seat)
                decide_turn(seat, turn)


@inner_kernel
def sell_all(shared, limits, is_kept):
    """After the last decisions every symbol sells at its last close."""
    for s in range(limits.n):
        close_out(limits, seat_of(limits, s), int(int32_at(limits.rows, s) >= 0), is_kept)
    shared.inventory = shared.gross = shared.cost = 0.0


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
def run_account(shared, limits, clock, axis, prices, row_at, first_turns, shares, weights, out):
    """Run all symbols over the common axis.

    Parameters
    ----------
    shared, limits, clock, axis : records of the account, of its limits, and of the axis as a pair and a feed
    prices : (n_times, 4, n) float64 low, high, open, close; beyond reach where a symbol has no candle, its close kept
    row_at : (n_times, n) int32, a symbol's row, or −1 less its next one
    first_turns : (n_times,) int32, the symbol that decides first
    shares : (n_times,) int32, row of `weights` (k, n) that is dealt before a time, −1 for none
    out : curves (n_times, 5) float64 of equity, cash, reserved, locked and whether halted; (n_times, n) float64
        committed; (n_days + 1, n, n_reasons) int64 refusals up to the start of each day; all of no rows where not kept
    """
    curves, committed, log = out
    n, is_kept, day = limits.n, len(curves) > 0, 0
    below, above, inventory, costs = np.full(n, -np.inf), np.full(n, np.inf), np.zeros(n), np.zeros(n)
    ones = np.ones(n)
    due, room = np.empty(n, np.int64), np.empty(2 * n + 8, np.int64)
    is_met, is_short, n_short = np.zeros(n + 8, np.bool_), np.zeros(n, np.bool_), 0
    limits.due = due.ctypes.data
    take_seats(limits)
    clock.block, clock.next_day, floor = axis.first_block, axis.first, daily_floor(limits)
    for t in range(axis.first, axis.n):
        opened = int64_at(axis.time, t)
        limits.time = opened + axis.duration
        stand_at(limits, prices.ctypes.data, row_at.ctypes.data, t)
        fetch_time(limits, prices.ctypes.data, row_at.ctypes.data, min(t + 2, axis.n - 1))
        turn, is_news = first_turns[t], False
        for s in range(n):
            is_met[s] = (prices[t, 0, s] <= below[s]) | (prices[t, 1, s] >= above[s]) | (due[s] <= row_at[t, s])
        queue, n_queue = line_up(n, turn, is_met.ctypes.data, room.ctypes.data)
        meet_all(limits, queue, n_queue, is_kept)
        if (t >= clock.next_day) | (shares[t] >= 0):
            equity = shared.cash + value_at(inventory.ctypes.data, limits.close, n)
            if t >= clock.next_day:
                clock.next_day = int32_at(axis.next_day, t)
                if t > axis.first:
                    begin_day(limits, equity)
                    floor = daily_floor(limits)
                if len(log) > 0:
                    write_refusals(limits, log[day])
                    day += 1
            if shares[t] >= 0:
                share_out(limits, weights[shares[t]], equity, is_kept)
            is_news = True
        limits.close = limits.present
        closes_out = (shared.sell_at_end == 1) & (t == axis.n - 1)
        if n_queue > 0:
            start_candle(shared)
            for k in range(n_queue):
                walk_symbol(seat_of(limits, int64_at(queue, k)))
            for k in range(n_queue):
                s = int64_at(queue, k)
                account = account_of(seat_of(limits, s))
                mark_symbol(seat_of(limits, s), is_kept & (not closes_out))
                inventory[s], costs[s] = account.inventory, account.cost
            shared.cost = value_at(costs.ctypes.data, ones.ctypes.data, n)
        shared.inventory = value_at(inventory.ctypes.data, limits.close, n)
        equity = shared.cash + shared.inventory
        if t >= block_of(clock, axis).end:
            clock.block += 1
        if t + 1 == block_of(clock, axis).end:
            shared.gross = gross_at(inventory.ctypes.data, limits.close, n)
        if not closes_out:
            mark(shared, block_of(clock, axis), t, 1.0)
        if judge(limits, equity, floor):
            floor = daily_floor(limits)
            is_news = True
        if is_news | (n_short > 0):
            for s in range(n):
                is_met[s] = (row_at[t, s] >= 0) & ((due[s] <= row_at[t, s]) | is_short[s])
            queue, n_queue = line_up(n, turn, is_met.ctypes.data, room.ctypes.data)
        if n_queue > 0:
            limits.equity = equity
            decide_all(limits, queue, n_queue, is_kept)
            for k in range(n_queue):
                s = int64_at(queue, k)
                seat = seat_of(limits, s)
                if seat.fresh == 1:
                    finish_symbol(limits, seat, closes_out)
                    below[s], above[s], due[s] = reach_of(seat)
                    n_short += seat.short - is_short[s]
                    is_short[s] = seat.short == 1
        if closes_out:
            sell_all(shared, limits, is_kept)
            mark(shared, block_of(clock, axis), t, 1.0)
        use_capital(shared)
        if is_kept:
            write_curves(shared, limits, curves, committed, t)
    for s in range(n):
        if is_kept:
            catch_up(seat_of(limits, s), feed_of(seat_of(limits, s)).n)
    if len(log) > 0:
        write_refusals(limits, log[day])
