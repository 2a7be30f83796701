"""The grid of all heads is sorted by a score, and says which layers it lacks."""

from dataclasses import replace

import numpy as np

from pages.attention.all_heads import other_layers_note, sorted_heads


def test_heads_come_with_the_highest_score_first_and_equal_ones_as_they_lie():
    scores = np.array([[0.5, 0.25], [0.75, 0.5]])
    assert sorted_heads(scores, "{:.2f}".format) == [
        (1, 0, "0.75"),
        (0, 0, "0.50"),
        (1, 1, "0.50"),
        (0, 1, "0.25"),
    ]


def test_layers_without_attention_are_named(hooked):
    info = replace(hooked.info, n_layers=4, attention_layers=(0, 2))
    assert "having no attention: layers 1, 3." in str(other_layers_note(info))
    one = replace(info, attention_layers=(0, 1, 2))
    assert "having no attention: layer 3." in str(other_layers_note(one))
    assert other_layers_note(replace(info, attention_layers=(0, 1, 2, 3))) is None
