"""The chosen parameters as a file: what an optimiser writes and later stages read."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from traderagent.base.config import read_yaml
from traderagent.base.errors import ConfigError, DataError, unknown
from traderagent.base.files import without_nan, write_text
from traderagent.base.hashing import hash_values
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.plan import members_of
from traderagent.market.candles import MultiTimeframeData
from traderagent.metrics.surface import POOLED
from traderagent.research.placement import Placement
from traderagent.strategies.base import Strategy

KEYS = ("config", "symbols", "hashes", "objective", "holdout", "synthetic")


class BestParams(Mapping[str, OrchestratorBacktestConfig]):
    """Configs by symbol, and under `pooled` the one for all; a symbol without a choice is an error that says why.

    Attributes
    ----------
    record : everything the file holds: objective, hashes, evidence by symbol
    """

    def __init__(self, record: Mapping[str, Any], strategies: Sequence[Strategy] = (), where: str = "") -> None:
        self.record = dict(record)
        self._where = where
        self._found, self._own = {}, {}
        base = OrchestratorBacktestConfig.from_dict(record["config"])
        for name, entry in record["symbols"].items():
            if entry["parameters"] is not None:
                self._found[name], self._own[name] = config_at(base, entry["parameters"], strategies)

    def __getitem__(self, symbol: str) -> OrchestratorBacktestConfig:
        return self._found[self._chosen(symbol)]

    def __iter__(self) -> Iterator[str]:
        """Symbols with a choice, then `pooled`."""
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._found

    def strategies_for(self, symbol: str) -> tuple[Strategy, ...]:
        """Own strategies with the parameters chosen for a symbol; errors as by index."""
        return self._own[self._chosen(symbol)]

    def evidence(self, symbol: str) -> dict[str, Any]:
        """What the choice rests on: objective in and out, trades, DSR, PBO, effective trials."""
        if symbol not in self.record["symbols"]:
            raise unknown("symbol", symbol, self.record["symbols"], self._where)
        return dict(self.record["symbols"][symbol]["evidence"])

    def check(
        self, market: Mapping[str, MultiTimeframeData], config: OrchestratorBacktestConfig, holdout: float | None
    ) -> None:
        """Hold a run to the search: it must set aside the same candles, have the same ones and pay the same costs.

        Parameters
        ----------
        market : candles of the run by symbol; a search of more symbols than these is not held against them
        config : what the run assumes
        holdout : share of each span that the run sets aside, or None

        Raises
        ------
        ConfigError, DataError
            With what was searched and what is run.
        """
        aside = "none" if holdout is None else holdout
        if self.record["holdout"] != aside:
            raise DataError(
                f"best parameters: chosen with a hold-out of {self.record['holdout']}, but this run sets aside "
                f"{aside}: what was chosen may have read candles that are shown as unseen; search again with this one"
            )
        searched = [symbol for symbol in self.record["symbols"] if symbol != POOLED]
        known = all(symbol in market for symbol in searched)
        if known and self.record["hashes"]["data"] != hash_values({s: market[s].hash for s in searched}):
            raise DataError(
                f"best parameters: chosen on other candles of {', '.join(searched)} than this run has; search again"
            )
        theirs = OrchestratorBacktestConfig.from_dict(self.record["config"]).costs_in_force
        if theirs != config.costs_in_force:
            raise ConfigError(
                f"best parameters: chosen with the costs {theirs}, but this run pays {config.costs_in_force}; search "
                "again with these costs"
            )

    def __repr__(self) -> str:
        return f"<best parameters by {self.record['objective']}: {', '.join(self) or 'none chosen'}>"

    def _chosen(self, symbol: str) -> str:
        why = self.evidence(symbol).get("why")
        if symbol not in self._found:
            raise ConfigError(f"{self._where}: nothing could be chosen for {symbol!r}: {why or 'no reason given'}")
        return symbol


def write_best_params(path: str | Path, record: Mapping[str, Any]) -> Path:
    """Write a record of `OptimizationResult.to_dict`, whole or not at all; undefined numbers are null."""
    return write_text(path, yaml.safe_dump(without_nan(record), sort_keys=False, allow_unicode=True, width=120))


def read_best_params(path: str | Path, strategies: Sequence[Strategy] = ()) -> BestParams:
    """Read what `OptimizationResult.to_yaml` wrote.

    Parameters
    ----------
    path : YAML file
    strategies : own strategies that were searched beside the config's

    Returns
    -------
    BestParams, symbol → config; `.evidence(symbol)` says what it rests on

    Raises
    ------
    ConfigError
        For a file that is missing or no YAML, and parameters that the config does not know or allow.
    DataError
        For a file that holds something else, or only a part.
    """
    record = read_yaml(path)
    missing = [key for key in KEYS if key not in record]
    if missing:
        raise DataError(
            f"{path}: no best parameters, {', '.join(missing)} is missing; write it with result.to_yaml(path)"
        )
    symbols = record["symbols"]
    if not isinstance(symbols, dict) or POOLED not in symbols:
        raise DataError(f"{path}: symbols is {symbols!r:.80}, allowed is a mapping of symbols and 'pooled'")
    for name, entry in symbols.items():
        parts = (entry.get("parameters"), entry.get("evidence")) if isinstance(entry, dict) else (0, 0)
        if not isinstance(parts[1], dict) or not (parts[0] is None or isinstance(parts[0], dict)):
            raise DataError(
                f"{path}: {name} is {entry!r:.80}, allowed are parameters (or null) and evidence; optimise again"
            )
    try:
        return BestParams(record, strategies, str(path))
    except ConfigError as error:
        raise type(error)(f"{path}: {error}") from None


def own_of(config: OrchestratorBacktestConfig, strategies: Sequence[Strategy]) -> tuple[Strategy, ...]:
    """Own strategies as objects, also where their classes were given; errors as in a run."""
    return members_of(config, strategies)[len(config.strategies()) :] if strategies else ()


def config_at(
    config: OrchestratorBacktestConfig, point: Mapping[str, Any], strategies: Sequence[Strategy] = ()
) -> tuple[OrchestratorBacktestConfig, tuple[Strategy, ...]]:
    """Config and own strategies at a point of a space.

    Raises
    ------
    ConfigError, UnknownName
        For a parameter that is unknown or cannot matter, and values that no config allows.
    """
    trial = Placement(config, own_of(config, strategies), tuple(point)).trial(point)
    if isinstance(trial, str):
        raise ConfigError(f"parameters {dict(point)}: {trial}")
    return trial.config, trial.own
