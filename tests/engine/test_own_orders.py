"""Limits of an own strategy, by hand: a probe that opens with one, and signals that spend a share of the cash."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

import traderagent as ta
from tests.engine.test_perpetual import candles
from traderagent.engine.backtest import execute
from traderagent.engine.plan import plan
from traderagent.market.instruments import Instrument
from traderagent.strategies.contract import (
    ADDED,
    CLOSE,
    FLAT,
    IDLE,
    LEFT,
    REASONS,
    SIGNAL,
    TARGET,
    add_exit,
    cell_of,
    memory_of,
    mirrored,
    parameters_of,
    step,
)


class Limit(ta.Strategy):
    """One limit entry at the first close, and at row `again`; once it fills, a stop and exits from its target on."""

    name: ClassVar[str] = "limit"
    prefix: ClassVar[str] = "limit_"
    everywhere: ClassVar[bool] = True

    side: float = 1.0
    limit: float = 95.0
    quantity: float = 10.0
    stop: float = 90.0
    target: float = 99.0
    gated: float = 1.0
    part: float = 5.0
    parts: float = 2.0
    last: float = 10.0
    again: float = 0.0
    leave: float = 0.0

    def features(self, data: object) -> dict[str, np.ndarray]:
        return {}

    def warmup(self, duration: int) -> int:
        return 0

    def sides(self) -> tuple[float, ...]:
        return (self.side,)

    def n_cells(self) -> int:
        return 1


parameters = parameters_of(Limit)
memory = memory_of(("price quantity reason side left flat volume regime", "f8"))


@step
def limit_step(what, now, book):
    p = parameters(book)
    own = memory(book)
    if what == ADDED:
        own.price = book.filled_price
        own.quantity = book.filled_quantity
        own.reason = book.filled_reason
        own.side = book.filled_side
        book.stop = book.filled_stop
        for k in range(int(p.parts) - 1):
            add_exit(now, book, book.filled_target + k, p.part, TARGET)
        add_exit(now, book, book.filled_target + p.parts - 1, p.last, TARGET)
    elif what == LEFT:
        own.left += 1
    elif what == FLAT:
        own.flat += 1
    elif (what == CLOSE) and ((now.row == 1) or (now.row == p.again)):
        cell = cell_of(book, 0)
        cell.price = mirrored(book, p.limit)
        cell.quantity = p.quantity
        cell.stop = mirrored(book, p.stop)
        cell.target = mirrored(book, p.target)
        cell.reason = SIGNAL
        cell.gated = int(p.gated)
        cell.state = IDLE
        book.n_cells = 1
        book.relaid = 1
    if what == CLOSE:
        own.volume = now.volume
        own.regime = now.regime
        book.wake_row = now.row + 1
        if now.row == p.leave:
            book.exit_reason = SIGNAL


Limit.step = limit_step


def run(frame, probe=None, regime=0, **config):
    """A run of the probe alone: 10,000, maker 0.1 %, taker 0.2 %, no slippage, no gate."""
    given = {
        "warmup_bars": 1,
        "enable_grid": False,
        "enable_dca": False,
        "enable_trend_follower": False,
        "enable_strategy_router": False,
        "enable_risk_manager": False,
        "costs": ta.Costs(maker=0.001, taker=0.002, slippage=0.0),
        **config,
    }
    data = ta.MultiTimeframeData.from_base("XUSDT", frame)
    layout = plan(data, ta.OrchestratorBacktestConfig(**given), [Limit(**(probe or {}))])
    layout.regime[:] = regime
    return execute(layout)


def fills(result):
    return list(result.trades[["row", "side", "reason", "price", "quantity"]].itertuples(index=False, name=None))


def remembered(result):
    book = result.raw.books["memory"][0]
    return dict(zip(("price", "quantity", "reason", "side", "left", "flat"), book[:6].tolist(), strict=True))


DIP = (100.0, 100.0, 94.0, 97.0)


def test_a_limit_opens_a_position_with_its_own_reason_stop_and_target():
    result = run(candles(DIP, (97.0, 101.0, 97.0, 101.0)))
    bought, half, rest = fills(result)
    assert bought == (3, "buy", "signal", 95.0, 10.0)
    assert half == (4, "sell", "target", 99.0, 5.0)
    assert rest == (4, "sell", "target", 100.0, 5.0)
    filled = {"price": 100.0, "quantity": 5.0, "reason": REASONS.index("target"), "side": -1.0}
    assert remembered(result) | filled == remembered(result) | filled
    assert (remembered(result)["left"], remembered(result)["flat"]) == (1.0, 1.0)
    assert list(result.trades["fee"]) == pytest.approx([0.95, 0.495, 0.5])
    trip = result.round_trips.iloc[0]
    assert (trip["quantity"], trip["entry_price"], trip["exit_price"]) == (10.0, 95.0, 99.5)
    assert trip["pnl"] == pytest.approx(45 - 0.95 - 0.495 - 0.5)
    assert list(result.trades["order_id"]) == [1, 2, 3]
    assert list(result.trades["cycle_id"]) == [1, 1, 1]
    assert result.final_balance == pytest.approx(10_000 + trip["pnl"])


def test_the_next_position_has_a_number_of_its_own():
    round_ = [DIP, (97.0, 102.0, 97.0, 97.0)]
    result = run(candles(*round_, *round_), {"again": 4.0})
    assert list(result.trades["cycle_id"]) == [1, 1, 1, 2, 2, 2]
    assert list(result.trades["order_id"]) == [1, 2, 3, 4, 5, 6]
    assert list(result.round_trips["cycle_id"]) == [1, 2]


def test_the_step_is_told_what_filled():
    result = run(candles(DIP), regime=3)
    told = {"price": 95.0, "quantity": 10.0, "reason": float(SIGNAL), "side": 1.0, "left": 0.0, "flat": 0.0}
    assert remembered(result) == told
    assert result.raw.books["stop"][0] == 90.0
    assert result.raw.books["memory"][0][6:8].tolist() == [1.0, 3.0]  # volume and regime of every candle


def test_the_stop_of_a_limit_ends_the_position():
    result = run(candles(DIP, (97.0, 97.0, 89.0, 91.0)))
    assert fills(result)[1:] == [(4, "sell", "stop", 90.0, 10.0)]
    assert result.trades["fee"].iloc[-1] == pytest.approx(900 * 0.002)
    assert (remembered(result)["left"], remembered(result)["flat"]) == (0.0, 1.0)


def test_a_rule_that_leaves_has_no_stop_in_the_jump():
    flat, below = (97.0,) * 4, (85.0,) * 4
    result = run(candles(DIP, flat, below), {"leave": 4.0})
    assert fills(result)[1:] == [(5, "sell", "signal", 85.0, 10.0)]


def test_the_portfolios_stop_takes_the_exits_off_before_the_jump():
    limits = {"enable_risk_manager": True, "portfolio_stop_loss_pct": 0.03, "max_daily_loss_pct": None}
    fall, above = (97.0, 97.0, 60.0, 60.0), (101.0,) * 4
    result = run(candles(DIP, fall, above), {"stop": 1.0}, max_position_size_pct=None, **limits)
    assert fills(result)[1:] == [(5, "sell", "portfolio_stop", 101.0, 10.0)]
    assert result.raw.account["halt_row"] == 4


def test_a_stop_above_the_path_sells_where_the_path_stands():
    result = run(candles(DIP), {"stop": 96.0})
    assert fills(result) == [(3, "buy", "signal", 95.0, 10.0), (3, "sell", "stop", 95.0, 10.0)]


@pytest.mark.parametrize(("stop", "target", "ambiguous"), [(94.5, 94.0, 1), (90.0, 94.0, 0), (90.0, 95.0, 0)])
def test_an_exit_at_or_below_the_path_sells_at_once_as_a_taker(stop, target, ambiguous):
    costs = ta.Costs(maker=0.001, taker=0.002, slippage=0.01)
    probe = {"target": target, "parts": 1, "stop": stop}
    result = run(candles(DIP), probe, costs=costs)
    bought, sold = result.trades.to_dict("records")
    assert (bought["row"], sold["row"], sold["reason"]) == (3, 3, "target")
    assert sold["price"] == pytest.approx(95 * 0.99)
    assert sold["fee"] == pytest.approx(950 * 0.99 * 0.002)
    assert result.ambiguous_fills == ambiguous
    assert result.raw.books["n_exits"][0] == 0


def test_two_exits_beyond_the_open_both_sell_there():
    result = run(candles((93.0, 93.0, 93.0, 93.0)), {"target": 92.0, "parts": 2})
    assert [fill[2:] for fill in fills(result)] == [("signal", 93.0, 10.0)] + [("target", 93.0, 5.0)] * 2
    assert list(result.trades["fee"]) == pytest.approx([0.93, 0.93, 0.93])


def test_a_shorts_exit_above_the_path_buys_back_at_once():
    costs = ta.Costs(maker=0.001, taker=0.002, slippage=0.01)
    probe = {"side": -1.0, "limit": 105.0, "stop": 120.0, "target": 106.0, "parts": 1}
    account = {"account": "perpetual", "leverage": 1.0, "funding_rate": None, "costs": costs}
    sold, bought = run(candles((100.0, 107.0, 100.0, 103.0)), probe, **account).trades.to_dict("records")
    assert (sold["price"], bought["reason"]) == (105.0, "target")
    assert bought["price"] == pytest.approx(105 * 1.01)


def test_the_step_of_a_short_is_told_real_prices():
    probe = {"side": -1.0, "limit": 105.0, "stop": 120.0, "target": 90.0}
    result = run(candles((100.0, 106.0, 100.0, 103.0)), probe, account="perpetual", leverage=1.0, funding_rate=None)
    told = {"price": 105.0, "quantity": 10.0, "reason": float(SIGNAL), "side": -1.0, "left": 0.0, "flat": 0.0}
    assert remembered(result) == told


@pytest.mark.parametrize("target", [92.0, 93.0])
def test_an_exit_beyond_the_open_sells_at_the_open_as_a_taker(target):
    result = run(candles((93.0, 93.0, 93.0, 93.0)), {"target": target, "parts": 1})
    assert fills(result) == [(3, "buy", "signal", 93.0, 10.0), (3, "sell", "target", 93.0, 10.0)]
    assert list(result.trades["fee"]) == pytest.approx([0.93, 1.86])


@pytest.mark.parametrize("scale", [1.0, 2.0**20])
def test_what_rounding_leaves_is_no_position(scale):
    quantity, part = (0.1 + 0.2) * scale, 0.1 * scale  # less a part three times it is 2.8e-17, scaled
    probe = {"quantity": quantity, "part": part, "parts": 3, "last": part}
    result = run(candles(DIP, (97.0, 102.0, 97.0, 102.0)), probe, initial_balance=1e9)
    assert list(result.trades["quantity"]) == [quantity, part, part, part]
    assert result.round_trips["quantity"].to_list() == [quantity]
    assert result.books["limit"].iloc[-1][["quantity", "cost", "margin"]].to_list() == [0.0, 0.0, 0.0]
    assert result.raw.books["n_exits"][0] == 0


def test_a_thousandth_is_a_position():
    result = run(candles(DIP, (97.0, 99.0, 97.0, 99.0)), {"part": 9.995})
    assert list(result.trades["quantity"]) == [10.0, 9.995]
    assert len(result.round_trips) == 0
    assert (remembered(result)["left"], remembered(result)["flat"]) == (1.0, 0.0)


@pytest.mark.parametrize(("gated", "limit", "n"), [(1.0, 0.09, 0), (1.0, 0.0951, 1), (0.0, 0.09, 1)])
def test_a_limit_asks_the_gate_by_itself_where_it_says_so(gated, limit, n):
    # 10 coins at 95 are 9.5 % of the equity.
    config = {"enable_risk_manager": True, "max_position_size_pct": limit, "max_daily_loss_pct": None}
    result = run(candles(DIP), {"gated": gated}, **config)
    assert len(result.trades) == n
    assert result.rejections == ({} if n else {"risk_position": 1})


def test_a_limit_reserves_its_price_and_the_takers_fee():
    result = run(candles())
    assert result.free_cash.to_list() == pytest.approx([10_000] + [10_000 - 950 * 1.002] * 2)
    needed = 10.0 * 95.0 * (1 + 0.002)
    for balance, n in ((needed, 1), (needed - 1e-9, 0)):
        assert len(run(candles(DIP), initial_balance=balance).trades) == n


@pytest.mark.parametrize(("side", "dip", "open_"), [(1.0, 95.0, 93.0), (-1.0, 105.0, 107.0)])
def test_a_limit_passed_by_the_open_gets_the_open(side, dip, open_):
    probe = {"side": side, "limit": dip, "stop": 100 - side * 50, "target": 100 + side * 40}
    account = {"account": "perpetual", "leverage": 1.0, "funding_rate": None}
    result = run(candles((open_, open_, open_, open_)), probe, **account)
    assert fills(result) == [(3, "buy" if side > 0 else "sell", "signal", open_, 10.0)]


def signals(prices, entries, exits, size=0.5, step_=0.0):
    """A run over flat candles, each opening at its price; no fee for makers, 0.1 % and slippage 1 % for takers."""
    frame = candles(*((p, p, p, p) for p in prices)).iloc[3:]
    data = ta.MultiTimeframeData.from_base(
        "XUSDT", frame, instrument=Instrument(tick=0.0, step=step_, min_notional=0.0, origin="file")
    )
    at = np.arange(len(frame))
    costs = ta.Costs(maker=0.0, taker=0.001, slippage=0.01)
    return ta.backtest_signals(data, np.isin(at, entries), np.isin(at, exits), size=size, costs=costs)


def test_a_signal_spends_its_share_of_the_cash_with_costs_inside():
    result = signals([100.0, 50.0, 60.0, 60.0, 40.0, 40.0], [0, 3], [1])
    first, out, second = result.trades.to_dict("records")
    assert first["price"] == pytest.approx(50.5)
    assert first["quantity"] == pytest.approx(5_000 / (50.5 * 1.001))
    assert first["fee"] == pytest.approx(first["quantity"] * 0.0505)
    assert result.cash.iloc[1] == pytest.approx(5_000)
    assert (out["row"], out["reason"]) == (2, "signal")
    assert out["price"] == pytest.approx(60 * 0.99)
    after = 5_000 + first["quantity"] * 59.4 * 0.999
    assert result.cash.iloc[2] == pytest.approx(after)
    assert second["quantity"] == pytest.approx(after / 2 / (40.4 * 1.001))


def test_a_signals_quantity_is_rounded_down_and_nothing_is_refused_as_no_cash():
    result = signals([100.0, 50.0, 50.0], [0], [], size=1.0, step_=10.0)
    assert result.trades["quantity"].to_list() == [190.0]  # 197.8 to the step
    poor = signals([100.0, 500.0, 500.0], [0], [], size=0.01, step_=1.0)
    assert (len(poor.trades), poor.rejections) == (0, {"cash": 1})


class Reserves(ta.Strategy):
    """Two limits far below for nearly all cash at one candle, cancelled at a later one; not asked in between."""

    compiled = "never"
    memory = {"asked": 0.0}  # noqa: RUF012

    def wakes(self, m5):
        rows = np.arange(len(np.asarray(m5.close)))
        return (rows == 1) | (rows == 6)

    def decide(self, now, book):
        book.asked += 1
        if book.asked == 1:
            return [ta.buy(notional=notional, limit=20.0) for notional in (4_800.0, 4_700.0)]
        return ta.cancel()


@pytest.mark.parametrize("every", [False, True])
def test_cash_that_a_later_book_frees_at_a_close_is_granted_at_the_next(every):
    """The grid comes first in the sequence: at the close of row 6 it has been asked before the limits are cancelled."""
    grid = {"lower_price": 80.0, "upper_price": 96.0, "num_levels": 2, "amount_per_grid": 400.0}
    config = ta.OrchestratorBacktestConfig(
        warmup_bars=1,
        costs=ta.Costs(maker=0.0, taker=0.0, slippage=0.0),
        grid_params=grid | {"trailing_enabled": False, "initial_inventory": "none"},
        max_position_size_pct=None,
        max_daily_loss_pct=None,
        enable_strategy_router=False,
    ).only("grid")
    rows = 12
    frame = candles(*[(100.0, 100.0, 100.0, 100.0)] * (rows - 3))
    route = [{"reserves"} | ({"grid"} if row >= 3 else set()) for row in range(rows)]
    layout = plan(ta.MultiTimeframeData.from_base("XUSDT", frame), config, [Reserves()], route)
    result = execute(layout, every_candle=every)
    assert result.free_cash.to_list() == pytest.approx([10_000] + [500] * 2 + [100] * 3 + [9_600] + [9_200] * 5)
    assert result.rejections == {"cash": 1}
