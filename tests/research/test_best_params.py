"""The file of chosen parameters: what is written is read back, byte for byte the same, and damage is refused."""

import math

import pytest
import yaml

import traderagent as ta
from tests.research.searched import CONFIG, HOLDOUT, SPACE, market

MARKET = market()


@pytest.fixture(scope="module")
def result():
    return ta.optimize_orchestrator(MARKET, CONFIG, SPACE, holdout=HOLDOUT, progress=False)


@pytest.fixture
def path(result, tmp_path):
    return result.to_yaml(tmp_path / "deep" / "best_params.yaml")


def test_what_is_written_is_read_back(result, path):
    found = ta.read_best_params(path)
    assert list(found) == ["SYN-01", "SYN-02", "pooled"]
    for name in found:
        assert found[name] == result.config_for(name)
        assert found[name] != CONFIG
        evidence, row = found.evidence(name), result.luck.loc[name]
        for column in ("dsr", "pbo", "n_effective", "n_trials"):
            assert evidence[column] == row[column]
        for column in ("sharpe_ratio_in", "sharpe_ratio_out", "trades", "plateau"):
            assert evidence[column] == result.table.loc[name, column]
    attrs = result.cube.attrs
    assert found.record["hashes"] == {n: attrs[f"{n}_hash"] for n in ("data", "config", "space", "code")}
    assert (found.record["holdout"], found.record["synthetic"]) == (HOLDOUT, True)
    assert "SYN-01, SYN-02, pooled" in repr(found)


def test_the_same_search_writes_the_same_bytes(result, path, tmp_path):
    again = ta.optimize_orchestrator(MARKET, CONFIG, SPACE, holdout=HOLDOUT, workers=1, progress=False)
    assert again.to_yaml(tmp_path / "again.yaml").read_bytes() == path.read_bytes()


def test_what_is_undefined_is_null_and_a_missing_choice_is_an_error(tmp_path):
    none = ta.optimize_orchestrator(MARKET, CONFIG, SPACE, min_trades=10_000, progress=False)
    path = none.to_yaml(tmp_path / "none.yaml")
    text = path.read_text()
    assert "parameters: null" in text
    assert "nan" not in text.lower().replace("syn", "")
    assert not any(isinstance(v, float) and not math.isfinite(v) for v in _leaves(yaml.safe_load(text)))
    found = ta.read_best_params(path)
    assert list(found) == []
    assert "SYN-01" not in found
    with pytest.raises(
        ta.ConfigError, match=r"none\.yaml: nothing could be chosen for 'SYN-01': at most \d+ round trips"
    ):
        found["SYN-01"]
    with pytest.raises(ta.UnknownName, match="unknown symbol 'BTC'"):
        found["BTC"]


def _leaves(value):
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]:
        yield from _leaves(part) if isinstance(part, (dict, list)) else [part]


def changed(path, change):
    record = yaml.safe_load(path.read_text())
    change(record)
    path.write_text(yaml.safe_dump(record))


BAD = {
    "no symbols": (lambda r: r.pop("symbols"), ta.DataError, "no best parameters, symbols is missing"),
    "symbols are a list": (lambda r: r.update(symbols=["SYN-01"]), ta.DataError, "allowed is a mapping of symbols"),
    "no pooled": (lambda r: r["symbols"].pop("pooled"), ta.DataError, "allowed is a mapping of symbols and 'pooled'"),
    "no evidence": (lambda r: r["symbols"]["SYN-01"].pop("evidence"), ta.DataError, "SYN-01 is .* optimise again"),
    "no mapping": (lambda r: r["symbols"].update({"SYN-01": 5}), ta.DataError, "SYN-01 is 5"),
    "a list": (lambda r: r["symbols"]["SYN-01"].update(parameters=[1]), ta.DataError, "SYN-01 is .* optimise again"),
    "unknown": (
        lambda r: r["symbols"]["SYN-01"]["parameters"].update(dca_tp_pc=0.1),
        ta.UnknownName,
        r"bad\.yaml: unknown parameter 'dca_tp_pc'",
    ),
    "out of bounds": (
        lambda r: r["symbols"]["SYN-01"]["parameters"].update(dca_tp_pct=11.0),
        ta.ConfigError,
        r"bad\.yaml: parameters .*got 11\.0",
    ),
    "config": (lambda r: r["config"].update(initial_balanc=1.0), ta.UnknownName, "unknown parameter 'initial_balanc'"),
    "config is text": (lambda r: r.update(config="x"), ta.ConfigError, "got 'x', allowed is a mapping"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_file_is_refused_in_words(name, path):
    change, kind, says = BAD[name]
    bad = path.rename(path.with_name("bad.yaml"))
    changed(bad, change)
    with pytest.raises(kind, match=says):
        ta.read_best_params(bad)


def test_a_missing_or_broken_file_is_refused_in_words(tmp_path):
    with pytest.raises(ta.ConfigError, match="no such file"):
        ta.read_best_params(tmp_path / "none.yaml")
    (tmp_path / "half.yaml").write_text("symbols: {")
    with pytest.raises(ta.ConfigError, match="not readable as YAML"):
        ta.read_best_params(tmp_path / "half.yaml")
