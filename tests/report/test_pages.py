"""The index page: honest about what is missing, complete, self-contained, readable at any width."""

import copy
import re
import shutil
from itertools import pairwise

import nbformat
import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from tests.report.browser import assert_drawn, opened
from traderagent import stages
from traderagent.base.errors import DataError
from traderagent.base.evidence import REGIMES, BaselineEvidence
from traderagent.base.root import root
from traderagent.report import gather, offline, pages, plots, style, svg
from traderagent.routing import words

SECTIONS = (
    "The account",
    "What earns",
    "Is it luck",
    "What matters",
    "What breaks it",
    "Correlation, exposure, blocked orders",
    "Presets",
    "Assumptions and proofs",
    "Symbols",
    "What was planted",
)


def changed(evidence, edit):
    """Evidence with an edited copy of its record; symbols that were removed lose their frames."""
    record = copy.deepcopy(evidence.baseline.record)
    edit(record)
    frames = {s: evidence.baseline.frames[s] for s in record["symbols"]}
    return gather.Evidence(BaselineEvidence(record, frames), evidence.quality, evidence.done)


@pytest.fixture(scope="module")
def page(evidence):
    return pages.index(evidence, "What would have been earned?")


def test_every_symbol_is_not_judged_and_nothing_claims_more(evidence, page):
    assert set(evidence.table["verdict"]) == {"NOT JUDGED"}
    verdict = re.search(r'<p class="verdict">(.*?)</p>', page).group(1)
    assert verdict.startswith("<b>NOT JUDGED.</b> On 2 symbols, ")
    assert "No search was made" in verdict
    assert "has not been measured: the stages optimization, walk_forward, stress, monte_carlo have not run" in verdict
    assert not any(word in page for word in ("TRADE ", "WATCH", "REJECT "))


def test_the_sentence_is_computed_from_the_runs(evidence):
    table = evidence.baseline.table()
    text = evidence.sentence()
    assert f"{table['orchestrator'].median():+.1f}".replace("-", "−") in text
    assert f"{table['same_exposure_hold'].median():+.1f}".replace("-", "−") in text


def test_every_section_is_there_and_names_what_is_missing(page):
    numbered = [(str(n), str(n), name) for n, name in enumerate(SECTIONS, 1)]
    assert re.findall(r"<h2 id=\"part-(\d+)\">(\d+) · (.*?)</h2>", page) == numbered
    assert re.findall(r"<a href=\"#part-(\d+)\">(\d+) (.*?)</a>", page) == numbered
    for stage in ("optimization", "portfolio", "walk_forward", "stress", "monte_carlo", "grid"):
        assert f"the stage <b>{stage}</b>" in page


def test_page_stands_alone_and_is_small(page):
    assert offline.outside_requests(page) == []
    assert "<script" not in page
    assert "http" not in re.sub(r"<meta[^>]*>", "", page)
    assert len(page.encode()) < 400_000
    assert "nan" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL).lower()


def test_synthetic_is_marked(page, evidence):
    assert "<title>SYNTHETIC" in page
    assert "no real market is shown here" in page

    def real(record):
        record["synthetic"] = False
        for symbol in record["symbols"].values():
            symbol |= {"synthetic": False, "planted": None, "caption": ""}

    text = pages.index(changed(evidence, real), "x")
    assert "SYNTHETIC" not in text
    assert "planted" not in text
    assert re.findall(r"<h2 id=\"part-(\d+)\">", text) == [str(n) for n in range(1, len(SECTIONS))]


def test_same_evidence_same_bytes(folder, page):
    assert pages.index(pages.gather(folder), "What would have been earned?") == page


def test_a_skipped_symbol_is_shown_with_its_reason(evidence):
    def skip(record):
        record["skipped"] = {"TINYUSDT": "768 candles needed, got <12>"}

    text = pages.index(changed(evidence, skip), "x")
    assert "<b>TINYUSDT</b> was skipped: 768 candles needed, got &lt;12&gt;" in text


