"""`make` alone lists every verb."""

import re
import shutil
import subprocess

import pytest

from tests.house.sources import ROOT


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_every_verb_is_listed():
    verbs = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1].split()
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    listed = {line.split()[0]: line for line in said.splitlines() if line.startswith("  ")}
    assert sorted(listed) == sorted(verbs)
    assert "cluster-demo" in listed
    assert len({re.search(r"\S\s\s+\S", line).end() for line in listed.values()}) == 1, "the texts do not line up"


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("candles", [False, True])
def test_a_run_that_stops_says_that_the_page_is_older(tmp_path, candles):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "venv/bin").mkdir(parents=True)
    dvc = tmp_path / "venv/bin/dvc"
    dvc.write_text("#!/bin/sh\nexit 1\n")
    dvc.chmod(0o755)
    given = [f"CANDLES={tmp_path}"] if candles else []
    command = ["make", "repro", f"VENV={tmp_path}/venv", "WARM=warm", *given]
    (tmp_path / "warm").touch()
    ran = subprocess.run(
        [*command, "-o", "warm"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode != 0
    assert "error: stopped before the end; reports/index.html, where there is one, is of an earlier run" in ran.stderr
    assert ("git checkout HEAD params/data.yaml" in ran.stderr) == candles
    assert "open " not in ran.stdout
