"""Configs that refuse what they do not know, and their YAML form."""

from pathlib import Path
from typing import Any, Self

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from traderagent.base.errors import ConfigError, unknown


def parameter(default: Any, *, unit: str = "", low: float | None = None, high: float | None = None,
              coarse: tuple = (), doc: str = "") -> Any:
    """Declare a parameter once: default, unit, bounds (inclusive), coarse search values, one line of text."""
    return Field(default, ge=low, le=high, description=doc or None,
                 json_schema_extra={"unit": unit, "coarse": list(coarse)})


def plain(value: Any) -> Any:
    """Numbers, lists and dicts without numpy types, so that they validate, hash and print alike."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(v) for v in value)
    return value


class Config(BaseModel):
    """A frozen record of parameters; an unknown key is an error that names the nearest one."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True,
                              arbitrary_types_allowed=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**{k: plain(v) for k, v in values.items()})
        except ValidationError as error:
            raise _readable(type(self), error) from None

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed and everything validated again."""
        return type(self)(**{**dict(self), **changes})

    def to_dict(self) -> dict[str, Any]:
        """Plain dict, ready for YAML and JSON."""
        return plain(self.model_dump())

    def to_yaml(self, path: str | Path | None = None) -> str:
        """YAML text; also written to `path` where one is given."""
        text = yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Config from a plain mapping, validated."""
        return cls(**values)

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Config from a YAML file, validated."""
        return cls(**read_yaml(path))


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML mapping; anything else is an error that names the file."""
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; create it or give another path")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not readable as YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: got {type(values).__name__}, allowed is a mapping of keys to values")
    return values


def _readable(cls: type[BaseModel], error: ValidationError) -> ConfigError:
    lines = []
    for problem in error.errors():
        cause = problem.get("ctx", {}).get("error")
        if isinstance(cause, ConfigError):
            return cause
        where = ".".join(str(p) for p in problem["loc"])
        if problem["type"] == "extra_forbidden":
            return unknown("parameter", where, cls.model_fields, cls.__name__)
        lines.append(f"{cls.__name__}.{where}: {problem['msg'].lower()}, got {problem.get('input')!r}"
                     f"{_bounds(cls, problem)}")
    return ConfigError("; ".join(lines))


def _bounds(cls: type[BaseModel], problem: dict) -> str:
    field = cls.model_fields.get(str(problem["loc"][0])) if problem["loc"] else None
    if field is None:
        return ""
    limits = {type(m).__name__: m for m in field.metadata}
    low = getattr(limits.get("Ge"), "ge", None)
    high = getattr(limits.get("Le"), "le", None)
    default = "" if field.is_required() else f"; default {field.default!r}"
    return f" (allowed {'' if low is None else low} to {'' if high is None else high}{default})" \
        if low is not None or high is not None else default
