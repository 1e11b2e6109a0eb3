"""What happens when an order is met: at which price it fills, who is told, what it places at once."""

import numpy as np

from traderagent.base.kernel import kernel
from traderagent.engine.money import (
    add_to_deal,
    buy,
    close_lot,
    sell,
    take_from_deal,
    usable,
)
from traderagent.engine.orders import (
    EXIT_KIND,
    STOP_KIND,
    cancel_entries,
    clear_cells,
    clear_protection,
    count_cell_refusal,
    count_start_refusal,
    drop_deal,
    find_cursors,
    make_idle,
    next_entry_below,
    next_exit_above,
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
    FLAT,
    HOLDING,
    IDLE,
    INITIAL,
    NO_CASH,
    OFF_ROUTE,
    OPEN,
    SAFETY,
    SELL,
    SHIFT,
    STOP,
    TRAILING,
    WAITING,
    cell_of,
    exit_of,
    quantity_down,
    tell,
)


@kernel
def may_rearm(account, book):
    """Whether a sold cell buys again at once: entries are open, or left alone by `keep`."""
    kept = (book.entry == OFF_ROUTE) & (account.keep_entries == 1) & (account.blocked == 0)
    return (account.halted == 0) & ((book.entry == OPEN) | kept)


@kernel
def limit_buy_price(pair, limit, placed_row):
    """A limit that rested when the candle began never pays more than the open."""
    now = now_of(pair)
    if pair.at_open == 1:
        return now.open
    return min(limit, now.open) if placed_row < now.row else limit


@kernel
def limit_sell_price(pair, limit, placed_row):
    now = now_of(pair)
    if pair.at_open == 1:
        return now.open
    return max(limit, now.open) if placed_row < now.row else limit


@kernel
def count_ambiguous(pair, book, is_stop):
    """A stop and an exit limit of one book inside the same candle: which came first is a guess."""
    if pair.at_open == 1:
        return
    now = now_of(pair)
    if is_stop:
        book.ambiguous_fills += int((book.n_exits > 0) and (exit_of(book, book.n_exits - 1).price <= now.high))
    else:
        book.ambiguous_fills += int((book.stop > 0.0) & (book.stop >= now.low))


# --- entries ----------------------------------------------------------------------------------------


@kernel
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


@kernel
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


@kernel
def number_exits(account, book):
    """Give order ids to the exits a step has just placed, nearest first."""
    for k in range(book.n_exits - 1, -1, -1):
        order = exit_of(book, k)
        if order.order == 0:
            order.order = account.next_order
            account.next_order += 1


@kernel
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


@kernel
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


@kernel
def release_market(account, book):
    account.lost -= min(book.flow, 0.0)
    account.reserved -= book.market_reserved
    book.reserved -= book.market_reserved
    book.flow += book.market_reserved
    account.lost += min(book.flow, 0.0)
    book.market_reserved = 0.0


@kernel
def refuse_for_cash(account, pair, book, cell):
    """A cell that cannot be paid gives its reservation back and waits idle."""
    reserve_cell(account, pair, book, cell, 0.0)
    count_cell_refusal(account, book, cell, NO_CASH)
    make_idle(book, cell)


@kernel
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


@kernel
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


# --- exits ------------------------------------------------------------------------------------------


@kernel
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


@kernel
def sell_exit(account, pair, book, price, rate):
    """The nearest exit limit fills: a kept cell, a partial or a target."""
    order = exit_of(book, book.n_exits - 1)
    quantity = order.quantity
    book.n_exits -= 1
    book.ask = 1
    if order.lot == 1:
        fee = sell(account, pair, book, price, quantity, order.bought, rate, SELL, order.order, order.cycle)
        close_lot(account, pair, book, SELL, quantity, order.bought, order.fee, order.bought_row, order.cycle,
                  order.initial, price, fee)
        return
    quantity = min(quantity, book.quantity)
    average = book.cost / book.quantity
    fee = sell(account, pair, book, price, quantity, average, rate, order.reason, order.order, book.deal_cycle)
    finish_exit(account, pair, book, order.reason, price, quantity, fee)


