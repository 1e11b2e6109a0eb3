"""A rule's source, rewritten so that numba compiles it: words become places in records, answers become verbs."""

import ast
import math
from typing import Any

import numpy as np

from traderagent.base.errors import UnknownName, nearest
from traderagent.base.regimes import REGIMES
from traderagent.strategies import orders
from traderagent.strategies.contract import REASONS
from traderagent.strategies.own import verbs
from traderagent.strategies.own.blueprint import ARGUMENTS, Blueprint
from traderagent.strategies.own.source import Method, lookup

KINDS = {"buy": verbs.BUYS, "sell": verbs.SELLS, "close": verbs.CLOSES, "move": verbs.MOVES, "cancel": verbs.CANCELS}
GIVEN = {
    "size": verbs.SIZE,
    "notional": verbs.NOTIONAL,
    "risk": verbs.RISK,
    "limit": verbs.LIMIT,
    "stop": verbs.STOP,
    "target": verbs.AIM,
}
MATH = "sqrt exp log log10 log2 log1p expm1 floor ceil fabs isnan isfinite isinf copysign sin cos tan tanh atan".split()
FUNCTIONS = {getattr(math, name) for name in MATH} | {np.isnan, np.isfinite}
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
FILL = {"price": "book.filled_price", "quantity": "book.filled_quantity"}
STATEMENTS = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.If, ast.For, ast.While, ast.Break, ast.Continue, ast.Pass)


class NotCompiled(Exception):  # noqa: N818 - no error: the rule stays Python
    """Why a rule cannot be compiled, with its line."""

    def __init__(self, why: str, line: int) -> None:
        super().__init__(why)
        self.why, self.line = why, line


def code_of_reason(tag: str, tags: tuple[str, ...] | list[str]) -> int:
    """Code of a reason: the engine's own, or one of the rule's after them."""
    return REASONS.index(tag) if tag in REASONS else len(REASONS) + list(tags).index(tag)


def rewritten(blueprint: Blueprint, method: Method) -> tuple[ast.Module, dict[str, Any]]:
    """Tree of a function `rule(now, book)` that does what the method does, and the outer functions it calls.

    Raises
    ------
    NotCompiled
        Where the method does what only Python can.
    RuleError, UnknownName
        Where it does what neither can.
    """
    rewriter = _Rewriter(blueprint, method)
    body = rewriter.block(method.tree.body)
    body.append(_statement("return 0"))
    function = ast.parse("def rule(now, book):\n    pass").body[0]
    assert isinstance(function, ast.FunctionDef)
    function.body = body
    ast.copy_location(function, method.tree)
    return ast.fix_missing_locations(ast.Module([function], [])), rewriter.outer


def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _statement(text: str) -> ast.stmt:
    return ast.parse(text).body[0]


