"""What the LM head page writes: many texts from one prompt, and a beam search beside greedy."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd
import streamlit as st

from model_hooks import Decoding, InlookError
from model_hooks.experiments.beams import BeamSearch, search_beams
from model_hooks.experiments.continuations import (
    Text,
    text_log_prob,
    texts_at_once,
    write_texts,
)
from model_hooks.write.room import room
from pages.layers.views import wide_figure
from pages.lm_head.views import View, greedy_note
from pages.state.selection import selection
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.text import escape_markdown, visible
from viz import beam_trellis, text_tree
from viz.continuations import trellis_width
from viz.decoding import percent

BATCH = 10
"""Texts that are written at once."""
MAX_TEXTS, MAX_TOKENS = 100, 60
MAX_BEAMS, MAX_STEPS = 6, 16
LETTERS = 90
"""Of a text in a table."""
UPDATE_S = 0.15
"""Time between two moves of the progress bar."""
TEXTS_HELP = (
    "Greedy decoding and sampling write from the same prompt, many times. In the tree, texts that "
    "begin alike share a cell, and its height is how many they are: where the tree fans out, the "
    "model had several good ways to go on. Text number i is the one that the Generation page "
    "writes with the i-th seed."
)
BEAMS_HELP = (
    "**Beam search** keeps several texts at once. In each step it tries every token after each of "
    "them and keeps the most probable few. A text's probability is the product of its tokens' "
    "probabilities, so its logarithm is their **sum**: the text with the sum nearest to 0 wins. "
    "Greedy decoding looks one token ahead only, and can miss it. Temperature and filters are not "
    "used here."
)
SCORE_HELP = (
    "A longer text always has a lower sum. **Mean per token** divides it by the number of tokens "
    "(a length penalty of 1), so that texts that end early do not win by being short."
)
_TEXTS, _BEAMS = "lm_head.texts", "lm_head.beams"


@dataclass
class Written:
    """What was written so far for one choice of options; kept in the session."""

    asked: tuple
    greedy: Text | None = None
    sampled: list[Text] = field(default_factory=list)
    stopped: bool = False


def many_texts(view: View) -> None:
    """Greedy against sampling from the same prompt, many times."""
    if not _has_room(view):
        return
    greedy_note(view)
    left, right, _ = st.columns([1, 1, 2])
    n_texts = left.number_input(
        "Texts", 2, MAX_TEXTS, 20, key="lm_head.n_texts", persist_state="session"
    )
    n_tokens = _n_tokens(view, right, MAX_TOKENS, 24, "lm_head.n_tokens")
    ids = view.prefix_ids
    asked = (selection().model, ids, view.sampling, n_texts, n_tokens)
    written: Written = st.session_state.get(_TEXTS) or Written(())
    if written.asked != asked:
        written = st.session_state[_TEXTS] = Written(asked)
    try:
        _write(view, written, n_texts, n_tokens)
    except InlookError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    if len(written.sampled) < n_texts:
        st.info(f"Stopped after {len(written.sampled)} of {n_texts} texts.")
        st.button("Go on", key="lm_head.texts.go_on", on_click=lambda: _stop(_TEXTS, False))
        if not written.sampled:
            return
    greedy, sampled = written.greedy, written.sampled
    with wide_figure("lm_head_tree"):
        chart(
            text_tree(sampled, greedy, view.token_of),
            key="lm_head_tree",
            alt=f"A tree of {len(sampled)} sampled texts, and the greedy text above it",
        )
    st.caption(
        "The tree shows the first tokens of each text, from left to right. Hatched cells begin as "
        "the greedy text does. Click a cell to zoom in, and the leftmost one to zoom out."
    )
    st.markdown(spread_sentence(greedy, sampled))
    st.dataframe(
        texts_frame(view, greedy, sampled),
        hide_index=True,
        column_config={
            "by": st.column_config.TextColumn("By"),
            "text": st.column_config.TextColumn("Text", width="large"),
            "times": st.column_config.NumberColumn("Times", help="How often it was written."),
            "log_prob": st.column_config.NumberColumn(
                "Log-probability", format="%.2f",
                help="Sum over its tokens, by the model's own probabilities: 0 is certain.",
            ),
            "repeats": st.column_config.NumberColumn(
                "Repeats", format="percent",
                help="Share of its pairs of neighbouring tokens that came before in the same text.",
            ),
        },
    )  # fmt: skip
    csv_button(lambda: texts_frame(view, greedy, sampled, letters=None), "texts")


def beams(view: View) -> None:
    """A beam search with its tree, beside greedy decoding."""
    if not _has_room(view):
        return
    left, middle, right = st.columns([1, 1, 2])
    n_beams = left.number_input(
        "Beams", 2, MAX_BEAMS, 4, key="lm_head.n_beams", persist_state="session",
        help="How many texts are kept after each step.",
    )  # fmt: skip
    n_tokens = _n_tokens(view, middle, MAX_STEPS, 10, "lm_head.n_steps")
    score_by = right.segmented_control(
        "Best is the largest",
        ["sum", "mean"],
        format_func={"sum": "Sum", "mean": "Mean per token"}.get,
        default="sum",
        required=True,
        key="lm_head.score_by",
        help=SCORE_HELP,
        persist_state="session",
    )
    penalty = 0.0 if score_by == "sum" else 1.0
    asked = (selection().model, view.prefix_ids, n_beams, n_tokens, penalty)
    kept = st.session_state.get(_BEAMS)
    if kept is None or kept[0] != asked:
        try:
            with progress_and_stop("lm_head.beams.stop", n_tokens * 2, "Searching") as on_step:
                search = search_beams(view.model, view.prefix_ids, n_beams, n_tokens, penalty)
                for found in search:
                    on_step(len(found.steps))
                (greedy,) = _written(
                    view, Decoding(), n_tokens, (0,), lambda step: on_step(n_tokens + step)
                )
                check = text_log_prob(view.model, view.prefix_ids, found.results[0].token_ids)
        except InlookError as error:
            st.error(escape_markdown(str(error)), icon=":material/error:")
            return
        kept = st.session_state[_BEAMS] = (asked, found, greedy, check)
    _, found, greedy, check = kept
    _draw_beams(view, found, greedy, check)


def _draw_beams(view: View, found: BeamSearch, greedy: Text, check: float) -> None:
    n_steps = max([len(found.steps), *(len(text.token_ids) for text in found.results)])
    n_shown = n_steps
    if n_steps > 1:
        # Not kept beyond this search: another one has other steps.
        n_shown = st.slider(
            "Steps done", 1, n_steps, n_steps, key=f"lm_head.shown.{n_steps}.{found.n_beams}",
            help="Go back and watch which texts are kept after each step. A text that leads early "
            "may be dropped later.",
        )  # fmt: skip
    st.markdown(verdict(found, greedy))
    with wide_figure("lm_head_beams", trellis_width(n_steps)):
        chart(
            beam_trellis(found.steps, found.results, greedy, view.token_of, n_shown=n_shown),
            key="lm_head_beams",
            alt=f"Beam search with {found.n_beams} beams after {n_shown} of {n_steps} steps",
        )
    st.caption(
        "A column is a step, a row a rank. The number under a token is the sum of the natural "
        "log-probabilities from the prompt up to it."
    )
    st.dataframe(
        beams_frame(view, found, greedy),
        hide_index=True,
        column_config={
            "found_by": st.column_config.TextColumn("Found by"),
            "text": st.column_config.TextColumn("Text", width="large"),
            "tokens": st.column_config.NumberColumn("Tokens"),
            "sum": st.column_config.NumberColumn("Sum", format="%.4f"),
            "mean": st.column_config.NumberColumn("Mean per token", format="%.4f"),
        },
    )
    best = found.results[0]
    difference = abs(best.total - check)
    sign = ":green[:material/check_circle:]" if difference < 1e-2 else ":orange[:material/info:]"
    st.caption(
        f"{sign} Check: the winner's sum is {best.total:.4f}; one plain run of the whole text "
        f"gives {check:.4f}. The search is transformers' `generate(num_beams={found.n_beams}, "
        f"length_penalty={found.length_penalty:g})`."
    )
    csv_button(lambda: steps_frame(view, found, greedy), "beams")


def verdict(found: BeamSearch, greedy: Text) -> str:
    """Say who wins, by how much."""
    best = found.results[0]
    ended = len(best.token_ids) != len(greedy.token_ids)
    if best.token_ids == greedy.token_ids:
        return (
            f"**Beam search and greedy decoding end on the same text**, with a sum of "
            f"**{best.total:.2f}**: here, the best next token was each time part of the best text. "
            "Try another prompt, or more tokens."
        )
    ratio = float(np.exp(min(700.0, abs(best.total - greedy.total))))
    times = f"{ratio:,.2f}" if ratio < 100 else f"{ratio:,.0f}"
    if best.total > greedy.total:
        won = f"**Beam search wins**: its text is **{times} times as probable** as the greedy one."
    else:
        won = f"**Greedy's sum is larger**: its text is {times} times as probable."
    sums = f" The sums are {best.total:.2f} (beam search) and {greedy.total:.2f} (greedy)."
    return won + sums + (" The two texts have different lengths." if ended else "")


def spread_sentence(greedy: Text | None, sampled: Sequence[Text]) -> str:
    """Say how different the texts are, and how much each repeats itself."""
    n_texts = len(sampled)
    distinct = len({text.token_ids for text in sampled})
    first = len({text.token_ids[0] for text in sampled})
    repeats = float(np.mean([repetition(text.token_ids) for text in sampled]))
    tokens = "token" if first == 1 else "tokens"
    mine = "" if greedy is None else (
        f"greedy's repeats itself in {percent(round(repetition(greedy.token_ids), 4))} of its "
        f"token pairs, "
    )  # fmt: skip
    return (
        f"**{distinct} different texts of {n_texts}** by sampling, which start with {first} "
        f"different {tokens}; greedy decoding has one. Within a text: {mine}the sampled ones on "
        f"average in {percent(round(repeats, 4))}."
    )


def repetition(token_ids: Sequence[int]) -> float:
    """Return the share of a text's token pairs that came before in it.

    seq-rep-n of Welleck et al. 2020, "Neural Text Generation with Unlikelihood Training", with
    n = 2: one minus the unique pairs over all pairs.
    """
    pairs = list(pairwise(token_ids))
    return 1 - len(set(pairs)) / len(pairs) if pairs else 0.0


def texts_frame(
    view: View, greedy: Text | None, sampled: Sequence[Text], letters: int | None = LETTERS
) -> pd.DataFrame:
    """Return the texts as a table, equal ones counted, the most frequent first."""
    counted: dict[Text, int] = {}
    for text in sampled:
        same = next((t for t in counted if t.token_ids == text.token_ids), text)
        counted[same] = counted.get(same, 0) + 1
    order = sorted(counted, key=lambda text: (-counted[text], -text.total))
    rows = [("greedy", greedy, len(sampled))] if greedy is not None else []
    rows += [("sampling", text, counted[text]) for text in order]
    return pd.DataFrame(
        {
            "by": [by for by, _, _ in rows],
            "text": [_cut(view, text, letters) for _, text, _ in rows],
            "times": [times for _, _, times in rows],
            "log_prob": [text.total for _, text, _ in rows],
            "repeats": [repetition(text.token_ids) for _, text, _ in rows],
        }
    )


def beams_frame(view: View, found: BeamSearch, greedy: Text) -> pd.DataFrame:
    """Return the results of the search and the greedy text as a table, the best first."""
    rows = [("beam search", text) for text in found.results]
    same = next((i for i, (_, text) in enumerate(rows) if text.token_ids == greedy.token_ids), None)
    if same is None:
        rows.append(("greedy", greedy))
    else:
        rows[same] = ("both", rows[same][1])
    power = found.length_penalty
    rows.sort(key=lambda row: -row[1].total / len(row[1].token_ids) ** power)
    return pd.DataFrame(
        {
            "found_by": [by for by, _ in rows],
            "text": [_cut(view, text, LETTERS) for _, text in rows],
            "tokens": [len(text.token_ids) for _, text in rows],
            "sum": [text.total for _, text in rows],
            "mean": [text.total / len(text.token_ids) for _, text in rows],
        }
    )


def steps_frame(view: View, found: BeamSearch, greedy: Text) -> pd.DataFrame:
    """Return every text that the search kept after every step, for download."""
    rows = [
        (step, rank, text, "kept")
        for step, texts in enumerate(found.steps, 1)
        for rank, text in enumerate(texts, 1)
    ]
    rows += [(len(t.token_ids), i, t, "result") for i, t in enumerate(found.results, 1)]
    rows.append((len(greedy.token_ids), 1, greedy, "greedy"))
    return pd.DataFrame(
        {
            "step": [step for step, *_ in rows],
            "rank": [rank for _, rank, *_ in rows],
            "kind": [kind for *_, kind in rows],
            "token_ids": [" ".join(map(str, text.token_ids)) for _, _, text, _ in rows],
            "text": [_cut(view, text, None) for _, _, text, _ in rows],
            "sum": [text.total for _, _, text, _ in rows],
            "ended": [text.ended for _, _, text, _ in rows],
        }
    )


@contextmanager
def progress_and_stop(
    key: str, n_steps: int, what: str, stop: Callable[[], None] | None = None
) -> Iterator[Callable[[int], None]]:
    """Show a progress bar, with a Stop button if there is something to keep.

    Any click interrupts the script at the bar's next move.

    Args:
        key: The button's key.
        n_steps: How many steps there are in all.
        what: What is being done.
        stop: Called when the button is clicked, before the script starts again.

    Yields:
        A function to call with the number of steps done.
    """
    box = st.empty()
    with box.container(horizontal=True, vertical_alignment="center"):
        bar = st.progress(0.0, f"{what}…")
        if stop is not None:
            st.button("Stop", key=key, icon=":material/stop:", on_click=stop)
    moved = time.monotonic()

    def on_step(n_done: int) -> None:
        nonlocal moved
        if time.monotonic() - moved > UPDATE_S:
            moved = time.monotonic()
            bar.progress(min(1.0, n_done / n_steps), f"{what}: {n_done} of {n_steps} steps")

    yield on_step
    box.empty()


def _write(view: View, written: Written, n_texts: int, n_tokens: int) -> None:
    """Write what is missing, batch by batch; each batch is kept before the next one."""
    if written.stopped or (written.greedy is not None and len(written.sampled) >= n_texts):
        return
    ids = view.prefix_ids
    batch = min(BATCH, texts_at_once(len(ids) + n_tokens))
    n_batches = -(-n_texts // batch)
    with progress_and_stop(
        "lm_head.texts.stop", (n_batches + 1) * n_tokens, "Writing", lambda: _stop(_TEXTS, True)
    ) as on_step:
        if written.greedy is None:
            (written.greedy,) = _written(view, Decoding(), n_tokens, (0,), on_step)
        while (n_done := len(written.sampled)) < n_texts:
            base = (1 + n_done // batch) * n_tokens
            seeds = range(n_done, min(n_done + batch, n_texts))
            written.sampled += _written(
                view,
                view.sampling,
                n_tokens,
                tuple(view.decoding.seed + i for i in seeds),
                lambda step, base=base: on_step(base + step),
            )


def _written(
    view: View,
    decoding: Decoding,
    n_tokens: int,
    seeds: tuple[int, ...],
    on_step: Callable[[int], None],
) -> tuple[Text, ...]:
    for texts in write_texts(view.model, view.prefix_ids, decoding, n_tokens, seeds):
        on_step(max(len(text.token_ids) for text in texts))
    return texts


def _stop(name: str, stopped: bool) -> None:
    if (written := st.session_state.get(name)) is not None:
        written.stopped = stopped


def _has_room(view: View) -> bool:
    """Tell whether anything can be written after the position; say so if not."""
    left = room(view.model.info.context_size, view.pos + 1)
    if left is None or left >= 1:
        return True
    st.info(
        f"The context is full: all {view.model.info.context_size:,} positions of this model are "
        "taken, so nothing can be written after this token. Choose an earlier one, or shorten the "
        "prompt.",
        icon=":material/info:",
    )
    return False


def _n_tokens(view: View, where, most: int, default: int, key: str) -> int:
    left = room(view.model.info.context_size, view.pos + 1)
    most = most if left is None else min(most, left)
    if st.session_state.get(key, default) > most:
        st.session_state[key] = most
    return where.number_input(
        "Tokens each", 1, most, min(default, most), key=key, persist_state="session"
    )


def _cut(view: View, text: Text, letters: int | None) -> str:
    whole = view.model.decode(text.token_ids)
    if letters is None:
        return whole
    seen = visible(whole).replace("·", " ")
    return seen if len(seen) <= letters else seen[: letters - 1] + "…"