def test_one_symbol(evidence):
    text = pages.index(changed(evidence, lambda r: r["symbols"].pop("SYN-02")), "x")
    assert "On 1 symbol, " in text
    assert "SYN-02" not in re.sub(r"<h3>Data quality.*?</table>", "", text, flags=re.DOTALL)


def test_unequal_cuts_are_said_and_only_what_was_set_aside_is_drawn(market, tmp_path):
    late = market["SYN-02"].slice("2024-01-20", None)
    found = ta.baseline({"SYN-01": market["SYN-01"], "SYN-02": late}, holdout=0.3, progress=False)
    found.save(tmp_path / "results" / "baseline")
    text = pages.index(pages.gather(tmp_path / "results"), "x")
    assert "The cut is not the same day for every symbol" in text
    assert "before the cut" not in text


def test_no_trades_and_undefined_numbers(evidence):
    def silent(record):
        for run in record["symbols"]["SYN-01"]["runs"]["orchestrator"].values():
            run["metrics"] = dict.fromkeys(run["metrics"])
            run["rejections"] = {}
            run["notes"] = ["nothing traded: 100 candles to trade on; refused: none"]
            run["orchestrator"]["pnl_by_regime"] = {}

    text = pages.index(changed(evidence, silent), "x")
    assert "nothing traded: 100 candles to trade on" in text
    assert "<td>–</td>" in text
    assert "nan" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL).lower()


def test_stages_beside_the_page_are_linked(evidence, tmp_path):
    (tmp_path / "data.html").touch()
    text = pages.write_index(evidence, tmp_path / "index.html", title="x").read_text()
    assert '<a href="data.html">' in text
    assert '<a href="baseline.html">' not in text
    assert '<a href="report.html">' not in text


def test_the_stage_that_writes_the_index_links_its_own_page_before_it_is_there(evidence, tmp_path, monkeypatch):
    monkeypatch.setenv("TRADERAGENT_STAGE", "1")
    assert '<a href="report.html">' in pages.write_index(evidence, tmp_path / "index.html", title="x").read_text()


@pytest.mark.parametrize("lack", ["gap_share", "timeframe"])
def test_a_quality_table_of_other_columns_names_the_stage_data(market, folder, tmp_path, lack):
    shutil.copytree(folder, tmp_path / "results")
    table = ta.quality(market).reset_index().drop(columns=lack)
    table.to_parquet(tmp_path / "quality.parquet")
    with pytest.raises(ta.DataError, match=f"quality.parquet: no column for {lack}; .* run the stage data again"):
        pages.gather(tmp_path / "results")


def test_without_a_baseline_the_stage_is_named_and_nothing_is_drawn(tmp_path):
    nothing = pages.gather(tmp_path / "results")
    text = pages.write_index(nothing, tmp_path / "index.html", title="x").read_text()
    assert "<b>NOT JUDGED.</b> The stage baseline (what the strategies earn as they come) has left nothing in" in text
    assert "<table" not in text
    drawn = nothing.draw(ta.plots.equity)
    assert drawn._repr_markdown_() == nothing.in_words()
    assert repr(drawn).startswith("NOT JUDGED. The stage baseline")


def test_the_notebook_report_runs_alone_where_nothing_has_run(tmp_path):
    stages._execute(root() / "notebooks/report.ipynb", tmp_path / "out.ipynb", {}, tmp_path)
    said = [o for c in nbformat.read(tmp_path / "out.ipynb", as_version=4).cells for o in c.get("outputs", [])]
    assert len(said) == 3
    assert all("The stage baseline (what the strategies" in str(o["data"]) for o in said)
    assert "NOT JUDGED" in (tmp_path / "data/small/index.html").read_text()


