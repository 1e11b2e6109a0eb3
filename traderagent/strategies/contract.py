"""What a strategy sees and what it may ask for: the records of its step, and small verbs on them.

A step is a compiled function `step(what, now, book)`. It reads `now` (the candle, its features,
the instrument, the equity from which sizes are computed) and its own `book`, and answers by writing
orders into the book. It never moves money: the engine asks the risk gate, reserves cash and fills.

Orders of a book: one pending market order, one stop for everything it holds, a list of exit limits,
and a list of *cells*: limit entries in rising order of price, each with or without an exit of its own.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import from_dtype, types

from traderagent.base.kernel import caller_of, inner_kernel, part_of, record_at, step_kernel

# What a step is told.
# ENTERED: its market entry filled; ADDED: a limit entry filled; FLAT: it holds nothing any more.
CLOSE, ENTERED, ADDED, FLAT = 0, 1, 2, 3

# Whether a book may enter: the day's block and the route close it.
OPEN, BLOCKED, OFF_ROUTE = 0, 1, 2

# States of a cell. WAITING: authorised at a close, rests (or is bought) from the next open on.
EMPTY, IDLE, WAITING, RESTING, HOLDING = 0, 1, 2, 3, 4

REJECTIONS = (
    "cash",
    "min_notional",
    "risk_position",
    "risk_daily",
    "risk_pair",
    "risk_exposure",
    "halted",
    "margin",
    "correlation",
    "invalid_ladder",
)
(
    NO_CASH,
    MIN_NOTIONAL,
    RISK_POSITION,
    RISK_DAILY,
    RISK_PAIR,
    RISK_EXPOSURE,
    HALTED,
    MARGIN,
    CORRELATION,
    INVALID_LADDER,
) = range(10)

REASONS = (
    "",
    "initial",
    "buy",
    "sell",
    "base",
    "safety",
    "target",
    "stop",
    "trailing",
    "partial",
    "pullback",
    "breakout",
    "rsi",
    "deactivated",
    "portfolio_stop",
    "end",
    "shift",
    "signal",
    "liquidation",
    "engulfing",
    "pin_bar",
    "inside_bar",
    "time",
)
(
    NO_REASON,
    INITIAL,
    BUY,
    SELL,
    BASE,
    SAFETY,
    TARGET,
    STOP,
    TRAILING,
    PARTIAL,
    PULLBACK,
    BREAKOUT,
    RSI,
    DEACTIVATED,
    PORTFOLIO_STOP,
    END,
    SHIFT,
    SIGNAL,
    LIQUIDATION,
    ENGULFING,
    PIN_BAR,
    INSIDE_BAR,
    TIME,
) = range(23)

N_FEATURES = 16
N_PARAMETERS = 48
N_MEMORY = 32
NEVER = np.int64(2**62)


def record_dtype(*fields: tuple[str, Any]) -> np.dtype:
    """A record from (names separated by blanks, kind of all of them), aligned like a C struct."""
    flat: list[tuple] = []
    for names, kind in fields:
        flat += [(name, *kind) if isinstance(kind, tuple) else (name, kind) for name in names.split()]
    return np.dtype(flat, align=True)


NOW = record_dtype(
    ("row", "i8"),
    ("open high low close volume", "f8"),
    ("time shorts", "f8"),  # close time of the candle, ms; 1 where the account allows shorts
    ("signal", "i8"),  # 1 where this candle carries a signal of the book
    ("equity max_position", "f8"),  # sizing equity; largest share of it one book may hold
    ("maker taker slippage", "f8"),
    ("tick tick_scale step step_scale min_notional", "f8"),
    ("feature", ("f8", (N_FEATURES,))),
)

CELL = record_dtype(
    ("price exit_price quantity", "f8"),  # the entry limit, its own exit (0: none), quantity per cycle
    ("held bought fee reserved", "f8"),  # while holding: quantity, entry price, entry fee; reserved cash
    ("bought_row placed_row order cycle", "i8"),
    ("state refusal seen initial", "i8"),  # refusal: reason + 1 of the running episode
)

EXIT = record_dtype(
    ("price quantity bought fee", "f8"),
    ("bought_row placed_row order cycle", "i8"),
    ("reason lot initial", "i8"),  # lot: closes a round trip of its own (a kept cell)
)

BOOK = record_dtype(
    ("cells exits n_cells n_exits exits_capacity overflow", "i8"),
    ("index entry step side", "i8"),  # side: +1 long, −1 short, set by the step where the book is flat
    # inventory
    ("quantity cost realised fees reserved flow", "f8"),
    ("n_lots", "i8"),
    # orders
    ("market_quantity market_reserved market_fraction", "f8"),
    ("market_reason market_capped exit_reason waiting", "i8"),
    ("stop", "f8"),
    ("stop_moved", "i8"),
    ("breakeven_start breakeven_stop trail_start trail_distance trail_share extreme", "f8"),
    ("extreme_from", "i8"),
    ("is_ladder relaid", "i8"),
    ("top_entry bottom_exit n_idle n_refused", "i8"),
    ("idle_lowest free_seen inventory_seen", "f8"),
    # the running deal or position
    ("entry_price deal_quantity deal_bought deal_sold deal_fees deal_net", "f8"),
    ("entry_row entered_row deal_cycle", "i8"),
    # when to look again
    ("below above wake_below wake_above wake_time", "f8"),
    ("below_kind above_kind wake_row want ask", "i8"),
    ("signal n_features", "i8"),
    ("column", ("i8", (N_FEATURES,))),
    # refused starts, counters
    ("wish refused_reason refused_row", "i8"),
    ("gross_profit gross_loss cycle_net turnover", "f8"),
    ("round_trips winning losing completed_cycles entries capped", "i8"),
    ("skipped_partials ambiguous_fills cut_orders n_fills cells_laid cells_seen n_shifts", "i8"),
    ("parameter", ("f8", (N_PARAMETERS,))),
    ("memory", ("f8", (N_MEMORY,))),
)

Now: Any = from_dtype(NOW)
Cell: Any = from_dtype(CELL)
Exit: Any = from_dtype(EXIT)
Book: Any = from_dtype(BOOK)
SIGNATURE = types.void(types.int64, Now, Book)

step = step_kernel(SIGNATURE)
_call = caller_of(SIGNATURE)
_cell_at = record_at(Cell)
_exit_at = record_at(Exit)


@inner_kernel
def tell(what, now, book):
    """Call the book's own step, whose address it carries."""
    _call(book.step, what, now, book)


