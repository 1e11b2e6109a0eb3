"""A bar while something runs: on a terminal's stderr, in a notebook as plain output that vanishes.

What a kernel writes to stderr stays in the cell as a red band, also when the bar is long gone.
"""

import os
import sys
from collections.abc import Iterable
from typing import TypeVar

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

    notebook = in_notebook()
    return tqdm(
        items,
        label or None,
        total,
        unit="symbol",
        delay=delay,
        disable=not shown or (notebook and "TRADERAGENT_STAGE" in os.environ),
        leave=False,
        file=sys.stdout if notebook else sys.stderr,
    )


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this."""
    python = sys.modules.get("IPython")
    shell = python.get_ipython() if python is not None else None
    return shell is not None and "IPKernelApp" in shell.config
