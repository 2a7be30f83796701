"""What is a question of a lesson about? A run, and what is looked at in it.

Whatever the view says that matters to an answer; `KINDS` of `answers` says what else one takes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from model_hooks import Decoding, Intervention, ModelInfo
from model_hooks.errors import PromptError
from model_hooks.host import Run
from model_hooks.read.choice import stages_after
from model_hooks.read.lens import word_token_ids
from model_hooks.read.recorded import encode, info_of, tokens_inside, tokens_of
from pages.ask.computed import computed

Answer = int | float | str

_encode = computed(encode)
_info_of = computed(info_of, keep=False)
_tokens_of = computed(tokens_of)
_tokens_inside = computed(tokens_inside)
_word_ids = computed(word_token_ids)
_stages_after = computed(stages_after)


@dataclass(frozen=True)
class Subject:
    """What is asked about: a run, and what is looked at in it."""

    model: str
    prompt: str
    interventions: tuple[Intervention, ...] = ()
    pos: int | None = None
    """None is the last token."""
    layer: int = 0
    head: int | None = 0
    decoding: Decoding = field(default=Decoding())

    written: tuple[int, ...] = ()
    """IDs of tokens after the prompt."""

    @property
    def run(self) -> Run:
        """The run that questions are about."""
        token_ids = (*_encode(self.model, self.prompt), *self.written)
        return Run(self.model, token_ids, self.interventions)

    @property
    def info(self) -> ModelInfo:
        """The model's sizes."""
        return _info_of(self.model)

    @property
    def at(self) -> int:
        """The position that is looked at, from 0."""
        return len(self.run.token_ids) - 1 if self.pos is None else self.pos

    def tokens(self) -> tuple[str, ...]:
        """Return the tokens of the prompt."""
        return _tokens_of(self.model, self.run.token_ids)

    def pieces(self, word: str) -> tuple[str, ...]:
        """Return the tokens of a word."""
        return _tokens_inside(self.model, self.piece_ids(word))

    def piece_ids(self, word: str) -> tuple[int, ...]:
        """Return the IDs of a word's tokens, as it is written inside a text."""
        return _word_ids(self.model, word)

    def token_id(self, word: str) -> int:
        """Return the ID of a token.

        Raises:
            PromptError: The word is not one token of this model.
        """
        ids = self.piece_ids(word)
        if len(ids) != 1:
            raise PromptError(f"“{word}” is {len(ids)} tokens in this model, not one.")
        return ids[0]

    def token(self, token_id: int) -> str:
        """Return the text of a token."""
        return _tokens_inside(self.model, (int(token_id),))[0]

    def probabilities(self) -> np.ndarray:
        """Return the probabilities of the token that comes next, with the options set."""
        return _stages_after(*self.run, self.decoding, self.at)[-1].probabilities


class Kind(NamedTuple):
    """One question that can be asked."""

    gives: str
    """`token`, `text`, `pieces`, `number`, `share`, `bits`, `bits per byte`, `bytes`, `layer`,
    `head` or `place`."""
    answer: Callable[..., Answer]
    takes: Mapping[str, Any] = {}
    """Its arguments: a type where it must be given, else what it is by default."""
