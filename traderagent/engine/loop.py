"""The bar loop of one symbol: skip candles on which nothing can happen, walk the others step by step.

The step alone decides. Triggers and block summaries only leave out candles on which no order is met,
nobody is asked and no limit can be reached; `every=1` asks on every candle and must give the same.
"""

import numpy as np

from traderagent.base.kernel import (
    float64_at,
    inner_kernel,
    int8_at,
    int32_at,
    kernel,
    uint8_at,
    write_float64,
)
from traderagent.engine.exits import sell_everything
from traderagent.engine.gate import arm_idle, authorise_deal, authorise_ladder, count_start_refusal, set_price_wakes
from traderagent.engine.marks import (
    block_is_calm,
    loss_price,
    mark,
    mark_block,
    settle,
    use_capital,
    would_stop,
)
from traderagent.engine.money import free, refresh_reserved
from traderagent.engine.orders import (
    cancel_entries,
    find_cursors,
    forget_refusals,
    move_stop,
    no_wakes,
    sell_all_next_open,
    set_triggers,
)
from traderagent.engine.path import is_pending, is_touched, walk_candle
from traderagent.engine.records import book_of, now_of
from traderagent.strategies.contract import (
    BLOCKED,
    CLOSE,
    DEACTIVATED,
    END,
    OFF_ROUTE,
    OPEN,
    PORTFOLIO_STOP,
    SHIFT,
    tell,
)


@inner_kernel
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


@inner_kernel
def judge(account, pair, equity):
    """Step 4: verdicts that need the close."""
    if (account.blocked == 0) and (equity <= account.daily_reference * (1 - account.max_daily_loss)):
        account.blocked = 1
        account.daily_blocks += 1
        for b in range(pair.n_books):
            book = book_of(pair, b)
            if book.entry == OPEN:
                book.entry = BLOCKED
            cancel_entries(account, book)
            book.ask = 1
    if (account.peak - equity) / account.peak >= account.portfolio_stop:
        account.halted = 1
        account.halt_row = now_of(pair).row
        account.portfolio_stop = np.inf
        account.max_daily_loss = np.inf
        for b in range(pair.n_books):
            book = book_of(pair, b)
            no_wakes(book)
            book.n_exits = 0 if book.is_ladder == 0 else book.n_exits
            sell_all_next_open(account, book, PORTFOLIO_STOP)
            book.below, book.above = -np.inf, np.inf


@inner_kernel
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


@inner_kernel
def show(feed, now, book, row):
    """Fill in what the book may see of this candle beside its prices: features and signal."""
    for k in range(book.n_features):
        now.feature[k] = float64_at(feed.columns, book.column[k] * feed.n + row)
    now.signal = 0
    if book.signal >= 0:
        now.signal = int(next_signal(feed, book, row) == row)


@inner_kernel
def next_signal(feed, book, row):
    """First candle from `row` on that carries a signal of the book; n where none does."""
    return int32_at(feed.next_signal, book.signal * (feed.n + 1) + row)


@inner_kernel
def ask(account, pair, feed, book, equity):
    """Step 6 for one book: its decision at the close, the orders it wishes for, its idle cells."""
    now = now_of(pair)
    no_wakes(book)
    book.ask = 0
    book.wish = 0
    book.relaid = 0
    show(feed, now, book, now.row)
    tell(CLOSE, now, book)
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
    if book.wake_time < np.inf:
        book.wake_row = min(book.wake_row, now.row + 1)
    book.free_seen = free(account)
    book.inventory_seen = account.inventory
    if book.signal >= 0:
        wake_on_signal(feed, book)


@inner_kernel
def is_on_route(feed, book, row):
    """Whether the book may open after this row's close."""
    return (uint8_at(feed.route, row) >> book.index) & 1 == 1


@inner_kernel
def wake_on_signal(feed, book):
    """Wake at the next candle with a signal on which the route lets the book start."""
    row = book.want
    while row < feed.n:
        row = next_signal(feed, book, row)
        if (row >= feed.n) or is_on_route(feed, book, row):
            break
        row = int32_at(feed.next_change, row)
        while (row < feed.n) and not is_on_route(feed, book, row):
            row = int32_at(feed.next_change, row)
    book.wake_row = min(book.wake_row, row)


