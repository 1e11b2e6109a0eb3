"""Trials on a part of the candles are those of a sweep that never saw the others, to the last bit."""

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from traderagent.base.space import Points, Space
from traderagent.engine.plan import members_of
from traderagent.engine.tape import tape_of, until
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import COLUMNS, resample
from traderagent.metrics.record import METRICS
from traderagent.research.sweep import job_of, survey, sweep
from traderagent.robustness.spans import Span, run_spans
from traderagent.robustness.splits import Interval

CONFIG = ta.OrchestratorBacktestConfig(
    grid_params={"trailing_cooldown_candles": 12},
    dca_params={"trigger_pct": 0.01, "high_lookback": 50},
    tf_params={"volume_ratio": 0.0, "divergence_pct": 0.001},
    smc_params={"swing_length": 2, "min_confidence": 0.0, "min_risk_reward": 0.5},
    trend_regimes=["bull_trend", "bear_trend", "tight_range", "wide_range"],
    enable_smc=True,
    liquidate_at_end=True,
)
SPACE = {"dca_tp_pct": [0.005, 0.02], "grid_num_levels": [3, 10], "router_cooldown_bars": [0, 60]}
WAYS = {
    "spot": CONFIG,
    "perpetual": CONFIG.replace(
        account="perpetual", leverage=5.0, grid_params=CONFIG.grid_params | {"direction": "neutral"}
    ),
    "limits": CONFIG.replace(max_daily_loss_pct=0.01, portfolio_stop_loss_pct=0.03, on_deactivate="flatten"),
    "held at the end": CONFIG.replace(liquidate_at_end=False),
    "everybody": CONFIG.replace(enable_strategy_router=False),
    "detail": CONFIG.replace(path="detail"),
}
# whole days, the first one before the warm-up has ended; in the middle of an hour; behind a hole
CUTS = [("01-01", "01-16"), ("01-12 07:35", "01-19 03:20"), ("01-17", "01-21 12:05"), ("01-20 23:55", "01-30 00:05")]


def with_hole(data: MultiTimeframeData, detail: pd.DataFrame) -> MultiTimeframeData:
    """Without the candles from the evening of one day to the noon after the next, and a few single ones."""
    index = data.index
    keep = (index < pd.Timestamp("2024-01-18 20:20", tz="UTC")) | (index >= pd.Timestamp("2024-01-20 12:05", tz="UTC"))
    keep &= ~np.isin(np.arange(len(index)), [3000, 3001, 4000, 6000])
    frame = data.candles[list(COLUMNS)][keep]
    return MultiTimeframeData.from_base(
        data.symbol, frame, instrument=data.instrument, detail=detail, detail_timeframe="1m"
    )


@pytest.fixture(scope="module")
def data() -> MultiTimeframeData:
    fine = ta.load_market("synthetic", symbols=1, days=32, seed=5, timeframe="1m", progress=False)["SYN-01"]
    minutes = fine.candles[list(COLUMNS)]
    base = MultiTimeframeData.from_base("SYN-01", resample(minutes, "5m"), instrument=fine.instrument)
    return with_hole(base, minutes)


def spans_of(*cuts: tuple[str, str]) -> list[Span]:
    times = [[pd.Timestamp(f"2024-{text}", tz="UTC").as_unit("ms") for text in cut] for cut in cuts]
    return [Span(Interval(*cut), daily=True) for cut in times]


def runs_of(data, config, space, spans, strategies=(), workers=2):
    space = space if isinstance(space, Points) else Space.of(space)
    own = members_of(config, strategies)[len(config.strategies()) :]
    job = job_of({data.symbol: data}, config, own, space, survey(config, own, space)[0], None, True, 64)
    return job, run_spans(job, {data.symbol: data}, spans, workers, False)


@pytest.mark.parametrize("way", WAYS)
def test_a_span_is_the_sweep_of_the_candles_up_to_its_end(data, way):
    config, spans = WAYS[way], spans_of(*CUTS)
    space = {name: SPACE[name] for name in SPACE if config.enable_strategy_router or not name.startswith("router")}
    job, runs = runs_of(data, config, space, spans)
    traded = 0
    for k, span in enumerate(spans):
        first = max(int(data.index.searchsorted(span.interval.start)), int(job.config.warmup_bars))
        alone = config.replace(warmup_bars=first)
        cube = sweep(data.slice(None, span.interval.end), alone, space, progress=False)
        for m, name in enumerate(METRICS):
            assert runs.values[0, k, :, m].tobytes() == cube[name].to_numpy().tobytes(), (name, k)
        days = cube.day.to_numpy().astype("datetime64[D]").astype(int)
        ours = runs.daily[k][0].astype(np.float32)[:, days - span.days[0]]
        assert ours.tobytes() == cube.returns.to_numpy().tobytes()
        assert np.isnan(np.delete(runs.daily[k][0], days - span.days[0], axis=1)).all()
        traded += int(cube.round_trips.sum())
    assert traded > 300


def test_workers_change_no_byte(data):
    found = [runs_of(data, CONFIG, SPACE, spans_of(*CUTS), workers=n)[1] for n in (1, 3)]
    assert found[0].values.tobytes() == found[1].values.tobytes()
    assert found[0].sums.tobytes() == found[1].sums.tobytes()
    assert [found[0].daily[k].tobytes() for k in range(4)] == [found[1].daily[k].tobytes() for k in range(4)]


