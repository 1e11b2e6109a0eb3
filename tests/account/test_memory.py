"""Records of all symbols in one memory: a copy has its own, and a run leaves what it was copied from as it was."""

import numpy as np
import pytest

import traderagent as ta
from traderagent.account import run as account_run
from traderagent.account.memory import Memory
from traderagent.account.pairs import layouts_of
from traderagent.account.run import Roster, roster_of, simulate_account

CONFIG = ta.PortfolioBacktestConfig(initial_capital=50_000.0)


@pytest.fixture(scope="module")
def roster() -> Roster:
    market = ta.load_market("synthetic", symbols=3, days=20, seed=3, progress=False)
    return roster_of(layouts_of(dict(market), CONFIG, (), {}, None, 2, False)[0]["whole"], CONFIG)


def lies_in(addresses: np.ndarray, memory: Memory) -> bool:
    first = memory.room.ctypes.data
    return bool(((addresses >= first) & (addresses < first + len(memory.room))).all())


def test_a_copy_points_at_its_own_records(roster):
    blank = roster.blank
    one, other = blank.copy(), blank.copy()
    for memory in (blank, one, other):
        assert memory.room.ctypes.data % 64 == 0
        assert lies_in(memory.pairs["books"], memory)
        assert lies_in(memory.books["cells"], memory)
        assert lies_in(memory.books["exits"], memory)
        for s, made in enumerate(memory.passes()):
            assert made.books.ctypes.data == memory.pairs["books"][s]
            assert [of.ctypes.data for of in made.cells] == made.books["cells"].tolist()
            assert [of.ctypes.data for of in made.exits] == made.books["exits"].tolist()
            assert [len(of) for of in made.exits] == made.books["exits_capacity"].tolist()


def test_a_run_leaves_the_records_it_was_copied_from(roster):
    before = roster.blank.room.copy()
    first, again = (simulate_account(roster, CONFIG, record=False) for _ in range(2))
    recorded = simulate_account(roster, CONFIG)
    np.testing.assert_array_equal(roster.blank.room, before)
    assert sum(int(pair.account["n_fills"]) for pair in first.pairs) > 100
    for a, b, c in zip(first.pairs, again.pairs, recorded.pairs, strict=True):
        for name in ("cash", "inventory", "fees", "n_fills"):
            assert a.account[name] == b.account[name] == c.account[name]


class Breaks(ta.Strategy):
    """Buys and sells by turns, and breaks at its twentieth candle."""

    name = "breaks"
    prefix = "breaks_"
    compiled = "never"
    memory = {"asked": 0.0}  # noqa: RUF012

    def decide(self, now, book):
        book.asked += 1
        if book.asked == 20:
            raise ValueError("broken")
        return ta.close() if book.quantity > 0 else ta.buy(size=0.1)


def test_what_a_rule_met_is_raised_before_the_run_is_done_once_more(monkeypatch):
    market = ta.load_market("synthetic", symbols=1, days=20, seed=3, progress=False)
    pair = ta.OrchestratorBacktestConfig(warmup_bars=288).only()
    config = ta.PortfolioBacktestConfig(per_pair_config=pair)
    passes, run = [], account_run.run_account
    monkeypatch.setattr(account_run, "CAPACITY", (3, 3, 64))  # its log is too small, too
    monkeypatch.setattr(account_run, "run_account", lambda *given: (passes.append(1), run(*given)))
    with pytest.raises(ta.RuleError, match="broken"):
        ta.portfolio(market, config, strategies=[Breaks()], progress=False)
    assert len(passes) == 1
