"""What the strategies earn as they come: nothing is searched, so nothing is chosen by luck.

For every symbol the orchestrator, the same strategies without the router, each strategy alone, and
two ways of holding; before and after the hold-out's cut as separate runs, each flat from the
initial balance.
"""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError
from traderagent.base.evidence import HOLDS, BaselineEvidence
from traderagent.base.files import without_nan
from traderagent.base.hashing import hash_bytes, hash_values
from traderagent.base.kernel import code_hash
from traderagent.engine.assumptions import CODE as ENGINE_CODE
from traderagent.engine.backtest import backtest, over_symbols
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.indicators import INDICATORS
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.given import market_of
from traderagent.metrics.record import METRICS, RUN_METRICS
from traderagent.research.curves import curve_metrics
from traderagent.strategies.base import STRATEGIES

SWITCHES = {"grid": "enable_grid", "dca": "enable_dca", "trend_follower": "enable_trend_follower", "smc": "enable_smc"}
CODE = (*ENGINE_CODE, "research")
LIBRARIES = ("numpy", "pandas", "numba", "pyarrow")


class Baseline(BaselineEvidence):
    """`BaselineEvidence` with the candles it was made from, so that single runs can be looked at closely."""

    def __init__(
        self,
        record: dict[str, Any],
        frames: Mapping[str, Mapping[str, pd.DataFrame]],
        market: Mapping[str, MultiTimeframeData],
        config: OrchestratorBacktestConfig,
    ) -> None:
        super().__init__(record, frames)
        self._market, self._config = market, config

    def run(self, symbol: str | None = None, sample: str | None = None) -> OrchestratorBacktestResult:
        """The orchestrator's run of a symbol (default: the first), candle by candle; it is simulated again."""
        symbol, sample = symbol or self.symbols[0], sample or self.shown
        self.one(symbol, sample=sample)
        result = backtest(self._market[symbol], self._config, holdout=self.record["holdout"])
        return result[sample] if isinstance(result, dict) else result

    @property
    def first(self) -> OrchestratorBacktestResult:
        """The run of the first symbol, for a look at one of them."""
        return self.run()


def baseline(
    market: Mapping[str, MultiTimeframeData] | MultiTimeframeData,
    config: OrchestratorBacktestConfig | None = None,
    *,
    holdout: float | None = 0.3,
    workers: int | None = None,
    progress: bool = True,
) -> Baseline:
    """Run every symbol with the strategies as they come.

    Parameters
    ----------
    market : a market, a dict of symbols, or one symbol
    config : what the runs assume; defaults where None
    holdout : share of each span set aside; None runs the whole span
    workers : threads over symbols; None is one per core
    progress : show a bar when it takes longer than two seconds

    Returns
    -------
    Baseline, with tables, `in_words()` and `save(folder)`. A symbol that is too short is skipped with its reason.

    Raises
    ------
    ConfigError, DataError
        With what was got, what is allowed and the next step.
    """
    config = config or OrchestratorBacktestConfig()
    if not isinstance(config, OrchestratorBacktestConfig):
        raise ConfigError(f"config: got {type(config).__name__}, allowed is OrchestratorBacktestConfig")
    data = market_of(market)
    # Registries fill themselves by imports: here once, not in several threads at the same time.
    for registry in (INDICATORS, METRICS, RUN_METRICS, STRATEGIES):
        len(registry)
    variants = _variants(config)
    found = over_symbols(data, lambda one: _symbol(one, variants, holdout), workers, progress)
    skipped = {**data.skipped, **found.skipped}
    record = _record(data, config, list(variants), holdout, {s: r for s, (r, _) in found.items()}, skipped)
    return Baseline(record, {s: f for s, (_, f) in found.items()}, data, config)


def _variants(config: OrchestratorBacktestConfig) -> dict[str, OrchestratorBacktestConfig]:
    """Configs of the runs by name; a strategy alone is a run of it without a router."""
    enabled = [name for name, switch in SWITCHES.items() if getattr(config, switch)]
    if not enabled:
        raise ConfigError("config: every strategy is switched off; enable at least one, e.g. enable_grid=True")
    runs = {"orchestrator": config}
    if config.enable_strategy_router:
        runs["no_router"] = config.replace(enable_strategy_router=False)
    for name in enabled if len(enabled) > 1 else []:
        alone = {switch: other == name for other, switch in SWITCHES.items()}
        runs[name] = config.replace(enable_strategy_router=False, **alone)
    return runs


