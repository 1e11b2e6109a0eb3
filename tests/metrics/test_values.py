"""Every metric by hand, its undefined cases, and one definition for scalars and arrays of trials."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traderagent.base.errors import ConfigError, DataError, UnknownName
from traderagent.metrics import METRICS, RUN_METRICS, evaluate
from traderagent.metrics.record import Metric, deviation, metric

DAY = 86_400_000
NAMES = [
    "initial",
    "final",
    "n_returns",
    "sum_r",
    "sum_r2",
    "sum_down2",
    "periods_per_year",
    "n_days",
    "sum_d",
    "sum_d2",
    "max_drawdown",
    "span_ms",
    "gross_profit",
    "gross_loss",
    "winning",
    "losing",
    "round_trips",
    "completed_cycles",
    "cycle_pnl",
    "cells",
    "cells_filled",
    "deployed_sum",
    "n_candles",
    "max_deployed",
    "worst_floating",
    "exposure_sum",
    "n_exposure",
    "turnover_notional",
    "fees",
    "funding",
    "hold_return",
    "same_exposure_hold_return",
]


def totals(returns=(), days=(), **given):
    """Totals of a run with these returns, all else 0 unless given."""
    r, d = np.array(returns, float), np.array(days, float)
    return (
        dict.fromkeys(NAMES, 0.0)
        | {
            "initial": 1_000.0,
            "final": 1_000.0,
            "periods_per_year": 8_760.0,
            "n_returns": r.size,
            "sum_r": r.sum(),
            "sum_r2": (r**2).sum(),
            "sum_down2": (np.minimum(r, 0) ** 2).sum(),
            "n_days": d.size,
            "sum_d": d.sum(),
            "sum_d2": (d**2).sum(),
        }
        | given
    )


SWING = [0.01, -0.005] * 12
EXPECTED = [
    ("total_return_pct", {"final": 1_100.0}, 10.0),
    ("max_drawdown_pct", {"max_drawdown": 0.25}, 25.0),
    ("sharpe_ratio", {"returns": SWING}, 0.0025 / math.sqrt(24 / 23 * 0.0075**2) * math.sqrt(8_760)),
    (
        "sharpe_ratio",
        {"returns": SWING, "periods_per_year": 365.0},
        0.0025 / math.sqrt(24 / 23 * 0.0075**2) * math.sqrt(365),
    ),
    ("sortino_ratio", {"returns": SWING}, 0.0025 / math.sqrt(0.005**2 / 2) * math.sqrt(8_760)),
    ("sharpe_ratio_daily", {"days": [0.03, 0.01]}, 0.02 / math.sqrt(2 * 0.01**2) * math.sqrt(365)),
    ("annual_return_pct", {"final": 1_100.0, "span_ms": 73 * DAY}, (1.1**5 - 1) * 100),
    ("annual_return_pct", {"final": 900.0, "span_ms": 365 * DAY}, -10.0),
    ("calmar_ratio", {"final": 900.0, "span_ms": 365 * DAY, "max_drawdown": 0.2}, -0.5),
    ("profit_factor", {"gross_profit": 30.0, "gross_loss": -20.0}, 1.5),
    ("profit_factor", {"gross_profit": 30.0, "gross_loss": 20.0}, 1.5),
    ("profit_factor", {"gross_profit": 0.0, "gross_loss": -20.0}, 0.0),
    ("win_rate", {"winning": 3, "round_trips": 4}, 0.75),
    ("round_trips", {"round_trips": 4}, 4.0),
    ("completed_cycles", {"completed_cycles": 3}, 3.0),
    ("avg_profit_per_cycle", {"cycle_pnl": 7.5, "completed_cycles": 3}, 2.5),
    ("grid_fill_rate", {"cells_filled": 3, "cells": 12}, 0.25),
    ("capital_efficiency", {"deployed_sum": 50_000.0, "n_candles": 200}, 0.25),
    ("exposure", {"exposure_sum": 6.0, "n_exposure": 24}, 0.25),
    ("turnover", {"turnover_notional": 2_500.0}, 2.5),
    ("fees_paid", {"fees": 1.25}, 1.25),
    ("funding_paid", {"funding": -0.5}, -0.5),
    ("return_on_deployed_pct", {"final": 1_010.0, "max_deployed": 250.0}, 4.0),
    ("largest_floating_loss", {"worst_floating": -42.0}, 42.0),
    ("largest_floating_loss", {"worst_floating": 3.0}, 0.0),
    ("alpha_over_hold", {"final": 1_100.0, "hold_return": 0.25}, -15.0),
    ("alpha_over_same_exposure_hold", {"final": 1_100.0, "same_exposure_hold_return": 0.0625}, 3.75),
]


@pytest.mark.parametrize(("name", "given_totals", "value"), EXPECTED)
def test_by_hand(name, given_totals, value):
    assert METRICS[name](totals(**given_totals)) == pytest.approx(value, rel=1e-12, abs=1e-12)


def test_every_metric_is_worked_by_hand():
    assert {name for name, _, _ in EXPECTED} == set(METRICS)


@pytest.mark.parametrize(
    ("name", "given_totals"),
    [
        ("sharpe_ratio", {"returns": SWING[:23]}),
        ("sharpe_ratio", {"returns": [0.0] * 100}),
        ("sharpe_ratio", {"returns": [1e-4] * 10_000}),
        ("sortino_ratio", {"returns": SWING[:23]}),
        ("sortino_ratio", {"returns": [0.01] * 100}),
        ("sharpe_ratio_daily", {"days": [0.01]}),
        ("sharpe_ratio_daily", {"days": [0.01] * 300}),
        ("annual_return_pct", {"final": 1_100.0, "span_ms": 30 * DAY - 1}),
        ("annual_return_pct", {"final": 0.0, "span_ms": 365 * DAY}),
        ("annual_return_pct", {"final": -5.0, "span_ms": 365 * DAY}),
        ("calmar_ratio", {"final": 1_100.0, "span_ms": 365 * DAY}),
        ("calmar_ratio", {"final": 1_100.0, "span_ms": DAY, "max_drawdown": 0.1}),
        ("profit_factor", {"gross_profit": 30.0}),
        ("win_rate", {}),
        ("avg_profit_per_cycle", {}),
        ("grid_fill_rate", {}),
        ("capital_efficiency", {}),
        ("exposure", {}),
        ("return_on_deployed_pct", {}),
        ("alpha_over_hold", {"hold_return": math.nan}),
        ("total_return_pct", {"final": math.nan}),
    ],
)
def test_what_cannot_be_computed_is_nan(name, given_totals):
    assert math.isnan(METRICS[name](totals(**given_totals)))


def test_thirty_days_and_twenty_four_returns_are_enough():
    assert METRICS["annual_return_pct"](totals(span_ms=30 * DAY)) == 0.0
    assert not math.isnan(METRICS["sharpe_ratio"](totals(SWING)))


def test_no_equity_at_all_is_nan_not_infinite():
    for name, value in evaluate(totals(initial=0.0, final=0.0)).items():
        assert not math.isinf(value), name


@given(st.floats(-1e-3, 1e-3), st.floats(1e-9, 1e-2), st.integers(24, 3_000), st.integers(0, 2**32 - 1))
def test_sharpe_from_sums_is_that_of_the_returns(mean, spread, n, seed):
    returns = np.random.default_rng(seed).normal(mean, spread, n)
    expected = returns.mean() / returns.std(ddof=1) * math.sqrt(8_760)
    lost = 1e-15 * n * (1 + (mean / spread) ** 2)
    found = METRICS["sharpe_ratio"](totals(returns))
    if lost > 1e-2 and math.isnan(found):
        return  # the sums have no digits left for so small a spread, and the metric says so
    assert found == pytest.approx(expected, rel=1e-9 + lost, abs=1e-9)


@given(st.integers(2, 5_000), st.floats(-0.1, 0.1))
def test_equal_returns_have_no_deviation_and_never_a_negative_variance(n, value):
    total = squares = 0.0
    for _ in range(n):
        total += value
        squares += value * value
    assert deviation(float(n), total, squares) == 0.0


positive = st.floats(0, 1e9)
drawn = st.fixed_dictionaries(
    dict.fromkeys(NAMES, positive)
    | {
        "final": st.floats(-1e6, 1e9),
        "sum_r": st.floats(-1, 1),
        "worst_floating": st.floats(-1e6, 0),
        "gross_loss": st.floats(-1e6, 0),
        "hold_return": st.floats(-1, 10),
        "n_returns": st.integers(0, 100),
        "span_ms": st.integers(0, 1_000 * DAY),
    }
)


@given(st.lists(drawn, min_size=1, max_size=5))
def test_arrays_of_trials_equal_each_trial_alone(trials):
    together = evaluate({name: np.array([t[name] for t in trials]) for name in NAMES})
    for i, trial in enumerate(trials):
        for name, value in evaluate(trial).items():
            assert value.dtype == np.float64
            assert not np.isinf(value), name
            np.testing.assert_array_equal(value, together[name][i], err_msg=name)


def test_any_shape_of_trials():
    cube = {name: np.full((2, 3), value) for name, value in totals(SWING).items()}
    assert all(value.shape == (2, 3) for value in evaluate(cube).values())


CLOSES = np.arange(1, 7) * DAY


@pytest.mark.parametrize(
    ("equity", "days"),
    [
        ([101, 102, 103, 104, 105, 106], 0.0),
        ([101, 99, 98, 101, 100, 102], 2.0),  # back at the peak after 3 days, the last close below after 2
        ([99, 98, 97, 96, 95, 94], 6.0),  # never above the initial equity
        ([100, 100, 100, 100, 100, 100], 0.0),
        ([101, 100, 102, 99, 99, 99], 3.0),  # still under water at the end
    ],
)
def test_time_under_water(equity, days):
    run = {"equity": equity, "close_ms": CLOSES, "initial": 100.0, "start_ms": 0}
    assert RUN_METRICS["time_under_water"](run) == days


def test_ulcer_index():
    run = {"equity": [90.0, 120.0, 90.0], "close_ms": CLOSES[:3], "initial": 100.0, "start_ms": 0}
    assert RUN_METRICS["ulcer_index"](run) == pytest.approx(math.sqrt((10**2 + 0 + 25**2) / 3))


def test_max_adverse_excursion():
    worst = RUN_METRICS["max_adverse_excursion"]
    assert worst({"trip_worst": [-5.0, -30.0, 0.0], "trip_cost": [10.0, 100.0, 50.0]}) == 0.5
    assert worst({"trip_worst": [0.0], "trip_cost": [10.0]}) == 0.0
    assert math.isnan(worst({"trip_worst": [], "trip_cost": []}))


def test_an_empty_run_has_no_curve():
    empty = {"equity": [], "close_ms": [], "initial": 100.0, "start_ms": 0}
    assert math.isnan(RUN_METRICS["ulcer_index"](empty))
    assert math.isnan(RUN_METRICS["time_under_water"](empty))


@pytest.mark.parametrize("registry", [METRICS, RUN_METRICS])
def test_every_metric_says_what_it_is(registry):
    for name, record in registry.items():
        assert isinstance(record, Metric)
        assert record.name == name
        assert record.orientation in (-1, 0, 1)
        assert all((record.unit, record.description, record.formula))
        assert name.endswith("_pct") <= (record.unit == "%")
        assert set(record.attributes) == {"unit", "orientation", "long_name", "formula"}


def test_bad_input_is_refused():
    with pytest.raises(DataError, match=r"needs 'sum_r', which the totals do not hold.*sum_r2"):
        METRICS["sharpe_ratio"]({"n_returns": 30, "sum_r2": 1.0})
    with pytest.raises(DataError, match="final is 'much'"):
        METRICS["total_return_pct"](totals(final="much"))
    with pytest.raises(DataError, match="got list, allowed is a mapping"):
        METRICS["total_return_pct"]([1.0])
    with pytest.raises(UnknownName, match="did you mean 'sharpe_ratio'"):
        evaluate(totals(), ["sharp_ratio"])
    with pytest.raises(DataError, match="equity has 2 and close_ms 1"):
        RUN_METRICS["ulcer_index"]({"equity": [1.0, 2.0], "close_ms": [1], "initial": 1.0})
    with pytest.raises(DataError, match="trip_worst has 1 and trip_cost 2"):
        RUN_METRICS["max_adverse_excursion"]({"trip_worst": [1.0], "trip_cost": [1.0, 2.0]})


def test_a_metric_without_text_or_direction_is_refused():
    def nameless(t):
        return t["final"]

    with pytest.raises(ConfigError, match="no docstring"):
        metric("1", 1, "final")(nameless)
    with pytest.raises(ConfigError, match="orientation 2"):
        metric("1", 2, "final")(nameless)
