"""Writing that never leaves half a file, and JSON that never says NaN."""

import errno
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from traderagent.base.config import plain
from traderagent.base.errors import DataError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a scratch path beside `path`; it takes `path`'s place when the block ends well.

    Works for files and folders. When the block raises, the old content stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch_folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    scratch, old = scratch_folder / path.name, scratch_folder / f"{path.name}.old"
    try:
        yield scratch
        if scratch.is_dir():
            _swap_folders(scratch, path, old)
        elif scratch.exists():
            os.replace(scratch, path)
        else:
            raise FileNotFoundError(f"nothing was written for {path}")
    finally:
        if path.exists() or not old.exists():  # else the only copy is in there
            shutil.rmtree(scratch_folder, ignore_errors=True)


class Taken(FileExistsError):
    """Somebody else's folder or file is where one was to be made."""


@contextmanager
def claiming(path: str | Path) -> Iterator[Path]:
    """Give a scratch path beside `path`; the folder made there becomes `path` when the block ends well.

    Of several who claim the same path at once exactly one gets it, since a folder is renamed in one step.

    Raises
    ------
    Taken
        Where something is at `path` by then, other than an empty folder; it stays as it was.
    """
    path = Path(path).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch_folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield scratch_folder / path.name
        os.replace(scratch_folder / path.name, path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise Taken(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        raise
    finally:
        shutil.rmtree(scratch_folder, ignore_errors=True)


def _swap_folders(new: Path, path: Path, old: Path) -> None:
    """Put a folder in another's place; whatever stops it, the old one comes back. Of several who do, the last stays."""
    try:
        while True:
            try:
                os.replace(new, path)
                break
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise
            shutil.rmtree(old, ignore_errors=True)
            with suppress(FileNotFoundError):  # another has just taken it away
                os.replace(path, old)
    except BaseException:
        if old.exists() and not path.exists():
            with suppress(OSError):  # then it stays where it is
                os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def without_nan(value: Any) -> Any:
    """Plain values with NaN and infinities replaced by None."""
    value = plain(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(k): without_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [without_nan(v) for v in value]
    return value


def write_text(path: str | Path, text: str) -> Path:
    """Write text whole or not at all; returns the path."""
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: str | Path, value: Any) -> Path:
    """JSON with sorted structure as given, `null` for undefined numbers, a final newline."""
    text = json.dumps(without_nan(value), indent=1, ensure_ascii=False, allow_nan=False)
    return write_text(path, text + "\n")


def read_json(path: str | Path) -> Any:
    """Content of a JSON file; a missing or broken one is an error that says what writes it."""
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; run the stage that writes it") from None
    except OSError as error:  # a folder in its place, no right to read
        what = error.strerror or "not readable"
        raise DataError(f"{path}: {what}; put the file there, or run the stage that writes it again") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not readable as JSON ({error}); run the stage that writes it again") from None
