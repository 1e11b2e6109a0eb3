"""DCA: buys a fall in steps and sells the whole deal a little above its average price.

Earns when falls come back; loses when they do not: the stop sells everything that was bought on the
way down. One deal at a time: a base order at market, safety orders as resting limits below it, one
target for everything, replaced whenever a safety order lowers the average.

Source: spec "The four strategies", dca.
"""

from typing import ClassVar

import numpy as np

from traderagent.base.config import parameter
from traderagent.base.kernel import inner_kernel, kernel
from traderagent.strategies.base import STRATEGIES, Strategy
from traderagent.strategies.contract import (
    ADDED,
    BASE,
    BLOCKED,
    ENTERED,
    FLAT,
    MIN_NOTIONAL,
    RISK_DAILY,
    TARGET,
    WAITING,
    add_exit,
    cell_of,
    enter,
    is_below_minimum,
    is_idle,
    memory_of,
    parameters_of,
    price_down,
    price_up,
    quantity_down,
    reached_from,
    refuse,
    refuse_below,
    step,
)
from traderagent.strategies.features import Frames


@STRATEGIES.register("dca")
class Dca(Strategy):
    """Buys falls in steps, sells the deal above its average."""

    name: ClassVar[str] = "dca"
    prefix: ClassVar[str] = "dca_"
    signal: ClassVar[str | None] = "trigger"

    trigger_pct: float = parameter(
        0.05,
        unit="fraction",
        low=0.0,
        high=0.95,
        coarse=(0.03, 0.05, 0.07),
        doc="fall from the highest recent close that opens a deal",
    )
    high_lookback: int = parameter(288, unit="base candles", low=1, high=100_000, doc="closes that count as recent")
    base_order: float = parameter(0.02, unit="fraction", low=1e-6, high=1.0, doc="of sizing equity, at market")
    safety_order: float = parameter(0.02, unit="fraction", low=1e-6, high=1.0, doc="first safety order")
    max_safety_orders: int = parameter(5, unit="orders", low=0, high=100, doc="safety orders of a deal")
    deviation_pct: float = parameter(
        0.015, unit="fraction", low=1e-6, high=1.0, doc="first safety order below the base fill"
    )
    step_scale: float = parameter(1.0, unit="factor", low=0.01, high=10.0, doc="growth of the steps")
    volume_scale: float = parameter(1.0, unit="factor", low=0.01, high=10.0, doc="growth of the safety orders")
    tp_pct: float = parameter(
        0.08, unit="fraction", low=0.0, high=10.0, coarse=(0.05, 0.08, 0.10), doc="target above the average; 0: none"
    )
    stop_loss_pct: float = parameter(0.15, unit="fraction", low=0.0, high=0.99, doc="below the base fill; 0: none")
    trailing_activation_pct: float = parameter(
        0.0, unit="fraction", low=0.0, high=10.0, doc="profit from which a stop trails; 0: off"
    )
    trailing_distance_pct: float = parameter(0.0, unit="fraction", low=0.0, high=0.99, doc="of that stop from the high")
    cooldown: int = parameter(12, unit="base candles", low=0, high=100_000, doc="from the last exit")

    def deviations(self) -> list[float]:
        """Distance of each safety order below the base fill, as fractions."""
        return [float(deviation(self.deviation_pct, self.step_scale, n)) for n in range(1, self.max_safety_orders + 1)]

    def notes(self) -> list[str]:
        limit = min(1.0, self.stop_loss_pct or 1.0)
        dead = [f"{n} at {d:.1%}" for n, d in enumerate(self.deviations(), 1) if d >= limit]
        return (
            [f"dca: safety orders {', '.join(dead)} lie at or below the stop or zero and are never placed"]
            if dead
            else []
        )

    def features(self, data: Frames) -> dict[str, np.ndarray]:
        """Columns on base candles; see the module."""
        close = data["base"].close
        highest = data["base"].indicator("rolling_max", self.high_lookback, of="close")
        with np.errstate(invalid="ignore"):
            return {"trigger": (close <= highest * (1 - self.trigger_pct)).astype(np.float64)}

    def warmup(self, duration: int) -> int:
        return self.high_lookback

    def n_cells(self) -> int:
        return self.max_safety_orders


parameters = parameters_of(Dca)
memory = memory_of(("ready_row", "f8"))


@kernel
def deviation(first, scale, n):
    """How far below the base fill safety order n stands (n from 1), as a fraction."""
    if scale == 1.0:
        return first * n
    return first * (scale**n - 1) / (scale - 1)


@inner_kernel
def limit_factor(p, n):
    """Share of the base price at which safety order n stands, or 0 where it is never placed."""
    away = deviation(p.deviation_pct, p.step_scale, n)
    if (away >= 1.0) | ((p.stop_loss_pct > 0.0) & (away >= p.stop_loss_pct)):
        return 0.0
    return 1 - away


@inner_kernel
def plan(now, book, p):
    """Safety orders as cells in rising order of price: the first safety order is the last cell."""
    n = int(p.max_safety_orders)
    while (n > 0) and (limit_factor(p, n) == 0.0):
        n -= 1
    book.n_cells = n
    book.is_ladder = 0
    amount = p.safety_order * now.equity
    for order in range(1, n + 1):
        cell = cell_of(book, n - order)
        factor = limit_factor(p, order)
        cell.quantity = quantity_down(now, amount * p.volume_scale ** (order - 1) / (now.close * factor))
        cell.price = price_down(now, now.close * factor)
        cell.exit_price = 0.0
        cell.state = WAITING
        cell.refusal = 0
        cell.held = 0.0
        cell.reserved = 0.0


@inner_kernel
def on_base_fill(now, book, p):
    """Safety orders and the stop stand relative to the base fill."""
    for k in range(book.n_cells):
        cell_of(book, k).price = price_down(now, book.entry_price * limit_factor(p, book.n_cells - k))
    if p.stop_loss_pct > 0.0:
        book.stop = price_down(now, book.entry_price * (1 - p.stop_loss_pct))


@inner_kernel
def aim(now, book, p):
    """Target and trailing start from the new average."""
    average = book.cost / book.quantity
    if p.tp_pct > 0.0:
        book.n_exits = 0
        add_exit(now, book, price_up(now, average * (1 + p.tp_pct)), book.quantity, TARGET)
    if p.trailing_activation_pct > 0.0:
        book.trail_start = reached_from(average * (1 + p.trailing_activation_pct))
        book.trail_share = p.trailing_distance_pct


@step
def dca_step(what, now, book):
    """Open a deal on the trigger, place its safety orders from the base fill, keep the target up to date."""
    p = parameters(book)
    own = memory(book)
    if what == ENTERED:
        on_base_fill(now, book, p)
        aim(now, book, p)
    elif what == ADDED:
        aim(now, book, p)
    elif what == FLAT:
        own.ready_row = now.row + p.cooldown
    elif is_idle(book):
        ready = int(own.ready_row)
        if (now.row >= ready) & (now.signal == 1) & (book.entry <= BLOCKED):
            quantity = quantity_down(now, p.base_order * now.equity / now.close)
            if book.entry == BLOCKED:
                refuse(book, RISK_DAILY)
            elif is_below_minimum(now, quantity, now.close):  # as long as the trigger holds, so nothing is planned
                refuse_below(book, MIN_NOTIONAL, now.min_notional / p.base_order * (1 - 1e-8))  # rounding adds 1e-9
            else:
                plan(now, book, p)
                enter(book, quantity, BASE)
        book.want = max(now.row + 1, ready)


Dca.step = dca_step
