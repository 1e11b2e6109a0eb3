"""All verdicts of a run of the pipeline, from what its stages wrote."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from traderagent.base.errors import ConfigError
from traderagent.base.evidence import BaselineEvidence, load_baseline
from traderagent.base.files import without_nan
from traderagent.base.hashing import hash_values
from traderagent.base.judgements import ACCOUNT, RANKS, STAGE, VARIANTS, Judgements, evidence_hashes
from traderagent.base.search_evidence import POOLED, SearchEvidence
from traderagent.base.stored import check_same_candles
from traderagent.base.thresholds import Thresholds, thresholds
from traderagent.robustness.verdict import verdict
from traderagent.robustness.verdict_chosen import Searched, ledger_of
from traderagent.robustness.verdict_given import given_account, given_symbol
from traderagent.robustness.verdict_input import VerdictEvidence
from traderagent.robustness.verdict_stress import load_worst_stress


def verdicts(
    results: str | Path,
    *,
    limits: Thresholds | None = None,
    ledger: str | Path | None = None,
    save: bool = False,
) -> Judgements | None:
    """Judge every symbol and all of them together: as given first, then with what a search chose.

    Parameters
    ----------
    results : folder of all stages' results
    limits : where the lines are drawn; None is `params/verdict.yaml` of the project
    ledger : of searches, by default the project's; it raises the number of trials that a choice is held against, and
        so it does for parameters as given where a search may have chosen them, which keeps them from TRADE
    save : also write `report/verdict.json` below `results`, which pages read

    Returns
    -------
    Judgements; None where the stage `baseline` has not run, so that there is nothing to judge

    Raises
    ------
    DataError
        For results that are broken, or of stages that have seen different candles; for a file that is no ledger.
    ConfigError
        For thresholds that are not allowed.

    Notes
    -----
    Parameters as given may be a search's choice that somebody wrote into `params/`. A search counts for them where it
    saw days of the run and they differ from what it began with, at a parameter that it moved, as in `ta.evidence_of`.
    So the pipeline's own search does not count where it begins with them.
    """
    results = Path(results)
    limits = thresholds() if limits is None else limits
    if not isinstance(limits, Thresholds):
        raise ConfigError(f"limits: got {type(limits).__name__}, allowed is ta.Thresholds, or None for the file")
    if not (results / "baseline").is_dir():
        return None
    base = load_baseline(results / "baseline")
    found = _found(base, results, limits, ledger_of(ledger))
    rows = [{"variant": v, **_span(base, v), **verdict(evidence, limits).to_dict()} for v, evidence in found]
    rows.sort(key=_place)
    judged = Judgements(
        without_nan(
            {
                "stage": STAGE,
                "synthetic": base.synthetic,
                "holdout": base.record["holdout"],
                "candles": {s: base.record["symbols"][s]["data_hash"] for s in base.symbols},
                "thresholds": limits.to_dict(),
                "hashes": {
                    "evidence": hash_values([row["evidence"] for row in rows]),
                    "stages": evidence_hashes(results),
                },
                "rows": rows,
            }
        )
    )
    if save:
        judged.save(results)
    return judged


def _place(row: Mapping[str, Any]) -> tuple[bool, int, int]:
    """Where a verdict stands: accounts first, then what was given, each symbol's own winner last; TRADE first."""
    account = row["name"] == ACCOUNT
    return not account, list(VARIANTS).index(row["variant"]), 0 if account else RANKS.index(row["verdict"])


def _found(
    base: BaselineEvidence, results: Path, limits: Thresholds, ledger: list[dict[str, Any]]
) -> list[tuple[str, VerdictEvidence]]:
    """Evidence of everything that is judged, with its variant; of a single symbol, the account is that symbol."""
    stress = load_worst_stress(results, base.record)
    found = [("given", given_symbol(base, symbol, stress, limits.interval, ledger)) for symbol in base.symbols]
    if len(base.symbols) > 1:
        found.insert(0, ("given", given_account(base, results, stress, limits.interval, ledger)))
    if not (results / "optimization").is_dir():
        return found
    search = SearchEvidence.load(results / "optimization")
    check_same_candles(base.record, "optimization", search.record)
    searched = Searched(search, base, results, ledger, stress, limits.interval)
    if len(search.symbols) > 1 and search.point(POOLED) is not None:
        found.append(("pooled", searched.account()))
    chosen = [s for s in search.symbols if s in base.symbols and search.point(s) is not None]
    return [*found, *(("chosen", searched.symbol(symbol)) for symbol in chosen)]


def _span(base: BaselineEvidence, variant: str) -> dict[str, Any]:
    """First and last day out of sample: of the whole span where nothing was chosen, else of the part set aside."""
    shown = base.samples if variant == "given" else base.samples[-1:]
    parts = [f["curves"].index[f["curves"]["sample"].isin(shown)] for f in base.frames.values()]
    return {"begin": str(min(p.min() for p in parts))[:10], "end": str(max(p.max() for p in parts))[:10]}
