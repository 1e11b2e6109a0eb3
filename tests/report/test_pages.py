"""The index page: honest about what is missing, complete, self-contained, readable at any width."""

import copy
import re

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from tests.report.browser import assert_drawn, opened
from traderagent.base.errors import DataError
from traderagent.base.evidence import BaselineEvidence
from traderagent.report import gather, offline, pages, svg

SECTIONS = (
    "The account",
    "What earns",
    "What was planted",
    "Is it luck",
    "What matters",
    "What breaks it",
    "Correlation, exposure, blocked orders",
    "Presets",
    "Assumptions and proofs",
    "Symbols",
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
    assert re.findall(r"<h2 id=\"part-\d+\">\d+ · (.*?)</h2>", page) == list(SECTIONS)
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
            run["notes"] = ["nothing traded: 100 candles traded; refused: none"]
            run["orchestrator"]["pnl_by_regime"] = {}

    text = pages.index(changed(evidence, silent), "x")
    assert "nothing traded: 100 candles traded" in text
    assert "<td>–</td>" in text
    assert "nan" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL).lower()


def test_stages_beside_the_page_are_linked(evidence, tmp_path):
    (tmp_path / "data.html").touch()
    text = pages.write_index(evidence, tmp_path / "index.html", title="x").read_text()
    assert '<a href="data.html">' in text
    assert '<a href="baseline.html">' not in text


def test_without_a_baseline_the_error_names_the_stage(tmp_path):
    with pytest.raises(DataError, match="phase1_orchestrator.json: no such file; run the stage"):
        pages.gather(tmp_path)


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
        seen.page.wait_for_timeout(300)
        assert seen.page.locator("details[open]").count() == 1


@pytest.mark.slow
def test_page_is_dark_where_the_reader_wants_it(evidence, tmp_path):
    path = pages.write_index(evidence, tmp_path / "index.html", title="x")
    with opened(path) as seen:
        light = seen.picture().getpixel((2, 2))
        seen.page.emulate_media(color_scheme="dark")
        dark = seen.picture().getpixel((2, 2))
    assert min(light) > 240
    assert max(dark) < 40
