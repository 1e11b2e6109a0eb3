"""A bar shows on a terminal, vanishes in a notebook, and never becomes a red band there."""

import sys
from types import SimpleNamespace

import pytest

from traderagent.base.errors import ConfigError
from traderagent.base.progress import bar, counting, in_notebook


@pytest.fixture
def notebook(monkeypatch):
    """A process that looks like a notebook's kernel."""
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.delenv("TRADERAGENT_STAGE", raising=False)


def test_a_terminal_has_it_on_stderr(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", None)
    assert not in_notebook()
    assert list(bar(range(3), 3, label="loading")) == [0, 1, 2]
    out, err = capsys.readouterr()
    assert out == ""
    assert "loading" in err


def test_a_notebook_has_it_as_plain_output_that_vanishes(notebook, capsys):
    assert list(bar(range(3), 3, label="loading")) == [0, 1, 2]
    out, err = capsys.readouterr()
    assert err == ""
    assert "loading" in out
    assert out.endswith("\r")


def test_a_stage_has_none(notebook, capsys, monkeypatch):
    monkeypatch.setenv("TRADERAGENT_STAGE", "1")
    assert list(bar(range(3), 3)) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_it_can_be_switched_off(capsys):
    assert list(bar(range(3), 3, shown=False)) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("shown", ["no", 1, None])
def test_a_switch_that_is_none_is_refused(shown):
    with pytest.raises(ConfigError, match=f"progress: got {shown!r}, allowed are True and False"):
        bar(range(3), 3, shown=shown)
    with pytest.raises(ConfigError, match="progress: got"), counting(3, unit="run", shown=shown):
        pass
