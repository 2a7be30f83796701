"""The boxes of the picture say what the facts of a block say, and mark what differs."""

from dataclasses import replace

import pytest

from model_hooks.parts.differences import differences
from model_hooks.parts.facts import ORIGINAL_2017, AttentionFacts, FeedforwardFacts, NormFacts
from pages.block_architecture.blocks import other_blocks, table_of
from pages.block_architecture.picture import pieces_of

GROUPED = AttentionFacts("grouped-query", 8, 2, 64, 128, False, "attn")
MODERN = replace(
    ORIGINAL_2017,
    wiring="sequential",
    norms=(
        NormFacts("before attention", "RMSNorm", "a"),
        NormFacts("on queries and keys", "RMSNorm", "q"),
        NormFacts("before feedforward", "RMSNorm", "b"),
    ),
    attention=GROUPED,
    feedforward=FeedforwardFacts("silu", True, 1024, False, 8, 2, False),
    position="rope",
)


def numbers_of(facts):
    return {of.topic: number for number, of in enumerate(differences(facts), 1)}


def test_block_of_2017_has_its_own_boxes_and_no_mark():
    pieces = pieces_of(ORIGINAL_2017, 512, numbers_of(ORIGINAL_2017))
    assert pieces.mixer.title == "Multi-head attention"
    assert pieces.mixer.detail == "8 heads"
    assert pieces.feedforward.detail == "512 → 2,048 → 512"
    assert {norm.title for norm in pieces.norms.values()} == {"LayerNorm"}
    assert "sinusoidal positions were added once" in pieces.enters
    marked = [pieces.mixer, pieces.feedforward, *pieces.norms.values()]
    assert not any(piece.marks for piece in marked)


def test_every_difference_is_marked_somewhere_once_or_more():
    numbers = numbers_of(MODERN)
    pieces = pieces_of(MODERN, 512, numbers)
    boxes = [pieces.mixer, pieces.feedforward, *pieces.norms.values()]
    marked = {mark for piece in boxes for mark in piece.marks}
    assert marked | set(pieces.marks) | set(pieces.enters_marks) == set(numbers.values())
    lines = pieces.mixer.detail.split("<br>")
    assert lines == [
        "8 query heads share 2 KV heads",
        "the last 128 tokens",
        "queries and keys normalised",
        "rotary positions",
    ]
    assert pieces.feedforward.detail == "512 → 1,024 → 512, 2 of 8 experts per token, with a gate"
    assert pieces.enters == ""


def test_boxes_side_by_side_are_narrow():
    pieces = pieces_of(replace(MODERN, wiring="parallel"), 512)
    assert pieces.mixer.title == "Grouped-query<br>attention"
    assert "8 heads, 2 KV heads" in pieces.mixer.detail
    assert ", " not in pieces.feedforward.detail.replace("1,024", "")


def test_a_block_without_attention_says_what_mixes_instead():
    numbers = {"mixing": 1, "biases": 2}
    recurrent = replace(MODERN, attention=None, mixer="Mamba")
    assert pieces_of(recurrent, 512, numbers).mixer.title == "Mamba"
    assert pieces_of(recurrent, 512, numbers).mixer.marks == (1,)
    alone = replace(MODERN, attention=None, mixer=None)
    assert pieces_of(alone, 512, numbers).mixer is None
    no_feedforward = pieces_of(replace(MODERN, feedforward=None), 512, numbers)
    assert no_feedforward.feedforward is None
    assert no_feedforward.mixer.marks == (2,)


@pytest.mark.parametrize(
    ("others", "sentence"),
    [
        ((MODERN, MODERN), "All 2 blocks are built like this."),
        ((MODERN, ORIGINAL_2017), "1 of 2 blocks are built like this one; 1 is not"),
        ((MODERN, ORIGINAL_2017, ORIGINAL_2017), "1 of 3 blocks are built like this one; 2 are"),
    ],
)
def test_blocks_are_alike_whatever_their_number_and_paths(others, sentence):
    numbered = tuple(replace(facts, layer=i, path=f"h.{i}") for i, facts in enumerate(others))
    assert other_blocks(numbered, numbered[0]).startswith(sentence)


def test_file_lists_each_difference_with_both_choices():
    table = table_of(differences(MODERN), MODERN, "tiny")
    assert set(table["model"]) == {"tiny"}
    row = table[table["what"] == "Heads"].iloc[0]
    assert (row["2017"], row["this block"]) == ("multi-head attention", "grouped-query attention")
