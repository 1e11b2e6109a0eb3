"""Grid: a ladder of cells, each buying low and selling a little higher, over and over.

Earns in ranges, one small cycle at a time; loses in a fall, when every cell holds inventory bought
higher up, and misses the rise above its top. The engine owns the cells: it fills, re-arms and counts
them. This file decides where they stand: at the start, and again when the price has left them.

Source: spec "Grid lab", cells, auto bounds, trailing.
"""

from typing import ClassVar, Literal

import numpy as np

from traderagent.base.config import parameter
from traderagent.base.errors import ConfigError
from traderagent.base.kernel import inner_kernel
from traderagent.strategies.base import STRATEGIES, Strategy
from traderagent.strategies.contract import (
    BLOCKED,
    CLOSE,
    EMPTY,
    IDLE,
    INVALID_LADDER,
    RISK_DAILY,
    WAITING,
    add_exit,
    cell_of,
    exit_of,
    memory_of,
    parameters_of,
    price_down,
    price_up,
    quantity_down,
    refuse,
    step,
)
from traderagent.strategies.features import Frames

NEUTRAL = 2.0
ARITHMETIC, GEOMETRIC = 0.0, 1.0
PROFIT, NEXT_LEVEL = 0.0, 1.0
BUY_INITIAL = 0.0
QUOTE = 0.0
ATR_MODE, FIXED_MODE = 0.0, 1.0
SELL_ON_SHIFT = 1.0


@STRATEGIES.register("grid")
class Grid(Strategy):
    """A ladder of buy-low-sell-high cells around the price."""

    name: ClassVar[str] = "grid"
    prefix: ClassVar[str] = "grid_"

    direction: Literal["long", "short", "neutral"] = parameter(
        "long", doc="short sells first; neutral buys below and sells above the start; both need a perpetual account"
    )
    num_levels: int = parameter(10, unit="levels", low=2, high=500, coarse=(5, 10, 20), doc="price levels")
    spacing: Literal["arithmetic", "geometric"] = parameter("arithmetic", doc="equal steps or equal ratios")
    exit: Literal["profit", "next_level"] = parameter("profit", doc="where a cell sells")
    profit_per_grid: float = parameter(
        0.005,
        unit="fraction",
        low=1e-6,
        high=1.0,
        coarse=(0.003, 0.005, 0.01),
        doc="a cell's sell price above its buy price (exit: profit)",
    )
    initial_inventory: Literal["buy", "none"] = parameter("buy", doc="buy the cells above the price at the start")
    amount_per_grid: float | None = parameter(None, low=0.0, doc="per cell; None: an equal share of the limit")
    amount_unit: Literal["quote", "base"] = parameter("quote", doc="unit of amount_per_grid")
    lower_price: float | None = parameter(None, unit="quote", low=0.0, doc="fixed bounds; None: from ATR")
    upper_price: float | None = parameter(None, unit="quote", low=0.0, doc="fixed bounds; None: from ATR")
    atr_period: int = parameter(14, unit="H1 candles", low=1, high=1000, doc="ATR of the auto bounds")
    atr_multiplier: float = parameter(
        3.0, unit="ATR", low=0.1, high=100.0, coarse=(2.0, 3.0, 5.0), doc="half width of the auto bounds"
    )
    trailing_enabled: bool = parameter(True, doc="lay a new ladder when the price has left this one")
    trailing_shift_threshold_pct: float = parameter(
        0.01, unit="fraction", low=0.0, high=1.0, doc="how far beyond a bound the close must be"
    )
    trailing_cooldown_candles: int = parameter(288, unit="base candles", low=0, doc="between two shifts")
    trailing_recenter_mode: Literal["atr", "fixed"] = parameter("atr", doc="width of the new ladder")
    inventory_on_shift: Literal["keep", "sell"] = parameter("keep", doc="what holding cells do at a shift")

    def model_post_init(self, context: object) -> None:
        low, high = self.lower_price, self.upper_price
        if (low is None) != (high is None):
            raise ConfigError(
                f"grid: lower_price {low} and upper_price {high} belong together: "
                "give both, or neither for bounds from ATR"
            )
        if low is not None and high is not None and not 0 < low < high:
            raise ConfigError(f"grid: lower_price {low} must be above 0 and below upper_price {high}")
        if self.amount_unit == "base" and self.amount_per_grid is None:
            raise ConfigError("grid: amount_unit 'base' needs amount_per_grid, the quantity of a cell")
        if self.amount_per_grid == 0:
            raise ConfigError("grid: amount_per_grid 0 buys nothing; leave it out for an equal share of the limit")

    def sides(self) -> tuple[float, ...]:
        return {"long": (1.0,), "short": (-1.0,), "neutral": (1.0, -1.0)}[self.direction]

    def check_costs(self, maker: float) -> None:
        """Refuse cells whose cycle cannot pay its own fees.

        Bought at 1 and sold at 1 + p it keeps (1 + p)(1 − f) − (1 + f); sold at 1 and bought back at 1 − p,
        (1 − f) − (1 − p)(1 + f), which pays a little sooner.
        """
        profit = self.profit_per_grid
        if self.exit == "next_level":
            if self.lower_price is None or self.upper_price is None:
                return
            ratio = self.upper_price / self.lower_price
            steps = self.num_levels - 1
            gap = (self.upper_price - self.lower_price) / steps
            profit = ratio ** (1 / steps) - 1 if self.spacing == "geometric" else gap / (self.upper_price - gap)
        if self.direction == "short" and self.exit == "profit":
            nets, least = 1 - maker > (1 - profit) * (1 + maker), 1 - (1 - maker) / (1 + maker)
        else:
            nets, least = (1 + profit) * (1 - maker) > 1 + maker, (1 + maker) / (1 - maker) - 1
        if not nets:
            raise ConfigError(
                f"grid: a cycle of {profit:.4%} cannot pay its fees of 2 × {maker:.4%}; "
                f"the smallest profit that can is above {least:.6%}"
            )

    def features(self, data: Frames) -> dict[str, np.ndarray]:
        """Columns on base candles; see the module."""
        return {"atr": data["1h"].on_base("atr", self.atr_period)}

    def warmup(self, duration: int) -> int:
        return int(np.ceil(self.atr_period * 3_600_000 / duration)) if self.lower_price is None else 0

    def n_cells(self) -> int:
        return self.num_levels if self.exit == "profit" else self.num_levels - 1


