"""Efficient attention: how can attention cost less?"""

import streamlit as st

from model_hooks.host import Run
from pages.ask.session import info, run, tokens_of_run
from pages.efficient_attention import flash, kv_heads, patterns
from pages.efficient_attention.choices import Tab
from pages.efficient_attention.subject import Subject
from pages.text import visible
from pages.widgets.bind import tabs
from pages.widgets.fragment import fragment
from pages.widgets.heading import page_title
from pages.widgets.next_pages import try_next

COST_HELP = (
    "A text of n tokens has about n²/2 pairs of a query and a key, in every head of every layer. "
    "Each pair costs one score (a product of two vectors) and one weighted value."
)
# What costs less in each, in words. One is drawn at a time.
TABS: dict[Tab, str] = {
    "patterns": "Read fewer tokens",
    "kv_heads": "Share keys and values",
    "flash": "Move less memory",
}
DRAW = {"patterns": patterns.draw, "kv_heads": kv_heads.draw, "flash": flash.draw}
NEXT_PAGES = {
    "kv_cache": "**KV cache**: where keys and values are kept, and why that makes writing fast",
    "attention": "**Attention**: which tokens each head reads",
    "block_architecture": "**Block architecture**: what else has changed since 2017",
}


def draw() -> None:
    """Draw the page."""
    page_title("Efficient attention")
    st.markdown(
        "**How can attention cost less?** Every token reads all tokens before it: twice the text, "
        "four times the work. Three ways out: read fewer tokens, keep fewer keys and values, or "
        "compute the very same result with fewer trips to memory.",
        help=COST_HELP,
    )
    _explore(run(), tokens_of_run())
    try_next(
        NEXT_PAGES,
        "Write a name early in a long prompt, then shrink the window until the model forgets it.",
        "Keep the first token in the window: does the loss come back?",
        "Put all KV heads into one group, and compare with the model that was trained so.",
    )


@fragment
def _explore(asked: Run, tokens: tuple[str, ...]) -> None:
    """Draw the tab that is open; a click reruns nothing else."""
    subject = Subject(asked, info(), tokens, tuple(map(visible, tokens)))
    for name, tab in zip(
        TABS, tabs("efficient_attention.tab", [*TABS], labels=[*TABS.values()]), strict=True
    ):
        if tab.open:
            with tab:
                DRAW[name](subject)
