"""The verbs with which an own strategy's rule answers: `ta.buy`, `ta.sell`, `ta.close`, `ta.move`, `ta.cancel`.

An order is a small record. It says what is wished for at the close of a candle; the engine asks the risk gate,
reserves cash and fills, from the next open on.
"""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from traderagent.base.errors import RuleError

SIZES = ("size", "notional", "risk")


@dataclass(frozen=True, slots=True)
class Order:
    """What a rule wishes for; made by one of the verbs.

    Attributes
    ----------
    verb : buy, sell, close, move or cancel
    given : its numbers by name, those that were given: size, notional, risk, limit, stop, target
    tag : reason of its fill in `result.trades`; for cancel, of the orders to remove
    line : where it was made
    """

    verb: str
    given: Mapping[str, float]
    tag: str | None = None
    line: int = field(default=0, compare=False, repr=False)


def buy(
    *,
    size: float | None = None,
    notional: float | None = None,
    risk: float | None = None,
    limit: float | None = None,
    stop: float | None = None,
    target: float | None = None,
    tag: str = "",
) -> Order:
    """Open or enlarge a long position, at market at the next open or by a limit that rests from then on.

    Parameters
    ----------
    size : fraction of sizing equity; exactly one of `size`, `notional` and `risk`
    notional : quote currency
    risk : fraction of sizing equity lost where the position is left at `stop`; cut to the largest position
    limit : price; None: at market. One at or above the close is a market order
    stop, target : prices at which everything held is left, once this order has filled; None: as before
    tag : reason of the fill

    Returns
    -------
    Order, to be returned by `decide`, alone or in a list

    Raises
    ------
    RuleError : not exactly one size, a risk without a stop, something that is no number
    """
    return _entry("buy", locals())


def sell(
    *,
    size: float | None = None,
    notional: float | None = None,
    risk: float | None = None,
    limit: float | None = None,
    stop: float | None = None,
    target: float | None = None,
    tag: str = "",
) -> Order:
    """Open or enlarge a short position (perpetual accounts only); `close` leaves a long one. Else like `buy`."""
    return _entry("sell", locals())


def close(*, tag: str = "") -> Order:
    """Leave everything that is held at the next open; resting entries are cancelled. Nothing while flat."""
    return Order("close", {}, checked_tag("close", tag), sys._getframe(1).f_lineno)


def move(*, stop: float | None = None, target: float | None = None) -> Order:
    """Put stop or target of what is held at another price. Nothing while flat.

    One at or beyond the close is a market exit at the next open.
    """
    given = numbers("move", {"stop": stop, "target": target})
    check_move(given)
    return Order("move", given, None, sys._getframe(1).f_lineno)


def cancel(*, tag: str | None = None) -> Order:
    """Remove resting limit entries, all or those of one tag; stop and target stay."""
    return Order("cancel", {}, None if tag is None else checked_tag("cancel", tag), sys._getframe(1).f_lineno)


def _entry(verb: str, arguments: dict[str, Any]) -> Order:
    tag = checked_tag(verb, arguments.pop("tag"))
    given = numbers(verb, arguments)
    check_entry(verb, given)
    return Order(verb, given, tag, sys._getframe(2).f_lineno)


def numbers(verb: str, arguments: Mapping[str, Any]) -> dict[str, float]:
    """The arguments that were given, as numbers."""
    for name, value in arguments.items():
        if value is not None and (isinstance(value, bool) or not hasattr(value, "__float__")):
            raise RuleError(f"ta.{verb}({name}={value!r:.60}): allowed is a number, or None to leave it out")
    return {name: float(value) for name, value in arguments.items() if value is not None}


def check_entry(verb: str, given: Mapping[str, Any]) -> None:
    """Exactly one size, and a stop where risk is the size."""
    sizes = [name for name in SIZES if name in given]
    if len(sizes) != 1:
        got = f"{' and '.join(sizes)}" if sizes else "no size"
        raise RuleError(
            f"ta.{verb}: got {got}, allowed is exactly one of size= (fraction of equity), notional= (quote) and "
            "risk= (fraction lost at the stop)"
        )
    if "risk" in given and "stop" not in given:
        raise RuleError(f"ta.{verb}(risk=…): it needs stop=, the price at which that risk is lost; or give size=")


def check_move(given: Mapping[str, Any]) -> None:
    """Something to move."""
    if not given:
        raise RuleError("ta.move(): allowed is stop=, target= or both; ta.close() leaves the position")


def checked_tag(verb: str, tag: Any) -> str:
    """A tag is text."""
    if not isinstance(tag, str):
        raise RuleError(f"ta.{verb}(tag={tag!r:.60}): allowed is text, the reason of the fill")
    return tag


NOTHING = math.nan
VERBS = {function.__name__: function for function in (buy, sell, close, move, cancel)}
