"""The text that every page is about: what the model reads and has written, and how it goes on.

One bar at the top of every page. The prompt is edited in it, a token is chosen in it, and from it
the text is written on: by buttons, or by keys, which count however fast they are pressed.
"""

import html
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import streamlit as st

from model_hooks import Decoding, InlookError, Stage
from model_hooks.errors import DecodingError
from model_hooks.read.recorded import tokens_of
from model_hooks.write.writing import next_distribution
from pages.ask import writing
from pages.ask.computed import computed
from pages.ask.draft import Draft
from pages.ask.session import info, prompt_run_if_any
from pages.shell import conversation, how_long
from pages.shell.navigation import Place
from pages.shell.pair_bar import draw_pair_of_texts
from pages.shell.parts import WITH_PAGE, uses_text
from pages.shell.presets import presets_of
from pages.state.mailbox import reported
from pages.state.view import Stops, View, fields_of
from pages.state.visit import put, redraw, redraw_window, uses, view
from pages.teach.waits import guess_due
from pages.text import code_span, escape_markdown, visible
from pages.widgets.components import text_strip
from pages.widgets.controls import cache_control, decoding_controls, settings_of
from pages.widgets.fragment import of_window
from pages.widgets.quantity import CHANCE, CONTEXT, TOKENS, shown
from pages.widgets.words import token_name
from viz.numbers import counted

EXAMPLE_LETTERS = 60
"""Of an example's prompt, in the menu."""
TAIL_TOKENS = 60
"""Tokens shown of a text while a run writes it."""
UPDATE_S = 0.05
"""A run shows what it writes no more often."""
STRETCH_S = 1.0
"""A run lets the page be drawn after so long, but spends no more than a fifth of its time on it."""
KEYS_OF_BUTTONS = {"text_bar.step": "N", "text_bar.back": "B", "text_bar.restart": "R"}
"""Buttons that do what a key does, without beginning or ending a run."""

_tokens_of = computed(tokens_of)
_next_distribution = computed(next_distribution)


class Next(NamedTuple):
    """The token that comes next, as far as it can be said."""

    text: str
    share: str
    """Its probability, for people."""


def draw(page: Place) -> Callable[[], None]:
    """Draw the bar above a page; return what writes the tokens of a run.

    That comes last, when all else stands: so whatever ends it, Streamlit's own Stop too, leaves a
    page that works.
    """
    if not page.has_text:
        return lambda: None
    began, stretch = time.monotonic(), writing.taken_run()
    asked, runs = prompt_run_if_any(), stretch is not None
    with st.container(key="text_bar", gap="xsmall"):
        text = st.container(key="text_bar_text")
        with st.container(
            key="text_bar_buttons", horizontal=True, vertical_alignment="center", gap="xsmall"
        ):
            _buttons(asked is None, running=runs)
            _examples()
            conversation.draw(_draft)
            if page.shows_options:
                _how_far_it_writes()
            else:
                _how_it_is_picked()
            length = st.container(key="text_bar_length")
        place = st.empty()

    def draw_text() -> None:
        with text:
            _draw_text(page.looks_ahead)
        with length:
            _draw_length()

    if runs:  # with the page, a click in the text would wait for the end of the run
        draw_text()
    else:
        WITH_PAGE.leave(of_window(draw_text))

    def write() -> None:
        if asked is None or stretch is None:
            return
        drawn_in = time.monotonic() - began
        drafts = writing.write_on(asked, stretch, max(STRETCH_S, 4 * drawn_in))
        for n_left, draft in _now_and_then(drafts, stretch):
            place.html(_running(stretch.n_asked - n_left, stretch.n_asked, _end_of(draft)))
        st.rerun()

    return write


def edited(prompt: str) -> None:
    """Take a prompt that was typed in the bar."""
    put(prompt=prompt)


def pressed(keys: str) -> None:
    """Do what some keys ask for, in order: `N` step, `B` back, `R` restart, `G` run or stop.

    Only what shows the text is drawn anew, unless a run begins or ends.
    """
    does = {
        "N": writing.step_forward,
        "B": writing.step_back,
        "R": writing.restart,
        "G": writing.start_or_stop,
    }
    begins_or_ends = "G" in keys or writing.runs()
    for key in keys:
        does[key]()
    if begins_or_ends:
        redraw_window()
    else:
        redraw("written", "pos")


def _draft() -> Draft | None:
    asked = prompt_run_if_any()
    return None if asked is None else writing.current_draft(asked)


def _draw_text(looks_ahead: bool) -> None:
    uses_text()
    uses("folds_template")
    due = guess_due()
    if due is not None and due.hides_text:
        st.markdown(f"The text: {code_span(visible(view().prompt))}")
        return
    draft = _draft()
    tokens = () if draft is None else _tokens_of(draft.model_name, draft.token_ids)
    n_tokens, pos = len(tokens), view().pos
    follows = None if draft is None or due is not None else _next(draft)
    if pos is None:
        to_come = looks_ahead and draft is not None and not draft.steps
        pos = n_tokens if to_come else n_tokens - 1

    def pick(picked: int) -> None:
        put(pos=picked if picked < n_tokens or looks_ahead else None)

    text_strip(
        tokens,
        key="text_bar_strip",
        selected=pos,
        on_pick=pick,
        n_prompt=n_tokens if draft is None else len(draft.prompt_ids),
        follows=follows,
        speakers=() if draft is None else conversation.speakers(draft),
        folds=view().folds_template,
        prompt=view().prompt,
        on_prompt=edited,
        on_keys=pressed,
        hears_keys=view().keys,
        buttons=KEYS_OF_BUTTONS,
    )
    draw_pair_of_texts()


