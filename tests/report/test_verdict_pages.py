"""The index page where there are verdicts: chips, reasons, what would change them, and the lab's own grade."""

import copy
import dataclasses
import re
import shutil

import numpy as np
import pytest

import traderagent as ta
from tests.report.browser import assert_drawn, opened
from traderagent.base.errors import DataError
from traderagent.base.files import read_json, write_json
from traderagent.base.judgements import RANKS, Judgements
from traderagent.report import offline, pages, style


@pytest.fixture(scope="module")
def judged_folder(searched_folder, tmp_path_factory):
    """What the stages data, baseline and optimization leave, judged."""
    data = tmp_path_factory.mktemp("judged")
    shutil.copytree(searched_folder.parent, data, dirs_exist_ok=True)
    ta.verdicts(data / "results", ledger=data / "ledger.json", save=True)
    return data / "results"


@pytest.fixture(scope="module")
def judged(judged_folder):
    return pages.gather(judged_folder)


def changed(evidence, edit):
    record = copy.deepcopy(evidence.judged.record)
    edit(record["rows"])
    return dataclasses.replace(evidence, judged=Judgements(record))


def spoken(**words):
    """An edit that gives rows their verdicts, by name."""

    def edit(rows):
        for row in rows:
            row["verdict"] = words.get(row["name"].replace("-", "_"), row["verdict"])
            row["missing"] = []

    return edit


def table(page):
    return page.partition('<div class="verdicts">')[2].partition("<details>")[0]


def test_without_stress_every_row_is_not_judged_and_says_what_is_missing(judged):
    page = pages.index(judged, "x")
    assert table(page).count("◌</b> NOT JUDGED") == 6
    assert "the stage stress has not run" in table(page)
    assert "run the stage stress" in table(page)
    assert judged.sentence().startswith("**NOT JUDGED.** On 2 symbols, 2024-01-")
    assert "the sum of accounts with the parameters as given would have earned" in judged.sentence()
    assert "median" not in page.partition('id="part-1"')[2].partition("<h3")[0]


def test_every_verdict_has_its_chip_and_no_other(judged):
    assert set(style.VERDICTS) == set(RANKS)
    words = spoken(account="TRADE", SYN_01="WATCH", SYN_02="REJECT")
    page = table(pages.index(changed(judged, words), "x"))
    signs = re.findall(r'<span class="chip ([a-z-]+)"><b aria-hidden="true">(.)</b> ([A-Z ]+)</span>', page)
    assert signs == [("trade", "●", "TRADE")] * 2 + [("watch", "◐", "WATCH"), ("reject", "○", "REJECT")] * 2
    assert [style.VERDICTS[w] for w in RANKS[:3]] == ["●", "◐", "○"]


def test_the_table_holds_the_numbers_that_were_judged(judged):
    page, rows = table(pages.index(judged, "x")), judged.judged.rows
    body = re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", page)
    assert len(body) == len(rows) == 6
    for text, row in zip(body, rows, strict=True):
        e = row["evidence"]
        assert re.sub("<.*?>", "", text.partition("</th>")[0]) == row["name"]
        numbers = re.findall(r"<td[^>]*>([^<]*)</td>", text)
        assert style.number(e["return_pct"], 1, True) in numbers
        assert style.number(e["return_pct"] - e["hold_pct"], 1, True) in numbers
        for name in ("dsr", "pbo", "sharpe_in", "sharpe_out"):
            assert style.number(e[name], 2) in numbers
        assert style.number(e["cycles"], 0) in numbers
    assert '<a href="#SYN-01">' in page
    assert page.count("prob.</small>") == 2


def test_the_sentence_says_how_often_luck_does_as_well(judged):
    text = judged.sentence()
    given, pooled = judged.judged.rows[:2]
    share = style.number((1 - given["evidence"]["dsr"]) * 100, 0)
    assert f"a single trial without any skill does as well in {share} % of cases" in text
    trials = style.number(pooled["evidence"]["trials"], 1)
    assert f"a search of {trials} effective trials without any skill does as well in" in text
    earned = [style.number(pooled["evidence"][f"{n}_pct"], 1, True) for n in ("return", "lower", "upper")]
    assert "would have earned {} % ({} to {}) after costs on candles it had not seen".format(*earned) in text


def test_of_many_symbols_as_given_it_says_how_many_luck_alone_lets_pass(judged):
    said = changed(judged, spoken(SYN_01="TRADE", SYN_02="REJECT")).sentence()
    assert "as given 1 TRADE, 1 REJECT (of 2 without any skill luck alone makes up to 0.1 TRADE);" in said
    assert "chosen for each 1 TRADE, 1 REJECT." in said
    assert "luck alone makes" not in changed(judged, spoken(SYN_01="WATCH", SYN_02="REJECT")).sentence()


