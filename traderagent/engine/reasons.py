"""Words for the reasons of fills: the engine's own, and the tags of own strategies."""

from typing import Any

import numpy as np

from traderagent.strategies.contract import REASONS


def reasons_of(raw: Any) -> np.ndarray:
    """(n_fills,) text: what each fill of a run was for; a code past the engine's own is a tag of the book's rule."""
    code, book = raw.fills["reason"], raw.fills["book"]
    words = np.array(REASONS, dtype=object)[np.minimum(code, len(REASONS) - 1)]
    for k in np.flatnonzero(code >= len(REASONS)):
        words[k] = raw.rules[book[k]].tags[code[k] - len(REASONS)]
    return words
