"""Exits filling: cells, targets, stops, liquidations and market exits, and what each of them ends."""

from traderagent.base.kernel import inline_kernel, inner_kernel
from traderagent.engine.gate import count_cell_refusal, tell_fill
from traderagent.engine.money import close_lot, move_cash, put_out, take_from_deal, usable
from traderagent.engine.orders import (
    cancel_entries,
    clear_cells,
    clear_protection,
    find_cursors,
    make_idle,
    next_exit,
    rest,
    set_triggers,
)
from traderagent.engine.records import now_of
from traderagent.strategies.contract import (
    BUY,
    FLAT,
    IDLE,
    LEFT,
    LIQUIDATION,
    OFF_ROUTE,
    OPEN,
    SELL,
    SHIFT,
    STOP,
    TRAILING,
    beyond,
    cell_of,
    exit_of,
    mirrored,
)


@inner_kernel
def may_rearm(account, book):
    """Whether a closed cell enters again at once: entries are open, or left alone by `keep`."""
    kept = (book.entry == OFF_ROUTE) & (account.keep_entries == 1) & (account.blocked == 0)
    return (account.halted == 0) & ((book.entry == OPEN) | kept)


@inner_kernel
def is_inside(pair, book, price):
    """Whether the candle being walked holds a mirrored price."""
    real = book.side * price
    return (real >= pair.low) & (real <= pair.high)


@inner_kernel
def count_ambiguous(pair, book, is_stop):
    """A stop and an exit limit of one book inside the same candle: which came first is a guess."""
    if pair.at_open == 1:
        return
    if not is_stop:
        book.ambiguous_fills += int(is_inside(pair, book, book.stop))
        return
    for k in range(book.n_exits):
        if is_inside(pair, book, exit_of(book, k).price):
            book.ambiguous_fills += 1
            return


@inline_kernel
def close_cell(account, pair, book, price, rate):
    """The nearest holding cell closes; its entry rests again at the same price if it may."""
    now = now_of(pair)
    k = book.bottom_exit
    cell = cell_of(book, k)
    reason = SELL if book.side > 0.0 else BUY
    fee = put_out(account, pair, book, price, cell.held, cell.bought, rate, reason, cell.order, cell.cycle)
    close_lot(account, pair, book, reason, cell, cell.held, price, fee)
    cell.held = 0.0
    cell.initial = 0
    book.bottom_exit = next_exit(book, k)
    book.changed = 1
    if not may_rearm(account, book):
        make_idle(book, k)
    elif cell.quantity * abs(cell.price) * now.limit_rate > usable(account, book):
        count_cell_refusal(account, book, cell, account.poor)
        make_idle(book, k)
    else:
        rest(account, pair, book, cell)
        book.top_entry, book.top_order = max(book.top_entry, k), max(book.top_order, k)


@inner_kernel
def close_listed(account, pair, book, price, rate):
    """The nearest listed exit limit fills: a kept cell, a partial or a target."""
    order = exit_of(book, book.n_exits - 1)
    quantity = order.quantity
    book.n_exits -= 1
    book.changed = 1
    if order.lot == 1:
        reason = SELL if book.side > 0.0 else BUY
        fee = put_out(account, pair, book, price, quantity, order.bought, rate, reason, order.order, order.cycle)
        close_lot(account, pair, book, reason, order, quantity, price, fee)
        return
    quantity = min(quantity, book.quantity)
    average = book.cost / book.quantity
    fee = put_out(account, pair, book, price, quantity, average, rate, order.reason, order.order, book.deal_cycle)
    finish_exit(account, pair, book, order.reason, price, quantity, fee)


@inner_kernel
def finish_exit(account, pair, book, reason, price, quantity, fee):
    """When a deal has sold its last coin: its orders are cancelled and the strategy is told."""
    if take_from_deal(account, pair, book, reason, price, quantity, fee):
        book.n_exits = 0
        book.exit_reason = 0
        clear_protection(book)
        clear_cells(account, book)
        tell_fill(FLAT, account, pair, book)
    elif book.everywhere == 1:
        tell_fill(LEFT, account, pair, book)


