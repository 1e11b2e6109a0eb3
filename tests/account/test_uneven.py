"""Pairs that are not alike: spans, overrides, own strategies; what then must still be true, and what names a run."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import traderagent as ta

PAIR = ta.OrchestratorBacktestConfig
QUIET = {"progress": False}


class Once(ta.Strategy):
    """Buys above the mean, sells below it."""

    a: int = ta.parameter(3, unit="candles", low=1, high=50)

    def features(self, m5):
        return {"mean": m5.close.sma(self.a)}

    def decide(self, now, book):
        if book.flat and now.close > now.mean:
            return ta.buy(risk=0.01, stop=now.close * 0.97)
        if book.long and now.close < now.mean:
            return ta.close()


@pytest.fixture(scope="module")
def market():
    return ta.load_market("synthetic", symbols=3, days=40, seed=5)


def early(market, share=0.55):
    """The first symbol ends early."""
    first = market["SYN-01"]
    return ta.Market({**market, "SYN-01": first.slice(None, first.start + (first.end - first.start) * share)})


def test_symbols_are_ranked_before_the_earliest_cut(market):
    uneven = early(market)
    start = min(data.cut(0.3) for data in uneven.values())
    other = {}
    for symbol, data in uneven.items():
        frame = data.candles[["open", "high", "low", "close", "volume"]].copy()
        frame.loc[np.asarray(frame.index >= start), ["open", "high", "low", "close"]] *= 1.5
        other[symbol] = ta.MultiTimeframeData.from_base(symbol, frame, instrument=data.instrument, synthetic=True)
    ranked = ta.rank_symbols(uneven, min_trades=1, **QUIET)
    assert ta.rank_symbols(ta.Market(other), min_trades=1, **QUIET).equals(ranked)
    found = ta.portfolio(uneven, holdout=0.3, top_n=1, **QUIET)["out"]
    assert found.symbols == (ranked.index[0],)
    assert found.config.symbols == [ranked.index[0]]
    assert len(found.skipped) == 2


def test_a_point_of_a_sweep_warms_up_as_long_as_any_pair_needs(market):
    pair = PAIR(enable_strategy_router=False)
    config = ta.PortfolioBacktestConfig(
        per_pair_config=pair, overrides={"SYN-01": {"dca_params": {"high_lookback": 3000}}}
    )
    cube = ta.sweep(market, space={"max_total_exposure_pct": [0.3, 0.6]}, portfolio=config, **QUIET)
    assert cube.attrs["warmup_bars"] >= 3_000
    same = config.replace(per_pair_config=pair.replace(warmup_bars=cube.attrs["warmup_bars"]))
    for total in (0.3, 0.6):
        run = ta.portfolio(market, same.replace(max_total_exposure_pct=total), **QUIET)
        assert float(cube.total_return_pct.sel(max_total_exposure_pct=total).item()) == run.metrics["total_return_pct"]


def test_both_parts_hold_the_same_pairs(market):
    one = market["SYN-02"]
    short = ta.Market({**market, "SYN-02": one.slice(None, one.start + (one.end - one.start) * 0.08)})
    runs = ta.portfolio(short, holdout=0.3, **QUIET)
    assert runs["in"].symbols == runs["out"].symbols == ("SYN-01", "SYN-03")
    assert "SYN-02" in runs["out"].skipped
    cube = ta.sweep(
        short,
        space={"max_total_exposure_pct": [0.3, 0.6]},
        portfolio=ta.PortfolioBacktestConfig(),
        holdout=0.3,
        **QUIET,
    )
    assert cube.attrs["symbols"] == "SYN-01, SYN-03"


def test_what_makes_the_numbers_is_in_the_hash(market):
    config = ta.PortfolioBacktestConfig()
    runs = [
        ta.portfolio(market, config, **QUIET),
        ta.portfolio(market, config, strategies=[Once(a=3)], **QUIET),
        ta.portfolio(market, config, strategies=[Once(a=9)], **QUIET),
        ta.portfolio(market, config, allocate=lambda past: dict(zip(past, (0.8, 0.1, 0.1), strict=True)), **QUIET),
        ta.portfolio(market, config, routes={"SYN-01": [set()] * len(market["SYN-01"])}, **QUIET),
    ]
    assert len({run.assumptions["config_hash"] for run in runs}) == len(runs)
    listed = [config.replace(symbols=names) for names in (market.symbols, market.symbols[::-1])]
    hashes = {ta.portfolio(market, one, **QUIET).assumptions["config_hash"] for one in listed}
    assert hashes == {runs[0].assumptions["config_hash"]}


@pytest.mark.parametrize("account", ["spot", "perpetual"])
def test_a_symbol_that_ends_early_is_held_to_the_end_of_the_account(market, account):
    pair = PAIR(account=account, liquidate_at_end=True, enable_strategy_router=False)
    result = ta.portfolio(early(market), ta.PortfolioBacktestConfig(per_pair_config=pair), **QUIET)
    value = result.equity - result.cash
    held = result.exposure.sum(axis=1)
    if account == "spot":
        np.testing.assert_allclose(held, value, rtol=1e-9, atol=1e-6)
    ended = result.exposure["SYN-01"].to_numpy()[int(len(result.index) * 0.6) : -1]
    assert (ended > 0).all()
    assert held.iloc[-1] == 0.0
    gained = result.equity.iloc[-1] - result.config.initial_capital
    assert result.contribution["pnl"].sum() == pytest.approx(gained, rel=1e-9)
    assert result.contribution["drawdown_pct"].sum() == pytest.approx(result.portfolio_max_drawdown_pct, rel=1e-7)


def test_longs_and_shorts_both_count_up_in_exposure(market):
    pair = PAIR(
        account="perpetual",
        enable_strategy_router=False,
        enable_dca=False,
        enable_trend_follower=False,
        grid_params={"direction": "neutral", "num_levels": 6},
    )
    result = ta.portfolio(market, ta.PortfolioBacktestConfig(per_pair_config=pair), **QUIET)
    books = result.per_pair_results["SYN-01"].raw
    first = result.exposure["SYN-01"].to_numpy()
    gross = np.abs(books.ledger[:, [4, 11]]).sum(axis=1) * result.per_pair_results["SYN-01"].plan.tape.close
    np.testing.assert_allclose(first[:-1], gross[:-1], rtol=1e-12)
    assert (first <= result.committed["SYN-01"].to_numpy() * (1 + 1e-9) + 1e-9).all()


def test_candles_go_by_the_name_under_which_the_market_has_them(market):
    renamed = {"AAA": market["SYN-01"], "BBB": market["SYN-02"]}
    result = ta.portfolio(renamed, **QUIET)
    assert result.symbols == ("AAAUSDT", "BBBUSDT")
    assert set(result.trades["symbol"]) <= {"AAAUSDT", "BBBUSDT"}
    assert result.independent.nunique() > 10


def test_a_space_may_leave_the_account_as_given_behind(market):
    config = ta.PortfolioBacktestConfig(
        per_pair_config=PAIR(account="perpetual", leverage=10.0), max_total_exposure_pct=5.0, max_single_pair_pct=0.5
    )
    space = {"leverage": [2.0, 10.0], "max_total_exposure_pct": [1.0, 1.5]}
    cube = ta.sweep(market, space=space, portfolio=config, **QUIET)
    assert cube.total_return_pct.notnull().all()


def test_what_differs_by_pair_is_not_told_as_one(market):
    free = {"SYN-01": {"costs": {"maker": 0.0, "taker": 0.0, "slippage": 0.0}}}
    result = ta.portfolio(market, ta.PortfolioBacktestConfig(overrides=free), **QUIET)
    assert result.assumptions["taker"] == "differs by pair"
    assert result.assumptions["account"] == "spot"


def test_a_result_can_be_pickled(market):
    result = ta.portfolio(market, **QUIET)
    again = pickle.loads(pickle.dumps(result))
    assert again.equity.equals(result.equity)
    assert again.metrics == result.metrics


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"correlation_window": "3D"}, "correlation_window: got '3D'"),
        ({"overrides": {"SYN-01": {}, "syn-01": {}}}, "each symbol once"),
    ],
)
def test_more_that_cannot_be(market, config, words):
    with pytest.raises(ta.ConfigError, match=words):
        ta.portfolio(market, ta.PortfolioBacktestConfig(**config), **QUIET)


@pytest.mark.parametrize("given", [None, [1, 2], "equal"])
def test_an_allocation_that_gives_no_weights(market, given):
    with pytest.raises(ta.ConfigError, match="allocate"):
        ta.portfolio(market, allocate=lambda past: given, **QUIET)


@pytest.mark.parametrize(
    "options", [{"workers": 0}, {"workers": 1.5}, {"holdout": "a"}, {"allocate": 3}, {"config": PAIR()}]
)
def test_options_of_a_wrong_kind(market, options):
    with pytest.raises(ta.ConfigError):
        ta.portfolio(market, **options, **QUIET)


def test_coarse_candles_have_too_few_hours_for_a_correlation(market):
    daily = {
        s: ta.MultiTimeframeData.from_base(
            s, ta.load_market("synthetic", symbols=3, days=400, seed=5)[s].frame("1d"), base="1d"
        )
        for s in market
    }
    pair = PAIR(enable_strategy_router=False, warmup_bars=60, enable_trend_follower=False, enable_grid=False)
    with pytest.raises(ta.ConfigError, match="correlation_window"):
        ta.portfolio(daily, ta.PortfolioBacktestConfig(per_pair_config=pair), **QUIET)
