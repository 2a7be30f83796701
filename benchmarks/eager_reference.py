"""What transformers itself says about a forward pass: the truth that traces are compared with.

A copy of the model runs with `attn_implementation="eager"` and returns its own attention weights
and hidden states. Nothing here uses Inlook.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


@dataclass(frozen=True)
class Reference:
    """One eager forward pass, as NumPy arrays without the batch axis."""

    attentions: tuple[np.ndarray, ...]
    """[head, pos, pos] for each layer that returned weights, in the order the layers ran. Columns
    of keys that are no positions (DeepSeek-V4's compressed ones) are left out."""
    embedding: np.ndarray
    """[pos, d_model]: what enters the first block."""
    layer_outputs: tuple[np.ndarray, ...]
    """[pos, d_model] of every layer, before the final norm."""
    last_logits: np.ndarray


class NoReferenceError(Exception):
    """The model does not return what a reference needs; the message says what is missing."""


@torch.inference_mode()
def eager_reference(
    model: PreTrainedModel, token_ids: list[int], dtype: torch.dtype | None = None
) -> Reference:
    """Run a copy of the model eagerly, with nothing but what transformers returns.

    `hidden_states` ends with the output of the final norm, so the last layer's own output comes
    from a hook: its module is the one after the module that returned the second last entry.

    Args:
        model: Any causal LM; it is not changed.
        token_ids: The prompt.
        dtype: Precision of the copy; the model's own if None.
    """
    copied = copy.deepcopy(model)
    if dtype is not None:
        copied = copied.to(dtype)
    if copied._can_set_attn_implementation():
        copied.set_attn_implementation("eager")
    else:  # it would only warn; what `from_pretrained(attn_implementation="eager")` sets
        for module in copied.modules():
            if getattr(module, "config", None) is not None:
                module.config._attn_implementation = "eager"
    outputs: list[tuple[str, Tensor]] = []
    returned_weights: list[Tensor] = []
    square = (len(token_ids), len(token_ids))

    def keep(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _args: tuple, output: Any) -> None:
            values = output if isinstance(output, tuple | list) else (output,)
            if values and isinstance(values[0], Tensor):
                outputs.append((name, values[0]))
            for value in values[1:]:
                is_map = isinstance(value, Tensor) and value.ndim == 4
                if is_map and value.shape[2:] == square and not _among(value, returned_weights):
                    returned_weights.append(value)

        return hook

    for name, module in copied.named_modules():
        module.register_forward_hook(keep(name))
    out = copied(
        input_ids=torch.tensor([token_ids]),
        output_attentions=True,
        output_hidden_states=True,
        use_cache=False,
    )
    states = out.get("hidden_states")
    if not states:
        raise NoReferenceError("transformers returns no hidden states")
    blocks = _blocks_that_returned(states, outputs)
    # Linear attention returns states of other shapes under the same name.
    attentions = [
        a
        for a in out.get("attentions") or ()
        if isinstance(a, Tensor) and a.shape[2] == len(token_ids)
    ]
    return Reference(
        attentions=tuple(_array(a)[..., : len(token_ids)] for a in attentions or returned_weights),
        embedding=_rows(states[0], len(token_ids)),
        layer_outputs=tuple(_rows(tensor, len(token_ids)) for tensor in blocks),
        last_logits=_array(out.logits)[-1],
    )


def _blocks_that_returned(
    states: tuple[Tensor, ...], outputs: list[tuple[str, Tensor]]
) -> list[Tensor]:
    """The raw output of every layer: all but the last are in `states` themselves."""
    inner = list(states[1:-1])
    paths = [
        name
        for name, tensor in outputs
        if inner and name.rpartition(".")[2].isdigit() and _equal(tensor, inner[-1])
    ]
    last_path = None
    if paths:
        parent, _, index = min(paths, key=len).rpartition(".")
        last_path = f"{parent}.{int(index) + 1}"
    candidates = [tensor for name, tensor in outputs if name == last_path]
    if not candidates:
        raise NoReferenceError("the hidden states returned are not the outputs of a stack")
    return [*inner, candidates[-1].reshape(inner[-1].shape)]


def _among(tensor: Tensor, others: list[Tensor]) -> bool:
    return any(tensor is other for other in others)


def _equal(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors hold the same numbers, whatever their axes of length 1."""
    return a is b or (a.numel() == b.numel() and torch.equal(a.reshape(b.shape), b))


def _rows(stream: Tensor, n_pos: int) -> np.ndarray:
    """One vector per position; parallel streams side by side."""
    axis = max(i for i, size in enumerate(stream.shape[:-1]) if size == n_pos)
    return stream.movedim(axis, 0).reshape(n_pos, -1).double().numpy()


def _array(tensor: Tensor) -> np.ndarray:
    return tensor[0].double().numpy()
