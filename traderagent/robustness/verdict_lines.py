"""The lines of a verdict: what each asks, the number it saw, and what would have to be different, in numbers."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from traderagent.base.thresholds import Thresholds
from traderagent.base.words import counted, number
from traderagent.robustness.verdict_input import SharpeTest, VerdictEvidence
from traderagent.stats import min_track_record_length

_Test = Callable[[VerdictEvidence, Thresholds], bool]
_Words = Callable[[VerdictEvidence, Thresholds], str]


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes
    ----------
    reason : its name in the closed list of reasons
    needs : fields of the evidence; None there means that a stage has not run
    stage : that measures them; empty: the one that ran the parameters
    trade, watch : whether evidence without None passes for TRADE, and for WATCH; NaN never does
    saw : the number, beside what is asked
    change : what would have to be different; empty where no number says
    searched_only : asked only of parameters that a search chose
    optional : None in all `needs` means that there is nothing to ask, e.g. no grid
    """

    reason: str
    needs: tuple[str, ...]
    stage: str
    trade: _Test
    watch: _Test
    saw: _Words
    change: _Words
    searched_only: bool = False
    optional: bool = False

    def asked(self, e: VerdictEvidence) -> bool:
        """Whether the line is asked of this evidence."""
        if self.searched_only and not e.searched:
            return False
        return not (self.optional and all(getattr(e, name) is None for name in self.needs))

    def missing(self, e: VerdictEvidence) -> str:
        """Stage that has not run; empty where all is there."""
        if all(getattr(e, name) is not None for name in self.needs):
            return ""
        return self.stage or ("optimization" if e.searched else "baseline")


def _of(e: VerdictEvidence, name: str) -> float:
    """A number of the evidence; NaN where it was not run, which passes no comparison."""
    value = getattr(e, name)
    return math.nan if value is None else float(value)


def _always(e: VerdictEvidence, limits: Thresholds) -> bool:
    return True


