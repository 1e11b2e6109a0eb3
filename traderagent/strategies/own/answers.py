"""Sentences for what went wrong while a rule ran, the same for its plain and its compiled form."""

import traceback
from typing import Any

from traderagent.base.errors import RuleError, TraderAgentError
from traderagent.strategies.own import verbs
from traderagent.strategies.own.blueprint import Blueprint
from traderagent.strategies.own.source import Method

_GIVEN = {
    verbs.SIZE: "size",
    verbs.NOTIONAL: "notional",
    verbs.RISK: "risk",
    verbs.LIMIT: "limit",
    verbs.STOP: "stop",
    verbs.AIM: "target",
}
_SENTENCES = {
    verbs.NO_NUMBER: "gives {name}={value:g}, allowed is a number; a feature is NaN until enough candles are known and "
    "where one is absent: compare it first",
    verbs.NOT_POSITIVE: "gives {name}={value:g}, allowed is a number above 0",
    verbs.STOP_BEYOND: "gives stop={value:g} at the price {other:g}, allowed is a stop on the losing side of it: "
    "below for a buy, above for a sell",
    verbs.TARGET_BEHIND: "gives target={value:g} at the price {other:g}, allowed is a target on the winning side of "
    "it: above for a buy, below for a sell",
    verbs.OTHER_SIDE: "opens the other side of what its book holds; leave it first with ta.close()",
    verbs.OTHER_RESTING: "opens the other side of its resting entries; remove them first with ta.cancel()",
    verbs.NO_SHORTS: "sells short, which a spot account cannot; ta.close() leaves a long position, and shorts need "
    "account: perpetual",
    verbs.TOO_MANY: "places more than {value:.0f} limit entries at once; cancel some, or set max_orders = {more:.0f}",
    verbs.MARKET_INSIDE: "asks for a market order inside a candle, where no close is known; allowed in on_fill are "
    "limit entries, ta.move(…) and ta.cancel()",
    verbs.SIZE_INSIDE: "sizes an order inside a candle by equity, which is known at closes; give notional=, e.g. "
    "fill.price * fill.quantity",
    verbs.ENDLESS: "answers fills with orders that fill at once, {value:.0f} times in one candle; place them away from "
    "the price",
    verbs.DIVISION: "divides by zero; compare the divisor first",
    verbs.NO_VALUE: "asks a function for its value at {value:g}, where it has none; compare the number first",
}


def failure_of(blueprint: Blueprint, memory: Any) -> RuleError | None:
    """What the verbs found wrong, from a book's memory; None where nothing was."""
    code = int(memory[verbs.ERROR])
    if code == 0:
        return None
    line, value, other = int(memory[verbs.LINE]), float(memory[verbs.VALUE]), float(memory[verbs.OTHER])
    text = _SENTENCES[code].format(
        name=_GIVEN.get(int(other), "") if code <= verbs.NOT_POSITIVE else "", value=value, other=other, more=2 * value
    )
    where = method_at(blueprint, line, inside=memory[verbs.INSIDE] == 1.0)
    return where.error(text, line) if line else RuleError(f"{where.name} {text}")


def method_at(blueprint: Blueprint, line: int, inside: bool = False) -> Method:
    """The method that holds a line."""
    for found in blueprint.methods:
        if found.tree.lineno <= line <= (found.tree.end_lineno or 0):
            return found
    return blueprint.on_fill if inside and blueprint.on_fill else blueprint.decide


def readable(blueprint: Blueprint, error: BaseException) -> BaseException:
    """An error of the plain rule with method and line; what is none of the rule's own stays as it is."""
    files = {m.function.__code__.co_filename for m in blueprint.methods}
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in files]
    if not frames or not isinstance(error, Exception):
        return error
    line = frames[-1].lineno or 0
    where = method_at(blueprint, line)
    if isinstance(error, ZeroDivisionError):
        return where.error(_SENTENCES[verbs.DIVISION], line)
    if isinstance(error, TraderAgentError):
        text = str(error)
        return type(error)(text if "(line " in text else f"{where.name}: {text} ({where.line(line)})")
    if type(error).__name__ == "ValidationError" and "frozen" in str(error):
        return where.error("writes to self; a rule keeps numbers in memory = {…} and book.name", line)
    return where.error(f"fails with {type(error).__name__}: {error}", line)