def _next(draft: Draft) -> Next | None:
    try:
        stages = _stages_if(view().decoding)
    except InlookError:
        return None
    probabilities = stages[-1].probabilities
    likeliest = int(probabilities.argmax())
    asks = len(draft.token_ids) - 1
    chance = shown(CHANCE, float(probabilities[likeliest]), asks, likeliest)
    return Next(token_name(likeliest), chance)


def _stages_if(decoding: Decoding) -> tuple[Stage, ...]:
    """Return the stages of the next choice, were it made in such a way.

    Raises:
        InlookError: No token can come next.
    """
    uses("model", "prompt", "written")
    if (draft := _draft()) is None:
        raise DecodingError("There is no text to go on from.")
    way = decoding, view().use_cache, view().interventions
    return _next_distribution(draft.model_name, draft.prompt_ids, draft.written, *way)


def _buttons(disabled: bool, *, running: bool) -> None:
    uses("n_per_run")

    def button(name: str, label: str, icon: str, does: str, key: str) -> None:
        st.button(
            label,
            key=f"text_bar.{name}",
            icon=f":material/{icon}:",
            type="primary" if name == "step" else "secondary",
            help=does,
            disabled=disabled,
            on_click=pressed,
            args=(key,),
        )

    writes = f"Write {view().n_per_run} tokens, or until the text ends (key G)."
    stops = "Stop the run; what is written stays (key G)."
    button("step", "Step", "play_arrow", "Write one token (key N).", "N")
    button("back", "", "undo", "Back: take the last token back (key B).", "B")
    if running:
        button("run", "Stop", "stop", stops, "G")
    else:
        button("run", "Run", "fast_forward", writes, "G")
    restarts = "Restart: go back to the prompt (Shift and B)."
    button("restart", "", "restart_alt", restarts, "R")


def _examples() -> None:
    presets = {preset.prompt: preset for preset in presets_of(view().model)}

    def describe(prompt: str) -> str:
        words = " ".join(prompt.split())
        shown = words if len(words) <= EXAMPLE_LETTERS else words[:EXAMPLE_LETTERS]
        return f"{presets[prompt].title}: {escape_markdown(shown)} …"

    def take() -> None:
        if preset := presets.get(reported("text_bar.examples") or ""):
            told = {"prompt": preset.prompt, "layer": preset.layer, "head": preset.head}
            put({name: value for name, value in told.items() if value is not None})

    st.menu_button(
        "Examples",
        list(presets),
        key="text_bar.examples",
        help="Prompts worth trying.",
        format_func=describe,
        on_click=take,
    )


def _draw_length() -> None:
    """Say how long the text is, and how long it may be."""
    uses("model", "prompt", "written")
    if (draft := _draft()) is None or guess_due() is not None:
        st.empty()  # a part may only write where the whole window did
        return
    n_tokens, context_size = len(draft.token_ids), info().context_size
    if context_size is None:
        st.caption(counted(n_tokens, "token"))
    elif n_tokens > context_size:
        st.caption(f":red[**{n_tokens:,} of {context_size:,} tokens: too long**]")
    else:
        st.caption(f"{shown(TOKENS, n_tokens)} of {shown(CONTEXT, context_size)} tokens")


def _how_it_is_picked() -> None:
    uses(*(name for name in fields_of(View) if name.startswith(("decoding.", "stops."))))
    settings = settings_of(view().decoding)
    settings += ", stops" if view().stops != Stops() else ""
    how = st.popover(
        settings[:1].upper() + settings[1:],
        key="text_bar.how",
        icon=":material/tune:",
        help="How the next token is picked, on every page.",
        on_change="rerun",
    )
    if not how.open:
        return
    with how:
        try:
            of = info()
        except InlookError:
            return
        decoding_controls(of, _stages_if)
        cache_control()
        how_long.draw()


def _how_far_it_writes() -> None:
    """Draw the part of the options that a page does not draw which has those of picking."""
    uses("n_per_run", *_fields_of_stops())
    says = "It stops" if view().stops != Stops() else "How far"
    how = st.popover(
        says,
        key="text_bar.how",
        icon=":material/tune:",
        help="How far a run writes.",
        on_change="rerun",
    )
    if how.open:
        with how:
            how_long.draw()


def _fields_of_stops() -> list[str]:
    return [name for name in fields_of(View) if name.startswith("stops.")]


def _now_and_then(drafts: Iterator[Draft], stretch: writing.Stretch) -> Iterator[tuple[int, Draft]]:
    """Give how many tokens are left of a run, and the text, not more often than is seen."""
    shown = 0.0
    for n_left, draft in zip(reversed(range(stretch.n_left)), drafts, strict=False):
        if time.monotonic() - shown > UPDATE_S or not n_left:
            shown = time.monotonic()
            yield n_left, draft


def _end_of(draft: Draft) -> list[tuple[str, bool]]:
    """Return the last tokens of a text, and whether each was written."""
    prompt = [(token, False) for token in _tokens_of(draft.model_name, draft.prompt_ids)]
    return [*prompt, *((step.token, True) for step in draft.steps)][-TAIL_TOKENS:]


def _running(n_done: int, n_tokens: int, tail: list[tuple[str, bool]]) -> str:
    """Return what is shown over the text while a run writes."""

    def chip(token: str, is_written: bool) -> str:
        mark = ' class="written"' if is_written else ""
        return f'<span role="option"{mark}>{html.escape(visible(token))}</span>'

    chips = "".join(chip(*one) for one in tail)
    return (
        f'<div class="inlook-running"><b role="status">{n_done} of {n_tokens} tokens</b>'
        f'<div role="listbox" aria-label="The text so far">{chips}</div></div>'
    )
