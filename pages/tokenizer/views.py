"""What the Tokenizer page shows about one tokenizer: caches, tables and sentences."""

from typing import NamedTuple

import pandas as pd
import streamlit as st

from model_hooks import TokenizerView, load_tokenizer
from model_hooks.text.tokenization import (
    MergeStep,
    Token,
    Tokenization,
    Word,
    byte_tokenizer,
)
from model_hooks.text.tokens import clean_text
from pages.ask.session import hooked_model
from pages.shell.sidebar import bundled_models
from pages.text import escape_markdown, visible

MAX_CHIPS = 1000
"""Tokens shown as chips; the CSV file has all."""
MAX_COMPARED = 300
MAX_FOUND = 200
MAX_SYMBOLS = 40
"""Bytes or characters of a word that are merged on screen."""
BYTES = "single bytes"
"""The name of the tokenizer that BPE begins with."""

ROLES = {
    "bos_token": "begins a text (BOS)",
    "eos_token": "ends a text (EOS)",
    "unk_token": "stands for what the vocabulary lacks (UNK)",
    "pad_token": "fills up short texts (PAD)",
    "sep_token": "separates two texts (SEP)",
    "cls_token": "stands for the whole text (CLS)",
    "mask_token": "hides a token (MASK)",
}
KINDS = {
    "added": "the tokenizer puts it there by itself",
    "special": "the name of a special token, found in the text",
    "unknown": "the vocabulary lacks this text, so it is lost",
}

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
BYTES_HELP = (
    "A computer stores text as **bytes**, numbers from 0 to 255 (UTF-8), written here as two "
    "hexadecimal digits. English letters take one byte, é two, 東 three, an emoji four or more."
)
BPE_HELP = (
    "**Byte-pair encoding** (BPE): in training, the most frequent pair of neighbouring pieces "
    "became a new token, again and again. The **rank** counts these **merges** from 0. A new word "
    "is merged in the same order: lowest rank first "
    "([Sennrich et al. 2016](https://arxiv.org/abs/1508.07909))."
)
SPECIAL_HELP = (
    "A **special token** stands for no text but for an event, such as the beginning of a document "
    "or the end of a turn. It has an ID like every other token."
)
CHAT_HELP = (
    "A **chat template** writes a conversation as one text, with special tokens between the turns; "
    "a model trained to chat has seen only such texts."
)
ALGORITHMS = {
    "WordPiece": "This tokenizer uses **WordPiece**, not BPE: from the left, it takes the longest "
    "piece that is in its vocabulary, then goes on behind it; `##` marks a piece inside a word.",
    "Unigram": "This tokenizer uses **Unigram**, not BPE: every token has a probability, and of "
    "all ways to cut a word it takes the most probable one (the highest sum of logarithms).",
    "WordLevel": "This tokenizer merges nothing: each whole word has an ID of its own, and a word "
    "that is not in the vocabulary is unknown.",
}


@st.cache_resource(max_entries=3, show_spinner=False)
def view_of_model(name: str) -> TokenizerView:
    """Look into the tokenizer of a loaded model."""
    return TokenizerView(hooked_model(name).tokenizer)


@st.cache_resource(max_entries=3, show_spinner="Loading the tokenizer…")
def view_of(name: str) -> TokenizerView:
    """Load a tokenizer alone and look into it."""
    return TokenizerView(byte_tokenizer() if name == BYTES else load_tokenizer(name))


@st.cache_resource(max_entries=16, show_spinner=False)
def tokenized(_view: TokenizerView, name: str, text: str, limit: int) -> Tokenization:
    """Cut a text, once for all sessions."""
    return _view.tokenize(text, limit=limit)


def others(name: str) -> list[str]:
    """Name the tokenizers that are at hand to compare with."""
    return [BYTES, *(model.name for model in bundled_models() if model.name != name)]


