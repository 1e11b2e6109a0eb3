"""An order is met: at which price it fills, and which orders placed by fills are beyond the price already."""

from traderagent.base.kernel import inner_kernel
from traderagent.engine.entries import fill_cell
from traderagent.engine.exits import count_ambiguous, hit_stop, sell_cell, sell_exit, take_exit
from traderagent.engine.orders import EXIT_KIND, STOP_KIND, set_triggers
from traderagent.engine.records import now_of
from traderagent.strategies.contract import cell_of, exit_of


@inner_kernel
def limit_buy_price(pair, limit, placed_row):
    """A limit that rested when the candle began never pays more than the open."""
    now = now_of(pair)
    if pair.at_open == 1:
        return now.open
    return min(limit, now.open) if placed_row < now.row else limit


@inner_kernel
def limit_sell_price(pair, limit, placed_row):
    """A limit that rested when the candle began never gets less than the open."""
    now = now_of(pair)
    if pair.at_open == 1:
        return now.open
    return max(limit, now.open) if placed_row < now.row else limit


@inner_kernel
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


@inner_kernel
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


@inner_kernel
def has_marketable_exit(pair, book):
    """Whether the nearest exit limit was placed in this candle at or below the path's price."""
    if book.n_exits == 0:
        return False
    order = exit_of(book, book.n_exits - 1)
    return (order.lot == 0) & (order.placed_row == now_of(pair).row) & (order.price <= pair.price)


@inner_kernel
def has_marketable_entry(pair, book):
    """Whether the highest limit entry was placed in this candle at or above the path's price."""
    if (book.is_ladder == 1) | (book.top_entry < 0):
        return False
    cell = cell_of(book, book.top_entry)
    return (cell.placed_row == now_of(pair).row) & (cell.price >= pair.price)
