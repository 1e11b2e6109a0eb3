"""Marking to market: equity at closes, and the accumulators from which every metric is made.

While nothing fills, equity is cash + inventory × close. So a whole hour of candles can be marked by its
lowest and highest close and its largest fall: the same numbers come out as from candle by candle.
"""

import numpy as np

from traderagent.base.kernel import inline_kernel, inner_kernel, rarely, write_float64
from traderagent.engine.records import book_of


@inline_kernel
def settle(account, pair):
    """Recompute what the account holds, after anything may have changed."""
    inventory, cost = 0.0, 0.0
    for b in range(pair.n_books):
        book = book_of(pair, b)
        inventory += book.side * book.quantity
        cost += book.cost
    account.inventory = inventory
    account.gross = abs(inventory)
    account.cost = cost


@inner_kernel
def use_capital(account):
    """Count capital in use (inventory at cost, or its margin, + reserved cash) at the close just marked."""
    deployed = account.cost + account.locked + account.reserved
    if deployed != account.deployed:
        rows_before = account.n_candles - 1
        account.deployed_sum += account.deployed * (rows_before - account.deployed_from)
        account.deployed = deployed
        account.deployed_from = rows_before
        account.max_deployed = max(account.max_deployed, deployed)


@inner_kernel
def mark_hour(account, equity, close, hours):
    """A full hour ends: its return and its exposure. `hours` counts those of a hole that follows, too."""
    if equity != account.last_hour:
        r = equity / account.last_hour - 1
        account.last_hour = equity
        account.sum_r += r
        account.sum_r2 += r * r
        account.sum_down2 += min(r, 0.0) ** 2
    if account.gross != 0.0:
        account.exposure_sum += hours * (account.gross * close / equity)


@inner_kernel
def mark_day(account, equity):
    """A label day ends: its return."""
    r = equity / account.last_day - 1
    if account.daily != 0:
        write_float64(account.daily, account.n_days, r)
        account.n_days += 1
    account.last_day = equity
    account.sum_d += r
    account.sum_d2 += r * r


@inner_kernel
def mark_ends(account, block, close):
    """Mark whatever ends with this block: an hour, a day."""
    equity = account.cash + account.inventory * close
    if block.hours > 0:
        mark_hour(account, equity, close, block.hours)
    if block.ends_day > 0:
        mark_day(account, equity)


@inner_kernel
def mark(account, block, row, close):
    """Mark one candle of a block at its close."""
    equity = account.cash + account.inventory * close
    account.n_candles += 1
    account.peak = max(account.peak, equity)
    if rarely(account.peak - equity >= account.max_drawdown * account.peak * (1 - 1e-9)):
        account.max_drawdown = max(account.max_drawdown, (account.peak - equity) / account.peak)
    account.worst_floating = min(account.worst_floating, account.inventory * close - account.cost)
    if rarely(row + 1 == block.end):
        mark_ends(account, block, close)


@inner_kernel
def would_stop(account, close):
    """Whether this close meets the portfolio stop."""
    equity = account.cash + account.inventory * close
    peak = max(account.peak, equity)
    return (peak - equity) / peak >= account.portfolio_stop


@inner_kernel
def is_calm(account, low_close, high_close, fall, rise):
    """Whether none of these closes can set a new largest drawdown or meet the portfolio stop."""
    held = account.inventory
    if held == 0.0:
        return True
    worst, against = (low_close, fall) if held > 0.0 else (high_close, rise)
    lost = max(account.peak - (account.cash + held * worst), abs(held) * against) / account.peak
    return lost * (1 + 1e-9) < min(account.max_drawdown, account.portfolio_stop)


@inner_kernel
def mark_calm(account, n, low_close, high_close):
    """Mark n calm candles at once, but for what ends with them."""
    held = account.inventory
    highest, lowest = (high_close, low_close) if held > 0.0 else (low_close, high_close)
    account.n_candles += n
    account.peak = max(account.peak, account.cash + held * highest)
    account.worst_floating = min(account.worst_floating, held * lowest - account.cost)


@inner_kernel
def loss_price(account):
    """Close from which on the day's loss limit may be reached, a hair early; NaN where no close can."""
    if (account.blocked == 1) | (account.inventory == 0.0) | (account.max_daily_loss == np.inf):
        return np.nan
    limit = account.daily_reference * (1 - account.max_daily_loss)
    price = (limit - account.cash) / account.inventory
    return price * (1 + np.sign(price) * np.sign(account.inventory) * 1e-12)
