"""The runner refuses what papermill lets pass, and leaves no half result."""

import json
import os
import textwrap

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from traderagent import stages
from traderagent.base.errors import ConfigError, StageError, UnknownName

ENTER = "from traderagent.base import root; root.enter()"


@pytest.fixture
def project(tmp_path):
    """An empty project with one notebook that declares n and holdout."""
    for folder in ("notebooks", "params", "reports"):
        (tmp_path / folder).mkdir()
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    params(tmp_path, "data", "holdout: 0.3\nsource: synthetic\n")
    params(tmp_path, "toy", "n: 5\n")
    notebook(tmp_path, "toy", "n = 2\nholdout = None", "print(n, holdout)")
    notebook(tmp_path, "other", "source = 'synthetic'\naccount = 'spot'\ncosts = 'none'")
    params(tmp_path, "other", "")
    return tmp_path


def params(root, name, text):
    (root / "params" / f"{name}.yaml").write_text(textwrap.dedent(text))


def notebook(root, name, parameters, *sources):
    book = new_notebook(metadata={"language_info": {"name": "python"}})
    book.cells = [
        new_markdown_cell(f"# What does {name} ask?", id="question"),
        new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]}),
        new_code_cell(ENTER, id="enter"),
        *(new_code_cell(source, id=f"cell-{i}") for i, source in enumerate(sources)),
    ]
    nbformat.write(book, root / "notebooks" / f"{name}.ipynb")


def files(root):
    return sorted(p.name for p in (root / "reports").iterdir())


def test_runs_with_the_values_of_its_files(project):
    before = os.environ.get("TRADERAGENT_ROOT")
    page = stages.run("toy", project)
    assert files(project) == ["toy.html", "toy.ipynb"]
    assert "5 0.3" in page.read_text()
    assert "What does toy ask?" in page.read_text()
    assert '<a href="index.html">' in page.read_text()
    assert os.environ.get("TRADERAGENT_ROOT") == before


def test_two_runs_show_the_same(project):
    outputs = []
    for _ in range(2):
        stages.run("toy", project)
        book = json.loads((project / "reports" / "toy.ipynb").read_text())
        outputs.append([c.get("outputs") for c in book["cells"]])
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ("n: 5\nholdot: 0.2\n", r"unknown parameter 'holdot' in params/toy.yaml.*did you mean 'holdout'"),
        ("", r"declares 'n', but no params file gives it"),
        ("# n: 5\n\n  # later\n", r"declares 'n', but no params file gives it"),
        ("N: 5\n", r"unknown parameter 'N'"),
        ("n: 5\nholdout: 0.1\n", r"'holdout' stands in params/toy.yaml and in params/data.yaml"),
        ("- 5\n", r"got list, allowed is a mapping"),
        ("n: [\n", r"not readable as YAML"),
    ],
)
def test_wrong_keys_are_refused_before_anything_runs(project, own, message):
    params(project, "toy", own)
    with pytest.raises((ConfigError, StageError), match=message):
        stages.run("toy", project)
    assert files(project) == []


def test_a_shared_file_may_hold_what_others_declare_but_nothing_nobody_declares(project):
    notebook(project, "data", "source = 'synthetic'")
    assert stages.parameters("data", project, stages._read(project / "notebooks/data.ipynb")) == {"source": "synthetic"}
    params(project, "data", "holdout: 0.3\nsource: synthetic\nsuorce: files\n")
    with pytest.raises(ConfigError, match="unknown parameter 'suorce'.*did you mean 'source'"):
        stages.run("data", project)


