"""Market entries at an open that is dearer than the close: what is cut, what is refused, by hand."""

from __future__ import annotations

from typing import ClassVar

import pytest

import traderagent as ta
from tests.engine.test_grid_facts import ladder, trade
from tests.engine.test_perpetual import Probe, candles
from tests.reference.markets import candles_from, candles_through
from traderagent.market.instruments import Instrument
from traderagent.strategies.contract import (
    CLOSE,
    EMPTY,
    IDLE,
    SIGNAL,
    WAITING,
    cell_of,
    enter,
    is_idle,
    mirrored,
    parameters_of,
    step,
)


class Share(Probe):
    """Enters at the first close with a share of the free cash."""

    name: ClassVar[str] = "share"
    prefix: ClassVar[str] = "share_"


parameters = parameters_of(Share)


@step
def share_step(what, now, book):
    if (what == CLOSE) and is_idle(book):
        book.wake_row = now.row + 1
        if now.row == 1:
            book.market_fraction = parameters(book).quantity
            enter(book, 1.0, SIGNAL)


Share.step = share_step


class Deal(Probe):
    """Enters at the first close, with one limit of half the quantity that rests from the open on."""

    name: ClassVar[str] = "deal"
    prefix: ClassVar[str] = "deal_"

    limit: float = 95.0

    def n_cells(self) -> int:
        return 1


class Second(Probe):
    """Another probe beside the first one."""

    name: ClassVar[str] = "second"
    prefix: ClassVar[str] = "second_"


deal_parameters = parameters_of(Deal)


@step
def deal_step(what, now, book):
    p = deal_parameters(book)
    if (what == CLOSE) and is_idle(book):
        book.wake_row = now.row + 1
        if now.row == 1:
            cell = cell_of(book, 0)
            cell.price = mirrored(book, p.limit)
            cell.quantity = p.quantity / 2
            cell.state = WAITING
            book.n_cells = 1
            book.market_capped = 1
            enter(book, p.quantity, SIGNAL)


Deal.step = deal_step


LADDER = {
    "lower_price": 90.0,
    "upper_price": 110.0,
    "num_levels": 3,
    "profit_per_grid": 0.05,
    "amount_per_grid": 1.0,
    "amount_unit": "base",
    "trailing_enabled": False,
}


def run(
    open_,
    balance,
    *,
    close=100.0,
    probe=Probe,
    smallest=0.0,
    step_=0.0,
    rows=2,
    slippage=0.0,
    gate=None,
    others=(),
    **parameters,
):
    """10 coins at 100 without leverage, decided at a close of 100 and filled at `open_`; taker fee 0.1 %."""
    frame = candles(*[(100.0, 100.0, 100.0, 100.0)] * rows)
    frame.iloc[2, :4] = [open_, max(open_, close), min(open_, close), close]
    instrument = Instrument(tick=0.0, step=step_, min_notional=smallest, origin="file")
    config = ta.OrchestratorBacktestConfig(
        initial_balance=balance,
        account="perpetual",
        leverage=1.0,
        funding_rate=None,
        warmup_bars=1,
        enable_grid=False,
        enable_dca=False,
        enable_trend_follower=False,
        enable_strategy_router=False,
        enable_risk_manager=gate is not None,
        max_position_size_pct=gate,
        max_daily_loss_pct=None,
        portfolio_stop_loss_pct=None,
        costs=ta.Costs(maker=0.0, taker=0.001, slippage=slippage),
    )
    data = ta.MultiTimeframeData.from_base("XUSDT", frame, instrument=instrument)
    return ta.backtest(data, config, strategies=[probe(**parameters), *others])


def bought(result):
    return result.trades["quantity"].to_list(), result.cut_orders, result.rejections


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_an_entry_is_cut_to_what_can_be_paid(side):
    quantities, cut, refused = bought(run(110.0, 1001.0, side=side))
    assert quantities == pytest.approx([1001 / (110 * 1.001)], rel=1e-12)
    assert (cut, refused) == (1, {})
    assert bought(run(110.0, 1001.0, side=side, step_=1.0)) == ([9.0], 1, {})


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_what_can_just_be_paid_is_not_cut(side):
    assert bought(run(110.0, 10 * (110 * 1.001), side=side)) == ([10.0], 0, {})
    assert bought(run(90.0, 1001.0, side=side)) == ([10.0], 0, {})


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize(("smallest", "n"), [(990.0, 1), (990.1, 0)])
def test_a_cut_below_the_smallest_notional_is_refused_for_good(side, smallest, n):
    found = bought(run(110.0, 1001.0, side=side, step_=1.0, smallest=smallest))
    assert found == (([9.0], 1, {}) if n else ([], 0, {"margin": 1}))


