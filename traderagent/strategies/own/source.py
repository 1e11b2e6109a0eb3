"""The source of an own strategy: its text and lines, the outer values it uses, its identity."""

import ast
import builtins
import inspect
import linecache
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import FunctionType
from typing import Any

from traderagent.base.errors import RuleError
from traderagent.base.hashing import hash_values
from traderagent.base.syntax import parsed
from traderagent.strategies.own.fingerprint import fingerprint, fingerprint_of, is_installed, outer_values

METHODS = ("features", "wakes", "decide", "on_fill")
# Of a class's attributes these are no part of what its rule says: names, how it is run, the methods themselves.
_NO_PART = {*METHODS, "name", "prefix", "compiled", "step", "signal", "everywhere"}


def snake_case(name: str) -> str:
    """`TwoDayBreakout` → `two_day_breakout`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def own_classes(cls: type) -> list[type]:
    """The class and its parents that are own strategies, the youngest first."""
    return [c for c in cls.__mro__ if not c.__module__.startswith(("traderagent.", "pydantic", "builtins"))]


def method_of(cls: type, name: str) -> FunctionType | None:
    """The class's own or inherited method, None where it is the base's."""
    method = getattr(cls, name, None)
    written = isinstance(method, FunctionType) and not method.__module__.startswith("traderagent.")
    return method if written else None


@dataclass(frozen=True)
class Method:
    """One method of a rule: its syntax tree, with the lines it has in its file or cell."""

    owner: str
    role: str
    function: FunctionType
    tree: ast.FunctionDef
    lines: tuple[str, ...]

    @property
    def name(self) -> str:
        """`Breakout.decide`."""
        return f"{self.owner}.{self.role}"

    @property
    def arguments(self) -> list[str]:
        """Names of its arguments without self."""
        return [a.arg for a in self.tree.args.args[1:]]

    def line(self, number: int) -> str:
        """`line 14: if now.clsoe > now.top:`."""
        text = self.lines[number - 1].strip() if 0 < number <= len(self.lines) else ""
        return f"line {number}: {text}" if text else f"line {number}"

    def error(self, text: str, number: int, kind: type[RuleError] = RuleError) -> RuleError:
        """An error about one of its lines."""
        return kind(f"{self.name} {text} ({self.line(number)})")


def lines_of(function: FunctionType) -> list[str]:
    """Lines of the file or notebook cell a function stands in.

    Raises
    ------
    RuleError
        Where there is none: typed at a bare prompt, or made by exec.
    """
    lines = linecache.getlines(function.__code__.co_filename, function.__globals__)
    if not lines:
        raise RuleError(
            f"{function.__qualname__.split('.')[0]}: its source cannot be read, and it is compiled, checked and "
            "recognised by its source; write the class in a notebook cell or a file"
        )
    return lines


def method(cls: type, name: str) -> Method | None:
    """A method of an own strategy with its syntax tree, None where it has no such method of its own."""
    function = method_of(cls, name)
    if function is None:
        return None
    lines = lines_of(function)
    first = function.__code__.co_firstlineno
    block = inspect.getblock(lines[first - 1 :])
    tree = parsed(textwrap.dedent("".join(block))).body[0]
    if not isinstance(tree, ast.FunctionDef) or tree.name != function.__name__:
        raise RuleError(f"{cls.__name__}.{name}: write it as a method of the class, `def {name}(self, …):`")
    ast.increment_lineno(tree, first - 1)
    return Method(cls.__name__, name, function, tree, tuple(lines))


def lookup(function: FunctionType, name: str) -> Any:
    """The value an outer name has for a function; raises KeyError where there is none."""
    outer = outer_values(function)
    if name in outer:
        return outer[name]
    if name in function.__globals__:
        return function.__globals__[name]
    return vars(builtins)[name]


def functions_of(cls: type) -> Iterator[FunctionType]:
    """All functions of an own strategy's classes that are the user's, wherever they were written."""
    for owner in own_classes(cls):
        for value in vars(owner).values():
            function = getattr(value, "__func__", value)
            if isinstance(function, FunctionType) and (
                function.__module__ == owner.__module__ or not is_installed(function)
            ):
                yield function


def class_source(cls: type) -> str:
    """Text of an own strategy's class, of those own ones it is made from, and of functions written elsewhere."""
    names = {owner.__name__ for owner in own_classes(cls)}
    known = [f for f in functions_of(cls) if f.__code__.co_filename != "<string>"]
    return "\n".join(dict.fromkeys(_text_around(function, names) for function in known))


def _text_around(function: FunctionType, names: set[str]) -> str:
    """Text of the class of one of these names that a function stands in, or its own."""
    lines, at = lines_of(function), function.__code__.co_firstlineno
    for name, first, last in _classes_in("".join(lines)):
        if name in names and first <= at <= last:
            return "".join(lines[first - 1 : last])
    return "".join(inspect.getblock(lines[at - 1 :]))


@lru_cache(32)  # a sweep asks for the identity of every parameter set, and each set has the same text
def _classes_in(text: str) -> list[tuple[str, int, int]]:
    """Name, first and last line of each class; none where IPython's own syntax keeps Python from reading the cell."""
    try:
        tree = parsed(text)
    except SyntaxError:
        return []
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return [(node.name, node.lineno, node.end_lineno or node.lineno) for node in classes]


def identity_of(cls: Any, parameters: dict[str, Any]) -> str:
    """Hash of class source, the outer values it uses, and parameters: what checkpoints recognise a rule by."""
    outer = {f.__qualname__: fingerprint_of(f) for f in functions_of(cls)}
    told = {name: fingerprint(getattr(cls, name)) for name in sorted(cls.__class_vars__ - _NO_PART)}
    fields = {name: str(field.annotation) for name, field in cls.model_fields.items()}
    parts = {"source": textwrap.dedent(class_source(cls)), "outer": outer, "told": told, "fields": fields}
    return hash_values(parts | {"parameters": parameters})


def literal_tags(tree: ast.AST) -> list[str]:
    """Texts given as `tag=` in a syntax tree, each once, in order."""
    tags = [
        k.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for k in node.keywords
        if k.arg == "tag" and isinstance(k.value, ast.Constant) and isinstance(k.value.value, str) and k.value.value
    ]
    return list(dict.fromkeys(tags))
