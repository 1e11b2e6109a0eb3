"""What must hold of every portfolio, on generated markets: identities with single runs, order, causality, money."""

from __future__ import annotations

import bisect
from dataclasses import replace

import pytest

from tests.reference import run, run_orchestrator
from tests.reference.markets import FIVE_MINUTES, random_candles, random_reduction, random_route, random_settings
from tests.reference.portfolio import PortfolioTwin, portfolio_twin
from tests.reference.portfolio_config import PortfolioTwinConfig
from tests.test_reference_portfolio import OFF

ROWS, WARMUP = 1_300, 350
LONG = 2_700  # rows by which 168 hours are known
WITHOUT_PLACE = ("time", "symbol")


def without_place(fills: list[dict]) -> list[dict]:
    return [{name: value for name, value in fill.items() if name not in WITHOUT_PLACE} for fill in fills]


def of_symbol(result: PortfolioTwin, symbol: str) -> list[dict]:
    return without_place([fill for fill in result.fills if fill["symbol"] == symbol])


def part(candles: dict, first: int, last: int) -> dict:
    return {name: values[first:last] for name, values in candles.items()}


def ragged_market(seed: int, rows: int = ROWS) -> dict[str, dict]:
    """Three symbols with holes of their own; one begins late, one ends early."""
    one, two, three = (random_candles(10 * seed + k, rows, holes=3, price=p) for k, p in enumerate((100.0, 7.0, 900.0)))
    return {"BBB": part(one, 0, rows - 200), "AAA": part(two, 150, rows), "CCC": three}


def routes_of(market: dict, seed: int) -> tuple[dict, dict]:
    lengths = {symbol: len(candles["open_time"]) for symbol, candles in market.items()}
    routes = {s: random_route(seed + k, n) for k, (s, n) in enumerate(lengths.items())}
    return routes, {s: random_reduction(seed + k, n) for k, (s, n) in enumerate(lengths.items())}


def pair_settings(seed: int, **changes: object) -> dict:
    """What one symbol is told: the settings of a single run but for what belongs to the account."""
    settings = {**random_settings(seed), "warmup": WARMUP, **changes}
    return {n: v for n, v in settings.items() if n not in ("initial_balance", "portfolio_stop_loss_pct")}


# one symbol
@pytest.mark.parametrize("account", ["spot", "perpetual"])
@pytest.mark.parametrize("seed", range(1, 9))
def test_one_symbol_is_the_single_run_to_the_last_digit(seed: int, account: str) -> None:
    settings = random_settings(seed)
    if account == "perpetual":
        settings |= {"account": account, "leverage": 3.0}
    candles = random_candles(seed, ROWS, tick=settings["tick"], holes=2)
    route, reduce = random_route(seed, ROWS), random_reduction(seed, ROWS)
    single = run(candles, route=route, warmup=WARMUP, reduce=reduce, **settings)
    capital, stop = settings.pop("initial_balance"), settings.pop("portfolio_stop_loss_pct")
    limit = 1.0 if account == "spot" else None  # what is borrowed exceeds the account
    config = PortfolioTwinConfig(
        ["A"],
        capital,
        max_single_pair_pct=limit,
        max_total_exposure_pct=limit,
        portfolio_stop_loss_pct=stop if settings["enable_risk_manager"] else None,
        max_correlation=None,
        per_pair_config={"warmup": WARMUP, **settings},
    )
    shared = portfolio_twin({"A": candles}, config, {"A": route}, {"A": reduce})
    assert shared.per_pair["A"] == single
    assert without_place(shared.fills) == single.fills
    assert [f["time"] for f in shared.fills] == [candles["open_time"][f["row"]] for f in single.fills]
    assert (shared.equity, shared.cash, shared.free_cash) == (single.equity, single.cash, single.free_cash)
    assert (shared.rejections, shared.cut_orders) == (single.rejections, single.cut_orders)
    assert len(single.fills) > 5


def test_one_routed_symbol_is_the_orchestrator() -> None:
    candles = random_candles(8, 2_400)
    given = {"duration_ms": FIVE_MINUTES, "warmup": 800, "tick": 0.01, "step": 0.0001, "router_cooldown_bars": 24}
    config = PortfolioTwinConfig(["A"], per_pair_config=given, **OFF)
    found = run_orchestrator(candles, strategies={}, **given)
    assert portfolio_twin({"A": candles}, config).per_pair["A"] == found.result
    assert len(found.result.fills) > 20
    assert len(found.switches) > 1


# several symbols
@pytest.mark.parametrize("seed", [1, 3, 4, 8])
def test_copies_of_a_symbol_each_trade_like_the_single_run_on_their_share(seed: int) -> None:
    changes = {"max_daily_loss_pct": None, "max_position_size_pct": 0.25, "step": 0.0}
    pair = pair_settings(seed, **changes)
    candles, route = random_candles(seed, ROWS, tick=pair["tick"]), random_route(seed, ROWS)
    names = ["A", "B", "C", "D"]
    config = PortfolioTwinConfig(names, 40_000.0, per_pair_config=pair, **OFF)
    shared = portfolio_twin(dict.fromkeys(names, candles), config, dict.fromkeys(names, route))
    single = run(candles, route=route, initial_balance=10_000.0, **pair)
    assert shared.weights == dict.fromkeys(names, 0.25)
    assert not {"cash"} & (set(single.rejections) | set(shared.rejections))
    assert shared.cut_orders == single.cut_orders == 0
    for name in names:
        assert of_symbol(shared, name) == single.fills
        assert shared.sizing_equity[name] == single.equity
    assert len(single.fills) > 5


