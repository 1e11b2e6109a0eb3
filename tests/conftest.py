"""What every test needs: searches made by tests are no searches of this project."""

import pytest

# Files whose slow tests take longest, the longest first; files of fast tests are too many and too short to matter.
LONGEST = (
    "robustness/test_verdict_simulations.py",
    "engine/test_twin.py",
    "account/test_twin.py",
    "engine/test_own_twin.py",
    "engine/test_conservation.py",
    "account/test_conservation.py",
)


def pytest_collection_modifyitems(items):
    """Begin with what takes longest, so that no worker is left alone with it while the others have nothing to do."""

    def rank(item):
        path = item.path.as_posix()
        return next((k for k, name in enumerate(LONGEST) if path.endswith("/" + name)), len(LONGEST))

    items.sort(key=rank)


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
