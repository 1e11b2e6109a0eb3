"""What a rule may not touch: things that outlive the candle, files, clocks and dice, in what it calls as well.

Read from the source, so this finds what stands there by name. What is hidden behind other names is found by
`ta.audit`, which runs the rule twice.
"""

import ast
import builtins
import inspect
import textwrap
from contextlib import suppress
from types import FunctionType, MethodType, ModuleType
from typing import Any

from traderagent.base.syntax import parsed
from traderagent.strategies.own.fingerprint import is_installed
from traderagent.strategies.own.source import Method, lookup

CHANGES = frozenset(
    {"append", "appendleft", "extend", "extendleft", "insert", "add", "update", "setdefault", "fill", "write"}
    | {"pop", "popleft", "popitem", "remove", "discard", "clear", "sort", "reverse", "rotate", "writelines"}
)
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
    found = _Effects(cls, where.function, where.tree, {where.tree.args.args[0].arg: cls}, set()).first()
    if found is not None:
        text, line = found
        raise where.error(text, line)


class _Effects(ast.NodeVisitor):
    """Walks one function; `bound` is its self, if it has one: the rule's class, or an object from outside."""

    def __init__(
        self, rule: Any, function: FunctionType, tree: ast.FunctionDef, bound: dict[str, Any], seen: set[Any]
    ) -> None:
        self.rule, self.function, self.tree = rule, function, tree
        self.bound, self.seen = bound, {*seen, function.__code__}
        names = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        arguments = [a for n in ast.walk(tree) if isinstance(n, ast.arguments) for a in _arguments(n)]
        self.local = {*(n.id for n in names), *(a.arg for a in arguments)} - set(bound)
        self.aliases = {
            n.targets[0].id: n.value
            for n in ast.walk(tree)
            if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name) and _root(n.value) not in self.local
        }
        self.found: tuple[str, int] | None = None

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
            if node.id in self.bound:
                return self.bound[node.id]
            if node.id in self.aliases:
                alias = self.aliases[node.id]
                return _NOTHING if _root(alias) == node.id else self.value(alias)
            if node.id not in self.local:
                with suppress(KeyError):
                    return lookup(self.function, node.id)
        if isinstance(node, ast.Attribute):
            owner = self.value(node.value)
            if owner is not _NOTHING:
                with suppress(Exception):
                    return getattr(owner, node.attr)
        if isinstance(node, ast.Subscript):  # what lies in a container is as much outside as it is
            owner = self.value(node.value)
            return _NOTHING if isinstance(owner, type) else owner
        return _NOTHING

    def visit_Global(self, node: ast.Global) -> None:
        """Names of the module are not its own."""
        self._say(f"writes to {', '.join(node.names)} outside itself; {memory_words()}", node)

    visit_Nonlocal = visit_Global  # type: ignore[assignment]

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Nor is what things outside hold; self says so when it is written to."""
        self._stores(node)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """As attributes."""
        self._stores(node)
        self.generic_visit(node)

    def _stores(self, node: Any) -> None:
        if not isinstance(node.ctx, ast.Load) and not any(self.value(node.value) is v for v in (_NOTHING, self.rule)):
            self._say(f"writes to {ast.unparse(node.value)}, which outlives the candle; {memory_words()}", node)

    def visit_Call(self, node: ast.Call) -> None:
        """Nor may it call what changes them, or what answers differently the next time."""
        self._changes(node)
        called = self.value(node.func)
        if called is not _NOTHING and self.found is None:
            refused = self._reaches(node) or (self._draws_on(node) if called is builtins.next else "")
            if refused:
                self._say(f"calls {ast.unparse(node.func)}, {refused}", node)
            else:
                self._enter(node, called)
        self.generic_visit(node)

    def _changes(self, node: ast.Call) -> None:
        if not isinstance(node.func, ast.Attribute) or node.func.attr not in CHANGES:
            return
        owner = self.value(node.func.value)
        if owner is _NOTHING or isinstance(owner, (ModuleType, type)) or not is_installed(type(owner)):
            return
        if any(_comes_from(owner, module) for module in ("io", "_io")):
            self._say(f"calls {ast.unparse(node.func)}, which reaches outside the run; {_INSTEAD}", node)
            return
        place = ast.unparse(node.func.value)
        self._say(f"changes {place} by .{node.func.attr}(…), which outlives the candle; {memory_words()}", node)

    def _reaches(self, node: ast.Call) -> str:
        """What a call reaches for, along its dotted name; empty where it is nothing."""
        called, parts = node.func, [self.value(node.func)]
        parts.append(getattr(parts[0], "__self__", None))
        while isinstance(called, ast.Attribute):
            if called.attr in CLOCKS and _comes_from(self.value(called.value), "datetime", "pandas"):
                return _CLOCK
            called = called.value
            parts.append(self.value(called))
        for part in parts:
            if _comes_from(part, *DICE):
                return _DRAWN
            if _comes_from(part, "time"):
                return _CLOCK
            if _comes_from(part, *OUTSIDE):
                return f"which reaches outside the run; {_INSTEAD}"
        name = getattr(parts[0], "__name__", "")
        outside = name in BUILTINS and parts[0] is getattr(builtins, name)
        return f"which reaches outside the run; {_INSTEAD}" if outside else ""

    def _draws_on(self, node: ast.Call) -> str:
        """What `next` takes from an iterator outside."""
        taken = bool(node.args) and self.value(node.args[0]) is not _NOTHING
        return (
            f"which changes {ast.unparse(node.args[0])}, and that outlives the candle; {memory_words()}"
            if taken
            else ""
        )

    def _enter(self, node: ast.Call, called: Any) -> None:
        """Look into a function of the user's."""
        function: Any = getattr(called, "py_func", called)
        bound: dict[str, Any] = {}
        if isinstance(function, MethodType):
            function, bound = function.__func__, {"": function.__self__}
        elif isinstance(node.func, ast.Attribute) and isinstance(function, FunctionType):
            owner = self.value(node.func.value)
            bound = {"": owner} if owner is self.rule and not _is_static(owner, node.func.attr) else {}
        if not isinstance(function, FunctionType) or is_installed(function) or function.__code__ in self.seen:
            return
        tree = _tree_of(function)
        if tree is None:
            return
        if bound and tree.args.args:
            bound = {tree.args.args[0].arg: bound[""]}
        found = _Effects(self.rule, function, tree, bound, self.seen).first()
        if found is not None:
            self._say(f"calls {ast.unparse(node.func)}, which in its line {found[1]} {found[0]}", node)


_INSTEAD = "what it needs is read before and given as a parameter or a feature"
_DRAWN = (
    "which answers differently each time; draw such numbers in features, from a seed: "
    "np.random.default_rng(7).random(len(m5))"
)
_CLOCK = "which is this computer's clock; the time of the candle is now.time"


def _comes_from(value: Any, *modules: str) -> bool:
    """Whether a module, function, class or object is of one of these modules."""
    if value is _NOTHING or value is None:
        return False
    if isinstance(value, ModuleType):
        name: Any = value.__name__
    else:
        name = getattr(value, "__module__", None) if callable(value) else type(value).__module__
    return isinstance(name, str) and any(name == m or name.startswith(f"{m}.") for m in modules)


def _root(node: ast.AST) -> str:
    """The name a dotted name begins with; empty for anything else."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _arguments(node: ast.arguments) -> list[ast.arg]:
    more = [a for a in (node.vararg, node.kwarg) if a is not None]
    return [*node.posonlyargs, *node.args, *node.kwonlyargs, *more]


def _is_static(owner: Any, name: str) -> bool:
    return isinstance(inspect.getattr_static(owner, name, None), staticmethod)


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
