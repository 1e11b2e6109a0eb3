"""A small market, its runs, and evidence on disk: shared by the tests of plots and pages."""

import shutil

import pytest

import traderagent as ta
from traderagent.report import pages
from traderagent.research.search_evidence import save_search

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


SPACE = {
    "dca_tp_pct": [0.05, 0.08, 0.1],
    "dca_trigger_pct": [0.03, 0.05, 0.07],
    "max_position_size_pct": [0.15, 0.25],
}


@pytest.fixture(scope="session")
def search(market):
    """A search small enough for a test, big enough for neighbours."""
    return ta.optimize_orchestrator(market, None, SPACE, holdout=0.3, min_trades=1, progress=False)


@pytest.fixture(scope="session")
def searched_folder(market, search, folder, tmp_path_factory):
    """What the stages data, baseline and optimization leave."""
    data = tmp_path_factory.mktemp("searched")
    shutil.copytree(folder.parent, data, dirs_exist_ok=True)
    save_search(search, data / "results", {symbol: market[symbol].hash for symbol in market})
    return data / "results"


@pytest.fixture(scope="session")
def account(market, searched_folder):
    """Runs on one account whose limits bite, as given and as the small search chose."""
    limits = ta.PortfolioBacktestConfig(max_single_pair_pct=0.1, max_total_exposure_pct=0.15, max_correlation=0.4)
    best = searched_folder / "best_params.yaml"
    return ta.shared_account(market, limits, best=best, holdout=0.3, progress=False)


@pytest.fixture(scope="session")
def account_folder(account, searched_folder, tmp_path_factory):
    """What the stages data, baseline, optimization and portfolio leave."""
    data = tmp_path_factory.mktemp("shared")
    shutil.copytree(searched_folder.parent, data, dirs_exist_ok=True)
    account.save(data / "results" / "portfolio")
    return data / "results"


@pytest.fixture(scope="session")
def stressed(market, searched_folder):
    """Every scenario on both symbols, as given and as chosen."""
    options = {"windows": 2, "window": "3D", "horizon": "5D", "progress": False}
    return ta.stress_study(market, best=searched_folder / "best_params.yaml", **options)


@pytest.fixture(scope="session")
def lucky(market, searched_folder):
    """Both runs drawn again by three methods, and their parameters moved."""
    options = {"methods": ["trade_shuffle", "block_bootstrap", "execution_noise"], "n": 80, "n_reruns": 2}
    best = searched_folder / "best_params.yaml"
    return ta.luck_study(market, best=best, steps=[0.2], min_trades=1, progress=False, **options)


@pytest.fixture(scope="session")
def walked(market):
    """A walk-forward of four folds."""
    windows = {"train": "14D", "test": "6D", "step": "6D", "min_trades": 1, "progress": False}
    return ta.walk_forward(market, None, SPACE, **windows)


@pytest.fixture(scope="session")
def robust_folder(searched_folder, stressed, lucky, walked, tmp_path_factory):
    """What all stages but portfolio and grid leave."""
    data = tmp_path_factory.mktemp("robust")
    shutil.copytree(searched_folder.parent, data, dirs_exist_ok=True)
    for found, stage in ((stressed, "stress"), (lucky, "monte_carlo"), (walked, "walk_forward")):
        found.save(data / "results" / stage)
    return data / "results"
