"""The stage `stress`: every scenario on every symbol, with the parameters as given and with those a search chose."""

import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.account.config import PortfolioBacktestConfig
from traderagent.base.account_evidence import AccountEvidence
from traderagent.base.config import plain
from traderagent.base.errors import ConfigError, DataError
from traderagent.base.files import without_nan
from traderagent.base.hashing import hash_values
from traderagent.base.stress_evidence import COSTS, SHOCK, WINDOW, StressEvidence
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.market.candles import Market, MultiTimeframeData
from traderagent.market.given import market_of
from traderagent.metrics.surface import POOLED
from traderagent.research.best_params import BestParams
from traderagent.robustness.choices import Choices, choices_for
from traderagent.robustness.scenarios import SCENARIOS, Scenario
from traderagent.robustness.stress import stress
from traderagent.robustness.stress_result import FIELDS, LIBRARIES, Stress
from traderagent.strategies.base import Strategy

_Found = dict[str, list[Stress]]  # variant → what was run together


def stress_study(
    market: MultiTimeframeData | Mapping[str, MultiTimeframeData],
    config: OrchestratorBacktestConfig | None = None,
    *,
    best: BestParams | str | Path | None = None,
    account: PortfolioBacktestConfig | str | Path | None = None,
    scenarios: str | Scenario | Iterable[str | Scenario] = "all",
    holdout: float | None = 0.3,
    strategies: Sequence[Strategy] = (),
    windows: int = 3,
    window: Any = "7D",
    horizon: Any = "30D",
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
) -> StressEvidence:
    """Stress every symbol on an account of its own: as given, and with what a search chose for it and for all.

    Parameters
    ----------
    market : candles of one symbol, or of several
    config : what the runs assume; defaults where None
    best : what a search chose, or the file that holds it; a path where nothing lies leaves the parameters as given, and
        the words say so
    account : what one account of all symbols assumes, which is shocked as given, too; or the folder of the stage
        `portfolio`, whose account it is; a path where nothing lies, and None, is no such account
    scenarios, windows, window, horizon, seed : as in `ta.stress`
    holdout : share of each span set aside: both parts are run and shocked by themselves; None: the whole span
    strategies : own strategies, after the enabled built-in ones
    workers : threads over runs; None is one per core
    progress : show a bar when it takes longer than two seconds

    Returns
    -------
    StressEvidence, with tables, `in_words()` and `save(folder)`, and the scenario cube as `.cube`: dims variant,
    scenario, symbol, sample and hour. A symbol that is too short is skipped with its reason

    Raises
    ------
    ConfigError, UnknownName, DataError
        As `ta.stress`, and where the search saw other candles, set aside others, or paid other costs.
    """
    config = OrchestratorBacktestConfig() if config is None else config
    if not isinstance(config, OrchestratorBacktestConfig):
        raise ConfigError(f"config: got {type(config).__name__}, allowed is ta.OrchestratorBacktestConfig")
    data = market_of(market)
    choices = choices_for(best, data, config, holdout, strategies)
    options: dict[str, Any] = {"holdout": holdout, "windows": windows, "window": window, "horizon": horizon}
    options |= {"seed": seed, "workers": workers, "progress": progress}
    options["scenarios"] = (
        list(scenarios) if isinstance(scenarios, Iterable) and not isinstance(scenarios, str) else (scenarios)
    )
    found: _Found = {"given": [stress(data, config, strategies=strategies, **options)]}
    skipped = {**data.skipped, **found["given"][0].skipped}
    symbols = [str(name) for name in found["given"][0].cube["symbol"].to_numpy()]
    chosen = []
    for symbol in symbols:
        if symbol in choices.configs:
            own = choices.strategies[symbol]
            try:
                chosen.append(stress(data[symbol], choices.configs[symbol], strategies=own, **options))
            except DataError as error:
                skipped[symbol] = f"with the parameters chosen: {error}"
    if chosen:
        found["chosen"] = chosen
    shared = _account_of(account)
    if shared is not None:
        found["given"].append(stress(data, shared, strategies=strategies, **options))
    if POOLED in choices.configs:
        every, own = data.select(symbols), choices.strategies[POOLED]
        found["pooled"] = [stress(every, choices.configs[POOLED], strategies=own, **options)]
        for symbol, why in found["pooled"][0].skipped.items():
            skipped.setdefault(symbol, f"with the parameters chosen for all: {why}")
    kinds = _kinds(options["scenarios"])
    cells = _cells(found)
    record = _record(data, config, choices, found, cells, kinds)
    record |= {"skipped": skipped, "holdout": holdout, "seed": seed}
    record["account"] = None if shared is None else shared.to_dict()
    return StressEvidence(without_nan(record), {"cells": cells, "curves": _curves(found, kinds)}, _cube(found))


def _account_of(account: Any) -> PortfolioBacktestConfig | None:
    """The account that is shocked, of a config or as the stage `portfolio` has run it."""
    if account is None or isinstance(account, PortfolioBacktestConfig):
        return account
    if not isinstance(account, (str, Path)):
        raise ConfigError(
            f"account: got {type(account).__name__}, allowed are ta.PortfolioBacktestConfig, the folder of the stage "
            "portfolio, and None"
        )
    if not Path(account).is_dir():
        return None
    return PortfolioBacktestConfig.from_dict(AccountEvidence.load(account).record["config"])


