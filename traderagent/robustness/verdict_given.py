"""Evidence of parameters as given: the whole span is out of sample, unless a search of it may have chosen them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from traderagent.account.config import PortfolioBacktestConfig
from traderagent.base.errors import ConfigError, DataError
from traderagent.base.evidence import BaselineEvidence
from traderagent.base.stored import check_same_candles, stored_frame, stored_record
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.research.ledger_entry import Days
from traderagent.robustness import verdict_curves as curves
from traderagent.robustness.verdict_input import ACCOUNT, SharpeTest, VerdictEvidence, measured
from traderagent.robustness.verdict_searched import Assumed, against_searches
from traderagent.robustness.verdict_stress import WorstStress

CURVES = ("orchestrator", "same_exposure_hold")
SHARED = ("shared", "same_exposure_hold")
Ledger = Sequence[Mapping[str, Any]]


def given_symbol(
    base: BaselineEvidence, symbol: str, stress: WorstStress, level: float, ledger: Ledger
) -> VerdictEvidence:
    """Evidence of the orchestrator's run of one symbol with the parameters as given.

    Parameters
    ----------
    base : of the stage `baseline`
    symbol : one of its symbols
    stress : worst scenarios, where the stage has run
    level : probability inside the interval of the return
    ledger : entries of all searches
    """
    runs = [base.one(symbol, sample=sample) for sample in base.samples]
    silent = [run["why_no_trades"] for run in runs]
    own, hold = (whole_span(base, symbol, name) for name in CURVES)
    sharpe = [base.number(symbol, "sharpe_ratio_daily", sample=s) for s in base.samples]
    found = earned(own, hold, level)
    assumed = {symbol: Assumed.of_run(_config(base), days_of(own))}
    return VerdictEvidence(
        name=symbol,
        **found | against_searches(found["test"], ledger, assumed),
        cycles=sum(base.number(symbol, "completed_cycles", sample=s) for s in base.samples),
        worst_stress_pct=stress.given(symbol),
        spacing_sigma=spacing_of(base, symbol),
        missing_share=missing_of(base, symbol),
        no_trades="; ".join(silent) if all(silent) else "",
        synthetic=bool(base.record["symbols"][symbol]["synthetic"]),
        drawdown_pct=max(
            curves.drawdown_pct(own), *(base.number(symbol, "max_drawdown_pct", sample=s) for s in base.samples)
        ),
        sharpe_in=sharpe[0] if len(sharpe) == 2 else None,
        sharpe_out=sharpe[-1],
    )


def given_account(
    base: BaselineEvidence, results: Path, stress: WorstStress, level: float, ledger: Ledger
) -> VerdictEvidence:
    """Evidence of all symbols together: of one shared account where the stage `portfolio` has run, else the sum of
    accounts of their own. A search of any of the symbols that may have chosen its parameters may have chosen all.
    """
    shared = _shared(base, results)
    if shared is None:
        own, hold = (curves.together([whole_span(base, s, name) for s in base.symbols]) for name in CURVES)
        parts = [_sum_of(base, sample) for sample in base.samples]
        cycles = sum(base.number(s, "completed_cycles", sample=p) for s in base.symbols for p in base.samples)
        kind, worst = "sum of accounts", stress.sum_of(base.symbols)
        assumed = {s: Assumed.of_run(_config(base), _days(base, s)) for s in base.symbols}
    else:
        own, hold, parts, cycles, config, _ = shared
        kind, worst = "shared account", stress.shared(config)
        assumed = _pairs(base, shared)
    found = earned(own, hold, level)
    sharpe = [curves.sharpe_of(curves.daily_of(part)) for part in parts]
    return VerdictEvidence(
        name=ACCOUNT,
        **found | against_searches(found["test"], ledger, assumed, kind),
        cycles=cycles,
        worst_stress_pct=worst,
        spacing_sigma=least_spacing(base),
        missing_share=missing_of(base, *base.symbols),
        no_trades="nothing was traded on any symbol" if (own == 1.0).all() else "",
        synthetic=base.synthetic,
        drawdown_pct=max(curves.drawdown_pct(curve) for curve in (own, *parts)),
        sharpe_in=sharpe[0] if len(sharpe) == 2 else None,
        sharpe_out=sharpe[-1],
    )


def days_of(curve: pd.Series) -> Days:
    """First and last UTC day of a curve."""
    return str(curve.index[0])[:10], str(curve.index[-1])[:10]


def whole_span(base: BaselineEvidence, symbol: str, run: str) -> pd.Series:
    """Curve of a run over all samples in a row, hourly, 1 at the beginning."""
    frame = base.frames[symbol]["curves"]
    return curves.in_a_row([frame.loc[frame["sample"] == s, run] for s in base.samples], _balance(base))


def spacing_of(base: BaselineEvidence, symbol: str) -> float | None:
    """Smallest grid spacing of a symbol's runs, σ of a candle; None where no grid runs."""
    found = [base.one(symbol, sample=s)["assumptions"]["grid_spacing_sigma"] for s in base.samples]
    return min((float(value) for value in found if value is not None), default=None)


