"""What is said of a pattern is true of it, of the text and of the model."""

from dataclasses import replace

import pytest

from model_hooks import AttentionPattern
from pages.efficient_attention.patterns import first_window, layers_in_words, name_of, notes_on


@pytest.mark.parametrize(
    ("layers", "words"),
    [((3,), "layer 3"), ((0, 2), "layers 0 and 2"), ((0, 1, 4), "layers 0, 1 and 4")],
)
def test_layers_are_listed(layers, words):
    assert layers_in_words(layers) == words


def test_a_pattern_is_named_with_the_sizes_and_layers_it_has():
    assert name_of(AttentionPattern("window_first", 4, 2)) == "a window of 4 and the first 2"
    assert name_of(AttentionPattern("strided", 4, stride=3)) == "a window of 4 and every 3. before"
    assert name_of(AttentionPattern("block", 4, layers=(1,))) == "blocks of 4 in layer 1"


def test_a_window_as_long_as_the_text_takes_nothing_away(hooked):
    for window, n_notes in ((6, 1), (5, 0)):
        notes = notes_on(AttentionPattern("window", window), hooked.info, 6)
        assert len(notes) == n_notes
    assert (
        "A block of 6 holds the whole text"
        in notes_on(AttentionPattern("block", 6), hooked.info, 6)[0]
    )
    assert notes_on(AttentionPattern("strided", 6, stride=2), hooked.info, 6) == []


def test_windows_and_missing_attention_of_the_model_are_named(hooked):
    windows = replace(hooked.info, sliding_window=(8, None))
    (note,) = notes_on(AttentionPattern("full"), windows, 6)
    assert "a sliding window of 8 tokens in 1 of its 2 layers" in note
    hybrid = replace(hooked.info, attention_layers=(1,))
    (note,) = notes_on(AttentionPattern("full"), hybrid, 6)
    assert note.startswith("Layer 0 has no attention: it carries")


def test_the_first_window_ends_just_after_what_is_copied():
    n_tokens, copied = 13, 3
    window = first_window(n_tokens, copied)
    last_query = n_tokens - 1
    assert last_query - window == copied  # of this window, the first that is not read
    assert first_window(n_tokens, None) == 4
    assert first_window(1, 0) == 1
