"""Who may place what: minimum notional, the risk gate, cash; and when a refused cell is worth asking again."""

import numpy as np

from traderagent.base.kernel import inline_kernel, inner_kernel
from traderagent.engine.limits import ask_limits, commit, is_of_account
from traderagent.engine.money import free, refresh_reserved, usable
from traderagent.engine.orders import (
    add_up_orders,
    drop_deal,
    find_cursors,
    grant_beyond,
    move_beyond,
    no_watch,
    number_exits,
    reserve_cell,
    rest,
)
from traderagent.engine.records import book_of, limits_of, now_of
from traderagent.strategies.contract import (
    EMPTY,
    IDLE,
    MIN_NOTIONAL,
    NEVER,
    OPEN,
    RESTING,
    RISK_POSITION,
    WAITING,
    cell_of,
    is_below_minimum,
    mirrored,
    tell,
)

SLACK = 1 + 1e-9


@inner_kernel
def count_start_refusal(account, pair, book, reason):
    """A refused start is counted once per run of consecutive candles."""
    row = now_of(pair).row
    if (book.refused_reason != reason + 1) | (book.refused_row != row - 1):
        account.rejections[reason] += 1
    book.refused_reason = reason + 1
    book.refused_row = row


@inner_kernel
def count_cell_refusal(account, book, cell, reason):
    """A refused cell is counted when its reason changes; arming forgets it."""
    if cell.refusal != reason + 1:
        account.rejections[reason] += 1
        cell.refusal = reason + 1


@inline_kernel
def resting_notional(book, close):
    """Notional of the book's resting and pending entries; market orders at the close."""
    add_up_orders(book, close)
    return book.resting


@inner_kernel
def held_quantity(pair, book):
    """Quantity that the gate sees: the book's, and that of its other half."""
    return book.quantity if book.partner < 0 else book.quantity + book_of(pair, book.partner).quantity


@inline_kernel
def resting_of_both(pair, book, close):
    """Notional of resting and pending entries of the book and its other half."""
    total = resting_notional(book, close)
    return total if book.partner < 0 else total + resting_notional(book_of(pair, book.partner), close)


@inline_kernel
def committed(pair, book, close):
    """What the gate holds against a new order at this close: inventory and resting entries, of both halves."""
    return held_quantity(pair, book) * close + resting_of_both(pair, book, close)


@inner_kernel
def position_limit(account, equity):
    """Largest notional one book may hold at this close; infinite without a gate."""
    return account.max_position * equity * SLACK if account.has_gate == 1 else np.inf


@inner_kernel
def refusal_of_cell(account, now, book, cell, used, limit, reserve):
    """Reason why a cell may not be authorised at this close, or −1."""
    if is_below_minimum(now, cell.quantity, abs(cell.price)):
        return MIN_NOTIONAL
    if ((book.is_ladder == 1) | (cell.gated == 1)) & (used + cell.quantity * abs(cell.price) > limit):
        return RISK_POSITION
    if reserve > free(account):
        return account.poor
    if (account.limits != 0) & ((book.is_ladder == 1) | (cell.gated == 1)):
        return ask_limits(account, cell.quantity * abs(cell.price))
    return -1


@inline_kernel
def arm_idle(account, pair, book, equity):
    """Idle cells that the close stands beyond ask for their place, nearest first."""
    now = now_of(pair)
    close = mirrored(book, now.close)
    leaving = (book.is_ladder == 0) & (book.exit_reason != 0)
    nobody = (book.n_refused == 0) & (close <= book.idle_lowest)
    if leaving | nobody | (book.entry != OPEN) | (book.n_idle == 0):
        return
    limit = position_limit(account, equity)
    used = committed(pair, book, now.close)
    if (close <= book.idle_lowest) & (book.only_gate == 1) & (used + book.least_refused > limit):
        return  # all that ask were refused by the gate, and are again
    if account.limits != 0:
        commit(limits_of(account))
    news = False
    for k in range(book.top_idle, book.bottom_idle - 1, -1):
        cell = cell_of(book, k)
        if (cell.state == IDLE) and (cell.price < close):
            reserve = cell.quantity * abs(cell.price) * now.limit_rate
            reason = refusal_of_cell(account, now, book, cell, used, limit, reserve)
            news |= (reason < 0) | (cell.refusal != reason + 1) | (cell.price >= book.idle_lowest)
            if reason >= 0:
                count_cell_refusal(account, book, cell, reason)
            else:
                rest(account, pair, book, cell)
                used += cell.quantity * abs(cell.price)
    if news:  # where all were refused before, the cursors stand
        find_cursors(book)


@inner_kernel
def authorise_ladder(account, pair, book, equity):
    """Cells of a new ladder ask one by one, nearest first; a refused one stays idle."""
    if account.limits != 0:
        commit(limits_of(account))
    now = now_of(pair)
    limit = position_limit(account, equity)
    used = held_quantity(pair, book) * now.close
    for k in range(book.n_cells - 1, -1, -1):
        cell = cell_of(book, k)
        reserve = cell.quantity * abs(cell.price) * now.market_rate
        reason = refusal_of_cell(account, now, book, cell, used, limit, reserve)
        if reason >= 0:
            count_cell_refusal(account, book, cell, reason)
            cell.state = IDLE
            book.moves += 1
        else:
            reserve_cell(account, pair, book, cell, reserve)
            used += cell.quantity * abs(cell.price)
            book.waiting = 1
    find_cursors(book)


