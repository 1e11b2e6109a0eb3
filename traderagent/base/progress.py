"""A bar while something runs: on a terminal's stderr, in a notebook as plain output that vanishes.

What a kernel writes to stderr stays in the cell as a red band, also when the bar is long gone.
"""

import os
import sys
from collections.abc import Iterable
from typing import Any, TypeVar

from traderagent.base.threads import check_flag

T = TypeVar("T")


def bar(items: Iterable[T], total: int, *, label: str = "", shown: bool = True, delay: float = 0.0) -> Iterable[T]:
    """The same items, with a bar of how many symbols are done.

    Parameters
    ----------
    items : what is waited for
    total : how many there are
    label : before the bar
    shown : False draws nothing; nor is anything drawn in a stage's notebook, which nobody watches
    delay : seconds before the bar appears
    """
    from tqdm import tqdm

    return tqdm(items, label or None, total, unit="symbol", **_where(shown, delay))


def counting(total: int, *, unit: str, shown: bool = True, delay: float = 0.0) -> Any:
    """A bar that is told how much is done, `with counting(…) as bar: bar.update(n)`, with rate and time left.

    Parameters
    ----------
    total : how much there is, in `unit`
    shown, delay : as those of `bar`
    """
    from tqdm import tqdm

    return tqdm(total=total, unit=unit, unit_scale=True, **_where(shown, delay))


def _where(shown: bool, delay: float) -> dict[str, Any]:
    check_flag("progress", shown)
    notebook = in_notebook()
    return {
        "delay": delay,
        "disable": not shown or (notebook and "TRADERAGENT_STAGE" in os.environ),
        "leave": False,
        "file": sys.stdout if notebook else sys.stderr,
    }


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this."""
    python = sys.modules.get("IPython")
    shell = python.get_ipython() if python is not None else None
    return shell is not None and "IPKernelApp" in shell.config
