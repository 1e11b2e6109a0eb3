"""Limits of the account, by hand: who asks again when the answer may have changed, and correlation itself."""

from __future__ import annotations

import numpy as np
import pytest

import traderagent as ta
from tests.reference.frames import H1
from tests.reference.markets import START
from traderagent.account.axis import moments_of
from traderagent.account.run import roster_of, simulate_account
from traderagent.base.kernel import float64_at, kernel
from traderagent.engine.limits import coefficient, multiply_all
from traderagent.engine.plan import plan
from traderagent.engine.records import LIMITS
from traderagent.market.frames import COLUMNS, candle_frame
from traderagent.strategies.contract import REJECTIONS

WARMUP = 200
FREE = ta.Costs(maker=0.0, taker=0.0, slippage=0.0)
OFF = dict.fromkeys(["max_single_pair_pct", "max_total_exposure_pct", "portfolio_stop_loss_pct", "max_correlation"])


class Holder(ta.Strategy):
    """Buys at its first close, sells at a later one."""

    share: float = ta.parameter(0.2)
    sells_at: int = ta.parameter(10_000)
    memory = {"asked": 0.0}
    compiled = "never"

    def decide(self, now, book):
        book.asked += 1
        if book.asked == 1:
            return ta.buy(size=self.share)
        if book.asked == self.sells_at:
            return ta.close()


def hourly(symbol, closes, missing=()):
    """Hourly candles without a wick, each from the close before; those missing are left out, and jumped over."""
    closes = np.asarray(closes, dtype=float)
    opens = np.concatenate([closes[:1], closes[:-1]])
    columns = {"open": opens, "high": np.maximum(opens, closes), "low": np.minimum(opens, closes), "close": closes}
    table = np.column_stack([columns.get(c, np.ones(len(closes))) for c in COLUMNS])
    frame = candle_frame(START + H1 * np.arange(len(closes), dtype=np.int64), table)
    if len(missing) > 0:
        frame.iloc[max(missing) + 1, :4] = closes[max(missing) + 1]
        frame = frame.drop(frame.index[list(missing)])
    return ta.MultiTimeframeData.from_base(symbol, frame, base="1h")


def walk(seed):
    """WARMUP closes that end at 100."""
    steps = np.random.default_rng(seed).normal(0.0, 0.01, WARMUP)
    path = np.exp(np.cumsum(steps))
    return 100.0 * path / path[-1]


def account(
    asking, holding, *, share=0.2, sells_at=10_000, grid=None, pair=None, missing=(), initial=10_000.0, **limits
):
    """AAA, whose grid is let in three closes after BBB has bought; the run skipping, and asking at every candle."""
    given = {"lower_price": 90.0, "upper_price": 98.0, "num_levels": 3, "initial_inventory": "none"}
    pair = ta.OrchestratorBacktestConfig(
        warmup_bars=WARMUP,
        costs=FREE,
        enable_strategy_router=False,
        enable_dca=False,
        enable_trend_follower=False,
        max_position_size_pct=None,
        grid_params={"amount_per_grid": 500.0, "trailing_enabled": False, **given, **(grid or {})},
        **({"max_daily_loss_pct": None} | (pair or {})),
    )
    config = ta.PortfolioBacktestConfig(
        symbols=["AAA", "BBB"], initial_capital=initial, per_pair_config=pair, **{**OFF, **limits}
    )
    late = [{"grid"} if row >= WARMUP + 3 else set() for row in range(len(asking) - len(missing))]
    layouts = {
        "AAA": plan(hourly("AAA", asking, missing), pair, [], late),
        "BBB": plan(
            hourly("BBB", holding),
            pair.replace(enable_grid=False),
            [Holder(share=share, sells_at=sells_at)],
            [{"holder"}] * len(holding),
        ),
    }
    roster = roster_of(layouts, config)
    runs = [simulate_account(roster, config, every_candle=every) for every in (False, True)]
    assert runs[0].committed.tobytes() == runs[1].committed.tobytes()
    return runs[0]


def refusals(run, s=0):
    return {name: int(n) for name, n in zip(REJECTIONS, run.pairs[s].account["rejections"], strict=True) if n}


@pytest.mark.parametrize("limit", [None, 0.8])
def test_sums_of_products_are_made_where_a_correlation_is_asked_only(limit):
    """They take n × n numbers a day."""
    pair = ta.OrchestratorBacktestConfig(warmup_bars=WARMUP - 10, enable_strategy_router=False).only("grid")
    config = ta.PortfolioBacktestConfig(per_pair_config=pair, max_correlation=limit)
    closes = {"AAA": walk(1), "BBB": walk(2)}
    layouts = {s: plan(hourly(s, c), pair, [], [{"grid"}] * len(c)) for s, c in closes.items()}
    roster = roster_of(layouts, config)
    simulate_account(roster, config, record=False)
    assert ("moments" in roster.__dict__) == (limit is not None)


def test_what_the_pairs_limit_refused_asks_again_as_the_account_earns():
    """Three cells of 500 against 14 % of 10,000; BBB holds 1,000 and earns 2,000."""
    rising = np.concatenate([walk(2), np.full(6, 100.0), np.full(6, 300.0)])
    run = account(np.concatenate([walk(1), np.full(12, 100.0)]), rising, max_single_pair_pct=0.14)
    assert run.curves[WARMUP + 3 :, 0].tolist() == pytest.approx([10_000.0] * 3 + [12_000.0] * 6)
    assert run.committed[WARMUP + 3 :, 0].tolist() == pytest.approx([1_000.0] * 3 + [1_500.0] * 6)
    assert refusals(run) == {"risk_pair": 1}