def test_a_cut_to_nothing_is_a_refusal_and_to_less_than_one_coin_is_none():
    assert bought(run(11_000.0, 1001.0, step_=1.0)) == ([], 0, {"margin": 1})
    quantities, cut, _ = bought(run(11_000.0, 1001.0))
    assert quantities == pytest.approx([1001 / (11_000 * 1.001)])
    assert cut == 1


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_share_of_the_cash_buys_at_the_slipped_open(side):
    result = run(110.0, 1000.0, probe=Share, side=side, quantity=0.5, slippage=0.01)
    price = 110 * (1 + side * 0.01)
    assert result.trades["price"].to_list() == pytest.approx([price])
    assert result.trades["quantity"].to_list() == pytest.approx([500 / (price * 1.001)])
    assert result.free_cash.iloc[2] == pytest.approx(500)


def test_a_refused_entry_leaves_nothing_behind():
    result = run(11_000.0, 1001.0, step_=1.0, rows=4)
    assert len(result.trades) == 0
    assert result.free_cash.to_list() == pytest.approx([1001.0, 0.0, *[1001.0] * 5])
    assert result.raw.books["market_quantity"][0] == 0.0


def test_a_limit_that_the_open_has_passed_is_taken_with_its_own_reservation():
    balance = 10 * 100 * 1.001 + 5 * 95 * 1.001
    result = run(90.0, balance, probe=Deal, limit=95.0)
    assert result.trades[["row", "reason", "price", "quantity"]].to_numpy().tolist() == [
        [2, "signal", 90.0, 10.0],
        [2, "safety", 90.0, 5.0],
    ]
    assert (result.cut_orders, result.rejections) == (0, {})
    assert result.free_cash.iloc[-1] == pytest.approx(balance - 15 * 90 * 1.001)
    assert (result.raw.books["entries"][0], result.raw.books["capped"][0]) == (1, 1)
    assert result.raw.cells[0]["state"][0] == EMPTY  # it does not fill again


@pytest.mark.parametrize(("smallest", "n"), [(0.0, 2), (440.0, 2), (440.1, 1)])
def test_a_limit_that_cannot_be_paid_at_the_open_is_cut_or_refused(smallest, n):
    # Sold short at 110 instead of 100: 9 of 10 coins, and of the limit at 105 4 of 5, worth 440.
    balance = 10 * 100 * 1.001 + 5 * 105 * 1.001
    account = {"step_": 1.0, "smallest": smallest, "rows": 0, "close": 110.0}
    result = run(110.0, balance, probe=Deal, side=-1.0, limit=105.0, **account)
    assert result.trades["quantity"].to_list() == [9.0, 4.0][:n]
    assert result.trades["price"].to_list() == [110.0] * n
    assert result.cut_orders == n
    assert result.rejections == ({} if n == 2 else {"margin": 1})
    if n == 1:
        cell = result.raw.cells[0][0]
        assert (cell["state"], cell["reserved"]) == (IDLE, 0.0)
        assert result.raw.books["top_entry"][0] == -1
        assert result.free_cash.iloc[-1] == pytest.approx(balance - 9 * 110 * 1.001)


@pytest.mark.parametrize(("side", "limit", "whole"), [(1.0, 95.0, 1475.0), (-1.0, 105.0, 1525.0)])
def test_a_deal_asks_gate_and_cash_for_all_its_orders(side, limit, whole):
    probe = {"probe": Deal, "side": side, "limit": limit}
    for gate, n in ((whole / 10_000, 1), (whole / 10_000 - 1e-5, 0)):
        result = run(100.0, 10_000.0, gate=gate, **probe)
        assert (len(result.trades), result.rejections) == (n, {} if n else {"risk_position": 1})
    for balance, n in ((whole * 1.001 + 1e-6, 1), (whole * 1.001 - 0.01, 0)):
        result = run(100.0, balance, **probe)
        assert (len(result.trades), result.rejections) == (n, {} if n else {"margin": 1})
    assert run(100.0, whole * 1.001 + 1e-6, **probe).free_cash.iloc[-1] == pytest.approx(1e-6, abs=1e-9)


@pytest.mark.parametrize(("side", "limit"), [(1.0, 95.0), (-1.0, 105.0)])
def test_a_deals_limit_below_the_smallest_notional_is_left_out_and_counted(side, limit):
    result = run(limit - side, 10_000.0, probe=Deal, side=side, limit=limit, smallest=526.0)
    assert result.trades["quantity"].to_list() == [10.0]
    assert result.rejections == {"min_notional": 1}
    assert result.free_cash.iloc[1] == pytest.approx(10_000 - 1001)
    whole = run(limit - side, 10_000.0, probe=Deal, side=side, limit=limit, smallest=5 * limit)
    assert (len(whole.trades), whole.rejections) == (2, {})