@pytest.mark.parametrize("account", ["spot", "perpetual"])
@pytest.mark.parametrize("seed", range(3))
def test_without_limits_and_want_of_cash_the_account_is_the_sum_of_independent_runs(seed: int, account: str) -> None:
    changes = {"max_daily_loss_pct": None, "max_position_size_pct": 0.25, "liquidate_at_end": False}
    if account == "perpetual":
        changes |= {"account": account, "leverage": 2.0}
    pair, market = pair_settings(seed + 20, tick=0.01, **changes), ragged_market(seed)
    routes, reductions = routes_of(market, seed)
    weights = {"AAA": 0.5, "BBB": 0.3, "CCC": 0.2}
    config = PortfolioTwinConfig(
        list(market), 30_000.0, per_pair_config=pair, allocation="weights", weights=weights, **OFF
    )
    shared = portfolio_twin(market, config, routes, reductions)
    runs = {
        s: run(candles, route=routes[s], reduce=reductions[s], initial_balance=30_000.0 * weights[s], **pair)
        for s, candles in market.items()
    }
    assert not {"cash", "margin"} & {r for one in (shared, *runs.values()) for r in one.rejections}
    assert shared.cut_orders == sum(one.cut_orders for one in runs.values()) == 0
    assert shared.equity[-1] == pytest.approx(sum(one.final_equity for one in runs.values()), rel=1e-9)
    for symbol, one in runs.items():
        assert of_symbol(shared, symbol) == one.fills
    assert len(shared.fills) > 15


def tight(market: dict, seed: int, **told: object) -> tuple[PortfolioTwinConfig, dict, dict]:
    """A portfolio whose every limit bites."""
    pair = pair_settings(seed, enable_risk_manager=True, max_daily_loss_pct=0.01, max_position_size_pct=None)
    limits = {
        "max_single_pair_pct": 0.4,
        "max_total_exposure_pct": 0.6,
        "portfolio_stop_loss_pct": 0.04,
        "max_correlation": 0.05,
        "resume_after": 100 * FIVE_MINUTES,
        "rebalance": "daily",
        **told,
    }
    return PortfolioTwinConfig(list(market), per_pair_config=pair, **limits), *routes_of(market, seed)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_in_which_symbols_are_listed_changes_nothing(seed: int) -> None:
    market = ragged_market(seed)
    config, routes, reductions = tight(market, seed)
    backwards = replace(config, symbols=config.symbols[::-1])
    shared = portfolio_twin(market, config, routes, reductions)
    other = portfolio_twin(dict(reversed(market.items())), backwards, routes, reductions)
    assert other == shared
    assert len(shared.fills) > 20


@pytest.mark.parametrize("account", ["spot", "perpetual"])
@pytest.mark.parametrize("seed", range(4))
def test_money_adds_up_at_every_time(seed: int, account: str) -> None:
    market = ragged_market(seed)
    config, routes, reductions = tight(market, seed)
    if account == "perpetual":
        config = replace(config, per_pair_config=config.per_pair_config | {"account": account, "leverage": 3.0})
    result = portfolio_twin(market, config, routes, reductions)
    assert len(result.equity) == len(result.times)
    for position, time in enumerate(result.times):
        books = {key: rows[position] for key, rows in result.books.items()}
        marks = {symbol: mark_at(candles, time) for symbol, candles in market.items()}
        held = sum(book["quantity"] * marks[symbol] for (symbol, _), book in books.items())
        gained = sum(
            b["realised"] + b["unrealised"] - b["fees"] - b["funding"] + b["insurance"] for b in books.values()
        )
        assert result.equity[position] == pytest.approx(result.cash[position] + held, rel=1e-9)
        assert result.equity[position] - config.initial_capital == pytest.approx(gained, abs=1e-5)
        if account == "spot":
            assert result.free_cash[position] >= -1e-6
            assert min(book["quantity"] for book in books.values()) >= 0.0
    assert len(result.fills) > 20


def rows_until(candles: dict, time: int) -> int:
    return bisect.bisect_right(candles["open_time"], time)


def mark_at(candles: dict, time: int) -> float:
    """The last close known; 0 before the first one."""
    rows = rows_until(candles, time)
    return candles["close"][rows - 1] if rows else 0.0


@pytest.mark.parametrize("allocation", ["equal", "inverse_volatility"])
def test_what_comes_later_changes_nothing_before(allocation: str) -> None:
    market = ragged_market(1, LONG)
    config, routes, reductions = tight(market, 1, allocation=allocation)
    later = {"liquidate_at_end": False, "warmup": 2_050}  # volatility is known by then
    config = replace(config, per_pair_config=config.per_pair_config | later)
    whole = portfolio_twin(market, config, routes, reductions)
    until = whole.times[2_400]
    cut = {s: part(candles, 0, rows_until(candles, until)) for s, candles in market.items()}
    before = portfolio_twin(cut, config, routes, reductions)
    assert before.times == whole.times[:2_401]
    assert before.fills == [fill for fill in whole.fills if fill["time"] <= until]
    assert before.equity == whole.equity[:2_401]
    assert before.committed == {s: values[:2_401] for s, values in whole.committed.items()}
    assert before.weights == whole.weights
    assert (len(set(whole.weights.values())) > 1) == (allocation == "inverse_volatility")
    assert len(before.fills) > 10


def test_every_limit_bit_somewhere() -> None:
    """The properties above say something about limits only if limits were met."""
    found: set[str] = set()
    resumed = 0
    for seed in range(3):
        market = ragged_market(seed, LONG)
        result = portfolio_twin(market, *tight(market, seed))
        found |= set(result.rejections) | ({"unknown"} if sum(result.correlation_unknown.values()) else set())
        resumed += sum(halt["resumed"] is not None for halt in result.halts)
    assert {"risk_pair", "risk_exposure", "risk_daily", "correlation", "unknown"} <= found
    assert resumed > 0
