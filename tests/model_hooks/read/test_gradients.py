"""Gradients of the residual stream, against finite differences and plain backpropagation."""

import threading

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from model_hooks import AblateMLP, HookedModel, LayerError, ModelTooLargeError, PromptError
from model_hooks.parts.probing import calls_of
from model_hooks.read.gradients import stream_gradients, untrained, untrained_gradients
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about its own internals
PROMPT = tiny_prompt(10)


@pytest.fixture(scope="module")
def model() -> HookedModel:
    return HookedModel.wrap(build("llama"), tiny_tokenizer(), "llama")


def test_gradients_are_those_of_plain_backpropagation(model):
    found = stream_gradients(model, model.trace(PROMPT))
    plain = build("llama")
    ids = torch.tensor([PROMPT])
    output = plain(input_ids=ids, output_hidden_states=True)
    states = output.hidden_states[:-1]  # the last one is already normalised
    loss = F.cross_entropy(output.logits[0, :-1], ids[0, 1:])
    gradients = torch.autograd.grad(loss, states)
    assert found.loss == pytest.approx(loss.item(), rel=1e-5)
    for point, (state, gradient) in enumerate(zip(states, gradients, strict=True)):
        np.testing.assert_allclose(
            found.gradient_sizes[point], gradient[0].norm(dim=-1).numpy(), rtol=1e-4, atol=1e-9
        )
        np.testing.assert_allclose(
            found.sizes[point], state[0].detach().norm(dim=-1).numpy(), rtol=1e-5
        )
    assert found.gradient_sizes.shape == (model.info.n_layers + 1, len(PROMPT))


def test_the_last_token_has_no_gradient_because_nothing_follows_it(model):
    found = stream_gradients(model, model.trace(PROMPT))
    assert (found.gradient_sizes[:, -1] == 0).all()
    assert (found.gradient_sizes[:, :-1] > 0).all()


def test_nothing_is_left_behind(model):
    before = model.trace(PROMPT).last_logits
    stream_gradients(model, model.trace(PROMPT))
    assert all(parameter.grad is None for parameter in model.model.parameters())
    trace = model.trace(PROMPT)
    np.testing.assert_array_equal(trace.last_logits, before)
    assert not any(
        module._forward_pre_hooks
        for module in model.model.modules()
        if module is model.anatomy.lm_head
    )
    n_hooks = [len(block.module._forward_pre_hooks) for block in model.anatomy.blocks]
    assert n_hooks == [n_hooks[0]] * len(n_hooks)


def test_works_inside_inference_mode(model):
    with torch.inference_mode():
        found = stream_gradients(model, model.trace(PROMPT))
    assert found.gradient_sizes.max() > 0


def test_another_threads_run_is_neither_noted_nor_changed(model):
    block = model.anatomy.blocks[0].module
    other = tiny_prompt(5, seed=1)
    truth = model.trace(other).last_logits
    results = []
    with calls_of([block]) as calls:
        thread = threading.Thread(target=lambda: results.append(model.trace(other).last_logits))
        thread.start()
        thread.join()
        assert calls[block] == []
        model.trace(PROMPT)
        assert [call.input.shape[1] for call in calls[block]] == [len(PROMPT)]
    np.testing.assert_array_equal(results[0], truth)
    model.trace(PROMPT)
    assert len(calls[block]) == 1


def test_one_token_has_no_loss(model):
    with pytest.raises(PromptError, match="two tokens"):
        stream_gradients(model, model.trace([10]))


def test_untrained_has_the_same_shape_but_other_weights_and_knows_nothing(model):
    state = torch.get_rng_state()
    fresh = untrained(model)
    assert torch.equal(torch.get_rng_state(), state)
    assert fresh.info.n_parameters == model.info.n_parameters
    one, other = model.model.get_input_embeddings(), fresh.model.get_input_embeddings()
    assert not torch.equal(one.weight, other.weight)
    found = stream_gradients(fresh, fresh.trace(PROMPT))
    assert found.loss == pytest.approx(np.log(model.info.vocab_size), rel=0.02)
    again = untrained(model)
    assert torch.equal(again.model.get_input_embeddings().weight, other.weight)


@pytest.mark.parametrize("model_type", ["gpt2", "falcon", "gemma2", "mixtral", "jamba"])
def test_many_families_can_be_followed_back(model_type):
    hooked = HookedModel.wrap(build(model_type), tiny_tokenizer(), model_type)
    found = stream_gradients(hooked, hooked.trace(PROMPT))
    assert np.isfinite(found.gradient_sizes).all()
    assert (found.gradient_sizes[:, :-1].sum(1) > 0).all()


def test_gradients_of_a_run_with_interventions_are_those_of_that_run(model):
    ablated = model.trace(PROMPT, [AblateMLP(1)])
    found = stream_gradients(model, ablated)
    plain = build("llama")
    plain.model.layers[1].mlp.register_forward_hook(lambda *_: torch.zeros(()))
    ids = torch.tensor([PROMPT])
    output = plain(input_ids=ids, output_hidden_states=True)
    loss = F.cross_entropy(output.logits[0, :-1], ids[0, 1:])
    gradients = torch.autograd.grad(loss, output.hidden_states[:-1])
    assert found.loss == pytest.approx(loss.item(), rel=1e-5)
    for point, gradient in enumerate(gradients):
        np.testing.assert_allclose(
            found.gradient_sizes[point], gradient[0].norm(dim=-1).numpy(), rtol=1e-4, atol=1e-9
        )
    assert found.loss != pytest.approx(stream_gradients(model, model.trace(PROMPT)).loss, rel=1e-4)


def test_untrained_gradients_are_those_of_the_untrained_model(model):
    found = untrained_gradients(model, model.trace(PROMPT))
    fresh = untrained(model)
    expected = stream_gradients(fresh, fresh.trace(PROMPT))
    assert found.loss == expected.loss
    np.testing.assert_array_equal(found.gradient_sizes, expected.gradient_sizes)


@pytest.mark.parametrize("kind", [RuntimeError, AttributeError, IndexError, StopIteration])
def test_whatever_fails_on_the_way_back_is_one_sentence(model, monkeypatch, kind):
    trace, cross_entropy = model.trace(PROMPT), F.cross_entropy

    def fails(logits, targets):
        if torch.is_grad_enabled():
            raise kind("something inside")
        return cross_entropy(logits, targets)

    monkeypatch.setattr(F, "cross_entropy", fails)
    with pytest.raises(LayerError, match="cannot be followed back"):
        stream_gradients(model, trace)


def test_want_of_memory_is_not_taken_for_another_reason(model, monkeypatch):
    def fails(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: not enough memory")

    trace = model.trace(PROMPT)
    monkeypatch.setattr(torch.autograd, "grad", fails)
    with pytest.raises(ModelTooLargeError, match="memory does not suffice"):
        stream_gradients(model, trace)


def test_gradients_that_are_no_numbers_are_not_shown(model, monkeypatch):
    trace, grad = model.trace(PROMPT), torch.autograd.grad
    monkeypatch.setattr(
        torch.autograd, "grad", lambda *given: tuple(one * torch.inf for one in grad(*given))
    )
    with pytest.raises(LayerError, match="leave the range of float32"):
        stream_gradients(model, trace)


def test_a_model_that_only_its_own_class_can_build_is_built_untrained():
    trained = HookedModel.wrap(build("emu3"), tiny_tokenizer(), "emu3")
    fresh = untrained(trained)
    assert type(fresh.model) is type(trained.model)
    assert fresh.info.n_parameters == trained.info.n_parameters
