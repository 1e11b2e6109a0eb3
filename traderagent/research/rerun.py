"""The best points of a search, run again by `ta.backtest`, so that their equity can be looked at."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from traderagent.base.errors import ConfigError, DataError
from traderagent.base.evidence import HOLDS
from traderagent.base.top_runs import TopRuns
from traderagent.engine.backtest import backtest, over_symbols
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.market.candles import MultiTimeframeData
from traderagent.metrics.surface import POOLED
from traderagent.research.best_params import config_at
from traderagent.research.optimisation import OptimizationResult


def rerun(
    found: OptimizationResult,
    market: Mapping[str, MultiTimeframeData] | MultiTimeframeData,
    n: int = 5,
    symbol: str | None = None,
    *,
    workers: int | None = None,
    progress: bool = True,
) -> TopRuns:
    """Run the best points of a search again, each as it was swept: the same start of trading, the same parts.

    Parameters
    ----------
    found : of an optimiser
    market : the candles it searched
    n : points, best first, as `found.top` ranks them
    symbol : whose choice; None is `pooled`, the sum of independent accounts, one a symbol
    workers : threads over symbols; None is one per core
    progress : show a bar when it takes longer than two seconds

    Returns
    -------
    TopRuns, for `ta.plots.curves`; without curves, and with the reason, where no point could be ranked

    Raises
    ------
    ConfigError, UnknownName, DataError
        For n below 1, a symbol that was not searched, and a market without its candles.
    """
    name = symbol or POOLED
    top = found.top(n, name)
    (seen, row), wanted = found.seen(name), [name] if name != POOLED else list(found.symbols)
    points = top[list(seen.axes)]
    if top.empty:
        return TopRuns(pd.DataFrame(), points, name, found.synthetic, seen.why_none(row))
    data = {market.symbol: market} if isinstance(market, MultiTimeframeData) else market
    if not isinstance(data, Mapping):
        raise ConfigError(f"market: got {type(market).__name__}, allowed are the candles that were searched")
    absent = [one for one in wanted if one not in data]
    if absent:
        raise DataError(f"market: holds no {absent[0]}, which was searched; give the market of the search")
    config = found.config
    aside = found.cube.attrs["holdout"]
    holdout = None if aside == "none" else float(aside)
    trials = [
        config_at(config, {name: points[name].iloc[k] for name in seen.axes}, found.strategies)
        for k in range(len(points))
    ]

    def one(candles: MultiTimeframeData) -> dict[str, pd.DataFrame]:
        return _curves([backtest(candles, c, strategies=own, holdout=holdout, progress=False) for c, own in trials])

    parts = over_symbols({s: data[s] for s in wanted}, one, workers, progress)
    if parts.skipped:
        raise DataError(f"market: {'; '.join(f'{s}: {why}' for s, why in parts.skipped.items())}")
    return TopRuns(_summed(list(parts.values()), config.initial_balance), points, name, found.synthetic)


def _curves(runs: list[Any]) -> dict[str, pd.DataFrame]:
    """Hourly equity of a symbol's runs by rank, and of holding, by sample; quote currency."""
    found: dict[str, pd.DataFrame] = {}
    for sample in runs[0] if isinstance(runs[0], dict) else ("whole",):
        results: list[OrchestratorBacktestResult] = [r[sample] if isinstance(r, dict) else r for r in runs]
        columns = {str(rank): result.equity for rank, result in enumerate(results, 1)}
        columns |= {hold: results[0].benchmarks[hold] for hold in HOLDS}
        frame = pd.DataFrame(columns).loc[pd.Timestamp(results[0].assumptions["trading_starts"]) :]
        found[sample] = frame.groupby(pd.DatetimeIndex(frame.index).floor("1h")).last().rename_axis("time")
    return found


def _summed(parts: list[dict[str, pd.DataFrame]], balance: float) -> pd.DataFrame:
    """Sum of accounts in % of the sum of their balances; one that has not begun holds its balance, one that has ended
    its last equity.
    """
    samples = []
    for sample in parts[0]:
        frames = [part[sample] for part in parts]
        index = frames[0].index
        for frame in frames[1:]:
            index = index.union(frame.index)
        filled = [frame.reindex(index).ffill().fillna(balance) for frame in frames]
        total = sum(filled[1:], filled[0])
        samples.append((total / (balance * len(frames)) * 100).assign(sample=sample))
    return pd.concat(samples)
