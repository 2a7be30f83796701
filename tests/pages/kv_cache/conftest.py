"""What the tests of this page begin with."""

import copy

import pytest

from model_hooks import HookedModel
from tests.pages.kv_cache.looking import WORDS
from tests.tiny_models import build, tiny_tokenizer


@pytest.fixture
def hooked(tokenizer, tiny_model):
    """One family is enough here: others are the hooked model's matter."""
    return HookedModel.wrap(copy.deepcopy(tiny_model), tokenizer, "tiny")


@pytest.fixture
def open_family(open_page, open_with):
    """Return a function that opens the page on a tiny model of another type."""

    def open_family(model_type, **link):
        model = HookedModel.wrap(build(model_type), tiny_tokenizer(), model_type)
        open_with(lambda name: model)
        return open_page("kv_cache", prompt=WORDS, **link)

    return open_family