def _symbol(
    data: MultiTimeframeData, variants: dict[str, OrchestratorBacktestConfig], holdout: float | None
) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Record and frames of one symbol."""
    records: dict[str, dict[str, Any]] = {name: {} for name in (*variants, *HOLDS)}
    curves: dict[str, dict[str, pd.Series]] = {}
    main: dict[str, OrchestratorBacktestResult] = {}
    for name, config in variants.items():
        found = backtest(data, config, holdout=holdout)
        for sample, result in (found if isinstance(found, dict) else {"whole": found}).items():
            records[name][sample] = _run_record(result)
            curves.setdefault(sample, {})[name] = result.equity
            if name == "orchestrator":
                main[sample] = result
    for sample, result in main.items():
        for hold in HOLDS:
            records[hold][sample] = {"metrics": _hold_metrics(result, hold)}
    frames = {
        "curves": pd.concat([_hourly(main[s], curves[s], s) for s in main]),
        "trades": pd.concat(
            [r.trades.drop(columns="row").assign(sample=s) for s, r in main.items()], ignore_index=True
        ),
        "round_trips": pd.concat([r.round_trips.assign(sample=s) for s, r in main.items()], ignore_index=True),
    }
    return _about(data, main, holdout) | {"runs": records}, frames


def _about(
    data: MultiTimeframeData, main: dict[str, OrchestratorBacktestResult], holdout: float | None
) -> dict[str, Any]:
    summary = data.summary()
    cut = None if holdout is None else data.cut(holdout).isoformat()
    about = {
        "caption": data.caption,
        "source": data.source,
        "synthetic": data.synthetic,
        "base": data.base,
        "candles": summary["candles"],
        "missing": summary["missing"],
        "start": data.start.isoformat(),
        "cut": cut,
        "end": data.end.isoformat(),
        "instrument": data.instrument.to_dict(),
        "notes": list(data.notes),
        "data_hash": data.hash,
        "planted": None,
    }
    if data.planted is not None:
        about["planted"] = {
            "edge": data.planted.edge,
            "cluster": data.planted.cluster,
            "confusion": _confusion(data.planted.regime, main),
        }
    return about


def _run_record(result: OrchestratorBacktestResult) -> dict[str, Any]:
    """A run without its config, which stands once above all runs."""
    record = result.to_dict()
    del record["config"]
    record["largest_book_error"] = _book_error(result)
    record["why_no_trades"] = None if len(result.trades) else result.why_no_trades()
    return record


def _book_error(result: OrchestratorBacktestResult) -> float:
    """Largest difference over candles between equity and balance plus books, relative to equity."""
    books = np.asarray(result.books.xs("pnl", axis=1, level="field"), float).sum(axis=1)
    equity = result.equity.to_numpy()
    return float(np.max(np.abs(equity - result.initial_balance - books) / equity))


def _hold_metrics(result: OrchestratorBacktestResult, name: str) -> dict[str, float]:
    curve = result.benchmarks[name].loc[pd.Timestamp(result.assumptions["trading_starts"]) :]
    return curve_metrics(curve, result.initial_balance)


def _hourly(result: OrchestratorBacktestResult, equity: dict[str, pd.Series], sample: str) -> pd.DataFrame:
    """Last value of every hour from the start of trading: price, equity of each run, regime, sample."""
    frame = pd.DataFrame({"price": result.plan.data.candles["close"].reindex(result.index).to_numpy()}, result.index)
    for name, curve in {**equity, **{h: result.benchmarks[h] for h in HOLDS}}.items():
        frame[name] = curve.reindex(result.index).to_numpy()
    frame["regime"] = result.regimes.astype(str).to_numpy()
    frame = frame.loc[pd.Timestamp(result.assumptions["trading_starts"]) :]
    hours = frame.groupby(pd.DatetimeIndex(frame.index).floor("1h")).last().rename_axis("time")
    return hours.assign(regime=hours["regime"].astype("category"), sample=sample)


def _confusion(planted: pd.Series, main: dict[str, OrchestratorBacktestResult]) -> dict[str, dict[str, int]]:
    """Candles by planted regime and detected one, over what was traded."""
    seen = pd.concat(
        [r.regimes.loc[pd.Timestamp(r.assumptions["trading_starts"]) :].astype(str) for r in main.values()]
    )
    true = planted.astype(str).reindex(seen.index)
    table = pd.crosstab(true.to_numpy(), seen.to_numpy()).T.to_dict()
    return {str(row): {str(column): int(n) for column, n in counts.items()} for row, counts in table.items()}


def _record(
    data: Mapping[str, MultiTimeframeData],
    config: OrchestratorBacktestConfig,
    variants: Sequence[str],
    holdout: float | None,
    symbols: dict[str, Any],
    skipped: dict[str, str],
) -> dict[str, Any]:
    first = next(iter(symbols.values()))
    return without_nan(
        {
            "stage": "baseline",
            "synthetic": any(s["synthetic"] for s in symbols.values()),
            "source": next(data[s].source for s in symbols),
            "holdout": holdout,
            "samples": list(first["runs"]["orchestrator"]),
            "runs": [*variants, *HOLDS],
            "strategies": [n for n, switch in SWITCHES.items() if getattr(config, switch)],
            "config": config.to_dict(),
            "hashes": {
                "data": hash_bytes(*(symbols[s]["data_hash"].encode() for s in sorted(symbols))),
                "config": hash_values(config.to_dict()),
                "code": code_hash(*CODE),
            },
            "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
            "skipped": skipped,
            "symbols": symbols,
        }
    )
