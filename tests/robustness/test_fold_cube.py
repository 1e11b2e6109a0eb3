"""What a fold's choice reads of its trials, on planted numbers."""

import numpy as np
import xarray as xr

from traderagent.robustness.fold_cube import choose, rank_correlation

AXIS = [1, 2, 3, 4, 5]


def trials(inside, outside, traded):
    """Two symbols alike, one fold, five points."""
    values = np.array([[[inside, outside]]] * 2, float)
    trades = np.array([[[[9.0] * 5, traded]]] * 2, float)
    dims = ("symbol", "fold", "sample", "x")
    return xr.Dataset(
        {"total_return_pct": (dims, values), "round_trips": (dims, trades)},
        {"symbol": ["A", "B"], "fold": [0], "sample": ["in", "out"], "x": AXIS},
    )


def test_a_point_that_did_not_trade_in_the_test_has_no_rank_there():
    """Its return of 0 would be the best of all."""
    found = choose(trials([1, 2, 3, 4, 5], [-4, -3, -2, -1, 0], [9, 9, 9, 9, 0]), "total_return_pct", 1, "best")
    (seen,) = found.surfaces
    for row in range(3):
        np.testing.assert_array_equal(seen.out[row], [-4, -3, -2, -1, np.nan])
        assert rank_correlation(seen, row) == 1.0
    assert found.positions.tolist() == [[4], [4], [4]]


def test_the_test_has_no_say_in_the_choice():
    for outside in ([9, 0, 0, 0, 0], [0, 0, 0, 0, 9]):
        found = choose(trials([1, 5, 3, 4, 2], outside, [9] * 5), "total_return_pct", 1, "best")
        assert found.positions.tolist() == [[1], [1], [1]]


def test_ranks_need_three_trials_that_differ():
    few = choose(trials([1, 2, 3, 4, 5], [1, 2, 3, 4, 5], [9, 9, 0, 0, 0]), "total_return_pct", 1, "best")
    alike = choose(trials([1, 2, 3, 4, 5], [2, 2, 2, 2, 2], [9] * 5), "total_return_pct", 1, "best")
    ties = choose(trials([1, 1, 2, 3, 4], [4, 3, 2, 1, 1], [9] * 5), "total_return_pct", 1, "best")
    assert np.isnan(rank_correlation(few.surfaces[0], 0))
    assert np.isnan(rank_correlation(alike.surfaces[0], 0))
    # ranks 1.5 1.5 3 4 5 against 5 4 3 1.5 1.5: covariance −9, squares 9.5 each
    np.testing.assert_allclose(rank_correlation(ties.surfaces[0], 0), -9 / 9.5)
