"""The router bar by bar, the route at once, and that both say the same."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.causality import Events, look_ahead
from traderagent.base.errors import ConfigError, DataError, UnknownName
from traderagent.routing import (
    BOOTSTRAP,
    RECOMMENDATIONS,
    REGIMES,
    RegimeAnalysis,
    StrategyRouter,
    check_rows,
    route,
)
from traderagent.routing.router import cooldown_in_bars

M5 = 300_000
START = 1_704_067_200_000


def says(regime, recommendation):
    return RegimeAnalysis(regime, recommended_strategy=recommendation)


RANGE, BULL, STRONG, BEAR = (
    says("wide_range", "grid"),
    says("bull_trend", "dca"),
    says("bull_trend", "hybrid"),
    says("bear_trend", "dca"),
)
QUIET, VOLATILE, UNKNOWN = (
    says("quiet_transition", "hold"),
    says("volatile_transition", "reduce_exposure"),
    says("unknown", "hold"),
)


@pytest.mark.parametrize(
    ("analysis", "expected"),
    [
        (RANGE, {"grid"}),
        (BULL, {"dca", "trend_follower"}),
        (STRONG, {"grid", "dca", "trend_follower"}),
        (BEAR, {"dca"}),
        (QUIET, set()),
        (VOLATILE, set()),
        (UNKNOWN, set()),
    ],
)
def test_table(analysis, expected):
    event = StrategyRouter().on_bar(analysis, 0)
    assert event.active_strategies == expected
    assert event.deactivated == set(BOOTSTRAP) - expected
    assert event.activated == set()


def test_switches_of_single_strategies():
    assert StrategyRouter(enable_smc=True).on_bar(BULL, 0).active_strategies == {"dca", "trend_follower", "smc"}
    assert StrategyRouter(enable_trend_follower=False).on_bar(BULL, 0).active_strategies == {"dca"}
    both = StrategyRouter(trend_regimes=["bear_trend", "bull_trend"])
    assert both.on_bar(BEAR, 0).active_strategies == {"dca", "trend_follower"}


def test_no_regime_is_the_bootstrap_set_without_history():
    router = StrategyRouter()
    assert router.on_bar(None, 5).active_strategies == set(BOOTSTRAP)
    assert router.switch_history == []
    assert router.active_strategies == set(BOOTSTRAP)
    router.on_bar(RANGE, 6)
    assert router.on_bar(None, 7).active_strategies == set(BOOTSTRAP)
    assert router.active_strategies == {"grid"}
    assert len(router.switch_history) == 1


def test_the_first_switch_passes_and_the_next_waits():
    router = StrategyRouter(cooldown_bars=60)
    assert router.on_bar(RANGE, 3).cooldown_remaining == 0
    assert router.on_bar(RANGE, 4).cooldown_remaining == 0  # nothing wished, nothing to wait for
    event = router.on_bar(BEAR, 15)
    assert (event.active_strategies, event.blocked, event.cooldown_remaining) == ({"grid"}, True, 48)
    assert router.on_bar(BEAR, 62).cooldown_remaining == 1
    event = router.on_bar(BEAR, 63)
    assert (event.activated, event.deactivated, event.blocked) == ({"dca"}, {"grid"}, False)
    assert router.switch_history == [
        {"bar": 3, "from_strategies": list(BOOTSTRAP), "to_strategies": ["grid"], "regime": "wide_range"},
        {"bar": 63, "from_strategies": ["grid"], "to_strategies": ["dca"], "regime": "bear_trend"},
    ]


def test_cooldown_events_count_blocked_changes_not_candles():
    router = StrategyRouter(cooldown_bars=100)
    router.on_bar(RANGE, 0)
    for bar in (12, 24, 36):
        router.on_bar(BEAR, bar)
    assert router.cooldown_events == 1  # one change, asked three times
    router.on_bar(BULL, 48)
    assert router.cooldown_events == 2  # another change
    router.on_bar(RANGE, 60)
    router.on_bar(BULL, 72)
    assert router.cooldown_events == 3  # given up, then wished again
    router.on_bar(BULL, 100)
    assert router.cooldown_events == 3
    assert len(router.switch_history) == 2


def test_an_unchanged_set_is_no_switch():
    router = StrategyRouter()
    router.on_bar(RANGE, 0)
    event = router.on_bar(says("tight_range", "grid"), 12)
    assert not event.activated
    assert not event.blocked
    assert len(router.switch_history) == 1


def test_reset_goes_back_to_the_bootstrap_set():
    router = StrategyRouter()
    router.on_bar(RANGE, 50)
    router.on_bar(BEAR, 51)
    router.reset()
    assert (router.active_strategies, router.switch_history, router.cooldown_events) == (set(BOOTSTRAP), [], 0)
    assert router.on_bar(BEAR, 0).active_strategies == {"dca"}


def test_own_strategies_open_in_their_regimes():
    router = StrategyRouter(own={"breakout": {"quiet_transition"}, "hedge": None})
    assert router.on_bar(None, 0).active_strategies == {*BOOTSTRAP, "breakout", "hedge"}
    assert router.on_bar(QUIET, 0).active_strategies == {"breakout", "hedge"}
    assert router.on_bar(BEAR, 60).active_strategies == {"dca", "hedge"}


def test_cooldown_in_minutes():
    assert cooldown_in_bars(10, M5) == 2
    assert cooldown_in_bars(11, M5) == 3
    assert cooldown_in_bars(0, M5) == 0
    for wrong in (-1, math.nan, math.inf, "10", True):
        with pytest.raises(ConfigError, match="0 or more"):
            cooldown_in_bars(wrong, M5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: StrategyRouter(cooldown_bars=-1), "cooldown_bars must be a whole number, 0 or more; got -1"),
        (lambda: StrategyRouter(cooldown_bars=1.5), "cooldown_bars must be a whole number"),
        (lambda: StrategyRouter(enable_smc="yes"), "enable_smc must be True or False"),
        (lambda: StrategyRouter(trend_regimes="bull_trend"), "allowed is a list or set of regimes"),
        (lambda: StrategyRouter(trend_regimes=["bull"]), "unknown regime 'bull'.*did you mean 'bull_trend'"),
        (lambda: StrategyRouter(own={"grid": None}), "has the name of a built-in one"),
        (lambda: StrategyRouter(own={"mine": {"bul_trend"}}), "did you mean 'bull_trend'"),
        (lambda: StrategyRouter(own=["mine"]), "allowed is a mapping"),
        (lambda: StrategyRouter().on_bar("bull_trend", 0), "RegimeAnalysis or None; got 'bull_trend'"),
        (lambda: StrategyRouter().on_bar(BULL, -1), "current_bar must be a whole number"),
    ],
)
def test_bad_calls_are_refused(call, words):
    with pytest.raises(ConfigError, match=words):
        call()


def test_bars_must_not_go_back():
    router = StrategyRouter()
    router.on_bar(BULL, 10)
    with pytest.raises(ConfigError, match=r"bar 9 comes after bar 10.*reset"):
        router.on_bar(BULL, 9)


def test_checks_are_tied_to_the_clock_holes_and_the_start():
    rows = np.r_[0:20, 27:60]  # a hole before row 20
    times = START + M5 * rows
    assert np.flatnonzero(check_rows(times, M5, 12)).tolist() == [0, 11, 20, 28, 40, 52]
    assert np.flatnonzero(check_rows(times, M5, 12, warmup=15)).tolist() == [15, 20, 28, 40, 52]
    assert np.flatnonzero(check_rows(times, M5, 12, warmup=52)).tolist() == [52]
    assert not check_rows(times, M5, 12, warmup=53).any()
    later = check_rows(times[25:], M5, 12, warmup=1)  # the same whatever the span
    assert np.flatnonzero(later).tolist() == [1, 3, 15, 27]


def test_route_by_hand():
    codes = [0] * 3 + [2] * 12 + [4] * 12 + [6] * 33
    advice = [0] * 3 + [1] * 12 + [2] * 12 + [4] * 33
    times = START + M5 * np.arange(60)
    r = route(np.array(codes), np.array(advice), times, M5, names=["dca", "grid"], warmup=2, cooldown_bars=20)
    # row 2: unknown, empty; row 11: grid blocked until row 22; row 23: dca; row 35: nothing, blocked till 43; row 47
    assert [(s["bar"], s["from_strategies"], s["to_strategies"], s["regime"]) for s in r.switches] == [
        (2, list(BOOTSTRAP), [], "unknown"),
        (23, [], ["dca"], "bear_trend"),
        (47, ["dca"], [], "volatile_transition"),
    ]
    assert r.mask.tolist() == [0] * 23 + [1] * 24 + [0] * 13
    assert np.flatnonzero(r.blocked).tolist() == [11, 35]
    assert r.cooldown_events == 2
    assert r.regime.tolist() == [0] * 11 + [2] * 12 + [4] * 12 + [6] * 25
    assert r.recommendation[35] == RECOMMENDATIONS.index("reduce_exposure")  # told although the switch waits
    assert r.allows("dca").sum() == 24
    assert not r.allows("grid").any()


def test_a_left_out_grid_changes_no_switch():
    """The router mirrors the live bot; what a run leaves out is only taken out of its answers."""
    random = np.random.default_rng(1)
    regime = np.repeat(random.integers(1, 7, 30), 12)
    advice, times = regime % 5, START + M5 * np.arange(360)
    both, alone = (route(regime, advice, times, M5, names=names) for names in (["grid", "dca"], ["dca"]))
    assert both.switches == alone.switches
    assert len(both.switches) > 3
    assert (both.mask >> 1).tolist() == alone.mask.tolist()


def test_route_before_trading_is_empty():
    n = 50
    r = route(np.full(n, 2), np.full(n, 1), START + M5 * np.arange(n), M5, names=["grid"], warmup=30)
    assert r.mask.tolist() == [0] * 30 + [1] * 20
    assert r.regime.tolist() == [0] * 30 + [2] * 20
    assert not route(np.full(n, 2), np.full(n, 1), START + M5 * np.arange(n), M5, names=["grid"], warmup=n).mask.any()
    assert route(np.array([]), np.array([]), np.array([]), M5, names=["grid"]).mask.size == 0


def asked_row_by_row(regime, recommendation, times, every, warmup, names, own, **options):
    """The same answers from a `StrategyRouter`, one bar after the other."""
    router = StrategyRouter(
        enable_smc="smc" in names, enable_trend_follower="trend_follower" in names, own=own, **options
    )
    mask, blocked = np.zeros(len(times), np.uint8), np.zeros(len(times), bool)
    active = frozenset()
    for row, check in enumerate(check_rows(times, M5, every, warmup)):
        if check:
            event = router.on_bar(says(REGIMES[regime[row]], RECOMMENDATIONS[recommendation[row]]), row)
            active, blocked[row] = event.active_strategies, event.blocked
        mask[row] = sum(1 << names.index(name) for name in active if name in names)
    return mask, blocked, tuple(router.switch_history), router.cooldown_events


@st.composite
def journeys(draw):
    n = draw(st.integers(1, 150))
    runs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4), st.integers(1, 25)), min_size=1, max_size=40)
    codes = np.array([(r, s) for r, s, length in draw(runs) for _ in range(length)])
    codes = np.resize(codes, (n, 2))
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 1, 1, 2, 7]), min_size=n, max_size=n))
    own = draw(
        st.dictionaries(st.sampled_from(["alpha", "beta", "gamma"]), st.none() | st.sets(st.sampled_from(REGIMES)))
    )
    names = draw(st.permutations([*draw(st.sets(st.sampled_from(BOOTSTRAP))), *own]))
    return {
        "regime": codes[:, 0],
        "recommendation": codes[:, 1],
        "times": START + M5 * np.cumsum(steps),
        "every": draw(st.integers(1, 13)),
        "warmup": draw(st.integers(0, n + 2)),
        "names": names,
        "own": own,
        "cooldown_bars": draw(st.integers(0, 40)),
        "trend_regimes": draw(st.sets(st.sampled_from(REGIMES))),
    }


@settings(max_examples=400, deadline=None)
@given(journeys())
def test_route_equals_the_router_asked_row_by_row(journey):
    mask, blocked, switches, events = asked_row_by_row(**journey)
    r = route(
        journey["regime"],
        journey["recommendation"],
        journey["times"],
        M5,
        names=journey["names"],
        warmup=journey["warmup"],
        check_every=journey["every"],
        cooldown_bars=journey["cooldown_bars"],
        trend_regimes=journey["trend_regimes"],
        own=journey["own"],
    )
    assert r.mask.tolist() == mask.tolist()
    assert r.blocked.tolist() == blocked.tolist()
    assert r.switches == switches
    assert r.cooldown_events == events


def test_route_knows_no_future():
    random = np.random.default_rng(0)
    columns = {
        "regime": np.repeat(random.integers(0, 7, 60), 5),
        "close": random.random(300),
        "time": START + M5 * np.arange(300),
    }

    def outputs(columns):
        regime = (columns["regime"] + (columns["close"] * 100).astype(int)) % 7  # floats are what a mutation changes
        r = route(regime, regime % 5, columns["time"], M5, names=["grid", "dca"], check_every=3, cooldown_bars=9)
        return {
            "mask": r.mask,
            "blocked": r.blocked,
            "switches": Events(
                np.array([s["bar"] for s in r.switches]), {"regime": np.array([s["regime"] for s in r.switches])}
            ),
        }

    assert look_ahead(outputs, columns) is None


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"names": "grid"}, ConfigError, "allowed is a list"),
        ({"names": ["grid", "mine"]}, ConfigError, "'mine' is neither built in"),
        ({"names": ["grid", "grid"]}, ConfigError, "each once"),
        ({"names": ["grid"], "own": {"mine": None}}, ConfigError, "'mine' is not in names"),
        ({"names": [f"s{i}" for i in range(9)], "own": {f"s{i}": None for i in range(9)}}, ConfigError, "at most 8"),
        ({"regime": np.full(20, 7)}, DataError, "codes from 7 to 7, allowed are 0 to 6"),
        ({"recommendation": np.full(20, -1)}, DataError, "allowed are 0 to 4"),
        ({"regime": np.full(20, 1.0)}, DataError, "integer codes"),
        ({"regime": np.zeros((20, 1), int)}, DataError, "integer codes"),
        ({"regime": np.zeros(19, int)}, DataError, "differ in length"),
        ({"open_time_ms": START - M5 * np.arange(20)}, DataError, "row 1: times must rise"),
        ({"open_time_ms": np.arange(20.0)}, DataError, "open_time_ms"),
        ({"duration_ms": 0}, ConfigError, "duration_ms must be a whole number, 1 or more"),
        ({"check_every": 0}, ConfigError, "regime_check_every_n must be"),
        ({"warmup": -1}, ConfigError, "warmup must be"),
        ({"warmup": 1.0}, ConfigError, "warmup must be"),
        ({"cooldown_bars": -1}, ConfigError, "cooldown_bars must be"),
        ({"trend_regimes": ["trend"]}, UnknownName, "unknown regime 'trend'"),
    ],
)
def test_bad_routes_are_refused(change, error, words):
    arguments = {
        "regime": np.zeros(20, int),
        "recommendation": np.zeros(20, int),
        "open_time_ms": START + M5 * np.arange(20),
        "duration_ms": M5,
        "names": ["grid"],
    } | change
    with pytest.raises(error, match=words):
        route(**arguments)


def test_asking_a_route_for_a_stranger_is_refused():
    r = route(np.zeros(2, int), np.zeros(2, int), START + M5 * np.arange(2), M5, names=["grid"])
    with pytest.raises(ConfigError, match="'smc' is not part of this route; got grid"):
        r.allows("smc")
