"""Hand-worked examples of the twin's rules: risk, cash, route, path, router, regime, metrics."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.reference import StrategyRouter, metrics, regime_history, run, run_orchestrator
from tests.reference.account import Account
from tests.reference.frames import DAY, H1, M15, last_closed, resample
from tests.reference.markets import FIVE_MINUTES, START, candles_from, candles_through, random_candles
from tests.reference.regime import BEAR, BULL, TIGHT, UNKNOWN, WIDE, next_regime, unknown_analysis
from tests.reference.rounding import Instrument, decimals_of, round_down, round_up
from tests.test_reference import DEAL, FREE, LADDER, trade, trades

IDLE_LADDER = {**LADDER, "initial_inventory": "none"}


# rounding
def test_prices_are_whole_ticks() -> None:
    assert [decimals_of(unit) for unit in (0.01, 1e-8, 0.5, 10.0, 0.00025)] == [2, 8, 1, 0, 5]
    assert round_down(100.60000000000001, 0.01) == 100.6 == round_down(100.6, 0.01) == round_up(100.6, 0.01)
    assert round_up(100.601, 0.01) == 100.61
    assert Instrument(tick=0.01).ticks_away(100.6, -1) == 100.59


def test_fault_16_cheap_coins_keep_their_levels_and_expensive_ones_trade() -> None:
    cheap = random_candles(1, 900, price=0.00001234, tick=1e-8, holes=0)
    expensive = random_candles(1, 900, price=98_765.0, tick=0.1, holes=0)
    for candles, tick, step in ((cheap, 1e-8, 1.0), (expensive, 0.1, 1e-6)):
        result = trade(candles, {"grid": {"profit_per_grid": 0.01}}, warmup=300, tick=tick, step=step)
        assert len({f["price"] for f in result.fills if f["reason"] == "buy"}) >= 3
        assert not {"min_notional", "invalid_ladder", "cash"} & set(result.rejections)


# path
def test_a_limit_that_the_open_jumps_over_fills_at_the_open() -> None:
    candles = candles_from([(4.5,) * 4, (4.5,) * 4, (3.6, 3.7, 3.5, 3.6)])
    assert trades(trade(candles, {"grid": IDLE_LADDER}, **FREE)) == [(2, "buy", 3.6, 1.0)]


def test_penetration_asks_for_more_and_fills_at_the_limit() -> None:
    touched = candles_from([(4.5,) * 4, (4.5,) * 4, (4.5, 4.5, 4.0, 4.5)])
    through = candles_from([(4.5,) * 4, (4.5,) * 4, (4.5, 4.5, 3.99, 4.5)])
    settings = {"tick": 0.01, "penetration_ticks": 1, **FREE}
    assert trades(trade(touched, {"grid": IDLE_LADDER}, **settings)) == []
    assert trades(trade(through, {"grid": IDLE_LADDER}, **settings)) == [(2, "buy", 4.0, 1.0)]


def test_a_penetrated_limit_that_rested_takes_the_better_open() -> None:
    candles = candles_from([(4.5,) * 4, (4.5,) * 4, (3.98, 4.0, 3.95, 3.99)])
    settings = {"tick": 0.01, "penetration_ticks": 3, **FREE}
    assert trades(trade(candles, {"grid": IDLE_LADDER}, **settings)) == [(2, "buy", 3.98, 1.0)]


def test_at_one_price_a_stop_comes_before_an_entry_of_an_earlier_book() -> None:
    deal = {**DEAL, "max_safety_orders": 0, "stop_loss_pct": 0.25}
    ladder = {**IDLE_LADDER, "lower_price": 6.75, "upper_price": 7.75, "num_levels": 2}
    candles = candles_from([(10,) * 4, (9,) * 4, (9,) * 4, (9, 9, 6.75, 7.0)])
    result = trade(candles, {"grid": ladder, "dca": deal}, **FREE)
    assert [f["reason"] for f in result.fills] == ["base", "stop", "buy"]


def test_two_books_met_at_the_low_of_a_candle_both_fill() -> None:
    deal = {**DEAL, "deviation_pct": 0.2, "tp_pct": 1.0}
    ladder = {**IDLE_LADDER, "lower_price": 7.2, "upper_price": 8.2, "num_levels": 2}
    candles = candles_from([(10,) * 4, (9,) * 4, (9,) * 4, (9, 9, 7.2, 7.5)])
    result = trade(candles, {"grid": ladder, "dca": deal}, max_daily_loss_pct=None, **FREE)
    assert [(f["strategy"], f["price"]) for f in result.fills if f["row"] == 3] == [("grid", 7.2), ("dca", 7.2)]


def test_the_four_paths_see_different_fills_in_one_candle() -> None:
    candles = candles_from([(4.5,) * 4, (4.5,) * 4, (4.5, 5.2, 3.9, 4.4)])
    cycles = {
        model: len(trade(candles, {"grid": IDLE_LADDER}, path=model, **FREE).round_trips)
        for model in ("candle", "nearest", "olhc", "ohlc")
    }
    assert cycles == {"candle": 0, "nearest": 1, "olhc": 1, "ohlc": 0}


# cash
def test_cash_freed_by_another_book_in_this_candle_is_not_yet_there() -> None:
    account = Account(100.0, ["grid", "dca"])
    account.begin_candle()
    account.change_cash("grid", 50.0)
    assert (account.may_use("grid"), account.may_use("dca")) == (150.0, 100.0)
    account.reserve("dca", 30.0)
    assert (account.may_use("grid"), account.may_use("dca")) == (120.0, 70.0)
    account.end_candle()
    assert account.may_use("dca") == account.free() == 120.0


def test_an_order_that_its_open_makes_too_dear_is_cut() -> None:
    deal = {**DEAL, "base_order": 0.99, "max_safety_orders": 0}
    candles = candles_from([(10,) * 4, (9,) * 4, (9.9,) * 4])
    settings = {"max_position_size_pct": None, "max_daily_loss_pct": None}
    result = trade(candles, {"dca": deal}, step=0.001, **settings)
    price = 9.9 * 1.0003
    assert result.cut_orders == 1
    assert result.fills[0]["quantity"] == round_down(10_000.0 / (price * 1.001), 0.001)
    assert 0.0 <= result.cash[-1] < 0.02


# risk
def test_fault_13_size_and_gate_use_the_same_equity() -> None:
    deal = {**DEAL, "base_order": 0.25, "max_safety_orders": 0, "cooldown": 0}
    candles = candles_through([10, 9, 9, 10, 10, 9, 9, 10, 10, 9, 9])
    result = trade(candles, {"dca": deal}, **FREE)
    assert [f["reason"] for f in result.fills] == ["base", "target"] * 2 + ["base"]
    assert result.fills[4]["quantity"] > result.fills[2]["quantity"] > result.fills[0]["quantity"]
    assert result.rejections == {}


def test_fault_14_the_daily_loss_is_one_from_the_day_before_and_ends_with_the_day() -> None:
    ladder = {**IDLE_LADDER, "amount_per_grid": 500.0}
    zigzag = [4.5, 4.5, *([3.9, 4.4] * 140)]
    never = trade(candles_through(zigzag), {"grid": ladder}, max_daily_loss_pct=0.05, max_position_size_pct=1.0, **FREE)
    assert never.daily_blocks == 0
    fall = [4.5, 4.5, 3.0, 2.9, 2.9, 4.2, *([4.2] * 285), 2.95]
    day = DAY // FIVE_MINUTES
    result = trade(candles_through(fall), {"grid": ladder}, max_daily_loss_pct=0.05, max_position_size_pct=1.0, **FREE)
    assert (result.daily_blocks, result.blocked_rows) == (2, [*range(2, day), 291])
    assert [row for row, reason, _, _ in trades(result) if reason == "buy"] == [2, 2, 291]
    assert result.rejections == {}


def test_a_start_on_a_blocked_day_is_refused_once_an_episode() -> None:
    ladder = {**IDLE_LADDER, "amount_per_grid": 500.0}
    candles = candles_through([4.5, 4.5, 3.0, 2.9, 2.8, 2.7])
    settings = {"max_daily_loss_pct": 0.05, "max_position_size_pct": 1.0, **FREE}
    deal = {**DEAL, "trigger_pct": 0.01}
    result = trade(candles, {"grid": ladder, "dca": deal}, **settings)
    assert result.rejections == {"risk_daily": 1}
    assert {f["strategy"] for f in result.fills} == {"grid"}


def test_the_portfolio_stop_sells_all_at_the_next_open_and_halts() -> None:
    deal = {**DEAL, "base_order": 0.25, "max_safety_orders": 0, "tp_pct": 1.0}
    candles = candles_from([(10,) * 4, (9,) * 4, (9,) * 4, (9, 9, 6, 6), (5.5,) * 4, (5,) * 4])
    result = trade(candles, {"dca": deal}, portfolio_stop_loss_pct=0.05, max_daily_loss_pct=None, **FREE)
    assert [f["reason"] for f in result.fills] == ["base", "portfolio_stop"]
    assert (result.fills[1]["row"], result.fills[1]["price"]) == (4, 5.5)
    assert (result.risk_halted, result.halted_row) == (True, 3)
    off = {"portfolio_stop_loss_pct": 0.05, "enable_risk_manager": False}
    assert len(trade(candles, {"dca": deal}, **off, **FREE).fills) == 1


# route
@pytest.mark.parametrize(
    ("mode", "reasons"),
    [
        ("exit_only", ["buy", "sell"]),
        ("keep", ["buy", "buy", "sell", "sell", "buy", "buy"]),
        ("flatten", ["buy", "deactivated"]),
    ],
)
def test_leaving_the_route(mode: str, reasons: list[str]) -> None:
    candles = candles_through([4.5, 4.5, 3.9, 2.95, 3.95, 5.1, 2.9])
    route = [{"grid"}] * 2 + [set()] * 5
    ladder = {**IDLE_LADDER, "lower_price": 3.0, "upper_price": 5.0, "num_levels": 3}
    result = trade(candles, {"grid": ladder}, route=route, on_deactivate=mode, **FREE)
    assert [f["reason"] for f in result.fills] == reasons


def test_the_book_of_one_strategy_sells_only_its_own() -> None:
    """Fault 11."""
    ladder = {**LADDER, "lower_price": 8.0, "upper_price": 18.0, "num_levels": 2}
    deal = {**DEAL, "max_safety_orders": 0}
    candles = candles_through([10, 9, 9, 10, 10])
    result = trade(candles, {"grid": ladder, "dca": deal}, **FREE)
    assert [f["strategy"] for f in result.fills if f["side"] == "sell"] == ["dca"]
    assert result.books[-1]["dca"]["quantity"] == 0.0
    assert result.books[-1]["grid"]["quantity"] == sum(f["quantity"] for f in result.fills if f["strategy"] == "grid")


# frames, regime, router
def test_a_frame_candle_is_visible_when_its_whole_span_has_passed() -> None:
    candles = candles_through([1.0 + i for i in range(30)])
    m15, h1 = resample(candles, M15), resample(candles, H1)
    assert last_closed(candles, FIVE_MINUTES, m15, M15)[:6] == [-1, -1, 0, 0, 0, 1]
    assert last_closed(candles, FIVE_MINUTES, h1, H1)[10:13] == [-1, 0, 0]
    assert (h1["open"][0], h1["close"][0], h1["high"][0], h1["volume"][0]) == (1.0, 12.0, 12.0, 12.0)


def test_regimes_remember_the_one_before() -> None:
    assert next_regime(BULL, 26.0, 3.0, 1.0, 2.0) == BEAR
    assert next_regime(UNKNOWN, 26.0, 3.0, 1.0, 2.0) == "volatile_transition"
    assert next_regime(WIDE, 21.0, 0.5, 1.0, 2.0) == TIGHT
    assert next_regime(BULL, 21.0, 0.5, 1.0, 2.0) == "quiet_transition"
    assert next_regime(BULL, 17.0, 0.5, 1.0, 2.0) == TIGHT
    assert next_regime(TIGHT, 32.0, 0.5, 2.0, 2.0) == BULL


def test_a_regime_is_unknown_before_64_candles_and_never_changes_later() -> None:
    h1 = resample(random_candles(4, 2_400, holes=0), H1)
    history = regime_history(h1)
    assert {analysis.regime for analysis in history[:63]} == {UNKNOWN}
    assert UNKNOWN not in {analysis.regime for analysis in history[63:]}
    shorter = {name: values[:120] for name, values in h1.items()}
    assert regime_history(shorter)[63:] == history[63:120]


def analysis(recommended: str, regime: str = WIDE):
    return replace(unknown_analysis(), regime=regime, recommended_strategy=recommended)


def test_the_router_blocks_counts_and_retries() -> None:
    router = StrategyRouter(cooldown_bars=60)
    assert router.on_bar(None, 0).active_strategies == {"grid", "dca", "trend_follower", "smc"}
    assert router.switch_history == []
    assert router.on_bar(analysis("grid"), 10).active_strategies == {"grid"}
    blocked = router.on_bar(analysis("dca", BULL), 22)
    assert (blocked.active_strategies, blocked.cooldown_remaining) == ({"grid"}, 48)
    router.on_bar(analysis("dca", BULL), 34)
    assert router.cooldown_events == 1
    switched = router.on_bar(analysis("dca", BULL), 70)
    assert (switched.activated, switched.deactivated) == ({"dca", "trend_follower"}, {"grid"})
    assert [switch["bar"] for switch in router.switch_history] == [10, 70]
    router.reset()
    assert (router.switch_history, router.cooldown_events) == ([], 0)


def test_the_orchestrator_is_the_run_on_the_route_it_found() -> None:
    candles = random_candles(8, 3_000)
    settings = {"duration_ms": FIVE_MINUTES, "warmup": 800, "tick": 0.01, "step": 0.0001}
    found = run_orchestrator(candles, strategies={}, router_cooldown_bars=24, **settings)
    names = {"grid": {}, "dca": {}, "trend_follower": {}}
    again = run(candles, route=found.route, strategies=names, reduce=found.reduce, **settings)
    assert again.fills == found.result.fills
    assert found.check_rows[0] == 800
    assert all(switch["bar"] in found.check_rows for switch in found.switches)
    assert len(found.switches) > 1


# metrics
def test_metrics_of_an_idle_run_are_undefined_not_zero() -> None:
    candles = candles_through([100.0] * 400, start=START)
    found = metrics(trade(candles, {"dca": DEAL}), candles)
    assert found["total_return_pct"] == 0.0
    for name in ("sharpe_ratio", "sortino_ratio", "profit_factor", "win_rate", "calmar_ratio", "max_adverse_excursion"):
        assert math.isnan(found[name]), name


def test_metrics_of_one_deal() -> None:
    candles = candles_through([10, 9, 9, 8.1, 9.9])
    deal = {**DEAL, "base_order": 0.25, "max_safety_orders": 0}
    found = metrics(trade(candles, {"dca": deal}, **FREE), candles, taker=0.0, slippage=0.0)
    assert found["total_return_pct"] == pytest.approx(2.5)
    assert found["max_drawdown_pct"] == pytest.approx(2.5)
    assert found["largest_floating_loss"] == pytest.approx(250.0)
    assert found["max_adverse_excursion"] == pytest.approx(0.1)
    assert found["turnover"] == pytest.approx(0.525)
    assert found["alpha_over_hold"] == pytest.approx(2.5 - (9.9 / 10.0 - 1.0) * 100.0)
    assert (found["completed_cycles"], found["win_rate"]) == (1, 1.0)
    assert math.isnan(found["profit_factor"])


def test_a_ladder_that_collapses_onto_one_tick_is_refused_once() -> None:
    candles = candles_through([100.0] * 300)
    result = trade(candles, {"grid": {}}, warmup=200, tick=0.01)
    assert (result.fills, result.rejections) == ([], {"invalid_ladder": 1})