@kernel
def finish_exit(account, pair, book, reason, price, quantity, fee):
    """When a deal has sold its last coin: its orders are cancelled and the strategy is told."""
    if take_from_deal(account, pair, book, reason, price, quantity, fee):
        book.n_exits = 0
        book.exit_reason = 0
        clear_protection(book)
        clear_cells(account, book)
        tell(FLAT, now_of(pair), book)


@kernel
def sell_deal(account, pair, book, price, reason):
    now = now_of(pair)
    quantity = book.quantity
    order = account.next_order
    account.next_order += 1
    fee = sell(account, pair, book, price, quantity, book.cost / quantity, now.taker, reason, order, book.deal_cycle)
    finish_exit(account, pair, book, reason, price, quantity, fee)


@kernel
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


@kernel
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
            close_lot(account, pair, book, reason, cell.held, cell.bought, cell.fee, cell.bought_row, cell.cycle,
                      cell.initial, price, fee * (cell.held / total))
            cell.held = 0.0
            cell.initial = 0
            cell.state = IDLE
    for k in range(book.n_exits - 1, -1, -1):
        kept = exit_of(book, k)
        close_lot(account, pair, book, reason, kept.quantity, kept.bought, kept.fee, kept.bought_row, kept.cycle,
                  kept.initial, price, fee * (kept.quantity / total))
    book.n_exits = 0
    find_cursors(book)


@kernel
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


@kernel
def hit_stop(account, pair, book):
    """A stop fills at the stop, or where the path already stands beyond it; others are cancelled first."""
    now = now_of(pair)
    count_ambiguous(pair, book, True)
    price = now.open if pair.at_open == 1 else min(book.stop, pair.price)
    reason = TRAILING if book.stop_moved == 1 else STOP
    cancel_entries(account, book)
    clear_protection(book)
    sell_everything(account, pair, book, price, reason)


# --- meeting an order -------------------------------------------------------------------------------


@kernel
def fill_below(account, pair, book):
    """The book's next order below is met."""
    if book.below_kind == STOP_KIND:
        hit_stop(account, pair, book)
        return
    cell = cell_of(book, book.top_entry)
    price = limit_buy_price(pair, cell.price, cell.placed_row)
    fill_cell(account, pair, book, price, cell.quantity, now_of(pair).maker)
    while (pair.at_open == 0) and has_marketable_exit(pair, book):
        take_exit(account, pair, book)


@kernel
def fill_above(account, pair, book):
    """The book's next order above is met."""
    now = now_of(pair)
    count_ambiguous(pair, book, False)
    if book.above_kind == EXIT_KIND:
        order = exit_of(book, book.n_exits - 1)
        price = limit_sell_price(pair, order.price, order.placed_row)
        sell_exit(account, pair, book, price, now.maker)
    else:
        cell = cell_of(book, book.bottom_exit)
        price = limit_sell_price(pair, cell.exit_price, cell.placed_row)
        sell_cell(account, pair, book, price, now.maker)
    set_triggers(pair, book)


@kernel
def has_marketable_exit(pair, book):
    """Whether the nearest exit limit was placed in this candle at or below the path's price."""
    if book.n_exits == 0:
        return False
    order = exit_of(book, book.n_exits - 1)
    return (order.lot == 0) & (order.placed_row == now_of(pair).row) & (order.price <= pair.price)


@kernel
def has_marketable_entry(pair, book):
    """Whether the highest limit entry was placed in this candle at or above the path's price."""
    if (book.is_ladder == 1) | (book.top_entry < 0):
        return False
    cell = cell_of(book, book.top_entry)
    return (cell.placed_row == now_of(pair).row) & (cell.price >= pair.price)


@kernel
def take_exit(account, pair, book):
    """An exit placed beyond the path's price fills there at once, as a taker."""
    now = now_of(pair)
    count_ambiguous(pair, book, False)
    sell_exit(account, pair, book, pair.price * (1 - now.slippage), now.taker)
    set_triggers(pair, book)


@kernel
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
