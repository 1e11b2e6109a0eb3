"""Which kinds of parameters an own strategy may have, and which defaults."""

import enum
from typing import Annotated, Any, Literal

import numpy as np
import pytest

import traderagent as ta
from tests.strategies.own_markets import generated, trade
from tests.strategies.test_own_refusals import rule_of

DATA = generated(5, 600)


def test_a_parameter_without_a_kind():
    with pytest.raises(
        ta.RuleError, match=r"Bare\.lookback: say what kind it is, `lookback: int = ta\.parameter\(…\)`"
    ):

        class Bare(ta.Strategy):
            lookback = ta.parameter(5)


@pytest.mark.parametrize(
    ("kind", "default", "bounds", "allowed"),
    [
        (int, 5, {"low": 10, "high": 20}, "5, allowed is whole number from 10 to 20"),
        (int, 25, {"high": 20}, "25, allowed is whole number of at most 20"),
        (int | None, 0, {"low": 1}, "0, allowed is whole number of at least 1, or none"),
        (float, np.nan, {}, "nan, allowed is number"),
        (int, 2.5, {"low": 1}, "2.5, allowed is whole number of at least 1"),
        (bool, "yes", {}, "'yes', allowed is true or false"),
        (Literal["calm", "bold"], "wild", {}, "'wild', allowed is 'calm' or 'bold'"),
    ],
)
def test_a_default_that_its_declaration_does_not_allow(kind, default, bounds, allowed):
    with pytest.raises(ta.RuleError, match=rf"^Breakout\.lookback: its default is {allowed}; give a default that"):
        rule_of(
            lambda self, now, book: None, lookback=ta.parameter(default, **bounds), __annotations__={"lookback": kind}
        )


class Level(enum.IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        (str, "a"),
        (list, [1]),
        (dict, {}),
        (complex, 1j),
        (int | str, 1),
        (Any, 1),
        (Level, Level.LOW),
        (np.float64, 2.0),
        (Literal[2, "auto"], "auto"),  # 2, or the third choice?
        (Literal["a", None], "a"),
        (Literal["a"] | Literal["b"], "b"),
        (int | Literal["auto"], "auto"),
    ],
)
def test_a_parameter_of_a_kind_that_has_no_number_of_its_own(kind, default):
    match = r"^Breakout\.mode: it is .*, allowed are int, float, bool, or one Literal of texts, and None"
    with pytest.raises(ta.RuleError, match=match):
        rule_of(lambda self, now, book: None, mode=ta.parameter(default), __annotations__={"mode": kind})


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        (int | float | None, None),
        (Literal["a", "b"] | None, "b"),
        (Literal[1, 2.5, True], 2.5),
        (Annotated[int, "candles"] | None, 3),
    ],
)
def test_a_parameter_of_a_kind_that_has_one(kind, default):
    def decide(self, now, book):
        return None

    cls = rule_of(decide, mode=ta.parameter(default), __annotations__={"mode": kind})
    assert trade(cls, DATA).raw.fills.size == 0


def test_a_default_at_its_bounds_is_none_or_numpy_is_allowed():
    for kind, default in [(int, 10), (int | None, None), (float, np.float64(20)), (float, 20), (bool, False)]:
        declared = {"lookback": ta.parameter(default, **({} if kind is bool else {"low": 10, "high": 20}))}
        assert rule_of(lambda self, now, book: None, **declared, __annotations__={"lookback": kind})