@inner_kernel
def decide(account, pair, feed, equity):
    """Step 6: stops move first, then every book that has a reason to is asked."""
    now = now_of(pair)
    for b in range(pair.n_books):
        move_stop(account, pair, book_of(pair, b))
    now.equity = equity * pair.size_factor
    for b in range(pair.n_books):
        book = book_of(pair, b)
        due = (book.ask == 1) | (now.row >= book.wake_row) | (feed.every == 1) | may_be_granted(account, book)
        if due | (now.high >= book.wake_above) | (now.low <= book.wake_below):
            ask(account, pair, feed, book, equity)
        set_triggers(pair, book)
    for b in range(pair.n_books):
        book = book_of(pair, b)
        if may_be_granted(account, book):
            book.wake_row = min(book.wake_row, now.row + 1)


@inner_kernel
def may_be_granted(account, book):
    """Whether cash or inventory has changed since a refused cell asked last."""
    changed = (free(account) != book.free_seen) | (account.inventory != book.inventory_seen)
    return (book.n_refused > 0) & changed


@inner_kernel
def skip_to(account, pair, feed, row, limit):
    """Mark candles from `row` on up to the first one on which something may happen; return that one."""
    below, above = loss_price(account), np.inf
    for b in range(pair.n_books):
        book = book_of(pair, b)
        if is_pending(book):
            return row
        below = max(below, max(book.below, book.wake_below))
        above = min(above, min(book.above, book.wake_above))
        limit = min(limit, book.wake_row)
    while row < limit:
        block = int32_at(feed.block_of, row)
        if (row == 0) or (int32_at(feed.block_of, row - 1) != block):
            row = skip_blocks(account, feed, row, block, limit, below, above)
            if row >= limit:
                break
            block = int32_at(feed.block_of, row)
        stop = min(limit, int32_at(feed.block_end, block))
        reached = skip_rows(account, feed, row, stop, below, above)
        if reached < stop:
            return reached
        row = reached
    return row


@inner_kernel
def skip_rows(account, feed, row, stop, below, above):
    """Mark candles of one block from `row` on; return the first one that touches a trigger, or `stop`."""
    first = row
    low_close, high_close, fall = np.inf, -np.inf, 0.0
    while (row < stop) and (float64_at(feed.low, row) > below) & (float64_at(feed.high, row) < above):
        close = float64_at(feed.close, row)
        low_close = min(low_close, close)
        high_close = max(high_close, close)
        fall = max(fall, high_close - close)
        row += 1
    if row == first:
        return row
    if block_is_calm(account, low_close, fall):
        last = row - 1
        mark_block(
            account,
            row - first,
            low_close,
            high_close,
            float64_at(feed.close, last),
            int32_at(feed.hour_weight, last),
            int8_at(feed.ends_day, last),
        )
        return row
    for i in range(first, row):
        close = float64_at(feed.close, i)
        if (account.portfolio_stop < np.inf) and would_stop(account, close):
            return i
        mark(account, close, int32_at(feed.hour_weight, i), int8_at(feed.ends_day, i))
    return row


@inner_kernel
def skip_blocks(account, feed, row, block, limit, below, above):
    """Mark whole blocks from `row`, the start of one, on; return the row where they stop being calm."""
    end = int32_at(feed.block_end, block)
    while (
        (end <= limit)
        and (float64_at(feed.block_low, block) > below) & (float64_at(feed.block_high, block) < above)
        and block_is_calm(account, float64_at(feed.block_min_close, block), float64_at(feed.block_fall, block))
    ):
        mark_block(
            account,
            end - row,
            float64_at(feed.block_min_close, block),
            float64_at(feed.block_max_close, block),
            float64_at(feed.close, end - 1),
            int32_at(feed.hour_weight, end - 1),
            int8_at(feed.ends_day, end - 1),
        )
        row = end
        if row >= limit:
            break
        block += 1
        end = int32_at(feed.block_end, block)
    return row


