"""Which earlier words made it say this? Each is hidden from all later tokens, and the text run.

A word is hidden in every layer and head, and the softmax spreads its weight over the rest:
attention knockout (Geva et al. 2023, "Dissecting Recall of Factual Associations", section 4) from
every later position, for several words in one batch. The word still reads itself, and all positions
keep their numbers.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from model_hooks.arrays import softmax, to_array
from model_hooks.errors import InlookError, InterventionError, PromptError
from model_hooks.model import HookedModel
from model_hooks.once import once_per_model
from model_hooks.run import capture
from model_hooks.run.interventions import Effects, Intervention, Knockout, check_interventions
from model_hooks.run.masks import NarrowedMask
from model_hooks.run.numbers import explained
from model_hooks.run.trials import probe_ids

Word = tuple[int, ...]
"""Positions of neighbouring tokens."""

AT_MOST = 6
"""Words of a long text that are hidden: the one that matters is nearly always among those."""
POSITIONS_FOR_ALL = 384
"""Of all texts together: up to here, more words are hidden, for they cost little in one batch."""
POSITIONS_AT_ONCE = 1024
"""Of all texts of a batch together: about what a plain prompt of that length takes."""


class WithoutWord(NamedTuple):
    """What became of the prediction with one word hidden."""

    word: Word
    probability: float
    """Of the token that is explained."""
    leading_id: int
    """The most probable token."""
    leading: float
    """Its probability."""


def opening_ids(model: HookedModel) -> frozenset[int]:
    """Return the token IDs that stand for no text: one of them may open every text."""
    return frozenset(map(int, model.tokenizer.all_special_ids))


def words_of(tokens: Sequence[str], start: int = 0) -> tuple[Word, ...]:
    """Put tokens together to words: letters and digits go on with a token that ends with some.

    Letters without case (Chinese, Thai) are left as tokens: often no space ends a word there. So
    are the tokens of a text in which no space is part of a token.

    Args:
        tokens: One string per token of a text.
        start: The first token that counts.
    """
    words: list[Word] = []
    has_spaces = any(token[:1].isspace() for token in tokens[start:])
    for pos in range(start, len(tokens)):
        if words and has_spaces and _is_inside(tokens[pos - 1][-1:], tokens[pos][:1]):
            words[-1] = (*words[-1], pos)
        else:
            words.append((pos,))
    return tuple(words)


def hideable(words: Sequence[Word], last: int, first: int = 0) -> tuple[Word, ...]:
    """Return what of some words can be hidden: neither the token that asks, nor the first one.

    Args:
        words: From `words_of`.
        last: The position that predicts. A word that it ends loses only this token.
        first: What stands before this position is never hidden.
    """
    cut = (tuple(pos for pos in word if pos < last) for word in words if word[0] >= first)
    return tuple(word for word in cut if word)


def most_read(words: Sequence[Word], by_key: Float[np.ndarray, "key"]) -> tuple[Word, ...]:
    """Return the words with the largest sums of what is given per position, in order.

    Of a short text, all of them; of a long one, `AT_MOST`.
    """
    at_most = max(AT_MOST, POSITIONS_FOR_ALL // max(1, len(by_key)))
    sums = [float(by_key[list(word)].sum()) for word in words]
    best = sorted(range(len(words)), key=lambda i: -sums[i])[:at_most]
    return tuple(words[i] for i in sorted(best))


def without_words(
    model: HookedModel,
    token_ids: Sequence[int],
    token_id: int,
    words: tuple[Word, ...],
    interventions: tuple[Intervention, ...] = (),
) -> tuple[WithoutWord, ...]:
    """Hide each of some words once, and return what is predicted then.

    Args:
        model: The model.
        token_ids: The text; its last token predicts.
        token_id: The token that is explained.
        words: What to hide, one after the other; not the last position.
        interventions: What is changed in every run besides.

    Raises:
        PromptError: The text cannot be run, or there is no such token.
        InterventionError: This model's attention cannot be changed, or there is no such word.
    """
    ids = model.start(token_ids).prompt_ids
    model.check_token_ids([token_id])
    changes = check_interventions(interventions, model.info, model.abilities, len(ids))
    for word in words:
        _check(model, word, len(ids))
    rows = [
        row
        for some in _batches(words, len(ids) if _runs_together(model) else None)
        for row in _hidden(model, ids, some, changes)
    ]
    return tuple(
        WithoutWord(word, float(row[token_id]), int(row.argmax()), float(row.max()))
        for word, row in zip(words, rows, strict=True)
    )


def _is_inside(before: str, after: str) -> bool:
    """Whether a word goes on from one character to the next."""
    cased = unicodedata.category(after or " ") != "Lo"
    return before.isalnum() and after.isalnum() and cased


def _check(model: HookedModel, word: Word, n_positions: int) -> None:
    """Refuse a word that no later position reads, and a model in which none can be hidden."""
    if not word or not 0 <= word[0] <= word[-1] < n_positions - 1:
        raise PromptError(
            f"There is no word at positions {list(word)} that a later one reads: this text's last "
            f"position is {n_positions - 1}."
        )
    Knockout(n_positions - 1, word[0]).check(model.info, model.abilities)
    if not any(layer.changes_heads for layer in model.abilities.layers):
        raise InterventionError(
            f"{model.info.name} ({model.info.family}) has no attention that could be kept from "
            "reading a word."
        )


def _batches(words: tuple[Word, ...], n_positions: int | None) -> list[tuple[Word, ...]]:
    """Return which words are hidden together; one at a time without a number of positions."""
    size = 1 if n_positions is None else max(1, POSITIONS_AT_ONCE // n_positions)
    return [words[first : first + size] for first in range(0, len(words), size)]


@torch.inference_mode()
def _hidden(
    model: HookedModel,
    token_ids: tuple[int, ...],
    words: tuple[Word, ...],
    interventions: tuple[Intervention, ...],
) -> Float[np.ndarray, "word vocab"]:
    """Return the probabilities after the last position, with one word hidden in each row."""
    n_positions = len(token_ids)
    ids = torch.tensor([token_ids] * len(words), device=model.model.device)
    kept = {"logits_to_keep": 1} if model.abilities.keeps_last_logits else {}
    changes = (*interventions, _OneWordEach(words))
    with explained(model.model, n_positions), capture.recording(1, changes, n_positions):
        logits = model.model(input_ids=ids, use_cache=False, **kept).logits[:, -1]
    return softmax(to_array(logits).astype(np.float64))


@dataclass(frozen=True)
class _OneWordEach(Intervention):
    """In each text of a batch, one word that no later position reads."""

    words: tuple[Word, ...]

    @property
    def acting_layers(self) -> None:
        """All layers that have attention."""

    def effects(self) -> Effects:
        """Return the masks without the words."""
        return {"mask": self._narrow}

    def describe(self) -> str:
        """Say which words."""
        return f"positions {list(map(list, self.words))} hidden from all later ones"

    def _narrow(self, mask: NarrowedMask) -> None:
        if not mask.one_key_each:
            raise InterventionError(
                "This model's keys are not one per token, so no single word can be hidden."
            )
        keys, queries = mask.keys, mask.queries
        read = [self._is_read(word, queries, keys) for word in self.words]
        mask.keep(torch.stack(read)[:, None] if len(read) > 1 else read[0])

    def _is_read(self, word: Word, queries: Tensor, keys: Tensor) -> Tensor:
        hidden = torch.isin(keys, torch.tensor(word, device=keys.device))
        return ~(hidden & (queries > word[-1]))


@once_per_model
def _runs_together(model: HookedModel) -> bool:
    """Whether two texts of a batch, each without a word, give what they give alone: tried once."""
    if model.anatomy.layout.other_axes != (1, -1):
        return False  # a batch's axis would be taken for that of parallel streams
    ids = probe_ids(model.info.vocab_size)
    words = ((1,), (2, 3))
    try:
        alone = np.concatenate([_hidden(model, ids, (word,), ()) for word in words])
        return bool(np.allclose(_hidden(model, ids, words, ()), alone, atol=1e-5, rtol=1e-3))
    except InlookError:
        return False
