"""A choice of a search that was written into the parameters of a stage is not judged as if nobody had searched."""

import math

import pytest

import traderagent as ta
from tests.robustness.test_verdicts import row, stressed
from traderagent.base.errors import DataError
from traderagent.base.files import read_json, write_json
from traderagent.research import ledger

GENTLE = ta.Thresholds(
    interval=0.5, trade_dsr=0.51, trade_cycles=1, watch_cycles=0, watch_dsr=0.0, worst_stress_pct=-99.0
)
DEFAULT = ta.OrchestratorBacktestConfig()
WINNER = DEFAULT.replace(dca_params={"tp_pct": 0.02})
SPACE = {"dca_tp_pct": [0.01, 0.02, 0.06], "router_cooldown_bars": [30, 60]}


@pytest.fixture(scope="module")
def market():
    return ta.load_market("synthetic", symbols=2, days=45, seed=7, progress=False)


def searched(market, config=DEFAULT, space=SPACE, **options):
    ta.sweep(market, config, space, holdout=0.3, progress=False, **options)


def run(results, market, config=WINNER):
    """What the stages baseline and stress leave."""
    ta.baseline(market, config, holdout=0.3, progress=False).save(results / "baseline")
    stressed(results, market, variants=("given",))


def n_searched(results, **options):
    """Name → how many points may have chosen what was given."""
    judged = ta.verdicts(results, limits=GENTLE, **options)
    return {r["name"]: r["evidence"]["n_searched"] for r in judged.rows if r["variant"] == "given"}


def test_a_winner_written_into_the_file_is_not_traded(market, tmp_path):
    run(tmp_path, market)
    before = ta.verdicts(tmp_path, limits=GENTLE)
    assert row(before, "SYN-01", "given")["verdict"] == "TRADE"
    assert "luck alone makes up to" in before.sentence()
    searched(market)
    (entry,) = ledger.entries()
    judged = ta.verdicts(tmp_path, limits=GENTLE)
    found = row(judged, "SYN-01", "given")
    assert (found["verdict"], found["what"]) == ("WATCH", "given after a search")
    assert found["main_reason"].startswith("searched on these candles: 6 points tried on these candles up to 2024-02-")
    evidence = found["evidence"]
    assert (evidence["trials"], evidence["searched"]) == (entry["n_eff"], False)
    assert evidence["dsr"] <= row(before, "SYN-01", "given")["evidence"]["dsr"]
    assert evidence["ledger"]
    account = row(judged, "account", "given")
    assert (account["what"], account["evidence"]["n_searched"]) == ("sum of accounts, given after a search", 6)
    said = judged.sentence()
    assert "the sum of accounts with the parameters given after a search" in said
    assert "on candles by which a search may have chosen it; a search of" in said
    assert "(2 of 2 given after a search of these candles)." in said
    assert "luck alone makes up to" not in said
    run_of = ta.backtest(market["SYN-01"], WINNER)
    assert ta.evidence_of(run_of).n_searched == evidence["n_searched"]


def test_the_search_of_the_pipeline_that_began_with_what_is_given_does_not_count(market, tmp_path):
    run(tmp_path, market)
    searched(market, WINNER)
    assert n_searched(tmp_path) == {"account": None, "SYN-01": None, "SYN-02": None}
    searched(market)
    assert n_searched(tmp_path) == {"account": 6, "SYN-01": 6, "SYN-02": 6}
    assert n_searched(tmp_path, ledger=tmp_path / "another.json") == {"account": None, "SYN-01": None, "SYN-02": None}
    run(tmp_path, market, DEFAULT)
    assert n_searched(tmp_path) == {"account": 6, "SYN-01": 6, "SYN-02": 6}  # the default may come from the other one


def test_a_search_of_one_symbol_counts_for_it_and_for_the_account(market, tmp_path):
    run(tmp_path, market)
    searched(market.select(["SYN-02"]))
    assert n_searched(tmp_path) == {"account": 6, "SYN-01": None, "SYN-02": 6}
    judged = ta.verdicts(tmp_path, limits=GENTLE)
    assert "(1 of 2 given after a search of these candles) (of 1 without any skill" in judged.sentence()


def shared(market, results, **options):
    """What the stage portfolio leaves."""
    account = ta.PortfolioBacktestConfig(**options)
    ta.shared_account(market, account, holdout=0.3, progress=False).save(results / "portfolio")


def test_the_shared_account_is_held_against_searches_of_its_pairs_and_limits(market, tmp_path):
    run(tmp_path, market, DEFAULT)
    searched(market)
    shared(market, tmp_path)
    assert n_searched(tmp_path)["account"] is None
    shared(market, tmp_path, overrides={"SYN-02": {"dca_params": {"tp_pct": 0.02}}})
    assert n_searched(tmp_path) == {"account": 6, "SYN-01": None, "SYN-02": None}
    ledger.ledger_path().unlink()
    searched(market.select(["SYN-01"]))
    assert n_searched(tmp_path)["account"] is None  # the pair that was moved is the other one
    ledger.ledger_path().unlink()
    limits = {"max_total_exposure_pct": [0.5, 0.7], "portfolio_stop_loss_pct": [0.1, 0.2]}
    searched(market, None, limits, portfolio=ta.PortfolioBacktestConfig())
    assert n_searched(tmp_path)["account"] is None
    shared(market, tmp_path, max_total_exposure_pct=0.7)
    assert n_searched(tmp_path) == {"account": 4, "SYN-01": None, "SYN-02": None}
    judged = ta.verdicts(tmp_path, limits=GENTLE)
    assert row(judged, "account", "given")["what"] == "shared account, given after a search"
    assert not math.isnan(row(judged, "account", "given")["evidence"]["dsr"])


@pytest.mark.parametrize("stage", ["baseline", "portfolio"])
def test_what_no_config_allows_is_said_with_its_stage(market, tmp_path, stage):
    run(tmp_path, market, DEFAULT)
    shared(market, tmp_path)
    (path,) = (tmp_path / stage).glob("*.json")
    record = read_json(path)
    record["config"]["no_longer"] = 1
    write_json(path, record)
    with pytest.raises(DataError, match=f"the stage {stage} assumed what no config allows .*no_longer.*run it again"):
        ta.verdicts(tmp_path)
