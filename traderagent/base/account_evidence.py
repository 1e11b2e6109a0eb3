"""What the stage `portfolio` found, as it is stored: read back without the engine.

One JSON record holds every run's numbers, limits and hashes; Parquet files beside it hold hourly curves and daily
tables. Whoever shows them (pages, plots, notebooks) reads them here.
"""

from collections.abc import Mapping
from html import escape
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from traderagent.base.errors import unknown
from traderagent.base.stage_evidence import StageEvidence
from traderagent.base.words import counted, number

CURVES = ("shared", "independent", "hold", "same_exposure_hold")
RUN = ("variant", "sample")  # what tells one run from another
VARIANTS = {"given": "parameters as given", "chosen": "parameters chosen by the search"}
# Refusals by the limits of the account, which a pair on an account of its own does not meet.
LIMITS = {
    "risk_pair": "the limit of a pair",
    "risk_exposure": "the limit of all pairs",
    "correlation": "the limit of correlation",
    "halted": "the portfolio stop",
}
SHORT = {"given": "as given", "chosen": "chosen", "in": "before the cut", "out": "set aside", "whole": "whole span"}
HEADLINES = ("total_return_pct", "max_drawdown_pct", "sharpe_ratio_daily")
WHERE = {"out": "on candles set aside", "in": "before the cut", "whole": "over the whole span"}