def _percent(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{number(value, 1, True)} %"


def _plain(value: float, digits: int = 2) -> str:
    return "undefined" if math.isnan(value) else number(value, digits)


def _days(days: float) -> str:
    return counted(math.ceil(days), "more day")


def _unseen(e: VerdictEvidence) -> str:
    """On candles set aside from a search, on those that were searched, or with parameters that nobody searched."""
    return "out of sample" if e.searched else "on searched candles" if e.conditional else "as given"


def _return_saw(e: VerdictEvidence, limits: Thresholds) -> str:
    end = _percent(_of(e, "lower_pct"))
    earned = _percent(_of(e, "return_pct"))
    return f"{earned} {_unseen(e)}, lower end of the {limits.interval * 100:g} % interval {end}"


def _return_change(e: VerdictEvidence, limits: Thresholds) -> str:
    earned, low, days = (_of(e, name) for name in ("return_pct", "lower_pct", "days"))
    if not earned > 0.0:
        return f"{number(-earned, 1)} percentage points more, and a lower end above 0" if earned <= 0.0 else ""
    if not -100.0 < low <= 0.0 or math.isnan(days):
        return ""
    pace, end = math.log1p(earned / 100.0), math.log1p(low / 100.0)
    longer = (1.0 - end / pace) ** 2 if pace > 1e-9 else math.inf
    if not longer < 1e6:
        return "a higher return: at this pace no number of days would do"
    return f"{_days(days * (longer - 1.0))} at the same pace and scatter for a lower end above 0"


def _hold_change(e: VerdictEvidence, limits: Thresholds) -> str:
    gap = _of(e, "hold_pct") - _of(e, "return_pct")
    return "" if math.isnan(gap) else f"more than {number(gap, 1)} percentage points more"


def _dsr_saw(e: VerdictEvidence, limits: Thresholds) -> str:
    trials = f"{number(e.test.trials, 1)} effective trials" if e.conditional and e.test else "1 trial"
    kind = "deflated" if e.conditional else "probabilistic"
    return f"{kind} Sharpe ratio {_plain(_of(e, 'dsr'))} with {trials}, {limits.trade_dsr:g} asked"


def _dsr_change(e: VerdictEvidence, limits: Thresholds) -> str:
    test = e.test
    if test is None or math.isnan(test.dsr):
        return ""
    said = [_days_missing(test, limits.trade_dsr), _trials_missing(test, limits.trade_dsr)]
    return ", or ".join(part for part in said if part)


def _days_missing(test: SharpeTest, wanted: float) -> str:
    needed = float(min_track_record_length(test.sharpe, test.luck, test.skew, test.kurtosis, 1.0 - wanted))
    if math.isnan(needed):
        year = math.sqrt(365.0)
        return (
            f"a Sharpe ratio above {number(test.luck * year)} a year instead of {number(test.sharpe * year)}: no "
            "number of days makes up for it"
        )
    return f"{_days(needed - test.days)} at the same Sharpe ratio"


def _trials_missing(test: SharpeTest, wanted: float) -> str:
    """How few trials would have been few enough; empty where no number is, or one trial was all."""
    if test.trials < 2.0 or not test.at(1.0) >= wanted:
        return ""
    few, many = 1.0, test.trials
    while many - few > 1e-3 * few:
        middle = (few + many) / 2.0
        few, many = (middle, many) if test.at(middle) >= wanted else (few, middle)
    if few < 2.0:
        return f"a single trial instead of {number(test.trials, 1)} effective ones"
    most = math.floor(few * 10.0) / 10.0
    return f"{number(most, 1)} effective trials instead of {number(test.trials, 1)}"


def _searched_saw(e: VerdictEvidence, limits: Thresholds) -> str:
    until = f"up to {e.searched_until}" if e.searched_until else "on days the ledger does not know (returns=None)"
    points = counted(int(_of(e, "n_searched")), "point")
    return f"{points} tried on these candles {until}, which may have chosen the parameters"


def _searched_change(e: VerdictEvidence, limits: Thresholds) -> str:
    later = f"candles after {e.searched_until}" if e.searched_until else "candles of which no search is known"
    return f"the same parameters on {later}, ta.walk_forward, or a search with a hold-out, judged by ta.verdicts"


def _pbo_change(e: VerdictEvidence, limits: Thresholds) -> str:
    gap = _of(e, "pbo") - limits.trade_pbo
    return "" if math.isnan(gap) else f"a PBO lower by {number(gap)}: fewer axes, or a longer span to search"


def _cycles_change(e: VerdictEvidence, limits: Thresholds) -> str:
    done, days = _of(e, "cycles"), _of(e, "days")
    if math.isnan(done):
        return ""
    missing = limits.trade_cycles - done
    pace = f", {_days(missing * days / done)} at the same pace" if done > 0.0 and not math.isnan(days) else ""
    return f"{counted(math.ceil(missing), 'more cycle')}{pace}"


def _stress_saw(e: VerdictEvidence, limits: Thresholds) -> str:
    worst, bound = _percent(_of(e, "worst_stress_pct")), _percent(limits.worst_stress_pct)
    return f"{worst} in the worst scenario, above {bound} asked"


def _stress_change(e: VerdictEvidence, limits: Thresholds) -> str:
    worst = _of(e, "worst_stress_pct")
    if math.isnan(worst) or worst == 0.0:
        return ""
    return f"positions under {number(limits.worst_stress_pct / worst * 100.0, 0)} % of their size"


def _spacing_change(e: VerdictEvidence, limits: Thresholds) -> str:
    spacing = _of(e, "spacing_sigma")
    if not spacing > 0.0:
        return ""
    return f"cells {number(limits.least_spacing_sigma / spacing, 1)} times as wide, or finer candles"


def _neighbour_saw(e: VerdictEvidence, limits: Thresholds) -> str:
    lost = _of(e, "neighbour_loss")
    if math.isnan(lost):
        return "what a neighbour loses is undefined: drawn points have none, one is not ranked, or nothing is at stake"
    return f"a neighbour loses {number(lost * 100.0, 0)} % of its worth"


def _spacing_saw(e: VerdictEvidence, limits: Thresholds) -> str:
    sigma = _of(e, "spacing_sigma")
    if math.isnan(sigma):
        return (
            f"undefined: no grid of two levels was laid, or prices stood still; {limits.least_spacing_sigma:g} σ asked"
        )
    return f"{number(sigma)} σ of a candle, {limits.least_spacing_sigma:g} asked"


LINES = (
    Line(
        "loses out of sample",
        ("return_pct", "lower_pct"),
        "",
        lambda e, t: _of(e, "return_pct") > 0.0 and _of(e, "lower_pct") > 0.0,
        lambda e, t: _of(e, "return_pct") > 0.0,
        _return_saw,
        _return_change,
    ),
    Line(
        "below same-exposure hold",
        ("return_pct", "hold_pct"),
        "",
        lambda e, t: _of(e, "return_pct") > _of(e, "hold_pct"),
        _always,
        lambda e, t: f"{_percent(_of(e, 'return_pct'))} against {_percent(_of(e, 'hold_pct'))}",
        _hold_change,
    ),
    Line(
        "DSR",
        ("test",),
        "",
        lambda e, t: _of(e, "dsr") >= t.trade_dsr,
        lambda e, t: _of(e, "dsr") >= t.watch_dsr,
        _dsr_saw,
        _dsr_change,
    ),
    Line(
        "searched on these candles",
        ("n_searched",),
        "",
        lambda e, t: False,
        _always,
        _searched_saw,
        _searched_change,
        optional=True,
    ),
    Line(
        "PBO",
        ("pbo",),
        "",
        lambda e, t: _of(e, "pbo") <= t.trade_pbo,
        lambda e, t: _of(e, "pbo") <= t.watch_pbo,
        lambda e, t: f"{_plain(_of(e, 'pbo'))}, at most {t.trade_pbo:g} asked",
        _pbo_change,
        searched_only=True,
    ),
    Line(
        "too few cycles",
        ("cycles",),
        "",
        lambda e, t: _of(e, "cycles") >= t.trade_cycles,
        lambda e, t: _of(e, "cycles") >= t.watch_cycles,
        lambda e, t: f"{_plain(_of(e, 'cycles'), 0)} closed {_unseen(e)}, {t.trade_cycles} asked",
        _cycles_change,
    ),
    Line(
        "breaks in stress",
        ("worst_stress_pct",),
        "stress",
        lambda e, t: _of(e, "worst_stress_pct") > t.worst_stress_pct,
        _always,
        _stress_saw,
        _stress_change,
    ),
    Line(
        "cliff beside the optimum",
        ("neighbour_loss",),
        "",
        lambda e, t: _of(e, "neighbour_loss") <= t.most_lost,
        _always,
        _neighbour_saw,
        lambda e, t: f"a point whose neighbours lose at most {t.most_lost * 100.0:g} %",
        searched_only=True,
    ),
    Line(
        "spacing below candle noise",
        ("spacing_sigma",),
        "",
        lambda e, t: _of(e, "spacing_sigma") >= t.least_spacing_sigma,
        _always,
        _spacing_saw,
        _spacing_change,
        optional=True,
    ),
    Line(
        "data gaps",
        ("missing_share",),
        "data",
        lambda e, t: _of(e, "missing_share") <= t.most_missing,
        _always,
        lambda e, t: f"{_plain(_of(e, 'missing_share') * 100.0, 1)} % of candles missing",
        lambda e, t: f"at most {t.most_missing * 100.0:g} % missing: another source, or another span",
    ),
)
REASONS = tuple(line.reason for line in LINES)
