"""The grid: a ladder of cells, each buying low and selling high."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from tests.reference.book import Book, fill_in
from tests.reference.desk import Desk, Fill, Order

GRID_DEFAULTS = {
    "num_levels": 10,
    "spacing": "arithmetic",
    "exit": "profit",
    "profit_per_grid": 0.005,
    "initial_inventory": "buy",
    "amount_per_grid": None,
    "amount_unit": "quote",
    "upper_price": None,
    "lower_price": None,
    "atr_period": 14,
    "atr_multiplier": 3.0,
    "trailing_enabled": True,
    "trailing_shift_threshold_pct": 0.01,
    "trailing_cooldown_candles": 288,
    "trailing_recenter_mode": "atr",
    "inventory_on_shift": "keep",
}


@dataclass(eq=False)
class Cell:
    """One pair of prices; state is idle, waiting (for the first open), buying or holding."""

    buy: float
    sell: float
    quantity: float
    state: str = "idle"
    order: Order | None = None
    reservation: int | None = None
    held: float = 0.0
    cost_price: float = 0.0
    entry_fee: float = 0.0
    entry_row: int = -1
    initial: bool = False
    refused: str | None = None
    worst: float = 0.0
    traded: bool = False


class Grid(Book):
    name = "grid"

    def __init__(self, desk: Desk, parameters: dict, atr_on_rows: list[float]):
        super().__init__(desk)
        self.parameters = fill_in(GRID_DEFAULTS, parameters, self.name)
        self.atr_on_rows = atr_on_rows
        self.cells: list[Cell] = []
        self.kept: list[Cell] = []
        self.lower = self.upper = math.nan
        self.last_shift: int | None = None
        self.shifts: list[int] = []
        self.kept_exit: str | None = None
        self.cells_laid = 0
        self.cells_traded = 0

    # inventory
    def holding(self) -> list[Cell]:
        return [cell for cell in self.kept + self.cells if cell.state == "holding"]

    def lots(self) -> list[tuple[float, float]]:
        return [(cell.held, cell.cost_price) for cell in self.holding()]

    def pending_notional(self) -> float:
        return sum(cell.quantity * cell.buy for cell in self.cells if cell.state == "waiting")

    def observe_close(self) -> None:
        for cell in self.holding():
            cell.worst = min(cell.worst, self.desk.close / cell.cost_price - 1.0)

    # the ladder
    def bounds_around(self, close: float) -> tuple[float, float] | None:
        distance = self.parameters["atr_multiplier"] * self.atr_on_rows[self.desk.row]
        return None if math.isnan(distance) else (close - distance, close + distance)

    def first_bounds(self) -> tuple[float, float] | None:
        if self.parameters["upper_price"] is not None and self.parameters["lower_price"] is not None:
            return self.parameters["lower_price"], self.parameters["upper_price"]
        return self.bounds_around(self.desk.close)

    def shifted_bounds(self) -> tuple[float, float] | None:
        close = self.desk.close
        if self.parameters["trailing_recenter_mode"] == "atr":
            return self.bounds_around(close)
        if self.parameters["spacing"] == "geometric":
            root = math.sqrt(self.upper / self.lower)
            return close / root, close * root
        half = (self.upper - self.lower) / 2.0
        return close - half, close + half

    def new_cells(self, lower: float, upper: float) -> list[Cell] | None:
        """The cells of a ladder, lowest first; None for an invalid one."""
        if lower <= 0.0 or upper <= lower:
            return None
        levels = level_prices(lower, upper, self.parameters["num_levels"], self.parameters["spacing"])
        pairs = self.cell_prices(levels)
        buys = [buy for buy, _ in pairs]
        if buys[0] <= 0.0 or any(b <= a for a, b in itertools.pairwise(buys)):
            return None
        amount = self.parameters["amount_per_grid"]
        in_base = self.parameters["amount_unit"] == "base" and amount is not None
        if amount is None:
            amount = self.desk.position_limit() * self.desk.sizing_equity() / len(pairs)
        down = self.desk.instrument.quantity_down
        return [Cell(buy, sell, down(amount if in_base else amount / buy)) for buy, sell in pairs]

    def cell_prices(self, levels: list[float]) -> list[tuple[float, float]]:
        instrument = self.desk.instrument
        if self.parameters["exit"] == "next_level":
            return [
                (instrument.price_down(levels[k]), instrument.price_up(levels[k + 1])) for k in range(len(levels) - 1)
            ]
        pairs = []
        for level in levels:
            buy = instrument.price_down(level)
            pairs.append((buy, instrument.price_up(buy * (1.0 + self.parameters["profit_per_grid"]))))
        return pairs

    def lay(self, cells: list[Cell], bounds: tuple[float, float]) -> None:
        self.cells = cells
        self.lower, self.upper = bounds
        self.cells_laid += len(cells)

    # decisions
    def decide(self) -> None:
        if not self.cells:
            self.maybe_start()
        else:
            self.maybe_shift()
        if self.entries_open:
            self.arm_idle_cells()

    def maybe_start(self) -> None:
        if not self.on_route or self.desk.halted:
            return
        bounds = self.first_bounds()
        if bounds is None:
            return
        cells = self.allowed_ladder(bounds)
        if cells is None:
            return
        self.lay(cells, bounds)
        if self.parameters["initial_inventory"] == "buy":
            for cell in reversed(cells):
                self.ask_to_wait(cell)

    def allowed_ladder(self, bounds: tuple[float, float]) -> list[Cell] | None:
        if self.desk.entries_blocked:
            self.refuse_start("risk_daily")
            return None
        cells = self.new_cells(*bounds)
        if cells is None:
            self.refuse_start("invalid_ladder")
        return cells

    def maybe_shift(self) -> None:
        parameters, desk = self.parameters, self.desk
        if not parameters["trailing_enabled"] or not self.on_route or desk.halted:
            return
        if self.last_shift is not None and desk.row < self.last_shift + parameters["trailing_cooldown_candles"]:
            return
        threshold = parameters["trailing_shift_threshold_pct"]
        if self.lower * (1.0 - threshold) <= desk.close <= self.upper * (1.0 + threshold):
            return
        bounds = self.shifted_bounds()
        if bounds is None:
            return
        cells = self.allowed_ladder(bounds)
        if cells is None:
            return
        self.cancel_entries()
        self.kept += [cell for cell in self.cells if cell.state == "holding"]
        self.lay(cells, bounds)
        self.last_shift = desk.row
        self.shifts.append(desk.row)
        if parameters["inventory_on_shift"] == "sell" and self.kept:
            self.kept_exit = "shift"

    def refusal(self, cell: Cell, reservation: float) -> str | None:
        """Minimum notional, gate, cash: the first that says no."""
        if self.desk.instrument.too_small(cell.quantity, cell.buy):
            return "min_notional"
        if not self.desk.passes_gate(self, cell.quantity * cell.buy):
            return "risk_position"
        if reservation > self.desk.account.may_use(self.name):
            return "cash"
        return None

    def refuse_cell(self, cell: Cell, reason: str) -> None:
        if cell.refused != reason:
            self.desk.reject(reason)
        cell.refused = reason

    def ask_to_wait(self, cell: Cell) -> None:
        amount = self.desk.market_reservation(cell.quantity, cell.buy)
        reason = self.refusal(cell, amount)
        if reason is not None:
            self.refuse_cell(cell, reason)
            return
        cell.state = "waiting"
        cell.reservation = self.desk.account.reserve(self.name, amount)
        cell.refused = None

    def arm_idle_cells(self) -> None:
        for cell in reversed(self.cells):
            if cell.state != "idle" or cell.buy >= self.desk.close:
                continue
            reason = self.refusal(cell, self.desk.limit_reservation(cell.quantity, cell.buy))
            if reason is None:
                self.rest_buy(cell)
            else:
                self.refuse_cell(cell, reason)

    # orders and fills
    def rest_buy(self, cell: Cell) -> None:
        cell.state = "buying"
        cell.refused = None
        cell.order = self.desk.place(self, "buy", "limit", cell.buy, cell.quantity, "buy", cell)

    def execute_entries(self) -> None:
        """At the first open: cells at or above it are bought at market, the others rest."""
        for cell in self.cells:
            if cell.state != "waiting":
                continue
            if cell.buy < self.desk.open:
                self.desk.account.release(cell.reservation)
                cell.reservation = None
                self.rest_buy(cell)
                continue
            fill = self.desk.take_buy(self, self.desk.open, cell.quantity, cell.reservation, "initial")
            cell.reservation = None
            if fill is None:
                cell.state = "idle"
                self.refuse_cell(cell, "cash")
            else:
                self.hold(cell, fill, initial=True)

    def hold(self, cell: Cell, fill: Fill, initial: bool) -> None:
        self.mark_traded(cell)
        cell.state = "holding"
        cell.held, cell.cost_price, cell.entry_fee = fill.quantity, fill.price, fill.fee
        cell.entry_row, cell.initial, cell.worst = self.desk.row, initial, 0.0
        cell.order = self.desk.place(self, "sell", "limit", cell.sell, cell.held, "sell", cell)

    def mark_traded(self, cell: Cell) -> None:
        if not cell.traded:
            cell.traded = True
            self.cells_traded += 1

    def filled(self, order: Order, fill: Fill) -> None:
        cell = order.owner
        if order.side == "buy":
            self.hold(cell, fill, initial=False)
            return
        self.close_cell(cell, fill.price, fill.fee)
        if cell in self.kept:
            self.kept.remove(cell)
        elif self.may_rearm():
            if self.desk.limit_reservation(cell.quantity, cell.buy) > self.desk.account.may_use(self.name):
                self.refuse_cell(cell, "cash")
            else:
                self.rest_buy(cell)

    def dropped(self, order: Order) -> None:
        order.owner.state = "idle"
        order.owner.order = None
        self.refuse_cell(order.owner, "cash")

    def close_cell(self, cell: Cell, price: float, fee: float) -> None:
        gross = (price - cell.cost_price) * cell.held
        self.realised += gross
        kind = "initial" if cell.initial else "cell"
        self.close_round_trip(kind, cell.entry_row, cell.held, gross - cell.entry_fee - fee, cell.worst)
        cell.state, cell.held, cell.order = "idle", 0.0, None

    def cancel_entries(self) -> None:
        for cell in self.cells:
            if cell.state in ("buying", "waiting"):
                self.desk.cancel(cell.order)
                self.desk.account.release(cell.reservation)
                cell.state, cell.order, cell.reservation = "idle", None, None

    def forget_refusals(self) -> None:
        for cell in self.cells:
            cell.refused = None

    def execute_exit(self, price: float, reason: str) -> None:
        self.sell_cells(self.holding(), price, reason)

    def execute_part_exit(self) -> None:
        """The inventory of the earlier ladder, where a shift sells it."""
        reason, self.kept_exit = self.kept_exit, None
        if reason is not None and self.kept:
            self.sell_cells(list(self.kept), self.desk.open, reason)

    def sell_cells(self, cells: list[Cell], price: float, reason: str) -> None:
        """One market sale; its fee is shared by quantity."""
        total = sum(cell.held for cell in cells)
        fill = self.desk.take_sell(self, price, total, reason)
        for cell in cells:
            self.desk.cancel(cell.order)
            self.close_cell(cell, fill.price, fill.price * cell.held * self.desk.settings.taker)
        self.kept = [cell for cell in self.kept if cell.state == "holding"]


def level_prices(lower: float, upper: float, count: int, spacing: str) -> list[float]:
    if spacing == "geometric":
        return [lower * (upper / lower) ** (i / (count - 1)) for i in range(count)]
    return [lower + i * (upper - lower) / (count - 1) for i in range(count)]