class AccountEvidence(StageEvidence):
    """Runs of all pairs on one account, against the same pairs each on its own account and against holding.

    Attributes
    ----------
    record : what the JSON file holds; `record["runs"][variant][sample]` is a run
    frames : name → DataFrame, each with the columns `variant` and `sample`

        - `curves` (hourly, `time`): `shared`, `independent` (sum of runs on accounts of their own), `hold` (every pair
          bought with its weight), `same_exposure_hold`; quote currency, last value of the hour
        - `drawdowns`: the same columns, the lowest of the hour, % of the highest value so far
        - `monthly` (`month`): change of `shared` and `independent` in % of the initial capital, and the `difference`
        - `exposure` (`day`): mean inventory of each pair over the day, % of the account's equity
        - `contribution`: `symbol`, `strategy`, `pnl`, `return_pct`, `drawdown_pct`
        - `refusals`: `day`, `reason`, `orders`
        - `correlation` (`symbol`): of hourly log returns, NaN where too few hours are common
    """

    STAGE: ClassVar[str] = "portfolio"
    RECORD: ClassVar[str] = "portfolio_result.json"
    FRAMES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "curves": ("time", *RUN, *CURVES),
        "drawdowns": ("time", *RUN, *CURVES),
        "monthly": ("month", *RUN, *CURVES[:2], "difference"),
        "exposure": ("day", *RUN),
        "contribution": (*RUN, "symbol", "strategy", "pnl", "return_pct", "drawdown_pct"),
        "refusals": (*RUN, "day", "reason", "orders"),
        "correlation": ("symbol", *RUN),
    }
    INDEXED: ClassVar[bool] = True

    # --- what there is --------------------------------------------------------------------------
    @property
    def variants(self) -> list[str]:
        """`given`, and `chosen` where a search has chosen parameters."""
        return list(self.record["runs"])

    @property
    def variant(self) -> str:
        """The variant that is shown: with chosen parameters where there are some."""
        return self.variants[-1]

    @property
    def apart(self) -> bool:
        """Whether the samples follow one another: they overlap where symbols have different spans."""
        if len(self.samples) < 2:
            return False
        before, after = (self.part("curves", sample=sample).index for sample in self.samples)
        return bool(before.max() < after.min())

    def run(self, variant: str | None = None, sample: str | None = None) -> dict[str, Any]:
        """Record of one run (default: the one that is shown)."""
        found = self.record["runs"]
        for what, name in (("variant", variant or self.variant), ("sample", sample or self.shown)):
            if name not in found:
                raise unknown(what, name, found)
            found = found[name]
        return dict(found)

    def part(self, name: str, variant: str | None = None, sample: str | None = None) -> pd.DataFrame:
        """Rows of a frame that belong to one run, without the columns that say so."""
        self.run(variant, sample)
        if name not in self.frames:
            raise unknown("frame", name, self.FRAMES)
        frame = self.frames[name]
        mine = (frame["variant"] == (variant or self.variant)) & (frame["sample"] == (sample or self.shown))
        return frame[mine.to_numpy()].drop(columns=list(RUN))

    def correlation(self, sample: str | None = None) -> pd.DataFrame:
        """(n, n) correlations, pairs that move together side by side."""
        order = self.run(sample=sample)["correlation_order"]
        return self.part("correlation", sample=sample).loc[order, order]

    # --- numbers --------------------------------------------------------------------------------
    def number(
        self, metric: str, variant: str | None = None, sample: str | None = None, curve: str = "shared"
    ) -> float:
        """One metric of a curve of one run; NaN where it is undefined. Of other curves than `shared` only headlines."""
        run = self.run(variant, sample)
        known = {"shared": run["metrics"], **run["compared"]}
        if curve not in known:
            raise unknown("curve", curve, known)
        if metric not in known[curve]:
            raise unknown("metric", metric, known[curve])
        value = known[curve][metric]
        return np.nan if value is None else float(value)

    def gap(self, variant: str | None = None, sample: str | None = None) -> float:
        """Return of the shared account less that of the sum of independent runs, percentage points."""
        own, other = (self.number(HEADLINES[0], variant, sample, curve) for curve in CURVES[:2])
        return own - other

    def table(self) -> pd.DataFrame:
        """One row a run, the one that is shown first: what the account earned, against what, and what it held."""
        rows = {}
        for variant in reversed(self.variants):
            for sample in reversed(self.samples):
                run = self.run(variant, sample)
                rows[f"{SHORT[variant]}, {SHORT[sample]}"] = {
                    **{curve: self.number(HEADLINES[0], variant, sample, curve) for curve in CURVES},
                    "gap": self.gap(variant, sample),
                    "drawdown": self.number("max_drawdown_pct", variant, sample),
                    "sharpe": self.number("sharpe_ratio_daily", variant, sample),
                    "exposure": run["capital_use"]["mean_exposure_pct"],
                    "refused": sum(run["rejections"].values()),
                    "halts": run["halts"],
                }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("account").astype(float)

    def numbers(self) -> dict[str, Any]:
        """Headline numbers, scalars in nested dicts, as DVC compares them between versions."""
        return {
            "symbols": len(self.symbols),
            "skipped": len(self.skipped),
            **{v: {s: self._numbers(v, s) for s in self.samples} for v in self.variants},
        }

    def _numbers(self, variant: str, sample: str) -> dict[str, Any]:
        run = self.run(variant, sample)
        return {
            **{metric: self.number(metric, variant, sample) for metric in HEADLINES},
            **{f"{curve}_return_pct": self.number(HEADLINES[0], variant, sample, curve) for curve in CURVES[1:]},
            "shared_minus_independent": self.gap(variant, sample),
            "mean_exposure_pct": run["capital_use"]["mean_exposure_pct"],
            "avg_pair_correlation": run["avg_pair_correlation"],
            "pairs_profitable": run["pairs_profitable"],
            "refused": sum(run["rejections"].values()),
            "refused_by_account": sum(run["rejections"].get(reason, 0) for reason in LIMITS),
            "halts": run["halts"],
        }

    # --- in words -------------------------------------------------------------------------------
    def sentence(self, variant: str | None = None) -> str:
        """What one account earned, against the same pairs alone and against holding."""
        run, part = self.run(variant), WHERE[self.shown]
        earned, alone, hold, same = (number(self.number(HEADLINES[0], variant, None, c), 2, True) for c in CURVES)
        what, seen = VARIANTS[variant or self.variant], ""
        if (variant or self.variant) == "chosen" and self.shown == "whole":
            seen = ", the very candles they were chosen by"
        return (
            f"One account of {counted(len(self.symbols), 'pair')} with {what} would have earned **{earned} %** after "
            f"costs {part}{seen}, with a largest drawdown of {number(self.number('max_drawdown_pct', variant))} %; the "
            f"same pairs each on an account of its own {alone} %, holding them all {hold} %, holding with the same "
            f"exposure {same} %. {_shared(self.gap(variant), run)}{_halts(run)}"
        )

    def in_words(self) -> str:
        """The answer as Markdown, computed from the numbers."""
        run = self.run()
        use, correlation = run["capital_use"], run["avg_pair_correlation"]
        lines = [
            self.sentence(),
            f"On average {number(use['mean_exposure_pct'], 1)} % of the equity was in the market, at most "
            f"{number(use['max_exposure_pct'], 1)} %.",
        ]
        if len(self.symbols) > 1:
            pairs = {row["symbol"]: row["return_pct"] for row in run["pairs"]}
            best, worst = run["best_pair"], run["worst_pair"]
            lines.append(
                f"{best} gave {number(pairs[best], 2, True)} % of the capital, {worst} {number(pairs[worst], 2, True)}"
                f" %; {run['pairs_profitable']} of {len(pairs)} pairs earned anything."
            )
            if correlation is not None:
                lines.append(f"Their hourly returns correlate at {number(correlation)} in the mean.")
        if self.variant != "given":
            lines.append(self.sentence("given"))
        elif not self.record["as_given"]:
            lines.append(_not_chosen(self.record["best_params"]))
        lines += [f"{symbol} ran as given: {why}." for symbol, why in self.record["as_given"].items()]
        lines += [f"Skipped: {symbol} ({why})." for symbol, why in self.skipped.items()]
        lines.append("How much of this is luck has not been measured.")
        if self.synthetic:
            lines.append("The candles are **synthetic**: no real market is shown here.")
        return " ".join(lines)

    def __repr__(self) -> str:
        label = "SYNTHETIC " if self.synthetic else ""
        head = f"<{label}account of {counted(len(self.symbols), 'pair')}, return % {self.shown}>"
        return "\n".join([head, str(self.table().round(2)), *(f"skipped {s}: {w}" for s, w in self.skipped.items())])

    def _repr_html_(self) -> str:
        skipped = "".join(f"<li>skipped {escape(s)}: {escape(why)}</li>" for s, why in self.skipped.items())
        head = f"<b>{'SYNTHETIC ' if self.synthetic else ''}one account of all pairs: return after costs, %</b>"
        return head + self.table().to_html(border=0, na_rep="–", float_format=number) + f"<ul>{skipped}</ul>"


def _shared(gap: float, run: Mapping[str, Any]) -> str:
    """What sharing one account did, and what its limits refused."""
    refused = {reason: n for reason, n in run["rejections"].items() if reason in LIMITS}
    did = f"earned {number(abs(gap))} percentage points {'more' if gap > 0 else 'less'}"
    did = "came within 0.01 percentage points" if abs(gap) < 0.005 else did
    text = f"Against accounts of their own it {did}, and its limits refused "
    rest = sum(run["rejections"].values()) - sum(refused.values())
    were = "was" if rest == 1 else "were"
    others = f"; {counted(rest, 'order')} {were} refused for reasons that a pair alone has too" if rest else ""
    if not refused:
        return f"{text}nothing{others}."
    most = max(refused, key=lambda reason: refused[reason])
    total = counted(sum(refused.values()), "order")
    return f"{text}{total}{', most of them' if len(refused) > 1 else ''} by {LIMITS[most]}{others}."


def _halts(run: Mapping[str, Any]) -> str:
    days = ", ".join(time[:10] for time in run["halted_at"])
    return f" The portfolio stop sold everything on {days}." if days else ""


def _not_chosen(path: str | None) -> str:
    where = f": {path} is not there" if path else ""
    return f"No search has chosen parameters{where}."
