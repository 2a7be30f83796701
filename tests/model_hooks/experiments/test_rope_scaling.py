"""A stretched rotation is the one transformers builds, and leaves the shared model as it was."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
import torch

from model_hooks import HookedModel, PromptError
from model_hooks.experiments.rope_scaling import (
    SCALING_TYPES,
    RopeScaling,
    RopeScalingError,
    scaled_rope,
    token_losses,
    why_not_scalable,
)
from tests.tiny_models import build, tiny_config, tiny_prompt, tiny_tokenizer

TRAINED, FACTOR = 32, 4.0
TEXT = tiny_prompt(90)


@cache
def hooked(family: str) -> HookedModel:
    return HookedModel.wrap(build(family), tiny_tokenizer(), family)


@torch.inference_mode()
def losses_of(model) -> np.ndarray:
    logits = model(torch.tensor([TEXT])).logits[0, :-1]
    return torch.nn.functional.cross_entropy(
        logits, torch.tensor(TEXT[1:]), reduction="none"
    ).numpy()


@pytest.mark.parametrize("family", ["llama", "gpt2", "gptj"])
def test_losses_are_those_of_the_plain_model(family):
    np.testing.assert_allclose(
        token_losses(hooked(family), TEXT), losses_of(build(family)), atol=1e-4
    )


@pytest.mark.parametrize("rope_type", SCALING_TYPES)
@pytest.mark.parametrize("family", ["llama", "gemma3_text"])
def test_stretched_model_equals_one_configured_so(family, rope_type):
    model, scaling = hooked(family), RopeScaling(rope_type, FACTOR, TRAINED)
    own = tiny_config(family).rope_parameters
    added = {"rope_type": rope_type, "factor": FACTOR}
    if rope_type == "yarn":
        added["original_max_position_embeddings"] = TRAINED
    nested = family == "gemma3_text"
    settings = {kind: {**value, **added} for kind, value in own.items()} if nested else own | added
    truth = losses_of(build(family, rope_parameters=settings, max_position_embeddings=TRAINED))
    found = token_losses(model, TEXT, scaling)
    np.testing.assert_allclose(found, truth, atol=1e-4)
    plain = token_losses(model, TEXT)
    assert np.abs(found - plain).max() > 1e-3
    np.testing.assert_allclose(plain, losses_of(build(family)), atol=1e-4)


def test_another_thread_keeps_its_own_rotation():
    model = hooked("llama")
    plain = token_losses(model, TEXT)
    with scaled_rope(model, RopeScaling("linear", FACTOR, TRAINED)):
        with ThreadPoolExecutor(1) as other:
            beside = other.submit(token_losses, model, TEXT).result()
        here = token_losses(model, TEXT)
    np.testing.assert_array_equal(beside, plain)
    assert np.abs(here - plain).max() > 1e-3


@pytest.mark.parametrize("family", ["gpt2", "bloom", "gptj"])
def test_model_without_rope_settings_says_so(family):
    assert "no rotation that transformers' rope settings" in why_not_scalable(hooked(family))
    with (
        pytest.raises(RopeScalingError, match="no rotation"),
        scaled_rope(hooked(family), RopeScaling("linear", 2.0, 64)),
    ):
        pass


def test_rotation_that_is_stretched_already_is_left_alone():
    assert "stretched already" in why_not_scalable(hooked("gpt_oss"))


def test_rotation_that_the_formula_does_not_fit_is_refused():
    one_pair = HookedModel.wrap(build("llama", head_dim=2), tiny_tokenizer(), "llama")
    with pytest.raises(RopeScalingError, match="does not take transformers' `dynamic` settings"):
        token_losses(one_pair, TEXT, RopeScaling("dynamic", FACTOR, TRAINED))


def test_text_beyond_the_table_is_refused():
    with pytest.raises(PromptError, match="failed to run 200 tokens"):
        token_losses(hooked("gpt2"), tiny_prompt(200))


def test_text_of_one_token_has_no_loss():
    with pytest.raises(PromptError, match="too short"):
        token_losses(hooked("llama"), [5])


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="cannot stretch 64 positions"):
        RopeScaling("linear", 0.5, 64)
