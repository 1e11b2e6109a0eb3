"""The index page where folds, luck and stress were measured: their numbers, and what is said where they are missing."""

import copy
import re
import shutil

import numpy as np
import pytest

from tests.report.browser import assert_drawn, opened
from traderagent.base.errors import DataError
from traderagent.base.files import read_json, write_json
from traderagent.report import offline, pages, style


@pytest.fixture(scope="module")
def robust(robust_folder):
    return pages.gather(robust_folder)


@pytest.fixture(scope="module")
def page(robust):
    return pages.index(robust, "What would have been earned?")


def section(page, number):
    return page.partition(f'id="part-{number}"')[2].partition("<h2")[0]


def test_sections_are_of_the_stored_numbers(page, walked, stressed, lucky):
    luck, breaks = section(page, 3), section(page, 5)
    assert "NOT JUDGED" not in luck + breaks
    assert luck.index("Walk-forward") < luck.index("Daily Sharpe ratios of all trials") < luck.index("With other luck")
    for name in walked.rows:
        assert f">{style.number(walked.table.loc[name, 'total_return_pct'], 1, True)}</td>" in luck
    for symbol in lucky.symbols:
        told = lucky.metric(symbol, None, "total_return_pct")
        assert f"<td>{style.number(told['low'], 1, True)}</td><td>{style.number(told['high'], 1, True)}</td>" in luck
        assert f"{symbol}: fan of paths" in luck
    assert breaks.count("<thead>") == 4
    for variant in ("given", "chosen", "pooled"):
        for value in stressed.table(variant).stack():
            assert f">{style.number(value, 1, True)}</td>" in breaks
    for words in stressed.scenarios.values():
        assert words.rstrip(".") in breaks.replace("&#x27;", "'")


def test_the_first_table_shows_the_worst_stress_of_the_parameters_of_its_row(robust, stressed):
    for symbol in robust.baseline.symbols:
        assert robust.table.loc[symbol, "what"] == "parameters chosen"
        assert robust.table.loc[symbol, "worst_stress"] == stressed.table("chosen")[symbol].min()
    given = copy.deepcopy(robust.stress)
    given.record["variants"] = ["given"]
    assert np.isnan(
        robust.__class__(robust.baseline, None, (), robust.search, stress=given).table["worst_stress"]
    ).all()
    alone = robust.__class__(robust.baseline, None, (), stress=given).table
    assert alone.loc["SYN-01", "worst_stress"] == stressed.table("given")["SYN-01"].min()


@pytest.mark.parametrize(("stage", "part"), [("walk_forward", 3), ("monte_carlo", 3), ("stress", 5)])
def test_a_stage_that_has_not_run_is_named_in_its_section(robust_folder, tmp_path, stage, part):
    shutil.copytree(robust_folder.parent, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "results" / stage)
    evidence = pages.gather(tmp_path / "results")
    text = section(pages.index(evidence, "x"), part)
    assert text.count("NOT JUDGED") == 1
    assert f"the stage <b>{stage}</b>" in text
    assert evidence.missing == (stage,)


@pytest.mark.parametrize("stage", ["walk_forward", "stress", "monte_carlo"])
def test_results_of_other_candles_or_another_hold_out_are_refused(robust_folder, tmp_path, stage):
    shutil.copytree(robust_folder, tmp_path / "r")
    path = tmp_path / "r" / stage / f"{stage}.json"
    record = read_json(path)
    write_json(path, {**record, "candles": {**record["candles"], "SYN-02": "other"}})
    with pytest.raises(DataError, match=f"the stage {stage} has seen other candles of SYN-02 than the stage baseline"):
        pages.gather(tmp_path / "r")
    if stage != "walk_forward":  # whose folds set nothing aside
        write_json(path, {**record, "holdout": 0.2})
        with pytest.raises(DataError, match=f"the stage {stage} has seen a hold-out of 0.2, not 0.3"):
            pages.gather(tmp_path / "r")
    path.unlink()
    with pytest.raises(DataError, match="no such file; run the stage"):
        pages.gather(tmp_path / "r")


def test_a_skipped_symbol_and_a_method_without_data_are_shown_with_their_reasons(robust):
    changed = copy.deepcopy(robust)
    for found in (changed.folds, changed.stress, changed.luck):
        found.record["skipped"] = {"TINY": "<3> candles"}
    one = changed.luck.record["symbols"]["SYN-02"]
    one["methods"].pop("block_bootstrap")
    one["why"]["block_bootstrap"] = "got <6> days"
    text = pages.index(changed, "x")
    assert text.count("<b>TINY</b> was skipped: &lt;3&gt; candles") == 3
    assert "got &lt;6&gt; days" in section(text, 3)


def test_page_stands_alone_and_is_small(page):
    assert offline.outside_requests(page) == []
    assert "<script" not in page
    assert len(page.encode()) < 600_000
    assert "nan" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL).lower()


def test_same_evidence_same_bytes(robust_folder, page):
    assert pages.index(pages.gather(robust_folder), "What would have been earned?") == page


@pytest.mark.slow
@pytest.mark.parametrize("width", [1100, 390])
def test_nothing_is_wider_than_the_window(robust, tmp_path, width):
    path = pages.write_index(robust, tmp_path / "index.html", title="x")
    assert_drawn(path)
    with opened(path, width) as seen:
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
