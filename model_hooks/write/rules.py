"""Which tokens may not come next, whatever their scores? Rules that a checkpoint brings along.

They are part of how a token is picked, but no number that somebody would turn: lists of token IDs
in a model's own `generation_config.json`. transformers' own logits processors apply them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import no_type_check

from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    MinLengthLogitsProcessor,
    MinNewTokensLengthLogitsProcessor,
    NoBadWordsLogitsProcessor,
    SuppressTokensAtBeginLogitsProcessor,
    SuppressTokensLogitsProcessor,
)

from model_hooks.errors import DecodingError

Ids = tuple[int, ...]

STAGE = "model_rules"
"""What the stage is called after which the rules have acted."""
MAX_SEQUENCES = 2000
MAX_SEQUENCE = 64
MAX_IDS = 2**20


@no_type_check  # it checks itself, with a sentence for the user
@dataclass(frozen=True)
class Rules:
    """What may not be written, by the names of `GenerationConfig`; all off by default.

    Raises:
        DecodingError: A value is no token ID or no number of tokens, or there are too many.
    """

    bad_words_ids: tuple[Ids, ...] = ()
    """Sequences of tokens that are never completed."""
    suppress_tokens: Ids = ()
    """Tokens that are never picked."""
    begin_suppress_tokens: Ids = ()
    """Tokens that are not picked right after the prompt."""
    min_length: int = 0
    """The text does not end before it has that many tokens, the prompt's among them."""
    min_new_tokens: int = 0
    """The text does not end before that many were written."""
    ends: Ids = ()
    """The token IDs that end a text, which the last two keep away."""

    def __post_init__(self) -> None:
        for name in ("suppress_tokens", "begin_suppress_tokens", "ends"):
            _check_ids(name, getattr(self, name), MAX_IDS)
        sequences = self.bad_words_ids
        if not isinstance(sequences, tuple) or len(sequences) > MAX_SEQUENCES:
            raise DecodingError(f"bad_words_ids must be at most {MAX_SEQUENCES:,} sequences.")
        for sequence in sequences:
            _check_ids("Each sequence of bad_words_ids", sequence, MAX_SEQUENCE)
        for name in ("min_length", "min_new_tokens"):
            if not is_token_id(value := getattr(self, name)):
                raise DecodingError(f"{name} must be a whole number from 0, not {value!r}.")

    @property
    def are_on(self) -> bool:
        """Whether there is any rule."""
        return any(getattr(self, field.name) for field in fields(self) if field.name != "ends")

    def processor(self, vocab_size: int, n_prompt: int) -> LogitsProcessorList:
        """Return what applies the rules, in the order in which `generate()` does.

        Args:
            vocab_size: How many logits there are; what names a token beyond them forbids nothing.
            n_prompt: How many tokens the prompt has.
        """
        return LogitsProcessorList(self._each(vocab_size, n_prompt))

    def _each(self, vocab_size: int, n_prompt: int) -> Iterator[LogitsProcessor]:
        ends = [*self.ends]
        known = [[*ids] for ids in self.bad_words_ids if ids and max(ids) < vocab_size]
        if bad_words := [ids for ids in known if len(ids) > 1 or ids[0] not in ends]:
            yield NoBadWordsLogitsProcessor(bad_words)
        if self.min_length and ends:
            yield MinLengthLogitsProcessor(self.min_length, ends)
        if self.min_new_tokens and ends:
            yield MinNewTokensLengthLogitsProcessor(n_prompt, self.min_new_tokens, ends)
        if self.suppress_tokens:
            yield SuppressTokensLogitsProcessor([*self.suppress_tokens])
        if self.begin_suppress_tokens:
            yield SuppressTokensAtBeginLogitsProcessor([*self.begin_suppress_tokens], n_prompt)


# The mark would hide the types of the fields, which links are read by.
del Rules.__no_type_check__  # pyright: ignore[reportAttributeAccessIssue]


def _check_ids(name: str, ids: object, most: int) -> None:
    if not isinstance(ids, tuple) or len(ids) > most or not all(map(is_token_id, ids)):
        raise DecodingError(f"{name} must be at most {most:,} token IDs, whole numbers from 0.")


def is_token_id(value: object) -> bool:
    """Whether a value can be a token ID: a whole number from 0."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


NO_RULES = Rules()