class _Rewriter(ast.NodeTransformer):
    def __init__(self, blueprint: Blueprint, method: Method) -> None:
        self.blueprint, self.method = blueprint, method
        self.outer: dict[str, Any] = {}
        self.roles = dict(zip(method.arguments, ARGUMENTS[method.function.__name__], strict=True))
        self.roles[method.tree.args.args[0].arg] = "self"
        names = [n for n in ast.walk(method.tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        self.local = {n.id for n in names}
        self.n_values = 0
        for name in names:
            if name.id in self.roles or name.id in ("now", "book") or name.id.startswith("_"):
                raise NotCompiled(f"{name.id!r} is given another value", name.lineno)

    # --- statements ---------------------------------------------------------------------------------
    def block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """Rewritten statements; a return becomes several."""
        done: list[ast.stmt] = []
        for node in statements:
            if isinstance(node, ast.Return):
                new = self.answer(node.value, node) + [_statement("return 0")]
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                new = []
            elif isinstance(node, STATEMENTS):
                new = [self.visit(node)]
            else:
                raise NotCompiled(f"`{ast.unparse(node).splitlines()[0]:.60}` is plain Python only", node.lineno)
            done += [ast.copy_location(n, node) for n in new]
        return done or [ast.Pass()]

    def visit_If(self, node: ast.If) -> ast.stmt:
        return ast.If(self.visit(node.test), self.block(node.body), self.block(node.orelse) if node.orelse else [])

    def visit_While(self, node: ast.While) -> ast.stmt:
        if node.orelse:
            raise NotCompiled("`while … else` is plain Python only", node.lineno)
        return ast.While(self.visit(node.test), self.block(node.body), [])

    def visit_For(self, node: ast.For) -> ast.stmt:
        self._range_only(node.iter, node.target, bool(node.orelse))
        return ast.For(node.target, self.visit(node.iter), self.block(node.body), [], None)

    def _range_only(self, iterable: ast.expr, target: ast.expr, other: bool) -> None:
        called = isinstance(iterable, ast.Call) and isinstance(iterable.func, ast.Name) and iterable.func.id == "range"
        if not called or not isinstance(target, ast.Name) or other:
            raise NotCompiled("a loop goes over something else than range(…)", iterable.lineno)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        if node.value is None:
            return ast.Pass()
        return self.visit_Assign(ast.copy_location(ast.Assign([node.target], node.value, None), node))

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        read = ast.copy_location(_expression(ast.unparse(node.target)), node)
        ast.fix_missing_locations(read)
        for inner in ast.walk(read):
            ast.copy_location(inner, node)
        value = ast.copy_location(ast.BinOp(read, node.op, node.value), node)
        return self.visit_Assign(ast.copy_location(ast.Assign([node.target], value, None), node))

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        value = self.visit(node.value)
        targets = []
        for target in node.targets:
            flat = target.elts if isinstance(target, ast.Tuple) else [target]
            if isinstance(target, ast.Attribute):
                place = list(self.blueprint.memory).index(target.attr)
                targets.append(_expression(f"book.memory[{place}]"))
                value = ast.Call(ast.Name("float", ast.Load()), [value], [])
            elif all(isinstance(t, ast.Name) for t in flat):
                targets.append(target)
            else:
                raise NotCompiled(f"`{ast.unparse(target)} =` is plain Python only", node.lineno)
        for target in targets:
            for inner in (target, *getattr(target, "elts", ())):
                inner.ctx = ast.Store()  # type: ignore[attr-defined]
        return ast.Assign(targets, value, None)

    # --- answers ------------------------------------------------------------------------------------
    def answer(self, node: ast.expr | None, at: ast.stmt) -> list[ast.stmt]:
        """Statements that carry out what is returned."""
        if node is None or (isinstance(node, ast.Constant) and node.value is None):
            return []
        if isinstance(node, ast.IfExp):
            yes, no = self.answer(node.body, at), self.answer(node.orelse, at)
            return [ast.If(self.visit(node.test), yes or [ast.Pass()], no)]
        if isinstance(node, (ast.List, ast.Tuple)):
            parts = [self.order(element) for element in node.elts]
            return [s for values, _ in parts for s in values] + [call for _, call in parts]
        if isinstance(node, ast.ListComp):
            return [self._loop(node)]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self.answer(node.left, at) + self.answer(node.right, at)
        values, call = self.order(node)
        return [*values, call]

    def _loop(self, node: ast.ListComp) -> ast.stmt:
        if len(node.generators) > 1:
            raise NotCompiled("a list of orders has two loops", node.lineno)
        loop = node.generators[0]
        self._range_only(loop.iter, loop.target, False)
        values, call = self.order(node.elt)
        body: list[ast.stmt] = [*values, call]
        for condition in reversed(loop.ifs):
            body = [ast.If(self.visit(condition), body, [])]
        return ast.For(loop.target, self.visit(loop.iter), body, [], None)

    def order(self, node: ast.expr) -> tuple[list[ast.stmt], ast.stmt]:
        """Statements that compute an order's numbers, and the one that places it."""
        verb = self._verb(node)
        if verb is None or not isinstance(node, ast.Call):
            raise NotCompiled(f"`{ast.unparse(node):.60}` is returned, but not written as an order", node.lineno)
        if node.args or any(k.arg is None for k in node.keywords):
            raise NotCompiled("an order's numbers are not given by name", node.lineno)
        given, values, numbers, reason = 0, [], dict.fromkeys(GIVEN, "0.0"), 0
        words = {k.arg: k.value for k in node.keywords if not _is_none(k.value)}
        self._check(verb, words, node.lineno)
        for name, value in words.items():
            if name == "tag":
                reason, given = self._tag(value), given | verbs.TAG
                continue
            self.n_values += 1
            numbers[str(name)] = f"_{self.n_values}"
            given |= GIVEN[str(name)]
            assigned = _statement(f"_{self.n_values} = float(0)")
            assigned.value.args = [self.visit(value)]  # type: ignore[attr-defined]
            values.append(ast.copy_location(assigned, node))
        call = f"_place(now, book, {KINDS[verb]}, {given}, {', '.join(numbers.values())}, {reason}, {node.lineno})"
        return values, ast.copy_location(_statement(call), node)

    def _check(self, verb: str, words: dict[Any, ast.expr], line: int) -> None:
        allowed = orders.VERBS[verb].__code__.co_varnames[: orders.VERBS[verb].__code__.co_kwonlyargcount]
        try:
            for name in words:
                if name not in allowed:
                    raise UnknownName(f"ta.{verb} has no {name!r}: {nearest(name, allowed)}")
            if verb in ("buy", "sell"):
                orders.check_entry(verb, words)
            elif verb == "move":
                orders.check_move(words)
        except (orders.RuleError, UnknownName) as error:
            raise type(error)(f"{self.method.name}: {error} ({self.method.line(line)})") from None

    def _tag(self, node: ast.expr) -> int:
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            raise NotCompiled("a tag is not a literal text", node.lineno)
        return code_of_reason(node.value, self.blueprint.tags) if node.value else 0

    def _verb(self, node: ast.expr) -> str | None:
        called = self._known(node.func) if isinstance(node, ast.Call) else None
        return next((name for name, verb in orders.VERBS.items() if verb is called), None)

    # --- expressions --------------------------------------------------------------------------------
    def _known(self, node: ast.expr) -> Any:
        """The outer value of a dotted name, None where it is none."""
        if isinstance(node, ast.Name) and node.id not in self.local and node.id not in self.roles:
            try:
                return lookup(self.method.function, node.id)
            except KeyError:
                raise NotCompiled(f"{node.id!r} is not defined", node.lineno) from None
        if isinstance(node, ast.Attribute):
            outer = self._known(node.value)
            return None if outer is None else getattr(outer, node.attr, None)
        return None

    def _role(self, node: ast.AST, role: str) -> str | None:
        """The word asked of now, book, fill or self; None for anything else."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            return node.attr if self.roles.get(node.value.id) == role else None
        return None

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.local:
            return node
        if node.id in self.roles:
            raise NotCompiled(f"{node.id!r} is passed on as a whole", node.lineno)
        return self._constant(self._known(node), node)

    def _constant(self, value: Any, node: ast.expr) -> ast.expr:
        if isinstance(value, np.generic):
            value = value.item()
        flat = value if isinstance(value, tuple) and value else (value,)
        if not all(isinstance(v, (bool, int, float)) for v in flat):
            raise NotCompiled(f"`{ast.unparse(node)}` is no number", node.lineno)
        return ast.Tuple([ast.Constant(v) for v in value], ast.Load()) if isinstance(value, tuple) else ast.Constant(value)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if (word := self._role(node, "now")) is not None:
            if word == "regime":
                raise NotCompiled("now.regime is used otherwise than compared with a name", node.lineno)
            place = self.blueprint.features.index(word) if word in self.blueprint.features else None
            return _expression(f"now.{word}" if place is None else f"now.feature[{place}]")
        if (word := self._role(node, "book")) is not None:
            memory = list(self.blueprint.memory)
            return _expression(f"book.memory[{memory.index(word)}]" if word in memory else f"({BOOK[word]})")
        if (word := self._role(node, "fill")) is not None:
            if word not in FILL:
                raise NotCompiled(f"fill.{word} is used otherwise than compared with a text", node.lineno)
            return _expression(FILL[word])
        if (word := self._role(node, "self")) is not None:
            return self._parameter(word, node)
        return self._constant(self._known(node), node)

    def _parameter(self, word: str, node: ast.expr) -> ast.expr:
        cls = self.blueprint.cls
        if word not in cls.model_fields:
            return self._constant(getattr(cls, word), node)
        place = f"book.parameter[{list(cls.model_fields).index(word)}]"
        kind = cls.model_fields[word].annotation
        if kind not in (float, int, bool):
            raise NotCompiled(f"self.{word} is neither number nor truth value", node.lineno)
        return _expression({float: place, int: f"int({place})", bool: f"({place} != 0.0)"}[kind])

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        if len(node.ops) == 1:
            left, right, op = node.left, node.comparators[0], node.ops[0]
            for word, other in ((left, right), (right, left)):
                names = self._text(word)
                if names is not None:
                    return self._compared(*names, other, op, node.lineno)
            if _is_none(right) and self._role(left, "self") in self.blueprint.cls.model_fields:
                place = list(self.blueprint.cls.model_fields).index(self._role(left, "self"))
                same = "!=" if isinstance(op, (ast.Is, ast.Eq)) else "=="  # None is NaN there
                return _expression(f"book.parameter[{place}] {same} book.parameter[{place}]")
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
        texts = [n.value if isinstance(n, ast.Constant) else self._known(n) for n in names]
        if not all(isinstance(t, str) for t in texts) or not isinstance(op, (ast.Eq, ast.NotEq, ast.In, ast.NotIn)):
            raise NotCompiled("a text is compared with something else than a text", line)
        for text in texts:
            if text not in codes:
                raise UnknownName(
                    f"{self.method.name} compares with {text!r}: {nearest(text, codes)} ({self.method.line(line)})"
                )
        same = " or ".join(f"({place} == {codes[str(t)]})" for t in texts) or "False"
        return _expression(f"not ({same})" if isinstance(op, (ast.NotEq, ast.NotIn)) else f"({same})")

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        name = {ast.Div: "_divided", ast.FloorDiv: "_divided_down", ast.Mod: "_remainder"}.get(type(node.op))
        left, right = self.visit(node.left), self.visit(node.right)
        if isinstance(node.op, ast.Pow):
            return ast.Call(ast.Name("_power", ast.Load()), [left, right], [])
        if name is None:
            return ast.copy_location(ast.BinOp(left, node.op, right), node)
        arguments = [ast.Name("book", ast.Load()), left, right, ast.Constant(node.lineno)]
        return ast.Call(ast.Name(name, ast.Load()), arguments, [])

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            raise NotCompiled(f"`{ast.unparse(node):.60}` is plain Python only", node.lineno)
        called = self._known(node.func)
        arguments = [self.visit(a) for a in node.args]
        if called in (min, max) and len(arguments) > 1:
            result = arguments[0]
            for other in arguments[1:]:
                result = ast.Call(ast.Name("_least" if called is min else "_most", ast.Load()), [result, other], [])
            return result
        if isinstance(called, type(abs)) or isinstance(called, (type, np.ufunc)):
            if called is math.pow:
                return ast.Call(ast.Name("_power", ast.Load()), arguments, [])
            if called in BUILTINS:
                return ast.Call(ast.Name(BUILTINS[called], ast.Load()), arguments, [])
            if called in FUNCTIONS or isinstance(called, np.ufunc):
                name = f"_f{len(self.outer)}"
                self.outer[name] = called
                return ast.Call(ast.Name(name, ast.Load()), arguments, [])
        raise NotCompiled(f"`{ast.unparse(node.func)}(…)` is plain Python only", node.lineno)

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, (bool, int, float)):
            raise NotCompiled(f"{node.value!r} is no number", node.lineno)
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        allowed = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
        known = (ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Subscript, ast.Tuple, *STATEMENTS)
        if not isinstance(node, (*allowed, *known)):
            shown = ast.unparse(node) if isinstance(node, (ast.expr, ast.stmt)) else type(node).__name__
            raise NotCompiled(f"`{shown:.60}` is plain Python only", getattr(node, "lineno", self.method.tree.lineno))
        return super().generic_visit(node)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
