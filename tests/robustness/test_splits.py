"""Splitters against indices counted by hand, and the gap between training and test in every mode."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import traderagent as ta
from traderagent.robustness.splits import Interval, short

DAYS = pd.date_range("2024-01-01", periods=12, freq="1D", tz="UTC")
DAY = pd.Timedelta("1D")


def rows(splitter, index=DAYS):
    return [[part.tolist() for part in fold.rows(index)] for fold in splitter.split(index)]


def test_rolling_folds_are_those_counted_by_hand():
    found = rows(ta.WalkForward(train="4D", test="2D", step="3D", purge="1D"))
    assert found == [[[0, 1, 2, 3], [5, 6]], [[3, 4, 5, 6], [8, 9]]]
    assert rows(ta.WalkForward(train="4D", test="3D", step="3D", purge="1D")) == [
        [[0, 1, 2, 3], [5, 6, 7]],
        [[3, 4, 5, 6], [8, 9, 10]],
    ]


def test_a_last_test_that_fits_exactly_is_a_fold():
    assert rows(ta.WalkForward(train="5D", test="3D", step="4D")) == [
        [[0, 1, 2, 3, 4], [5, 6, 7]],
        [[4, 5, 6, 7, 8], [9, 10, 11]],
    ]


def test_an_embargo_widens_the_gap_of_a_walk_forward():
    assert rows(ta.WalkForward(train="4D", test="2D", step="4D", purge="1D", embargo="2D")) == [
        [[0, 1, 2, 3], [7, 8]],
    ]


def test_anchored_folds_are_those_of_a_time_series_split():
    """12 observations in 3 splits: tests of 12 // 4, everything before them as training; with a gap of 1 beside it."""
    assert rows(ta.WalkForward(train="3D", test="3D", step="3D", anchored=True)) == [
        [[0, 1, 2], [3, 4, 5]],
        [[0, 1, 2, 3, 4, 5], [6, 7, 8]],
        [[0, 1, 2, 3, 4, 5, 6, 7, 8], [9, 10, 11]],
    ]
    assert rows(ta.WalkForward(train="2D", test="3D", step="3D", anchored=True, purge="1D")) == [
        [[0, 1], [3, 4, 5]],
        [[0, 1, 2, 3, 4], [6, 7, 8]],
        [[0, 1, 2, 3, 4, 5, 6, 7], [9, 10, 11]],
    ]


COMBINATORIAL = {  # of 12 observations in 3 folds, 2 of them tested: the indices that skfolio documents
    (0, 0): [[8, 9, 10, 11], [4, 5, 6, 7], [0, 1, 2, 3]],
    (1, 0): [[9, 10, 11], [5, 6], [0, 1, 2]],
    (0, 1): [[9, 10, 11], [5, 6, 7], [0, 1, 2, 3]],
    (1, 1): [[10, 11], [6], [0, 1, 2]],  # by hand: one before a test, two behind
}


@pytest.mark.parametrize(("purge", "embargo"), COMBINATORIAL)
def test_combinatorial_folds_are_those_documented_elsewhere(purge, embargo):
    splitter = ta.CombinatorialPurged(3, 2, purge=f"{purge}D", embargo=f"{embargo}D")
    parts = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    tested = [parts[a] + parts[b] for a, b in combinations(range(3), 2)]
    assert rows(splitter) == [list(pair) for pair in zip(COMBINATORIAL[purge, embargo], tested, strict=True)]


def test_the_last_part_takes_what_is_left():
    found = rows(ta.CombinatorialPurged(5, 2))
    assert found[0] == [[4, 5, 6, 7, 8, 9, 10, 11], [0, 1, 2, 3]]
    assert found[3] == [[2, 3, 4, 5, 6, 7], [0, 1, 8, 9, 10, 11]]
    assert found[9] == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]


def test_paths_use_every_test_once():
    splitter = ta.CombinatorialPurged(6, 2)
    assert (splitter.n_splits, splitter.n_paths) == (15, 5)
    assert splitter.paths.shape == (5, 6)
    used = {(int(splitter.paths[p, f]), f) for p in range(5) for f in range(6)}
    assert used == {(split, f) for split, tested in enumerate(splitter.tested) for f in tested}
    assert ta.CombinatorialPurged(3, 2).paths.T.tolist() == [[0, 1], [0, 2], [1, 2]]


HOURS = st.integers(0, 60)


@st.composite
def splitters(draw):
    hours = {name: f"{draw(HOURS)}h" for name in ("purge", "embargo")}
    if draw(st.booleans()):
        return ta.CombinatorialPurged(draw(st.integers(3, 7)), draw(st.integers(1, 2)), **hours)
    train = draw(st.integers(121, 400))
    test, step = draw(st.integers(1, 200)), draw(st.integers(1, 200))
    return ta.WalkForward(f"{train}h", f"{test}h", f"{step}h", anchored=draw(st.booleans()), **hours)


@given(splitters(), st.integers(7 * 24 * 6, 24 * 100), st.integers(0, 10**6))
def test_training_stays_away_from_tests(splitter, span, minutes):
    start = pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(minutes, "min")
    whole = Interval(start, start + pd.Timedelta(span, "h"))
    folds = splitter.split(whole.start, whole.end)
    assert [fold.number for fold in folds] == list(range(max(len(folds), 1)))
    for fold in folds:
        for part in (*fold.train, *fold.test):
            assert whole.start <= part.start < part.end <= whole.end
        for train in fold.train:
            for test in fold.test:
                before = train.end <= test.start - splitter.purge
                behind = train.start >= test.end + splitter.purge + splitter.embargo
                assert before or behind
                assert behind or isinstance(splitter, ta.CombinatorialPurged) or train.end <= test.start - splitter.gap


