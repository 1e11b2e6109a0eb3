"""`ta.baseline`: the runs it says it made, the same bytes twice, and reasons for what was not run."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from traderagent.base.errors import ConfigError, DataError, UnknownName
from traderagent.base.evidence import load_baseline


@pytest.fixture(scope="module")
def market():
    return ta.load_market("synthetic", symbols=2, days=40, seed=7, progress=False)


@pytest.fixture(scope="module")
def found(market):
    return ta.baseline(market, holdout=0.3, progress=False)


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


def test_it_holds_the_runs_that_ta_backtest_gives(market, found):
    assert found.runs == ["orchestrator", "no_router", "grid", "dca", "trend_follower", "hold", "same_exposure_hold"]
    assert found.samples == ["in", "out"]
    cfg = ta.OrchestratorBacktestConfig()
    whole = ta.backtest(market["SYN-01"], cfg, holdout=0.3)
    alone = cfg.replace(enable_strategy_router=False, enable_dca=False, enable_trend_follower=False)
    grid = ta.backtest(market["SYN-01"], alone, holdout=0.3)
    for sample in ("in", "out"):
        assert found.number("SYN-01", "total_return_pct", sample=sample) == whole[sample].metrics["total_return_pct"]
        assert found.number("SYN-01", "total_return_pct", "grid", sample) == grid[sample].metrics["total_return_pct"]


def test_holds_are_those_the_metrics_compare_with(found):
    for symbol in found.symbols:
        for sample in found.samples:
            earned = found.number(symbol, "total_return_pct", sample=sample)
            for hold, alpha in (("hold", "alpha_over_hold"), ("same_exposure_hold", "alpha_over_same_exposure_hold")):
                held = found.number(symbol, "total_return_pct", hold, sample)
                assert earned - held == pytest.approx(found.number(symbol, alpha, sample=sample), abs=1e-9)


def test_tables_add_up(found):
    net = sum(v for s in found.symbols for v in found.one(s)["orchestrator"]["per_strategy_pnl"].values())
    assert found.by_regime().to_numpy().sum() == pytest.approx(net / 20_000 * 100)
    assert found.rejections.loc["SYN-01"].sum() == sum(
        sum(found.one("SYN-01", sample=s)["rejections"].values()) for s in ("in", "out")
    )
    account = found.account()
    final = sum(found.one(s)["final_balance"] for s in found.symbols)
    assert account["orchestrator"].iloc[-1] == pytest.approx(final)
    for _, part in account.groupby("sample"):
        assert part.index.is_monotonic_increasing
        assert part.index.is_unique


def test_an_account_of_unequal_spans_is_complete_in_each_sample(market):
    late = market["SYN-02"].slice("2024-01-20", None)
    account = ta.baseline({"SYN-01": market["SYN-01"], "SYN-02": late}, holdout=0.3, progress=False).account()
    outs = account[account["sample"] == "out"]
    ins = account[account["sample"] == "in"]
    assert ins.index.max() > outs.index.min()
    assert outs["orchestrator"].iloc[0] == pytest.approx(20_000, rel=0.01)
    assert (outs.index.to_series().diff().dropna() == pd.Timedelta("1h")).all()


def test_books_add_up_in_every_run(found):
    for record in found.record["symbols"].values():
        for run in record["runs"].values():
            assert all(part.get("largest_book_error", 0.0) < 1e-9 for part in run.values())


def test_same_runs_same_bytes_with_any_number_of_threads(market, found, tmp_path):
    found.save(tmp_path / "a" / "baseline")
    ta.baseline(market, holdout=0.3, workers=1, progress=False).save(tmp_path / "b" / "baseline")
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert "NaN" not in (tmp_path / "a" / "baseline" / "phase1_orchestrator.json").read_text()


def test_reading_restores_what_was_written(found, tmp_path):
    back = load_baseline(found.save(tmp_path / "baseline"))
    assert back.record == found.record
    pd.testing.assert_frame_equal(back.table("sharpe_ratio_daily"), found.table("sharpe_ratio_daily"))
    for name, frame in found.frames["SYN-01"].items():
        pd.testing.assert_frame_equal(back.frames["SYN-01"][name], frame, check_freq=False)
    assert back.in_words() == found.in_words()


def test_numbers_for_dvc_are_scalars(found, tmp_path):
    found.save(tmp_path / "baseline")
    numbers = json.loads((tmp_path / "baseline.json").read_text())

    def leaves(value):
        return [leaf for v in value.values() for leaf in leaves(v)] if isinstance(value, dict) else [value]

    assert all(leaf is None or isinstance(leaf, int | float) for leaf in leaves(numbers))
    assert numbers["by_symbol"]["out"]["SYN-01"]["total_return_pct"] == found.number("SYN-01", "total_return_pct")


def test_the_hold_out_changes_nothing_before_the_cut(market, found):
    cut = market["SYN-01"].cut(0.3)
    candles = market["SYN-01"].candles
    columns = ["open", "high", "low", "close"]
    candles.loc[cut:, columns] = candles.loc[cut:, columns].to_numpy() * 1.5
    other = type(market["SYN-01"]).from_base("SYN-01", candles, instrument=market["SYN-01"].instrument, synthetic=True)
    again = ta.baseline(other, holdout=0.3, progress=False)
    for run in found.runs:
        assert again.one("SYN-01", run, "in")["metrics"] == found.one("SYN-01", run, "in")["metrics"]
    assert again.number("SYN-01", "total_return_pct") != found.number("SYN-01", "total_return_pct")


def test_a_symbol_that_is_too_short_is_skipped_with_its_reason(market):
    short = market["SYN-02"].slice(None, "2024-01-02")
    found = ta.baseline({"SYN-01": market["SYN-01"], "SYN-02": short}, holdout=None, progress=False)
    assert found.symbols == ["SYN-01"]
    assert found.samples == ["whole"]
    assert "candles" in found.skipped["SYN-02"]
    assert "Skipped: SYN-02" in found.in_words()
    with pytest.raises(DataError, match="no symbol could be run"):
        ta.baseline({"SYN-02": short}, holdout=None, progress=False)


def test_a_run_can_be_looked_at_again_and_a_stored_one_says_how(found, tmp_path):
    run = found.run("SYN-02", "in")
    assert run.metrics["total_return_pct"] == found.number("SYN-02", "total_return_pct", sample="in")
    assert found.first.symbol == "SYN-01"
    with pytest.raises(UnknownName, match="SYN-03"):
        found.run("SYN-03")
    assert not hasattr(load_baseline(found.save(tmp_path / "baseline")), "run")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"market": {}}, "allowed are one symbol's candles or a market"),
        ({"config": 3}, "config: got int, allowed is OrchestratorBacktestConfig"),
        ({"holdout": 1.5}, "holdout: got 1.5"),
    ],
)
def test_bad_input_is_refused(market, arguments, message):
    with pytest.raises(ConfigError, match=message):
        ta.baseline(**({"market": market, "progress": False} | arguments))


def test_every_strategy_off_is_refused(market):
    off = {f"enable_{name}": False for name in ("grid", "dca", "trend_follower")}
    with pytest.raises(ConfigError):
        ta.baseline(market, ta.OrchestratorBacktestConfig(**off), progress=False)


def test_broken_files_name_the_stage(found, tmp_path):
    folder = found.save(tmp_path / "baseline")
    curves = folder / "SYN-01" / "curves.parquet"
    curves.write_bytes(curves.read_bytes()[:100])
    with pytest.raises(DataError, match="not readable as Parquet.*run the stage baseline again"):
        load_baseline(folder).frames["SYN-01"]
    (folder / "phase1_orchestrator.json").write_text("{}")
    with pytest.raises(DataError, match="not a record of the stage baseline"):
        load_baseline(folder)


def test_one_strategy_alone_has_no_second_run_of_it(market):
    only = ta.OrchestratorBacktestConfig(enable_dca=False, enable_trend_follower=False)
    found = ta.baseline(market["SYN-01"], only, holdout=None, progress=False)
    assert found.runs == ["orchestrator", "no_router", "hold", "same_exposure_hold"]
    assert np.isfinite(found.table().to_numpy()).all()
