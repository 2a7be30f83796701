"""Explanations quote the facts of the block, by numbers worked out here."""

from dataclasses import replace
from typing import get_args

import pytest

from model_hooks.host import Run
from model_hooks.parts.differences import Difference, Topic
from model_hooks.parts.facts import ORIGINAL_2017
from pages.block_architecture.explanations import EXPLANATIONS, WRITTEN, explain
from pages.block_architecture.scene import Scene
from tests.pages.block_architecture.test_picture import MODERN


@pytest.fixture
def scene(hooked):
    info = replace(hooked.info, d_model=512, sliding_window=(128, None))
    return Scene(Run("tiny", (1, 2)), info, MODERN, 1, "cat")


def said(topic, scene):
    return explain(Difference(topic, "then", "now"), scene)


def test_every_topic_has_a_name_and_an_explanation():
    assert set(WRITTEN) == set(EXPLANATIONS) == set(get_args(Topic))


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ("attention", "8 query heads share 2 sets: 4 heads ask"),
        ("attention", "only **256 numbers** per token and layer instead of 1,024: 4 times less"),
        ("window", "the last **128** tokens (itself included); 1 of 2 layers"),
        ("query and key norm", "RMSNorm brings both to a fixed size (1 norm in this layer)"),
        ("gate", "Each expert has 3 x 512 x 1,024 = **1,572,864 weights**"),
        ("gate", "as many would have made 1,536 neurons of 1,024"),
        ("experts", "sends each token to 2 of them. So a token uses only **25.0%**"),
        ("activation", "SwiGLU bends smoothly"),
        ("positions", "turned by an angle that grows with its position"),
        ("biases", "had 3,584 such numbers"),
    ],
)
def test_numbers_are_those_of_the_block(scene, topic, words):
    assert words in said(topic, scene)


def test_what_a_block_lacks_changes_what_is_said(scene):
    no_mixer = scene._replace(facts=replace(MODERN, attention=None, mixer=None))
    assert "no token sees another one here" in said("mixing", no_mixer)
    mamba = scene._replace(facts=replace(MODERN, attention=None, mixer="Mamba"))
    assert "`Mamba` carries information" in said("mixing", mamba)
    unnormed = scene._replace(facts=replace(MODERN, norms=()))
    assert "no norm was found" in said("norm place", unnormed)
    shared = replace(MODERN.feedforward, shared_expert=True, experts_per_token=None)
    some = scene._replace(facts=replace(MODERN, feedforward=shared))
    assert said("experts", some).endswith("One more expert runs for every token.")
    fewer = scene._replace(facts=replace(MODERN, n_biases=0))
    assert "more stable without them" in said("biases", fewer)
    as_many = scene._replace(facts=replace(MODERN, n_biases=ORIGINAL_2017.n_biases))
    assert "more stable without them" not in said("biases", as_many)
    odd = scene._replace(facts=replace(MODERN, position="waves"))
    assert "in another way (waves)" in said("positions", odd)
