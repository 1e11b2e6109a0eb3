"""What `stress` is asked, checked before anything runs: scenarios, lengths, times, candles."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from traderagent.account.config import PortfolioBacktestConfig
from traderagent.account.pairs import chosen_symbols
from traderagent.base.errors import ConfigError, unknown
from traderagent.base.threads import check_count
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.plan import check_candles
from traderagent.engine.tape import HOUR
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import milliseconds
from traderagent.market.given import market_of
from traderagent.robustness.runners import Runner
from traderagent.robustness.scenarios import SCENARIOS, Scenario
from traderagent.strategies.base import Strategy

WINDOWS = "volatile_windows"


def scenarios_of(given: Any) -> list[Scenario | None]:
    """Scenarios in the order they were given, None for the volatile windows.

    Raises
    ------
    ConfigError, UnknownName
        For none, one twice, an unknown name, and what is neither a name nor a scenario.
    """
    alone = isinstance(given, (str, Scenario))
    if not alone and not isinstance(given, Iterable):
        raise ConfigError(f"scenarios: got {given!r:.60}, allowed are 'all', names and ta.Scenario(…), one or several")
    listed = [WINDOWS, *SCENARIOS] if alone and given == "all" else [given] if alone else list(given)
    found: list[Scenario | None] = []
    for one in listed:
        if isinstance(one, Scenario):
            found.append(one)
        elif isinstance(one, str):
            found.append(None if one == WINDOWS else _named(one))
        else:
            raise ConfigError(f"scenarios: got {one!r:.60}, allowed are names and ta.Scenario(name, words, candles=…)")
    names = [WINDOWS if s is None else s.name for s in found]
    if not names or len(set(names)) < len(names):
        twice = next((f"{n!r} twice" for n in names if names.count(n) > 1), "none")
        raise ConfigError(f"scenarios: got {twice}, allowed is each scenario once, or 'all'")
    return found


def _named(name: str) -> Scenario:
    if name not in SCENARIOS:
        raise unknown("scenario", name, [*SCENARIOS, WINDOWS, "all"])
    return SCENARIOS[name]


def span_of(name: str, value: Any) -> int:
    """A length of time in milliseconds, whole hours.

    Raises
    ------
    ConfigError
        For what is no length, a bare number, and less than an hour.
    """
    try:
        hours = 0.0 if isinstance(value, (int, float)) else pd.Timedelta(value) / pd.Timedelta("1h")
    except (ValueError, TypeError):
        hours = 0.0
    if not hours >= 1.0:
        raise ConfigError(f"{name}: got {value!r:.60}, allowed are lengths of an hour or more, e.g. '7D' or '12h'")
    return int(hours) * HOUR


def time_of(value: Any) -> int:
    """A time in milliseconds, UTC.

    Raises
    ------
    ConfigError
        For what is no time, and a bare number.
    """
    try:
        time = pd.Timestamp("NaT" if isinstance(value, (int, float)) else value)
    except (ValueError, TypeError):
        time = pd.Timestamp("NaT")
    if pd.isna(time):
        raise ConfigError(f"at: got {value!r:.60}, allowed is a time, e.g. '2024-03-05 12:00', UTC")
    time = time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC")
    return int(milliseconds(pd.DatetimeIndex([time]))[0])


def checked(
    market: Any, config: Any, run: Any, strategies: Sequence[Strategy], holdout: Any, workers: Any
) -> Mapping[str, MultiTimeframeData]:
    """Candles by symbol, after everything about a stress test was looked at that needs no run.

    Raises
    ------
    ConfigError, DataError
        With what was got, what is allowed and the next step.
    """
    shared = isinstance(config, PortfolioBacktestConfig)
    symbols = chosen_symbols(market, config) if shared else market_of(market)
    for data in symbols.values():
        check_candles(data)
    if run is not None and not isinstance(run, Runner):
        raise ConfigError(f"run: got {type(run).__name__}, allowed is a Runner, or None for ta.backtest")
    if run is not None and strategies:
        raise ConfigError("strategies: got some beside run=…, which has its own; give one of the two")
    if run is None and not isinstance(config, (OrchestratorBacktestConfig, PortfolioBacktestConfig)):
        raise ConfigError(
            f"cfg: got {type(config).__name__}, allowed are ta.OrchestratorBacktestConfig, and for one account of all "
            "symbols ta.PortfolioBacktestConfig"
        )
    pairs = [config.of_pair(symbol) for symbol in symbols] if shared else [config]
    if any(getattr(pair, "path", None) == "detail" for pair in pairs):
        raise ConfigError(
            "stress: got path: detail, but nobody bends the finer candles; allowed are the other paths, e.g. 'candle'"
        )
    if holdout is not None and (isinstance(holdout, bool) or not isinstance(holdout, (int, float))):
        raise ConfigError(f"holdout: got {holdout!r}, allowed is a fraction above 0 and below 1, e.g. 0.3, or None")
    check_count("workers", workers)
    return symbols
