"""With which parameters a stage runs every symbol: as given, or as a search chose them for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from traderagent.base.errors import ConfigError, DataError
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.market.candles import MultiTimeframeData
from traderagent.metrics.surface import POOLED
from traderagent.research.best_params import BestParams, config_at, read_best_params
from traderagent.strategies.base import Strategy


@dataclass(frozen=True, eq=False)
class Choices:
    """What a search chose, for the symbols at hand.

    Attributes
    ----------
    configs : symbol → config with the chosen parameters, and under `pooled` with those for all symbols together;
        without a choice missing
    strategies : the same for own strategies
    points : symbol → the chosen parameters
    pooled : the parameters chosen for all symbols together; none without such a choice
    as_given : symbol → why it runs as given
    axes, objective : parameters that were searched, and by what; none, and the default, without a search
    file : where the choice was looked for, "" where it was not
    """

    configs: dict[str, OrchestratorBacktestConfig] = field(default_factory=dict)
    strategies: dict[str, tuple[Strategy, ...]] = field(default_factory=dict)
    points: dict[str, dict[str, Any]] = field(default_factory=dict)
    pooled: dict[str, Any] = field(default_factory=dict)
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
    if not (best is None or isinstance(best, (BestParams, str, Path))):
        raise ConfigError(
            f"best: got {best!r:.60}, allowed are what ta.read_best_params gives, the path of its file, or None"
        )
    where = "" if best is None or isinstance(best, BestParams) else Path(best).as_posix()
    if where:
        if Path(where).is_dir():
            raise DataError(
                f"best: {where} is a folder, allowed is the file that a search wrote, e.g. best_params.yaml"
            )
        best = read_best_params(where, strategies) if Path(where).is_file() else None
    if not isinstance(best, BestParams):
        why = f"no search has left a choice in {where}" if where else "no search was given"
        return Choices(as_given=dict.fromkeys(market, why), file=where)
    best.check(market, config, holdout)
    known = best.record["symbols"]
    points = {name: dict(entry["parameters"]) for name, entry in known.items() if entry["parameters"] is not None}
    axes = next((tuple(point) for point in points.values()), ())
    placed = {
        name: config_at(config, point, strategies) for name, point in points.items() if name in market or name == POOLED
    }
    return Choices(
        configs={name: chosen for name, (chosen, _) in placed.items()},
        strategies={name: own for name, (_, own) in placed.items()},
        points={symbol: points[symbol] for symbol in market if symbol in points},
        pooled=points.get(POOLED, {}),
        as_given={symbol: _why_not(known.get(symbol)) for symbol in market if symbol not in points},
        axes=axes,
        objective=str(best.record["objective"]),
        file=where,
    )


def _why_not(entry: Mapping[str, Any] | None) -> str:
    """Why a symbol runs as given."""
    return "it was not searched" if entry is None else str(entry["evidence"].get("why") or "nothing was chosen")
