"""What an own rule's orders do to its book: the one place where both its plain and its compiled form end.

A rule says real prices; the book's are mirrored. What is wrong with an order is written into the book's memory
(kernels raise nothing), ends the asking, and becomes a sentence after the run.
"""

from typing import Any

import numpy as np
from numba import from_dtype

from traderagent.base.kernel import inner_kernel, record_at
from traderagent.strategies.contract import (
    ADDED,
    BLOCKED,
    BUY,
    CLOSE,
    EMPTY,
    ENTERED,
    FLAT,
    IDLE,
    NO_STOP,
    OPEN,
    RESTING,
    RISK_DAILY,
    SELL,
    TARGET,
    TRAILING,
    WAITING,
    add_exit,
    cell_of,
    enter,
    mirrored,
    price_down,
    price_up,
    quantity_down,
    record_dtype,
    refuse,
)

# Places in a book's memory; those below belong to the rule.
N_OWN = 19
PLACES, ASKED, HEARS, INSIDE, FILLS_ROW, N_FILLS, TARGET_AT, PENDING_STOP, PENDING_TARGET = range(19, 28)
OTHER, VALUE, LINE, ERROR = 28, 29, 30, 31

# Kinds of orders, and what of an order is given.
BUYS, SELLS, CLOSES, MOVES, CANCELS = 1, 2, 3, 4, 5
SIZE, NOTIONAL, RISK, LIMIT, STOP, AIM, TAG = 1, 2, 4, 8, 16, 32, 64

# What can be wrong with an order while it runs.
(
    NO_NUMBER,
    NOT_POSITIVE,
    STOP_BEYOND,
    TARGET_BEHIND,
    OTHER_SIDE,
    OTHER_RESTING,
    NO_SHORTS,
    TOO_MANY,
    MARKET_INSIDE,
    SIZE_INSIDE,
    ENDLESS,
    DIVISION,
    NO_VALUE,
) = range(1, 14)
ASK_RULE, TELL_RULE = 1, 2
MAX_FILLS = 500

ORDER = record_dtype(("kind given", "i8"), ("size notional risk limit stop target", "f8"), ("reason line", "i8"))
Order: Any = from_dtype(ORDER)
order_at = record_at(Order)


@inner_kernel
def fail(book, error, line, value, other):
    """Keep the first thing that is wrong; the rule is not asked again."""
    if book.memory[ERROR] == 0.0:
        book.memory[ERROR] = error
        book.memory[LINE] = line
        book.memory[VALUE] = value
        book.memory[OTHER] = other
    return 0


# --- before and after the rule -----------------------------------------------------------------------


@inner_kernel
def begin(what, now, book):
    """Keep the book in order; says whether the rule is to be asked at this close, or told of this fill."""
    if book.memory[ERROR] != 0.0:
        return 0
    if what == CLOSE:
        drop_entries(book, -1, False)
        book.memory[INSIDE] = 0.0
        if book.signal >= 0:
            book.want = now.row + 1
            return ASK_RULE if now.signal == 1 else 0
        book.wake_row = now.row + 1
        return ASK_RULE
    drop_entries(book, -1, False)
    protect(what, now, book)
    if book.memory[HEARS] == 0.0:
        return 0
    if book.memory[FILLS_ROW] != now.row:
        book.memory[FILLS_ROW] = now.row
        book.memory[N_FILLS] = 0.0
    book.memory[N_FILLS] += 1.0
    if book.memory[N_FILLS] > MAX_FILLS:
        return fail(book, ENDLESS, 0, MAX_FILLS, 0.0)
    book.memory[INSIDE] = 1.0
    return TELL_RULE


@inner_kernel
def protect(what, now, book):
    """Stop and target of the order that filled hold for everything the book holds."""
    if what == FLAT:
        book.memory[TARGET_AT] = 0.0
        return
    stop, target = 0.0, 0.0
    if what == ENTERED:
        stop, target = book.memory[PENDING_STOP], book.memory[PENDING_TARGET]
    elif what == ADDED:
        stop, target = book.filled_stop, book.filled_target
    if stop != 0.0:
        book.stop = stop
        book.stop_moved = 0
    if target != 0.0:
        book.memory[TARGET_AT] = target
    aim(now, book)


@inner_kernel
def aim(now, book):
    """One exit limit for everything at the target."""
    book.n_exits = 0
    if book.memory[TARGET_AT] != 0.0:
        add_exit(now, book, book.memory[TARGET_AT], book.quantity, TARGET)


