"""How does a text look as tokens? Chips with IDs, bytes, and frames around split characters."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from model_hooks.read.tokenizers import Entry, TokenizerFacts, entries, tokenized, tokenizer_facts
from model_hooks.text.cuts import Token, Tokenization
from pages.ask.computed import computed
from pages.widgets.components import token_strip
from viz.numbers import bits, surprise

KINDS = {
    "added": "the tokenizer puts it there by itself",
    "special": "the name of a special token, found in the text",
    "unknown": "the vocabulary lacks this text, so it is lost",
}

_facts = computed(tokenizer_facts, says="Loading the tokenizer…")
_tokenized = computed(tokenized)
_entries = computed(entries)


class TokenizedText(NamedTuple):
    """A text as one tokenizer cuts it."""

    facts: TokenizerFacts
    cut: Tokenization
    entries: Mapping[int, Entry]
    """What the vocabulary says of each token that is described."""

    @property
    def chips(self) -> list[str]:
        """Labels of the tokens; a piece of a character, grouped under it, shows its own bytes."""
        texts = [token.text for token in self.cut.tokens]
        for character in self.cut.split_characters:
            for pos in range(character.first, character.stop):
                texts[pos] = self.entries[self.cut.tokens[pos].token_id].text
        return texts


def read(
    model_name: str, text: str, limit: int | None = None, by: str | None = None
) -> TokenizedText:
    """Cut a text; describe its first tokens.

    Args:
        model_name: The model.
        text: The text.
        limit: How many tokens to describe; None for all.
        by: The name of another tokenizer than the model's.

    Raises:
        ModelError: There is no tokenizer of that name.
    """
    return described(model_name, _tokenized(model_name, text, limit, True, by), by)


def described(model_name: str, cut: Tokenization, by: str | None = None) -> TokenizedText:
    """Look up the tokens of a text that was cut."""
    ids = tuple(dict.fromkeys(token.token_id for token in cut.tokens))
    found = _entries(model_name, ids, by)
    return TokenizedText(_facts(model_name, by), cut, dict(zip(ids, found, strict=True)))


def draw(
    text: TokenizedText,
    *,
    key: str,
    label: str,
    height: int,
    selected: int | None = None,
    on_pick: Callable[[int], None] | None = None,
    with_bytes: bool = False,
) -> None:
    """Draw the tokens as chips."""
    tokens = text.cut.tokens
    token_strip(
        text.chips,
        key=key,
        selected=selected,
        on_pick=on_pick,
        ids=[token.token_id for token in tokens],
        notes=[hexadecimal(token.utf8) for token in tokens] if with_bytes else None,
        hints=hints(text),
        marks=marks(tokens),
        groups=[(one.first, one.stop, one.text) for one in text.cut.split_characters],
        height=height,
        label=label,
    )


def hexadecimal(utf8: bytes) -> str:
    """Write bytes in hexadecimal."""
    return utf8.hex(" ").upper()


def marks(tokens: Sequence[Token]) -> dict[int, str]:
    """Name the kind of tokens that are not plain text, by position."""
    return {token.pos: token.kind for token in tokens if token.kind != "text"}


def legend(tokens: Sequence[Token]) -> str:
    """Explain the marks that occur."""
    kinds = set(marks(tokens).values())
    return " · ".join(f"**{kind}**: {text}" for kind, text in KINDS.items() if kind in kinds)


def hints(text: TokenizedText) -> list[str]:
    """Return what a chip says of its token when pointed at."""
    return [
        (f"bytes {hexadecimal(token.utf8)}, " if token.utf8 else "") + rank_text(text, token)
        for token in text.cut.tokens
    ]


def rank_text(text: TokenizedText, token: Token) -> str:
    """Say how early a token came into the vocabulary, and what that number is."""
    facts, entry = text.facts, text.entries[token.token_id]
    if entry.merge:
        return f"merge rank {entry.merge.rank:,} of {facts.n_merges:,}"
    if entry.score is not None:
        return f"surprise {bits(surprise(entry.score))}"
    if facts.algorithm == "BPE" and token.kind == "text":
        return "no merge made it"
    return f"rank by ID: {token.token_id:,} of {facts.vocab_size:,}"
