"""What an account assumes that several symbols share."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import field_validator

from traderagent.base.config import Config, parameter
from traderagent.base.errors import ConfigError, unknown
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.market.symbols import symbol_name

OF_THE_PORTFOLIO = {"initial_balance": "initial_capital", "portfolio_stop_loss_pct": "portfolio_stop_loss_pct"}
OF_THE_ACCOUNT = ("account", "leverage", "liquidate_at_end")


class PortfolioBacktestConfig(Config):
    """One account, its symbols, its limits. Fields ending in `_pct` are fractions of the account's equity."""

    symbols: list[str] | None = parameter(None, doc="None: all of the market")
    initial_capital: float = parameter(10_000.0, unit="quote", low=1e-6, doc="cash at the start")
    max_single_pair_pct: float | None = parameter(
        0.25, unit="fraction", low=1e-6, high=125.0, doc="of equity: inventory and entries of one pair; None: off"
    )
    max_total_exposure_pct: float | None = parameter(
        0.80, unit="fraction", low=1e-6, high=125.0, doc="of equity: inventory and entries of all pairs; None: off"
    )
    portfolio_stop_loss_pct: float | None = parameter(
        0.15,
        unit="fraction",
        low=1e-6,
        high=1.0,
        doc="fall from the highest equity that sells everything and halts; None: off",
    )
    per_pair_config: OrchestratorBacktestConfig = parameter(
        OrchestratorBacktestConfig(), doc="what a run of each pair assumes"
    )
    overrides: dict[str, dict[str, Any]] = parameter(
        {}, doc="by symbol, fields instead of those of per_pair_config; a mapping such as grid_params as a whole"
    )
    max_correlation: float | None = parameter(
        0.80,
        unit="correlation",
        low=-1.0,
        high=1.0,
        doc="a pair that holds nothing may not begin where it correlates as much with one that holds; None: off",
    )
    correlation_window: str = parameter("30D", unit="time span", doc="of hourly returns up to the decision")
    rebalance: Literal["none", "daily", "weekly"] = parameter("none", doc="when sizing equities are dealt anew, UTC")
    allocation: Literal["equal", "inverse_volatility", "weights"] = parameter("equal", doc="of sizing equity")
    weights: dict[str, float] | None = parameter(None, doc="by symbol, adding up to 1, where allocation is weights")
    resume_after: str | None = parameter(None, unit="time span", doc="after a portfolio stop; None: halted to the end")

    @field_validator("per_pair_config", mode="before")
    @classmethod
    def _pair_from_mapping(cls, value: Any) -> Any:
        return OrchestratorBacktestConfig.from_dict(value) if isinstance(value, dict) else value

    @field_validator("symbols", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        for symbol in value:
            if not isinstance(symbol, str):
                raise ConfigError(f"symbols: got {symbol!r:.80}, allowed are names such as 'BTC' or 'BTC/USDT'")
        return [symbol_name(s) for s in value]

    @field_validator("overrides", "weights", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        named = {symbol_name(s): v for s, v in value.items()}
        if len(named) < len(value):
            raise ConfigError(f"got {', '.join(map(str, value))}, allowed is each symbol once; two of these are one")
        return named

    @field_validator("overrides", mode="before")
    @classmethod
    def _mappings(cls, value: Any) -> Any:
        for symbol, of in value.items() if isinstance(value, Mapping) else ():
            if not isinstance(of, Mapping):
                raise ConfigError(f"overrides: got {of!r} for {symbol}, allowed is a mapping of fields to values")
        return value

    @field_validator("weights", mode="before")
    @classmethod
    def _finite(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            refuse_undefined(value)
        return value

    def model_post_init(self, context: object) -> None:
        """Refuse what contradicts itself; what needs the market is checked when the run begins."""
        self._check_symbols()
        self._check_limits()
        if (self.weights is not None) != (self.allocation == "weights"):
            raise ConfigError(
                f"weights: got {'some' if self.weights else 'none'} with allocation {self.allocation!r}, allowed are "
                "weights with allocation 'weights' only; set both, or neither"
            )
        span("correlation_window", self.correlation_window)
        if self.resume_after is not None:
            span("resume_after", self.resume_after)
        for where, given in [("per_pair_config", self.per_pair_config), *self._overridden()]:
            for name, ours in OF_THE_PORTFOLIO.items():
                if getattr(given, name) != OrchestratorBacktestConfig.model_fields[name].default:
                    raise ConfigError(
                        f"{where}: got {name} {getattr(given, name)!r}, but that is the account's; set {ours} of the "
                        "portfolio instead"
                    )
            for name in OF_THE_ACCOUNT:
                if getattr(given, name) != getattr(self.per_pair_config, name):
                    raise ConfigError(
                        f"{where}: got {name} {getattr(given, name)!r}, allowed is one for all pairs; set it in "
                        "per_pair_config"
                    )

    def _check_symbols(self) -> None:
        if self.symbols is None:
            return
        twice = sorted({s for s in self.symbols if self.symbols.count(s) > 1})
        if twice or not self.symbols:
            raise ConfigError(
                f"symbols: got {', '.join(twice) + ' twice' if twice else 'none'}, allowed is each symbol once, at "
                "least one; leave it out for all of the market"
            )
        for name, given in (("overrides", self.overrides), ("weights", self.weights or {})):
            for symbol in given:
                if symbol not in self.symbols:
                    raise unknown("symbol", symbol, self.symbols, name)

    def _check_limits(self) -> None:
        most = self.per_pair_config.leverage
        for name in ("max_single_pair_pct", "max_total_exposure_pct"):
            limit = getattr(self, name)
            if limit is not None and limit > most:
                raise ConfigError(
                    f"{name}: got {limit}, allowed is at most {most:g}, what the account can hold at all; lower it, or "
                    "give None to switch it off"
                )
        pair, total = self.max_single_pair_pct, self.max_total_exposure_pct
        if pair is not None and total is not None and pair > total:
            raise ConfigError(
                f"max_single_pair_pct: got {pair}, above max_total_exposure_pct {total}: the first can never bind; "
                "lower it, or switch one off with None"
            )

    def _overridden(self) -> list[tuple[str, OrchestratorBacktestConfig]]:
        return [(f"overrides of {symbol}", self.of_pair(symbol)) for symbol in self.overrides]

    def of_pair(self, symbol: str) -> OrchestratorBacktestConfig:
        """What the run of one symbol assumes: the template with what is overridden for it."""
        given = self.overrides.get(symbol, {})
        if not isinstance(given, Mapping):
            raise ConfigError(f"overrides of {symbol}: got {given!r:.80}, allowed is a mapping of names to values")
        try:
            return self.per_pair_config.replace(**given)
        except ConfigError as error:
            raise type(error)(f"overrides of {symbol}: {error}") from None

    def check_weights(self, symbols: list[str], weights: Mapping[str, float], where: str = "weights") -> None:
        """Refuse weights that are not one for each symbol, 0 or more, adding up to 1.

        Raises
        ------
        ConfigError, UnknownName
        """
        for symbol in weights:
            if symbol not in symbols:
                raise unknown("symbol", symbol, symbols, where)
        missing = [s for s in symbols if s not in weights]
        if missing:
            raise ConfigError(f"{where}: got none for {', '.join(missing)}, allowed is one for every symbol; 0 is one")
        refuse_undefined(weights, where)
        for symbol, weight in weights.items():
            if weight < 0.0:
                raise ConfigError(
                    f"{where}: got {weight} for {symbol}, allowed are numbers of at least 0 that add up to 1; give 0 "
                    "to a pair that is to get nothing: strategies sell short, weights do not"
                )
        total = math.fsum(weights.values())
        if abs(total - 1.0) > 1e-9:
            raise ConfigError(
                f"{where}: got a sum of {total:.12g}, allowed are numbers of at least 0 that add up to 1; divide them "
                "by their sum"
            )


def refuse_undefined(weights: Mapping[str, Any], where: str = "weights") -> None:
    """Refuse weights of which one is no number, NaN or infinite.

    Raises
    ------
    ConfigError
        With its symbol.
    """
    for symbol, weight in weights.items():
        is_number = isinstance(weight, (int, float, np.integer, np.floating)) and not isinstance(weight, bool)
        if not is_number or not math.isfinite(weight):
            raise ConfigError(
                f"{where}: got {weight!r} for {symbol}, allowed are finite weights of at least 0 that add up to 1; "
                "give 0 where none is known, and divide the others by their sum"
            )


def span(name: str, text: str) -> int:
    """Milliseconds of a time span as text, e.g. 30D or 12h.

    Raises
    ------
    ConfigError
        Where it is none, or not above 0.
    """
    try:
        ms = int(pd.Timedelta(text) / pd.Timedelta(1, "ms"))
    except (ValueError, TypeError, OverflowError):
        ms = 0
    if ms <= 0:
        raise ConfigError(f"{name}: got {text!r}, allowed is a time span above 0 such as '30D' or '12h'")
    return ms
