"""Exact facts of the grid: what a ladder must earn on paths where the answer is known without a simulation."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.twin import run_kernel
from tests.reference.markets import candles_from, candles_through
from traderagent.base.errors import ConfigError
from traderagent.engine.config import OrchestratorBacktestConfig as Config
from traderagent.strategies.contract import HOLDING, IDLE, RESTING

FREE = {"maker": 0.0, "taker": 0.0, "slippage": 0.0}
OPEN_GATE = {"max_position_size_pct": None, "max_daily_loss_pct": None, "initial_balance": 1e7}
PATHS = ("candle", "nearest", "olhc", "ohlc")


def ladder(lower, upper, levels, **others):
    fixed = {"exit": "next_level", "amount_per_grid": 1.0, "amount_unit": "base", "trailing_enabled": False}
    return {"lower_price": lower, "upper_price": upper, "num_levels": levels} | fixed | others


def trade(candles, parameters, **options):
    return run_kernel(candles, [{"grid"}] * len(candles["open"]), 0, {"strategies": {"grid": parameters}, **options})


def earned(result):
    return result.final_balance - result.initial_balance


# the ladder of the specification
SMALL = ladder(2.0, 7.0, 6)
UP_AND_DOWN = candles_through([4.0, 4.0, 3.0, 4.0, 5.0, 6.0])


def test_levels_two_to_seven_earn_six_before_fees():
    result = trade(UP_AND_DOWN, SMALL, **FREE)
    assert earned(result) == 6.0
    assert result.trades["price"].tolist() == [4.0, 4.0, 4.0, 3.0, 4.0, 5.0, 6.0]
    assert result.trades["reason"].tolist() == ["initial"] * 3 + ["buy"] + ["sell"] * 3
    assert result.round_trips["kind"].tolist() == ["cell", "initial", "initial"]
    assert result.metrics["completed_cycles"] == 1


def test_levels_two_to_seven_pay_three_hundredths():
    result = trade(UP_AND_DOWN, SMALL, maker=0.001, taker=0.001, slippage=0.0)
    assert result.fees == pytest.approx(0.001 * (12 + 3 + 4 + 5 + 6), abs=1e-12)
    assert earned(result) == pytest.approx(6.0 - 0.030, abs=1e-9)


# The identity: PnL = I₀(P_T − P₀) + q·g·(n − S²)/2 on any path inside the bounds. The specification writes g²,
# which is the same where g is 1 or q a quantity per unit of price; here q is the quantity of a cell.
LEVELS = 41
MIDDLE = 20


def turns(bars, path):
    """Levels where the path of each bar turns, the first open first; every bar opens where the last one closed."""
    places = [bars[0][0]]
    for open_, high, low, close in bars:
        low_first = {"candle": close >= open_, "nearest": open_ - low <= high - open_, "olhc": True, "ohlc": False}
        places += [low, high, close] if low_first[path] else [high, low, close]
    return places


@st.composite
def bars_between_levels(draw):
    """Bars on whole levels, each from the last close, none leaving the ladder."""
    level, bars = MIDDLE, [(MIDDLE,) * 4] * 2
    for _ in range(draw(st.integers(1, 25))):
        close = draw(st.integers(max(1, level - 4), min(LEVELS - 2, level + 4)))
        high = max(level, close) + draw(st.integers(0, min(2, LEVELS - 1 - max(level, close))))
        low = min(level, close) - draw(st.integers(0, min(2, min(level, close))))
        bars.append((level, high, low, close))
        level = close
    return bars


@settings(max_examples=60, deadline=None)
@given(
    bars=bars_between_levels(),
    path=st.sampled_from(PATHS),
    gap=st.sampled_from([0.25, 1.0, 8.0]),
    quantity=st.sampled_from([0.5, 1.0, 3.0]),
)
def test_arithmetic_grid_earns_what_the_identity_says(bars, path, gap, quantity):
    lowest = 100.0
    prices = [[lowest + gap * level for level in bar] for bar in bars]
    parameters = ladder(lowest, lowest + gap * (LEVELS - 1), LEVELS, amount_per_grid=quantity)
    result = trade(candles_from(prices), parameters, path=path, **FREE, **OPEN_GATE)
    places = turns(bars[1:], path)
    n_steps = sum(abs(b - a) for a, b in itertools.pairwise(places))
    net = places[-1] - places[0]
    held = result.trades.loc[result.trades["reason"] == "initial", "quantity"].sum()
    assert held == quantity * (LEVELS - 1 - MIDDLE)
    assert earned(result) == pytest.approx(held * net * gap + quantity * gap * (n_steps - net**2) / 2, abs=1e-6)
    kinds = result.round_trips["kind"]
    assert len(kinds) - max(net, 0) == (n_steps - abs(net)) / 2
    assert (kinds == "initial").sum() == max(0, max(places) - MIDDLE)
    assert result.metrics["completed_cycles"] == (kinds == "cell").sum()
    assert (result.trades["reason"] != "initial").sum() == n_steps


@pytest.mark.slow
def test_every_walk_of_ten_steps_earns_nothing_on_average():
    """All 2^10 of them: E[PnL] is 0, E[cycles] is 3.76953125, exactly."""
    pnl, cycles, parameters = [], [], ladder(89.0, 111.0, 23)
    for steps in itertools.product((-1, 1), repeat=10):
        prices = np.cumsum([100.0, 0.0, *steps])
        result = trade(candles_through(list(prices)), parameters, **FREE, **OPEN_GATE)
        pnl.append(earned(result))
        cycles.append(len(result.round_trips) - max(0, sum(steps)))
    assert len(pnl) == 1024
    assert sum(pnl) == 0.0
    assert np.ptp(pnl) > 0
    assert np.mean(cycles) == 3.76953125


# the geometric ladder of the specification
def test_geometric_ladder_of_41_levels():
    ratio = 1.0041850852283642
    path = candles_through([60_000.0, 60_000.0, 55_000.0, 65_000.0, 55_000.0, 65_000.0])
    parameters = ladder(55_000.0, 65_000.0, 41, spacing="geometric", amount_per_grid=0.01)
    result = trade(path, parameters, maker=0.001, taker=0.001, slippage=0.0, **OPEN_GATE)
    cells = result.raw.cells[0]
    assert len(cells) == 40
    np.testing.assert_allclose(cells["exit_price"] / cells["price"], ratio, rtol=1e-14)
    np.testing.assert_allclose(cells["price"], 55_000.0 * ratio ** np.arange(40), rtol=1e-13)
    trips = result.round_trips[result.round_trips["kind"] == "cell"]
    assert len(trips) > 40
    per_cycle = trips["pnl"] / (trips["entry_price"] * trips["quantity"]) * 100
    np.testing.assert_allclose(per_cycle, 0.21809001431, rtol=0, atol=5e-12)


# the fee floor
@pytest.mark.parametrize("fee", [0.0002, 0.001, 0.01])
def test_the_smallest_profit_that_pays_is_where_cycles_turn_positive(fee):
    floor = (1 + fee) / (1 - fee) - 1
    down_and_up = candles_through([100.5, 100.5, 99.0, 105.0])
    nets = {}
    for profit in (floor * (1 - 1e-6), floor * (1 + 1e-6)):
        parameters = {
            "lower_price": 98.0,
            "upper_price": 100.0,
            "num_levels": 2,
            "initial_inventory": "none",
            "profit_per_grid": profit,
            "trailing_enabled": False,
        }
        costs = {"maker": fee, "taker": fee, "slippage": 0.0}
        if profit <= floor:
            with pytest.raises(
                ConfigError, match=r"cannot pay its fees of 2 × .* the smallest profit that can is above"
            ):
                Config(costs=costs, grid_params=parameters)
            costs["maker"] = 0.0
        result = trade(down_and_up, parameters, **costs)
        trip = result.round_trips.iloc[0]
        paid = 0.0 if costs["maker"] else fee * trip["quantity"] * (trip["entry_price"] + trip["exit_price"])
        nets[profit] = trip["pnl"] - paid
    assert list(np.sign(list(nets.values()))) == [-1.0, 1.0]


@pytest.mark.parametrize(("spacing", "most"), [("arithmetic", 251), ("geometric", 347)])
def test_the_fee_floor_holds_for_the_narrowest_cell_of_fixed_bounds(spacing, most):
    """At 0.1 % a cell must earn more than 0.2002 %; between 100 and 200 the top arithmetic cell is the narrowest."""
    gaps = {n: 100.0 / (n - 1) for n in (most, most + 1)}
    profit = {n: gap / (200.0 - gap) if spacing == "arithmetic" else 2 ** (1 / (n - 1)) - 1 for n, gap in gaps.items()}
    assert profit[most] > 1.001 / 0.999 - 1 >= profit[most + 1]
    assert Config(grid_params=ladder(100.0, 200.0, most, spacing=spacing)).strategies()[0].num_levels == most
    with pytest.raises(ConfigError, match=r"cannot pay its fees of 2 × 0.1000%; .* above 0.200200%"):
        Config(grid_params=ladder(100.0, 200.0, most + 1, spacing=spacing))


# prices that collapse onto one tick
def test_collapsed_prices_are_refused_once_and_trade_nothing():
    path = candles_through([102.0, 102.0, 100.0, 104.0, 100.0])
    result = trade(path, ladder(100.0, 103.0, 10), tick=1.0, **FREE)
    assert len(result.trades) == 0
    assert result.rejections == {"invalid_ladder": 1}
    assert "refused: invalid_ladder 1" in result.why_no_trades()
    assert len(trade(path, ladder(100.0, 103.0, 4), tick=1.0, **FREE).trades) > 0


@pytest.mark.parametrize("price", [1.234e-5, 98_765.4])
def test_levels_are_ticks_of_cheap_and_dear_coins(price):
    tick = 1e-8 if price < 1 else 0.1
    path = candles_through([price, price, price * 0.96, price * 1.04])
    parameters = {"lower_price": price * 0.95, "upper_price": price * 1.05, "profit_per_grid": 0.01}
    cells = trade(path, parameters, tick=tick).raw.cells[0]
    ticks = cells["price"] / tick
    np.testing.assert_allclose(ticks, np.rint(ticks), rtol=0, atol=1e-6)
    assert (np.diff(cells["price"]) > 0).all()
    exact = price * 0.95 + np.arange(10) * price * 0.1 / 9
    assert ((cells["price"] <= exact * (1 + 1e-12)) & (cells["price"] > exact - tick)).all()


# cash of a spot account
def test_cells_ask_highest_first_while_the_cash_lasts():
    path = candles_through([100.5, 100.5, 100.4, 94.0])
    parameters = {
        "lower_price": 95.0,
        "upper_price": 100.0,
        "num_levels": 6,
        "profit_per_grid": 0.02,
        "amount_per_grid": 3_000.0,
        "initial_inventory": "none",
        "trailing_enabled": False,
    }
    options = {"max_position_size_pct": None, "max_daily_loss_pct": None}
    result = trade(path, parameters, **options)
    bought = result.trades
    assert bought["price"].tolist() == [100.0, 99.0, 98.0]
    assert result.rejections == {"cash": 3}
    assert result.cash.min() == pytest.approx(10_000.0 - 9_000.0 * 1.001, abs=1e-9)
    assert result.cash.min() >= 0
    exact = trade(path, parameters, **options, initial_balance=12_012.0)
    assert exact.trades["price"].tolist() == [100.0, 99.0, 98.0, 97.0]
    assert exact.cash.min() == pytest.approx(0.0, abs=1e-9)
    short = trade(path, parameters, **options, initial_balance=12_011.999)
    assert short.trades["price"].tolist() == [100.0, 99.0, 98.0]


def test_cells_in_every_state_are_accounted_for():
    path = candles_through([100.5, 100.5, 98.5])
    parameters = ladder(95.0, 105.0, 11, initial_inventory="none")
    cells = trade(path, parameters, **FREE, **OPEN_GATE).raw.cells[0]
    assert cells["state"].tolist() == [RESTING] * 4 + [HOLDING] * 2 + [IDLE] * 4
