"""Indicators, regime, router and metrics against their plain-Python twins on generated markets."""

import math
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.reference.indicators as twin
import tests.reference.regime as twin_regime
import tests.reference.router as twin_router
from tests.causality import candles
from traderagent.indicators import INDICATORS
from traderagent.metrics import METRICS, RUN_METRICS
from traderagent.routing import (
    RECOMMENDATIONS,
    REGIMES,
    MarketRegimeDetector,
    RegimeAnalysis,
    StrategyRouter,
    check_rows,
    route,
)

HOUR, M5, DAY = 3_600_000, 300_000, 86_400_000
twin_metrics = import_module("tests.reference.metrics")  # its package has a function of that name
START = 1_704_067_200_000

TWINS = {
    "sma": lambda c, n: twin.sma(c["close"], n),
    "ema": lambda c, n: twin.ema(c["close"], n),
    "rsi": lambda c, n: twin.rsi(c["close"], n),
    "true_range": lambda c: twin.true_range(c["high"], c["low"], c["close"]),
    "atr": lambda c, n: twin.atr(c["high"], c["low"], c["close"], n),
    "adx": lambda c, n: twin.adx(c["high"], c["low"], c["close"], n),
    "bollinger": lambda c, n, width: twin.bollinger(c["close"], n, width),
    "rolling_max": lambda c, n: twin.rolling_max(c["high"], n),
    "rolling_min": lambda c, n: [-x for x in twin.rolling_max([-x for x in c["low"]], n)],
    "volume_ratio": lambda c, n: twin.volume_ratio(c["volume"], n),
    "volume_surge": lambda c, n: twin.volume_ratio_previous(c["volume"], n),
}


@st.composite
def markets(draw, least=1, most=300):
    """Candles at prices from 1e-5 to 1e5: drifting, jumping, standing still, without volume."""
    n = draw(st.integers(least, most))
    c = candles(n, draw(st.integers(0, 2**32 - 1)), 10.0 ** draw(st.integers(-5, 5)), 10.0 ** draw(st.floats(-4, -1.5)))
    drift = np.exp(np.arange(n) * draw(st.sampled_from([0.0, 0.0, 0.002, -0.002])))
    c = {k: v if k == "volume" else v * drift for k, v in c.items()}
    for _ in range(draw(st.integers(0, 2))):  # flat and silent stretches
        a = draw(st.integers(0, n - 1))
        b = min(n, a + draw(st.integers(1, 60)))
        for k in ("open", "high", "low", "close"):
            c[k][a:b] = c["close"][max(a - 1, 0)]
        c["volume"][a:b] = 0.0
    return c


def lists(columns):
    return {k: v.tolist() for k, v in columns.items()}


def test_every_indicator_has_a_twin():
    assert set(TWINS) == set(INDICATORS)


@settings(max_examples=60, deadline=None)
@given(markets(), st.integers(2, 30))
def test_indicators(columns, n):
    """Relative to the price where values cancel (true range, deviation), relative to the value elsewhere."""
    price = max(columns["high"])
    for name, record in INDICATORS.items():
        parameters = {k: n if k == "n" else v for k, v in record.samples[-1].items()}
        ours = list(record.columns(pd.DataFrame(columns), **parameters).values())
        theirs = TWINS[name](lists(columns), **parameters)
        tolerance = 1e-9 * price if name in ("true_range", "atr", "bollinger", "sma", "ema") else 1e-9
        for mine, other in zip(ours, theirs if isinstance(theirs, tuple) else (theirs,), strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-9, atol=tolerance * 1e-3, err_msg=name)


@settings(max_examples=40, deadline=None)
@given(markets(60, 400))
def test_regimes(columns):
    n = columns["close"].size
    time = START + HOUR * np.arange(n)
    index = pd.DatetimeIndex(time.astype("datetime64[ms]"), tz="UTC", name="open_time")
    h1 = pd.DataFrame(columns, index=index)
    history = MarketRegimeDetector().history(h1)
    theirs = twin_regime.regime_history(lists(columns) | {"open_time": time.tolist()})
    numbers = [f for f in RegimeAnalysis.__dataclass_fields__ if history[f].dtype == np.float64]
    for k, other in enumerate(theirs):
        row = {name: history[name].values[k] for name in history.data_vars}
        assert REGIMES[row["regime"]] == other.regime, k
        assert RECOMMENDATIONS[row["recommended_strategy"]] == other.recommended_strategy, k
        assert REGIMES[row["previous_regime"]] == other.previous_regime, k
        assert (None if np.isnat(row["since"]) else int(row["since"].astype(np.int64))) == other.since, k
        np.testing.assert_allclose(
            [row[f] for f in numbers], [getattr(other, f) for f in numbers], rtol=1e-7, atol=1e-7, err_msg=str(k)
        )
    last = MarketRegimeDetector().analyze(h1)
    assert (last.regime, last.recommended_strategy) == (theirs[-1].regime, theirs[-1].recommended_strategy)


