"""`ta.backtest_signals` against vectorbt and backtesting.py: the same signals give the same fills and equity."""

import warnings

import numpy as np
import pandas as pd
import pytest

from tests.peers.cases import COSTS, MARKETS, SIGNALS, assert_same, candles, frame_of, ours, signals, worst

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]  # of peers, on import and at the last candle
BALANCE = 10_000.0


@pytest.fixture(scope="session")
def vectorbt():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("vectorbt", reason="vectorbt is not installed: make peers")


@pytest.fixture(scope="session")
def backtesting():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("backtesting", reason="backtesting is not installed: make peers")
        import backtesting
        from backtesting import lib

        return backtesting, lib.FractionalBacktest


def by_vectorbt(vectorbt, frame, entries, exits, size, fee, slippage):
    """Decided at a close, filled at the next open: signals are shifted by one candle and priced at the open."""
    index = pd.RangeIndex(len(frame))

    def late(signal):
        return pd.Series(np.append(False, signal[:-1]), index)

    portfolio = vectorbt.Portfolio.from_signals(
        frame["close"].set_axis(index),
        late(entries),
        late(exits),
        price=frame["open"].set_axis(index),
        size=size,
        size_type="percent",
        fees=fee,
        slippage=slippage,
        init_cash=BALANCE,
        freq="5min",
    )
    orders = portfolio.orders.records
    fills = frame_of(
        row=orders["idx"],
        side=np.where(orders["side"] == 0, 1, -1),
        price=orders["price"],
        quantity=orders["size"],
        fee=orders["fees"],
    )
    return fills, portfolio.value().to_numpy()


def by_backtesting(backtesting, frame, entries, exits, size, fee):
    """Fills without their fees, equity, and the fees of each finished trade.

    It buys whole units only, so the coin is cut into small ones; a size must stay below 1 to be a share of the cash.
    """
    module, fractional = backtesting

    class Given(module.Strategy):
        def init(self):
            pass

        def next(self):
            at = len(self.data) - 1
            if self.position:
                if exits[at] and not entries[at]:
                    self.position.close()
            elif entries[at] and not exits[at]:
                self.buy(size=min(size, 1 - 1e-12))

    unit = BALANCE / frame["open"].iloc[0] * 1e-10
    data = frame.rename(columns=str.capitalize).tz_localize(None)
    found = fractional(data, Given, cash=BALANCE, commission=fee, fractional_unit=unit).run()
    done, still = found["_trades"], found["_strategy"]._broker.trades
    entry = frame_of(
        row=[*done["EntryBar"], *(t.entry_bar for t in still)],
        side=1,
        price=[*done["EntryPrice"], *(t.entry_price / unit for t in still)],
        quantity=[*done["Size"], *(t.size * unit for t in still)],
    )
    leave = frame_of(row=done["ExitBar"], side=-1, price=done["ExitPrice"], quantity=done["Size"])
    fills = pd.concat((entry, leave)).sort_values(["row", "side"], ignore_index=True)
    return fills, found["_equity_curve"]["Equity"].to_numpy(), done["Commission"].to_numpy()


@pytest.mark.parametrize("size", [1.0, 0.3])
@pytest.mark.parametrize("costs", COSTS)
@pytest.mark.parametrize("kind", SIGNALS)
@pytest.mark.parametrize("market", MARKETS)
def test_vectorbt_does_the_same(vectorbt, market, kind, costs, size):
    frame = candles(market)
    given = (frame, *signals(kind, frame), size, *COSTS[costs])
    pair = (*ours(*given), *by_vectorbt(vectorbt, *given))
    assert len(pair[0]) >= 5
    assert_same(*pair)
    print(f"\nvectorbt, {market}, {kind}, {costs}, size {size}: {worst(*pair)}")


@pytest.mark.parametrize("size", [1.0, 0.3])
@pytest.mark.parametrize("costs", ["free", "fees"])  # its spread is paid on entries only
@pytest.mark.parametrize("kind", SIGNALS)
@pytest.mark.parametrize("market", MARKETS)
def test_backtesting_does_the_same(backtesting, market, kind, costs, size):
    frame = candles(market)
    entries, exits = signals(kind, frame)
    fee, slippage = COSTS[costs]
    assert slippage == 0.0
    mine = ours(frame, entries, exits, size, fee, slippage)
    *theirs, fees = by_backtesting(backtesting, frame, entries, exits, size, fee)
    assert len(mine[0]) >= 5
    assert_same(*mine, *theirs)
    paid = mine[0]["fee"].to_numpy()[: 2 * len(fees)].reshape(-1, 2).sum(axis=1)
    np.testing.assert_allclose(paid, fees, rtol=1e-6, atol=1e-9)
    print(f"\nbacktesting, {market}, {kind}, {costs}, size {size}: {worst(*mine, *theirs)}")


def test_a_difference_would_be_seen(vectorbt):
    """Another size, one candle's delay or a fee off by a tenth of a basis point: each is red."""
    frame = candles("synthetic")
    entries, exits = signals("random 0", frame)
    mine = ours(frame, entries, exits, 0.3, 0.001, 0.0)
    for other in (
        (entries, exits, 0.3000006, 0.001, 0.0),
        (np.roll(entries, 1), exits, 0.3, 0.001, 0.0),
        (entries, exits, 0.3, 0.00101, 0.0),
        (entries, exits, 0.3, 0.001, 0.00001),
    ):
        with pytest.raises(AssertionError):
            assert_same(*mine, *by_vectorbt(vectorbt, frame, *other))
