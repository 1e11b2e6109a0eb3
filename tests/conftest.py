"""What every test needs: searches made by tests are no searches of this project."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def ledger_of_fixtures(tmp_path_factory):
    """Where the searches of fixtures go that several tests share: those are made before a test has its own ledger."""
    from traderagent.research import ledger

    place = tmp_path_factory.mktemp("fixtures") / "ledger.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "ledger_path", lambda: place)
        yield place


@pytest.fixture(autouse=True)
def ledger_of_tests(tmp_path_factory):
    """A ledger of the test's own, so that the project's counts what its users searched.

    Patched by itself: a test that takes back its own patches does not take back this one.
    """
    from traderagent.research import ledger

    place = tmp_path_factory.getbasetemp() / "ledger.json"
    place.unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "ledger_path", lambda: place)
        yield place
