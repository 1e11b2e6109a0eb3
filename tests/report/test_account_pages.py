"""The index page where one account has been run: what it earned, held and refused, and nothing of other candles."""

import copy
import re
import shutil

import nbformat
import pandas as pd
import pytest

import traderagent as ta
from tests.report.browser import assert_drawn, opened
from traderagent import stages
from traderagent.base.account_evidence import AccountEvidence
from traderagent.base.files import read_json, write_json
from traderagent.base.root import root
from traderagent.report import gather, offline, pages, svg


@pytest.fixture(scope="module")
def shared(account_folder):
    return pages.gather(account_folder)


@pytest.fixture(scope="module")
def page(shared):
    return pages.index(shared, "What would have been earned?")


def section(page, number):
    return page.partition(f'id="part-{number}"')[2].partition("<h2")[0]


def changed(shared, edit):
    record, frames = copy.deepcopy(shared.account.record), dict(shared.account.frames)
    edit(record, frames)
    account = AccountEvidence(record, frames)
    return gather.Evidence(shared.baseline, shared.quality, shared.done, shared.search, account)


def test_the_account_is_that_of_the_stage(shared, page):
    text, found = section(page, 1), shared.account
    assert "the stage <b>portfolio</b>" not in page
    assert f"<b>{found.number('total_return_pct'):+.2f} %</b>".replace("-", "−") in text
    assert "one shared account, %" in text
    assert "sum of independent accounts, %" in text
    assert 'class="shade"' in text
    assert "before the cut: selected on these candles" in text
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>', text)
    assert rows == [
        "chosen, set aside",
        "chosen, before the cut",
        "as given, set aside",
        "as given, before the cut",
    ]


def test_where_the_stage_has_not_run_the_sum_of_independent_accounts_stands_and_says_so(searched_folder):
    text = pages.index(pages.gather(searched_folder), "x")
    assert "the stage <b>portfolio</b>" in section(text, 1)
    assert "independent runs, %" in section(text, 1)
    assert "the stage <b>portfolio</b>" in section(text, 6)


def test_pairs_are_shown_with_what_moves_holds_gives_and_is_refused(shared, page):
    text, run = section(page, 6), shared.account.run()
    heads = re.findall(r"<h3>(.*?)</h3>", text)
    assert heads == ["Correlation", "Exposure, % of equity", "Refused orders by week", "What each pair gave"]
    rho = run["pair_correlation_matrix"]["SYN-01"]["SYN-02"]
    assert text.count(f">{rho:.2f}<") == 2
    for reason, n in run["rejections"].items():
        assert re.search(rf"<th scope=\"row\">{reason.replace('_', ' ')}</th><td>{n}</td>", text)
    total = f"{run['metrics']['total_return_pct']:+.2f}".replace("-", "−")
    assert re.search(rf"class=whole.*>{re.escape(total)}</td>", text)
    assert text.count('class="layer"') >= 4


def test_parameters_as_given_are_shown_alone_and_not_called_selected(shared):
    def given(record, frames):
        del record["runs"]["chosen"]

    text = section(pages.index(changed(shared, given), "x"), 1)
    assert "selected on these candles" not in text
    assert "with parameters as given" in text
    assert "chosen" not in text


def test_skipped_symbols_and_symbols_as_given_stand_there_with_their_reasons(shared):
    def reasons(record, frames):
        record["skipped"] = {"TINYUSDT": "770 candles needed, got <12>"}
        record["as_given"] = {"SYN-02": "nothing was chosen <for> it"}

    text = section(pages.index(changed(shared, reasons), "x"), 1)
    assert "<b>TINYUSDT</b> is not on the account: 770 candles needed, got &lt;12&gt;" in text
    assert "<b>SYN-02</b> ran as given: nothing was chosen &lt;for&gt; it" in text


def test_unequal_cuts_are_said_and_only_what_was_set_aside_is_drawn(shared, market):
    late = market["SYN-02"].slice("2024-01-20", None)
    found = ta.shared_account({"SYN-01": market["SYN-01"], "SYN-02": late}, holdout=0.3, progress=False)
    evidence = gather.Evidence(shared.baseline, shared.quality, shared.done, None, found)
    text = section(pages.index(evidence, "x"), 1)
    assert found.apart is False
    assert "only the parts set aside are drawn" in text
    assert 'class="shade"' not in text
    assert "The cut is not the same day" in "".join(
        m.text for m in ta.plots.exposure(found).object.references() if type(m).__name__ == "Div"
    )


