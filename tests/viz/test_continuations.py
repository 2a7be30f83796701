"""Trees of texts count what they are given; a beam search is laid out as it went."""

from dataclasses import dataclass

import numpy as np
import pytest

from viz import beam_trellis, text_tree
from viz.continuations import END, beam_nodes, branches


@dataclass(frozen=True)
class Written:
    token_ids: tuple[int, ...]
    log_probs: tuple[float, ...] = ()
    ended: bool = False

    @property
    def total(self):
        return float(sum(self.log_probs))


def text(*ids, p=(), ended=False):
    return Written(ids, tuple(p) or (-1.0,) * len(ids), ended)


SAMPLED = [text(1, 2), text(1, 3), text(1, 2), text(4, ended=True)]


def test_branches_count_the_texts_that_begin_so():
    found = {branch.token_ids: branch for branch in branches(SAMPLED)}
    counts = {ids: branch.n_texts for ids, branch in found.items()}
    assert counts == {(1,): 3, (4,): 1, (1, 2): 2, (1, 3): 1}
    assert [ids for ids, branch in found.items() if branch.ends] == [(4,)]


def test_tree_has_a_cell_per_branch_under_its_parent():
    greedy, sampled = text_tree(SAMPLED, text(1, 3), str).data
    cells = dict(
        zip(sampled.ids, zip(sampled.parents, sampled["values"], strict=True), strict=True)
    )
    assert cells["1.2"] == ("1", 2)
    assert cells["4"] == ("prompt", 1)
    assert cells["prompt"] == ("", 4)
    assert sampled.labels[sampled.ids.index("4")] == END
    hatched = [i for i, s in zip(sampled.ids, sampled.marker.pattern.shape, strict=True) if s]
    assert hatched == ["prompt", "1", "1.3"]
    assert set(greedy["values"]) == {4}
    assert "1 of 3 go on" in sampled.customdata[sampled.ids.index("1.3")]


def test_tree_says_how_many_texts_differ():
    notes = [note.text for note in text_tree(SAMPLED, text(1, 3), str).layout.annotations]
    assert notes == [
        "<b>Greedy, 4 times: always the same text</b>",
        "<b>Sampling, 4 times: 3 different texts</b>",
    ]
    assert len(text_tree(SAMPLED, None, str).data) == 1


def test_tree_is_cut_at_its_depth_and_token_text_is_never_html():
    tree = text_tree([text(*range(50))], None, lambda i: f"<i>{i}", depth=3).data[0]
    assert tree.ids == ("prompt", "0", "0.1", "0.1.2")
    assert tree.labels[1] == "&lt;i&gt;0"


STEPS = [
    (text(1, p=[-1]), text(2, p=[-2])),
    (text(1, 5, p=[-1, -2]), text(1, 6, p=[-1, -2.5])),
    (text(1, 6, 7, p=[-1, -2.5, -0.1]), text(1, 5, 8, p=[-1, -2, -1])),
]
RESULTS = [STEPS[2][0], text(1, 9, p=[-1, -2.8], ended=True)]


def test_beams_are_kept_dropped_ended_or_lead():
    nodes = beam_nodes(STEPS, RESULTS, 3)
    found = {state: {n.token_ids for n in nodes if n.state == state} for _, _, _, state in nodes}
    assert found == {
        "leads": {(1,), (1, 6), (1, 6, 7)},
        "goes on": {(1, 5), (1, 5, 8)},
        "ended": {(1, 9)},
        "dropped": {(2,)},
    }


def test_earlier_step_knows_nothing_of_what_comes():
    states = {node.token_ids: node.state for node in beam_nodes(STEPS, RESULTS, 1)}
    assert states == {(1,): "leads", (2,): "goes on"}


def test_ended_text_stands_beneath_those_that_go_on():
    rows = {node.token_ids: node.row for node in beam_nodes(STEPS, RESULTS, 3)}
    assert (rows[1, 5], rows[1, 6], rows[1, 9]) == (0, 1, 2)


@pytest.mark.parametrize("n_shown", [1, 2, 3, None])
def test_trellis_shows_every_sum_in_its_column(n_shown):
    greedy = text(1, 5, 8, p=[-1, -2, -1])
    figure = beam_trellis(STEPS, RESULTS, greedy, str, n_shown=n_shown)
    sums = {
        (x, label)
        for trace in figure.data
        if trace.mode == "text"
        for x, label in zip(trace.x, trace.text, strict=True)
        if "." in label
    }
    log_probs = {1: (-1.0, -2.0), 2: (-3.0, -3.5, -3.8), 3: (-3.6, -4.0)}
    columns = range(1, (n_shown or 3) + 1)
    assert sums == {(x, f"{-p / np.log(2):.3g}") for x in columns for p in log_probs[x]}
    names = {trace.name for trace in figure.data if trace.mode == "markers"}
    assert {"best text", "greedy"} <= names
    assert figure.layout.yaxis.ticktext[-1] == "greedy"


def test_rows_hold_still_from_step_to_step():
    greedy = text(1)
    heights = {beam_trellis(STEPS, RESULTS, greedy, str, n_shown=n).layout.height for n in (1, 3)}
    assert len(heights) == 1


def test_tokens_are_escaped_and_never_a_template():
    figure = beam_trellis([(text(1),)], [text(1)], text(1), lambda i: "<b>%{x}")
    labels = [label for trace in figure.data if trace.mode == "text" for label in trace.text]
    assert "&lt;b&gt;%{x}" in labels
    templates = {trace.hovertemplate for trace in figure.data if trace.mode == "markers"}
    assert templates == {"%{customdata}"}
