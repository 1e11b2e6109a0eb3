"""The faults of the earlier system that concern engine, strategies, metrics and loading: one test each that fails if
we had it. Numbers are those of the list of faults. Not here, since what they concern comes later or is tested there:
4 (zones and swings), 5 (walk-forward), 20 (portfolio), 24 (Monte Carlo), 25 (optimiser), 28 (checkpoints), 29 and 30
(speed), 31 (service); 1 also in `test_causality`, 32 is what all of these tests are.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from tests.engine.twin import data_of, run_kernel
from tests.reference.markets import FIVE_MINUTES, START, candles_from, candles_through, random_candles
from tests.test_reference import DEAL, FREE, LADDER, TREND, rising_market
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.market.frames import last_closed

DAY = 288
IDLE = {**LADDER, "initial_inventory": "none"}
OPEN_RISK = {"max_position_size_pct": None, "max_daily_loss_pct": None}


def trade(candles: dict, strategies: dict, *, route: list | None = None, warmup: int = 0, **settings):
    """A run of the kernels on hand-made candles."""
    active = [set(strategies)] * len(candles["open_time"]) if route is None else route
    return run_kernel(candles, active, warmup, {"strategies": strategies, **settings})


def fills(result) -> list[tuple]:
    return list(result.trades[["row", "reason", "price", "quantity"]].itertuples(index=False, name=None))


def reasons(result) -> list[str]:
    return list(result.trades["reason"])


def test_fault_1_an_hour_is_seen_when_it_is_over_and_not_from_its_label() -> None:
    base = START + FIVE_MINUTES * np.arange(40)
    seen = last_closed(base, FIVE_MINUTES, START + 3_600_000 * np.arange(4), 3_600_000)
    assert list(seen[9:13]) == [-1, -1, 0, 0]
    assert list(seen[22:25]) == [0, 1, 1]


def test_fault_2_nothing_trades_on_candles_that_made_its_bounds() -> None:
    """The ladder waits for 14 whole hours, stands around a close, and that candle's own range fills nothing."""
    candles = random_candles(3, 400, holes=0)
    result = trade(candles, {"grid": {"num_levels": 20, "atr_multiplier": 0.5}}, **OPEN_RISK)
    assert result.trades["row"].min() == 167  # the candles begin at 00:05, the 14th hour closes with row 166
    wide = candles_from([(4.5,) * 4, (4.5, 6.9, 2.1, 4.5), (4.5,) * 4])
    assert fills(trade(wide, {"grid": IDLE}, warmup=1, **FREE)) == []


def test_fault_3_only_the_candles_tell_the_time() -> None:
    """The daily limit ends with the candles' day; the same candles ten years later make the same run."""
    prices = [4.5, 4.5, 3.0, 2.9, *([2.9] * (DAY - 5)), 4.2, 4.2, 2.95]
    ladder = {"grid": {**IDLE, "amount_per_grid": 500.0}}
    now, later = (
        trade(
            candles_through(prices, start=START + years * 365 * DAY * FIVE_MINUTES),
            ladder,
            max_position_size_pct=1.0,
            **FREE,
        )
        for years in (0, 10)
    )
    assert now.daily_blocks >= 1
    assert [row for row, reason, _, _ in fills(now) if reason == "buy"] == [2, 2, len(prices) - 1]
    assert fills(now) == fills(later)
    assert later.trades["time"].iloc[0].year == 2033


@pytest.mark.parametrize("price", [66_000.0, 45_000.0, 30_000.0, 1e-5])
def test_fault_6_a_flat_tape_earns_nothing_at_any_price(price: float) -> None:
    ladder = {"lower_price": price * 0.9, "upper_price": price * 1.1}
    free, paid = (trade(candles_through([price] * 50), {"grid": ladder}, **costs) for costs in (FREE, {}))
    assert reasons(free) == ["initial"] * 5
    assert free.final_balance == pytest.approx(10_000.0, abs=1e-9)
    assert paid.final_balance < 10_000.0


