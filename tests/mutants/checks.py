"""What a mutant has to get through: generated runs against their twin, then the tests worked out by hand.

Everything that no mutant changes is made once: markets, plans, features, the twin's runs, and what the kernels
themselves leave where no mutant is chosen. A run that leaves the very same bytes needs no comparison with the twin.
"""

from __future__ import annotations

import hashlib
import inspect
import itertools
import pickle
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from tests.account.twin import PortfolioCase, package_config
from tests.account.twin import differences as shared_differences
from tests.engine.generated import Case, cases
from tests.engine.generated_own import own_cases
from tests.engine.own_twin import own_layout, own_twin
from tests.engine.test_twin import over_generated
from tests.engine.trips import broken_trips
from tests.engine.twin import COUNTS, differences, layout_of, metric_differences, skipping_differences
from tests.reference import Result
from tests.reference import run as reference_run
from traderagent.account.run import AccountRaw, simulate_account
from traderagent.engine.backtest import execute
from traderagent.engine.plan import Plan
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.engine.run import Raw, Setup, setup_of, simulate

KINDS = ("grid", "dca", "trend_follower", "together", "smc", "own")
# What the comparison with the twin reads of a run's records, beside the whole ledger.
READ = {
    "fills": "row book side reason price quantity fee order cycle",
    "round_trips": "book side kind reason entry_row exit_row cycle quantity entry_price exit_price fees funding net",
    "account": "cash fees turnover funding insurance halted halt_row daily_blocks last_hour sum_r sum_r2 sum_down2 "
    "exposure_sum last_day sum_d sum_d2 max_drawdown deployed_sum max_deployed worst_floating deployed inventory cost "
    "deployed_from n_candles rejections peak n_fills n_round_trips",
    "books": "quantity cost realised fees margin funding insurance gross_profit gross_loss cycle_net turnover "
    "round_trips winning losing completed_cycles entries capped skipped_partials ambiguous_fills cut_orders n_fills "
    "cells_laid cells_seen n_shifts liquidations n_cells",
}


@dataclass
class Check:
    """Says what is wrong with the present kernels, nothing where nothing is."""

    name: str
    run: Callable[[], list[str]]


def drawn(kind: str, account: str, n: int) -> list[Case]:
    """The first n generated cases, the same in every process."""
    found: list[Case] = []
    over_generated(own_cases(account) if kind == "own" else cases(kind, account), n, found.append)
    return found[:n]


def telling(kind: str, account: str, pool: int, n: int) -> list[Case]:
    """At most n of a pool of generated cases, chosen one by one by how much happens in them that did not before."""
    left = {k: (case, events(case)) for k, case in enumerate(drawn(kind, account, pool))}
    seen: Counter = Counter()
    found: list[Case] = []
    while left and len(found) < n:
        best = max(left, key=lambda k: (sum(seen[event] < 2 for event in left[k][1]), -k))
        case, happened = left.pop(best)
        if all(seen[event] >= 2 for event in happened):
            break
        seen.update(happened)
        found.append(case)
    return found


def events(case: Case) -> set[tuple]:
    """What happens in a run of the kernels: fills by reason and place, refusals and counts, each by path model."""
    result = execute(prepared(case))
    trades, path = result.trades, case.settings["path"]
    at_open = trades["price"].to_numpy() == np.array(case.candles["open"])[trades["row"]]
    found = {*zip(trades["reason"], trades["side"], at_open, strict=True)}
    found |= {(name,) for name in COUNTS if getattr(result, name)} | {(name,) for name in result.rejections}
    sides = {(trip,) for trip in result.round_trips["side"]}
    return {(*what, path) for what in found | sides}


def prepared(case: Case) -> Plan:
    """What the kernels are given."""
    if "own" in case.settings["strategies"]:
        return own_layout(case)
    return layout_of(case.candles, case.route, case.warmup, case.run_settings)


def twin_of(case: Case) -> Result:
    """The twin's run."""
    if "own" in case.settings["strategies"]:
        return own_twin(case)
    return reference_run(case.candles, route=case.route, warmup=case.warmup, **case.run_settings)


def read(raw: Raw, *records: str) -> list[bytes]:
    """Fields that are compared, of records of a run."""
    return [np.ascontiguousarray(getattr(raw, r)[name]).tobytes() for r in records for name in READ[r].split()]


def visible(raw: Raw) -> bytes:
    """All that is compared of a run, in a few bytes."""
    seen = [cells["seen"][:n].tobytes() for cells, n in zip(raw.cells, raw.books["n_cells"], strict=True)]
    return hashlib.blake2b(b"".join([raw.ledger.tobytes(), *seen, *read(raw, *READ)]), digest_size=16).digest()


def work_of(raw: Raw) -> np.ndarray:
    """What a run has cost: candles walked, and how often each book's rule was called."""
    return np.array([raw.account["n_events"], *raw.books["n_told"]])


