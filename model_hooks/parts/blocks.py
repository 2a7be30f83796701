"""Which modules of a model are its blocks, and which of a block's is its attention?

No table of class names: transformers declares them, and where it does not, the module tree tells.
"""

from torch import nn
from transformers import PreTrainedModel

from model_hooks.errors import NotRecordableError
from model_hooks.parts.declared import declared_classes


def find_blocks(model: PreTrainedModel) -> tuple[nn.Module, list[tuple[str, nn.Module]]]:
    """Return the decoder and its blocks with their paths, each once.

    A stack of blocks is a `ModuleList` of the decoder that lies in no other one. Of several, those
    with a module that transformers declares to return hidden states count (some decoders run two
    stacks in turn); where nothing is declared, the one as long as the config says, or the heaviest.

    Raises:
        NotRecordableError: The model has no stack of blocks.
    """
    decoder, stacks = _decoder_with_stacks(model)
    declared = declared_classes(decoder, "hidden_states")
    chosen = [
        stack for stack in stacks if declared and any(isinstance(m, declared) for m in stack[1])
    ]
    if not chosen and stacks:
        n_layers = _n_layers(model)
        by_length = [stack for stack in stacks if len(stack[1]) == n_layers]
        chosen = [max(by_length or stacks, key=lambda stack: _n_weights(stack[1]))]
    if not chosen:
        raise NotRecordableError(
            f"{type(model).__name__} has no stack of transformer blocks that Inlook can find."
        )
    return decoder, [
        (f"{name}.{i}", block) for name, stack in chosen for i, block in enumerate(stack)
    ]


def _decoder_with_stacks(
    model: PreTrainedModel,
) -> tuple[nn.Module, list[tuple[str, nn.ModuleList]]]:
    """The decoder (a few families call their LM head so) and its outermost lists of modules."""
    for decoder in [model.get_decoder(), model.base_model]:
        prefix = next((name for name, module in model.named_modules() if module is decoder), "")
        stacks: list[tuple[str, nn.ModuleList]] = []
        for name, module in decoder.named_modules(prefix=prefix):
            inside = any(name.startswith(f"{outer}.") for outer, _ in stacks)
            if isinstance(module, nn.ModuleList) and len(module) and not inside:
                stacks.append((name, module))
        if stacks:
            return decoder, stacks
    return model.base_model, []


def _n_layers(model: PreTrainedModel) -> int | None:
    config = model.config.get_text_config(decoder=True)
    return getattr(config, "decoder_layers", None) or getattr(config, "num_hidden_layers", None)


def _n_weights(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def attention_modules(
    decoder: nn.Module, blocks: list[tuple[str, nn.Module]]
) -> dict[str, tuple[str, nn.Module] | None]:
    """Per block, the outermost module declared (or named) as attention."""
    declared = declared_classes(decoder, "attentions")
    found: dict[str, tuple[str, nn.Module] | None] = {}
    for path, block in blocks:
        candidates = [
            (f"{path}.{name}", module)
            for name, module in block.named_modules()
            if name
            and (
                (declared and isinstance(module, declared))
                or (not declared and "attention" in type(module).__name__.lower())
            )
            and any(True for _ in module.parameters())
        ]
        found[path] = candidates[0] if candidates else None
    return found
