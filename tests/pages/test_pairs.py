"""Every page that compares draws both runs: of one model, of two, and of models that do not fit."""

import pytest

from model_hooks import HookedModel
from pages.state.view import Selection
from tests.conftest import tiny_gpt2, tiny_llama, with_random_weights
from tests.pages.charts import numbers
from tests.pages.pairs import charts_of, opened_with, said
from tests.tiny_models import build, tiny_tokenizer

OTHER = "the dog sat on the mat"
TABS = {
    "feedforward": ("feedforward__tab", ("neurons", "activation", "off")),
    "forward_pass": (
        "forward_pass__stage",
        ("tokenizer", "embedding", "blocks", "lm_head", "choice"),
    ),
    "block_architecture": (
        "block_architecture__tab",
        ("whole", "place", "kind", "activation", "twins"),
    ),
}


@pytest.fixture(scope="module")
def hooked(tokenizer) -> HookedModel:
    """One family is enough for a page."""
    return HookedModel.wrap(with_random_weights(tiny_llama), tokenizer, "tiny")


@pytest.mark.slow
@pytest.mark.parametrize("page", [*TABS])
def test_each_tab_is_drawn_of_both(tiny_session, page):
    field, tabs = TABS[page]
    for tab in tabs:
        pinned = Selection(prompt=OTHER, written=(3,))
        app = opened_with(page, pinned, layer=1, **{field: tab})
        assert not app.exception
        assert not app.error
        assert "A, pinned" in said(app)


@pytest.mark.parametrize(
    "page",
    [
        *("layers", "generation", "forward_pass"),
        pytest.param("feedforward", marks=pytest.mark.slow),
        pytest.param("block_architecture", marks=pytest.mark.slow),
    ],
)
def test_models_that_do_not_fit_are_drawn_with_one_sentence(open_with, hooked, page):
    stranger = HookedModel.wrap(build("gpt2", n_head=1, n_layer=1), tiny_tokenizer(), "gpt2")
    open_with(lambda name: stranger if name == "other" else hooked)
    app = opened_with(page, Selection(model="other", prompt="w1 w2 w3"), layer=1, head=1)
    assert not app.exception
    assert not app.error
    assert "A, pinned" in said(app)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["layers", "attention", "lm_head", "generation", *TABS])
def test_a_short_prompt_beside_a_long_one(tiny_session, hooked, page):
    long = " ".join(["the cat sat on"] * (hooked.info.context_size // 4 - 1))
    for pinned, prompt in ((Selection(prompt=long), "the cat"), (Selection(prompt="the"), long)):
        app = opened_with(page, pinned, prompt=prompt)
        assert not app.exception
        assert not app.error


def test_the_feedforwards_of_a_run_against_itself_are_nothing_apart(tiny_session):
    app = opened_with("feedforward", Selection(prompt=OTHER), prompt=OTHER)
    assert not app.exception
    drawn = charts_of(app)
    assert not numbers(drawn["inlook-feedforward-difference"].figure["data"][0]["z"]).any()
    bars = drawn["inlook-feedforward-neurons-difference"].figure["data"][0]
    assert not numbers(bars["x"]).any()


def test_two_families_differ_in_their_blocks(open_with, hooked, tokenizer):
    gpt2 = HookedModel.wrap(with_random_weights(tiny_gpt2), tokenizer, "gpt2")
    open_with(lambda name: gpt2 if name == "other" else hooked)
    app = opened_with("block_architecture", Selection(model="other", prompt=OTHER))
    assert not app.exception
    assert "The blocks differ in" in said(app)
    same = opened_with("block_architecture", Selection(prompt=OTHER))
    assert "Both blocks make the same choices" in said(same)
