"""What an order of one symbol asks the account that others share: pair, total exposure, correlation.

Asked after minimum notional, the position gate and cash; a single run has no such limits. What a symbol has
committed is its inventory, whatever its side, and its entries that were granted, at its last close.
"""

from traderagent.base.kernel import float64_at, inner_kernel, int64_at, write_float64, write_int64
from traderagent.engine.records import account_of, book_of, limits_of, seat_of
from traderagent.strategies.contract import CORRELATION, RESTING, RISK_EXPOSURE, RISK_PAIR, WAITING, cell_of

SLACK = 1 + 1e-9
TIE = 1e-9  # a correlation this close to the limit has reached it
ENOUGH_HOURS = 168


@inner_kernel
def is_of_account(reason):
    """Whether a reason of refusal is one of the account's limits."""
    return (reason == RISK_PAIR) | (reason == RISK_EXPOSURE) | (reason == CORRELATION)


@inner_kernel
def granted_entries(book, close):
    """Notional of entries that rest, or wait for the next open with cash reserved; market orders at the close."""
    total = book.market_quantity * close if book.market_reserved > 0.0 else 0.0
    for k in range(book.n_cells):
        cell = cell_of(book, k)
        if (cell.state == RESTING) | ((cell.state == WAITING) & (cell.reserved > 0.0)):
            total += cell.quantity * abs(cell.price)
    return total


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
        entries += granted_entries(book, float64_at(limits.close, s))
    write_float64(limits.held, s, held)
    write_float64(limits.entries, s, entries)


@inner_kernel
def committed_of(limits, s):
    """What a symbol has committed."""
    return float64_at(limits.held, s) * float64_at(limits.close, s) + float64_at(limits.entries, s)


@inner_kernel
def commit(account, pair):
    """Before a book's orders ask: what its symbol and all of them have committed by now."""
    limits = limits_of(account)
    if limits.counted != limits.time:
        limits.counted = limits.time
        limits.committed = 0.0
        for s in range(limits.n):
            limits.committed += committed_of(limits, s)
    before = committed_of(limits, account.seat)
    recount(limits, pair, account.seat)
    limits.committed += committed_of(limits, account.seat) - before


@inner_kernel
def ask_limits(account, notional):
    """Reason why an order may not be placed, or −1: then it counts from here on."""
    limits = limits_of(account)
    committed = committed_of(limits, account.seat)
    if committed + notional > limits.pair * limits.equity * SLACK:
        return RISK_PAIR
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
    """Largest correlation of a symbol with those that hold something, −2 for none; an unknown one is counted."""
    most, is_unknown = -2.0, False
    for o in range(limits.n):
        if (o != s) & (float64_at(limits.held, o) > 0.0):
            rho = correlation(limits, min(s, o), max(s, o))
            if rho != rho:
                is_unknown = True
            else:
                most = max(most, rho)
    if is_unknown & (most < limits.correlation - TIE):
        seat_of(limits, s).unknown += 1
    return most


@inner_kernel
def correlation(limits, a, b):
    """Pearson of the hourly returns of two symbols over the window up to now, kept until another hour ends."""
    last = limits.time // limits.hour
    first = (limits.time - limits.window) // limits.hour + 1
    place = a * limits.n + b
    stamp = last * 4_000_000 + (last - first)
    if int64_at(limits.stamp, place) != stamp:
        first = max(first - limits.first_hour, 0)
        last = min(last - limits.first_hour, limits.n_hours - 1)
        write_int64(limits.stamp, place, stamp)
        write_float64(limits.rho, place, pearson(limits, a * limits.n_hours, b * limits.n_hours, first, last))
    return float64_at(limits.rho, place)


@inner_kernel
def pearson(limits, a, b, first, last):
    """Over hours first to last of two rows of the returns; NaN below 168 common ones, or where one does not move."""
    n, mean_a, mean_b = 0, 0.0, 0.0
    for h in range(first, last + 1):
        x, y = float64_at(limits.returns, a + h), float64_at(limits.returns, b + h)
        if (x == x) & (y == y):
            n += 1
            mean_a += x
            mean_b += y
    if n < ENOUGH_HOURS:
        return float("nan")
    mean_a /= n
    mean_b /= n
    across, square_a, square_b = 0.0, 0.0, 0.0
    for h in range(first, last + 1):
        x, y = float64_at(limits.returns, a + h) - mean_a, float64_at(limits.returns, b + h) - mean_b
        if (x == x) & (y == y):
            across += x * y
            square_a += x * x
            square_b += y * y
    if (square_a == 0.0) | (square_b == 0.0):
        return float("nan")
    return across / (square_a * square_b) ** 0.5