@given(splitters().filter(lambda s: isinstance(s, ta.CombinatorialPurged)), st.integers(7 * 24 * 6, 24 * 100))
def test_parts_cover_the_span_and_everything_far_from_tests_is_trained(splitter, span):
    index = pd.date_range("2024-01-01 05:00", periods=span, freq="1h", tz="UTC")
    for fold in splitter.split(index):
        train, test = fold.rows(index)
        assert len(np.intersect1d(train, test)) == 0
        ahead, behind = (int(gap / pd.Timedelta("1h")) for gap in (splitter.purge, splitter.purge + splitter.embargo))
        near = {r for t in fold.test for r in range(t.rows(index)[0] - ahead, t.rows(index)[-1] + 1 + behind)}
        assert set(train) == set(range(span)) - near
    assert sum(len(part.rows(index)) for part in splitter.parts(index)) == span


def test_a_span_and_its_index_are_split_alike():
    splitter = ta.WalkForward("4D", "2D", "2D")
    assert splitter.split(DAYS) == splitter.split("2024-01-01", "2024-01-13")
    assert splitter.split("2024-01-01", "2024-01-12") == splitter.split(DAYS)[:-1]


BAD = [
    (lambda: ta.WalkForward(step="0D"), "step: got '0D', allowed is a length of time above 0"),
    (lambda: ta.WalkForward(train="-90D"), "train: got '-90D', allowed is a length of time above 0"),
    (lambda: ta.WalkForward(purge="-1h"), "purge: got '-1h', allowed is a length of time of at least 0"),
    (lambda: ta.WalkForward(test=30), "test: got 30, allowed is a length of time above 0, e.g. '30D'"),
    (lambda: ta.WalkForward(test="a month"), "test: got 'a month'"),
    (lambda: ta.WalkForward(test=None), "test: got None"),
    (lambda: ta.WalkForward(test="NaT"), "test: got 'NaT'"),
    (lambda: ta.WalkForward(test="1us"), "test: got '1us', allowed are whole milliseconds"),
    (lambda: ta.WalkForward(anchored=1), "anchored: got 1"),
    (lambda: ta.WalkForward(train="2D", purge="2D"), "purge: got a gap of 2D with the embargo, allowed is less than"),
    (lambda: ta.CombinatorialPurged(2, 1), "n_folds: got 2, allowed is a whole number of at least 3"),
    (lambda: ta.CombinatorialPurged(6, 0), "n_test_folds: got 0"),
    (lambda: ta.CombinatorialPurged(6, True), "n_test_folds: got True"),
    (lambda: ta.CombinatorialPurged(6, 6), "n_test_folds: got 6 of 6 folds, allowed are fewer"),
    (lambda: ta.CombinatorialPurged(30, 15), "155,117,520 splits, allowed are 10,000"),
    (lambda: ta.WalkForward().split(DAYS.tz_localize(None)), "no time zone"),
    (lambda: ta.WalkForward().split(DAYS[::-1]), "two or more rising"),
    (lambda: ta.WalkForward().split(DAYS, "2025-01-01"), "an index and an end"),
    (lambda: ta.WalkForward().split("2024-01-01"), "an open span"),
    (lambda: ta.WalkForward().split("2024-02-01", "2024-01-01"), "is not before end"),
]


@pytest.mark.parametrize(("make", "words"), BAD, ids=[words[:30] for _, words in BAD])
def test_what_makes_no_folds_is_refused(make, words):
    with pytest.raises(ta.ConfigError) as error:
        make()
    assert words in str(error.value)


def test_too_short_a_span_is_refused_with_what_it_needs():
    with pytest.raises(ta.DataError, match=r"got 12D .* allowed are 121D or more: train 90D, gap 1D, test 30D"):
        ta.WalkForward(purge="1D").split(DAYS)
    with pytest.raises(ta.DataError, match=r"purge \(3D\) .* leave split \d+ nothing to train on in parts of 4D"):
        ta.CombinatorialPurged(3, 2, purge="3D", embargo="1D").split(DAYS)
    with pytest.raises(ta.DataError, match="3 parts"):
        ta.CombinatorialPurged(3, 2).split("2024-01-01 00:00:00.000", "2024-01-01 00:00:00.002")


def test_splitters_are_values_and_read_well():
    one = ta.WalkForward("90D", "720h", pd.Timedelta(30, "D"), purge=DAY.to_pytimedelta())
    assert one == ta.WalkForward("90D", "30D", "30D", purge="24h")
    assert hash(one) == hash(ta.WalkForward(purge="1D"))
    assert repr(one) == "WalkForward(train='90D', test='30D', step='30D', anchored=False, purge='1D', embargo='0D')"
    assert eval(repr(one), {"WalkForward": ta.WalkForward}) == one
    two = ta.CombinatorialPurged(3, 2, "36h")
    assert repr(two) == "CombinatorialPurged(n_folds=3, n_test_folds=2, purge='36h', embargo='0D')"
    assert "<code>CombinatorialPurged" in two._repr_html_()
    folds = ta.CombinatorialPurged(3, 2).split(DAYS)
    assert "fold 1: train 2024-01-05 to 2024-01-09; test 2024-01-01 to 2024-01-05, 2024-01-09 to 2024-01-13" in repr(
        folds
    )
    assert "<td>2024-01-05 to 2024-01-09</td>" in folds._repr_html_()
    assert [short(pd.Timedelta(text)) for text in ("90min", "7s", "5ms")] == ["90min", "7s", "5ms"]
