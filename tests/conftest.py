"""What every test needs: searches made by tests are no searches of this project."""

import pytest


@pytest.fixture(autouse=True)
def ledger_of_tests(tmp_path_factory, monkeypatch):
    """A ledger of the test's own, so that the project's counts what its users searched."""
    from traderagent.research import ledger

    place = tmp_path_factory.getbasetemp() / "ledger.json"
    place.unlink(missing_ok=True)
    monkeypatch.setattr(ledger, "ledger_path", lambda: place)
    return place