def test_a_reason_is_named_beside_its_number_and_change(judged):
    def edit(rows):
        for row, earned, low in zip(rows[:3], (-1.5, 2.5, 2.5), (-9.5, -8.5, 1.5), strict=True):
            row["evidence"] |= {"return_pct": earned, "lower_pct": low}
            name = "loses out of sample" if low < 0 else "too few cycles"
            row |= {"missing": [], "reasons": [{"name": name, "saw": "seen", "change": "much more"}]}
            row["change"] = [f"{name}: much more", "DSR: something else"]

    page = table(pages.index(changed(judged, edit), "x"))
    cells = [re.findall(r"<td[^>]*>([^<]*)</td>", body)[-2:] for body in page.split("<tr>")[2:5]]
    changes = "much more (and 1 more)"
    reasons = ["loses out of sample", "loses out of sample: lower end −8.5 %", "too few cycles"]
    assert cells == [[reason, changes] for reason in reasons]


def test_the_account_says_what_the_sentence_at_the_top_is_of(account_folder, tmp_path):
    shutil.copytree(account_folder.parent, tmp_path / "d")
    results = tmp_path / "d" / "results"
    unjudged = pages.index(pages.gather(results), "x")
    ta.verdicts(results, ledger=tmp_path / "ledger.json", save=True)
    page = pages.index(pages.gather(results), "x")
    assert "The sentence at the top names the median of the symbols" in unjudged
    assert "names the median" not in page
    assert "The sentence at the top is of the parameters as given, on all candles" in page


def test_all_reasons_and_changes_stand_below_the_table(judged):
    page = pages.index(judged, "x")
    below = page.partition("<summary>All reasons")[2].partition("</details>")[0]
    for row in judged.judged.rows:
        for reason in row["reasons"]:
            assert f"{reason['name']}: " in below
    assert "trade_dsr 0.95" in below
    assert "4.5 for 30 effective ones" in below
    assert "every search of these candles that the ledger knows" in below
    assert "N_eff and DSR are of this search alone" in page


def test_texts_are_escaped(judged):
    def edit(rows):
        rows[0]["main_reason"] = "<script>x</script>"
        rows[0]["change"] = ["<i>more</i>"]
        rows[0]["reasons"] = [{"name": "<u>", "saw": "<b>", "change": "<s>"}]

    page = pages.index(changed(judged, edit), "x")
    for bad in ("<script", "<i>more", "<u>", "<s>"):
        assert bad not in page


@pytest.mark.parametrize(
    ("words", "edges", "said"),
    [
        (
            ("TRADE", "TRADE"),
            (True, False),
            "found 1 of 1 planted edge (WATCH on 0 more) and were fooled on 1 of 1",
        ),
        (("WATCH", "REJECT"), (True, True), "found 0 of 2 planted edges (WATCH on 1 more)."),
        (("WATCH", "REJECT"), (False, False), "The verdicts were fooled on 0 of 2 symbols without any."),
    ],
)
def test_the_lab_is_graded(judged, words, edges, said):
    evidence = changed(judged, spoken(SYN_01=words[0], SYN_02=words[1]))
    assert said in evidence.judged.grade(dict(zip(("SYN-01", "SYN-02"), edges, strict=True)))


def test_the_grade_stands_on_the_page_and_only_once_something_was_judged(judged):
    assert "The verdicts" not in judged.grade()
    graded = changed(judged, spoken(SYN_01="TRADE", SYN_02="REJECT"))
    assert "The verdicts found 1 of 2 planted edges" in pages.index(graded, "x")
    assert graded.judged.best("SYN-01") == "TRADE"


def test_the_best_of_the_verdicts_of_a_symbol_grades_it(judged):
    def edit(rows):
        for row in rows:
            row["verdict"] = "TRADE" if (row["name"], row["variant"]) == ("SYN-02", "chosen") else "REJECT"

    said = changed(judged, edit).judged.grade({"SYN-02": False})
    assert said == "The verdicts were fooled on 1 of 1 symbol without any."


def test_verdicts_on_other_candles_are_refused(judged_folder, tmp_path):
    shutil.copytree(judged_folder, tmp_path / "r")
    path = tmp_path / "r/report/verdict.json"
    record = read_json(path)
    write_json(path, {**record, "candles": {**record["candles"], "SYN-02": "other"}})
    with pytest.raises(DataError, match="the stage report has seen other candles of SYN-02 than the stage baseline"):
        pages.gather(tmp_path / "r")
    write_json(path, {**record, "stage": "x"})
    with pytest.raises(DataError, match="not a record of the stage verdict"):
        pages.gather(tmp_path / "r")


def test_page_stands_alone_and_repeats(judged, judged_folder):
    page = pages.index(judged, "x")
    assert offline.outside_requests(page) == []
    assert "nan" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL).lower()
    assert pages.index(pages.gather(judged_folder), "x") == page


def test_what_was_not_run_is_a_dash(judged):
    assert np.isnan(judged.judged.table()["worst_stress_pct"]).all()
    assert "<td>–</td>" in table(pages.index(judged, "x"))


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1100])
def test_page_fits_the_screen(judged, tmp_path, width):
    path = pages.write_index(judged, tmp_path / "index.html", title="x")
    assert_drawn(path)
    with opened(path, width=width) as seen:
        assert seen.page.evaluate("() => document.documentElement.scrollWidth") <= width
        box = seen.page.locator(".verdict").bounding_box()
        assert box["y"] + box["height"] < 900, "the sentence is on the first screen"
