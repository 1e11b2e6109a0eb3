"""What happens when the path meets a book's next order: at which price it fills, and what it sets off."""

from traderagent.base.kernel import inner_kernel
from traderagent.engine.entries import fill_cell, take_entry
from traderagent.engine.exits import close_cell, close_listed, count_ambiguous, hit_stop, liquidate_book, take_exit
from traderagent.engine.orders import ENTRY_KIND, EXIT_KIND, STOP_KIND, set_triggers
from traderagent.engine.records import now_of
from traderagent.strategies.contract import cell_of, exit_of, mirrored


@inner_kernel
def entry_price(pair, book, limit, placed):
    """A limit entry that rested when the candle began never pays more than the open."""
    open_ = mirrored(book, pair.open)
    if pair.at_open == 1:
        return open_
    return min(limit, open_) if placed < now_of(pair).candle else limit


@inner_kernel
def exit_price(pair, book, limit, placed):
    """A limit exit that rested when the candle began never gets less than the open."""
    open_ = mirrored(book, pair.open)
    if pair.at_open == 1:
        return open_
    return max(limit, open_) if placed < now_of(pair).candle else limit


@inner_kernel
def fill_entry(account, pair, book):
    """The nearest entry is met; exits that it places at or beyond the path's price fill at once."""
    cell = cell_of(book, book.top_entry)
    price = entry_price(pair, book, cell.price, cell.placed)
    fill_cell(account, pair, book, price, cell.quantity, now_of(pair).maker)
    while (pair.at_open == 0) and has_marketable_exit(pair, book):
        take_exit(account, pair, book)


@inner_kernel
def fill_exit(account, pair, book):
    """The nearest exit is met: a listed one, or that of a cell."""
    now = now_of(pair)
    count_ambiguous(pair, book, False)
    if book.exit_listed == 1:
        order = exit_of(book, book.n_exits - 1)
        close_listed(account, pair, book, exit_price(pair, book, order.price, order.placed), now.maker)
    else:
        cell = cell_of(book, book.bottom_exit)
        close_cell(account, pair, book, exit_price(pair, book, cell.exit_price, cell.placed), now.maker)
    set_triggers(account, pair, book)


@inner_kernel
def meet(account, pair, book, kind):
    """The path meets the book's next order of this kind."""
    if kind == EXIT_KIND:
        fill_exit(account, pair, book)
    elif kind == ENTRY_KIND:
        fill_entry(account, pair, book)
    elif kind == STOP_KIND:
        hit_stop(account, pair, book)
    else:
        liquidate_book(account, pair, book)
    while (book.everywhere == 1) and (pair.at_open == 0) and take_placed(account, pair, book):
        pass


@inner_kernel
def take_placed(account, pair, book):
    """Fill at once what a fill inside the candle has placed beyond the path's price; False where nothing is."""
    if (book.quantity > 0.0) & (book.stop >= mirrored(book, pair.price)):
        hit_stop(account, pair, book)
    elif has_marketable_exit(pair, book):
        take_exit(account, pair, book)
    elif has_marketable_entry(pair, book):
        take_entry(account, pair, book)
    else:
        return False
    return True


@inner_kernel
def has_marketable_exit(pair, book):
    """Whether the nearest exit limit was placed in this candle at or beyond the path's price."""
    if book.n_exits == 0:
        return False
    order = exit_of(book, book.n_exits - 1)
    return (order.lot == 0) & (order.placed == now_of(pair).candle) & (order.price <= mirrored(book, pair.price))


@inner_kernel
def has_marketable_entry(pair, book):
    """Whether the nearest limit entry was placed in this candle at or beyond the path's price."""
    if (book.is_ladder == 1) | (book.top_entry < 0):
        return False
    cell = cell_of(book, book.top_entry)
    return (cell.placed == now_of(pair).candle) & (cell.price >= mirrored(book, pair.price))
