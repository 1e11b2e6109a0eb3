"""`Strategy`: parameters, features, a rule. The built-ins and your own are written on this class."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args, get_origin

import numpy as np
from pydantic import PydanticUserError
from pydantic.fields import FieldInfo

from traderagent.base.config import Config
from traderagent.base.errors import RuleError
from traderagent.base.registry import Registry
from traderagent.strategies.features import Frames

STRATEGIES: Registry["type[Strategy]"] = Registry("strategy", "traderagent.strategies")


class Rule:
    """The rule of one book in one run: where the engine calls it.

    Attributes
    ----------
    address : of a function of the contract's signature; it lives as long as this object
    tags : reasons of its fills beside the engine's own
    """

    def __init__(self, address: int) -> None:
        self.address = address
        self.tags: list[str] = []

    @property
    def notes(self) -> list[str]:
        """What a user should know of how it ran, in sentences."""
        return []

    def prepare(self, book: np.void) -> None:
        """Set up its book before the run."""

    def finish(self, book: np.void) -> None:
        """After the run: raise what it met."""


if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(Config)


class _Declared(ModelMetaclass):
    """Makes strategies' classes; says in plain words what a declaration lacks."""

    def __new__(mcs, name: str, bases: tuple, space: dict[str, Any], **options: Any) -> Any:
        try:
            return super().__new__(mcs, name, bases, space, **options)
        except PydanticUserError as error:
            for word, value in space.items():
                if isinstance(value, FieldInfo) and word not in space.get("__annotations__", {}):
                    raise RuleError(f"{name}.{word}: say what kind it is, `{word}: int = ta.parameter(…)`") from None
            raise RuleError(f"{name}: {str(error).splitlines()[0]}") from None


class Strategy(Config, metaclass=_Declared):
    """A strategy: its fields are its parameters, `features` what it looks at, its rule says when to trade.

    An own strategy writes its rule as `decide(self, now, book)`, which returns orders (`ta.buy`, `ta.sell`,
    `ta.close`, `ta.move`, `ta.cancel`, a list of them, or nothing); the built-in ones bring a kernel, `step`.

    Class attributes
    ----------------
    name : prefix of its parameters in a space and name of its book; by default the class's name in snake case
    regimes : names of the regimes in which the router lets it open, None for always
    every : timeframe at whose closes the rule is asked, e.g. "15m"; None for each base candle
    memory : numbers that the rule keeps from candle to candle in `book`, with what they start with
    compiled : "auto" (plain first, then compiled where both are equal), "always" or "never"
    max_orders : how many limit entries may rest at once
    signal : name of the feature that is not 0 where the strategy may want to start, or None
    step : compiled rule, see `traderagent.strategies.contract`
    everywhere : it is asked off the route too, and told of every fill

    Optional methods
    ----------------
    wakes(self, m5, …) : (n,) bool, the closes at which the rule is asked, in place of `every`
    on_fill(self, fill, book) : orders that answer a fill inside the candle; limits, moves and cancels only
    """

    name: ClassVar[str] = ""
    prefix: ClassVar[str] = ""
    signal: ClassVar[str | None] = None
    regimes: ClassVar[Any] = None
    every: ClassVar[str | None] = None
    wakes: ClassVar[Any] = None
    memory: ClassVar[dict[str, float]] = {}
    compiled: ClassVar[str] = "auto"
    max_orders: ClassVar[int] = 20
    decide: ClassVar[Any] = None
    on_fill: ClassVar[Any] = None
    step: ClassVar[Any] = None
    everywhere: ClassVar[bool] = False

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        if cls.is_own():
            from traderagent.strategies.own.columns import complete

            complete(cls)

    @classmethod
    def is_own(cls) -> bool:
        """Whether its rule is written in Python, as `decide`."""
        return cls.decide is not None

    @classmethod
    def parameter_names(cls) -> tuple[str, ...]:
        """Names of the parameters, in the order of the fields."""
        return tuple(cls.model_fields)

    def parameter_values(self) -> np.ndarray:
        """(n_parameters,) float64 in the order of the fields; choices by position, None as NaN."""
        return np.array([_as_number(type(self), name, value) for name, value in self], np.float64)

    def features(self, data: Frames) -> dict[str, np.ndarray]:
        """Columns on base candles, each using only candles closed by then.

        An own strategy names the frames it looks at as arguments, `features(self, m5, h1)`: m5 for the base
        candles whatever their timeframe, m15, h1, h4, d1; see `traderagent.strategies.own.views`.
        """
        raise NotImplementedError  # pragma: no cover - every registered strategy has its own

    def columns(self, data: Frames) -> dict[str, np.ndarray]:
        """What `features` says, as (n_base,) float64 arrays by name."""
        if not self.is_own():
            if type(self).step is None:
                raise RuleError(f"{type(self).__name__} has no rule: write `def decide(self, now, book):`")
            return self.features(data)
        from traderagent.strategies.own.causal import columns_of

        return columns_of(self, data)

    def warmup(self, duration: int) -> int:
        """Base candles before the first sensible decision; `duration` is the base candle's milliseconds."""
        return 0

    def warmup_on(self, data: Frames, duration: int) -> int:
        """The same where it takes the candles to know: an own strategy waits until every feature was a number."""
        if not self.is_own():
            return self.warmup(duration)
        from traderagent.strategies.own.columns import first_known

        return max(self.warmup(duration), first_known(self, self.columns(data)))

    def rule(self, features: Sequence[str], form: str | None = None) -> Rule:
        """Its rule for one book of one run, given the names of its columns; `form` overrides `compiled`."""
        if not self.is_own():
            return Rule(type(self).step.address)
        from traderagent.strategies.own.rule import OwnRule

        return OwnRule(self, tuple(features), form)

    def identity(self) -> str | None:
        """Hash of an own strategy's source, the outer values it uses and its parameters; None for a built-in one."""
        if not self.is_own():
            return None
        from traderagent.strategies.own.source import identity_of

        return identity_of(type(self), self.to_dict())

    def sides(self) -> tuple[float, ...]:
        """Side of each of its books at the start: +1 long, −1 short; a strategy that holds both apart has two."""
        return (1.0,)

    def n_cells(self) -> int:
        """Largest number of cells (limit entries) it places at once."""
        return self.max_orders if self.is_own() else 0

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
