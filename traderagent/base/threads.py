"""How many threads are worth starting; counts and switches as arguments are checked."""

import os
from typing import Any

import numpy as np

from traderagent.base.errors import ConfigError


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_count(name: str, value: Any) -> None:
    """Refuse what is neither None nor a whole number of at least 1.

    Raises
    ------
    ConfigError
        With the name of the argument.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ConfigError(f"{name}: got {value!r}, allowed is a whole number of at least 1, or None")


def check_flag(name: str, value: Any) -> None:
    """Refuse what is neither true nor false; a text such as "no" would count as true.

    Raises
    ------
    ConfigError
        With the name of the argument.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ConfigError(f"{name}: got {value!r:.80}, allowed are True and False")
