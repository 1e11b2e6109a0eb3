"""Many parameter sets as records that are made once and serve every symbol.

A trial's memory does not depend on the number of candles. What depends on the symbol is in `lane`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from traderagent.base.errors import ConfigError
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.records import ACCOUNT, PAIR
from traderagent.engine.run import blank_books, new_account, new_pair, set_up_book, sides_of
from traderagent.market.instruments import Instrument
from traderagent.strategies.base import Rule, Strategy
from traderagent.strategies.contract import BOOK


@dataclass(frozen=True)
class Trial:
    """One parameter set.

    Attributes
    ----------
    config : of the run; members : all its strategies in the order of their decisions; own : the own ones among them
    """

    config: OrchestratorBacktestConfig
    members: tuple[Strategy, ...]
    own: tuple[Strategy, ...] = ()


@dataclass
class Trials:
    """Records of many trials, before they run; what depends on a symbol is filled in by its `Lane`.

    Attributes
    ----------
    trials : (n,) all with the same strategies, path and warm-up; first : row of the first decision
    sets : per strategy its distinct parameter sets; set_of : (n, n_strategies) int64, which of them a trial uses
    sides : position of the strategy and side of each book
    """

    trials: list[Trial]
    sets: list[list[Strategy]]
    set_of: np.ndarray
    accounts: np.ndarray
    pairs: np.ndarray
    books: np.ndarray
    first: int
    sides: list[tuple[int, float]]

    @property
    def n_cells(self) -> int:
        """Most cells that a book of theirs places."""
        return max((s.n_cells() for sets in self.sets for s in sets), default=0) + 1


def trials_of(trials: Sequence[Trial], first: int) -> Trials:
    """Set up the records of trials that differ in parameters only.

    Raises
    ------
    ConfigError
        Where two trials have other books.
    """
    sets, set_of = _distinct(trials)
    sides = sides_of([of[0] for of in sets])
    configs = [trial.config for trial in trials]
    if any(config.path != configs[0].path for config in configs) or any(
        strategy.sides() != of[0].sides() for of in sets for strategy in of
    ):
        raise ConfigError("space: trials with other books or another path are no cube; sweep them one by one")
    accounts, pairs = np.zeros(len(trials), ACCOUNT), np.zeros(len(trials), PAIR)
    books = np.zeros((len(trials), len(sides)), BOOK)
    for t, config in enumerate(configs):
        accounts[t] = new_account(config)[0]
        pairs[t] = new_pair(config, Instrument(), books[t])[0]
    for b, (s, _) in enumerate(sides):
        blank = blank_books(len(sets[s]))
        for k, strategy in enumerate(sets[s]):
            rule = Rule(0) if strategy.is_own() else strategy.rule(())
            set_up_book(blank[k], b, sides, strategy, rule, first)
        books[:, b] = blank[set_of[:, s]]
    pairs["own"] = books["everywhere"].any(axis=1)
    return Trials(list(trials), sets, set_of, accounts, pairs, books, first, sides)


def _distinct(trials: Sequence[Trial]) -> tuple[list[list[Strategy]], np.ndarray]:
    """Per strategy its distinct parameter sets, and which of them each trial uses."""
    sets: list[list[Strategy]] = []
    rows = []
    for of in zip(*(trial.members for trial in trials), strict=True):
        places: dict[tuple, int] = {}
        distinct: list[Strategy] = []
        row = []
        for strategy in of:
            key = tuple(map(repr, strategy.__dict__.values()))
            if key not in places:
                places[key] = len(distinct)
                distinct.append(strategy)
            row.append(places[key])
        sets.append(distinct)
        rows.append(row)
    return sets, np.array(rows, np.int64).T
