"""A rule that changes what outlives the candle, reads a clock, rolls dice or opens a file is refused by its source."""

import datetime
import linecache
import os
import random
import time
from collections import deque
from datetime import date
from pathlib import Path
from time import time_ns
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from numpy.random import default_rng

import traderagent as ta
from tests.strategies.own_markets import ALONE, generated, trade
from traderagent.strategies.own.effects import check_effects
from traderagent.strategies.own.source import method

DATA = generated(5, 600)
SEEN: list = []
TABLE = {"rows": [], "n": 0}
RING = deque(maxlen=3)
NAMES = {"a"}
ROWS = np.zeros(4)
RNG = np.random.default_rng(1)
FILE = None


class Counter:
    """Counts its calls."""

    def __init__(self):
        self.n = 0

    def add(self, value):
        self.n += value
        return self.n

    def doubled(self, value):
        return 2 * value


COUNTER = Counter()


def noted(price):
    SEEN.append(price)
    return price


def doubled(price):
    parts = [price]
    parts.append(price)
    return sum(parts)


def counted(values):
    n = 0

    def one():
        nonlocal n
        n += 1

    for _ in values:
        one()
    return n


class Box(dict):
    """A dict whose keys are attributes."""

    __getattr__ = dict.__getitem__


PRICES, DATES = pd.Series([1.0]), pd.Index([1])
HERE, BOX = Path(__file__), Box(doubled=lambda price: 2 * price)


def rule_of(decide, **more):
    return type(ta.Strategy)("Breakout", (ta.Strategy,), {"decide": decide, "__module__": __name__, **more})


def appends(self, now, book):
    SEEN.append(now.close)
    return ta.buy(size=0.1) if len(SEEN) % 7 == 0 and book.flat else None


def appends_inside(self, now, book):
    TABLE["rows"].append(now.close)


def updates(self, now, book):
    TABLE.update(n=now.close)


def pops(self, now, book):
    RING.popleft()


def adds(self, now, book):
    NAMES.add(now.regime)


def sorts(self, now, book):
    ROWS.sort()


def fills(self, now, book):
    ROWS.fill(now.close)


def of_the_class(self, now, book):
    self.kept.append(now.close)


def of_the_class_by_place(self, now, book):
    self.table["n"] = now.close


def by_a_function(self, now, book):
    return ta.buy(size=0.1) if noted(now.close) > 0 and book.flat else None


OUTLIVES = (
    r"outlives the candle; a rule keeps numbers from candle to candle in memory = \{'count': 0\.0\} and book\.count"
)


@pytest.mark.parametrize("form", ["never", "auto"])
@pytest.mark.parametrize(
    ("decide", "words"),
    [
        (appends, rf"^Breakout\.decide changes SEEN by \.append\(…\), which {OUTLIVES} \(line \d+: SEEN\.append"),
        (appends_inside, rf"changes TABLE\['rows'\] by \.append\(…\), which {OUTLIVES}"),
        (updates, rf"changes TABLE by \.update\(…\), which {OUTLIVES}"),
        (pops, rf"changes RING by \.popleft\(…\), which {OUTLIVES}"),
        (adds, rf"changes NAMES by \.add\(…\), which {OUTLIVES}"),
        (sorts, rf"changes ROWS by \.sort\(…\), which {OUTLIVES}"),
        (fills, rf"changes ROWS by \.fill\(…\), which {OUTLIVES}"),
        (of_the_class, rf"changes self\.kept by \.append\(…\), which {OUTLIVES}"),
        (of_the_class_by_place, rf"writes to self\.table, which {OUTLIVES}"),
        (by_a_function, rf"calls noted, which in its line \d+ changes SEEN by \.append\(…\), which {OUTLIVES}"),
    ],
)
def test_what_outlives_the_candle_is_not_changed(form, decide, words):
    class Base(ta.Strategy):
        kept: ClassVar[list] = []
        table: ClassVar[dict] = {}

    cls = type(ta.Strategy)("Breakout", (Base,), {"decide": decide, "__module__": __name__})
    with pytest.raises(ta.RuleError, match=words):
        trade(cls, DATA, form=form)


def draws(self, now, book):
    return ta.buy(size=0.1) if np.random.rand() < 0.1 else None  # noqa: NPY002


def draws_plainly(self, now, book):
    return ta.buy(size=0.1) if random.random() < 0.1 else None


def draws_from_outside(self, now, book):
    return ta.buy(size=0.1) if RNG.normal() < 0.1 else None


def draws_anew(self, now, book):
    return ta.buy(size=0.1) if default_rng().random() < 0.1 else None


def tells_the_time(self, now, book):
    return ta.buy(size=0.1) if time.time_ns() % 2 else None


def tells_the_time_by_name(self, now, book):
    return ta.buy(size=0.1) if time_ns() % 2 else None


def tells_the_day(self, now, book):
    return ta.buy(size=0.1) if datetime.datetime.now().hour > 3 else None  # noqa: DTZ005


def tells_the_date(self, now, book):
    return ta.buy(size=0.1) if date.today().day > 3 else None  # noqa: DTZ011


def tells_the_stamp(self, now, book):
    return ta.buy(size=0.1) if pd.Timestamp.utcnow().hour > 3 else None


def opens(self, now, book):
    open("f", "a").write(str(now.close))  # noqa: SIM115


def asks(self, now, book):
    return ta.buy(size=0.1) if input() == "y" else None


def looks_around(self, now, book):
    return ta.buy(size=0.1) if os.getenv("HOME") else None


