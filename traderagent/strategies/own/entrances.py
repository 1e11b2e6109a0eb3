"""The ways in to the verbs: rules call them by their addresses, so that compiling a rule compiles nothing of them."""

import ctypes
import ctypes.util
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from traderagent.base.kernel import far_caller_of, step_kernel, uncached_kernel, uncached_step_kernel
from traderagent.strategies.contract import SIGNATURE, Book, Now, step
from traderagent.strategies.own import verbs
from traderagent.strategies.own.reads import powered
from traderagent.strategies.own.verbs import fail

BEGIN = types.int64(types.int64, Now, Book)
PLACE = types.void(Now, Book, types.int64, types.int64, *[types.float64] * 6, types.int64, types.int64)


@step_kernel(BEGIN)
def far_begin(what, now, book):
    """`begin`."""
    return verbs.begin(what, now, book)


@step_kernel(PLACE)
def far_place(now, book, kind, given, size, notional, risk, limit, stop, target, reason, line):
    """`place`."""
    verbs.place(now, book, kind, given, size, notional, risk, limit, stop, target, reason, line)


@step
def begin_step(what, now, book):
    """`begin`, its answer in the book's memory."""
    book.memory[verbs.ASKED] = verbs.begin(what, now, book)


@step
def place_step(address, now, book):
    """Carry out the order whose record stands at `address`."""
    order = verbs.order_at(address, 0)
    verbs.place(
        now,
        book,
        order.kind,
        order.given,
        order.size,
        order.notional,
        order.risk,
        order.limit,
        order.stop,
        order.target,
        order.reason,
        order.line,
    )


# --- what a rule's source is compiled with ---------------------------------------------------------------

_pow = ctypes.CDLL(ctypes.util.find_library("m") or "msvcrt").pow
_pow.argtypes, _pow.restype = (ctypes.c_double, ctypes.c_double), ctypes.c_double
rule_kernel = uncached_kernel  # with these two a rule is compiled, when its source is known
rule_step = uncached_step_kernel(SIGNATURE)
_call_begin, _call_place = far_caller_of(BEGIN), far_caller_of(PLACE)
_doors: tuple[Any, Any] = (far_begin, far_place)
_BEGIN, _PLACE = _doors[0].address, _doors[1].address


@uncached_kernel
def begin(what, now, book):
    """See `traderagent.strategies.own.verbs`."""
    return _call_begin(_BEGIN, what, now, book)


@uncached_kernel
def place(now, book, kind, given, size, notional, risk, limit, stop, target, reason, line):
    """See `traderagent.strategies.own.verbs`."""
    _call_place(_PLACE, now, book, kind, given, size, notional, risk, limit, stop, target, reason, line)


@uncached_kernel
def power(book, a, b, line):
    """`a ** b` by the same library function that Python calls; LLVM's own shortcuts differ in the last bit."""
    return powered(book, _pow(float(a), float(b)), float(a), float(b), line)


def guarded(function: Callable) -> Callable:
    """A function of one number; where Python's raises for want of a value, it is an error."""

    @uncached_kernel
    def value(book, argument, line):
        result = function(argument)
        if (np.isnan(result) and not np.isnan(argument)) or (np.isinf(result) and np.isfinite(argument)):
            fail(book, verbs.NO_VALUE, line, argument, 0.0)
        return result

    return value
