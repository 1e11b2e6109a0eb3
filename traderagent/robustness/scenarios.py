"""What may happen to a market: each scenario is one small function, registered under its name.

A scenario of candles bends what comes from a given row on and leaves every candle before it as it was, to the last bit.
A scenario of costs changes what every fill pays from the start of trading, since a run has one set of costs; it leaves
the candles alone. How deep and how long a shock is stands in the function that makes it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from traderagent.base.errors import ConfigError
from traderagent.base.registry import Registry
from traderagent.engine.config import SLIPPAGE, Costs
from traderagent.engine.tape import HOUR, tape_of
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import candle_frame
from traderagent.robustness.resampled_candles import on_tick


@dataclass(frozen=True)
class Shock:
    """Candles of one symbol, and the row from which on a scenario may change them.

    Attributes
    ----------
    time : (n,) int64, open times, milliseconds UTC; duration : of a candle, milliseconds
    values : (n, 5) float64, open high low close volume
    row : first candle of the shock, ≥ 1
    tick : to which changed prices are rounded, 0 where none is known
    """

    time: np.ndarray
    duration: int
    values: np.ndarray
    row: int
    tick: float

    def rows(self, hours: float) -> int:
        """Candles in so many hours, at least one."""
        return max(1, round(hours * HOUR / self.duration))

    def bent(self, *legs: tuple[int, float]) -> "Shock":
        """Prices times a level that starts at 1, goes evenly (in its logarithm) to the level of each leg in its number
        of candles, at once in 0 of them, and then stays. Where it is 1, candles stay as they are.
        """
        n = len(self.time) - self.row
        ends = [1.0]  # at the row's open, then at every close
        for n_rows, level in legs:
            if n_rows == 0:
                ends[-1] = level
            else:
                ends += np.geomspace(ends[-1], level, n_rows + 1)[1:].tolist()
        ends += [ends[-1]] * max(0, n + 1 - len(ends))
        opens, closes = np.array(ends[:n]), np.array(ends[1 : n + 1])
        after = self.values[self.row :].copy()
        open_, close = after[:, 0] * opens, after[:, 3] * closes
        middle = np.sqrt(opens * closes)
        high = np.maximum(after[:, 1] * middle, np.maximum(open_, close))
        low = np.minimum(after[:, 2] * middle, np.minimum(open_, close))
        changed = (opens != 1.0) | (closes != 1.0)
        made = on_tick(np.column_stack([open_, high, low, close]), self.tick)
        after[changed, :4] = made[changed]
        return self._after(after)

    def stretched(self, n_rows: int, factor: float) -> "Shock":
        """Moves of the next candles times a factor, in their logarithm and from close to close; later ones as they were
        from where these lead.
        """
        last = min(self.row + n_rows, len(self.time))
        values = self.values.copy()
        before = np.log(self.values[self.row - 1 : last - 1, 3])
        moves = np.log(self.values[self.row : last, :4]) - before[:, None]
        levels = np.log(self.values[self.row - 1, 3]) + factor * (before - before[0])
        values[self.row : last, :4] = np.exp(levels[:, None] + factor * moves)
        values[last:, :4] *= values[last - 1, 3] / self.values[last - 1, 3]
        after = values[self.row :]
        after[:, :4] = on_tick(after[:, :4], self.tick)
        return self._after(after)

    def stuck(self, n_rows: int) -> "Shock":
        """The next candles stand at the last close, and nothing is traded in them."""
        after = self.values[self.row :].copy()
        after[:n_rows, :4] = self.values[self.row - 1, 3]
        after[:n_rows, 4] = 0.0
        return self._after(after)

    def without(self, begin: int, end: int | None) -> "Shock":
        """Without the candles from `begin` to `end` − 1 after the row; None is all that come."""
        rows = np.arange(len(self.time)) - self.row
        keep = (rows < begin) | (rows >= (len(rows) if end is None else end))
        return replace(self, time=self.time[keep], values=self.values[keep])

    def _after(self, after: np.ndarray) -> "Shock":
        return replace(self, values=np.concatenate([self.values[: self.row], after]))


@dataclass(frozen=True)
class Scenario:
    """Something that may happen.

    Attributes
    ----------
    name : in tables; words : what happens, in a sentence
    candles : Shock → Shock, or None
    costs : Costs → Costs, or None
    """

    name: str
    words: str
    candles: Callable[[Shock], Shock] | None = None
    costs: Callable[[Costs], Costs] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or (self.candles is None) == (self.costs is None):
            raise ConfigError(
                f"Scenario {self.name!r}: allowed are a name and one function, candles=… or costs=…; give exactly one"
            )


SCENARIOS: Registry[Scenario] = Registry("scenario", "traderagent.robustness")


def _words(function: Callable[..., Any]) -> str:
    if not (function.__doc__ or "").strip():
        raise ConfigError(f"scenario {function.__name__} has no docstring; say in one line what happens")
    return " ".join((function.__doc__ or "").split())


def candle_scenario(function: Callable[[Shock], Shock]) -> Callable[[Shock], Shock]:
    """Register what bends candles under its own name; its docstring says what happens."""
    SCENARIOS.add(function.__name__, Scenario(function.__name__, _words(function), candles=function))
    return function


def cost_scenario(function: Callable[[Costs], Costs]) -> Callable[[Costs], Costs]:
    """Register what changes costs under its own name; its docstring says what happens."""
    SCENARIOS.add(function.__name__, Scenario(function.__name__, _words(function), costs=function))
    return function


def shocked(data: MultiTimeframeData, scenario: Scenario, row: int) -> MultiTimeframeData:
    """Candles of a symbol as a scenario leaves them; finer candles are dropped, which nobody bent.

    Parameters
    ----------
    row : first candle of the shock among those that exist, 1 to n − 1

    Raises
    ------
    ConfigError
        For a scenario that touches a candle before the row, or changes none.
    """
    if scenario.candles is None:
        return data
    tape = tape_of(data)
    values = np.column_stack([tape.open, tape.high, tape.low, tape.close, tape.volume])
    before = Shock(tape.time, tape.duration, values.copy(), row, data.instrument.tick)
    after = scenario.candles(before)
    kept = (after.time[:row] == tape.time[:row]).all() if len(after.time) >= row else False
    if not kept or after.values[:row].tobytes() != values[:row].tobytes():
        raise ConfigError(
            f"scenario {scenario.name!r} changes candles before row {row}, at which it begins; allowed are changes "
            "from there on: a shock that is felt before it happens is a look into the future"
        )
    if after.values.tobytes() == values.tobytes() and np.array_equal(after.time, tape.time):
        raise ConfigError(f"scenario {scenario.name!r} changes no candle from row {row} on; bend some, or leave it out")
    return MultiTimeframeData.from_base(
        data.symbol,
        candle_frame(after.time, after.values),
        data.base,
        instrument=data.instrument,
        funding=data.funding,
        source=f"{data.source}, {scenario.name}",
        synthetic=True,
        sample=data.sample,
    )


@candle_scenario
def flash_crash(shock: Shock) -> Shock:
    """−30 % within an hour, all of it back within the next four hours."""
    return shock.bent((shock.rows(1), 0.7), (shock.rows(4), 1.0))


@candle_scenario
def crash(shock: Shock) -> Shock:
    """−50 % within a day, and no recovery but the market's own."""
    return shock.bent((shock.rows(24), 0.5))


