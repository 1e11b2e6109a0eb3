"""An edit in a function that a kernel calls from another file changes the result.

numba's own cache does not see such an edit and returns the old machine code.
"""

import os
import shutil
import subprocess
import sys

import pytest

from tests.house.sources import PACKAGE

INNER = (
    '"""Inner."""\nfrom traderagent.base.kernel import kernel\n\n\n@kernel\ndef inner(x):\n    return x * {factor}\n'
)
OUTER = (
    '"""Outer."""\nfrom traderagent.base.kernel import kernel\nfrom traderagent.planted.inner import inner\n\n\n'
    "@kernel\ndef outer(x):\n    return inner(x) + 1\n"
)


@pytest.fixture
def copy(tmp_path):
    """The package's base in another folder, with two kernels in two files."""
    package = tmp_path / "traderagent"
    shutil.copytree(PACKAGE / "base", package / "base", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PACKAGE / "__init__.py", package)
    (package / "planted").mkdir()
    (package / "planted" / "__init__.py").touch()
    (package / "planted" / "outer.py").write_text(OUTER)
    return tmp_path


def outer_of_one(folder, factor):
    (folder / "traderagent" / "planted" / "inner.py").write_text(INNER.format(factor=factor))
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "TRADERAGENT_CACHE": str(folder / "cache"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    code = "from traderagent.planted.outer import outer; print(outer(1), len(outer.stats.cache_hits))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


def test_an_edited_callee_changes_the_result_and_an_unchanged_one_is_loaded(copy):
    assert outer_of_one(copy, 2) == [3, 0]
    assert outer_of_one(copy, 2) == [3, 1]
    assert outer_of_one(copy, 5) == [6, 0]
