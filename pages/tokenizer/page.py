"""Tokenizer: how does text become token IDs?"""

import streamlit as st

from model_hooks import InlookError
from pages.ask.session import current_model, current_token_ids
from pages.state.selection import select, selection
from pages.tokenizer import views as about
from pages.widgets.chart import chart
from pages.widgets.components import token_strip
from pages.widgets.controls import pick_position
from pages.widgets.download import csv_button
from pages.widgets.provenance import numbers_from
from pages.text import escape_markdown, visible
from viz import merge_ladder

st.title("Tokenizer")
st.markdown(
    "**How does text become token IDs?** A language model works on numbers, so the tokenizer cuts "
    "the text into pieces of a fixed vocabulary, **tokens**, and replaces each by its number."
)

current_model()
name, prompt, token_ids = selection().model, selection().prompt, current_token_ids()
view = about.view_of_model(name)
cut = about.tokenized(view, name, prompt, about.MAX_CHIPS)
bpe_help = about.BPE_HELP if view.algorithm == "BPE" else None

with st.container(horizontal=True, gap="large"):
    per_token = f"{cut.characters_per_token:.2f}"
    st.metric("Tokens", f"{len(token_ids):,}", help=about.TOKEN_HELP, width="content")
    st.metric("Characters", f"{len(prompt):,}", width="content")
    st.metric("Characters per token", per_token, help=about.CHARACTERS_HELP, width="content")
    st.metric("Vocabulary", f"{view.vocab_size:,}", help=about.VOCABULARY_HELP, width="content")


@st.fragment
def prompt_as_tokens() -> None:
    """Draw the chips, the selected token and the merges of its word."""
    st.subheader("Your prompt as tokens", help=about.TOKEN_HELP)
    if len(cut.tokens) < len(token_ids):
        st.info(
            f"The prompt has {len(prompt):,} characters and {len(token_ids):,} tokens. The first "
            f"{len(cut.tokens):,} tokens are shown; the CSV file has all.",
            icon=":material/content_cut:",
        )
    chips = about.chip_texts(view, cut)
    with_bytes = st.toggle("Show bytes", key="tokenizer.bytes", value=True, help=about.BYTES_HELP)
    chosen = st.container()
    by_number, in_words = st.columns([1, 3], vertical_alignment="bottom")
    with by_number:
        pos = pick_position(chips, key="tokenizer.pos", default=about.first_of_text(cut))
    in_words.markdown(about.describe(view, cut, pos, chips[pos]), help=bpe_help)
    with chosen:
        token_strip(
            chips,
            key="tokenizer.tokens",
            selected=pos,
            on_pick=lambda pos: select(pos=pos),
            ids=[token.token_id for token in cut.tokens],
            notes=[about.hexadecimal(t.utf8) for t in cut.tokens] if with_bytes else None,
            hints=about.hints(view, cut.tokens),
            marks=about.marks(cut.tokens),
            groups=about.groups(cut),
            height=560,
            label="Tokens of the prompt",
        )
        if legend := about.legend(cut.tokens):
            st.caption(legend)
    st.caption(about.round_trip(prompt, cut))
    source = f"Token IDs from the tokenizer (`{type(view.tokenizer).__name__}`)"
    numbers_from(None, [len(token_ids)], source)
    with st.expander("Table"):
        st.dataframe(about.token_table(view, cut.tokens), hide_index=True, key="tokenizer.table")
    csv_button(lambda: about.token_table(view, view.tokenize(prompt).tokens), "tokens")

    st.subheader("How a word became its tokens", help=bpe_help)
    about.follow_selected_word(cut, pos, (name, prompt))
    how_a_word_was_cut(about.pick_word(view, cut))


def how_a_word_was_cut(word: about.Word | None) -> None:
    """Draw the steps from the word to its tokens."""
    if view.algorithm != "BPE":
        st.markdown(about.ALGORITHMS.get(view.algorithm, about.UNKNOWN_ALGORITHM))
        if word and view.algorithm == "Unigram":
            st.dataframe(about.unigram_table(view, word), hide_index=True, width="content")
        return
    if word is None:
        st.markdown("Pick a token of a word, or type a word, to see how it was merged.")
        return
    steps, whole, agrees = about.merged(view, word)
    unit = "byte" if view.is_byte_level else "character"
    st.markdown(about.merge_sentence(word, steps, unit))
    if not whole:
        st.caption(
            f"The word is long: this is how its first {len(steps[0].token_ids)} {unit}s merge."
        )
    if len(steps) > 1:
        merges_of(word, steps)
    st.caption(about.check_sentence(view, agrees))


