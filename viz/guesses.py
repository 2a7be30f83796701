"""How did a class guess? One bar for each answer that was given, the most frequent on top."""

from collections.abc import Sequence

from viz import axes, theme
from viz.axes import fixed
from viz.figure import Figure
from viz.layout import row_sizes
from viz.marks import beside, hatched, hover, rows_of_bars
from viz.numbers import counted

LABEL_LENGTH = 28


def guess_bars(labels: Sequence[str], counts: Sequence[int], is_right: Sequence[bool]) -> Figure:
    """Draw how many gave each answer.

    Args:
        labels: The answers.
        counts: How many gave each.
        is_right: Which are right: they get another colour, a pattern and a tick. All false while
            nobody is to know.
    """
    named = [("✓ " if right else "") + label for label, right in zip(labels, is_right, strict=True)]
    bars = rows_of_bars(
        list(counts),
        [theme.HIGHLIGHT if right else theme.QUERY for right in is_right],
        hatched(is_right, 6),
        hovertext=[theme.shorten(one, 80) for one in named],
        hovertemplate=hover("%{hovertext}<br>%{text}"),
        **beside([counted(n, "student") for n in counts]),
    )
    most = max(counts, default=0)
    layout = {
        "xaxis": fixed("students", range=[0, 1.5 * max(most, 1)], dtick=max(1, most // 5)),
        "yaxis": axes.rows((theme.shorten(one, LABEL_LENGTH) for one in named), showgrid=False),
        **row_sizes(len(counts)),
    }
    return Figure(bars, layout)
