"""Orders of a book: where the next one stands, arming at a close, cancelling, and the two cursors.

Cells stand in rising order of mirrored price, so the nearest entry is the highest resting cell and the
nearest cell exit the lowest holding one. Two cursors remember both; a fill moves them by a cell or two.
"""

import numpy as np

from traderagent.base.kernel import inline_kernel, inner_kernel, rarely
from traderagent.engine.money import move_cash, refresh_reserved
from traderagent.engine.records import book_of, now_of
from traderagent.strategies.contract import (
    EMPTY,
    HOLDING,
    IDLE,
    MIN_NOTIONAL,
    NEVER,
    NO_STOP,
    PORTFOLIO_STOP,
    RESTING,
    RISK_POSITION,
    TRAILING,
    WAITING,
    best,
    beyond,
    cell_of,
    exit_of,
    mirrored,
    price_down,
)

# What stands at a price, in the order in which ties are met.
LIQUIDATION_KIND, STOP_KIND, EXIT_KIND, ENTRY_KIND = 0, 1, 2, 3


@inner_kernel
def ticks_away(pair, price, direction):
    """The price that a limit's path must reach: `penetration` beyond it, rounded to the tick's decimals."""
    if rarely(pair.penetration != 0.0):
        scale = now_of(pair).tick_scale
        return np.rint((price + direction * pair.penetration) * scale) / scale
    return price


@inner_kernel
def liquidation_price(account, book):
    """Mirrored price at which what is left of the margin no longer carries the book; −inf where none does."""
    if not rarely((account.perpetual == 1) & (book.quantity != 0.0)):
        return NO_STOP
    price = (book.cost - book.margin) / (book.quantity * (1 - book.side * account.maintenance))
    return price if book.side * price > 0.0 else NO_STOP


@inner_kernel
def set_triggers(account, pair, book):
    """Real prices at which the path meets the book's next order below and above."""
    book.placed_up = book.moves
    against, kind = NO_STOP, ENTRY_KIND
    if book.top_entry >= 0:
        against = ticks_away(pair, cell_of(book, book.top_entry).price, -1)
    if (book.stop >= against) & (book.fresh_stop == 0):
        against, kind = book.stop, STOP_KIND
    book.liquidation = liquidation_price(account, book)
    if book.liquidation >= against:
        against, kind = book.liquidation, LIQUIDATION_KIND
    ahead = nearest_exit(pair, book)
    if book.side > 0.0:
        book.below, book.below_kind = against, kind
        book.above, book.above_kind = ahead, EXIT_KIND
    else:
        book.below, book.below_kind = -ahead, EXIT_KIND
        book.above, book.above_kind = -against, kind
    pair.known = 0


@inner_kernel
def nearest_exit(pair, book):
    """Mirrored price that the path must reach for the next exit limit; a halt has cancelled them all."""
    book.exit_listed = 0
    ahead = np.inf
    if rarely(book.exit_reason == PORTFOLIO_STOP):
        return ahead
    if book.bottom_exit < book.n_cells:
        ahead = ticks_away(pair, cell_of(book, book.bottom_exit).exit_price, 1)
    if book.n_exits > 0:
        order = exit_of(book, book.n_exits - 1)
        listed = ticks_away(pair, order.price, 1)
        if (listed <= ahead) & (order.order < book.fresh):
            ahead = listed
            book.exit_listed = 1
    return ahead


@inline_kernel
def add_up_orders(book, close):
    """What rests and what was granted, added up again where orders may have changed, or one is valued at the close."""
    if (book.added_up != book.moves) | (book.market_quantity != 0.0):
        add_up_cells(book, close)


@inner_kernel
def add_up_cells(book, close):
    """Notional of entries that rest or are pending, market orders at the close; and of those with cash reserved."""
    resting = book.market_quantity * close
    granted = resting if book.market_reserved > 0.0 else 0.0
    for k in range(book.top_order + 1):
        cell = cell_of(book, k)
        if (cell.state == RESTING) | (cell.state == WAITING):
            notional = cell.quantity * abs(cell.price)
            resting += notional
            if (cell.state == RESTING) | (cell.reserved > 0.0):
                granted += notional
    book.added_up, book.resting, book.granted = book.moves, resting, granted


