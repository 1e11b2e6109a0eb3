"""What is read can be read: contrast by WCAG 2 on light and on dark paper."""

import math

import pytest

from traderagent.report import style

PAPERS = {"light": (style.PAPER, style.INK, style.SOFT), "dark": (style.DARK_PAPER, style.DARK_INK, style.DARK_SOFT)}


def test_contrast_is_that_of_the_standard():
    assert style.contrast("#ffffff", "#000000") == pytest.approx(21)
    assert style.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("mode", PAPERS)
def test_text_reads_on_paper_and_on_tint(mode):
    paper, ink, soft = PAPERS[mode]
    tint = {"light": style.TINT, "dark": style.DARK_TINT}[mode]
    assert style.contrast(ink, paper) >= 7
    assert min(style.contrast(soft, paper), style.contrast(soft, tint), style.contrast(ink, tint)) >= 4.5


@pytest.mark.parametrize("mode", PAPERS)
@pytest.mark.parametrize("colour", [style.NEGATIVE, style.POSITIVE, style.SEQUENTIAL])
def test_numbers_read_on_the_strongest_heat(mode, colour):
    paper, ink, _ = PAPERS[mode]
    assert style.contrast(ink, style.blend(colour, paper, style.STRONGEST)) >= 4.5


@pytest.mark.parametrize("regime", style.REGIMES)
def test_price_stands_out_from_every_regime(regime):
    assert style.contrast(style.PRICE, style.REGIMES[regime]) >= 3
    assert style.contrast(style.DARK_SOFT, style.DARK_REGIMES[regime]) >= 3


def test_colours_are_those_agreed():
    assert style.STRATEGIES == {"grid": "#0072B2", "dca": "#E69F00", "trend_follower": "#009E73", "smc": "#CC79A7"}
    assert style.strategy_colour("mine") == "#56B4E9"
    assert len(set(style.REGIMES.values())) == 7
    red, green, blue = (int(style.PRICE[i : i + 2], 16) for i in (1, 3, 5))
    assert max(red, green, blue) - min(red, green, blue) < 40, "price is grey"


def test_the_two_sides_of_a_table_differ_without_colour_vision():
    """Brown and teal differ in blue, which red-green blindness keeps."""
    assert int(style.POSITIVE[5:], 16) - int(style.NEGATIVE[5:], 16) > 80


@pytest.mark.parametrize(
    ("value", "options", "text"),
    [
        (math.nan, {}, "–"),
        (None, {}, "–"),
        (math.inf, {}, "–"),
        (-1234.5, {"digits": 1}, "−1\u202f234.5"),
        (2.0, {"signed": True}, "+2.00"),
        (-0.001, {}, "0.00"),
        (-0.001, {"signed": True}, "0.00"),
    ],
)
def test_numbers_as_text(value, options, text):
    assert style.number(value, **options) == text


def test_heat_is_centred_at_zero_and_undefined_is_hatched():
    assert style.diverging(0.0, 5.0).endswith("0.000)")
    assert style.diverging(5.0, 5.0) != style.diverging(-5.0, 5.0)
    assert style.diverging(50.0, 5.0) == style.diverging(5.0, 5.0)
    assert style.diverging(math.nan, 5.0) == style.HATCH
    assert style.diverging(1.0, math.nan) == style.HATCH


def test_one_outlier_does_not_hide_the_rest():
    assert style.limit_of([1.0] * 19 + [1000.0]) == 1.0
    assert math.isnan(style.limit_of([math.nan]))


def test_synthetic_is_in_the_title():
    assert style.title("x", True).startswith("SYNTHETIC")
    assert style.title("x", False) == "x"
