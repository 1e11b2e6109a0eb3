"""An own strategy's class completed, and its features as columns on base candles, refused where they look ahead."""

from collections.abc import Mapping
from types import FunctionType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np
import pandas as pd

from traderagent.base.config import allowed_of, allows, type_words
from traderagent.base.errors import RuleError, nearest
from traderagent.market.frames import TIMEFRAMES
from traderagent.market.times import day
from traderagent.strategies.features import Frame, Frames, frames_closed_by
from traderagent.strategies.own.blueprint import WAKES, check_features
from traderagent.strategies.own.source import identity_of, method_of, snake_case
from traderagent.strategies.own.views import on_base_closes, views_of

KEPT = 16
N_MOMENTS, APART = 4, 997  # candles; a prime, so that hours and days are cut off in their middle


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
        if not _is_number(field.annotation):
            raise RuleError(
                f"{where}.{name}: it is {type_words(field.annotation)}, allowed are int, float, bool, Literal texts, "
                "and None beside them, since rules read numbers; what is fixed stands in the rule itself"
            )
        if not field.is_required() and field.default_factory is None and not allows(field, field.default):
            raise RuleError(
                f"{where}.{name}: its default is {field.default!r}, allowed is {allowed_of(field)}; give a default "
                "that its own declaration allows"
            )
    cls.signal = WAKES if cls.every is not None or cls.wakes is not None else None


def _is_number(kind: Any) -> bool:
    """Whether values of a kind have a number in a record: choices have their position, None is NaN."""
    if get_origin(kind) is Literal:
        return True
    if get_origin(kind) in (Union, UnionType):
        return all(map(_is_number, get_args(kind)))
    return isinstance(kind, type) and issubclass(kind, (int, float, NoneType))


def columns_of(strategy: Any, data: Frames) -> dict[str, np.ndarray]:
    """(n_base,) float64 by name, made once per candles, source and parameters; the wakes first, where there are any."""
    kept = data.__dict__.setdefault("_own", {})
    key = identity_of(type(strategy), strategy.to_dict())
    if key not in kept:
        found = computed(strategy, data)
        for stop in moments(found, len(data["base"].time)):
            check_causal(strategy, data, found, stop)
        for old in list(kept)[: max(0, len(kept) + 1 - KEPT)]:
            kept.pop(old, None)
        kept[key] = found
    return dict(kept[key])


def computed(strategy: Any, data: Frames) -> dict[str, np.ndarray]:
    """The same, computed anew."""
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


# --- what a feature may know ---------------------------------------------------------------------------
def moments(columns: Mapping[str, np.ndarray], n: int) -> list[int]:
    """Candles after which the future is cut off: soon after every feature is a number, since short cuts are cheap."""
    first = max((int(np.argmax(np.isfinite(values))) for values in columns.values()), default=n)
    rows = [(first // APART + k) * APART for k in range(1, N_MOMENTS + 1)]
    return [row for row in rows if row < n] or [row for row in [(first + n) // 2] if first < row < n]


def check_causal(strategy: Any, data: Frames, columns: Mapping[str, np.ndarray], stop: int) -> None:
    """Refuse features that were others while the candles from `stop` on were not known.

    This asks one moment; `ta.audit` asks many. What does not bear fewer candles (a table of its own, indexed by row)
    cannot be asked.

    Raises
    ------
    RuleError
        With feature and candle.
    """
    base = data["base"]
    end = int(base.time[stop - 1]) + base.duration
    try:
        alone = computed(strategy, frames_closed_by(data.data, end))
    except (RuleError, ArithmeticError, LookupError, ValueError):  # of the user's own code
        return
    for name, values in alone.items():
        at = _first_other(values, columns[name][:stop])
        if at is None:
            continue
        where = f"{type(strategy).__name__}.features: {name!r}"
        if _first_other(computed(strategy, data)[name], columns[name]) is not None:
            raise RuleError(
                f"{where} is another each time it is computed; allowed are features of candles; fix its seed"
            )
        candle, then = (day(pd.Timestamp(int(t), unit="ms", tz="UTC")) for t in (base.time[at], end))
        raise RuleError(
            f"{where} looks ahead: at the candle of {candle} on {data.data.symbol} it is another value while the "
            f"candles from {then} on are not known; allowed are features of candles that have closed; ta.audit names "
            "the candle that it uses"
        )


def _first_other(left: np.ndarray, right: np.ndarray) -> int | None:
    other = ~((left == right) | (np.isnan(left) & np.isnan(right)))
    return int(np.argmax(other)) if other.any() else None


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
