"""Bokeh figures in the one style, and the pane that shows them in a notebook and in a page."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from traderagent.report import style

# In the dark what is drawn is inverted and turned back to its hue; the paper follows the page, where the page says
# what it is, so that a plot is readable in any notebook theme.
_DARK = "invert(.9) hue-rotate(180deg) brightness(1.12)"
_SHEET = f"""
:host {{ background: var(--paper, {style.PAPER}); color: var(--ink, {style.INK}); }}
@media (prefers-color-scheme: dark) {{
  :host {{ background: var(--paper, {style.DARK_PAPER}); color: var(--ink, {style.DARK_INK}); }}
  .bk-Canvas, .mark {{ filter: {_DARK}; }}
}}
"""
_FRAME = """
:host { border: 6px solid transparent; box-sizing: border-box;
  border-image: repeating-linear-gradient(45deg, #8a94a2 0 3px, transparent 3px 8px) 6; }
"""
_HEAD = f"""
:host {{ font: 13px/1.5 {style.FONT}; }}
.title {{ font-size: 15px; font-weight: 600; padding: 4px 6px 2px; }}
.names {{ display: flex; flex-wrap: wrap; gap: 1px 14px; padding: 0 6px; }}
.names span {{ white-space: nowrap; }}
.mark {{ display: inline-block; box-sizing: border-box; width: 18px; margin-right: 5px; text-align: center;
  vertical-align: middle; line-height: 1; font-size: 10px; letter-spacing: -1px; }}
.note {{ opacity: .8; padding: 0 6px; }}
"""


@dataclass(frozen=True)
class Name:
    """One entry of a legend: what is drawn, as what ("solid", "dashed", "dotted", "box", "hatch" or signs like ▲▽)."""

    label: str
    colour: str
    shape: str = "solid"

    def html(self) -> str:
        """The sign and the word."""
        look = {
            "box": f"height: 12px; background: {self.colour}; border: 1px solid {style.LINE}",
            "hatch": f"height: 12px; background: {style.HATCH}; border: 1px solid {style.LINE}",
        }
        if self.shape in ("solid", "dashed", "dotted"):
            css, sign = f"border-top: 2px {self.shape} {self.colour}", ""
        else:
            css, sign = look.get(self.shape, f"color: {self.colour}"), "" if self.shape in look else self.shape
        return f'<span><i class="mark" style="{css}; font-style: normal">{sign}</i>{escape(self.label)}</span>'


def figure(
    title: str = "",
    *,
    synthetic: bool = False,
    height: int = 260,
    y_label: str = "",
    x_label: str = "",
    time: bool = True,
    file_name: str = "",
    **options: Any,
) -> Any:
    """An empty Bokeh figure as wide as the page allows.

    Parameters
    ----------
    title : a few words and the unit; it stays in a saved picture, so it says where no real market is shown
    synthetic : marks title and file name
    height : px
    time : the x axis is time in UTC, and the y axis follows what is in view
    options : of `bokeh.plotting.figure`
    """
    import bokeh.models as bm
    from bokeh.plotting import figure as bokeh_figure

    plain: dict[str, Any] = {"toolbar_location": "above", "tools": "pan,box_zoom,wheel_zoom,reset"}
    plain |= {"x_axis_label": x_label or None, "y_axis_label": y_label or None}
    if time:
        plain |= {"x_axis_type": "datetime", "window_axis": "x", "tools": "xpan,box_zoom,xwheel_zoom,reset"}
    plot = bokeh_figure(
        title=style.title(title, synthetic),
        height=height,
        sizing_mode="stretch_width",
        max_width=style.WIDTH,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        min_border_left=52,
        min_border_right=12,
        **(plain | options),
    )
    marked = "SYNTHETIC-" if synthetic else ""
    plot.add_tools(bm.SaveTool(filename=f"{marked}{(file_name or title or 'plot').replace(' ', '-').replace(',', '')}"))
    plot.toolbar.autohide, plot.toolbar.logo, plot.toolbar.active_scroll = True, None, None
    _plain_axes(plot)
    if time:
        plot.xaxis[0].formatter.update(months="%b\n%Y")  # on a phone "Jan 2024" runs into the next month
    plot.stylesheets = [bm.InlineStyleSheet(css=_SHEET)]
    return plot


def _plain_axes(plot: Any) -> None:
    for axis in plot.axis:
        axis.axis_line_color = axis.minor_tick_line_color = None
        axis.major_tick_line_color = style.LINE
        axis.major_label_text_color = axis.axis_label_text_color = style.SOFT
        axis.major_label_text_font_size, axis.axis_label_text_font_size = "12px", "12px"
        axis.axis_label_text_font_style = "normal"
        axis.major_label_text_font = axis.axis_label_text_font = style.FONT
    if "desired_num_ticks" in plot.xaxis[0].ticker.properties():  # an axis of words shows all of them
        plot.xaxis.ticker.desired_num_ticks = 5
    plot.ygrid.grid_line_color, plot.xgrid.grid_line_color = style.LINE, None
    plot.title.text_font, plot.title.text_font_size, plot.title.text_font_style = style.FONT, "12px", "normal"
    plot.title.text_color = style.SOFT


def source(frame: pd.DataFrame) -> Any:
    """A Bokeh data source of a frame's columns; times lose their zone, which is UTC everywhere."""
    import bokeh.models as bm

    columns = {}
    for name in frame.columns:
        column = frame[name]
        columns[name] = (
            column.dt.tz_localize(None) if isinstance(column.dtype, pd.DatetimeTZDtype) else column
        ).to_numpy()
    return bm.ColumnDataSource(columns)


def shown(title: str, names: Sequence[Name], *plots: Any, synthetic: bool = False, note: str = "") -> Any:
    """What a notebook cell and a page show: title and legend as text that wraps, and the plots under them.

    Parameters
    ----------
    title : what is seen, with the unit
    names : the legend
    plots : Bokeh figures
    synthetic : the word in the title and a hatched frame
    note : a line under the legend
    """
    import bokeh.layouts as bl
    import bokeh.models as bm
    import panel as pn
    from bokeh.models.widgets import Div

    text = (
        f'<div class="title">{escape(style.title(title, synthetic))}</div>'
        f'<div class="names">{"".join(name.html() for name in names)}</div>'
        + (f'<div class="note">{escape(note)}</div>' if note else "")
    )
    head = Div(text=text, sizing_mode="stretch_width", stylesheets=[bm.InlineStyleSheet(css=_SHEET + _HEAD)])
    frame = [bm.InlineStyleSheet(css=_SHEET + (_FRAME if synthetic else ""))]
    layout = bl.column(head, *plots, sizing_mode="stretch_width", max_width=style.WIDTH, spacing=0, stylesheets=frame)
    if not pn.extension._loaded:
        # In JupyterLab the scripts come with the output, since there may be no network; a stage's page gets them
        # once, when it is saved.
        pn.extension(inline="TRADERAGENT_STAGE" not in os.environ)
    return pn.pane.Bokeh(layout, sizing_mode="stretch_width", max_width=style.WIDTH)
