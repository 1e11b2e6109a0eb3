"""Verdicts of accounts and symbols as they are stored, so that pages read them without the code that judges."""

import math
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.files import write_json
from traderagent.base.hashing import hash_bytes
from traderagent.base.stored import stored_record
from traderagent.base.words import counted, number

STAGE, FOLDER, RECORD = "verdict", "report", "verdict.json"
SOURCES = ("baseline", "optimization", "portfolio", "stress")  # stages whose records a verdict reads
ACCOUNT = "account"
# Variants in the order in which they are judged: what nobody searched first, each symbol's own winner last.
VARIANTS = {"given": "as given", "pooled": "chosen for all", "chosen": "chosen for each"}
RANKS = ("TRADE", "WATCH", "REJECT", "NOT JUDGED", "NO TRADES")
NUMBERS = (
    "return_pct",
    "hold_pct",
    "drawdown_pct",
    "sharpe_in",
    "sharpe_out",
    "dsr",
    "pbo",
    "cycles",
    "worst_stress_pct",
)


class Judgements:
    """Every verdict of a run of the pipeline, the account's first.

    Attributes
    ----------
    record : what the JSON file holds; `record["rows"]` are the verdicts
    """

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.record = dict(record)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One record a verdict: name, what, variant, verdict, reasons, change, missing, evidence, begin and end."""
        return list(self.record["rows"])

    @property
    def synthetic(self) -> bool:
        """Whether any candles are synthetic."""
        return bool(self.record["synthetic"])

    @property
    def symbols(self) -> list[str]:
        """Symbols that were judged."""
        return list(dict.fromkeys(row["name"] for row in self.rows if row["name"] != ACCOUNT))

    @property
    def missing(self) -> tuple[str, ...]:
        """Stages that have not run and without which something is not judged."""
        judged = (row for row in self.rows if row["verdict"] == "NOT JUDGED")
        return tuple(dict.fromkeys(stage for row in judged for stage in row["missing"]))

    def best(self, symbol: str) -> str:
        """The best verdict of a symbol, with whatever parameters."""
        return min((row["verdict"] for row in self.rows if row["name"] == symbol), key=RANKS.index)

    def table(self) -> pd.DataFrame:
        """One row a verdict, by name: verdict, what, the numbers it rests on, main reason, what would change it."""
        rows = []
        for row in self.rows:
            evidence = row["evidence"]
            known = {name: np.nan if evidence[name] is None else float(evidence[name]) for name in NUMBERS}
            ahead = known.pop("return_pct") - known.pop("hold_pct")
            change = {"reason": row["main_reason"], "change": "; ".join(row["change"])}
            head = {"verdict": row["verdict"], "what": row["what"], "return_pct": _real(evidence["return_pct"])}
            rows.append({**head, "against_hold": ahead, **known, **change})
        index = pd.Index([row["name"] for row in self.rows], name="name")
        return pd.DataFrame(rows, index=index)

    # --- in words -------------------------------------------------------------------------------
    def sentence(self) -> str:
        """The verdict in words: the account as given, then with what a search chose, then the symbols counted."""
        first, *rest = self.rows
        text = (
            f"**{first['verdict']}.** On {counted(len(self.symbols), 'symbol')}, {first['begin']} to {first['end']}, "
            f"{_phrase(first)} {_earned(first)}."
        )
        for row in rest:
            if row["variant"] == "pooled" or (row["variant"] == "chosen" and len(self.symbols) == 1):
                text += f" Set aside from {row['begin']} on, {_phrase(row)} {_earned(row)}: **{row['verdict']}**."
        if len(self.symbols) > 1:
            text += f" By symbol: {self._counts()}."
        if self.missing:
            text += f" Not judged for want of {_stages(self.missing)}."
        return text

    def _counts(self) -> str:
        said = []
        for variant, words in VARIANTS.items():
            rows = [r for r in self.rows if r["variant"] == variant and r["name"] != ACCOUNT]
            found = [r["verdict"] for r in rows]
            if found:
                each = ", ".join(f"{found.count(word)} {word}" for word in RANKS if word in found)
                after = sum(_after_search(r["evidence"]) for r in rows)
                seen = f" ({after} of {len(rows)} given after a search of these candles)" if after else ""
                unseen = [r["verdict"] for r in rows if not _after_search(r["evidence"])]
                said.append(f"with the parameters {words} {each}{seen}{self._by_luck(variant, unseen)}")
        return "; ".join(said)

    def _by_luck(self, variant: str, found: list[str]) -> str:
        """How many of so many TRADE are no surprise: as given, every symbol is a test of its own that luck passes."""
        if variant != "given" or "TRADE" not in found:
            return ""
        lucky = (1.0 - self.record["thresholds"]["trade_dsr"]) * len(found)
        return f" (of {len(found)} without any skill luck alone makes up to {number(lucky, 1)} TRADE)"

    def grade(self, edges: Mapping[str, bool]) -> str:
        """On a synthetic market: how many planted edges the verdicts found, and how often they were fooled.

        Parameters
        ----------
        edges : symbol → whether an edge is planted there

        Returns
        -------
        One sentence; empty where no symbol was judged
        """
        judged = {s: self.best(s) for s in edges if s in self.symbols}
        if not judged or all(word == "NOT JUDGED" for word in judged.values()):
            return ""
        found, none = ([judged[s] for s in judged if edges[s] == planted] for planted in (True, False))
        said = []
        if found:
            said.append(
                f"found {found.count('TRADE')} of {counted(len(found), 'planted edge')} (WATCH on "
                f"{found.count('WATCH')} more)"
            )
        if none:
            said.append(f"were fooled on {none.count('TRADE')} of {counted(len(none), 'symbol')} without any")
        return f"The verdicts {' and '.join(said)}."

    def in_words(self) -> str:
        """The answer as Markdown: the sentence, then every verdict with its main reason and what would change it."""
        lines = [self.sentence(), ""]
        for row in self.rows:
            why = f": {row['main_reason']}" if row["main_reason"] else ""
            change = f" Would change it: {row['change'][0]}." if row["change"] else ""
            lines.append(f"- **{row['verdict']}** {row['name']}, {row['what']}{why}.{change}")
        if self.synthetic:
            lines.append("\nThe candles are **synthetic**: no real market is shown here.")
        return "\n".join(lines)

    def __repr__(self) -> str:
        label = "SYNTHETIC " if self.synthetic else ""
        return f"<{label}{counted(len(self.rows), 'verdict')}>\n{self.in_words()}"

    def _repr_html_(self) -> str:
        head = "SYNTHETIC verdicts" if self.synthetic else "verdicts"
        return f"<b>{escape(head)}</b>{self.table().to_html(border=0, na_rep='–', float_format=number)}"

    # --- on disk --------------------------------------------------------------------------------
    def save(self, results: str | Path) -> Path:
        """Write `report/verdict.json` below a folder of results, whole or not at all; same verdicts, same bytes."""
        return write_json(Path(results) / FOLDER / RECORD, self.record)


def evidence_hashes(results: str | Path) -> dict[str, str]:
    """Stage → hash of the records that a verdict is read from, so that a verdict on older ones is told."""
    found = {}
    for stage in SOURCES:
        records = sorted((Path(results) / stage).glob("*.json"))
        if records:
            found[stage] = hash_bytes(*(path.read_bytes() for path in records))
    return found


def load_judgements(results: str | Path) -> Judgements | None:
    """Read what `Judgements.save` wrote; None where nothing was, or of stages that have run again since.

    Raises
    ------
    DataError
        For a file that is broken or something else.
    """
    path = Path(results) / FOLDER / RECORD
    if not path.is_file():
        return None
    found = Judgements(stored_record(path, STAGE))
    return found if found.record["hashes"]["stages"] == evidence_hashes(results) else None


def _real(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _phrase(row: Mapping[str, Any]) -> str:
    """Who earned it."""
    kind, _, how = row["what"].rpartition(", ")
    who = f"the {kind}" if row["name"] == ACCOUNT else "the orchestrator"
    return f"{who} with the parameters {how}"


def _earned(row: Mapping[str, Any]) -> str:
    """What it earned, with the interval, and how often luck does as well."""
    evidence = row["evidence"]
    if row["verdict"] == "NO TRADES":
        return f"traded nothing: {row['main_reason']}"
    earned, low, high = (number(_real(evidence[f"{n}_pct"]), 1, True) for n in ("return", "lower", "upper"))
    searched, after = bool(evidence["searched"]), _after_search(evidence)
    where = "candles it had not seen" if searched else "candles by which nobody had chosen it"
    where = "candles by which a search may have chosen it" if after else where
    text = f"would have earned {earned} % ({low} to {high}) after costs on {where}"
    share = (1.0 - _real(evidence["dsr"])) * 100.0
    if math.isnan(share):
        return f"{text}; how often luck does as well cannot be measured"
    of_many = searched or after
    who = f"a search of {number(evidence['trials'], 1)} effective trials" if of_many else "a single trial"
    cases = "under 1 %" if share < 1.0 else "over 99 %" if share > 99.0 else f"{number(share, 0)} %"
    return f"{text}; {who} without any skill does as well in {cases} of cases"


def _after_search(evidence: Mapping[str, Any]) -> bool:
    """Whether a search whose own record is not at hand may have chosen what was given."""
    return evidence.get("n_searched") is not None


def _stages(names: tuple[str, ...]) -> str:
    return f"the stage{'s' if len(names) > 1 else ''} {', '.join(names)}"