@inner_kernel
def copy_cell(source, target):
    """Overwrite one place of the list of cells by another."""
    target.price = source.price
    target.exit_price = source.exit_price
    target.quantity = source.quantity
    target.held = source.held
    target.bought = source.bought
    target.fee = source.fee
    target.funding = source.funding
    target.reserved = source.reserved
    target.stop = source.stop
    target.target = source.target
    target.bought_row = source.bought_row
    target.placed = source.placed
    target.order = source.order
    target.cycle = source.cycle
    target.state = source.state
    target.refusal = source.refusal
    target.seen = source.seen
    target.initial = source.initial
    target.reason = source.reason
    target.gated = source.gated


@inner_kernel
def drop_entries(book, reason, resting):
    """Forget entries that no longer rest and, if `resting`, those that do (of one reason, −1 for all)."""
    kept = 0
    for k in range(book.n_cells):
        cell = cell_of(book, k)
        stays = (cell.state == RESTING) | (resting & ((cell.state == IDLE) | (cell.state == WAITING)))
        if resting and ((reason < 0) or (cell.reason == reason)):
            stays = False
        if stays:
            if kept < k:
                copy_cell(cell, cell_of(book, kept))
            kept += 1
    if kept < book.n_cells:
        for k in range(kept, book.n_cells):
            cell_of(book, k).state = EMPTY
            cell_of(book, k).reserved = 0.0
        book.n_cells = kept
        book.relaid = 1


# --- the verbs ---------------------------------------------------------------------------------------


@inner_kernel
def place(now, book, kind, given, size, notional, risk, limit, stop, target, reason, line):
    """Carry out one order."""
    if book.memory[ERROR] != 0.0:
        return
    if kind <= SELLS:
        place_entry(now, book, kind, given, size, notional, risk, limit, stop, target, reason, line)
    elif kind == CLOSES:
        if book.memory[INSIDE] == 1.0:
            fail(book, MARKET_INSIDE, line, 0.0, 0.0)
        elif (book.quantity > 0.0) & (book.exit_reason == 0):
            leave(book, closing_reason(book) if reason == 0 else reason)
    elif kind == MOVES:
        move(now, book, given, stop, target, line)
    else:
        drop_entries(book, reason if given & TAG else -1, True)


@inner_kernel
def closing_reason(book):
    """What an exit does, where it has no tag."""
    return SELL if book.side > 0.0 else BUY


@inner_kernel
def leave(book, reason):
    """A market exit of everything at the next open; entries and the stop go now, the target stays through the jump."""
    book.exit_reason = reason
    book.stop = NO_STOP
    book.stop_moved = 0
    drop_entries(book, -1, True)


@inner_kernel
def is_wrong(book, value, given, lowest, line):
    """Whether a given number is none, or not above the lowest allowed."""
    if given == 0:
        return False
    if not np.isfinite(value):
        fail(book, NO_NUMBER, line, value, given)
        return True
    if (value < 0.0) | ((value == 0.0) & (lowest > 0.0)):
        fail(book, NOT_POSITIVE, line, value, given)
        return True
    return False


@inner_kernel
def move(now, book, given, stop, target, line):
    """Another stop or target for what is held; at or beyond the close it becomes a market exit."""
    if is_wrong(book, stop, given & STOP, 1.0, line) or is_wrong(book, target, given & AIM, 1.0, line):
        return
    if (book.quantity == 0.0) | (book.exit_reason != 0):
        return
    close = mirrored(book, now.close)
    inside = book.memory[INSIDE] == 1.0
    if given & AIM:
        at = price_up(now, mirrored(book, target))
        if (at <= close) and not inside:
            leave(book, TARGET)
            return
        book.memory[TARGET_AT] = at
        aim(now, book)
    if given & STOP:
        at = price_down(now, mirrored(book, stop))
        if (at >= close) and not inside:
            leave(book, TRAILING)
        elif at != book.stop:
            book.stop = at
            book.stop_moved = 1


