"""The loop of several symbols on one account: they advance together over the union of their candles.

A symbol is stepped only at times at which something of it may happen; its close counts at every time all the same.
Arrays over symbols: `bounds` prices below and above which, then closes, and `due` the row of its own until which it
may be left alone.
"""

import numpy as np

from traderagent.account.axis import LANES
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
    lowest_bit,
    rarely,
    uint8_at,
    write_float64,
    write_int64,
)
from traderagent.engine.limits import committed_of
from traderagent.engine.marks import mark, use_capital
from traderagent.engine.money import start_candle
from traderagent.engine.records import account_of, block_of, feed_of, pair_of, seat_of


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
def met_in(limits, bounds, w):
    """The 64 symbols from 64 × w on, a bit each: set where something may happen at this time.

    Rows are as wide as a whole number of lanes; that the count is one is said for the compiler.
    """
    bits, first, step = 0, 64 * w, 8 * limits.width
    for k in range(min(64, limits.width - first) & -LANES):
        s = first + k
        row, close = int32_at(limits.rows, s), float64_at(limits.present, s)
        is_near = (float64_at(limits.low, s) <= float64_at(bounds, s)) | (int64_at(limits.due, s) <= row)
        is_near |= float64_at(limits.high, s) >= float64_at(bounds + step, s)
        is_beyond = (close <= float64_at(bounds + 2 * step, s)) | (close >= float64_at(bounds + 3 * step, s))
        bits |= int(is_near | (is_beyond & (row >= 0))) << k
    return bits


@inline_kernel
def due_in(limits, is_short, w):
    """The same of those with a candle that are due, or wait for cash."""
    bits, first = 0, 64 * w
    for k in range(min(64, limits.width - first) & -LANES):
        s = first + k
        row = int32_at(limits.rows, s)
        bits |= int((row >= 0) & ((int64_at(limits.due, s) <= row) | (uint8_at(is_short, s) == 1))) << k
    return bits


@inline_kernel
def line_up(bits, n_words, turn, queue):
    """Put the symbols whose bit is set into the queue, in the turn; returns how many they are.

    First those from the turn on, then with all bits of that mask turned over those before it.
    """
    n_queue = 0
    for is_before in range(2):
        for w in range(n_words):
            first = turn - 64 * w
            from_turn = 0 if first >= 64 else -1 << max(first, 0)
            left = int64_at(bits, w) & (from_turn ^ -is_before)
            while left != 0:
                write_int64(queue, n_queue, 64 * w + lowest_bit(left))
                left &= left - 1
                n_queue += 1
    return n_queue


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


@inline_kernel
def decide_turn_of_all(limits, queue, n_queue, turn, is_kept):
    """Step 6 of the strategy whose turn it is, for all in the queue."""
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
def decide_all(limits, queue, n_queue, is_kept):
    """Steps 5 and 6: routes and moving stops of all, then their decisions, one strategy after the other.

    Who waits for cash is asked where others have freed some at this very close.
    """
    asked, is_asleep = 0, False
    for k in range(n_queue):
        s = int64_at(queue, k)
        seat, row = seat_of(limits, s), int32_at(limits.rows, s)
        if rarely((seat.fresh == 0) & (int64_at(limits.due, s) <= row)):
            meet_candle(limits, seat, row, is_kept)
            mark_symbol(seat, is_kept)
        if (seat.fresh == 1) & (limits.halted == 0):
            prepare(limits, seat)
        asked |= seat.asked
        is_asleep |= seat.fresh == 0
    if limits.halted == 0:
        for turn in range(limits.n_turns):
            if is_asleep | ((asked >> turn) & 1 == 1):
                decide_turn_of_all(limits, queue, n_queue, turn, is_kept)


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
    prices : (n_times, 4, width) float64 low, high, open, close; beyond reach where there is no candle, its close kept
    row_at : (n_times, width) int32, a symbol's row, or −1 less its next one
    first_turns : (n_times,) int32, the symbol that decides first
    shares : (n_times,) int32, row of `weights` (k, n) that is dealt before a time, −1 for none
    out : curves (n_times, 5) float64 of equity, cash, reserved, locked and whether halted; (n_times, n) float64
        committed; (n_days + 1, n, n_reasons) int64 refusals up to the start of each day; all of no rows where not kept
    """
    curves, committed, log = out
    n, is_kept, day = limits.n, len(curves) > 0, 0
    bounds = np.full((4, limits.width), -np.inf)
    bounds[1::2] = np.inf
    inventory, costs, ones = np.zeros(limits.width), np.zeros(limits.width), np.ones(limits.width)
    due, room, n_words = np.zeros(limits.width, np.int64), np.empty(n, np.int64), (n + 63) // 64
    is_met, is_short, n_short = np.zeros(n_words, np.int64), np.zeros(limits.width, np.bool_), 0
    limits.due, limits.queue, queue = due.ctypes.data, room.ctypes.data, room.ctypes.data
    take_seats(limits)
    clock.block, clock.next_day, floor = axis.first_block, axis.first, daily_floor(limits)
    for t in range(axis.first, axis.n):
        limits.time = int64_at(axis.time, t) + axis.duration
        stand_at(limits, prices.ctypes.data, row_at.ctypes.data, t)
        turn, is_news = first_turns[t], False
        for w in range(n_words):
            is_met[w] = met_in(limits, bounds.ctypes.data, w)
        n_queue = line_up(is_met.ctypes.data, n_words, turn, queue)
        fetch_soon(limits, axis, prices.ctypes.data, row_at.ctypes.data, first_turns.ctypes.data, shares.ctypes.data, t)
        meet_all(limits, queue, n_queue, is_kept)
        if rarely((t >= clock.next_day) | (shares[t] >= 0)):
            equity = shared.cash + dot(inventory.ctypes.data, limits.close, limits.width)
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
                shared.cost = dot(costs.ctypes.data, ones.ctypes.data, limits.width)
        shared.inventory = dot(inventory.ctypes.data, limits.close, limits.width)
        equity = shared.cash + shared.inventory
        if rarely(t >= block_of(clock, axis).end):
            clock.block += 1
        if rarely(t + 1 == block_of(clock, axis).end):
            shared.gross = gross_at(inventory.ctypes.data, limits.close, n)
        if not closes_out:
            mark(shared, block_of(clock, axis), t, 1.0)
        if rarely(judge(limits, equity, floor)):
            floor = daily_floor(limits)
            is_news = True
        if is_news | (n_short > 0):
            for w in range(n_words):
                is_met[w] = due_in(limits, is_short.ctypes.data, w)
            n_queue = line_up(is_met.ctypes.data, n_words, turn, queue)
        if n_queue > 0:
            limits.equity, limits.n_queue = equity, n_queue
            decide_all(limits, queue, n_queue, is_kept)
            for k in range(n_queue):
                s = int64_at(queue, k)
                seat = seat_of(limits, s)
                if seat.fresh == 1:
                    finish_symbol(limits, seat, closes_out)
                    bounds[0, s], bounds[1, s], bounds[2, s], bounds[3, s], due[s] = reach_of(seat)
                    n_short += seat.short - is_short[s]
                    is_short[s] = seat.short == 1
        if rarely(closes_out):
            sell_all(shared, limits, is_kept)
            mark(shared, block_of(clock, axis), t, 1.0)
        use_capital(shared)
        if rarely(is_kept):
            write_curves(shared, limits, curves, committed, t)
    for s in range(n):
        if is_kept:
            catch_up(seat_of(limits, s), feed_of(seat_of(limits, s)).n)
    if len(log) > 0:
        write_refusals(limits, log[day])
