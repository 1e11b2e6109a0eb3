"""The cells of a grid on one side: each enters at one price and exits at another. The ladder lays them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.reference.book import Book
from tests.reference.desk import Desk, Fill, Order, market_side


@dataclass(eq=False)
class Cell:
    """One pair of prices; state is idle, waiting (for the first open), entering or holding."""

    entry: float  # where a long cell buys and a short one sells
    exit: float
    quantity: float
    state: str = "idle"
    order: Order | None = None
    reservation: int | None = None
    held: float = 0.0
    cost_price: float = 0.0
    entry_fee: float = 0.0
    funding: float = 0.0
    entry_row: int = -1
    initial: bool = False
    refused: str | None = None
    worst: float = 0.0
    traded: bool = False


class Grid(Book):
    name = "grid"

    def __init__(self, desk: Desk, side: int):
        super().__init__(desk)
        self.side = side
        self.key = "grid" if side > 0 else "short grid"
        self.ladder: Any = None  # decides for this book, and for its other half where there is one
        self.cells: list[Cell] = []  # from the lowest to the highest entry, mirrored for shorts
        self.kept: list[Cell] = []
        self.kept_exit: str | None = None
        self.cells_laid = 0
        self.cells_traded = 0

    def decide(self) -> None:
        if self is self.ladder.halves[0]:
            self.ladder.decide()

    def in_one_gate(self) -> list[Book]:
        return self.ladder.halves

    # inventory
    def holding(self) -> list[Cell]:
        return [cell for cell in self.kept + self.cells if cell.state == "holding"]

    def lots(self) -> list[tuple[float, float]]:
        return [(cell.held, cell.cost_price) for cell in self.holding()]

    def cost_of(self, order: Order) -> float:
        return order.owner.held * order.owner.cost_price

    def note_funding(self, per_unit: float) -> None:
        for cell in self.holding():
            cell.funding += per_unit * cell.held

    def pending_notional(self) -> float:
        return sum(cell.quantity * cell.entry for cell in self.cells if cell.state == "waiting")

    def observe_close(self) -> None:
        for cell in self.holding():
            cell.worst = min(cell.worst, self.side * (self.desk.close / cell.cost_price - 1.0))

    def refusal(self, cell: Cell, reservation: float) -> str | None:
        """Minimum notional first, then what every order asks."""
        if self.desk.instrument.too_small(cell.quantity, cell.entry):
            return "min_notional"
        return self.desk.refusal(self, cell.quantity * cell.entry, reservation)

    def refuse_cell(self, cell: Cell, reason: str) -> None:
        if cell.refused != reason:
            self.desk.reject(reason)
        cell.refused = reason

    def ask_to_wait(self, cell: Cell) -> None:
        amount = self.desk.market_reservation(cell.quantity, cell.entry)
        reason = self.refusal(cell, amount)
        if reason is not None:
            self.refuse_cell(cell, reason)
            return
        cell.state = "waiting"
        cell.reservation = self.desk.account.reserve(self.key, amount)
        cell.refused = None

    def arm_idle_cells(self) -> None:
        for cell in reversed(self.cells):
            if cell.state != "idle" or self.mirrored(cell.entry) >= self.mirrored(self.desk.close):
                continue
            reason = self.refusal(cell, self.desk.limit_reservation(cell.quantity, cell.entry))
            if reason is None:
                self.rest_entry(cell)
            else:
                self.refuse_cell(cell, reason)

    # orders and fills
    def rest_entry(self, cell: Cell) -> None:
        cell.state = "entering"
        cell.refused = None
        cell.order = self.desk.place(self, "entry", "limit", cell.entry, cell.quantity, self.reason("entry"), cell)

    def execute_entries(self) -> None:
        """At the first open: cells at or above it are bought at market, the others rest."""
        for cell in self.cells:
            if cell.state != "waiting":
                continue
            if self.mirrored(cell.entry) < self.mirrored(self.desk.open):
                self.desk.account.release(cell.reservation)
                cell.reservation = None
                self.rest_entry(cell)
                continue
            fill = self.desk.take_entry(self, self.desk.open, cell.quantity, cell.reservation, "initial")
            cell.reservation = None
            if fill is None:
                cell.state = "idle"
                self.refuse_cell(cell, self.desk.account.refusal)
            else:
                self.hold(cell, fill, initial=True)

    def hold(self, cell: Cell, fill: Fill, initial: bool) -> None:
        self.mark_traded(cell)
        cell.state = "holding"
        cell.held, cell.cost_price, cell.entry_fee = fill.quantity, fill.price, fill.fee
        cell.entry_row, cell.initial, cell.worst, cell.funding = self.desk.row, initial, 0.0, 0.0
        cell.order = self.desk.place(self, "exit", "limit", cell.exit, cell.held, self.reason("exit"), cell)

    def reason(self, role: str) -> str:
        """A cell's fills say what they do."""
        return market_side(self, role)

    def mark_traded(self, cell: Cell) -> None:
        if not cell.traded:
            cell.traded = True
            self.cells_traded += 1

    def filled(self, order: Order, fill: Fill) -> None:
        cell = order.owner
        if order.role == "entry":
            self.hold(cell, fill, initial=False)
            return
        self.close_cell(cell, fill.price, fill.fee)
        if cell in self.kept:
            self.kept.remove(cell)
        elif self.may_rearm():
            if self.desk.limit_reservation(cell.quantity, cell.entry) > self.desk.account.may_use(self.key):
                self.refuse_cell(cell, self.desk.account.refusal)
            else:
                self.rest_entry(cell)

    def dropped(self, order: Order) -> None:
        order.owner.state = "idle"
        order.owner.order = None
        self.refuse_cell(order.owner, self.desk.account.refusal)

    def close_cell(self, cell: Cell, price: float, fee: float) -> None:
        gross = self.side * (price - cell.cost_price) * cell.held
        self.realised += gross
        kind = "initial" if cell.initial else "cell"
        pnl = gross - cell.entry_fee - fee - cell.funding
        self.close_round_trip(kind, cell.entry_row, cell.held, pnl, cell.worst, cell.funding)
        cell.state, cell.held, cell.order = "idle", 0.0, None

    def cancel_entries(self) -> None:
        for cell in self.cells:
            if cell.state in ("entering", "waiting"):
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
        if reason is None or not self.kept:
            return
        if self.desk.is_ruined(self, self.desk.open):
            self.liquidate(self.desk.open)
        else:
            self.sell_cells(list(self.kept), self.desk.open, reason)

    def sell_cells(self, cells: list[Cell], price: float, reason: str) -> None:
        """One market exit; its fee is shared by quantity."""
        total = sum(cell.held for cell in cells)
        cost = sum(cell.held * cell.cost_price for cell in cells)
        fill = self.desk.take_exit(self, price, total, cost, reason)
        for cell in cells:
            self.desk.cancel(cell.order)
            self.close_cell(cell, fill.price, fill.price * cell.held * fill.rate)
        self.kept = [cell for cell in self.kept if cell.state == "holding"]
