"""Hand-worked examples of the portfolio's twin: how alike symbols are, and the weights with which they share."""

from __future__ import annotations

import itertools
import math
import random
import statistics

import pytest

from tests.reference.frames import DAY, H1
from tests.reference.markets import FIVE_MINUTES, START, candles_through
from tests.reference.portfolio import PortfolioTwin
from tests.reference.shares import Hours, correlation, pearson
from tests.test_reference_portfolio import BUY, FOUR, share, without

HOURLY = {"duration_ms": H1, "warmup": 0}


def closes_of(returns: list[float], drop_at: int, rows: int) -> list[float]:
    """Hourly closes that follow the returns, fall by a tenth at one row and stand still after it."""
    closes = [100.0]
    for value in returns[: drop_at - 1]:
        closes.append(closes[-1] * math.exp(value))
    return closes + [closes[-1] * 0.89] * (rows - len(closes))


def walks(hours: int, sign: float = 1.0) -> tuple[list[float], list[float]]:
    source = random.Random(5)
    common = [source.gauss(0.0, 0.005) for _ in range(hours)]
    return common, [sign * value + source.gauss(0.0, 0.005) for value in common]


def two_dips(hours: int, sign: float = 1.0) -> dict:
    """A buys after its dip; two candles later B, with `hours` returns behind it, wants to."""
    first, second = walks(hours, sign)
    return {
        "A": candles_through(closes_of(first, hours - 2, hours + 3), duration=H1),
        "B": candles_through(closes_of(second, hours, hours + 3), duration=H1),
    }


def rho_at(market: dict, row: int, hours: int) -> float:
    """Of the last `hours` log returns up to a row."""
    series = []
    for candles in market.values():
        logs = [math.log(b / a) for a, b in itertools.pairwise(candles["close"][: row + 1])]
        series.append(logs[-hours:])
    return statistics.correlation(*series)


def bought(result: PortfolioTwin) -> list[str]:
    return [f["symbol"] for f in result.fills]


@pytest.mark.parametrize("window", [30 * 24, 200])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_first_order_is_blocked_where_its_symbol_moves_like_one_that_is_held(sign: float, window: int) -> None:
    market = two_dips(300, sign)
    rho = rho_at(market, 300, window)
    told = {"pair": HOURLY, "correlation_window": window * H1}
    blocked = share(market, {"dca": BUY}, max_correlation=rho, **told)
    assert (bought(blocked), blocked.rejections_of["B"]) == (["A"], {"correlation": 1})
    block = {"time": START + 301 * H1, "symbol": "B", "strategy": "dca", "against": "A", "rho": pytest.approx(rho)}
    assert blocked.correlation_blocks == [block]
    allowed = share(market, {"dca": BUY}, max_correlation=rho + 1e-6, **told)
    assert (bought(allowed), allowed.rejections, allowed.correlation_blocks) == (["A", "B"], {}, [])
    assert allowed.correlation_unknown == {"A": 0, "B": 0}


def test_correlation_has_a_sign() -> None:
    market = two_dips(300, -1.0)
    assert rho_at(market, 300, 300) < -0.25
    assert bought(share(market, {"dca": BUY}, pair=HOURLY, max_correlation=0.25)) == ["A", "B"]


@pytest.mark.parametrize(("hours", "unknown"), [(168, 0), (167, 1)])
def test_below_168_common_hours_an_order_is_allowed_and_counted(hours: int, unknown: int) -> None:
    result = share(two_dips(hours), {"dca": BUY}, pair=HOURLY, max_correlation=-1.0)
    assert result.correlation_unknown == {"A": 0, "B": unknown}
    assert bought(result) == (["A", "B"] if unknown else ["A"])


def test_an_hour_in_a_hole_takes_two_returns() -> None:
    market = two_dips(169)
    for held, unknown in ((market, 0), ({**market, "A": without(market["A"], 50)}, 1)):
        assert share(held, {"dca": BUY}, pair=HOURLY, max_correlation=-1.0).correlation_unknown["B"] == unknown


def test_returns_are_aligned_by_time_not_by_position() -> None:
    """B's candles are A's of three hours before: row by row the same, hour by hour strangers."""
    moves, _ = walks(400)
    one = candles_through(closes_of(moves, 300, 310), duration=H1)
    other = candles_through(closes_of(moves, 300, 310), duration=H1, start=START + 3 * H1)
    result = share({"A": one, "B": other}, {"dca": BUY}, pair=HOURLY, max_correlation=0.9)
    assert bought(result) == ["A", "B"]
    assert result.correlation_unknown == {"A": 0, "B": 0}


