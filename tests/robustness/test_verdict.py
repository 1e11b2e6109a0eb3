"""The verdict: every line alone flips it, its bounds are the file's, and what would change it does change it."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

import traderagent as ta
from tests.house.sources import ROOT
from traderagent.base.config import read_yaml
from traderagent.base.errors import ConfigError, UnknownName
from traderagent.robustness.verdict_input import measured
from traderagent.robustness.verdict_lines import LINES, REASONS

LIMITS = ta.Thresholds()
UP, DOWN = np.nextafter, lambda x: np.nextafter(x, -np.inf)
NAN = math.nan


def with_dsr(dsr, searched):
    """A test against luck with a given deflated Sharpe ratio."""
    if math.isnan(dsr):
        return ta.SharpeTest(NAN, 100, 0.0, 3.0)
    low, high = -5.0, 5.0
    trials, variance = (20.0, 0.001) if searched else (1.0, NAN)
    for _ in range(200):
        middle = (low + high) / 2
        found = ta.SharpeTest(middle, 1000, 0.0, 3.0, trials, variance)
        low, high = (middle, high) if found.dsr < dsr else (low, middle)
    return ta.SharpeTest(high, 1000, 0.0, 3.0, trials, variance)


GOOD = ta.VerdictEvidence(
    name="BTCUSDT",
    searched=True,
    return_pct=12.0,
    lower_pct=1.0,
    upper_pct=25.0,
    hold_pct=4.0,
    days=110,
    test=with_dsr(0.97, True),
    pbo=0.1,
    cycles=40,
    worst_stress_pct=-12.0,
    neighbour_loss=0.3,
    spacing_sigma=1.4,
    missing_share=0.001,
)
PLAIN = replace(GOOD, searched=False, pbo=None, neighbour_loss=None, test=with_dsr(0.97, False))


def word(evidence):
    return ta.verdict(evidence, LIMITS).word


def test_good_evidence_is_traded_and_nothing_would_change_it():
    for evidence in (GOOD, PLAIN):
        found = ta.verdict(evidence, LIMITS)
        assert (found.word, found.reasons, found.missing, found.change) == ("TRADE", (), (), ())
        assert found.main_reason == ""


# Field, worst value that still passes for TRADE, next value that does not, the verdict then, and the reason.
EDGES = [
    ("return_pct", 4.0 + 1e-9, 4.0, "WATCH", "below same-exposure hold"),
    ("lower_pct", 5e-324, 0.0, "WATCH", "loses out of sample"),
    ("hold_pct", DOWN(12.0), 12.0, "WATCH", "below same-exposure hold"),
    ("pbo", 0.2, UP(0.2, 1), "WATCH", "PBO"),
    ("pbo", 0.2, 0.5, "WATCH", "PBO"),
    ("pbo", 0.2, UP(0.5, 1), "REJECT", "PBO"),
    ("cycles", 30, 29, "WATCH", "too few cycles"),
    ("cycles", 30, 10, "WATCH", "too few cycles"),
    ("cycles", 30, 9, "REJECT", "too few cycles"),
    ("worst_stress_pct", UP(-25.0, 0), -25.0, "WATCH", "breaks in stress"),
    ("worst_stress_pct", UP(-25.0, 0), -99.0, "WATCH", "breaks in stress"),
    ("neighbour_loss", 0.5, UP(0.5, 1), "WATCH", "cliff beside the optimum"),
    ("spacing_sigma", 1.0, DOWN(1.0), "WATCH", "spacing below candle noise"),
    ("missing_share", 0.01, UP(0.01, 1), "WATCH", "data gaps"),
]


@pytest.mark.parametrize(("field", "passes", "fails", "then", "reason"), EDGES)
def test_each_line_alone_flips_the_verdict_on_its_bound(field, passes, fails, then, reason):
    assert word(replace(GOOD, **{field: passes})) == "TRADE"
    found = ta.verdict(replace(GOOD, **{field: fails}), LIMITS)
    assert (found.word, [r.name for r in found.reasons]) == (then, [reason])
    assert found.main_reason.startswith(f"{reason}: ")


def test_a_loss_rejects_and_is_the_first_reason():
    hold = {"hold_pct": -50.0, "lower_pct": -20.0}
    assert word(replace(GOOD, **hold, return_pct=5e-324)) == "WATCH"
    found = ta.verdict(replace(GOOD, **hold, return_pct=0.0, cycles=15), LIMITS)
    assert found.word == "REJECT"
    assert [r.name for r in found.reasons] == ["loses out of sample", "too few cycles"]


@pytest.mark.parametrize("evidence", [GOOD, PLAIN], ids=["searched", "given"])
def test_the_deflated_sharpe_ratio_counts_from_its_bounds_on(evidence):
    for bound, there, below in ((0.95, "TRADE", "WATCH"), (0.5, "WATCH", "REJECT")):
        test = with_dsr(bound, evidence.searched)
        under = replace(test, sharpe=test.sharpe - 1e-9)
        assert test.dsr >= bound > under.dsr > bound - 1e-6
        assert word(replace(evidence, test=test)) == there
        assert word(replace(evidence, test=under)) == below


NUMBERS = {
    "return_pct": ("REJECT", "loses out of sample"),
    "lower_pct": ("WATCH", "loses out of sample"),
    "hold_pct": ("WATCH", "below same-exposure hold"),
    "test": ("REJECT", "DSR"),
    "pbo": ("REJECT", "PBO"),
    "cycles": ("REJECT", "too few cycles"),
    "worst_stress_pct": ("WATCH", "breaks in stress"),
    "neighbour_loss": ("WATCH", "cliff beside the optimum"),
    "spacing_sigma": ("WATCH", "spacing below candle noise"),
    "missing_share": ("WATCH", "data gaps"),
}


@pytest.mark.parametrize("field", NUMBERS)
def test_undefined_fails_its_line(field):
    found = ta.verdict(replace(GOOD, **{field: with_dsr(NAN, True) if field == "test" else NAN}), LIMITS)
    then, reason = NUMBERS[field]
    assert (found.word, found.reasons[0].name) == (then, reason)
    assert "undefined" in found.main_reason
    assert "nan" not in repr(found).lower()


@pytest.mark.parametrize(
    ("field", "words"),
    [
        (
            "neighbour_loss",
            "what a neighbour loses is undefined: drawn points have none, one is not ranked, or",
        ),
        ("spacing_sigma", "undefined: no grid of two levels was laid, or prices stood still; 1 σ asked"),
    ],
)
def test_undefined_says_how_it_comes(field, words):
    reason = ta.verdict(replace(GOOD, **{field: NAN}), LIMITS).main_reason
    assert words in reason
    assert "undefined %" not in reason
    assert "undefined σ" not in reason


@pytest.mark.parametrize("field", [f for f in NUMBERS if f != "spacing_sigma"])
def test_what_was_not_run_is_named_and_nothing_is_judged(field):
    stage = {"worst_stress_pct": "stress", "missing_share": "data"}.get(field, "optimization")
    found = ta.verdict(replace(GOOD, **{field: None}), LIMITS)
    assert (found.word, found.missing) == ("NOT JUDGED", (stage,))
    assert found.main_reason == f"the stage {stage} has not run for it"
    assert found.change == (f"run the stage {stage}",)


def test_what_is_known_is_said_even_where_a_stage_is_missing():
    found = ta.verdict(replace(PLAIN, return_pct=-3.0, lower_pct=-9.0, worst_stress_pct=None, cycles=None), LIMITS)
    assert (found.word, found.missing) == ("NOT JUDGED", ("baseline", "stress"))
    assert [r.name for r in found.reasons] == ["loses out of sample", "below same-exposure hold"]
    assert found.change[0] == "run the stages baseline, stress"
    assert found.main_reason == "the stages baseline, stress have not run for it; so far: loses out of sample"


def test_unsearched_parameters_are_not_asked_for_what_only_a_search_has():
    asked = ta.verdict(PLAIN, LIMITS).lines()
    assert "did not choose" in asked["holds for"]
    assert "holds for" not in ta.verdict(GOOD, LIMITS).lines()
    assert set(REASONS) - set(asked) == {"PBO", "cliff beside the optimum", "searched on these candles"}
    assert "spacing below candle noise" not in ta.verdict(replace(PLAIN, spacing_sigma=None), LIMITS).lines()
    assert word(replace(GOOD, spacing_sigma=None)) == "TRADE"


def test_without_trades_there_is_no_verdict_but_the_reason():
    why = "900 candles to trade on; signals: dca 0"
    found = ta.verdict(ta.VerdictEvidence("BTCUSDT", no_trades=why), LIMITS)
    assert (found.word, found.main_reason, found.reasons) == ("NO TRADES", why, ())
    assert why in repr(found)


def test_synthetic_and_what_is_only_shown_change_no_verdict():
    assert (
        word(replace(GOOD, synthetic=True, drawdown_pct=99.0, sharpe_in=-4.0, sharpe_out=-4.0, upper_pct=NAN))
        == "TRADE"
    )
    assert "TRADE SYNTHETIC BTCUSDT" in repr(ta.verdict(replace(GOOD, synthetic=True), LIMITS))


def test_the_list_of_reasons_is_closed():
    assert set(REASONS) == {
        "loses out of sample",
        "below same-exposure hold",
        "DSR",
        "PBO",
        "too few cycles",
        "cliff beside the optimum",
        "breaks in stress",
        "spacing below candle noise",
        "data gaps",
        "searched on these candles",
    }
    assert len(LINES) == len(REASONS) == 10


# --- what would change it ---------------------------------------------------------------------------
def test_so_many_more_days_or_so_few_trials_would_be_enough():
    test = ta.SharpeTest(0.16, 250, -0.3, 5.0, 25.0, 0.004)
    (reason,) = ta.verdict(replace(GOOD, test=test), LIMITS).reasons
    days, trials = re.match(r"([\d\u202f]+) more days .*, or ([\d.]+) effective", reason.change).groups()
    days, trials = int(days.replace("\u202f", "")), float(trials)
    assert replace(test, days=250 + days).dsr >= 0.95 > replace(test, days=250 + days - 2).dsr
    assert replace(test, trials=trials).dsr >= 0.95 > replace(test, trials=trials + 0.2).dsr


def test_below_luck_no_number_of_days_is_promised():
    test = ta.SharpeTest(0.01, 250, 0.0, 3.0, 25.0, 0.004)
    (reason,) = ta.verdict(replace(GOOD, test=test), LIMITS).reasons
    assert reason.change.startswith(
        f"a Sharpe ratio above {test.luck * 365**0.5:.2f} a year instead of 0.19: no number"
    )
    assert "effective" not in reason.change
    many = ta.SharpeTest(0.11, 250, 0.0, 3.0, 25.0, 0.04)
    assert (
        ta.verdict(replace(GOOD, test=many), LIMITS)
        .reasons[0]
        .change.endswith("or a single trial instead of 25.0 effective ones")
    )


def test_cycles_and_days_that_are_missing_are_counted():
    (reason,) = ta.verdict(replace(GOOD, cycles=12), LIMITS).reasons
    assert reason.change == "18 more cycles, 165 more days at the same pace"
    (none,) = ta.verdict(replace(GOOD, cycles=0), LIMITS).reasons
    assert none.change == "30 more cycles"


def test_so_many_more_days_lift_the_lower_end_above_0():
    returns = np.random.default_rng(5).normal(0.0, 0.02, 100)
    returns += 0.0012 - returns.mean()
    found = measured(returns)
    assert found["lower_pct"] < 0 < found["return_pct"]
    (reason,) = ta.verdict(replace(GOOD, **found), LIMITS).reasons
    times = 1 + int(reason.change.split()[0].replace("\u202f", "")) / 100
    assert times > 4
    fewer, enough = (measured(np.tile(returns, round(times * f)))["lower_pct"] for f in (0.6, 1.4))
    assert fewer < 0 < enough


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"worst_stress_pct": -50.0}, "positions under 50 % of their size"),
        ({"spacing_sigma": 0.5}, "cells 2.0 times as wide, or finer candles"),
        ({"hold_pct": 14.5}, "more than 2.5 percentage points more"),
        ({"pbo": 0.45}, "a PBO lower by 0.25"),
    ],
)
def test_what_would_change_it_is_a_number(changes, said):
    (reason,) = ta.verdict(replace(GOOD, **changes), LIMITS).reasons
    assert reason.change.startswith(said)


# --- what is given ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pbo": 1.2}, "pbo is 1.2, allowed is a fraction from 0 to 1"),
        ({"pbo": True}, "pbo is True, allowed is a finite number"),
        ({"return_pct": math.inf}, "return_pct is inf, allowed is a finite number, NaN where it is undefined"),
        ({"return_pct": "12"}, "return_pct is '12', allowed is a finite number"),
        ({"return_pct": 10**400}, "allowed is a finite number"),
        ({"return_pct": -200.0}, "return_pct is -200.0, allowed is a number of at least -100"),
        ({"lower_pct": -150.0}, "lower_pct is -150.0, allowed is a number of at least -100"),
        ({"lower_pct": 26.0}, "got lower_pct 26 above upper_pct 25, allowed are the two ends of one interval"),
        ({"days": 0}, "days is 0 beside a return_pct of 12, allowed is at least 1"),
        ({"days": 3.5}, "days is 3.5, allowed is a whole number of at least 0"),
        ({"cycles": -1}, "cycles is -1, allowed is a whole number of at least 0"),
        ({"cycles": 30.4}, "cycles is 30.4, allowed is a whole number of at least 0"),
        ({"worst_stress_pct": 3.0}, "worst_stress_pct is 3.0, allowed is a number from -100 to 0"),
        ({"worst_stress_pct": -300.0}, "worst_stress_pct is -300.0, allowed is a number from -100 to 0"),
        ({"neighbour_loss": -3.0}, "neighbour_loss is -3.0, allowed is a number of at least 0"),
        ({"no_trades": " "}, "no_trades is ' ', allowed is a text"),
        ({"test": 0.9}, "test is 0.9, allowed is a ta.SharpeTest"),
        (
            {"n_searched": 0},
            "n_searched is 0, allowed is a whole number of at least 1, or None where no search is known",
        ),
        ({"n_searched": 2.5}, "n_searched is 2.5, allowed is a whole number of at least 1"),
        ({"searched_until": None}, "searched_until is None, allowed is a text"),
        ({"searched": 1}, "searched is 1, allowed is true or false"),
        ({"name": ""}, "name is '', allowed is a text"),
        ({"searched": False}, "got pbo of parameters that nobody searched"),
        ({"searched": False, "pbo": None, "neighbour_loss": None}, "got 20 trials of parameters that nobody searched"),
    ],
)
def test_evidence_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        replace(GOOD, **changes)


@pytest.mark.parametrize("days", [-5, 2.5, "365", True])
def test_days_that_cannot_be_counted_are_refused(days):
    with pytest.raises(ConfigError, match=rf"days: got {days!r}, allowed are whole numbers ≥ 0"):
        ta.SharpeTest(0.2, days, 0.0, 3.0)


def test_what_can_just_be_is_taken():
    edge = {"return_pct": -100.0, "lower_pct": -100.0, "upper_pct": -100.0, "worst_stress_pct": -100.0 - 1e-12}
    assert replace(GOOD, **edge, neighbour_loss=0.0, cycles=40.0, days=1).cycles == 40
    undefined = dict.fromkeys(("return_pct", "lower_pct", "cycles", "neighbour_loss", "worst_stress_pct"), NAN)
    assert math.isnan(replace(GOOD, **undefined, days=0).return_pct)


def test_what_is_no_evidence_is_refused():
    with pytest.raises(
        ConfigError, match=r"evidence: got dict, .* ta.VerdictEvidence; ta.evidence_of\(res\) .* ta.verdicts"
    ):
        ta.verdict({"dsr": 1.0})
    with pytest.raises(ConfigError, match=r"limits: got dict, allowed is ta.Thresholds"):
        ta.verdict(GOOD, {"trade_dsr": 0.5})
    with pytest.raises(ConfigError, match="is this the excess kurtosis"):
        ta.SharpeTest(0.1, 100, 0.0, 0.2)


def test_daily_returns_give_the_interval_and_too_few_give_none():
    returns = np.random.default_rng(1).normal(0.002, 0.01, 300)
    found, interval = measured(returns), ta.stats.bootstrap_interval(returns, level=0.9, seed=0)
    assert found["return_pct"] == pytest.approx(interval.estimate * 100)
    assert (found["lower_pct"], found["upper_pct"], found["days"]) == (interval.low * 100, interval.high * 100, 300)
    few = measured(returns[:9])
    assert math.isnan(few["lower_pct"])
    assert few["days"] == 9
    assert math.isnan(measured([])["return_pct"])


def test_same_evidence_same_text():
    assert repr(ta.verdict(GOOD, LIMITS)) == repr(ta.verdict(replace(GOOD), LIMITS))
    html = ta.verdict(replace(GOOD, name="<b>"), LIMITS)._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<b>TRADE" in html


# --- thresholds -------------------------------------------------------------------------------------
def test_the_file_says_what_the_library_assumes_and_is_read(tmp_path, monkeypatch):
    path = ROOT / "params/verdict.yaml"
    assert set(read_yaml(path)) == set(ta.Thresholds.model_fields)
    assert ta.thresholds(path) == LIMITS
    monkeypatch.setenv("TRADERAGENT_ROOT", str(tmp_path))
    assert ta.thresholds() == LIMITS
    (tmp_path / "params").mkdir()
    (tmp_path / "params/verdict.yaml").write_text("trade_cycles: 41\n")
    assert ta.verdict(GOOD).word == "WATCH"
    assert ta.verdict(GOOD).reasons[0].saw == "40 closed out of sample, 41 asked"


def test_thresholds_that_cannot_be_are_refused(tmp_path):
    path = tmp_path / "verdict.yaml"
    path.write_text("trade_drs: 0.9\n")
    with pytest.raises(UnknownName, match="'trade_drs'.*did you mean 'trade_dsr'"):
        ta.thresholds(path)
    with pytest.raises(ConfigError, match=r"trade_pbo: got 1.5, allowed is number from 0.0 to 1.0"):
        ta.Thresholds(trade_pbo=1.5)
    with pytest.raises(ConfigError, match=r"watch_pbo: got 0.1, stricter than trade_pbo, 0.2"):
        ta.Thresholds(watch_pbo=0.1)
    with pytest.raises(ConfigError, match=r"watch_cycles: got 31, stricter"):
        ta.Thresholds(watch_cycles=31)


@pytest.mark.parametrize(
    ("name", "value", "evidence"),
    [
        ("trade_dsr", 0.98, GOOD),
        ("trade_pbo", 0.05, GOOD),
        ("trade_cycles", 41, GOOD),
        ("worst_stress_pct", -10.0, GOOD),
        ("most_lost", 0.2, GOOD),
        ("least_spacing_sigma", 1.5, GOOD),
        ("most_missing", 0.0005, GOOD),
        ("watch_dsr", 0.9, replace(GOOD, test=with_dsr(0.8, True))),
        ("watch_pbo", 0.3, replace(GOOD, pbo=0.4)),
        ("watch_cycles", 20, replace(GOOD, cycles=15)),
    ],
)
def test_every_threshold_counts(name, value, evidence):
    before = word(evidence)
    after = ta.verdict(evidence, LIMITS.replace(**{name: value})).word
    assert (before, after) == (("WATCH", "REJECT") if name.startswith("watch") else ("TRADE", "WATCH"))
