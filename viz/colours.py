"""What does each colour of a figure mean?"""

from collections.abc import Sequence

from viz import axes, theme
from viz.figure import Figure
from viz.marks import hover

ROW_PX = 34


def role_colours(roles: Sequence[theme.Role] = theme.ROLES) -> Figure:
    """Draw the colours of every role, one row each, with what they stand for.

    Args:
        roles: What to draw, the first one on top.
    """
    most = max(len(role.colours) for role in roles)
    names = [role.name for role in roles]
    marks = [
        {
            "type": "bar",
            "orientation": "h",
            "y": [row],
            "x": [most / len(role.colours)],
            "marker": {"color": colour},
            "hovertemplate": hover(f"{role.name}: {role.says}"),
            "showlegend": False,
        }
        for row, role in enumerate(roles)
        for colour in role.colours
    ]
    layout = {
        "barmode": "stack",
        "xaxis": {"visible": False, "fixedrange": True},
        "yaxis": axes.rows(names, showgrid=False),
        "height": 40 + ROW_PX * len(roles),
        "margin": {"t": 10, "r": 10, "b": 10, "l": 10},
    }
    return Figure(marks, layout)
