"""What a run is before it starts: its strategies, their route candle by candle, and where trading begins."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError, DataError, unknown
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.run import MAX_BOOKS
from traderagent.engine.tape import Tape, tape_of
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import milliseconds, on_base, traded
from traderagent.routing import DETECTORS, RECOMMENDATIONS, REGIMES, Route
from traderagent.routing import route as routed
from traderagent.routing.regime import MIN_CANDLES
from traderagent.routing.router import cooldown_in_bars
from traderagent.strategies.base import STRATEGIES, Strategy
from traderagent.strategies.features import frames_of

FINEST_FOR_ORCHESTRATOR = 300_000


@dataclass(frozen=True)
class Plan:
    """A run ready to start.

    Attributes
    ----------
    strategies : in the order of their decisions; position = bit of `mask`
    mask : (n,) uint8, who may open after each candle's close
    size_factor : (n,) float64, `reduce_factor` where the recommendation in force is REDUCE_EXPOSURE
    regime : (n,) int8, regime in force; first : row of the first decision
    route : the router's account of itself, None where no router ran
    """

    data: MultiTimeframeData
    config: OrchestratorBacktestConfig
    strategies: tuple[Strategy, ...]
    mask: np.ndarray
    size_factor: np.ndarray
    regime: np.ndarray
    first: int
    route: Route | None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(s.name for s in self.strategies)

    @cached_property
    def tape(self) -> Tape:
        return tape_of(self.data)


def plan(data: MultiTimeframeData, config: OrchestratorBacktestConfig, strategies: Sequence[Strategy] = (),
         route: Any = None, first: int | None = None) -> Plan:
    """Check that config and candles fit and lay out the run.

    Parameters
    ----------
    strategies : own strategies, after the enabled built-in ones
    route : None for the router (or everything always, where it is off); else per candle a set of names
    first : row of the first decision, for a part of the candles; None: the end of the warm-up

    Raises
    ------
    ConfigError, DataError
        Where symbol, account, strategies, timeframe or length do not fit.
    """
    _check(data, config)
    members = tuple(config.strategies()) + tuple(_own(s) for s in strategies)
    names = [s.name for s in members]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise ConfigError(f"two strategies are named {twice!r}; rename one, or disable the built-in one")
    if not members:
        raise ConfigError("no strategy is enabled: enable one in the config or pass strategies=[…]")
    if len(members) > MAX_BOOKS:
        raise ConfigError(f"{len(members)} strategies in one run, allowed are {MAX_BOOKS}")
    tape = tape_of(data)
    start = warmup_rows(data, config, members)
    if len(tape) <= start + 1:
        raise DataError(f"{data.symbol}: {len(tape)} candles of {data.base}, the warm-up alone takes {start}; "
                        "load a longer span or shorten the look-backs")
    start = start if first is None else max(start, first)
    regimes = regimes_on_base(data, config)
    if route is not None:
        mask = given_route(route, names, data)
        mask[:start] = 0
        return Plan(data, config, members, mask, np.ones(len(tape)), regimes["regime"], start, None)
    if not config.enable_strategy_router:
        mask = np.full(len(tape), (1 << len(members)) - 1, np.uint8)
        mask[:start] = 0
        return Plan(data, config, members, mask, np.ones(len(tape)), regimes["regime"], start, None)
    found = _router(config, tape, members, regimes, start)
    reduces = found.recommendation == RECOMMENDATIONS.index("reduce_exposure")
    return Plan(data, config, members, found.mask, np.where(reduces, config.reduce_factor, 1.0), found.regime,
                start, found)


def _check(data: MultiTimeframeData, config: OrchestratorBacktestConfig) -> None:
    if config.symbol is not None:
        from traderagent.market.symbols import symbol_name

        if symbol_name(config.symbol) != data.symbol:
            raise ConfigError(f"config.symbol is {config.symbol!r}, the candles are {data.symbol}; "
                              "leave symbol None or give the right candles")
    if config.account != "spot":
        raise ConfigError("account 'perpetual' is not part of this version; allowed: spot")
    if config.enable_strategy_router and data.duration > FINEST_FOR_ORCHESTRATOR:
        raise ConfigError(f"{data.symbol}: the orchestrator needs candles of 5m or finer, got {data.base}; load finer "
                          "candles, or set enable_strategy_router: false for single strategies")


def _own(strategy: Any) -> Strategy:
    if isinstance(strategy, type) and issubclass(strategy, Strategy):
        strategy = strategy()
    if not isinstance(strategy, Strategy):
        raise ConfigError(f"strategies: got {strategy!r}, allowed are objects of ta.Strategy classes")
    return strategy


def warmup_rows(data: MultiTimeframeData, config: OrchestratorBacktestConfig, members: Sequence[Strategy]) -> int:
    """Base candles before trading: the configured number, or the largest need of the run's parts."""
    if config.warmup_bars != "auto":
        return config.warmup_bars
    needs = [s.warmup(data.duration) for s in members]
    if config.enable_strategy_router:
        needs.append(MIN_CANDLES * 3_600_000 // data.duration)
    return max(needs)


def regimes_on_base(data: MultiTimeframeData, config: OrchestratorBacktestConfig) -> dict[str, np.ndarray]:
    """Regime and recommendation codes as each base candle may see them, made once and kept with the candles."""
    kept = data.__dict__.setdefault("_regimes", {})
    if config.detector not in kept:
        if data.duration > 3_600_000:
            n = len(tape_of(data))
            kept[config.detector] = {k: np.zeros(n, np.int8) for k in ("regime", "recommended_strategy")}
        else:
            history = DETECTORS[config.detector]().history(data.frame("1h"))
            closed = frames_of(data)["1h"].closed
            kept[config.detector] = {name: on_base(history[name].to_numpy(), closed, fill=0)
                                     for name in ("regime", "recommended_strategy")}
    return kept[config.detector]


def _router(config: OrchestratorBacktestConfig, tape: Tape, members: Sequence[Strategy],
            regimes: Mapping[str, np.ndarray], start: int) -> Route:
    cooldown = config.router_cooldown_bars
    if config.router_cooldown_minutes is not None:
        cooldown = cooldown_in_bars(config.router_cooldown_minutes, tape.duration)
    own = {s.name: s.regimes for s in members if s.name not in STRATEGIES}
    return routed(regimes["regime"], regimes["recommended_strategy"], tape.time, tape.duration,
                  names=[s.name for s in members], warmup=start, check_every=config.regime_check_every_n,
                  cooldown_bars=cooldown, trend_regimes=config.trend_regimes, own=own)


def given_route(route: Any, names: Sequence[str], data: MultiTimeframeData) -> np.ndarray:
    """(n,) uint8 from sets of names: one per existing candle, or a Series by time that is carried forward."""
    index = traded(data.candles).index
    if isinstance(route, pd.Series):
        if not isinstance(route.index, pd.DatetimeIndex) or route.index.tz is None:
            raise ConfigError("route: a Series needs an index of times in UTC")
        position = np.searchsorted(milliseconds(route.index), milliseconds(index), side="right") - 1
        sets: list[Collection[str]] = [route.iloc[p] if p >= 0 else () for p in position]
    else:
        sets = list(route)
    if len(sets) != len(index):
        raise ConfigError(f"route: {len(sets)} sets for {len(index)} candles; give one set of names per candle")
    bits = {name: 1 << b for b, name in enumerate(names)}
    codes: dict[frozenset[str], int] = {}
    mask = np.zeros(len(sets), np.uint8)
    for row, members in enumerate(sets):
        key = frozenset(members)
        if key not in codes:
            for name in key:
                if name not in bits:
                    raise unknown("strategy", name, bits, f"route at row {row}")
            codes[key] = sum(bits[name] for name in key)
        mask[row] = codes[key]
    return mask


def regime_names(codes: np.ndarray) -> np.ndarray:
    """Names of regime codes."""
    return np.array(REGIMES, dtype=object)[codes]