@pytest.mark.parametrize("limit", [0.8, 1.0])
def test_what_a_correlation_refused_asks_again_when_nobody_holds(limit):
    """BBB has moved as AAA does, and sells at the open after the sixth close."""
    closes = np.concatenate([walk(1), np.full(12, 100.0)])
    run = account(closes, closes, sells_at=6, max_correlation=limit)
    assert run.committed[WARMUP + 3 :, 0].tolist() == pytest.approx([0.0] * 3 + [1_500.0] * 6)
    assert refusals(run) == {"correlation": 3}


def test_a_correlation_at_the_limit_has_reached_it():
    one, other = walk(1), walk(2)
    pair = [np.concatenate([closes, np.full(12, 100.0)]) for closes in (one, other)]
    rho = [np.corrcoef(*(np.diff(np.log(closes[: WARMUP + 3 + k])) for closes in pair))[0, 1] for k in (1, 2, 3)]
    for limit, n in ((min(rho) - 1e-6, 0), (max(rho) + 1e-6, 3)):
        run = account(*pair, max_correlation=limit)
        assert run.committed[WARMUP + 3, 0] == pytest.approx(500.0 * n)


def test_what_cash_refused_asks_again_at_the_close_at_which_another_symbol_has_sold():
    """BBB has left 600 of the account's 10,000, and sells at the open after the sixth close."""
    quiet = np.concatenate([walk(1), np.full(12, 100.0)])
    run = account(quiet, quiet, share=1.88, sells_at=6)
    assert run.committed[WARMUP + 3 :, 0].tolist() == pytest.approx([500.0] * 3 + [1_500.0] * 6)
    assert refusals(run) == {"cash": 2}


def test_what_is_worth_less_than_one_counts_too():
    quiet = np.concatenate([walk(1), np.full(12, 100.0)])
    run = account(quiet, quiet, initial=2.0, grid={"amount_per_grid": 0.1})
    assert run.committed[WARMUP + 3 :, 0].tolist() == pytest.approx([0.3] * 9)
    assert run.committed[WARMUP:, 1].tolist() == pytest.approx([0.2] * 12)


@kernel
def correlations(limits, s, first, last, found):
    multiply_all(limits, s, first, last)
    for o in range(limits.n):
        found[s, o] = coefficient(limits, s, o, first, last, float64_at(limits.both, s * limits.n + o))


@pytest.mark.parametrize("first", [10, 20])  # the nearest block begins before it, and after it
@pytest.mark.parametrize("s", [0, 2, 8])
def test_a_correlation_is_pearsons_over_the_hours_that_both_have(s, first):
    draw = np.random.default_rng(5)
    returns = 0.01 + 0.02 * draw.normal(size=(11, 300))
    returns[1] = -0.7 * returns[0] + 0.01 * returns[1]
    returns[2, ::7] = np.nan
    returns[3, 10 + 167 :] = np.nan  # one hour too few
    returns[4] = 0.0  # it does not move
    returns[5, 10 + 168 + 28 * (s == 2) :] = np.nan  # just enough in common with either
    returns[6, :41] = np.nan  # it comes later
    returns[7, 10:] = 0.003  # it grows evenly
    returns[8, 10:] = 1e-6 + 1e-9 * returns[0, 10:]  # it hardly moves any more
    returns[9, 10:] *= 1e-5
    returns[9, 10::9] = np.nan
    returns[10, 50] = np.nan  # one hour is missing
    limits, found = np.zeros(1, LIMITS), np.zeros((11, 11))
    kept = moments_of(returns) | {"both": np.zeros((11, 11)), "rho": np.zeros((11, 11))}
    limits["n"], limits["n_hours"] = returns.shape
    for name, array in kept.items():
        limits[name] = array.ctypes.data
    correlations(limits[0], s, first, 250, found)  # whole blocks, and a part of one at either end
    inside, known = returns[:, first:251], (0, 1, 2, 5, 6, 8, 9, 10) if first == 10 else (0, 1, 2, 6, 8, 9, 10)
    for k in known:
        both = ~np.isnan(inside[k]) & ~np.isnan(inside[s])
        assert both.sum() >= 168
        assert found[s, k] == pytest.approx(np.corrcoef(inside[s, both], inside[k, both])[0, 1], abs=1e-12)
    assert np.isnan(np.delete(found[s], known)).all()
    assert not np.delete(found, s, axis=0).any()


@pytest.mark.parametrize("limit", ["day", "stop"])
def test_what_is_cancelled_in_a_hole_does_not_fill_after_it(limit):
    """While AAA, with buys at 98, 94 and 90, has no candle, BBB loses 7.5 % of the account; AAA comes back at 92."""
    asking = np.concatenate([walk(1), np.full(7, 99.0), np.full(3, 92.0)])
    holding = np.concatenate([walk(2), np.full(5, 100.0), np.full(5, 70.0)])
    given = {"pair": {"max_daily_loss_pct": 0.05}} if limit == "day" else {"portfolio_stop_loss_pct": 0.05}
    hole = range(WARMUP + 4, WARMUP + 7)
    free = account(asking, holding, share=0.5, missing=hole)
    assert free.pairs[0].fills["price"].tolist() == [92.0] * 2
    run = account(asking, holding, share=0.5, missing=hole, **given)
    assert len(run.pairs[0].fills) == 0
    assert run.curves[-1, 0] == pytest.approx(10_000.0 - 750.0)
    assert run.committed[-1, 0] == 0.0
