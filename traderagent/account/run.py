"""From symbols ready to run and their account to one pass of the common loop, and its raw records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import pandas as pd

from traderagent.account.axis import Axis, axis_of, hourly_returns, moments_of
from traderagent.account.config import PortfolioBacktestConfig, span
from traderagent.account.loop import run_account
from traderagent.account.memory import Memory, addresses
from traderagent.account.weights import VOLATILITY_WINDOW, Allocate, rebalance_places, weights_at
from traderagent.base.errors import ConfigError
from traderagent.engine.config import PARAMETER_FIELDS, OrchestratorBacktestConfig
from traderagent.engine.limits import ENOUGH_HOURS
from traderagent.engine.plan import Plan
from traderagent.engine.records import LIMITS, PAIR, SEAT
from traderagent.engine.run import CAPACITY, Raw, Setup, new_account, open_pass, setup_of, sides_of
from traderagent.engine.tape import tape_of
from traderagent.strategies.base import Strategy
from traderagent.strategies.contract import REJECTIONS


@dataclass(frozen=True)
class Shares:
    """How sizing equity is dealt.

    Attributes
    ----------
    start : place of the first decision on the axis
    initial : (n,) weights at the start; places : (k,) where they are dealt anew; weights : (k, n) what is dealt there
    """

    start: int
    initial: np.ndarray
    places: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Roster:
    """Who takes part in a run on one account, and what no limit changes: axis, symbols on it, hours and shares."""

    axis: Axis
    layouts: tuple[Plan, ...]
    setups: tuple[Setup, ...]
    hours: tuple[np.ndarray, int, int]
    shares: Shares

    @cached_property
    def blank(self) -> Memory | None:
        """Records of a run that keeps no log, to be copied; None where the rule of an own strategy has a state."""
        if any(strategy.is_own() for layout in self.layouts for strategy in layout.strategies):
            return None
        of = zip(self.setups, self.layouts, strict=True)
        return Memory.of([open_pass(setup, p.config, p.strategies, CAPACITY, record=False) for setup, p in of])

    @cached_property
    def turns(self) -> np.ndarray:
        """As `turns_of` gives them."""
        return turns_of([layout.strategies for layout in self.layouts])

    @cached_property
    def moments(self) -> dict[str, np.ndarray]:
        """What correlations read; the same for every run that limits them."""
        return moments_of(self.hours[0])


@dataclass
class AccountRaw:
    """What the common loop leaves.

    Attributes
    ----------
    account, limits : records; pairs : by symbol in the axis' order
    curves : (n_times, 5) float64 equity, cash, reserved, locked, whether halted
    committed : (n_times, n) float64 inventory and entries of each symbol
    refusals : (n_days + 1, n, n_reasons) int64 up to the start of each day, and to the end
    unknown : (n,) int64 orders that were allowed with an unknown correlation
    """

    account: np.void
    limits: np.void
    pairs: list[Raw]
    curves: np.ndarray
    committed: np.ndarray
    refusals: np.ndarray
    unknown: np.ndarray


def check_windows(config: PortfolioBacktestConfig, hour: int, allocate: Allocate | None) -> None:
    """Refuse windows that can never hold enough returns: what asks them would be silently off.

    Raises
    ------
    ConfigError
    """
    window = span("correlation_window", config.correlation_window)
    if config.max_correlation is not None and window // hour < ENOUGH_HOURS:
        raise ConfigError(
            f"correlation_window: got {config.correlation_window!r}, allowed is at least {ENOUGH_HOURS} returns of "
            f"{pd.Timedelta(hour, 'ms')}: a longer window, or max_correlation: null to switch the limit off"
        )
    if allocate is None and config.allocation == "inverse_volatility" and VOLATILITY_WINDOW // hour < ENOUGH_HOURS:
        raise ConfigError(
            f"allocation: got 'inverse_volatility' on candles of {pd.Timedelta(hour, 'ms')}, of which 30 days hold "
            f"fewer than {ENOUGH_HOURS}; use finer candles, equal, or weights"
        )


def roster_of(layouts: Mapping[str, Plan], config: PortfolioBacktestConfig, allocate: Allocate | None = None) -> Roster:
    """Put the symbols on one axis and deal the shares."""
    axis = axis_of({s: layout.data for s, layout in layouts.items()})
    plans = tuple(layouts[s] for s in axis.symbols)
    if allocate is not None and not callable(allocate):
        raise ConfigError(f"allocate: got {allocate!r:.80}, allowed is a function of past returns that gives weights")
    check_windows(config, axis.sample, allocate)
    hours = hourly_returns(axis, {s: tape_of(layouts[s].data) for s in axis.symbols})
    start = min(int(axis.time_of[s][p.first]) for s, p in enumerate(plans))
    places = rebalance_places(axis, start, config.rebalance)
    initial = weights_at(config, axis, hours, int(axis.time[start]) + axis.duration, allocate)
    day = 86_400_000
    weights = [weights_at(config, axis, hours, int(axis.time[p]) // day * day, allocate) for p in places]
    shares = Shares(start, initial, places, np.array(weights).reshape(len(places), len(plans)))
    setups = [setup_of(p.data, p.config, p.strategies, p.mask, p.size_factor, p.regime, p.first) for p in plans]
    by_row = tuple(replace(setup, features=setup.features.by_row()) for setup in setups)
    return Roster(axis, plans, by_row, hours, shares)


def turns_of(members: Sequence[Sequence[Strategy]]) -> np.ndarray:
    """(n, n_turns) int64: the book of each symbol (−1: none) whose turn it is as strategies decide one by one.

    Built-in strategies come in their order, then own ones as listed; a two-sided one decides with its first book.
    """
    own = dict.fromkeys(s.name for of in members for s in of if s.name not in PARAMETER_FIELDS)
    used = [n for n in (*PARAMETER_FIELDS, *own) if any(s.name == n for of in members for s in of)]
    turns = np.full((len(members), len(used)), -1)
    for k, of in enumerate(members):
        for b, (s, _) in reversed(list(enumerate(sides_of(of)))):
            turns[k, used.index(of[s].name)] = b
    return turns


def new_limits(
    config: PortfolioBacktestConfig, roster: Roster, seats: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The record of the account's limits, and the arrays that must outlive it."""
    n, limits = len(seats), np.zeros(1, LIMITS)

    def of(value: float | None) -> float:
        return np.inf if value is None else value

    limits["pair"], limits["total"] = of(config.max_single_pair_pct), of(config.max_total_exposure_pct)
    limits["correlation"], limits["stop"] = of(config.max_correlation), of(config.portfolio_stop_loss_pct)
    limits["peak"] = limits["daily_reference"] = config.initial_capital
    limits["resume_after"] = 0 if config.resume_after is None else span("resume_after", config.resume_after)
    limits["window"] = span("correlation_window", config.correlation_window)
    limits["n"], limits["width"], limits["seats"] = n, roster.axis.row_at.shape[1], seats.ctypes.data
    returns, limits["first_hour"], limits["hour"] = roster.hours
    limits["n_hours"] = returns.shape[1]
    moments = {} if config.max_correlation is None else roster.moments  # (n, n) a day: not for those who never ask
    kept = moments | {
        "held": np.zeros(n),
        "entries": np.zeros(n),
        "both": np.zeros((n, n)),
        "rho": np.zeros((n, n)),
        "stamp": np.zeros(n, np.int64),
    }
    for name, array in kept.items():
        limits[name] = array.ctypes.data
    return limits, list(kept.values())


