"""What is known of an own strategy's class before it runs: its methods, words, tags; and what its rule may not do."""

import ast
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from traderagent.base.errors import ConfigError, RuleError, UnknownName, nearest
from traderagent.strategies.contract import N_FEATURES, REASONS
from traderagent.strategies.orders import VERBS
from traderagent.strategies.own.effects import check_effects, memory_words
from traderagent.strategies.own.source import Method, literal_tags, lookup, method
from traderagent.strategies.own.verbs import N_OWN

NOW_WORDS = ("open", "high", "low", "close", "volume", "regime", "time")
BOOK_WORDS = ("flat", "long", "short", "quantity", "average", "stop", "target", "candles_held", "realised")
FILL_WORDS = ("price", "quantity", "side", "reason")
PACKAGE = __name__.split(".", maxsplit=1)[0]
ARGUMENTS = {"decide": ["now", "book"], "on_fill": ["fill", "book"]}
WAKES = "wakes"
COMPILED = ("auto", "always", "never")


@dataclass(frozen=True, eq=False)
class Blueprint:
    """An own strategy's class with the names of its features, in the order of their columns."""

    cls: Any
    features: tuple[str, ...]

    @cached_property
    def decide(self) -> Method:
        """The rule."""
        found = method(self.cls, "decide")
        if found is None:
            raise RuleError(f"{self.cls.__name__} has no rule: write `def decide(self, now, book):`")
        return found

    @cached_property
    def on_fill(self) -> Method | None:
        """What it does inside a candle, None for nothing."""
        return method(self.cls, "on_fill")

    @property
    def methods(self) -> list[Method]:
        """Those that see now and book."""
        return [m for m in (self.decide, self.on_fill) if m is not None]

    @cached_property
    def memory(self) -> dict[str, float]:
        """Names of what the rule keeps from candle to candle, and what they start with."""
        given = self.cls.memory
        where = f"{self.cls.__name__}.memory"
        if not isinstance(given, dict) or not all(isinstance(k, str) and k.isidentifier() for k in given):
            raise RuleError(f"{where}: got {given!r:.80}, allowed is a dict of names to numbers, e.g. {{'count': 0.0}}")
        if len(given) > N_OWN:
            raise RuleError(f"{where}: got {len(given)} entries, allowed are {N_OWN}")
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
                raise RuleError(f"{where}[{name!r}]: got {value!r:.60}, allowed is a number")
            if name in BOOK_WORDS:
                raise RuleError(f"{where}: {name!r} is what a book has already; choose another name")
        return {name: float(value) for name, value in given.items()}

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """Reasons of fills that stand in its source."""
        found = [tag for m in self.methods for tag in literal_tags(m.tree)]
        return tuple(tag for tag in dict.fromkeys(found) if tag not in REASONS)

    def words(self, argument: str) -> tuple[str, ...]:
        """What may be asked of now, book, fill."""
        if argument == "now":
            return (*NOW_WORDS, *(f for f in self.features if f != WAKES))
        return (*BOOK_WORDS, *self.memory) if argument == "book" else FILL_WORDS

    def check(self) -> None:
        """Refuse, before any candle, what neither plain nor compiled may do.

        Raises
        ------
        RuleError, UnknownName
            With class, method, line, and what is allowed.
        """
        if self.cls.compiled not in COMPILED:
            raise RuleError(
                f"{self.cls.__name__}.compiled: got {self.cls.compiled!r}: {nearest(self.cls.compiled, COMPILED)}"
            )
        for m in self.methods:
            wanted = ARGUMENTS[m.role]
            if len(m.arguments) != 2:
                raise m.error(
                    f"takes ({', '.join(m.arguments)}), allowed is (self, {', '.join(wanted)})", m.tree.lineno
                )
            _Checks(self, m, dict(zip(m.arguments, wanted, strict=True))).visit(m.tree)
            check_effects(m, self.cls)


