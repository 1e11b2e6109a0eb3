"""Own strategies against the plain-Python twin: a rule that uses every verb, alone and beside grid and dca."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.engine.generated import MANY, RARE_FROM, Case
from tests.engine.generated_own import own_cases
from tests.engine.own_twin import own_compared
from tests.engine.test_twin import over_generated, reached_by

FEW = 15
FILLS = {"buy", "more", "rung", "small", "again", "turn", "stop", "target", "trailing", "at open", "ambiguous_fills"}
REFUSALS = {"no min_notional", "no risk_position", "no risk_daily", "daily_blocks"}
BESIDE = {"initial", "sell", "base"}  # safety orders are too rare here: the dca's own runs ask for them
RARE = {"late", "end", "portfolio_stop", "risk_halted", "deactivated", "cut_orders"}
MUST = {"spot": FILLS | REFUSALS | {"no cash"}, "perpetual": FILLS | REFUSALS | {"no margin", "liquidation", "short"}}


def hold_to_twin(account: str, n: int, must: set[str]) -> None:
    reached: Counter = Counter()

    def check(case: Case) -> None:
        found, twin = own_compared(case)
        assert found == []
        reached.update(reached_by(twin, case.candles), markets=1)

    over_generated(own_cases(account), n, check)
    print(f"\nown, {account}, {n} markets:", dict(sorted(reached.items())))
    assert reached["markets"] >= n
    assert sorted(name for name in must if not reached[name]) == []


@pytest.mark.parametrize("account", ["spot", "perpetual"])
def test_an_own_rule_is_the_twins(account: str) -> None:
    hold_to_twin(account, FEW, MUST[account])


@pytest.mark.slow
@pytest.mark.parametrize("account", ["spot", "perpetual"])
def test_an_own_rule_is_the_twins_on_many_markets(account: str) -> None:
    hold_to_twin(account, MANY, MUST[account] | BESIDE | (RARE if MANY >= RARE_FROM else set()))
