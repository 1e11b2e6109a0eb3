"""Expressions of a rule, rewritten for numba: words of now, book, fill and self become places in records."""

import ast
import math
from typing import Any

import numpy as np

from traderagent.base.errors import UnknownName, nearest
from traderagent.base.regimes import REGIMES
from traderagent.base.syntax import parsed
from traderagent.strategies.contract import REASONS
from traderagent.strategies.own.blueprint import ARGUMENTS, Blueprint
from traderagent.strategies.own.entrances import guarded
from traderagent.strategies.own.source import Method, lookup

MATH = [
    "sqrt",
    "exp",
    "log",
    "log10",
    "log2",
    "log1p",
    "expm1",
    "floor",
    "ceil",
    "fabs",
    "isnan",
    "isfinite",
    "isinf",
    "copysign",
    "sin",
    "cos",
    "tan",
    "tanh",
    "atan",
]
FUNCTIONS = {getattr(math, name) for name in MATH} | {np.isnan, np.isfinite}
UNGUARDED = {math.isnan, math.isfinite, math.isinf, math.copysign, math.fabs, math.floor, math.ceil}
WHOLE = {int, round, math.floor, math.ceil}  # where Python raises on NaN and infinity
BUILTINS = {abs: "abs", int: "int", float: "float", bool: "bool", round: "round", range: "range", len: "len"}
BOOK = {
    "flat": "book.quantity == 0.0",
    "long": "(book.quantity > 0.0) & (book.side > 0.0)",
    "short": "(book.quantity > 0.0) & (book.side < 0.0)",
    "quantity": "book.quantity",
    "average": "_average_of(book)",
    "stop": "_stop_of(book)",
    "target": "_target_of(book)",
    "candles_held": "_candles_held_of(now, book)",
    "realised": "book.realised",
}
MOVED = ("stop", "target")  # words of the book that an order changes as soon as it is placed
FILL = {"price": "book.filled_price", "quantity": "book.filled_quantity"}
STATEMENTS = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.If, ast.For, ast.While, ast.Break, ast.Continue, ast.Pass)


class NotCompiled(Exception):
    """Why a rule cannot be compiled, with its line."""

    def __init__(self, why: str, line: int) -> None:
        super().__init__(why)
        self.why, self.line = why, line


def expression(text: str) -> ast.expr:
    """The tree of an expression."""
    return parsed(text, mode="eval").body


def is_none(node: ast.expr) -> bool:
    """Whether None stands there."""
    return isinstance(node, ast.Constant) and node.value is None


