"""What can be taken away from a page? Its figures as a web page, and the run as a file for Python.

Nothing is made before somebody asks for it: a click on the button draws the page once more, what it
draws is collected on the way, and the file is written when it is fetched.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import StopException

from model_hooks.opening.names import short_name
from model_hooks.read.saved import trace_file, trace_file_bytes
from pages.ask.computed import computed
from pages.ask.pair import has_pair, runs
from pages.ask.session import run, text_so_far
from pages.server.settings import settings
from pages.shell.navigation import Place
from pages.state.mailbox import Message
from pages.state.visit import looking_at, view
from pages.widgets.drawn import Drawn, collecting
from pages.widgets.html_file import html_file
from pages.widgets.sentence import errors_are_sentences
from viz.numbers import counted, size_text

ASKED = Message[bool]("take_away.asked")
MOST_BYTES = 2 * 10**9
MOST_BYTES_PUBLIC = 64 * 10**6
"""Of a trace's file, on a server for strangers: it is made in memory."""
TRACE_NAME, TRACE_NAME_A = "inlook-trace.safetensors", "inlook-trace-a.safetensors"
LINES = f"""\
from model_hooks import load_trace

trace = load_trace("{TRACE_NAME}")
trace.tokens                # the text, token by token
trace.attention(0, 0)       # what head 0 of layer 0 reads: [query, key]
trace.layer_output(0)       # the residual stream after layer 0: [pos, d_model]
trace.last_logits           # scores of what comes next: [vocab]
"""
LINES_ALONE = f"""\
from safetensors import safe_open

with safe_open("{TRACE_NAME}", framework="numpy") as file:
    print(file.metadata()["prompt"], *file.keys(), sep="\\n")
    weights = file.get_tensor("layers.0.attention")     # [head, query, key]
"""
_trace_file = computed(trace_file, keep=False)
_trace_file_bytes = computed(trace_file_bytes)


def offer() -> None:
    """Draw the button that asks for it."""
    st.button(
        "Take it away",
        key="take_away",
        icon=":material/download:",
        width="stretch",
        on_click=ASKED.leave,
        args=(True,),
        help="The figures of this page as one file that opens in any browser, and the run itself "
        "as a file for Python.",
    )


def draw_page(draw: Callable[[], None]) -> Callable[[Place], None]:
    """Draw a page; return what shows, after it, what can be taken away if that was asked for."""
    try:
        with errors_are_sentences(), collecting() as drawn:
            draw()
    except StopException:  # there is nothing to take away from half a page
        ASKED.take()
        raise
    shown = tuple(drawn.values()) if ASKED.take() else None
    return lambda place: None if shown is None else _show(place, shown)


@st.dialog("Take it away", width="medium")
def _show(place: Place, drawn: tuple[Drawn, ...]) -> None:
    _figures(place, drawn)
    _run()


def _figures(place: Place, drawn: tuple[Drawn, ...]) -> None:
    st.markdown("**The figures of this page**")
    if not drawn:
        st.caption("This page shows no figure now.")
        return
    st.caption(
        f"{counted(len(drawn), 'figure')}, as the page shows them now, in one file that opens in "
        "any browser, without Inlook and without a network. It can be printed, mailed, and put "
        "into a learning platform."
    )
    _button(
        "Figures as a web page", f"inlook-{place.address}.html", "text/html", _written(place, drawn)
    )


def _written(place: Place, drawn: Iterable[Drawn]) -> Callable[[], str]:
    about = _about("")
    if (pinned := view().pinned) is not None and has_pair():
        with looking_at(pinned):
            of_a = _about(" of A, pinned")
        about = of_a | _about(" of B")
    return lambda: html_file(drawn, f"{place.title} · Inlook", about)


def _about(whose: str) -> dict[str, str]:
    """What a run is, by what it is called."""
    changed = ", ".join(one.describe() for one in view().interventions)
    about = {f"Model{whose}": short_name(view().model), f"Text{whose}": text_so_far()}
    return about | ({f"Changed in the model{whose}": changed} if changed else {})


def _run() -> None:
    st.markdown("**The run behind it**")
    asked = {"Run as a file": (TRACE_NAME, run())}
    if has_pair():
        of_a, of_b = runs()
        asked = {"Run B as a file": (TRACE_NAME, of_b), "Run A as a file": (TRACE_NAME_A, of_a)}
    size = sum(_trace_file_bytes(*one) for _, one in asked.values())
    most = MOST_BYTES_PUBLIC if settings().public else MOST_BYTES
    if size > most:
        st.caption(
            f"All that was computed here takes {size_text(size)}, and files of up to "
            f"{size_text(most)} are made: shorten the text."
        )
        return
    st.caption(
        f"All that the model computed for this text, about {size_text(size)}: every attention "
        "weight, query, key, value and state of the residual stream, with what each number is."
    )
    with st.container(horizontal=True):
        for label, (name, one) in asked.items():
            _button(label, name, "application/octet-stream", partial(_trace_file, *one))
    st.caption("Python reads it with a few lines, where Inlook's folder `model_hooks` is:")
    st.code(LINES, language="python")
    with st.expander("Without Inlook"):
        st.code(LINES_ALONE, language="python")


def _button(label: str, name: str, mime: str, data: Callable[[], Any]) -> None:
    st.download_button(
        f"{label} (.{name.rpartition('.')[2]})",
        data,
        name,
        mime,
        key=f"take_away.{name}",
        icon=":material/download:",
        on_click="ignore",
    )