def new_seats(memory: Memory, turns: np.ndarray) -> np.ndarray:
    """Every symbol takes its place; the account, not the symbol, judges day and stop and sells at the end."""
    accounts, seats = memory.accounts, np.zeros(len(memory.accounts), SEAT)
    seats["account"], seats["pair"] = addresses(accounts), addresses(memory.pairs)
    seats["feed"] = addresses(memory.feeds)
    seats["books"] = turns.ctypes.data + turns.strides[0] * np.arange(len(turns))
    seats["max_daily_loss"] = accounts["max_daily_loss"]
    accounts["max_daily_loss"] = accounts["portfolio_stop"] = np.inf
    accounts["sell_at_end"] = 0
    return seats


def new_shared(pair: OrchestratorBacktestConfig, capital: float) -> np.ndarray:
    """The record of the account that all symbols share."""
    account = new_account(pair)
    for name in ("initial", "cash", "peak", "daily_reference", "last_hour", "last_day"):
        account[name] = capital
    return account


def simulate_account(
    roster: Roster,
    config: PortfolioBacktestConfig,
    *,
    record: bool = True,
    every_candle: bool = False,
    forms: dict[str, str] | None = None,
    daily: np.ndarray | None = None,
) -> AccountRaw:
    """One run of all symbols on one account: passes of the loop until the logs are large enough.

    Parameters
    ----------
    record, every_candle, forms : as those of a single run
    daily : (n_days,) float64 to be filled with the account's return of each label day from the first decision on
    """
    capacities = [CAPACITY] * len(roster.layouts)
    opened = partial(open_pass, record=record, every_candle=every_candle, forms=forms)
    blank = None if record or every_candle or forms else roster.blank
    while True:
        if blank is None:
            of = zip(roster.setups, roster.layouts, capacities, strict=True)
            memory = Memory.of([opened(setup, p.config, p.strategies, room) for setup, p, room in of])
        else:
            memory, blank = blank.copy(), None  # its room was too small, if this is done once more
        raw = _run(roster, config, memory, record, daily)
        passes = memory.passes()
        raw.pairs = [one.finish() for one in passes]  # what a rule met is raised now, not after one more pass
        if not any(one.is_cut() for one in passes):
            return raw
        capacities = [one.larger(room) for one, room in zip(passes, capacities, strict=True)]
        del memory, passes, raw  # what they keep of each candle is as large as the candles: it goes before the next


