"""A symbol on which no trial trades, and a search in which none does: a result that says why, and no failure."""

import re

import numpy as np
import pytest

import traderagent as ta
from tests.research.searched import CONFIG, HOLDOUT, SPACE, market

MARKET = market()
# One symbol whose exchange takes no order of this size.
HALF = ta.Market(
    {
        "SYN-01": MARKET["SYN-01"],
        "SYN-02": MARKET["SYN-02"].replace(instrument=ta.Instrument(tick=0.01, step=1e-6, min_notional=1e9)),
    }
)
GIVEN = {"config": CONFIG, "space": SPACE, "holdout": HOLDOUT, "min_trades": 1, "progress": False}
SEARCHES = {
    "product": (ta.optimize_orchestrator, {}, "none of 24 trials closed a round trip"),
    "two phases": (ta.two_phase_optimize, {"coarse": 2}, "none of 8 trials closed a round trip"),
    "sample": (ta.sample, {"n": 6}, "none of 6 trials closed a round trip"),
    "optuna": (ta.sample, {"n": 6, "method": "optuna"}, r"none of \d trials closed a round trip"),
}
METHODS = {"product": {}, "two_phase": {}, "sample": {"n": 6, "select": "best"}}


@pytest.mark.parametrize("name", SEARCHES)
def test_a_symbol_without_trades_says_so_and_the_others_are_chosen(name):
    if name == "optuna":
        pytest.importorskip("optuna")
    search, more, says = SEARCHES[name]
    found = search(HALF, **GIVEN, **more)
    assert found.best_params["SYN-02"] is None
    assert found.best_params["SYN-01"] is not None
    assert found.best_params["pooled"] == found.best_params["SYN-01"]
    assert list(found.table["ranked"] > 0) == [True, False, True]
    assert np.isnan(found.table["sharpe_ratio_in"]["SYN-02"])
    assert re.match(says, found.table["why"]["SYN-02"])
    with pytest.raises(ta.ConfigError, match=f"SYN-02: nothing could be chosen: {says}"):
        found.config_for("SYN-02")


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_without_any_trade_is_a_result_with_its_reasons(name):
    if name == "optuna":
        pytest.importorskip("optuna")
    search, more, says = SEARCHES[name]
    found = search(HALF["SYN-02"], **GIVEN, **more)
    assert found.best_params == {"SYN-02": None, "pooled": None}
    assert found.fine == {}
    assert found.top().empty
    assert found.luck["why"].str.count("0 of . columns hold a trade|0 of .. columns hold a trade").eq(1).all()
    for row in found.rows:
        with pytest.raises(ta.ConfigError, match=f"{row}: nothing could be chosen: {says}"):
            found.config_for(row)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("given", ["one of two", "none"])
def test_the_stage_writes_what_it_found_and_why_there_is_no_choice(tmp_path, method, given):
    candles = HALF if given == "one of two" else HALF["SYN-02"]
    found = ta.optimization(candles, method=method, results=tmp_path, **GIVEN | METHODS[method])
    best = ta.read_best_params(tmp_path / "best_params.yaml")
    assert list(best) == (["SYN-01", "pooled"] if given == "one of two" else [])
    with pytest.raises(ta.ConfigError, match=r"chosen for 'SYN-02': none of \d+ trials closed a round trip"):
        best["SYN-02"]
    assert "SYN-02" in found.in_words()
    assert found.in_words().count("trials closed a round trip") >= 1
    again = ta.rerun(found, candles, symbol="SYN-02", progress=False)
    assert again.curves.empty
    assert again.why.endswith("trials closed a round trip")
    for draw in (ta.plots.trial_sharpes, ta.plots.logits):
        assert "Nothing to draw: none of" in next(t for t in texts(draw(found, "SYN-02")) if "Nothing" in t)


def texts(pane):
    from bokeh.models.widgets import Div

    return [model.text for model in pane.object.references() if isinstance(model, Div)]
