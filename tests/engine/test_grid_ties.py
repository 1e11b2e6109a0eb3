"""Exits of a ladder that round to one price: the order placed earlier fills first."""

import pytest

from tests.engine.test_grid_facts import FREE, OPEN_GATE, trade
from tests.reference.markets import candles_through

SHORT = {
    "direction": "short",
    "lower_price": 200.0,
    "upper_price": 203.0,
    "num_levels": 4,
    "profit_per_grid": 0.005,  # sold at 200 and 201, both are bought back at 199, a tick of 1 below 199.995
    "amount_per_grid": 1_000.0,
    "initial_inventory": "none",
    "trailing_enabled": False,
}
SOLD = {200: 5.0, 201: 4.975, 202: 4.95, 203: 4.926}  # by price, and how much of it


@pytest.mark.parametrize(
    ("turns", "sold", "bought"),
    [
        ([201.5, 198.5], [200, 201], [(199, 200), (199, 201)]),
        ([204.0, 198.5], [200, 201, 202, 203], [(201, 203), (200, 202), (199, 200), (199, 201)]),
        ([203.5, 199.5, 203.5, 198.5], [200, 201, 202, 203], [(201, 203), (200, 202)]),
    ],
)
def test_the_exit_placed_earlier_fills_first(turns, sold, bought):
    path = candles_through([199.5, 199.5, *turns, *turns])
    result = trade(path, SHORT, **FREE, **OPEN_GATE, account="perpetual", tick=1.0)
    fills = list(zip(result.trades["price"], result.trades["quantity"].round(3), strict=True))
    expected = [(float(p), SOLD[p]) for p in sold] + [(float(p), SOLD[of]) for p, of in bought]
    assert fills[: len(expected)] == expected
    if len(sold) == len(bought):
        assert fills[len(expected) :] == expected
        return
    again = [(202.0, SOLD[202]), (203.0, SOLD[203]), *expected[4:], (199.0, SOLD[200]), (199.0, SOLD[201])]
    assert fills[len(expected) : len(expected) + 6] == again