parameters = parameters_of(Grid)
memory = memory_of(("lower upper laid shift_row", "f8"))


@inner_kernel
def level(p, lower, upper, i):
    """Price level i of n between the bounds, real, before rounding."""
    if p.spacing == ARITHMETIC:
        return lower + i * (upper - lower) / (p.num_levels - 1)
    return lower * (upper / lower) ** (i / (p.num_levels - 1))


@inner_kernel
def mirrored_level(p, side, lower, upper, k):
    """The k-th level in rising order of mirrored price."""
    return level(p, lower, upper, k) if side > 0.0 else -level(p, lower, upper, p.num_levels - 1 - k)


@inner_kernel
def entry_price(now, p, side, lower, upper, k):
    """Mirrored price at which cell k enters."""
    return price_down(now, mirrored_level(p, side, lower, upper, k))


@inner_kernel
def exit_price(now, p, side, lower, upper, k, price):
    """Mirrored price at which cell k, entered at `price`, leaves."""
    if p.exit == PROFIT:
        return price_up(now, price * (1 + side * p.profit_per_grid))
    return price_up(now, mirrored_level(p, side, lower, upper, k + 1))


@inner_kernel
def n_with_exit(p):
    """Number of levels that have an exit: the last one has none where a cell leaves at the next level."""
    return int(p.num_levels) if p.exit == PROFIT else int(p.num_levels) - 1


@inner_kernel
def n_cells_of(now, p, side, lower, upper):
    """Number of cells of one side: in a neutral grid only those beyond the close."""
    n = n_with_exit(p)
    if p.direction == NEUTRAL:
        # A level at the close but for rounding belongs to neither half.
        while (n > 0) and (entry_price(now, p, side, lower, upper, n - 1) >= side * now.close - 1e-9 * now.close):
            n -= 1
    return n


@inner_kernel
def is_valid(now, p, side, lower, upper):
    """Whether every cell of a side has a positive price of its own, and leaves at a better one."""
    last = -np.inf
    for k in range(n_with_exit(p)):
        price = entry_price(now, p, side, lower, upper, k)
        exit_ = exit_price(now, p, side, lower, upper, k, price)
        if (price <= last) | (exit_ <= price) | (side * price <= 0.0) | (side * exit_ <= 0.0):
            return False
        last = price
    return True


@inner_kernel
def is_ladder(now, book, p, lower, upper):
    """Whether these bounds can be laid; of a neutral grid both halves, or neither is laid."""
    if (lower <= 0.0) | (not is_valid(now, p, book.side, lower, upper)):
        return False
    return (p.direction != NEUTRAL) or is_valid(now, p, -book.side, lower, upper)


