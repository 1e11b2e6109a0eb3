"""Configs that refuse what they do not know, and their YAML form."""

from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from traderagent.base.errors import ConfigError, nearest, unknown


def parameter(
    default: Any,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    coarse: tuple = (),
    doc: str = "",
) -> Any:
    """Declare a parameter once: default, unit, bounds (inclusive), coarse search values, one line of text."""
    return Field(
        default, ge=low, le=high, description=doc or None, json_schema_extra={"unit": unit, "coarse": list(coarse)}
    )


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

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, strict=True, arbitrary_types_allowed=True
    )

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
        if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
            raise ConfigError(
                f"{cls.__name__}: got {values!r:.80}, allowed is a mapping of names to values; "
                f"names are {', '.join(cls.model_fields)}"
            )
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
        values = yaml.load(path.read_text(encoding="utf-8"), _EachKeyOnce)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: got {type(values).__name__}, allowed is a mapping of keys to values")
    for key in values:
        if not isinstance(key, str):
            raise ConfigError(f"{path}: got the key {key!r}, allowed are names; put it into quotes")
    return values


class _EachKeyOnce(yaml.SafeLoader):
    """YAML in which a doubled key is an error, where the plain loader takes the last one silently."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys all differ."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def type_words(annotation: Any) -> str:
    """What may stand in a field, in words: "number", "whole number", "'arithmetic' or 'geometric'"."""
    words = {
        float: "number",
        int: "whole number",
        bool: "true or false",
        str: "text",
        NoneType: "none",
        Any: "anything",
    }
    if get_origin(annotation) is Literal:
        return " or ".join(repr(choice) for choice in get_args(annotation))
    if get_origin(annotation) in (Union, UnionType):
        kinds = sorted(get_args(annotation), key=lambda kind: kind is NoneType)
        return " or ".join(type_words(kind) for kind in kinds)
    if get_origin(annotation) is list:
        return f"list of {type_words(get_args(annotation)[0])}"
    if annotation is dict or get_origin(annotation) is dict:
        return "mapping"
    return words.get(annotation) or annotation.__name__


def bounds_of(field: FieldInfo) -> tuple[float | None, float | None]:
    """Lowest and highest value of a parameter, both allowed; None where there is no bound."""
    limits = {type(m).__name__: m for m in field.metadata}
    return getattr(limits.get("Ge"), "ge", None), getattr(limits.get("Le"), "le", None)


def allows(field: FieldInfo, value: Any) -> bool:
    """Whether a value is of a parameter's type and inside its bounds."""
    low, high = bounds_of(field)
    kind: Any = field.annotation
    strict = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)
    try:
        TypeAdapter(kind, config=strict).validate_python(plain(value))
    except ValidationError:
        return False
    except PydanticUserError:  # of a kind with rules of its own, which it keeps by itself
        return True
    if not isinstance(value, (int, float)):  # bounds are of numbers
        return True
    return not ((low is not None and value < low) or (high is not None and value > high))


def allowed_of(field: FieldInfo) -> str:
    """What a parameter may be, in words: "whole number from 1 to 20, or none"."""
    low, high = bounds_of(field)
    text = type_words(field.annotation).removesuffix(" or none")
    if low is not None or high is not None:
        text += (
            f" from {low} to {high}"
            if None not in (low, high)
            else f" of at least {low}"
            if high is None
            else f" of at most {high}"
        )
    return text + (", or none" if NoneType in get_args(field.annotation) else "")


def _readable(cls: type[BaseModel], error: ValidationError) -> ConfigError:
    lines: dict[str, str] = {}
    for problem in error.errors():
        cause = problem.get("ctx", {}).get("error")
        if isinstance(cause, ConfigError):
            return cause
        name = str(problem["loc"][0]) if problem["loc"] else ""
        if problem["type"] == "extra_forbidden":
            return unknown("parameter", name, cls.model_fields, cls.__name__)
        if name not in lines:
            lines[name] = _sentence(cls, name, problem)
    return ConfigError("; ".join(lines.values()))


def _sentence(cls: type[BaseModel], name: str, problem: Any) -> str:
    field = cls.model_fields.get(name)
    if field is None:
        return f"{cls.__name__}: got {problem.get('input')!r:.80}, {problem['msg'].lower()}"
    finite = "finite " if problem["type"] == "finite_number" else ""
    choices = [
        c
        for kind in (field.annotation, *get_args(field.annotation))
        if get_origin(kind) is Literal
        for c in get_args(kind)
    ]
    hint = f"; {nearest(problem['input'], choices).split('allowed:')[0]}" if choices else "; "
    leave = "it is needed" if field.is_required() else f"give such a value, or leave it out for {field.default!r}"
    about = f" ({field.description})" if field.description else ""
    where = ".".join(str(part) for part in (name, *problem["loc"][1:]) if part == name or isinstance(part, int))
    return (
        f"{cls.__name__}.{where}: got {problem.get('input')!r:.80}, allowed is {finite}{allowed_of(field)}{about}"
        f"{hint}{leave}"
    )