@pytest.mark.parametrize("stage", ["toy", "other", "data"])
@pytest.mark.parametrize(
    ("shared", "text", "message"),
    [
        ("costs", "account: spot\nslippage: 0.01\n", "unknown parameter 'slippage' in params/costs.yaml"),
        ("costs", "account: spot\ncoss: none\n", "'coss' in params/costs.yaml.*did you mean 'costs'.*allowed: account"),
        ("data", "source: files\nholdot: 0.2\n", "'holdot' in params/data.yaml.*did you mean 'holdout'"),
        ("data", "source: files\nm: 2\n", "'m' in params/data.yaml.*allowed: account, costs, holdout, source$"),
    ],
)
def test_a_key_of_a_shared_file_that_no_notebook_declares_stops_every_stage(project, stage, shared, text, message):
    notebook(project, "data", "source = 'synthetic'")
    params(project, shared, text)
    with pytest.raises(UnknownName, match=message):
        stages.parameters(stage, project, stages._read(project / f"notebooks/{stage}.ipynb"))


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("n = dict(a=1)", "is no literal"),
        ("n = 1\nm = n + 1", "is no literal"),
        ("import os", "is not `name = literal`"),
        ("n = 1\nn = 2", "set twice"),
        ("a, b = 1, 2", "is not `name = literal`"),
        ("for n in []: pass", "is not `name = literal`"),
    ],
)
def test_the_parameters_cell_holds_literals_only(project, cell, message):
    notebook(project, "toy", cell)
    with pytest.raises(StageError, match=message):
        stages.run("toy", project)


def test_literals_of_every_kind_are_taken():
    book = new_notebook(
        cells=[
            new_code_cell(
                "# a comment\na = -1.5\nb = {'x': [1, None]}\nc = (True, 'y')\n", metadata={"tags": ["parameters"]}
            )
        ]
    )
    assert stages.declared(book, "toy") == {"a": -1.5, "b": {"x": [1, None]}, "c": (True, "y")}


def test_exactly_one_parameters_cell():
    with pytest.raises(StageError, match="got 0 cells tagged 'parameters'"):
        stages.declared(new_notebook(cells=[new_code_cell("n = 1")]), "toy")


def test_unknown_stage_names_the_nearest(project):
    with pytest.raises(ConfigError, match="unknown stage 'tyo': did you mean 'toy'"):
        stages.run("tyo", project)


def test_a_failing_notebook_leaves_old_results_and_is_kept_under_another_name(project):
    stages.run("toy", project)
    before = {p.name: p.read_bytes() for p in (project / "reports").iterdir()}
    notebook(
        project,
        "toy",
        "n = 2\nholdout = None",
        "print('so far')",
        "from traderagent.base.errors import DataError; raise DataError('X.csv row 3: high below low')",
        "print(1)",
    )
    match = (
        r"(?s)toy, cell 5: DataError: X.csv row 3: high below low.*toy.failed.ipynb; its parameters: params/toy.yaml$"
    )
    with pytest.raises(StageError, match=match):
        stages.run("toy", project)
    after = {p.name: p.read_bytes() for p in (project / "reports").iterdir()}
    assert "so far" in after.pop("toy.failed.ipynb").decode()
    assert after == before
    notebook(project, "toy", "n = 2\nholdout = None")
    stages.run("toy", project)
    assert files(project) == ["toy.html", "toy.ipynb"]


def test_a_kernel_that_dies_is_an_error(project):
    notebook(project, "toy", "n = 2\nholdout = None", "import os; os._exit(9)")
    with pytest.raises(StageError, match="the kernel died"):
        stages.run("toy", project)
    assert files(project) == ["toy.failed.ipynb"]


def test_a_cell_that_did_not_run_is_an_error(project):
    stages.run("toy", project)
    clean = stages._read(project / "notebooks/toy.ipynb")
    executed = stages._read(project / "reports/toy.ipynb")
    stages._check_complete("toy", clean, executed)
    executed.cells[-1].execution_count = None
    with pytest.raises(StageError, match="did not run to its end"):
        stages._check_complete("toy", clean, executed)


def test_command_line_says_one_sentence_and_returns_non_zero(project, monkeypatch, capsys):
    monkeypatch.setenv("TRADERAGENT_ROOT", str(project))
    notebook(project, "toy", "n = 2\nholdout = None", "1 / 0")
    assert stages.main(["toy"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: toy, cell 4: ZeroDivisionError: division by zero")
    assert "Traceback" not in said
    assert stages.main(["--list"]) == 0
    assert "What does toy ask?" in capsys.readouterr().out


def test_a_broken_notebook_file_is_an_error(project):
    (project / "notebooks/toy.ipynb").write_text("{")
    with pytest.raises(StageError, match="toy.ipynb: not readable as a notebook"):
        stages.run("toy", project)


def test_a_parameter_file_that_is_no_text_is_refused(project):
    (project / "params" / "data.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"data.yaml: not readable as YAML"):
        stages.run("toy", project)