@inner_kernel
def cell_of(book, k):
    """The book's k-th cell."""
    return _cell_at(book.cells, k)


@inner_kernel
def exit_of(book, k):
    """The book's k-th exit limit; the last one is the nearest."""
    return _exit_at(book.exits, k)


def memory_of(*fields: tuple[str, Any]) -> Callable:
    """Accessor of a strategy's own state by name: `own = memory(book)`, then `own.count += 1`."""
    dtype = record_dtype(*fields)
    if dtype.itemsize > N_MEMORY * 8:
        raise ValueError(f"a step's memory holds {N_MEMORY} numbers, got {dtype.itemsize // 8}")
    return _first(part_of(Book, "memory", from_dtype(dtype)))


def parameters_of(strategy: Any) -> Callable:
    """Accessor of a strategy's parameters by name: `p = parameters(book)`, then `p.tp_pct`; all float64."""
    dtype = record_dtype((" ".join(strategy.parameter_names()), "f8"))
    if dtype.itemsize > N_PARAMETERS * 8:
        raise ValueError(f"a step takes {N_PARAMETERS} parameters, got {dtype.itemsize // 8}")
    return _first(part_of(Book, "parameter", from_dtype(dtype)))


def _first(get: Callable) -> Callable:
    @inner_kernel
    def first(book):
        return get(book, 0)

    return first


# --- rounding: prices and quantities are whole numbers of ticks and steps ---------------------------

_SLACK = 1e-9


@inner_kernel
def floor_to(x, unit, scale):
    """Largest multiple of `unit` not above x; `scale` is 10 to the unit's decimals."""
    if unit == 0.0:
        return x
    return np.rint(np.floor(x / unit + _SLACK) * unit * scale) / scale


@inner_kernel
def ceil_to(x, unit, scale):
    """Smallest multiple of `unit` not below x."""
    if unit == 0.0:
        return x
    return np.rint(np.ceil(x / unit - _SLACK) * unit * scale) / scale


@inner_kernel
def price_down(now, x):
    """Down to the tick: buy limits and long stops."""
    return floor_to(x, now.tick, now.tick_scale)


@inner_kernel
def price_up(now, x):
    """Up to the tick: sell limits."""
    return ceil_to(x, now.tick, now.tick_scale)


@inner_kernel
def quantity_down(now, x):
    """Down to the step."""
    return floor_to(x, now.step, now.step_scale)


# --- verbs ------------------------------------------------------------------------------------------


@inner_kernel
def is_idle(book):
    """Neither inventory nor a pending market order."""
    return (book.quantity == 0.0) & (book.market_quantity == 0.0) & (book.exit_reason == 0)


@inner_kernel
def enter(book, quantity, reason):
    """Ask for a market entry at the next open; the engine authorises it after the step."""
    book.market_quantity = quantity
    book.market_reason = reason
    book.wish = 1


@inner_kernel
def ahead(book, price):
    """A price as the book's side sees it: what is better lies higher, for a short as well."""
    return book.side * price


@inner_kernel
def refuse(book, reason):
    """Tell the engine that a start was wished for and is refused."""
    book.wish = -1 - reason


@inner_kernel
def add_exit(now, book, price, quantity, reason):
    """A resting exit limit for part or all of what the book holds.

    The list is kept with the nearest (lowest, then oldest) exit at its end. Returns the place in it.
    """
    if book.n_exits == book.exits_capacity:
        book.overflow = 1
        return 0
    k = book.n_exits
    while (k > 0) and (exit_of(book, k - 1).price <= price):
        copy_exit(exit_of(book, k - 1), exit_of(book, k))
        k -= 1
    order = exit_of(book, k)
    order.price = price
    order.quantity = quantity
    order.placed_row = now.row
    order.reason = reason
    order.lot = 0
    order.initial = 0
    order.order = 0
    order.cycle = 0
    book.n_exits += 1
    return k


@inner_kernel
def copy_exit(source, target):
    """Overwrite one place of the list of exits by another."""
    target.price = source.price
    target.quantity = source.quantity
    target.bought = source.bought
    target.fee = source.fee
    target.bought_row = source.bought_row
    target.placed_row = source.placed_row
    target.order = source.order
    target.cycle = source.cycle
    target.reason = source.reason
    target.lot = source.lot
    target.initial = source.initial
