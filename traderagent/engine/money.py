"""The only place where money moves: cash, reservations, margin, inventory, fees and what a round trip earned.

Prices are mirrored (see `traderagent.strategies.contract`), so one arithmetic serves both sides: an entry
takes price × quantity from cash, which for a short is negative, its proceeds.
"""

from traderagent.base.kernel import inline_kernel, inner_kernel, rarely
from traderagent.engine.records import (
    KIND_CELL,
    KIND_DEAL,
    KIND_INITIAL,
    book_of,
    fill_at,
    now_of,
    purse_of,
    round_trip_at,
)
from traderagent.strategies.contract import cell_of


@inner_kernel
def move_cash(account, book, cash, reserved, locked):
    """Add to cash, reserved cash and locked cash, and keep the book's flow of free cash in this candle."""
    purse = purse_of(account)
    purse.lost -= min(book.flow, 0.0)
    account.cash += cash
    account.reserved += reserved
    account.locked += locked
    if account.shared != 0:
        account.moves += 1
        purse.cash += cash
        purse.reserved += reserved
        purse.locked += locked
    book.moves += 1
    book.reserved += reserved
    book.flow += cash - reserved - locked
    purse.lost += min(book.flow, 0.0)


@inner_kernel
def free(account):
    """Cash that is neither reserved nor locked; what a decision at a close may use.

    Locked is Σ (margin − cost) over the books of a perpetual account, 0 on a spot account: what cash holds
    beyond the wallet (the proceeds of shorts), less the margins.
    """
    purse = purse_of(account)
    return purse.cash - purse.reserved - purse.locked


@inner_kernel
def usable(account, book):
    """What a book may use inside a candle: cash that others freed in this candle is not there yet."""
    purse = purse_of(account)
    return purse.free_start + book.flow + purse.lost - min(book.flow, 0.0)


@inner_kernel
def start_candle(account):
    """A candle begins for the account: its free cash is what it was at the last close."""
    account.free_start = free(account)
    account.lost = 0.0


@inline_kernel
def start_flows(account, pair):
    """A candle begins: no book of the pair has moved cash in it yet."""
    if account.shared == 0:  # else it begins for all symbols at once
        start_candle(account)
    for b in range(pair.n_books):
        book_of(pair, b).flow = 0.0


@inner_kernel
def refresh_reserved(account, book):
    """Set the book's reservation to the sum over its orders, after a step rewrote them."""
    total = book.market_reserved
    for k in range(book.n_cells):
        total += cell_of(book, k).reserved
    move_cash(account, book, 0.0, total - book.reserved, 0.0)


@inner_kernel
def log_fill(account, pair, book, side, price, quantity, fee, reason, order, cycle):
    """Count a fill at a mirrored price and its fee; keep it where the run is recorded."""
    account.fees += fee
    account.turnover += abs(price) * quantity
    book.fees += fee
    book.turnover += abs(price) * quantity
    book.n_fills += 1
    book.filled_price, book.filled_quantity = abs(price), quantity
    book.filled_reason, book.filled_side = reason, side
    k = account.n_fills
    account.n_fills += 1
    if not rarely(k < account.fills_capacity):
        return
    fill = fill_at(account, k)
    fill.row = now_of(pair).row
    fill.detail_row = pair.detail_row
    fill.book = book.index
    fill.side = side
    fill.price = abs(price)
    fill.quantity = quantity
    fill.fee = fee
    fill.reason = reason
    fill.order = order
    fill.cycle = cycle


@inner_kernel
def log_round_trip(account, pair, book, kind, reason, entry_row, cycle, quantity, entry, exit_, fees, funding, net):
    """Count a round trip between two mirrored prices; keep it where the run is recorded."""
    count_round_trip(book, kind, net)
    k = account.n_round_trips
    account.n_round_trips += 1
    if rarely(k < account.round_trips_capacity):
        trip = round_trip_at(account, k)
        trip.book = book.index
        trip.side = int(book.side)
        trip.kind = kind
        trip.reason = reason
        trip.entry_row = entry_row
        trip.exit_row = now_of(pair).row
        trip.cycle = cycle
        trip.quantity = quantity
        trip.entry_price = abs(entry)
        trip.exit_price = abs(exit_)
        trip.fees = fees
        trip.funding = funding
        trip.net = net


