"""What all figures share: colours in their places, tokens shown as they stand."""

import pytest

from viz import theme


def test_scale_begins_with_nothing_and_ends_with_the_most():
    stops = theme.scale(theme.DIVERGING)
    assert (stops[0], stops[-1]) == ((0, theme.DIVERGING[0]), (1, theme.DIVERGING[-1]))
    assert [stop for stop, _ in stops] == sorted(stop for stop, _ in stops)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_each_kind_has_one_plain_colour(n):
    colours = theme.SEQUENTIAL[:n]
    stops = theme.kinds(colours)
    for kind, colour in enumerate(colours):
        # From half below the first kind to half above the last one.
        at = (kind + 0.5) / n
        below = [colour for stop, colour in stops if stop <= at][-1]
        above = next(colour for stop, colour in stops if stop >= at)
        assert below == above == colour


def test_looks_differ_by_more_than_colour():
    for values in zip(*theme.LOOKS, strict=True):
        assert len(set(values)) == len(theme.LOOKS)


def test_equal_tokens_get_labels_of_their_own():
    assert theme.position_labels(["a", "a"], 3) == ["3: a", "4: a"]


def test_markup_is_cut_before_it_is_escaped():
    assert theme.shorten("<" * 9, 4) == "&lt;&lt;…&lt;"
