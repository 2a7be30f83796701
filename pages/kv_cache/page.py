"""KV cache: why is the second token cheaper than the first?"""

import streamlit as st

from model_hooks import InlookError, ModelInfo
from model_hooks.experiments.race import SideBySide
from model_hooks.host import Run
from model_hooks.read.cached import cache_kind
from pages.ask.computed import computed
from pages.ask.session import info, text_ids
from pages.kv_cache import contents, full_context, race, sizes, steps
from pages.kv_cache.choices import Tab
from pages.kv_cache.steps_taken import restart, steps_taken, take_step
from pages.state.visit import view
from pages.text import escape_markdown
from pages.widgets.bind import tabs
from pages.widgets.heading import page_title
from pages.widgets.next_pages import try_next

CACHE_HELP = (
    "At every layer, each position is turned into a **key** (what it offers) and a **value** "
    "(what it hands over). Later positions read them, and they never change again, because a "
    "position looks only at what comes before it. So they can be kept: that is the KV cache."
)
TABS: dict[Tab, str] = {
    "race": "Race: time per token",
    "contents": "What is in the cache",
    "sizes": "How large it gets",
    "full": "When the context is full",
}
NEXT_PAGES = {
    "efficient_attention": "**Efficient attention**: how can reading the cache cost less?",
    "generation": "**Generation**: switch the cache off while you write.",
    "attention": "**Attention**: what does each head read from the kept keys?",
}

_kind_of = computed(cache_kind)


def draw() -> None:
    """Draw the page; a race that was asked for runs last, when everything else stands.

    No fragment around it: a click inside one waits until its run is over, and could not stop it.
    """
    page_title("KV cache")
    st.markdown(
        "**Why is the second token cheaper than the first?** To write the first new token, every "
        "token of the prompt runs through the model. For each later token only the newest one "
        "does, if the keys and values of all others were kept: that is the **KV cache**.",
        help=CACHE_HELP,
    )
    of, asked = info(), Run(view().model, text_ids(), view().interventions)
    _draw_buttons(asked, of)
    pair = _draw_steps(asked, of)
    ready = _draw_tabs(asked, of, pair)
    try_next(NEXT_PAGES)
    race.run_asked(ready)


def _draw_buttons(asked: Run, of: ModelInfo) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "One more token, both ways",
            key="kv_cache.next",
            icon=":material/play_arrow:",
            type="primary",
            help="Write one token, with the cache and without it.",
            on_click=take_step,
            args=(asked, of),
        )
        st.button(
            "Restart",
            key="kv_cache.restart",
            icon=":material/restart_alt:",
            help="Begin again with the first token after the text.",
            on_click=restart,
        )


def _draw_steps(asked: Run, of: ModelInfo) -> SideBySide:
    try:
        pair, problem = steps_taken(asked, of)
    except InlookError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        st.stop()
    if problem:
        st.error(escape_markdown(problem), icon=":material/error:")
    if len(pair):
        steps.draw(pair, asked.model_name, of, _kind_of(asked.model_name))
    else:
        st.info(
            "With this model and text a step takes long, so nothing ran yet: press **One more "
            "token, both ways**.",
            icon=":material/play_arrow:",
        )
    return pair


def _draw_tabs(asked: Run, of: ModelInfo, pair: SideBySide) -> race.Ready | None:
    """Draw the tab that is open; return what a race needs, if it is that one."""
    names = list(TABS)
    for name, tab in zip(names, tabs("kv_cache.tab", names, labels=[*TABS.values()]), strict=True):
        if not tab.open:
            continue
        with tab:
            if name == "race":
                return race.draw(asked, of)
            _draw_tab(name, asked.model_name, of, pair)
    return None


def _draw_tab(name: Tab, model_name: str, of: ModelInfo, pair: SideBySide) -> None:
    if name == "full":
        full_context.draw(pair, model_name, of)
    elif name == "sizes":
        sizes.draw(of, _kind_of(model_name))
    else:
        contents.draw(pair, model_name, of, _kind_of(model_name))
