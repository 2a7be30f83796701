"""Run a Hugging Face causal LM and keep what it computed, as read-only NumPy arrays."""

import model_hooks.scratch  # noqa: F401 before torch is imported

# isort: split
from model_hooks.errors import (
    BrokenModelError,
    ComparisonError,
    DecodingError,
    InlookError,
    InterventionError,
    LayerError,
    ModelError,
    ModelNotFoundError,
    ModelTooLargeError,
    NotCausalError,
    NotRecordableError,
    NotSiblingsError,
    PromptError,
    TraceFileError,
)
from model_hooks.experiments.tuned import at_scale, weight_changes
from model_hooks.info import ModelInfo
from model_hooks.loading import bundled_models, load_model, load_tokenizer
from model_hooks.model import HookedModel
from model_hooks.parts.abilities import Abilities, LayerAbilities
from model_hooks.read.loaded import load_trace
from model_hooks.read.saved import save_trace
from model_hooks.run.interventions import (
    AblateAttention,
    AblateHead,
    AblateMLP,
    AttentionPattern,
    Intervention,
    Knockout,
    ShareKVHeads,
    intervention_kinds,
)
from model_hooks.run.neurons import NeuronTrace
from model_hooks.run.routing import Routing
from model_hooks.run.trace import LayerTrace, Trace
from model_hooks.text.tokenization import TokenizerView
from model_hooks.write.decoding import Decoding
from model_hooks.write.generation import Generation, Step
from model_hooks.write.stages import Stage

__all__ = [
    "Abilities",
    "AblateAttention",
    "AblateHead",
    "AblateMLP",
    "AttentionPattern",
    "BrokenModelError",
    "ComparisonError",
    "Decoding",
    "DecodingError",
    "Generation",
    "HookedModel",
    "InlookError",
    "Intervention",
    "InterventionError",
    "Knockout",
    "LayerAbilities",
    "LayerError",
    "LayerTrace",
    "ModelError",
    "ModelInfo",
    "ModelNotFoundError",
    "ModelTooLargeError",
    "NeuronTrace",
    "NotCausalError",
    "NotRecordableError",
    "NotSiblingsError",
    "PromptError",
    "Routing",
    "ShareKVHeads",
    "Stage",
    "Step",
    "TokenizerView",
    "Trace",
    "TraceFileError",
    "at_scale",
    "bundled_models",
    "intervention_kinds",
    "load_model",
    "load_tokenizer",
    "load_trace",
    "save_trace",
    "weight_changes",
]
