"""Any order of writing, going back, editing and switching, against fresh runs of plain models.

Hypothesis makes up the order. Whatever was computed and kept before, the next logits must be those
of the plain model: eager attention, no cache, the whole text.
"""

import copy
from contextlib import ExitStack
from functools import cache
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from transformers import PreTrainedModel

from model_hooks import AblateAttention, AblateMLP, Decoding, HookedModel
from model_hooks.run.interventions import Intervention
from model_hooks.write import forwards
from model_hooks.write.generation import Generation
from model_hooks.write.writing import next_attention, next_distribution, write_tokens
from tests.tiny_models import PROMPT_IDS, build, tiny_prompt, tiny_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about its own internals

MOST = 44
"""Tokens that a text may have: well beyond every window, chunk and stretched rotation below."""
STRETCHED_AFTER = 20
LENGTHS = (5, 8, 9, 17, 18, 20, 21, 25, 34)
"""Of prompts: about what a window holds, what prompts must share, what is stretched."""
LONGROPE = {
    "num_hidden_layers": 2,
    "max_position_embeddings": 64,
    "original_max_position_embeddings": STRETCHED_AFTER,
    "rope_parameters": {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.0] * 8,
        "long_factor": [4.0] * 8,
        "original_max_position_embeddings": STRETCHED_AFTER,
    },
}
DYNAMIC = {
    "num_hidden_layers": 2,
    "max_position_embeddings": STRETCHED_AFTER,
    "rope_parameters": {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0},
}
FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_layer": 2},
    "llama": DYNAMIC,
    "phi3": LONGROPE,
    "mistral": {"num_hidden_layers": 2, "sliding_window": 8},
    "gemma2": {},
    "gemma3_text": {},
    "llama4_text": {"attention_chunk_size": 8},
    "jamba": {},
    "minimax": {"block_size": 8},
    "falcon_h1": {},
    "deepseek_v3": {"num_hidden_layers": 2},
    "bloom": {"n_layer": 2},
}
"""What differs in them: positions, windows, chunks, states, latent keys, length-dependent turns."""
MORE: dict[str, dict[str, Any]] = {
    "qwen2": {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 2},
    "exaone4": {},
    "mpt": {},
    "gpt_neox": {},
    "gpt_neo": {},
    "gpt_oss": {},
    "recurrent_gemma": {},
    "qwen3_next": {},
    "lfm2": {},
    "bamba": {},
    "zamba2": {},
    "nemotron_h": {},
    "deepseek_v4": {},
    "xlm-roberta-xl": {},
}
"""Tried in the long run alone."""


class Pair(NamedTuple):
    plain: PreTrainedModel
    model: HookedModel


@cache
def pair(name: str) -> Pair:
    sizes = {**FAMILIES, **MORE}[name]
    built = build(name, **sizes)
    if sizes is DYNAMIC:
        built.config.max_position_embeddings = 64  # so that longer texts are no error
    plain = copy.deepcopy(built)
    if plain._can_set_attn_implementation():
        plain.set_attn_implementation("eager")
    return Pair(plain, HookedModel.wrap(built, tiny_tokenizer(), name))


def fresh(name: str) -> PreTrainedModel:
    """The plain model; its rotation as new, since it remembers how long the last text was."""
    plain = pair(name).plain
    if FAMILIES.get(name) in (DYNAMIC, LONGROPE):
        plain.model.rotary_emb = copy.deepcopy(untouched_rotation(name))
    return plain


@cache
def untouched_rotation(name: str) -> torch.nn.Module:
    return copy.deepcopy(pair(name).plain.model.rotary_emb)


@cache
def truth(name: str, token_ids: tuple[int, ...], changes: tuple[Intervention, ...]) -> np.ndarray:
    """Logits after a text, by a plain run of all of it."""
    plain = fresh(name)
    layers = pair(name).model.abilities.layers
    with ExitStack() as stack, torch.no_grad():
        for change in changes:
            layer = layers[change.layer]
            is_mlp = isinstance(change, AblateMLP)
            path = layer.mlp_out_path if is_mlp else layer.attn_out_path
            handle = plain.get_submodule(path).register_forward_hook(_nothing)
            stack.callback(handle.remove)
        return plain(torch.tensor([token_ids]), use_cache=False).logits[0, -1].double().numpy()


