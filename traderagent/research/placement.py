"""From points of a space to trials: where each parameter lives, and which points no config allows.

A parameter belongs to the config or to one strategy, and only parameters of one home can contradict each other;
so each home's own combinations are checked, once, and not every point.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.fields import FieldInfo

from traderagent.base.errors import ConfigError, unknown
from traderagent.engine.config import PARAMETER_FIELDS, OrchestratorBacktestConfig
from traderagent.engine.trials import Trial
from traderagent.strategies.base import STRATEGIES, Strategy

ROUTER = ("router_cooldown_bars", "router_cooldown_minutes", "regime_check_every_n", "trend_regimes", "reduce_factor")
# What belongs to the run as a whole: a cube is about one symbol list, one start, one path, one set of books.
SWITCHES = tuple(f"enable_{name}" for name in PARAMETER_FIELDS)
NOT_SEARCHED = ("symbol", "warmup_bars", "path", "account", "costs", "detector", *SWITCHES, *PARAMETER_FIELDS.values())
CONFIG = ""  # the home of the config's own fields; the others are strategies' names


def fields_of(config: OrchestratorBacktestConfig, own: Sequence[Strategy] = ()) -> dict[str, FieldInfo]:
    """Every parameter that a point may name, with its declaration: type, bounds, unit."""
    found = {name: field for name, field in type(config).model_fields.items() if name not in NOT_SEARCHED}
    for strategy in (*config.strategies(), *own):
        found |= {strategy.prefix + name: field for name, field in type(strategy).model_fields.items()}
    return found


def values_of(config: OrchestratorBacktestConfig, members: Sequence[Strategy]) -> dict[str, Any]:
    """The values of a run at every parameter that a point may name.

    Parameters
    ----------
    config : what the run assumes
    members : all of its strategies, built-in and own ones
    """
    found = {name: value for name, value in config if name not in NOT_SEARCHED}
    return found | {strategy.prefix + name: value for strategy in members for name, value in strategy}


def check_named(config: OrchestratorBacktestConfig, own: Sequence[Strategy], space: Any) -> None:
    """Refuse names of a space that are no parameters, before anything is said of their values.

    Raises
    ------
    ConfigError, UnknownName
        As `Placement`.
    """
    if isinstance(space, Mapping):
        Placement(config, own, [str(name) for name in space])


class Placement:
    """Puts the values of a point where they belong.

    Parameters
    ----------
    config : what all trials share
    own : own strategies, whose parameters the points may change
    names : parameters of the points

    Raises
    ------
    ConfigError, UnknownName
        For a parameter that is unknown or cannot matter.
    """

    def __init__(self, config: OrchestratorBacktestConfig, own: Sequence[Strategy], names: Sequence[str]) -> None:
        self._config = config
        self._bases = {strategy.name: strategy for strategy in (*config.strategies(), *own)}
        self._n_own = len(own)
        self._homes = {name: self._home(name) for name in names}
        self._made: dict[tuple, Any] = {}

    def trial(self, point: Mapping[str, Any]) -> Trial | str:
        """The trial of a point, or why there is none."""
        parts: dict[str, dict[str, Any]] = {}
        for name, value in point.items():
            home, parameter = self._homes[name]
            parts.setdefault(home, {})[parameter] = value
        made = {home: self._part(home, changes) for home, changes in parts.items()}
        for part in made.values():
            if isinstance(part, str):
                return part
        config = made.pop(CONFIG, self._config)
        own_values = {
            field: getattr(self._config, field) | parts[name]
            for name, field in PARAMETER_FIELDS.items()
            if name in made
        }
        members = tuple(made.get(name, strategy) for name, strategy in self._bases.items())
        own = members[len(members) - self._n_own :]
        return Trial(config.model_copy(update=own_values), members, own)

    def given(self) -> dict[str, Any]:
        """The values that the config and the strategies have where no point changes them."""
        return {
            name: getattr(self._config if home == CONFIG else self._bases[home], parameter)
            for name, (home, parameter) in self._homes.items()
        }

    def _part(self, home: str, changes: dict[str, Any]) -> Any:
        """Config or strategy with these values, or why it refuses them; each combination is made once."""
        key = (home, *((name, repr(value)) for name, value in changes.items()))
        if key not in self._made:
            try:
                if home in PARAMETER_FIELDS:  # what a config checks beside the strategy itself
                    field = PARAMETER_FIELDS[home]
                    self._config.replace(**{field: getattr(self._config, field) | changes})
                self._made[key] = (self._config if home == CONFIG else self._bases[home]).replace(**changes)
            except ConfigError as error:
                self._made[key] = str(error)
        return self._made[key]

    def _home(self, name: str) -> tuple[str, str]:
        """Where a parameter lives, and its name there."""
        known: dict[str, tuple[str, str]] = {
            field: (CONFIG, field) for field in OrchestratorBacktestConfig.model_fields if field not in NOT_SEARCHED
        }
        for strategy in self._bases.values():
            known |= {strategy.prefix + p: (strategy.name, p) for p in strategy.parameter_names()}
        if name in known:
            if name in ROUTER and not self._config.enable_strategy_router:
                raise ConfigError(f"space: {name!r} cannot matter without the router; set enable_strategy_router: true")
            return known[name]
        for absent in (STRATEGIES[s] for s in PARAMETER_FIELDS if s not in self._bases):
            if name in {absent.prefix + p for p in absent.parameter_names()}:
                raise ConfigError(
                    f"space: {name!r} cannot matter, since {absent.name} is not enabled; "
                    f"set enable_{absent.name}: true in the config, or leave the axis out"
                )
        if name in SWITCHES:
            raise ConfigError(f"space: {name!r} changes which strategies there are; sweep them one by one")
        raise unknown("parameter", name, known, "space")