def test_fault_7_a_counter_order_is_live_in_the_candle_that_placed_it() -> None:
    swing, again = (4.5, 4.6, 2.5, 4.5), (4.5, 4.6, 2.5, 2.9)
    result = trade(candles_from([(4.5,) * 4, (4.5,) * 4, swing, again]), {"grid": IDLE}, path="olhc", **FREE)
    once = [("buy", 3.0), ("sell", 4.0)]
    assert [fill[1:3] for fill in fills(result)] == [("buy", 4.0), *once, *once, ("buy", 3.0)]
    assert list(result.trades["row"]) == [2, 2, 2, 3, 3, 3]


def test_fault_8_what_was_bought_is_sold_whole_and_its_cell_lives_on() -> None:
    result = trade(candles_through([4.5, 4.5, *([3.5, 5.0] * 100)]), {"grid": IDLE})
    assert reasons(result) == ["buy", "sell"] * 100
    assert set(result.trades["quantity"]) == {1.0}
    assert list(result.books[("grid", "quantity")]) == [0.0, 0.0, *([1.0, 0.0] * 100)]


def test_fault_9_pnl_of_a_strategy_is_what_its_fills_brought() -> None:
    losing = {**DEAL, "max_safety_orders": 0, "stop_loss_pct": 0.05, "tp_pct": 1.0}
    result = trade(candles_through([10, 9, 9, 8]), {"dca": losing, "grid": IDLE})
    flow = np.where(result.trades["side"] == "buy", -1, 1) * result.trades["price"] * result.trades["quantity"]
    by_fills = (flow - result.trades["fee"]).groupby(result.trades["strategy"]).sum()
    assert result.per_strategy_pnl["dca"] == pytest.approx(by_fills["dca"])
    assert result.per_strategy_pnl["dca"] < 0.0
    assert result.per_strategy_pnl["grid"] == 0.0
    assert sum(result.per_strategy_pnl.values()) == pytest.approx(result.final_balance - 10_000.0)


def test_fault_10_one_coin_at_9_and_three_at_4_and_a_half_average_5_625() -> None:
    result = trade(candles_through([10, 9, 9, 4.5, 4.5, 7.0]), {"dca": DEAL}, max_daily_loss_pct=None, **FREE)
    assert fills(result) == [
        (2, "base", 9.0, 1.0),
        (3, "safety", 4.5, 3.0),
        (5, "target", pytest.approx(5.625 * 1.1), 4.0),
    ]
    assert list(result.round_trips["quantity"]) == [4.0]
    assert list(result.round_trips["entry_price"]) == [5.625]
    held = result.books["dca"].iloc[3]
    assert (held["quantity"], held["cost"]) == (4.0, 22.5)
    assert result.cash.iloc[3] == pytest.approx(10_000.0 - 9.0 - 13.5)


def test_fault_11_a_book_sells_only_its_own_coins() -> None:
    ladder = {**LADDER, "lower_price": 8.0, "upper_price": 18.0}
    result = trade(
        candles_through([10, 9, 9, 10, 10]), {"grid": ladder, "dca": {**DEAL, "max_safety_orders": 0}}, **FREE
    )
    sold = result.trades[result.trades["side"] == "sell"]
    assert list(sold["strategy"]) == ["dca"]
    assert sold["quantity"].sum() == result.trades.query("strategy == 'dca' and side == 'buy'")["quantity"].sum()
    assert result.books[("grid", "quantity")].iloc[-1] == 4.0
    stopped = {**DEAL, "max_safety_orders": 0, "stop_loss_pct": 0.05, "tp_pct": 1.0}
    both = trade(candles_through([10, 9, 9, 8.2, 8.2]), {"grid": ladder, "dca": stopped}, **FREE)
    bought = both.trades.query("strategy == 'dca' and side == 'buy'")["quantity"].sum()
    assert fills(both)[-1][1:] == ("stop", pytest.approx(8.55), bought)
    assert list(both.books.xs("quantity", axis=1, level="field").iloc[-1]) == [4.0, 0.0]


