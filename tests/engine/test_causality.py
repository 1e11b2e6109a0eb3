"""No strategy, detector or whole run knows the future, by cutting it off and by changing it; offenders are caught."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from tests.causality import Events, look_ahead
from tests.engine.real import needs_candles, real
from tests.reference.markets import random_candles
from traderagent.engine.backtest import execute
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.plan import plan, regimes_on_base
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import COLUMNS, candle_frame, milliseconds, traded
from traderagent.market.instruments import Instrument
from traderagent.routing import DETECTORS
from traderagent.strategies import features as feature_module
from traderagent.strategies.base import STRATEGIES
from traderagent.strategies.dca import Dca
from traderagent.strategies.features import frames_of

M5, HOUR, DAY = 300_000, 3_600_000, 86_400_000
INSTRUMENT = Instrument(tick=0.01, step=0.0001, min_notional=5.0, origin="synthetic")
# Parameters with which each strategy has something to say on a few days of candles; others run on their defaults.
LIVELY = {
    "grid": {
        "num_levels": 6,
        "atr_multiplier": 1.0,
        "trailing_shift_threshold_pct": 0.0,
        "trailing_cooldown_candles": 12,
    },
    "dca": {
        "trigger_pct": 0.01,
        "high_lookback": 100,
        "tp_pct": 0.01,
        "trailing_activation_pct": 0.004,
        "trailing_distance_pct": 0.003,
    },
    "trend_follower": {"volume_ratio": 0.0, "divergence_pct": 0.001},
    "smc": {
        "swing_length": 2,
        "atr_period": 5,
        "zone_atr": 2.0,
        "min_confidence": 0.0,
        "min_risk_reward": 0.1,
        "max_hold_hours": 3.0,
    },
}
ROUTED = OrchestratorBacktestConfig(
    grid_params=LIVELY["grid"],
    dca_params=LIVELY["dca"],
    tf_params=LIVELY["trend_follower"],
    smc_params=LIVELY["smc"],
    max_daily_loss_pct=0.02,
    warmup_bars=800,
    router_cooldown_bars=24,
)


def columns_of(data: MultiTimeframeData) -> dict[str, np.ndarray]:
    frame = traded(data.candles)
    return {"open_time": milliseconds(frame.index), **{c: frame[c].to_numpy(copy=True) for c in COLUMNS}}


def data_of(columns: dict[str, np.ndarray]) -> MultiTimeframeData:
    frame = candle_frame(columns["open_time"], np.column_stack([columns[c] for c in COLUMNS]))
    return MultiTimeframeData.from_base("CAUSALUSDT", frame, instrument=INSTRUMENT)


def synthetic() -> dict[str, np.ndarray]:
    """Seven and a half days with two holes, one of them over a midnight."""
    drawn = random_candles(11, 2_200, volatility=0.004)
    columns = {name: np.asarray(values) for name, values in drawn.items()}
    columns["open_time"] = columns["open_time"].astype(np.int64)
    columns["open_time"][1_400:] += 40 * M5
    return columns


def cut_points(columns: dict[str, np.ndarray], first: int) -> list[int]:
    """Rows after which the future goes: within an hour and at its end, within a day and at its end, before and right
    after each hole, and near both ends."""
    time = columns["open_time"]
    rows = np.arange(len(time))
    after_hole = np.flatnonzero(np.diff(time) > M5) + 1
    ends_hour, ends_day = (time + M5) % HOUR == 0, (time + M5) % DAY == 0
    middle = (first + len(time)) // 2
    chosen = [first + 1, len(time) - 2, *after_hole, *(after_hole - 1), *(after_hole + 1)]
    for wanted in (ends_hour, ends_day, time % HOUR == 6 * M5, (time % DAY == 13 * HOUR + 7 * M5)):
        chosen += [r for r in rows[wanted] if r >= middle][:1]
    chosen += list(np.linspace(first + 2, len(time) - 2, 5).astype(int))
    return sorted({int(r) for r in chosen if first < r < len(time) - 1})


def features(cls: type, columns: dict[str, np.ndarray], **parameters: object) -> dict[str, np.ndarray]:
    return cls(**parameters).features(frames_of(data_of(columns)))


def detected(name: str, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return dict(regimes_on_base(data_of(columns), OrchestratorBacktestConfig(detector=name)))


def whole_run(
    config: OrchestratorBacktestConfig,
    columns: dict[str, np.ndarray],
    strategies: tuple = (),
    every_candle: bool = False,
) -> dict[str, object]:
    """Everything that a run says of its rows: fills, round trips, curves, reserved cash (every order), route."""
    layout = plan(data_of(columns), config, strategies)
    result = execute(layout, every_candle=every_candle)
    fills, trips = result.raw.fills, result.raw.round_trips
    outputs = {
        "fills": Events(fills["row"], {name: fills[name] for name in fills.dtype.names}),
        "round trips": Events(trips["exit_row"], {name: trips[name] for name in trips.dtype.names}),
        "ledger": result.raw.ledger,
        "equity": result.equity.to_numpy(),
        "mask": layout.mask,
        "regime": layout.regime,
        "size factor": layout.size_factor,
    }
    if layout.route is not None:
        bars = np.array([s["bar"] for s in layout.route.switches], np.int64)
        to = np.array([",".join(s["to_strategies"]) for s in layout.route.switches])
        outputs["switches"] = Events(bars, {"to": to})
    return outputs


def decided(run: Callable, columns: dict[str, np.ndarray], first: int) -> list[int]:
    """Cut points, and up to 30 closes at which something was decided that filled at the next open."""
    before = np.unique(run(columns)["fills"].rows - 1)
    return sorted({*cut_points(columns, first), *(int(r) for r in before[:: max(1, len(before) // 30)] if r > first)})


def only(name: str) -> OrchestratorBacktestConfig:
    return ROUTED.only(name).replace(warmup_bars=300)


def test_every_built_in_strategy_is_tried_where_it_trades() -> None:
    assert set(LIVELY) == set(STRATEGIES)
    for name in STRATEGIES:
        assert len(whole_run(only(name), synthetic())["fills"].rows) > 10, name


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("parameters", ["default", "lively"])
def test_features_know_no_future(name: str, parameters: str) -> None:
    chosen = LIVELY[name] if parameters == "lively" else {}
    columns = synthetic()
    assert look_ahead(partial(features, STRATEGIES[name], **chosen), columns, rows=cut_points(columns, 20)) is None


@pytest.mark.parametrize("name", DETECTORS)
def test_regimes_on_base_candles_know_no_future(name: str) -> None:
    columns = synthetic()
    assert len(np.unique(detected(name, columns)["regime"])) > 2
    assert look_ahead(partial(detected, name), columns, rows=cut_points(columns, 20)) is None


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("every_candle", [False, True])
def test_runs_of_a_strategy_know_no_future(name: str, every_candle: bool) -> None:
    columns = synthetic()
    run = partial(whole_run, only(name), every_candle=every_candle)
    assert look_ahead(run, columns, rows=decided(run, columns, 300)) is None


def test_runs_of_the_orchestrator_know_no_future() -> None:
    columns = synthetic()
    whole = whole_run(ROUTED, columns)
    assert len(whole["switches"].rows) > 2
    assert len(whole["fills"].rows) > 50
    run = partial(whole_run, ROUTED)
    assert look_ahead(run, columns, rows=decided(run, columns, 800)) is None


@needs_candles
@pytest.mark.slow
@pytest.mark.parametrize(("year", "symbol"), [("2022", "SOLUSDT"), ("2024", "BTCUSDT"), ("2024", "PEPEUSDT")])
def test_nothing_knows_the_future_on_real_candles(year: str, symbol: str) -> None:
    columns = columns_of(real(year, symbol)[symbol])
    keep = np.ones(len(columns["open_time"]), bool)
    keep[9_000:9_016] = keep[12_031] = False  # the source's own holes are elsewhere; these are where we look
    columns = {name: values[keep][:16_000] for name, values in columns.items()}
    rows = cut_points(columns, 8_000)
    assert len(rows) > 10
    for name in STRATEGIES:
        assert look_ahead(partial(features, STRATEGIES[name]), columns, rows=rows) is None
        assert look_ahead(partial(whole_run, only(name)), columns, rows=rows) is None
    for name in DETECTORS:
        assert look_ahead(partial(detected, name), columns, rows=rows) is None
    assert look_ahead(partial(whole_run, ROUTED), columns, rows=rows) is None


# --- offenders: each must be caught by the same check ------------------------------------------------
class Peeking(Dca):
    """Buys where the next candle closes higher."""

    name = "peeking"
    prefix = "peeking_"

    def features(self, data):
        close = data["base"].close
        return {"trigger": np.append(close[1:] > close[:-1], False).astype(float)}


class ByLabel(Dca):
    """Sees an hour from its opening on, as the earlier system did: fault 1."""

    name = "by_label"
    prefix = "by_label_"

    def features(self, data):
        base, hours = data["base"], data["1h"]
        running = np.searchsorted(hours.time, base.time, side="right") - 1
        return {"trigger": (hours.close[running] > base.close).astype(float)}


class CalmDays(Dca):
    """Asks of the whole history whether it ever jumps: only changed candles give it away."""

    name = "calm_days"
    prefix = "calm_days_"

    def features(self, data):
        close = data["base"].close
        jumps = np.abs(np.diff(np.log(close))) > 0.08
        return {"trigger": np.full(len(close), 0.0 if jumps.any() else 1.0)}


ALONE = OrchestratorBacktestConfig(
    enable_grid=False, enable_dca=False, enable_trend_follower=False, enable_strategy_router=False, warmup_bars=300
)


@pytest.mark.parametrize("offender", [Peeking, ByLabel, CalmDays])
def test_a_strategy_that_looks_ahead_is_caught(offender: type) -> None:
    columns = synthetic()
    rows = cut_points(columns, 300)
    sentence = look_ahead(partial(features, offender), columns, rows=rows)
    assert sentence is not None
    assert "'trigger'" in sentence
    run: Callable = partial(whole_run, ALONE, strategies=(offender(),))
    assert len(run(columns)["fills"].rows) > 3
    assert look_ahead(run, columns, rows=decided(run, columns, 300)) is not None


@pytest.mark.parametrize("name", ["grid", "trend_follower"])
def test_frames_aligned_by_label_are_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 1 in the one place through which every frame is read."""

    def by_label(open_time, duration, frame_open_time, frame_duration):
        return np.searchsorted(frame_open_time, open_time, side="right") - 1

    monkeypatch.setattr(feature_module, "last_closed", by_label)
    columns = synthetic()
    rows = cut_points(columns, 300)
    assert look_ahead(partial(features, STRATEGIES[name], **LIVELY[name]), columns, rows=rows) is not None
    assert look_ahead(partial(whole_run, only(name)), columns, rows=rows) is not None
    assert look_ahead(partial(detected, "market_regime"), columns, rows=rows) is not None