def _nothing(module, args, output):
    if isinstance(output, torch.Tensor):
        return torch.zeros_like(output)
    return (torch.zeros_like(output[0]), *output[1:])


@cache
def generated(name: str, token_ids: tuple[int, ...], n: int) -> tuple[int, ...]:
    """What the family's own `generate()` writes."""
    ids = torch.tensor([token_ids])
    written = fresh(name).generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=n,
        min_new_tokens=n,
    )
    return tuple(written[0, len(token_ids) :].tolist())


def assert_close(logits: np.ndarray, true: np.ndarray, says: str) -> None:
    there = np.isfinite(true)
    gap = np.abs(logits - true)[there].max()
    assert gap <= 1e-3 * max(1.0, np.abs(true[there]).max()), f"{says}: off by {gap:.1e}"


class Writing(RuleBasedStateMachine):
    """One model, and texts that are written with it in any order."""

    name = ""
    texts = Bundle("texts")

    @initialize(target=texts, few=st.booleans(), length=st.sampled_from(LENGTHS))
    def begin(self, few: bool, length: int) -> Generation:
        """Begin with nothing kept; some models keep little."""
        self.plain, self.model = pair(self.name)
        room = (20_000, 30_000) if few else (forwards.FORWARD_BYTES, forwards.CACHE_BYTES)
        with (
            mock.patch.object(forwards, "FORWARD_BYTES", room[0]),
            mock.patch.object(forwards, "CACHE_BYTES", room[1]),
        ):
            self.model.forwards = forwards.Forwards(self.model.abilities)
        return self.checked(self.started(tiny_prompt(40)[:length]), "begin")

    def checked(self, text: Generation, rule: str) -> Generation:
        ids, changes = text.token_ids, text.interventions
        says = f"{self.name}, {rule}, {len(ids)} tokens"
        assert_close(text.next_logits(), truth(self.name, ids, changes), says)
        if text.steps:
            assert_close(text.steps[-1].logits, truth(self.name, ids[:-1], changes), says)
        return text

    def started(self, prompt, like: Generation | None = None, **how: Any) -> Generation:
        if like is not None:
            how = {"use_cache": like.use_cache, "interventions": like.interventions, **how}
        return self.model.start(prompt[:MOST], **how)

    def changes(self, part: int) -> tuple[Intervention, ...]:
        """One part that can be switched off."""
        parts = [
            kind(i)
            for i, layer in enumerate(self.model.abilities.layers)
            for kind, can in (
                (AblateMLP, layer.changes_feedforward),
                (AblateAttention, layer.changes_attention and layer.has_attention),
            )
            if can
        ]
        return (parts[part % len(parts)],) if parts else ()

    @rule(
        target=texts,
        length=st.sampled_from(LENGTHS),
        end=st.integers(0, 3),
        use_cache=st.sampled_from([True, True, False]),
    )
    def start(self, length: int, end: int, use_cache: bool) -> Generation:
        prompt = [*tiny_prompt(40)[:length], *tiny_prompt(end, seed=end)]
        return self.checked(self.started(prompt, use_cache=use_cache), "start")

    @rule(target=texts, text=texts)
    def step(self, text: Generation) -> Generation:
        if len(text.token_ids) >= MOST:
            return text
        longer = self.model.step(text)
        true = truth(self.name, text.token_ids, text.interventions)
        assert true[longer.steps[-1].token_id] >= true.max() - 1e-3 * max(1, abs(true.max()))
        return self.checked(longer, "step")

    @rule(target=texts, text=texts, token_id=st.sampled_from([20, 30, 40]))
    def choose(self, text: Generation, token_id: int) -> Generation:
        if len(text.token_ids) >= MOST:
            return text
        return self.checked(self.model.step(text, choose=token_id), "choose")

    @rule(target=texts, text=texts, n=st.integers(1, 9))
    def back(self, text: Generation, n: int) -> Generation:
        return self.checked(text.rewind(min(n, len(text.steps))), "back")

    @rule(target=texts, text=texts)
    def toggle_the_cache(self, text: Generation) -> Generation:
        return self.checked(text.with_cache(not text.use_cache), "toggle")

    @rule(target=texts, text=texts, part=st.none() | st.integers(0, 7))
    def switch(self, text: Generation, part: int | None) -> Generation:
        """Switch a part off, or everything on: the same text again under other changes."""
        changes = () if part is None else self.changes(part)
        other = self.started(text.prompt_ids, use_cache=text.use_cache, interventions=changes)
        for step in text.steps:
            other = self.model.step(other, choose=step.token_id)
        return self.checked(other, "switch")

    @rule(target=texts, text=texts, n=st.sampled_from([2, 3, 6, 9]))
    def go_on_by_several(self, text: Generation, n: int) -> Generation:
        longer = [*text.token_ids, *tiny_prompt(n, seed=n)]
        return self.checked(self.started(longer, text), "go on by several")

    @rule(target=texts, text=texts, n=st.integers(1, 12))
    def crop(self, text: Generation, n: int) -> Generation:
        ids = text.token_ids
        return self.checked(self.started(ids[: max(1, len(ids) - n)], text), "crop")

    @rule(target=texts, text=texts, n_gone=st.integers(1, 9), n=st.integers(1, 5))
    def edit(self, text: Generation, n_gone: int, n: int) -> Generation:
        """Change the end of the text."""
        edited = [*text.token_ids[:-n_gone], *tiny_prompt(n, seed=n_gone)]
        return self.checked(self.started(edited, text), "edit")

    @rule(target=texts, text=texts, n=st.integers(1, 12))
    def write_by_ids(self, text: Generation, n: int) -> Generation:
        """Write as pages do: by token IDs alone, going on from whatever is kept."""
        n = min(n, MOST - len(text.token_ids))
        written = tuple(step.token_id for step in text.steps)
        way = (text.use_cache, text.interventions)
        for step in write_tokens(self.model, text.prompt_ids, written, Decoding(), n, *way):
            true = truth(self.name, (*text.prompt_ids, *written), text.interventions)
            assert true[step.token_id] >= true.max() - 1e-3 * max(1, abs(true.max()))
            text = self.model.step(text, choose=step.token_id)
            written = (*written, step.token_id)
        return self.checked(text, "write by ids")

    @rule(text=texts)
    def see_the_next_token(self, text: Generation) -> None:
        way = (text.use_cache, text.interventions)
        written = tuple(step.token_id for step in text.steps)
        stage = next_distribution(self.model, text.prompt_ids, written, Decoding(), *way)[0]
        true = torch.tensor(truth(self.name, text.token_ids, text.interventions)).softmax(-1)
        assert np.abs(stage.probabilities - true.numpy()).max() < 1e-3
        once = self.model.trace(text.token_ids, text.interventions)
        for layer in once.attention_layers:
            seen = next_attention(self.model, text.prompt_ids, written, layer, *way)
            np.testing.assert_allclose(seen, once.attention(layer)[:, -1], atol=1e-3)

    @rule(text=texts)
    def look_inside(self, text: Generation) -> None:
        """What grew with the text is what one run of it records."""
        grown, once = text.trace(), self.model.trace(text.token_ids, text.interventions)
        for i, (layer, true) in enumerate(zip(grown.layers, once.layers, strict=True)):
            assert_close(layer.resid_post, true.resid_post, f"{self.name}, layer {i}")
            if true.has_attention:
                np.testing.assert_allclose(layer.attention, true.attention, atol=1e-3)

    @rule(text=texts, n=st.integers(1, 4))
    def generate(self, text: Generation, n: int) -> None:
        """Write as the family's own `generate()` does, where that equals its own fresh runs."""
        ids = text.token_ids
        if text.interventions or len(ids) + n > MOST or not set(ids) <= set(PROMPT_IDS):
            return
        for token_id in generated(self.name, ids, n):
            true = np.sort(truth(self.name, text.token_ids, ()))
            close_call = true[-1] - true[-2] < 1e-2
            if close_call or truth(self.name, text.token_ids, ()).argmax() != token_id:
                return  # rounding decides; or past a length at which `generate()` is not exact
            text = self.model.step(text)
            assert text.steps[-1].token_id == token_id

    @rule()
    def forget(self) -> None:
        self.model.forget()


def run(name: str, **how: Any) -> None:
    machine = type(f"Writing_{name}", (Writing,), {"name": name})
    run_state_machine_as_test(
        machine,
        settings=settings(
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            **how,
        ),
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_a_few_orders_equal_fresh_runs(name):
    run(
        name,
        max_examples=4,
        stateful_step_count=20,
        derandomize=True,
        phases=[Phase.generate],
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FAMILIES, *MORE])
def test_many_orders_equal_fresh_runs(name):
    run(name, max_examples=8, stateful_step_count=25)
