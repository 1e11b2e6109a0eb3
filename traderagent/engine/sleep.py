"""A start that is refused on every candle while its signal holds is not asked for on each of them.

A rule says below which sizing equity no close can change the refusal (`refuse_below`). Until the run of signals ends,
or equity may have reached that, the book sleeps: the refusal is the same on each candle, and counted once in any case.
"""

import numpy as np

from traderagent.base.kernel import inline_kernel, inner_kernel, rarely
from traderagent.engine.records import next_signal, now_of

EARLY = 1e-9  # a price of waking is this share nearer than computed


@inner_kernel
def sleep(account, pair, feed, book):
    """After a refusal for want of equity: the book is left alone until its signals pause or equity is near."""
    last = max(now_of(pair).row, book.run_end)  # what was walked before is not walked again
    while (last + 1 < feed.n) and (next_signal(feed, book, last + 1) == last + 1):
        last += 1
    book.run_end = book.refused_row = last
    book.want = max(book.want, last + 1)
    watch_equity(account, pair, book)


@inner_kernel
def watch_equity(account, pair, book):
    """Prices at whose touch sizing equity, linear in the close, may reach what the book waits for."""
    book.wake_above, book.wake_below = np.inf, -np.inf
    missing = book.need / pair.size_factor - account.cash
    if account.inventory > 0.0:
        book.wake_above = missing / account.inventory * (1 - EARLY)
    elif account.inventory < 0.0:
        book.wake_below = missing / account.inventory * (1 + EARLY)


@inline_kernel
def look_after(account, pair, book, equity):
    """At a close on which something of the symbol happened: a book that sleeps watches other prices, or is asked."""
    if rarely(book.need > 0.0):
        watch_equity(account, pair, book)
        book.ask |= int(equity * pair.size_factor >= book.need)
