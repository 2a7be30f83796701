import numpy as np
import pytest
import torch

from benchmarks.tiny_models import build, tiny_tokenizer
from model_hooks import HookedModel

IDS = [1, 5, 9, 2, 7, 3]


@pytest.fixture(params=["mixtral", "qwen3_moe"])
def mixture(request):
    return HookedModel.wrap(build(request.param), tiny_tokenizer(), request.param)


def test_scores_are_the_router_logits_that_transformers_returns(mixture):
    routing = mixture.routing(mixture.trace(IDS))
    with torch.no_grad():
        own = mixture.model(torch.tensor([IDS]), output_router_logits=True).router_logits
    found = [layer for layer in routing if layer is not None]
    assert len(found) == len(own)
    for layer, logits in zip(found, own, strict=True):
        np.testing.assert_allclose(layer.scores, logits.numpy(), atol=1e-5)


def test_chosen_experts_have_the_highest_scores_and_so_many_as_the_config_says(mixture):
    for layer in mixture.routing(mixture.trace(IDS)):
        n_chosen = mixture.model.config.num_experts_per_tok
        highest = np.sort(np.argsort(-layer.scores, axis=1)[:, :n_chosen], axis=1)
        np.testing.assert_array_equal(np.sort(layer.chosen, axis=1), highest)
        assert (np.diff(layer.chosen_weights, axis=1) <= 0).all()


def test_weights_are_the_softmax_of_the_chosen_scores_in_mixtral():
    mixture = HookedModel.wrap(build("mixtral"), tiny_tokenizer(), "mixtral")
    for layer in mixture.routing(mixture.trace(IDS)):
        scores = torch.tensor(np.take_along_axis(layer.scores, layer.chosen, axis=1))
        np.testing.assert_allclose(layer.chosen_weights, scores.softmax(-1).numpy(), atol=1e-5)
        assert np.isfinite(layer.weights).sum() == layer.chosen.size


def test_a_model_without_experts_has_no_routing(hooked, trace):
    assert set(hooked.routing(trace)) == {None}


def test_listening_leaves_no_hook_behind(mixture):
    def hooks():
        return sum(len(module._forward_hooks) for module in mixture.model.modules())

    before = hooks()
    mixture.routing(mixture.trace(IDS))
    assert hooks() == before