@inner_kernel
def find_cursors(book):
    """Recompute both cursors and what is idle by a walk over all cells."""
    book.top_entry = -1
    book.bottom_exit = book.n_cells
    book.bottom_idle = book.n_cells
    book.top_idle = -1
    book.n_idle = 0
    book.n_refused = 0
    book.idle_lowest = np.inf
    book.least_refused, book.refused_low, book.refused_high, book.only_gate = np.inf, np.inf, -np.inf, 1
    book.top_order = -1
    for k in range(book.n_cells - 1, -1, -1):
        cell = cell_of(book, k)
        if (cell.state == RESTING) | (cell.state == WAITING):
            book.top_order = max(book.top_order, k)
            if (cell.state == RESTING) & (cell.order < book.fresh):
                book.top_entry = max(book.top_entry, k)
        elif (cell.state == HOLDING) and (cell.exit_price != 0.0):
            book.bottom_exit = nearer_exit(book, k, book.bottom_exit)
        elif cell.state == IDLE:
            book.n_idle += 1
            book.bottom_idle = k
            book.top_idle = max(book.top_idle, k)
            if cell.refusal > 0:
                book.n_refused += 1
                note_refusal(book, cell)
            else:
                book.idle_lowest = cell.price


@inline_kernel
def note_refusal(book, cell):
    """Keep of a refused cell what tells whether all of them stay refused."""
    if cell.refusal == RISK_POSITION + 1:
        book.least_refused = min(book.least_refused, cell.quantity * abs(cell.price))
        book.refused_low, book.refused_high = min(book.refused_low, cell.price), max(book.refused_high, cell.price)
    elif cell.refusal != MIN_NOTIONAL + 1:
        book.only_gate = 0


@inner_kernel
def nearer_exit(book, k, other):
    """Which of two holding cells' exits is met first: the nearer, at one price the one placed earlier."""
    if other == book.n_cells:
        return k
    one, two = cell_of(book, k), cell_of(book, other)
    if one.exit_price != two.exit_price:
        return k if one.exit_price < two.exit_price else other
    return k if one.order < two.order else other


@inner_kernel
def number_exits(account, book):
    """Give order ids to the exits a step has just placed, nearest first."""
    for k in range(book.n_exits - 1, -1, -1):
        order = exit_of(book, k)
        if order.order == 0:
            order.order = account.next_order
            account.next_order += 1


@inner_kernel
def next_entry_below(book, k):
    """Highest resting cell below k, or −1."""
    k -= 1
    while (k >= 0) and (cell_of(book, k).state != RESTING):
        k -= 1
    return k


@inner_kernel
def hold_back(account, pair):
    """A jump begins: it passes by what its fills place; only own rules place what it could meet."""
    for b in range(pair.n_books * pair.own):
        book = book_of(pair, b)
        if book.everywhere == 1:
            book.fresh = account.next_order


@inner_kernel
def let_in(account, pair):
    """The market orders of the open are done: what fills have placed until then stands in the market."""
    for b in range(pair.n_books * pair.own):
        book = book_of(pair, b)
        if book.everywhere == 1:
            book.fresh = NEVER
            book.fresh_stop = 0
            find_cursors(book)
            set_triggers(account, pair, book)


@inner_kernel
def next_exit(book, k):
    """The holding cell whose exit is met next once that of the k-th has filled, or n_cells."""
    low = k
    while (low > 0) and (cell_of(book, low - 1).exit_price == cell_of(book, k).exit_price):
        low -= 1
    nearest = book.n_cells
    for j in range(low, book.n_cells):
        if (j == k) | (cell_of(book, j).state != HOLDING):
            continue
        if nearest < book.n_cells and cell_of(book, j).exit_price > cell_of(book, nearest).exit_price:
            break
        nearest = nearer_exit(book, j, nearest)
    return nearest


@inner_kernel
def make_idle(book, k):
    """The k-th cell rests no longer and may ask again at a close above its price."""
    cell = cell_of(book, k)
    cell.state = IDLE
    book.n_idle += 1
    book.bottom_idle = min(book.bottom_idle, k)
    book.top_idle = max(book.top_idle, k)
    book.idle_lowest = min(book.idle_lowest, cell.price)


@inner_kernel
def reserve_cell(account, pair, book, cell, amount):
    """Set what a cell reserves."""
    move_cash(account, book, 0.0, amount - cell.reserved, 0.0)
    cell.reserved = amount


