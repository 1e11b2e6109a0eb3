"""The package's own source, parsed once, for the tests that read it."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "traderagent"
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def modules() -> dict[str, ast.Module]:
    """Path inside the project → syntax tree, for every module of the package."""
    return {
        p.relative_to(ROOT).as_posix(): ast.parse(p.read_text(encoding="utf-8")) for p in sorted(PACKAGE.rglob("*.py"))
    }


def functions(tree: ast.Module) -> Iterator[tuple[str, Function, bool]]:
    """Dotted name, node, and whether every part of the name is public, of all functions and methods."""

    def walk(node: ast.AST, prefix: str, public: bool) -> Iterator[tuple[str, Function, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                yield f"{prefix}{child.name}", child, public and not child.name.startswith("_")
            elif isinstance(child, ast.ClassDef):
                yield from walk(child, f"{prefix}{child.name}.", public and not child.name.startswith("_"))

    yield from walk(tree, "", True)


def is_kernel(node: Function) -> bool:
    """Whether the function is compiled: its decorator's name says so."""
    return any(word in ast.unparse(d) for d in node.decorator_list for word in ("kernel", "intrinsic", "step"))


def body_lines(node: Function, text: list[str]) -> int:
    """Lines of a function's body without docstring, blank lines and comments."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    if not body:
        return 0
    lines = text[body[0].lineno - 1 : node.end_lineno]
    return sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in lines)


@cache
def tracked() -> tuple[str, ...]:
    """Files under version control; empty where this is no repository."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    return tuple(p for p in done.stdout.split("\0") if p and (ROOT / p).is_file())
