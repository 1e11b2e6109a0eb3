"""A rule is recognised by its source, what it takes from around, and its parameters; features know their frames."""

import importlib
import linecache
import subprocess
import sys

import numpy as np
import pytest

import traderagent as ta
from tests.strategies.own_markets import generated, trade
from tests.strategies.own_rules import Breakout
from traderagent.strategies.features import frames_of
from traderagent.strategies.own.source import snake_case

TEXT = '''
import traderagent as ta
LEVEL = {level}

class FromCell(ta.Strategy):
    """Buys once."""
    size: float = ta.parameter(0.1, low=0.0, high=1.0)

    def decide(self, now, book):
        {comment}
        if book.flat and now.close > LEVEL:
            return ta.buy(size=self.size)
'''
DATA = generated(5, 600)


def from_cell(number, level=0.0, comment="pass", known=True):
    """A class made as a notebook makes it: run from text that linecache knows under the cell's name."""
    text, name = TEXT.format(level=level, comment=comment), f"<cell {number}>"
    if known:
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    space = {"__name__": "__main__"}
    exec(compile(text, name, "exec"), space)
    return space["FromCell"]


def test_names():
    assert snake_case("TwoDayBreakout") == "two_day_breakout"
    assert snake_case("RSIDip") == "rsi_dip"
    assert (Breakout.name, Breakout.prefix) == ("breakout", "breakout_")


def test_a_class_from_a_cell_runs_in_both_forms():
    cls = from_cell(1)
    assert trade(cls, DATA, form="always").trades.equals(trade(cls, DATA, form="never").trades)


def test_a_class_without_source_is_refused():
    with pytest.raises(ta.RuleError, match=r"FromCell: its source cannot be read.* write the class in a notebook cell"):
        trade(from_cell(2, known=False), DATA)


def test_identity():
    first = from_cell(3)().identity()
    assert from_cell(4)().identity() == first
    assert from_cell(5, level=1.0)().identity() != first
    assert from_cell(6, comment="assert now")().identity() != first
    assert from_cell(7)(size=0.2).identity() != first
    assert ta.OrchestratorBacktestConfig().strategies()[0].identity() is None


def test_results_say_which_rule_they_come_from():
    one, other = trade(from_cell(8), DATA), trade(from_cell(9, level=1.0), DATA)
    assert one.assumptions["own_strategies"] == {"from_cell": from_cell(8)().identity()}
    assert one.assumptions["config_hash"] != other.assumptions["config_hash"]
    assert one.to_dict()["assumptions"]["own_strategies"]


def test_the_closure_is_part_of_the_rule():
    def made(share):
        class Shares(ta.Strategy):
            def decide(self, now, book):
                if book.flat:
                    return ta.buy(size=share)

        return Shares

    assert made(0.1)().identity() != made(0.2)().identity()
    quantities = [trade(made(s), DATA, form="always").trades["quantity"][0] for s in (0.1, 0.2)]
    assert quantities[1] == pytest.approx(2 * quantities[0], rel=1e-3)


def test_features_are_aligned_to_the_last_closed_candle():
    class Looks(Breakout):
        def features(self, m5, h1):
            return {
                "hour": h1.close,
                "mixed": m5.close - h1.close,
                "mean": (m5.high + m5.low) / 2,
                "both": (m5.close > h1.close) & (m5.volume > 0) | ~(m5.close == m5.open),
                "upper": m5.close.bollinger(20, 2.0).upper,
                "free": np.asarray(m5.close) * 2,
            }

    frames = frames_of(DATA)
    base, hours = frames["base"], frames["1h"]
    found = Looks().columns(frames)
    assert np.array_equal(found["hour"], hours.on_base(hours.close), equal_nan=True)
    assert np.array_equal(found["mixed"], base.close - hours.on_base(hours.close), equal_nan=True)
    assert np.array_equal(found["mean"], (base.high + base.low) / 2)
    both = (base.close > hours.on_base(hours.close)) | (base.close != base.open)
    assert np.array_equal(found["both"], both.astype(float))
    assert np.isfinite(found["upper"]).sum() == len(base.close) - 19
    assert np.array_equal(found["free"], base.close * 2)


