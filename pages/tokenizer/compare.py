"""How many tokens does the same text cost another model?"""

import streamlit as st

from model_hooks import InlookError
from model_hooks.read.tokenizers import SINGLE_BYTES
from pages.state.visit import part
from pages.text import escape_markdown
from pages.tokenizer import chips
from pages.tokenizer.chips import TokenizedText
from pages.tokenizer.choices import Choices
from pages.widgets.bind import bind
from pages.widgets.fragment import fragment
from pages.widgets.heading import heading
from pages.widgets.models import offered_models, takes_any_model
from viz.numbers import counted, plural, three_digits

MAX_CHIPS = 300
"""Tokens shown on each side."""
SECOND_HELP = (
    "Choose one, or type a folder or a Hub id such as `openai-community/gpt2`. Only the tokenizer "
    "is loaded, so any size of model will do. *Single bytes* is what BPE begins with: one token "
    "per byte."
)


@fragment
def draw(model_name: str, prompt: str) -> None:
    """Draw the prompt as another tokenizer cuts it, beside the model's own."""
    heading("Two tokenizers, one text")
    st.markdown(
        "Every model has its own vocabulary, so the same text costs one model more tokens than "
        "another."
    )
    second = _pick_second(model_name)
    try:
        other = chips.read(model_name, prompt, MAX_CHIPS, second)
    except InlookError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    own = chips.read(model_name, prompt, MAX_CHIPS)
    sides = ((model_name, own), (second, other))
    st.markdown(comparison(*((title, len(text.cut.token_ids)) for title, text in sides)))
    for number, (column, (title, text)) in enumerate(
        zip(st.columns(2, gap="large"), sides, strict=True)
    ):
        with column:
            _draw_side(number, title, text)


def others(model_name: str) -> list[str]:
    """Name the tokenizers that are at hand to compare with."""
    return [SINGLE_BYTES, *(name for name in offered_models() if name != model_name)]


def comparison(first: tuple[str, int], second: tuple[str, int]) -> str:
    """Say which of two tokenizers needs fewer tokens (Markdown).

    Args:
        first: A tokenizer's name, and how many tokens it makes.
        second: The same of the other one.
    """
    (a, n_few), (b, n_many) = sorted((first, second), key=lambda pair: pair[1])
    a, b = escape_markdown(a), escape_markdown(b)
    if n_few == n_many:
        return f"**{a}** and **{b}** both need {counted(n_few, 'token')}."
    times = f"{three_digits(n_many / n_few)} times as many"
    return f"**{a}** needs {counted(n_few, 'token')}, **{b}** {n_many:,}: {times}."


def card(title: str, text: TokenizedText) -> str:
    """Describe one of two tokenizers (Markdown)."""
    facts, cut = text.facts, text.cut
    n = cut.characters_per_token
    return (
        f"**{escape_markdown(title)}**: {counted(len(cut.token_ids), 'token')}, "
        f"{three_digits(n)} {plural(round(n, 2), 'character')} per token  \n"
        f":small[{facts.algorithm}, vocabulary of {facts.vocab_size:,}]"
    )


def _pick_second(model_name: str) -> str:
    offered, chosen = others(model_name), part(Choices).second
    return bind(
        st.selectbox,
        "Compare with",
        "tokenizer.second",
        options=[*offered, *([chosen] if chosen and chosen not in offered else [])],
        accept_new_options=takes_any_model(),
        help=SECOND_HELP if takes_any_model() else None,
    )


def _draw_side(number: int, title: str, text: TokenizedText) -> None:
    st.markdown(card(title, text))
    key, label = f"tokenizer_side_{number}", f"Tokens of {title}"
    chips.draw(text, key=key, label=label, height=420)
    if len(text.cut.tokens) < len(text.cut.token_ids):
        st.caption(f"The first {len(text.cut.tokens)} tokens are shown.")