@inner_kernel
def may_enter(now, book, side, given, line):
    """Whether the book can take an entry of this side now, and its route lets it."""
    if (side < 0.0) and (now.shorts == 0):
        fail(book, NO_SHORTS, line, 0.0, 0.0)
    elif (side != book.side) and (book.quantity > 0.0):
        fail(book, OTHER_SIDE, line, side, 0.0)
    elif (side != book.side) and ((book.n_cells > 0) or (book.market_quantity > 0.0)):
        fail(book, OTHER_RESTING, line, side, 0.0)
    elif (book.memory[INSIDE] == 1.0) and (given & LIMIT == 0):
        fail(book, MARKET_INSIDE, line, 0.0, 0.0)
    elif (book.memory[INSIDE] == 1.0) and (given & NOTIONAL == 0):
        fail(book, SIZE_INSIDE, line, 0.0, 0.0)
    elif book.entry == OPEN:
        return True
    elif (book.entry == BLOCKED) and (book.memory[INSIDE] == 0.0):
        refuse(book, RISK_DAILY)
    return False


@inner_kernel
def place_entry(now, book, kind, given, size, notional, risk, limit, stop, target, reason, line):
    """Size an entry as the built-in strategies do and place it: at market, or as a limit that rests."""
    if (
        is_wrong(book, size, given & SIZE, 0.0, line)
        or is_wrong(book, notional, given & NOTIONAL, 0.0, line)
        or is_wrong(book, risk, given & RISK, 0.0, line)
        or is_wrong(book, limit, given & LIMIT, 1.0, line)
        or is_wrong(book, stop, given & STOP, 1.0, line)
        or is_wrong(book, target, given & AIM, 1.0, line)
    ):
        return
    side = 1.0 if kind == BUYS else -1.0
    at_market = (given & LIMIT == 0) or ((side * limit >= side * now.close) and (book.memory[INSIDE] == 0.0))
    price = now.close if at_market else limit
    if (given & STOP) and (side * stop >= side * price):
        fail(book, STOP_BEYOND, line, stop, price)
        return
    if (given & AIM) and (side * target <= side * price):
        fail(book, TARGET_BEHIND, line, target, price)
        return
    if not may_enter(now, book, side, given, line):
        return
    book.side = side
    capped = 0
    if given & RISK:
        quantity = risk * now.equity / abs(price - stop)
        largest = now.max_position * now.equity / price
        capped = 1 if largest < quantity else 0
        quantity = min(quantity, largest)
    elif given & SIZE:
        quantity = size * now.equity / price
    else:
        quantity = notional / price
    quantity = quantity_down(now, quantity)
    stop_at = price_down(now, side * stop) if given & STOP else 0.0
    target_at = price_up(now, side * target) if given & AIM else 0.0
    if reason == 0:
        reason = BUY if side > 0.0 else SELL
    if at_market:
        enter_at_open(book, quantity, capped, stop_at, target_at, reason)
    else:
        add_entry(now, book, price_down(now, side * limit), quantity, stop_at, target_at, reason, line)


@inner_kernel
def enter_at_open(book, quantity, capped, stop, target, reason):
    """A market entry; several of one close are one order, with the last stop and target that were given."""
    if book.market_quantity == 0.0:
        book.memory[PENDING_STOP] = 0.0
        book.memory[PENDING_TARGET] = 0.0
        book.market_capped = 0
    else:
        reason = book.market_reason
    enter(book, book.market_quantity + quantity, reason)
    book.market_capped = max(book.market_capped, capped)
    if stop != 0.0:
        book.memory[PENDING_STOP] = stop
    if target != 0.0:
        book.memory[PENDING_TARGET] = target


@inner_kernel
def add_entry(now, book, price, quantity, stop, target, reason, line):
    """A limit entry among the others, in rising order of price; of equal ones the older is nearer."""
    if book.n_cells >= book.memory[PLACES]:
        fail(book, TOO_MANY, line, book.memory[PLACES], 0.0)
        return
    k = book.n_cells
    while (k > 0) and (cell_of(book, k - 1).price >= price):
        copy_cell(cell_of(book, k - 1), cell_of(book, k))
        k -= 1
    cell = cell_of(book, k)
    cell.price, cell.quantity = price, quantity
    cell.exit_price, cell.held, cell.bought, cell.fee, cell.funding, cell.reserved = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    cell.stop, cell.target, cell.reason, cell.gated = stop, target, reason, 1
    cell.state = WAITING if book.memory[INSIDE] == 1.0 else IDLE
    cell.refusal, cell.seen, cell.initial, cell.order, cell.cycle, cell.bought_row = 0, 0, 0, 0, 0, 0
    cell.placed = now.candle
    book.n_cells += 1
    book.relaid = 1
