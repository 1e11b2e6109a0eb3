"""Where the project is: notebooks run from their own folder or from the root, paths mean the root."""

import os
from pathlib import Path

from traderagent.base.errors import ConfigError


def root(start: str | Path | None = None) -> Path:
    """Folder that holds dvc.yaml, searched upwards from `start` (default: here).

    The environment variable TRADERAGENT_ROOT wins.
    """
    given = os.environ.get("TRADERAGENT_ROOT")
    if given:
        return Path(given)
    here = Path(start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").is_file():
            return folder
    raise ConfigError(f"no dvc.yaml in {here} or above it: start inside the project or set TRADERAGENT_ROOT")


def enter() -> Path:
    """Change into the project root and return it: the first line of every notebook."""
    folder = root()
    os.chdir(folder)
    return folder
