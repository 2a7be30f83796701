"""KV cache: why is the second token cheaper than the first?"""

import streamlit as st

from model_hooks import InlookError
from pages.ask.session import current_model
from pages.kv_cache import context, sizes, views
from pages.kv_cache import race as racing
from pages.kv_cache import runs as running
from pages.widgets.controls import decoding_controls
from pages.text import escape_markdown

RACE, CONTENTS, SIZES, FULL = (
    "Race: time per token",
    "What is in the cache",
    "How large it gets",
    "When the context is full",
)

st.title("KV cache")
st.markdown(
    "**Why is the second token cheaper than the first?** To write the first new token, every "
    "token of the prompt runs through the model. For each later token only the newest one does, "
    "if the keys and values of all others were kept: that is the **KV cache**.",
    help=views.CACHE_HELP,
)

# No fragment here: a click inside one waits until its run is over, and Stop could not stop a race.
info = current_model().info
buttons = st.container(horizontal=True, vertical_alignment="center")
with buttons:
    st.button(
        "Step", key="kv_cache.next", icon=":material/play_arrow:", shortcut="N", type="primary",
        help="Write one token, with the cache and without it (key N).",
        on_click=running.ask_for_step,
    )  # fmt: skip
    st.button(
        "Restart", key="kv_cache.restart", icon=":material/restart_alt:", shortcut="Shift+B",
        help="Begin again with the first token after the prompt (Shift and B).",
        on_click=running.ask_to_restart,
    )  # fmt: skip
    with st.popover("How tokens are picked", icon=":material/tune:"):
        decoding = decoding_controls(info, key="kv_cache.decoding")

try:
    pair = running.current_pair(decoding)
except InlookError as error:
    st.error(escape_markdown(str(error)), icon=":material/error:")
    st.stop()
if problem := running.problem():
    st.error(escape_markdown(problem), icon=":material/error:")

if len(pair) == 0:
    st.info(
        "This model is large, so nothing ran yet: press **Step**.", icon=":material/play_arrow:"
    )
else:
    step = views.pick_step(pair)
    views.text_strip(pair, step)
    views.step_slider(pair, step)
    if sentence := views.cache_problem(pair):
        st.warning(escape_markdown(sentence), icon=":material/info:")
    elif sentence := views.cache_note(pair):
        st.info(sentence, icon=":material/info:")
    views.grids(pair, step)
    views.step_facts(pair, step)
    views.proof(pair)


def race() -> None:
    """Run both for many tokens, and compare."""
    st.markdown("Let both write the same tokens, and take the time of each.", help=racing.RACE_HELP)
    settings, asked = racing.race_settings(info, decoding), running.asked_race()
    problem = settings.problem()
    with st.container(horizontal=True):
        st.button(
            "Run both", key="kv_cache.run", icon=":material/timer:", type="primary", shortcut="G",
            disabled=problem is not None or asked is not None, help="Start the race (key G).",
            on_click=running.ask_for_race, args=(settings,),
        )  # fmt: skip
        st.button(
            "Stop", key="kv_cache.stop", icon=":material/stop:", shortcut="X",
            disabled=asked is None, help="What is measured so far stays (key X).",
        )  # fmt: skip
    if problem:
        st.warning(problem, icon=":material/straighten:")
    if asked:
        progress = st.progress(0.0, "Warming up…")
        try:
            for done, sentence in running.run_race(asked):
                progress.progress(done, sentence)
        except InlookError as error:
            st.error(escape_markdown(str(error)), icon=":material/error:")
            return
        st.rerun()
    if result := running.result():
        racing.race_results(result)


tabs = st.tabs([RACE, CONTENTS, SIZES, FULL], key="kv_cache.tabs", on_change="rerun")
with tabs[0]:
    if tabs[0].open:
        race()
with tabs[1]:
    if tabs[1].open:
        views.contents(pair)
with tabs[2]:
    if tabs[2].open:
        sizes.draw(pair)
with tabs[3]:
    if tabs[3].open:
        context.full_context(pair)

views.try_next()
