"""What `make lab` adds to a user's own Jupyter settings: notebooks of the research are stored clean."""

import importlib.util
import warnings
from pathlib import Path

_rule = Path(__file__).resolve().parents[1] / "tests" / "house" / "notebooks.py"
_spec = importlib.util.spec_from_file_location("house_notebooks", _rule)
_house = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_house)

# Jupyter applies its settings twice, and warns of the hook that it already has.
warnings.filterwarnings("ignore", message=r"Overriding existing pre_save_hook \(before_save\).*\(before_save\)")
c = get_config()  # noqa: F821 - Jupyter hands it to the file
c.ContentsManager.pre_save_hook = _house.before_save
