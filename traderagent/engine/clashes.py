"""Names that two strategies would share: in a space each parameter is one word, so each word has one owner."""

from collections.abc import Sequence

from traderagent.base.errors import ConfigError
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.strategies.base import STRATEGIES, Strategy


def check_names(members: Sequence[Strategy]) -> None:
    """Refuse strategies of which two have one name, one prefix, or a parameter of one full name.

    An own strategy must not have those of a built-in one either, whether that is enabled or not: files of parameters
    outlive the config they were made with.

    Raises
    ------
    ConfigError
        With both owners of the name.
    """
    own = [strategy for strategy in members if strategy.is_own()]
    for strategy in own:
        if strategy.name in STRATEGIES:
            raise ConfigError(
                f"{type(strategy).__name__}: its name {strategy.name!r} is that of a built-in strategy; rename the "
                f"class (taken: {', '.join(STRATEGIES)})"
            )
    for k, strategy in enumerate(members):
        for other in members[:k]:
            if strategy.name == other.name:
                raise _same_name(strategy, other)
    owners = dict.fromkeys(OrchestratorBacktestConfig.model_fields, "a field of the config")
    prefixes: dict[str, str] = {}
    for cls in (*(STRATEGIES[name] for name in STRATEGIES), *map(type, own)):
        _take(cls, prefixes, owners)


def _take(cls: type[Strategy], prefixes: dict[str, str], owners: dict[str, str]) -> None:
    """Note what a strategy is called in a space; refuse what has an owner already."""
    who = f"{cls.__name__} ({cls.name!r})" if cls.is_own() else f"the built-in {cls.name!r}"
    taken = prefixes.setdefault(cls.prefix, who)
    if taken != who:
        raise ConfigError(
            f"{who}: got the prefix {cls.prefix!r}, which is that of {taken}, so that {cls.prefix}… in a space would "
            f"mean both; allowed are prefixes of its own: rename the class (taken: {', '.join(prefixes)})"
        )
    for parameter in cls.parameter_names():
        name = cls.prefix + parameter
        taken = owners.setdefault(name, f"{parameter!r} of {who}")
        if taken != f"{parameter!r} of {who}":
            raise ConfigError(
                f"{who}: its parameter {parameter!r} is {name!r} in a space, which is {taken}; allowed is a name of "
                "its own: rename the parameter or the class"
            )


def _same_name(strategy: Strategy, other: Strategy) -> ConfigError:
    name, cls = strategy.name, type(strategy).__name__
    if name in STRATEGIES:
        return ConfigError(
            f"strategies: got {cls}, and the built-in {name!r} runs already; allowed is each name once: leave it out, "
            f"or set enable_{name}: false"
        )
    if type(strategy) is type(other):
        return ConfigError(
            f"strategies: got {cls} twice, so both are named {name!r}; allowed is each name once: give the second a "
            f"class of its own, `class Other({cls}): pass`"
        )
    return ConfigError(
        f"strategies: {type(other).__name__} and {cls} are both named {name!r}; allowed is each name once: rename "
        "one of the classes"
    )
