"""Imports point down only, and nothing that is only an oracle is imported by the package."""

import ast

import pytest

from tests.house.sources import modules

BELOW = {
    "base": set(),
    "indicators": {"base"},
    "metrics": {"base"},
    "stats": {"base"},
    "market": {"base", "indicators"},
    "strategies": {"base", "indicators", "market"},
    "routing": {"base", "indicators", "market"},
    "engine": {"base", "indicators", "metrics", "market", "strategies", "routing"},
    "research": {"base", "indicators", "metrics", "stats", "market", "strategies", "routing", "engine"},
    "robustness": {
        "base",
        "indicators",
        "metrics",
        "stats",
        "market",
        "strategies",
        "routing",
        "engine",
        "research",
    },
    "report": {"base", "metrics", "market"},
}
# Modules at the top of the package: stages and command line may use everything, nobody uses them.
# `result.plot()` is a promise of the public face: the picture is asked for by name, at the last moment.
PLOTTING = {("traderagent/engine/result.py", "traderagent.report.plots")}
TOP = {"stages", "cli", "__init__", "__main__", "warm", "service"}
STRATEGY_SHARED = {"base", "contract", "orders", "features", "structures", "patterns", "structure_table"}
NEVER = {"vectorbt", "backtesting", "raptorbt", "talib", "pandas_ta", "pandas_ta_classic", "matplotlib", "plotly"}


def imports(tree):
    """Absolute names of everything a module imports, wherever in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def wrong_directions(path, tree):
    folder = path.split("/")[1].removesuffix(".py")
    if folder in TOP:
        return []
    allowed = BELOW[folder] | {folder}
    return [
        f"{path}:{line} imports {name}; {folder} may import {', '.join(sorted(allowed))}"
        for name, line in imports(tree)
        if name.startswith("traderagent") and (path, name) not in PLOTTING and [*name.split("."), ""][1] not in allowed
    ]


@pytest.mark.parametrize("path", modules())
def test_imports_point_down(path):
    assert wrong_directions(path, modules()[path]) == []


@pytest.mark.parametrize("path", [p for p in modules() if p.startswith("traderagent/strategies/")])
def test_strategies_do_not_know_each_other(path):
    here = path.split("/")[2].removesuffix(".py")
    others = [
        name
        for name, _ in imports(modules()[path])
        if name.startswith("traderagent.strategies.") and name.split(".")[2] not in STRATEGY_SHARED | {here}
    ]
    assert here in STRATEGY_SHARED | {"__init__"} or others == []


@pytest.mark.parametrize("path", modules())
def test_oracles_are_never_imported(path):
    assert [name for name, _ in imports(modules()[path]) if name.split(".")[0] in NEVER] == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("traderagent/market/x.py", "from traderagent.engine.loop import run"),
        ("traderagent/report/x.py", "import traderagent.engine"),
        ("traderagent/strategies/x.py", "def f():\n    from traderagent.engine import money"),
        ("traderagent/base/x.py", "import traderagent as ta"),
        ("traderagent/stats/x.py", "from traderagent.metrics import METRICS"),
    ],
)
def test_an_import_upwards_is_seen(path, line):
    assert len(wrong_directions(path, ast.parse(line))) == 1
