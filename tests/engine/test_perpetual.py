"""Margin, funding and liquidation by hand: one position of a probe that enters where it is told."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from traderagent.engine.backtest import execute
from traderagent.engine.plan import plan
from traderagent.strategies.contract import CLOSE, ENTERED, SIGNAL, enter, is_idle, mirrored, parameters_of, step

DURATION = pd.Timedelta("5min")
ENTRY = 2  # the row at whose open the probe's order fills


class Probe(ta.Strategy):
    """Enters at the first close with a fixed quantity, long or short; a stop where one is given."""

    name: ClassVar[str] = "probe"
    prefix: ClassVar[str] = "probe_"

    side: float = 1.0
    quantity: float = 10.0
    stop: float = 0.0

    def features(self, data: object) -> dict[str, np.ndarray]:
        return {}

    def warmup(self, duration: int) -> int:
        return 0

    def sides(self) -> tuple[float, ...]:
        return (self.side,)


parameters = parameters_of(Probe)


@step
def probe_step(what, now, book):
    p = parameters(book)
    if what == ENTERED:
        if p.stop > 0.0:
            book.stop = mirrored(book, p.stop)
    elif (what == CLOSE) and is_idle(book):
        book.wake_row = now.row + 1
        if now.row == 1:
            enter(book, p.quantity, SIGNAL)


Probe.step = probe_step


def candles(*rows: tuple[float, float, float, float], start: str = "2024-01-01 01:00") -> pd.DataFrame:
    """Three flat candles at 100, then those given."""
    values = [(100.0, 100.0, 100.0, 100.0)] * 3 + list(rows)
    index = pd.date_range(start, periods=len(values), freq=DURATION, tz="UTC", name="open_time").as_unit("ms")
    return pd.DataFrame(values, index, columns=["open", "high", "low", "close"]).assign(volume=1.0)


def run(frame: pd.DataFrame, *, funding: object = None, probe: dict | None = None, **config: object) -> object:
    """A perpetual run of the probe alone: 10,000, leverage 10, taker 0.1 %, no slippage, no funding."""
    data = ta.MultiTimeframeData.from_base("XUSDT", frame).replace(funding=funding)
    given = {
        "account": "perpetual",
        "leverage": 10.0,
        "funding_rate": None,
        "warmup_bars": 1,
        "enable_grid": False,
        "enable_dca": False,
        "enable_trend_follower": False,
        "enable_strategy_router": False,
        "enable_risk_manager": False,
        "costs": ta.Costs(maker=0.0, taker=0.001, slippage=0.0),
        **config,
    }
    return ta.backtest(data, ta.OrchestratorBacktestConfig(**given), strategies=[Probe(**(probe or {}))])


def ends(result: object) -> dict[str, float]:
    return result.books["probe"].iloc[-1].to_dict()


# 10 coins at 100 with leverage 10: margin 100, entry fee 1.
@pytest.mark.parametrize(
    ("side", "candle", "price"),
    [
        (1.0, (100.0, 100.0, 85.0, 95.0), (1000 - 100) / (10 * 0.995)),  # 90.4523
        (-1.0, (100.0, 115.0, 100.0, 105.0), (1000 + 100) / (10 * 1.005)),  # 109.4527
    ],
)
def test_a_liquidation_fills_at_the_formula_and_costs_no_more_than_the_margin(side, candle, price):
    result = run(candles(candle), probe={"side": side})
    assert list(result.trades["reason"]) == ["signal", "liquidation"]
    assert result.trades["price"].iloc[-1] == pytest.approx(price, rel=1e-12)
    fee = 10 * price * (0.001 + 0.005)
    loss = 10 * abs(100 - price) + fee  # 100.90 and 101.09: more than the margin
    assert ends(result)["fees"] == pytest.approx(1 + fee)
    assert result.insurance == pytest.approx(loss - 100)
    assert result.final_balance == pytest.approx(10_000 - 1 - 100)
    assert result.liquidations == 1


@pytest.mark.parametrize(("side", "open_"), [(1.0, 80.0), (-1.0, 125.0)])
def test_a_gap_beyond_the_margin_is_the_insurances(side, open_):
    result = run(candles((open_, open_, open_, open_)), probe={"side": side})
    fee = 10 * open_ * 0.006
    assert result.trades["price"].iloc[-1] == open_
    assert result.insurance == pytest.approx(10 * abs(100 - open_) + fee - 100)
    assert ends(result)["pnl"] == pytest.approx(-101)  # margin and entry fee


def test_a_stop_before_the_liquidation_is_a_stop_and_in_a_gap_beyond_it_a_liquidation():
    inside = run(candles((100.0, 100.0, 85.0, 90.0)), probe={"stop": 95.0})
    assert list(inside.trades["reason"]) == ["signal", "stop"]
    assert inside.trades["price"].iloc[-1] == 95.0
    beyond = run(candles((80.0, 80.0, 80.0, 80.0)), probe={"stop": 95.0})
    assert list(beyond.trades["reason"]) == ["signal", "liquidation"]
    assert ends(beyond)["pnl"] == pytest.approx(-101)


@pytest.mark.parametrize(("side", "fall", "open_"), [(1.0, 95.0, 80.0), (-1.0, 105.0, 125.0)])
def test_a_gap_beyond_the_liquidation_after_the_portfolio_stop_is_a_liquidation(side, fall, open_):
    limits = {"enable_risk_manager": True, "max_position_size_pct": None, "max_daily_loss_pct": None}
    rows = [(100.0, max(100.0, fall), min(100.0, fall), fall), (open_,) * 4]
    stopped = run(candles(*rows), probe={"side": side}, portfolio_stop_loss_pct=0.001, **limits)
    assert stopped.risk_halted
    assert list(stopped.trades["reason"]) == ["signal", "liquidation"]
    assert ends(stopped)["pnl"] == pytest.approx(-101)


def test_a_gap_to_the_very_price_of_liquidation_is_a_liquidation():
    price = (1000 - 100) / (10 * (1 - 0.005))
    result = run(candles((price,) * 4), probe={"stop": 95.0})
    assert list(result.trades["reason"]) == ["signal", "liquidation"]


def test_a_stop_at_the_very_price_of_liquidation_comes_second():
    price = (1000 - 100) / (10 * (1 - 0.005))
    result = run(candles((100.0, 100.0, 85.0, 95.0)), probe={"stop": price})
    assert list(result.trades["reason"]) == ["signal", "liquidation"]


def test_a_single_coin_is_liquidated_too():
    result = run(candles((100.0, 100.0, 85.0, 95.0)), probe={"quantity": 1.0})
    assert list(result.trades["reason"]) == ["signal", "liquidation"]


def test_a_long_pays_funding_out_of_its_margin_and_a_short_receives_it():
    flat = [(100.0, 100.0, 100.0, 100.0)] * 4
    for side in (1.0, -1.0):
        result = run(candles(*flat, start="2024-01-01 07:35"), probe={"side": side}, funding_rate=0.0001)
        paid = side * 0.0001 * 10 * 100
        # The candle of 07:55 covers 08:00.
        assert result.books["probe"]["funding"].to_list() == pytest.approx([0] * 4 + [paid] * 3)
        assert ends(result)["margin"] == pytest.approx(100 - paid)
        assert result.final_balance == pytest.approx(10_000 - 1 - paid)
        assert result.funding == pytest.approx(paid)


def test_funding_of_a_hole_is_settled_at_the_last_close_before_it():
    frame = candles((100.0, 110.0, 100.0, 110.0), (120.0, 120.0, 120.0, 120.0), start="2024-01-01 07:35")
    frame.index = frame.index[:4].append(pd.DatetimeIndex(["2024-01-01 16:30"], tz="UTC").as_unit("ms"))
    frame.index.name = "open_time"
    result = run(frame, funding_rate=0.0001)
    # 08:00 and 16:00 lie in the hole after the close of 07:55 at 110.
    assert result.books["probe"]["funding"].to_list() == pytest.approx([0, 0, 0, 0, 2 * 0.0001 * 10 * 110])


def test_a_series_of_rates_is_used_as_it_is():
    times = pd.DatetimeIndex(["2024-01-01 00:00", "2024-01-01 08:00", "2024-01-01 16:00"], tz="UTC")
    flat = [(100.0, 100.0, 100.0, 100.0)] * 4
    result = run(candles(*flat, start="2024-01-01 07:35"), funding=pd.Series([0.05, -0.002, 0.05], times))
    assert result.funding == pytest.approx(-0.002 * 10 * 100)


def test_funding_brings_the_liquidation_nearer():
    at_eight = [(100.0, 100.0, 100.0, 100.0)] * 2
    frame = candles(*at_eight, (100.0, 100.0, 90.5, 95.0), start="2024-01-01 07:35")
    assert len(run(frame).trades) == 1  # 90.4523 is not reached
    paid = 0.01 * 10 * 100
    result = run(frame, funding_rate=0.01)
    assert result.trades["price"].iloc[-1] == pytest.approx((1000 - (100 - paid)) / (10 * 0.995))


LAST = (100.0, 100.0, 90.6, 90.6)  # just above 90.4523
BACK = [(92.0, 92.5, 91.8, 92.0)] * 2  # never as low as 91.36, where funding at 90.6 puts the liquidation


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("is_hole", [False, True])
def test_funding_that_brings_the_liquidation_beyond_the_close_liquidates_at_the_next_open(side, is_hole):
    """Though no price of a later candle reaches it: the path begins at the close."""
    before = [LAST] if is_hole else [(100.0, 100.0, 100.0, 100.0), LAST]
    frame = candles(*before, *BACK, start="2024-01-01 07:35")  # the fifth closes at 08:00
    if is_hole:
        late = frame.index[len(frame) - len(BACK) :] + pd.Timedelta(DURATION)
        frame = frame.set_axis(frame.index[: -len(BACK)].append(late))
    if side < 0.0:
        other = {"open": "open", "high": "low", "low": "high", "close": "close"}
        frame = frame.assign(**{name: 200.0 - frame[of] for name, of in other.items()})
    result = run(frame, probe={"side": side}, funding_rate=0.01 * side)
    assert list(result.trades["reason"]) == ["signal", "liquidation"]
    assert result.trades["price"].iloc[-1] == (92.0 if side > 0.0 else 108.0)


def test_leverage_divides_what_an_entry_needs():
    # 10 coins at 100: margin 1000/leverage and a fee of 1 have to be free.
    for balance, leverage, n in ((1000.9, 1.0, 0), (1001.0, 1.0, 1), (100.9, 10.0, 0), (101.0, 10.0, 1)):
        result = run(candles(), initial_balance=balance, leverage=leverage)
        assert len(result.trades) == n
        assert result.rejections == ({} if n else {"margin": 1})


def test_a_round_trip_carries_its_side_and_its_funding():
    flat = [(100.0, 100.0, 100.0, 100.0)] * 3
    frame = candles(*flat, (100.0, 104.0, 100.0, 104.0), start="2024-01-01 07:35")
    result = run(frame, probe={"side": -1.0, "stop": 103.0}, funding_rate=0.0001)
    trip = result.round_trips.iloc[0]
    assert (trip["side"], trip["entry_price"], trip["exit_price"]) == ("short", 100.0, 103.0)
    assert trip["funding"] == pytest.approx(-0.1)
    assert trip["pnl"] == pytest.approx(-30 - 1 - 1.03 + 0.1)
    assert list(result.trades["side"]) == ["sell", "buy"]
    assert result.final_balance == pytest.approx(10_000 + trip["pnl"])


TIMES = pd.DatetimeIndex(["2024-01-01 00:00", "2024-01-01 08:00", "2024-01-01 16:00", "2024-01-02 00:00"], tz="UTC")


@pytest.mark.parametrize(
    ("series", "says"),
    [
        (pd.Series([0.01, 0.01], TIMES[[0, 2]]), "1 times are missing, the first is 2024-01-01 08:00"),
        (pd.Series([0.1, np.nan], TIMES[:2]), "row 2 .*nan is no number"),
        (pd.Series([0.1, "x"], TIMES[:2]), "row 2 .*x is no number"),
        (pd.Series([0.1, 0.1], TIMES[[1, 0]]), "row 2 .*does not rise"),
        (pd.Series([0.01, 0.01], TIMES[2:]), "allowed are those that cover the candles"),
        (pd.Series([0.01, 0.0501], TIMES[:2]), r"row 2 \(2024-01-01 08:00.*0.0501 lies beyond ±0.05; .*0.01 % is"),
        (pd.Series([-10.0, 0.01], TIMES[:2]), r"row 1 \(2024-01-01 00:00.*-10.0 lies beyond ±0.05"),
        (pd.Series([0.01], TIMES[:1].tz_localize(None)), "times without a time zone, .* 2024-01-01 00:00.*tz_localize"),
        (pd.Series([0.01], [1704067200000]), "got a Series indexed by int64, allowed .*unit='ms', utc=True"),
        (pd.Series([], pd.DatetimeIndex([], tz="UTC"), dtype=float), "got no rates"),
        ([0.1], "got list, allowed is a Series"),
    ],
)
def test_a_bad_series_of_funding_is_refused(series, says):
    with pytest.raises(ta.DataError, match=says):
        run(candles(start="2024-01-01 07:50"), funding=series)


def test_what_only_a_perpetual_account_can_do_is_refused_on_spot():
    with pytest.raises(ta.ConfigError, match="leverage: got 0.5"):
        ta.OrchestratorBacktestConfig(account="perpetual", leverage=0.5)
    with pytest.raises(ta.ConfigError, match="leverage: got 2.0 on a spot account"):
        ta.OrchestratorBacktestConfig(leverage=2.0)
    with pytest.raises(ta.ConfigError, match="probe: it sells short, which a spot account cannot"):
        run(candles(), probe={"side": -1.0}, account="spot", leverage=1.0)
    for direction in ("short", "neutral"):
        config = ta.OrchestratorBacktestConfig(grid_params={"direction": direction}, enable_strategy_router=False)
        market = ta.load_market("synthetic", symbols=1, days=10, seed=1, progress=False)
        with pytest.raises(ta.ConfigError, match="grid: it sells short"):
            ta.backtest(market["SYN-01"], config)


class Holder(ta.Strategy):
    """Goes short once and stays, so that funding moves the account and nothing else does."""

    every = "1d"

    def decide(self, now, book):
        return ta.sell(notional=1000) if book.flat else None


def test_funding_of_one_book_lets_the_gate_grant_what_another_was_refused():
    """Skipping and asking at every candle: the fifth cell fits in once the short has received its funding."""
    flat = [(100.0, 100.05, 99.95, 100.0)] * 400
    config = ta.OrchestratorBacktestConfig(
        account="perpetual",
        leverage=10.0,
        funding_rate=0.01,
        warmup_bars=0,
        enable_dca=False,
        enable_trend_follower=False,
        enable_strategy_router=False,
        costs=ta.Costs(maker=0.0, taker=0.0, slippage=0.0),
        grid_params={
            "lower_price": 90.0,
            "upper_price": 98.0,
            "num_levels": 5,
            "amount_per_grid": 500.2,
            "initial_inventory": "none",
            "trailing_enabled": False,
        },
    )
    data = ta.MultiTimeframeData.from_base("XUSDT", candles(*flat, start="2024-01-01 00:00"))
    layout = plan(data, config, [Holder()])
    skipped, asked = (execute(layout, every_candle=every) for every in (False, True))
    # The short fills at row 288; it receives 10 with the candle of 07:55, row 383.
    reserved = asked.raw.ledger[:, 1]
    assert [reserved[k] for k in (288, 382, 383)] == pytest.approx([200.08, 200.08, 250.1])
    assert (skipped.raw.ledger == asked.raw.ledger).all()


def test_a_day_that_begins_below_zero_blocks_nobody_where_no_loss_is_limited():
    """Funding of more than the whole equity at midnight; what the insurance leaves goes on trading."""
    flat = [(100.0, 100.0, 100.0, 100.0)] * 4
    balance = 10 * 100.0 * 0.05  # 50: a margin of 8 and an entry fee of 1, of which 50 are taken at once
    frame = candles(*flat, start="2024-01-01 23:35")
    result = run(frame, initial_balance=balance - 9.0, leverage=125.0, funding_rate=0.05, enable_risk_manager=False)
    assert result.equity.min() < 0.0
    assert list(result.trades["reason"]) == ["signal", "liquidation"]
    assert result.final_balance > 0.0
    assert result.raw.account["daily_blocks"] == 0


@pytest.mark.parametrize("rate", [0.001, float("nan"), 5, True, [0.1], "0.1"])
def test_rates_that_are_no_series_are_refused_where_they_are_given(rate):
    data = ta.MultiTimeframeData.from_base("XUSDT", candles())
    with pytest.raises(
        ta.DataError, match="XUSDT funding: got .*allowed is a Series of rates .*funding_rate in the config"
    ):
        data.replace(funding=rate)


def test_rates_belong_to_the_candles_and_to_their_hash():
    rates = pd.Series([0.1, 0.2, 0.3], TIMES[:3])
    data = ta.MultiTimeframeData.from_base("XUSDT", candles(), funding=rates)
    same = [rates.copy(), rates.astype(object), dict(rates.items()), rates.tz_convert("Asia/Kathmandu")]
    assert {data.replace(funding=given).hash for given in same} == {data.hash}
    rates[:] = 0.0
    assert list(data.funding) == [0.1, 0.2, 0.3]
    assert data.replace(funding=rates).hash != data.hash


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_the_largest_fall_of_a_single_coin_is_found_in_quiet_hours(side):
    """Nothing fills, so candles are marked by the hour; the fall counts from a peak of the same hour, too."""
    for seed in range(10):
        closes = 100 + np.cumsum(np.random.default_rng(seed).normal(0, 1, 200)).clip(-40, 40)
        rows = [(close,) * 4 for close in closes]
        result = run(candles(*rows), probe={"side": side, "quantity": 1.0}, leverage=1.0)
        assert len(result.trades) == 1
        equity = result.equity.to_numpy()
        fall = (1 - equity / np.maximum.accumulate(equity)).max()
        assert result.raw.account["max_drawdown"] == pytest.approx(fall, rel=1e-9)
        assert result.raw.account["n_events"] < 10


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_fall_from_a_peak_of_the_same_quiet_hour_is_the_largest(side):
    """15 down, 35 up; then in one hour 10 up and 20 down, which is 10 below the peak before that hour."""
    closes = [100 + side * gain for gain in [-15.0] * 9 + [20.0] * 12 + [30.0, 10.0] + [20.0] * 10]
    result = run(candles(*((close,) * 4 for close in closes)), probe={"side": side}, leverage=1.0)
    peak = 10_000 - 1 + 10 * 30
    assert result.raw.account["max_drawdown"] == pytest.approx(10 * 20 / peak, rel=1e-9)


@pytest.mark.parametrize(("side", "close"), [(1.0, 95.0), (-1.0, 105.0)])
def test_the_days_loss_of_a_single_coin_is_met(side, close):
    limits = {"enable_risk_manager": True, "max_position_size_pct": None, "max_daily_loss_pct": 0.0004}
    rows = [(100.0,) * 4] * 3 + [(close,) * 4] * 3
    result = run(candles(*rows), probe={"side": side, "quantity": 1.0}, **limits)
    assert result.daily_blocks == 1
    assert run(candles(*rows[:3]), probe={"side": side, "quantity": 1.0}, **limits).daily_blocks == 0


def test_funding_of_a_hole_brings_the_liquidation_nearer_in_the_candle_after_it():
    frame = candles((100.0,) * 4, (100.0, 100.0, 92.0, 95.0), start="2024-01-01 07:35")
    frame.index = frame.index[:4].append(pd.DatetimeIndex(["2024-01-01 16:30"], tz="UTC").as_unit("ms"))
    frame.index.name = "open_time"
    assert len(run(frame).trades) == 1  # 90.4523 is not reached
    result = run(frame, funding_rate=0.01)
    assert list(result.trades["reason"]) == ["signal", "liquidation"]
    assert result.trades["price"].iloc[-1] == pytest.approx((1000 - (100 - 20)) / (10 * 0.995))


@pytest.mark.parametrize(("share", "met"), [(0.0005, True), (0.00051, False)])
def test_a_limit_that_is_met_exactly_is_met(share, met):
    free = ta.Costs(maker=0.0, taker=0.0, slippage=0.0)
    rows = [(100.0,) * 4] * 3 + [(99.5,) * 4] * 3  # 5 of 10,000
    limits = {"enable_risk_manager": True, "max_position_size_pct": None, "costs": free}
    day = run(candles(*rows), max_daily_loss_pct=share, portfolio_stop_loss_pct=None, **limits)
    assert day.daily_blocks == met
    whole = run(candles(*rows), max_daily_loss_pct=None, portfolio_stop_loss_pct=share, **limits)
    assert whole.risk_halted == met
