"""Pages stand alone: by their text (fast), and in a browser without network (slow)."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.report.browser import assert_drawn, opened
from traderagent import stages
from traderagent.base.errors import StageError
from traderagent.base.root import root
from traderagent.report import offline

CELLS = [
    "import numpy as np, pandas as pd, hvplot.pandas, panel as pn\n"
    "x = np.arange(50.0)\nframe = pd.DataFrame({'a': x, 'b': np.sin(x)}, index=pd.date_range('2024', periods=50))",
    "frame.hvplot.line(title='line')",
    "pd.DataFrame({'x': [1, 2, 1, 2], 'y': list('aabb'), 'c': [1.0, 2, 3, 4]}).hvplot.heatmap(x='x', y='y', C='c')",
    "pn.Column('# words', frame.hvplot.hist('b'))",
    "(frame.b.hvplot() + frame.a.hvplot.area()).cols(1)",
    "frame.head()",
    "from bokeh.io import output_notebook, show\nfrom bokeh.plotting import figure\noutput_notebook()\n"
    "f = figure(height=200)\nf.line([1, 2, 3], [1, 3, 2])\nshow(f)",
]
PLOTS = 5


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A notebook with every kind of plot, run as a stage runs it."""
    folder = tmp_path_factory.mktemp("plots")
    notebook = new_notebook(metadata={"language_info": {"name": "python"}}, cells=[new_code_cell(s) for s in CELLS])
    nbformat.write(notebook, folder / "plots.ipynb")
    stages._execute(folder / "plots.ipynb", folder / "out.ipynb", {}, folder)
    return nbformat.read(folder / "out.ipynb", as_version=4)


@pytest.fixture(scope="module")
def page(executed, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "plots.html"
    path.write_text(offline.page(executed, "plots", synthetic=True))
    return path


def test_page_carries_its_scripts_once_and_asks_for_nothing(page):
    text = page.read_text()
    assert offline.outside_requests(text) == []
    assert text.count("/* BEGIN bokeh.min.js */") == 1
    assert text.count("/* BEGIN panel.min.js */") == 1
    assert "Loading BokehJS" not in text
    assert "hvplot.pandas" not in text.partition("<main>")[2].partition("docs_json")[0]
    assert "Synthetic candles" in text
    assert '<a href="index.html">' not in text
    assert page.stat().st_size < offline.MAX_BYTES


@pytest.mark.parametrize(
    "planted",
    [
        '<script src="https://elsewhere.example/x.js"></script>',
        "<link rel='stylesheet' href='//elsewhere.example/x.css'>",
        '<img src="http://elsewhere.example/x.png">',
        '<style>@import url("https://elsewhere.example/x.css");</style>',
    ],
)
def test_a_page_that_asks_for_something_is_refused(planted):
    cell = new_code_cell("x", outputs=[nbformat.v4.new_output("display_data", {"text/html": planted})])
    with pytest.raises(StageError, match="asks for 1 things outside itself.*elsewhere"):
        offline.page(new_notebook(cells=[cell]), "x")


def test_an_unknown_style_sheet_is_refused():
    planted = (
        '<script>var docs_json = {"roots":[{"type":"object","name":"ImportedStyleSheet","id":"1",'
        '"attributes":{"url":"https://elsewhere.example/dist/css/none.css"}}]}</script>'
    )
    cell = new_code_cell("x", outputs=[nbformat.v4.new_output("display_data", {"text/html": planted})])
    with pytest.raises(StageError, match="is not part of the installed panel"):
        offline.page(new_notebook(cells=[cell]), "x")


def test_progress_bars_stay_out_and_warnings_stay_in():
    bar = "loading:   0%|          | 0/8 [00:00<?, ?symbol/s]\rloading:  62%|###  | 5/8 [00:00<00:00,  6.2symbol/s]\n"
    widget = "x/auto.py:21: TqdmWarning: IProgress not found. Please update\n  from .autonotebook import tqdm as t\n"
    said = "x.py:3: RuntimeWarning: a number is not finite\n"
    outputs = [nbformat.v4.new_output("stream", name="stderr", text=text) for text in (bar, widget, said)]
    text = offline.page(new_notebook(cells=[new_code_cell("x", outputs=outputs)]), "x").partition("<main>")[2]
    assert "symbol/s" not in text
    assert "IProgress" not in text
    assert "RuntimeWarning" in text


def test_a_page_leads_back_to_the_one_it_belongs_to(executed):
    assert '<main><nav><a href="index.html">' in offline.page(executed, "plots", back="index.html")


def test_a_link_for_the_reader_is_allowed():
    assert offline.outside_requests('<a href="https://elsewhere.example/">read</a>') == []


def test_a_page_that_is_too_large_is_refused():
    cell = new_code_cell("x", outputs=[nbformat.v4.new_output("stream", text="x" * 10_000_000)])
    with pytest.raises(StageError, match="allowed are 10 MB; reduce what is plotted"):
        offline.page(new_notebook(cells=[cell]), "x")


@pytest.mark.slow
def test_every_plot_draws_without_network(page):
    assert_drawn(page, PLOTS)


@pytest.mark.slow
def test_a_blank_page_is_seen(page, tmp_path):
    blank = tmp_path / "blank.html"
    text = page.read_text()
    blank.write_text(text.replace(offline.scripts(), "<script>window.Bokeh = {documents: [1]};</script>"))
    with pytest.raises(AssertionError):
        assert_drawn(blank, PLOTS)


@pytest.mark.slow
def test_a_narrow_screen_does_not_scroll_sideways(page):
    with opened(page, width=390) as seen:
        assert seen.page.evaluate("() => document.documentElement.scrollWidth") <= 390


@pytest.mark.slow
def test_a_saved_page_has_a_living_slider(tmp_path):
    import hvplot.pandas  # noqa: F401
    import numpy as np
    import pandas as pd

    frame = pd.DataFrame({"g": np.repeat(["a", "b"], 20), "x": np.tile(np.arange(20), 2), "y": np.arange(40.0) % 7})
    path = offline.save_page(
        tmp_path / "saved.html", "# words", frame.hvplot.line("x", "y", groupby="g"), title="saved"
    )
    assert_drawn(path)
    with opened(path) as seen:
        before = seen.picture()
        seen.page.locator("select").select_option("b")
        seen.settle()
        assert seen.picture().tobytes() != before.tobytes()
        assert seen.requests == []


@pytest.mark.slow
def test_pages_of_the_last_run_draw_without_network():
    pages = sorted((root() / "reports").glob("*.html"))
    if not pages:
        pytest.skip("no pages yet; run make repro")
    for path in pages:
        assert_drawn(path)
