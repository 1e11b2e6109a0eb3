"""The embedded market: the same for a seed, labelled, and with edges exactly where they were planted."""

import subprocess
import sys
from functools import cache

import numpy as np
import pandas as pd
import pytest

from traderagent.base.errors import ConfigError
from traderagent.market.frames import milliseconds, resample
from traderagent.market.load import load_market
from traderagent.market.quality import check, quality
from traderagent.market.synthetic import generate, synthetic_symbol, tick_walk

NAMES = [f"SYN-{i:02d}" for i in range(1, 9)]
CLUSTERS = {"STABLE": (0.0, 0.5), "BLUE_CHIPS": (0.5, 2.0), "MID_CAPS": (2.0, 5.0), "MEMES": (5.0, np.inf)}


@cache
def returns(name, seed, mode="market", days=45, edge_strength=1.0):
    close = generate(name, days=days, seed=seed, mode=mode, edge_strength=edge_strength).m5["close"].to_numpy()
    return np.diff(close) / close[:-1], np.log(close)


def test_one_seed_gives_the_same_candles_whatever_the_neighbours_are(synthetic):
    alone = load_market("synthetic", symbols=["SYN-05"], days=200, seed=7, progress=False, workers=1)
    assert alone["SYN-05"].hash == synthetic["SYN-05"].hash
    pair = load_market("synthetic", symbols=["SYN-09", "SYN-05"], days=200, seed=7, progress=False, workers=2)
    assert pair["SYN-05"].hash == synthetic["SYN-05"].hash
    assert generate("SYN-05", seed=8, days=2).hash != generate("SYN-05", seed=7, days=2).hash
    assert len({d.hash for d in synthetic.values()}) == 8


def test_a_longer_market_begins_with_the_shorter_one():
    """Odd lengths cross the chunks in which the path is drawn."""
    long = generate("SYN-02", days=20, seed=3, detail=True)
    for days in (1, 7.003, 13.37):
        short = generate("SYN-02", days=days, seed=3, detail=True)
        assert short.m5.equals(long.m5.iloc[: len(short)])
        assert short.detail.equals(long.detail.iloc[: 5 * len(short)])


