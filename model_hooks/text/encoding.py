"""Which tokens does a tokenizer make of a text: IDs, or one sentence why there are none?"""

from typing import Any

from transformers import BatchEncoding, PreTrainedTokenizerBase

from model_hooks.errors import PromptError
from model_hooks.opening.reasons import panics_are_errors, reason
from model_hooks.text.tokens import clean_text


def encoded(tokenizer: PreTrainedTokenizerBase, text: str, **options: Any) -> BatchEncoding:
    """Return what a tokenizer says of a text.

    Args:
        tokenizer: The tokenizer.
        text: Any text; lone surrogates become U+FFFD.
        **options: What else its call takes, such as `add_special_tokens`.

    Raises:
        PromptError: It is no text, or the tokenizer fails on it; the message says why.
    """
    text = clean_text(text)
    try:
        with panics_are_errors():
            return tokenizer(text, verbose=False, **options)
    except Exception as error:  # whatever code and settings from elsewhere do
        raise failed(error) from error


def ids_of(tokenizer: PreTrainedTokenizerBase, text: str, **options: Any) -> list[int]:
    """Return the token IDs of a text; see `encoded`."""
    return [int(token_id) for token_id in encoded(tokenizer, text, **options)["input_ids"]]


def failed(error: Exception) -> PromptError:
    """Return the sentence that a tokenizer failed on a text, with its own reason."""
    return PromptError(f"This model's tokenizer fails on this text: {reason(error)}.")
