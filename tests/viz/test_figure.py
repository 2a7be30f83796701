"""A figure is written as Plotly writes it, and is Plotly's own for whoever looks inside."""

import base64
import json

import numpy as np
import plotly.graph_objects as go
import pytest

from tests.viz.conftest import trimmed
from viz.figure import Figure, plain

ARRAYS = {
    "small whole numbers": np.array([0, 255, 3]),
    "with negative ones": np.array([-128, 127]),
    "wide": np.array([-1, 70_000]),
    "wider than bytes go": np.array([2**40, 1]),
    "floats": np.array([[0.5, np.nan], [-1, 2]], np.float32),
    "half": np.array([0.5, 1], np.float16),
    "truth values": np.array([True, False]),
    "texts": np.array(["<b>", "ü"]),
    "nothing": np.array([], np.float32),
    "not in a row": np.arange(12.0).reshape(3, 4).T,
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_sent_as_plotly_sends_them(name):
    array = ARRAYS[name]
    ours = Figure({"type": "scatter", "y": [0], "customdata": array})
    theirs = go.Figure(go.Scatter(y=[0], customdata=array))
    sent = [
        json.loads(text)["data"][0].get("customdata") for text in (ours.written(), theirs.to_json())
    ]
    if name != "wider than bytes go":
        assert trimmed(sent[0]) == trimmed(sent[1])


def test_what_is_sent_as_bytes_is_the_array():
    for array in ARRAYS.values():
        sent = plain(array)
        if isinstance(sent, dict):
            read = np.frombuffer(base64.b64decode(sent["bdata"]), sent["dtype"])
            np.testing.assert_array_equal(read.reshape(array.shape), array)
        else:
            assert sent == array.tolist()


def test_none_is_left_out_and_ranges_are_lists():
    figure = Figure([{"type": "bar", "y": range(3), "name": None}], {"width": None, "height": 9})
    sent = json.loads(figure.written())
    assert sent["data"] == [{"type": "bar", "y": [0, 1, 2]}]
    assert sent["layout"].keys() == {"height", "template"}


def test_traces_of_plotly_can_be_among_the_marks():
    figure = Figure([go.Bar(y=[1, 2], marker={"color": "red"}), {"type": "bar", "y": [3]}])
    assert [len(trace.y) for trace in figure.data] == [2, 1]


def test_an_unknown_property_is_noticed_by_whoever_looks():
    figure = Figure((), {"height": 30, "colour": "red"})
    with pytest.raises(ValueError, match="colour"):
        _ = figure.layout
    assert figure.height == 30


@pytest.mark.parametrize("change", ["add_trace", "update_layout", "for_each_trace", "set_subplots"])
def test_a_drawn_figure_is_not_changed(change):
    with pytest.raises(AttributeError, match="not changed"):
        getattr(Figure(), change)
