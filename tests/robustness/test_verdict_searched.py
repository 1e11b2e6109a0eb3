"""A run on candles that a search has seen is not judged as if its parameters had been given beforehand."""

from dataclasses import replace

import pandas as pd
import pytest

import traderagent as ta
from tests.robustness.test_verdict import LIMITS, PLAIN, REASONS, with_dsr
from traderagent.base.errors import ConfigError, DataError
from traderagent.research import ledger

CONFIG = ta.OrchestratorBacktestConfig()
CHOSEN = CONFIG.replace(dca_params={"tp_pct": 0.02})
SPACE = {"dca_tp_pct": [0.01, 0.02, 0.06]}
PROJECTS = ledger.ledger_path  # before the tests' own takes its place
GENTLE = ta.Thresholds(
    interval=0.5, trade_dsr=0.51, trade_cycles=1, watch_cycles=0, watch_dsr=0.0, worst_stress_pct=-99.0
)


@pytest.fixture(scope="module")
def market():
    return ta.load_market("synthetic", symbols=2, days=45, seed=7, progress=False)


def test_candles_that_were_searched_hold_back_whatever_the_run_earned():
    tried = replace(PLAIN, n_searched=5000, searched_until="2024-03-01", test=with_dsr(0.97, True))
    found = ta.verdict(tried, LIMITS)
    assert (found.word, [r.name for r in found.reasons]) == ("WATCH", ["searched on these candles"])
    assert "5\u202f000 points tried on these candles up to 2024-03-01" in found.main_reason
    assert "the same parameters on candles after 2024-03-01, ta.walk_forward, or" in found.change[0]
    said = found.lines()
    assert "holds for" not in said
    assert "deflated Sharpe ratio 0.97 with 20.0 effective trials" in said["DSR"]
    assert "on searched candles" in said["loses out of sample"]
    assert set(REASONS) - set(said) == {"PBO", "cliff beside the optimum"}
    whenever = ta.verdict(replace(tried, searched_until=""), LIMITS)
    assert "on days the ledger does not know" in whenever.main_reason
    assert "on candles of which no search is known" in whenever.change[0]


def swept(market, **options):
    ta.sweep(market, CONFIG, SPACE, progress=False, **options)


def test_a_winner_on_one_symbol_of_a_searched_market_is_no_longer_traded(market):
    run = ta.backtest(market["SYN-01"], CHOSEN)
    stress = ta.stress(market["SYN-01"], CHOSEN, progress=False)
    before = ta.evidence_of(run, stress)
    assert (ta.verdict(before, GENTLE).word, before.what, before.test.trials) == ("TRADE", "as given", 1.0)
    swept(market)
    (entry,) = ledger.entries()
    after = ta.evidence_of(run, stress)
    found = ta.verdict(after, GENTLE)
    assert (found.word, [r.name for r in found.reasons]) == ("WATCH", ["searched on these candles"])
    assert (after.what, after.n_searched, after.test.trials) == ("given after a search", 3, entry["n_eff"])
    assert after.searched_until == str(market["SYN-01"].index[-1].date())
    assert after.test.trials_variance == pytest.approx(1.0 / (after.days - 1))
    assert after.ledger
    assert repr(found) == repr(ta.verdict(ta.evidence_of(run, stress), GENTLE))


def searched(run, **options):
    """How many points may have chosen the parameters of a run."""
    return ta.evidence_of(run, **options).n_searched


def test_any_cut_of_the_candles_and_any_value_of_a_searched_parameter_was_seen(market):
    swept(market.select(["SYN-01"]))
    data = market["SYN-01"]
    for part in (data.slice(None, data.start + pd.Timedelta("30D")), data.slice(data.start + pd.Timedelta("9D"))):
        assert searched(ta.backtest(part, CHOSEN)) == 3
    longer = ta.MultiTimeframeData.from_base("SYN-01", data.frame("15m"), "15m", synthetic=True)
    assert searched(ta.backtest(longer, CHOSEN.replace(enable_strategy_router=False, warmup_bars=100))) == 3
    assert searched(ta.backtest(data, CONFIG.replace(dca_params={"tp_pct": 0.037}))) == 3
    assert searched(ta.backtest(market["SYN-02"], CHOSEN)) is None


