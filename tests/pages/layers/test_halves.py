"""Which states of a layer are compared, and by which tokens."""

import numpy as np

from model_hooks.read.lens import among, stream_points
from pages.layers.halves import N_LEADING, state_names, states_of, table_of, tokens_that_move
from pages.layers.reading import Reading


def reading(points, log_probs):
    return Reading(among(points, 3, log_probs, (), N_LEADING), log_probs[-1], 0.0)


def test_a_layers_states_begin_with_the_one_before_it(hooked):
    halved = reading(stream_points(hooked, True), np.zeros((5, 7)))
    assert states_of(halved, 0) == [0, 1, 2]
    assert states_of(halved, 1) == [2, 3, 4]
    assert state_names(states_of(halved, 1))[1:] == ["after attention", "after feedforward"]
    whole = reading(stream_points(hooked, False), np.zeros((3, 7)))
    assert states_of(whole, 1) == [1, 2]
    assert state_names(states_of(whole, 1)) == ["before the layer", "after it"]


def test_tokens_that_lead_after_the_layer_come_first(hooked):
    before, after = [0, 0, 0, 5, 6, 7, 0, 0], [0, 9, 8, 7, 0, 0, 0, 0]
    moved = reading(stream_points(hooked, False), np.array([before, after], dtype=float))
    assert tokens_that_move(moved, [0, 1]) == [1, 2, 3, 5, 4]


def test_the_file_has_a_line_per_state_and_token():
    frame = table_of(["before", "after"], ["cat", "dog"], np.array([[0.1, 0.2], [0.3, 0.4]]))
    assert frame.values.tolist() == [
        ["before", "cat", 0.1],
        ["before", "dog", 0.2],
        ["after", "cat", 0.3],
        ["after", "dog", 0.4],
    ]