def test_fault_12_fees_are_in_every_cycle_and_a_cycle_that_cannot_pay_them_is_refused() -> None:
    with pytest.raises(ta.ConfigError, match="cannot pay its fees"):
        OrchestratorBacktestConfig(grid_params={"profit_per_grid": 0.001})
    deal = {**DEAL, "max_safety_orders": 0, "tp_pct": 0.001, "cooldown": 0}
    result = trade(candles_through([10, 9, 9, 9.1, 10, 9, 9, 9.1]), {"dca": deal}, **OPEN_RISK)
    assert len(result.round_trips) == 2
    assert (result.round_trips["exit_price"] * result.round_trips["quantity"]).sum() > 0.0
    assert (result.metrics["win_rate"], result.metrics["profit_factor"]) == (0.0, 0.0)
    assert result.round_trips["pnl"].sum() == pytest.approx(result.final_balance - 10_000.0)
    cell = trade(candles_through([4.5, 4.5, 3.9, 5.1]), {"grid": IDLE}).round_trips.iloc[0]
    assert cell["pnl"] == pytest.approx(5.0 * (1 - 0.001) - 4.0 * (1 + 0.001))


def test_fault_13_size_and_gate_look_at_the_same_equity() -> None:
    """A book at its limit trades on after a profit."""
    deal = {**DEAL, "base_order": 0.25, "max_safety_orders": 0, "cooldown": 0}
    result = trade(candles_through([10, 9, 9, 10, 10, 9, 9, 10, 10, 9, 9]), {"dca": deal}, **FREE)
    assert reasons(result) == ["base", "target"] * 2 + ["base"]
    sizes = result.trades["quantity"].iloc[[0, 2, 4]].to_list()
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]
    assert result.rejections == {}


def test_fault_14_the_daily_loss_is_a_distance_and_ends_with_the_day() -> None:
    ladder = {"grid": {**IDLE, "amount_per_grid": 500.0}}
    zigzag = trade(candles_through([4.5, 4.5, *([3.9, 4.4] * 140)]), ladder, max_position_size_pct=1.0, **FREE)
    assert zigzag.daily_blocks == 0
    fall = [4.5, 4.5, 3.0, 2.9, 2.9, 4.2, *([4.2] * 285), 2.95]
    result = trade(candles_through(fall), ladder, max_position_size_pct=1.0, **FREE)
    assert result.daily_blocks == 2
    assert [row for row, reason, _, _ in fills(result) if reason == "buy"] == [2, 2, 291]
    overnight = candles_through([4.5, 4.5, 3.0, *([2.9] * 286), 1.9])
    result = trade(overnight, ladder, max_position_size_pct=1.0, **FREE)
    assert [(row, price) for row, _, price, _ in fills(result)] == [(2, 4.0), (2, 3.0), (DAY + 1, 2.0)]


def test_fault_15_a_partial_closes_its_fraction_and_nominal_prices_do_not_matter() -> None:
    candles = rising_market([(0, 0, 0, 0), (0, 2.5, 0, 2.5), (2.5, 2.5, -9, -9)])
    cheap = {
        name: values if name in ("open_time", "volume") else [v * 2.0**-20 for v in values]
        for name, values in candles.items()
    }
    runs = [trade(c, {"trend_follower": TREND}, warmup=47, **FREE) for c in (candles, cheap)]
    for result in runs:
        entry, partial, stop = fills(result)
        assert (entry[0], partial[1], stop[1]) == (48, "partial", "stop")
        assert partial[3] == pytest.approx(entry[3] / 2.0)
        assert len(result.round_trips) == 1
    np.testing.assert_allclose(runs[0].equity, runs[1].equity, rtol=1e-12)


@pytest.mark.parametrize(("price", "tick", "step"), [(0.00001234, 1e-8, 1.0), (98_765.0, 0.1, 1e-6)])
def test_fault_16_cheap_coins_keep_their_levels_and_dear_ones_trade(price: float, tick: float, step: float) -> None:
    candles = random_candles(1, 900, price=price, tick=tick, holes=0)
    result = trade(candles, {"grid": {"profit_per_grid": 0.01}}, warmup=300, tick=tick, step=step)
    assert result.trades.query("reason == 'buy'")["price"].nunique() >= 3
    assert not {"min_notional", "invalid_ladder", "cash"} & set(result.rejections)
    for column, unit in (("price", tick), ("quantity", step)):
        of_limits = result.trades.query("reason != 'initial'")[column] / unit
        assert np.allclose(of_limits, np.rint(of_limits), rtol=0, atol=1e-4)


