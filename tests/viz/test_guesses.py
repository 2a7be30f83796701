"""Guesses of a class are drawn as they were counted; what is right differs by more than colour."""

from viz import guess_bars


def test_each_answer_has_a_bar_as_long_as_it_was_given_often():
    figure = guess_bars(["<b>Tim</b>", "Ben"], [5, 1], [False, False])
    (bars,) = figure.data
    assert list(bars.x) == [5, 1]
    assert list(bars.text) == ["5 students", "1 student"]
    assert figure.layout.yaxis.ticktext == ("&lt;b&gt;Tim&lt;/b&gt;", "Ben")
    assert len({*bars.marker.color}) == 1


def test_what_is_right_has_a_tick_a_pattern_and_a_colour():
    figure = guess_bars(["Ben", "Tim"], [2, 2], [False, True])
    (bars,) = figure.data
    assert figure.layout.yaxis.ticktext == ("Ben", "✓ Tim")
    assert [bool(shape) for shape in bars.marker.pattern.shape] == [False, True]
    assert bars.marker.color[0] != bars.marker.color[1]
