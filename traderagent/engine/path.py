"""One candle's price path: the jump to the open, pending market orders, then the legs of the model."""

import numpy as np

from traderagent.base.kernel import inner_kernel
from traderagent.engine.entries import activate_waiting, enter_at_market, take_entry
from traderagent.engine.exits import hit_stop, sell_everything, take_exit
from traderagent.engine.fills import fill_above, fill_below, has_marketable_entry, has_marketable_exit
from traderagent.engine.money import start_flows
from traderagent.engine.records import book_of, now_of

PATHS = ("candle", "nearest", "olhc", "ohlc")
CANDLE, NEAREST, OLHC, OHLC = 0, 1, 2, 3


@inner_kernel
def low_comes_first(path, open_, high, low, close):
    """Whether the model visits the low before the high."""
    if path == CANDLE:
        return close >= open_
    if path == NEAREST:
        return open_ - low <= high - open_
    return path == OLHC


@inner_kernel
def walk_down(account, pair, target):
    """Meet orders from the present price down to `target`, nearest first; ties by kind, then book."""
    while True:
        best, price, kind = -1, -np.inf, 9
        for b in range(pair.n_books):
            book = book_of(pair, b)
            if (book.below >= target) and ((book.below > price) or (book.below == price and book.below_kind < kind)):
                best, price, kind = b, book.below, book.below_kind
        if best < 0:
            break
        if pair.at_open == 0:
            pair.price = min(pair.price, price)
        fill_below(account, pair, book_of(pair, best))
    pair.price = target


@inner_kernel
def walk_up(account, pair, target):
    """Meet orders from the present price up to `target`, nearest first; ties by book."""
    while True:
        best, price = -1, np.inf
        for b in range(pair.n_books):
            book = book_of(pair, b)
            if (book.above <= target) and (book.above < price):
                best, price = b, book.above
        if best < 0:
            break
        if pair.at_open == 0:
            pair.price = max(pair.price, price)
        fill_above(account, pair, book_of(pair, best))
    pair.price = target


@inner_kernel
def walk_jump(account, pair, target):
    """From the last close to the open: met in price order, filled at the open."""
    pair.at_open = 1
    if target < pair.last_close:
        pair.price = target
        walk_down(account, pair, target)
    elif target > pair.last_close:
        pair.price = target
        walk_up(account, pair, target)
    pair.price = target


@inner_kernel
def trade_at_open(account, pair):
    """Pending market orders: all exits, then all entries, then what they placed beyond the open."""
    for b in range(pair.n_books):
        book = book_of(pair, b)
        if book.exit_reason != 0:
            sell_everything(account, pair, book, now_of(pair).open, book.exit_reason)
    for b in range(pair.n_books):
        book = book_of(pair, b)
        if book.market_quantity != 0.0:
            enter_at_market(account, pair, book)
        if book.waiting == 1:
            activate_waiting(account, pair, book)
    while take_marketable(account, pair):
        pass


@inner_kernel
def take_marketable(account, pair):
    """At the open, fill the first order that fills there have placed beyond it: stops, exits, entries, then books."""
    best, first = -1, 3
    for b in range(pair.n_books):
        book = book_of(pair, b)
        if (book.stop >= pair.price) & (book.stop > 0.0):
            kind = 0
        elif has_marketable_exit(pair, book):
            kind = 1
        elif has_marketable_entry(pair, book):
            kind = 2
        else:
            continue
        if kind < first:
            best, first = b, kind
    if best < 0:
        return False
    book = book_of(pair, best)
    if first == 0:
        hit_stop(account, pair, book)
    elif first == 1:
        take_exit(account, pair, book)
    else:
        take_entry(account, pair, book)
    return True


@inner_kernel
def walk_candle(account, pair):
    """Step 1 for one symbol: everything that can fill inside its present candle."""
    now = now_of(pair)
    start_flows(account, pair)
    pair.price = pair.last_close
    walk_jump(account, pair, now.open)
    trade_at_open(account, pair)
    pair.at_open = 0
    if low_comes_first(pair.path, now.open, now.high, now.low, now.close):
        walk_down(account, pair, now.low)
        walk_up(account, pair, now.high)
        walk_down(account, pair, now.close)
    else:
        walk_up(account, pair, now.high)
        walk_down(account, pair, now.low)
        walk_up(account, pair, now.close)


@inner_kernel
def is_pending(book):
    """Whether the book has something to do at the next open."""
    return (book.market_quantity != 0.0) | (book.exit_reason != 0) | (book.waiting == 1)


@inner_kernel
def is_touched(pair, low, high):
    """Whether this candle can fill anything: an order inside its range or one pending for its open."""
    for b in range(pair.n_books):
        book = book_of(pair, b)
        if is_pending(book) | (book.below >= low) | (book.above <= high):
            return True
    return False
