"""What a plain rule is handed: light objects whose words read straight from the engine's records.

All fields of those records are eight bytes wide, so a record is an array of floats and one of whole numbers.
"""

import ctypes
from typing import Any

import numpy as np

from traderagent.base.errors import UnknownName, nearest
from traderagent.base.regimes import REGIMES
from traderagent.strategies.contract import BOOK, NOW, REASONS
from traderagent.strategies.own import verbs
from traderagent.strategies.own.blueprint import WAKES, Blueprint


def place_of(dtype: np.dtype, field: str) -> int:
    """Position of a field in its record, in units of eight bytes."""
    assert dtype.fields is not None
    return dtype.fields[field][1] // 8


_NOW = {
    name: place_of(NOW, name) for name in ("row", "time", "open", "high", "low", "close", "volume", "regime", "feature")
}
_BOOK = {
    name: place_of(BOOK, name)
    for name in [
        "side",
        "quantity",
        "cost",
        "realised",
        "stop",
        "entry_row",
        "memory",
        "step",
        "cells",
        "exits",
        "n_cells",
        "n_exits",
        "n_told",
    ]
} | {name: place_of(BOOK, f"filled_{name}") for name in ("price", "reason")}
_FILLED_QUANTITY, _FILLED_SIDE = place_of(BOOK, "filled_quantity"), place_of(BOOK, "filled_side")
MEMORY, STEP, TOLD = _BOOK["memory"], _BOOK["step"], _BOOK["n_told"]


class Words:
    """A record seen as floats (`_f`) and whole numbers (`_i`); an unknown word is an error with the nearest one."""

    __slots__ = ("_f", "_i", "_now")
    _where: str = ""
    _known: tuple[str, ...] = ()

    def look_at(self, address: int, size: int, now: "Words | None" = None) -> None:
        """See the record at an address."""
        self._f = (ctypes.c_double * size).from_address(address)
        self._i = (ctypes.c_int64 * size).from_address(address)
        self._now = now

    def __getattr__(self, name: str) -> Any:
        raise UnknownName(f"{self._where} has no {name!r}: {nearest(name, self._known)}")

    def __dir__(self) -> tuple[str, ...]:
        return self._known

    def __repr__(self) -> str:
        return f"<{', '.join(f'{word}={getattr(self, word)!r}' for word in self._known)}>"


def _float_at(place: int) -> property:
    return property(lambda self: self._f[place])


def _average(self: Any) -> float:
    f = self._f
    return f[_BOOK["side"]] * (f[_BOOK["cost"]] / f[_BOOK["quantity"]]) if f[_BOOK["quantity"]] > 0.0 else np.nan


def _stop(self: Any) -> float:
    f = self._f
    return f[_BOOK["side"]] * f[_BOOK["stop"]] if f[_BOOK["quantity"]] > 0.0 else np.nan


def _target(self: Any) -> float:
    f = self._f
    if f[_BOOK["quantity"]] == 0.0:
        return np.nan
    at = f[MEMORY + verbs.TARGET_AT]
    return f[_BOOK["side"]] * (np.inf if at == 0.0 else at)


def _candles_held(self: Any) -> int:
    return self._now._i[_NOW["row"]] - self._i[_BOOK["entry_row"]] + 1 if self._f[_BOOK["quantity"]] > 0.0 else 0


def _holds(side: float) -> property:
    return property(lambda self: self._f[_BOOK["quantity"]] > 0.0 and self._f[_BOOK["side"]] * side > 0.0)


_BOOK_WORDS: dict[str, property] = {
    "flat": property(lambda self: self._f[_BOOK["quantity"]] == 0.0),
    "long": _holds(1.0),
    "short": _holds(-1.0),
    "quantity": _float_at(_BOOK["quantity"]),
    "average": property(_average),
    "stop": property(_stop),
    "target": property(_target),
    "candles_held": property(_candles_held),
    "realised": _float_at(_BOOK["realised"]),
}


def _remembered(place: int) -> property:
    def keep(self: Any, value: Any) -> None:
        self._f[place] = float(value)

    return property(lambda self: self._f[place], keep)


def now_class(blueprint: Blueprint) -> type[Words]:
    """Class of what `decide` gets as now."""
    words: dict[str, Any] = {name: _float_at(_NOW[name]) for name in ("open", "high", "low", "close", "volume")}
    words["time"] = property(lambda self: self._i[_NOW["time"]])
    words["regime"] = property(lambda self: REGIMES[self._i[_NOW["regime"]]])
    words |= {f: _float_at(_NOW["feature"] + k) for k, f in enumerate(blueprint.features) if f != WAKES}
    return _class("Now", blueprint.decide.name, words)


def book_class(blueprint: Blueprint) -> type[Words]:
    """Class of what `decide` and `on_fill` get as book."""
    memory = {name: _remembered(MEMORY + k) for k, name in enumerate(blueprint.memory)}
    return _class("Book", blueprint.decide.name, _BOOK_WORDS | memory)


def fill_class(blueprint: Blueprint, reasons: list[str]) -> type[Words]:
    """Class of what `on_fill` gets as fill, a view of the book's last fill; `reasons` are the rule's own tags."""
    words = {
        "price": _float_at(_BOOK["price"]),
        "quantity": _float_at(_FILLED_QUANTITY),
        "side": property(lambda self: "buy" if self._i[_FILLED_SIDE] > 0 else "sell"),
        "reason": property(lambda self: (*REASONS, *reasons)[self._i[_BOOK["reason"]]]),
    }
    return _class("Fill", blueprint.on_fill.name if blueprint.on_fill else "", words)


def _class(name: str, where: str, words: dict[str, Any]) -> type[Words]:
    return type(name, (Words,), {"__slots__": (), "_where": where, "_known": tuple(words), **words})
