"""Figures of the KV cache, with numbers typed by hand."""

import numpy as np
import pytest

from viz.kv_cache import (
    COMPUTED,
    READ,
    cache_contents,
    cache_growth,
    race_curves,
    ratio_curve,
    size_bars,
    step_grid,
)

TOKENS = ["a", "a", "<b>", "c", "d"]
# Prompt of 3; then one position per step.
ON = {"positions": [3, 4, 5], "computed": [3, 1, 1], "read": [0, 3, 4]}
OFF = {"positions": [3, 4, 5], "computed": [3, 4, 5], "read": [0, 0, 0]}
SECONDS_ON = np.array([[0.3, 0.1], [0.1, 0.1], [0.2, 0.2]])
SECONDS_OFF = np.array([[0.3, 0.5], [0.1, 0.3], [0.2, 0.6]])


def cells(figure):
    """What each cell shows: the drawn kinds on top of each other."""
    layers = [np.asarray(trace.z, dtype=float) for trace in figure.data if trace.type == "heatmap"]
    assert (np.isfinite(layers).sum(0) <= 1).all()
    return np.nansum(layers, 0)


def test_cache_on_computes_the_prompt_once_and_then_one_column_per_step():
    np.testing.assert_array_equal(
        cells(step_grid(TOKENS, **ON)),
        [
            [COMPUTED, COMPUTED, COMPUTED, 0, 0],
            [READ, READ, READ, COMPUTED, 0],
            [READ, READ, READ, READ, COMPUTED],
        ],
    )


def test_cache_off_computes_every_column_in_every_step():
    grid = cells(step_grid(TOKENS, **OFF))
    np.testing.assert_array_equal(grid == COMPUTED, np.tri(3, 5, 2, dtype=bool))


def test_equal_tokens_keep_columns_of_their_own_and_are_escaped():
    labels = step_grid(TOKENS, **ON).data[0].x
    assert labels == ("0: a", "1: a", "2: &lt;b&gt;", "3: c", "4: d")


def test_a_window_leaves_what_is_not_read_empty():
    grid = cells(step_grid(TOKENS, positions=[3, 4], computed=[3, 1], read=[0, 2]))
    np.testing.assert_array_equal(grid[1], [0, READ, READ, COMPUTED])


def test_long_prompt_shares_a_column_where_all_steps_treat_it_alike():
    n = 200
    figure = step_grid(
        ["x"] * (n + 2), positions=[n, n + 1, n + 2], computed=[n, 1, 1], read=[0, n, n + 1]
    )
    labels = figure.data[0].x
    assert labels[0] == "0 to 191"
    assert labels[1] == "192: x"
    assert len(labels) == 1 + 8 + 2
    np.testing.assert_array_equal(cells(figure)[:, 0], [COMPUTED, READ, READ])


def test_long_window_merges_nothing_that_differs():
    figure = step_grid(["x"] * 61, positions=[60, 61], computed=[60, 1], read=[0, 3])
    np.testing.assert_array_equal(np.diff(cells(figure)[1, -6:]), [0, READ, 0, 0, 1])


def test_curves_are_medians_with_the_whole_spread():
    figure = race_curves(SECONDS_ON, SECONDS_OFF)
    lines = {(trace.name, trace.yaxis): trace for trace in figure.data if trace.name}
    np.testing.assert_allclose(lines["cache on", "y"].y, [200, 100])
    np.testing.assert_allclose(lines["cache off", "y"].y, [200, 500])
    np.testing.assert_allclose(lines["cache off", "y2"].y, [0.2, 0.8])
    np.testing.assert_allclose(lines["cache on", "y"].customdata, [[100, 300], [100, 200]])


def test_ratio_is_of_the_times_since_the_start():
    band, line = ratio_curve(SECONDS_ON, SECONDS_OFF).data
    np.testing.assert_allclose(line.y, [1, 2])
    assert max(band.y) == pytest.approx(2)
    assert min(band.y) == pytest.approx(1)


def test_growth_marks_the_prefill():
    bars = cache_growth([3000, 4000, 5000], prefill=3).data[0]
    np.testing.assert_allclose(bars.y, [3, 4, 5])
    assert bars.marker.pattern.shape == ("/", "", "")


def test_contents_are_the_numbers_given():
    key, value = np.arange(6.0).reshape(3, 2), -np.arange(9.0).reshape(3, 3)
    figure = cache_contents(key, value, ["a", "a", "b"], start=7)
    np.testing.assert_array_equal(figure.data[0].z, key)
    np.testing.assert_array_equal(figure.data[1].z, value)
    assert figure.layout.yaxis.ticktext == ("7: a", "8: a", "9: b")


def test_contents_refuse_labels_that_do_not_fit():
    with pytest.raises(ValueError, match="do not fit 1 rows"):
        cache_contents(np.zeros((2, 2)), np.zeros((2, 2)), ["a"])


def test_bars_hatch_what_nobody_built_and_draw_a_memory_in_reach():
    names, sizes = ["multi-head: 8", "grouped: 2", "multi-query: 1"], [8e9, 2e9, 1e9]
    figure = size_bars(names, sizes, actual=1, memory=6e9)
    bars = figure.data[0]
    assert list(bars.x) == [8, 2, 1]
    assert bars.text == ("8 GB", "2 GB", "1 GB")
    assert bars.marker.pattern.shape == ("/", "", "/")
    assert figure.layout.shapes[0].x0 == 6
    assert not size_bars(names, sizes, actual=1, memory=1e12).layout.shapes
