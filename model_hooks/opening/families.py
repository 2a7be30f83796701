"""Which families of models write text, by what their config.json says, and what opens them?"""

from typing import Any

from transformers import (
    CONFIG_MAPPING,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    __version__,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from model_hooks.errors import NotCausalError
from model_hooks.opening.reasons import needs_code


def opener(family: str) -> Any:
    """Return what of transformers builds and loads models of a type.

    Models that look at pictures, too, read text alone as a causal language model does: of them,
    many are in another list of transformers only.
    """
    return AutoModelForImageTextToText if _sees(family) else AutoModelForCausalLM


def _sees(family: str) -> bool:
    """Tell whether a type is known as one that reads text and pictures, and not as a causal LM."""
    return (
        family in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
        and family not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    )


def check_causal(name: str, said: dict[str, Any]) -> None:
    """Refuse a type that is no causal LM, or not known, by what config.json itself says."""
    family, named = said["model_type"], said.get("architectures") or []
    if family not in CONFIG_MAPPING:
        if "auto_map" in said:
            raise needs_code(name)
        raise NotCausalError(
            f"{name} is of the type {family}, which this version of transformers ({__version__}) "
            "does not know."
        )
    if _sees(family) and not said.get("is_encoder_decoder"):
        return
    causal_class = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(family)
    if causal_class is None and any("CausalLM" in str(architecture) for architecture in named):
        raise NotCausalError(
            f"{name} is of the type {family}, for which transformers has no causal language model "
            "that can be opened by itself."
        )
    encoder = family in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if causal_class is None or (
        encoder and causal_class not in named and not said.get("is_decoder", False)
    ):
        what = f"a {named[0]}" if named else f"of the type {family}"
        raise NotCausalError(
            f"{name} is {what}, not a causal language model: choose one that writes text, such as "
            "GPT-2 or Llama."
        )
