"""What does a model's tokenizer, or another one that is named, do with a text: as plain values?

Every question takes `by`, the name of another tokenizer: a bundled model, a directory, a Hub id or
`SINGLE_BYTES`. Only that tokenizer is loaded, so any size of model will do. None stands for the
model's own.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from model_hooks.arrays import check_count
from model_hooks.errors import PromptError
from model_hooks.loading import load_tokenizer
from model_hooks.model import HookedModel
from model_hooks.once import once_per_model
from model_hooks.text.cuts import Tokenization
from model_hooks.text.merges import MOST_PIECES, MergeStep
from model_hooks.text.tokenization import TokenizerView, byte_tokenizer
from model_hooks.text.vocabulary import Merge, SpecialToken

SINGLE_BYTES = "single bytes"
"""Names the tokenizer that BPE begins with: one token per byte."""
KEPT = 4
"""Tokenizers loaded alone that are kept: a large vocabulary takes some 100 MB."""


@dataclass(frozen=True)
class TokenizerFacts:
    """What one tokenizer is."""

    class_name: str
    algorithm: str
    """`BPE`, `Unigram`, `WordPiece` or `WordLevel`; otherwise the tokenizer's class."""
    vocab_size: int
    n_merges: int
    """0 for other algorithms than BPE."""
    is_byte_level: bool
    """Whether merging begins with single bytes; otherwise with characters."""
    looks_up_whole_words: bool
    """Whether BPE takes a word that is in the vocabulary as it is, without merging."""
    special_tokens: tuple[SpecialToken, ...]
    chat_template: str | None
    """The template that writes a conversation (Jinja); None if there is none."""


class Entry(NamedTuple):
    """One token of a vocabulary."""

    token_id: int
    piece: str
    """How the vocabulary spells it, such as `Ġlittle`."""
    text: str
    """What it reads like on its own; parts of characters as `⟨F0⟩`."""
    utf8: bytes
    merge: Merge | None
    """The merge that made it; None where none did."""
    merged: tuple[str, str] | None
    """What the two pieces of that merge read like."""
    score: float | None
    """A Unigram token's natural log-probability."""


class MergedWord(NamedTuple):
    """A word, or its beginning, from its first pieces to its tokens."""

    steps: tuple[MergeStep, ...]
    whole: bool
    """Whether it was short enough to be merged as a whole."""
    agrees: bool
    """Whether the tokenizer itself makes the same tokens of the same text."""


def tokenizer_facts(model: HookedModel, by: str | None = None) -> TokenizerFacts:
    """Return what a tokenizer is.

    Raises:
        ModelError: There is no tokenizer of that name.
    """
    view = _view(model, by)
    return TokenizerFacts(
        class_name=type(view.tokenizer).__name__,
        algorithm=view.algorithm,
        vocab_size=view.vocab_size,
        n_merges=view.n_merges,
        is_byte_level=view.is_byte_level,
        looks_up_whole_words=view.looks_up_whole_words,
        special_tokens=view.special_tokens(),
        chat_template=view.chat_template,
    )


def tokenized(
    model: HookedModel,
    text: str,
    limit: int | None = None,
    add_special_tokens: bool = True,
    by: str | None = None,
) -> Tokenization:
    """Cut a text into tokens; see `TokenizerView.tokenize`.

    Raises:
        ModelError: There is no tokenizer of that name.
    """
    view = _view(model, by)
    return view.tokenize(text, limit=limit, add_special_tokens=add_special_tokens)


def chat_tokens(
    model: HookedModel, text: str, limit: int | None = None, by: str | None = None
) -> Tokenization:
    """Cut a text, written as the user's turn of a conversation.

    Raises:
        PromptError: There is no chat template, or it fails.
        ModelError: There is no tokenizer of that name.
    """
    view = _view(model, by)
    return view.tokenize(view.chat_text(text), limit=limit, add_special_tokens=False)


def chat_prompt(model: HookedModel, text: str, by: str | None = None) -> str | None:
    """Return the prompt that becomes the tokens of `chat_tokens`; None where no text does.

    Raises:
        PromptError: There is no chat template, or it fails.
        ModelError: There is no tokenizer of that name.
    """
    return _view(model, by).chat_prompt(text)


def entries(
    model: HookedModel, token_ids: tuple[int, ...], by: str | None = None
) -> tuple[Entry, ...]:
    """Return what the vocabulary says of some tokens.

    Raises:
        ModelError: There is no tokenizer of that name.
    """
    view = _view(model, by)
    return tuple(_entry(view, token_id) for token_id in token_ids)


def found_tokens(model: HookedModel, query: str, by: str | None = None) -> tuple[int, ...]:
    """Return the IDs of tokens whose text contains a query, the best first.

    Raises:
        ModelError: There is no tokenizer of that name.
    """
    return tuple(_view(model, by).search(query))


def word_tokens(model: HookedModel, spelling: str, by: str | None = None) -> tuple[int, ...]:
    """Return the token IDs that the tokenizer's own algorithm makes of a word.

    Args:
        model: The model.
        spelling: A `Word.spelling`.
        by: Another tokenizer.

    Raises:
        ModelError: There is no tokenizer of that name.
    """
    return _view(model, by).cut(spelling)


def merged_word(model: HookedModel, spelling: str, most: int, by: str | None = None) -> MergedWord:
    """Merge a word as byte-pair encoding does; of a long one, only the beginning.

    Args:
        model: The model.
        spelling: A `Word.spelling`.
        most: Most bytes or characters to begin with.
        by: Another tokenizer.

    Raises:
        ModelError: There is no tokenizer of that name.
        PromptError: Too many, or no piece may be there.
    """
    most = check_count("most", most, PromptError, 1, MOST_PIECES)
    view, part = _view(model, by), spelling[:most]
    while len(view.smallest_pieces(part)) > most:
        part = part[: len(part) // 2]
    steps = view.merge_steps(part)
    return MergedWord(steps, part == spelling, steps[-1].token_ids == view.cut(part))


def _entry(view: TokenizerView, token_id: int) -> Entry:
    merge = view.merge_of(token_id)
    return Entry(
        token_id=token_id,
        piece=view.piece(token_id),
        text=view.readable(token_id),
        utf8=view.utf8(token_id),
        merge=merge,
        merged=None if merge is None else (_read(view, merge.left), _read(view, merge.right)),
        score=view.score(token_id),
    )


def _read(view: TokenizerView, piece: str) -> str:
    return view.readable(view.ids[piece])


def _view(model: HookedModel, by: str | None) -> TokenizerView:
    return _own_view(model) if by is None else _named_view(by)


@once_per_model
def _own_view(model: HookedModel) -> TokenizerView:
    return TokenizerView(model.tokenizer)


@lru_cache(KEPT)
def _named_view(name: str) -> TokenizerView:
    return TokenizerView(byte_tokenizer() if name == SINGLE_BYTES else load_tokenizer(name))