def test_frames_offer_what_they_have():
    seen = {}

    class Asks(Breakout):
        def features(self, m5, h1):
            seen["frame"], seen["column"] = dir(m5), dir(m5.high)
            with pytest.raises(ta.RuleError, match="a column of h1 meets one of m15"):
                h1.close + type(m5)("m15", m5._frame).close
            return {"x": m5.close}

    Asks().columns(frames_of(DATA))
    assert {"close", "atr", "bollinger"} <= set(seen["frame"])
    assert {"ema", "shift"} <= set(seen["column"])
    assert "atr" not in seen["column"]


def test_trading_starts_when_every_feature_is_known():
    run = trade(Breakout(lookback=300), DATA, form="never")
    assert run.raw.first == 300


AROUND = """
import types
import functools
import sys
import numpy as np
import pandas as pd
import traderagent as ta
from typing import ClassVar
{around}

class FromCell(ta.Strategy):
    share: ClassVar[float] = {attribute}

    def features(self, m5):
        return {{"mark": m5.close * {mark}}}

    def decide(self, now, book):
        if book.flat:
            return [ta.buy(size=0.1 * {size}, limit=now.mark, tag="in") for k in range(1)]
        if book.candles_held > 3:
            return ta.close()
"""
# What stands around the class, how the rule, its features or the class speak of it, and what changes it.
TAKEN = {
    "a number in a loop": ("K = 1.0", "size", "K", "K = 0.5"),
    "an attribute of a class": ("class P:\n    K = 1.0", "size", "P.K", "P.K = 0.5"),
    "an attribute of an object": ("P = types.SimpleNamespace(K=1.0)", "size", "P.K", "P.K = 0.5"),
    "an attribute of a module": ("P = types.ModuleType('p')\nP.K = 1.0", "size", "P.K", "P.K = 0.5"),
    "an attribute of the class itself": ("", "size", "self.share", "FromCell.share = 0.5"),
    "an array": ("K = np.array([1.0])", "mark", "K[0]", "K[0] = 0.999"),
    "a table": ("K = pd.Series([1.0])", "mark", "K[0]", "K = pd.Series([0.999])"),
    "what lies in a dict": ("K = {'a': [1.0]}", "mark", "K['a'][0]", "K['a'][0] = 0.999"),
    "what a function calls": ("def g(x):\n    return x\ndef f(x):\n    return g(x)", "mark", "f(1)", "g = np.sin"),
    "what a function names": (
        "def f(x):\n    return np.exp(-x)",
        "mark",
        "f(0.001)",
        "def f(x):\n    return np.cos(x)",
    ),
    "a cached function": (
        "K = 1.0\n@functools.cache\ndef f(x):\n    return K",
        "mark",
        "f(1)",
        "K = 0.9\nf.cache_clear()",
    ),
    "a default that is given by name": (
        "def f(*, k=1.0):\n    return k",
        "mark",
        "f()",
        "f.__kwdefaults__ = {'k': 0.9}",
    ),
    "a default that is a table": (
        "def f(k=np.ones(2000)):\n    return k[1000]",
        "mark",
        "f()",
        "f.__defaults__[0][1000] = 0.9",
    ),
    "what a function imports": (
        "P = types.ModuleType('planted')\nP.K = 1.0\nsys.modules['planted'] = P\n"
        "def f():\n    from planted import K\n    return K",
        "mark",
        "f()",
        "P.K = 0.9",
    ),
    "other candles": ("", "mark", "(1.0 if float(MARKET.candles.close.iloc[0]) == FIRST else 0.99)", "MARKET = OTHER"),
}


