"""What an order of one symbol asks the account that others share: pair, total exposure, correlation.

Asked after minimum notional, the position gate and cash; a single run has no such limits. What a symbol has
committed is its inventory, whatever its side, and its entries that were granted, at its last close.
"""

import numpy as np

from traderagent.base.kernel import (
    float64_at,
    inline_kernel,
    inner_kernel,
    int32_at,
    int64_at,
    kernel,
    write_float64,
    write_int64,
)
from traderagent.engine.orders import add_up_orders
from traderagent.engine.records import account_of, book_of, limits_of, pair_of, seat_of
from traderagent.strategies.contract import CORRELATION, RISK_EXPOSURE, RISK_PAIR

SLACK = 1 + 1e-9
TIE = 1e-9  # a correlation this close to the limit has reached it
ENOUGH_HOURS = 168
BLOCK_HOURS = 24  # at whose ends running sums of products are kept
NOT_YET = 9.0  # in place of a correlation that nobody has asked for in this hour
STILL = 1e-20  # a scatter this small beside the mean is rounding
FINE = 1e-4  # a scatter this small a share of all squares so far is not told by their differences


@inner_kernel
def is_of_account(reason):
    """Whether a reason of refusal is one of the account's limits."""
    return (reason == RISK_PAIR) | (reason == RISK_EXPOSURE) | (reason == CORRELATION)


@inner_kernel
def recount(limits, pair, s):
    """Count anew what a symbol holds and has resting, where that can have changed."""
    seat = seat_of(limits, s)
    account = account_of(seat)
    if seat.counted == account.moves:
        return
    seat.counted = account.moves
    held, entries = 0.0, 0.0
    for b in range(pair.n_books):
        book = book_of(pair, b)
        held += book.quantity
        add_up_orders(book, float64_at(limits.close, s))
        entries += book.granted
    write_float64(limits.held, s, held)
    write_float64(limits.entries, s, entries)


@inner_kernel
def committed_of(limits, s):
    """What a symbol has committed."""
    return float64_at(limits.held, s) * float64_at(limits.close, s) + float64_at(limits.entries, s)


@inner_kernel
def commit(limits):
    """Before a book's orders ask: what the symbols that are met have committed by now; no other has moved anything."""
    for k in range(limits.n_queue):
        s = int64_at(limits.queue, k)
        before = committed_of(limits, s)
        recount(limits, pair_of(seat_of(limits, s)), s)
        if limits.counted == limits.time:
            limits.committed += committed_of(limits, s) - before


@inner_kernel
def commit_all(limits):
    """What all symbols have committed, counted anew for the first order that asks at this close."""
    limits.counted = limits.time
    limits.committed = 0.0
    for s in range(limits.n):
        limits.committed += committed_of(limits, s)


@inner_kernel
def ask_limits(account, notional):
    """Reason why an order may not be placed, or −1: then it counts from here on."""
    limits = limits_of(account)
    committed = committed_of(limits, account.seat)
    if committed + notional > limits.pair * limits.equity * SLACK:
        return RISK_PAIR
    if limits.counted != limits.time:
        commit_all(limits)
    if limits.committed + notional > limits.total * limits.equity * SLACK:
        return RISK_EXPOSURE
    is_first = (committed == 0.0) & (limits.correlation <= 1.0)
    if is_first and likeness(limits, account.seat) >= limits.correlation - TIE:
        return CORRELATION
    write_float64(limits.entries, account.seat, float64_at(limits.entries, account.seat) + notional)
    limits.committed += notional
    return -1


@inner_kernel
def likeness(limits, s):
    """Largest Pearson of its hourly returns over the window up to now with those that hold something, −2 for none.

    An unknown one is counted. What was found is kept until another hour ends.
    """
    last = limits.time // limits.hour
    first = (limits.time - limits.window) // limits.hour + 1
    stamp = last * 4_000_000 + (last - first)
    first = max(first - limits.first_hour, 1)  # of the hour before there is no return
    last = min(last - limits.first_hour, limits.n_hours - 1)
    if int64_at(limits.stamp, s) != stamp:
        write_int64(limits.stamp, s, stamp)
        multiply_all(limits, s, first, last)
    most, is_unknown = -2.0, False
    for o in range(limits.n):
        if (o != s) & (float64_at(limits.held, o) > 0.0):
            rho = float64_at(limits.rho, s * limits.n + o)
            if rho == NOT_YET:
                rho = coefficient(limits, s, o, first, last, float64_at(limits.both, s * limits.n + o))
                write_float64(limits.rho, s * limits.n + o, rho)
            if rho != rho:
                is_unknown = True
            else:
                most = max(most, rho)
    if is_unknown & (most < limits.correlation - TIE):
        seat_of(limits, s).unknown += 1
    return most


