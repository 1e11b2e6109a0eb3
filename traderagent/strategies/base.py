"""`Strategy`: parameters, features, a rule. The built-ins and your own are written on this class."""

from typing import Any, ClassVar, Literal, get_args, get_origin

import numpy as np

from traderagent.base.config import Config
from traderagent.base.registry import Registry
from traderagent.strategies.features import Frames

STRATEGIES: Registry["type[Strategy]"] = Registry("strategy", "traderagent.strategies")


class Strategy(Config):
    """A strategy: its fields are its parameters, `features` what it looks at, `step` its rule.

    Class attributes
    ----------------
    name : prefix of its parameters in a space and name of its book
    frames : timeframes whose candles `features` needs besides the base ones
    signal : name of the feature that is not 0 where the strategy may want to start, or None
    step : compiled rule, see `traderagent.strategies.contract`
    everywhere : it is asked off the route too, and told of every fill
    """

    name: ClassVar[str] = ""
    prefix: ClassVar[str] = ""
    signal: ClassVar[str | None] = None
    regimes: ClassVar[Any] = None
    step: ClassVar[Any] = None
    everywhere: ClassVar[bool] = False

    @classmethod
    def parameter_names(cls) -> tuple[str, ...]:
        """Names of the parameters, in the order of the fields."""
        return tuple(cls.model_fields)

    def parameter_values(self) -> np.ndarray:
        """(n_parameters,) float64 in the order of the fields; choices by position, None as NaN."""
        return np.array([_as_number(type(self), name, value) for name, value in self])

    def features(self, data: Frames) -> dict[str, np.ndarray]:
        """Columns on base candles, each using only candles closed by then."""
        raise NotImplementedError  # pragma: no cover - every registered strategy has its own

    def warmup(self, duration: int) -> int:
        """Base candles before the first sensible decision; `duration` is the base candle's milliseconds."""
        raise NotImplementedError  # pragma: no cover

    def step_address(self) -> int:
        """Where the engine calls its rule."""
        return type(self).step.address

    def sides(self) -> tuple[float, ...]:
        """Side of each of its books at the start: +1 long, −1 short; a strategy that holds both apart has two."""
        return (1.0,)

    def n_cells(self) -> int:
        """Largest number of cells (limit entries) it places at once."""
        return 0

    def notes(self) -> list[str]:
        """What a user should know about this parameter set, in sentences."""
        return []


def _as_number(cls: type[Strategy], name: str, value: Any) -> float:
    if value is None:
        return np.nan
    if isinstance(value, str):
        return float(_choices(cls.model_fields[name].annotation).index(value))
    return float(value)


def _choices(annotation: Any) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next((get_args(a) for a in get_args(annotation) if get_origin(a) is Literal), ())
