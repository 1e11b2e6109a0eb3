"""Verdicts from what the stages wrote: numbers are those of the runs, the ledger counts, missing stages are named."""

import math
import shutil

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from traderagent.base.errors import ConfigError, DataError
from traderagent.base.files import read_json, write_json
from traderagent.base.hashing import hash_values
from traderagent.base.judgements import Judgements, load_judgements
from traderagent.metrics.surface import POOLED, surface
from traderagent.research import ledger
from traderagent.research.search_evidence import save_search
from traderagent.robustness.cliffs import position_of, worst_neighbour
from traderagent.robustness.scenarios import SCENARIOS

SPACE = {"dca_tp_pct": [0.05, 0.08, 0.1], "max_position_size_pct": [0.1, 0.25]}
NAMES = ["SYN-01", "SYN-02"]


@pytest.fixture(scope="module")
def market():
    return ta.load_market("synthetic", symbols=2, days=45, seed=7, progress=False)


@pytest.fixture(scope="module")
def baseline(market):
    return ta.baseline(market, holdout=0.3, progress=False)


@pytest.fixture(scope="module")
def search(market):
    return ta.optimize_orchestrator(market, None, SPACE, holdout=0.3, min_trades=1, progress=False)


@pytest.fixture(scope="module")
def written(market, baseline, search, tmp_path_factory):
    """What baseline and optimization leave."""
    folder = tmp_path_factory.mktemp("results")
    baseline.save(folder / "baseline")
    save_search(search, folder, {symbol: market[symbol].hash for symbol in market})
    return folder


