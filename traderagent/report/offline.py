"""Pages that open from disk with the network off: scripts and styles stand inside, once.

A plot in an executed notebook is a description plus a loader that fetches Bokeh and Panel from
outside. Opened without a network such a page is blank, and nothing says so. Here the loaders are
dropped, the scripts of the installed versions stand in the page's head, style sheets are taken
from the installed packages, and a content policy forbids the page to ask for anything else.
"""

import html as markup
import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from traderagent.base.errors import StageError
from traderagent.base.files import write_text
from traderagent.report.tables import SCROLL

MAX_BYTES = 10_000_000

_LOADERS = (
    "application/vnd.holoviews_load.v0+json",
    "application/vnd.bokehjs_load.v0+json",
    "application/vnd.jupyter.widget-view+json",
)
# Bars of tqdm and what it says where it cannot draw them; a warning beside them stays.
_PROGRESS = re.compile(
    r"[^\r\n]*\d+%\|[^\r\n]*\[[^\r\n]*|[^\n]*TqdmWarning: IProgress not found[^\n]*\n[^\n]*autonotebook[^\n]*"
)
_HOUSEKEEPING = re.compile(
    r'"roots":\[\{"type":"object","name":"panel\.models\.browser\.BrowserInfo"|class="bk-notebook-logo"'
    r"|\.bk-notebook-logo \{"
)
_STYLE_SHEET = re.compile(
    r'\{"type":"object","name":"ImportedStyleSheet","id":"([^"]+)","attributes":\{"url":"([^"]+)"\}\}'
)
_OUTSIDE = re.compile(
    r"""<(?:script|link|img|iframe|source|video|audio|object|embed)\b[^>]*?\b(?:src|href|data)\s*=\s*["']?(https?:)?//[^"'\s>]+"""
    r"""|@import\s+(?:url\()?["']?(?:https?:)?//[^"')\s]+"""
    r"""|"name":"ImportedStyleSheet"[^}]*"url":"[^"]+\"""",
    re.IGNORECASE,
)
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob: data:; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; worker-src blob:; connect-src data: blob:; form-action 'none'"
)

# Script outputs of a notebook begin with `$('#id')`; nothing else of that library is used.
_FIND = "<script>window.$ = window.$ || (mark => document.getElementById(mark.slice(1)));</script>"

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d9dee5; --paper: #ffffff; --tint: #f5f7f9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --soft: #9aa5b4; --line: #343c48; --paper: #14181e; --tint: #1b2129; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
       font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; font-variant-numeric: tabular-nums; }