def test_results_that_are_broken_are_an_error_and_not_a_missing_stage(tmp_path):
    (tmp_path / "baseline").mkdir()
    with pytest.raises(DataError, match="phase1_orchestrator.json: no such file; run the stage"):
        pages.gather(tmp_path)


def test_sums_and_the_median_of_the_headline_are_connected(evidence, page):
    earned = evidence.baseline.table()["orchestrator"]
    mean, median = style.number(earned.mean(), 2, True), style.number(earned.median(), 2, True)
    for what in ("The sum changes by", "It comes to"):
        assert f"{what} {mean} % on candles set aside, the mean of the symbols" in page
    assert page.count(f"names their median, {median} %.") == 2
    assert f"{evidence.baseline.by_regime().to_numpy().sum():+.2f}" == f"{earned.mean():+.2f}"


def test_the_first_table_says_of_which_sample_each_number_is(page):
    head = page.partition('<div class="verdicts">')[2].partition("</thead>")[0]
    for unit in ("%, set aside", "max, %, set aside", "closed, set aside"):
        assert f"<small>{unit}</small>" in head


@pytest.mark.parametrize(
    ("edges", "said", "unsaid"),
    [
        (["trend", "none"], "The market hides 1 edge: ", "symbols"),
        (["trend", "trend"], "The market hides 2 edges: ", "without any edge"),
        (["none", "none"], "On 2 symbols without any edge the orchestrator earned money, and more", "hides"),
    ],
)
def test_the_grade_says_nothing_of_what_is_not_there(evidence, edges, said, unsaid):
    def hide(record):
        for symbol, edge in zip(record["symbols"].values(), edges, strict=True):
            symbol["planted"]["edge"] = edge

    text = changed(evidence, hide).grade()
    assert said in text
    assert unsaid not in text
    assert " 0 symbol" not in text
    assert " on 0, by luck" not in text


def test_regimes_stand_in_the_order_of_their_meaning_everywhere(evidence, baseline):
    order = tuple(style.REGIMES)
    assert order == REGIMES
    assert set(order) == set(words.REGIMES)
    for found in (list(baseline.by_regime().index), list(plots.regime_table(baseline).frame)[:-1]):
        assert len(found) > 2
        assert found == [name for name in order if name in found]
    single = list(plots.regime_table(baseline.run("SYN-01")).frame)[:-1]
    assert single == [name for name in order if name in single]


def test_an_edge_is_found_only_where_money_was_earned(evidence):
    planted = evidence.planted()
    assert planted["edge"].tolist() == ["mean_reversion", "trend"]
    assert planted["run"].tolist() == ["grid", "trend_follower"]
    for symbol, row in planted.iterrows():
        alpha = evidence.baseline.number(symbol, "alpha_over_same_exposure_hold", row["run"])
        assert row["ahead"] == (row["earned"] > 0 and alpha > 0)


def test_confusion_counts_every_candle_once(evidence, baseline):
    table = evidence.confusion()
    shares = table.drop(columns=["right", "candles"])
    assert shares.sum(axis=1).to_numpy() == pytest.approx(100)
    traded = sum(len(f["curves"]) for f in baseline.frames.values()) * 12
    assert table["candles"].sum() == pytest.approx(traded, rel=0.01)


def test_a_chart_keeps_extremes():
    index = pd.date_range("2024-01-01", periods=10_000, freq="h", tz="UTC")
    values = pd.Series(np.sin(np.arange(10_000.0)), index)
    values.iloc[1234], values.iloc[4321] = 9.0, -9.0
    reduced = svg.reduced(values)
    assert len(reduced) <= svg.MOST_POINTS + 4
    assert (reduced.min(), reduced.max()) == (-9.0, 9.0)
    assert (reduced.iloc[0], reduced.iloc[-1]) == (values.iloc[0], values.iloc[-1])