def test_blocks_of_points_change_no_byte(data, monkeypatch):
    from traderagent.research import sweep as module

    whole = runs_of(data, CONFIG, SPACE, spans_of(*CUTS[:2]))[1]
    monkeypatch.setattr(module, "_block", lambda chunk, distinct, longest: 3)
    pieces = runs_of(data, CONFIG, SPACE, spans_of(*CUTS[:2]))[1]
    assert whole.values.tobytes() == pieces.values.tobytes()
    assert whole.daily[1].tobytes() == pieces.daily[1].tobytes()


def test_sums_are_those_of_the_daily_returns(data):
    _, runs = runs_of(data, CONFIG, SPACE, spans_of(("01-10 07:35", "01-17 03:20")))
    returns = runs.daily[0][0]
    assert np.isfinite(returns).all()
    np.testing.assert_allclose(runs.sums[0, 0, :, 0], returns.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(runs.sums[0, 0, :, 1], (returns**2).sum(axis=1), rtol=1e-12)
    assert (runs.sums[0, 0, :, 2] == returns.shape[1]).all()
    np.testing.assert_allclose(runs.metric("total_return_pct")[0, 0] / 100, (1 + returns).prod(axis=1) - 1, atol=1e-12)


def test_a_span_without_candles_says_so(data):
    spans = spans_of(("01-01", "01-02"), ("01-19", "01-20"), CUTS[0])
    job, runs = runs_of(data, CONFIG, SPACE, spans)
    warmup = job.config.warmup_bars
    assert set(runs.why) == {("SYN-01", 0), ("SYN-01", 1)}
    assert runs.why["SYN-01", 1] == f"0 candles after a warm-up of {warmup}, 2 are needed"
    assert np.isnan(runs.values[0, :2]).all()
    assert np.isfinite(runs.metric("total_return_pct")[0, 2]).all()


def test_a_refused_point_stays_undefined(data):
    points = Points.of([{"tf_ema_fast": 10, "tf_ema_slow": 20}, {"tf_ema_fast": 30, "tf_ema_slow": 20}])
    _, runs = runs_of(data, CONFIG, points, spans_of(CUTS[0]))
    total = runs.metric("total_return_pct")[0, 0]
    assert np.isfinite(total[0])
    assert np.isnan(total[1])
    assert np.isnan(runs.daily[0][0, 1]).all()


class Sneak(ta.Strategy):
    """Buys below the mean of all candles there are, later ones included."""

    size: float = ta.parameter(0.2, low=0.0, high=1.0)

    def features(self, m5):
        return {"mean": np.full(len(m5.close.values), m5.close.values.mean())}

    def decide(self, now, book):
        return ta.buy(size=self.size) if book.quantity == 0 and now.close < now.mean else None


class Honest(Sneak):
    """Buys below the mean of the last hours."""

    def features(self, m5):
        return {"mean": ta.indicators.sma(m5.close, 50)}

    def decide(self, now, book):
        if book.quantity > 0:
            return ta.close() if now.close > now.mean else None
        return ta.buy(size=self.size) if now.close < now.mean else None


def test_own_features_that_look_ahead_are_refused(data):
    with pytest.raises(ta.RuleError, match=r"Sneak\.features: 'mean' looks ahead: at the candle of 2024-01-01"):
        runs_of(data, CONFIG.only(), {"sneak_size": [0.1, 0.2]}, spans_of(*CUTS), [Sneak()])


@pytest.mark.filterwarnings("ignore:Table.features cannot be asked")
def test_own_features_that_cannot_be_asked_are_refused(data):
    of_all = data.candles["close"].to_numpy()

    class Table(Sneak):
        def features(self, m5):
            return {"mean": of_all}

    with pytest.raises(ta.RuleError, match="table: its features cannot be computed on the candles of a training alone"):
        runs_of(data, CONFIG.only(), {"table_size": [0.1, 0.2]}, spans_of(*CUTS), [Table()])


def test_own_strategies_run_on_spans(data):
    space, span = {"honest_size": [0.1, 0.2]}, spans_of(CUTS[1])
    _, runs = runs_of(data, CONFIG.only(), space, span, [Honest()])
    first = int(data.index.searchsorted(span[0].interval.start))
    config = CONFIG.only().replace(warmup_bars=first)
    cube = sweep(data.slice(None, span[0].interval.end), config, space, strategies=[Honest()], progress=False)
    assert runs.metric("total_return_pct")[0, 0].tobytes() == cube.total_return_pct.to_numpy().tobytes()
    assert (cube.round_trips > 5).all()


@pytest.mark.parametrize("stop", [1, 12, 13, 287, 288, 289, 3000, 3001, 4500, 5500, 5501, 8000])
def test_a_tape_until_a_row_is_that_of_the_candles_alone(data, stop):
    end = data.index[stop - 1] + pd.Timedelta(data.duration, "ms")
    ours, alone = until(tape_of(data), stop), tape_of(data.slice(None, end))
    for name in (*COLUMNS, "time", "next_day", "blocks"):
        a, b = getattr(ours, name), getattr(alone, name)
        assert a.dtype == b.dtype, name
        assert len(a) == len(b), name
        assert (a == b).all(), name
    assert (len(ours), ours.duration) == (len(alone), alone.duration)
