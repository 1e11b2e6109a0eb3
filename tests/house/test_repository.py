"""What may be under version control, and what no file of the project may say."""

import re
import subprocess

import pytest

from tests.conftest import LONGEST
from tests.house.sources import ROOT, tracked

KEPT_FOLDERS = {"data/.gitkeep", "data/own/.gitkeep", "reports/.gitkeep"}
# Put together from halves, so that this file does not say them itself.
REGISTRIES = re.compile(
    "|".join(
        a + b
        for a, b in [
            ("://[^ ]*py", "pi"),
            ("python", "hosted"),
            ("npm", "js"),
            ("--index", "-url"),
            ("--extra-index", "-url"),
            ("--find", "-links"),
            ("deb.deb", "ian"),
            ("trusted", "-host"),
        ]
    )
)
PLACES = re.compile(
    "|".join(a + b for a, b in [("/wo", "rk/"), ("/ro", "ot/"), ("/home", "/[a-z]"), ("C:", r"\\Users")])
)
TEXT = [p for p in tracked() if not p.endswith((".png", ".parquet", ".zip", ".gz", ".feather"))]


def test_nothing_under_data_or_reports_is_tracked():
    assert {p for p in tracked() if p.startswith(("data/", "reports/"))} - KEPT_FOLDERS == set()


@pytest.mark.parametrize(
    "path",
    [
        "data/candles/X_5m.parquet",
        "data/quality.parquet",
        "data/own/X.csv",
        "reports/index.html",
        "reports/data.failed.ipynb",
    ],
)
def test_results_are_ignored_before_the_first_run(path):
    assert subprocess.run(["git", "check-ignore", "--quiet", path], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("lock", ["requirements.lock", "peers.lock"])
def test_lock_holds_versions_and_hashes_only(lock):
    text = (ROOT / lock).read_text()
    assert "://" not in text
    heads = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(heads) > 10
    assert all(re.match(r"^[A-Za-z0-9_.\[\]-]+==\S+", head) for head in heads)
    assert text.count("--hash=sha256:") >= len(heads)


def test_lock_holds_what_the_project_asks_for():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = {
        re.split(r"[=\[]", line)[0]
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if line and not line.startswith(" ")
    }
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *(line for name in ("dev", "cluster", "optuna") for line in extras[name])]
    names = {re.split(r"[\[<>=!~ ]", a)[0].lower().replace("_", "-") for a in asked}
    assert names - locked == set()


@pytest.mark.parametrize("path", TEXT)
def test_no_file_names_a_registry_or_a_place_on_one_machine(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    assert REGISTRIES.findall(text) == []
    assert PLACES.findall(text) == []


@pytest.mark.parametrize(
    "sample", ["https://py" + "pi.org/simple", "files.python" + "hosted.org", "pip --index" + "-url x"]
)
def test_a_registry_is_seen(sample):
    assert REGISTRIES.search(sample)


def test_a_place_is_seen():
    assert PLACES.search("cd /wo" + "rk/main")


@pytest.mark.parametrize("name", LONGEST)
def test_what_begins_first_is_a_file_of_tests(name):
    assert f"tests/{name}" in tracked()
