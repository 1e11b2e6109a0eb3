"""A rule compiled from its source, once per class and process."""

import threading
from collections.abc import Callable
from typing import Any

import numba

from traderagent.base.syntax import code_of
from traderagent.strategies.own import entrances, reads
from traderagent.strategies.own.blueprint import Blueprint
from traderagent.strategies.own.expressions import NotCompiled
from traderagent.strategies.own.rewrite import rewritten
from traderagent.strategies.own.source import Method
from traderagent.strategies.own.verbs import ASK_RULE, TELL_RULE

_NAMES = {
    "_place": entrances.place,
    "_power": entrances.power,
    "_average_of": reads.average_of,
    "_stop_of": reads.stop_of,
    "_target_of": reads.target_of,
    "_candles_held_of": reads.candles_held_of,
    "_least": reads.least,
    "_most": reads.most,
    "_divided": reads.divided,
    "_divided_down": reads.divided_down,
    "_remainder": reads.remainder,
    "_whole": reads.whole,
}
begin = entrances.begin
_lock = threading.RLock()  # numba compiles one thing at a time


def compiled_step(blueprint: Blueprint) -> Any:
    """The rule as a step of the engine's signature: an object with its `address`.

    Raises
    ------
    NotCompiled
        Where the rule does what numba or the rewriting refuses, with the line.
    """
    with _lock:
        rule = _kernel(blueprint, blueprint.decide)
        told = _kernel(blueprint, blueprint.on_fill) if blueprint.on_fill else None
        try:
            return _step_of(rule, told)
        except numba.core.errors.NumbaError as error:
            raise _refused(blueprint, error) from None


def _kernel(blueprint: Blueprint, method: Method) -> Callable:
    tree, outer = rewritten(blueprint, method)
    space: dict[str, Any] = {**_NAMES, **outer}
    exec(code_of(tree, method.function.__code__.co_filename), space)
    return entrances.rule_kernel(space["rule"])


def _step_of(rule: Callable, told: Callable | None) -> Any:
    if told is None:

        @entrances.rule_step
        def own_step(what, now, book):
            if begin(what, now, book) == ASK_RULE:
                rule(now, book)

    else:

        @entrances.rule_step
        def own_step(what, now, book):
            asked = begin(what, now, book)
            if asked == ASK_RULE:
                rule(now, book)
            elif asked == TELL_RULE:
                told(now, book)

    return own_step


def _refused(blueprint: Blueprint, error: Any) -> NotCompiled:
    """Numba's refusal as one line of text with the rule's own line, where it names one."""
    inner = str(error)
    text = next((line.strip() for line in inner.splitlines() if line.strip()), type(error).__name__)
    lines = [int(word) for word in _numbers_after(inner, ", line ")]
    inside = [n for m in blueprint.methods for n in lines if m.tree.lineno <= n <= (m.tree.end_lineno or 0)]
    return NotCompiled(f"numba refuses it: {text[:120]}", inside[-1] if inside else blueprint.decide.tree.lineno)


def _numbers_after(text: str, mark: str) -> list[str]:
    found = []
    for part in text.split(mark)[1:]:
        digits = part[: next((k for k, c in enumerate(part) if not c.isdigit()), len(part))]
        found += [digits] if digits else []
    return found
