"""How are several texts that begin alike written together, by transformers' own `generate()`?"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from model_hooks.errors import BrokenModelError, InlookError, ModelError
from model_hooks.model import HookedModel
from model_hooks.run import capture
from model_hooks.run.interventions import Intervention


def generate(
    model: HookedModel,
    token_ids: Sequence[int],
    n_rows: int,
    n_tokens: int,
    processor: LogitsProcessor,
    interventions: tuple[Intervention, ...] = (),
    **options: Any,
) -> Any:
    """Run `generate()`, with the prompt computed once for all rows where the cache allows it.

    Args:
        model: The model.
        token_ids: The prompt of all rows.
        n_rows: How many texts to write.
        n_tokens: Most tokens of each.
        processor: What looks at the scores of every step, and may change them.
        interventions: What is changed in every run.
        **options: More of `GenerationConfig`.

    Raises:
        ModelError: transformers cannot generate with this family.
    """
    ids = torch.tensor([list(map(int, token_ids))], device=model.model.device)
    config = GenerationConfig(
        **options,
        max_new_tokens=n_tokens,
        use_cache=_uses_cache(model, ids.shape[1], n_tokens),
        eos_token_id=sorted(model.eos_token_ids) or None,
        pad_token_id=min(model.eos_token_ids, default=0),
    )
    try:
        with torch.inference_mode(), changed_runs(model.model, interventions):
            cache = _prompt_cache(model, ids, n_rows) if config.use_cache else None
            if "num_beams" not in options:
                ids = ids.expand(n_rows, -1)
            plain = copy(model.model)  # the same weights and hooks
            plain.generation_config = GenerationConfig()  # else the checkpoint's own fills in
            run: Any = plain.generate
            return run(
                ids,
                attention_mask=torch.ones_like(ids),
                generation_config=config,
                logits_processor=LogitsProcessorList([processor]),
                **({} if cache is None else {"past_key_values": cache}),
            )
    except InlookError:
        raise
    except Exception as error:
        raise ModelError(
            f"transformers cannot continue several texts at once with {model.info.name} "
            f"({model.info.family}): {type(error).__name__}."
        ) from error


def check_numbers(scores: Tensor) -> None:
    """Refuse scores that are not numbers.

    Raises:
        BrokenModelError: Some are NaN.
    """
    if bool(scores.isnan().any()):
        raise BrokenModelError(
            "The model computes values that are not numbers (NaN) for this text, so there is "
            "nothing to choose from. Its weights look damaged: choose another model."
        )


def length_of(ids: Sequence[int], eos_token_ids: frozenset[int]) -> tuple[int, bool]:
    """Return the length up to the token that ends the text, and whether there is one."""
    for i, token_id in enumerate(ids):
        if token_id in eos_token_ids:
            return i + 1, True
    return len(ids), False


_changes: ContextVar[tuple[Intervention, ...]] = ContextVar("changes", default=())


@contextmanager
def changed_runs(module: nn.Module, interventions: tuple[Intervention, ...]) -> Iterator[None]:
    """Change every run of a model that somebody else starts in this context, and no other run."""
    if not interventions:
        yield
        return
    with ExitStack() as running:

        def before(module: nn.Module, args: tuple, kwargs: dict) -> None:
            if _changes.get() is interventions:
                n_positions = _n_positions(args, kwargs)
                running.enter_context(capture.recording(1, interventions, n_positions))

        def after(module: nn.Module, args: tuple, output: Any) -> None:
            if _changes.get() is interventions:
                running.close()

        handles = (
            module.register_forward_pre_hook(before, with_kwargs=True),
            module.register_forward_hook(after),
        )
        token = _changes.set(interventions)
        try:
            yield
        finally:
            _changes.reset(token)
            for handle in handles:
                handle.remove()


def _n_positions(args: tuple, kwargs: dict) -> int:
    """Positions of the text that runs, with those that its KV cache holds."""
    given = kwargs["input_ids"] if "input_ids" in kwargs else args[0]
    cache = kwargs.get("past_key_values")
    return given.shape[1] + (0 if cache is None else cache.get_seq_length())


def _uses_cache(model: HookedModel, n_prompt: int, n_tokens: int) -> bool:
    """Whether a KV cache changes nothing, whatever tokens are written."""
    can = model.abilities
    same = can.same_rotation(n_prompt - 1, n_prompt + n_tokens)
    return can.continues and same and can.uncounted_id is None


def _prompt_cache(model: HookedModel, ids: Tensor, n_rows: int) -> DynamicCache | None:
    """Return keys and values of all positions but the last, repeated for every row."""
    can = model.abilities
    if ids.shape[1] < 2 or can.names_positions:
        return None
    kept = {"logits_to_keep": 1} if can.keeps_last_logits else {}
    output = model.model(input_ids=ids[:, :-1], use_cache=True, **kept)
    cache = output.get("past_key_values")
    plain = (DynamicLayer, DynamicSlidingWindowLayer)  # others keep states that cannot be repeated
    if type(cache) is not DynamicCache or any(type(layer) not in plain for layer in cache.layers):
        return None
    cache.batch_repeat_interleave(n_rows)
    return cache
