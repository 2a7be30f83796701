"""Did a run end, and in numbers? If not: one sentence with the layer and the position."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float
from transformers import PreTrainedModel

from model_hooks.errors import InlookError, ModelTooLargeError, RunError
from model_hooks.run.capture import LayerRecord


class CutShort(Exception):
    """Ends a run on purpose, once what was asked for is known."""


@contextmanager
def explained(model: PreTrainedModel, n_tokens: int) -> Iterator[None]:
    """Turn whatever a model raises while it runs into one sentence.

    Raises:
        RunError: The model failed on this text.
        ModelTooLargeError: The memory did not suffice.
    """
    try:
        yield
    except (InlookError, CutShort):
        raise
    except Exception as error:
        raise _as_sentence(model, n_tokens, error) from error


def check_numbers(
    layers: Sequence[LayerRecord], logits: Float[np.ndarray, "vocab"], n_tokens: int
) -> None:
    """Refuse a run whose last layer or logits hold something else than numbers.

    A logit of minus infinity is a token that the family rules out.

    Args:
        layers: What was recorded, of the last positions of the text.
        logits: After the last position.
        n_tokens: Length of the text.

    Raises:
        RunError: It does; the sentence names the first layer and position.
    """
    last = layers[-1].resid_post if layers else None
    if (last is None or bool(torch.isfinite(last).all())) and are_logits(logits):
        return
    for i, layer in enumerate(layers):
        if layer.resid_post is None:
            continue
        wrong = (~torch.isfinite(layer.resid_post)).any(-1).nonzero()
        if len(wrong):
            position = n_tokens - len(layer.resid_post) + int(wrong[0, 0])
            raise RunError(_no_numbers(f"layer {i}, position {position}", layer.resid_post.dtype))
    dtype = torch.float32 if last is None else last.dtype
    raise RunError(_no_numbers(f"the logits after position {n_tokens - 1}", dtype))


def are_logits(logits: Float[np.ndarray, "*row vocab"]) -> bool:
    """Whether a distribution can be made of every row."""
    largest = logits.max(-1)  # NaN where any is
    return bool(np.isfinite(largest).all())


def _no_numbers(where: str, dtype: torch.dtype) -> str:
    name = str(dtype).removeprefix("torch.")
    return (
        f"From {where} on, this model's values are no longer numbers: they left the range of "
        f"{name}. Try another text, or load the model in a wider number format."
    )


def _as_sentence(model: PreTrainedModel, n_tokens: int, error: Exception) -> InlookError:
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        "not enough memory" in reason or "out of memory" in reason
    ):
        return ModelTooLargeError(
            f"The memory does not suffice to run {n_tokens:,} tokens: try a shorter text."
        )
    kind = type(error).__name__
    return RunError(
        f"This model ({model.config.model_type}) failed to run {n_tokens:,} tokens "
        f"({kind}{f': {reason}' if reason else ''})."
    )
