"""Which tokens is the prompt made of, and what is one of them?"""

from itertools import zip_longest

import pandas as pd
import streamlit as st

from model_hooks.text.cuts import Tokenization
from model_hooks.text.tokens import clean_text
from pages.state.visit import put
from pages.text import code_span, escape_markdown, visible
from pages.tokenizer import chips, merging
from pages.tokenizer.chips import KINDS, TokenizedText, hexadecimal, legend, rank_text
from pages.widgets.bind import bind, expander
from pages.widgets.check import check
from pages.widgets.controls import pick_position
from pages.widgets.download import csv_button
from pages.widgets.fragment import fragment
from pages.widgets.heading import heading
from pages.widgets.provenance import numbers_from
from pages.widgets.quantity import TOKENS, shown
from viz.numbers import counted, three_digits

MAX_SPELLED = 32
"""Bytes of one token that are written out in a sentence."""
N_QUOTED = 12
"""Characters quoted of a text that the tokenizer changes."""
N_LOST = 5
"""Stretches quoted of what the tokenizer drops."""
TOKEN_HELP = (
    "A **token** is a piece of text in the model's vocabulary: a word, a part of one, a sign, or a "
    "single byte. Its **token ID** is its number there. In the chips, `·` is a space, `↵` a new "
    "line, and `⟨…⟩` a byte or a character without a shape."
)
CHARACTERS_HELP = (
    "Characters (Unicode code points) of the prompt divided by its tokens, without those that the "
    "tokenizer adds. The more, the less work for the model."
)
VOCABULARY_HELP = "How many different tokens there are; token IDs count from 0."
SPACES = ("▁", "Ġ")
"""How vocabularies spell a space: SentencePiece's, and those of bytes."""
FIRST_SPACE_HELP = (
    "These vocabularies keep the space before a word as part of the word: **▁** (or **Ġ**) is how "
    "they spell it. Put before the text, it gives the first word the same token that the word has "
    "inside a sentence. When the text is put together again, that space is left out."
)
BYTES_HELP = (
    "A computer stores text as **bytes**, numbers from 0 to 255 (UTF-8), written here as two "
    "hexadecimal digits. English letters take one byte, é two, 東 three, an emoji four or more."
)


def answer(text: TokenizedText) -> str:
    """Say in one sentence what became of the text (Markdown)."""
    cut = text.cut
    return (
        f"Your text of {counted(len(cut.text), 'character')} becomes "
        f"**{counted(len(cut.token_ids), 'token')}**, each one of the {text.facts.vocab_size:,} "
        "that this tokenizer knows."
    )


def draw_sizes(text: TokenizedText) -> None:
    """Draw how large the prompt and the vocabulary are."""
    cut = text.cut
    with st.container(horizontal=True, gap="large"):
        st.metric("Tokens", shown(TOKENS, len(cut.token_ids)), help=TOKEN_HELP, width="content")
        st.metric("Characters", f"{len(cut.text):,}", width="content")
        st.metric(
            "Characters per token",
            three_digits(cut.characters_per_token),
            help=CHARACTERS_HELP,
            width="content",
        )
        st.metric("Vocabulary", f"{text.facts.vocab_size:,}", help=VOCABULARY_HELP, width="content")


@fragment
def draw(model_name: str, text: TokenizedText) -> None:
    """Draw the chips, the selected token and the merges of its word."""
    cut = text.cut
    heading("Your prompt as tokens", help=TOKEN_HELP)
    if len(cut.tokens) < len(cut.token_ids):
        st.info(
            f"The prompt has {len(cut.text):,} characters and {len(cut.token_ids):,} tokens. The "
            f"first {len(cut.tokens):,} tokens are shown; the CSV file has all.",
            icon=":material/content_cut:",
        )
    pos = _draw_chips(text)
    _draw_checks(text)
    table = expander("Table", "tokenizer.table")
    if table.open:
        table.dataframe(table_of(text), hide_index=True, key="tokenizer_table")
    prompt = cut.text
    csv_button(lambda: table_of(chips.read(model_name, prompt)), "tokens")
    merging.draw(model_name, text, pos)


def first_to_see(text: TokenizedText) -> int:
    """Return the position of the first piece of a word that is cut.

    Where every word is whole, that of the first token that is text; 0 if there is none.
    """
    labels = text.chips
    of_text = {token.pos: None for token in text.cut.tokens if token.kind == "text"}
    for pos in of_text:
        goes_on = pos + 1 in of_text and labels[pos + 1][:1].isalpha()
        if goes_on and labels[pos][-1:].isalpha():
            return pos
    return next(iter(of_text), 0)


def describe(text: TokenizedText, pos: int) -> str:
    """Say everything about one token in a few short sentences (Markdown)."""
    token = text.cut.tokens[pos]
    chip = escape_markdown(visible(text.chips[pos]))
    parts = [f"**{chip}** has the token ID **{token.token_id:,}**."]
    if token.kind in KINDS:
        parts.append(_sentence(KINDS[token.kind]))
    if n_bytes := len(token.utf8):
        spelled = hexadecimal(token.utf8[:MAX_SPELLED]) + (" …" if n_bytes > MAX_SPELLED else "")
        parts.append(f"It stands for {counted(n_bytes, 'byte')}: `{spelled}`.")
    for character in text.cut.split_characters:
        if character.first <= pos < character.stop:
            n_pieces = character.stop - character.first
            whole = escape_markdown(visible(character.text))
            parts.append(f"It is piece {pos - character.first + 1} of {n_pieces} of {whole}.")
    rank, merged = rank_text(text, token), text.entries[token.token_id].merged
    if merged is None:
        parts.append(_sentence(rank))
    else:
        left, right = (escape_markdown(visible(piece)) for piece in merged)
        parts.append(f"It was made by joining {left} and {right}: {rank}.")
    return " ".join(parts)


