"""A rule's source, rewritten so that numba compiles it: statements stay, answers become calls of verbs."""

import ast
from typing import Any

from traderagent.base.errors import RuleError, UnknownName, nearest
from traderagent.base.syntax import parsed
from traderagent.strategies import orders
from traderagent.strategies.contract import REASONS
from traderagent.strategies.own import verbs
from traderagent.strategies.own.blueprint import Blueprint
from traderagent.strategies.own.expressions import BOOK, STATEMENTS, Expressions, NotCompiled, expression, is_none
from traderagent.strategies.own.source import Method

KINDS = {"buy": verbs.BUYS, "sell": verbs.SELLS, "close": verbs.CLOSES, "move": verbs.MOVES, "cancel": verbs.CANCELS}
GIVEN = {
    "size": verbs.SIZE,
    "notional": verbs.NOTIONAL,
    "risk": verbs.RISK,
    "limit": verbs.LIMIT,
    "stop": verbs.STOP,
    "target": verbs.AIM,
}


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
    function = parsed("def rule(now, book):\n    pass").body[0]
    assert isinstance(function, ast.FunctionDef)
    function.body = body
    ast.copy_location(function, method.tree)
    _settle(function, function, range(method.tree.lineno, (method.tree.end_lineno or method.tree.lineno) + 1))
    return ast.fix_missing_locations(ast.Module([function], [])), rewriter.outer


def _settle(node: ast.AST, near: ast.AST, lines: range) -> None:
    """Give nodes that were made of a text the place of what they stand in, so that numba names the rule's own line."""
    for child in ast.iter_child_nodes(node):
        if getattr(child, "lineno", lines.start) not in lines:
            ast.copy_location(child, near)
        _settle(child, child if hasattr(child, "lineno") else near, lines)


def _statement(text: str) -> ast.stmt:
    return parsed(text).body[0]


class _Rewriter(Expressions):
    def __init__(self, blueprint: Blueprint, method: Method) -> None:
        super().__init__(blueprint, method)
        self.n_values = 0

    # --- statements ---------------------------------------------------------------------------------
    def block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """Rewritten statements; a return becomes several."""
        done: list[ast.stmt] = []
        for node in statements:
            if isinstance(node, ast.Return):
                new = [*self._returned(node), _statement("return 0")]
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                new = []
            elif isinstance(node, STATEMENTS):
                visited = self.visit(node)
                new = visited if isinstance(visited, list) else [visited]
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

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None:
            return ast.Pass()
        return self.visit_Assign(ast.copy_location(ast.Assign([node.target], node.value, None), node))

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        read = ast.copy_location(expression(ast.unparse(node.target)), node)
        ast.fix_missing_locations(read)
        for inner in ast.walk(read):
            ast.copy_location(inner, node)
        value = ast.copy_location(ast.BinOp(read, node.op, node.value), node)
        return self.visit_Assign(ast.copy_location(ast.Assign([node.target], value, None), node))

    def visit_Assign(self, node: ast.Assign) -> Any:
        value = self.visit(node.value)
        if len(node.targets) > 1:
            raise NotCompiled("`a = b = …` is plain Python only", node.lineno)
        target = node.targets[0]
        places = list(target.elts) if isinstance(target, ast.Tuple) else [target]
        stored, later = [], []
        for place in places:
            if isinstance(place, ast.Attribute):
                self.n_values += 1
                stored.append(f"_{self.n_values}")
                at = list(self.blueprint.memory).index(place.attr)
                later.append(_statement(f"book.memory[{at}] = float(_{self.n_values})"))
            elif isinstance(place, ast.Name):
                stored.append(place.id)
            else:
                raise NotCompiled(f"`{ast.unparse(place)} =` is plain Python only", node.lineno)
        first = _statement(f"{', '.join(stored)} = 0")
        assert isinstance(first, ast.Assign)
        first.value = value
        return [first, *later]

    # --- answers ------------------------------------------------------------------------------------
    def _returned(self, node: ast.Return) -> list[ast.stmt]:
        """An answer's statements; as in Python, all its numbers are those of before its first order."""
        self.moved = set()
        statements = self.answer(node.value, node)
        before = [_statement(f"_{word}_before = {BOOK[word]}") for word in sorted(self.moved)]
        self.moved = None
        return before + statements

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
        words = {k.arg: k.value for k in node.keywords if not is_none(k.value)}
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
        except (RuleError, UnknownName) as error:
            raise type(error)(f"{self.method.name}: {error} ({self.method.line(line)})") from None

    def _tag(self, node: ast.expr) -> int:
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            raise NotCompiled("a tag is not a literal text", node.lineno)
        return code_of_reason(node.value, self.blueprint.tags) if node.value else 0

    def _verb(self, node: ast.expr) -> str | None:
        called = self.known(node.func) if isinstance(node, ast.Call) else None
        return next((name for name, verb in orders.VERBS.items() if verb is called), None)
