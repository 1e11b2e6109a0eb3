"""With which parameters a stage runs every symbol: as given, or as a search chose them for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from traderagent.base.errors import ConfigError, DataError
from traderagent.base.hashing import hash_values
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.market.candles import Market, MultiTimeframeData
from traderagent.metrics.surface import POOLED
from traderagent.research.best_params import BestParams, config_at, read_best_params
from traderagent.strategies.base import Strategy


@dataclass(frozen=True, eq=False)
class Choices:
    """What a search chose, for the symbols at hand.

    Attributes
    ----------
    configs : symbol → config with the chosen parameters; symbols without a choice are missing
    strategies : symbol → own strategies with the chosen parameters
    points : symbol → the chosen parameters
    as_given : symbol → why it runs as given
    axes, objective : parameters that were searched, and by what; none, and the default, without a search
    file : where the choice was looked for, "" where it was not
    """

    configs: dict[str, OrchestratorBacktestConfig] = field(default_factory=dict)
    strategies: dict[str, tuple[Strategy, ...]] = field(default_factory=dict)
    points: dict[str, dict[str, Any]] = field(default_factory=dict)
    as_given: dict[str, str] = field(default_factory=dict)
    axes: tuple[str, ...] = ()
    objective: str = "sharpe_ratio"
    file: str = ""


def choices_for(
    best: BestParams | str | Path | None,
    market: Mapping[str, MultiTimeframeData],
    config: OrchestratorBacktestConfig,
    holdout: float | None,
    strategies: Sequence[Strategy] = (),
) -> Choices:
    """What a search chose for each symbol of a market, placed in a config.

    Parameters
    ----------
    best : what a search chose, or the file that holds it; a path where nothing lies, and None, is no choice
    market : candles by symbol
    config : that the chosen parameters are placed in; its balance and costs stand
    holdout : share of each span set aside, which has to be that of the search
    strategies : own strategies that were searched too

    Raises
    ------
    ConfigError, DataError
        For a file that does not do, and a search on other candles, with another hold-out or other costs.
    """
    where = "" if best is None or isinstance(best, BestParams) else Path(best).as_posix()
    if where:
        best = read_best_params(where, strategies) if Path(where).is_file() else None
    if not isinstance(best, BestParams):
        why = f"no search has left a choice in {where}" if where else "no search was given"
        return Choices(as_given=dict.fromkeys(market, why), file=where)
    _check(best, market, config, holdout)
    found, known = Choices(objective=str(best.record["objective"]), file=where), best.record["symbols"]
    for symbol in market:
        entry = known.get(symbol)
        if entry is None or entry["parameters"] is None:
            why = "it was not searched" if entry is None else entry["evidence"].get("why") or "nothing was chosen"
            found.as_given[symbol] = str(why)
            continue
        found.points[symbol] = dict(entry["parameters"])
        found.configs[symbol], found.strategies[symbol] = config_at(config, entry["parameters"], strategies)
    axes = next((tuple(e["parameters"]) for e in known.values() if e["parameters"] is not None), ())
    return Choices(found.configs, found.strategies, found.points, found.as_given, axes, found.objective, where)


def _check(
    best: BestParams,
    market: Mapping[str, MultiTimeframeData],
    config: OrchestratorBacktestConfig,
    holdout: float | None,
) -> None:
    """The search must have seen these candles, set aside the same ones and paid the same costs."""
    aside = "none" if holdout is None else holdout
    if best.record["holdout"] != aside:
        raise DataError(
            f"best parameters: chosen with a hold-out of {best.record['holdout']}, but {aside} is set aside here: what "
            "was chosen may have read candles that are shown as unseen; search again with this hold-out"
        )
    searched = [symbol for symbol in best.record["symbols"] if symbol != POOLED]
    known = all(symbol in market for symbol in searched)
    if known and best.record["hashes"]["data"] != hash_values({s: market[s].hash for s in searched}):
        raise DataError(f"best parameters: chosen on other candles of {', '.join(searched)}; search again")
    theirs = OrchestratorBacktestConfig.from_dict(best.record["config"]).costs_in_force
    if theirs != config.costs_in_force:
        raise ConfigError(
            f"best parameters: chosen with {theirs}, but {config.costs_in_force} is paid here; search again with "
            "these costs, or take those"
        )


def market_of(market: Any) -> Market:
    """One symbol's candles, or several, under the names that tables have.

    Raises
    ------
    ConfigError
        For anything else, or nothing.
    """
    if isinstance(market, MultiTimeframeData):
        return Market({market.symbol: market})
    if not isinstance(market, Mapping) or not market:
        raise ConfigError(f"market: got {market!r:.80}, allowed are candles by symbol; load them with ta.load_market")
    return Market(market, skipped=getattr(market, "skipped", None))