def test_a_pair_that_is_not_flat_is_not_asked() -> None:
    ladder = {**FOUR, "lower_price": 1.0, "upper_price": 2.0}  # rests far below from the first close on
    overrides = {"B": {"strategies": {"grid": ladder}}}
    told = {"pair": HOURLY, "max_correlation": -1.0}
    half = {"dca": {**BUY, "base_order": 0.5}}
    assert bought(share(two_dips(300), half, overrides=overrides, **told)) == ["A", "B"]
    assert bought(share(two_dips(300), half, **told)) == ["A"]


def test_what_only_rests_is_nothing_to_be_like() -> None:
    """A has a ladder below the market but holds nothing when B buys."""
    market = two_dips(300)
    overrides = {
        "A": {
            "strategies": {"grid": {**FOUR, "lower_price": 1.0, "upper_price": 2.0}, "dca": {**BUY, "trigger_pct": 0.5}}
        }
    }
    result = share(market, {"dca": BUY}, pair=HOURLY, overrides=overrides, max_correlation=-1.0)
    assert result.committed["A"][-1] > 0.0
    assert bought(result) == ["B"]


def test_an_unmoving_symbol_has_no_correlation() -> None:
    assert math.isnan(pearson([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]))
    assert pearson([1.0, 2.0, 4.0], [2.0, 4.0, 8.0]) == pytest.approx(1.0)


def test_hours_of_five_minute_candles_are_those_of_the_clock() -> None:
    candles = candles_through([100.0 + row for row in range(37)])  # three hours and a candle of the next
    hours = Hours(candles, FIVE_MINUTES)
    assert hours.returns == {
        START + 2 * H1: pytest.approx(math.log(123.0 / 111.0)),
        START + 3 * H1: pytest.approx(math.log(135.0 / 123.0)),
        START + 4 * H1: pytest.approx(math.log(136.0 / 135.0)),
    }
    assert len(hours.between(START + 2 * H1, START + 3 * H1)) == 1
    assert math.isnan(correlation(hours, hours, START + 4 * H1, DAY))


# weights
def zigzag(size: float, rows: int, first: int = 0) -> dict:
    closes = [100.0 * math.exp(size * (row % 2)) for row in range(rows - first)]
    return candles_through(closes, duration=H1, start=START + first * H1)


def test_weights_are_inverse_to_volatility_before_the_start() -> None:
    """B moves twice as much as A; C has too short a past and shares equally."""
    market = {"A": zigzag(0.01, 400), "B": zigzag(0.02, 400), "C": zigzag(0.01, 400, first=200)}
    told = {"pair": {**HOURLY, "warmup": 200}, "allocation": "inverse_volatility"}
    result = share(market, {"dca": BUY}, **told)
    third = 1.0 / 3.0
    assert result.weights == {s: pytest.approx(w) for s, w in zip("ABC", (4 / 9, 2 / 9, third), strict=True)}
    assert result.sizing_equity["A"] == [pytest.approx(40_000.0 / 9.0)] * 400
    later = {**market, "A": candles_through([*market["A"]["close"][:201], *([900.0] * 199)], duration=H1)}
    assert share(later, {"dca": BUY}, **told).weights == result.weights
    assert share(later, {"dca": BUY}, **told, rebalance="daily").rebalances[-1]["weights"] != result.weights


def test_the_volatility_of_a_rebalance_ends_at_its_midnight() -> None:
    market = {"A": zigzag(0.01, 240), "B": zigzag(0.02, 240)}
    told = {"pair": {**HOURLY, "warmup": 200}, "allocation": "inverse_volatility", "rebalance": "daily"}
    midnight = START + 9 * DAY
    jump = market["A"]["open_time"].index(midnight)
    cut = candles_through([*market["A"]["close"][:jump], *([300.0] * (240 - jump))], duration=H1)
    before, after = (share(m, {"dca": BUY}, **told).rebalances for m in (market, {**market, "A": cut}))
    assert [r["time"] for r in before] == [midnight]
    assert after == before


def test_given_weights_leave_the_rest_idle() -> None:
    flat = candles_through([10, 9, 9])
    weights = {"A": 0.5, "B": 0.1}
    result = share({"A": flat, "B": flat}, {"dca": BUY}, allocation="weights", weights=weights)
    assert {f["symbol"]: f["quantity"] for f in result.fills} == {"A": pytest.approx(500.0), "B": pytest.approx(100.0)}
    assert result.cash[-1] == pytest.approx(4_600.0)
