"""The answer names what this model does about positions, and where that was learned from."""

from functools import cache

import pytest

from model_hooks import HookedModel
from model_hooks.read.positions import positions_of
from pages.positions.answer import answer, how_found
from tests.tiny_models import build, tiny_tokenizer


@cache
def hooked(family: str) -> HookedModel:
    return HookedModel.wrap(build(family), tiny_tokenizer(), family)


@pytest.mark.parametrize(
    ("family", "words"),
    [
        ("llama", "all 16 numbers of a head take part, number j forms a pair with number j + 8"),
        ("gptj", "8 of the 16 numbers of a head take part, neighbours form a pair"),
        ("smollm3", "2 of its layers go without** (1, 3)"),
        ("gpt2", "(learned absolute positions). They are learned in training. There are 128"),
        ("xglm", "They are made of sines and cosines."),
        ("bloom", "lowers the score of a key by its distance"),
        ("jamba", "tells its attention nothing about positions**. Its other layers"),
    ],
)
def test_each_way_to_know_an_order_has_its_words(family, words):
    model = hooked(family)
    assert words in answer(model.info, positions_of(model))


def test_names_of_models_are_no_markdown():
    model = HookedModel.wrap(build("gpt2"), tiny_tokenizer(), "a*b*")
    assert answer(model.info, positions_of(model)).startswith(r"**a\*b\*** ")


@pytest.mark.parametrize(
    ("family", "words"),
    [
        ("llama", "The rotation found reproduces"),
        ("gpt2", "The vectors are the rows of `transformer.wpe`."),
        ("bloom", "and a text that repeats one token."),
    ],
)
def test_it_says_what_was_tried(family, words):
    assert words in how_found(positions_of(hooked(family)))
