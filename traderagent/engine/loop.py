"""The bar loop of one symbol: skip candles on which nothing can happen, walk the others step by step.

The step alone decides. Triggers and block summaries only leave out candles on which no order is met,
nobody is asked and no limit can be reached; `every=1` asks on every candle and must give the same.
"""

import numpy as np

from traderagent.base.kernel import (
    float64_at,
    inline_kernel,
    inner_kernel,
    int8_at,
    int32_at,
    int64_at,
    kernel,
    rarely,
    write_float64,
)
from traderagent.engine.exits import close_book
from traderagent.engine.funding import settle_funding
from traderagent.engine.gate import arm_idle, authorise_deal, authorise_ladder, count_start_refusal, set_watch
from traderagent.engine.marks import mark, settle, use_capital
from traderagent.engine.money import free, refresh_reserved
from traderagent.engine.orders import (
    cancel_entries,
    find_cursors,
    leave_at_next_open,
    move_stop,
    no_wakes,
    number_exits,
    set_triggers,
)
from traderagent.engine.path import DETAIL, is_touched, walk_candle
from traderagent.engine.records import block_of, book_of, next_signal, now_of, span_of
from traderagent.engine.skip import skip_to
from traderagent.engine.sleep import look_after, sleep
from traderagent.engine.verdicts import follow_route, judge, start_day
from traderagent.strategies.contract import (
    CLOSE,
    END,
    NEVER,
    OFF_ROUTE,
    SHIFT,
    mirrored,
    tell,
)


@inner_kernel
def show(pair, feed, book, equity):
    """Fill in what the book may see at this close beside prices: signal, sizing equity and features.

    A book with signals reads features only where it has one: most closes cost no look into its columns.
    """
    now = now_of(pair)
    row = now.row
    now.equity = equity * pair.size_factor
    if book.everywhere == 1:  # built-in rules ask neither
        now.volume = float64_at(feed.volume, row)
        now.regime = int8_at(feed.regime, row)
    now.signal = 0
    if book.signal >= 0:
        now.signal = int(next_signal(feed, book, row) == row)
    if (book.signal < 0) | (now.signal == 1):
        at = row * feed.along_columns
        for k in range(book.n_features):
            now.feature[k] = float64_at(feed.columns, book.column[k] * feed.across_columns + at)


@inner_kernel
def hear(account, pair, feed, book, equity):
    """Step 6, first half: the book's own rule says at the close what it wishes for, and when to ask it again."""
    now = now_of(pair)
    no_wakes(book)
    book.ask = 0
    book.wish = 0
    book.relaid = 0
    book.need = 0.0
    book.refused_row = min(book.refused_row, now.row - 1)
    show(pair, feed, book, equity)
    leaving = book.exit_reason
    tell(CLOSE, now, book)
    if book.everywhere == 1:
        number_exits(account, book)
    if rarely((book.exit_reason != leaving) & (book.is_ladder == 0)):
        leave_at_next_open(account, book, book.exit_reason)
    is_second_half = (book.partner >= 0) & (book.partner < book.index)  # it refuses with the first, counted once
    if (book.wish < 0) & (not is_second_half):
        count_start_refusal(account, pair, book, -1 - book.wish)
    if (book.need > 0.0) & (now.equity < book.need):
        sleep(account, pair, feed, book)
    else:
        book.need = 0.0
    if book.relaid > 0:
        refresh_reserved(account, book)
        find_cursors(book)
        if (book.relaid == 2) and (book.quantity > 0.0):
            book.exit_reason = SHIFT
    if book.wake_time < NEVER:
        book.wake_row = min(book.wake_row, row_closing_at(feed, book.wake_time, now.row))
    if book.signal >= 0:
        wake_on_signal(pair, feed, book)


@inline_kernel
def grant(account, pair, book, equity):
    """Step 6, second half: what it wishes for and its idle cells ask gate and cash; when they will again."""
    book.changed = 0
    if book.wish > 0:
        if book.is_ladder == 1:
            authorise_ladder(account, pair, book, equity)
        else:
            authorise_deal(account, pair, book, equity)
        book.wish = 0
    arm_idle(account, pair, book, equity)
    set_watch(account, pair, book)
    book.free_seen = free(account)
    book.cash_seen, book.inventory_seen = account.cash, account.inventory
    if book.placed_up != book.moves:
        set_triggers(account, pair, book)


@inner_kernel
def row_closing_at(feed, time, row):
    """First row after `row` that closes at or after a time in ms."""
    low, high = row + 1, feed.n
    while low < high:
        middle = (low + high) // 2
        if int64_at(feed.time, middle) + feed.duration >= time:
            high = middle
        else:
            low = middle + 1
    return low