@pytest.mark.parametrize(("direction", "gate", "n"), [("short", 0.021, 2), ("short", 0.03, 3), ("long", 0.021, 2)])
def test_a_new_ladder_asks_the_gate_cell_by_cell(direction, gate, n):
    # Cells of one coin at 90, 100 and 110, the nearest first: 190 or 210 fit within 210, 300 within 300.
    options = {"account": "perpetual", "leverage": 1.0, "max_position_size_pct": gate, "max_daily_loss_pct": None}
    result = trade(candles_from([(100.0,) * 4] * 2), LADDER | {"direction": direction}, **options)
    assert result.rejections == ({} if n == 3 else {"risk_position": 3 - n})


@pytest.mark.parametrize("more", [0.0, 0.1])
def test_a_ladders_initial_cell_that_cannot_be_paid_at_the_open_waits(more):
    # Reserved at a close of 100: 1.001 × (90 + 100 + 110). At 105 the first of two cells lacks 5 and sells whole coins
    # only; the second one has what the first gave back.
    balance = 300.3 + more
    candles = candles_from([(100.0,) * 4, (105.0,) * 4])
    options = {"account": "perpetual", "leverage": 1.0, "max_position_size_pct": None, "max_daily_loss_pct": None}
    costs = {"maker": 0.0, "taker": 0.001, "slippage": 0.0, "step": 1.0}
    result = trade(candles, LADDER | {"direction": "short"}, initial_balance=balance + 1e-9, **options, **costs)
    assert result.trades[["reason", "price", "quantity"]].to_numpy().tolist() == [["initial", 105.0, 1.0]]
    assert result.rejections == {"margin": 1}
    assert result.free_cash.iloc[-1] == pytest.approx(balance - (105 + 110) * 1.001)
    assert result.raw.cells[0]["state"][1] == IDLE


def test_what_one_book_has_spent_in_a_candle_the_next_one_has_not():
    # 100 beyond both reservations: the first takes them all but for a little, the second has its reservation.
    result = run(110.0, 2_102.0, others=[Second()])
    assert result.trades["quantity"].to_list() == pytest.approx([1101 / 110.11, 1001 / 110.11])
    assert result.cut_orders == 2
    assert result.free_cash.iloc[-1] == pytest.approx(0.0, abs=1e-9)


def test_what_a_book_has_spent_in_a_candle_counts_once_for_itself():
    # 150 beyond both reservations: 100.1 go to the coins sold at 110 instead of 100, 25.025 to those of the limit.
    balance = 10 * 100 * 1.001 + 5 * 105 * 1.001 + 150
    result = run(110.0, balance, probe=Deal, side=-1.0, limit=105.0, close=110.0)
    assert result.trades["quantity"].to_list() == [10.0, 5.0]
    assert (result.cut_orders, result.rejections) == (0, {})


def test_what_is_pending_at_the_last_close_of_a_run_that_sells_everything_is_dropped():
    config = ta.OrchestratorBacktestConfig(
        liquidate_at_end=True,
        warmup_bars=0,
        enable_grid=False,
        enable_dca=False,
        enable_trend_follower=False,
        enable_strategy_router=False,
    )
    data = ta.MultiTimeframeData.from_base("XUSDT", candles().iloc[:2])
    result = ta.backtest(data, config, strategies=[Deal()])
    book = result.raw.books[0]
    assert (book["market_quantity"], book["market_reserved"], book["waiting"], book["reserved"]) == (0.0, 0.0, 0, 0.0)
    assert result.free_cash.iloc[-1] == result.final_balance == 10_000.0


def test_of_two_refused_cells_each_asks_again_where_the_gate_turns_for_it():
    """10 coins are held from 105 on, 10 rest at 100; 10 at 80 pass the gate from 104 on downwards, 10 at 90 do not."""
    gate = (10 * 104 + 1_000 + 800) / (10_000 - 1_050 + 10 * 104)
    cells = ladder(80.0, 120.0, 5, amount_per_grid=10.0)
    candles = candles_through([105.0] * 4 + [103.5] * 2 + [105.0] * 2)
    limits = {"max_position_size_pct": gate, "max_daily_loss_pct": None, "maker": 0.0, "taker": 0.0, "slippage": 0.0}
    result = trade(candles, cells, **limits)
    assert result.free_cash.to_list()[2:] == pytest.approx([7_950.0] * 2 + [7_150.0] * 4)
    assert result.rejections == {"risk_position": 2}