class Expressions(ast.NodeTransformer):
    """Rewrites the expressions of one method; `outer` are the functions from around it that it calls."""

    def __init__(self, blueprint: Blueprint, method: Method) -> None:
        self.blueprint, self.method = blueprint, method
        self.outer: dict[str, Any] = {}
        self.moved: set[str] | None = None  # in an answer: what it reads that its own orders move
        self.roles = dict(zip(method.arguments, ARGUMENTS[method.role], strict=True))
        self.roles[method.tree.args.args[0].arg] = "self"
        names = [n for n in ast.walk(method.tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        self.local = {n.id for n in names}
        for name in names:
            if name.id in self.roles or name.id in ("now", "book") or name.id.startswith("_"):
                raise NotCompiled(f"{name.id!r} is given another value", name.lineno)

    def known(self, node: ast.expr) -> Any:
        """The outer value of a dotted name, None where it is none."""
        if isinstance(node, ast.Name) and node.id not in self.local and node.id not in self.roles:
            try:
                return lookup(self.method.function, node.id)
            except KeyError:
                raise NotCompiled(f"{node.id!r} is not defined", node.lineno) from None
        if isinstance(node, ast.Attribute):
            outer = self.known(node.value)
            return None if outer is None else getattr(outer, node.attr, None)
        return None

    def _role(self, node: ast.AST, role: str) -> str | None:
        """The word asked of now, book, fill or self; None for anything else."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            return node.attr if self.roles.get(node.value.id) == role else None
        return None

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """A local name stays, one from around becomes its number."""
        if node.id in self.local:
            return node
        if node.id in self.roles:
            raise NotCompiled(f"{node.id!r} is passed on as a whole", node.lineno)
        return self._constant(self.known(node), node)

    def _constant(self, value: Any, node: ast.expr) -> ast.expr:
        if isinstance(value, np.generic):
            value = value.item()
        flat = value if isinstance(value, tuple) and value else (value,)
        if not all(isinstance(v, (bool, int, float)) for v in flat):
            raise NotCompiled(f"`{ast.unparse(node)}` is no number", node.lineno)
        return (
            ast.Tuple([ast.Constant(v) for v in value], ast.Load()) if isinstance(value, tuple) else ast.Constant(value)
        )

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """A word becomes a place in a record."""
        if (word := self._role(node, "now")) is not None:
            if word == "regime":
                raise NotCompiled("now.regime is used otherwise than compared with a name", node.lineno)
            place = self.blueprint.features.index(word) if word in self.blueprint.features else None
            return expression(f"now.{word}" if place is None else f"now.feature[{place}]")
        if (word := self._role(node, "book")) is not None:
            memory = list(self.blueprint.memory)
            if self.moved is not None and word in MOVED:
                self.moved.add(word)
                return expression(f"_{word}_before")
            return expression(f"book.memory[{memory.index(word)}]" if word in memory else f"({BOOK[word]})")
        if (word := self._role(node, "fill")) is not None:
            if word not in FILL:
                raise NotCompiled(f"fill.{word} is used otherwise than compared with a text", node.lineno)
            return expression(FILL[word])
        if (word := self._role(node, "self")) is not None:
            return self._parameter(word, node)
        return self._constant(self.known(node), node)

    def _parameter(self, word: str, node: ast.expr) -> ast.expr:
        cls = self.blueprint.cls
        if word not in cls.model_fields:
            return self._constant(getattr(cls, word), node)
        place = f"book.parameter[{list(cls.model_fields).index(word)}]"
        kind = cls.model_fields[word].annotation
        if kind not in (float, int, bool):
            raise NotCompiled(f"self.{word} is neither number nor truth value", node.lineno)
        return expression({float: place, int: f"int({place})", bool: f"({place} != 0.0)"}[kind])

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """Texts are compared by their codes."""
        if len(node.ops) == 1:
            left, right, op = node.left, node.comparators[0], node.ops[0]
            for word, other in ((left, right), (right, left)):
                names = self._text(word)
                if names is not None:
                    return self._compared(*names, other, op, node.lineno)
            if is_none(right) and self._role(left, "self") in self.blueprint.cls.model_fields:
                place = list(self.blueprint.cls.model_fields).index(self._role(left, "self"))
                same = "!=" if isinstance(op, (ast.Is, ast.Eq)) else "=="  # None is NaN there
                return expression(f"book.parameter[{place}] {same} book.parameter[{place}]")
        if any(isinstance(op, (ast.In, ast.NotIn, ast.Is, ast.IsNot)) for op in node.ops):
            raise NotCompiled(f"`{ast.unparse(node):.60}` is plain Python only", node.lineno)
        self.generic_visit(node)
        return node

    def _text(self, node: ast.expr) -> tuple[str, dict[str, int]] | None:
        """Where the code of a word that is text stands, and its codes by name."""
        if self._role(node, "now") == "regime":
            return "now.regime", {name: code for code, name in enumerate(REGIMES)}
        if self._role(node, "fill") == "side":
            return "book.filled_side", {"buy": 1, "sell": -1}
        if self._role(node, "fill") == "reason":
            return "book.filled_reason", {name: code for code, name in enumerate((*REASONS, *self.blueprint.tags))}
        field = self.blueprint.cls.model_fields.get(self._role(node, "self") or "")
        choices = [c for c in getattr(field.annotation, "__args__", ()) if isinstance(c, str)] if field else []
        if choices:
            place = list(self.blueprint.cls.model_fields).index(self._role(node, "self"))
            return f"book.parameter[{place}]", {name: code for code, name in enumerate(choices)}
        return None

    def _compared(self, place: str, codes: dict[str, int], other: ast.expr, op: ast.cmpop, line: int) -> ast.expr:
        names = other.elts if isinstance(other, (ast.Tuple, ast.List, ast.Set)) else [other]
        texts = [n.value if isinstance(n, ast.Constant) else self.known(n) for n in names]
        if not all(isinstance(t, str) for t in texts) or not isinstance(op, (ast.Eq, ast.NotEq, ast.In, ast.NotIn)):
            raise NotCompiled("a text is compared with something else than a text", line)
        for text in texts:
            if text not in codes:
                raise UnknownName(
                    f"{self.method.name} compares with {text!r}: {nearest(text, codes)} ({self.method.line(line)})"
                )
        same = " or ".join(f"({place} == {codes[str(t)]})" for t in texts) or "False"
        return expression(f"not ({same})" if isinstance(op, (ast.NotEq, ast.NotIn)) else f"({same})")

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """Division and powers answer as Python's."""
        name = {ast.Div: "_divided", ast.FloorDiv: "_divided_down", ast.Mod: "_remainder"}.get(type(node.op))
        left, right = self.visit(node.left), self.visit(node.right)
        if isinstance(node.op, ast.Pow):
            return self._guarded("_power", [left, right], node)
        if name is None:
            return ast.copy_location(ast.BinOp(left, node.op, right), node)
        return self._guarded(name, [left, right], node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Functions of numbers; anything else stays Python."""
        if node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            raise NotCompiled(f"`{ast.unparse(node):.60}` is plain Python only", node.lineno)
        called = self.known(node.func)
        arguments = [self.visit(a) for a in node.args]
        if called in (min, max) and len(arguments) > 1:
            result = arguments[0]
            for other in arguments[1:]:
                result = ast.Call(ast.Name("_least" if called is min else "_most", ast.Load()), [result, other], [])
            return result
        if isinstance(called, (type(abs), type, np.ufunc)):
            if called is math.pow:
                return self._guarded("_power", arguments, node)
            if called is round and len(arguments) > 1:
                raise NotCompiled(
                    f"`{ast.unparse(node):.60}` rounds by decimals, which is plain Python only", node.lineno
                )
            if called in WHOLE:
                arguments = [self._guarded("_whole", arguments, node)]
            if called in BUILTINS:
                return ast.Call(ast.Name(BUILTINS[called], ast.Load()), arguments, [])
            if called in FUNCTIONS or isinstance(called, np.ufunc):
                name = f"_f{len(self.outer)}"
                if called in FUNCTIONS - UNGUARDED - {np.isnan, np.isfinite}:
                    self.outer[name] = guarded(called)
                    return self._guarded(name, arguments, node)
                self.outer[name] = called
                return ast.Call(ast.Name(name, ast.Load()), arguments, [])
        raise NotCompiled(f"`{ast.unparse(node.func)}(…)` is plain Python only", node.lineno)

    def _guarded(self, name: str, arguments: list[ast.expr], node: ast.expr) -> ast.expr:
        """A call that knows the book and the line, to say there what Python would raise."""
        return ast.Call(
            ast.Name(name, ast.Load()),
            [ast.Name("book", ast.Load()), *arguments, ast.Constant(node.lineno)],
            [],
        )

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        """Numbers only."""
        if not isinstance(node.value, (bool, int, float)):
            raise NotCompiled(f"{node.value!r} is no number", node.lineno)
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """What is not known here is plain Python only."""
        allowed = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
        known = (ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Subscript, ast.Tuple, *STATEMENTS)
        if not isinstance(node, (*allowed, *known)):
            shown = ast.unparse(node) if isinstance(node, (ast.expr, ast.stmt)) else type(node).__name__
            raise NotCompiled(f"`{shown:.60}` is plain Python only", getattr(node, "lineno", self.method.tree.lineno))
        return super().generic_visit(node)