@inner_kernel
def count_round_trip(book, kind, net):
    """Add what a round trip earned to the book's sums."""
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


@inner_kernel
def take_in(account, pair, book, price, quantity, rate, reason, order, cycle):
    """Inventory comes in at a mirrored price; returns the fee. The order's reservation is released by the caller."""
    fee = abs(price) * quantity * rate
    cost = price * quantity
    margin = cost
    if rarely(account.perpetual == 1):
        margin = abs(price) * quantity * now_of(pair).margin_rate
    move_cash(account, book, -(cost + fee), 0.0, margin - cost)
    book.quantity += quantity
    book.cost += cost
    book.margin += margin
    log_fill(account, pair, book, int(book.side), price, quantity, fee, reason, order, cycle)
    return fee


@inner_kernel
def put_out(account, pair, book, price, quantity, entry, rate, reason, order, cycle):
    """Inventory that came in at mirrored price `entry` goes out; returns the fee."""
    fee = abs(price) * quantity * rate
    cost = entry * quantity
    margin = cost
    if rarely(account.perpetual == 1):
        margin = book.margin if quantity >= book.quantity else book.margin * (quantity / book.quantity)
    move_cash(account, book, price * quantity - fee, 0.0, cost - margin)
    book.quantity -= quantity
    book.cost -= cost
    book.margin -= margin
    book.realised += (price - entry) * quantity
    log_fill(account, pair, book, -int(book.side), price, quantity, fee, reason, order, cycle)
    return fee


@inner_kernel
def empty(account, book):
    """Nothing is held any more: no dust of rounding stays in the books."""
    if rarely(account.perpetual == 1):
        dust = book.margin - book.cost
        account.locked -= dust
        if account.shared != 0:
            purse_of(account).locked -= dust
    book.quantity = 0.0
    book.cost = 0.0
    book.margin = 0.0
    book.n_lots = 0


@inner_kernel
def close_lot(account, pair, book, reason, lot, quantity, price, exit_fee):
    """A cell's cycle ends: from flat to flat of that cell. `lot` is a cell or a kept exit."""
    kind = KIND_INITIAL if lot.initial == 1 else KIND_CELL
    fees = lot.fee + exit_fee
    net = (price - lot.bought) * quantity - fees - lot.funding
    log_round_trip(
        account,
        pair,
        book,
        kind,
        reason,
        lot.bought_row,
        lot.cycle,
        quantity,
        lot.bought,
        price,
        fees,
        lot.funding,
        net,
    )
    lot.funding = 0.0
    book.n_lots -= 1
    if book.n_lots == 0:
        empty(account, book)


@inner_kernel
def add_to_deal(account, pair, book, price, quantity, fee):
    """An entry of a deal or position; the first one opens it."""
    if book.deal_quantity == 0.0:
        book.entry_price = price
        book.entry_row = now_of(pair).row
        book.deal_bought = 0.0
        book.deal_sold = 0.0
        book.deal_fees = 0.0
        book.deal_funding = 0.0
    book.deal_quantity += quantity
    book.deal_bought += price * quantity
    book.deal_fees += fee


@inner_kernel
def take_from_deal(account, pair, book, reason, price, quantity, fee):
    """An exit of a deal or position; the last one ends its round trip. Returns whether it was the last."""
    book.deal_sold += price * quantity
    book.deal_fees += fee
    if book.quantity > 1e-12 * book.deal_quantity:
        return False
    empty(account, book)
    held = book.deal_quantity
    entry, exit_ = book.deal_bought / held, book.deal_sold / held
    fees, funding = book.deal_fees, book.deal_funding
    net = book.deal_sold - book.deal_bought - fees - funding
    log_round_trip(
        account, pair, book, KIND_DEAL, reason, book.entry_row, book.deal_cycle, held, entry, exit_, fees, funding, net
    )
    book.deal_net = net
    book.deal_quantity = 0.0
    return True
