"""What every module keeps to: short, documented, typed, without clocks, dice or swallowed errors."""

import ast
import re
from functools import cache

import pytest

from tests.house.sources import ROOT, body_lines, functions, is_kernel, modules, tracked

MAX_FILE, MAX_FUNCTION, MAX_KERNEL = 400, 40, 80
CLOCKS = re.compile(
    r"^(?:\w+\.)*(?:datetime|date|Timestamp)\.(?:now|utcnow|today)$|^time\.(?:time|time_ns|localtime|ctime)$"
    r"|^pd\.Timestamp\.now$"
)
DICE = re.compile(
    r"^(?:np|numpy)\.random\.(?!default_rng|Generator|SeedSequence|PCG64|Philox|BitGenerator)\w+$"
    r"|^random\.\w+$|^(?:uuid\.)?uuid[14]$|^os\.urandom$|^secrets\.\w+$"
)


def clocks_and_dice(tree):
    """Calls whose answer differs from run to run."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            unseeded = name.endswith("default_rng") and not node.args and not node.keywords
            if unseeded or CLOCKS.match(name) or DICE.match(name):
                found.append(f"line {node.lineno}: {name}()")
    return found


def swallowed(tree):
    """Handlers that catch everything, or catch and do nothing."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            caught = "" if node.type is None else ast.unparse(node.type)
            raises = any(isinstance(n, ast.Raise) for n in ast.walk(node))
            silent = all(
                isinstance(n, ast.Pass) or (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))
                for n in node.body
            )
            if node.type is None or silent or (caught in ("Exception", "BaseException") and not raises):
                found.append(f"line {node.lineno}: except {caught}")
    return found


def too_long(path, tree, text):
    lines = text.splitlines()
    found = [f"{path}: {len(lines)} lines, allowed {MAX_FILE}"] if len(lines) > MAX_FILE else []
    for name, node, _ in functions(tree):
        allowed, got = MAX_KERNEL if is_kernel(node) else MAX_FUNCTION, body_lines(node, lines)
        if got > allowed:
            found.append(f"{path}:{node.lineno} {name}: body of {got} lines, allowed {allowed}")
    return found


@cache
def documented_methods():
    """Names of methods that some class of the package documents: one that overrides them inherits the text."""
    return {
        name.split(".")[-1]
        for tree in modules().values()
        for name, node, public in functions(tree)
        if public and "." in name and ast.get_docstring(node)
    }


def undocumented(tree):
    found = [] if ast.get_docstring(tree) or not tree.body else ["module"]
    classes = [n for n in tree.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_")]
    found += [c.name for c in classes if not ast.get_docstring(c)]
    bare = [name for name, node, public in functions(tree) if public and not ast.get_docstring(node)]
    return found + [name for name in bare if "." not in name or name.split(".")[-1] not in documented_methods()]


def untyped(tree):
    """Public functions with an argument or a return without a type; compiled ones infer theirs."""
    found = []
    for name, node, public in functions(tree):
        if not public or is_kernel(node):
            continue
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        bare = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
        if bare or node.returns is None:
            found.append(f"line {node.lineno}: {name}({', '.join(bare)})")
    return found


@pytest.mark.parametrize("path", modules())
@pytest.mark.parametrize("rule", [clocks_and_dice, swallowed, undocumented, untyped], ids=lambda r: r.__name__)
def test_module_keeps_to(rule, path):
    assert rule(modules()[path]) == []


@pytest.mark.parametrize("path", modules())
def test_module_is_short(path):
    assert too_long(path, modules()[path], (ROOT / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", [p for p in tracked() if p.startswith("tests/") and p.endswith(".py")])
def test_test_file_is_short(path):
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= MAX_FILE


@pytest.mark.parametrize(
    ("rule", "planted"),
    [
        (clocks_and_dice, "t = pd.Timestamp.now()"),
        (clocks_and_dice, "import time; t = time.time()"),
        (clocks_and_dice, "from datetime import datetime; datetime.now()"),
        (clocks_and_dice, "np.random.normal(3)"),
        (clocks_and_dice, "np.random.default_rng()"),
        (clocks_and_dice, "random.random()"),
        (swallowed, "try:\n    f()\nexcept:\n    g()"),
        (swallowed, "try:\n    f()\nexcept Exception:\n    g()"),
        (swallowed, "try:\n    f()\nexcept KeyError:\n    pass"),
        (undocumented, '"""Doc."""\ndef f(): return 1'),
        (undocumented, '"""Doc."""\nclass A:\n    """A."""\n    def never_elsewhere(self): return 1'),
        (untyped, "def f(a, b: int) -> int: return 1"),
        (untyped, "def f(a: int): return 1"),
    ],
)
def test_an_offender_is_seen(rule, planted):
    assert len(rule(ast.parse(planted))) == 1


@pytest.mark.parametrize("allowed", ["np.random.default_rng(seed)", "time.sleep(1)", "rng.normal(3)"])
def test_what_repeats_is_allowed(allowed):
    assert clocks_and_dice(ast.parse(allowed)) == []


def test_length_is_seen():
    long = "def f():\n" + "    x = 1\n" * 41
    assert len(too_long("x.py", ast.parse(long), long)) == 1
    compiled = "@kernel\n" + long
    assert too_long("x.py", ast.parse(compiled), compiled) == []
    assert len(too_long("x.py", ast.parse(""), "\n" * 401)) == 1