def test_fault_16_a_ladder_that_collapses_onto_a_tick_is_refused_once() -> None:
    result = trade(candles_through([100.0] * 300), {"grid": {}}, warmup=200, tick=0.01)
    assert (fills(result), result.rejections) == ([], {"invalid_ladder": 1})


def test_fault_17_a_stop_sells_and_pays_and_does_not_fire_on_rises() -> None:
    deal = {"dca": {**DEAL, "max_safety_orders": 0, "stop_loss_pct": 0.05, "tp_pct": 1.0}}
    assert reasons(trade(candles_through([10, 9, 9, 12, 13]), deal)) == ["base"]
    fallen = trade(candles_through([10, 9, 9, 8]), deal, slippage=0.001, taker=0.002)
    stop = fallen.trades.iloc[1]
    assert stop["price"] == pytest.approx(9.0 * 1.001 * 0.95 * 0.999)
    assert stop["fee"] == pytest.approx(stop["price"] * stop["quantity"] * 0.002)
    assert fallen.books[("dca", "quantity")].iloc[-1] == 0.0
    jumped = trade(candles_from([(10,) * 4, (9,) * 4, (9,) * 4, (7, 7, 6, 6)]), deal, **FREE)
    assert fills(jumped)[1][2] == 7.0


def test_fault_18_a_shift_keeps_the_inventory_and_its_sell_orders() -> None:
    ladder = {
        "lower_price": 98.0,
        "upper_price": 102.0,
        "num_levels": 3,
        "profit_per_grid": 0.01,
        "trailing_recenter_mode": "fixed",
        "initial_inventory": "none",
        "trailing_cooldown_candles": 0,
    }
    result = trade(candles_through([100.0, 100.0, 99.0, 90.0, 90.0, 101.0]), {"grid": ladder}, **FREE)
    _, reason, price, bought = fills(result)[0]
    assert int(result.raw.books["n_shifts"].sum()) >= 1
    assert (reason, price) == ("buy", 98.0)
    assert result.books[("grid", "quantity")].iloc[4] == bought
    assert (5, "sell", pytest.approx(98.0 * 1.01), bought) in fills(result)


def test_fault_19_a_sale_ends_the_cycle_that_bought_it() -> None:
    """First in, last out, and another strategy in between: pairing by place in the list would be wrong."""
    deal = {**DEAL, "max_safety_orders": 0, "tp_pct": 0.05, "trigger_pct": 0.2, "base_order": 0.0004}
    result = trade(candles_through([5.5, 5.5, 4.2, 4.2, 2.9, 2.9, 4.3, 6.1]), {"grid": IDLE, "dca": deal}, **FREE)
    trips, trades = result.round_trips, result.trades
    assert set(trips["strategy"]) == {"grid", "dca"}
    own = {
        (s, c): set(trades.query("strategy == @s and cycle_id == @c")["price"])
        for s, c in zip(trips["strategy"], trips["cycle_id"], strict=True)
    }
    for trip in trips.itertuples():
        assert own[trip.strategy, trip.cycle_id] == {trip.entry_price, trip.exit_price}
    cells = trips.query("strategy == 'grid'")
    assert list(cells["entry_price"]) == [3.0, 4.0, 5.0]
    assert list(cells["exit_price"] - cells["entry_price"]) == [1.0] * len(cells)


def test_fault_21_what_is_undefined_is_nan_and_calmar_has_a_sign() -> None:
    idle = trade(candles_through([100.0] * 400), {"dca": DEAL})
    for name in (
        "sharpe_ratio",
        "sortino_ratio",
        "calmar_ratio",
        "profit_factor",
        "win_rate",
        "avg_profit_per_cycle",
        "max_adverse_excursion",
        "return_on_deployed_pct",
    ):
        assert math.isnan(idle.metrics[name]), name
    won = trade(candles_through([10, 9, 9, 10, 10]), {"dca": {**DEAL, "max_safety_orders": 0}}, **FREE)
    assert won.metrics["win_rate"] == 1.0
    assert math.isnan(won.metrics["profit_factor"])
    falling = [4.5, 4.5, 3.0, *np.linspace(3.0, 2.0, 40 * DAY)]
    losing = trade(candles_through(falling), {"grid": IDLE}, **FREE, **OPEN_RISK)
    assert losing.metrics["calmar_ratio"] < 0.0


