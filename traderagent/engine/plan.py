"""What a run is before it starts: its strategies, their route candle by candle, and where trading begins."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError, DataError, unknown
from traderagent.engine.clashes import check_names
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.run import MAX_BOOKS
from traderagent.engine.tape import Tape, tape_of
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import milliseconds, on_base, traded
from traderagent.market.quality import check
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
        """Names of the strategies."""
        return tuple(s.name for s in self.strategies)

    @cached_property
    def tape(self) -> Tape:
        """The candles as the loop reads them."""
        return tape_of(self.data)


def plan(
    data: MultiTimeframeData,
    config: OrchestratorBacktestConfig,
    strategies: Sequence[Strategy] = (),
    route: Any = None,
    first: int | None = None,
) -> Plan:
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
    check_candles(data)
    _check(data, config)
    members = members_of(config, strategies)
    names = [s.name for s in members]
    tape = tape_of(data)
    start = warmup_rows(data, config, members)
    if len(tape) <= start + 1:
        before, less = (" before the hold-out", ", set aside less") if data.sample == "in" else ("", "")
        raise DataError(
            f"{data.symbol}: got {len(tape)} candles of {data.base}{before}, allowed are {start + 2} or more, "
            f"since the warm-up takes {start}; load a longer span{less} or shorten the look-backs"
        )
    _check_sides(config, members)
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
    return Plan(
        data, config, members, found.mask, np.where(reduces, config.reduce_factor, 1.0), found.regime, start, found
    )


def members_of(config: OrchestratorBacktestConfig, strategies: Sequence[Strategy] = ()) -> tuple[Strategy, ...]:
    """All strategies of a run in the order of their decisions: the enabled built-in ones, then own ones.

    Raises
    ------
    ConfigError
        Where there is none or too many, or two share a name, a prefix or a parameter's full name.
    """
    members = tuple(config.strategies()) + tuple(_own(s) for s in _listed(strategies))
    check_names(members)
    if not members:
        raise ConfigError(
            f"got no enabled strategy, allowed are {', '.join(STRATEGIES)} and own ones; enable one in "
            "the config or pass strategies=[…]"
        )
    if len(members) > MAX_BOOKS:
        raise ConfigError(f"{len(members)} strategies in one run, allowed are {MAX_BOOKS}")
    return members


def check_candles(data: MultiTimeframeData) -> None:
    """Refuse candles that break a rule; those of `load_market` were checked, own frames perhaps not.

    Raises
    ------
    DataError
        With symbol, row, what was got and what is allowed.
    """
    if not isinstance(data, MultiTimeframeData):
        raise ConfigError(
            f"candles: got {type(data).__name__}, allowed is one symbol's data as ta.load_market gives "
            "it; make it with ta.MultiTimeframeData.from_base(symbol, frame)"
        )
    if "_sound" not in data.__dict__:
        tape = tape_of(data)
        sound = (
            (tape.low > 0)
            & (tape.low <= np.minimum(tape.open, tape.close))
            & (tape.volume >= 0)
            & (tape.high >= np.maximum(tape.open, tape.close))
            & np.isfinite(tape.high + tape.volume)
        )
        steps = np.diff(tape.time)
        if len(steps) > 1 and steps.min() > tape.duration:
            raise DataError(
                f"{data.symbol}: got candles {steps.min() // 1000} s apart as {data.base}, allowed are adjacent ones; "
                "give their timeframe with base=…"
            )
        if not sound.all() or (steps <= 0).any() or (tape.time % tape.duration != 0).any():
            check(traded(data.candles), data.symbol, data.base, in_memory=True)
        data.__dict__["_sound"] = True


def _listed(strategies: Any) -> list[Any]:
    if isinstance(strategies, (list, tuple)):
        return list(strategies)
    raise ConfigError(
        f"strategies: got {strategies!r:.80}, allowed is a list of objects of ta.Strategy classes; "
        "built-in ones are enabled in the config"
    )


def _check(data: MultiTimeframeData, config: OrchestratorBacktestConfig) -> None:
    if config.symbol is not None:
        from traderagent.market.symbols import symbol_name

        if symbol_name(config.symbol) != data.symbol:
            raise ConfigError(
                f"config.symbol: got {config.symbol!r}, allowed is {data.symbol!r}, whose candles these "
                "are; leave symbol out or give the right candles"
            )
    if config.detector not in DETECTORS:
        raise unknown("detector", config.detector, DETECTORS)
    for name in ("tick", "step"):
        unit = getattr(data.instrument, name)
        if unit > 0 and abs(round(unit, 12) - unit) > 1e-9 * unit:
            raise ConfigError(
                f"{data.symbol}: got {name} {unit!r}, allowed are 0 (no rounding) and steps of at "
                "most 12 decimals, e.g. 0.01; correct the instrument"
            )
    if config.enable_strategy_router and data.duration > FINEST_FOR_ORCHESTRATOR:
        raise ConfigError(
            f"{data.symbol}: the orchestrator needs candles of 5m or finer, got {data.base}; load finer "
            "candles, or set enable_strategy_router: false for single strategies"
        )


def _check_sides(config: OrchestratorBacktestConfig, members: Sequence[Strategy]) -> None:
    for strategy in members:
        if config.account == "spot" and min(strategy.sides()) < 0:
            raise ConfigError(
                f"{strategy.name}: it sells short, which a spot account cannot; allowed is account: perpetual, or a "
                "long direction"
            )


def _own(strategy: Any) -> Strategy:
    if isinstance(strategy, type) and issubclass(strategy, Strategy):
        strategy = strategy()
    if not isinstance(strategy, Strategy):
        raise ConfigError(
            f"strategies: got {strategy!r:.80}, allowed are objects of ta.Strategy classes; built-in "
            "ones are enabled in the config"
        )
    return strategy


def warmup_rows(data: MultiTimeframeData, config: OrchestratorBacktestConfig, members: Sequence[Strategy]) -> int:
    """Base candles before trading: the configured number, or the largest need of the run's parts."""
    if config.warmup_bars != "auto":
        return config.warmup_bars
    needs = [s.warmup_on(frames_of(data), data.duration) for s in members]
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
            kept[config.detector] = {
                name: on_base(history[name].to_numpy(), closed, fill=0) for name in ("regime", "recommended_strategy")
            }
    return kept[config.detector]


