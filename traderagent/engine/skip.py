"""Candles on which nothing can happen: marked in whole blocks or one by one, never walked.

While nothing fills, equity is linear in the close and no book is asked. Triggers may stop the skipping too
early, never too late; the candle it stops at is walked by the plain step.
"""

import numpy as np

from traderagent.base.kernel import float64_at, inner_kernel, int8_at, int32_at
from traderagent.engine.marks import block_is_calm, loss_price, mark, mark_block, would_stop
from traderagent.engine.path import is_pending
from traderagent.engine.records import book_of


@inner_kernel
def skip_to(account, pair, feed, row, limit):
    """Mark candles from `row` on up to the first one on which something may happen; return that one."""
    below, above = -np.inf, np.inf
    loss = loss_price(account)
    if account.inventory > 0.0 and loss == loss:
        below = loss
    elif account.inventory < 0.0 and loss == loss:
        above = loss
    for b in range(pair.n_books):
        book = book_of(pair, b)
        if is_pending(book):
            return row
        below = max(below, max(book.below, book.wake_below))
        above = min(above, min(book.above, book.wake_above))
        limit = min(limit, book.wake_row)
    while row < limit:
        block = int32_at(feed.block_of, row)
        if (row == 0) or (int32_at(feed.block_of, row - 1) != block):
            row = skip_blocks(account, feed, row, block, limit, below, above)
            if row >= limit:
                break
            block = int32_at(feed.block_of, row)
        stop = min(limit, int32_at(feed.block_end, block))
        reached = skip_rows(account, feed, row, stop, below, above)
        if reached < stop:
            return reached
        row = reached
    return row


@inner_kernel
def skip_rows(account, feed, row, stop, below, above):
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
    if block_is_calm(account, low_close, high_close, fall, rise):
        last = row - 1
        mark_block(
            account,
            row - first,
            low_close,
            high_close,
            float64_at(feed.close, last),
            int32_at(feed.hour_weight, last),
            int8_at(feed.ends_day, last),
        )
        return row
    for i in range(first, row):
        close = float64_at(feed.close, i)
        if (account.portfolio_stop < np.inf) and would_stop(account, close):
            return i
        mark(account, close, int32_at(feed.hour_weight, i), int8_at(feed.ends_day, i))
    return row


@inner_kernel
def skip_blocks(account, feed, row, block, limit, below, above):
    """Mark whole blocks from `row`, the start of one, on; return the row where they stop being calm."""
    end = int32_at(feed.block_end, block)
    while (
        (end <= limit)
        and (float64_at(feed.block_low, block) > below) & (float64_at(feed.block_high, block) < above)
        and block_is_calm(
            account,
            float64_at(feed.block_min_close, block),
            float64_at(feed.block_max_close, block),
            float64_at(feed.block_fall, block),
            float64_at(feed.block_rise, block),
        )
    ):
        mark_block(
            account,
            end - row,
            float64_at(feed.block_min_close, block),
            float64_at(feed.block_max_close, block),
            float64_at(feed.close, end - 1),
            int32_at(feed.hour_weight, end - 1),
            int8_at(feed.ends_day, end - 1),
        )
        row = end
        if row >= limit:
            break
        block += 1
        end = int32_at(feed.block_end, block)
    return row