@candle_scenario
def gap(shock: Shock) -> Shock:
    """The next candle opens 20 % lower, with no price in between, and the price stays there."""
    return shock.bent((0, 0.8))


@candle_scenario
def volatility(shock: Shock) -> Shock:
    """Every move of the next seven days is three times as large."""
    return shock.stretched(shock.rows(7 * 24), 3.0)


@candle_scenario
def outage(shock: Shock) -> Shock:
    """The exchange is down for six hours: no candles, no fills, then the price that there is."""
    return shock.without(0, shock.rows(6))


@candle_scenario
def stuck_price(shock: Shock) -> Shock:
    """The price stands still for a day without a trade, then jumps to where the market is."""
    return shock.stuck(shock.rows(24))


@candle_scenario
def delisting(shock: Shock) -> Shock:
    """−99.9 % within a day, then no candles any more; what is left is marked at the last close."""
    return shock.bent((shock.rows(24), 0.001)).without(shock.rows(24), None)


@cost_scenario
def wide_spread(costs: Costs) -> Costs:
    """Spread and slippage are ten times as large for the whole run; where none was assumed, ten times the default."""
    return costs.replace(slippage=min(10.0 * max(costs.slippage, SLIPPAGE), 0.5), name=f"{costs.name}, wide spread")


@cost_scenario
def double_fees(costs: Costs) -> Costs:
    """Fees are twice as high for the whole run; a rebate is gone."""
    fees = {side: min(max(2.0 * getattr(costs, side), 0.0), 0.2) for side in ("maker", "taker")}
    return costs.replace(**fees, name=f"{costs.name}, doubled")
