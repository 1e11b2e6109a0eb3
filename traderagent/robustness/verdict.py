"""The verdict: whether the evidence is enough to trade on, and what would have to be different.

A strategy earns it when money was made where nobody had looked, more than luck explains, often enough, without breaking
in the worst hour. It says REJECT of many a good one whose record is short: what the data can show is limited, so every
verdict carries what would change it.
"""

from dataclasses import dataclass
from typing import Any

from traderagent.base.errors import ConfigError
from traderagent.base.thresholds import Thresholds, thresholds
from traderagent.robustness.verdict_input import VerdictEvidence
from traderagent.robustness.verdict_lines import LINES, Line
from traderagent.stats.record import Shown

TRADE, WATCH, REJECT, NOT_JUDGED, NO_TRADES = "TRADE", "WATCH", "REJECT", "NOT JUDGED", "NO TRADES"
VERDICTS = (TRADE, WATCH, REJECT, NOT_JUDGED, NO_TRADES)


@dataclass(frozen=True)
class Reason:
    """A line of the table that was not passed.

    Attributes
    ----------
    name : in the closed list of reasons
    saw : the number, beside what is asked
    change : what would have to be different; empty where no number says
    """

    name: str
    saw: str
    change: str

    def __str__(self) -> str:
        return f"{self.name}: {self.saw}"


UNSEARCHED = (
    "parameters that these candles did not choose, as far as the ledger of searches knows; what a search chose on them "
    "is judged by ta.verdicts"
)


@dataclass(frozen=True, repr=False)
class Verdict(Shown):
    """TRADE, WATCH, REJECT, NOT JUDGED or NO TRADES, and why.

    Attributes
    ----------
    word : the verdict
    reasons : lines that were not passed, those that keep it from WATCH first
    missing : stages that have not run and without which nothing is judged
    evidence, limits : what it rests on
    """

    word: str
    reasons: tuple[Reason, ...]
    missing: tuple[str, ...]
    evidence: VerdictEvidence
    limits: Thresholds

    @property
    def main_reason(self) -> str:
        """The reason that weighs most, in words; empty for TRADE."""
        if self.word == NO_TRADES:
            return self.evidence.no_trades
        if self.word == NOT_JUDGED:
            so_far = f"; so far: {self.reasons[0].name}" if self.reasons else ""
            return _stages(self.missing, "has not run for it", "have not run for it") + so_far
        return str(self.reasons[0]) if self.reasons else ""

    @property
    def change(self) -> tuple[str, ...]:
        """What would change it, each with the reason that it takes away; empty for TRADE."""
        first = [f"run {_stages(self.missing)}"] if self.missing and self.word != NO_TRADES else []
        return (*first, *(f"{reason.name}: {reason.change}" for reason in self.reasons if reason.change))

    def to_dict(self) -> dict[str, Any]:
        """Plain values but for NaN: the verdict with the evidence it rests on."""
        e = self.evidence
        return {
            "name": e.name,
            "what": e.what,
            "verdict": self.word,
            "main_reason": self.main_reason,
            "reasons": [{"name": r.name, "saw": r.saw, "change": r.change} for r in self.reasons],
            "change": list(self.change),
            "missing": list(self.missing),
            "evidence": {
                **{k: v for k, v in vars(e).items() if k not in ("test", "name", "what")},
                "dsr": e.dsr,
                **({} if e.test is None else {"trials": e.test.trials, "test_days": e.test.days}),
            },
        }

    def headline(self) -> str:
        """The answer in one line."""
        e = self.evidence
        why = f": {self.main_reason}" if self.main_reason else ""
        return f"{self.word}{' SYNTHETIC' if e.synthetic else ''} {e.name}, {e.what}{why}"

    def lines(self) -> dict[str, str]:
        """Every line of the table with what it saw, then what would change the verdict."""
        e, failed = self.evidence, {reason.name for reason in self.reasons}
        found = {}
        for line in LINES if self.word != NO_TRADES else ():
            if not line.asked(e):
                continue
            stage = line.missing(e)
            said = f"the stage {stage} has not run for it" if stage else line.saw(e, self.limits)
            found[line.reason] = f"{'–' if stage else '✕' if line.reason in failed else '✓'} {said}"
        found |= {f"would change it {n}": text for n, text in enumerate(self.change, 1)}
        found |= {"ledger of searches": e.ledger} if e.ledger else {}
        found |= {} if e.conditional or not found else {"holds for": UNSEARCHED}
        return found or {"reasons": self.main_reason}


def verdict(evidence: VerdictEvidence, limits: Thresholds | None = None) -> Verdict:
    """Judge one symbol or account.

    Parameters
    ----------
    evidence : everything known about it; None: not run, NaN: undefined
    limits : where the lines are drawn; None is `params/verdict.yaml` of the project

    Returns
    -------
    Verdict: NO TRADES where nothing was traded; else NOT JUDGED where a stage that it needs has not run; else TRADE
    where all lines are passed, WATCH where those of WATCH are, and REJECT

    Raises
    ------
    ConfigError
        For what is no evidence or no thresholds.
    """
    if not isinstance(evidence, VerdictEvidence):
        raise ConfigError(
            f"evidence: got {type(evidence).__name__}, allowed is ta.VerdictEvidence; ta.evidence_of(res) makes it of "
            "a run, ta.verdicts(results) gathers it from what the stages wrote"
        )
    limits = thresholds() if limits is None else limits
    if not isinstance(limits, Thresholds):
        raise ConfigError(f"limits: got {type(limits).__name__}, allowed is ta.Thresholds, or None for the file")
    asked = [line for line in LINES if line.asked(evidence)]
    missing = tuple(dict.fromkeys(stage for line in asked if (stage := line.missing(evidence))))
    if evidence.no_trades:
        return Verdict(NO_TRADES, (), missing, evidence, limits)
    known = [line for line in asked if not line.missing(evidence)]
    rejected = [line for line in known if not line.watch(evidence, limits)]
    held_back = [line for line in known if line not in rejected and not line.trade(evidence, limits)]
    reasons = tuple(_reason(line, evidence, limits) for line in (*rejected, *held_back))
    word = NOT_JUDGED if missing else REJECT if rejected else WATCH if held_back else TRADE
    return Verdict(word, reasons, missing, evidence, limits)


def _reason(line: Line, evidence: VerdictEvidence, limits: Thresholds) -> Reason:
    return Reason(line.reason, line.saw(evidence, limits), line.change(evidence, limits))


def _stages(names: tuple[str, ...], one: str = "", several: str = "") -> str:
    many = len(names) > 1
    return f"the stage{'s' if many else ''} {', '.join(names)} {several if many else one}".strip()