def check_features(cls: Any, names: list[str]) -> None:
    """Refuse names of features that a rule could not ask for."""
    where = f"{cls.__name__}.features"
    for name in names:
        if not isinstance(name, str) or not name.isidentifier():
            raise RuleError(f"{where}: a feature is called {name!r}, allowed is a name as in now.name")
        if name in (*NOW_WORDS, WAKES):
            raise RuleError(
                f"{where}: {name!r} is taken; choose another name (taken: {', '.join((*NOW_WORDS, WAKES))})"
            )
    if len(names) > N_FEATURES - 1:
        raise ConfigError(f"{where}: {len(names)} features, allowed are {N_FEATURES - 1}")


class _Checks(ast.NodeVisitor):
    """Walks a rule for unknown words, side effects and constant answers."""

    def __init__(self, blueprint: Blueprint, where: Method, roles: dict[str, str]) -> None:
        self.blueprint, self.where, self.roles = blueprint, where, roles
        stored = [n.id for n in ast.walk(where.tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        self.local = {*stored, *(a.arg for n in ast.walk(where.tree) if isinstance(n, ast.arguments) for a in n.args)}
        self.roles = {name: role for name, role in roles.items() if name not in stored}
        self.own_self = where.tree.args.args[0].arg

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Words of now, book and fill; parameters of self."""
        stores = not isinstance(node.ctx, ast.Load)
        if isinstance(node.value, ast.Name):
            base = node.value.id
            if base in self.roles:
                self._word(node, self.roles[base], stores)
            elif base == self.own_self:
                self._parameter(node, stores)
            elif stores and base not in self.local:
                raise self.where.error(f"writes to {base}, which outlives the candle; {memory_words()}", node.lineno)
            elif base not in self.local:
                self._verb(node, base)
        self.generic_visit(node)

    def _verb(self, node: ast.Attribute, base: str) -> None:
        """A misspelt order is told from all else that `ta.` has."""
        with suppress(KeyError):
            outer = lookup(self.where.function, base)
            if getattr(outer, "__name__", "") == PACKAGE and not hasattr(outer, node.attr):
                hint = nearest(node.attr, VERBS)
                text = f"asks for {base}.{node.attr}: {hint} ({self.where.line(node.lineno)})"
                raise UnknownName(f"{self.where.name} {text}")

    def _word(self, node: ast.Attribute, role: str, stores: bool) -> None:
        allowed = self.blueprint.words(role)
        if node.attr not in allowed:
            hint = nearest(node.attr, allowed)
            if role == "book" and stores:
                hint += f"; {memory_words(node.attr)}"
            raise UnknownName(f"{self.where.name} has no {node.attr!r}: {hint} ({self.where.line(node.lineno)})")
        if stores and (role != "book" or node.attr not in self.blueprint.memory):
            raise self.where.error(
                f"writes to {role}.{node.attr}, which only the engine does; {memory_words()}", node.lineno
            )

    def _parameter(self, node: ast.Attribute, stores: bool) -> None:
        cls = self.blueprint.cls
        if stores:
            raise self.where.error(f"writes to self.{node.attr}; {memory_words(node.attr)}", node.lineno)
        if node.attr not in cls.model_fields and not hasattr(cls, node.attr):
            hint = nearest(node.attr, cls.model_fields)
            raise UnknownName(f"{self.where.name} has no self.{node.attr!s}: {hint} ({self.where.line(node.lineno)})")

    def visit_Global(self, node: ast.Global) -> None:
        """Nothing outside is written."""
        raise self.where.error(f"writes to {', '.join(node.names)} outside itself; {memory_words()}", node.lineno)

    visit_Nonlocal = visit_Global  # type: ignore[assignment]

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Nor a place in a list that lives outside."""
        name = node.value
        if not isinstance(node.ctx, ast.Load) and isinstance(name, ast.Name) and name.id not in self.local:
            raise self.where.error(f"writes to {name.id}, which outlives the candle; {memory_words()}", node.lineno)
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        """A constant is no order."""
        if isinstance(node.value, ast.Constant) and node.value.value is not None:
            raise self.where.error(f"returns {node.value.value!r}; {ALLOWED_ANSWERS}", node.lineno)
        self.generic_visit(node)


ALLOWED_ANSWERS = "allowed are ta.buy(…), ta.sell(…), ta.close(), ta.move(…), ta.cancel(), a list of them, or nothing"
