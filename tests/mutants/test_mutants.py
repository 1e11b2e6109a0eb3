"""The transformer and the hunt at the size of a toy: what must die dies, what is the same lives."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.house.sources import ROOT
from tests.mutants.run import SURVIVED, outcome
from tests.mutants.transform import MONEY_CODE, mutated

TOY = '''
LIMIT = 7


@inner_kernel
def spend(account, price, quantity):
    """Pay, unless it is too much."""
    cost = price * quantity
    if cost > LIMIT:
        return False
    account.cash -= cost
    while cost > 0.0:
        cost -= min(cost, 1.0)
    return True


def untouched(a, b):
    return a + b
'''


class Toy:
    """The toy as plain Python, its mutants beside it."""

    def __init__(self) -> None:
        text, self.mutants = mutated(TOY.replace('"""', "'''"), "toy.py")
        self.chosen = ctypes.c_int64(0)
        self.names: dict = {"inner_kernel": lambda f: f, "mutant": lambda: self.chosen.value}
        exec(text.replace("from traderagent.base.mutant import mutant", ""), self.names)

    def number(self, after: str) -> int:
        return next(m.number for m in self.mutants if m.after == after)

    def run(self) -> list[str]:
        found = []
        for price, quantity, left in ((2.0, 3.0, 4.0), (3.5, 2.0, 3.0), (4.0, 2.0, 10.0)):
            account = SimpleNamespace(cash=10.0)
            paid = self.names["spend"](account, price, quantity)
            if account.cash != left or paid != (left < 10.0):
                found.append(f"{price} × {quantity}: {paid}, {account.cash}")
        return found

    def outcome(self, number: int) -> int:
        def choose() -> None:
            self.chosen.value = number

        return outcome([self], [0], choose)


@pytest.fixture(scope="module")
def toy() -> Toy:
    return Toy()


def test_the_copy_without_a_mutant_is_the_original(toy):
    plain: dict = {"inner_kernel": lambda f: f}
    exec(TOY, plain)
    for cost in range(12):
        ours, theirs = SimpleNamespace(cash=10.0), SimpleNamespace(cash=10.0)
        assert toy.names["spend"](ours, cost, 1.0) == plain["spend"](theirs, cost, 1.0)
        assert ours == theirs
    assert toy.outcome(0) == SURVIVED


def test_every_kind_of_change_is_made_and_only_in_kernels(toy):
    assert {m.after for m in toy.mutants} >= {
        "price / quantity",  # arithmetic
        "cost >= LIMIT",  # boundary
        "not cost > LIMIT",  # condition
        "LIMIT + 1",  # constant by name
        "max(cost, 1.0)",  # extreme
        "True",  # answer
        "account.cash += cost",  # sign of a change
        "nothing",  # statement left out
    }
    assert {m.function for m in toy.mutants} == {"spend"}
    assert [m.number for m in toy.mutants] == list(range(1, len(toy.mutants) + 1))


@pytest.mark.parametrize("after", ["price / quantity", "cost >= LIMIT", "not cost > LIMIT", "LIMIT + 1", "nothing"])
def test_a_mutant_that_differs_is_killed(toy, after):
    assert toy.outcome(toy.number(after)) == 0


def test_a_mutant_that_makes_no_difference_survives(toy):
    assert toy.outcome(toy.number("1.0")) == SURVIVED  # one round less of a loop that only waits


def test_an_endless_loop_is_killed(toy, monkeypatch):
    monkeypatch.setattr("tests.mutants.run.SECONDS", 1)
    assert toy.outcome(toy.number("cost += min(cost, 1.0)")) == 0


def test_a_crash_is_killed():
    crashing = SimpleNamespace(run=lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert outcome([crashing], [0], lambda: None) == 0


@pytest.mark.parametrize("name", MONEY_CODE)
def test_the_money_code_has_mutants_and_stays_python(name):
    source = Path(ROOT, "traderagent", "engine", f"{name}.py").read_text(encoding="utf-8")
    text, mutants = mutated(source, f"{name}.py")
    assert len(mutants) > 20
    compile(text, name, "exec")
