"""Curves and worst cases that verdicts are computed from, by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from traderagent.robustness import verdict_curves as curves
from traderagent.robustness.verdict_stress import WorstStress


def test_an_account_whose_symbols_were_not_all_stressed_is_not_judged():
    cells = pd.DataFrame(
        {"variant": "given", "scenario": "crash", "symbol": ["A", "B"], "sample": "whole", "worst_pct": [-3.0, np.nan]}
    )
    found = WorstStress(cells)
    assert found.sum_of(["A", "B"]) == -3.0
    assert found.sum_of(["A", "C"]) is None
    assert found.given("C") is None
    assert math.isnan(found.given("B"))


def test_parts_that_overlap_are_cut_where_the_next_begins():
    hours = pd.date_range("2024-01-01", periods=6, freq="h", tz="UTC")
    before = pd.Series([100.0, 110.0, 120.0, 60.0], hours[:4])
    after = pd.Series([100.0, 105.0, 95.0], hours[2:5])
    curve = curves.in_a_row([before, after], 100.0)
    assert list(curve.index) == list(hours[:5])
    np.testing.assert_allclose(curve, [1.0, 1.1, 1.2, 1.2 * 1.05, 1.2 * 0.95])


def test_after_a_total_loss_every_day_earns_nothing_and_counts():
    days = pd.date_range("2024-01-01", periods=5, freq="1D", tz="UTC")
    found = curves.daily_of(pd.Series([1.1, 0.55, 0.0, 0.0, 0.0], days))
    assert found.to_numpy() == pytest.approx([0.1, -0.5, -1.0, 0.0, 0.0])


def test_curves_go_on_where_they_ended_and_cash_waits():
    days = pd.date_range("2024-01-01", periods=4, freq="1D", tz="UTC")
    first, second = pd.Series([110.0, 120.0], days[:2]), pd.Series([90.0, 50.0], days[2:])
    chain = curves.in_a_row([first, second], 100.0)
    assert chain.tolist() == pytest.approx([1.1, 1.2, 1.08, 0.6])
    assert curves.daily_of(chain).to_numpy() == pytest.approx([0.1, 0.2 / 2.2, -0.1, -4 / 9])
    both = curves.together([chain, pd.Series([2.0], days[1:2])])
    assert both.tolist() == pytest.approx([1.05, 1.6, 1.54, 1.3])
    assert curves.drawdown_pct(chain) == pytest.approx(50.0)
    assert curves.drawdown_pct(pd.Series([0.9, 1.0], days[:2])) == pytest.approx(10.0)
