"""`ta.shared_account`: the runs it says it made, frames that add up, and a search it may not mix up with another."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import traderagent as ta
from traderagent.base.account_evidence import LIMITS, AccountEvidence
from traderagent.research.account_record import clustered, monthly
from traderagent.strategies.contract import REJECTIONS

LIMITED = {"max_single_pair_pct": 0.1, "max_total_exposure_pct": 0.15, "max_correlation": 0.4}
CONFIG = ta.PortfolioBacktestConfig(initial_capital=20_000.0, **LIMITED)


@pytest.fixture(scope="module")
def market():
    return ta.load_market("synthetic", symbols=2, days=40, seed=7, progress=False)


@pytest.fixture(scope="module")
def best(market, tmp_path_factory):
    """The file of a small search."""
    space = {"dca_tp_pct": [0.03, 0.08], "max_position_size_pct": [0.2, 0.9]}
    found = ta.optimize_orchestrator(market, None, space, holdout=0.3, min_trades=1, progress=False)
    return found.to_yaml(tmp_path_factory.mktemp("search") / "best_params.yaml")


@pytest.fixture(scope="module")
def found(market, best):
    return ta.shared_account(market, CONFIG, best=best, holdout=0.3, progress=False)


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


def edited(best, folder, **changes):
    record = yaml.safe_load(best.read_text())
    path = folder / "edited.yaml"
    path.write_text(yaml.safe_dump({**record, **changes}))
    return path


def test_it_holds_the_runs_that_ta_portfolio_gives(market, best, found):
    chosen = ta.read_best_params(best)
    points = {s: chosen.record["symbols"][s]["parameters"] for s in market}
    by_hand = {
        s: {"dca_params": {"tp_pct": p["dca_tp_pct"]}, "max_position_size_pct": p["max_position_size_pct"]}
        for s, p in points.items()
    }
    assert found.variants == ["given", "chosen"]
    assert (found.variant, found.shown) == ("chosen", "out")
    assert found.record["chosen"] == points
    for variant, config in (("given", CONFIG), ("chosen", CONFIG.replace(overrides=by_hand))):
        for sample, run in ta.portfolio(market, config, holdout=0.3, progress=False).items():
            for metric in ("total_return_pct", "max_drawdown_pct", "sharpe_ratio", "exposure"):
                assert found.number(metric, variant, sample) == run.metrics[metric]
            assert found.run(variant, sample)["rejections"] == run.rejections
    assert found.number("total_return_pct", "given") != found.number("total_return_pct", "chosen")


def test_the_sum_of_independent_accounts_is_that_of_ta_backtest(market, found):
    pair = CONFIG.per_pair_config.replace(initial_balance=10_000.0)
    for sample in ("in", "out"):
        runs = [ta.backtest(market[s], pair, holdout=0.3)[sample] for s in market]
        final = sum(run.equity.iloc[-1] for run in runs)
        alone = found.number("total_return_pct", "given", sample, "independent")
        assert alone == pytest.approx((final / 20_000 - 1) * 100, abs=1e-9)
        gap = found.number("total_return_pct", "given", sample) - alone
        assert found.gap("given", sample) == pytest.approx(gap)
        assert abs(gap) > 0.01, "limits that bite leave a gap"


@pytest.mark.parametrize("variant", ["given", "chosen"])
@pytest.mark.parametrize("sample", ["in", "out"])
def test_frames_add_up_to_the_record(found, variant, sample):
    run = found.run(variant, sample)
    earned = found.number("total_return_pct", variant, sample)
    curves, falls = (found.part(name, variant, sample) for name in ("curves", "drawdowns"))
    assert curves["shared"].iloc[-1] == run["final_capital"]
    assert curves.index[0] == pd.Timestamp(run["assumptions"]["trading_starts"]).floor("1h")
    assert (falls <= (curves / 20_000 - 1) * 100 + 1e-9).all(axis=None), "a peak is at least the start"
    assert curves.index.is_monotonic_increasing
    assert (curves.index == curves.index.floor("1h")).all()
    for curve in ("shared", "independent", "hold", "same_exposure_hold"):
        assert falls[curve].min() == pytest.approx(-found.number("max_drawdown_pct", variant, sample, curve))
        assert (curves[curve].iloc[-1] / 20_000 - 1) * 100 == pytest.approx(
            found.number("total_return_pct", variant, sample, curve)
        )
    months = found.part("monthly", variant, sample)
    assert months["shared"].sum() == pytest.approx(earned)
    assert months["difference"].sum() == pytest.approx(found.gap(variant, sample))
    assert found.part("contribution", variant, sample)["return_pct"].sum() == pytest.approx(earned)
    refused = found.part("refusals", variant, sample).groupby("reason")["orders"].sum().to_dict()
    assert refused == run["rejections"]
    assert set(LIMITS) & set(refused)
    assert run["largest_book_error"] < 1e-9


def test_exposure_is_the_daily_mean_of_what_was_held(market, found):
    run = ta.portfolio(market, CONFIG, holdout=0.3, progress=False)["out"]
    share = run.exposure.div(run.equity, axis=0) * 100
    frame = found.part("exposure", "given", "out")
    days = share.loc[run.starts :].groupby(share.loc[run.starts :].index.date)
    assert frame[["SYN-01", "SYN-02"]].to_numpy() == pytest.approx((days.sum() / days.count()).to_numpy())
    held = found.run("given", "out")["capital_use"]
    assert held["max_exposure_pct"] == pytest.approx(share.sum(axis=1).max())
    assert held["mean_exposure_pct"] <= held["mean_committed_pct"] <= held["max_committed_pct"]
    assert frame.to_numpy().sum() > 1


def test_same_runs_same_bytes_with_any_number_of_threads(market, best, found, tmp_path):
    found.save(tmp_path / "a" / "portfolio")
    again = ta.shared_account(market, CONFIG, best=best, holdout=0.3, workers=1, progress=False)
    again.save(tmp_path / "b" / "portfolio")
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert "NaN" not in (tmp_path / "a" / "portfolio" / "portfolio_result.json").read_text()


def test_reading_restores_what_was_written(found, tmp_path):
    back = AccountEvidence.load(found.save(tmp_path / "portfolio"))
    assert back.record == json.loads(json.dumps(found.record))
    for name in AccountEvidence.FRAMES:
        pd.testing.assert_frame_equal(back.frames[name], found.frames[name], check_freq=False)
    assert back.in_words() == found.in_words()
    pd.testing.assert_frame_equal(back.table(), found.table())


def test_numbers_for_dvc_are_scalars(found, tmp_path):
    found.save(tmp_path / "portfolio")
    numbers = json.loads((tmp_path / "portfolio.json").read_text())

    def leaves(value):
        return [leaf for v in value.values() for leaf in leaves(v)] if isinstance(value, dict) else [value]

    assert all(leaf is None or isinstance(leaf, int | float) for leaf in leaves(numbers))
    assert numbers["chosen"]["out"]["total_return_pct"] == found.number("total_return_pct")
    assert numbers["given"]["in"]["shared_minus_independent"] == found.gap("given", "in")


def test_the_hold_out_changes_nothing_before_the_cut(market, found):
    other = {}
    for symbol, data in market.items():
        candles = data.candles
        columns = ["open", "high", "low", "close"]
        candles.loc[data.cut(0.3) :, columns] = candles.loc[data.cut(0.3) :, columns].to_numpy() * 1.5
        other[symbol] = type(data).from_base(symbol, candles, instrument=data.instrument, synthetic=True)
    again = ta.shared_account(other, CONFIG, holdout=0.3, progress=False)
    for name in AccountEvidence.FRAMES:
        pd.testing.assert_frame_equal(again.part(name, "given", "in"), found.part(name, "given", "in"))
    assert again.number("total_return_pct", "given") != found.number("total_return_pct", "given")


def test_a_symbol_too_short_for_one_run_takes_part_in_none(market):
    late = market["SYN-02"].slice("2024-01-20", "2024-01-23 12:00")
    found = ta.shared_account({"SYN-01": market["SYN-01"], "SYN-02": late}, CONFIG, holdout=0.3, progress=False)
    assert found.symbols == ["SYN-01"]
    assert all(list(found.run("given", s)["per_pair_results"]) == ["SYN-01"] for s in found.samples)
    assert re.match(r"got \d+ candles", found.skipped["SYN-02"])
    assert "Skipped: SYN-02 (" in found.in_words()
    assert "1 pair " in found.in_words()
    assert found.correlation().to_numpy() == 1.0


def test_without_a_search_only_the_parameters_as_given_are_run(market, tmp_path):
    found = ta.shared_account(market, CONFIG, best=tmp_path / "none.yaml", holdout=None, progress=False)
    assert found.variants == ["given"]
    assert found.samples == ["whole"]
    assert found.apart is False
    assert f"No search has chosen parameters: {tmp_path / 'none.yaml'} is not there." in found.in_words()
    assert "over the whole span" in found.sentence()


def test_a_symbol_without_a_choice_or_with_an_override_runs_as_given(market, best, tmp_path):
    record = yaml.safe_load(best.read_text())
    record["symbols"]["SYN-02"] |= {"parameters": None, "evidence": {"why": "at most 3 round trips"}}
    path = edited(best, tmp_path, symbols=record["symbols"])
    own = CONFIG.replace(overrides={"SYN-01": {"max_position_size_pct": 0.5}})
    found = ta.shared_account(market, own, best=path, holdout=0.3, progress=False)
    assert found.record["as_given"] == {
        "SYN-01": "it has an override of its own",
        "SYN-02": "nothing was chosen for it, at most 3 round trips",
    }
    assert found.variants == ["given"]
    assert "SYN-02 ran as given: nothing was chosen for it, at most 3 round trips." in found.in_words()
    assert "No search has chosen" not in found.in_words()
    assert found.run()["config"]["overrides"] == {"SYN-01": {"max_position_size_pct": 0.5}}


def test_capital_and_warm_up_are_not_those_of_the_search(market, best, found, tmp_path):
    record = yaml.safe_load(best.read_text())
    path = edited(best, tmp_path, config={**record["config"], "initial_balance": 500.0, "warmup_bars": 5_000})
    again = ta.shared_account(market, CONFIG, best=path, holdout=0.3, progress=False)
    assert again.run("chosen", "in")["metrics"] == found.run("chosen", "in")["metrics"]
    assert again.run("chosen", "in")["config"] == found.run("chosen", "in")["config"]


@pytest.mark.parametrize(
    ("changes", "holdout", "message"),
    [
        ({}, 0.2, "chosen with a hold-out of 0.3, but this run sets aside 0.2.*search again"),
        ({}, None, "chosen with a hold-out of 0.3, but this run sets aside none"),
        ({"hashes": {"data": "other"}}, 0.3, "chosen on other candles of SYN-01, SYN-02"),
    ],
)
def test_what_was_chosen_by_other_candles_is_refused(market, best, tmp_path, changes, holdout, message):
    path = edited(best, tmp_path, **changes)
    with pytest.raises(ta.DataError, match=message):
        ta.shared_account(market, CONFIG, best=path, holdout=holdout, progress=False)


def test_what_was_chosen_with_other_costs_is_refused(market, best):
    pair = ta.OrchestratorBacktestConfig(costs=ta.Costs(maker=0.002, taker=0.002))
    with pytest.raises(ta.ConfigError, match="chosen with the costs .*bybit_spot.*search again with these costs"):
        ta.shared_account(market, CONFIG.replace(per_pair_config=pair), best=best, holdout=0.3, progress=False)


def test_what_was_chosen_for_another_account_is_refused(market, best, tmp_path):
    record = yaml.safe_load(best.read_text())
    path = edited(best, tmp_path, config={**record["config"], "portfolio_stop_loss_pct": 0.3})
    with pytest.raises(ta.ConfigError, match="portfolio_stop_loss_pct 0.3, but that is the account's"):
        ta.shared_account(market, CONFIG, best=path, holdout=0.3, progress=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"market": {}}, "market: got .*allowed are one symbol's candles"),
        ({"config": ta.OrchestratorBacktestConfig()}, "got OrchestratorBacktestConfig, allowed is ta.Portfolio"),
        ({"holdout": 1.5}, "holdout: got 1.5"),
    ],
)
def test_bad_input_is_refused(market, best, arguments, message):
    with pytest.raises(ta.ConfigError, match=message):
        ta.shared_account(**({"market": market, "progress": False} | arguments))
    if "config" in arguments:
        with pytest.raises(ta.ConfigError, match=message):
            ta.shared_account(market, best=best, progress=False, **arguments)


def test_unknown_names_say_what_there_is(found):
    for wrong, name in (
        (lambda: found.run("best"), "variant 'best'"),
        (lambda: found.run(sample="whole"), "sample 'whole'"),
        (lambda: found.part("curve"), "frame 'curve': did you mean 'curves'"),
        (lambda: found.number("total_return"), "metric 'total_return'"),
        (lambda: found.number("sharpe_ratio", curve="hold"), "metric 'sharpe_ratio'"),
        (lambda: found.number("sharpe_ratio", curve="held"), "curve 'held': did you mean 'hold'"),
    ):
        with pytest.raises(ta.UnknownName, match=name):
            wrong()


def test_broken_files_name_the_stage(found, tmp_path):
    folder = found.save(tmp_path / "portfolio")
    curves = folder / "curves.parquet"
    curves.write_bytes(curves.read_bytes()[:100])
    with pytest.raises(ta.DataError, match="not readable as Parquet.*run the stage portfolio again"):
        AccountEvidence.load(folder)
    curves.unlink()
    with pytest.raises(ta.DataError, match="no such file; run the stage portfolio again"):
        AccountEvidence.load(folder)
    (folder / "portfolio_result.json").write_text("{}")
    with pytest.raises(ta.DataError, match="not a record of the stage portfolio"):
        AccountEvidence.load(folder)


def test_words_follow_the_numbers(found):
    text = found.sentence()
    assert f"**{found.number('total_return_pct'):+.2f} %**".replace("-", "−") in text
    assert f"{abs(found.gap()):.2f} percentage points {'more' if found.gap() > 0 else 'less'}" in text
    refused = sum(n for reason, n in found.run()["rejections"].items() if reason in LIMITS)
    assert f"its limits refused {refused} order" in text
    record = json.loads(json.dumps(found.record))
    quiet = record["runs"]["chosen"]["out"]
    quiet["rejections"] = {"cash": 3}
    quiet["compared"]["independent"]["total_return_pct"] = quiet["metrics"]["total_return_pct"]
    quiet["halted_at"] = ["2024-02-03T10:00:00+00:00"]
    said = type(found)(record, found.frames).in_words()
    assert "came within 0.01 percentage points, and its limits refused nothing; 3 orders were refused for" in said
    assert "The portfolio stop sold everything on 2024-02-03." in said
    assert "**synthetic**" in said


def test_limits_are_reasons_of_the_engine():
    assert set(LIMITS) <= set(REJECTIONS)


def test_pairs_that_move_together_stand_side_by_side():
    rho = np.full((5, 5), 0.1)
    for a, b in ((0, 3), (1, 4)):
        rho[a, b] = rho[b, a] = 0.9
    rho[2, :4] = rho[:4, 2] = np.nan
    np.fill_diagonal(rho, 1.0)
    order = clustered(rho)
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert abs(order.index(0) - order.index(3)) == 1
    assert abs(order.index(1) - order.index(4)) == 1
    assert clustered(rho[:2, :2]) == [0, 1]
    for middle in range(3):  # leaves of a pair are turned so that the one nearer to the third stands beside it
        near = np.full((3, 3), 0.5)
        far = [k for k in range(3) if k != middle]
        near[far[0], far[1]] = near[far[1], far[0]] = 0.1
        near[middle, far[0]] = near[far[0], middle] = 0.9
        assert clustered(near)[1] == middle


def test_months_are_changes_of_the_initial_capital():
    time = pd.DatetimeIndex(["2024-01-30", "2024-01-31", "2024-02-01", "2024-03-05"], tz="UTC")
    curves = pd.DataFrame({"shared": [100.0, 110, 105, 120], "independent": [100.0, 100, 104, 99]}, time)
    table = monthly(curves, 100.0)
    assert table["shared"].tolist() == pytest.approx([10, -5, 15])
    assert table["independent"].tolist() == pytest.approx([0, 4, -5])
    assert table["difference"].tolist() == pytest.approx([10, -9, 20])
    assert [str(month)[:7] for month in table.index] == ["2024-01", "2024-02", "2024-03"]
