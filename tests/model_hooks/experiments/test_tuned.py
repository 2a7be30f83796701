"""What fine-tuning changed is measured exactly, and can be had in any share."""

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

from model_hooks import HookedModel, NotSiblingsError, at_scale, load_model, weight_changes
from model_hooks.experiments.tuned import weights_at
from model_hooks.opening.names import without_adapter
from tests.conftest import tiny_gpt2, tiny_llama, with_random_weights
from tests.tiny_models import build, tiny_tokenizer

TEXT = "the cat sat on the mat"


def wrapped(make, tokenizer, change=None, name="tiny"):
    model = with_random_weights(make)
    if change is not None:
        with torch.no_grad():
            change(model)
    return HookedModel.wrap(model, tokenizer, name)


def nudged(model):
    """Move two matrices, one of them by its own size."""
    model.model.layers[1].mlp.up_proj.weight.mul_(2)
    noise = torch.randn(model.lm_head.weight.shape, generator=torch.Generator().manual_seed(1))
    model.lm_head.weight.add_(noise)


@pytest.fixture(scope="module")
def base(tokenizer):
    return wrapped(tiny_llama, tokenizer)


@pytest.fixture(scope="module")
def tuned(tokenizer):
    return wrapped(tiny_llama, tokenizer, nudged, "tuned")


def same_bits(one, other):
    assert one.keys() == other.keys()
    return all(one[name].numpy().tobytes() == other[name].numpy().tobytes() for name in one)


def test_a_change_is_the_frobenius_norm_of_the_difference_over_that_of_the_base(base, tuned):
    found = {one.name: one for one in weight_changes(base, tuned)}
    moved = {name for name, one in found.items() if one.relative}
    assert moved == {"model.layers.1.mlp.up_proj.weight", "lm_head.weight"}
    up = found["model.layers.1.mlp.up_proj.weight"]
    assert up.relative == pytest.approx(1.0)
    assert (up.layer, up.part) == (1, "model.layers.*.mlp.up_proj.weight")
    before = base.model.lm_head.weight.detach().numpy()
    after = tuned.model.lm_head.weight.detach().numpy()
    expected = np.linalg.norm(after - before) / np.linalg.norm(before)
    assert found["lm_head.weight"].relative == pytest.approx(expected, rel=1e-6)
    assert found["lm_head.weight"].layer is None
    assert [one.name for one in found.values()] == [n for n, _ in base.model.named_parameters()]


def test_a_model_against_itself_has_not_changed(base):
    assert {one.relative for one in weight_changes(base, base)} == {0.0}


def test_what_grew_out_of_nothing_has_no_share(tokenizer):
    def with_bias(model):
        model.transformer.h[0].mlp.c_fc.bias.fill_(1)

    found = weight_changes(wrapped(tiny_gpt2, tokenizer), wrapped(tiny_gpt2, tokenizer, with_bias))
    (grown,) = [one for one in found if one.relative != 0.0]
    assert (grown.relative, grown.part) == (None, "transformer.h.*.mlp.c_fc.bias")


def test_at_the_ends_stand_the_two_models_themselves(base, tuned):
    for scale, model in ((0, base), (1, tuned), (0.0, base), (np.float32(1), tuned)):
        assert same_bits(weights_at(base, tuned, scale), model.model.state_dict())
        made = at_scale(base, tuned, scale)
        assert same_bits(made.model.state_dict(), model.model.state_dict())
        np.testing.assert_array_equal(made.trace(TEXT).last_logits, model.trace(TEXT).last_logits)


@pytest.mark.parametrize("scale", [0.5, 2])
def test_in_between_and_beyond_a_share_of_the_difference_is_added(base, tuned, scale):
    found = weights_at(base, tuned, scale)
    for name, before in base.model.state_dict().items():
        after = tuned.model.state_dict()[name]
        expected = before.double() + scale * (after.double() - before.double())
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-6)
    changes = weight_changes(base, at_scale(base, tuned, scale))
    whole = weight_changes(base, tuned)
    for one, other in zip(changes, whole, strict=True):
        assert one.relative == pytest.approx(scale * (other.relative or 0), rel=1e-4)


def test_the_models_themselves_stay_as_they_are(base, tuned):
    before = {name: one.clone() for name, one in base.model.state_dict().items()}
    made = at_scale(base, tuned, 0)
    with torch.no_grad():
        made.model.lm_head.weight.zero_()
    assert same_bits(before, base.model.state_dict())


@pytest.mark.parametrize(
    "family",
    ["gpt2", *(pytest.param(name, marks=pytest.mark.slow) for name in ("gemma2", "mixtral"))],
)
@pytest.mark.filterwarnings("ignore")  # transformers warns about its own internals
def test_other_families_can_be_scaled_too(family):
    base = HookedModel.wrap(build(family), tiny_tokenizer(), family)
    other = build(family)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.01)
    tuned = HookedModel.wrap(other, tiny_tokenizer(), "tuned")
    made, ids = at_scale(base, tuned, 1), list(range(10, 20))
    np.testing.assert_array_equal(made.trace(ids).last_logits, tuned.trace(ids).last_logits)


def test_models_of_other_architectures_are_refused(base, tokenizer):
    with pytest.raises(NotSiblingsError, match="only one of them has"):
        weight_changes(base, wrapped(tiny_gpt2, tokenizer))

    def wider():
        model = tiny_llama()
        model.resize_token_embeddings(9)
        return model

    with pytest.raises(NotSiblingsError, match=r"shape 7 x 16 in one and 9 x 16"):
        at_scale(base, wrapped(wider, tokenizer), 1)


def test_the_same_weights_in_another_design_are_refused(base, tokenizer):
    def with_relu():
        model = tiny_llama()
        return type(model)(type(model.config)(**{**model.config.to_dict(), "hidden_act": "relu"}))

    with pytest.raises(NotSiblingsError, match="activation is silu in one and relu"):
        weight_changes(base, wrapped(with_relu, tokenizer))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of peft's own
def test_an_adapter_has_changed_what_it_sits_on(tmp_path, tokenizer):
    model = with_random_weights(tiny_llama)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    settings = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    adapted = get_peft_model(model, settings)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.1)
    adapted.save_pretrained(tmp_path)
    with_it, without = load_model(str(tmp_path)), load_model(without_adapter(str(tmp_path)))
    moved = [one.part for one in weight_changes(without, with_it) if one.relative]
    assert moved == ["model.layers.*.self_attn.q_proj.weight"] * 2


@pytest.mark.parametrize("scale", [-0.1, 2.1, float("nan"), None, "1", True])
def test_a_scale_out_of_range_is_refused(base, tuned, scale):
    with pytest.raises(NotSiblingsError, match="from 0 to 2"):
        weights_at(base, tuned, scale)
