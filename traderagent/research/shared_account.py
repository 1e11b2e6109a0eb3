"""The stage `portfolio`: all pairs on one account, with the parameters as given and with those a search chose."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from traderagent.account.config import PortfolioBacktestConfig
from traderagent.account.portfolio import portfolio
from traderagent.account.result import CODE as ACCOUNT_CODE
from traderagent.base.account_evidence import AccountEvidence
from traderagent.base.errors import ConfigError, DataError, reasons
from traderagent.base.files import without_nan
from traderagent.base.hashing import hash_bytes, hash_values
from traderagent.base.kernel import code_hash
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.given import market_of
from traderagent.research.account_record import run_frames, run_record
from traderagent.research.best_params import BestParams, read_best_params

CODE = (*ACCOUNT_CODE, "research")
# Fields of a choice that are not taken over: capital and costs are the account's, and every run warms up as long as its
# own parameters need, where a search gives all its trials the longest.
NOT_CHOSEN = ("symbol", "initial_balance", "warmup_bars", "costs")
LIBRARIES = ("numpy", "pandas", "numba", "scipy", "pyarrow")


def shared_account(
    market: Mapping[str, MultiTimeframeData] | MultiTimeframeData,
    config: PortfolioBacktestConfig | None = None,
    *,
    best: BestParams | str | Path | None = None,
    holdout: float | None = 0.3,
    workers: int | None = None,
    progress: bool = True,
) -> AccountEvidence:
    """Run all pairs on one account and hold it against the same pairs on accounts of their own, and against holding.

    Runs the parameters as given, and once more with those that a search chose for each symbol.

    Parameters
    ----------
    market : candles by symbol
    config : account, limits and what a run of each pair assumes; defaults where None
    best : what a search chose, or the file that holds it; a path where nothing lies leaves the parameters as given, and
        the words say so. A symbol without a choice, or with an override in `config`, runs as given
    holdout : share of each span set aside; None runs the whole span
    workers : threads while the symbols are made ready; None is one per core
    progress : show a bar when it takes longer than two seconds

    Returns
    -------
    AccountEvidence, with tables, `in_words()` and `save(folder)`. A symbol that is too short for any of the runs takes
    part in none of them and is skipped with its reason.

    Raises
    ------
    ConfigError, DataError
        With what was got, what is allowed and the next step; also where the search set aside other candles than
        `holdout` says, searched other candles, or assumed another kind of account or other costs.
    """
    config = PortfolioBacktestConfig() if config is None else config
    if not isinstance(config, PortfolioBacktestConfig):
        raise ConfigError(f"config: got {type(config).__name__}, allowed is ta.PortfolioBacktestConfig")
    data = market_of(market)
    where = None if best is None or isinstance(best, BestParams) else Path(best)
    if where is not None:
        best = read_best_params(where) if where.is_file() else None
    search = best if isinstance(best, BestParams) else None
    variants, as_given = {"given": config}, dict[str, str]()
    if search is not None:
        search.check(data, config.per_pair_config, holdout)
        overrides, as_given = _overrides(search, list(config.symbols or data), config)
        if overrides:
            variants["chosen"] = config.replace(overrides={**overrides, **config.overrides})
    runs, frames, short = _alike(data, variants, holdout, workers, progress)
    kept = [s for s in sorted(config.symbols or data) if s not in short]
    record = _record({s: data[s] for s in kept}, config, holdout, runs) | {
        "skipped": {**data.skipped, **short},
        "best_params": None if where is None else where.as_posix(),
        "chosen": {s: search.record["symbols"][s]["parameters"] for s in kept if s not in as_given} if search else {},
        "as_given": {s: why for s, why in as_given.items() if s in kept},
    }
    record["hashes"]["best_params"] = None if search is None else hash_values(search.record)
    return AccountEvidence(without_nan(record), frames)


def _overrides(
    search: BestParams, symbols: list[str], config: PortfolioBacktestConfig
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """What differs from the template by symbol, as a search chose it; symbols that run as given, with the reason."""
    template, found, as_given = config.per_pair_config, {}, {}
    for symbol in symbols:
        if symbol in config.overrides:
            as_given[symbol] = "it has an override of its own"
        elif symbol not in search.record["symbols"]:
            as_given[symbol] = "it was not searched"
        elif symbol not in search:
            as_given[symbol] = f"nothing was chosen for it, {search.evidence(symbol).get('why') or 'no reason given'}"
        else:
            chosen = search[symbol]
            names = [name for name in type(chosen).model_fields if name not in NOT_CHOSEN]
            found[symbol] = {n: getattr(chosen, n) for n in names if getattr(chosen, n) != getattr(template, n)}
    return found, as_given


def _alike(
    data: Mapping[str, MultiTimeframeData],
    variants: dict[str, PortfolioBacktestConfig],
    holdout: float | None,
    workers: int | None,
    progress: bool,
) -> tuple[dict[str, Any], dict[str, pd.DataFrame], dict[str, str]]:
    """Records and frames of all runs, all of the same symbols, and the symbols that are too short for one of them."""
    short: dict[str, str] = {}
    while True:
        kept = {symbol: candles for symbol, candles in data.items() if symbol not in short}
        if not kept:
            raise DataError(f"no symbol is long enough for all runs: {reasons(short)}")
        records, frames, skipped = _runs(kept, variants, holdout, workers, progress)
        short |= {symbol: why for one in skipped for symbol, why in one.items()}
        if all(one == skipped[0] for one in skipped):
            return records, frames, short
        variants = {
            name: of.replace(overrides={s: given for s, given in of.overrides.items() if s not in short})
            for name, of in variants.items()
        }


def _runs(
    data: Mapping[str, MultiTimeframeData],
    variants: Mapping[str, PortfolioBacktestConfig],
    holdout: float | None,
    workers: int | None,
    progress: bool,
) -> tuple[dict[str, Any], dict[str, pd.DataFrame], list[dict[str, str]]]:
    """Records by variant and sample, frames of all runs, and what each run skipped; one run is kept at a time."""
    records: dict[str, dict[str, Any]] = {}
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in AccountEvidence.FRAMES}
    skipped = []
    for variant, config in variants.items():
        found = portfolio(data, config, holdout=holdout, workers=workers, progress=progress)
        samples = found if isinstance(found, dict) else {"whole": found}
        for sample in list(samples):
            result = samples.pop(sample)
            records.setdefault(variant, {})[sample] = run_record(result)
            for name, frame in run_frames(result).items():
                parts[name].append(frame.assign(variant=variant, sample=sample))
            skipped.append(result.skipped)
    frames = {name: pd.concat(of, ignore_index=of[0].index.name is None) for name, of in parts.items()}
    return records, frames, skipped


def _record(
    data: Mapping[str, MultiTimeframeData],
    config: PortfolioBacktestConfig,
    holdout: float | None,
    runs: Mapping[str, Any],
) -> dict[str, Any]:
    """What stands above the runs."""
    first = next(iter(runs.values()))
    return {
        "stage": "portfolio",
        "synthetic": any(candles.synthetic for candles in data.values()),
        "source": next(iter(data.values())).source,
        "holdout": holdout,
        "samples": list(first),
        "symbols": list(data),
        "config": config.to_dict(),
        "candles": {symbol: candles.hash for symbol, candles in data.items()},
        "hashes": {
            "data": hash_bytes(*(data[s].hash.encode() for s in sorted(data))),
            "config": hash_values(config.to_dict()),
            "code": code_hash(*CODE),
        },
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "runs": runs,
    }
