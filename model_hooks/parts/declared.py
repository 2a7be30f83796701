"""What does transformers declare that the modules of a model compute?"""

from torch import nn
from transformers import PreTrainedModel
from transformers.utils.output_capturing import _CAN_RECORD_REGISTRY, OutputRecorder


def declared_outputs(decoder: nn.Module, key: str) -> list[OutputRecorder]:
    """Return which classes of modules compute `key`, and where in what they return it is.

    Args:
        decoder: The decoder; what its submodels declare counts as well.
        key: transformers' name of an output: `hidden_states`, `attentions`, `router_logits`.
    """
    found = []
    for module in decoder.modules():
        if isinstance(module, PreTrainedModel):
            specs = _CAN_RECORD_REGISTRY.get(module).get(key, [])
            found += specs if isinstance(specs, (list, tuple)) else [specs]
    recorders = [
        spec if isinstance(spec, OutputRecorder) else OutputRecorder(spec, index=1)
        for spec in found
    ]
    return [recorder for recorder in recorders if isinstance(recorder.target_class, type)]


def declared_classes(decoder: nn.Module, key: str) -> tuple[type, ...]:
    """Return the classes of modules that compute `key`."""
    return tuple(recorder.target_class for recorder in declared_outputs(decoder, key))
