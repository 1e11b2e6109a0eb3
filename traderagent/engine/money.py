"""The only place where money moves: cash, reservations, inventory, fees and what a round trip earned."""

from traderagent.base.kernel import inner_kernel
from traderagent.engine.records import (
    KIND_CELL,
    KIND_DEAL,
    KIND_INITIAL,
    book_of,
    fill_at,
    now_of,
    round_trip_at,
)
from traderagent.strategies.contract import cell_of


@inner_kernel
def move_cash(account, book, cash, reserved):
    """Add to cash and to reserved cash, and keep the book's flow of this candle."""
    account.lost -= min(book.flow, 0.0)
    account.cash += cash
    account.reserved += reserved
    book.reserved += reserved
    book.flow += cash - reserved
    account.lost += min(book.flow, 0.0)


@inner_kernel
def free(account):
    """Cash that nobody has reserved; what a decision at a close may use."""
    return account.cash - account.reserved


@inner_kernel
def usable(account, book):
    """What a book may use inside a candle: cash that others freed in this candle is not there yet."""
    return account.free_start + book.flow + account.lost - min(book.flow, 0.0)


@inner_kernel
def start_flows(account, pair):
    """A candle begins: nobody has moved cash in it yet."""
    account.free_start = free(account)
    account.lost = 0.0
    for b in range(pair.n_books):
        book_of(pair, b).flow = 0.0


@inner_kernel
def refresh_reserved(account, book):
    """Set the book's reservation to the sum over its orders, after a step rewrote them."""
    total = book.market_reserved
    for k in range(book.n_cells):
        total += cell_of(book, k).reserved
    move_cash(account, book, 0.0, total - book.reserved)


@inner_kernel
def log_fill(account, pair, book, side, price, quantity, fee, reason, order, cycle):
    """Count a fill and its fee; keep it where the run is recorded."""
    account.fees += fee
    account.turnover += price * quantity
    book.fees += fee
    book.turnover += price * quantity
    book.n_fills += 1
    k = account.n_fills
    account.n_fills += 1
    if k >= account.fills_capacity:
        return
    fill = fill_at(account, k)
    fill.row = now_of(pair).row
    fill.book = book.index
    fill.side = side
    fill.price = price
    fill.quantity = quantity
    fill.fee = fee
    fill.reason = reason
    fill.order = order
    fill.cycle = cycle


@inner_kernel
def log_round_trip(account, pair, book, kind, reason, entry_row, cycle, quantity, entry_price, exit_price, fees, net):
    """Count a round trip; keep it where the run is recorded."""
    book.round_trips += 1
    if net > 0.0:
        book.winning += 1
        book.gross_profit += net
    elif net < 0.0:
        book.losing += 1
        book.gross_loss -= net
    if kind != KIND_INITIAL:
        book.completed_cycles += 1
        book.cycle_net += net
    k = account.n_round_trips
    account.n_round_trips += 1
    if k >= account.round_trips_capacity:
        return
    trip = round_trip_at(account, k)
    trip.book = book.index
    trip.kind = kind
    trip.reason = reason
    trip.entry_row = entry_row
    trip.exit_row = now_of(pair).row
    trip.cycle = cycle
    trip.quantity = quantity
    trip.entry_price = entry_price
    trip.exit_price = exit_price
    trip.fees = fees
    trip.net = net


@inner_kernel
def buy(account, pair, book, price, quantity, rate, reason, order, cycle):
    """Cash becomes inventory; returns the fee. The order's reservation is released by the caller."""
    fee = price * quantity * rate
    move_cash(account, book, -(price * quantity + fee), 0.0)
    book.quantity += quantity
    book.cost += price * quantity
    log_fill(account, pair, book, 1, price, quantity, fee, reason, order, cycle)
    return fee


@inner_kernel
def sell(account, pair, book, price, quantity, bought, rate, reason, order, cycle):
    """Inventory bought at `bought` becomes cash; returns the fee."""
    fee = price * quantity * rate
    move_cash(account, book, price * quantity - fee, 0.0)
    book.quantity -= quantity
    book.cost -= bought * quantity
    book.realised += (price - bought) * quantity
    log_fill(account, pair, book, -1, price, quantity, fee, reason, order, cycle)
    return fee


@inner_kernel
def empty(book):
    """Nothing is held any more: no dust of rounding stays in the books."""
    book.quantity = 0.0
    book.cost = 0.0
    book.n_lots = 0


@inner_kernel
def close_lot(account, pair, book, reason, quantity, bought, entry_fee, entry_row, cycle, initial, price, exit_fee):
    """A cell's cycle ends: from flat to flat of that cell."""
    fees = entry_fee + exit_fee
    net = (price - bought) * quantity - fees
    kind = KIND_INITIAL if initial == 1 else KIND_CELL
    log_round_trip(account, pair, book, kind, reason, entry_row, cycle, quantity, bought, price, fees, net)
    book.n_lots -= 1
    if book.n_lots == 0:
        empty(book)


@inner_kernel
def add_to_deal(account, pair, book, price, quantity, fee):
    """An entry of a deal or position; the first one opens it."""
    if book.deal_quantity == 0.0:
        book.entry_price = price
        book.entry_row = now_of(pair).row
        book.deal_bought = 0.0
        book.deal_sold = 0.0
        book.deal_fees = 0.0
    book.entered_row = now_of(pair).row
    book.deal_quantity += quantity
    book.deal_bought += price * quantity
    book.deal_fees += fee


@inner_kernel
def take_from_deal(account, pair, book, reason, price, quantity, fee):
    """An exit of a deal or position; the last one ends its round trip."""
    book.deal_sold += price * quantity
    book.deal_fees += fee
    if book.quantity > 1e-12 * book.deal_quantity:
        return False
    empty(book)
    book.deal_net = book.deal_sold - book.deal_bought - book.deal_fees
    log_round_trip(
        account,
        pair,
        book,
        KIND_DEAL,
        reason,
        book.entry_row,
        book.deal_cycle,
        book.deal_quantity,
        book.deal_bought / book.deal_quantity,
        book.deal_sold / book.deal_quantity,
        book.deal_fees,
        book.deal_net,
    )
    book.deal_quantity = 0.0
    return True