def test_what_no_search_can_have_chosen_stays_as_given(market):
    swept(market)
    assert searched(ta.backtest(market["SYN-01"], CONFIG)) is None
    assert searched(ta.backtest(market["SYN-01"], CONFIG.replace(max_position_size_pct=0.2))) is None
    assert searched(ta.backtest(market["SYN-01"], CHOSEN.replace(enable_dca=False))) is None


def test_what_a_search_began_with_it_has_not_chosen_and_the_default_it_may_have(market):
    data, other = market["SYN-01"], CONFIG.replace(dca_params={"tp_pct": 0.02})
    ta.sweep(data, other, SPACE, progress=False)
    assert searched(ta.backtest(data, other)) is None
    assert searched(ta.backtest(data, other.replace(dca_params={"tp_pct": 0.02, "stop_loss_pct": 0.1}))) is None
    assert [searched(ta.backtest(data, of)) for of in (CONFIG, other.replace(dca_params={"tp_pct": 0.01}))] == [3, 3]


def test_a_search_again_from_the_winner_takes_nothing_from_the_first(market):
    data = market["SYN-01"]
    ta.sweep(data, CONFIG, SPACE, progress=False)
    run = ta.backtest(data, CHOSEN)
    first = ta.evidence_of(run)
    ta.sweep(data, CHOSEN, {"dca_tp_pct": [0.015, 0.02, 0.025, 0.03]}, progress=False)
    assert len(ledger.entries()) == 2
    assert ta.evidence_of(run) == first
    assert first.n_searched == 3


def test_a_winner_of_any_phase_and_fold_was_searched(market):
    data, one = market["SYN-01"], CONFIG.only("dca")
    space = {"dca_tp_pct": [0.01, 0.05, 0.1], "liquidate_at_end": [True, False]}
    found = ta.two_phase_optimize(market, one, space, coarse=3, fine=3, min_trades=1, select="best", progress=False)
    began = {"dca_tp_pct": 0.08, "liquidate_at_end": False}
    assert [entry["given"] for entry in ledger.entries()] == [began] * (1 + len(found.fine))
    assert searched(ta.backtest(data, found.config_for("SYN-01"))) >= 6
    assert searched(ta.backtest(data, one)) is None
    ledger.ledger_path().unlink()
    folds = {"train": "15D", "test": "5D", "step": "5D", "min_trades": 1, "progress": False}
    ta.walk_forward(
        market, one, {"dca_tp_pct": [0.01, 0.05], "liquidate_at_end": [True, False]}, select="best", **folds
    )
    (entry,) = ledger.entries()
    assert entry["given"] == {"dca_tp_pct": 0.08, "liquidate_at_end": False}  # not as its folds are run
    assert searched(ta.backtest(data, one)) is None
    assert searched(ta.backtest(data, one.replace(dca_params={"tp_pct": 0.05}))) == 4


def test_limits_of_an_account_are_no_parameters_of_a_run_by_itself(market):
    limits = {"portfolio_stop_loss_pct": [0.1, 0.2], "max_total_exposure_pct": [0.5, 0.7]}
    ta.sweep(market, None, limits, portfolio=ta.PortfolioBacktestConfig(), progress=False)
    (entry,) = ledger.entries()
    assert entry["given"] == {"portfolio_stop_loss_pct": 0.15, "max_total_exposure_pct": 0.8}
    assert entry["shared"]
    assert searched(ta.backtest(market["SYN-01"], CONFIG)) is None
    assert searched(ta.backtest(market["SYN-01"], CONFIG.replace(portfolio_stop_loss_pct=0.1))) is None
    ta.sweep(market, None, {"dca_tp_pct": [0.01, 0.02]}, portfolio=ta.PortfolioBacktestConfig(), progress=False)
    assert [searched(ta.backtest(market["SYN-01"], of)) for of in (CONFIG, CHOSEN)] == [None, 2]


