"""The bar loop of one symbol: skip candles on which nothing can happen, walk the others step by step.

The step alone decides. Triggers and block summaries only leave out candles on which no order is met,
nobody is asked and no limit can be reached; `every=1` asks on every candle and must give the same.
"""

import numpy as np

from traderagent.base.kernel import kernel
from traderagent.engine.fills import sell_everything
from traderagent.engine.marks import (
    block_is_calm,
    loss_price,
    mark,
    mark_block,
    settle,
    would_stop,
)
from traderagent.engine.money import refresh_reserved
from traderagent.engine.orders import (
    arm_idle,
    authorise_deal,
    authorise_ladder,
    cancel_entries,
    clear_cells,
    count_start_refusal,
    drop_deal,
    find_cursors,
    forget_refusals,
    move_stop,
    no_wakes,
    sell_all_next_open,
    set_price_wakes,
    set_triggers,
)
from traderagent.engine.path import is_pending, is_touched, walk_candle
from traderagent.engine.records import book_of, now_of
from traderagent.strategies.contract import (
    BLOCKED,
    CLOSE,
    DEACTIVATED,
    END,
    NEVER,
    OFF_ROUTE,
    OPEN,
    PORTFOLIO_STOP,
    SHIFT,
)


@kernel
def start_day(account, pair):
    """Step 0: the reference is the last mark; what the day had blocked is open again."""
    account.daily_reference = account.cash + account.inventory * pair.last_close
    if account.blocked == 1:
        account.blocked = 0
        for b in range(pair.n_books):
            book = book_of(pair, b)
            if book.entry == BLOCKED:
                book.entry = OPEN
            book.ask = 1


@kernel
def judge(account, pair, equity):
    """Step 4: verdicts that need the close."""
    if (account.peak - equity) / account.peak >= account.portfolio_stop:
        account.halted = 1
        account.halt_row = now_of(pair).row
        for b in range(pair.n_books):
            book = book_of(pair, b)
            book.n_exits = 0 if book.is_ladder == 0 else book.n_exits
            sell_all_next_open(account, book, PORTFOLIO_STOP)
            book.below, book.above = -np.inf, np.inf
    if (account.blocked == 0) and (equity <= account.daily_reference * (1 - account.max_daily_loss)):
        account.blocked = 1
        account.daily_blocks += 1
        for b in range(pair.n_books):
            book = book_of(pair, b)
            if book.entry == OPEN:
                book.entry = BLOCKED
            cancel_entries(account, book)
            book.ask = 1


@kernel
def follow_route(account, pair, mask):
    """Step 5: leaving the route closes entries, coming back opens them unless the day is blocked."""
    for b in range(pair.n_books):
        book = book_of(pair, b)
        on_route = (mask >> b) & 1
        if (on_route == 1) and (book.entry == OFF_ROUTE):
            book.entry = BLOCKED if account.blocked == 1 else OPEN
            book.ask = 1
        elif (on_route == 0) and (book.entry != OFF_ROUTE):
            book.entry = OFF_ROUTE
            book.ask = 1
            if account.keep_entries == 1:
                forget_refusals(book)
            else:
                cancel_entries(account, book)
                if (account.flatten == 1) and (book.quantity > 0.0) and (book.exit_reason == 0):
                    sell_all_next_open(account, book, DEACTIVATED)


@kernel
def ask(account, pair, book, step, equity, columns, next_signal):
    """Step 6 for one book: its decision at the close, the orders it wishes for, its idle cells."""
    now = now_of(pair)
    no_wakes(book)
    book.ask = 0
    book.wish = 0
    book.relaid = 0
    for k in range(book.n_features):
        now.feature[k] = columns[book.column[k], now.row]
    now.signal = 0
    if book.signal >= 0:
        now.signal = int(next_signal[book.signal, now.row] == now.row)
    step(CLOSE, now, book)
    if book.wish < 0:
        count_start_refusal(account, pair, book, -1 - book.wish)
    if book.relaid > 0:
        refresh_reserved(account, book)
        find_cursors(book)
        if (book.relaid == 2) and (book.quantity > 0.0):
            book.exit_reason = SHIFT
    if book.wish > 0:
        if book.is_ladder == 1:
            authorise_ladder(account, pair, book, equity)
        else:
            authorise_deal(account, pair, book, equity)
    arm_idle(account, pair, book, equity)
    set_price_wakes(account, pair, book)
    set_triggers(pair, book)


@kernel
def wake_on_signal(book, n, next_signal, route, next_change, b):
    """Next candle with a signal on which the route lets the book start."""
    row = book.want
    while row < n:
        row = next_signal[book.signal, row]
        if (row >= n) or ((route[row] >> b) & 1 == 1):
            break
        row = next_change[row]
        while (row < n) and ((route[row] >> b) & 1 == 0):
            row = next_change[row]
    book.wake_row = min(book.wake_row, row)


