"""Notebook, params file and stanza of a stage agree, and notebooks are stored clean."""

import json

import nbformat
import pytest
import yaml

from tests.house.notebooks import NOTEBOOKS, cleaned, problems
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
