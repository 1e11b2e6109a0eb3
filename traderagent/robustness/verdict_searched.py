"""Which searches may have chosen what was run as given, and what the evidence of it says then.

Nobody says by which way a value came into a file of parameters, so the ledger is asked: a search that saw days of a run
may have chosen it where the run has another value than the search began with, at a parameter that the search moved.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from traderagent.account.config import PortfolioBacktestConfig
from traderagent.base.hashing import hash_values
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.research.account_sweep import OF_ACCOUNT
from traderagent.research.ledger_entry import Days, differs, overlaps
from traderagent.research.placement import values_of
from traderagent.robustness.verdict_input import SharpeTest
from traderagent.strategies.base import Strategy

AS_GIVEN, AFTER_SEARCH = "as given", "given after a search"


@dataclass(frozen=True)
class Assumed:
    """What the run of a symbol assumed, and when it traded.

    Attributes
    ----------
    values : of its parameters, by the names that a space has for them
    days : first and last UTC day
    prefixes : of its own strategies
    account : parameters of the account that it shared with others; none where it had one of its own
    """

    values: Mapping[str, Any]
    days: Days
    prefixes: tuple[str, ...] = ()
    account: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_run(cls, config: OrchestratorBacktestConfig, days: Days, members: Sequence[Strategy] = ()) -> "Assumed":
        """Of a run on an account of its own; without `members` of the built-in strategies that its config enables."""
        members = members or config.strategies()
        return cls(values_of(config, members), days, tuple(one.prefix for one in members if one.is_own()))

    @classmethod
    def of_pair(cls, config: PortfolioBacktestConfig, symbol: str, days: Days) -> "Assumed":
        """Of a pair of a shared account, with what is overridden for it."""
        pair = config.of_pair(symbol)
        return cls(values_of(pair, pair.strategies()), days, (), {name: getattr(config, name) for name in OF_ACCOUNT})

    def chosen_by(self, entry: Mapping[str, Any]) -> bool:
        """Whether a search may have chosen it, whatever candles it saw.

        The stop of an account is not that of a run by itself, though both have the same name.
        """
        values = dict(self.values)
        if entry["shared"]:
            values = {name: value for name, value in values.items() if name not in OF_ACCOUNT} | dict(self.account)
        return differs(entry, values, self.prefixes)


def against_searches(
    test: SharpeTest, ledger: Sequence[Mapping[str, Any]], runs: Mapping[str, Assumed], kind: str = ""
) -> dict[str, Any]:
    """The test of what was run held against every search that may have chosen it, as fields of the evidence.

    Parameters
    ----------
    test : of one trial
    ledger : entries of all searches
    runs : symbol → what its run assumed
    kind : of account, in words

    Returns
    -------
    `what` alone where there is no such search; else the test with the effective trials of all of them together, and
    how many points they tried until when. How the trials scattered the ledger does not know: by chance at least
    """
    of = f"{kind}, " if kind else ""
    seen = [(entry, symbol) for entry in ledger for symbol in _searched(entry, runs)]
    if not seen:
        return {"what": of + AS_GIVEN}
    searches = [entry for entry in ledger if any(one is entry for one, _ in seen)]
    days = [entry["candles"][symbol] for entry, symbol in seen]
    trials = math.fsum(entry["n_eff"] for entry in searches)
    return {
        "what": of + AFTER_SEARCH,
        "test": replace(test, trials=trials, trials_variance=1.0 / max(test.days - 1, 1)),
        "n_searched": sum(entry["trials"] for entry in searches),
        "searched_until": "" if None in days else max(last for _, last in days),
        "ledger": hash_values(searches),
    }


def _searched(entry: Mapping[str, Any], runs: Mapping[str, Assumed]) -> list[str]:
    """Symbols whose run a search saw days of and may have chosen."""
    return [symbol for symbol, run in runs.items() if overlaps(entry, symbol, run.days) and run.chosen_by(entry)]