@pytest.mark.parametrize("taken", TAKEN)
def test_what_a_rule_takes_from_around_it_is_taken_anew(taken):
    """A number changed in another cell changes the next run, compiled or with features that were kept."""
    around, place, word, change = TAKEN[taken]
    text = AROUND.format(**{"size": 1.0, "mark": 1.0, "attribute": 1.0} | {"around": around, place: word})
    other = generated(6, 600)
    space = {"__name__": "__main__", "MARKET": DATA, "OTHER": other, "FIRST": float(DATA.candles.close.iloc[0])}
    seen = []
    for number, source in enumerate((text, change)):
        name = f"<cell {taken} {number}>"
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        exec(compile(source, name, "exec"), space)
        cls = space["FromCell"]
        seen.append((cls().identity(), trade(cls, DATA)))
    (first, before), (second, now) = seen
    assert len(before.trades) > 3
    assert first != second
    assert not now.trades.equals(before.trades)
    assert now.trades.equals(trade(cls, DATA.replace(notes=["nothing kept"]), form="never").trades)


def test_a_class_attribute_worked_out_from_a_number_is_part_of_the_rule():
    """The same cell run again after another cell has changed the number: the class's text is the same."""
    identities = set()
    for level in (1.0, 0.5):
        text = AROUND.format(around="", attribute="LEVEL", mark=1.0, size="self.share")
        linecache.cache["<cell worked out>"] = (len(text), None, text.splitlines(keepends=True), "<cell worked out>")
        space = {"__name__": "__main__", "LEVEL": level}
        exec(compile(text, "<cell worked out>", "exec"), space)
        identities.add(space["FromCell"]().identity())
    assert len(identities) == 2


@pytest.mark.parametrize("name", ["close", "flat", "share", "mark", "buy"])
def test_a_number_with_the_name_of_an_attribute_is_none_of_the_rules(name):
    """`now.close`, `book.flat` and `ta.buy` speak of no number that another cell happens to call so."""
    text, cell = AROUND.format(around="", attribute=1.0, mark=1.0, size="self.share"), f"<cell beside {name}>"
    linecache.cache[cell] = (len(text), None, text.splitlines(keepends=True), cell)
    identities = set()
    for beside in ({}, {name: 1.0}, {name: 2.0}):
        space = {"__name__": "__main__", **beside}
        exec(compile(text, cell, "exec"), space)
        identities.add(space["FromCell"]().identity())
    assert len(identities) == 1


def test_an_identity_is_the_same_in_another_process():
    """No addresses: of the code of a loop inside a helper, of an object."""
    program = (
        "import linecache, sys\n"
        "text = sys.argv[1]\n"
        "linecache.cache['<cell>'] = (len(text), None, text.splitlines(keepends=True), '<cell>')\n"
        "space = {'__name__': '__main__'}\n"
        "exec(compile(text, '<cell>', 'exec'), space)\n"
        "print(space['FromCell']().identity())\n"
    )
    around = "class P:\n    pass\nP.p, P.q = P(), {'b', 'a', 'c'}\ndef f(x):\n    return sum([x for _ in range(1)])"
    text = AROUND.format(around=around, attribute=1.0, mark="f(0) * len(P.q) * (P.p is not None)", size=1.0)
    found = {
        subprocess.run([sys.executable, "-c", program, text], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(found) == 1


def test_a_rule_whose_methods_stand_elsewhere_is_not_its_parent(tmp_path, monkeypatch):
    """Functions of another module, and a class made by `type`, whose module is another one as well."""
    (tmp_path / "elsewhere.py").write_text(
        "def never(self, now, book):\n    return None\n\n\ndef other(self, m5):\n    return {'x': m5.close.ema(50)}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    elsewhere = importlib.import_module("elsewhere")
    parent = from_cell(9)
    traded = len(trade(parent, DATA).trades)
    children = [
        type(parent)("FromCell", (parent,), {"decide": elsewhere.never, "__module__": parent.__module__}),
        type(parent)("FromCell", (parent,), {"decide": elsewhere.never}),
    ]
    assert traded > 0
    for child in children:
        assert child().identity() != parent().identity()
        assert len(trade(child, DATA).trades) == 0
    changed = type(parent)("FromCell", (parent,), {"features": elsewhere.other, "__module__": parent.__module__})
    assert changed().identity() != parent().identity()
