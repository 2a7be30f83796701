"""What every kind of intervention promises, and that a new kind needs nothing but its class."""

import dataclasses
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from model_hooks import (
    AblateAttention,
    AblateHead,
    AblateMLP,
    AttentionPattern,
    HookedModel,
    Intervention,
    InterventionError,
    Knockout,
    ShareKVHeads,
    intervention_kinds,
)
from model_hooks.run.interventions import check_interventions
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about its own internals

PROMPT = "the cat sat on the mat"
ONE_OF_EACH = [
    AblateHead(1, 0),
    AblateAttention(1),
    AblateMLP(0),
    Knockout(4, 2),
    Knockout(4, 2, layer=1, head=0),
    AttentionPattern("window", 2),
    AttentionPattern("strided", 2, stride=3, layers=(0, 1)),
    ShareKVHeads(1),
]


@dataclass(frozen=True)
class ScaleHead(Intervention, name="scale_head"):
    """A kind that exists in this file alone."""

    layer: int
    head: int
    factor: float

    @property
    def acting_layers(self):
        return (self.layer,)

    def effects(self):
        return {"heads": self.scaled}

    def describe(self):
        return f"head {self.head} of layer {self.layer} times {self.factor}"

    def scaled(self, heads):
        factors = torch.ones(heads.shape[2])
        factors[self.head] = self.factor
        return heads * factors[:, None]


def test_a_new_kind_acts_in_every_run_without_being_told_of_anywhere(hooked):
    assert intervention_kinds()["scale_head"] is ScaleHead
    plain, off = hooked.trace(PROMPT), hooked.trace(PROMPT, [AblateHead(1, 0)])
    np.testing.assert_allclose(
        hooked.trace(PROMPT, [ScaleHead(1, 0, 0.0)]).last_logits, off.last_logits, atol=1e-6
    )
    np.testing.assert_allclose(
        hooked.trace(PROMPT, [ScaleHead(1, 0, 1.0)]).last_logits, plain.last_logits, atol=1e-6
    )
    halved = hooked.trace(PROMPT, [ScaleHead(1, 0, 0.5)])
    between = (plain.layers[1].attn_out + off.layers[1].attn_out) / 2  # the projection is linear
    np.testing.assert_allclose(halved.layers[1].attn_out, between, atol=1e-5)
    with pytest.raises(InterventionError, match="no layer 9 to change"):
        hooked.trace(PROMPT, [ScaleHead(9, 0, 0.5)])
    written = hooked.step(hooked.start(PROMPT, interventions=[ScaleHead(1, 0, 0.5)]))
    np.testing.assert_allclose(written.steps[0].logits, halved.last_logits, atol=1e-5)


def test_names_are_unique():
    with pytest.raises(TypeError, match="two interventions"):
        type("Again", (Intervention,), {}, name="scale_head")


def test_every_kind_is_among_the_examples():
    own = {kind for kind in intervention_kinds().values() if kind.__module__.startswith("model_")}
    assert {type(one) for one in ONE_OF_EACH} == own


@pytest.mark.parametrize("intervention", ONE_OF_EACH, ids=str)
def test_a_kind_and_plain_fields_make_it_again(intervention):
    kind = intervention_kinds()[intervention.name]
    fields = {f.name: getattr(intervention, f.name) for f in dataclasses.fields(intervention)}
    again = kind(**fields)
    assert again == intervention
    assert hash(again) == hash(intervention)
    assert pickle.loads(pickle.dumps(intervention)) == intervention
    plain = (int, str, tuple, type(None))
    assert all(isinstance(value, plain) for value in fields.values())


def test_each_says_in_its_own_words_what_it_does():
    said = [intervention.describe() for intervention in ONE_OF_EACH]
    assert said[0] == "head 0 of layer 1 switched off"
    assert said[4] == "position 4 cut off from position 2 in head 0 of layer 1"
    assert len(set(said)) == len(said)


@pytest.mark.parametrize("intervention", ONE_OF_EACH, ids=str)
def test_what_is_accepted_changes_the_stream(hooked, intervention):
    if isinstance(intervention, ShareKVHeads) and hooked.info.n_kv_heads == 1:
        pytest.skip("one KV head is shared already")
    plain = hooked.trace(PROMPT)
    trace = hooked.trace(PROMPT, [intervention])
    assert np.abs(trace.layer_output(-1) - plain.layer_output(-1)).max() > 1e-5
    assert trace.interventions == (intervention,)
    assert plain.interventions == ()


@pytest.mark.parametrize("model_type", ["lfm2", "qwen3_next", "jamba", "minimax"])
def test_a_layer_without_attention_has_no_head_to_change(model_type):
    model = HookedModel.wrap(build(model_type), tiny_tokenizer(), model_type)
    prompt = tiny_prompt(12)
    with_attention = model.info.attention_layers
    assert with_attention == model.trace(prompt).attention_layers
    lacking = next(i for i in range(model.info.n_layers) if i not in with_attention)
    for change in (
        AblateHead(lacking, 0),
        Knockout(9, 3, lacking),
        AttentionPattern("window", 2, layers=(lacking,)),
    ):
        with pytest.raises(InterventionError, match="has no attention"):
            model.trace(prompt, [change])
        with pytest.raises(InterventionError, match="has no attention"):
            model.start(prompt, interventions=[change])
    there = with_attention[0]
    plain = model.trace(prompt).last_logits
    for change in (AblateHead(there, 0), Knockout(9, 3, there)):
        assert np.abs(model.trace(prompt, [change]).last_logits - plain).max() > 0


@pytest.mark.parametrize(
    ("intervention", "says"),
    [
        (Knockout(6, 2), "no position 6 .* run from 0 to 5"),
        (AttentionPattern("window", 2, layers=()), "nothing would change"),
        (ShareKVHeads(1, layers=()), "nothing would change"),
        (AblateHead(0, True), "no head True"),
    ],
    ids=str,
)
def test_what_would_change_nothing_is_refused(hooked, intervention, says):
    with pytest.raises(InterventionError, match=says):
        hooked.trace(PROMPT, [intervention])


def test_a_text_that_will_grow_may_be_cut_off_later(hooked):
    generation = hooked.start(PROMPT, interventions=[Knockout(6, 2)])
    for _ in range(2):
        generation = hooked.step(generation)
    assert (generation.trace().attention(0)[:, 6, 2] == 0).all()


def test_what_is_no_intervention_is_one_sentence(hooked):
    with pytest.raises(InterventionError, match=r"'head 3' is no intervention.*AblateHead"):
        check_interventions(["head 3"], hooked.info, hooked.abilities)
