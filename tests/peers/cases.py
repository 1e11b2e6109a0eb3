"""Markets, signals and costs on which this engine and its peers must do the same."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from traderagent.indicators import ema

FOLDER = Path(os.environ.get("TRADERAGENT_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "candles"
ROWS = 20_000
COSTS = {
    "free": (0.0, 0.0),
    "fees": (0.001, 0.0),
    "fees and slippage": (0.00055, 0.0003),
    "dear": (0.01, 0.005),
}
MARKETS = [
    "synthetic",
    *(
        pytest.param(
            f"{year} {symbol}",
            marks=pytest.mark.skipif(
                not FOLDER.is_dir(), reason=f"no real candles at {FOLDER}; set TRADERAGENT_SHARED"
            ),
        )
        for year, symbol in (("2022", "BTCUSDT"), ("2024", "PEPEUSDT"))
    ),
]
SIGNALS = ("random 0", "random 1", "rare", "every candle", "ema cross")


@cache
def candles(name):
    """(n, 5) frame; holes stay holes."""
    if name == "synthetic":
        return ta.load_market("synthetic", symbols=1, days=90, seed=3, progress=False)["SYN-01"].candles.iloc[:ROWS]
    year, symbol = name.split()
    return ta.load_market("files", path=FOLDER / year, symbols=[symbol], progress=False)[symbol].candles.iloc[:ROWS]


def signals(kind, frame):
    """Entries and exits, (n,) bool; none at the first candle, which not every peer looks at."""
    n = len(frame)
    if kind == "ema cross":
        close = frame["close"].to_numpy()
        above = ema(close, 20) > ema(close, 60)
        entries, exits = above & ~np.roll(above, 1), ~above & np.roll(above, 1)
    elif kind == "every candle":
        row = np.arange(n)
        entries, exits = (row < 500) & (row % 2 == 1), (row < 500) & (row % 2 == 0)  # costs leave nothing after longer
    else:
        rng = np.random.default_rng(["random 0", "random 1", "rare"].index(kind))
        share = 0.001 if kind == "rare" else 0.05
        entries, exits = rng.random(n) < share, rng.random(n) < share
    entries[0] = exits[0] = False
    return entries, exits


def ours(frame, entries, exits, size, fee, slippage):
    """Fills and equity of this engine: row, side (+1 buy), price, quantity, fee."""
    costs = ta.Costs(maker=fee, taker=fee, slippage=slippage)
    result = ta.backtest_signals(frame, entries, exits, size=size, costs=costs)
    fills = result.trades[["row", "price", "quantity", "fee"]].assign(
        side=np.where(result.trades["side"] == "buy", 1, -1)
    )
    return fills, result.equity.to_numpy()


def assert_same(ours_fills, ours_equity, fills, equity, tolerance=1e-6):
    """The same fills, one by one, and the same equity at every close."""
    assert len(ours_fills) == len(fills)
    for exact in ("row", "side"):
        np.testing.assert_array_equal(ours_fills[exact], fills[exact])
    for close in fills.columns.intersection(["price", "quantity", "fee"]):
        np.testing.assert_allclose(ours_fills[close], fills[close], rtol=tolerance, atol=1e-12, err_msg=close)
    np.testing.assert_allclose(ours_equity, equity, rtol=tolerance)


def worst(ours_fills, ours_equity, fills, equity):
    """Number of fills, largest relative differences of quantity and equity, final equity: one line for the record."""
    off = (ours_fills["quantity"] / fills["quantity"] - 1).abs().max()
    return (
        f"{len(fills)} fills, quantity {off:.1e}, equity {np.abs(ours_equity / equity - 1).max():.1e}, "
        f"final {ours_equity[-1]:.6f}"
    )


def frame_of(**columns):
    """Fills of a peer as a frame in the order of rows."""
    return pd.DataFrame(columns).sort_values("row", kind="stable", ignore_index=True)