main { max-width: 1100px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: .4em 0; } h2 { font-size: 1.25rem; margin: 1.6em 0 .4em; }
a { color: inherit; } a.anchor-link { display: none; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }
code { font-size: .9em; }
table { border: 0; border-collapse: collapse; font-size: .88rem; margin: .8em 0; }
th, td { padding: 4px 10px; border: 0; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } thead th { color: var(--soft); font-weight: 600; }
tbody tr:hover { background: var(--tint); }
.output_area, .jp-OutputArea-output, .output_html, .jp-RenderedHTMLCommon { overflow-x: auto; max-width: 100%; }
nav { font-size: .88rem; margin-bottom: .8em; }
.prompt, .jp-InputPrompt, .jp-OutputPrompt { display: none; }
.output_stderr { border-left: 3px solid #c98a00; padding-left: 10px; }
.synthetic { margin: 0 0 16px; padding: 8px 12px; border: 1px solid var(--line); font-weight: 600;
  background: repeating-linear-gradient(45deg, transparent 0 8px, var(--tint) 8px 16px); }
@media print { main { max-width: none; padding: 0; } tbody tr:hover { background: none; } }
"""


@cache
def scripts() -> str:
    """Script elements with the installed Bokeh and Panel, ready for a page's head (about 3 MB)."""
    from panel.io.resources import Resources, bundle_resources, set_resource_mode

    with set_resource_mode("inline"):
        bundle = bundle_resources(None, Resources(mode="inline"))
    return "\n".join(f"<script>{_inside_script(text)}</script>" for text in bundle.js_raw)


def page(notebook: Any, title: str, synthetic: bool = False, back: str = "") -> str:
    """One self-contained HTML page of an executed notebook, without its code.

    Parameters
    ----------
    notebook : an executed `nbformat` notebook; it is not changed.
    title : text of the browser tab.
    synthetic : marks the page as made from synthetic candles.
    back : name of the page it belongs to, which is linked at its head.

    Raises
    ------
    StageError
        if the page would ask for something outside, or be larger than 10 MB.
    """
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(
        template_name="basic",
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        anchor_link_text="",
    )
    body, _ = exporter.from_notebook_node(_without_loaders(notebook))
    mark = '<p class="synthetic">Synthetic candles: no real market is shown here.</p>' if synthetic else ""
    home = f'<nav><a href="{back}">← what was found, on one page</a></nav>' if back else ""
    return _checked(
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">{_policy()}\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{markup.escape(title)}</title>\n<style>{_STYLE}{SCROLL}</style>\n{_FIND}\n{scripts()}\n</head>\n"
        f"<body><main>{home}{mark}{body}</main></body></html>\n",
        title,
    )


def save_page(path: str | Path, *panes: Any, title: str, max_states: int = 100) -> Path:
    """Save plots, tables and text as one page with working sliders; returns its path.

    Every state of a slider is stored in the page, so their number is limited: raise `max_states`
    or show fewer. Panes are anything Panel shows.
    """
    import io

    import panel as pn
    from bokeh.resources import INLINE

    buffer = io.StringIO()
    pn.Column(*panes, sizing_mode="stretch_width").save(
        buffer, title=title, embed=True, resources=INLINE, max_states=max_states, progress=False
    )
    text = buffer.getvalue().replace("<head>", f"<head>{_policy()}", 1)
    return write_text(path, _checked(text, str(path)))


def outside_requests(text: str) -> list[str]:
    """What a page would ask for outside itself; empty for a page that stands alone."""
    without_code = re.sub(r"(<script\b[^>]*>).*?</script>", _keep_data, text, flags=re.DOTALL | re.IGNORECASE)
    return [found.group(0)[:200] for found in _OUTSIDE.finditer(without_code)]


def _keep_data(script: re.Match) -> str:
    """Program text holds addresses it never asks for; documents in scripts are looked at."""
    return script.group(0) if '"roots"' in script.group(0) else script.group(1)


def _checked(text: str, name: str) -> str:
    text = _STYLE_SHEET.sub(_inline_sheet, text)
    text = re.sub(r'<link\b[^>]*rel="(?:icon|apple-touch-icon|manifest)"[^>]*>', "", text)
    outside = outside_requests(text)
    if outside:
        raise StageError(
            f"{name}: the page asks for {len(outside)} things outside itself, the first is {outside[0]!r}; "
            "draw with hvplot, Bokeh or Panel and use no extension that loads from a network"
        )
    size = len(text.encode())
    if size > MAX_BYTES:
        raise StageError(
            f"{name}: the page is {size / 1e6:.1f} MB, allowed are {MAX_BYTES / 1e6:.0f} MB; "
            "reduce what is plotted (resample, fewer symbols, top rows) before plotting"
        )
    return text


def _without_loaders(notebook: Any) -> Any:
    """Copy whose outputs hold plots and text, but nothing that fetches scripts or waits for a kernel."""
    import nbformat

    copy = nbformat.from_dict(json.loads(json.dumps(notebook)))
    for cell in copy.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_loader(output)]
    return copy


def _is_loader(output: Any) -> bool:
    data = output.get("data")
    if data is None:
        return output.get("name") == "stderr" and not _PROGRESS.sub("", output.text).strip()
    return not data or any(kind in data for kind in _LOADERS) or bool(_HOUSEKEEPING.search(data.get("text/html", "")))


def _inline_sheet(match: re.Match) -> str:
    """The same style sheet by content, from the installed package."""
    import panel

    identity, address = match.groups()
    _, found, inside = urlsplit(address).path.partition("/dist/")
    file = Path(panel.__file__).parent / "dist" / inside
    if not found or not file.is_file():
        raise StageError(
            f"style sheet {address!r} is not part of the installed panel {panel.__version__}; "
            "install the versions of requirements.lock"
        )
    css = json.dumps(file.read_text(encoding="utf-8")).replace("</", "<\\/")
    return f'{{"type":"object","name":"InlineStyleSheet","id":"{identity}","attributes":{{"css":{css}}}}}'


def _policy() -> str:
    return f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'


def _inside_script(text: str) -> str:
    return text.replace("</script", "<\\/script")
