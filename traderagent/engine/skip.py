"""Candles on which nothing can happen: marked in whole blocks or one by one, never walked.

While nothing fills, equity is linear in the close and no book is asked. Triggers may stop the skipping too
early, never too late; the candle it stops at is walked by the plain step.
"""

import numpy as np

from traderagent.base.kernel import float64_at, inner_kernel
from traderagent.engine.marks import is_calm, loss_price, mark, mark_calm, mark_ends, would_stop
from traderagent.engine.path import find_nearest
from traderagent.engine.records import block_of, book_of


@inner_kernel
def skip_to(account, pair, feed, row, limit):
    """Mark candles from `row` on up to the first one on which something may happen; return that one."""
    if pair.known == 0:
        find_nearest(pair)
    if (pair.overdue == 1) | (pair.pending == 1):
        return row
    below, above = pair.below, pair.above
    loss = loss_price(account)
    if account.inventory > 0.0 and loss == loss:
        below = max(below, loss)
    elif account.inventory < 0.0 and loss == loss:
        above = min(above, loss)
    for b in range(pair.n_books):
        book = book_of(pair, b)
        below = max(below, max(book.wake_below, max(book.move_below, book.grant_below)))
        above = min(above, min(book.wake_above, min(book.move_above, book.grant_above)))
        limit = min(limit, min(book.wake_row, book.grant_row))
    return mark_until(account, pair, feed, row, limit, below, above)


@inner_kernel
def mark_until(account, pair, feed, row, limit, below, above):
    """Mark candles from `row` on up to `limit`, or the first one that touches a trigger; return that one."""
    while row < limit:
        if row == block_of(pair, feed).end:
            pair.block += 1
            row = skip_blocks(account, pair, feed, row, limit, below, above)
            if row == limit:
                break
        stop = min(limit, block_of(pair, feed).end)
        reached = skip_rows(account, feed, block_of(pair, feed), row, stop, below, above)
        if reached < stop:
            return reached
        row = reached
    return row


@inner_kernel
def skip_rows(account, feed, block, row, stop, below, above):
    """Mark candles of one block from `row` on; return the first one that touches a trigger, or `stop`."""
    first = row
    low_close, high_close, fall, rise = np.inf, -np.inf, 0.0, 0.0
    while (row < stop) and (float64_at(feed.low, row) > below) & (float64_at(feed.high, row) < above):
        close = float64_at(feed.close, row)
        low_close = min(low_close, close)
        high_close = max(high_close, close)
        fall = max(fall, high_close - close)
        rise = max(rise, close - low_close)
        row += 1
    if row == first:
        return row
    if is_calm(account, low_close, high_close, fall, rise):
        mark_calm(account, row - first, low_close, high_close)
        if row == block.end:
            mark_ends(account, block, float64_at(feed.close, row - 1))
        return row
    for i in range(first, row):
        close = float64_at(feed.close, i)
        if (account.portfolio_stop < np.inf) and would_stop(account, close):
            return i
        mark(account, block, i, close)
    return row


@inner_kernel
def skip_blocks(account, pair, feed, row, limit, below, above):
    """Mark whole blocks from `row`, the start of one, on; return the row where they stop being calm."""
    block = block_of(pair, feed)
    while (
        (block.end <= limit)
        and (block.low > below) & (block.high < above)
        and is_calm(account, block.lowest_close, block.highest_close, block.fall, block.rise)
    ):
        mark_calm(account, block.end - row, block.lowest_close, block.highest_close)
        mark_ends(account, block, float64_at(feed.close, block.end - 1))
        row = block.end
        if row == limit:
            break
        pair.block += 1
        block = block_of(pair, feed)
    return row