def _run(
    roster: Roster, config: PortfolioBacktestConfig, memory: Memory, record: bool, daily: np.ndarray | None
) -> AccountRaw:
    """One pass of the loop, without the pairs' own records."""
    axis, n = roster.axis, len(roster.layouts)
    shared = new_shared(config.per_pair_config, config.initial_capital)
    shared["daily"] = 0 if daily is None else daily.ctypes.data
    turns = roster.turns  # seats hold its address
    seats = new_seats(memory, turns)
    limits, _kept = new_limits(config, roster, seats)
    limits["n_turns"] = turns.shape[1]
    _join(memory.accounts, roster.shares.initial * config.initial_capital, shared, limits)
    clock = np.zeros(1, PAIR)
    feed = axis.feed(roster.shares.start)
    dealt = np.full(len(axis), -1, np.int32)
    dealt[roster.shares.places] = np.arange(len(roster.shares.places))
    rows = len(axis) * record
    out = (
        np.zeros((rows, 5)),
        np.zeros((rows, n)),
        np.zeros(((len(axis.days) + 2) * record, n, len(REJECTIONS)), np.int64),
    )
    run_account(
        shared[0],
        limits[0],
        clock[0],
        feed[0],
        axis.prices,
        axis.row_at,
        axis.first_turns,
        dealt,
        roster.shares.weights,
        out,
    )
    out[0][: roster.shares.start * record, :2] = config.initial_capital
    return AccountRaw(shared[0], limits[0], [], *out, seats["unknown"].copy())


def _join(accounts: np.ndarray, given: np.ndarray, shared: np.ndarray, limits: np.ndarray) -> None:
    """What each symbol is given to size by; its cash is the shared one."""
    for name in ("initial", "cash", "peak", "last_hour", "last_day"):
        accounts[name] = given
    accounts["shared"], accounts["limits"] = shared.ctypes.data, limits.ctypes.data
    accounts["seat"] = np.arange(len(accounts))