def counted(number: int, noun: str) -> str:
    """Write a number and what it counts: 1 token, 2,000 tokens."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def hexadecimal(utf8: bytes) -> str:
    """Write bytes in hexadecimal."""
    return utf8.hex(" ").upper()


def marks(tokens: tuple[Token, ...]) -> dict[int, str]:
    """Name the kind of tokens that are not plain text, by position."""
    return {token.pos: token.kind for token in tokens if token.kind != "text"}


def first_of_text(cut: Tokenization) -> int:
    """Return the position of the first token that is text, 0 if there is none."""
    return next((token.pos for token in cut.tokens if token.kind == "text"), 0)


def legend(tokens: tuple[Token, ...]) -> str:
    """Explain the marks that occur."""
    kinds = set(marks(tokens).values())
    return " · ".join(f"**{kind}**: {text}" for kind, text in KINDS.items() if kind in kinds)


def chip_texts(view: TokenizerView, cut: Tokenization) -> list[str]:
    """Label the chips; a piece of a character, grouped under it, shows its own bytes."""
    texts = [token.text for token in cut.tokens]
    for character in cut.split_characters:
        for pos in range(character.first, character.stop):
            texts[pos] = view.readable(cut.tokens[pos].token_id)
    return texts


def groups(cut: Tokenization) -> list[tuple[int, int, str]]:
    """Return the pre-tokenizer's pieces as groups of neighbouring tokens."""
    return [(split.first, split.stop, split.text) for split in cut.split_characters]


def rank_text(view: TokenizerView, token: Token) -> str:
    """Say how early a token came into the vocabulary, and what that number is."""
    if merge := view.merge_of(token.token_id):
        return f"merge rank {merge.rank:,} of {view.n_merges:,}"
    if (score := view.score(token.token_id)) is not None:
        return f"log-probability {score:.2f}"
    if view.algorithm == "BPE" and token.kind == "text":
        return "no merge made it"
    return f"rank by ID: {token.token_id:,} of {view.vocab_size:,}"


def hints(view: TokenizerView, tokens: tuple[Token, ...]) -> list[str]:
    """Return what the strip says about each token when pointed at."""
    return [
        (f"bytes {hexadecimal(token.utf8)}, " if token.utf8 else "") + rank_text(view, token)
        for token in tokens
    ]


def describe(view: TokenizerView, cut: Tokenization, pos: int, chip: str) -> str:
    """Say everything about one token in a few short sentences (Markdown)."""
    token = cut.tokens[pos]
    parts = [f"**{escape_markdown(visible(chip))}** has the token ID **{token.token_id:,}**."]
    if token.kind in KINDS:
        parts.append(_sentence(KINDS[token.kind]))
    if n_bytes := len(token.utf8):
        spelled = hexadecimal(token.utf8[:32]) + (" …" if n_bytes > 32 else "")
        parts.append(f"It stands for {counted(n_bytes, 'byte')}: `{spelled}`.")
    for character in cut.split_characters:
        if character.first <= pos < character.stop:
            n_pieces = character.stop - character.first
            parts.append(
                f"It is piece {pos - character.first + 1} of {n_pieces} of "
                f"{escape_markdown(visible(character.text))}."
            )
    if merge := view.merge_of(token.token_id):
        left, right = (
            escape_markdown(readable(view, piece)) for piece in (merge.left, merge.right)
        )
        parts.append(f"It was made by joining {left} and {right}: {rank_text(view, token)}.")
    else:
        parts.append(_sentence(rank_text(view, token)))
    return " ".join(parts)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def readable(view: TokenizerView, piece: str) -> str:
    """Write a piece of the vocabulary as its chip would."""
    token_id = view.tokenizer.convert_tokens_to_ids(piece)
    return visible(view.readable(token_id))


def round_trip(text: str, cut: Tokenization) -> str:
    """Say whether the token IDs give the text back (Markdown)."""
    n_bytes = len(clean_text(text).encode())
    if cut.decoded == text:
        size = counted(n_bytes, "byte")
        return f":material/check: These token IDs give back exactly your text, {size}."
    pairs = zip(text, cut.decoded, strict=False)
    at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(text), len(cut.decoded)))
    was, became = (
        escape_markdown(visible(part[at : at + 12])) if part[at:] else "the end"
        for part in (text, cut.decoded)
    )
    return (
        ":material/info: These token IDs do not give back exactly your text, because the tokenizer "
        f"changes some of it: from character {at} on, {was} became {became}."
    )


