"""Evidence of one run at hand: the same as the stages gather, and refused where run and stress do not fit."""

import numpy as np
import pytest

import traderagent as ta
from traderagent.base.errors import ConfigError, DataError
from traderagent.base.files import without_nan
from traderagent.robustness.runners import orchestrators

CONFIG = ta.OrchestratorBacktestConfig()


@pytest.fixture(scope="module")
def market():
    return ta.load_market("synthetic", symbols=2, days=45, seed=7, progress=False)


@pytest.fixture(scope="module")
def run(market):
    return ta.backtest(market["SYN-01"], CONFIG)


@pytest.fixture(scope="module")
def stress(market):
    return ta.stress(market["SYN-01"], CONFIG, progress=False)


def test_it_is_the_evidence_of_the_stages(market, run, stress, tmp_path):
    ta.baseline(market.select(["SYN-01"]), CONFIG, holdout=None, progress=False).save(tmp_path / "baseline")
    ta.stress_study(market.select(["SYN-01"]), CONFIG, holdout=None, progress=False).save(tmp_path / "stress")
    (row,) = ta.verdicts(tmp_path, ledger=tmp_path / "ledger.json").rows
    ours = ta.verdict(ta.evidence_of(run, stress)).to_dict()
    assert {k: v for k, v in row.items() if k in ours} == without_nan(ours)
    assert ours["evidence"]["worst_stress_pct"] == stress.worst()[0] < 0


def test_without_stress_it_is_not_judged(run):
    found = ta.verdict(ta.evidence_of(run))
    assert (found.word, found.missing) == ("NOT JUDGED", ("stress",))


def test_a_run_without_trades_says_why(market):
    idle = ta.backtest(market["SYN-01"], CONFIG.replace(initial_balance=1.0))
    found = ta.verdict(ta.evidence_of(idle))
    assert found.word == "NO TRADES"
    assert found.evidence.no_trades == idle.why_no_trades()
    assert np.isnan(found.evidence.dsr)


def test_what_does_not_belong_to_the_run_is_refused(market, run, stress):
    with pytest.raises(ConfigError, match="result: got Market, allowed is what ta.backtest gives of one symbol"):
        ta.evidence_of(market)
    with pytest.raises(ConfigError, match="stress: got float, allowed is what ta.stress gives"):
        ta.evidence_of(run, -10.0)
    with pytest.raises(DataError, match="stress: of other candles than the run of SYN-02"):
        ta.evidence_of(ta.backtest(market["SYN-02"], CONFIG), stress)
    with pytest.raises(DataError, match="stress: of another config"):
        ta.evidence_of(ta.backtest(market["SYN-01"], CONFIG.replace(enable_dca=False)), stress)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"scenarios": "wide_spread"}, ConfigError, "stress: got wide_spread at the worst moment .* allowed are all"),
        ({"at": "2024-01-20"}, ConfigError, "at 2024-01-20T00:00:00"),
        ({"run": orchestrators()}, DataError, "by a runner of its own"),
    ],
)
def test_a_gentler_stress_test_is_refused(market, run, options, error, message):
    gentle = ta.stress(market["SYN-01"], CONFIG, progress=False, **options)
    with pytest.raises(error, match=message):
        ta.evidence_of(run, gentle)