def change_made(cut: Tokenization) -> tuple[int, str, str] | None:
    """Return where a tokenizer first changes a text, and what became of what; None if nowhere.

    Both are Markdown, a few characters long.
    """
    before, after = cut.text, cut.decoded
    if before == after:
        return None
    pairs = zip_longest(before, after)
    at = next(i for i, (a, b) in enumerate(pairs) if a != b)
    was, became = (
        escape_markdown(visible(part[at : at + N_QUOTED])) if part[at:] else "the end"
        for part in (before, after)
    )
    return at, was, became


def with_space_put_first(cut: Tokenization) -> str | None:
    """Return how the first token of a text is spelled, where a space was put before the text."""
    first = next((token for token in cut.tokens if token.kind != "added"), None)
    if first is None or first.kind != "text" or first.piece[:1] not in SPACES:
        return None
    begins_so = cut.text[:1].isspace() or cut.text[:1] == first.piece[:1]
    return None if begins_so else first.piece


def without_second_beginning(cut: Tokenization) -> str | None:
    """Return a text without the special token that the tokenizer adds before it anyway.

    Returns:
        None where the text does not begin with it.
    """
    ids, kinds = cut.token_ids[:2], [token.kind for token in cut.tokens[:2]]
    if len(set(ids)) != 1 or kinds != ["added", "special"]:
        return None
    rest = cut.text.lstrip().removeprefix(cut.tokens[0].piece)
    return rest or None


def lost_sentence(cut: Tokenization) -> str:
    """Name what no token stands for, though none marks it as unknown (Markdown)."""
    parts = [cut.text[first:stop][:N_QUOTED] for first, stop in cut.lost[:N_LOST]]
    named = ", ".join(f"“{escape_markdown(visible(part))}”" for part in parts)
    dots = ", …" if len(cut.lost) > N_LOST else ""
    return f"No token stands for {named}{dots}: the model does not see that this was there."


def table_of(text: TokenizedText) -> pd.DataFrame:
    """List the tokens that are described, one per row."""
    tokens = text.cut.tokens
    merges = [text.entries[token.token_id].merge for token in tokens]
    spans = [token.span or (None, None) for token in tokens]
    return pd.DataFrame(
        {
            "pos": [token.pos for token in tokens],
            "token": [visible(token.text) for token in tokens],
            "token_id": [token.token_id for token in tokens],
            "bytes": [hexadecimal(token.utf8) for token in tokens],
            "merge_rank": pd.array([one and one.rank for one in merges], dtype="Int64"),
            "kind": [token.kind for token in tokens],
            "vocabulary_entry": [token.piece for token in tokens],
            "first_character": pd.array([first for first, _ in spans], dtype="Int64"),
            "stop_character": pd.array([stop for _, stop in spans], dtype="Int64"),
        }
    )


def _draw_chips(text: TokenizedText) -> int:
    """Draw the chips and what is to be said of the selected one; return its position."""
    with_bytes = bind(st.toggle, "Show bytes", "tokenizer.bytes", help=BYTES_HELP)
    above = st.container()
    by_number, in_words = st.columns([1, 3], vertical_alignment="bottom")
    with by_number:
        pos = pick_position(text.chips, default=first_to_see(text))
    bpe_help = merging.BPE_HELP if text.facts.algorithm == "BPE" else None
    in_words.markdown(describe(text, pos), help=bpe_help)
    with above:
        chips.draw(
            text,
            key="tokenizer_tokens",
            label="Tokens of the prompt",
            height=560,
            selected=pos,
            on_pick=lambda picked: put(pos=picked),
            with_bytes=with_bytes,
        )
        if marked := legend(text.cut.tokens):
            st.caption(marked)
    return pos


def _draw_checks(text: TokenizedText) -> None:
    """Say whether the token IDs give the text back, and where they come from."""
    cut, change = text.cut, change_made(text.cut)
    if change is None:
        size = counted(len(clean_text(cut.text).encode()), "byte")
        check(True, f"these token IDs give back exactly your text, {size}.")
    else:
        at, was, became = change
        st.caption(
            ":material/info: These token IDs do not give back exactly your text, because the "
            f"tokenizer changes some of it: from character {at} on, {was} became {became}."
        )
    if first := with_space_put_first(cut):
        st.caption(
            f":material/info: The tokenizer puts a space before your text: {code_span(first)} is "
            "how the vocabulary spells its first token.",
            help=FIRST_SPACE_HELP,
        )
    if cut.lost:
        st.caption(f":material/info: {lost_sentence(cut)}")
    if (rest := without_second_beginning(cut)) is not None:
        st.caption(
            ":material/info: Your text begins with what the tokenizer puts there by itself: "
            f"{code_span(visible(cut.tokens[0].piece))}. The model reads it twice."
        )
        st.button("Leave mine out", key="tokenizer.once", on_click=put, kwargs={"prompt": rest})
    source = f"Token IDs from the tokenizer (`{text.facts.class_name}`)"
    numbers_from(None, [len(cut.token_ids)], source)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
