"""How far a round trip was under water and in profit while it was held."""

import numpy as np

from traderagent.engine.records import KIND_DEAL
from traderagent.engine.run import LEDGER_BOOK, LEDGER_HEAD, Raw
from traderagent.strategies.contract import END


def excursions(raw: Raw, close: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Worst and best close of each round trip, relative to the cost price held at that close.

    Parameters
    ----------
    raw : a recorded run
    close : (n,) float64 closes of its candles

    Returns
    -------
    Two (n_trips,) float64 fractions; 0 for a trip that no close saw.
    """
    trips = raw.round_trips
    worst, best = np.zeros(len(trips)), np.zeros(len(trips))
    for k, trip in enumerate(trips):
        held = slice(trip["entry_row"], trip["exit_row"] + (trip["reason"] == END))
        if held.start == held.stop:
            continue
        gain = trip["side"] * (close[held] / _cost_price(raw, trip, held) - 1)
        worst[k], best[k] = gain.min(), gain.max()
    return worst, best


def _cost_price(raw: Raw, trip: np.void, held: slice) -> np.ndarray | float:
    """A cell's own price; a deal's average as it stood at each close."""
    if trip["kind"] != KIND_DEAL:
        return trip["entry_price"]
    at = len(LEDGER_HEAD) + int(trip["book"]) * len(LEDGER_BOOK)
    quantity, cost = raw.ledger[held, at], raw.ledger[held, at + 1]
    return np.divide(cost, quantity, out=np.full(len(cost), trip["entry_price"]), where=quantity != 0)
