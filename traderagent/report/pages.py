"""`reports/index.html`: what a trader reads, on one page that opens from disk without a network."""

import os
import re
from collections.abc import Callable
from html import escape
from pathlib import Path

from traderagent.base.errors import StageError
from traderagent.base.files import write_text
from traderagent.report import (
    account_sections,
    robust_sections,
    search_sections,
    sections,
    style,
    svg,
    tables,
    verdict_sections,
)
from traderagent.report.gather import STAGES, Evidence, NoEvidence, gather
from traderagent.report.offline import MAX_BYTES, outside_requests

__all__ = ["Evidence", "NoEvidence", "gather", "index", "write_index"]

_LIGHT = {name.replace("_", "-"): colour for name, colour in style.REGIMES.items()}
_DARK = {name.replace("_", "-"): colour for name, colour in style.DARK_REGIMES.items()}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'"
_CSS = """
:root { color-scheme: light dark; --ink: %(INK)s; --soft: %(SOFT)s; --line: %(LINE)s; --paper: %(PAPER)s;
  --tint: %(TINT)s; --grey: %(PRICE)s; %(light)s }
@media (prefers-color-scheme: dark) { :root { --ink: %(DARK_INK)s; --soft: %(DARK_SOFT)s; --line: %(DARK_LINE)s;
  --paper: %(DARK_PAPER)s; --tint: %(DARK_TINT)s; --grey: %(DARK_SOFT)s; %(dark)s } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 %(FONT)s;
  font-variant-numeric: tabular-nums; }
main { max-width: 1100px; margin: 0 auto; padding: 16px 16px 64px; }
h1 { font-size: 1.05rem; margin: 0; color: var(--soft); font-weight: 600; }
h2 { font-size: 1.3rem; margin: 2.2em 0 .4em; border-top: 2px solid var(--ink); padding-top: .5em; }
h3 { font-size: 1rem; margin: 1.4em 0 .2em; }
.verdict { font-size: 1.3rem; line-height: 1.4; margin: .5em 0 .8em; max-width: 62em; text-wrap: pretty; }
p { max-width: 72em; } a { color: inherit; } code { font-size: .85em; }
.marked { border: 8px solid transparent; padding: 8px 12px;
  border-image: repeating-linear-gradient(45deg, #8a94a2 0 4px, transparent 4px 10px) 8; font-weight: 600; }
.chip { display: inline-block; white-space: nowrap; border: 1px solid var(--soft); border-radius: 1em; padding: 0 .6em;
  font-size: .8rem; font-weight: 600; } .chip.not-judged, .chip.no-trades { border-style: dashed; color: var(--soft); }
.missing { border-left: 3px solid var(--line); padding: 4px 12px; background: var(--tint); }
.ta-table th:first-child { position: sticky; left: 0; background: var(--paper); }
.ta-table thead th { color: var(--soft); }
.verdicts table { font-size: .82rem; } .verdicts th, .verdicts td { padding: 4px 5px; }
.verdicts thead th { white-space: normal; }
.verdicts .wide { min-width: 5.5em; } .verdicts .chip { padding: 0 .4em; font-size: .72rem; }
nav { display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: .88rem; margin: .8em 0; }
details { border-bottom: 1px solid var(--line); padding: 6px 0; } details > div:empty { scroll-margin-top: 3.5em; }
summary { cursor: pointer; padding: 2px 0; } .none { color: var(--soft); }
@media (max-width: 600px) { .verdict { font-size: 1.1rem; } main { padding: 10px 12px 40px; }
  .ta-table th, .ta-table td { padding: 4px 7px; } .verdicts .wide { white-space: nowrap; } }
@page { size: A4 landscape; margin: 12mm; }
@media print { main { max-width: none; padding: 0; } h2 { break-after: avoid; } .chart, tr { break-inside: avoid; }
  .scroll { overflow: visible; background: none; } .ta-table td, .ta-table th { white-space: normal; padding: 2px 4px; }
  .ta-table table, .verdicts table { font-size: 7pt; } .chip { font-size: 6pt; } body { font-size: 10pt; }
  nav { display: none; } details::details-content { content-visibility: visible; display: block; } }
"""


