"""How far is what Inlook computes from what transformers does, for one model?

The truth is the model's own eager run (eager_reference.py), plain forward passes over whole texts,
and `generate()`.
"""

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from benchmarks.eager_reference import Reference, eager_reference
from model_hooks import AblateAttention, AblateMLP, Decoding, HookedModel, Trace
from model_hooks.read.attribution import attribute_logit
from tests.tiny_models import PROMPT_IDS, tiny_prompt, tiny_tokenizer

TOLERANCE = 1e-5
"""Largest difference allowed, absolute up to a magnitude of 1 and relative above."""
PROMPT_LENGTH = 40
NEW_TOKENS = 10


def differences(model: PreTrainedModel, dtype: torch.dtype) -> tuple[dict[str, float], list[str]]:
    """Return the largest difference per thing compared, and remarks on the type.

    The difference is infinite where shapes or tokens differ.
    """
    prompt = tiny_prompt(PROMPT_LENGTH)
    plain = copy.deepcopy(model).to(dtype)
    if dtype == torch.float64 and plain._can_set_experts_implementation():
        plain.set_experts_implementation("eager")  # the grouped product knows no float64
    hooked = HookedModel.wrap(copy.deepcopy(plain), tiny_tokenizer())
    trace = hooked.trace(prompt)
    reference = eager_reference(plain, prompt)
    notes = [] if hooked.abilities.continues else ["runs without the KV cache"]
    worst = compare(trace, reference) | _read(hooked, trace, reference)
    worst |= _written(hooked, plain, prompt, notes)
    worst |= _rewritten(hooked, plain, prompt) | _switched_off(hooked, plain, prompt)
    return worst, notes


def compare(trace: Trace, reference: Reference) -> dict[str, float]:
    """Compare a trace with what transformers returned for the same tokens."""
    maps = _per_layer(reference.attentions, trace)
    return {
        "attention": _worst([trace.attention(i) for i in trace.attention_layers], maps),
        "embedding": _worst([trace.embedding], [reference.embedding]),
        "layer output": _worst(
            [layer.resid_post for layer in trace.layers], reference.layer_outputs
        ),
        "last logits": _worst([trace.last_logits], [reference.last_logits]),
    }


def _read(hooked: HookedModel, trace: Trace, reference: Reference) -> dict[str, float]:
    """What is read off a run ends in the logits of the plain model."""
    if not hooked.abilities.has_tail:
        return {}
    logits = reference.last_logits
    lens = torch.log_softmax(torch.tensor(logits), -1).numpy()
    found = {"lens of the last layer": _worst([hooked.logit_lens(trace)[-1]], [lens])}
    token_id = int(logits.argmax())
    attribution = attribute_logit(hooked, trace, token_id)
    if attribution.softcap is None:
        found["attributed logit"] = difference(np.array(attribution.logit), logits[token_id])
    return found


def _written(
    hooked: HookedModel, plain: PreTrainedModel, prompt: list[int], notes: list[str]
) -> dict[str, float]:
    """Greedy tokens are those of plain runs and of `generate()`, and leave the same trace."""
    greedy, generated = _greedy_by_hand(plain, prompt), _generated(plain, prompt)
    # Past a special token the families disagree with themselves: RoBERTa counts no padding.
    n = next((i for i, token_id in enumerate(greedy) if token_id not in PROMPT_IDS), NEW_TOKENS)
    if generated[:n] != greedy[:n]:
        notes.insert(0, "its generate() departs from its own forward()")
    found = {}
    for use_cache, name in ((True, "with the cache"), (False, "without it")):
        generation = hooked.start(prompt, Decoding(), use_cache=use_cache)
        for token_id in greedy[:n]:
            generation = hooked.step(generation)
            if generation.steps[-1].token_id != token_id:
                break
        tokens = [step.token_id for step in generation.steps]
        found[f"tokens {name}"] = 0.0 if tokens == greedy[:n] else np.inf
        fresh = hooked.trace(generation.token_ids)
        found[f"trace after steps {name}"] = max(_between(generation.trace(), fresh).values())
    return found


def _rewritten(hooked: HookedModel, plain: PreTrainedModel, prompt: list[int]) -> dict[str, float]:
    """Texts that go on from what others left have the logits of plain runs of the whole."""
    hooked.forget()
    begun = hooked.start(prompt, Decoding())
    for token_id in tiny_prompt(3, seed=1):
        begun = hooked.step(begun, choose=token_id)
    begun.next_logits()
    other = tiny_prompt(2, seed=2)
    branch = hooked.step(hooked.step(begun.rewind(2), choose=other[0]), choose=other[1])
    texts = {
        "branch": branch,
        "edited prompt": hooked.start([*prompt[:-5], *tiny_prompt(3, seed=3)]),
        "shortened prompt": hooked.start(prompt[:-7]),
        "several tokens more": hooked.start([*begun.token_ids, *tiny_prompt(4, seed=4)]),
    }
    return {
        name: difference(text.next_logits(), _logits(plain, text.token_ids))
        for name, text in texts.items()
    }


