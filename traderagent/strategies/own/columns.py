"""An own strategy's class completed, and its features as columns on base candles."""

from collections.abc import Mapping
from types import FunctionType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np

from traderagent.base.config import allowed_of, allows, type_words
from traderagent.base.errors import RuleError, nearest
from traderagent.market.frames import TIMEFRAMES
from traderagent.strategies.features import Frame, Frames
from traderagent.strategies.own.blueprint import WAKES, check_features
from traderagent.strategies.own.source import method_of, snake_case
from traderagent.strategies.own.views import on_base_closes, views_of


def complete(cls: Any) -> None:
    """Give an own strategy's class what follows from how it is written: name, prefix, when it is asked."""
    if "name" not in vars(cls) or not cls.name:
        cls.name = snake_case(cls.__name__)
    if "prefix" not in vars(cls) or not cls.prefix:
        cls.prefix = f"{cls.name}_"
    cls.everywhere = True
    where = cls.__name__
    if cls.every is not None and cls.wakes is not None:
        raise RuleError(f"{where}: got both every and wakes, allowed is one of them")
    if cls.every is not None and cls.every not in TIMEFRAMES:
        raise RuleError(f"{where}.every: got {cls.every!r}: {nearest(cls.every, TIMEFRAMES)}")
    if isinstance(cls.max_orders, bool) or not isinstance(cls.max_orders, int) or not 1 <= cls.max_orders <= 10_000:
        raise RuleError(f"{where}.max_orders: got {cls.max_orders!r}, allowed is a whole number from 1 to 10000")
    for name, field in cls.model_fields.items():
        if not _has_number(field.annotation):
            raise RuleError(
                f"{where}.{name}: it is {type_words(field.annotation)}, allowed are int, float, bool, or one "
                "Literal of texts, and None beside them, since rules read numbers; what is fixed stands in the rule"
            )
        if not field.is_required() and field.default_factory is None and not allows(field, field.default):
            raise RuleError(
                f"{where}.{name}: its default is {field.default!r}, allowed is {allowed_of(field)}; give a default "
                "that its own declaration allows"
            )
    cls.signal = WAKES if cls.every is not None or cls.wakes is not None else None


def _has_number(kind: Any) -> bool:
    """Whether each value of a kind has a number of its own in a record: texts have their position, None is NaN."""
    kinds = [one for one in _kinds(kind) if one is not NoneType]
    choices = [choice for one in kinds if get_origin(one) is Literal for choice in get_args(one)]
    if any(isinstance(choice, str) for choice in choices):
        return len(kinds) == 1 and all(isinstance(choice, str) for choice in choices)
    return all(one in (int, float, bool) or get_origin(one) is Literal for one in kinds) and all(
        type(choice) in (int, float, bool) for choice in choices
    )


def _kinds(kind: Any) -> list[Any]:
    """The kinds that a declaration allows."""
    if get_origin(kind) is Annotated:
        return _kinds(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [one for part in get_args(kind) for one in _kinds(part)]
    return [kind]


def computed(strategy: Any, data: Frames) -> dict[str, np.ndarray]:
    """(n_base,) float64 by name; the wakes first, where there are any."""
    cls = type(strategy)
    where = f"{cls.__name__}.features"
    base = data["base"]
    named = _called(strategy, "features", data) if method_of(cls, "features") else _inherited(strategy, data)
    if not isinstance(named, Mapping):
        raise RuleError(f"{where} returned {type(named).__name__}, allowed is a dict of names to columns")
    check_features(cls, list(named))
    columns = {name: on_base_closes(name, values, base.time, where) for name, values in named.items()}
    if cls.every is not None:
        return {WAKES: closes_of(base, TIMEFRAMES[cls.every], cls)} | columns
    if cls.wakes is not None:
        values = on_base_closes(WAKES, _called(strategy, "wakes", data), base.time, f"{cls.__name__}.wakes")
        return {WAKES: ((values != 0) & ~np.isnan(values)).astype(np.float64)} | columns
    return columns


def _inherited(strategy: Any, data: Frames) -> Any:
    """Features of the built-in strategy that it was made from, or none."""
    by_itself = type(strategy).features.__module__ == "traderagent.strategies.base"
    return {} if by_itself else strategy.features(data)


def _called(strategy: Any, name: str, data: Frames) -> Any:
    """What a method says of the frames that its arguments name."""
    function = method_of(type(strategy), name)
    assert isinstance(function, FunctionType)
    names = function.__code__.co_varnames[1 : function.__code__.co_argcount]
    return function(strategy, *views_of(data, list(names), f"{type(strategy).__name__}.{name}"))


def closes_of(base: Frame, duration: int, cls: Any) -> np.ndarray:
    """(n_base,) 1.0 at the first base close at or after each end of a longer candle."""
    if duration % base.duration:
        shorter = base.timeframe
        raise RuleError(
            f"{cls.__name__}.every: got {cls.every!r} on candles of {shorter}, allowed are multiples of these"
        )
    passed = (base.time + base.duration) // duration
    return (np.diff(passed, prepend=base.time[:1] // duration) > 0).astype(np.float64)


def first_known(strategy: Any, columns: Mapping[str, np.ndarray]) -> int:
    """First base candle by which every feature was a number.

    Raises
    ------
    RuleError
        Where one never is.
    """
    first = 0
    for name, values in columns.items():
        known = np.isfinite(values)
        if not known.any():
            raise RuleError(
                f"{type(strategy).__name__}.features: {name!r} is not a number on any of the {len(values)} candles; "
                "load a longer span or shorten its look-back"
            )
        first = max(first, int(np.argmax(known)))
    return first