@inner_kernel
def add_products(returns, n, s, first, stop, sign, sums):
    """Add sign × a symbol's products with everybody, hour by hour, missing returns as zero, to (n,) at an address."""
    for h in range(first, stop):
        theirs = returns + 8 * h * n
        x = sign * float64_at(theirs, s)
        for o in range(n):
            write_float64(sums, o, float64_at(sums, o) + x * float64_at(theirs, o))


@kernel
def running_products(returns):
    """(n_blocks + 1, n, n) sums of products over all hours before a block, from returns (n_hours, n), 0 for unknown."""
    n = returns.shape[1]
    products = np.zeros((len(returns) // BLOCK_HOURS + 1, n, n))
    for k in range(1, len(products)):
        products[k] = products[k - 1]
        for s in range(n):
            sums = products.ctypes.data + 8 * n * (k * n + s)
            add_products(returns.ctypes.data, n, s, (k - 1) * BLOCK_HOURS, k * BLOCK_HOURS, 1.0, sums)
    return products


@inner_kernel
def multiply_all(limits, s, first, last):
    """Σ of a symbol's returns × everybody's over hours first to last: of whole blocks, differences of running sums.

    What the first of them begins too early or too late is taken off or added; none reaches beyond the last hour.
    """
    n, across = limits.n, limits.both + 8 * s * limits.n
    for o in range(n):
        write_float64(limits.rho, s * n + o, NOT_YET)
    begin, end = (first + BLOCK_HOURS // 2) // BLOCK_HOURS, (last + 1) // BLOCK_HOURS
    if begin < end:
        before, until = limits.products + 8 * n * (begin * n + s), limits.products + 8 * n * (end * n + s)
        for o in range(n):
            write_float64(across, o, float64_at(until, o) - float64_at(before, o))
        add_products(limits.returns, n, s, begin * BLOCK_HOURS, first, -1.0, across)
        add_products(limits.returns, n, s, first, begin * BLOCK_HOURS, 1.0, across)
        add_products(limits.returns, n, s, end * BLOCK_HOURS, last + 1, 1.0, across)
    else:
        for o in range(n):
            write_float64(across, o, 0.0)
        add_products(limits.returns, n, s, first, last + 1, 1.0, across)


@inline_kernel
def grown(limits, running, s, first, last):
    """By how much a symbol's running sum grows over the hours from first to last."""
    return float64_at(running, (last + 1) * limits.n + s) - float64_at(running, first * limits.n + s)


@inline_kernel
def known_between(limits, s, first, last):
    """How many returns of the hours from first to last a symbol has."""
    return int32_at(limits.known, (last + 1) * limits.n + s) - int32_at(limits.known, first * limits.n + s)


@inline_kernel
def coefficient(limits, s, o, first, last, xy):
    """Pearson of two symbols from their running sums, without hours that only one of them has.

    NaN below 168 common ones, or where one of them does not move.
    """
    common, hours = known_between(limits, s, first, last), last + 1 - first
    x, xx = grown(limits, limits.sum, s, first, last), grown(limits, limits.square, s, first, last)
    y, yy = grown(limits, limits.sum, o, first, last), grown(limits, limits.square, o, first, last)
    if (common < hours) | (known_between(limits, o, first, last) < hours):
        for h in range(first, last + 1):
            is_known = known_between(limits, s, h, h)
            if is_known != known_between(limits, o, h, h):
                r = float64_at(limits.returns, h * limits.n + (s if is_known == 1 else o))
                common -= is_known
                x, xx = x - is_known * r, xx - is_known * r * r
                y, yy = y - (1 - is_known) * r, yy - (1 - is_known) * r * r
    if common < ENOUGH_HOURS:
        return np.nan
    moved, their_moved = xx - x * x / common, yy - y * y / common
    if (moved < FINE * grown(limits, limits.square, s, 0, last)) | (
        their_moved < FINE * grown(limits, limits.square, o, 0, last)
    ):
        return of_deviations(limits, s, o, first, last, common)
    return (xy - x * y / common) / (moved * their_moved) ** 0.5


@inner_kernel
def of_deviations(limits, s, o, first, last, common):
    """The same where one hardly moves beside what it once did, which differences of running sums cannot tell."""
    mean, their_mean = 0.0, 0.0
    for h in range(first, last + 1):
        if (known_between(limits, s, h, h) == 1) & (known_between(limits, o, h, h) == 1):
            mean += float64_at(limits.returns, h * limits.n + s) / common
            their_mean += float64_at(limits.returns, h * limits.n + o) / common
    moved, their_moved, both = 0.0, 0.0, 0.0
    for h in range(first, last + 1):
        if (known_between(limits, s, h, h) == 1) & (known_between(limits, o, h, h) == 1):
            x = float64_at(limits.returns, h * limits.n + s) - mean
            y = float64_at(limits.returns, h * limits.n + o) - their_mean
            moved, their_moved, both = moved + x * x, their_moved + y * y, both + x * y
    if (moved <= STILL * common * mean**2) | (their_moved <= STILL * common * their_mean**2):
        return np.nan
    return both / (moved * their_moved) ** 0.5