@inner_kernel
def rest(account, pair, book, cell):
    """The cell's entry rests in the market, its cash reserved."""
    now = now_of(pair)
    reserve_cell(account, pair, book, cell, cell.quantity * abs(cell.price) * now.limit_rate)
    cell.state = RESTING
    cell.refusal = 0
    cell.placed = now.candle
    cell.order = account.next_order
    account.next_order += 1


@inner_kernel
def drop_deal(account, pair, book):
    """Forget a pending start and everything planned with it."""
    book.market_quantity = 0.0
    book.market_reserved = 0.0
    book.market_fraction = 0.0
    book.waiting = 0
    if book.everywhere == 1:
        refresh_reserved(account, book)  # what rests already has asked for itself
    else:
        clear_cells(account, book)


@inner_kernel
def clear_cells(account, book):
    """No cell is left; what they reserved is free."""
    for k in range(book.n_cells):
        cell = cell_of(book, k)
        cell.state = EMPTY
        cell.reserved = 0.0
    book.n_cells = 0
    refresh_reserved(account, book)
    find_cursors(book)


@inner_kernel
def cancel_entries(account, book):
    """Resting entries come off the market and become idle."""
    for k in range(book.n_cells):
        cell = cell_of(book, k)
        if (cell.state == RESTING) | (cell.state == WAITING):
            cell.state = IDLE
            cell.reserved = 0.0
    refresh_reserved(account, book)
    find_cursors(book)


@inner_kernel
def forget_refusals(book):
    """Entries close: episodes of refusal end."""
    for k in range(book.n_cells):
        cell_of(book, k).refusal = 0
    find_cursors(book)


@inner_kernel
def clear_protection(book):
    """No stop stands and none will move."""
    book.stop = NO_STOP
    book.stop_moved = 0
    book.breakeven_start = np.inf
    book.trail_start = np.inf
    book.trail_distance = 0.0
    book.trail_share = 0.0
    book.extreme = -np.inf


@inner_kernel
def leave_at_next_open(account, book, reason):
    """A market exit of everything: entries go now, the stop is gone, exit limits stay through the jump."""
    book.exit_reason = reason
    cancel_entries(account, book)
    clear_protection(book)


@inline_kernel
def move_stop(account, pair, book):
    """Break-even and trailing, where the book holds something and one of them is wished for."""
    if rarely(
        (min(book.breakeven_start, book.trail_start) < np.inf) & (book.quantity != 0.0) & (book.exit_reason == 0)
    ):
        move_protection(account, pair, book)


@inner_kernel
def move_protection(account, pair, book):
    """The stop moves with the best prices since the last entry."""
    now = now_of(pair)
    if now.row >= book.extreme_from:
        book.extreme = max(book.extreme, best(now, book))
    stop = book.stop
    if book.extreme >= book.breakeven_start:
        stop = max(stop, book.breakeven_stop)
        book.breakeven_start = np.inf
    if book.extreme >= book.trail_start:
        level = beyond(book, book.extreme, -book.trail_share) - book.trail_distance
        stop = max(stop, price_down(now, level))
    if stop > book.stop:
        if stop >= mirrored(book, now.close):
            leave_at_next_open(account, book, TRAILING)
        else:
            book.stop = stop
            book.stop_moved = 1
        set_triggers(account, pair, book)


@inner_kernel
def no_wakes(book):
    """Forget when to ask the step again; it says so anew."""
    book.wake_row = NEVER
    book.wake_above = np.inf
    book.wake_below = -np.inf
    book.wake_time = NEVER
    book.want = NEVER


@inner_kernel
def no_watch(book):
    """Forget when to grant again, and when a stop may move."""
    book.grant_row = NEVER
    book.grant_above = book.move_above = np.inf
    book.grant_below = book.move_below = -np.inf


@inner_kernel
def grant_beyond(book, price):
    """Grant again at a close at this mirrored price or beyond it in the book's favour."""
    if book.side > 0.0:
        book.grant_above = min(book.grant_above, price)
    else:
        book.grant_below = max(book.grant_below, -price)


@inner_kernel
def move_beyond(book, price):
    """The stop may move at the close of a candle that reaches this mirrored price in the book's favour."""
    if book.side > 0.0:
        book.move_above = price
    else:
        book.move_below = -price