def token_table(view: TokenizerView, tokens: tuple[Token, ...]) -> pd.DataFrame:
    """List tokens, one per row."""
    merges = [view.merge_of(token.token_id) for token in tokens]
    return pd.DataFrame(
        {
            "pos": [token.pos for token in tokens],
            "token": [visible(token.text) for token in tokens],
            "token_id": [token.token_id for token in tokens],
            "bytes": [hexadecimal(token.utf8) for token in tokens],
            "merge_rank": pd.array([m and m.rank for m in merges], dtype="Int64"),
            "kind": [token.kind for token in tokens],
            "vocabulary_entry": [token.piece for token in tokens],
            "first_character": pd.array([t.span and t.span[0] for t in tokens], dtype="Int64"),
            "stop_character": pd.array([t.span and t.span[1] for t in tokens], dtype="Int64"),
        }
    )


def vocabulary_table(view: TokenizerView, token_ids: list[int]) -> pd.DataFrame:
    """List entries of the vocabulary, one per row."""
    merges = [view.merge_of(token_id) for token_id in token_ids]
    return pd.DataFrame(
        {
            "token_id": token_ids,
            "token": [visible(view.readable(token_id)) for token_id in token_ids],
            "bytes": [hexadecimal(view.utf8(token_id)) for token_id in token_ids],
            "merge_rank": pd.array([m and m.rank for m in merges], dtype="Int64"),
            "vocabulary_entry": [view.piece(token_id) for token_id in token_ids],
        }
    )


def special_table(view: TokenizerView) -> pd.DataFrame:
    """List the special tokens, one per row."""
    tokens = view.special_tokens()
    return pd.DataFrame(
        {
            "token_id": [token.token_id for token in tokens],
            "token": [token.text for token in tokens],
            "what for": ["; ".join(ROLES.get(r, r) for r in t.roles) for t in tokens],
            "added to every prompt": [token.added for token in tokens],
        }
    )


class MergedWord(NamedTuple):
    """A word, or its beginning, from its first pieces to its tokens."""

    steps: tuple[MergeStep, ...]
    whole: bool
    """Whether it was short enough to be merged as a whole."""
    agrees: bool
    """Whether the tokenizer itself makes the same tokens of the same text."""