def test_a_search_that_does_not_say_from_where_it_began_counts(market):
    cube = ta.sweep(market, CONFIG, SPACE, counted=False, progress=False)
    ledger.enter_sweep(cube.drop_attrs(deep=False).assign_attrs({k: v for k, v in cube.attrs.items() if k != "given"}))
    assert searched(ta.backtest(market["SYN-01"], CONFIG)) == 3


def test_a_search_before_the_cut_says_nothing_of_the_candles_behind_it(market):
    swept({symbol: data.split(0.3)[0] for symbol, data in market.items()})
    parts = ta.backtest(market["SYN-01"], CHOSEN, holdout=0.3)
    assert [searched(parts[name]) for name in ("in", "out")] == [3, None]
    assert searched(ta.backtest(market["SYN-01"], CHOSEN)) == 3


def test_a_hold_out_on_which_every_point_was_shown_was_seen(market):
    swept(market, holdout=0.3)
    found = ta.evidence_of(ta.backtest(market["SYN-01"], CHOSEN, holdout=0.3)["out"])
    assert (found.n_searched, found.searched_until) == (3, str(market["SYN-01"].index[-1].date()))


def test_a_pair_of_a_shared_account_is_no_run_of_its_own(market):
    shared = ta.portfolio(market, progress=False)
    with pytest.raises(ConfigError, match="got SYN-01 of a shared account.*of ta.backtest"):
        ta.evidence_of(shared.per_pair_results["SYN-01"])


def test_searches_add_up_and_unknown_days_may_be_any(market):
    swept(market)
    ta.sweep(market["SYN-01"], CONFIG, {"dca_tp_pct": [0.03, 0.04]}, returns=None, holdout=0.3, progress=False)
    found = ta.evidence_of(ta.backtest(market["SYN-01"], CHOSEN, holdout=0.3)["out"])
    assert (found.n_searched, found.searched_until) == (5, "")
    assert found.test.trials == pytest.approx(sum(entry["n_eff"] for entry in ledger.entries()))


def test_an_own_parameter_counts_with_its_prefix(market):
    class Dip(ta.Strategy):
        fall: float = ta.parameter(0.02, low=0.001, high=0.5)

        def decide(self, now, book):
            return ta.buy(notional=500.0) if now.close < self.fall else None

    alone = CONFIG.only()
    ta.sweep(market, alone, {"dip_fall": [0.02, 0.03]}, strategies=[Dip()], progress=False)

    class Written(ta.Strategy):
        """The same with what was found as its default."""

        name = "dip"
        fall: float = ta.parameter(0.03, low=0.001, high=0.5)

        def decide(self, now, book):
            return ta.buy(notional=500.0) if now.close < self.fall else None

    class Fixed(ta.Strategy):
        """The same with what was found in its rule."""

        name = "dip"

        def decide(self, now, book):
            return ta.buy(notional=500.0) if now.close < 0.03 else None

    runs = [
        ta.backtest(market["SYN-01"], alone, strategies=[own]) for own in (Dip(), Dip(fall=0.03), Written(), Fixed())
    ]
    assert [searched(one) for one in runs] == [None, 2, 2, 2]
    assert searched(ta.backtest(market["SYN-01"], CHOSEN)) is None


def test_another_ledger_and_none_at_all(market, tmp_path, monkeypatch):
    swept(market)
    run = ta.backtest(market["SYN-01"], CHOSEN)
    assert searched(run, ledger=tmp_path / "none.json") is None
    (tmp_path / "old.json").write_text('{"format": 2, "entries": []}')
    with pytest.raises(
        DataError, match=r"old\.json: a ledger of format 2, which does not say from which values.* began; moved away"
    ):
        searched(run, ledger=tmp_path / "old.json")
    monkeypatch.delenv("TRADERAGENT_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ledger, "ledger_path", PROJECTS)
    assert searched(run) is None