@inner_kernel
def wake_on_signal(pair, feed, book):
    """Wake at the next candle with a signal on which the route lets the book start."""
    row, k = book.want, pair.span
    while row < feed.n:
        row = next_signal(feed, book, row)
        if (row >= feed.n) or (book.everywhere == 1):
            break
        while span_of(feed, k).end <= row:
            k += 1
        if (span_of(feed, k).mask >> book.strategy) & 1 == 1:
            break
        while (row < feed.n) and (span_of(feed, k).mask >> book.strategy) & 1 == 0:
            row = span_of(feed, k).end
            k += 1
    book.wake_row = min(book.wake_row, row)


@inner_kernel
def decide(account, pair, feed, equity):
    """Step 6: stops move first, then every book that has a reason to is asked, both halves of a ladder together."""
    for b in range(pair.n_books):
        move_stop(account, pair, book_of(pair, b))
    for b in range(pair.n_books):
        if has_reason(account, pair, feed, book_of(pair, b), equity):
            decide_book(account, pair, feed, book_of(pair, b), equity)
    for b in range(pair.n_books):
        book = book_of(pair, b)
        if may_be_granted(account, book):
            book.grant_row = min(book.grant_row, now_of(pair).row + 1)


@inline_kernel
def has_reason(account, pair, feed, book, equity):
    """Whether there is any reason to ask a book or to grant it something at this close; of two halves, the first."""
    now = now_of(pair)
    if rarely(book.partner >= 0):
        if book.partner < book.index:
            return False
        return not (is_quiet(feed, now, book) and is_quiet(feed, now, book_of(pair, book.partner)))
    look_after(account, pair, book, equity)
    return not is_quiet(feed, now, book)


@inline_kernel
def decide_book(account, pair, feed, book, equity):
    """Step 6 for one book; for both halves of a ladder where the first one's turn is."""
    if rarely(book.partner >= 0):
        decide_both(account, pair, feed, book, book_of(pair, book.partner), equity)
        return
    now = now_of(pair)
    due = is_due(account, now, book)
    asked = is_asked(feed, now, book, due)
    if asked:
        hear(account, pair, feed, book, equity)
    if asked | due:
        grant(account, pair, book, equity)


@inner_kernel
def decide_both(account, pair, feed, book, other, equity):
    """Step 6 for both halves of a ladder: they are asked and granted together."""
    now = now_of(pair)
    due, other_due = is_due(account, now, book), is_due(account, now, other)
    asked = is_asked(feed, now, book, due) | is_asked(feed, now, other, other_due)
    if asked:
        hear(account, pair, feed, book, equity)
        hear(account, pair, feed, other, equity)
    if asked | due | other_due:
        grant(account, pair, book, equity)
        grant(account, pair, other, equity)


@inner_kernel
def is_quiet(feed, now, book):
    """Whether a book has no reason of any kind to be asked or granted anything at this close."""
    waits = (book.ask == 0) & (book.changed == 0) & (book.n_refused == 0) & (feed.every == 0)
    waits &= now.row < min(book.wake_row, book.grant_row)
    waits &= (now.close < book.grant_above) & (now.close > book.grant_below)
    return waits & (
        (now.high < min(book.wake_above, book.move_above)) & (now.low > max(book.wake_below, book.move_below))
    )


@inner_kernel
def is_asked(feed, now, book, due):
    """Whether a book's rule has a reason to be asked at this close.

    What the engine may grant by itself is no reason for a ladder's rule, but where the next close is one, this one
    saves it.
    """
    asks = (book.ask == 1) | (now.row >= book.wake_row) | (feed.every == 1)
    asks |= (now.high >= book.wake_above) | (now.low <= book.wake_below)
    return asks | (due & ((book.is_ladder == 0) | (now.row + 1 >= book.wake_row)))


@inner_kernel
def is_due(account, now, book):
    """Whether something of a book that waits may be granted at this close though its rule has no reason to speak."""
    due = (book.changed == 1) | (now.row >= book.grant_row) | may_be_granted(account, book)
    due |= (now.close >= book.grant_above) | (now.close <= book.grant_below)
    return due | (now.high >= book.move_above) | (now.low <= book.move_below)


@inner_kernel
def may_be_granted(account, book):
    """Whether what refused a cell has changed since it asked last: what the gate reads, or cash that one waits for."""
    if book.n_refused == 0:
        return False
    if (account.inventory != book.inventory_seen) | (account.cash != book.cash_seen):
        return True
    return (book.short == 1) and (free(account) != book.free_seen)


