"""What a strategy sees and what it may ask for: the records of its step, and small verbs on them.

A step is a compiled function `step(what, now, book)`. It reads `now` (the candle, its features,
the instrument, the equity from which sizes are computed) and its own `book`, and answers by writing
orders into the book. It never moves money: the engine asks the risk gate, reserves cash and fills.

Orders of a book: one pending market order, one stop for everything it holds, a list of exit limits,
and a list of *cells*: limit entries in rising order of price, each with or without an exit of its own.

A book has a side, +1 or −1. Its prices are *mirrored*: real price × side. So a short book is written and
filled like a long one: it enters below and exits above, its stop lies under its entry, what was gained is
exit − entry. Prices in `now` are real; `mirrored` turns one into the book's own.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import from_dtype, types

from traderagent.base.kernel import caller_of, inner_kernel, part_of, record_at, step_kernel

# What a step is told.
# ENTERED: its market entry filled; ADDED: a limit entry filled; LEFT: part of it was sold, which only books that are
# asked everywhere are told; FLAT: it holds nothing any more.
CLOSE, ENTERED, ADDED, FLAT, LEFT = 0, 1, 2, 3, 4

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
NO_STOP = -np.inf


def record_dtype(*fields: tuple[str, Any]) -> np.dtype:
    """A record from (names separated by blanks, kind of all of them), aligned like a C struct."""
    flat: list[tuple] = []
    for names, kind in fields:
        flat += [(name, *kind) if isinstance(kind, tuple) else (name, kind) for name in names.split()]
    return np.dtype(flat, align=True)


NOW = record_dtype(
    ("row candle time duration", "i8"),  # candle: the one walked, row or finer; time: when the row closes; ms UTC
    ("open high low close volume", "f8"),
    ("signal", "i8"),  # 1 where this candle carries a signal of the book
    ("regime shorts", "i8"),  # code of the regime in force; 1 where the account may go short
    ("equity max_position", "f8"),  # sizing equity; largest share of it one book may hold
    ("maker taker slippage", "f8"),
    ("margin_rate limit_rate market_rate", "f8"),  # 1/leverage; what a limit and a market entry reserve
    ("tick tick_scale step step_scale min_notional", "f8"),
    ("feature", ("f8", (N_FEATURES,))),  # at closes; of a book with signals only where `signal` is 1
)

# Two cache lines; what walks over cells look at is in the first. refusal: reason + 1 of the running episode; gated: it
# asks the gate by itself, like a ladder's; reason: of its fill, 0: the usual one.
CELL = record_dtype(
    ("state refusal gated reason", "i4"),
    ("price quantity exit_price", "f8"),  # the entry limit, quantity per cycle, its own exit (0: none)
    ("order cycle", "i8"),
    ("reserved held bought fee funding", "f8"),  # cash; while holding: quantity, entry price, costs so far
    ("stop target", "f8"),  # of an own strategy's order: for the position once it fills, 0 for none
    ("bought_row placed seen initial", "i4"),
)

EXIT = record_dtype(
    ("price quantity bought fee funding", "f8"),
    ("bought_row placed order cycle", "i8"),
    ("reason lot initial", "i8"),  # lot: closes a round trip of its own (a kept cell)
)

# What every event of the symbol looks at comes first, by cache lines of eight.
BOOK = record_dtype(
    # when to look again: wake_…, ask: to ask its step; grant_…, changed: to grant what waits; move_…: to move its stop;
    # real prices that the candle must reach, but for grant_…, which its close must
    ("ask changed n_refused partner", "i4"),  # partner: the other half of a two-sided ladder, −1 for none
    ("wake_row grant_row", "i8"),
    ("wake_below wake_above grant_below grant_above", "f8"),
    ("exit_reason", "i8"),
    ("market_quantity below above move_below move_above quantity", "f8"),  # quantity: held, positive
    ("waiting short below_kind above_kind", "i4"),  # short: 1 where a cell waits for cash
    ("need", "f8"),  # sizing equity below which a refused start stays refused whatever the close, 0 where unknown
    ("index strategy", "i4"),
    ("entry signal", "i8"),
    # how often its orders may have changed; as of which change what rests was added up, and its next prices were found
    ("moves added_up placed_up", "i8"),
    ("resting granted free_seen cash_seen inventory_seen", "f8"),
    ("is_ladder everywhere", "i8"),  # everywhere: asked off the route too, and told of every fill: an own strategy's
    ("cells n_cells exits n_exits top_entry bottom_exit bottom_idle top_idle n_idle", "i8"),
    # of cells that the position gate refused: least notional, prices; only_gate: 1 where nothing else refused (but
    # minimum notional, for good); top_order: no cell above it rests or waits
    ("only_gate top_order", "i8"),
    ("idle_lowest least_refused refused_low refused_high", "f8"),
    ("breakeven_start trail_start extreme stop liquidation", "f8"),  # mirrored
    ("breakeven_stop trail_distance trail_share", "f8"),
    ("extreme_from stop_moved exit_listed", "i8"),
    ("side cost realised fees reserved flow margin funding insurance", "f8"),  # cost: mirrored
    ("exits_capacity overflow step n_lots", "i8"),
    ("market_reserved market_fraction", "f8"),
    ("market_reason market_capped relaid", "i8"),
    ("fresh fresh_stop", "i8"),  # what a jump passes by, placed by its fills: orders from this number on; 1: the stop
    ("filled_price filled_quantity filled_stop filled_target", "f8"),  # the fill just told
    ("filled_reason filled_side", "i8"),
    # the running deal or position
    ("entry_price deal_quantity deal_bought deal_sold deal_fees deal_funding deal_net", "f8"),
    ("entry_row deal_cycle", "i8"),
    ("wake_time want n_features", "i8"),
    ("column", ("i8", (N_FEATURES,))),
    ("wish refused_reason refused_row", "i8"),
    ("run_end", "i8"),  # last row of the run of signals in which it was last refused so
    ("gross_profit gross_loss cycle_net turnover", "f8"),
    ("round_trips winning losing completed_cycles entries capped", "i8"),
    ("skipped_partials ambiguous_fills cut_orders n_fills cells_laid cells_seen n_shifts liquidations", "i8"),
    ("n_told", "i8"),  # how often its step was called
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
    book.n_told += 1
    book.moves += 1
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
    """A mirrored price down to the tick: entries and stops."""
    return floor_to(x, now.tick, now.tick_scale)


@inner_kernel
def price_up(now, x):
    """A mirrored price up to the tick: exit limits."""
    return ceil_to(x, now.tick, now.tick_scale)


@inner_kernel
def quantity_down(now, x):
    """Down to the step."""
    return floor_to(x, now.step, now.step_scale)


# --- mirrored prices --------------------------------------------------------------------------------


@inner_kernel
def mirrored(book, price):
    """A real price as the book's own, and back."""
    return book.side * price


