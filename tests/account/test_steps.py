"""The small sums and queues of the common loop, against the plain way to say them."""

from __future__ import annotations

import numpy as np
import pytest

import traderagent as ta
from traderagent.account.loop import gross_at, line_up, value_at
from traderagent.account.pairs import layouts_of
from traderagent.account.run import roster_of, simulate_account
from traderagent.base.kernel import kernel

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 16, 45)


@kernel
def sums(quantity, price):
    n = len(quantity)
    return value_at(quantity.ctypes.data, price.ctypes.data, n), gross_at(quantity.ctypes.data, price.ctypes.data, n)


@kernel
def queue_of(is_met, n, turn, room):
    queue, n_queue = line_up(n, turn, is_met.ctypes.data, room.ctypes.data)
    return (queue - room.ctypes.data) // 8, n_queue


@pytest.mark.parametrize("n", SIZES)
def test_the_value_of_what_is_held(n):
    rng = np.random.default_rng(n)
    quantity, price = rng.normal(size=n), rng.uniform(1.0, 2.0, n)
    assert sums(quantity, price) == pytest.approx((quantity @ price, np.abs(quantity) @ price), rel=1e-12)


@pytest.mark.parametrize("n", SIZES)
def test_whoever_is_met_comes_once_and_in_the_turn(n):
    rng = np.random.default_rng(n)
    for _ in range(200):
        is_met = np.zeros(n + 8, np.bool_)
        is_met[:n] = rng.random(n) < rng.choice([0.0, 0.05, 0.5, 1.0])
        turn, room = int(rng.integers(n)), np.full(2 * n + 8, -1)
        start, n_queue = queue_of(is_met, n, turn, room)
        expected = [s % n for s in range(turn, turn + n) if is_met[s % n]]
        assert room[start : start + n_queue].tolist() == expected


def test_a_run_from_copied_records_is_the_run_that_is_recorded():
    market = ta.load_market("synthetic", symbols=3, days=60, seed=3, progress=False)
    config = ta.PortfolioBacktestConfig(initial_capital=30_000.0)
    layouts, _ = layouts_of(dict(market), config, (), {}, None, 2, False)
    roster = roster_of(layouts["whole"], config)
    raws = [simulate_account(roster, config, record=record) for record in (True, False, False)]
    assert raws[0].pairs[0].account["n_fills"] > 0
    for name in ("cash", "inventory", "max_drawdown", "sum_r2", "deployed_sum"):
        assert len({float(raw.account[name]) for raw in raws}) == 1
    for raw in raws[1:]:
        for ours, theirs in zip(raw.pairs, raws[0].pairs, strict=True):
            assert ours.account["rejections"].tolist() == theirs.account["rejections"].tolist()
            assert ours.books["realised"].tolist() == theirs.books["realised"].tolist()
