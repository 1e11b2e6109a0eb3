"""Tables as HTML: tabular numbers, the unit in the head, heat where it helps, an en dash for what is undefined."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

import pandas as pd

from traderagent.report import style

# What is wider than the page scrolls, and a shadow lies on the edge behind which there is more: a cover that moves with
# the table hides the shadow at the table's end.
SCROLL = """.scroll { --cover: var(--paper, var(--jp-layout-color0, Canvas)); overflow-x: auto; max-width: 100%;
  background: linear-gradient(to left, var(--cover) 50%, transparent) right / 56px 100% no-repeat local,
    linear-gradient(to left, rgba(96, 108, 128, .6), transparent) right / 18px 100% no-repeat scroll; }"""
CSS = (
    SCROLL
    + """
.ta-table { max-width: 1100px; margin: .6em 0; font-variant-numeric: tabular-nums; }
.ta-table table { border-collapse: collapse; font-size: .88rem; width: auto; border: 0; margin: 0; }
.ta-table .caption { font-weight: 600; padding: 2px 0 6px; font-size: .88rem; }
.ta-table th, .ta-table td { padding: 4px 10px; border: 0; border-bottom: 1px solid rgba(128, 136, 148, .3);
  text-align: right; white-space: nowrap; vertical-align: baseline; }
.ta-table thead th { font-weight: 600; vertical-align: bottom; }
.ta-table thead small { display: block; font-weight: 400; opacity: .85; }
.ta-table .text, .ta-table tbody th { text-align: left; }
.ta-table .wide { white-space: normal; min-width: 13em; }
.ta-table tbody th { font-weight: 600; }
.ta-table .whole { border-top: 2px solid rgba(128, 136, 148, .6); }
.ta-table.ta-synthetic { border: 6px solid transparent; padding: 4px 8px; width: fit-content; box-sizing: border-box;
  border-image: repeating-linear-gradient(45deg, #8a94a2 0 3px, transparent 3px 8px) 6; max-width: min(100%, 1100px); }
"""
)


@dataclass(frozen=True)
class Column:
    """How a column is shown.

    Attributes
    ----------
    label, unit : the head
    heat : "", "diverging" (centred at 0) or "sequential"
    digits, signed : of numbers
    text : words, aligned left; `wide` ones may break into lines, `raw` ones are HTML
    """

    label: str
    unit: str = ""
    heat: str = ""
    digits: int = 2
    signed: bool = False
    text: bool = False
    wide: bool = False
    raw: bool = False


@dataclass(frozen=True)
class Table:
    """A frame with a look; a notebook shows it, `frame` holds the numbers."""

    frame: pd.DataFrame
    columns: Mapping[Any, Column]
    caption: str = ""
    synthetic: bool = False
    shared_heat: bool = True
    last_is_total: bool = False
    links: Mapping[Any, str] = field(default_factory=dict)

    def html(self, framed: bool = True) -> str:
        """The table alone; its look is in `CSS`."""
        caption = style.title(self.caption, self.synthetic and framed)
        head = "".join(
            f'<th scope="col" class="{"text" if c.text else ""}">{escape(c.label)}<small>{escape(c.unit)}</small></th>'
            for c in self.columns.values()
        )
        scales = self._scales()
        rows = [
            self._row(key, row, scales, self.last_is_total and at == len(self.frame) - 1)
            for at, (key, row) in enumerate(self.frame.iterrows())
        ]
        above = f'<div class="caption">{escape(caption)}</div>' if caption else ""
        name = f' aria-label="{escape(caption)}"' if caption else ""
        mark = " ta-synthetic" if self.synthetic and framed else ""
        return (
            f'<div class="ta-table{mark}">{above}<div class="scroll"><table{name}><thead><tr>'
            f'<th class="text">{escape(style.words(str(self.frame.index.name or "")))}</th>{head}</tr></thead>'
            f"<tbody>{''.join(rows)}</tbody></table></div></div>"
        )

    def _row(self, key: Any, row: pd.Series, scales: Mapping[Any, tuple[float, float]], whole: bool) -> str:
        cells = "".join(self._cell(name, column, row[name], scales) for name, column in self.columns.items())
        label = escape(style.words(str(key)) if isinstance(key, str) else str(key))
        label = f'<a href="{escape(self.links[key])}">{label}</a>' if key in self.links else label
        return f'<tr{" class=whole" if whole else ""}><th scope="row">{label}</th>{cells}</tr>'

    def _cell(self, name: Any, column: Column, value: Any, scales: Mapping[Any, tuple[float, float]]) -> str:
        if column.text:
            words = str(value) if column.raw else escape(str(value))
            return f'<td class="text{" wide" if column.wide else ""}">{words}</td>'
        shown = style.number(float(value) if pd.notna(value) else None, column.digits, column.signed)
        if not column.heat:
            return f"<td>{shown}</td>"
        low, high = scales[name]
        size = float(value) if pd.notna(value) else float("nan")
        tint = style.diverging(size, high) if column.heat == "diverging" else style.sequential(size, low, high)
        return f'<td style="background: {tint}">{shown}</td>'

    def _scales(self) -> dict[Any, tuple[float, float]]:
        """Low and high end of each heated column's colours; all columns of a kind share them, or each has its own."""
        found = {}
        for name, column in self.columns.items():
            if column.heat:
                like = [n for n, c in self.columns.items() if c.heat == column.heat] if self.shared_heat else [name]
                values = self.frame[like].to_numpy(dtype=float).ravel()
                known = values[~pd.isna(values)]
                low = float(known.min()) if len(known) else float("nan")
                high = (
                    style.limit_of(list(values))
                    if column.heat == "diverging"
                    else float(known.max())
                    if len(known)
                    else float("nan")
                )
                found[name] = (low, high)
        return found

    def _repr_html_(self) -> str:
        return f"<style>{CSS}</style>{self.html()}"

    def __repr__(self) -> str:
        return f"{style.title(self.caption, self.synthetic)}\n{self.frame.round(3).to_string()}"


def alike(names: Iterable[Any], **look: Any) -> dict[str, Column]:
    """One look for several columns."""
    return {name: Column(style.words(str(name)), **look) for name in names}
