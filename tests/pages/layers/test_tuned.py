"""The Layers page of a model and its fine-tuned copy: what moved, and what a share of it does."""

import pytest
import torch

from model_hooks import HookedModel
from model_hooks.experiments.tuned import WeightChange
from pages.layers.tuned import in_words
from pages.state.view import Selection
from tests.conftest import tiny_gpt2, tiny_llama, with_random_weights
from tests.pages.charts import numbers
from tests.pages.conftest import PROMPT
from tests.pages.pairs import charts_of, opened_with, said


@pytest.fixture
def pair(open_with, tokenizer):
    """Three names: a base, what became of it, and another kind of model."""
    models = {name: with_random_weights(tiny_llama) for name in ("base", "tuned")}
    with torch.no_grad():
        models["tuned"].model.layers[1].mlp.up_proj.weight.mul_(3)
    models["other"] = with_random_weights(tiny_gpt2)
    hooked = {name: HookedModel.wrap(one, tokenizer, name) for name, one in models.items()}
    open_with(lambda name: hooked.get(name, hooked["tuned"]))


def test_what_moved_and_what_a_share_of_it_does(pair):
    app = opened_with("layers", Selection(model="base", prompt=PROMPT), model="tuned")
    assert not app.exception
    drawn = charts_of(app)
    changes = numbers(drawn["inlook-layers-changes"].figure["data"][0]["z"])
    assert (changes > 0).sum() == 1
    assert changes[changes > 0][0] == pytest.approx(2.0)
    assert "layers.1.mlp.up_proj.weight" in said(app)
    assert "With **1** of the change" in said(app)
    kl = drawn["inlook-layers-share-kl"].figure["data"][0]["y"]
    assert numbers(kl).max() > 0
    app = opened_with(
        "layers", Selection(model="base", prompt=PROMPT), model="tuned", layers__share=0
    )
    assert not app.exception
    at_base = charts_of(app)["inlook-layers-share-kl"].figure["data"][0]["y"]
    assert not numbers(at_base).any()
    assert "in A it leads, too" in said(app)


def test_models_trained_apart_are_called_so():
    def moved(relative):
        return [WeightChange("a.0.b", 0, "a.*.b", (2, 2), relative)] * 3

    assert "on their own" in in_words(moved(1.41), "A", "B")
    assert "on their own" not in in_words(moved(0.1), "A", "B")
    assert "none moved" in in_words(moved(0.0), "A", "B")


@pytest.mark.parametrize("model", ["base", "other"])
def test_other_pairs_have_no_such_part(pair, model):
    app = opened_with("layers", Selection(model="base", prompt=PROMPT), model=model)
    assert not app.exception
    assert "inlook-layers-changes" not in charts_of(app)
