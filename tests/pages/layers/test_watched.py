"""What the file of the watched words holds."""

import numpy as np

from pages.layers.watched import table_of


def test_the_file_has_a_line_per_point_and_word():
    probabilities, ranks = np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([[4, 3], [2, 1]])
    frame = table_of(["embedding", "after layer 0"], {7: "cat", 9: "dog"}, probabilities, ranks)
    assert frame.values.tolist() == [
        ["embedding", 7, "cat", 0.1, 4],
        ["embedding", 9, "dog", 0.2, 3],
        ["after layer 0", 7, "cat", 0.3, 2],
        ["after layer 0", 9, "dog", 0.4, 1],
    ]
