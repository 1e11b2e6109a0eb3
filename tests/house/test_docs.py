"""The reference page says what the code declares; the table of old names says what is there."""

import re
from importlib import import_module

import pytest

import traderagent as ta
from docs import reference
from tests.house.sources import ROOT
from traderagent.base.config import Config, parameter
from traderagent.engine.config import Costs, OrchestratorBacktestConfig
from traderagent.market.instruments import Instrument
from traderagent.metrics import METRICS, RUN_METRICS
from traderagent.robustness.reruns import ExecutionNoise
from traderagent.strategies.base import STRATEGIES
from traderagent.strategies.contract import REASONS, REJECTIONS

PAGE = reference.PAGE.read_text(encoding="utf-8") if reference.PAGE.is_file() else ""
INDEX = (ROOT / "docs/README.md").read_text(encoding="utf-8")
DECLARED = {
    cls.__name__: cls
    for cls in (OrchestratorBacktestConfig, Costs, ExecutionNoise, Instrument, *dict(STRATEGIES.items()).values())
}
OLD = [
    line.strip("| \n").split(" | ") for line in INDEX.split("| old name |")[1].splitlines()[2:] if line.startswith("|")
]


def test_the_page_is_the_one_that_the_code_writes():
    assert reference.page() == PAGE, "the declarations have changed: run make docs"


@pytest.mark.parametrize("cls", DECLARED.values(), ids=list(DECLARED))
def test_every_parameter_is_declared_with_its_meaning(cls):
    assert [name for name, field in cls.model_fields.items() if not field.description] == []
    numbers = {n: f for n, f in cls.model_fields.items() if "number" in reference.type_words(f.annotation)}
    without_unit = [n for n, f in numbers.items() if not (f.json_schema_extra or {}).get("unit")]
    assert set(without_unit) <= {"amount_per_grid"}  # its unit is another parameter


def test_everything_is_on_the_page():
    names = {n for cls in DECLARED.values() for n in cls.model_fields} | {*METRICS} | {*RUN_METRICS} | {*REJECTIONS}
    assert [name for name in sorted(names | {*REASONS} - {""}) if f"| `{name}` |" not in PAGE] == []


def test_a_reason_without_words_is_an_error():
    assert {*reference.REFUSED} == {*REJECTIONS}
    assert {*reference.FILLED} == {*REASONS} - {""}


def test_a_declaration_becomes_a_row():
    class Sample(Config):
        width: float = parameter(0.5, unit="ATR", low=0.1, high=2.0, coarse=(0.5, 1.0), doc="|a| wide")
        side: str | None = parameter(None, doc="which")

    assert reference.parameters(Sample).splitlines()[2:] == [
        "| `width` | number | `0.5` | 0.1 to 2 | ATR | 0.5, 1 | \\|a\\| wide |",
        "| `side` | text or none | none |  |  |  | which |",
    ]


@pytest.mark.parametrize("row", OLD, ids=[row[0][:30] for row in OLD])
def test_a_new_place_exists_or_is_said_to_come(row):
    assert len(row) == 2
    coming = "not yet" in row[1]
    for name in re.findall(r"`ta\.(\w+)", row[1]):
        assert hasattr(ta, name) != coming, f"{name}: {'is there by now' if coming else 'is not there'}"
    for module in re.findall(r"`(traderagent\.[\w.]+)`", row[1]):
        import_module(module)


def test_the_index_names_every_page():
    for path in (ROOT / "docs").glob("*.md"):
        assert path.name == "README.md" or f"({path.name})" in INDEX
