"""A headless Chromium without network, for looking at pages as a reader without network would."""

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ROOTS = """
() => {
  const found = [];
  const visit = node => {
    for (const element of node.querySelectorAll("*")) {
      if (element.tagName === "CANVAS") found.push(element);
      if (element.shadowRoot) visit(element.shadowRoot);
    }
  };
  const alive = new Map((window.Bokeh?.documents ?? []).filter(d => d.roots)
    .flatMap(d => d.roots().map(r => [r.id, r.type])));
  const silent = /State$|BrowserInfo$|CommManager$/;   // models that draw nothing
  const all = [...document.querySelectorAll("[data-root-id]")]
    .filter(e => !silent.test(alive.get(e.dataset.rootId) ?? ""));
  return all.filter(r => !r.parentElement.closest("[data-root-id]")).map(root => {
    found.length = 0;
    visit(root.shadowRoot ? root.shadowRoot : root);
    const box = root.firstElementChild ? root.firstElementChild.getBoundingClientRect() : root.getBoundingClientRect();
    return {x: box.x + scrollX, y: box.y + scrollY, width: box.width, height: box.height, canvases: found.length};
  });
}
"""
ALIVE = "() => !document.querySelector('[data-root-id]') || (window.Bokeh && Bokeh.documents.length > 0)"
# In the page's own order of things: after every timer that is due by then, when nothing waits, with the frame painted.
SETTLED = """ms => new Promise(done => setTimeout(
  () => requestIdleCallback(() => requestAnimationFrame(() => requestAnimationFrame(done))), ms))"""


def as_page(panes: list, path: Path) -> Path:
    """Save the page that a stage would make of cells that show these."""
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    from traderagent.report import offline

    bundles = [pane._repr_mimebundle_() for pane in panes]
    documents = [b[0] if isinstance(b, tuple) else b for b in bundles]
    cells = [new_code_cell("x", outputs=[new_output("display_data", found)]) for found in documents]
    path.write_text(offline.page(nbformat.from_dict(new_notebook(cells=cells)), "plots", synthetic=True))
    return path


def chromium() -> str:
    """Path of the browser; a test that needs it is skipped, with the reason, where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no chromium on this machine; on Debian: apt-get install chromium")


@dataclass
class Seen:
    """What the browser saw of one page."""

    page: Any
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def settle(self, ms: int = 500) -> None:
        """Until what was done to the page is done and painted, however busy the machine is."""
        self.page.evaluate(SETTLED, ms)

    def until(self, holds: str, *given: Any) -> None:
        """Wait until a condition in the page holds; a minute of its not holding fails the test."""
        self.page.wait_for_function(holds, arg=list(given), timeout=60_000)

    def documents(self) -> int:
        """Bokeh documents that came to life."""
        return self.page.evaluate("() => window.Bokeh ? Bokeh.documents.length : 0")

    def roots(self) -> list[dict]:
        """Plot roots with their boxes in page coordinates and the number of canvases inside."""
        return self.page.evaluate(ROOTS)

    def picture(self) -> Any:
        """Screenshot of the whole page as a Pillow image."""
        from PIL import Image

        return Image.open(io.BytesIO(self.page.screenshot(full_page=True))).convert("RGB")

    def colours(self, root: dict, picture: Any) -> int:
        """Distinct colours inside a root's box: one for a blank plot."""
        box = (root["x"], root["y"], root["x"] + root["width"], root["y"] + root["height"])
        colours = picture.crop(tuple(int(v) for v in box)).getcolors(maxcolors=1_000_000)
        return len(colours or [])


@contextmanager
def opened(path: Path, width: int = 1200) -> Iterator[Seen]:
    """Open a page from disk; every request but the one for the file itself is stopped and noted."""
    from playwright.sync_api import sync_playwright

    executable = chromium()
    address = path.resolve().as_uri()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=executable, headless=True, args=FLAGS, viewport={"width": width, "height": 900}
        )
        try:
            seen = Seen(context.new_page())
            context.route("**/*", lambda route: route.continue_() if route.request.url == address else route.abort())
            seen.page.on(
                "request",
                lambda r: (
                    None if r.url == address or r.url.startswith(("data:", "blob:")) else seen.requests.append(r.url)
                ),
            )
            seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
            seen.page.on("console", lambda m: seen.errors.append(m.text) if m.type == "error" else None)
            seen.page.goto(address)
            seen.until(ALIVE)
            seen.settle(1_000)
            yield seen
        finally:
            context.close()


def assert_drawn(path: Path, plots: int | None = None) -> None:
    """The page opens offline: nothing asked from outside, no error, every plot root drawn."""
    with opened(path) as seen:
        check_drawn(seen, path.name, plots)


def check_drawn(seen: Seen, name: str, plots: int | None = None) -> None:
    """The same of a page that is open already."""
    picture = seen.picture()
    roots = seen.roots()
    assert seen.requests == [], f"{name} asks for {seen.requests[:3]}"
    assert seen.errors == [], f"{name}: {seen.errors[:3]}"
    if plots is not None:
        assert len(roots) == plots
    if roots:
        assert seen.documents() > 0
    for number, root in enumerate(roots):
        assert root["canvases"] > 0 or root["height"] > 10, f"{name}: plot {number} is empty"
        assert seen.colours(root, picture) > 3, f"{name}: plot {number} is blank"
