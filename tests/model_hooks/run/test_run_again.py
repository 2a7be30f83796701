"""Whatever runs a trace's text once more runs it as it ran."""

import numpy as np
import pytest
import torch

from model_hooks import (
    AblateAttention,
    AblateHead,
    AblateMLP,
    HookedModel,
    Knockout,
    LayerError,
)
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

PROMPT = "the cat sat on the mat"
CHANGES = [AblateHead(0, 1), Knockout(4, 2)]


def test_it_gives_the_same_numbers_again(hooked):
    trace = hooked.trace(PROMPT, CHANGES)
    again = hooked.run_again(trace)
    assert again.interventions == trace.interventions
    np.testing.assert_array_equal(again.last_logits, trace.last_logits)
    np.testing.assert_array_equal(again.attention(1), trace.attention(1))


def test_a_beginning_knows_nothing_of_what_comes_later(hooked):
    trace = hooked.trace(PROMPT, CHANGES)
    beginning = hooked.run_again(trace, stop=4)  # before the position that is cut off
    assert len(beginning) == 4
    np.testing.assert_allclose(beginning.layer_output(1), trace.layer_output(1)[:4], atol=1e-5)


def test_more_can_be_changed_on_top(hooked):
    trace = hooked.trace(PROMPT, CHANGES)
    both = hooked.run_again(trace, also=[AblateMLP(1)])
    assert both.interventions == (*CHANGES, AblateMLP(1))
    expected = hooked.trace(PROMPT, [*CHANGES, AblateMLP(1)]).last_logits
    np.testing.assert_array_equal(both.last_logits, expected)


def test_the_trace_of_a_written_text_knows_what_was_changed(hooked):
    generation = hooked.step(hooked.start(PROMPT, interventions=CHANGES))
    assert generation.trace().interventions == tuple(CHANGES)


@pytest.mark.parametrize("change", [AblateHead(0, 1), AblateAttention(0)], ids=str)
def test_neurons_are_those_of_the_run_with_the_intervention(hooked, change):
    """The truth: the feedforward's own module on what entered it in that run."""
    trace = hooked.trace(PROMPT, [change])
    neurons = hooked.neurons(trace, 1)
    block = hooked.anatomy.blocks[1].module
    norm = getattr(block, "ln_2", None) or block.post_attention_layernorm
    with torch.no_grad():
        entered = norm(torch.tensor(trace.layers[1].resid_mid))
        if hooked.info.gated_mlp:
            gate = torch.nn.functional.silu(block.mlp.gate_proj(entered))
            expected = gate * block.mlp.up_proj(entered)
        else:
            expected = block.mlp.act(block.mlp.c_fc(entered))
    np.testing.assert_allclose(neurons.activation, expected.numpy(), atol=1e-4)
    plain = hooked.neurons(hooked.trace(PROMPT), 1)
    assert np.abs(neurons.activation - plain.activation).max() > 1e-3


def test_neurons_of_a_feedforward_that_is_off_are_still_seen(hooked):
    plain = hooked.trace(PROMPT)
    off = hooked.neurons(hooked.trace(PROMPT, [AblateMLP(1)]), 1)
    np.testing.assert_allclose(off.activation, hooked.neurons(plain, 1).activation, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_routers_choose_in_the_run_with_the_intervention():
    model = HookedModel.wrap(build("mixtral"), tiny_tokenizer(), "mixtral")
    ids = tiny_prompt(10)
    trace = model.trace(ids, [AblateAttention(1)])
    routing = model.routing(trace)[1]
    block = model.anatomy.blocks[1].module
    with torch.no_grad():
        entered = block.post_attention_layernorm(torch.tensor(trace.layers[1].resid_mid))
        scores = entered @ block.mlp.gate.weight.T
    scores = torch.softmax(scores, -1) if np.all(routing.scores >= 0) else scores
    np.testing.assert_allclose(routing.scores, scores.numpy(), atol=1e-4)
    assert np.abs(model.routing(model.trace(ids))[1].scores - routing.scores).max() > 1e-3


def test_a_run_that_is_stopped_for_its_neurons_leaves_nothing_behind(hooked):
    before = hooked.trace(PROMPT).last_logits
    hooked.neurons(hooked.trace(PROMPT, [AblateHead(0, 1)]), 0)
    np.testing.assert_array_equal(hooked.trace(PROMPT).last_logits, before)
    with pytest.raises(LayerError):
        hooked.neurons(hooked.trace(PROMPT), 9)
    np.testing.assert_array_equal(hooked.trace(PROMPT).last_logits, before)