def _switched_off(
    hooked: HookedModel, plain: PreTrainedModel, prompt: list[int]
) -> dict[str, float]:
    """A part switched off is the plain model with that module's output set to zero.

    A module that runs as several layers gives nothing in the first of its runs alone.
    """
    layers = list(enumerate(hooked.abilities.layers))
    feedforward = next(((i, one.mlp_out_path) for i, one in layers if one.mlp_out_path), None)
    attention = next(((i, one.attn_out_path) for i, one in layers if one.attn_out_path), None)
    found = {}
    for kind, place in ((AblateMLP, feedforward), (AblateAttention, attention)):
        if place is None:
            continue
        layer, path = place
        handle = plain.get_submodule(path).register_forward_hook(_nothing_at_first())
        try:
            truth = _logits(plain, prompt)
        finally:
            handle.remove()
        off = [kind(layer)]
        name = off[0].describe()
        found[name] = difference(hooked.trace(prompt, off).last_logits, truth)
        text = hooked.start(prompt[:-1], Decoding(), interventions=off)
        text.next_logits()
        logits = hooked.step(text, choose=prompt[-1]).next_logits()
        found[f"{name}, with the cache"] = difference(logits, truth)
    return found


def _nothing_at_first() -> Callable[..., object]:
    ran: list[bool] = []

    def hook(module: torch.nn.Module, args: tuple, output: object) -> object:
        ran.append(True)
        return output if len(ran) > 1 else _nothing(output)

    return hook


def _nothing(output: object) -> object:
    if isinstance(output, torch.Tensor):
        return torch.zeros_like(output)
    assert isinstance(output, tuple | list)
    return type(output)((torch.zeros_like(output[0]), *output[1:]))


def _logits(model: PreTrainedModel, token_ids: Sequence[int]) -> np.ndarray:
    """After the last token, by a plain run of the whole text."""
    run: Callable = model
    with torch.inference_mode():
        logits = run(input_ids=torch.tensor([list(token_ids)]), use_cache=False).logits
    return logits[0, -1].double().numpy()


def _greedy_by_hand(model: PreTrainedModel, prompt: list[int]) -> list[int]:
    """The most probable token after a plain forward pass over everything, ten times."""
    token_ids = list(prompt)
    for _ in range(NEW_TOKENS):
        token_ids.append(int(_logits(model, token_ids).argmax()))
    return token_ids[len(prompt) :]


def _generated(model: PreTrainedModel, prompt: list[int]) -> list[int]:
    run: Callable = model.generate
    written = run(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        do_sample=False,
        max_new_tokens=NEW_TOKENS,
        min_new_tokens=NEW_TOKENS,
    )
    return written[0, len(prompt) :].tolist()


def _per_layer(maps: Sequence[np.ndarray], trace: Trace) -> list[np.ndarray]:
    """Stack the maps of a layer that attends several times, as a trace does."""
    n_layers = len(trace.attention_layers)
    if not n_layers or len(maps) % n_layers:
        return list(maps)
    per_layer = len(maps) // n_layers
    return [np.concatenate(maps[i : i + per_layer]) for i in range(0, len(maps), per_layer)]


def _between(trace: Trace, other: Trace) -> dict[str, float]:
    return {
        "attention": _worst(
            [trace.attention(i) for i in trace.attention_layers],
            [other.attention(i) for i in other.attention_layers],
        ),
        "layers": _worst(
            [layer.resid_post for layer in trace.layers],
            [layer.resid_post for layer in other.layers],
        ),
    }


def _worst(arrays: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> float:
    if [a.shape for a in arrays] != [b.shape for b in others]:
        return np.inf
    return max((difference(a, b) for a, b in zip(arrays, others, strict=True)), default=0.0)


def difference(array: np.ndarray, truth: np.ndarray) -> float:
    """Return the largest difference, relative to the largest number where that is above 1.

    Minus infinity, a token that a family rules out, must be in both.
    """
    there = np.isfinite(truth)
    if not np.array_equal(there, np.isfinite(array)):
        return np.inf
    scale = max(1.0, float(np.abs(truth[there]).max(initial=0)))
    return float(np.abs(array.astype(np.float64) - truth)[there].max(initial=0)) / scale