@inner_kernel
def refusal_of_deal(account, now, book, equity):
    """Reason why a deal (base order and its planned safety orders) may not start, or −1."""
    if is_below_minimum(now, book.market_quantity, now.close):
        return MIN_NOTIONAL
    held = book.quantity * now.close
    notional = held + book.market_quantity * now.close
    cash = book.market_quantity * now.close * now.market_rate
    for k in range(book.n_cells - 1, -1, -1):
        cell = cell_of(book, k)
        if cell.gated == 1:
            resting = cell.quantity * abs(cell.price) if cell.state == RESTING else 0.0
            notional += resting
            held += resting
        elif not is_below_minimum(now, cell.quantity, abs(cell.price)):
            notional += cell.quantity * abs(cell.price)
            cash += cell.quantity * abs(cell.price) * now.limit_rate
    if notional > position_limit(account, equity):
        return RISK_POSITION
    if cash > free(account):
        return account.poor
    return ask_limits(account, notional - held) if account.limits != 0 else -1


@inner_kernel
def authorise_deal(account, pair, book, equity):
    """A deal asks as a whole; then its base order is pending and its safety orders wait."""
    if account.limits != 0:
        commit(limits_of(account))
    now = now_of(pair)
    reason = refusal_of_deal(account, now, book, equity) if book.market_fraction == 0.0 else -1
    if reason >= 0:
        count_start_refusal(account, pair, book, reason)
        drop_deal(account, pair, book)
        return
    if book.market_fraction == 0.0:
        book.market_reserved = book.market_quantity * now.close * now.market_rate
    if book.everywhere == 0:
        book.deal_cycle = account.next_cycle
        account.next_cycle += 1
    for k in range(book.n_cells - 1, -1, -1):
        cell = cell_of(book, k)
        if cell.gated == 1:
            continue
        if is_below_minimum(now, cell.quantity, abs(cell.price)):
            account.rejections[MIN_NOTIONAL] += 1
            cell.state = EMPTY
        else:
            cell.reserved = cell.quantity * abs(cell.price) * now.limit_rate
            book.waiting = 1
    refresh_reserved(account, book)
    find_cursors(book)


@inner_kernel
def tell_fill(what, account, pair, book):
    """Tell a book of its fill; what it places then rests from here on, without asking the gate."""
    now = now_of(pair)
    book.relaid = 0
    stop = book.stop
    tell(what, now, book)
    if (book.stop != stop) & (book.fresh < NEVER):
        book.fresh_stop = 1
    if book.relaid == 1:
        refresh_reserved(account, book)
        for k in range(book.n_cells - 1, -1, -1):
            cell = cell_of(book, k)
            if cell.state == WAITING:
                if is_below_minimum(now, cell.quantity, abs(cell.price)):
                    count_cell_refusal(account, book, cell, MIN_NOTIONAL)
                    cell.state = EMPTY
                elif cell.quantity * abs(cell.price) * now.limit_rate > usable(account, book):
                    count_cell_refusal(account, book, cell, account.poor)
                    cell.state = EMPTY
                else:
                    rest(account, pair, book, cell)
        find_cursors(book)
    number_exits(account, book)


@inline_kernel
def set_watch(account, pair, book):
    """Closes at which something may be granted, and prices at whose touch a stop may move."""
    no_watch(book)
    book.short = 0
    if (book.n_idle > 0) & (book.entry == OPEN):
        grant_beyond(book, book.idle_lowest)
        if book.n_refused > 0:
            watch_refused(account, pair, book)
    if book.quantity > 0.0:
        trail = book.trail_start
        if trail < np.inf:
            trail = max(trail, book.extreme)
        move_beyond(book, min(book.breakeven_start, trail))


@inline_kernel
def watch_refused(account, pair, book):
    """Closes at which the answer to a refused cell changes: it comes to ask again, or the gate turns, a hair early.

    Both sides of the gate are linear in the close: quantity × c + notional ≤ share × (cash + inventory × c).
    Cash does not change between fills, and after a fill refused cells are asked anyway. What is below minimum
    notional stays so.
    """
    now = now_of(pair)
    share = account.max_position * SLACK
    slope = held_quantity(pair, book) - share * account.inventory
    room = share * account.cash - resting_of_both(pair, book, now.close)
    close = mirrored(book, now.close)
    if book.only_gate & (close <= book.refused_low):
        grant_beyond(book, book.refused_low)
        return
    if book.only_gate & (close > book.refused_high) & (room - book.least_refused <= slope * now.close):
        watch_turn(now, book, (room - book.least_refused) / slope)
        return
    less, more = -np.inf, np.inf  # what the cells next to the turn at this close leave of the room
    for k in range(book.bottom_idle, book.top_idle + 1):
        cell = cell_of(book, k)
        if (cell.state != IDLE) | (cell.refusal == 0) | (cell.refusal == MIN_NOTIONAL + 1):
            continue
        if cell.refusal == account.poor + 1:
            book.short = 1
        elif is_of_account(cell.refusal - 1):  # what others hold and earn moves it with every candle
            book.grant_row = now.row + 1
        if cell.price >= close:
            grant_beyond(book, cell.price)
        elif ((book.is_ladder == 1) | (cell.gated == 1)) & (account.has_gate == 1):
            left = room - cell.quantity * abs(cell.price)
            if left > slope * now.close:
                more = min(more, left)
            else:
                less = max(less, left)
    if less > -np.inf:
        watch_turn(now, book, less / slope)
    if more < np.inf:
        watch_turn(now, book, more / slope)


@inner_kernel
def watch_turn(now, book, turn):
    """Grant again at a close near the one at which the gate turns."""
    margin = 1e-9 * (abs(turn) + now.close)
    if turn - margin > now.close:
        book.grant_above = min(book.grant_above, turn - margin)
    elif turn + margin < now.close:
        book.grant_below = max(book.grant_below, turn + margin)
    else:
        book.grant_row = now.row + 1
