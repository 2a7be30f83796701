"""The picture of colours shows each role's own."""

from viz import role_colours
from viz.theme import DIVERGING, QUERY, ROLES


def test_each_row_has_the_colours_of_its_role():
    figure = role_colours()
    assert len(figure.data) == sum(len(role.colours) for role in ROLES)
    assert figure.data[0].marker.color == QUERY
    row = next(i for i, role in enumerate(ROLES) if role.colours == DIVERGING)
    assert tuple(bar.marker.color for bar in figure.data if bar.y[0] == row) == DIVERGING


def test_all_rows_are_equally_long():
    lengths = {}
    for bar in role_colours().data:
        lengths[bar.y[0]] = lengths.get(bar.y[0], 0) + bar.x[0]
    assert len({round(length, 6) for length in lengths.values()}) == 1
