"""The sentence about the lead, on readings written by hand."""

from dataclasses import replace

import numpy as np
import pytest

from model_hooks import Decoding
from model_hooks.read.lens import Point, among
from pages.layers.reading import Reading, answer, check_last_row, point_name

POINTS = (
    Point(-1, "embedding"),
    Point(0, "attention"),
    Point(0, "feedforward"),
    Point(1, "attention"),
    Point(1, "feedforward"),
)


def reading(leaders, difference=0.0):
    """A reading in which one of three tokens leads at each point, with 80%."""
    rows = np.full((len(leaders), 3), 0.1)
    rows[np.arange(len(leaders)), leaders] = 0.8
    log_probs = np.log(rows).astype(np.float32)
    return Reading(among(POINTS, 3, log_probs, (), 3), log_probs[-1], difference)


@pytest.mark.parametrize(
    ("leaders", "ending"),
    [
        ([0, 0, 0, 2, 2], "It takes the lead **after attention 1** and keeps it."),
        ([2, 2, 2, 2, 2], "It takes the lead **after the embedding** and keeps it."),
        ([0, 0, 0, 0, 2], "It takes the lead **after feedforward 1** and keeps it."),
        (
            [0, 2, 0, 2, 2],
            "It first leads **after attention 0**, and for good from **after attention 1** on.",
        ),
        (
            [2, 0, 2, 0, 2],
            "It first leads **after the embedding**, and for good from **after feedforward 1** on.",
        ),
    ],
)
def test_the_sentence_names_where_the_lead_is_taken_and_kept(hooked, leaders, ending):
    sentence = answer(reading(leaders), hooked.info, "cat", "the", Decoding())
    assert sentence == f"After “the” the model ends on **cat** (80.0%). {ending}"


def test_odd_tokens_stand_in_the_sentence_as_themselves(hooked):
    sentence = answer(reading([0] * 5), hooked.info, "<b>", "$x$", Decoding())
    assert r"“\$x\$”" in sentence
    assert r"**\<b\>**" in sentence


def test_a_layer_without_attention_mixes(hooked):
    hybrid = replace(hooked.info, attention_layers=(1,))
    assert point_name(Point(0, "attention"), hybrid) == "after mixing 0"
    assert point_name(Point(1, "attention"), hybrid) == "after attention 1"
    assert point_name(Point(0, "feedforward"), hybrid) == "after feedforward 0"


@pytest.mark.parametrize(
    ("difference", "dtype", "verdict"),
    [
        (1e-6, "float32", "Checked: the last row equals"),
        (1e-2, "float32", "Not equal: the last row should equal"),
        (1e-2, "bfloat16", "Checked: the last row equals"),
    ],
)
def test_the_check_fails_where_the_difference_is_more_than_rounding(
    hooked, monkeypatch, difference, dtype, verdict
):
    said = []
    monkeypatch.setattr("pages.widgets.check.st.caption", said.append)
    check_last_row(reading([0] * 5, difference), replace(hooked.info, dtype=dtype))
    assert verdict in said[0]
