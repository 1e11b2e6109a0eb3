"""Every structure on candles made by hand, its mirror image, and that nothing confirmed is ever rewritten."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from tests.engine.real import FOLDER, needs_candles, real
from tests.reference.markets import random_candles
from tests.strategies.hours import hours, mirrored, rows, spans
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import COLUMNS, candle_frame, resample
from traderagent.market.load import load_market
from traderagent.strategies.features import Frames, frames_of
from traderagent.strategies.smc import Smc

# Up, a deeper low, up through the top (CHoCH), a higher low, up again (BOS), then down through it (CHoCH).
JOURNEY = [
    (9.5, 10, 9, 9.8),
    (10, 12, 10, 11),
    (11, 11, 8, 8.5),
    (9, 13, 9, 12.5),
    (12.5, 15, 11, 14),
    (14, 14, 10, 10.5),
    (10.5, 14, 10.4, 13),
    (13, 17, 13, 16),
    (16, 16, 9, 9.5),
    (9.5, 10, 9.4, 9.6),
    (9.6, 9.8, 8.5, 9.0),
]


def test_a_swing_is_the_strict_maximum_of_its_window_and_known_only_after_it():
    data = spans((9, 10), (10, 11), (11, 13), (10, 12), (9, 11), (9, 11))
    assert rows(data, "swing_high", 1, swing_length=2) == [(2, 5, 13, 13, None, "")]
    assert rows(data, "swing_high", 1, swing_length=3) == []  # the window begins before the first candle
    assert rows(spans((9, 10), (11, 13), (10, 13), (9, 11)), "swing_high", 1) == []  # equal highs
    assert rows(data, "swing_low", -1, swing_length=2) == []


def test_of_two_swings_of_a_kind_the_more_extreme_stays():
    # highs at 1 (12), 3 (14), 5 (13) without a swing low between them, as the lows rise and then fall
    data = spans((1, 10), (2, 12), (3, 11), (4, 14), (5, 12), (6, 13), (7, 11), (6.5, 10))
    assert rows(data, "swing_high", 1) == [
        (1, 3, 12, 12, 5, "replaced"),
        (3, 5, 14, 14, None, ""),
        (5, 7, 13, 13, 7, "passed_over"),
    ]


def test_a_swing_ends_with_the_next_of_its_kind():
    data = spans((8, 10), (9, 14), (7, 10), (8, 12), (6, 10), (7, 9))
    assert rows(data, "swing_high", 1) == [(1, 3, 14, 14, 5, "followed"), (3, 5, 12, 12, None, "")]
    assert rows(data, "swing_low", -1) == [(2, 4, 7, 7, 6, "followed"), (4, 6, 6, 6, None, "")]


def test_a_break_with_the_trend_is_a_bos_and_against_it_a_choch():
    data = hours(JOURNEY)
    assert rows(data, "choch", 1) == [(1, 4, 12, 12, None, "")]  # ranging before
    assert rows(data, "bos", 1) == [(4, 8, 15, 15, None, "")]
    assert rows(data, "choch", -1) == [(5, 9, 10, 10, None, "")]
    assert rows(data, "bos", -1) == []  # closes 9.6 and 9.0 lie below the same low, which is broken already


def test_a_close_at_the_swing_breaks_nothing():
    at = [*JOURNEY[:7], (13, 17, 13, 15.0)]
    assert rows(hours(at), "bos", 1) == []


def test_higher_highs_and_lows_turn_the_trend_without_a_break():
    """Lows 8, 9 and highs 14, 15 whose tops no close passes: the next break is a BOS, not a CHoCH."""
    shape = [(9, 10), (9.5, 14), (8, 12), (10, 15), (9, 13), (10, 14)]
    rising = [((low + high) / 2, high, low, (low + high) / 2) for low, high in shape]
    assert rows(hours([*rising, (14, 16, 14, 15.5)]), "bos", 1) == [(3, 7, 15, 15, None, "")]
    lower_low = [*rising[:4], (9, 13, 7.9, 9), *rising[5:]]
    assert rows(hours([*lower_low, (14, 16, 14, 15.5)]), "choch", 1) == [(3, 7, 15, 15, None, "")]


def test_an_order_block_is_the_last_falling_candle_of_the_leg_that_broke():
    data = hours(JOURNEY)
    assert rows(data, "order_block", 1) == [(2, 4, 8, 11, None, ""), (5, 8, 10, 14, 9, "broken")]
    assert rows(data, "order_block", -1) == [(7, 9, 13, 17, None, "")]
    rising = [*JOURNEY[:5], (10.2, 14, 10, 10.5), *JOURNEY[6:]]
    assert rows(hours(rising), "order_block", 1) == [(2, 4, 8, 11, None, "")]  # the falling one lies before the leg


def test_an_order_block_ages_at_the_close_of_its_last_candle():
    assert rows(hours(JOURNEY), "order_block", 1, zone_max_age=5)[0] == (2, 4, 8, 11, 9, "aged")
    assert rows(hours(JOURNEY), "order_block", 1, zone_max_age=1)[1] == (5, 8, 10, 14, 9, "broken")
    assert rows(hours(JOURNEY), "order_block", 1, zone_max_age=8)[0][4:] == (None, "")


def test_a_candle_is_a_block_once():
    """Two tops are broken in one leg, and the same falling candle lies before both."""
    bars = [
        (9.5, 10, 9, 9.8),
        (10, 12, 10, 11),
        (11, 11, 8, 8.5),
        (9, 13, 9, 12.5),
        (12.5, 15, 11, 14),
        (14, 14.5, 11.5, 14.2),
        (14.2, 16, 12, 15.5),
    ]
    assert [r[1] for r in rows(hours(bars), "choch", 1) + rows(hours(bars), "bos", 1)] == [4, 7]
    assert rows(hours(bars), "order_block", 1) == [(2, 4, 8, 11, None, "")]


def test_a_gap_lives_until_its_top_has_come_down_to_its_bottom():
    data = spans((9, 10), (9.5, 12), (11, 13), (10.5, 12), (10.2, 12), (10, 12))
    assert rows(data, "fair_value_gap", 1) == [(1, 3, 10, 11, 6, "filled")]
    assert rows(spans((9, 10), (9.5, 12), (10, 13)), "fair_value_gap", 1) == []  # touching is no gap
    assert rows(spans((12, 13), (9, 12), (8, 11), (8, 11.5)), "fair_value_gap", -1) == [(1, 3, 11, 12, None, "")]


POOL = [(8, 10), (9, 13.0), (8, 11), (9, 13.1), (8, 11), (8.5, 11)]


def test_swings_of_about_one_level_make_a_pool():
    wide = {"atr_period": 1, "liquidity_atr": 0.1}
    assert rows(spans(*POOL), "liquidity", 1, **wide) == [(1, 5, 13.0, 13.1, None, "")]
    assert rows(spans(*POOL), "liquidity", 1, atr_period=1, liquidity_atr=0.01) == []
    assert rows(spans(*POOL), "liquidity", 1, atr_period=7) == []  # no ATR yet


def test_a_swing_that_was_exceeded_since_joins_no_pool():
    """13.0 and 13.1 are near, but between them the price was at 13.2, which is near the latter only."""
    data = spans((8, 10), (9, 13.0), (8, 11), (9, 13.2), (8, 11), (9, 13.1), (8.5, 10))
    assert rows(data, "liquidity", 1, atr_period=1, liquidity_atr=0.05) == [(3, 7, 13.1, 13.2, None, "")]


def test_a_third_swing_makes_a_pool_only_of_another_level():
    third = [*POOL[:5], (8.5, 13.0), (8, 11), (8, 11)]
    assert rows(spans(*third), "liquidity", 1, atr_period=1, liquidity_atr=0.1) == [(1, 5, 13.0, 13.1, None, "")]
    higher = [*POOL[:5], (8.5, 13.2), (8, 11), (8, 11)]
    assert rows(spans(*higher), "liquidity", 1, atr_period=1, liquidity_atr=0.1) == [
        (1, 5, 13.0, 13.1, 5.25, "swept"),
        (1, 7, 13.0, 13.2, None, ""),
    ]


def test_a_pool_is_swept_by_the_first_quarter_that_trades_beyond_it():
    at_level = [*POOL, (9, 13.1)]
    assert rows(spans(*at_level), "liquidity", 1, atr_period=1)[0][4:] == (None, "")
    beyond = [*POOL, (9, 13.11)]
    assert rows(spans(*beyond), "liquidity", 1, atr_period=1)[0][4:] == (6.25, "swept")


def test_the_target_is_the_nearest_live_pool_beyond_the_close():
    """A pool at 11.6 is confirmed in front of that at 13.1, and swept an hour later."""
    data = spans(*POOL, (8, 11.5), (8, 10), (8, 11.6), (8, 10), (8, 11.7))
    smc = Smc(swing_length=1, atr_period=1)
    above = smc.found(Frames(data)).targets[0]
    assert above[38:41].tolist() == [13.1, 11.6, 13.1]  # quarter 39 closes with the hour that confirms it
    assert np.isnan(above[:19]).all()
    assert smc.found(Frames(mirrored(data, 20.0))).targets[1][39] == -28.4
    # a wider reach joins a swing to an older, higher one: the pool that is known last lies farther away
    shape = [(8, 10), (9, 13.3), (8, 11), (9, 13.0), (8, 11), (9, 13.1), (8.5, 11), (9, 13.05), (5, 11)]
    parameters = {"atr_period": 1, "liquidity_atr": 0.05}
    assert [r[3] for r in rows(spans(*shape), "liquidity", 1, **parameters)] == [13.1, 13.3]
    assert Smc(swing_length=1, **parameters).found(Frames(spans(*shape))).targets[0][35] == 13.1


@pytest.mark.parametrize("seed", range(4))
def test_the_other_side_is_the_mirror_image(seed):
    random = np.random.default_rng(seed)
    close = 500.0 + np.cumsum(random.integers(-3, 4, 6_000))  # whole numbers: mirrored without rounding
    opened = np.concatenate(([500.0], close[:-1]))
    high = np.maximum(opened, close) + random.integers(0, 3, 6_000)
    low = np.minimum(opened, close) - random.integers(0, 3, 6_000)
    frame = candle_frame(300_000 * np.arange(6_000), np.column_stack((opened, high, low, close, close)))
    data = MultiTimeframeData.from_base("MIRRORUSDT", frame)
    smc = Smc(swing_length=2, min_confidence=0.0, min_risk_reward=0.5)
    # whatever is settled by order (highs before lows, up before down) does not mirror: such candles are few
    table, image = (smc.structures(Frames(d)) for d in (data, mirrored(data, 500.0)))
    image["side"] = -image["side"]
    image["low"], image["high"] = 1000.0 - image["high"], 1000.0 - image["low"]
    image["kind"] = image["kind"].replace({"swing_high": "swing_low", "swing_low": "swing_high"})
    keys = ["confirmed", "timeframe", "kind", "side", "at", "low", "high", "ended", "end_reason"]
    both = pd.merge(table[keys], image[keys], how="outer", indicator=True)
    assert (both["_merge"] == "both").mean() > 0.97
    assert (both["_merge"] == "both").sum() > 250
    left, right = (
        {(int(x["candle"]), sign * int(x["kind"]), int(x["zones"]), round(float(x["confidence"]), 9)) for x in found}
        for sign, found in ((1, smc.signals(Frames(data))), (-1, smc.signals(Frames(mirrored(data, 500.0)))))
    )
    assert len(left & right) > 0.75 * len(left | right) > 7


def naive_swings(frame: pd.DataFrame, length: int) -> set:
    high = frame["high"].to_numpy()
    inside = range(length, len(high) - length)
    return {k for k in inside if high[k] > max(np.delete(high[k - length : k + length + 1], length))}


def test_swings_gaps_and_pools_satisfy_their_definitions():
    data = load_market("synthetic", symbols=1, days=60, seed=3, progress=False)["SYN-01"]
    h1 = resample(data.candles, "1h")
    high, low = h1["high"].to_numpy(), h1["low"].to_numpy()
    at = {time: k for k, time in enumerate(h1.index)}
    table = Smc(swing_length=4, liquidity_atr=0.5).structures(frames_of(data))
    table = table[table["timeframe"] == "1h"]
    swings = naive_swings(h1, 4)
    assert {at[t] for t in table.loc[table["kind"] == "swing_high", "at"]} == swings
    gaps = table[(table["kind"] == "fair_value_gap") & (table["side"] == 1)]
    assert [at[t] for t in gaps["at"]] == [i - 1 for i in range(2, len(h1)) if low[i] > high[i - 2]]
    pools = table[(table["kind"] == "liquidity") & (table["side"] == 1)]
    assert len(pools) > 3
    for pool in pools.itertuples():
        first, known = at[pool.at], at[pool.confirmed - pd.Timedelta("1h")]
        assert {first, known - 4} <= swings
        assert high[first : known + 1].max() == pool.high
        assert pool.low in (high[k] for k in swings if first <= k <= known - 4)


# --- nothing confirmed is rewritten ------------------------------------------------------------------


def rewritten(data: MultiTimeframeData, cuts: list[int], smc: Smc) -> list[str]:
    """What a run on the candles up to a cut says otherwise; an end after the cut is not yet known there."""
    whole = smc.structures(Frames(data))
    found = []
    for cut in cuts:
        part = MultiTimeframeData.from_base(data.symbol, data.candles.iloc[:cut], base=data.base)
        now = part.end
        then = whole[whole["confirmed"] <= now].reset_index(drop=True)
        later = then["ended"] > now
        then["ended"] = then["ended"].mask(later)
        then["end_reason"] = then["end_reason"].mask(later, "")
        if not then.equals(smc.structures(Frames(part))):
            found.append(f"{data.symbol}: structures known at {now} were rewritten")
    return found


def test_nothing_confirmed_is_rewritten():
    drawn = {name: np.asarray(values) for name, values in random_candles(11, 3_000, volatility=0.004, holes=2).items()}
    frame = candle_frame(drawn["open_time"].astype(np.int64), np.column_stack([drawn[c] for c in COLUMNS]))
    data = MultiTimeframeData.from_base("PREFIXUSDT", frame)
    smc = Smc(swing_length=2, atr_period=5, liquidity_atr=0.5)
    kinds = smc.structures(Frames(data))["kind"].value_counts()
    assert (kinds > 5).all()
    assert len(kinds) == 7
    assert rewritten(data, list(range(1, 3_000, 11)), smc) == []
    market = load_market("synthetic", symbols=2, days=60, seed=5, progress=False)
    for one in market.values():
        assert rewritten(one, list(range(3_000, len(one), 1_013)), Smc(swing_length=4)) == []


@needs_candles
@pytest.mark.slow
@pytest.mark.parametrize(
    ("year", "symbol"),
    [(p.parent.name, p.name.split("_")[0]) for p in sorted(FOLDER.glob("20*/*_5m.parquet"))] or [("20xx", "none")],
)
def test_nothing_confirmed_is_rewritten_on_real_candles(year, symbol):
    data = real(year, symbol)[symbol]
    n = len(data)
    cuts = sorted({int(c) for c in itertools.chain(np.linspace(2_000, n - 1, 8), np.linspace(n // 2, n // 2 + 13, 14))})
    assert rewritten(data, cuts, Smc()) == []