@kernel
def decide(account, pair, steps, equity, every, columns, next_signal, route, next_change):
    """Step 6: stops move first, then every book that has a reason to is asked."""
    now = now_of(pair)
    n = route.shape[0]
    for b in range(pair.n_books):
        move_stop(account, pair, book_of(pair, b))
    now.equity = equity * pair.size_factor
    for b in range(pair.n_books):
        book = book_of(pair, b)
        due = (book.ask == 1) | (now.row >= book.wake_row) | (book.n_refused > 0) | (every == 1)
        if due or (now.high >= book.wake_above) or (now.low <= book.wake_below):
            ask(account, pair, book, steps[b], equity, columns, next_signal)
            if book.signal >= 0:
                wake_on_signal(book, n, next_signal, route, next_change, b)
        set_triggers(pair, book)


@kernel
def next_event(account, pair, row, limit, n, low, high, close, hour_weight, ends_day, block_of, blocks, block_end):
    """Mark candles from `row` on up to the first one on which something may happen; return that one."""
    below, above = loss_price(account), np.inf
    wake = limit
    for b in range(pair.n_books):
        book = book_of(pair, b)
        below = max(below, max(book.below, book.wake_below))
        above = min(above, min(book.above, book.wake_above))
        wake = min(wake, row if is_pending(book) else book.wake_row)
    while row < wake:
        block = block_of[row]
        end = block_end[block]
        starts = (row == 0) | (block_of[row - 1] != block)
        if starts & (end <= wake) & (blocks[0, block] > below) & (blocks[1, block] < above) and block_is_calm(
            account, blocks[2, block], blocks[3, block], blocks[4, block]
        ):
            mark_block(account, end - row, blocks[2, block], blocks[3, block], close[end - 1],
                       hour_weight[end - 1], ends_day[end - 1])
            row = end
            continue
        if (low[row] <= below) | (high[row] >= above):
            break
        if (account.portfolio_stop < np.inf) and would_stop(account, close[row]):
            break
        mark(account, close[row], hour_weight[row], ends_day[row])
        row += 1
    return row


@kernel
def write_ledger(account, pair, row, ledger, written):
    """State after a candle, for single runs: cash, reserved, then quantity, cost, realised, fees of each book."""
    written[row] = 1
    ledger[row, 0] = account.cash
    ledger[row, 1] = account.reserved
    ledger[row, 2] = account.inventory
    for b in range(pair.n_books):
        book = book_of(pair, b)
        ledger[row, 3 + 4 * b] = book.quantity
        ledger[row, 4 + 4 * b] = book.cost
        ledger[row, 5 + 4 * b] = book.realised
        ledger[row, 6 + 4 * b] = book.fees


@kernel
def liquidate(account, pair, steps, price):
    """Sell every book at the last close, with costs; returns the equity after it."""
    for b in range(pair.n_books):
        book = book_of(pair, b)
        if book.quantity > 0.0:
            sell_everything(account, pair, book, steps[b], price, END)
    settle(account, pair)


@kernel
def pending_exit(pair):
    for b in range(pair.n_books):
        if book_of(pair, b).exit_reason != 0:
            return True
    return False


@kernel
def run(account, pair, steps, first, every, open_, high, low, close, volume, day_first, next_day, ends_day,
        hour_weight, block_of, block_end, blocks, route, size_factor, next_change, columns, next_signal,
        ledger, written):
    """Run one symbol from row `first` to its end, or to the end of a halt."""
    now = now_of(pair)
    n = close.shape[0]
    row = first
    mask = -1
    pair.last_close = close[first - 1] if first > 0 else open_[0]
    while row < n:
        limit = n
        if row > first:
            limit = min(n, next_change[row - 1])
            if account.max_daily_loss < np.inf:
                limit = min(limit, next_day[row - 1])
            if account.sell_at_end == 1:
                limit = min(limit, n - 1)
            if every == 0:
                row = next_event(account, pair, row, limit, n, low, high, close, hour_weight, ends_day,
                                 block_of, blocks, block_end)
                if row >= n:
                    break
                pair.last_close = close[row - 1]
        account.n_events += 1
        now.row = row
        now.open, now.high, now.low, now.close, now.volume = open_[row], high[row], low[row], close[row], volume[row]
        pair.size_factor = size_factor[row]
        if (day_first[row] == 1) & (row > first):
            start_day(account, pair)
        if is_touched(pair, now.low, now.high):
            walk_candle(account, pair, steps)
        settle(account, pair)
        closes_out = (account.sell_at_end == 1) & (row == n - 1)
        equity = account.cash + account.inventory * now.close
        if not closes_out:
            mark(account, now.close, hour_weight[row], ends_day[row])
        if account.halted == 0:
            judge(account, pair, equity)
        if account.halted == 0:
            if route[row] != mask:
                mask = route[row]
                follow_route(account, pair, mask)
            decide(account, pair, steps, equity, every, columns, next_signal, route, next_change)
        settle(account, pair)
        if closes_out:
            liquidate(account, pair, steps, now.close)
            mark(account, now.close, hour_weight[row], ends_day[row])
        if ledger.shape[0] > 0:
            write_ledger(account, pair, row, ledger, written)
        pair.last_close = now.close
        row += 1
        if (account.halted == 1) and (not pending_exit(pair)):
            break
    return row
