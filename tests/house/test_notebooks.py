"""Notebook, params file and stanza of a stage agree, and notebooks are stored clean."""

import json
from types import SimpleNamespace

import nbformat
import pytest
import yaml

from tests.house.notebooks import NOTEBOOKS, before_save, cleaned, problems
from tests.house.sources import ROOT, tracked
from traderagent import stages
from traderagent.base.config import read_yaml

PIPELINE = read_yaml(ROOT / "dvc.yaml")["stages"]
STAGES = sorted(PIPELINE)
# Notebooks that are no stages: for reading and for the first session.
FREE = {"start", "own_strategy"}


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda p: p.stem)
def test_notebook_is_clean_and_short(path):
    assert problems(path.read_text(encoding="utf-8"), stage=path.stem not in FREE) == []
    nbformat.validate(nbformat.read(path, as_version=4))


def test_every_stage_has_notebook_params_and_stanza():
    notebooks = {p.stem for p in NOTEBOOKS.glob("*.ipynb")} - FREE
    params = {p.stem for p in (ROOT / "params").glob("*.yaml")} - {"costs", "verdict"}
    assert notebooks == params == set(STAGES)


@pytest.mark.parametrize("name", STAGES)
def test_params_fit_the_notebook(name):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    assert set(stages.parameters(name, ROOT, notebook)) == set(stages.declared(notebook, name))


@pytest.mark.parametrize("name", STAGES)
def test_stanza_names_what_the_stage_reads_and_leaves(name):
    stanza = PIPELINE[name]
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    assert stanza["cmd"] == f"python -m traderagent.stages {name}"
    assert stanza["deps"][0] == f"notebooks/{name}.ipynb"
    given = {
        f"params/{shared}.yaml"
        for shared in (*stages.SHARED, name)
        if set(read_yaml(ROOT / f"params/{shared}.yaml")) & set(stages.declared(notebook, name))
    }
    assert {next(iter(p)) for p in stanza["params"]} == given
    assert all(keys is None for p in stanza["params"] for keys in p.values())
    leaves = {next(iter(o)): o[next(iter(o))] for o in stanza["outs"] if isinstance(o, dict)}
    for kind in ("ipynb", "html"):
        assert leaves.pop(f"reports/{name}.{kind}") == {"cache": False}
    assert all(path.startswith("reports/") for path in leaves)


@pytest.mark.parametrize("name", STAGES)
def test_no_stage_depends_on_a_page_or_an_executed_notebook(name):
    assert [d for d in PIPELINE[name]["deps"] if d.startswith("reports/")] == []


@pytest.mark.parametrize("name", STAGES)
def test_title_is_the_question(name):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    assert PIPELINE[name]["desc"] == stages._question(notebook)


def test_costs_hold_only_what_some_notebook_declares():
    declared = stages._declared_elsewhere(ROOT)
    assert set(read_yaml(ROOT / "params/costs.yaml")) - declared == set()
    assert set(read_yaml(ROOT / "params/data.yaml")) - declared == set()


def test_dvc_calls_nobody():
    text = (ROOT / ".dvc/config").read_text()
    for line in ("analytics = false", "check_update = false", "autostage = false"):
        assert line in text
    assert "remote" not in text


@pytest.mark.parametrize("path", [p for p in tracked() if p.endswith((".yaml", ".yml"))])
def test_yaml_reads(path):
    assert yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def dirty(**changes):
    book = json.loads((NOTEBOOKS / "data.ipynb").read_text(encoding="utf-8"))
    code = [c for c in book["cells"] if c["cell_type"] == "code"][2]
    code.update(changes)
    return json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"execution_count": 3}, "not stored clean"),
        ({"outputs": [{"output_type": "stream", "name": "stdout", "text": "x"}]}, "not stored clean"),
        ({"metadata": {"papermill": {}}}, "not stored clean"),
        ({"id": "question"}, "without an id of their own"),
        ({"source": "for s in market: print(s)"}, "For in a cell"),
        ({"source": "def f(): return 1"}, "FunctionDef in a cell"),
        ({"metadata": {"tags": ["parameters"]}}, "2 cells tagged parameters"),
    ],
)
def test_a_dirty_notebook_is_seen(change, message):
    text = dirty(**change)
    assert any(message in problem for problem in problems(text))
    assert "not stored clean" not in "".join(problems(cleaned(text)))


def saved_in_lab(book, path, root=ROOT):
    """The file's text after Jupyter's server has saved a notebook with the hook."""
    before_save({"type": "notebook", "content": book}, path, SimpleNamespace(root_dir=str(root)))
    return nbformat.writes(book, version=4) + "\n"


def run_in_lab(text):
    """A notebook as JupyterLab holds it after its cells have run."""
    book = nbformat.reads(text, as_version=4)
    book.metadata.language_info.version = "3.99"
    for n, cell in enumerate(book.cells):
        cell.metadata["trusted"] = True
        if cell.cell_type == "code":
            cell.metadata["execution"] = {"iopub.status.busy": "now"}
            cell.execution_count = n
            cell.outputs = [nbformat.v4.new_output("stream", text="so and so")]
    return book


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda p: p.stem)
def test_a_save_in_lab_leaves_the_file_as_it_was(path):
    text = path.read_text(encoding="utf-8")
    assert saved_in_lab(run_in_lab(text), f"notebooks/{path.name}") == text
    assert saved_in_lab(run_in_lab(text), path.name, root=NOTEBOOKS) == text


def test_a_save_in_lab_keeps_an_edit_and_the_outputs_of_an_executed_copy():
    text = (NOTEBOOKS / "data.ipynb").read_text(encoding="utf-8")
    edited = run_in_lab(text)
    edited.cells[-1].source += "\n# a thought"
    assert "# a thought" in saved_in_lab(edited, "notebooks/data.ipynb")
    for elsewhere in ("reports/data.ipynb", "notebooks/own/data.ipynb"):
        assert "so and so" in saved_in_lab(run_in_lab(text), elsewhere)


def test_lab_is_started_with_the_hook():
    from traitlets.config.loader import PyFileConfigLoader

    found = PyFileConfigLoader("jupyter_server_config.py", str(ROOT / ".jupyter")).load_config()
    text = (NOTEBOOKS / "start.ipynb").read_text(encoding="utf-8")
    book = run_in_lab(text)
    model = {"type": "notebook", "content": book}
    found.ContentsManager.pre_save_hook(model, "notebooks/start.ipynb", SimpleNamespace(root_dir=str(ROOT)))
    assert nbformat.writes(book, version=4) + "\n" == text
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlab: ")[2].partition("\n\n")[0]
    assert 'JUPYTER_CONFIG_PATH="$(CURDIR)/.jupyter' in recipe
    assert recipe.startswith("$(WARM)")
