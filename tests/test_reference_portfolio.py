"""Hand-worked examples of the portfolio's twin: who may buy when several symbols share one account."""

from __future__ import annotations

import pytest

from tests.reference.engine import open_engine
from tests.reference.frames import DAY
from tests.reference.markets import FIVE_MINUTES, START, candles_through
from tests.reference.portfolio import PortfolioTwin, portfolio_twin
from tests.reference.portfolio_config import PortfolioTwinConfig
from tests.test_reference import DEAL, FREE, LADDER

OFF = {
    "max_single_pair_pct": None,
    "max_total_exposure_pct": None,
    "portfolio_stop_loss_pct": None,
    "max_correlation": None,
}
UNLIMITED = {"max_position_size_pct": None, "max_daily_loss_pct": None}
# Buys at the open after a close of 90 % of the one before, and holds.
BUY = {**DEAL, "base_order": 0.9, "max_safety_orders": 0, "tp_pct": 5.0, "cooldown": 0}
# Four cells that buy at 4, 5, 6 and 7, 500 each.
FOUR = {
    **LADDER,
    "num_levels": 5,
    "lower_price": 4.0,
    "upper_price": 8.0,
    "amount_per_grid": 500.0,
    "amount_unit": "quote",
    "initial_inventory": "none",
}


def share(market: dict, strategies: dict, *, pair: dict | None = None, routes: dict | None = None, **told):
    """On one account with every limit off that is not told; every strategy may open at every row."""
    template = {"duration_ms": FIVE_MINUTES, "warmup": 0, "strategies": strategies, **UNLIMITED, **FREE, **(pair or {})}
    overrides = told.get("overrides", {})
    active = {s: set({**strategies, **overrides.get(s, {}).get("strategies", {})}) for s in market}
    everywhere = {s: [active[s]] * len(candles["open_time"]) for s, candles in market.items()}
    config = PortfolioTwinConfig(list(market), per_pair_config=template, **{**OFF, **told})
    return portfolio_twin(market, config, {**everywhere, **(routes or {})})


