"""What a rule may not touch: containers that outlive the candle, files, clocks and dice, in its helpers as well.

Read from the source, so this finds what stands there by its own name. What goes by another one is found by `ta.audit`,
which runs the rule twice.
"""

import ast
import builtins
import inspect
import textwrap
from collections import deque
from contextlib import suppress
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from traderagent.base.syntax import parsed
from traderagent.strategies.own.fingerprint import is_installed
from traderagent.strategies.own.source import Method, lookup

# Containers, and what changes them in place.
CHANGES = {
    list: {"append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse"},
    dict: {"update", "setdefault", "pop", "popitem", "clear"},
    set: {"add", "update", "pop", "remove", "discard", "clear"},
    deque: {"append", "appendleft", "extend", "extendleft", "insert", "pop", "popleft", "remove", "clear", "rotate"},
    np.ndarray: {"sort", "fill", "put", "partition"},
}
DICE = ("random", "numpy.random", "secrets", "uuid")
OUTSIDE = ("os", "posix", "nt", "io", "_io", "pathlib", "shutil", "socket", "subprocess", "_posixsubprocess")
BUILTINS = frozenset({"open", "input", "exec", "eval", "setattr", "delattr"})
CLOCKS = frozenset({"now", "utcnow", "today"})
_NOTHING = object()


def memory_words(name: str = "count") -> str:
    """Where a rule keeps a number."""
    return f"a rule keeps numbers from candle to candle in memory = {{{name!r}: 0.0}} and book.{name}"


def check_effects(where: Method, cls: Any) -> None:
    """Refuse what a method, or a function of the user's that it calls, does beside answering.

    Raises
    ------
    RuleError
        With method and line, and what to use instead.
    """
    found = _Effects(cls, where.function, where.tree, set()).first()
    if found is not None:
        raise where.error(*found)


