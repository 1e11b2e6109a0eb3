"""What a rule takes from around it, as text: functions, numbers, tables and what lies inside them.

A compiled rule holds outer numbers as constants, and features are kept. Both are found again by an identity, so
whatever can change what a rule does has to be part of it.
"""

import dis
import pickle
import sys
import sysconfig
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.hashing import hash_bytes, hash_frame

_LIBRARIES = tuple({str(Path(sysconfig.get_path(name))) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
# Instructions by what they look up: a name of the module, or one that is asked of a value or a module.
_GLOBALS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "IMPORT_FROM"})
_IMPORTS = frozenset({"IMPORT_NAME"})
_PACKAGE = __name__.split(".", maxsplit=1)[0]


@lru_cache(512)  # a sweep asks for the identity of every parameter set, and each set has the same code
def names_in(code: CodeType, kind: frozenset[str]) -> tuple[str, ...]:
    """Names that a code object and those inside it (loops, lambdas) speak of by instructions of one kind, sorted."""
    found = {instruction.argval for instruction in dis.get_instructions(code) if instruction.opname in kind}
    for inside in code.co_consts:
        if isinstance(inside, CodeType):
            found.update(names_in(inside, kind))
    return tuple(sorted(found))


def outer_values(function: FunctionType) -> dict[str, Any]:
    """Values that a function takes from around it: closure, module, and modules it imports, those it names.

    An attribute is no outer value, whatever else has its name: `now.close` does not speak of a global `close`.
    """
    code = function.__code__
    found = {name: function.__globals__[name] for name in names_in(code, _GLOBALS) if name in function.__globals__}
    for name in names_in(code, _IMPORTS):
        if name in sys.modules:
            found[f"import {name}"] = sys.modules[name]
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue  # not yet assigned: the class's own name, while it is being made
    return {name: value for name, value in found.items() if name != "__class__"}


def fingerprint_of(function: FunctionType) -> Any:
    """What a function takes from around it, as text, however deep it lies."""
    return _of_outer(function, ())


def fingerprint(value: Any, names: tuple[str, ...] = (), inside: tuple[int, ...] = ()) -> Any:
    """A value as text that changes where it does.

    Parameters
    ----------
    names : what may be asked of it: of a module only these
    inside : ids of what it is part of, which are not entered again
    """
    if id(value) in inside:
        return "…"
    inside = (*inside, id(value))
    if isinstance(value, (int, float, complex, str, bytes, type(None), np.generic)):
        return repr(value)
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            return [str(value.shape), fingerprint(value.ravel().tolist(), names, inside)]
        return f"{value.dtype} {value.shape} {hash_bytes(np.ascontiguousarray(value).tobytes())}"
    if isinstance(value, (pd.Series, pd.DataFrame)):
        return _of_table(value.to_frame() if isinstance(value, pd.Series) else value, names, inside)
    if isinstance(value, (set, frozenset)):
        return sorted(str(fingerprint(v, names, inside)) for v in value)
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *(fingerprint(v, names, inside) for v in value)]
    if isinstance(value, Mapping):
        return [[fingerprint(k, names, inside), fingerprint(v, names, inside)] for k, v in value.items()]
    under = getattr(value, "py_func", None) or getattr(value, "__wrapped__", None)  # of a decorated function
    if isinstance(under, FunctionType):
        return fingerprint(under, names, inside)
    if isinstance(value, (type, FunctionType, ModuleType)) and is_installed(value):
        return f"{getattr(value, '__module__', '')} {getattr(value, '__qualname__', value.__name__)}"
    if isinstance(value, FunctionType):
        given = [fingerprint(default, names, inside) for default in (value.__defaults__, value.__kwdefaults__)]
        return [value.__qualname__, _of_code(value.__code__), given, _of_outer(value, inside)]
    if isinstance(value, (type, ModuleType)) or not is_installed(type(value)):
        return _of_content(value, names, inside)
    return _of_thing(value)


def _of_outer(function: FunctionType, inside: tuple[int, ...]) -> dict[str, Any]:
    names = names_in(function.__code__, _ATTRIBUTES)
    return {name: fingerprint(value, names, inside) for name, value in outer_values(function).items()}


def _of_code(code: CodeType) -> list[Any]:
    constants = [_of_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return [code.co_code.hex(), list(code.co_names), constants]


def _of_table(table: pd.DataFrame, names: tuple[str, ...], inside: tuple[int, ...]) -> Any:
    kinds = [*table.dtypes, *([] if isinstance(table.index, pd.DatetimeIndex) else [table.index.dtype])]
    plain = all(isinstance(kind, np.dtype) and kind.kind != "O" for kind in kinds)
    return hash_frame(table) if plain else fingerprint(table.reset_index().to_dict("list"), names, inside)


def _of_content(value: Any, names: tuple[str, ...], inside: tuple[int, ...]) -> Any:
    """A class, a module or an object of the user's: what is kept in it."""
    content = getattr(value, "__dict__", {})
    asked = names if isinstance(value, ModuleType) else [name for name in content if not name.startswith("_")]
    kind = value if isinstance(value, (type, ModuleType)) else type(value)
    return [kind.__name__, {name: fingerprint(content[name], names, inside) for name in asked if name in content}]


def _of_thing(value: Any) -> str:
    """An object of a library's class: by its own hash where it has one, else by its bytes."""
    name, known = type(value).__qualname__, getattr(value, "hash", None)
    if isinstance(known, str):
        return f"{name} {known}"
    with suppress(Exception):  # what cannot be pickled is known by its kind
        return f"{name} {hash_bytes(pickle.dumps(value))}"
    return name


def is_installed(value: Any) -> bool:
    """Whether a class, function or module is this package's or an installed library's, which no session changes."""
    name = value.__name__ if isinstance(value, ModuleType) else value.__module__ or ""
    if name == "__main__":
        return False
    module = value if isinstance(value, ModuleType) else sys.modules.get(name)
    file = getattr(module, "__file__", None) or ""
    root = name.split(".", maxsplit=1)[0]
    return root == _PACKAGE or root in sys.builtin_module_names or file.startswith(_LIBRARIES)