@st.composite
def journeys(draw):
    runs = draw(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4), st.integers(1, 30)), min_size=1, max_size=30))
    codes = np.array([(r, s) for r, s, length in runs for _ in range(length)])
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 1, 5]), min_size=len(codes), max_size=len(codes)))
    return codes, START + M5 * np.cumsum(steps)


@settings(max_examples=200, deadline=None)
@given(
    journeys(),
    st.integers(0, 50),
    st.booleans(),
    st.booleans(),
    st.sets(st.sampled_from(REGIMES)),
    st.integers(1, 13),
    st.integers(0, 20),
)
def test_router_and_route(journey, cooldown, trend, smc, trend_regimes, every, warmup):
    codes, times = journey
    options = {
        "cooldown_bars": cooldown,
        "enable_trend_follower": trend,
        "enable_smc": smc,
        "trend_regimes": trend_regimes,
    }
    ours, theirs = StrategyRouter(**options), twin_router.StrategyRouter(**options)
    names = ["grid", "dca", *(["trend_follower"] if trend else []), *(["smc"] if smc else [])]
    whole = route(
        codes[:, 0],
        codes[:, 1],
        times,
        M5,
        names=names,
        warmup=warmup,
        check_every=every,
        cooldown_bars=cooldown,
        trend_regimes=trend_regimes,
    )
    rows = check_rows(times, M5, every, warmup)
    active = frozenset()
    for bar in range(warmup, len(codes)):
        assert rows[bar] == twin_router.is_check_row(times.tolist(), bar, M5, every, warmup)
        if rows[bar]:
            said = RegimeAnalysis(REGIMES[codes[bar, 0]], recommended_strategy=RECOMMENDATIONS[codes[bar, 1]])
            mine, other = ours.on_bar(said, bar), theirs.on_bar(said, bar)
            assert (mine.active_strategies, mine.activated, mine.deactivated, mine.cooldown_remaining) == (
                other.active_strategies,
                other.activated,
                other.deactivated,
                other.cooldown_remaining,
            )
            active = other.active_strategies
        assert {name for name in names if whole.allows(name)[bar]} == active & set(names)
    told = [(s["bar"], s["from"], s["to"], s["regime"]) for s in theirs.switch_history]
    for switches in (ours.switch_history, whole.switches):
        assert [(s["bar"], set(s["from_strategies"]), set(s["to_strategies"]), s["regime"]) for s in switches] == told
    assert ours.cooldown_events == whole.cooldown_events == theirs.cooldown_events


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 200), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e-6, 0.01]))
def test_metrics_of_a_curve(n, seed, scale):
    returns = np.random.default_rng(seed).normal(0, scale, n) if scale else np.zeros(n)
    equity = 1_000.0 * np.cumprod(1 + returns)
    run = SimpleNamespace(
        equity=equity.tolist(), initial_balance=1_000.0, final_equity=float(equity[-1]), warmup=0, duration_ms=DAY
    )
    opens = [START + DAY * i for i in range(n)]
    own = twin_metrics.simple_returns([1_000.0, *run.equity])
    totals = {
        "initial": 1_000.0,
        "final": run.final_equity,
        "periods_per_year": 365.0,
        "span_ms": n * DAY,
        "max_drawdown": max(twin_metrics.drawdowns(run)),
        "n_returns": n,
        "sum_r": sum(own),
        "sum_r2": sum(r * r for r in own),
        "sum_down2": sum(min(r, 0.0) ** 2 for r in own),
        "n_days": n,
        "sum_d": sum(own),
        "sum_d2": sum(r * r for r in own),
    }
    curve = {"equity": run.equity, "close_ms": [t + DAY for t in opens], "initial": 1_000.0, "start_ms": opens[0]}
    by_day = list(twin_metrics.daily_returns(run, opens).values())
    fallen = twin_metrics.drawdowns(run)
    annual = twin_metrics.annual_return_pct(run, n)
    daily = twin_metrics.divide(twin_metrics.mean(by_day), twin_metrics.sample_deviation(by_day)) * math.sqrt(365)
    expected = {
        "sharpe_ratio": twin_metrics.sharpe_ratio(own, 365.0),
        "sortino_ratio": twin_metrics.sortino_ratio(own, 365.0),
        "sharpe_ratio_daily": daily,
        "annual_return_pct": annual,
        "calmar_ratio": twin_metrics.divide(annual, max(fallen) * 100),
        "time_under_water": twin_metrics.time_under_water(run, opens),
        "ulcer_index": math.sqrt(twin_metrics.mean([(x * 100) ** 2 for x in fallen])),
    }
    for name, value in expected.items():
        mine = METRICS[name](totals) if name in METRICS else RUN_METRICS[name](curve)
        assert mine == pytest.approx(value, rel=1e-7, abs=1e-9, nan_ok=True), name
