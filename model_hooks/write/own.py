"""What does a model's own `generation_config.json` ask for, and what of it can be done here?"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from transformers import GenerationConfig

from model_hooks.errors import DecodingError
from model_hooks.write.decoding import OPTIONS, Decoding
from model_hooks.write.rules import NO_RULES, Rules, is_token_id

Settings = tuple[tuple[str, Any], ...]
"""Names of `GenerationConfig`, each with a plain value."""

ELSEWHERE = {
    *("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"),
    *("max_length", "max_new_tokens", "num_return_sequences"),
    *("use_cache", "cache_implementation", "cache_config", "max_cache_len", "prefill_chunk_size"),
    *("compile_config", "disable_compile", "continuous_batching_config", "low_memory"),
    *("output_attentions", "output_hidden_states", "output_scores", "output_logits"),
    *("return_dict_in_generate", "transformers_version", "_from_model_config"),
    *("renormalize_logits", "remove_invalid_values"),
}
"""What changes no choice between tokens, or is asked for where a text is written."""
_OF_RULES = tuple(field.name for field in fields(Rules) if field.name != "ends")
_PLAIN = GenerationConfig()
_NEUTRAL = {
    **GenerationConfig._get_default_generation_params(),
    **{option.name: option.off for option in OPTIONS},
}


@dataclass(frozen=True)
class OwnDecoding:
    """How a model's own settings pick a token, as far as that can be done here."""

    decoding: Decoding
    left_out: tuple[tuple[str, str], ...] = ()
    """Settings that are not applied, each with its value as text: `num_beams` and `4`."""


def own_settings(config: GenerationConfig | None) -> Settings:
    """Return what a checkpoint's settings ask for beyond plain greedy decoding, as plain values.

    What is as `generate()` has it without them is left out, and so is what transformers does not
    know.
    """
    if config is None:
        return ()
    said = {
        name: _plain(value)
        for name, value in vars(config).items()
        if name not in ELSEWHERE and hasattr(_PLAIN, name) and _changes(name, value)
    }
    if {"min_length", "min_new_tokens", "bad_words_ids"} & set(said):
        said["eos_token_id"] = end_ids(config)
    return tuple(sorted(said.items()))


def end_ids(config: GenerationConfig) -> tuple[int, ...]:
    """Return the token IDs that end a text; what is no token ID is left out."""
    said = config.eos_token_id
    several = said if isinstance(said, list | tuple) else [said]
    return tuple(one for one in several if is_token_id(one))


def own_decoding(settings: Settings, vocab_size: int) -> OwnDecoding:
    """Return the decoding that a model's own settings describe.

    Args:
        settings: From `own_settings`.
        vocab_size: How many logits the model computes; a larger top-k keeps them all.
    """
    said = dict(settings)
    ends = said.pop("eos_token_id", ())
    decoding = Decoding("sample" if said.pop("do_sample", False) is True else "greedy")
    left_out = []
    for name, value in said.items():
        try:
            decoding = _with(decoding, name, value, vocab_size)
        except (DecodingError, TypeError):
            left_out.append((name, _short(value)))
    if decoding.rules != NO_RULES:
        decoding = replace(decoding, rules=replace(decoding.rules, ends=ends))
    return OwnDecoding(decoding, tuple(left_out))


def _with(decoding: Decoding, name: str, value: Any, vocab_size: int) -> Decoding:
    """Add one setting.

    Raises:
        DecodingError: There is no such option here, or it refuses the value.
        TypeError: The value is of another kind.
    """
    if name in _OF_RULES:
        return replace(decoding, rules=replace(decoding.rules, **{name: value}))
    option = next((option for option in OPTIONS if option.name == name), None)
    if option is None:
        raise DecodingError(f"There is no option {name}.")
    if option.high is None and value >= vocab_size:
        return decoding
    return replace(decoding, **{name: value})


def _changes(name: str, value: Any) -> bool:
    return value is not None and value not in ([], {}) and value != _NEUTRAL.get(name)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple((_plain(key), _plain(of)) for key, of in value.items())
    if isinstance(value, list | tuple | set):
        return tuple(map(_plain, value))
    return value if isinstance(value, bool | int | float | str) else repr(value)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
