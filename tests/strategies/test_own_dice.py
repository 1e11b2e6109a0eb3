"""A rule that does anything, under accounts of every kind: both forms, skipping or not, and the books add up."""

import numpy as np
import pytest

import traderagent as ta
from tests.strategies.own_markets import PERPETUAL, generated
from traderagent.engine.backtest import execute
from traderagent.engine.plan import plan


class Dice(ta.Strategy):
    """Does anything at any time, by a counter that looks like dice."""

    salt: int = ta.parameter(1, low=0, high=10**6)
    memory = {"x": 0.0}
    max_orders = 12

    def decide(self, now, book):
        book.x = (book.x * 1103515 + 12345 + self.salt) % 65536
        r = book.x / 65536
        if r < 0.03:
            return [ta.cancel(), ta.close(tag="c")]
        if r < 0.06:
            return ta.cancel(tag="l")
        if book.flat and r < 0.10:
            return [ta.cancel(), ta.sell(size=0.1, stop=now.close * 1.01, target=now.close * 0.99)]
        if book.flat and r < 0.14:
            return [
                ta.cancel(),
                ta.buy(risk=0.002, stop=now.close * 0.99),
                ta.buy(size=0.05, limit=now.close * 0.997, tag="l"),
            ]
        if book.long and r < 0.3:
            return [
                ta.move(
                    stop=now.close * (1.001 if r < 0.15 else 0.992), target=now.close * (0.999 if r > 0.28 else 1.01)
                ),
                ta.buy(notional=300, limit=now.close * (1.001 if r > 0.25 else 0.998), tag="l", stop=now.close * 0.98),
            ]
        if book.short and r < 0.3:
            return [
                ta.sell(notional=200, limit=now.close * 1.002, target=now.close * 0.985),
                ta.move(stop=now.close * 1.008),
            ]
        if book.flat and r > 0.97:
            return [ta.cancel()] + [
                ta.buy(size=0.04, limit=now.close * (1 - 0.001 * (k + 1)), target=now.close * 1.004, tag="l")
                for k in range(5)
            ]

    def on_fill(self, fill, book):
        if book.long and fill.side == "buy" and fill.reason != "again":
            return [ta.buy(notional=100, limit=fill.price * 0.998, tag="again"), ta.move(target=book.average * 1.01)]
        if book.flat and fill.side == "sell" and fill.reason == "target":
            return ta.buy(
                notional=150,
                limit=fill.price * (1.001 if fill.quantity > 5 else 0.995),
                tag="again",
                target=fill.price * 1.01,
            )


def config_of(seed):
    draw = np.random.default_rng(seed)
    return PERPETUAL.replace(
        costs=ta.Costs(maker=0.0002, taker=0.0006, slippage=float(draw.choice([0, 0.0005]))),
        path=str(draw.choice(["candle", "nearest", "olhc", "ohlc"])),
        max_position_size_pct=float(draw.choice([0.1, 0.3, 1.0, 3.0])),
        max_daily_loss_pct=[None, 0.005, 0.02][seed % 3],
        on_deactivate=["exit_only", "flatten", "keep"][seed % 3],
        leverage=float(draw.choice([1.0, 3.0, 20.0])),
        portfolio_stop_loss_pct=[None, 0.05][seed % 2],
        liquidate_at_end=bool(seed % 2),
        penetration_ticks=int(draw.choice([0, 2])),
        initial_balance=float(draw.choice([200.0, 10_000.0])),
    )


@pytest.mark.parametrize("seed", range(12))
def test_anything_is_the_same_in_every_way_and_adds_up(seed):
    config, data = config_of(seed), generated(seed, 1_500)
    route = [{"dice"} if row // (60 + 20 * seed) % 4 else set() for row in range(1_500)]
    layout = plan(data, config, [Dice(salt=seed)], route)
    runs = [execute(layout, every_candle=e, forms={"dice": f}) for f in ("never", "always") for e in (False, True)]
    run = runs[0]
    assert len({(r.raw.fills.tobytes(), r.raw.round_trips.tobytes(), r.raw.ledger.tobytes()) for r in runs}) == 1
    assert len({str(r.rejections) for r in runs}) == 1
    assert len(run.trades) > 10
    assert run.final_balance - config.initial_balance == pytest.approx(sum(run.per_strategy_pnl.values()), abs=1e-6)
    assert run.raw.ledger[:, 1].min() > -1e-6
    assert not run.round_trips["cycle_id"].duplicated().any()
    assert (run.trades["order_id"] > 0).all()
