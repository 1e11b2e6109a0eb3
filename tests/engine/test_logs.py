"""Logs of a run: what is full takes no more, and a run that keeps no log sums up the same."""

from __future__ import annotations

import numpy as np

from tests.engine.twin import config_of, data_of
from tests.reference.markets import candles_through
from traderagent.engine.loop import run
from traderagent.engine.plan import plan
from traderagent.engine.records import FILL, ROUND_TRIP
from traderagent.engine.run import new_account, new_books, new_feed, new_pair, setup_of, simulate

SETTINGS = {
    "strategies": {
        "grid": {
            "lower_price": 98.0,
            "upper_price": 102.0,
            "num_levels": 3,
            "profit_per_grid": 0.01,
            "initial_inventory": "none",
            "trailing_enabled": False,
        }
    }
}
CANDLES = candles_through([100.5, 100.5, *([99.5, 101.5] * 10)])


def made():
    config = config_of(SETTINGS, 0)
    layout = plan(data_of(CANDLES, SETTINGS), config, route=[{"grid"}] * len(CANDLES["open"]))
    setup = setup_of(
        layout.data, config, layout.strategies, layout.mask, layout.size_factor, layout.regime, layout.first
    )
    return config, layout.strategies, setup


def test_a_full_log_takes_no_more_and_still_counts():
    config, strategies, setup = made()
    account = new_account(config)
    rules = [strategy.rule(()) for strategy in strategies]
    books, *_kept = new_books(strategies, rules, setup.features, setup.first, 64)
    pair, feed = new_pair(config, setup.instrument, books), new_feed(setup)
    fills, trips = np.zeros(4, FILL), np.zeros(4, ROUND_TRIP)
    for name, array in (("fills", fills), ("round_trips", trips)):
        account[name], account[f"{name}_capacity"] = array.ctypes.data, 3
    run(account[0], pair[0], feed[0])
    assert (account["n_fills"][0], account["n_round_trips"][0]) == (20, 10)
    assert list(fills["order"] > 0) == list(trips["exit_row"] > 0) == [True, True, True, False]


def test_asked_at_every_candle_it_walks_every_candle():
    config, strategies, setup = made()
    plodding = simulate(setup, config, strategies, every_candle=True)
    assert plodding.account["n_events"] == len(CANDLES["open"]) - setup.first


def test_a_run_without_logs_sums_up_the_same():
    config, strategies, setup = made()
    kept, sums = simulate(setup, config, strategies), simulate(setup, config, strategies, record=False)
    assert (len(kept.fills), len(sums.fills)) == (20, 0)
    for name in ("cash", "fees", "turnover", "sum_r", "max_drawdown", "deployed_sum", "n_fills", "n_round_trips"):
        assert kept.account[name] == sums.account[name]
    for name in ("gross_profit", "gross_loss", "winning", "losing", "turnover", "n_fills"):
        assert kept.books[name] == sums.books[name]


def test_the_returns_of_label_days_are_written_where_somebody_wants_them():
    candles = candles_through([100.5, 100.5, *([99.5, 101.5] * 350)])  # three days, the last one not whole
    config = config_of(SETTINGS, 0)
    layout = plan(data_of(candles, SETTINGS), config, route=[{"grid"}] * len(candles["open"]))
    setup = setup_of(
        layout.data, config, layout.strategies, layout.mask, layout.size_factor, layout.regime, layout.first
    )
    found = np.full(4, np.nan)
    raw = simulate(setup, config, layout.strategies, daily=found.ctypes.data)
    equity = raw.ledger[:, 0] + raw.ledger[:, 3] * np.array(candles["close"])
    marks = np.array([config.initial_balance, equity[287], equity[575], equity[-1]])
    np.testing.assert_allclose(found, [*(marks[1:] / marks[:-1] - 1), np.nan], rtol=1e-12)
    assert raw.account["n_days"] == 3
    assert (marks[1:] > marks[:-1]).all()
