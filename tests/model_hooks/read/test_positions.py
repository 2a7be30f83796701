"""What tells a model the order of its words is found by trying, and agrees with its own modules."""

from functools import cache

import numpy as np
import pytest
import torch

from model_hooks import HookedModel
from model_hooks.read.moved import at_once
from model_hooks.read.positions import positions_of
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

PROMPT_IDS = tiny_prompt(12)


@cache
def hooked(family: str) -> HookedModel:
    return HookedModel.wrap(build(family), tiny_tokenizer(), family)


@pytest.mark.parametrize(
    ("family", "kind", "layers"),
    [
        ("gpt2", "learned", ["learned"] * 4),
        ("opt", "learned", ["learned"] * 4),
        ("xglm", "sinusoidal", ["sinusoidal"] * 4),
        ("bloom", "alibi", ["alibi"] * 2),
        ("mpt", "alibi", ["alibi"] * 4),
        ("llama", "rotary", ["rotary"] * 4),
        ("falcon", "rotary", ["rotary"] * 4),
        ("gptj", "rotary", ["rotary"] * 4),
        ("gemma2", "rotary", ["rotary"] * 4),
        ("smollm3", "rotary", ["rotary", "none"] * 2),
        ("cohere2", "rotary", ["rotary", "none"] * 2),
        ("gemma3n_text", "rotary", ["rotary"] * 4),
        ("jamba", "none", [None, "none", None, "none"]),
    ],
)
def test_kind_of_a_family(family, kind, layers):
    found = positions_of(hooked(family))
    assert found.kind == kind
    assert list(found.layers) == layers
    assert [rotation is not None for rotation in found.rotations] == [k == "rotary" for k in layers]
    assert (found.table is not None) == (kind in ("learned", "sinusoidal"))


def test_alibi_that_a_config_switches_off_in_vain_is_said_to_be_there():
    """MPT adds its slopes whatever `attn_config` says: equal tokens get unequal weights."""
    plain = build("mpt", attn_config={"alibi": False})
    model = HookedModel.wrap(plain, tiny_tokenizer(), "mpt")
    with torch.no_grad():
        weights = plain(torch.tensor([[7] * 8]), output_attentions=True).attentions[0][0, 0, -1]
    assert np.ptp(weights.numpy()) > 1e-3
    assert model.info.position == "alibi"


@pytest.mark.parametrize(
    ("family", "pairing", "n_rotated", "base"),
    [
        ("llama", "half-split", 16, 1e4),
        ("gemma", "half-split", 16, 1e4),
        ("phi", "half-split", 8, 1e4),
        ("gpt_neox", "half-split", 4, 1e4),
        ("cohere", "interleaved", 16, 5e5),
        ("gptj", "interleaved", 8, 1e4),
    ],
)
def test_rotated_projections_are_the_recorded_queries_and_keys(family, pairing, n_rotated, base):
    model, layer = hooked(family), 1
    rotation = positions_of(model).rotations[layer]
    assert (rotation.pairing, rotation.n_rotated) == (pairing, n_rotated)
    expected = base ** (-np.arange(0, n_rotated, 2) / n_rotated)  # RoFormer, section 3.2.2
    np.testing.assert_allclose(rotation.frequencies, expected, rtol=1e-3)
    recorded = at_once(model, model.trace(PROMPT_IDS))[layer]
    for projected, after in zip(projections(model, layer), recorded, strict=True):
        turned = rotation.turned(projected, np.arange(len(PROMPT_IDS)))
        np.testing.assert_allclose(turned, after[0], atol=2e-5)


def projections(model: HookedModel, layer: int) -> tuple[np.ndarray, np.ndarray]:
    """Queries and keys before any position, [head, pos, d_head], from the model's own matrices."""
    attention, seen = model.anatomy.blocks[layer].attention, {}
    handles = [
        module.register_forward_hook(lambda _m, _a, out, name=name: seen.update({name: out[0]}))
        for name, module in attention.named_modules()
        if name in ("q_proj", "k_proj", "query_key_value")
    ]
    with torch.inference_mode():
        model.model(input_ids=torch.tensor([PROMPT_IDS]))
    for handle in handles:
        handle.remove()
    d_head = model.info.d_head
    if "query_key_value" in seen:
        query, key, _ = seen["query_key_value"].unflatten(-1, (-1, 3 * d_head)).chunk(3, -1)
    else:
        query, key = (seen[n].unflatten(-1, (-1, d_head)) for n in ("q_proj", "k_proj"))
    return query.movedim(1, 0).numpy(), key.movedim(1, 0).numpy()


@pytest.mark.parametrize(
    ("family", "offset", "weights"),
    [
        ("gpt2", 0, lambda model: model.transformer.wpe.weight),
        ("opt", 2, lambda model: model.model.decoder.embed_positions.weight),
        ("xglm", 2, lambda model: model.model.embed_positions.weights),
    ],
)
def test_table_holds_the_vectors_that_are_added(family, offset, weights):
    model = hooked(family)
    table = positions_of(model).table
    assert (table.offset, table.exact) == (offset, True)
    np.testing.assert_array_equal(table.vectors, weights(model.model).detach()[offset:].numpy())


@pytest.mark.parametrize("family", ["bloom", "mpt"])
def test_slopes_of_alibi_are_those_of_the_paper(family):
    # Press et al. 2022, section 3: with n heads, 2^(-8/n), 2^(-16/n)...
    np.testing.assert_allclose(
        positions_of(hooked(family)).slopes, [2**-2, 2**-4, 2**-6, 2**-8], rtol=1e-3
    )


def test_bases_that_differ_by_layer_are_found():
    config = hooked("gemma3_text").model.config
    for rotation, kind in zip(
        positions_of(hooked("gemma3_text")).rotations, config.layer_types, strict=True
    ):
        base = config.rope_parameters[kind]["rope_theta"]
        np.testing.assert_allclose(
            rotation.frequencies, float(base) ** (-np.arange(0, 16, 2) / 16), rtol=1e-3
        )
