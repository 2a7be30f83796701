"""A long text is as long as model, story and patience allow, and each limit is named."""

from dataclasses import replace

import pytest

from model_hooks.experiments.long_texts import Limits
from model_hooks.experiments.rope_scaling import RopeScaling
from pages.positions.long_lines import MAX_WORK, length_of, scalings_of, unknown_length

FREE = Limits(None, None, None)
TABLE = Limits(32, 32, "tiny has no rotation that transformers' rope settings could stretch.")


@pytest.mark.parametrize(
    ("limits", "n_story", "length", "words"),
    [
        (FREE, 2000, 128, None),
        (FREE, None, 128, None),
        (FREE, 100, 100, "the story has only 100 tokens"),
        (TABLE, 2000, 32, "no vector for positions from 32 on"),
        (Limits(64, None, None), 2000, 64, "reads at most 64 tokens"),
    ],
)
def test_the_first_limit_that_is_met_counts(hooked, limits, n_story, length, words):
    found, notes = length_of(hooked.info, limits, 128, n_story)
    assert found == length
    assert len(notes) == (words is not None)
    assert words is None or words in notes[0]


def test_a_large_model_reads_as_much_as_takes_some_seconds(hooked):
    large = replace(hooked.info, n_parameters=10**9)
    length, (note,) = length_of(large, FREE, 4096, None)
    assert 2 * large.n_parameters * length <= MAX_WORK < 2 * large.n_parameters * (length + 1)
    assert f"More than {length:,} tokens" in note


def test_rotations_are_stretched_by_how_much_longer_the_text_is():
    scalings, notes = scalings_of(("as_trained", "linear", "yarn"), FREE, 256, 64)
    assert scalings == [None, RopeScaling("linear", 4.0, 64), RopeScaling("yarn", 4.0, 64)]
    assert notes == []


def test_a_text_within_the_trained_length_is_not_stretched():
    assert scalings_of(("as_trained", "linear"), FREE, 64, 64) == (
        [None],
        ["A text within the trained length needs no stretching."],
    )
    assert scalings_of(("as_trained",), FREE, 64, 64) == ([None], [])


def test_what_cannot_be_stretched_is_read_once_as_it_is():
    scalings, (note,) = scalings_of(("linear", "yarn"), TABLE, 32, 16)
    assert scalings == [None]
    assert "no rotation" in note
    stretched_already = TABLE._replace(n_vectors=None, longest=None)
    assert scalings_of(("linear",), stretched_already, 32, 16)[0] == []
    assert scalings_of(("as_trained",), stretched_already, 32, 16) == ([None], [])


def test_a_length_that_nobody_named_is_said_to_stand_in(hooked):
    assert unknown_length(hooked.info, 512) == []
    (note,) = unknown_length(replace(hooked.info, context_size=None), 512)
    assert "512 stands in for it" in note
