"""Exits filling: cells, targets, stops and market exits, and what each of them ends."""

from traderagent.base.kernel import inner_kernel
from traderagent.engine.gate import count_cell_refusal
from traderagent.engine.money import close_lot, sell, take_from_deal, usable
from traderagent.engine.orders import (
    cancel_entries,
    clear_cells,
    clear_protection,
    find_cursors,
    make_idle,
    next_exit_above,
    rest,
    set_triggers,
)
from traderagent.engine.records import now_of
from traderagent.strategies.contract import (
    FLAT,
    IDLE,
    NO_CASH,
    OFF_ROUTE,
    OPEN,
    SELL,
    SHIFT,
    STOP,
    TRAILING,
    cell_of,
    exit_of,
    tell,
)


@inner_kernel
def may_rearm(account, book):
    """Whether a sold cell buys again at once: entries are open, or left alone by `keep`."""
    kept = (book.entry == OFF_ROUTE) & (account.keep_entries == 1) & (account.blocked == 0)
    return (account.halted == 0) & ((book.entry == OPEN) | kept)


@inner_kernel
def count_ambiguous(pair, book, is_stop):
    """A stop and an exit limit of one book inside the same candle: which came first is a guess."""
    if pair.at_open == 1:
        return
    now = now_of(pair)
    if not is_stop:
        book.ambiguous_fills += int((book.stop >= now.low) & (book.stop <= now.high))
        return
    for k in range(book.n_exits):
        if now.low <= exit_of(book, k).price <= now.high:
            book.ambiguous_fills += 1
            return


@inner_kernel
def sell_cell(account, pair, book, price, rate):
    """The lowest holding cell sells; its buy rests again at the same price if it may."""
    now = now_of(pair)
    k = book.bottom_exit
    cell = cell_of(book, k)
    quantity, bought, initial = cell.held, cell.bought, cell.initial
    fee = sell(account, pair, book, price, quantity, bought, rate, SELL, cell.order, cell.cycle)
    close_lot(account, pair, book, SELL, quantity, bought, cell.fee, cell.bought_row, cell.cycle, initial, price, fee)
    cell.held = 0.0
    cell.initial = 0
    book.bottom_exit = next_exit_above(book, k)
    book.ask = 1
    if not may_rearm(account, book):
        make_idle(book, cell)
    elif cell.quantity * cell.price * (1 + now.taker) > usable(account, book):
        count_cell_refusal(account, book, cell, NO_CASH)
        make_idle(book, cell)
    else:
        rest(account, pair, book, cell)
        book.top_entry = max(book.top_entry, k)


@inner_kernel
def sell_exit(account, pair, book, price, rate):
    """The nearest exit limit fills: a kept cell, a partial or a target."""
    order = exit_of(book, book.n_exits - 1)
    quantity = order.quantity
    book.n_exits -= 1
    book.ask = 1
    if order.lot == 1:
        fee = sell(account, pair, book, price, quantity, order.bought, rate, SELL, order.order, order.cycle)
        close_lot(
            account,
            pair,
            book,
            SELL,
            quantity,
            order.bought,
            order.fee,
            order.bought_row,
            order.cycle,
            order.initial,
            price,
            fee,
        )
        return
    quantity = min(quantity, book.quantity)
    average = book.cost / book.quantity
    fee = sell(account, pair, book, price, quantity, average, rate, order.reason, order.order, book.deal_cycle)
    finish_exit(account, pair, book, order.reason, price, quantity, fee)


@inner_kernel
def finish_exit(account, pair, book, reason, price, quantity, fee):
    """When a deal has sold its last coin: its orders are cancelled and the strategy is told."""
    if take_from_deal(account, pair, book, reason, price, quantity, fee):
        book.n_exits = 0
        book.exit_reason = 0
        clear_protection(book)
        clear_cells(account, book)
        tell(FLAT, now_of(pair), book)


@inner_kernel
def sell_deal(account, pair, book, price, reason):
    """A market exit or stop of a whole deal or position."""
    now = now_of(pair)
    quantity = book.quantity
    order = account.next_order
    account.next_order += 1
    fee = sell(account, pair, book, price, quantity, book.cost / quantity, now.taker, reason, order, book.deal_cycle)
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
def sell_ladder(account, pair, book, price, reason):
    """One market order for what a ladder holds (at a shift: its kept lots); each lot ends its round trip."""
    now = now_of(pair)
    cells_too = int(reason != SHIFT)
    total, cost = held_by_ladder(book, cells_too)
    if total == 0.0:
        return
    order = account.next_order
    account.next_order += 1
    fee = sell(account, pair, book, price, total, cost / total, now.taker, reason, order, 0)
    for k in range(book.n_cells * cells_too):
        cell = cell_of(book, k)
        if cell.held > 0.0:
            close_lot(
                account,
                pair,
                book,
                reason,
                cell.held,
                cell.bought,
                cell.fee,
                cell.bought_row,
                cell.cycle,
                cell.initial,
                price,
                fee * (cell.held / total),
            )
            cell.held = 0.0
            cell.initial = 0
            cell.state = IDLE
    for k in range(book.n_exits - 1, -1, -1):
        kept = exit_of(book, k)
        close_lot(
            account,
            pair,
            book,
            reason,
            kept.quantity,
            kept.bought,
            kept.fee,
            kept.bought_row,
            kept.cycle,
            kept.initial,
            price,
            fee * (kept.quantity / total),
        )
    book.n_exits = 0
    find_cursors(book)


@inner_kernel
def sell_everything(account, pair, book, market_price, reason):
    """A market exit of the whole book, as far as it still holds anything."""
    now = now_of(pair)
    book.exit_reason = 0
    book.ask = 1
    if book.quantity > 0.0:
        price = market_price * (1 - now.slippage)
        if book.is_ladder == 1:
            sell_ladder(account, pair, book, price, reason)
        else:
            sell_deal(account, pair, book, price, reason)
    set_triggers(pair, book)


@inner_kernel
def hit_stop(account, pair, book):
    """A stop fills at the stop, or where the path already stands beyond it; others are cancelled first."""
    now = now_of(pair)
    count_ambiguous(pair, book, True)
    price = now.open if pair.at_open == 1 else min(book.stop, pair.price)
    reason = TRAILING if book.stop_moved == 1 else STOP
    cancel_entries(account, book)
    clear_protection(book)
    sell_everything(account, pair, book, price, reason)


@inner_kernel
def take_exit(account, pair, book):
    """An exit placed beyond the path's price fills there at once, as a taker."""
    now = now_of(pair)
    count_ambiguous(pair, book, False)
    sell_exit(account, pair, book, pair.price * (1 - now.slippage), now.taker)
    set_triggers(pair, book)
