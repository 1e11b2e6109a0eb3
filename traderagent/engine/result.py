"""What a run was: metrics, curves, fills, round trips, and everything it assumed."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.files import without_nan
from traderagent.engine.assumptions import assumptions_of, grid_spacing_sigma, notes_of, why_no_trades
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.excursions import excursions
from traderagent.engine.plan import Plan, regime_names
from traderagent.engine.run import LEDGER_HEAD, Raw
from traderagent.engine.shown import html_of, text_of
from traderagent.engine.tables import books_of, round_trips_of, trades_of
from traderagent.engine.totals import hold_final, totals_of
from traderagent.metrics.record import METRICS, RUN_METRICS, evaluate
from traderagent.strategies.contract import REJECTIONS
from traderagent.strategies.features import frames_of
from traderagent.strategies.smc import Smc

HEADLINES = (
    "total_return_pct",
    "max_drawdown_pct",
    "sharpe_ratio_daily",
    "profit_factor",
    "win_rate",
    "completed_cycles",
    "exposure",
    "fees_paid",
    "alpha_over_same_exposure_hold",
)


@dataclass(frozen=True, eq=False)
class OrchestratorBacktestResult:
    """Result of one run of one symbol.

    `path_spread`, where it was asked for, holds each metric (row) under the four path models and its lowest and
    highest; a spread, never a bound, since models can err on the same side.

    Curves are Series and frames by open time (UTC) of the candle at whose close they hold; money is in
    quote currency. Fields ending in `_pct` are percent.
    """

    plan: Plan
    raw: Raw
    path_spread: pd.DataFrame | None = None

    # --- identity -----------------------------------------------------------------------------------
    @property
    def symbol(self) -> str:
        """Symbol of the candles."""
        return self.plan.data.symbol

    @property
    def config(self) -> OrchestratorBacktestConfig:
        """What the run assumed."""
        return self.plan.config

    @property
    def strategy_names(self) -> tuple[str, ...]:
        """Strategies of the run, in the order of their decisions."""
        return self.plan.names

    @property
    def strategy_name(self) -> str:
        """The one strategy, or orchestrator."""
        return self.plan.names[0] if len(self.plan.names) == 1 else "orchestrator"

    @property
    def synthetic(self) -> bool:
        return self.plan.data.synthetic

    @cached_property
    def index(self) -> pd.DatetimeIndex:
        return pd.DatetimeIndex(self.plan.tape.time.astype("datetime64[ms]"), tz="UTC", name="open_time")

    # --- curves -------------------------------------------------------------------------------------
    @cached_property
    def equity(self) -> pd.Series:
        """(n,) equity marked at each close; the initial balance before trading starts."""
        ledger = self.raw.ledger
        equity = ledger[:, 0] + ledger[:, LEDGER_HEAD.index("inventory")] * self.plan.tape.close
        return pd.Series(equity, self.index, name="equity")

    @property
    def cash(self) -> pd.Series:
        """(n,) cash, reserved cash included."""
        return pd.Series(self.raw.ledger[:, 0], self.index, name="cash")

    @property
    def free_cash(self) -> pd.Series:
        """(n,) cash that new entries may use: neither reserved nor bound as margin."""
        cash, reserved, locked = self.raw.ledger[:, :3].T
        return pd.Series(cash - reserved - locked, self.index, name="free_cash")

    @cached_property
    def books(self) -> pd.DataFrame:
        """Per candle and strategy: quantity and cost (negative for shorts), realised, fees, funding, insurance,
        margin, unrealised, pnl (net). The two halves of a neutral grid are added up.
        """
        return books_of(self)

    @cached_property
    def route(self) -> pd.DataFrame:
        """(n, strategies) bool: who may open after each close."""
        bits = {name: (self.plan.mask >> b & 1).astype(bool) for b, name in enumerate(self.plan.names)}
        return pd.DataFrame(bits, self.index)

    @cached_property
    def regimes(self) -> pd.Series:
        """(n,) name of the regime in force."""
        return pd.Series(pd.Categorical(regime_names(self.plan.regime)), self.index, name="regime")

    @cached_property
    def benchmarks(self) -> pd.DataFrame:
        """Equity of buying at the first open with costs: `hold` with everything, `same_exposure_hold` with this
        run's mean exposure, the rest in cash.
        """
        tape, first, initial = self.plan.tape, self.raw.first, self.initial_balance
        growth = np.ones(len(tape))
        if first + 1 < len(tape):
            growth[first + 1 :] = hold_final(tape, self.config, first) * tape.close[first + 1 :] / tape.close[-1]
        share = self.metrics["exposure"]
        return pd.DataFrame(
            {"hold": initial * growth, "same_exposure_hold": initial * (1 + share * (growth - 1))}, self.index
        )

    # --- fills --------------------------------------------------------------------------------------
    @cached_property
    def trades(self) -> pd.DataFrame:
        """One row a fill: time (open of its candle, of the finer one on path `detail`), symbol, strategy, side,
        price, quantity, fee, reason, order_id, cycle_id, row of the base candle.
        """
        return trades_of(self)

    @cached_property
    def round_trips(self) -> pd.DataFrame:
        """One row from flat to flat of a cell, deal or position: side, times, prices, fees, funding, net pnl, regime
        at entry, worst and best unrealised PnL at closes, relative to cost.
        """
        return round_trips_of(self)

    @cached_property
    def excursions(self) -> tuple[np.ndarray, np.ndarray]:
        """Worst and best close of each round trip as fractions of its cost: for its table and for the metrics."""
        return excursions(self.raw, self.plan.tape.close)

    # --- numbers ------------------------------------------------------------------------------------
    @property
    def initial_balance(self) -> float:
        """Cash at the start; of one of several symbols on an account, what it was given to size by."""
        return float(self.raw.account["initial"])

    @cached_property
    def final_balance(self) -> float:
        """Equity at the last close."""
        return float(self.equity.iloc[-1])

    @cached_property
    def totals(self) -> dict[str, Any]:
        """Sums from which the metrics are made."""
        return totals_of(self.raw, self.plan.tape, self.config, self.final_balance)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Every registered metric by name; NaN where undefined."""
        tape, first = self.plan.tape, self.raw.first
        trips = self.raw.round_trips
        worst, _ = self.excursions
        cost = trips["entry_price"] * trips["quantity"]
        run = {
            "equity": self.equity.to_numpy()[first:],
            "close_ms": tape.time[first:] + tape.duration,
            "initial": self.initial_balance,
            "start_ms": int(tape.time[first]),
            "trip_worst": np.minimum(worst, 0.0) * cost,
            "trip_cost": cost,
        }
        values = evaluate(self.totals) | {name: record(run) for name, record in RUN_METRICS.items()}
        return {name: float(value) for name, value in values.items()}

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and (name in METRICS or name in RUN_METRICS):
            return self.metrics[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *METRICS, *RUN_METRICS})

    @cached_property
    def rejections(self) -> dict[str, int]:
        """Refused orders by reason, each refusal episode once."""
        counts = self.raw.account["rejections"]
        return {reason: int(count) for reason, count in zip(REJECTIONS, counts, strict=True) if count}

    @property
    def total_trades(self) -> int:
        """Round trips."""
        return int(self.raw.books["round_trips"].sum())

    @property
    def winning_trades(self) -> int:
        """Round trips with a net profit."""
        return int(self.raw.books["winning"].sum())

    @property
    def avg_profit_per_trade(self) -> float:
        """Mean net profit of a round trip; NaN without one."""
        return float(self.raw.round_trips["net"].mean()) if self.total_trades else np.nan

    @property
    def risk_manager_blocks(self) -> int:
        """Entries refused by a risk rule."""
        return sum(n for reason, n in self.rejections.items() if reason.startswith("risk_"))

    @property
    def risk_halted(self) -> bool:
        """Whether the portfolio stop ever closed everything."""
        return self.halts > 0

    @property
    def halts(self) -> int:
        """How often it did; more than once only on an account that others share, which may trade on after a while."""
        return int(self.raw.account["n_halts"])

    @property
    def ends_halted(self) -> bool:
        """Whether it holds everything closed at the end of the run."""
        return bool(self.raw.account["halted"])

    @property
    def fees(self) -> float:
        """All fees paid."""
        return float(self.raw.account["fees"])

    @property
    def funding(self) -> float:
        """Funding paid, less what was received."""
        return float(self.raw.account["funding"])

    @property
    def insurance(self) -> float:
        """What liquidations lost beyond their margin, credited by the exchange."""
        return float(self.raw.account["insurance"])

    def _count(self, field: str) -> int:
        return int(self.raw.books[field].sum())

    cut_orders = property(lambda self: self._count("cut_orders"), doc="market buys cut to what could be paid")
    ambiguous_fills = property(
        lambda self: self._count("ambiguous_fills"), doc="fills in candles that could have met both a stop and a target"
    )
    liquidations = property(lambda self: self._count("liquidations"), doc="books whose margin was used up")
    skipped_partials = property(lambda self: self._count("skipped_partials"), doc="partial exits too small to place")
    daily_blocks = property(lambda self: int(self.raw.account["daily_blocks"]), doc="days closed by the daily loss")

    @cached_property
    def per_strategy_pnl(self) -> dict[str, float]:
        """Net PnL of each book; adds up to the account's."""
        last = self.books.iloc[-1]
        return {name: float(last[(name, "pnl")]) for name in self.plan.names}

    @cached_property
    def pnl_by_regime(self) -> pd.DataFrame:
        """Net PnL (regime × strategy), marked at closes: each candle's change under the regime in force."""
        first = self.raw.first
        pnl = pd.DataFrame({name: self.books[(name, "pnl")] for name in self.plan.names})
        change = pnl.diff().fillna(pnl.iloc[:1]).iloc[first:]
        return change.groupby(self.regimes.iloc[first:].astype(str).to_numpy()).sum().rename_axis("regime")

    @property
    def time_on_route(self) -> dict[str, float]:
        """Share of candles on which each strategy could open."""
        return {str(name): float(share) for name, share in self.route.iloc[self.raw.first :].mean().items()}

    @cached_property
    def structures(self) -> pd.DataFrame | None:
        """What smc saw, with the time it was confirmed; see `Smc.structures`. None where it did not run."""
        found = [s for s in self.plan.strategies if isinstance(s, Smc)]
        return found[0].structures(frames_of(self.plan.data)) if found else None

    # --- the router ---------------------------------------------------------------------------------
    @property
    def strategy_switches(self) -> list[dict[str, Any]]:
        """Changes of the route: bar, from_strategies, to_strategies, regime."""
        return [] if self.plan.route is None else list(self.plan.route.switches)

    @property
    def cooldown_events(self) -> int:
        """Changes that the cooldown blocked."""
        return 0 if self.plan.route is None else self.plan.route.cooldown_events

    @property
    def regime_routing_stats(self) -> dict[str, int]:
        """Candles spent in each regime while trading."""
        counts = self.regimes.iloc[self.raw.first :].value_counts()
        return {str(name): int(n) for name, n in counts.sort_index().items() if n}

    @property
    def regime_history(self) -> list[dict[str, Any]]:
        """Changes of the regime in force: time, regime, previous."""
        codes = self.plan.regime[self.raw.first :]
        rows = np.flatnonzero(np.diff(codes, prepend=-1))
        names = regime_names(codes[rows])
        before = ["unknown", *names[:-1]]
        return [
            {"time": self.index[int(self.raw.first + r)].isoformat(), "regime": str(n), "previous": str(p)}
            for r, n, p in zip(rows, names, before, strict=True)
        ]

    # --- assumptions --------------------------------------------------------------------------------
    @cached_property
    def assumptions(self) -> dict[str, Any]:
        """What has to be believed to believe the numbers."""
        return assumptions_of(self)

    @cached_property
    def notes(self) -> list[str]:
        """Sentences a careful reader wants to see beside the numbers."""
        return notes_of(self)

    @cached_property
    def grid_spacing_sigma(self) -> float:
        """Spacing of the last ladder over the standard deviation of candle returns; NaN without a grid."""
        return grid_spacing_sigma(self)

    def why_no_trades(self) -> str:
        """One sentence with counts for a run without fills."""
        return why_no_trades(self)

    # --- output -------------------------------------------------------------------------------------
    def summary(self) -> dict[str, Any]:
        """Headline numbers for a table."""
        return {name: self.metrics[name] for name in HEADLINES}

    def to_dict(self, curves: bool = False) -> dict[str, Any]:
        """Plain values for JSON, undefined numbers as None; `curves` adds daily equity and all fills."""
        values = {
            "symbol": self.symbol,
            "strategy_name": self.strategy_name,
            "synthetic": self.synthetic,
            "initial_balance": self.initial_balance,
            "final_balance": self.final_balance,
            "total_trades": self.total_trades,
            "winning_trades": self.winning_trades,
            "avg_profit_per_trade": self.avg_profit_per_trade,
            "metrics": self.metrics,
            "risk_manager_blocks": self.risk_manager_blocks,
            "risk_halted": self.risk_halted,
            "halts": self.halts,
            "ends_halted": self.ends_halted,
            "rejections": self.rejections,
            "cut_orders": self.cut_orders,
            "ambiguous_fills": self.ambiguous_fills,
            "skipped_partials": self.skipped_partials,
            "daily_blocks": self.daily_blocks,
            "funding": self.funding,
            "insurance": self.insurance,
            "liquidations": self.liquidations,
            "orchestrator": {
                "per_strategy_pnl": self.per_strategy_pnl,
                "strategy_switches": self.strategy_switches,
                "regime_routing_stats": self.regime_routing_stats,
                "cooldown_events": self.cooldown_events,
                "time_on_route": self.time_on_route,
                "pnl_by_regime": {str(k): v for k, v in self.pnl_by_regime.T.to_dict().items()},
            },
            "assumptions": self.assumptions,
            "notes": self.notes,
            "config": self.config.to_dict(),
        }
        if curves:
            daily = self.equity.iloc[self.raw.first :].resample("1D").last().dropna()
            values["equity_curve"] = [{"time": str(t), "equity": v} for t, v in daily.items()]
            values["trade_history"] = self.trades.assign(time=self.trades["time"].astype(str)).to_dict("records")
            values["regime_history"] = self.regime_history
        return without_nan(values)

    def __repr__(self) -> str:
        return text_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)

    def plot(self, **options: Any) -> Any:
        """The run as a picture down to its single candles: price with fills, route, equity, drawdown, exposure."""
        from traderagent.report import plots

        return plots.market(self, **options)