@pytest.mark.parametrize("values", [[1e-9, 2e-9], [5.0, 5.0], [0.0, 0.0], [-3.0, 1e6]])
def test_a_chart_has_ticks_that_span_it(values):
    ticks = svg._ticks(min(values), max(values))
    assert 2 <= len(ticks) <= 8
    assert ticks[0] <= min(values)
    assert ticks[-1] >= max(values)


def path_of(html):
    """Points of the curve, one list a stroke."""
    d = re.search(r'<path class="ink" d="([^"]*)"', html[html.index('class="chart"') :]).group(1)
    return [[tuple(map(float, p.split(","))) for p in part.split("L")] for part in d.split("M")[1:]]


@pytest.fixture
def holed():
    """Hourly values that rise, with a hole of half the span."""
    index = pd.date_range("2024-01-01", periods=4_000, freq="h", tz="UTC")
    return pd.Series(np.arange(4_000.0), index).drop(index[1_000:3_000])


def test_an_account_is_flat_over_a_hole(holed):
    (points,) = path_of(svg.chart([svg.Line("x", holed)], named=False))
    across = max(pairwise(points), key=lambda pair: pair[1][0] - pair[0][0])
    assert across[1][0] - across[0][0] == pytest.approx(500, abs=2)
    assert across[0][1] == across[1][1]
    assert across[0][0] == pytest.approx(250, abs=1)


def test_a_price_is_not_drawn_over_a_hole(holed):
    first, second = path_of(svg.chart([svg.Line("x", holed, held=False)], named=False))
    assert first[-1][0] == pytest.approx(250, abs=1)
    assert second[0][0] == pytest.approx(750, abs=1)


def test_a_hole_too_narrow_to_be_seen_costs_no_points(holed):
    index = pd.date_range("2024-01-01", periods=10_000, freq="h", tz="UTC")
    ragged = pd.Series(np.sin(np.arange(10_000.0)), index)[np.arange(10_000) % 7 != 3]
    assert len(svg.stretches(ragged)) == 1
    (points,) = path_of(svg.chart([svg.Line("x", holed)], named=False))
    assert len(points) <= svg.MOST_POINTS + 12


def test_a_chart_of_nothing_says_so():
    assert "Nothing to draw" in svg.chart([svg.Line("x", pd.Series(dtype=float))])


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1100])
def test_page_fits_the_screen_and_a_row_opens_its_symbol(evidence, tmp_path, width):
    path = pages.write_index(evidence, tmp_path / "index.html", title="x")
    assert_drawn(path)
    with opened(path, width=width) as seen:
        assert seen.page.evaluate("() => document.documentElement.scrollWidth") <= width
        box = seen.page.locator(".verdict").bounding_box()
        assert box["y"] + box["height"] < 900, "the sentence is on the first screen"
        seen.page.locator(".verdicts tbody a").first.click()
        seen.settle()
        assert seen.page.locator("details[open]").count() == 1


@pytest.mark.slow
def test_a_wide_table_shows_that_it_scrolls_until_its_end(evidence, tmp_path):
    path = pages.write_index(evidence, tmp_path / "index.html", title="x")
    scroll = "() => document.querySelector('.verdicts .scroll').scrollLeft = {}"
    with opened(path, width=390) as seen:
        box = seen.page.locator(".verdicts .scroll").bounding_box()
        edge = (int(box["x"] + box["width"]) - 2, int(box["y"]) + 3)
        assert max(seen.picture().getpixel(edge)) < 215, "a shadow where there is more"
        seen.page.evaluate(scroll.format(10_000))
        assert min(seen.picture().getpixel(edge)) > 240, "none at the end"


@pytest.mark.slow
def test_page_is_dark_where_the_reader_wants_it(evidence, tmp_path):
    path = pages.write_index(evidence, tmp_path / "index.html", title="x")
    with opened(path) as seen:
        light = seen.picture().getpixel((2, 2))
        seen.page.emulate_media(color_scheme="dark")
        dark = seen.picture().getpixel((2, 2))
    assert min(light) > 240
    assert max(dark) < 40
