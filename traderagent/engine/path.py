"""One candle's price path: the jump to the open, pending market orders, then the legs of the model."""

import numpy as np

from traderagent.base.kernel import float64_at, inline_kernel, inner_kernel, int32_at, rarely
from traderagent.engine.entries import activate_waiting, enter_at_market
from traderagent.engine.exits import close_book, liquidate_book
from traderagent.engine.fills import marketable_kind, meet, take
from traderagent.engine.money import start_flows
from traderagent.engine.orders import ENTRY_KIND, hold_back, let_in
from traderagent.engine.records import book_of, now_of
from traderagent.strategies.contract import mirrored

PATHS = ("candle", "nearest", "olhc", "ohlc", "detail")
CANDLE, NEAREST, OLHC, OHLC, DETAIL = 0, 1, 2, 3, 4


@inner_kernel
def low_comes_first(path, open_, high, low, close):
    """Whether the model visits the low before the high."""
    if path == CANDLE:
        return close >= open_
    if path == NEAREST:
        return open_ - low <= high - open_
    return path == OLHC


@inline_kernel
def walk(account, pair, target, direction):
    """Move from the present price to `target`; most often nothing stands between."""
    if is_ahead(pair, target, direction) | (account.perpetual == 1):
        meet_orders(account, pair, target, direction)
    pair.price = target


@inner_kernel
def meet_orders(account, pair, target, direction):
    """Meet orders from the present price to `target`, nearest first; ties by kind, then book."""
    liquidate_due(account, pair)
    while is_ahead(pair, target, direction):
        best, nearest, kind = -1, -np.inf, 9
        for b in range(pair.n_books):
            book = book_of(pair, b)
            price, its = (-book.above, book.above_kind) if direction > 0 else (book.below, book.below_kind)
            if (price >= -direction * target) and ((price > nearest) or (price == nearest and its < kind)):
                best, nearest, kind = b, price, its
        price = -direction * nearest
        pair.price = max(pair.price, price) if direction > 0 else min(pair.price, price)
        meet(account, pair, book_of(pair, best), kind)
        liquidate_due(account, pair)


@inline_kernel
def is_ahead(pair, target, direction):
    """Whether an order stands between the present price and `target`."""
    if pair.known == 0:
        find_nearest(pair)
    return pair.above <= target if direction > 0 else pair.below >= target


@inner_kernel
def find_nearest(pair):
    """The nearest triggers of all books, and whether one waits for the next open, since one of them has moved."""
    below, above, pending = -np.inf, np.inf, False
    for b in range(pair.n_books):
        book = book_of(pair, b)
        below, above = max(below, book.below), min(above, book.above)
        pending |= (book.market_quantity != 0.0) | (book.exit_reason != 0) | (book.waiting == 1)
    pair.known, pair.below, pair.above, pair.pending = 1, below, above, int(pending)


@inner_kernel
def liquidate_due(account, pair):
    """Whatever moved the liquidation price to or beyond the path's price, a fill or funding: it is met now."""
    if rarely(account.perpetual == 1):
        for b in range(pair.n_books):
            book = book_of(pair, b)
            if book.liquidation >= mirrored(book, pair.price):
                liquidate_book(account, pair, book)


@inline_kernel
def walk_jump(account, pair, last_close):
    """From the last close to the open: met in price order, filled at the open."""
    pair.at_open = 1
    pair.price = last_close
    if pair.open != last_close:
        walk(account, pair, pair.open, 1.0 if pair.open > last_close else -1.0)
    else:
        liquidate_due(account, pair)


@inner_kernel
def trade_at_open(account, pair):
    """Pending market orders: all exits, then all entries."""
    for b in range(pair.n_books):
        book = book_of(pair, b)
        if book.exit_reason != 0:
            close_book(account, pair, book, mirrored(book, pair.open), now_of(pair).taker, book.exit_reason)
    for b in range(pair.n_books):
        book = book_of(pair, b)
        if book.market_quantity != 0.0:
            enter_at_market(account, pair, book)
        if book.waiting == 1:
            activate_waiting(account, pair, book)


@inline_kernel
def pass_open(account, pair, last_close):
    """The jump to the open of the candle being walked, pending orders where it is the first, and what both placed."""
    n_fills = account.n_fills
    pair.fresh = account.next_order
    if rarely(pair.own == 1):
        hold_back(account, pair)
    walk_jump(account, pair, last_close)
    if rarely((pair.is_first == 1) & ((pair.pending == 1) | (account.n_fills > n_fills))):
        trade_at_open(account, pair)
    if rarely(pair.own == 1):
        let_in(account, pair)
    if rarely(account.n_fills > n_fills):  # only a fill places what stands beyond the open
        while take_marketable(account, pair):
            pass


@inner_kernel
def take_marketable(account, pair):
    """At the open, fill the first order that fills there have placed beyond it, in the order of ties."""
    best, first = -1, ENTRY_KIND + 1
    for b in range(pair.n_books):
        kind = marketable_kind(pair, book_of(pair, b))
        if kind < first:
            best, first = b, kind
    if best < 0:
        return False
    take(account, pair, book_of(pair, best), first)
    return True


@inline_kernel
def walk_legs(account, pair, low_first, close):
    """From the open over both extremes to the close."""
    pair.at_open = 0
    first, second, direction = (pair.low, pair.high, -1.0) if low_first else (pair.high, pair.low, 1.0)
    walk(account, pair, first, direction)
    walk(account, pair, second, -direction)
    walk(account, pair, close, direction)


@inline_kernel
def walk_candle(account, pair, feed):
    """Step 1 for one symbol: everything that can fill inside its present candle."""
    now = now_of(pair)
    start_flows(account, pair)
    pair.is_first = 1
    if rarely(pair.path == DETAIL):
        walk_detail(account, pair, feed)
        return
    pair.open, pair.low, pair.high = now.open, now.low, now.high
    pass_open(account, pair, pair.last_close)
    walk_legs(account, pair, low_comes_first(pair.path, now.open, now.high, now.low, now.close), now.close)


@inner_kernel
def walk_detail(account, pair, feed):
    """The same through finer candles, each with its jump and the legs of `candle`."""
    now = now_of(pair)
    last_close = pair.last_close
    for k in range(int32_at(feed.detail_first, now.row), int32_at(feed.detail_first, now.row + 1)):
        now.candle = k
        pair.detail_row = k
        pair.open = float64_at(feed.detail_open, k)
        pair.low = float64_at(feed.detail_low, k)
        pair.high = float64_at(feed.detail_high, k)
        close = float64_at(feed.detail_close, k)
        pass_open(account, pair, last_close)
        pair.is_first = 0
        walk_legs(account, pair, close >= pair.open, close)
        last_close = close
    pair.detail_row = -1


@inline_kernel
def is_touched(pair, low, high):
    """Whether this candle can fill anything: an order inside its range or pending for its open, or a liquidation."""
    is_overdue, pair.overdue = pair.overdue == 1, 0
    is_met = is_ahead(pair, low, -1.0) | is_ahead(pair, high, 1.0)
    return is_met | is_overdue | (pair.pending == 1)
