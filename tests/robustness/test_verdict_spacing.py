"""The spacing of a grid that a search moved is that of the chosen runs."""

import pytest

import traderagent as ta

NAMES = ["SYN-01", "SYN-02"]


@pytest.fixture(scope="module")
def market():
    return ta.load_market("synthetic", symbols=2, days=45, seed=7, progress=False)


def judged(market, results, space):
    """Rows of the verdict by variant and name, after a baseline and a search, and the search."""
    ta.baseline(market, holdout=0.3, progress=False).save(results / "baseline")
    found = ta.optimization(market, None, space, holdout=0.3, min_trades=1, results=results, progress=False)
    rows = ta.verdicts(results, ledger=results / "ledger.json").rows
    return {(row["variant"], row["name"]): row["evidence"]["spacing_sigma"] for row in rows}, found


def spacing(market, found, row, symbol):
    """The smaller spacing of the two parts' runs, by `ta.backtest`."""
    config = found.config_for(row)
    runs = ta.backtest(market[symbol], config, holdout=0.3, progress=False)
    return min(runs[part].grid_spacing_sigma for part in ("in", "out"))


def test_the_spacing_of_a_searched_grid_is_that_of_the_chosen_runs(market, tmp_path):
    rows, found = judged(market, tmp_path, {"grid_num_levels": [4, 40]})
    own = {symbol: spacing(market, found, symbol, symbol) for symbol in NAMES}
    assert {symbol: rows["chosen", symbol] for symbol in NAMES} == own
    assert rows["pooled", "account"] == min(spacing(market, found, "pooled", symbol) for symbol in NAMES)
    given = {symbol: rows["given", symbol] for symbol in NAMES}
    assert all(value > 0.0 for value in own.values())
    assert own != given


def test_a_search_that_leaves_the_grid_alone_has_the_spacing_as_given(market, tmp_path):
    rows, _ = judged(market, tmp_path, {"dca_tp_pct": [0.02, 0.05]})
    assert all(rows["chosen", name] == rows["given", name] > 0.0 for name in NAMES)
    assert rows["pooled", "account"] == rows["given", "account"]