def test_nothing_refused_and_undefined_numbers(shared):
    def silent(record, frames):
        frames["refusals"] = frames["refusals"].iloc[:0]
        frames["correlation"] = frames["correlation"].assign(**{"SYN-01": float("nan"), "SYN-02": float("nan")})
        for one in record["runs"]["chosen"].values():
            one["rejections"], one["avg_pair_correlation"] = {}, None
            one["metrics"] = dict.fromkeys(one["metrics"])

    text = pages.index(changed(shared, silent), "x")
    assert "<h3>Refused orders by week</h3><p>None.</p>" in section(text, 6)
    assert "– in the mean" in section(text, 6)
    assert "nan" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL).lower()


def test_results_of_other_candles_or_another_hold_out_are_refused(account_folder, tmp_path):
    shutil.copytree(account_folder, tmp_path / "r")
    path = tmp_path / "r" / "portfolio" / "portfolio_result.json"
    record = read_json(path)
    write_json(path, {**record, "candles": {**record["candles"], "SYN-02": "other"}})
    with pytest.raises(ta.DataError, match="stage portfolio has seen other candles of SYN-02 than the stage baseline"):
        pages.gather(tmp_path / "r")
    write_json(path, {**record, "holdout": None})
    with pytest.raises(ta.DataError, match="stage portfolio has seen a hold-out of none, not 0.3"):
        pages.gather(tmp_path / "r")
    path.unlink()
    with pytest.raises(ta.DataError, match="no such file; run the stage"):
        pages.gather(tmp_path / "r")


def test_page_stands_alone_and_is_small(page, account_folder):
    assert offline.outside_requests(page) == []
    assert "<script" not in page
    assert len(page.encode()) < 500_000
    assert "nan" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL).lower()
    assert pages.index(pages.gather(account_folder), "What would have been earned?") == page


def test_layers_of_a_stack_lie_on_one_another():
    index = pd.date_range("2024-01-01", periods=3, freq="D", tz="UTC")
    frame = pd.DataFrame({"a": [1.0, 3.0, 0.0], "<b>": [3.0, 1.0, 0.0]}, index)
    html = svg.stack(frame, ["#111111", "#222222"])
    layers = re.findall(r'fill: (#\d+)" d="([^"]*)"', html)
    assert layers == [
        ("#222222", "M0.0,1000L0.0,0.0L500.0,0.0L500.0,0.0L1000.0,0.0L1000.0,1000Z"),
        ("#111111", "M0.0,1000L0.0,750.0L500.0,750.0L500.0,250.0L1000.0,250.0L1000.0,1000Z"),
    ]
    assert "<title>&lt;b&gt;</title>" in html
    assert "Nothing to draw" in svg.stack(frame.iloc[:1], ["#111111", "#222222"])


@pytest.mark.slow
def test_the_notebook_runs_alone_and_takes_over_what_a_search_chose_beside_it(tmp_path):
    small = {"stored": {"source": "synthetic", "symbols": 2, "days": 40}, "portfolio": {"max_single_pair_pct": 0.1}}
    notebook, where = root() / "notebooks/portfolio.ipynb", tmp_path / "data/small/results"
    answers = []
    for _ in range(2):
        stages._execute(notebook, tmp_path / "out.ipynb", small, tmp_path)
        cells = {c.id: c for c in nbformat.read(tmp_path / "out.ipynb", as_version=4).cells}
        assert all(cells[name].outputs for name in ("run", "account", "exposure", "correlation", "blocked", "sharing"))
        answers.append(cells["answer"].outputs[0]["data"]["text/markdown"])
        assert AccountEvidence.load(where / "portfolio").in_words() == answers[-1]
        market = ta.load_market(**small["stored"], progress=False)
        space = {"dca_tp_pct": [0.05, 0.08], "max_position_size_pct": [0.15, 0.9]}
        ta.optimization(market, None, space, min_trades=1, results=where, progress=False)
    assert "No search has chosen parameters: data/small/results/best_params.yaml is not there." in answers[0]
    assert "with parameters chosen by the search would have earned" in answers[1]


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1100])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_the_screen(shared, tmp_path, width, scheme):
    path = pages.write_index(shared, tmp_path / "index.html", title="x")
    assert_drawn(path)
    with opened(path, width=width) as seen:
        seen.page.emulate_media(color_scheme=scheme)
        assert seen.page.evaluate("() => document.documentElement.scrollWidth") <= width
        layer = seen.page.locator("#part-6 ~ .chart").first
        box = layer.bounding_box()
        picture = seen.picture().crop((int(box["x"]), int(box["y"]), int(box["x"] + box["width"]), int(box["y"] + 180)))
        assert len(picture.getcolors(maxcolors=1_000_000)) > 10
