"""The index page where a search was made: what it says of luck, and that its numbers belong together."""

import copy
import re
import shutil

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from tests.report.browser import assert_drawn, opened
from traderagent.base.errors import DataError
from traderagent.base.files import read_json, write_json
from traderagent.base.search_evidence import SearchEvidence
from traderagent.report import gather, offline, pages, style, svg
from traderagent.report.effect_bars import strongest
from traderagent.research.search_evidence import save_search


@pytest.fixture(scope="module")
def searched(searched_folder):
    return pages.gather(searched_folder)


@pytest.fixture(scope="module")
def page(searched):
    return pages.index(searched, "What would have been earned?")


def section(page, number):
    return page.partition(f'id="part-{number}"')[2].partition("<h2")[0]


def changed(searched, edit):
    record, frames = copy.deepcopy(searched.search.record), dict(searched.search.frames)
    edit(record, frames)
    return gather.Evidence(searched.baseline, searched.quality, searched.done, SearchEvidence(record, frames))


def test_a_row_of_the_first_table_is_of_the_parameters_chosen(searched, search):
    for symbol in searched.baseline.symbols:
        row, point = searched.table.loc[symbol], search.best_params[symbol]
        out = search.cube.sel(symbol=symbol, sample="out", **point)
        assert row["what"] == "parameters chosen"
        assert row["return"] == float(out["total_return_pct"])
        assert row["against_hold"] == float(out["alpha_over_same_exposure_hold"])
        assert row["sharpe_out"] == float(out["sharpe_ratio_daily"])
        assert row["cycles"] == float(out["completed_cycles"])
        assert (row["deflated_sharpe"], row["overfitting"]) == tuple(search.table.loc[symbol, ["dsr", "pbo"]])
        assert row["verdict"] == "NOT JUDGED"


def test_a_symbol_without_a_choice_is_shown_as_given_and_without_luck(searched):
    def none(record, frames):
        record["symbols"]["SYN-02"]["parameters"] = None
        record["symbols"]["SYN-02"]["evidence"]["why"] = "at most <3> round trips"

    evidence = changed(searched, none)
    row = evidence.table.loc["SYN-02"]
    assert row["what"] == "parameters as given"
    assert row["return"] == searched.baseline.number("SYN-02", "total_return_pct")
    assert np.isnan(row["deflated_sharpe"])
    assert row["luck"] == "luck not measured"
    assert "at most &lt;3&gt; round trips" in pages.index(evidence, "x")


def test_the_sentence_says_what_the_search_is_worth_and_what_is_missing(searched, search):
    text = searched.sentence()
    assert text.startswith("**NOT JUDGED.** On 2 symbols, ")
    earned = searched.table["return"].median()
    assert "a search of 18 points (N_eff " in text
    assert f"would have earned {style.number(earned, 1, True)} % on the same candles" in text
    assert f"{style.number((1 - search.table.loc['pooled', 'dsr']) * 100, 0)} % of cases" in text
    assert text.endswith("the stages walk_forward, stress, monte_carlo have not run.")
    assert "No search was made" not in text


def test_sections_of_luck_and_of_what_matters_are_drawn(page, search):
    luck, matters = section(page, 3), section(page, 4)
    assert luck.count('role="img"') == 2
    assert "<b>optimization</b>" not in luck + matters
    assert "the stage <b>walk_forward</b>" in luck
    assert "the stage <b>monte_carlo</b>" in luck
    for name in search.rows:
        for value in search.table.loc[name, ["sharpe_ratio_in", "sharpe_ratio_out", "dsr", "pbo"]]:
            assert f"<td>{style.number(value, 2)}</td>" in luck
    assert matters.count("<i class=") == 6
    x, y = strongest(search)
    assert matters.count("<td style=") == search.cube.sizes[x] * search.cube.sizes[y] >= 6
    signs = re.sub(r".*?<table", "", matters, count=1, flags=re.DOTALL)
    assert (signs.count("★"), signs.count("◇")) == (1, 1)
    assert page.count("prob.</small>") == 4


