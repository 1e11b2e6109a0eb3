"""A cube against single runs, metric by metric, whatever threads and chunks; and what a space may not hold."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import traderagent as ta
from traderagent.base.space import Space
from traderagent.engine import lane
from traderagent.engine.config import PARAMETER_FIELDS
from traderagent.strategies.base import STRATEGIES

MARKET = ta.load_market("synthetic", symbols=2, days=40, seed=7, progress=False)
CONFIG = ta.OrchestratorBacktestConfig(
    enable_smc=True,
    grid_params={"trailing_cooldown_candles": 12},
    dca_params={"trigger_pct": 0.01, "high_lookback": 50},
    tf_params={"volume_ratio": 0.0, "divergence_pct": 0.001},
    smc_params={"swing_length": 2, "min_confidence": 0.0, "min_risk_reward": 0.5},
    trend_regimes=["bull_trend", "bear_trend", "tight_range", "wide_range"],
)
SPACE = {
    "grid_num_levels": [3, 10],
    "grid_exit": ["profit", "next_level"],
    "dca_tp_pct": [0.005, 0.02],
    "dca_trigger_pct": [0.01, 0.02],
    "tf_ema_fast": [5, 20],
    "smc_zone_atr": [0.5, 4.0],
    "router_cooldown_bars": [0, 60],
    "max_position_size_pct": [0.1, 0.9],
}


def config_at(point: dict, cube: object, base: ta.OrchestratorBacktestConfig) -> ta.OrchestratorBacktestConfig:
    """The config of a point, put together by hand."""
    changes: dict = {"warmup_bars": int(cube.attrs["warmup_bars"])}
    for name, value in point.items():
        prefixed = [s for s in PARAMETER_FIELDS if name.startswith(STRATEGIES[s].prefix)]
        if prefixed:
            field = PARAMETER_FIELDS[prefixed[0]]
            own = changes.get(field, getattr(base, field))
            changes[field] = own | {name.removeprefix(STRATEGIES[prefixed[0]].prefix): value}
        else:
            changes[name] = value
    return base.replace(**changes)


def assert_point_is_run(cube: object, point: dict, result: object) -> None:
    at = cube.sel(symbol=result.symbol, **point)
    for name, value in result.metrics.items():
        if name in cube:
            np.testing.assert_array_equal(float(at[name]), value, err_msg=f"{name} at {point}")


def random_points(n: int) -> list[dict]:
    source = random.Random(11)
    return [{name: source.choice(values) for name, values in SPACE.items()} for _ in range(n)]


def hold_to_single_runs(base: ta.OrchestratorBacktestConfig, n: int) -> None:
    cube = ta.sweep(MARKET, base, SPACE, progress=False)
    assert cube.attrs["refused"] == []
    fills = 0
    for k, point in enumerate(random_points(n)):
        result = ta.backtest(MARKET[cube.symbol.values[k % 2]], config_at(point, cube, base))
        assert_point_is_run(cube, point, result)
        fills += len(result.trades)
    assert fills > 100 * n


def test_a_sweep_is_the_loop_of_single_runs():
    hold_to_single_runs(CONFIG, 12)


@pytest.mark.slow
@pytest.mark.parametrize("account", ["spot", "perpetual"])
def test_a_sweep_is_the_loop_of_single_runs_at_many_points(account):
    more = {} if account == "spot" else {"leverage": 5.0, "account": "perpetual"}
    grid = {"direction": "long" if account == "spot" else "neutral"}
    hold_to_single_runs(CONFIG.replace(**more, grid_params=CONFIG.grid_params | grid), 200)


def test_threads_and_chunks_change_no_byte():
    space = {name: SPACE[name] for name in ("grid_num_levels", "dca_tp_pct", "router_cooldown_bars")}
    cubes = [
        ta.sweep(MARKET, CONFIG, space, workers=workers, chunk=chunk, progress=False)
        for workers, chunk in ((1, None), (2, 1), (4, 3), (None, 8))
    ]
    for other in cubes[1:]:
        assert other.attrs == cubes[0].attrs
        for name, values in cubes[0].data_vars.items():
            assert other[name].to_numpy().tobytes() == values.to_numpy().tobytes(), name


def test_a_hold_out_is_a_dimension_of_two_separate_runs():
    space = {"dca_tp_pct": [0.005, 0.02], "grid_num_levels": [3, 10]}
    cube = ta.sweep(MARKET, CONFIG, space, holdout=0.4, progress=False)
    assert cube.total_return_pct.dims == ("symbol", "sample", "dca_tp_pct", "grid_num_levels")
    point = {"dca_tp_pct": 0.02, "grid_num_levels": 3}
    runs = ta.backtest(MARKET["SYN-02"], config_at(point, cube, CONFIG), holdout=0.4)
    for sample in ("in", "out"):
        assert_point_is_run(cube, point | {"sample": sample}, runs[sample])
    assert not np.array_equal(cube.total_return_pct.sel(sample="in"), cube.total_return_pct.sel(sample="out"))


def test_daily_returns_are_those_of_the_equity():
    cube = ta.sweep(MARKET, CONFIG, {"dca_tp_pct": [0.005, 0.02]}, progress=False)
    result = ta.backtest(MARKET["SYN-01"], config_at({"dca_tp_pct": 0.005}, cube, CONFIG))
    equity = result.equity.iloc[result.raw.first :].resample("1D").last()
    before = np.concatenate(([result.initial_balance], equity.to_numpy()[:-1]))
    ours = cube.returns.sel(symbol="SYN-01", dca_tp_pct=0.005)
    np.testing.assert_array_equal(ours, (equity.to_numpy() / before - 1).astype(np.float32))
    assert list(ours.day.values.astype("datetime64[D]")) == list(
        equity.index.tz_localize(None).values.astype("datetime64[D]")
    )
    assert "returns" not in ta.sweep(MARKET, CONFIG, {"dca_tp_pct": [0.005, 0.02]}, returns=None, progress=False)


def test_a_trial_with_more_exits_than_room_runs_again_by_itself(monkeypatch):
    space = {"grid_trailing_cooldown_candles": [0, 1], "grid_trailing_shift_threshold_pct": [0.0, 0.001]}
    usual = ta.sweep(MARKET, CONFIG, space, progress=False)
    monkeypatch.setattr(lane, "n_exits_of", lambda n_cells: 3)
    again = []
    alone = lane.Lane._run_alone
    monkeypatch.setattr(lane.Lane, "_run_alone", lambda *given: (again.append(given), alone(*given)))
    small = ta.sweep(MARKET, CONFIG, space, progress=False)
    assert again
    for name, values in usual.data_vars.items():
        np.testing.assert_array_equal(small[name], values, err_msg=name)


def test_points_that_contradict_themselves_are_nan_with_their_reason():
    space = {"tf_ema_fast": [5, 20], "tf_ema_slow": [10, 50]}
    cube = ta.sweep(MARKET, CONFIG, space, progress=False)
    dead = cube.total_return_pct.sel(tf_ema_fast=20, tf_ema_slow=10)
    assert dead.isnull().all()
    assert int(cube.total_return_pct.isnull().sum()) == dead.size
    assert len(cube.attrs["refused"]) == 1
    assert cube.attrs["refused"][0].startswith("1 points: tf_params: trend_follower: ema_fast 20 must be below")


def test_a_symbol_too_short_is_skipped_with_its_reason():
    short = MARKET["SYN-02"].slice(None, MARKET["SYN-02"].index[500])
    market = ta.Market({"SYN-01": MARKET["SYN-01"], "SYN-02": short})
    cube = ta.sweep(market, CONFIG, {"dca_tp_pct": [0.005, 0.02]}, progress=False)
    assert list(cube.symbol.values) == ["SYN-01"]
    assert cube.attrs["skipped"][0].startswith("SYN-02: got 500 candles of 5m, allowed are")
    with pytest.raises(ta.DataError, match="no symbol could be swept: SYN-02: got 500 candles"):
        ta.sweep(short, CONFIG, {"dca_tp_pct": [0.005, 0.02]}, progress=False)


BAD = {
    "no space": (None, "space: got None, allowed is a mapping"),
    "empty space": ({}, "allowed is a mapping"),
    "one value": ({"dca_tp_pct": [0.05]}, "'dca_tp_pct' has 1 value, allowed are 2 or more; set a single one"),
    "no value": ({"dca_tp_pct": []}, "'dca_tp_pct' has 0 values"),
    "twice": ({"dca_tp_pct": [0.05, 0.08, 0.05]}, "holds 0.05 twice"),
    "text": ({"dca_tp_pct": "0.05"}, "'dca_tp_pct' is '0.05', allowed is a list"),
    "unknown": ({"dca_tp_pc": [0.05, 0.08]}, "unknown parameter 'dca_tp_pc' in space: did you mean 'dca_tp_pct'"),
    "unknown with one value": ({"dca_tp": [1]}, "unknown parameter 'dca_tp' in space: did you mean 'dca_tp_pct'"),
    "out of bounds": ({"dca_tp_pct": [0.05, 11.0]}, "dca_tp_pct=11.0 is allowed at no point: .*got 11.0"),
    "all out of bounds": ({"dca_tp_pct": [-1.0, 11.0]}, "no point is allowed: .*got -1.0"),
    "not searched": ({"path": ["candle", "olhc"]}, "unknown parameter 'path'"),
}


BAD_OPTIONS = {
    "holdout": ("a", "holdout: got 'a', allowed is a fraction"),
    "checkpoint": ("", "checkpoint: got '', allowed are a folder, a URL"),
    "workers": (0, "workers: got 0, allowed is a whole number of at least 1"),
    "chunk": (1.5, "chunk: got 1.5, allowed is a whole number"),
    "returns": ("1H", "returns: got '1H', allowed are '1D' and None"),
    "strategies": (3, "strategies: got 3, allowed is a list of objects"),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_a_bad_option_is_refused_in_words(name):
    value, says = BAD_OPTIONS[name]
    with pytest.raises(ta.ConfigError, match=says):
        ta.sweep(MARKET, CONFIG, {"dca_tp_pct": [0.05, 0.08]}, progress=False, **{name: value})


@pytest.mark.parametrize("name", BAD)
def test_a_bad_space_is_refused_in_words(name):
    space, says = BAD[name]
    with pytest.raises(ta.ConfigError, match=says):
        ta.sweep(MARKET, CONFIG, space, progress=False)


def test_parameters_that_cannot_matter_are_refused():
    without = CONFIG.replace(enable_dca=False)
    with pytest.raises(ta.ConfigError, match="'dca_tp_pct' cannot matter, since dca is not enabled"):
        ta.sweep(MARKET, without, {"dca_tp_pct": [0.05, 0.08]}, progress=False)
    unrouted = CONFIG.replace(enable_strategy_router=False)
    with pytest.raises(ta.ConfigError, match="'router_cooldown_bars' cannot matter without the router"):
        ta.sweep(MARKET, unrouted, {"router_cooldown_bars": [30, 60]}, progress=False)


def test_the_documented_grid_is_a_space_of_2187_points():
    space = Space.of(ta.ORCHESTRATOR_PARAM_GRID)
    assert len(space) == 2187
    assert next(iter(space)) == {name: values[0] for name, values in ta.ORCHESTRATOR_PARAM_GRID.items()}
    assert len(list(space)) == 2187


@pytest.mark.parametrize("name", ta.ORCHESTRATOR_PARAM_GRID)
def test_every_axis_of_the_documented_grid_has_a_consumer(name):
    market = ta.load_market("synthetic", symbols=3, days=90, seed=7, progress=False)
    cube = ta.sweep(market, None, {name: ta.ORCHESTRATOR_PARAM_GRID[name]}, returns=None, progress=False)
    spread = cube.total_return_pct
    assert (spread.max(name) > spread.min(name)).any()


def test_points_are_the_same_trials_along_one_dim():
    space = {name: SPACE[name] for name in ("grid_num_levels", "dca_tp_pct", "grid_exit")}
    product = ta.sweep(MARKET, CONFIG, space, progress=False)
    points = list(Space.of(space))[::-1][:5]
    cube = ta.sweep(MARKET, CONFIG, ta.Points.of(points), progress=False)
    assert cube.total_return_pct.dims == ("symbol", "trial")
    assert cube.grid_exit.dims == ("trial",)
    for k, point in enumerate(points):
        for name in product.data_vars:
            np.testing.assert_array_equal(cube[name].isel(trial=k), product[name].sel(**point), err_msg=name)
    with pytest.raises(ta.ConfigError, match="no point is allowed"):
        ta.sweep(MARKET, CONFIG, ta.Points.of([{"dca_tp_pct": 11.0}]), progress=False)


def test_blocks_change_no_byte(monkeypatch):
    """Records and columns of a few points at a time, refused points among them, against all at once."""
    module = sys.modules["traderagent.research.sweep"]
    space = {"tf_ema_fast": [5, 20], "tf_ema_slow": [10, 50], "dca_tp_pct": [0.005, 0.01, 0.02]}
    whole = ta.sweep(MARKET, CONFIG, space, holdout=0.4, progress=False)
    monkeypatch.setattr(module, "BLOCK", 4)
    blocks = ta.sweep(MARKET, CONFIG, space, holdout=0.4, chunk=2, progress=False)
    monkeypatch.setattr(module, "BLOCK", 2048)
    monkeypatch.setattr(module, "COLUMNS", 1)
    narrow = ta.sweep(MARKET, CONFIG, space, holdout=0.4, chunk=3, progress=False)
    for other in (blocks, narrow):
        assert other.attrs == whole.attrs
        for name, values in whole.variables.items():
            assert other[name].to_numpy().tobytes() == values.to_numpy().tobytes(), name


def test_another_process_gives_the_same_bytes(tmp_path):
    script = (
        "import traderagent as ta, hashlib\n"
        "from tests.research.test_sweep import CONFIG, MARKET, SPACE\n"
        "space = {k: SPACE[k] for k in ('dca_tp_pct', 'grid_exit')}\n"
        "cube = ta.sweep(MARKET, CONFIG, space, workers=4, progress=False)\n"
        "print(hashlib.sha256(b''.join(v.to_numpy().tobytes() for v in cube.variables.values())).hexdigest())\n"
    )
    root = Path(__file__).parents[2]
    found = {
        subprocess.run(
            [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True, env=environment
        ).stdout.split()[-1]
        for environment in _environments(tmp_path)
    }
    assert len(found) == 1


def _environments(root):
    for seed, zone in (("1", "Asia/Tokyo"), ("2", "America/New_York")):
        yield os.environ | {"PYTHONHASHSEED": seed, "TZ": zone, "TRADERAGENT_ROOT": str(root)}


def test_a_space_too_large_for_memory_is_refused_at_once_with_numbers():
    values = list(np.linspace(0.001, 0.5, 1000))
    large = {"dca_tp_pct": values, "dca_trigger_pct": values, "max_position_size_pct": values, "tf_tp_atr_mult": values}
    with pytest.raises(ta.ConfigError, match=r"got 1,000,000,000,000 points in 2 places, which need .* GiB, allowed"):
        ta.sweep(MARKET, CONFIG, large, progress=False)


def test_a_search_enters_the_ledger_once(ledger_of_tests):
    space = {"dca_tp_pct": [0.005, 0.02]}
    for _ in range(2):
        ta.sweep(MARKET, CONFIG, space, holdout=0.3, progress=False)
    ta.sweep(MARKET, CONFIG, space, progress=False)
    entries = json.loads(ledger_of_tests.read_text())["entries"]
    assert [(entry["trials"], entry["holdout_opened"]) for entry in entries] == [(2, True)]
    ledger_of_tests.write_text("{")
    with pytest.raises(ta.DataError, match="the ledger of searches cannot be read"):
        ta.sweep(MARKET, CONFIG, space, progress=False)


def test_a_long_sweep_tells_its_time_first_and_a_stage_does_not(monkeypatch, capsys):
    from traderagent.research import estimate

    monkeypatch.setattr(estimate, "LONG", 0.0)
    ta.sweep(MARKET, CONFIG, {"dca_tp_pct": [0.005, 0.02]})
    assert "2 points on 2 symbols: about 0 min 00 s on " in capsys.readouterr().err
    monkeypatch.setenv("TRADERAGENT_STAGE", "1")
    ta.sweep(MARKET, CONFIG, {"dca_tp_pct": [0.005, 0.02]})
    assert "about" not in capsys.readouterr().err


def test_a_short_first_symbol_is_skipped_with_a_bar_as_without_one():
    short = MARKET["SYN-02"].slice(None, MARKET["SYN-02"].index[500])
    market = ta.Market({"SYN-02": short, "SYN-01": MARKET["SYN-01"]})
    cube = ta.sweep(market, CONFIG, {"dca_tp_pct": [0.005, 0.02]}, progress=True)
    assert list(cube.symbol.values) == ["SYN-01"]


@pytest.mark.parametrize("values", [[["bull_trend"], ["bear_trend"]], [None, 0.02], [{"a": 1}, {"a": 2}]])
def test_an_axis_whose_values_no_coordinate_gives_back_is_refused(values):
    with pytest.raises(ta.ConfigError, match="'x' holds .*, allowed are numbers, texts and true or false"):
        Space.of({"x": values})
    with pytest.raises(ta.ConfigError, match="'x' holds .*, allowed are numbers, texts and true or false"):
        ta.Points.of([{"x": value} for value in values])
