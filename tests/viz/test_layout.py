"""What stands around a figure is where it was asked for, and plays all its frames."""

import plotly.graph_objects as go

from viz import layout


def test_frame_reaches_from_corner_to_corner():
    frame = layout.box((1, 2), (3, 4), "#000000")
    assert [frame[side] for side in ("x0", "x1", "y0", "y1")] == [1, 2, 3, 4]


def test_selected_place_is_shaded_and_nothing_else():
    [band] = layout.selected_band(0)
    assert (band["x0"], band["x1"]) == (-0.5, 0.5)
    assert layout.selected_band(None) == []


def test_rows_are_as_high_however_many_there_are():
    heights = [layout.row_sizes(n)["height"] for n in (1, 2, 50)]
    assert heights[1] - heights[0] == (heights[2] - heights[1]) / 48


def test_slider_has_a_stop_for_every_frame():
    frames = [go.Frame(name=name, data=[]) for name in ("a", "b")]
    player = {
        "sliders": layout.slider(["a", "b"], False, "Step "),
        "updatemenus": layout.buttons(False, 100),
    }
    figure = go.Figure([], player, frames)
    stops = [name for step in figure.layout.sliders[0].steps for name in step.args[0]]
    assert stops == [frame.name for frame in figure.frames]


def test_play_begins_where_the_slider_stands_and_pause_stops_at_once():
    play, pause = (button["args"] for button in layout.buttons(True, 100)[0]["buttons"])
    assert play[1]["fromcurrent"]
    assert play[1]["frame"]["duration"] == 100
    assert pause == [[None], layout.at_once(True)]