def merges_of(word: about.Word, steps: tuple[about.MergeStep, ...]) -> None:
    """Draw every merge of a word, and list them."""
    rows = [[visible(view.readable(i)) for i in step.token_ids] for step in steps]
    ladder, table = st.columns([3, 2])
    with ladder:
        chart(
            merge_ladder(rows, [s.made for s in steps[1:]], [s.merge.rank for s in steps[1:]]),
            key="tokenizer.merges",
            alt=f"Merges of {visible(word.text)}: {len(rows[0])} pieces become {len(rows[-1])}",
        )
    with table:
        merges = about.merge_table(view, steps)
        st.dataframe(merges, hide_index=True, key="tokenizer.merge_table")
        csv_button(merges, "merges")


@st.fragment
def vocabulary() -> None:
    """Let the user look for tokens."""
    st.subheader("Search the vocabulary")
    st.markdown("Which tokens exist at all? Only these can go into the model, or come out of it.")
    query = st.text_input(
        "Text or token ID",
        key="tokenizer.query",
        placeholder="for example: ing",
        help="Finds tokens that contain this text, upper and lower case alike; a number finds the "
        "token with that ID first. Write `·` for a space.",
    )
    if not query:
        return
    found = view.search(query.replace("·", " "))
    shown = found[: about.MAX_FOUND]
    count = f"{len(found):,} of {view.vocab_size:,} tokens contain this"
    st.caption(count + (f"; the first {len(shown)} are shown." if len(shown) < len(found) else "."))
    if shown:
        table = about.vocabulary_table(view, shown)
        st.dataframe(table, hide_index=True, key="tokenizer.found", width="content")


@st.fragment
def two_tokenizers() -> None:
    """Show the prompt as another tokenizer cuts it, beside this one."""
    st.subheader("Two tokenizers, one text")
    st.markdown(
        "Every model has its own vocabulary, so the same text costs one model more tokens than "
        "another."
    )
    second = st.selectbox(
        "Compare with",
        about.others(name),
        key="tokenizer.second",
        accept_new_options=True,
        persist_state="session",
        help="Choose one, or type a folder or a Hub id such as `openai-community/gpt2`. Only the "
        "tokenizer is loaded, so any size of model will do. *Single bytes* is what BPE begins "
        "with: one token per byte.",
    )
    if not second:
        return
    try:
        other = about.view_of(second)
    except InlookError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    both = [
        (title, one, about.tokenized(one, title, prompt, about.MAX_COMPARED))
        for title, one in ((name, view), (second, other))
    ]
    st.markdown(about.comparison(*((title, cut) for title, _, cut in both)))
    for column, (number, (title, one, pieces)) in zip(
        st.columns(2, gap="large"), enumerate(both), strict=True
    ):
        with column:
            st.markdown(about.card(title, one, pieces))
            token_strip(
                about.chip_texts(one, pieces),
                key=f"tokenizer.side_{number}",
                ids=[token.token_id for token in pieces.tokens],
                hints=about.hints(one, pieces.tokens),
                marks=about.marks(pieces.tokens),
                groups=about.groups(pieces),
                height=420,
                label=f"Tokens of {title}",
            )
            if len(pieces.tokens) < len(pieces.token_ids):
                st.caption(f"The first {len(pieces.tokens)} tokens are shown.")


prompt_as_tokens()

st.subheader("Special tokens and chat template", help=about.SPECIAL_HELP)
st.markdown(about.special_sentence(view))
specials = about.special_table(view)
if len(specials):
    st.dataframe(specials, hide_index=True, key="tokenizer.special", width="content")
if view.chat_template is None:
    st.markdown(about.NO_CHAT, help=about.CHAT_HELP)
else:
    st.markdown("Your prompt as the user's turn of a conversation:", help=about.CHAT_HELP)
    try:
        chat = about.chat_tokens(view, prompt)
    except InlookError as error:
        st.warning(escape_markdown(str(error)), icon=":material/warning:")
    else:
        token_strip(
            about.chip_texts(view, chat),
            key="tokenizer.chat",
            ids=[token.token_id for token in chat.tokens],
            hints=about.hints(view, chat.tokens),
            marks=about.marks(chat.tokens),
            groups=about.groups(chat),
            label="Tokens of the conversation",
        )
        with st.expander("The template itself"):
            st.code(view.chat_template, language="jinja2", wrap_lines=True)

vocabulary()
two_tokenizers()

st.subheader("Try next")
st.markdown(
    "Misspell a word, or write 東京 or 👩‍👩‍👧 in the prompt, and watch the number of tokens grow."
)
st.page_link(
    "pages/forward_pass/page.py", label="**Forward pass**: what the model does with the token IDs"
)
st.page_link(
    "pages/attention/page.py", label="**Attention**: which earlier tokens each head reads from"
)
