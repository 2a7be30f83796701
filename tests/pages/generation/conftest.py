"""What the tests of this page begin with."""

import copy

import pytest

from model_hooks import HookedModel


@pytest.fixture
def hooked(tokenizer, tiny_model):
    """One family is enough here: others are the hooked model's matter."""
    return HookedModel.wrap(copy.deepcopy(tiny_model), tokenizer, "tiny")
