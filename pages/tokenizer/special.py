"""Which tokens stand for no text, and how is a conversation written with them?"""

import pandas as pd
import streamlit as st

from model_hooks import InlookError
from model_hooks.read.tokenizers import TokenizerFacts, chat_prompt, chat_tokens
from model_hooks.text.vocabulary import SpecialToken
from pages.ask.computed import computed
from pages.state.visit import put
from pages.text import code_span, escape_markdown, visible
from pages.tokenizer import chips
from pages.widgets.bind import expander
from pages.widgets.fragment import fragment
from pages.widgets.heading import heading
from viz.numbers import counted

MAX_CHIPS = 300
"""Tokens of the conversation that are shown."""
ROLES = {
    "bos_token": "begins a text (BOS)",
    "eos_token": "ends a text (EOS)",
    "unk_token": "stands for what the vocabulary lacks (UNK)",
    "pad_token": "fills up short texts (PAD)",
    "sep_token": "separates two texts (SEP)",
    "cls_token": "stands for the whole text (CLS)",
    "mask_token": "hides a token (MASK)",
}
HELP = (
    "A **special token** stands for no text but for an event, such as the beginning of a document "
    "or the end of a turn. It has an ID like every other token."
)
CHAT_HELP = (
    "A **chat template** writes a conversation as one text, with special tokens between the turns; "
    "a model trained to chat has seen only such texts."
)
NO_CHAT = (
    "This tokenizer has no chat template: its model continues a text and was not trained to answer."
)
CHAT_BUTTON = "Make this conversation the prompt"
NO_PROMPT = (
    ":material/info: Typed as a prompt, this text would become other tokens, because of those that "
    "the tokenizer adds to every prompt."
)

_chat_prompt = computed(chat_prompt)
_chat_tokens = computed(chat_tokens)


@fragment
def draw(model_name: str, prompt: str, facts: TokenizerFacts) -> None:
    """Draw the special tokens, and the prompt as the turn of a conversation."""
    heading("Special tokens and chat template", help=HELP)
    st.markdown(sentence(facts.special_tokens))
    if facts.special_tokens:
        table = table_of(facts.special_tokens)
        st.dataframe(table, hide_index=True, key="tokenizer_special", width="content")
    if facts.chat_template is None:
        st.markdown(NO_CHAT, help=CHAT_HELP)
        return
    st.markdown("Your prompt as the user's turn of a conversation:", help=CHAT_HELP)
    try:
        cut = _chat_tokens(model_name, prompt, MAX_CHIPS)
    except InlookError as error:
        st.warning(escape_markdown(str(error)), icon=":material/warning:")
        return
    conversation = chips.described(model_name, cut)
    chips.draw(conversation, key="tokenizer_chat", label="Tokens of the conversation", height=256)
    _offer(model_name, prompt)
    template = expander("The template itself", "tokenizer.template")
    if template.open:
        template.code(facts.chat_template, language="jinja2", wrap_lines=True)


def _offer(model_name: str, prompt: str) -> None:
    """Offer the conversation as the prompt, where a prompt can be these very tokens."""
    written = _chat_prompt(model_name, prompt)
    if written is None:
        st.caption(NO_PROMPT)
    elif written != prompt:
        st.button(CHAT_BUTTON, key="tokenizer.chat", on_click=put, kwargs={"prompt": written})


def sentence(tokens: tuple[SpecialToken, ...]) -> str:
    """Say what the tokenizer adds, and what typing a special token does (Markdown)."""
    if not tokens:
        return "This tokenizer has no special tokens."
    added = [f"{_code(token)} (ID {token.token_id})" for token in tokens if token.added]
    adds = f"adds {' and '.join(added)} to every prompt" if added else "adds none to a prompt"
    known = [token for token in tokens if "unk_token" not in token.roles] or tokens
    example = next((token for token in known if token.can_be_typed), known[0])
    return (
        f"This tokenizer has {counted(len(tokens), 'special token')} and {adds}. "
        f"Type {_code(example)} into the prompt: {typed(example)}."
    )


def typed(token: SpecialToken) -> str:
    """Say what the text of a special token becomes when it is typed."""
    if token.can_be_typed:
        return "it becomes that one token, not text"
    n_others = len(token.typed_ids) - token.typed_ids.count(token.token_id)
    if token.token_id in token.typed_ids:
        return f"it becomes that token and {counted(n_others, 'other one')}"
    if not token.typed_ids:
        return "it becomes nothing"
    return f"it does not become that token, but {counted(n_others, 'other one')}"


def table_of(tokens: tuple[SpecialToken, ...]) -> pd.DataFrame:
    """List the special tokens, one per row."""
    return pd.DataFrame(
        {
            "token_id": [token.token_id for token in tokens],
            "token": [token.text for token in tokens],
            "what for": ["; ".join(ROLES.get(r, r) for r in token.roles) for token in tokens],
            "added to every prompt": [token.added for token in tokens],
            "typed, it becomes": [", ".join(map(str, token.typed_ids)) for token in tokens],
        }
    )


def _code(token: SpecialToken) -> str:
    return code_span(visible(token.text))
