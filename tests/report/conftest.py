"""A small market, its runs, and evidence on disk: shared by the tests of plots and pages."""

import pytest

import traderagent as ta
from traderagent.report import pages

SMALL = {"symbols": 2, "days": 40, "seed": 7, "progress": False}


@pytest.fixture(scope="session")
def market():
    return ta.load_market("synthetic", **SMALL)


@pytest.fixture(scope="session")
def result(market):
    return ta.backtest(market["SYN-01"])


@pytest.fixture(scope="session")
def quiet(market):
    """A run that never trades."""
    return ta.backtest(market["SYN-01"], route=[()] * len(market["SYN-01"]))


@pytest.fixture(scope="session")
def baseline(market):
    return ta.baseline(market, holdout=0.3, progress=False)


@pytest.fixture(scope="session")
def folder(market, baseline, tmp_path_factory):
    """What the stages data and baseline leave."""
    data = tmp_path_factory.mktemp("data")
    baseline.save(data / "results" / "baseline")
    ta.quality(market).to_parquet(data / "quality.parquet")
    return data / "results"


@pytest.fixture(scope="session")
def evidence(folder):
    return pages.gather(folder)
