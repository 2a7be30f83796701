"""Stage 1: how does the prompt become tokens, and tokens IDs?"""

import streamlit as st

from model_hooks.read.recorded import bytes_of_tokens, tokenizer_name
from pages.ask.computed import computed
from pages.forward_pass.seen import Seen
from pages.state.visit import put
from pages.widgets.components import token_strip

_bytes_of = computed(bytes_of_tokens)
_tokenizer_name = computed(tokenizer_name)


def draw(seen: Seen) -> None:
    """Draw token chips with IDs, and how much of the context they use."""
    n_tokens, token_ids = len(seen.tokens), seen.asked.token_ids
    st.markdown(
        f"The **tokenizer** cuts the text into **{n_tokens} tokens**: words or pieces of words. "
        f"Each has a fixed number, its **ID**, among the {seen.info.vocab_size:,} tokens of this "
        "model's vocabulary. From here on the model sees only the IDs."
    )
    token_strip(
        seen.tokens,
        ids=token_ids,
        key="forward.tokens",
        selected=seen.pos,
        on_pick=lambda pos: put(pos=pos),
        marks={n_tokens - 1: "predicts"},
        label="Tokens of the prompt with their IDs",
    )
    token_id, model_name = token_ids[seen.pos], seen.asked.model_name
    added = _bytes_of(model_name, token_ids)[seen.pos]
    spelled = " ".join(f"{byte:02X}" for byte in added[:24])
    st.markdown(
        f"Token {seen.pos} is {seen.token}: ID **{token_id}**"
        + (f", spelled in bytes `{spelled}`." if spelled else "."),
        help="In token texts, `·` stands for a space and `↵` for a new line.",
    )
    _context(n_tokens, seen.info.context_size)
    st.caption(f":material/database: `{_tokenizer_name(model_name)}`, shape `[{n_tokens}]`")


def _context(n_tokens: int, context_size: int | None) -> None:
    if context_size is None:
        st.markdown(f"**Context:** {n_tokens:,} positions used; this model sets no limit.")
        return
    st.progress(
        n_tokens / context_size,
        text=f"**Context size:** {n_tokens:,} of {context_size:,} positions used. "
        "More tokens than that do not fit into this model at once.",
    )