class _Effects(ast.NodeVisitor):
    """Walks one function, and once each of those that it calls."""

    def __init__(self, rule: Any, function: FunctionType, tree: ast.FunctionDef, seen: set[CodeType]) -> None:
        self.rule, self.function, self.tree, self.seen = rule, function, tree, seen
        is_method = any(value is function for owner in rule.__mro__ for value in vars(owner).values())
        self.own_self = tree.args.args[0].arg if is_method and tree.args.args else ""
        self.local = _locals_of(function.__code__) - {self.own_self}
        self.found: tuple[str, int] | None = None
        seen.add(function.__code__)

    def first(self) -> tuple[str, int] | None:
        """What it does and in which line, None for nothing."""
        for statement in self.tree.body:
            self.visit(statement)
        return self.found

    def visit(self, node: ast.AST) -> None:
        """Stop at the first."""
        if self.found is None:
            super().visit(node)

    def _say(self, text: str, node: Any) -> None:
        self.found = self.found or (text, node.lineno)

    def value(self, node: ast.AST) -> Any:
        """Value of a dotted name that comes from outside, `_NOTHING` for anything else."""
        if isinstance(node, ast.Name):
            if node.id == self.own_self:
                return self.rule
            if node.id not in self.local:
                with suppress(KeyError):
                    return lookup(self.function, node.id)
        if isinstance(node, ast.Attribute):
            owner = self.value(node.value)
            found = _NOTHING if owner is _NOTHING else _attribute(owner, node.attr)
            return found if owner is not self.rule or callable(found) or type(found) in CHANGES else _NOTHING
        return _NOTHING

    def visit_Global(self, node: ast.Global) -> None:
        """Names of the module are not its own."""
        self._say(f"writes to {', '.join(node.names)} outside itself; {memory_words()}", node)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        """Nor are those of the function around it."""
        outer = [name for name in node.names if name in self.function.__code__.co_freevars]
        if outer:
            self._say(f"writes to {', '.join(outer)} outside itself; {memory_words()}", node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Nor are places of containers outside."""
        if not isinstance(node.ctx, ast.Load) and _kind(self.value(node.value)) is not None:
            self._say(f"writes to {ast.unparse(node.value)}, which outlives the candle; {memory_words()}", node)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """It may not call what changes them, nor what answers differently the next time."""
        if isinstance(node.func, ast.Attribute) and self._changes(node.func):
            place = f"{ast.unparse(node.func.value)} by .{node.func.attr}(…)"
            self._say(f"changes {place}, which outlives the candle; {memory_words()}", node)
        called = self.value(node.func)
        if called is not _NOTHING and self.found is None:
            refused = self._reaches(node.func, called)
            if refused:
                self._say(f"calls {ast.unparse(node.func)}, {refused}", node)
            else:
                self._enter(node, called)
        self.generic_visit(node)

    def _changes(self, called: ast.Attribute) -> bool:
        """Whether a container outside is changed, or one that lies in it."""
        place: ast.AST = called.value
        inside = isinstance(place, ast.Subscript)
        while isinstance(place, ast.Subscript):
            place = place.value
        kind = _kind(self.value(place))
        if inside and kind in (list, dict):
            return any(called.attr in names for names in CHANGES.values())
        return kind is not None and not inside and called.attr in CHANGES[kind]

    def _reaches(self, node: ast.AST, called: Any) -> str:
        """What a call reaches for; empty where it is nothing."""
        owner = self.value(node.value) if isinstance(node, ast.Attribute) else _NOTHING
        if getattr(node, "attr", "") in CLOCKS and _comes_from(owner, "datetime", "pandas"):
            return _CLOCK
        for part in (called, _attribute(called, "__self__")):
            if _comes_from(part, *DICE):
                return _DRAWN
            if _comes_from(part, "time"):
                return _CLOCK
            if _comes_from(part, *OUTSIDE):
                return _REACHES
        return _REACHES if any(called is getattr(builtins, name) for name in BUILTINS) else ""

    def _enter(self, node: ast.Call, called: Any) -> None:
        """Look into a function of the user's."""
        function = _attribute(called, "py_func")
        function = called if function is _NOTHING else function
        if not isinstance(function, FunctionType) or is_installed(function) or function.__code__ in self.seen:
            return
        tree = _tree_of(function)
        found = None if tree is None else _Effects(self.rule, function, tree, self.seen).first()
        if found is not None:
            self._say(f"calls {ast.unparse(node.func)}, which in its line {found[1]} {found[0]}", node)


_REACHES = "which reaches outside the run; what it needs is read before and given as a parameter or a feature"
_DRAWN = (
    "which answers differently each time; draw such numbers in features, from a seed: "
    "np.random.default_rng(7).random(len(m5))"
)
_CLOCK = "which is this computer's clock; the time of the candle is now.time"


def _attribute(owner: Any, name: str) -> Any:
    """An attribute, `_NOTHING` where there is none or asking for it fails."""
    with suppress(Exception):
        return getattr(owner, name)
    return _NOTHING


def _kind(value: Any) -> type | None:
    """Which container a value is; None for anything else."""
    return next((kind for kind in CHANGES if isinstance(value, kind)), None)


def _comes_from(value: Any, *modules: str) -> bool:
    """Whether a module, function, class or object is of one of these modules."""
    if value is _NOTHING or value is None:
        return False
    if isinstance(value, ModuleType):
        name: Any = value.__name__
    else:
        name = _attribute(value if callable(value) else type(value), "__module__")
    return isinstance(name, str) and any(name == m or name.startswith(f"{m}.") for m in modules)


def _locals_of(code: CodeType) -> set[str]:
    """Names that a function, or one written inside it, binds itself."""
    inner = [const for const in code.co_consts if isinstance(const, CodeType)]
    return {*code.co_varnames, *code.co_cellvars}.union(*(_locals_of(one) for one in inner))


def _tree_of(function: FunctionType) -> ast.FunctionDef | None:
    """A function's syntax tree with the lines of its file; None for lambdas and where its source cannot be read."""
    try:
        lines, first = inspect.getsourcelines(function)
        tree = parsed(textwrap.dedent("".join(lines))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return None
    if not isinstance(tree, ast.FunctionDef):
        return None
    ast.increment_lineno(tree, first - 1)
    return tree
