"""How results of this package are shown: one headline, then a line for each number that it rests on."""

from html import escape

import numpy as np


class Shown:
    """A result with a readable text and a small table in notebooks."""

    def headline(self) -> str:
        """The answer in one line."""
        raise NotImplementedError

    def lines(self) -> dict[str, str]:
        """What the answer rests on: name → number in words."""
        raise NotImplementedError

    def __repr__(self) -> str:
        lines = self.lines()
        width = max(map(len, lines))
        return "\n".join([self.headline(), *[f"  {name:<{width}}  {text}" for name, text in lines.items()]])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td style='text-align:left'>{escape(name)}</td><td style='text-align:right'>{escape(text)}</td></tr>"
            for name, text in self.lines().items()
        )
        return f"<b>{escape(self.headline())}</b><table>{rows}</table>"


def fixed(array: np.ndarray) -> np.ndarray:
    """The array, closed to writing: a result does not change under its reader."""
    array.setflags(write=False)
    return array
