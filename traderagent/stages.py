"""Run a notebook as a stage, strictly.

`python -m traderagent.stages NAME` runs `notebooks/NAME.ipynb` with the values of
`params/NAME.yaml` and, where the notebook declares them, of `params/data.yaml` and
`params/costs.yaml`. It writes `reports/NAME.ipynb` and `reports/NAME.html`, or, when anything is
wrong, neither: the notebook as far as it came is then kept as `reports/NAME.failed.ipynb`.

papermill alone would run on with a default when a key is mistyped, and may drop outputs without
a word; here both are errors.
"""

import argparse
import ast
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from traderagent.base import root as project
from traderagent.base.config import read_yaml
from traderagent.base.errors import StageError, TraderAgentError, nearest, unknown
from traderagent.base.files import replacing, write_text

SHARED = ("data", "costs")
KERNEL = "python3"
_QUIET_KERNEL = "Kernel is running over TCP without encryption"


def stages(root: Path) -> dict[str, str]:
    """Stages of the project, name → the question its notebook asks."""
    found = {}
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        if (root / "params" / f"{path.stem}.yaml").is_file():
            found[path.stem] = _question(_read(path))
    return found


def declared(notebook: Any, name: str) -> dict[str, Any]:
    """Names and default values in the notebook's `parameters` cell, which may hold literals only.

    Raises
    ------
    StageError
        if there is not exactly one such cell, or a line of it is anything but `name = literal`.
    """
    cells = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise StageError(
            f"{name}.ipynb: got {len(cells)} cells tagged 'parameters', allowed is exactly one; "
            "set the tag in the property inspector"
        )
    values: dict[str, Any] = {}
    for node in ast.parse(cells[0].source).body:
        line = f"{name}.ipynb, parameters cell, line {node.lineno}"
        if not (isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)):
            raise StageError(f"{line}: {ast.unparse(node)!r} is not `name = literal`; move it to a later cell")
        key = node.targets[0].id
        try:
            value = ast.literal_eval(node.value)
        except ValueError:
            raise StageError(
                f"{line}: {key} = {ast.unparse(node.value)} is no literal; "
                "write the value itself, e.g. {'fast': [10]} instead of dict(fast=[10])"
            ) from None
        if key in values:
            raise StageError(f"{line}: {key!r} is set twice; keep one")
        values[key] = value
    return values


def parameters(name: str, root: Path, notebook: Any) -> dict[str, Any]:
    """Values for the notebook: all of its own file, and of the shared files the keys that it declares."""
    wanted = declared(notebook, name)
    own = _values(root / "params" / f"{name}.yaml")
    strangers = [key for key in own if key not in wanted]
    if strangers and name not in SHARED:
        raise unknown("parameter", strangers[0], wanted, f"params/{name}.yaml (the notebook does not declare it)")
    _check_shared(root)
    values = {key: value for key, value in own.items() if key in wanted}
    origin = dict.fromkeys(values, name)
    for shared in (s for s in SHARED if s != name):
        path = root / "params" / f"{shared}.yaml"
        for key, value in (_values(path) if path.is_file() else {}).items():
            if key not in wanted:
                continue
            if key in values:
                raise StageError(f"{key!r} stands in params/{origin[key]}.yaml and in params/{shared}.yaml; keep one")
            values[key], origin[key] = value, shared
    missing = [key for key in wanted if key not in values]
    if missing:
        offered = [k for k in own if k not in wanted] + list(values)
        raise StageError(
            f"{name}.ipynb declares {missing[0]!r}, but no params file gives it: add it to "
            f"params/{name}.yaml ({nearest(missing[0], offered)})"
        )
    return values