class Generated:
    """One generated case with its twin's run, made once."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.layout = made = prepared(case)
        self.setup: Setup = setup_of(
            made.data, made.config, made.strategies, made.mask, made.size_factor, made.regime, made.first
        )
        self.twin = zlib.compress(pickle.dumps(twin_of(case)), 1)
        raws = [*self.raws()]
        self.expected = [visible(raw) for raw in raws]
        self.work = work_of(raws[0])
        self.found = self.compared(*raws)  # nothing, or the kernels are not the twin even without a mutant

    def raws(self) -> Iterator[Raw]:
        """Skipping candles, asking at every one, and keeping no record of it."""
        for options in ({}, {"every_candle": True}, {"record": False}):
            yield simulate(self.setup, self.layout.config, self.layout.strategies, **options)

    def check(self) -> list[str]:
        if self.found:
            return self.found
        raws = [*self.raws()]
        if (work_of(raws[0]) > self.work).any():
            return ["more candles are walked, or rules asked, than without it: something fires too early"]
        same = [visible(raw) for raw in raws] == self.expected
        skipping, plodding, _ = raws
        same = same and skipping.fills.tobytes() == plodding.fills.tobytes()
        same = same and skipping.round_trips.tobytes() == plodding.round_trips.tobytes()
        return [] if same else self.compared(*raws)

    def compared(self, skipping: Raw, plodding: Raw, unrecorded: Raw) -> list[str]:
        """The same comparison as in the tests of the twin."""
        twin = pickle.loads(zlib.decompress(self.twin))
        ours = OrchestratorBacktestResult(self.layout, skipping)
        found = broken_trips(ours) or differences(ours, twin)
        found = found or skipping_differences(ours, OrchestratorBacktestResult(self.layout, plodding))
        if self.case.settings["taker"] > 0.0:  # else a round trip may earn nothing but the sign of its rounding
            found = found or metric_differences(ours, twin, self.case.candles)
        same = read(unrecorded, "account", "books") == read(skipping, "account", "books")
        return found or ([] if same else ["keeping no record changes sums"])


class Shared:
    """One generated case of several symbols on one account, with its twin's run."""

    def __init__(self, account: str, seed: int, own: bool) -> None:
        case = PortfolioCase(seed, 700 if own else 1_100, account, own)
        self.config, self.roster = package_config(case.config), case.roster()
        self.twin = zlib.compress(pickle.dumps(case.twin()), 1)
        raws = [*self.raws()]
        self.expected = [visible_on_account(raw) for raw in raws]
        self.work = [work_of(pair) for pair in raws[0].pairs]
        self.found = [] if len({*self.expected}) == 1 else ["skipping is not asking at every candle"]
        self.found += self.compared(raws[0])

    def raws(self) -> Iterator[AccountRaw]:
        """Leaving symbols alone, and asking at every candle."""
        for every_candle in (False, True):
            yield simulate_account(self.roster, self.config, every_candle=every_candle)

    def check(self) -> list[str]:
        if self.found:
            return self.found
        raws = [*self.raws()]
        if any((work_of(pair) > before).any() for pair, before in zip(raws[0].pairs, self.work, strict=True)):
            return ["more candles are walked, or rules asked, than without it: something fires too early"]
        if [visible_on_account(raw) for raw in raws] == self.expected:
            return []
        return self.compared(raws[0]) or self.compared(raws[1])

    def compared(self, raw: AccountRaw) -> list[str]:
        """The same comparison as in the tests of the twin."""
        return shared_differences(self.roster, raw, pickle.loads(zlib.decompress(self.twin)))


def visible_on_account(raw: AccountRaw) -> bytes:
    """All that is compared of a run of several symbols, in a few bytes."""
    own = [array.tobytes() for array in (raw.curves, raw.committed, raw.refusals, raw.unknown)]
    return hashlib.blake2b(b"".join([*own, *map(visible, raw.pairs)]), digest_size=16).digest()


def by_hand(module: str) -> Iterator[Check]:
    """The tests of a module, one check for each of their parametrised cases."""
    for name, test in [*vars(import_module(module)).items()]:
        if not (name.startswith("test_") and inspect.isfunction(test)):
            continue
        marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
        for chosen in itertools.product(*(arguments_of(mark) for mark in marks)):
            arguments = {key: value for part in chosen for key, value in part.items()}
            if set(inspect.signature(test).parameters) - set(arguments):
                break  # it asks for a fixture
            yield Check(f"{module}.{name}", passing(test, arguments))


def arguments_of(mark: object) -> list[dict]:
    """The arguments that one parametrize mark gives, case by case."""
    names, values = mark.args[0], mark.args[1]
    names = [n.strip() for n in names.split(",")] if isinstance(names, str) else list(names)
    values = [getattr(v, "values", v) if hasattr(v, "marks") else ((v,) if len(names) == 1 else v) for v in values]
    return [dict(zip(names, given, strict=True)) for given in values]


def passing(test: Callable, arguments: dict) -> Callable[[], list[str]]:
    def run() -> list[str]:
        test(**arguments)  # raises where it fails
        return []

    return run
