"""The small sums and queues of the common loop, against the plain way to say them."""

from __future__ import annotations

import numpy as np
import pytest

import traderagent as ta
from traderagent.account.loop import gross_at, line_up
from traderagent.account.pairs import layouts_of
from traderagent.account.run import roster_of, simulate_account
from traderagent.base.kernel import dot, kernel

SIZES = (1, 2, 5, 8, 9, 45, 63, 64, 65, 128, 130)


@kernel
def sums(quantity, price):
    n = len(quantity)
    return dot(quantity.ctypes.data, price.ctypes.data, n), gross_at(quantity.ctypes.data, price.ctypes.data, n)


@kernel
def queue_of(bits, turn, room):
    return line_up(bits.ctypes.data, len(bits), turn, room.ctypes.data)


@pytest.mark.parametrize("n", [8, 16, 48])
def test_the_value_of_what_is_held(n):
    rng = np.random.default_rng(n)
    quantity, price = rng.normal(size=n), rng.uniform(1.0, 2.0, n)
    assert sums(quantity, price) == pytest.approx((quantity @ price, np.abs(quantity) @ price), rel=1e-12)


@pytest.mark.parametrize("n", SIZES)
def test_whoever_is_met_comes_once_and_in_the_turn(n):
    rng = np.random.default_rng(n)
    for _ in range(200):
        is_met = rng.random(n) < rng.choice([0.0, 0.05, 0.5, 1.0])
        bits = np.packbits(np.pad(is_met, (0, -n % 64)), bitorder="little").view(np.int64)
        turn, room = int(rng.integers(n)), np.full(n, -1)
        n_queue = queue_of(bits, turn, room)
        assert room[:n_queue].tolist() == [s % n for s in range(turn, turn + n) if is_met[s % n]]


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
