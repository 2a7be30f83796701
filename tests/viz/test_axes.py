"""Axes say what stands where, and never more than there is room for."""

import pytest
from plotly.subplots import make_subplots

from viz import axes


@pytest.mark.parametrize("most", [1, 12, 16])
@pytest.mark.parametrize("n", [0, 1, 16, 17, 96, 500])
def test_every_nth_tick_is_few_and_as_many_as_fit(n, most):
    step = axes.every(n, most)
    assert len(range(0, n, step)) <= most
    assert step == 1 or len(range(0, n, step - 1)) > most


def test_first_row_is_on_top_and_each_has_its_label():
    axis = axes.rows(["a", "a", "b"], "word")
    bottom, top = axis["range"]
    assert top < 0 < 2 < bottom
    assert dict(zip(axis["tickvals"], axis["ticktext"], strict=True)) == {0: "a", 1: "a", 2: "b"}


def test_rank_one_is_on_top_and_the_highest_is_in_reach():
    bottom, top = axes.ranks(3000)["range"]
    assert top < 0 < 3 < bottom
    assert axes.ranks(3000)["ticktext"] == ["1", "10", "100", "1,000"]


def test_only_axes_that_say_so_can_be_zoomed():
    assert axes.fixed("x")["fixedrange"]
    assert "fixedrange" not in axes.axis("x")


@pytest.mark.parametrize("top", [1e-6, 0.003, 0.07, 0.2, 0.5, 0.8, 1.0, 1.02, 1.25, 1.5])
def test_an_axis_of_shares_has_few_ticks_that_end_at_all_there_is(top):
    axis = axes.shares("probability", top)
    at, texts = axis["tickvals"], axis["ticktext"]
    assert axis["range"] == [0, top]
    assert 3 <= len(at) <= 7
    assert at[-1] <= 1
    assert (at[-1] == pytest.approx(1)) == (top >= 1)
    assert [float(text[:-1]) for text in texts] == pytest.approx([100 * share for share in at])


def test_layers_are_named_at_their_numbers_after_the_embedding():
    assert axes.layer_texts(5, 2) == {-1: "embed", 0: "0", 2: "2", 4: "4"}


@pytest.mark.parametrize("n", [1, 2, 3])
def test_stacked_panels_lie_where_plotly_puts_those_of_a_grid(n):
    grid = make_subplots(rows=n, cols=1, shared_xaxes=True, vertical_spacing=0.1).layout
    layout = axes.stacked([axes.fixed(f"y{i}") for i in range(n)], axes.axis("x"), 0.1)
    for i in range(n):
        x, y = axes.in_panel(i).values()
        for name, is_of in ((x, "anchor"), (y, "anchor"), (x, "domain"), (y, "domain")):
            long = name[0] + "axis" + name[1:]
            assert layout[long][is_of] == pytest.approx(grid[long][is_of]), name
        x_axis = layout["xaxis" + x[1:]]
        assert ("title" in x_axis) == (i == n - 1)
        assert x_axis.get("matches") == grid["xaxis" + x[1:]].matches
        assert x_axis.get("showticklabels") == grid["xaxis" + x[1:]].showticklabels
