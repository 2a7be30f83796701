"""Tiles, traffic and times are drawn as they are."""

import numpy as np

from viz import (
    BackendLine,
    backend_costs,
    memory_traffic,
    output_distance,
    tile_map,
    tile_scores,
)
from viz.flash import DONE, NOW, SKIPPED, TO_COME

ORDER = [(0, 0), (1, 0), (1, 1)]  # two by two causal tiles, keys outside


def test_tiles_before_the_step_are_done_and_masked_ones_left_out():
    heatmap = tile_map(ORDER, (2, 2), 1, (2, 2), 3).data[0]
    assert heatmap.z.tolist() == [[DONE, SKIPPED], [NOW, TO_COME]]
    assert list(heatmap.hovertext[1]) == ["now, step 2", "to come, step 3"]
    assert list(heatmap.x) == ["0-1", "2"]


def test_masked_scores_are_left_empty():
    scores = np.array([[1.0, -np.inf], [-3.0, 2.0]])
    heatmap = tile_scores(scores, np.exp(scores), ["q0", "q1"], ["k0", "k1"]).data[0]
    np.testing.assert_array_equal(heatmap.z, np.array([[1, np.nan], [-3, 2]], np.float32))
    assert (heatmap.zmin, heatmap.zmax) == (-3, 3)


def test_the_step_that_is_looked_at_is_marked_on_the_curve():
    figure = output_distance(np.array([0.5, 0.1, 0.0]), 1)
    assert list(figure.data[0].customdata) == [0.5, 0.1, 0]
    assert min(figure.data[0].y) > 0  # the axis is logarithmic
    assert (figure.data[1].x, figure.data[1].y) == ((2,), (0.1,))


def test_both_lines_and_this_prompt_are_drawn():
    figure = memory_traffic([4, 16], [10, 160], [20, 80], 8, (40, 35))
    assert [list(trace.y) for trace in figure.data] == [[10, 160], [40], [20, 80], [35]]
    assert "35 bytes" in figure.data[3].hovertemplate


def test_time_and_memory_of_each_backend_are_drawn_in_people_s_units():
    line = BackendLine(
        "eager", [8, 16], [0.001, 0.004], [0.001, 0.003], [0.002, 0.009], [2 * 10**6, None]
    )
    time, memory = backend_costs([line], [8, 16]).data
    assert list(time.y) == [1, 4]
    np.testing.assert_allclose(time.error_y.array, [1, 5])
    assert (memory.x, memory.y) == ((8,), (2,))


def test_where_memory_is_unknown_only_time_is_drawn():
    line = BackendLine("eager", [8], [0.001], [0.001], [0.001], [None])
    assert len(backend_costs([line], [8]).data) == 1