def _router(
    config: OrchestratorBacktestConfig,
    tape: Tape,
    members: Sequence[Strategy],
    regimes: Mapping[str, np.ndarray],
    start: int,
) -> Route:
    cooldown = config.router_cooldown_bars
    if config.router_cooldown_minutes is not None:
        cooldown = cooldown_in_bars(config.router_cooldown_minutes, tape.duration)
    own = {s.name: s.regimes for s in members if s.name not in STRATEGIES}
    return routed(
        regimes["regime"],
        regimes["recommended_strategy"],
        tape.time,
        tape.duration,
        names=[s.name for s in members],
        warmup=start,
        check_every=config.regime_check_every_n,
        cooldown_bars=cooldown,
        trend_regimes=config.trend_regimes,
        own=own,
    )


def given_route(route: Any, names: Sequence[str], data: MultiTimeframeData) -> np.ndarray:
    """(n,) uint8 from sets of names: one per existing candle, or a Series by time that is carried forward."""
    index = traded(data.candles).index
    if isinstance(route, pd.Series):
        position = np.searchsorted(_route_times(route), milliseconds(index), side="right") - 1
        sets: list[Any] = [route.iloc[p] if p >= 0 else () for p in position]
    elif isinstance(route, Sequence) and not isinstance(route, str):
        sets = list(route)
    else:
        raise ConfigError(
            f"route: got {route!r:.80}, allowed is a set of strategy names per candle: a list, or a "
            "Series by time, e.g. pd.Series([{'grid'}], [data.start])"
        )
    if len(sets) != len(index):
        raise ConfigError(
            f"route: got {len(sets)} sets, allowed is one for each of the {len(index)} candles; give as "
            "many, or a Series by time, which is carried forward"
        )
    bits = {name: 1 << b for b, name in enumerate(names)}
    codes: dict[frozenset[str], int] = {}
    mask = np.zeros(len(sets), np.uint8)
    for row, members in enumerate(sets):
        if not isinstance(members, Collection) or isinstance(members, str):
            raise ConfigError(
                f"route at row {row}: got {members!r}, allowed is a set of strategy names, "
                f"e.g. {{{names[0]!r}}}, or an empty one"
            )
        try:
            key = frozenset(members)
        except TypeError:
            raise ConfigError(f"route at row {row}: got {members!r}, allowed is a set of strategy names") from None
        if key not in codes:
            for name in key:
                if name not in bits:
                    raise unknown("strategy", name, bits, f"route at row {row}")
            codes[key] = sum(bits[name] for name in key)
        mask[row] = codes[key]
    return mask


def _route_times(route: pd.Series) -> np.ndarray:
    if not isinstance(route.index, pd.DatetimeIndex) or route.index.tz is None:
        raise ConfigError(
            f"route: got a Series indexed by {route.index.dtype}, allowed is an index of times in UTC; "
            "use the index of the candles"
        )
    times = milliseconds(route.index)
    if (np.diff(times) <= 0).any():
        raise ConfigError(
            "route: got times that do not rise, allowed is each time once in rising order; use route.sort_index()"
        )
    return times


def regime_names(codes: np.ndarray) -> np.ndarray:
    """Names of regime codes."""
    return np.array(REGIMES, dtype=object)[codes]
