"""Python text to syntax trees and back to code, one thread at a time.

CPython 3.11 keeps one count of the depth of a tree for all threads; two that build trees at once upset each other's
("AST constructor recursion depth mismatch"), and neither did anything wrong.
"""

import ast
from threading import RLock
from types import CodeType
from typing import Any

_lock = RLock()


def parsed(text: str, mode: str = "exec") -> Any:
    """The syntax tree of a text: of a module, or of an expression with mode "eval".

    Raises
    ------
    SyntaxError
        Where it is no Python.
    """
    with _lock:
        return ast.parse(text, mode=mode)


def code_of(tree: ast.Module, filename: str) -> CodeType:
    """A module's tree as code, whose lines are those of `filename`."""
    with _lock:
        return compile(tree, filename, "exec")