def hourly_ratio(equity: pd.Series, initial: float) -> float:
    by_hour = np.r_[initial, equity.resample("1h").last().ffill().to_numpy()]
    returns = np.diff(by_hour) / by_hour[:-1]
    return returns.mean() / returns.std(ddof=1) * math.sqrt(8_760)


@pytest.fixture
def six_days() -> dict:
    """From midnight, without a hole."""
    return random_candles(8, 6 * DAY, holes=0) | {"open_time": [START + FIVE_MINUTES * row for row in range(6 * DAY)]}


HELD = {"grid": {"lower_price": 80.0, "upper_price": 120.0, "amount_per_grid": 900.0}}


def test_fault_22_sharpe_is_hourly_whatever_the_candles(six_days: dict) -> None:
    whole = trade(six_days, HELD, **OPEN_RISK)
    assert whole.metrics["sharpe_ratio"] == pytest.approx(hourly_ratio(whole.equity, 10_000.0), rel=1e-6)


def test_fault_22_a_stopped_run_is_judged_over_the_whole_span(six_days: dict) -> None:
    """The hour and the day of the stop count, flat hours after it too."""
    stopped = trade(six_days, HELD, portfolio_stop_loss_pct=0.01, **OPEN_RISK)
    assert stopped.risk_halted
    assert stopped.equity.iloc[-100:].nunique() == 1
    assert stopped.metrics["sharpe_ratio"] == pytest.approx(hourly_ratio(stopped.equity, 10_000.0), rel=1e-6)


def test_fault_23_the_drawdown_is_percent_of_the_peak() -> None:
    deal = {**DEAL, "base_order": 0.5, "max_safety_orders": 0, "tp_pct": 5.0}
    result = trade(candles_through([10, 9, 9, 18, 9]), {"dca": deal}, **FREE, **OPEN_RISK)
    assert result.metrics["max_drawdown_pct"] == pytest.approx((15_000.0 - 10_000.0) / 15_000.0 * 100.0)
    assert result.metrics["total_return_pct"] == pytest.approx(0.0)


@pytest.mark.parametrize(
    "settings",
    [
        {"grid_params": {"profit_per_gird": 0.01}},
        {"dca_params": {"tp_pc": 0.02}},
        {"tf_params": {"rsi_periode": 14}},
        {"max_daily_los_pct": 0.05},
        {"costs": {"makr": 0.001}},
        {"grid_params": {"num_levels": 1}},
    ],
)
def test_fault_26_an_unknown_or_impossible_parameter_is_an_error(settings: dict) -> None:
    with pytest.raises(ta.ConfigError):
        OrchestratorBacktestConfig(**settings)


def test_fault_27_missing_candles_are_an_error_and_never_others(tmp_path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ta.DataError):
            ta.load_market(folder, progress=False)
    with pytest.raises((ta.DataError, ta.ConfigError)):
        ta.load_market(tmp_path, symbols=["BTC"], progress=False)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"symbols": ["ETH"]}, "unknown symbol 'ETHUSDT'"),
        ({"start": "2030-01-01"}, "no candles there"),
        ({"symbols": ["BTC"], "start": "2030-01-01"}, "no candles there"),
        ({"timeframe": "1m"}, "only candles of 5m"),
    ],
)
def test_fault_27_candles_that_are_there_stand_in_for_no_others(tmp_path, asked: dict, words: str) -> None:
    data_of(candles_through([4.5] * 300), {}).candles.to_parquet(tmp_path / "BTCUSDT_5m.parquet")
    assert len(ta.load_market(tmp_path, progress=False)["BTC"]) == 300
    with pytest.raises((ta.DataError, ta.ConfigError), match=words):
        ta.load_market(tmp_path, progress=False, **asked)


def test_fault_27_a_file_that_cannot_be_read_is_an_error_too(tmp_path) -> None:
    (tmp_path / "BTCUSDT_5m.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ta.DataError, match="not readable as parquet"):
        ta.load_market(tmp_path, progress=False)