def fills(result: PortfolioTwin) -> list[tuple]:
    """Rows are those of a clock that begins at START."""
    return [((f["time"] - START) // FIVE_MINUTES, f["symbol"], f["reason"], f["quantity"]) for f in result.fills]


def without(candles: dict, *rows: int) -> dict:
    return {name: [v for row, v in enumerate(values) if row not in rows] for name, values in candles.items()}


def of_deal(**changes: object) -> dict:
    return {"strategies": {"dca": {**BUY, **changes}}}


# claims on scarce cash
@pytest.mark.parametrize(
    ("candles", "first"),
    [
        (candles_through([10, 9, 9]), "B"),  # decided in an odd candle of the clock
        (candles_through([10, 9, 9], start=START + FIVE_MINUTES), "A"),
        (without(candles_through([10, 10, 9, 9]), 1), "A"),  # the clock counts the candle of a hole
    ],
)
def test_claims_on_scarce_cash_take_turns_with_the_clock(candles: dict, first: str) -> None:
    result = share({"A": candles, "B": candles}, {"dca": {**BUY, "base_order": 1.2}})
    assert [(symbol, quantity) for _, symbol, _, quantity in fills(result)] == [(first, pytest.approx(6_000.0 / 9.0))]
    refused = {"A": "B", "B": "A"}[first]
    assert result.rejections_of == {first: {}, refused: {"cash": 1}}
    assert result.rejections == {"cash": 1}


def test_grids_of_all_symbols_decide_before_the_deal_of_the_symbol_whose_turn_it_is() -> None:
    candles = candles_through([10, 10, 9, 9])  # the close of row 2, where A comes first
    names = {"dca": {**BUY, "base_order": 1.2}, "grid": {**FOUR, "amount_per_grid": 1_500.0}}
    routes = {"A": [{"dca"}] * 4, "B": [set(), set(), {"grid"}, {"grid"}]}
    result = share({"A": candles, "B": candles}, names, routes=routes)
    assert (result.committed["A"][2], result.committed["B"][2]) == (0.0, pytest.approx(6_000.0))
    assert result.rejections_of == {"A": {"cash": 1}, "B": {}}


def test_the_first_symbol_walks_its_whole_candle_before_the_next_one() -> None:
    """Both opens are 20 % above the closes that sized the orders; 1,000 are free, each asks for 900 of it."""
    candles = candles_through([10, 9, 10.8])
    candles["open"][2] = 10.8
    result = share({"A": candles, "B": candles}, {"dca": BUY})
    assert fills(result) == [
        (2, "A", "base", pytest.approx(500.0)),
        (2, "B", "base", pytest.approx(4_600.0 / 10.8)),
    ]
    assert (result.cut_orders, result.cash[-1]) == (1, pytest.approx(0.0, abs=1e-9))


def test_cash_that_one_symbol_frees_serves_the_others_only_from_the_close_on() -> None:
    one, other = candles_through([10, 9, 9, 9, 10]), candles_through([10, 10, 10, 9, 9.9])
    one["open"][4], other["open"][4] = 10.0, 9.9
    result = share({"A": one, "B": other}, {"dca": {**BUY, "base_order": 1.0, "tp_pct": 0.1}})
    assert [fill[:3] for fill in fills(result)] == [(2, "A", "base"), (4, "A", "target"), (4, "B", "base")]
    assert fills(result)[-1][3] == pytest.approx(5_000.0 / 9.9)
    assert result.cut_orders == 1


# limits
@pytest.mark.parametrize(("base_order", "refused"), [(0.05, {}), (0.0501, {"risk_pair": 1})])
def test_the_pair_limit_adds_up_strategies_and_what_rests(base_order: float, refused: dict) -> None:
    candles = candles_through([10, 9, 9])
    names = {"grid": FOUR, "dca": {**BUY, "base_order": base_order}}
    result = share({"A": candles}, names, max_single_pair_pct=0.25)
    assert result.committed["A"][0] == pytest.approx(2_000.0)
    assert result.rejections == refused
    assert len(result.fills) == (0 if refused else 1)


def test_the_pair_limit_counts_what_another_strategy_has_decided_at_the_same_close() -> None:
    """The deal reserves 100 x 9 at market and one safety order of 100 x 4.5; the trend follower would come after."""
    candles = candles_through([10, 9, 9])
    deal = {**DEAL, "base_order": 0.09, "safety_order": 0.045, "deviation_pct": 0.5}
    result = share({"A": candles}, {"dca": deal})
    assert result.committed["A"][1] == pytest.approx(1_350.0)
    assert result.committed["A"][2] == pytest.approx(1_350.0)
    assert (result.exposure["A"][1], result.exposure["A"][2]) == (0.0, pytest.approx(900.0))


def test_the_pair_limit_is_a_share_of_the_account_not_of_the_pair() -> None:
    candles = candles_through([10, 9, 9])
    result = share({"A": candles, "B": candles_through([10, 10, 10])}, {"dca": BUY}, max_single_pair_pct=0.45)
    assert fills(result) == [(2, "A", "base", pytest.approx(500.0))]  # 4,500 of 10,000; its own share is 5,000


def test_the_total_limit_adds_up_symbols() -> None:
    one, other = candles_through([10, 9, 9, 9]), candles_through([10, 10, 9, 9])
    overrides = {"A": of_deal(base_order=0.8), "B": of_deal(base_order=0.3)}
    for limit, refused in ((0.55, {}), (0.549, {"risk_exposure": 1})):
        result = share({"A": one, "B": other}, {"dca": BUY}, overrides=overrides, max_total_exposure_pct=limit)
        assert result.rejections_of == {"A": {}, "B": refused}


@pytest.mark.parametrize(
    ("base_order", "pair", "reason"),
    [
        (0.0, {}, "min_notional"),
        (1.2, {"max_position_size_pct": 1.0}, "risk_position"),
        (1.2, {}, "cash"),
        (0.9, {}, "risk_pair"),
        (0.4, {}, "risk_exposure"),
    ],
)
def test_the_first_refusal_is_the_reason(base_order: float, pair: dict, reason: str) -> None:
    limits = {"max_single_pair_pct": 0.5, "max_total_exposure_pct": 0.3}
    result = share({"A": candles_through([10, 9, 9])}, {"dca": {**BUY, "base_order": base_order}}, pair=pair, **limits)
    assert result.rejections == {reason: 1}


def test_limits_neither_sell_what_has_risen_nor_bar_an_exit() -> None:
    candles = candles_through([10, 9, 9, 18, 27])
    deal = {**BUY, "base_order": 0.25, "tp_pct": 2.0}
    limits = {"max_single_pair_pct": 0.25, "max_total_exposure_pct": 0.25}
    result = share({"A": candles}, {"dca": deal}, **limits)
    assert result.exposure["A"][3] / result.equity[3] == pytest.approx(0.4)
    assert [fill[:3] for fill in fills(result)] == [(2, "A", "base"), (4, "A", "target")]


def test_a_cell_that_a_fill_arms_again_asks_no_limit() -> None:
    """B's collapse takes the limit to 1,520, below the 1,774 of A's ladder; its cell at 4 still buys again."""
    one, other = candles_through([10, 10, 10, 3.9, 5, 3.9]), candles_through([100, 90, 90, 0.9, 0.9, 0.9])
    overrides = {"B": of_deal(base_order=0.4), "A": {"strategies": {"grid": FOUR}}}
    routes = {"A": [{"grid"}] * 6}
    result = share({"A": one, "B": other}, {"dca": BUY}, overrides=overrides, routes=routes, max_single_pair_pct=0.2)
    assert result.committed["A"][4] > 0.2 * result.equity[4] * 1.1
    assert [fill[2] for fill in fills(result)].count("buy") == 5
    assert result.rejections == {}


# the day and the stop of the account
def test_a_loss_of_one_symbol_blocks_the_entries_of_all() -> None:
    falling, other = candles_through([100, 90, 90, 60, 60]), candles_through([10, 10, 10, 10, 9])
    result = share({"A": falling, "B": other}, {"dca": BUY}, pair={"max_daily_loss_pct": 0.15})
    assert result.daily_blocks == [{"time": START + 3 * FIVE_MINUTES, "symbols": ["A", "B"]}]
    assert result.rejections_of == {"A": {}, "B": {"risk_daily": 1}}
    assert [fill[1:3] for fill in fills(result)] == [("A", "base")]


def test_the_daily_limit_is_the_pairs_own() -> None:
    falling, other = candles_through([100, 90, 90, 60, 60, 60]), candles_through([10, 10, 10, 10, 9, 9])
    overrides = {"A": {"max_daily_loss_pct": 0.15}}
    result = share({"A": falling, "B": other}, {"dca": BUY}, overrides=overrides)
    assert result.daily_blocks == [{"time": START + 3 * FIVE_MINUTES, "symbols": ["A"]}]
    assert [fill[1] for fill in fills(result)] == ["A", "B"]


def test_the_portfolio_stop_sells_every_symbol_at_its_next_open_and_halts() -> None:
    one, other = candles_through([100, 90, 90, 60, 61, 50, 40]), candles_through([100, 90, 90, 90, 91, 80, 70])
    one["open"][4], other["open"][4] = 61.0, 91.0
    result = share({"A": one, "B": other}, {"dca": BUY}, portfolio_stop_loss_pct=0.15)
    assert [h | {"equity": pytest.approx(8_500.0)} for h in result.halts] == [
        {"time": START + 3 * FIVE_MINUTES, "equity": 8_500.0, "peak": 10_000.0, "resumed": None}
    ]
    assert [fill[:3] for fill in fills(result)[2:]] == [(4, "A", "portfolio_stop"), (4, "B", "portfolio_stop")]
    assert result.equity[4:] == [pytest.approx(1_000.0 + 50.0 * 61.0 + 50.0 * 91.0)] * 3
    assert result.rejections == {}


def test_a_symbol_in_a_hole_is_sold_when_it_trades_again_and_one_that_has_ended_never() -> None:
    falling = candles_through([100, 90, 90, 60, 60, 60, 60])
    market = {"A": falling, "B": without(candles_through([100, 90, 90, 90, 90, 88]), 3, 4)}
    market["C"] = candles_through([100, 90, 90])
    overrides = {"A": of_deal(base_order=1.5)}
    result = share(market, of_deal(base_order=0.6)["strategies"], overrides=overrides, portfolio_stop_loss_pct=0.15)
    stops = [fill[:2] for fill in fills(result) if fill[2] == "portfolio_stop"]
    assert stops == [(4, "A"), (5, "B")]
    held = 0.6 / 3.0 * 10_000.0
    assert (result.exposure["B"][4], result.exposure["C"][-1]) == (pytest.approx(held), pytest.approx(held))
    assert result.books["C", "dca"][-1]["quantity"] == pytest.approx(held / 90.0)


@pytest.mark.parametrize("reason", ["halted", "risk_daily"])
def test_a_market_order_that_waits_in_a_hole_is_taken_back_when_entries_close(reason: str) -> None:
    falling, hole = candles_through([100, 90, 90, 60, 60, 60]), without(candles_through([100, 100, 90, 90, 90, 90]), 3)
    limits = {"halted": {"portfolio_stop_loss_pct": 0.15}, "risk_daily": {"pair": {"max_daily_loss_pct": 0.15}}}
    result = share({"A": falling, "B": hole}, {"dca": BUY}, **limits[reason])
    assert result.committed["B"][2:4] == [pytest.approx(4_500.0), 0.0]
    assert result.rejections_of["B"] == {reason: 1}
    assert "B" not in {f["symbol"] for f in result.fills}


def test_resting_entries_of_a_symbol_in_a_hole_are_cancelled_when_the_day_is_blocked() -> None:
    falling, hole = candles_through([100, 90, 90, 60, 60]), without(candles_through([10, 10, 10, 10, 10]), 3)
    overrides = {"B": {"strategies": {"grid": FOUR, "dca": BUY}}}
    result = share({"A": falling, "B": hole}, {"dca": BUY}, pair={"max_daily_loss_pct": 0.15}, overrides=overrides)
    assert result.committed["B"] == [pytest.approx(2_000.0)] * 3 + [0.0] * 2
    assert result.free_cash[3] == result.cash[3]


def test_cells_that_wait_in_a_hole_become_idle_when_the_day_is_blocked() -> None:
    falling = candles_through([100, 90, 90, 60, 60, 60])
    late = without(candles_through([10, 10, 10, 10], start=START + 2 * FIVE_MINUTES), 1)
    overrides = {"B": {"strategies": {"grid": {**FOUR, "initial_inventory": "buy"}}}}
    routes = {"B": [{"grid"}] * 3}
    limits = {"pair": {"max_daily_loss_pct": 0.15}, "overrides": overrides, "routes": routes}
    result = share({"A": falling, "B": late}, {"dca": BUY}, **limits)
    assert result.committed["B"] == [0.0, 0.0, pytest.approx(2_000.0), 0.0, 0.0, 0.0]
    assert result.rejections == {}
    assert result.free_cash[3:] == result.cash[3:]


@pytest.mark.parametrize(
    ("name", "start"),
    [("dca", ()), ("trend_follower", ("pullback", 1.0)), ("smc", ({"stop": 99.0, "pattern": "engulfing"},))],
)
def test_a_start_that_is_taken_back_leaves_nothing_behind(name: str, start: tuple) -> None:
    candles = candles_through([100, 100])
    engine = open_engine(candles, duration_ms=FIVE_MINUTES, warmup=0, strategies={name: {}}, max_position_size_pct=0.5)
    engine.look_at(0)
    book = engine.books[0]
    book.start(*start)
    assert book.pending_notional() > 0.0
    assert engine.account.free() < 10_000.0
    assert book.drop_pending_entry()
    assert (book.pending_notional(), engine.account.free()) == (0.0, 10_000.0)
    assert not book.drop_pending_entry()


@pytest.mark.parametrize(("candles", "resumes"), [(2, True), (3, False), (None, False)])
def test_a_halt_ends_at_the_first_close_that_is_late_enough(candles: int | None, resumes: bool) -> None:
    prices = candles_through([100, 90, 90, 75, 75, 67.5, 67.5, 62, 56, 56])
    after = None if candles is None else candles * FIVE_MINUTES
    result = share({"A": prices}, {"dca": BUY}, portfolio_stop_loss_pct=0.15, resume_after=after)
    assert [f["reason"] for f in result.fills] == ["base", "portfolio_stop"] * (2 if resumes else 1)
    if not resumes:
        assert len(result.halts) == 1
        return
    assert result.halts[0]["resumed"] == START + 5 * FIVE_MINUTES
    assert fills(result)[2] == (6, "A", "base", pytest.approx(0.9 * 8_500.0 / 67.5))
    assert (result.halts[1]["time"], result.halts[1]["peak"]) == (START + 8 * FIVE_MINUTES, pytest.approx(8_500.0))


# sizing equity
def test_profit_of_one_symbol_sizes_its_own_orders_only() -> None:
    one, other = candles_through([100, 90, 90, 110, 110]), candles_through([10, 10, 10, 10, 9, 9])
    result = share({"A": one, "B": other}, {"dca": BUY})
    assert result.sizing_equity["A"][3:] == [pytest.approx(6_000.0)] * 3
    assert result.sizing_equity["B"] == [5_000.0] * 6
    assert fills(result)[-1] == (5, "B", "base", pytest.approx(500.0))


@pytest.mark.parametrize(
    ("rebalance", "midnight", "happens"),
    [("daily", START, True), ("weekly", START, True), ("daily", START + DAY, True), ("weekly", START + DAY, False)],
)
def test_rebalancing_deals_sizing_equity_anew_and_trades_nothing(rebalance: str, midnight: int, happens: bool) -> None:
    """START is a Monday. Five candles before midnight, A has gained 1,000; it gains 500 more in the first one after."""
    start = midnight - 5 * FIVE_MINUTES
    market = {
        "A": candles_through([100, 90, 90, 110, 110, 120, 120], start=start),
        "B": candles_through([10, 10, 10, 10, 10, 9, 9], start=start),
    }
    result = share(market, {"dca": BUY}, rebalance=rebalance)
    weights = {"A": 0.5, "B": 0.5}
    dealt = [{"time": midnight, "equity": pytest.approx(11_000.0), "weights": weights}]
    assert result.rebalances == (dealt if happens else [])
    assert result.sizing_equity["A"][4:6] == [pytest.approx(v) for v in (6_000.0, 6_000.0 if happens else 6_500.0)]
    assert result.sizing_equity["B"][4:6] == [pytest.approx(v) for v in (5_000.0, 5_500.0 if happens else 5_000.0)]
    bought = pytest.approx(550.0 if happens else 500.0)
    assert [(f["symbol"], f["quantity"]) for f in result.fills] == [("A", pytest.approx(50.0)), ("B", bought)]
    assert result.equity[:6] == share(market, {"dca": BUY}).equity[:6]


# the axis
def test_the_axis_is_the_union_and_what_has_no_candle_keeps_its_mark() -> None:
    one = without(candles_through([100, 90, 90, 95, 100, 100, 100]), 3)
    other = candles_through([50, 45, 45, 54], start=START + FIVE_MINUTES)
    result = share({"A": one, "B": other}, {"dca": BUY})
    assert result.times == [START + row * FIVE_MINUTES for row in range(7)]
    assert fills(result) == [(2, "A", "base", pytest.approx(50.0)), (3, "B", "base", pytest.approx(100.0))]
    marks_of_a, marks_of_b = [0, 0, 90, 90, 100, 100, 100], [0, 0, 0, 45, 54, 54, 54]
    assert result.exposure["A"] == [pytest.approx(50.0 * mark) for mark in marks_of_a]
    assert result.exposure["B"] == [pytest.approx(100.0 * mark) for mark in marks_of_b]
    assert result.equity[-1] == pytest.approx(1_000.0 + 5_000.0 + 5_400.0)


def test_a_symbol_that_never_trades_returns_nothing_and_takes_nothing() -> None:
    market = {"A": candles_through([10, 9, 9, 12]), "B": candles_through([10, 10, 10, 10])}
    result = share(market, {"dca": BUY})
    assert result.sizing_equity["B"] == [5_000.0] * 4
    assert result.equity[-1] == pytest.approx(10_000.0 + 500.0 * 3.0)


def test_all_symbols_are_sold_at_the_end_where_that_is_asked_for() -> None:
    market = {"A": candles_through([10, 9, 9, 12]), "B": candles_through([10, 9, 9])}
    result = share(market, {"dca": BUY}, pair={"liquidate_at_end": True})
    assert [fill[:3] for fill in fills(result)[2:]] == [(3, "A", "end"), (3, "B", "end")]
    assert result.exposure["A"][-1] == result.exposure["B"][-1] == 0.0
    assert result.equity[-1] == result.cash[-1] == pytest.approx(11_500.0)
    assert len(result.equity) == 4


# what is refused
@pytest.mark.parametrize(
    ("told", "what"),
    [
        ({"rebalance": "hourly"}, "unknown rebalance 'hourly'"),
        ({"allocation": "weights"}, "weights belong to"),
        ({"allocation": "weights", "weights": {"A": 1.0}}, "one for each"),
        ({"allocation": "weights", "weights": {"A": 0.7, "B": 0.4}}, "sum to 1 at most"),
        ({"overrides": {"C": {}}}, r"unknown symbols \['C'\]"),
        ({"overrides": {"A": {"initial_balance": 5.0}}}, "belongs to the account"),
        ({"overrides": {"A": {"leverage": 5.0}}}, "the same for all symbols"),
        ({"resume_after": 0}, "more than 0"),
        ({"portfolio_stop_loss_pct": 0.0}, "a fraction above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(told: dict, what: str) -> None:
    flat = candles_through([10, 10, 10])
    with pytest.raises(ValueError, match=what):
        share({"A": flat, "B": flat}, {"dca": BUY}, **told)
