"""What `features` of an own strategy works with: frames and their columns.

`m5.high.rolling_max(48).shift(1)` is a column of the base frame, `h1.atr(14)` one of hours. Every registered
indicator is a method of a frame and, where it reads one column, of a column. What is returned is aligned to
base closes by the library: at each of them the value of the last closed candle.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import RuleError, UnknownName, nearest
from traderagent.indicators import INDICATORS
from traderagent.market.frames import milliseconds
from traderagent.strategies.features import Frame, Frames

FRAMES = {"m5": "base", "m15": "15m", "h1": "1h", "h4": "4h", "d1": "1d"}
COLUMNS = ("open", "high", "low", "close", "volume")


class View:
    """Candles of one timeframe: columns open, high, low, close, volume, every indicator as a method, times as index."""

    def __init__(self, name: str, frame: Frame) -> None:
        self._name, self._frame = name, frame

    def __getattr__(self, name: str) -> Any:
        if name in COLUMNS:
            return Column(self, getattr(self._frame, name), of=name)
        if not name.startswith("_") and name in INDICATORS:
            return lambda *parameters, **named: self._indicator(name, None, parameters, named)
        if name.startswith("_"):
            raise AttributeError(name)
        raise _unknown(self._name, name, dir(self))

    @property
    def index(self) -> pd.DatetimeIndex:
        """(m,) open times, UTC."""
        return pd.to_datetime(self._frame.time, unit="ms", utc=True)

    def __dir__(self) -> list[str]:
        return [*COLUMNS, "index", *INDICATORS]

    def __len__(self) -> int:
        return len(self._frame.close)

    def __repr__(self) -> str:
        return f"<{self._name}: {len(self)} candles; {', '.join(dir(self))}>"

    def _indicator(self, name: str, of: "Column | None", parameters: tuple, named: dict[str, Any]) -> Any:
        record = INDICATORS[name]
        if of is None or of._of is not None:
            if not named and len(record.outputs) == 1:
                return Column(self, self._frame.indicator(name, *parameters, of=None if of is None else of._of))
            inputs: tuple = tuple(getattr(self._frame, c) for c in (record.inputs if of is None else (of._of,)) if c)
        else:
            inputs = (of.values,)
        found = record.function(*inputs, *parameters, **named)
        if isinstance(found, tuple):
            return type(found)(*(Column(self, values) for values in found))  # a named tuple of columns
        return Column(self, found)


class Column:
    """One value a candle of a frame; arithmetic, comparison and logic between columns give columns.

    A column of another frame than the base is aligned to base closes where it meets one of the base.
    A comparison with an undefined value (NaN) is False.
    """

    __array_ufunc__ = None  # numpy leaves operators to this class
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, view: View, values: np.ndarray, of: str | None = None) -> None:
        self._view, self._of = view, of
        self.values = np.asarray(values)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in INDICATORS:
            if len(INDICATORS[name].inputs) > 1:
                raise RuleError(
                    f"{name} reads {', '.join(INDICATORS[name].inputs)}: call it on the frame, h1.{name}(…)"
                )
            return lambda *parameters, **named: self._view._indicator(name, self, parameters, named)
        if name.startswith("_"):
            raise AttributeError(name)
        raise _unknown("a column", name, dir(self))

    def __dir__(self) -> list[str]:
        single = [name for name in INDICATORS if len(INDICATORS[name].inputs) == 1]
        return ["shift", "on_base", "values", *single]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"<column of {self._view._name}: {len(self)} values, the last {self.values[-1:]}>"

    def shift(self, n: int = 1) -> "Column":
        """The value n candles ago, NaN for the first n."""
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
            raise RuleError(f"shift({n!r}): allowed is a whole number of candles of at least 0; less is the future")
        values = np.full(len(self.values), np.nan)
        values[n:] = self.values[: len(self.values) - n]
        return Column(self._view, values)

    def on_base(self) -> "Column":
        """As base closes may see it: the value of the last closed candle, NaN before the first."""
        if self._view._name == "m5":
            return self
        base = View("m5", self._view._frame)
        return Column(base, self._view._frame.on_base(np.asarray(self.values, np.float64)))

    def _meet(self, other: Any, operation: Callable[..., Any]) -> Any:
        left, right = self, other
        if isinstance(other, Column) and other._view._name != self._view._name:
            names = {self._view._name, other._view._name}
            if "m5" not in names:
                raise RuleError(
                    f"a column of {self._view._name} meets one of {other._view._name}: allowed are columns of one "
                    "frame; align both with .on_base()"
                )
            left, right = self.on_base(), other.on_base()
        values = right.values if isinstance(right, Column) else right
        with np.errstate(all="ignore"):
            return operation(left.values, values)

    def _with(self, other: Any, operation: Callable[..., Any], reverse: bool = False) -> "Column":
        if not isinstance(other, (Column, int, float, np.ndarray, np.generic)):
            raise RuleError(f"a column meets {other!r:.60}: allowed are columns of the same frame, arrays and numbers")
        result = self._meet(other, (lambda a, b: operation(b, a)) if reverse else operation)
        on_base = isinstance(other, Column) and other._view._name != self._view._name
        return Column(View("m5", self._view._frame) if on_base else self._view, result)

    def __neg__(self) -> "Column":
        return Column(self._view, -self.values)

    def __abs__(self) -> "Column":
        return Column(self._view, np.abs(self.values))

    def __invert__(self) -> "Column":
        return Column(self._view, ~(self.values != 0))

    def __bool__(self) -> bool:
        raise RuleError("a column has a value a candle, so `and`, `or`, `not` and `if` cannot ask it; use &, |, ~")


def _logic(operation: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a, b: operation(np.asarray(a) != 0, np.asarray(b) != 0)


def _add_operators() -> None:
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
        operation = getattr(operator, name)
        setattr(Column, f"__{name}__", lambda self, other, o=operation: self._with(other, o))
        setattr(Column, f"__r{name}__", lambda self, other, o=operation: self._with(other, o, reverse=True))
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        operation = getattr(operator, name)
        setattr(Column, f"__{name}__", lambda self, other, o=operation: self._with(other, o))
    for name, plain in (("and", operator.and_), ("or", operator.or_), ("xor", operator.xor)):
        operation = _logic(plain)
        setattr(Column, f"__{name}__", lambda self, other, o=operation: self._with(other, o))
        setattr(Column, f"__r{name}__", lambda self, other, o=operation: self._with(other, o, reverse=True))


_add_operators()


def _unknown(what: str, name: str, allowed: list[str]) -> UnknownName:
    return UnknownName(f"{what} has no {name!r}: {nearest(name, allowed)}")


def views_of(frames: Frames, names: list[str], where: str) -> list[View]:
    """The frames that a method's arguments ask for."""
    for name in names:
        if name not in FRAMES:
            raise UnknownName(f"{where}: no frame is called {name!r}: {nearest(name, FRAMES)}")
    return [View(name, frames[FRAMES[name]]) for name in names]


def on_base_closes(name: str, values: Any, time: np.ndarray, where: str) -> np.ndarray:
    """(n,) float64: what a method returned under a name, checked and aligned to base candles of these times."""
    if isinstance(values, Column):
        values = values.on_base().values
    elif isinstance(values, pd.Series) and isinstance(values.index, pd.DatetimeIndex):
        times = milliseconds(values.index)
        if len(times) == len(time) and (times != time).any():
            raise RuleError(f"{where}: {name!r} has another index than the base candles; align it with reindex")
    array = np.asarray(values)
    if array.shape != time.shape or array.dtype.kind not in "biuf":
        got = f"{array.dtype} of shape {array.shape}" if array.ndim else repr(values)
        raise RuleError(
            f"{where}: {name!r} is {got:.80}, allowed is a column of a frame or {len(time)} numbers, one a base candle"
        )
    return np.ascontiguousarray(array, np.float64)
