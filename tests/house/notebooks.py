"""Notebooks as they are stored: `python tests/house/notebooks.py` cleans them, `--check` only looks.

Clean means no outputs, no counts, no run times, stable cell ids, one way to write the file: then a
difference between two versions is a difference of content, and a stage re-runs for nothing else.
JupyterLab started by `make lab` stores them so by itself: `.jupyter/` hands it `before_save`.
"""

import ast
import copy
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
MAX_CELLS = 12


def clean(book: dict[str, Any]) -> None:
    """Take out of a notebook, in place, what is not to be stored."""
    book["metadata"] = copy.deepcopy(METADATA)
    for cell in book["cells"]:
        cell["metadata"] = {key: value for key, value in cell["metadata"].items() if key == "tags" and value}
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None


def cleaned(text: str) -> str:
    """The same notebook as it is to be stored."""
    book = json.loads(text)
    clean(book)
    return json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def before_save(model: dict[str, Any], path: str, contents_manager: Any, **_: Any) -> None:
    """Jupyter's hook: what is saved into `notebooks/` is stored clean; what is on the screen stays there."""
    place = Path(contents_manager.root_dir, path).resolve()
    if model["type"] == "notebook" and place.parent == NOTEBOOKS:
        clean(model["content"])


def problems(text: str, stage: bool = True) -> list[str]:
    """What keeps a notebook from being a stage's: state left in it, code that belongs into the library, length."""
    book = json.loads(text)
    cells = book["cells"]
    sources = ["".join(cell["source"]) for cell in cells]
    code = [source for source, cell in zip(sources, cells, strict=True) if cell["cell_type"] == "code"]
    found = [] if text == cleaned(text) else ["not stored clean: run `python tests/house/notebooks.py`"]
    ids = [cell.get("id") for cell in cells]
    if None in ids or len(set(ids)) < len(ids):
        found.append("cells without an id of their own")
    if not sources or cells[0]["cell_type"] != "markdown" or not sources[0].startswith("# "):
        found.append("the first cell is not the question as a heading")
    if len([c for c in code if c.strip()]) > MAX_CELLS:
        found.append(f"{len(code)} code cells, allowed {MAX_CELLS}")
    tags = sum("parameters" in cell["metadata"].get("tags", []) for cell in cells)
    if tags != int(stage):
        found.append(f"{tags} cells tagged parameters, allowed {int(stage)}")
    entered = [i for i, source in enumerate(code) if "root.enter()" in source]
    if entered[:1] != [int(stage)]:
        found.append("the first code cell (after the parameters) does not enter the project's root")
    for source in code:
        for node in walked(ast.parse(source), into_classes=stage):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.For | ast.While | ast.Lambda):
                found.append(f"{type(node).__name__} in a cell: move it into the library")
    return found


def walked(tree: ast.AST, into_classes: bool) -> Iterator[ast.AST]:
    """Every node of a cell; a notebook that is no stage may show how a class of one's own is written."""
    for node in ast.iter_child_nodes(tree):
        if into_classes or not isinstance(node, ast.ClassDef):
            yield node
            yield from walked(node, into_classes)


def main(arguments: list[str]) -> int:
    """Clean or check every notebook, or those named; 1 where something was not clean."""
    paths = [Path(a) for a in arguments if a != "--check"] or sorted(NOTEBOOKS.glob("*.ipynb"))
    bad = [path for path in paths if path.read_text(encoding="utf-8") != cleaned(path.read_text(encoding="utf-8"))]
    for path in bad:
        print(f"{path.name}: {'not clean' if '--check' in arguments else 'cleaned'}")
        if "--check" not in arguments:
            path.write_text(cleaned(path.read_text(encoding="utf-8")), encoding="utf-8")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