def write_index(evidence: Evidence | NoEvidence, path: str | Path, *, title: str) -> Path:
    """Write the index page and return its path.

    Parameters
    ----------
    evidence : of `gather`
    path : of the page; executed notebooks' pages beside it are linked
    title : of the page

    Raises
    ------
    StageError
        if the page would ask for something outside itself, or be larger than 10 MB.
    """
    path = Path(path)
    there = [s for s in (*STAGES, "report") if (path.parent / f"{s}.html").is_file()]
    if "report" not in there and "TRADERAGENT_STAGE" in os.environ:
        there.append("report")  # the stage that is running writes its own page last
    text = index(evidence, title, there)
    asked = outside_requests(text)
    if asked:
        raise StageError(
            f"{path.name}: the page asks for {asked[0]!r} outside itself; remove it from a caption or note"
        )
    if len(text.encode()) > MAX_BYTES:
        raise StageError(
            f"{path.name}: the page has {len(text.encode()) / 1e6:.1f} MB, allowed are "
            f"{MAX_BYTES / 1e6:.0f} MB; use fewer symbols"
        )
    return write_text(path, text)


def index(evidence: Evidence | NoEvidence, title: str, linked: list[str] | None = None) -> str:
    """The page as HTML; `linked` are stages whose own pages stand beside it."""
    stages = "".join(f'<a href="{s}.html">notebook {s}</a>' for s in linked or [])
    sentence = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(evidence.sentence()))
    said = f'<p class="verdict">{sentence}</p>'
    if isinstance(evidence, NoEvidence):
        return _page(title, f"<h1>{escape(title)}</h1>{said}<nav>{stages}</nav>")
    parts = list(enumerate(_parts(evidence), 1))
    menu = "".join(f'<a href="#part-{n}">{n} {escape(name)}</a>' for n, (name, _) in parts)
    grade = f"<p>{escape(evidence.grade())}</p>" if evidence.synthetic else ""
    mark = '<p class="marked">SYNTHETIC candles: no real market is shown here.</p>' if evidence.synthetic else ""
    verdicts = sections.verdicts if evidence.judged is None else verdict_sections.verdicts
    body = "".join(f'<h2 id="part-{n}">{n} · {escape(name)}</h2>{write(evidence)}' for n, (name, write) in parts)
    return _page(
        style.title(title, evidence.synthetic),
        f'{mark}<h1>{escape(title)}</h1>{said}{grade}<div class="verdicts">{verdicts(evidence)}</div>'
        f"<nav>{stages}</nav><nav>{menu}</nav>{body}",
    )


def _page(head: str, body: str) -> str:
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(head)}</title>'
        f"<style>{tables.CSS}{svg.CSS}{search_sections.CSS}{account_sections.CSS}{robust_sections.CSS}{_css()}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _css() -> str:
    values = {name: value for name, value in vars(style).items() if name.isupper()}
    light = " ".join(f"--{name}: {colour};" for name, colour in _LIGHT.items())
    dark = " ".join(f"--{name}: {colour};" for name, colour in _DARK.items())
    return _CSS % {**values, "light": light, "dark": dark}


def _parts(evidence: Evidence) -> list[tuple[str, Callable[[Evidence], str]]]:
    """Names of the sections, and what writes each."""

    def waits(stage: str, what: str) -> Callable[[Evidence], str]:
        return lambda _: sections.not_judged(stage, what)

    found = [
        ("The account", account_sections.account),
        ("What earns", sections.earns),
        (
            "Is it luck",
            lambda e: robust_sections.folds(e) + search_sections.luck(e) + robust_sections.luck(e),
        ),
        ("What matters", search_sections.matters),
        ("What breaks it", robust_sections.stress),
        ("Correlation, exposure, blocked orders", account_sections.pairs),
        ("Presets", waits("grid", "Approved parameter sets.")),
        ("Assumptions and proofs", lambda e: sections.proofs(e) + search_sections.searches(e)),
        ("Symbols", sections.symbols),
    ]
    if evidence.synthetic:  # the last one, so that the others have the same number whatever the market
        found.append(("What was planted", sections.graded))
    return found