@pytest.fixture
def results(written, tmp_path):
    shutil.copytree(written, tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture
def nothing(tmp_path):
    """A ledger in which nothing stands."""
    return tmp_path / "ledger.json"


def told_of_stress(results, market):
    """The record of a whole stage stress: every scenario, with the config and the choices of the other stages."""
    points = {}
    if (results / "optimization").is_dir():
        rows = read_json(results / "optimization" / "optimization.json")["symbols"]
        points = {name: row["parameters"] for name, row in rows.items()}
    return {
        "stage": "stress",
        "candles": {s: market[s].hash for s in market},
        "holdout": 0.3,
        "config": read_json(results / "baseline" / "phase1_orchestrator.json")["config"],
        "scenarios": dict.fromkeys([*SCENARIOS, "volatile_window_1"]),
        "samples": ["in", "out"],
        "chosen": {name: point for name, point in points.items() if name != POOLED},
        "pooled": points.get(POOLED),
        "account": None,
    }


def stressed(results, market, worst=-10.0, variants=("given", "chosen", "pooled"), **record):
    """What the stage stress leaves: two scenarios, the second one mild."""
    rows = [
        {"variant": v, "scenario": name, "symbol": s, "sample": sample, "worst_pct": value - 4.0 * NAMES.index(s)}
        for v in variants
        for name, value in (("crash", worst), ("fees", -1.0))
        for s in NAMES
        for sample in ("in", "out")
    ]
    (results / "stress").mkdir(exist_ok=True)
    write_json(results / "stress/stress.json", {**told_of_stress(results, market), **record})
    pd.DataFrame(rows).to_parquet(results / "stress/cells.parquet", index=False)


def row(judged, name, variant):
    (found,) = [r for r in judged.rows if (r["name"], r["variant"]) == (name, variant)]
    return found


def test_what_nobody_searched_and_the_accounts_come_first(results, nothing):
    judged = ta.verdicts(results, ledger=nothing)
    order = [(r["name"], r["variant"]) for r in judged.rows]
    given, chosen = ([(s, v) for s in NAMES] for v in ("given", "chosen"))
    assert order == [("account", "given"), ("account", "pooled"), *given, *chosen]
    for found in (r["evidence"] for r in judged.rows):
        assert found["drawdown_pct"] >= -found["return_pct"] - 1e-9


def test_of_what_stands_together_the_better_verdict_comes_first(results, market, nothing):
    stressed(results, market)
    path = results / "baseline" / "phase1_orchestrator.json"
    record = read_json(path)
    write_json(path, {**record, "symbols": dict(reversed(record["symbols"].items()))})
    rows = [r for r in ta.verdicts(results, ledger=nothing).rows if r["variant"] == "given" and r["name"] in NAMES]
    assert [(r["name"], r["verdict"]) for r in rows] == [("SYN-01", "WATCH"), ("SYN-02", "REJECT")]


def test_without_the_stage_stress_nothing_is_judged_and_it_is_named(results, market, nothing):
    judged = ta.verdicts(results, ledger=nothing)
    assert {r["verdict"] for r in judged.rows} == {"NOT JUDGED"}
    assert judged.missing == ("stress",)
    assert judged.sentence().endswith("Not judged for want of the stage stress.")
    stressed(results, market)
    judged = ta.verdicts(results, ledger=nothing)
    assert judged.missing == ()
    assert {r["verdict"] for r in judged.rows} <= {"TRADE", "WATCH", "REJECT"}


def test_as_given_the_whole_span_counts_in_one_row(results, baseline, nothing):
    judged = ta.verdicts(results, ledger=nothing)
    for symbol in NAMES:
        found = row(judged, symbol, "given")["evidence"]
        growth = [1 + baseline.number(symbol, "total_return_pct", sample=s) / 100 for s in ("in", "out")]
        held = [1 + baseline.number(symbol, "total_return_pct", "same_exposure_hold", s) / 100 for s in ("in", "out")]
        assert found["return_pct"] == pytest.approx((np.prod(growth) - 1) * 100, abs=1e-9)
        assert found["hold_pct"] == pytest.approx((np.prod(held) - 1) * 100, abs=1e-9)
        cycles = [baseline.number(symbol, "completed_cycles", sample=s) for s in ("in", "out")]
        assert (found["cycles"], found["trials"], found["searched"]) == (sum(cycles), 1.0, False)
        frame = baseline.frames[symbol]["curves"]
        days = frame.index.floor("1D").nunique()
        assert found["test_days"] == found["days"] == days
        parts = [frame.loc[frame["sample"] == s, "orchestrator"] for s in ("in", "out")]
        level = np.r_[parts[0], parts[1] * parts[0].iloc[-1] / 10_000] / 10_000
        last = pd.Series(level, frame.index).groupby(frame.index.floor("1D")).last().to_numpy()
        m = ta.stats.moments(last / np.r_[1.0, last[:-1]] - 1)
        expected = ta.stats.probabilistic_sharpe_ratio(m.sr, m.n, m.skew, m.kurtosis)
        assert found["dsr"] == pytest.approx(expected, abs=1e-9)
        assert found["lower_pct"] < found["return_pct"] < found["upper_pct"]
        spacing = [baseline.one(symbol, sample=s)["assumptions"]["grid_spacing_sigma"] for s in ("in", "out")]
        assert found["spacing_sigma"] == min(spacing)
    whole = row(judged, "account", "given")["evidence"]
    assert whole["return_pct"] == pytest.approx(
        np.mean([row(judged, s, "given")["evidence"]["return_pct"] for s in NAMES])
    )
    assert whole["cycles"] == sum(row(judged, s, "given")["evidence"]["cycles"] for s in NAMES)


def test_a_choice_is_judged_by_its_own_search_and_by_candles_set_aside(results, search, nothing):
    judged = ta.verdicts(results, ledger=nothing)
    for symbol in NAMES:
        found = row(judged, symbol, "chosen")["evidence"]
        point = search.best_params[symbol]
        out = search.cube.sel(symbol=symbol, sample="out", **point)
        returns = out["returns"].to_numpy().astype(float)
        interval = ta.stats.bootstrap_interval(returns, level=0.9, seed=0)
        assert found["return_pct"] == float(out["total_return_pct"])
        assert found["hold_pct"] == pytest.approx(float(out["total_return_pct"] - out["alpha_over_same_exposure_hold"]))
        assert (found["lower_pct"], found["days"]) == (interval.low * 100, interval.n_days)
        assert (found["dsr"], found["pbo"]) == tuple(search.table.loc[symbol, ["dsr", "pbo"]])
        assert found["cycles"] == float(out["completed_cycles"])
        assert found["ledger"] == ""
    both = search.cube.sel(sample="out", **search.best_params["pooled"])
    found = row(judged, "account", "pooled")["evidence"]
    assert found["return_pct"] == pytest.approx(float(both["total_return_pct"].mean()))
    equity = (1 + both["returns"].astype(float)).cumprod("day").mean("symbol").to_numpy()
    assert found["drawdown_pct"] == pytest.approx(
        float((1 - equity / np.maximum(np.maximum.accumulate(equity), 1)).max() * 100)
    )
    assert (found["dsr"], found["pbo"]) == tuple(search.table.loc["pooled", ["dsr", "pbo"]])


def entered(path, data, space, n):
    """A search in the ledger."""
    rest = {"candles": dict.fromkeys(NAMES), "axes": ["dca_tp_pct"], "trials": 1000, "holdout_opened": False}
    begun = {"given": {"dca_tp_pct": 0.08}, "shared": False}  # the default, so that no run as given was chosen by it
    ledger.enter(data_hash=data, space_hash=space, config_hash="c", n_eff=n, path=path, **rest, **begun)


def test_other_searches_of_the_same_candles_deflate_a_choice(results, market, search, nothing):
    both, one = hash_values({s: market[s].hash for s in NAMES}), hash_values({"SYN-01": market["SYN-01"].hash})
    for hashed, space, n in ((both, "a", 9.0), (both, "b", 11.5), (one, "a", 4.0), ("other", "a", 500.0)):
        entered(nothing, hashed, space, n)
    judged = ta.verdicts(results, ledger=nothing)
    luck = search.luck
    for name, variant, trials in (("SYN-01", "chosen", 24.5), ("SYN-02", "chosen", 20.5), ("account", "pooled", 20.5)):
        found = row(judged, name, variant)["evidence"]
        r = luck.loc["pooled" if name == "account" else name]
        moments = (r["sharpe_per_day"], r["days"], r["skew"], r["kurtosis"])
        assert found["trials"] == trials > r["n_effective"]
        variance = max(r["trials_variance"], 1.0 / (r["days"] - 1))
        assert found["dsr"] == pytest.approx(ta.stats.deflated_sharpe_ratio(*moments, trials, variance))
        assert found["dsr"] < r["dsr"]
        assert found["ledger"]
    assert row(judged, "SYN-01", "given")["evidence"]["trials"] == 1.0
    before = row(judged, "SYN-02", "chosen")["evidence"]["ledger"]
    entered(nothing, both, "z", 2.0)
    again = row(ta.verdicts(results, ledger=nothing), "SYN-02", "chosen")["evidence"]
    assert (again["trials"], again["ledger"] == before) == (22.5, False)


def test_the_worst_scenario_is_that_of_the_parameters_and_of_all_symbols_at_once(results, market, nothing):
    stressed(results, market, worst=-30.0, variants=("given", "chosen"))
    judged = ta.verdicts(results, ledger=nothing)
    found = {(r["name"], r["variant"]): r["evidence"]["worst_stress_pct"] for r in judged.rows}
    assert found[("SYN-01", "given")] == found[("SYN-01", "chosen")] == -30.0
    assert found[("SYN-02", "given")] == -34.0
    assert found[("account", "given")] == -32.0
    assert found[("account", "pooled")] is None
    assert row(judged, "account", "pooled")["missing"] == ["stress"]
    assert "breaks in stress" in [r["name"] for r in row(judged, "SYN-01", "given")["reasons"]]


@pytest.mark.parametrize(
    "part",
    [
        {"scenarios": {"wide_spread": None, "volatile_window_1": None}},
        {"scenarios": dict.fromkeys(SCENARIOS)},
        {"config": {"enable_dca": False}},
        {"samples": ["in", "out", "third"]},
    ],
)
def test_a_stress_test_of_less_or_of_something_else_judges_nothing(results, market, nothing, part):
    stressed(results, market, **part)
    assert {r["verdict"] for r in ta.verdicts(results, ledger=nothing).rows} == {"NOT JUDGED"}


def test_a_choice_is_not_judged_by_the_stress_of_a_former_one(results, market, nothing):
    told = told_of_stress(results, market)
    other = {**told["pooled"], "dca_tp_pct": 0.99}
    stressed(results, market, pooled=other, chosen={**told["chosen"], "SYN-01": other})
    judged = ta.verdicts(results, ledger=nothing)
    missing = {(r["name"], r["variant"]): r["missing"] for r in judged.rows}
    assert missing[("SYN-01", "chosen")] == missing[("account", "pooled")] == ["stress"]
    assert missing[("SYN-02", "chosen")] == missing[("SYN-01", "given")] == []


def test_a_verdict_on_results_that_ran_again_is_not_shown(results, market, nothing):
    stressed(results, market)
    judged = ta.verdicts(results, ledger=nothing, save=True)
    assert load_judgements(results).record == judged.record
    stressed(results, market, seed=5)
    assert load_judgements(results) is None
    ta.verdicts(results, ledger=nothing, save=True)
    shutil.rmtree(results / "optimization")
    assert load_judgements(results) is None


def test_the_shared_account_is_judged_where_it_was_run(results, market, nothing):
    alone = row(ta.verdicts(results, ledger=nothing), "account", "given")
    index = pd.date_range("2024-01-03", periods=24 * 40, freq="h", tz="UTC")
    rising = 5_000 * 1.0002 ** np.arange(1, len(index) + 1)
    parts = [
        pd.DataFrame({"shared": rising, "same_exposure_hold": 5_000.0, "variant": v, "sample": s}, index + shift)
        for v in ("given", "chosen")
        for s, shift in (("in", pd.Timedelta(0)), ("out", pd.Timedelta("40D")))
    ]
    (results / "portfolio").mkdir()
    pd.concat(parts).rename_axis("time").to_parquet(results / "portfolio/curves.parquet")
    record = {
        "stage": "portfolio",
        "holdout": 0.3,
        "samples": ["in", "out"],
        "candles": {s: market[s].hash for s in NAMES},
        "config": {"initial_capital": 5_000.0},
        "runs": {"given": {s: {"metrics": {"completed_cycles": n}} for s, n in (("in", 20), ("out", 13))}},
    }
    write_json(results / "portfolio/portfolio_result.json", record)
    shared = row(ta.verdicts(results, ledger=nothing), "account", "given")
    assert alone["what"] == "sum of accounts, as given"
    assert shared["what"] == "shared account, as given"
    assert shared["evidence"]["return_pct"] == pytest.approx((1.0002 ** (2 * len(index)) - 1) * 100)
    assert (shared["evidence"]["hold_pct"], shared["evidence"]["cycles"], shared["evidence"]["days"]) == (0.0, 33.0, 80)
    stressed(results, market)
    assert row(ta.verdicts(results, ledger=nothing), "account", "given")["missing"] == ["stress"]
    stressed(results, market, account=record["config"])
    cells = pd.read_parquet(results / "stress/cells.parquet")
    whole = cells[(cells["symbol"] == "SYN-01") & (cells["variant"] == "given")].assign(
        symbol="account", worst_pct=-9.0
    )
    pd.concat([cells, whole]).to_parquet(results / "stress/cells.parquet")
    assert row(ta.verdicts(results, ledger=nothing), "account", "given")["evidence"]["worst_stress_pct"] == -9.0
    idle = pd.concat(parts).assign(shared=5_000.0).rename_axis("time")
    idle.to_parquet(results / "portfolio/curves.parquet")
    assert row(ta.verdicts(results, ledger=nothing), "account", "given")["verdict"] == "NO TRADES"


def test_a_symbol_that_never_traded_says_why(results, market, baseline, nothing):
    path = results / "baseline/phase1_orchestrator.json"
    record = read_json(path)
    for run in record["symbols"]["SYN-02"]["runs"]["orchestrator"].values():
        run["why_no_trades"] = "900 candles to trade on; signals: none"
    write_json(path, record)
    found = row(ta.verdicts(results, ledger=nothing), "SYN-02", "given")
    assert found["verdict"] == "NO TRADES"
    assert found["main_reason"].startswith("900 candles to trade on; signals: none")


def test_one_symbol_is_its_own_account(market, tmp_path, nothing):
    ta.baseline(market["SYN-01"], holdout=None, progress=False).save(tmp_path / "baseline")
    judged = ta.verdicts(tmp_path, ledger=nothing)
    assert [(r["name"], r["variant"]) for r in judged.rows] == [("SYN-01", "given")]
    assert judged.sentence().startswith("**NOT JUDGED.** On 1 symbol, 2024-01-")
    assert judged.rows[0]["evidence"]["sharpe_in"] is None


def test_a_search_that_set_nothing_aside_has_nothing_out_of_sample(market, tmp_path, nothing):
    ta.baseline(market, holdout=None, progress=False).save(tmp_path / "baseline")
    found = ta.optimize_orchestrator(market, None, SPACE, holdout=None, min_trades=1, progress=False)
    save_search(found, tmp_path, {symbol: market[symbol].hash for symbol in market})
    stressed(tmp_path, market, holdout=None)
    judged = ta.verdicts(tmp_path, ledger=nothing)
    for name, variant in (("SYN-01", "chosen"), ("account", "pooled")):
        one = row(judged, name, variant)
        assert one["verdict"] == "REJECT"
        assert one["main_reason"].startswith("loses out of sample: undefined out of sample")


def test_a_search_in_two_phases_is_read_from_its_second(market, baseline, tmp_path, nothing):
    space = {"dca_tp_pct": [0.04, 0.1], "max_position_size_pct": [0.1, 0.25]}
    found = ta.two_phase_optimize(market, None, space, coarse=2, fine=2, holdout=0.3, min_trades=1, progress=False)
    baseline.save(tmp_path / "baseline")
    save_search(found, tmp_path, {symbol: market[symbol].hash for symbol in market})
    judged = ta.verdicts(tmp_path, ledger=nothing)
    for symbol in NAMES:
        out = found.fine[symbol].sel(sample="out", **found.best_params[symbol])
        out = out.sel(symbol=symbol) if "symbol" in out.dims else out
        assert row(judged, symbol, "chosen")["evidence"]["return_pct"] == float(out["total_return_pct"])
    assert row(judged, "account", "pooled")["evidence"]["dsr"] == found.table.loc["pooled", "dsr"]


def test_the_neighbour_that_loses_most_is_the_cliff(search):
    seen = surface(search.cube, "sharpe_ratio", 1)
    position = position_of(seen, search.best_params["SYN-01"])
    values = np.full(seen.values.shape, 2.0)
    values[0, position] = 4.0
    edited = type(seen)(**{**vars(seen), "values": values})
    assert worst_neighbour(edited, 0, position) == 0.5
    values[0, position - 1 if position % 2 else position + 1] = 0.4
    assert worst_neighbour(edited, 0, position) == pytest.approx(0.9)
    values[0] = np.where(values[0] == 0.4, 8.0, 9.0)
    values[0, position] = 4.0
    assert worst_neighbour(edited, 0, position) == 0.0
    values[0, position - 1 if position % 2 else position + 1] = np.nan
    assert math.isnan(worst_neighbour(edited, 0, position))
    values[0] = -1.0
    assert math.isnan(worst_neighbour(edited, 0, position))


def test_the_same_results_give_the_same_bytes_and_are_read_back(results, nothing):
    judged = ta.verdicts(results, ledger=nothing, save=True)
    path = results / "report/verdict.json"
    first = path.read_bytes()
    ta.verdicts(results, ledger=nothing, save=True)
    assert path.read_bytes() == first
    assert b"NaN" not in first
    back = load_judgements(results)
    assert isinstance(back, Judgements)
    assert back.in_words() == judged.in_words()
    pd.testing.assert_frame_equal(back.table(), judged.table())
    assert "SYNTHETIC" in repr(back)
    assert "SYNTHETIC" in back._repr_html_()


def test_bad_results_are_refused(results, market, tmp_path, nothing):
    assert ta.verdicts(tmp_path / "nowhere") is None
    assert load_judgements(tmp_path / "nowhere") is None
    with pytest.raises(ConfigError, match=r"limits: got dict, allowed is ta.Thresholds"):
        ta.verdicts(results, limits={})
    stressed(results, market, candles={"SYN-02": "other"})
    with pytest.raises(DataError, match="the stage stress has seen other candles of SYN-02 than the stage baseline"):
        ta.verdicts(results, ledger=nothing)
    shutil.rmtree(results / "stress")
    stressed(results, market, holdout=0.2)
    with pytest.raises(DataError, match="the stage stress has seen a hold-out of 0.2, not 0.3"):
        ta.verdicts(results, ledger=nothing)


def test_thresholds_are_those_that_are_given_and_are_stored(results, nothing):
    judged = ta.verdicts(results, ledger=nothing, limits=ta.Thresholds(trade_cycles=10**6))
    assert judged.record["thresholds"]["trade_cycles"] == 10**6
    assert all("too few cycles" in [r["name"] for r in one["reasons"]] for one in judged.rows)
