"""Entries filling: at the limit, at the open, or at once where an order is placed beyond the price."""

import numpy as np

from traderagent.base.kernel import inner_kernel
from traderagent.engine.gate import count_cell_refusal, count_start_refusal
from traderagent.engine.money import add_to_deal, buy, usable
from traderagent.engine.orders import (
    clear_protection,
    drop_deal,
    find_cursors,
    make_idle,
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
    INITIAL,
    NO_CASH,
    SAFETY,
    WAITING,
    cell_of,
    exit_of,
    quantity_down,
    tell,
)


@inner_kernel
def hold(account, pair, book, cell, k, price, quantity, rate, reason, initial):
    """A cell's buy fills: its exit rests from here on."""
    now = now_of(pair)
    cell.cycle = account.next_cycle
    account.next_cycle += 1
    reserve_cell(account, pair, book, cell, 0.0)
    cell.fee = buy(account, pair, book, price, quantity, rate, reason, cell.order, cell.cycle)
    cell.held = quantity
    cell.bought = price
    cell.bought_row = now.row
    cell.seen = 1
    cell.initial = initial
    cell.state = HOLDING
    cell.placed_row = now.row
    cell.order = account.next_order
    account.next_order += 1
    book.n_lots += 1
    book.bottom_exit = min(book.bottom_exit, k)


@inner_kernel
def fill_cell(account, pair, book, price, quantity, rate):
    """The highest resting buy fills at `price`."""
    now = now_of(pair)
    k = book.top_entry
    cell = cell_of(book, k)
    book.ask = 1
    if book.is_ladder == 1:
        hold(account, pair, book, cell, k, price, quantity, rate, BUY, 0)
        book.top_entry = next_entry_below(book, k)
    else:
        reserve_cell(account, pair, book, cell, 0.0)
        fee = buy(account, pair, book, price, quantity, rate, SAFETY, cell.order, book.deal_cycle)
        add_to_deal(account, pair, book, price, quantity, fee)
        cell.state = EMPTY
        book.top_entry = next_entry_below(book, k)
        book.extreme = -np.inf
        book.extreme_from = now.row + 1 - pair.at_open
        tell(ADDED, now, book)
        number_exits(account, book)
    set_triggers(pair, book)


@inner_kernel
def number_exits(account, book):
    """Give order ids to the exits a step has just placed, nearest first."""
    for k in range(book.n_exits - 1, -1, -1):
        order = exit_of(book, k)
        if order.order == 0:
            order.order = account.next_order
            account.next_order += 1


@inner_kernel
def affordable(now, book, quantity, price, payable):
    """Quantity of a taker buy that can be paid, 0 where what is left is below the minimum."""
    cost = price * (1 + now.taker)
    if quantity * cost <= payable:
        return quantity
    quantity = quantity_down(now, max(payable, 0.0) / cost)
    if (quantity <= 0.0) | (quantity * price < now.min_notional):
        return 0.0
    book.cut_orders += 1
    return quantity


@inner_kernel
def enter_at_market(account, pair, book):
    """A pending market buy executes at the open, cut to what can be paid."""
    now = now_of(pair)
    price = now.open * (1 + now.slippage)
    payable = usable(account, book) + book.market_reserved
    quantity = book.market_quantity
    if book.market_fraction > 0.0:
        quantity = quantity_down(now, book.market_fraction * payable / (price * (1 + now.taker)))
    else:
        quantity = affordable(now, book, quantity, price, payable)
    book.ask = 1
    if quantity <= 0.0:
        count_start_refusal(account, pair, book, NO_CASH)
        drop_deal(account, pair, book)
        return
    release_market(account, book)
    order = account.next_order
    account.next_order += 1
    fee = buy(account, pair, book, price, quantity, now.taker, book.market_reason, order, book.deal_cycle)
    add_to_deal(account, pair, book, price, quantity, fee)
    book.entries += 1
    book.capped += book.market_capped
    book.market_quantity = 0.0
    book.market_fraction = 0.0
    clear_protection(book)
    book.extreme_from = now.row
    tell(ENTERED, now, book)
    number_exits(account, book)
    set_triggers(pair, book)


@inner_kernel
def release_market(account, book):
    """The pending market order's cash is free for its own fill."""
    account.lost -= min(book.flow, 0.0)
    account.reserved -= book.market_reserved
    book.reserved -= book.market_reserved
    book.flow += book.market_reserved
    account.lost += min(book.flow, 0.0)
    book.market_reserved = 0.0


@inner_kernel
def refuse_for_cash(account, pair, book, cell):
    """A cell that cannot be paid gives its reservation back and waits idle."""
    reserve_cell(account, pair, book, cell, 0.0)
    count_cell_refusal(account, book, cell, NO_CASH)
    make_idle(book, cell)


@inner_kernel
def buy_waiting_cell(account, pair, book, cell, k):
    """A cell at or above the first open is bought at market."""
    now = now_of(pair)
    price = now.open * (1 + now.slippage)
    quantity = affordable(now, book, cell.quantity, price, usable(account, book) + cell.reserved)
    if quantity == 0.0:
        refuse_for_cash(account, pair, book, cell)
        return
    cell.order = account.next_order
    account.next_order += 1
    hold(account, pair, book, cell, k, price, quantity, now.taker, INITIAL, 1)


@inner_kernel
def activate_waiting(account, pair, book):
    """At the first open: a ladder buys its upper cells and rests the others; safety orders rest."""
    now = now_of(pair)
    book.waiting = 0
    book.ask = 1
    if book.is_ladder == 1:
        for k in range(book.n_cells):
            cell = cell_of(book, k)
            if (cell.state == WAITING) and (cell.price >= now.open):
                buy_waiting_cell(account, pair, book, cell, k)
    else:
        for k in range(book.n_cells):
            reserve_cell(account, pair, book, cell_of(book, k), 0.0)
    for k in range(book.n_cells - 1, -1, -1):
        cell = cell_of(book, k)
        if cell.state == WAITING:
            need = cell.quantity * cell.price * (1 + now.taker)
            if need > usable(account, book) + cell.reserved:
                refuse_for_cash(account, pair, book, cell)
            else:
                rest(account, pair, book, cell)
    find_cursors(book)
    set_triggers(pair, book)


@inner_kernel
def take_entry(account, pair, book):
    """A limit entry placed beyond the path's price fills there at once, cut to what can be paid."""
    now = now_of(pair)
    cell = cell_of(book, book.top_entry)
    price = pair.price * (1 + now.slippage)
    quantity = affordable(now, book, cell.quantity, price, usable(account, book) + cell.reserved)
    if quantity > 0.0:
        fill_cell(account, pair, book, price, quantity, now.taker)
        return
    refuse_for_cash(account, pair, book, cell)
    find_cursors(book)
    set_triggers(pair, book)