@inner_kernel
def beyond(book, price, share):
    """A mirrored price moved by a share of it in the book's favour; a negative share moves it back."""
    return price * (1 + book.side * share)


@inner_kernel
def reached_from(price):
    """A mirrored threshold, a hair early: thresholds are inclusive, and a tie must not hang on rounding."""
    return price - 1e-12 * abs(price)


@inner_kernel
def best(now, book):
    """The candle's extreme in the book's favour, mirrored."""
    return now.high if book.side > 0.0 else -now.low


# --- verbs ------------------------------------------------------------------------------------------


@inner_kernel
def is_idle(book):
    """Neither inventory nor a pending market order."""
    return (book.quantity == 0.0) & (book.market_quantity == 0.0) & (book.exit_reason == 0)


@inner_kernel
def is_below_minimum(now, quantity, price):
    """Whether an entry is too small to be placed."""
    return (quantity <= 0.0) | (quantity * price < now.min_notional)


@inner_kernel
def enter(book, quantity, reason):
    """Ask for a market entry at the next open; the engine authorises it after the step."""
    book.market_quantity = quantity
    book.market_reason = reason
    book.wish = 1


@inner_kernel
def refuse(book, reason):
    """Tell the engine that a start was wished for and is refused."""
    book.wish = -1 - reason


@inner_kernel
def refuse_below(book, reason, equity):
    """The same, at any close of a candle with a signal, as long as sizing equity is less than this."""
    refuse(book, reason)
    book.need = equity


@inner_kernel
def add_exit(now, book, price, quantity, reason):
    """A resting exit limit for part or all of what the book holds, at a mirrored price.

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
    order.placed = now.candle
    order.reason = reason
    order.lot = 0
    order.funding = 0.0
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
    target.funding = source.funding
    target.bought_row = source.bought_row
    target.placed = source.placed
    target.order = source.order
    target.cycle = source.cycle
    target.reason = source.reason
    target.lot = source.lot
    target.initial = source.initial
