"""The ladder of a grid: where its levels lie, when it starts and shifts. It decides for one side or for both."""

from __future__ import annotations

import itertools
import math

from tests.reference.book import fill_in
from tests.reference.grid import Cell, Grid

GRID_DEFAULTS = {
    "direction": "long",
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
SIDES = {"long": (1,), "short": (-1,), "neutral": (1, -1)}


class Ladder:
    def __init__(self, desk, parameters: dict, atr_on_rows: list[float]):
        self.desk = desk
        self.parameters = fill_in(GRID_DEFAULTS, parameters, "grid")
        if self.parameters["direction"] not in SIDES:
            raise ValueError(f"unknown direction {self.parameters['direction']!r}; allowed: {sorted(SIDES)}")
        if self.parameters["direction"] != "long" and not desk.settings.perpetual:
            raise ValueError("a grid that sells short needs a perpetual account")
        self.neutral = self.parameters["direction"] == "neutral"
        self.halves = [Grid(desk, side) for side in SIDES[self.parameters["direction"]]]
        for half in self.halves:
            half.ladder = self
        self.first = self.halves[0]  # speaks for both: they share route, starts and shifts
        self.atr_on_rows = atr_on_rows
        self.laid = False
        self.lower = self.upper = math.nan
        self.last_shift: int | None = None
        self.shifts: list[int] = []

    # bounds
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

    # cells
    def new_cells(self, lower: float, upper: float) -> list[list[Cell]] | None:
        """The cells of each half; None for an invalid ladder."""
        if lower <= 0.0 or upper <= lower:
            return None
        levels = level_prices(lower, upper, self.parameters["num_levels"], self.parameters["spacing"])
        pairs = [self.cell_prices(half, levels) for half in self.halves]
        if not all(is_valid(half, of_half) for half, of_half in zip(self.halves, pairs, strict=True)):
            return None
        if self.neutral:
            pairs = [self.on_its_side(half, of_half) for half, of_half in zip(self.halves, pairs, strict=True)]
        amount = self.parameters["amount_per_grid"]
        in_base = self.parameters["amount_unit"] == "base" and amount is not None
        if amount is None:
            amount = self.desk.position_limit() * self.desk.sizing_equity() / sum(map(len, pairs))
        down = self.desk.instrument.quantity_down
        return [
            [Cell(entry, exit_, down(amount if in_base else amount / entry)) for entry, exit_ in of_half]
            for of_half in pairs
        ]

    def cell_prices(self, half: Grid, levels: list[float]) -> list[tuple[float, float]]:
        """(entry, exit) of every cell, from the worst to the best entry: a short's levels run downwards."""
        levels = levels[:: half.side]
        if self.parameters["exit"] == "next_level":
            return [(half.down(level), half.up(following)) for level, following in itertools.pairwise(levels)]
        entries = [half.down(level) for level in levels]
        return [(entry, half.up(half.share(entry, self.parameters["profit_per_grid"]))) for entry in entries]

    def on_its_side(self, half: Grid, pairs: list[tuple[float, float]]) -> list[tuple[float, float]]:
        """Long cells that buy below the close, short cells that sell above it; none at it but for rounding."""
        close = self.desk.close
        return [p for p in pairs if half.mirrored(p[0]) < half.mirrored(close) and abs(p[0] - close) > 1e-9 * close]

    def lay(self, cells: list[list[Cell]], bounds: tuple[float, float]) -> None:
        self.laid = True
        self.lower, self.upper = bounds
        for half, its_cells in zip(self.halves, cells, strict=True):
            half.cells = its_cells
            half.cells_laid += len(its_cells)

    # decisions
    def decide(self) -> None:
        if not self.laid:
            self.maybe_start()
        else:
            self.maybe_shift()
        for half in self.halves:
            if half.entries_open:
                half.arm_idle_cells()

    def maybe_start(self) -> None:
        if not self.first.on_route or self.desk.halted:
            return
        bounds = self.first_bounds()
        if bounds is None:
            return
        cells = self.allowed_ladder(bounds)
        if cells is None:
            return
        self.lay(cells, bounds)
        if self.parameters["initial_inventory"] == "buy" and not self.neutral:
            for cell in reversed(self.first.cells):
                self.first.ask_to_wait(cell)

    def allowed_ladder(self, bounds: tuple[float, float]) -> list[list[Cell]] | None:
        if self.desk.entries_blocked:
            self.first.refuse_start("risk_daily")
            return None
        cells = self.new_cells(*bounds)
        if cells is None:
            self.first.refuse_start("invalid_ladder")
        return cells

    def maybe_shift(self) -> None:
        parameters, desk = self.parameters, self.desk
        if not parameters["trailing_enabled"] or not self.first.on_route or desk.halted:
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
        if cells is not None:
            self.shift(cells, bounds)

    def shift(self, cells: list[list[Cell]], bounds: tuple[float, float]) -> None:
        for half in self.halves:
            half.cancel_entries()
            half.kept += [cell for cell in half.cells if cell.state == "holding"]
            if self.parameters["inventory_on_shift"] == "sell" and half.kept:
                half.kept_exit = "shift"
        self.lay(cells, bounds)
        self.last_shift = self.desk.row
        self.shifts.append(self.desk.row)


def is_valid(half: Grid, pairs: list[tuple[float, float]]) -> bool:
    """No price of a cell is 0 or below it, and no two entries fall onto one tick."""
    entries = [half.mirrored(entry) for entry, _ in pairs]
    lowest_buy = min(min(pair) for pair in pairs)
    return lowest_buy > 0.0 and all(a < b for a, b in itertools.pairwise(entries))


def level_prices(lower: float, upper: float, count: int, spacing: str) -> list[float]:
    if spacing == "geometric":
        return [lower * (upper / lower) ** (i / (count - 1)) for i in range(count)]
    return [lower + i * (upper - lower) / (count - 1) for i in range(count)]
