"""How strongly does the loss on a text pull at the residual stream, layer by layer?

Gradients say where learning is strong or weak: with the norm after each sublayer, gradients of an
untrained model are large near the output and fade towards the input (Xiong et al. 2020, "On Layer
Normalization in the Transformer Architecture", section 3).
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from model_hooks.arrays import to_array
from model_hooks.errors import InlookError, LayerError, ModelError, PromptError, RunError
from model_hooks.model import HookedModel
from model_hooks.opening.alone import building
from model_hooks.parts.probing import calls_of
from model_hooks.run import capture
from model_hooks.run.numbers import explained
from model_hooks.run.trace import Trace


@dataclass(frozen=True, eq=False)
class StreamGradients:
    """The residual stream and the gradient of the loss, at the input of each block and at the end.

    A point is what enters a block, in order; the last one is what leaves the last block.
    """

    loss: float
    """Mean over the text of -log p(next token), in nats."""
    sizes: Float[np.ndarray, "point pos"]
    """Euclidean length of the stream."""
    gradient_sizes: Float[np.ndarray, "point pos"]
    """Euclidean length of the gradient of `loss` with respect to the stream."""


def stream_gradients(model: HookedModel, trace: Trace) -> StreamGradients:
    """Run a trace's text once more with gradients, and follow the loss back through the blocks.

    It runs under the trace's interventions: what was changed then is changed again.

    Nothing is left behind: the parameters get no `.grad`, and other threads' runs, which record
    no graph, are not touched.

    Raises:
        PromptError: The text has fewer than two tokens, so nothing is predicted.
        LayerError: This model's blocks cannot be followed back, or the gradients are not numbers.
        ModelTooLargeError: The memory does not suffice.
    """
    if len(trace) < 2:
        raise PromptError("A loss needs at least two tokens: there is no next word to predict.")
    name = f"{model.info.name} ({model.info.family})"
    try:
        with explained(model.model, len(trace)), torch.inference_mode(False), torch.enable_grad():
            found = _followed_back(model, trace)
    except RunError as error:  # it ran without gradients before
        raise LayerError(
            f"{name} cannot be followed back from its output to its blocks, so there are no "
            "gradients to show."
        ) from error
    if not np.isfinite(found.gradient_sizes).all():
        raise LayerError(
            f"The gradients of {name} leave the range of {model.info.dtype}, so there are none to "
            "show."
        )
    return found


def _followed_back(model: HookedModel, trace: Trace) -> StreamGradients:
    blocks, layout = [block.module for block in model.anatomy.blocks], model.anatomy.layout
    with (
        calls_of(blocks, copied=False) as ran,
        capture.recording(None, trace.interventions, len(trace)),
    ):
        # Made in here: a tensor of a surrounding inference mode could not be saved.
        ids = torch.tensor([trace.token_ids.tolist()], device=model.model.device)
        logits = model.model(input_ids=ids, use_cache=False).logits[0, :-1].float()
        loss = F.cross_entropy(logits, ids[0, 1:])
        streams = _streams(blocks, ran)
        gradients = torch.autograd.grad(loss, streams)

    def sizes(tensors: list[Tensor] | tuple[Tensor, ...]) -> np.ndarray:
        return np.stack([to_array(layout.rows(t.detach()).float().norm(dim=-1)) for t in tensors])

    return StreamGradients(float(loss.detach()), sizes(streams), sizes(gradients))


def _streams(blocks: list[torch.nn.Module], ran: dict) -> list[Tensor]:
    """What enters each block, in the order they ran, and what leaves the last one."""
    runs = {module: iter(calls) for module, calls in ran.items()}
    calls = [next(runs[module]) for module in blocks]
    return [*(call.input for call in calls), calls[-1].output]


def untrained_gradients(model: HookedModel, trace: Trace, seed: int = 0) -> StreamGradients:
    """Return what the same text does to a model of the same shape before its first training step.

    Raises:
        PromptError: The text has fewer than two tokens, so nothing is predicted.
        LayerError: This model's blocks cannot be followed back.
        ModelError: transformers cannot build this type from its configuration alone.
    """
    fresh = untrained(model, seed)
    return stream_gradients(fresh, fresh.trace(trace.token_ids, trace.interventions))


def untrained(model: HookedModel, seed: int = 0) -> HookedModel:
    """Return a model of the same shape with fresh random weights, as before its first step.

    Raises:
        ModelError: transformers cannot build this type from its configuration alone.
    """
    try:
        with building, torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            config = copy.deepcopy(model.model.config)
            config.dtype = torch.float32
            fresh = type(model.model)(config)
            return HookedModel.wrap(fresh, model.tokenizer, f"{model.info.name}, untrained")
    except InlookError:
        raise
    except Exception as error:
        raise ModelError(f"{model.info.name} cannot be built without its weights.") from error
