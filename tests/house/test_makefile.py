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
