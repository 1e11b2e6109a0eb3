"""What a compiled rule reads of its book, and arithmetic that answers as Python's own does.

The plain rule's proxies do the same operations in the same order, so both forms see the same bits.
"""

import numpy as np

from traderagent.base.kernel import inner_kernel
from traderagent.strategies.own.verbs import DIVISION, NO_VALUE, TARGET_AT, fail


@inner_kernel
def average_of(book):
    """Average entry price, NaN while flat."""
    return book.side * (book.cost / book.quantity) if book.quantity > 0.0 else np.nan


@inner_kernel
def stop_of(book):
    """The stop; while there is none −inf for a long book and inf for a short one, NaN while flat."""
    return book.side * book.stop if book.quantity > 0.0 else np.nan


@inner_kernel
def target_of(book):
    """The target; while there is none inf for a long book and −inf for a short one, NaN while flat."""
    if book.quantity == 0.0:
        return np.nan
    return book.side * (np.inf if book.memory[TARGET_AT] == 0.0 else book.memory[TARGET_AT])


@inner_kernel
def candles_held_of(now, book):
    """Closes since the position was opened, that of its own candle included; 0 while flat."""
    return now.row - book.entry_row + 1 if book.quantity > 0.0 else 0


@inner_kernel
def least(a, b):
    """What Python's `min` answers, NaN or not."""
    return b if b < a else a


@inner_kernel
def most(a, b):
    """What Python's `max` answers, NaN or not."""
    return b if b > a else a


@inner_kernel
def divided(book, a, b, line):
    """A quotient; dividing by zero is an error as in Python."""
    if b == 0:
        fail(book, DIVISION, line, 0.0, 0.0)
    return a / b


@inner_kernel
def divided_down(book, a, b, line):
    """A whole quotient."""
    if b == 0:
        fail(book, DIVISION, line, 0.0, 0.0)
        b = b + 1
    return a // b


@inner_kernel
def remainder(book, a, b, line):
    """The remainder."""
    if b == 0:
        fail(book, DIVISION, line, 0.0, 0.0)
        b = b + 1
    return a % b


@inner_kernel
def whole(book, argument, line):
    """A number that is to be made whole, which NaN and infinity cannot be."""
    if not np.isfinite(argument):
        fail(book, NO_VALUE, line, argument, 0.0)
    return argument


@inner_kernel
def powered(book, result, a, b, line):
    """A power; where Python's raises for want of a value, it is an error."""
    if not np.isfinite(result) and np.isfinite(a) and np.isfinite(b):
        fail(book, NO_VALUE, line, a, 0.0)
    return result