@inner_kernel
def close_deal(account, pair, book, price, rate, reason):
    """A market exit, stop or liquidation of a whole deal or position."""
    quantity = book.quantity
    order = account.next_order
    account.next_order += 1
    average = book.cost / quantity
    fee = put_out(account, pair, book, price, quantity, average, rate, reason, order, book.deal_cycle)
    finish_exit(account, pair, book, reason, price, quantity, fee)


@inner_kernel
def held_by_ladder(book, cells_too):
    """Quantity and cost of a ladder's lots: the kept ones, and those of its cells."""
    quantity, cost = 0.0, 0.0
    for k in range(book.n_cells * cells_too):
        cell = cell_of(book, k)
        quantity += cell.held
        cost += cell.held * cell.bought
    for k in range(book.n_exits):
        kept = exit_of(book, k)
        quantity += kept.quantity
        cost += kept.quantity * kept.bought
    return quantity, cost


@inner_kernel
def close_ladder(account, pair, book, price, rate, reason):
    """One market order for what a ladder holds (at a shift: its kept lots); each lot ends its round trip."""
    cells_too = int(reason != SHIFT)
    total, cost = held_by_ladder(book, cells_too)
    if total == 0.0:
        return
    order = account.next_order
    account.next_order += 1
    fee = put_out(account, pair, book, price, total, cost / total, rate, reason, order, 0)
    for k in range(book.n_cells * cells_too):
        cell = cell_of(book, k)
        if cell.held > 0.0:
            close_lot(account, pair, book, reason, cell, cell.held, price, fee * (cell.held / total))
            cell.held = 0.0
            cell.initial = 0
            cell.state = IDLE
    for k in range(book.n_exits - 1, -1, -1):
        kept = exit_of(book, k)
        close_lot(account, pair, book, reason, kept, kept.quantity, price, fee * (kept.quantity / total))
    book.n_exits = 0
    find_cursors(book)


@inner_kernel
def close_book(account, pair, book, price, rate, reason):
    """A market exit of the whole book from a mirrored price, slipped, as far as it still holds anything."""
    book.exit_reason = 0
    book.changed = 1
    if book.quantity > 0.0:
        slipped = beyond(book, price, -now_of(pair).slippage)
        if book.is_ladder == 1:
            close_ladder(account, pair, book, slipped, rate, reason)
        else:
            close_deal(account, pair, book, slipped, rate, reason)
    set_triggers(account, pair, book)


@inner_kernel
def stopped_at(pair, book, trigger):
    """Mirrored price at which a stop fills: its own, or where the path already stands beyond it."""
    if pair.at_open == 1:
        return mirrored(book, pair.open)
    return min(trigger, mirrored(book, pair.price))


@inner_kernel
def hit_stop(account, pair, book):
    """The stop is met; the book's other orders are cancelled first."""
    if (pair.at_open == 1) and (mirrored(book, pair.open) <= book.liquidation):
        liquidate_book(account, pair, book)
        return
    count_ambiguous(pair, book, True)
    price = stopped_at(pair, book, book.stop)
    reason = TRAILING if book.stop_moved == 1 else STOP
    cancel_entries(account, book)
    clear_protection(book)
    close_book(account, pair, book, price, now_of(pair).taker, reason)


@inner_kernel
def liquidate_book(account, pair, book):
    """The margin is used up; what the fill loses beyond it is paid by the exchange's insurance."""
    price = stopped_at(pair, book, book.liquidation)
    rate = now_of(pair).taker + account.liquidation_fee
    fill = beyond(book, price, -now_of(pair).slippage)
    loss = book.cost - fill * book.quantity + abs(fill) * book.quantity * rate
    excess = max(loss - book.margin, 0.0)
    cancel_entries(account, book)
    clear_protection(book)
    close_book(account, pair, book, price, rate, LIQUIDATION)
    move_cash(account, book, excess, 0.0, 0.0)
    book.insurance += excess
    account.insurance += excess
    book.liquidations += 1


@inner_kernel
def take_exit(account, pair, book):
    """An exit placed beyond the path's price fills there at once, as a taker."""
    now = now_of(pair)
    count_ambiguous(pair, book, False)
    price = beyond(book, mirrored(book, pair.price), -now.slippage)
    close_listed(account, pair, book, price, now.taker)
    set_triggers(account, pair, book)
