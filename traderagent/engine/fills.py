"""What happens when the path meets a book's next order: at which price it fills, and what it sets off."""

from traderagent.base.kernel import inline_kernel, inner_kernel
from traderagent.engine.entries import fill_cell, take_entry
from traderagent.engine.exits import close_cell, close_listed, count_ambiguous, hit_stop, liquidate_book, take_exit
from traderagent.engine.orders import ENTRY_KIND, EXIT_KIND, LIQUIDATION_KIND, STOP_KIND, next_entry_below, set_triggers
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


@inline_kernel
def fill_entry(account, pair, book):
    """The nearest entry is met."""
    cell = cell_of(book, book.top_entry)
    price = entry_price(pair, book, cell.price, cell.placed)
    fill_cell(account, pair, book, book.top_entry, price, cell.quantity, now_of(pair).maker)


@inline_kernel
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


@inline_kernel
def meet(account, pair, book, kind):
    """The path meets the book's next order of this kind."""
    if pair.at_open == 0:  # what fills place in a jump stands there until the market orders of the open are done
        pair.fresh = account.next_order
    if kind == EXIT_KIND:
        fill_exit(account, pair, book)
    elif kind == ENTRY_KIND:
        fill_entry(account, pair, book)
    elif kind == STOP_KIND:
        hit_stop(account, pair, book)
    else:
        liquidate_book(account, pair, book)
    while (pair.at_open == 0) and take_placed(account, pair, book):
        pass


@inner_kernel
def take_placed(account, pair, book):
    """Fill at once what a fill inside the candle has placed beyond the path's price; False where nothing is."""
    kind = marketable_kind(pair, book)
    if kind > ENTRY_KIND:
        return False
    take(account, pair, book, kind)
    return True


@inner_kernel
def marketable_kind(pair, book):
    """What of the book stands beyond the path's price, first in the order of ties; one past the last for nothing."""
    here = mirrored(book, pair.price)
    if book.liquidation >= here:
        return LIQUIDATION_KIND
    if (book.quantity > 0.0) & (book.stop >= here):
        return STOP_KIND
    if has_marketable_exit(pair, book):
        return EXIT_KIND
    return ENTRY_KIND if marketable_entry(pair, book) >= 0 else ENTRY_KIND + 1


@inner_kernel
def take(account, pair, book, kind):
    """Fill what of this kind stands beyond the path's price."""
    if kind == LIQUIDATION_KIND:
        liquidate_book(account, pair, book)
    elif kind == STOP_KIND:
        hit_stop(account, pair, book)
    elif kind == EXIT_KIND:
        take_exit(account, pair, book)
    else:
        take_entry(account, pair, book, marketable_entry(pair, book))


@inner_kernel
def has_marketable_exit(pair, book):
    """Whether the nearest exit limit was placed at or beyond the price at which the path still stands."""
    if book.n_exits == 0:
        return False
    order = exit_of(book, book.n_exits - 1)
    return (order.lot == 0) & (order.order >= pair.fresh) & (order.price <= mirrored(book, pair.price))


@inner_kernel
def marketable_entry(pair, book):
    """The oldest limit entry placed at or beyond the price at which the path still stands, −1 for none.

    One placed before may stand among them: reached, but not by as many ticks as `penetration` asks for.
    """
    found, k = -1, -1 if book.is_ladder == 1 else book.top_entry
    while (k >= 0) and (cell_of(book, k).price >= mirrored(book, pair.price)):
        order = cell_of(book, k).order
        if (order >= pair.fresh) and (found < 0 or order < cell_of(book, found).order):
            found = k
        k = next_entry_below(book, k)
    return found
