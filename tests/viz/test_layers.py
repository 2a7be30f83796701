"""Every layer's pattern is drawn in a square of its own, which can be clicked."""

import numpy as np
import pytest

from viz import layer_thumbnails

PATTERN = np.array([[1.0, 0.0, 0.0], [0.25, 0.75, 0.0], [0.5, 0.2, 0.3]])


def seen_weights(figure):
    """The numbers of the picture's heatmap, gutters and masked cells left out."""
    cells = figure.data[0].z
    return np.sort(cells[~np.isnan(cells)])


def test_every_layer_shows_its_own_weights():
    figure = layer_thumbnails([PATTERN, PATTERN[::1] * 0.5])
    expected = np.array([1, 0.25, 0.75, 0.5, 0.2, 0.3], dtype=np.float32)
    np.testing.assert_allclose(
        seen_weights(figure), np.sort(np.concatenate([expected, expected / 2])), rtol=1e-6
    )


@pytest.mark.parametrize("n_layers", [1, 2, 6, 7, 40])
def test_a_click_on_a_square_reports_its_layer(n_layers):
    figure = layer_thumbnails([np.full((3, 3), layer + 1.0) for layer in range(n_layers)])
    heatmap, markers = figure.data
    assert list(markers.customdata) == list(range(n_layers))
    for x, y, layer in zip(markers.x, markers.y, markers.customdata, strict=True):
        assert heatmap.z[int(y), int(x)] == layer + 1


def test_a_layer_without_attention_says_so_and_draws_nothing():
    figure = layer_thumbnails([None, PATTERN])
    assert len(seen_weights(figure)) == 6
    assert [a.text for a in figure.layout.annotations if "attention" in a.text] == [
        "no<br>attention"
    ]


def test_a_model_without_any_attention_still_has_a_picture():
    assert len(layer_thumbnails([None, None]).data) == 2


def test_pooling_keeps_a_single_strong_weight():
    pattern = np.tri(500) * 0.001
    pattern[333, 222] = 0.9
    figure = layer_thumbnails([pattern])
    assert seen_weights(figure).max() == np.float32(0.9)
    assert figure.data[0].z.size < 100 * 100


def test_the_selected_layer_is_marked_by_more_than_colour():
    figure = layer_thumbnails([PATTERN] * 3, selected=1)
    assert [a.text for a in figure.layout.annotations] == ["0", "<b>▸ 1</b>", "2"]