@inner_kernel
def write_ledger(account, pair, feed, row):
    """State after a candle, for single runs: cash, reserved, inventory, then each book's four numbers."""
    write_float64(feed.written, row, 1.0)
    at = row * feed.width
    write_float64(feed.ledger, at, account.cash)
    write_float64(feed.ledger, at + 1, account.reserved)
    write_float64(feed.ledger, at + 2, account.inventory)
    for b in range(pair.n_books):
        book = book_of(pair, b)
        write_float64(feed.ledger, at + 3 + 4 * b, book.quantity)
        write_float64(feed.ledger, at + 4 + 4 * b, book.cost)
        write_float64(feed.ledger, at + 5 + 4 * b, book.realised)
        write_float64(feed.ledger, at + 6 + 4 * b, book.fees)


@inner_kernel
def liquidate(account, pair, price):
    """Sell every book at the last close, with costs."""
    for b in range(pair.n_books):
        book = book_of(pair, b)
        book.market_quantity = 0.0  # what is pending at the last row never executes
        book.market_reserved = 0.0
        book.waiting = 0
        cancel_entries(account, book)
        if book.quantity > 0.0:
            sell_everything(account, pair, book, price, END)
    settle(account, pair)


@inner_kernel
def read_candle(pair, feed, row):
    """Put a row's candle where steps and fills see it."""
    now = now_of(pair)
    now.row = row
    now.time = float64_at(feed.close_time, row)
    now.open = float64_at(feed.open, row)
    now.high = float64_at(feed.high, row)
    now.low = float64_at(feed.low, row)
    now.close = float64_at(feed.close, row)
    now.volume = float64_at(feed.volume, row)
    pair.size_factor = float64_at(feed.size_factor, row)


@inner_kernel
def next_stop(account, feed, row):
    """The first row from `row` on that must be looked at whatever the prices do."""
    if account.halted == 1:
        return feed.n
    limit = min(feed.n, int32_at(feed.next_change, row - 1))
    if account.max_daily_loss < np.inf:
        limit = min(limit, int32_at(feed.next_day, row - 1))
    if account.sell_at_end == 1:
        limit = min(limit, feed.n - 1)
    return limit


@inner_kernel
def step_candle(account, pair, feed, row, mask):
    """All steps of one candle; `mask` is the route so far. Returns the route after it."""
    now = now_of(pair)
    read_candle(pair, feed, row)
    if (int8_at(feed.day_first, row) == 1) & (row > feed.first):
        start_day(account, pair)
    if is_touched(pair, now.low, now.high):
        walk_candle(account, pair)
    settle(account, pair)
    weight, ends_day = int32_at(feed.hour_weight, row), int8_at(feed.ends_day, row)
    closes_out = (account.sell_at_end == 1) & (row == feed.n - 1)
    equity = account.cash + account.inventory * now.close
    if not closes_out:
        mark(account, now.close, weight, ends_day)
    if account.halted == 0:
        judge(account, pair, equity)
    if account.halted == 0:
        route = uint8_at(feed.route, row)
        if route != mask:
            mask = route
            follow_route(account, pair, mask)
        decide(account, pair, feed, equity)
    settle(account, pair)
    if closes_out:
        liquidate(account, pair, now.close)
        mark(account, now.close, weight, ends_day)
    use_capital(account)
    pair.last_close = now.close
    return mask


@kernel
def run(account, pair, feed):
    """Run one symbol from row `first` to its end; a halted run stays flat until then."""
    row = feed.first
    mask = -1
    pair.last_close = float64_at(feed.close, row - 1) if row > 0 else float64_at(feed.open, 0)
    while row < feed.n:
        if (row > feed.first) & (feed.every == 0):
            row = skip_to(account, pair, feed, row, next_stop(account, feed, row))
            if row >= feed.n:
                break
            pair.last_close = float64_at(feed.close, row - 1)
        account.n_events += 1
        mask = step_candle(account, pair, feed, row, mask)
        if feed.width > 0:
            write_ledger(account, pair, feed, row)
        row += 1