def merged(view: TokenizerView, word: Word) -> MergedWord:
    """Merge a word, one that is too long for the screen only to its first characters."""
    spelling = word.spelling[:MAX_SYMBOLS]
    while len(view.smallest_pieces(spelling)) > MAX_SYMBOLS:
        spelling = spelling[: len(spelling) // 2]
    steps = view.merge_steps(spelling)
    agrees = steps[-1].token_ids == view.cut(spelling)
    return MergedWord(steps, spelling == word.spelling, agrees)


def merge_table(view: TokenizerView, steps: tuple[MergeStep, ...]) -> pd.DataFrame:
    """List the merges of a word, one per row."""
    merges = [step.merge for step in steps[1:]]
    return pd.DataFrame(
        {
            "merge": range(1, len(steps)),
            "left": [readable(view, merge.left) for merge in merges],
            "right": [readable(view, merge.right) for merge in merges],
            "becomes": [visible(view.readable(s.token_ids[s.made])) for s in steps[1:]],
            "rank": [merge.rank for merge in merges],
        }
    )


def unigram_table(view: TokenizerView, word: Word) -> pd.DataFrame:
    """List the tokens of a word with their log-probabilities."""
    ids = view.cut(word.spelling)
    return pd.DataFrame(
        {
            "token": [visible(view.readable(token_id)) for token_id in ids],
            "token_id": ids,
            "log-probability": [view.score(token_id) for token_id in ids],
        }
    )


def follow_selected_word(cut: Tokenization, pos: int, place: tuple[str, str]) -> None:
    """Choose the word that the selected token belongs to, whenever another token is selected."""
    if st.session_state.get("tokenizer.followed") == (place, pos):
        return
    st.session_state["tokenizer.followed"] = (place, pos)
    index = cut.word_of[pos]
    if index is not None:
        st.session_state["tokenizer.word"] = visible(cut.words[index].text)
    elif st.session_state.get("tokenizer.place") != place:
        st.session_state["tokenizer.word"] = visible(cut.words[-1].text) if cut.words else None
    st.session_state["tokenizer.place"] = place


def pick_word(view: TokenizerView, cut: Tokenization) -> Word | None:
    """Let the user choose a word of the prompt or type another one."""
    words = {visible(word.text): word for word in cut.words}
    typed = st.selectbox(
        "Word",
        list(words),
        index=None,
        key="tokenizer.word",
        accept_new_options=True,
        placeholder="Choose a word of the prompt, or type one",
        help="A token that you pick above chooses its word. Type any other word here; begin it "
        "with a space or `·` if it should stand inside a sentence.",
    )
    if typed is None or typed in words:
        return words.get(typed)
    found = view.tokenize(typed.replace("·", " "), limit=MAX_CHIPS, add_special_tokens=False).words
    if len(found) > 1:
        st.caption(
            f"That is {len(found)} words for this tokenizer; "
            f"here is {escape_markdown(visible(found[0].text))}."
        )
    return found[0] if found else None


UNKNOWN_ALGORITHM = "This tokenizer does not tell how it cuts a word."
NO_CHAT = (
    "This tokenizer has no chat template: its model continues a text and was not trained to answer."
)


def merge_sentence(word: Word, steps: tuple[MergeStep, ...], unit: str) -> str:
    """Say what the merges did (Markdown)."""
    n_first, n_last = len(steps[0].token_ids), len(steps[-1].token_ids)
    name = f"**{escape_markdown(visible(word.text))}**"
    if n_first == 1:
        return f"{name} is a single {unit}: there is nothing to merge."
    if len(steps) == 1:
        return f"{name} stays as it is: no two of its pieces were ever merged in training."
    return (
        f"{name} begins as {n_first} {unit}s. Again and again, the neighbouring pair that was "
        f"learned first is joined: after {counted(len(steps) - 1, 'merge')}, "
        f"{n_last} token{'s are' if n_last > 1 else ' is'} left."
    )


def check_sentence(view: TokenizerView, agrees: bool) -> str:
    """Say whether the merges on screen end where the tokenizer itself does (Markdown)."""
    if agrees:
        return ":material/check: The tokenizer's own code makes the same tokens of this text."
    if view.looks_up_whole_words:
        return (
            ":material/info: This tokenizer looks up whole words first: the word is one token, and "
            "no merge was needed."
        )
    return ":material/warning: The tokenizer's own code makes other tokens of this text."


def special_sentence(view: TokenizerView) -> str:
    """Say what the tokenizer adds, and what typing a special token does (Markdown)."""
    tokens = view.special_tokens()
    if not tokens:
        return "This tokenizer has no special tokens."
    added = [f"`{token.text}` (ID {token.token_id})" for token in tokens if token.added]
    adds = f"adds {' and '.join(added)} to every prompt" if added else "adds none to a prompt"
    example = next((token for token in tokens if "unk_token" not in token.roles), tokens[0])
    return (
        f"This tokenizer has {counted(len(tokens), 'special token')} and {adds}. "
        f"Type `{example.text}` into the prompt: it becomes that one token, not text."
    )


def chat_tokens(view: TokenizerView, prompt: str) -> Tokenization:
    """Cut the prompt, written as a conversation.

    Raises:
        PromptError: The template fails.
    """
    text = view.chat_text(prompt)
    return view.tokenize(text, limit=MAX_COMPARED, add_special_tokens=False)


def card(title: str, view: TokenizerView, cut: Tokenization) -> str:
    """Describe one of two tokenizers (Markdown)."""
    return (
        f"**{escape_markdown(title)}**: {counted(len(cut.token_ids), 'token')}, "
        f"{cut.characters_per_token:.2f} characters per token  \n"
        f":small[{view.algorithm}, vocabulary of {view.vocab_size:,}]"
    )


def comparison(first: tuple[str, Tokenization], second: tuple[str, Tokenization]) -> str:
    """Say which of two tokenizers needs fewer tokens (Markdown)."""
    (a, few), (b, many) = sorted((first, second), key=lambda pair: len(pair[1].token_ids))
    a, b = escape_markdown(a), escape_markdown(b)
    n_few, n_many = len(few.token_ids), len(many.token_ids)
    if n_few == n_many:
        return f"**{a}** and **{b}** both need {counted(n_few, 'token')}."
    times = f"{n_many / n_few:.1f} times as many"
    return f"**{a}** needs {counted(n_few, 'token')}, **{b}** {n_many:,}: {times}."
