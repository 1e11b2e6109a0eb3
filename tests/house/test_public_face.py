"""`import traderagent` is light, every public name leads somewhere, and tab completion shows it."""

import subprocess
import sys

import pytest

import traderagent as ta

HEAVY = ["numpy", "pandas", "numba", "xarray", "scipy", "hvplot", "holoviews", "panel", "bokeh", "papermill", "pyarrow"]
PROBE = """
import sys, time
start = time.perf_counter()
import traderagent
spent = time.perf_counter() - start
print(spent, *[m for m in {heavy!r} if m in sys.modules])
"""


def test_import_is_light():
    done = subprocess.run([sys.executable, "-c", PROBE.format(heavy=HEAVY)], capture_output=True, text=True, check=True)
    spent, *loaded = done.stdout.split()
    assert loaded == []
    assert float(spent) < 0.2


@pytest.mark.parametrize("name", ta.__all__)
def test_public_name_leads_somewhere(name):
    assert getattr(ta, name) is not None
    assert name in dir(ta)


def test_unknown_name_says_what_there_is():
    with pytest.raises(AttributeError, match="load_markt.*there are:.*MultiTimeframeData"):
        ta.load_markt  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'byu'; did you mean 'buy'\?"):
        ta.byu  # noqa: B018
