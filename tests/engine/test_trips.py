"""Round trips, ids and sums of generated runs, worked out again from their fills."""

from __future__ import annotations

import pytest

from tests.engine.generated import Case, cases
from tests.engine.test_twin import over_generated
from tests.engine.trips import broken_trips
from tests.engine.twin import run_kernel


@pytest.mark.parametrize("account", ["spot", "perpetual"])
@pytest.mark.parametrize("kind", ["grid", "dca", "trend_follower", "smc", "together"])
def test_round_trips_are_their_fills(kind: str, account: str) -> None:
    seen = []

    def check(case: Case) -> None:
        result = run_kernel(case.candles, case.route, case.warmup, case.run_settings)
        assert broken_trips(result) == []
        seen.append(len(result.raw.round_trips))

    over_generated(cases(kind, account), 40, check)
    assert sum(seen) > 40


def test_a_wrong_sum_is_noticed() -> None:
    found: list[Case] = []
    over_generated(cases("grid", "spot"), 3, found.append)
    case = found[0]
    result = run_kernel(case.candles, case.route, case.warmup, case.run_settings)
    result.raw.books["losing"][0] += 1
    assert "losing" in broken_trips(result)[0]
