"""Prices in ticks, quantities in steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from functools import cache


@cache
def decimals_of(unit: float) -> int:
    """0.01 -> 2, 1e-08 -> 8, 0.5 -> 1, 10 -> 0."""
    exponent = Decimal(repr(unit)).normalize().as_tuple().exponent
    return max(0, -int(exponent))


def round_down(value: float, unit: float) -> float:
    if unit == 0.0:
        return value
    return round(math.floor(value / unit + 1e-9) * unit, decimals_of(unit))


def round_up(value: float, unit: float) -> float:
    if unit == 0.0:
        return value
    return round(math.ceil(value / unit - 1e-9) * unit, decimals_of(unit))


@dataclass(frozen=True)
class Instrument:
    """Limits of the market; 0 is no limit."""

    tick: float = 0.0
    step: float = 0.0
    min_notional: float = 0.0

    def price_down(self, price: float) -> float:
        return round_down(price, self.tick)

    def price_up(self, price: float) -> float:
        return round_up(price, self.tick)

    def quantity_down(self, quantity: float) -> float:
        return round_down(quantity, self.step)

    def difference(self, quantity: float, part: float) -> float:
        """quantity - part, on the step's decimals."""
        rest = quantity - part
        return rest if self.step == 0.0 else round(rest, decimals_of(self.step))

    def ticks_away(self, price: float, ticks: float) -> float:
        """The price some ticks higher (lower where negative), on the tick's decimals."""
        if self.tick == 0.0 or ticks == 0:
            return price
        return round(price + ticks * self.tick, decimals_of(self.tick))

    def too_small(self, quantity: float, price: float) -> bool:
        return quantity <= 0.0 or quantity * price < self.min_notional