def _kinds(scenarios: Any) -> dict[str, str]:
    """Scenario → costs or shock; volatile windows are of neither."""
    own = scenarios if isinstance(scenarios, list) else [scenarios]
    every = dict(SCENARIOS.items()) | {s.name: s for s in own if isinstance(s, Scenario)}
    return {name: COSTS if one.costs is not None else SHOCK for name, one in every.items()}


def _cells(found: _Found) -> pd.DataFrame:
    """One row a variant, scenario, symbol and sample."""
    names = ["variant", "scenario", "symbol", "sample", *FIELDS, "shock"]
    parts = [one.to_frame().assign(variant=variant) for variant, runs in found.items() for one in runs]
    frame = pd.concat([part if "sample" in part else part.assign(sample="whole") for part in parts], ignore_index=True)
    return frame[names].assign(shock=frame["shock"].dt.as_unit("ms").dt.tz_localize("UTC"))


def _curves(found: _Found, kinds: dict[str, str]) -> pd.DataFrame:
    """Equity by whole hours around every shock and window, relative to that at its beginning."""
    parts = []
    for variant, runs in found.items():
        for one in runs:
            moments = [name for name in one.scenarios if kinds.get(name) != COSTS]
            lines = one.cube[["curve", "undisturbed_curve"]].sel(scenario=moments).to_dataframe().reset_index()
            parts.append(lines.dropna(subset="curve").assign(variant=variant))
    frame = pd.concat([part if "sample" in part else part.assign(sample="whole") for part in parts], ignore_index=True)
    frame = frame.rename(columns={"undisturbed_curve": "undisturbed"})
    names = ["variant", "scenario", "symbol", "sample", "hour", "curve", "undisturbed"]
    return frame[names].astype({"hour": np.int32, "curve": np.float32, "undisturbed": np.float32})


def _cube(found: _Found) -> xr.Dataset:
    """All cells under their names: dims variant, scenario, symbol, with a hold-out sample, and hour for curves."""
    labels = list(dict.fromkeys(name for runs in found.values() for one in runs for name in one.scenarios))
    parts = []
    for runs in found.values():
        each = [one.cube.reindex(scenario=labels) for one in runs]
        parts.append(xr.concat(each, "symbol", join="exact", combine_attrs="drop_conflicts"))
    symbols = parts[0]["symbol"].to_numpy()
    cube = xr.concat([part.reindex(symbol=symbols) for part in parts], "variant", combine_attrs="drop_conflicts")
    return cube.assign_coords(variant=list(found))


def _record(
    data: Market,
    config: OrchestratorBacktestConfig,
    choices: Choices,
    found: _Found,
    cells: pd.DataFrame,
    kinds: dict[str, str],
) -> dict[str, Any]:
    """Numbers in words' reach: who, what happened, and the worst of every symbol."""
    every = [one for runs in found.values() for one in runs]
    words = {name: text for one in every for name, text in one.words.items()}
    kept = [str(name) for name in every[0].cube["symbol"].to_numpy()]
    chosen = [str(name) for one in found.get("chosen", []) for name in one.cube["symbol"].to_numpy()]
    attrs = every[0].cube.attrs
    return {
        "stage": "stress",
        "synthetic": any(data[s].synthetic for s in kept),
        "variants": list(found),
        "samples": every[0].samples,
        "scenarios": {name: {"words": text, "kind": kinds.get(name, WINDOW)} for name, text in words.items()},
        "symbols": {symbol: _worst(cells[cells["symbol"] == symbol]) for symbol in kept},
        "best_params": choices.file or None,
        "chosen": {s: choices.points[s] for s in chosen},
        "pooled": choices.pooled if "pooled" in found else None,
        "as_given": {s: why for s, why in choices.as_given.items() if s in kept},
        "config": config.to_dict(),
        "candles": {s: data[s].hash for s in kept},
        "notes": list(every[0].notes),
        "hashes": {
            **{name: attrs[f"{name}_hash"] for name in ("data", "config", "code")},
            "best_params": hash_values(choices.points) if choices.points else None,
        },
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
    }


def _worst(cells: pd.DataFrame) -> dict[str, Any]:
    """The deepest loss of one symbol: as given over all samples, and by variant and sample."""
    by: dict[str, dict[str, Any]] = {}
    for (variant, sample), part in cells.groupby(["variant", "sample"], sort=False):
        by.setdefault(str(variant), {})[str(sample)] = _lowest(part)
    return {**_lowest(cells[cells["variant"] == "given"]), "by": by}


def _lowest(cells: pd.DataFrame) -> dict[str, Any]:
    known = cells.dropna(subset="worst_pct")
    if known.empty:
        return {"worst_return_pct": None, "scenario": None, "sample": None}
    row = known.sort_values("worst_pct", kind="stable").iloc[0]
    return {"worst_return_pct": plain(row["worst_pct"]), "scenario": row["scenario"], "sample": row["sample"]}