def test_another_process_makes_the_same_candles():
    code = (
        "from traderagent.market.synthetic import generate\n"
        "print(generate('SYN-04', days=3, seed=11, detail=True).hash)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == generate("SYN-04", days=3, seed=11, detail=True).hash


def test_candles_are_valid_and_named_by_what_they_are(synthetic):
    assert synthetic.symbols == NAMES
    assert synthetic.synthetic
    for name, data in synthetic.items():
        check(data.m5, name, "5m")
        assert len(data) == 200 * 288
        assert data.synthetic
        assert data.source == "synthetic market, seed 7"
        assert data.caption.startswith(
            {"mean_reversion": "mean-reverting", "trend": "trending by regime", "none": "no edge"}[data.planted.edge]
        )
    assert [d.planted.has_edge for d in synthetic.values()].count(True) == 2
    assert synthetic.source.startswith("SYNTHETIC market, 8 symbols, ")
    assert (quality(synthetic)["gaps"] == 0).all()


def test_detail_is_what_the_base_is_made_of():
    data = generate("SYN-03", days=3, seed=7, detail=True)
    assert data.detail_timeframe == "1m"
    made = resample(data.detail, "5m")
    columns = ["open", "high", "low", "close"]
    assert made[columns].equals(data.m5[columns])
    np.testing.assert_allclose(made["volume"], data.m5["volume"], rtol=1e-12)
    assert data.m5.equals(generate("SYN-03", days=3, seed=7).m5)
    minutes = load_market("synthetic", symbols=["SYN-03"], days=3, seed=7, timeframe="1m", progress=False)
    assert minutes["SYN-03"].candles.equals(data.detail)


def test_prices_and_volumes_lie_on_tick_and_step(synthetic):
    assert min(d.m5["low"].iloc[0] for d in synthetic.values()) < 1.1e-5
    assert max(d.m5["high"].iloc[0] for d in synthetic.values()) > 0.99e5
    for data in synthetic.values():
        assert data.instrument.origin == "synthetic"
        assert data.instrument.min_notional > 0
        for columns, step in (
            (["open", "high", "low", "close"], data.instrument.tick),
            (["volume"], data.instrument.step),
        ):
            units = data.m5[columns].to_numpy() / step
            assert np.abs(units - np.rint(units)).max() < 1e-4
            assert (data.m5[columns].to_numpy() >= 0).all()
        assert data.m5["low"].min() > 50 * data.instrument.tick


@pytest.mark.parametrize("seed", [7, 1, 2])
def test_all_four_clusters_are_there(seed):
    """ATR % of the 4h candles of the first tenth of a year, as the grid lab classifies."""
    for name in NAMES:
        data = generate(name, days=37, seed=seed)
        close = data.h4["close"].shift()
        true_range = np.fmax(data.h4["high"], close) - np.fmin(data.h4["low"], close)
        low, high = CLUSTERS[data.planted.cluster]
        assert low <= true_range.mean() / data.h4["close"].mean() * 100 < high
    assert {synthetic_symbol(n).cluster for n in NAMES} == set(CLUSTERS)


def test_planted_regimes_are_kept_beside_the_candles(synthetic):
    trend = synthetic["SYN-02"].planted
    assert set(trend.regime.unique()) == {"range", "bull", "bear", "volatile"}
    assert (trend.regime.index == synthetic["SYN-02"].m5.index).all()
    change = synthetic["SYN-02"].m5["close"].pct_change()
    bull, bear = (change[trend.regime == r].mean() for r in ("bull", "bear"))
    assert bull > 0 > bear
    quiet = synthetic["SYN-03"].planted.regime
    assert set(quiet.unique()) == {"range", "volatile"}
    spread = synthetic["SYN-03"].m5["close"].pct_change().groupby(quiet, observed=True).std()
    assert spread["volatile"] > 1.3 * spread["range"]
    part = synthetic["SYN-02"].slice("2024-03-01", "2024-04-01")
    assert (part.planted.regime.index == part.m5.index).all()


def z_of(earned):
    return earned.mean() / earned.std(ddof=1) * np.sqrt(len(earned))


def rules(name, seed, mode="market", edge_strength=1.0):
    """Profit of two causal rules over 45 days, in units of the symbol's volatility: follow and fade the past day."""
    change, log_price = returns(name, seed, mode, edge_strength=edge_strength)
    signal = np.sign(log_price[288:-1] - log_price[:-289])
    earned = signal * change[288:] / change.std()
    return earned.sum(), -earned.sum()


@pytest.mark.parametrize("name", ["SYN-01", "SYN-02", "SYN-04"])
def test_nothing_is_earned_on_a_martingale(name):
    follow = np.array([rules(name, seed, "martingale")[0] for seed in range(16)])
    drift = np.array([returns(name, seed, "martingale")[0].sum() for seed in range(16)])
    assert abs(z_of(follow)) < 3
    assert abs(z_of(drift)) < 3


def test_edges_are_where_they_were_planted():
    """The same rules that earn nothing on a martingale find both edges, and none where there is none."""
    assert z_of(np.array([rules("SYN-02", seed)[0] for seed in range(10)])) > 4
    assert z_of(np.array([rules("SYN-01", seed)[1] for seed in range(10)])) > 4
    for name in (NAMES[2], NAMES[3], NAMES[6]):
        assert abs(z_of(np.array([rules(name, seed)[0] for seed in range(10)]))) < 3.5
    for name in NAMES[:2]:
        assert abs(z_of(np.array([rules(name, seed, edge_strength=0.0)[0] for seed in range(10)]))) < 3.5


def test_a_tick_walk_is_one_tick_a_step():
    data = tick_walk(50, seed=3, price=10.0, tick=0.01)
    steps = data.detail["close"] - data.detail["open"]
    assert np.allclose(np.abs(steps), 0.01, atol=1e-12)
    assert abs(steps.sum()) < 0.01 * 4 * np.sqrt(len(steps))
    assert (data.detail["open"].to_numpy()[1:] == data.detail["close"].to_numpy()[:-1]).all()
    assert len(data) == 50
    assert len(data.detail) == 50 * 300
    assert resample(data.detail, "5m").equals(data.m5)
    assert tick_walk(20, seed=3, price=10.0).m5.equals(data.m5.iloc[:20])
    assert data.synthetic
    with pytest.raises(ConfigError, match="falls to 0; start higher"):
        tick_walk(50, seed=3, price=0.05)
    with pytest.raises(ConfigError, match="steps: got 7, allowed are 300, 60, 30"):
        tick_walk(50, seed=3, steps=7)


def test_loading_files_needs_neither_numba_nor_pandera_to_be_imported():
    code = (
        "import sys, traderagent.market.load, traderagent.market.quality\n"
        "from traderagent.market.sources import SOURCES\n"
        "assert {'files', 'synthetic'} <= set(SOURCES)\n"
        "print([m for m in ('numba', 'pandera', 'tqdm', 'ccxt') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_martingale_mode_plants_nothing():
    assert generate("SYN-02", days=1).synthetic
    data = generate("SYN-02", days=1, mode="martingale")
    assert data.synthetic
    assert not data.planted.has_edge
    assert data.caption.startswith("driftless martingale")


def test_span_of_the_synthetic_market():
    data = load_market("synthetic", symbols=1, start="2024-03-01", end="2024-03-04 12:00", progress=False)["SYN-01"]
    assert str(data.start) == "2024-03-01 00:00:00+00:00"
    assert str(data.end) == "2024-03-04 12:00:00+00:00"
    assert len(generate(1, days=0.5)) == 144
    assert milliseconds(data.m5.index)[0] % 300_000 == 0


@pytest.mark.parametrize("name", ["SYN-00", "SYN-100", "BTC", 0, "SYN-", "SYN-1.5"])
def test_unknown_synthetic_symbols(name):
    with pytest.raises(ConfigError, match="unknown synthetic symbol .*allowed: .*SYN-01"):
        synthetic_symbol(name)


def test_kinds_come_again_with_other_candles():
    assert synthetic_symbol("SYN-10").edge == synthetic_symbol("SYN-02").edge == "trend"
    again, first = generate(10, days=5).m5["close"], generate(2, days=5).m5["close"]
    assert abs(np.corrcoef(np.diff(np.log(again)), np.diff(np.log(first)))[0, 1]) < 0.8
    assert isinstance(again.index, pd.DatetimeIndex)