def least_spacing(base: BaselineEvidence) -> float | None:
    """Smallest grid spacing of any symbol."""
    return min((s for symbol in base.symbols if (s := spacing_of(base, symbol)) is not None), default=None)


def missing_of(base: BaselineEvidence, *symbols: str) -> float:
    """Share of candles of these symbols that are missing."""
    records = [base.record["symbols"][symbol] for symbol in symbols]
    missing = sum(record["missing"] for record in records)
    return missing / max(missing + sum(record["candles"] for record in records), 1)


def earned(own: pd.Series, hold: pd.Series, level: float) -> dict[str, Any]:
    """What two curves that begin at 1 say, of a run that nobody chose and of holding, as fields of the evidence."""
    daily = curves.daily_of(own).to_numpy()
    return {
        **measured(daily, level),
        "return_pct": curves.gain_pct(own),
        "hold_pct": curves.gain_pct(hold),
        "test": SharpeTest.of(daily),
    }


def _days(base: BaselineEvidence, symbol: str) -> Days:
    """First and last day that a symbol traded on."""
    return days_of(whole_span(base, symbol, CURVES[0]))


def _config(base: BaselineEvidence) -> OrchestratorBacktestConfig:
    """What the runs of the stage `baseline` assumed."""
    try:
        return OrchestratorBacktestConfig.from_dict(base.record["config"])
    except ConfigError as error:
        raise DataError(f"results: the stage baseline assumed what no config allows ({error}); run it again") from None


def _pairs(base: BaselineEvidence, shared: "_Shared") -> dict[str, Assumed]:
    """What every pair of the shared account assumed; one that the stage `baseline` skipped traded as long as all."""
    try:
        config = PortfolioBacktestConfig.from_dict(shared.config)
        days = {s: _days(base, s) if s in base.symbols else days_of(shared.own) for s in shared.symbols}
        return {symbol: Assumed.of_pair(config, symbol, span) for symbol, span in days.items()}
    except ConfigError as error:
        raise DataError(f"results: the stage portfolio assumed what no config allows ({error}); run it again") from None


def _balance(base: BaselineEvidence) -> float:
    return float(base.record["config"]["initial_balance"])


def _sum_of(base: BaselineEvidence, sample: str) -> pd.Series:
    parts = [frames["curves"] for frames in base.frames.values()]
    return curves.together([p.loc[p["sample"] == sample, "orchestrator"] / _balance(base) for p in parts])


class _Shared(NamedTuple):
    """The shared account as given: its curve and that of holding, parts of the curve, closed cycles, config, pairs."""

    own: pd.Series
    hold: pd.Series
    parts: list[pd.Series]
    cycles: float
    config: dict[str, Any]
    symbols: list[str]


def _shared(base: BaselineEvidence, results: Path) -> _Shared | None:
    """The shared account; None where the stage has not run."""
    if not (results / "portfolio").is_dir():
        return None
    record = stored_record(results / "portfolio" / "portfolio_result.json", "portfolio")
    check_same_candles(base.record, "portfolio", record)
    frame = stored_frame(results / "portfolio" / "curves.parquet", "portfolio", ("variant", "sample", *SHARED))
    frame = frame[frame["variant"] == "given"]
    initial = float(record["config"]["initial_capital"])
    samples = list(record["samples"])
    own, hold = (curves.in_a_row([frame.loc[frame["sample"] == s, name] for s in samples], initial) for name in SHARED)
    cycles = [record["runs"]["given"][s]["metrics"]["completed_cycles"] for s in samples]
    parts = [frame.loc[frame["sample"] == s, "shared"] / initial for s in samples]
    closed = float(sum(np.nan if n is None else n for n in cycles))
    return _Shared(own, hold, parts, closed, record["config"], list(record["candles"]))