@inner_kernel
def write_ledger(account, pair, feed, row):
    """State after a candle, for single runs: cash, reserved, locked, inventory, then each book's seven numbers."""
    write_float64(feed.written, row, 1.0)
    at = row * feed.width
    write_float64(feed.ledger, at, account.cash)
    write_float64(feed.ledger, at + 1, account.reserved)
    write_float64(feed.ledger, at + 2, account.locked)
    write_float64(feed.ledger, at + 3, account.inventory)
    for b in range(pair.n_books):
        book = book_of(pair, b)
        at = row * feed.width + 4 + 7 * b
        write_float64(feed.ledger, at, book.side * book.quantity)
        write_float64(feed.ledger, at + 1, book.cost)
        write_float64(feed.ledger, at + 2, book.realised)
        write_float64(feed.ledger, at + 3, book.fees)
        write_float64(feed.ledger, at + 4, book.funding)
        write_float64(feed.ledger, at + 5, book.insurance)
        write_float64(feed.ledger, at + 6, book.margin)


@inner_kernel
def liquidate(account, pair, price):
    """Sell every book at the last close, with costs."""
    for b in range(pair.n_books):
        book = book_of(pair, b)
        book.market_quantity = 0.0  # what is pending at the last row never executes
        book.market_reserved = 0.0
        book.waiting = 0
        book.entry = OFF_ROUTE  # nor does what a rule would answer to this sale
        cancel_entries(account, book)
        if book.quantity > 0.0:
            close_book(account, pair, book, mirrored(book, price), now_of(pair).taker, END)
    settle(account, pair)


@inner_kernel
def read_candle(pair, feed, row):
    """Put a row's candle where steps and fills see it."""
    now = now_of(pair)
    now.high = float64_at(feed.high, row)
    now.low = float64_at(feed.low, row)
    now.close = float64_at(feed.close, row)
    now.open = float64_at(feed.open, row)
    now.time = int64_at(feed.time, row) + feed.duration
    read_rest(pair, feed, row)


@inner_kernel
def read_rest(pair, feed, row):
    """What else there is of a candle beside its prices and time."""
    now = now_of(pair)
    now.row = row
    now.candle = row if pair.path != DETAIL else int32_at(feed.detail_first, row + 1) - 1
    now.duration = feed.duration


@inner_kernel
def next_stop(account, pair, feed, row):
    """The first row from `row` on that must be looked at whatever the prices do."""
    if account.halted == 1:
        return feed.n
    limit = min(feed.n, pair.next_change)
    if account.max_daily_loss < np.inf:
        limit = min(limit, pair.next_day)
    if account.sell_at_end == 1:
        limit = min(limit, feed.n - 1)
    if account.perpetual == 1:
        limit = min(limit, int32_at(feed.next_funding, row - 1))
    return limit


@inner_kernel
def step_candle(account, pair, feed, row):
    """All steps of one candle."""
    now = now_of(pair)
    read_candle(pair, feed, row)
    if account.perpetual == 1:
        settle_funding(account, pair, float64_at(feed.funding_gap, row), pair.last_close)
    if row >= block_of(pair, feed).end:
        pair.block += 1
    if row >= pair.next_day:
        if row > feed.first:
            start_day(account, pair)
        pair.next_day = int32_at(feed.next_day, row)
    if is_touched(pair, now.low, now.high):
        walk_candle(account, pair, feed)
        settle(account, pair)
    if account.perpetual == 1:
        settle_funding(account, pair, float64_at(feed.funding, row), now.close)
    block = block_of(pair, feed)
    closes_out = (account.sell_at_end == 1) & (row == feed.n - 1)
    equity = account.cash + account.inventory * now.close
    if not closes_out:
        mark(account, block, row, now.close)
    if account.halted == 0:
        judge(account, pair, equity)
    if account.halted == 0:
        if row >= pair.next_change:
            follow_route(account, pair, feed, row)
        decide(account, pair, feed, equity)
    if closes_out:
        liquidate(account, pair, now.close)
        mark(account, block, row, now.close)
    use_capital(account)
    pair.last_close = now.close


@kernel
def run(account, pair, feed):
    """Run one symbol from row `first` to its end; a halted run stays flat until then."""
    row = feed.first
    pair.block = feed.first_block
    pair.next_day = pair.next_change = row
    pair.last_close = float64_at(feed.close, row - 1) if row > 0 else float64_at(feed.open, 0)
    while row < feed.n:
        if (row > feed.first) & (feed.every == 0):
            row = skip_to(account, pair, feed, row, next_stop(account, pair, feed, row))
            if row >= feed.n:
                break
            pair.last_close = float64_at(feed.close, row - 1)
        account.n_events += 1
        step_candle(account, pair, feed, row)
        if feed.width > 0:
            write_ledger(account, pair, feed, row)
        row += 1