@inner_kernel
def lay(now, book, p, own, lower, upper, state):
    """Write the ladder's cells. `state` is what a cell waits in: WAITING for the open, or IDLE."""
    n = n_cells_of(now, p, book.side, lower, upper)
    amount = p.amount_per_grid
    if np.isnan(amount):
        of_both = n if p.direction != NEUTRAL else n + n_cells_of(now, p, -book.side, lower, upper)
        amount = now.max_position * now.equity / of_both
    for k in range(n):
        cell = cell_of(book, k)
        cell.price = entry_price(now, p, book.side, lower, upper, k)
        cell.exit_price = exit_price(now, p, book.side, lower, upper, k, cell.price)
        share = amount / abs(cell.price) if p.amount_unit == QUOTE else amount
        cell.quantity = quantity_down(now, share)
        cell.state = state
        cell.refusal = 0
        cell.seen = 0
        cell.initial = 0
        cell.held = 0.0
        cell.reserved = 0.0
    book.n_cells = n
    book.cells_laid += n
    book.is_ladder = 1
    own.lower = lower
    own.upper = upper
    own.laid = 1.0


@inner_kernel
def keep_holding_cells(now, book, p):
    """Turn what the old ladder holds into exits of their own; its unfilled entries end here."""
    for k in range(book.n_cells):
        cell = cell_of(book, k)
        book.cells_seen += cell.seen
        if cell.held > 0.0:
            kept = exit_of(book, add_exit(now, book, cell.exit_price, cell.held, 0))
            kept.bought = cell.bought
            kept.fee = cell.fee
            kept.funding = cell.funding
            kept.bought_row = cell.bought_row
            kept.placed = cell.placed
            kept.order = cell.order
            kept.cycle = cell.cycle
            kept.initial = cell.initial
            kept.lot = 1
        cell.state = EMPTY
        cell.held = 0.0


@inner_kernel
def start(now, book, p, own):
    """The first ladder, where bounds are known and entries are open."""
    atr = now.feature[0]
    lower, upper = p.lower_price, p.upper_price
    if np.isnan(lower):
        lower, upper = now.close - p.atr_multiplier * atr, now.close + p.atr_multiplier * atr
    if np.isnan(lower):
        return
    if book.entry == BLOCKED:
        refuse(book, RISK_DAILY)
    elif not is_ladder(now, book, p, lower, upper):
        refuse(book, INVALID_LADDER)
    else:
        enters = (p.initial_inventory == BUY_INITIAL) & (p.direction != NEUTRAL)
        lay(now, book, p, own, lower, upper, WAITING if enters else IDLE)
        book.wish = 1 if enters else 0
        book.relaid = 1


@inner_kernel
def shift(now, book, p, own):
    """A new ladder around the close; the old one's inventory stays or is sold."""
    lower, upper = own.lower, own.upper
    if p.trailing_recenter_mode == ATR_MODE:
        reach = p.atr_multiplier * now.feature[0]
        lower, upper = now.close - reach, now.close + reach
    elif p.spacing == ARITHMETIC:
        half = (upper - lower) / 2
        lower, upper = now.close - half, now.close + half
    else:
        half = np.sqrt(upper / lower)
        lower, upper = now.close / half, now.close * half
    if np.isnan(lower):
        return
    if book.entry == BLOCKED:
        refuse(book, RISK_DAILY)
    elif not is_ladder(now, book, p, lower, upper):
        refuse(book, INVALID_LADDER)
    else:
        keep_holding_cells(now, book, p)
        lay(now, book, p, own, lower, upper, IDLE)
        own.shift_row = now.row
        book.n_shifts += 1
        book.relaid = 2 if p.inventory_on_shift == SELL_ON_SHIFT else 1


@step
def grid_step(what, now, book):
    """Lay the ladder, move it when the close has left it; the engine does the rest."""
    p = parameters(book)
    own = memory(book)
    if (what != CLOSE) | (book.entry > BLOCKED):
        return
    if own.laid == 0.0:
        start(now, book, p, own)
        if own.laid == 0.0:
            book.wake_row = now.row + 1
            return
    elif p.trailing_enabled != 0.0:
        high = own.upper * (1 + p.trailing_shift_threshold_pct)
        low = own.lower * (1 - p.trailing_shift_threshold_pct)
        ready = (book.n_shifts == 0) | (now.row >= own.shift_row + p.trailing_cooldown_candles)
        if ready & ((now.close > high) | (now.close < low)):
            shift(now, book, p, own)
    if p.trailing_enabled != 0.0:
        until = own.shift_row + p.trailing_cooldown_candles
        if (book.n_shifts > 0) & (now.row + 1 < until):
            book.wake_row = int(until)
        else:
            book.wake_above = own.upper * (1 + p.trailing_shift_threshold_pct)
            book.wake_below = own.lower * (1 - p.trailing_shift_threshold_pct)


Grid.step = grid_step
