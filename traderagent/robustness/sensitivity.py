"""`sensitivity`: how much a chosen point depends on its exact numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.base.errors import ConfigError
from traderagent.base.hashing import hash_values
from traderagent.base.space import Points
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.plan import check_candles
from traderagent.market.candles import Market, MultiTimeframeData
from traderagent.market.given import market_of
from traderagent.metrics.surface import Surface, surface
from traderagent.research.best_params import own_of
from traderagent.research.effects import effects, total_effects
from traderagent.research.placement import fields_of
from traderagent.research.sweep import sweep
from traderagent.robustness.cliffs import COLUMNS, cliffs_in, has_worth, is_cliff, lost, plateau_widths, position_of
from traderagent.robustness.sensitivity_result import Sensitivity
from traderagent.robustness.steps import Step, chosen_points, steps_around
from traderagent.stats.arguments import real
from traderagent.strategies.base import Strategy

HASHES = ("data_hash", "config_hash", "space_hash", "code_hash")


def sensitivity(
    market: MultiTimeframeData | Mapping[str, MultiTimeframeData],
    cfg: OrchestratorBacktestConfig | None = None,
    around: Any = None,
    steps: Sequence[float] = (0.05, 0.1, 0.2),
    *,
    objective: str = "sharpe_ratio",
    min_trades: int = 10,
    cube: xr.Dataset | None = None,
    holdout: float | None = None,
    strategies: Sequence[Strategy] = (),
    workers: int | None = None,
    progress: bool = True,
) -> Sensitivity:
    """Move each parameter of a chosen point a little, one at a time, and see what is lost.

    These runs judge a point that was chosen already and choose nothing, so they are not entered in the ledger of
    searches; a neighbour that looks better is no choice, whoever wants it sweeps it and is counted.

    Parameters
    ----------
    market : candles of one symbol, or a market
    cfg : what all runs share; defaults where None
    around : the chosen point, as a mapping of parameters to values; or a table of `ta.best`, or an
        `OptimizationResult`, with a point for each symbol (the pooled one where it has none)
    steps : fractions, above 0 and below 1, by which a value is lowered and raised; whole numbers stay whole, bounds are
        kept, and a step that ends at the value of another one is named and not run again
    objective : a metric of which more, or less, is better; in sample where there is a hold-out
    min_trades : closed round trips that a run needs, or its objective counts as undefined
    cube : of `ta.sweep` over a product of values: adds main and total effects, the width of the plateau on which the
        point stands, and its neighbours in the cube
    holdout : share of the span set aside; run for a look (`out`), read by nothing else
    strategies : own strategies, after the enabled built-in ones
    workers : threads over runs; None is one per core
    progress : show a bar when it takes longer than two seconds

    Returns
    -------
    Sensitivity, with `.tornado()`, `.table()`, `.cliffs`

    Raises
    ------
    ConfigError, UnknownName, DataError
        For a point or parameter that is unknown, steps outside their bounds, an objective without a direction, a cube
        of drawn points, and candles that cannot be run.
    """
    config = OrchestratorBacktestConfig() if cfg is None else cfg
    symbols = _checked(market, config)
    fractions = checked_steps(steps)
    fields = fields_of(config, own_of(config, strategies))
    points, skipped = chosen_points(around, list(symbols), fields)
    known = None if cube is None else surface(cube, objective, min_trades)
    shares = None if cube is None else _shares(cube, objective, min_trades)
    groups = _alike(points)
    parts = []
    for group, point in groups:
        moved, trials, remarks = steps_around(point, fields, fractions)
        found = sweep(
            Market({symbol: symbols[symbol] for symbol in group}),
            config,
            Points.of(trials),
            strategies=strategies,
            returns=None,
            holdout=holdout,
            workers=workers,
            progress=progress,
            counted=False,
        )
        parts.append(_Part(surface(found, objective, min_trades), moved, remarks, found.attrs, len(groups) == 1))
    return _result(objective, points, skipped, parts, known, shares)


@dataclass(frozen=True)
class _Part:
    """The runs around one point: their objective, the steps they are of, and what is to be said about them."""

    seen: Surface
    moved: list[Step]
    remarks: list[str]
    attrs: Mapping[str, Any]
    alone: bool  # no other point beside it, so that symbols may be pooled

    @property
    def rows(self) -> list[int]:
        """Rows of the symbols, and of all of them pooled where several share the point."""
        n = len(self.seen.symbols)
        return list(range(n + 1)) if self.alone and n > 1 else list(range(n))

    @property
    def chosen(self) -> dict[str, float]:
        """Objective of the chosen point by row."""
        return {self.seen.rows[row]: float(self.seen.values[row, 0]) for row in self.rows}

    def stepped(self, row: int) -> pd.DataFrame:
        """One row a step."""
        seen, at = self.seen, [step.trial for step in self.moved]
        mine = float(seen.values[row, 0])
        values = seen.values[row, at]
        frame = {
            "symbol": seen.rows[row],
            "parameter": [step.parameter for step in self.moved],
            "step": [step.step for step in self.moved],
            "value": pd.Series([step.value for step in self.moved], dtype=object),  # whole numbers stay whole
            "objective": values,
            **({} if seen.out is None else {"out": seen.out[row, at]}),
            "trades": seen.trades[row, at],
            "change": values - mine,
            "lost": lost(mine, values, seen.orientation),
            "cliff": is_cliff(mine, values, seen.orientation),
            "same_as": [step.same_as for step in self.moved],
        }
        return pd.DataFrame(frame, index=range(len(self.moved)))

    def notes(self) -> list[str]:
        """Parameters that stay, steps that are none of their own, points that no config allows."""
        named = [f"{s.parameter} {s.step:+.0%} is {s.value}, the same as {s.same_as}" for s in self.moved if s.same_as]
        return [*self.remarks, *named, *self.attrs["refused"]]


def _result(
    objective: str,
    points: dict[str, dict[str, Any]],
    skipped: dict[str, str],
    parts: list[_Part],
    known: Surface | None,
    shares: pd.DataFrame | None,
) -> Sensitivity:
    """Everything about all points, put together."""
    orientation = parts[0].seen.orientation
    chosen = {name: value for part in parts for name, value in part.chosen.items()}
    table = pd.concat([part.stepped(row) for part in parts for row in part.rows], ignore_index=True)
    notes = [note for part in parts for note in part.notes()]
    notes += [_worthless(name, value, objective) for name, value in chosen.items() if not has_worth(value, orientation)]
    edges, plateaus, missing = _in_cube(known, {name: _of(points, name) for name in chosen})
    beside = table[table["cliff"] & (table["same_as"] == "")].assign(found_in="steps")[list(COLUMNS)]
    cliffs = pd.concat([beside, edges], ignore_index=True) if len(edges) else beside.reset_index(drop=True)
    for part in parts:
        skipped |= dict(line.split(": ", 1) for line in part.attrs["skipped"])
    return Sensitivity(
        objective=objective,
        orientation=orientation,
        points=points,
        chosen=chosen,
        steps=table,
        cliffs=cliffs,
        shares=shares,
        plateaus=plateaus,
        skipped=skipped,
        synthetic=any(part.attrs["synthetic"] for part in parts),
        notes=tuple(dict.fromkeys([*notes, *missing])),
        attributes={name: hash_values([part.attrs[name] for part in parts]) for name in HASHES},
    )


def _of(points: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """The point of a row; `pooled` is of symbols that share theirs."""
    return points.get(name, next(iter(points.values())))


def _alike(points: dict[str, dict[str, Any]]) -> list[tuple[list[str], dict[str, Any]]]:
    """Symbols with the same point together: they are swept at once."""
    groups: dict[str, tuple[list[str], dict[str, Any]]] = {}
    for symbol, point in points.items():
        groups.setdefault(repr(sorted(point.items())), ([], point))[0].append(symbol)
    return list(groups.values())


def _shares(cube: xr.Dataset, objective: str, min_trades: int) -> pd.DataFrame:
    """Main and total effect by symbol and parameter."""
    totals = total_effects(cube, objective, min_trades)
    main = effects(cube, objective, min_trades).xs("", level="with").loc[totals.index]
    frame = pd.DataFrame({"main": main.T.stack(), "total": totals.T.stack()})
    return frame.rename_axis(["symbol", "parameter"])


def _in_cube(
    known: Surface | None, points: dict[str, dict[str, Any]]
) -> tuple[pd.DataFrame, pd.DataFrame | None, list[str]]:
    """Cliffs beside the chosen points in a cube, the plateaus they stand on, and which points it does not hold."""
    edges: list[dict[str, Any]] = []
    plateaus: dict[str, pd.DataFrame] = {}
    missing = []
    if known is None:
        return pd.DataFrame(columns=list(COLUMNS)), None, []
    for name, point in points.items():
        position = position_of(known, point) if name in known.rows else None
        if position is None:
            missing.append(f"the cube does not hold the chosen point of {name}: no plateau to measure")
            continue
        row = known.rows.index(name)
        edges += cliffs_in(known, row, position)
        plateaus[name] = plateau_widths(known, row, position)
    found = pd.concat(plateaus, names=["symbol"]) if plateaus else None
    return pd.DataFrame(edges, columns=list(COLUMNS)), found, missing


def _worthless(name: str, value: float, objective: str) -> str:
    if np.isnan(value):
        return f"{name}: {objective} is undefined at the chosen point, so nothing can be lost and no cliff be told"
    return f"{name}: {objective} is {value:.3g} at the chosen point: there is nothing to lose half of, and no cliff"


def _checked(market: Any, config: Any) -> Market:
    if not isinstance(config, OrchestratorBacktestConfig):
        raise ConfigError(f"cfg: got {type(config).__name__}, allowed is ta.OrchestratorBacktestConfig")
    data = market_of(market)
    for one in data.values():
        check_candles(one)
    return data


def checked_steps(steps: Any) -> list[float]:
    """Fractions above 0 and below 1, each once, rising.

    Raises
    ------
    ConfigError
        For none, one twice, text, and what lies outside.
    """
    given = real("steps", steps, "fractions above 0 and below 1, e.g. (.05, .1, .2)", lambda x: (x > 0.0) & (x < 1.0))
    found = sorted({float(step) for step in np.atleast_1d(given)})
    if given.ndim > 1 or not found or len(found) < given.size:
        raise ConfigError(f"steps: got {steps!r:.60}, allowed are fractions above 0 and below 1, each once")
    return found
