"""Two pictures of a kind get one scale, and each keeps its own numbers."""

import json

import numpy as np

from pages.widgets.drawing import drawing_of
from pages.widgets.one_scale import on_one_scale
from tests.pages.charts import numbers
from viz import attention_heatmap, before_after_bars, logit_parts, watched_words


def both(a, b):
    return [json.loads(one.json) for one in on_one_scale(drawing_of(a), drawing_of(b))]


def lines(values):
    told = {"points": ["p0", "p1"], "parts": ["embedding", "feedforward"], "layers": [-1, 0]}
    return watched_words(np.array(values), ["a"], **told)


def test_an_axis_reaches_as_far_as_the_larger_one():
    small, large = lines([[0.1], [0.2]]), lines([[0.1], [0.9]])
    for pair in (both(small, large), both(large, small)):
        assert len({tuple(one["layout"]["yaxis"]["range"]) for one in pair}) == 1
        assert pair[0]["layout"]["yaxis"]["ticktext"] == list(large.layout.yaxis.ticktext)
    assert numbers(both(small, large)[0]["data"][0]["y"]).tolist() == [0.1, 0.2]


def test_colours_reach_as_far_as_those_of_the_larger_one():
    a = attention_heatmap(np.eye(2, dtype=np.float32), ["x", "y"], measure="size", highest=1.0)
    b = attention_heatmap(np.eye(2, dtype=np.float32), ["x", "y"], measure="size", highest=5.0)
    for one in both(a, b):
        assert (one["data"][0]["zmin"], one["data"][0]["zmax"]) == (0, 5)


def test_rows_of_tokens_stay_their_own():
    a = before_after_bars(["x"], np.array([0.5]), np.array([0.1]), "changed")
    b = before_after_bars(["y", "z"], np.array([0.2, 0.3]), np.array([0.1, 0.1]), "changed")
    one, other = both(a, b)
    assert one["layout"]["yaxis"]["ticktext"] == ["x"]
    assert other["layout"]["yaxis"]["ticktext"] == ["y", "z"]
    assert one["layout"]["xaxis"]["range"] == other["layout"]["xaxis"]["range"]


def test_equal_pictures_stay_equal():
    parts = np.array([0.5, -1.0])
    a, b = (logit_parts(0.1, parts, parts, 0.0, logit=-0.9, token="x") for _ in range(2))
    one, other = both(a, b)
    assert one == other