def writes(self, now, book):
    FILE.write(str(now.close))


SEED = r"which answers differently each time; draw such numbers in features, from a seed"
CLOCK = r"which is this computer's clock; the time of the candle is now\.time"
REACHES = r"which reaches outside the run; what it needs is read before and given as a parameter or a feature"


@pytest.mark.parametrize(
    ("decide", "words"),
    [
        (draws, rf"^Breakout\.decide calls np\.random\.rand, {SEED}.*\(line \d+: return ta\.buy"),
        (draws_plainly, rf"calls random\.random, {SEED}"),
        (draws_from_outside, rf"calls RNG\.normal, {SEED}"),
        (draws_anew, rf"calls default_rng, {SEED}"),
        (tells_the_time, rf"calls time\.time_ns, {CLOCK}"),
        (tells_the_time_by_name, rf"calls time_ns, {CLOCK}"),
        (tells_the_day, rf"calls datetime\.datetime\.now, {CLOCK}"),
        (tells_the_date, rf"calls date\.today, {CLOCK}"),
        (tells_the_stamp, rf"calls pd\.Timestamp\.utcnow, {CLOCK}"),
        (opens, rf"calls open, {REACHES}"),
        (asks, rf"calls input, {REACHES}"),
        (looks_around, rf"calls os\.getenv, {REACHES}"),
        (writes, rf"calls FILE\.write, {REACHES}"),
    ],
)
def test_dice_clocks_and_files_are_not_asked(monkeypatch, tmp_path, decide, words):
    monkeypatch.chdir(tmp_path)
    with open("f", "w") as file:
        monkeypatch.setitem(globals(), "FILE", file)
        with pytest.raises(ta.RuleError, match=words):
            trade(rule_of(decide), DATA, form="never")


def test_in_a_fill_and_in_a_method_of_its_own():
    def decide(self, now, book):
        return self.order(now) if book.flat else None

    def order(self, now):
        SEEN.append(now.close)
        return ta.buy(size=0.1)

    def plain(self, now):
        return ta.buy(size=0.1)

    def on_fill(self, fill, book):
        SEEN.append(fill.price)

    with pytest.raises(ta.RuleError, match=rf"calls self\.order, which in its line \d+ changes SEEN .*{OUTLIVES}"):
        trade(rule_of(decide, order=order), DATA)
    with pytest.raises(ta.RuleError, match=rf"Breakout\.on_fill changes SEEN .*{OUTLIVES}"):
        trade(rule_of(decide, order=plain, on_fill=on_fill), DATA)
    assert len(trade(rule_of(decide, order=plain), DATA).trades) == 1


def copies(self, now, book):
    seen, part, rows = SEEN[:], TABLE["rows"][-2:], ROWS[ROWS > 3]
    seen.append(now.close)
    part.reverse()
    rows[:] = 1.0
    return ta.buy(size=0.1) if book.flat else None


def adds_columns(self, now, book):
    return ta.buy(size=0.1) if PRICES.add(1.0).iloc[0] > 0 and book.flat and DATES.insert(0, 5)[0] == 5 else None


def counts_inside(self, now, book):
    return ta.buy(size=0.1) if counted([now.close]) == 1 and book.flat else None


def by_a_property(self, now, book):
    levels = self.levels
    levels.append(now.close)
    return ta.buy(size=0.1) if book.flat else None


def of_a_path(self, now, book):
    return ta.buy(size=0.1) if HERE.stem.startswith("test") and BOX["doubled"](1.0) == 2.0 and book.flat else None


@pytest.mark.parametrize("decide", [copies, adds_columns, counts_inside, by_a_property, of_a_path])
def test_what_changes_nothing_outside_is_allowed(decide):
    rule = rule_of(decide, levels=property(lambda self: [1.0]))
    assert len(trade(rule, DATA, form="never").trades) == 1


def test_helpers_that_call_one_another_are_looked_into_once():
    many = {f"f{k}": None for k in range(14)}
    body = " + ".join(f"f{k}(n - 1)" for k in range(14))
    source = "".join(f"def f{k}(n):\n    return n if n < 1 else {body}\n\n" for k in range(14))
    linecache.cache["<helpers>"] = (len(source), None, source.splitlines(keepends=True), "<helpers>")
    exec(compile(source, "<helpers>", "exec"), many)

    def decide(self, now, book):
        return ta.buy(size=0.1) if many["f0"](0) == 0 and helper(0) == 0 and book.flat else None

    helper = many["f0"]
    rule = rule_of(decide)
    check_effects(method(rule, "decide"), rule)  # 14 to the power of 14 where each is looked into at every call


def test_what_stays_inside_is_allowed(capsys):
    def decide(self, now, book):
        orders, seen = [], {}
        orders.append(ta.buy(size=0.1))
        seen.update(n=now.close)
        seen["n"] = doubled(now.close)
        rows = np.sort(np.append(ROWS, now.close))
        rows.sort()
        names = sorted(NAMES)
        names.insert(0, "b")
        when = datetime.datetime.fromtimestamp(now.time / 1000, datetime.UTC)
        if book.flat and when.year > 2000 and COUNTER.doubled(1) == 2 and np.add(1, 1) == 2 and rows[-1] > 0:
            print("buys", max(SEEN, default=0))
            return orders
        return None

    SEEN.clear()
    run = trade(rule_of(decide), DATA)
    assert len(run.trades) == 1
    assert capsys.readouterr().out == "buys 0\n"
    assert ta.backtest(DATA, ALONE, strategies=[rule_of(decide)()]).trades.equals(run.trades)
