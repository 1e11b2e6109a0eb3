"""The loop of several symbols on one account: they advance together over the union of their candles.

A symbol is stepped only at times at which something of it may happen; its close counts at every time all the same.
Arrays over symbols: `below`, `above` prices, `low_close`, `high_close` closes and `due` the row of its own until which
it may be left alone.
"""

import numpy as np

from traderagent.account.places import fetch_soon, stand_at
from traderagent.account.seats import (
    catch_up,
    close_out,
    decide_turn,
    finish_symbol,
    mark_symbol,
    meet_candle,
    prepare,
    reach_of,
    walk_symbol,
    wants_cash,
)
from traderagent.account.verdicts import begin_day, daily_floor, judge, share_out
from traderagent.base.kernel import (
    dot,
    float64_at,
    inline_kernel,
    inner_kernel,
    int32_at,
    int64_at,
    kernel,
    uint8_at,
    write_float64,
    write_int64,
)
from traderagent.engine.limits import committed_of
from traderagent.engine.marks import mark, use_capital
from traderagent.engine.money import start_candle
from traderagent.engine.records import account_of, block_of, feed_of, pair_of, seat_of


@inner_kernel
def value_at(quantity, price, n):
    """Σ quantity × price of (n,) each."""
    total = dot(quantity, price, n - n % 4)
    for s in range(n - n % 4, n):
        total += float64_at(quantity, s) * float64_at(price, s)
    return total


@inner_kernel
def gross_at(quantity, price, n):
    """Σ |quantity| × price of (n,) each."""
    total = 0.0
    for s in range(n):
        total += abs(float64_at(quantity, s)) * float64_at(price, s)
    return total


@inner_kernel
def take_seats(limits):
    """Every symbol is to be looked at from the row of its first decision on."""
    for s in range(limits.n):
        seat = seat_of(limits, s)
        pair, feed = pair_of(seat), feed_of(seat)
        pair.block, pair.next_change, seat.marked = feed.first_block, feed.first, feed.first
        write_int64(limits.due, s, feed.first)


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


@inline_kernel
def mark_all(limits, queue, n_queue, inventory, costs, is_marked):
    """Steps 2 and 3 of the symbols in the queue; returns whether what one has paid for its inventory has changed."""
    is_moved = False
    for k in range(n_queue):
        s = int64_at(queue, k)
        account = account_of(seat_of(limits, s))
        mark_symbol(seat_of(limits, s), is_marked)
        is_moved |= float64_at(costs, s) != account.cost
        write_float64(inventory, s, account.inventory)
        write_float64(costs, s, account.cost)
    return is_moved


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
                if (seat.fresh == 0) and wants_cash(seat):
                    meet_candle(limits, seat, int32_at(limits.rows, s), is_kept)
                    mark_symbol(seat, is_kept)
                    prepare(limits, seat)
                if (seat.asked >> turn) & 1 == 1:
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
    below, above = np.full(n, -np.inf), np.full(n, np.inf)
    low_close, high_close = below.copy(), above.copy()
    inventory, costs, ones = np.zeros(n), np.zeros(n), np.ones(n)
    due, room = np.empty(n, np.int64), np.empty(2 * n + 8, np.int64)
    is_met, is_short, n_short = np.zeros(n + 8, np.bool_), np.zeros(n, np.bool_), 0
    limits.due = due.ctypes.data
    take_seats(limits)
    clock.block, clock.next_day, floor = axis.first_block, axis.first, daily_floor(limits)
    for t in range(axis.first, axis.n):
        limits.time = int64_at(axis.time, t) + axis.duration
        stand_at(limits, prices.ctypes.data, row_at.ctypes.data, t)
        turn, is_news = first_turns[t], False
        for s in range(n):
            is_near = (prices[t, 0, s] <= below[s]) | (prices[t, 1, s] >= above[s]) | (due[s] <= row_at[t, s])
            is_beyond = (prices[t, 3, s] <= low_close[s]) | (prices[t, 3, s] >= high_close[s])
            is_met[s] = is_near | (is_beyond & (row_at[t, s] >= 0))
        queue, n_queue = line_up(n, turn, is_met.ctypes.data, room.ctypes.data)
        fetch_soon(limits, axis, prices.ctypes.data, row_at.ctypes.data, first_turns.ctypes.data, shares.ctypes.data, t)
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
            is_marked = is_kept & (not closes_out)
            if mark_all(limits, queue, n_queue, inventory.ctypes.data, costs.ctypes.data, is_marked):
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
                    below[s], above[s], low_close[s], high_close[s], due[s] = reach_of(seat)
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
