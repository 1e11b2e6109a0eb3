"""A registry is whole for every thread that looks into it, however many come at once."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from traderagent.base.errors import ConfigError, UnknownName
from traderagent.base.registry import Registry


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of two modules that register themselves; the second one takes its time."""
    folder = tmp_path / "planted_things"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from traderagent.base.registry import Registry\nTHINGS = Registry('thing', 'planted_things')\n"
    )
    (folder / "a.py").write_text("from planted_things import THINGS\nTHINGS.add('a', 1)\n")
    (folder / "b.py").write_text(
        "import time\ntime.sleep(0.3)\nfrom planted_things import THINGS\nTHINGS.add('b', 2)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in [m for m in sys.modules if m.startswith("planted_things")]:
        del sys.modules[name]


def test_threads_that_come_together_all_see_everything(package):
    from planted_things import THINGS

    start = threading.Barrier(4)

    def look(_):
        start.wait()
        return THINGS["b"]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(look, range(4))) == [2] * 4
    assert list(THINGS) == ["a", "b"]


def test_unknown_and_double_names_are_refused(package):
    from planted_things import THINGS

    with pytest.raises(UnknownName, match="unknown thing 'c'.*allowed: a, b"):
        THINGS["c"]
    with pytest.raises(ConfigError, match="registered twice"):
        THINGS.add("a", 3)
    assert THINGS.add("a", THINGS["a"]) == THINGS["a"]
    assert isinstance(THINGS, Registry)