def test_the_given_point_is_marked_or_said_to_be_outside(searched):
    def outside(record, frames):
        record["given"]["dca_tp_pct"] = 0.07

    assert "The parameters as given are no point" in section(pages.index(changed(searched, outside), "x"), 4)
    assert "The parameters as given are no point" not in section(pages.index(searched, "x"), 4)


def test_a_drawn_search_has_no_effects_and_says_so(searched):
    def drawn(record, frames):
        frames["effects"] = frames["effects"].iloc[:0]

    text = section(pages.index(changed(searched, drawn), "x"), 4)
    assert "effects of single parameters cannot be told apart" in text
    assert "<td style=" in text


def test_where_nothing_could_be_chosen_the_page_says_why(market, folder, tmp_path):
    shutil.copytree(folder.parent, tmp_path, dirs_exist_ok=True)
    found = ta.optimize_orchestrator(market, None, {"dca_tp_pct": [0.05, 0.08]}, min_trades=10**6, progress=False)
    save_search(found, tmp_path / "results", {symbol: market[symbol].hash for symbol in market})
    evidence = pages.gather(tmp_path / "results")
    text = pages.index(evidence, "x")
    assert "chose nothing for any symbol" in evidence.sentence()
    assert "No surface: no trial could be ranked" in text
    assert "nan" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL).lower()


def test_page_stands_alone_and_is_small(page):
    assert offline.outside_requests(page) == []
    assert "<script" not in page
    assert len(page.encode()) < 500_000
    assert "nan" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL).lower()


def test_same_evidence_same_bytes(searched_folder, page):
    assert pages.index(pages.gather(searched_folder), "What would have been earned?") == page


def test_results_of_other_candles_or_another_hold_out_are_refused(searched_folder, tmp_path):
    shutil.copytree(searched_folder, tmp_path / "r")
    path = tmp_path / "r" / "optimization" / "optimization.json"
    record = read_json(path)
    write_json(path, {**record, "candles": {**record["candles"], "SYN-02": "other"}})
    with pytest.raises(DataError, match="other candles of SYN-02 than the stage baseline; run both again"):
        pages.gather(tmp_path / "r")
    write_json(path, {**record, "holdout": 0.2})
    with pytest.raises(DataError, match="a hold-out of 0.2, not 0.3"):
        pages.gather(tmp_path / "r")
    path.unlink()
    with pytest.raises(DataError, match="no such file; run the stage"):
        pages.gather(tmp_path / "r")


def test_a_histogram_draws_every_bin_where_it_belongs():
    bins = pd.DataFrame({"left": [0.0, 1.0], "right": [1.0, 2.0], "count": [5, 10], "bad": [True, False]})
    html = svg.histogram(bins, [("here", 0.5, "mark")])
    bars = re.findall(r'<rect class="bar( bad)?" x="([\d.]+)" width="([\d.]+)" y="([\d.]+)" height="([\d.]+)"', html)
    assert [(b[0].strip(), float(b[1]), float(b[2]), float(b[3]) + float(b[4])) for b in bars] == [
        ("bad", 1.0, 498.0, 1000.0),
        ("", 501.0, 498.0, 1000.0),
    ]
    assert float(bars[0][4]) * 2 == float(bars[1][4])
    assert '<line class="mark" x1="250.0"' in html
    assert re.findall(r'<span class="y"[^>]*>([^<]*)<', html) == ["0", "5", "10"]
    assert "Nothing to draw" in svg.histogram(bins.iloc[:0])


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1100])
def test_page_fits_the_screen(searched, tmp_path, width):
    path = pages.write_index(searched, tmp_path / "index.html", title="x")
    assert_drawn(path)
    with opened(path, width=width) as seen:
        assert seen.page.evaluate("() => document.documentElement.scrollWidth") <= width
        box = seen.page.locator(".verdict").bounding_box()
        assert box["y"] + box["height"] < 900, "the sentence is on the first screen"
