"""Markets for own strategies, and the shortest way to trade one of them alone."""

import numpy as np

import traderagent as ta
from tests.reference.markets import candles_through, random_candles
from traderagent.engine.backtest import execute
from traderagent.engine.plan import plan
from traderagent.market.frames import COLUMNS, candle_frame

ALONE = ta.OrchestratorBacktestConfig(
    enable_grid=False,
    enable_dca=False,
    enable_trend_follower=False,
    enable_strategy_router=False,
    max_position_size_pct=1.0,
    costs=ta.Costs(maker=0.0, taker=0.0, slippage=0.0),
    max_daily_loss_pct=None,
)
PERPETUAL = ALONE.replace(account="perpetual", leverage=2.0, max_daily_loss_pct=0.03, funding_rate=0.0001)
INSTRUMENT = ta.Instrument(tick=0.01, step=0.0001, min_notional=5.0, origin="synthetic")


def data_of(drawn, instrument=INSTRUMENT):
    """One symbol's data from plain lists."""
    columns = {name: np.asarray(values) for name, values in drawn.items()}
    frame = candle_frame(columns["open_time"].astype(np.int64), np.column_stack([columns[c] for c in COLUMNS]))
    return ta.MultiTimeframeData.from_base("OWNUSDT", frame, instrument=instrument)


def generated(seed, rows=3_000):
    """A random walk with jumps and a hole."""
    return data_of(random_candles(seed, rows, volatility=0.003))


def through(*prices):
    """Candles that go straight from one price to the next."""
    return data_of(candles_through([float(p) for p in prices]), ta.Instrument())


def trade(strategy, data, config=ALONE, form="auto", every_candle=False):
    """A run of one own strategy in one form."""
    subject = strategy() if isinstance(strategy, type) else strategy
    return execute(plan(data, config, [subject]), every_candle=every_candle, forms={subject.name: form})


def fills(result):
    """(row, side, price, quantity, reason) of each fill."""
    t = result.trades
    return list(zip(t["row"], t["side"], t["price"], t["quantity"].round(6), t["reason"], strict=True))
