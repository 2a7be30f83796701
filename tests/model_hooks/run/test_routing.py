import numpy as np
import pytest
import torch

from model_hooks import HookedModel
from model_hooks.parts.experts import Router
from model_hooks.run.routing import Heard
from tests.tiny_models import build, tiny_tokenizer

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


def test_chosen_experts_by_their_weights_add_up_to_what_the_layer_adds():
    mixture = HookedModel.wrap(build("mixtral"), tiny_tokenizer(), "mixtral")
    trace = mixture.trace(IDS)
    block, routing = mixture.model.model.layers[1], mixture.routing(trace)[1]
    experts, pos = block.mlp.experts, 4
    with torch.no_grad():
        hidden = block.post_attention_layernorm(torch.tensor(trace.layers[1].resid_mid[pos]))
        total = 0
        for expert, weight in zip(routing.chosen[pos], routing.chosen_weights[pos], strict=True):
            gate, up = (experts.gate_up_proj[expert] @ hidden).chunk(2)
            total += (
                float(weight) * experts.down_proj[expert] @ (torch.nn.functional.silu(gate) * up)
            )
    np.testing.assert_allclose(total.numpy(), trace.layers[1].mlp_out[pos], atol=1e-4)


@pytest.mark.parametrize(("family", "has_choice"), [("deepseek_v3", True), ("dbrx", False)])
def test_routers_of_other_families_are_read_as_far_as_they_tell(family, has_choice):
    mixture = HookedModel.wrap(build(family), tiny_tokenizer(), family)
    found = [layer for layer in mixture.routing(mixture.trace(IDS)) if layer is not None]
    assert found
    for layer in found:
        assert np.isfinite(layer.scores).all()
        assert (layer.chosen is not None) == has_choice
        assert layer.weights is None or (layer.weights.shape == layer.scores.shape)


def test_a_weight_for_every_expert_is_read_as_the_choice_of_those_above_zero():
    class Llama4Like(torch.nn.Module):
        def forward(self):
            return torch.tensor([[0.0, 0.9, 0.0], [0.3, 0.0, 0.0]]), torch.ones(2, 3)

    router = Llama4Like()
    heard = Heard((Router(router, "router", 1),), {router: [router()]})
    [routing] = heard.routing()
    assert routing.chosen.tolist() == [[1], [0]]
    np.testing.assert_allclose(routing.chosen_weights, [[0.9], [0.3]])
    assert np.isnan(routing.weights[0, 0])


def test_a_router_that_never_ran_or_gave_nothing_is_none():
    router = torch.nn.Identity()
    assert Heard((Router(router, "router", 0), None)).routing() == (None, None)
    assert Heard((Router(router, "router", 2),), {router: [torch.ones(2, 3)]}).routing() == (None,)