def run(name: str, root: Path | None = None) -> Path:
    """Run one stage to its end and return the path of its HTML page.

    Raises
    ------
    StageError
        with the message of the error inside the notebook, the cell, and where the notebook was kept.
    """
    root = (root or project.root()).resolve()
    allowed = stages(root)
    if name not in allowed:
        raise unknown("stage", name, allowed)
    clean = _read(root / "notebooks" / f"{name}.ipynb")
    values = parameters(name, root, clean)
    reports = root / "reports"
    failed = reports / f"{name}.failed.ipynb"
    failed.unlink(missing_ok=True)
    print(f"{name}: {allowed[name]}", flush=True)
    with replacing(reports / f"{name}.ipynb") as scratch:
        try:
            _execute(root / "notebooks" / f"{name}.ipynb", scratch, values, root)
            executed = _read(scratch)
            _check_complete(name, clean, executed)
        except StageError as error:
            if not scratch.exists():
                raise
            os.replace(scratch, failed)
            chosen = f"; its parameters: params/{name}.yaml" if (root / "params" / f"{name}.yaml").exists() else ""
            raise StageError(f"{error}\nkept as far as it came: {failed.relative_to(root)}{chosen}") from None
        _write_page(name, executed, reports / f"{name}.html")
    print(f"{name}: written reports/{name}.html", flush=True)
    return reports / f"{name}.html"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: run the named stages in turn; 0 when all came to their end."""
    parser = argparse.ArgumentParser(prog="python -m traderagent.stages", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="stages to run, in this order")
    parser.add_argument("--list", action="store_true", help="show the stages and what each asks")
    given = parser.parse_args(arguments)
    try:
        root = project.root().resolve()
        if given.list or not given.names:
            for name, question in stages(root).items():
                print(f"{name:14} {question}")
            return 0
        for name in given.names:
            run(name, root)
    except TraderAgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _execute(source: Path, target: Path, values: dict[str, Any], root: Path) -> None:
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillException, PapermillExecutionError

    try:
        with _environment(root), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=_QUIET_KERNEL)
            papermill.execute_notebook(
                source,
                target,
                parameters=values,
                kernel_name=KERNEL,
                language="python",
                cwd=str(root),
                progress_bar=sys.stderr.isatty(),
                log_output=False,
                raise_on_iopub_timeout=True,
                iopub_timeout=60,
                extra_arguments=["--IPKernelApp.log_level=ERROR"],
            )
    except PapermillExecutionError as error:
        raise StageError(f"{source.stem}, cell {error.cell_index}: {error.ename}: {error.evalue}") from None
    except DeadKernelError:
        raise StageError(
            f"{source.stem}: the kernel died, most often because memory ran out; use fewer symbols or a shorter span"
        ) from None
    except (PapermillException, CellTimeoutError) as error:
        raise StageError(f"{source.stem}: {type(error).__name__}: {error}") from None


@contextmanager
def _environment(root: Path) -> Iterator[None]:
    """What a kernel needs to give the same answer everywhere; this process gets its own values back."""
    before = dict(os.environ)
    os.environ.update(
        PYTHONHASHSEED="0", TRADERAGENT_ROOT=str(root), TRADERAGENT_STAGE="1", PYDEVD_DISABLE_FILE_VALIDATION="1"
    )
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _check_complete(name: str, clean: Any, executed: Any) -> None:
    """Every code cell of the clean notebook has run to its end in the executed one."""
    done = {c.id: c for c in executed.cells if c.cell_type == "code"}
    for position, cell in enumerate(clean.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        ran = done.get(cell.id)
        status = ran.metadata.get("papermill", {}).get("status") if ran is not None else "missing"
        if ran is None or status != "completed" or ran.execution_count is None:
            raise StageError(
                f"{name}, cell {position}: it did not run to its end (status {status}); run the stage again"
            )


def _write_page(name: str, executed: Any, path: Path) -> None:
    from traderagent.report.offline import page

    # Candles that no market has seen say so in every table and plot made of them.
    synthetic = any("SYNTHETIC" in str(cell.get("outputs", "")) for cell in executed.cells)
    write_text(path, page(executed, f"{name} · traderagent", synthetic, back="index.html"))


def _read(path: Path) -> Any:
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        raise StageError(f"{path.name}: not readable as a notebook: {str(error)[:200]}") from None


def _values(path: Path) -> dict[str, Any]:
    """A parameter file; one of empty lines and comments says nothing. Errors as of `read_yaml`."""
    lines = path.read_bytes().splitlines() if path.is_file() else [b"?"]
    return {} if all(line.strip()[:1] in (b"", b"#") for line in lines) else read_yaml(path)


def _declared_elsewhere(root: Path) -> set[str]:
    """Keys that any stage declares: a shared file may hold what only others need."""
    return {key for name in stages(root) for key in declared(_read(root / "notebooks" / f"{name}.ipynb"), name)}


def _check_shared(root: Path) -> None:
    """Refuse what no notebook declares in a shared file: it would be read by no stage, and so lost without a word."""
    declared = _declared_elsewhere(root)
    for shared in SHARED:
        path = root / "params" / f"{shared}.yaml"
        strangers = [key for key in (_values(path) if path.is_file() else {}) if key not in declared]
        if strangers:
            files = (root / "params" / f"{name}.yaml" for name in stages(root) if name not in SHARED)
            elsewhere = {key for file in files for key in _values(file)}
            where = f"params/{shared}.yaml (no notebook declares it)"
            raise unknown("parameter", strangers[0], declared - elsewhere, where)


def _question(notebook: Any) -> str:
    text = next((c.source for c in notebook.cells if c.cell_type == "markdown"), "")
    return text.strip().split("\n")[0].lstrip("# ").strip()


if __name__ == "__main__":
    sys.exit(main())
