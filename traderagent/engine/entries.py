"""Entries filling: at the limit, at the open, or at once where an order is placed beyond the price."""

import numpy as np

from traderagent.base.kernel import inline_kernel, inner_kernel
from traderagent.engine.gate import count_cell_refusal, count_start_refusal, tell_fill
from traderagent.engine.money import add_to_deal, move_cash, take_in, usable
from traderagent.engine.orders import (
    clear_protection,
    drop_deal,
    find_cursors,
    nearer_exit,
    next_entry_below,
    reserve_cell,
    rest,
    set_triggers,
)
from traderagent.engine.records import now_of
from traderagent.strategies.contract import (
    ADDED,
    BUY,
    EMPTY,
    ENTERED,
    HOLDING,
    IDLE,
    INITIAL,
    SAFETY,
    SELL,
    WAITING,
    beyond,
    cell_of,
    mirrored,
    quantity_down,
)


@inner_kernel
def hold(account, pair, book, cell, k, price, quantity, rate, reason, initial):
    """A cell's entry fills: its exit rests from here on."""
    now = now_of(pair)
    cell.cycle = account.next_cycle
    account.next_cycle += 1
    reserve_cell(account, pair, book, cell, 0.0)
    cell.fee = take_in(account, pair, book, price, quantity, rate, reason, cell.order, cell.cycle)
    cell.funding = 0.0
    cell.held = quantity
    cell.bought = price
    cell.bought_row = now.row
    cell.seen = 1
    cell.initial = initial
    cell.state = HOLDING
    cell.placed = now.candle
    cell.order = account.next_order
    account.next_order += 1
    book.n_lots += 1
    book.bottom_exit = nearer_exit(book, k, book.bottom_exit)


@inline_kernel
def fill_cell(account, pair, book, k, price, quantity, rate):
    """The k-th cell's entry, the nearest or one placed beyond the path's price, fills at `price`."""
    cell = cell_of(book, k)
    book.changed = 1
    if book.is_ladder == 1:
        hold(account, pair, book, cell, k, price, quantity, rate, BUY if book.side > 0.0 else SELL, 0)
        book.top_entry = next_entry_below(book, k)
    else:
        add_from_cell(account, pair, book, cell, price, quantity, rate)
        cell.state = EMPTY
        find_cursors(book)
        tell_fill(ADDED, account, pair, book)
    set_triggers(account, pair, book)


@inner_kernel
def add_from_cell(account, pair, book, cell, price, quantity, rate):
    """A limit entry adds to the deal, or opens one."""
    reserve_cell(account, pair, book, cell, 0.0)
    if book.deal_quantity == 0.0:
        book.deal_cycle = account.next_cycle
        account.next_cycle += 1
        clear_protection(book)
    reason = SAFETY if cell.reason == 0 else cell.reason
    fee = take_in(account, pair, book, price, quantity, rate, reason, cell.order, book.deal_cycle)
    add_to_deal(account, pair, book, price, quantity, fee)
    book.extreme = -np.inf
    book.extreme_from = now_of(pair).row + 1 - (pair.at_open & pair.is_first)
    book.filled_stop, book.filled_target = cell.stop, cell.target


@inner_kernel
def affordable(now, book, quantity, price, payable):
    """Quantity of a taker entry that can be paid, 0 where what is left is below the minimum."""
    cost = abs(price) * now.limit_rate
    if quantity * cost <= payable:
        return quantity
    quantity = quantity_down(now, max(payable, 0.0) / cost)
    if (quantity <= 0.0) | (quantity * abs(price) < now.min_notional):
        return 0.0
    book.cut_orders += 1
    return quantity


@inner_kernel
def enter_at_market(account, pair, book):
    """A pending market entry executes at the open, cut to what can be paid."""
    now = now_of(pair)
    price = beyond(book, mirrored(book, now.open), now.slippage)
    payable = usable(account, book) + book.market_reserved
    quantity = book.market_quantity
    if book.market_fraction > 0.0:
        quantity = quantity_down(now, book.market_fraction * payable / (abs(price) * now.limit_rate))
    else:
        quantity = affordable(now, book, quantity, price, payable)
    book.changed = 1
    if quantity <= 0.0:
        count_start_refusal(account, pair, book, account.poor)
        drop_deal(account, pair, book)
        return
    release_market(account, book)
    order = account.next_order
    account.next_order += 1
    if book.deal_quantity == 0.0:
        clear_protection(book)
        if book.everywhere == 1:
            book.deal_cycle = account.next_cycle
            account.next_cycle += 1
    fee = take_in(account, pair, book, price, quantity, now.taker, book.market_reason, order, book.deal_cycle)
    add_to_deal(account, pair, book, price, quantity, fee)
    book.entries += 1
    book.capped += book.market_capped
    book.market_quantity = 0.0
    book.market_fraction = 0.0
    book.extreme_from = now.row
    tell_fill(ENTERED, account, pair, book)
    set_triggers(account, pair, book)


@inner_kernel
def release_market(account, book):
    """The pending market order's cash is free for its own fill."""
    move_cash(account, book, 0.0, -book.market_reserved, 0.0)
    book.market_reserved = 0.0


@inner_kernel
def refuse_for_cash(account, pair, book, cell):
    """A cell that cannot be paid gives its reservation back and waits idle; the caller finds the cursors anew."""
    reserve_cell(account, pair, book, cell, 0.0)
    count_cell_refusal(account, book, cell, account.poor)
    cell.state = IDLE


@inner_kernel
def enter_waiting_cell(account, pair, book, cell, k):
    """A cell that the first open has passed enters at market."""
    now = now_of(pair)
    price = beyond(book, mirrored(book, now.open), now.slippage)
    quantity = affordable(now, book, cell.quantity, price, usable(account, book) + cell.reserved)
    if quantity == 0.0:
        refuse_for_cash(account, pair, book, cell)
        return
    cell.order = account.next_order
    account.next_order += 1
    hold(account, pair, book, cell, k, price, quantity, now.taker, INITIAL, 1)


@inner_kernel
def activate_waiting(account, pair, book):
    """At the first open: a ladder enters the cells it has passed and rests the others; safety orders rest."""
    now = now_of(pair)
    book.waiting = 0
    book.changed = 1
    if book.is_ladder == 1:
        for k in range(book.n_cells):
            cell = cell_of(book, k)
            if (cell.state == WAITING) and (cell.price >= mirrored(book, now.open)):
                enter_waiting_cell(account, pair, book, cell, k)
    else:
        for k in range(book.n_cells):
            reserve_cell(account, pair, book, cell_of(book, k), 0.0)
    for k in range(book.n_cells - 1, -1, -1):
        cell = cell_of(book, k)
        if cell.state == WAITING:
            need = cell.quantity * abs(cell.price) * now.limit_rate
            if need > usable(account, book) + cell.reserved:
                refuse_for_cash(account, pair, book, cell)
            else:
                rest(account, pair, book, cell)
    find_cursors(book)
    set_triggers(account, pair, book)


@inner_kernel
def take_entry(account, pair, book, k):
    """The k-th cell's entry, placed beyond the path's price fills there at once, cut to what can be paid."""
    now = now_of(pair)
    cell = cell_of(book, k)
    price = beyond(book, mirrored(book, pair.price), now.slippage)
    quantity = affordable(now, book, cell.quantity, price, usable(account, book) + cell.reserved)
    if quantity > 0.0:
        fill_cell(account, pair, book, k, price, quantity, now.taker)
        return
    refuse_for_cash(account, pair, book, cell)
    find_cursors(book)
    set_triggers(account, pair, book)
