"""LM head: how do scores become a choice?"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from model_hooks import InlookError
from model_hooks.host import Run
from pages.ask.pair import has_pair
from pages.ask.session import info, run, tokens_of_run
from pages.lm_head import (
    all_tokens,
    answer,
    beams,
    between,
    draws,
    one_score,
    stages,
    surprisal,
    temperature,
    texts,
)
from pages.lm_head.choices import Tab
from pages.lm_head.seen import Seen, look, stages_of
from pages.text import escape_markdown
from pages.widgets.bind import tabs
from pages.widgets.choices_apart import draw_choices
from pages.widgets.compared import draw_between, draw_each
from pages.widgets.controls import current_position, decoding_controls, pick_position
from pages.widgets.heading import heading, page_title
from pages.widgets.next_pages import try_next


class Section(NamedTuple):
    """A part of the page; one is open at a time, so that a click redraws only what is seen."""

    label: str
    title: str
    help: str
    draw: Callable[[Seen], None]


SECTIONS: dict[Tab, Section] = {
    "one_score": Section(
        "One score", "From the vector to one score", one_score.HELP, one_score.draw
    ),
    "stages": Section(
        "Stages", "From scores to probabilities, stage by stage", stages.HELP, stages.draw
    ),
    "all_tokens": Section("All tokens", "The whole distribution", all_tokens.HELP, all_tokens.draw),
    "temperature": Section(
        "Temperature", "How open is the choice?", temperature.HELP, temperature.draw
    ),
    "surprisal": Section(
        "Surprisal", "How surprising was your text?", surprisal.HELP, surprisal.draw
    ),
    "draws": Section("Draws", "Many draws from one distribution", draws.HELP, draws.draw),
    "texts": Section("Many texts", "Greedy against sampling", texts.HELP, texts.draw),
    "beams": Section("Beam search", "Several texts at once", beams.HELP, beams.draw),
}
NEXT_PAGES = {
    "generation": "**Generation**: write token by token with these options",
    "layers": "**Layers**: when did the winning score take shape?",
    "kv_cache": "**KV cache**: how is all this writing kept fast?",
}


def draw() -> None:
    """Draw the page."""
    page_title("LM head")
    st.markdown(
        "**How do scores become a choice?** The last layer leaves one vector. The LM head turns it "
        "into a score for every token it knows, the scores become probabilities, and one token is "
        "picked."
    )
    _explore()
    try_next(
        NEXT_PAGES,
        "Sample with a **temperature** of 0.3, then 1.5, and watch entropy and draws change.",
        "Set **top-k** to 5 and look where the cut-off lands in *All tokens*.",
        "In *Beam search*, try 2 beams, then 6: does the winner change?",
    )


def _explore() -> None:
    """Draw everything below the question.

    No fragment: clicks in one wait until its run is over, so nothing could stop a long one.
    """
    asked, tokens = run(), tokens_of_run()
    pos = current_position(len(tokens))
    drawing, options = _places()
    with options:
        pick_position(tokens, label="Choice after")
        decoding_controls(info(), lambda way: stages_of(asked, way, pos))
    with drawing:
        seen = _seen(asked, tokens, pos)
        if seen is None:
            return
        draw_each(lambda: answer.draw(_look()))
    draw_between(lambda: draw_choices(lambda: _look().stages, "lm_head_pair"))
    labels = [section.label for section in SECTIONS.values()]
    opened = tabs("lm_head.tab", [*SECTIONS], labels=labels)
    for section, tab in zip(SECTIONS.values(), opened, strict=True):
        if tab.open:
            with tab:
                heading(section.title, help=section.help)
                draw_each(lambda: _draw_section(section, _look()))  # noqa: B023 called here
                if section is SECTIONS["surprisal"]:
                    draw_between(between.draw_along)


def _places() -> Sequence[DeltaGenerator]:
    """Return where the candidates stand, and where the options do."""
    if not has_pair():
        return st.columns([2.4, 1], gap="large")
    options = st.expander("How B picks the next token")
    return st.container(), options


def _look() -> Seen:
    """Look at the choice of the run that is looked at, at the chosen position."""
    tokens = tokens_of_run()
    return look(run(), tokens, current_position(len(tokens)))


def _seen(asked: Run, tokens: tuple[str, ...], pos: int) -> Seen | None:
    """Look at the choice after a position; say why there is none."""
    try:
        return look(asked, tokens, pos)
    except InlookError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return None


def _draw_section(section: Section, seen: Seen) -> None:
    """Draw one part; what a model cannot do gets one sentence."""
    try:
        section.draw(seen)
    except InlookError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
