"""How well does a model read further than it was trained to, with its rotation stretched or not?

The stretching is transformers' own (`transformers.modeling_rope_utils`): a second rotary module is
built from the model's config with other rope settings, and stands in for the first one in one
context. The shared model itself stays as it is.
"""

import copy
import functools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from model_hooks.arrays import to_array
from model_hooks.errors import InlookError, PromptError
from model_hooks.model import HookedModel
from model_hooks.read.tail import logits_in_pieces
from model_hooks.run import capture
from model_hooks.run.interventions import Intervention, check_interventions
from model_hooks.run.numbers import explained
from model_hooks.text.pieces import plain_ids

ScalingType = Literal["linear", "dynamic", "yarn"]
SCALING_TYPES: tuple[ScalingType, ...] = get_args(ScalingType)


class RopeScalingError(InlookError):
    """The rotation of this model cannot be stretched; its message is one sentence."""


@dataclass(frozen=True)
class RopeScaling:
    """How to stretch a rotation over a longer text.

    `linear` divides every position by the factor (position interpolation, Chen et al. 2023,
    "Extending Context Window of Large Language Models via Positional Interpolation"). `dynamic`
    raises the base as the text grows, so that slow pairs are stretched more (transformers names
    the Reddit users bloc97 and emozilla). `yarn` interpolates slow pairs only and sharpens the
    attention a little (Peng et al. 2023, "YaRN: Efficient Context Window Extension of Large
    Language Models").
    """

    rope_type: ScalingType
    factor: float
    trained_length: int

    def __post_init__(self) -> None:
        if self.rope_type not in SCALING_TYPES:
            raise ValueError(f"rope_type {self.rope_type!r} is none of {SCALING_TYPES}")
        if self.factor < 1 or self.trained_length < 1:
            raise ValueError(f"cannot stretch {self.trained_length} positions {self.factor} times")

    def settings(self, own: dict[str, Any]) -> dict[str, Any]:
        """Return `rope_parameters` with this scaling instead of none."""
        settings = {**own, "rope_type": self.rope_type, "factor": float(self.factor)}
        if self.rope_type == "yarn":
            settings["original_max_position_embeddings"] = self.trained_length
        return settings


def why_not_scalable(model: HookedModel) -> str | None:
    """Say in one sentence why transformers' rope settings cannot stretch this model, or None."""
    name = f"{model.info.name} ({model.info.family})"
    modules = _rotary_modules(model)
    if not modules:
        return f"{name} has no rotation that transformers' rope settings could stretch."
    for module in modules:
        for settings in _each_settings(module.config):
            if settings.get("rope_type", "default") != "default":
                return (
                    f"The rotation of {name} is stretched already, by its own "
                    f"`{settings['rope_type']}` settings."
                )
    return None


@contextmanager
def scaled_rope(model: HookedModel, scaling: RopeScaling) -> Iterator[None]:
    """Let the model turn its queries and keys with other rope settings in this context.

    Raises:
        RopeScalingError: The model has no rotation, or transformers cannot stretch it.
    """
    if reason := why_not_scalable(model):
        raise RopeScalingError(reason)
    try:
        stand_ins = {id(m): _rescaled(m, scaling) for m in _rotary_modules(model)}
    except Exception as error:
        raise RopeScalingError(
            f"The rotation of {model.info.name} ({model.info.family}) does not take "
            f"transformers' `{scaling.rope_type}` settings."
        ) from error
    token = _stand_ins.set(stand_ins)
    try:
        yield
    finally:
        _stand_ins.reset(token)


@torch.inference_mode()
def token_losses(
    model: HookedModel,
    token_ids: Sequence[int],
    scaling: RopeScaling | None = None,
    interventions: Sequence[Intervention] = (),
) -> Float[np.ndarray, "pos"]:
    """Return the loss of predicting each token but the first from those before it, in nats.

    The text may be longer than the context that the config names.

    Args:
        model: The model.
        token_ids: The text, two tokens or more.
        scaling: How to stretch the rotation.
        interventions: What else to change.

    Raises:
        PromptError: The text is too short, has an ID out of range, or the model cannot run one so
            long.
        RopeScalingError: The rotation cannot be stretched.
        InterventionError: This model or text lacks what is to be changed.
    """
    if len(token_ids) < 2:
        raise PromptError("The text is too short: a loss needs two tokens or more.")
    token_ids = plain_ids(token_ids)
    model.check_token_ids(token_ids)
    interventions = check_interventions(interventions, model.info, model.abilities, len(token_ids))
    stretched = nullcontext() if scaling is None else scaled_rope(model, scaling)
    with stretched:
        stream = _last_stream(model, token_ids, interventions)[:-1]
    targets = torch.tensor(token_ids[1:])
    losses = [
        nn.functional.cross_entropy(torch.tensor(logits).float(), targets[some], reduction="none")
        for some, logits in logits_in_pieces(model, stream)
    ]
    return to_array(torch.cat(losses))


def _last_stream(
    model: HookedModel, token_ids: Sequence[int], interventions: Sequence[Intervention]
) -> Float[np.ndarray, "pos d_model"]:
    """Run a text that may be longer than the context; return what leaves the last block."""
    input_ids = torch.tensor([list(token_ids)], device=model.model.device)
    options: dict[str, Any] = {"use_cache": False}
    if model.abilities.keeps_last_logits:
        options["logits_to_keep"] = 1
    with (
        explained(model.model, len(token_ids)),
        capture.recording(None, interventions, len(token_ids)) as record,
    ):
        model.model(input_ids=input_ids, **options)
    last = record.layers[-1].resid_post
    assert last is not None
    return to_array(last)


_stand_ins: ContextVar[dict[int, nn.Module]] = ContextVar("stand_ins", default={})  # noqa: B039
_lock = threading.Lock()


def _rotary_modules(model: HookedModel) -> list[nn.Module]:
    """The modules that compute a rotation from a config; they learn to let another stand in."""
    found = [
        module
        for module in model.anatomy.decoder.modules()
        if any(name.endswith("inv_freq") for name, _ in module.named_buffers(recurse=False))
        and _each_settings(getattr(module, "config", None))
    ]
    with _lock:
        for module in found:
            if not hasattr(module, "inlook_own_forward"):
                _install(module)
    return found


def _install(module: Any) -> None:
    run = module.forward

    @functools.wraps(run)
    def forward(*args: Any, **kwargs: Any) -> Any:
        stand_in = _stand_ins.get().get(id(module))
        return run(*args, **kwargs) if stand_in is None else stand_in(*args, **kwargs)

    module.inlook_own_forward = run
    module.forward = forward


def _each_settings(config: Any) -> list[dict[str, Any]]:
    """The config's rope settings: one, or one per kind of layer."""
    settings = getattr(config, "rope_parameters", None)
    if not isinstance(settings, dict):
        return []
    nested = [value for value in settings.values() if isinstance(value, dict)]
    return nested or [settings]


def _rescaled(module: Any, scaling: RopeScaling) -> nn.Module:
    """A module of the same class, built from the same config with other rope settings."""
    config = copy.deepcopy(module.config)
    own = config.rope_parameters
    nested = any(isinstance(value, dict) for value in own.values())
    config.rope_parameters = (
        {
            kind: scaling.settings(value) if isinstance(value, dict) else value
            for kind, value in own.items()
        }
        if nested
        else scaling.settings(own)
    )
    config.max_position_embeddings = scaling.trained_length
    buffer = next(buffer for _, buffer in module.named_buffers(recurse=False))
    return type(module)(config).to(buffer.device)
