"""What a run of several symbols on one account was: its curve, its pairs, what each of them gave and was refused."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from traderagent.account.config import PortfolioBacktestConfig
from traderagent.account.run import AccountRaw, Roster
from traderagent.account.sums import account_totals, correlation_of, gross_of, hold_of_all, pnl_at, run_of
from traderagent.base.files import without_nan
from traderagent.base.hashing import hash_bytes, hash_values
from traderagent.base.kernel import code_hash
from traderagent.base.words import counted, lasting
from traderagent.engine.assumptions import CODE as ENGINE_CODE
from traderagent.engine.assumptions import why_no_trades
from traderagent.engine.backtest import execute
from traderagent.engine.limits import ENOUGH_HOURS
from traderagent.engine.result import HEADLINES, OrchestratorBacktestResult
from traderagent.metrics.record import METRICS, RUN_METRICS, evaluate
from traderagent.strategies.contract import REJECTIONS

CODE = (*ENGINE_CODE, "account")


@dataclass(frozen=True, eq=False)
class PortfolioBacktestResult:
    """Result of one run of several symbols on one account.

    Curves are Series and frames by open time (UTC) of the candle at whose close they hold, over the union of all
    symbols' candles; money is in quote currency. Fields ending in `_pct` are percent. `skipped` says which symbols of
    the market did not take part and why.
    """

    config: PortfolioBacktestConfig
    roster: Roster = field(repr=False)
    raw: AccountRaw = field(repr=False)
    skipped: dict[str, str] = field(default_factory=dict)

    # --- identity -----------------------------------------------------------------------------------
    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols on the account, in the order of their names."""
        return self.roster.axis.symbols

    @property
    def synthetic(self) -> bool:
        """Whether any of the candles are synthetic."""
        return any(p.data.synthetic for p in self.roster.layouts)

    @property
    def sample(self) -> str:
        """Part of the candles: whole, in or out."""
        return self.roster.layouts[0].data.sample

    @cached_property
    def index(self) -> pd.DatetimeIndex:
        """Open times of the union of all candles."""
        return pd.DatetimeIndex(self.roster.axis.time.astype("datetime64[ms]"), tz="UTC", name="open_time")

    @property
    def starts(self) -> pd.Timestamp:
        """Open time of the candle at whose close trading starts."""
        return self.index[self.roster.shares.start]

    @property
    def weights(self) -> dict[str, float]:
        """Shares of sizing equity at the start."""
        return dict(zip(self.symbols, map(float, self.roster.shares.initial), strict=True))

    @cached_property
    def per_pair_results(self) -> dict[str, OrchestratorBacktestResult]:
        """Each pair on its own rows; its equity is its sizing equity: what it was given and what its trades moved.

        With `rebalance` sizing equity is dealt anew, so that there only `contribution` adds up.
        """
        layouts = self.roster.layouts
        return {
            s: OrchestratorBacktestResult(layout, raw)
            for s, layout, raw in zip(self.symbols, layouts, self.raw.pairs, strict=True)
        }

    # --- curves -------------------------------------------------------------------------------------
    def _curve(self, column: int, name: str) -> pd.Series:
        return pd.Series(self.raw.curves[:, column], self.index, name=name)

    @property
    def equity(self) -> pd.Series:
        """(n_times,) equity of the account; idle cash is part of it."""
        return self._curve(0, "equity")

    @property
    def cash(self) -> pd.Series:
        """(n_times,) cash, reserved cash included."""
        return self._curve(1, "cash")

    @property
    def free_cash(self) -> pd.Series:
        """(n_times,) cash that new entries may use."""
        _, cash, reserved, locked, _ = self.raw.curves.T
        return pd.Series(cash - reserved - locked, self.index, name="free_cash")

    @property
    def halted(self) -> pd.Series:
        """(n_times,) whether the portfolio stop holds the account flat."""
        return self._curve(4, "halted").astype(bool)

    @cached_property
    def committed(self) -> pd.DataFrame:
        """(n_times, n) inventory and entries of each pair, which its and the account's limits are held against."""
        return pd.DataFrame(self.raw.committed, self.index, columns=list(self.symbols))

    @cached_property
    def exposure(self) -> pd.DataFrame:
        """(n_times, n) inventory of each pair's books at its last close, longs and shorts both counting up."""
        return pd.DataFrame(gross_of(self.roster, self.raw), self.index, columns=list(self.symbols))

    @cached_property
    def benchmarks(self) -> pd.DataFrame:
        """(n_times, 2) equity of buying every pair with its weight at its first open, with costs: `hold` with
        everything, `same_exposure_hold` with the account's mean exposure, the rest in cash.
        """
        growth = hold_of_all(self.roster)
        initial, share = self.config.initial_capital, self.metrics["exposure"]
        return pd.DataFrame(
            {"hold": initial * growth, "same_exposure_hold": initial * (1 + share * (growth - 1))}, self.index
        )

    @cached_property
    def independent(self) -> pd.Series:
        """(n_times,) sum of the same pairs' runs, each on an account of its own with its weight of the capital."""
        total = pd.Series(0.0, self.index, name="independent")
        for layout, weight in zip(self.roster.layouts, self.roster.shares.initial, strict=True):
            given = float(weight * self.config.initial_capital)
            if given > 0.0:
                alone = execute(replace(layout, config=layout.config.replace(initial_balance=given)))
                total += alone.equity.reindex(self.index).ffill().fillna(given)
        return total

    # --- totals -------------------------------------------------------------------------------------
    @cached_property
    def totals(self) -> dict[str, Any]:
        """Sums from which the metrics are made."""
        return account_totals(self.roster, self.raw)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Every registered metric of the account by name; NaN where undefined."""
        run = run_of(self.roster, self.raw, list(self.per_pair_results.values()))
        values = evaluate(self.totals) | {name: record(run) for name, record in RUN_METRICS.items()}
        return {name: float(value) for name, value in values.items()}

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and (name in METRICS or name in RUN_METRICS):
            return self.metrics[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *METRICS, *RUN_METRICS})

    @property
    def portfolio_total_return_pct(self) -> float:
        """Return of the account, percent."""
        return self.metrics["total_return_pct"]

    @property
    def portfolio_sharpe(self) -> float:
        """Hourly Sharpe ratio of the account, per year."""
        return self.metrics["sharpe_ratio"]

    @property
    def portfolio_max_drawdown_pct(self) -> float:
        """Largest drawdown of the account at closes, percent."""
        return self.metrics["max_drawdown_pct"]

    @cached_property
    def trades(self) -> pd.DataFrame:
        """One row a fill of any pair, by time, then in the order of the pairs' names."""
        found = pd.concat([r.trades for r in self.per_pair_results.values()], ignore_index=True)
        return found.sort_values("time", kind="stable", ignore_index=True)

    @cached_property
    def round_trips(self) -> pd.DataFrame:
        """One row from flat to flat, with its symbol."""
        parts = [r.round_trips.assign(symbol=s) for s, r in self.per_pair_results.items()]
        return pd.concat(parts, ignore_index=True).sort_values("exit_time", kind="stable", ignore_index=True)

    # --- what gave what -----------------------------------------------------------------------------
    @cached_property
    def contribution(self) -> pd.DataFrame:
        """One row a pair and strategy: net `pnl`, `return_pct` of the initial capital, and `drawdown_pct`, its part of
        the largest drawdown in percent of the peak. They add up to the account's.
        """
        peak, trough = self.drawdown_places
        last = len(self.index) - 1
        pnl, before, after = (pnl_at(self.roster, self.raw, place) for place in (last, peak, trough))
        top = float(self.raw.curves[peak, 0]) if peak >= 0 else self.config.initial_capital
        frame = pd.DataFrame(
            {
                "pnl": pnl,
                "return_pct": pnl / self.config.initial_capital * 100,
                "drawdown_pct": (before - after) / top * 100,
            }
        )
        return frame.rename_axis(["symbol", "strategy"])

    @cached_property
    def drawdown_places(self) -> tuple[int, int]:
        """Places of the peak (−1: the start) and of the trough of the largest drawdown."""
        equity = np.append(self.config.initial_capital, self.raw.curves[:, 0])
        peak = np.maximum.accumulate(equity)
        trough = int(np.argmax((peak - equity) / peak))
        return int(np.argmax(equity[: trough + 1])) - 1, trough - 1

    @cached_property
    def pair_returns(self) -> pd.Series:
        """(n,) return of each pair in percent of the account's initial capital."""
        return self.contribution["return_pct"].groupby("symbol").sum()

    @property
    def best_pair(self) -> str:
        """Pair that gave most."""
        return str(self.pair_returns.idxmax())

    @property
    def worst_pair(self) -> str:
        """Pair that gave least."""
        return str(self.pair_returns.idxmin())

    @property
    def pairs_profitable(self) -> int:
        """Pairs that gave anything."""
        return int((self.pair_returns > 0).sum())

    @cached_property
    def pair_correlation_matrix(self) -> pd.DataFrame:
        """(n, n) Pearson correlation of hourly log returns of prices over common hours; NaN below 168 of them."""
        start = int(self.roster.axis.time[self.roster.shares.start])
        return pd.DataFrame(correlation_of(self.roster.hours, start), self.symbols, self.symbols)

    @property
    def avg_pair_correlation(self) -> float:
        """Mean over pairs of different symbols; NaN where none is known."""
        values = self.pair_correlation_matrix.to_numpy()[np.triu_indices(len(self.symbols), 1)]
        return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan

    # --- what was refused ---------------------------------------------------------------------------
    @cached_property
    def refusals(self) -> pd.DataFrame:
        """(n_days, n_reasons) refused orders of all pairs by label day; reasons that never occurred are left out."""
        counts = np.diff(self.raw.refusals.sum(axis=1), axis=0)
        days = pd.to_datetime(self.roster.axis.days, unit="D", utc=True).rename("day")
        skipped = len(days) - self.traded_days
        frame = pd.DataFrame(counts[: self.traded_days], days[skipped:], columns=list(REJECTIONS))
        return frame.loc[:, frame.sum() > 0]

    @property
    def traded_days(self) -> int:
        """Label days from the first decision on."""
        return len(self.roster.axis.days_from(self.roster.shares.start))

    @cached_property
    def rejections(self) -> dict[str, int]:
        """Refused orders of all pairs by reason, each refusal episode once."""
        counts = np.sum([raw.account["rejections"] for raw in self.raw.pairs], axis=0)
        return {reason: int(count) for reason, count in zip(REJECTIONS, counts, strict=True) if count}

    @property
    def correlation_unknown(self) -> int:
        """Orders that were allowed although a correlation was not known."""
        return int(self.raw.unknown.sum())

    @property
    def risk_halted(self) -> bool:
        """Whether the portfolio stop ever closed everything."""
        return self.halts > 0

    @property
    def halts(self) -> int:
        """How often it did."""
        return int(self.raw.limits["n_halts"])

    @property
    def ends_halted(self) -> bool:
        """Whether it holds everything closed at the end of the run."""
        return bool(self.raw.limits["halted"])

    def why_no_trades(self) -> str:
        """One sentence with counts over all pairs, for an account without fills."""
        return f"{counted(len(self.symbols), 'pair')}, {why_no_trades(*self.per_pair_results.values())}"

    @cached_property
    def notes(self) -> list[str]:
        """Sentences a careful reader wants to see beside the numbers of the account."""
        filled = sum(int(pair.account["n_fills"]) for pair in self.raw.pairs)
        said = [] if filled else [f"nothing traded: {self.why_no_trades()}"]
        if self.correlation_unknown:
            orders = counted(self.correlation_unknown, "order")
            why = f"fewer than {ENOUGH_HOURS} common returns, or a price that stood still"
            said.append(f"{orders} let through with an unknown correlation: {why}")
        return said

    # --- output -------------------------------------------------------------------------------------
    def summary(self) -> dict[str, Any]:
        """Headline numbers of the account."""
        return {name: self.metrics[name] for name in HEADLINES}

    def table(self) -> pd.DataFrame:
        """One row a pair: weight, what it gave, its round trips, fees, and its mean exposure in percent of equity."""
        share = self.exposure.iloc[self.roster.shares.start :].div(self.equity.iloc[self.roster.shares.start :], axis=0)
        pairs = self.per_pair_results
        return pd.DataFrame(
            {
                "weight": self.weights,
                "return_pct": self.pair_returns,
                "drawdown_pct": self.contribution["drawdown_pct"].groupby("symbol").sum(),
                "round_trips": {s: r.total_trades for s, r in pairs.items()},
                "fees": {s: r.fees for s, r in pairs.items()},
                "mean_exposure_pct": share.mean() * 100,
                "refused": {s: sum(r.rejections.values()) for s, r in pairs.items()},
            }
        ).rename_axis("symbol")

    @cached_property
    def assumptions(self) -> dict[str, Any]:
        """What has to be believed to believe the numbers."""
        layouts, shares = self.roster.layouts, self.roster.shares
        pairs = [pair.assumptions for pair in self.per_pair_results.values()]
        names = ("account", "costs", "maker", "taker", "slippage", "leverage", "path", "on_deactivate", "sample")
        said = {name: [pair[name] for pair in pairs] for name in names}
        told = self.config.to_dict() | {"symbols": sorted(self.symbols)}
        own = [[s.identity() for s in p.strategies if s.is_own()] for p in layouts]
        dealt = [shares.initial.tobytes(), shares.weights.tobytes(), *(p.mask.tobytes() for p in layouts)]
        return {
            **{name: of[0] if len(set(of)) == 1 else "differs by pair" for name, of in said.items()},
            "trading_starts": self.starts.isoformat(),
            "synthetic": self.synthetic,
            "data_hash": hash_bytes(*(p.data.hash.encode() for p in layouts)),
            "config_hash": hash_values([told, own, hash_bytes(*dealt)]),
            "code_hash": code_hash(*CODE),
        }

    def to_dict(self, curves: bool = False) -> dict[str, Any]:
        """Plain values for JSON, undefined numbers as None; `curves` adds the daily equity curve."""
        contribution = self.contribution.reset_index().to_dict("records")
        values = {
            "symbols": list(self.symbols),
            "synthetic": self.synthetic,
            "sample": self.sample,
            "initial_capital": self.config.initial_capital,
            "final_capital": float(self.equity.iloc[-1]),
            "portfolio_total_return_pct": self.portfolio_total_return_pct,
            "portfolio_sharpe": self.portfolio_sharpe,
            "portfolio_max_drawdown_pct": self.portfolio_max_drawdown_pct,
            "metrics": self.metrics,
            "weights": self.weights,
            "best_pair": self.best_pair,
            "worst_pair": self.worst_pair,
            "pairs_profitable": self.pairs_profitable,
            "pair_correlation_matrix": self.pair_correlation_matrix.to_dict(),
            "avg_pair_correlation": self.avg_pair_correlation,
            "contribution": contribution,
            "rejections": self.rejections,
            "correlation_unknown": self.correlation_unknown,
            "risk_halted": self.risk_halted,
            "halts": self.halts,
            "ends_halted": self.ends_halted,
            "skipped": self.skipped,
            "per_pair_results": {s: r.to_dict() for s, r in self.per_pair_results.items()},
            "assumptions": self.assumptions,
            "notes": self.notes,
            "config": self.config.to_dict(),
        }
        if curves:
            daily = self.equity.iloc[self.roster.shares.start :].resample("1D").last().dropna()
            values["portfolio_equity_curve"] = [{"time": str(t), "equity": v} for t, v in daily.items()]
        return without_nan(values)

    def _headline(self) -> str:
        label = " SYNTHETIC" if self.synthetic else ""
        part = "" if self.sample == "whole" else f", sample {self.sample}"
        halted = f", {counted(self.halts, 'halt')}" if self.risk_halted else ""
        axis = self.roster.axis
        return (
            f"portfolio of {len(self.symbols)}{label}{part}: {self.portfolio_total_return_pct:+.2f} % in "
            f"{lasting(axis.time[-1] + axis.duration - axis.time[self.roster.shares.start])}, drawdown "
            f"{self.portfolio_max_drawdown_pct:.2f} %, {counted(self.pairs_profitable, 'pair')} profitable{halted}"
        )

    def __repr__(self) -> str:
        return f"<{'; '.join([self._headline(), *self.notes])}>"

    def _repr_html_(self) -> str:
        said = [*self.notes, *(f"skipped {s}: {why}" for s, why in self.skipped.items())]
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in said)
        table = self.table().round(3).to_html(border=0)
        return f"<b>{escape(self._headline())}</b>{table}" + (f"<ul>{items}</ul>" if items else "")
