"""Run a Hugging Face causal LM and keep what it computed, as read-only NumPy arrays."""

from model_hooks.decoding import Decoding, Stage
from model_hooks.errors import (
    BrokenModelError,
    DecodingError,
    InlookError,
    LayerError,
    ModelError,
    ModelNotFoundError,
    ModelTooLargeError,
    NotCausalError,
    NotRecordableError,
    PromptError,
)
from model_hooks.generation import Generation, Step
from model_hooks.info import ModelInfo
from model_hooks.loading import bundled_models, load_model
from model_hooks.model import HookedModel
from model_hooks.trace import LayerTrace, Trace

__all__ = [
    "BrokenModelError",
    "Decoding",
    "DecodingError",
    "Generation",
    "HookedModel",
    "InlookError",
    "LayerError",
    "LayerTrace",
    "ModelError",
    "ModelInfo",
    "ModelNotFoundError",
    "ModelTooLargeError",
    "NotCausalError",
    "NotRecordableError",
    "PromptError",
    "Stage",
    "Step",
    "Trace",
    "bundled_models",
    "load_model",
]
