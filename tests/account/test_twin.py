"""The common loop against its twin on generated markets of two to four symbols, with scarce cash and tight limits."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.account.twin import PortfolioCase, differences
from tests.engine import generated

FEW, MANY = 25, generated.MANY // 4


def compared(account: str, seeds: range, own: bool = False) -> Counter:
    """Run the seeds, assert that nothing differs, and count what happened in them."""
    happened: Counter = Counter()
    for seed in seeds:
        case = PortfolioCase(seed, 700 if own else 1_100, account, own)
        twin = case.twin()
        roster, raw = case.kernel()
        assert differences(roster, raw, twin) == [], f"seed {seed}"
        happened.update(twin.rejections)
        happened["fills"] += len(twin.fills)
        happened["halts"] += len(twin.halts)
        happened["resumed"] += sum(halt["resumed"] is not None for halt in twin.halts)
        happened["rebalances"] += len(twin.rebalances)
        happened["unknown"] += sum(twin.correlation_unknown.values())
    return happened


@pytest.mark.parametrize("account", ["spot", "perpetual"])
def test_the_loop_and_its_twin_are_the_same_run(account: str) -> None:
    happened = compared(account, range(FEW))
    limits = {"risk_pair", "risk_exposure", "risk_daily", "unknown", "halts", "rebalances"}
    for what in limits | ({"cash", "correlation"} if account == "spot" else {"margin"}):
        assert happened[what] > 0, f"{what} never happened: the comparison says nothing of it"
    assert happened["fills"] > 3_000


@pytest.mark.parametrize("account", ["spot", "perpetual"])
def test_own_strategies_on_one_account_are_the_twins(account: str) -> None:
    happened = compared(account, range(3), own=True)
    for what in ("risk_pair", "risk_position", "min_notional", *(["cash"] if account == "spot" else [])):
        assert happened[what] > 0, f"{what} never happened: the comparison says nothing of it"
    assert happened["fills"] > 500


@pytest.mark.slow
@pytest.mark.parametrize("account", ["spot", "perpetual"])
def test_own_strategies_on_one_account_are_the_twins_on_many_markets(account: str) -> None:
    assert compared(account, range(3, MANY), own=True)["halts"] > 5


@pytest.mark.slow
@pytest.mark.parametrize("account", ["spot", "perpetual"])
def test_the_loop_and_its_twin_are_the_same_run_on_many_markets(account: str) -> None:
    happened = compared(account, range(FEW, FEW + MANY))
    assert happened["resumed"] > 5


@pytest.mark.parametrize("seed", range(30, 36))
def test_leaving_symbols_alone_is_asking_them_at_every_candle(seed: int) -> None:
    case = PortfolioCase(seed)
    _, skipping = case.kernel()
    _, plodding = case.kernel(every_candle=True)
    assert skipping.curves.tobytes() == plodding.curves.tobytes()
    assert skipping.committed.tobytes() == plodding.committed.tobytes()
    for ours, theirs in zip(skipping.pairs, plodding.pairs, strict=True):
        assert ours.fills.tobytes() == theirs.fills.tobytes()
        assert ours.round_trips.tobytes() == theirs.round_trips.tobytes()
        assert ours.ledger.tobytes() == theirs.ledger.tobytes()
    walked = [sum(int(p.account["n_events"]) for p in raw.pairs) for raw in (skipping, plodding)]
    assert walked[0] < walked[1]


def test_what_rests_again_without_asking_counts_for_the_next_who_asks():
    """Of this seed's market: a deal's safety orders come back with the day, and leave no room for another symbol's."""
    assert compared("spot", range(31_035, 31_036))["risk_exposure"] > 0


# Candles on which something of a symbol was looked at, one number a seed. A smaller one is better: write it here.
WALKED = {"spot": [1676, 761, 363, 32, 2084, 1139], "perpetual": [1304, 142, 2010, 218, 1526, 1245]}


@pytest.mark.parametrize("account", WALKED)
def test_no_more_candles_are_walked_than_before(account: str) -> None:
    runs = [PortfolioCase(seed, 1_100, account).kernel()[1] for seed in range(30, 36)]
    assert [sum(int(p.account["n_events"]) for p in raw.pairs) for raw in runs] == WALKED[account]
