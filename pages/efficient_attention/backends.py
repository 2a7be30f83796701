"""How long do the ways to compute attention take on this machine, and how much memory?"""

import pandas as pd
import streamlit as st

from model_hooks import InlookError
from model_hooks.experiments.backends import (
    BACKENDS,
    Measurement,
    Progress,
    Report,
    backends_report,
    start_backends,
    stop_backends,
)
from pages.ask.computed import computed
from pages.efficient_attention.choices import Choices
from pages.efficient_attention.subject import MEASURED, Subject
from pages.state.mailbox import Message
from pages.state.visit import part, put, view
from pages.text import escape_markdown
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.fragment import fragment
from viz import BackendLine, backend_costs
from viz.numbers import counted, size_text, three_digits

LENGTHS = (256, 512, 1024, 2048)
LOOK_EVERY_S = 0.7
PROBLEM = Message[str]("efficient_attention.problem")
WAYS_HELP = (
    "**eager**: the formula, step by step. **sdpa**: torch's built-in function, with its plain "
    "(math) or its tiled (flash) kernel. **flex**: tiled code that torch compiles for this mask, "
    "which takes some 15 seconds per length at first."
)

_start_measuring = computed(start_backends, keep=False)
_report = computed(backends_report, keep=False)
_stop_measuring = computed(stop_backends, keep=False)


def draw(subject: Subject) -> None:
    """Measure the backends of this machine, on the side."""
    info = subject.info
    st.markdown(
        "Four ways to compute the very same attention, on random numbers in the shapes of one "
        f"layer of this model ({info.n_heads} query heads, {info.n_kv_heads} KV heads, width "
        f"{info.d_head}).",
        help=WAYS_HELP,
    )
    report = _current_report()
    running = report is not None and report.progress.running
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Measure",
            key="efficient_measure",
            icon=":material/timer:",
            type="primary",
            disabled=running,
            on_click=_start,
        )
        st.button(
            "Stop",
            key="efficient_stop",
            icon=":material/stop:",
            disabled=not running,
            on_click=_stop,
            help="What is measured so far stays.",
        )
    if problem := PROBLEM.take():
        st.warning(escape_markdown(problem), icon=":material/info:")
    if report is not None:
        fragment(_results, run_every=LOOK_EVERY_S if running else None)(running)
    else:
        st.caption(
            "A process of its own does it, in about a minute, so nobody's clicks wait for it."
        )


def _current_report() -> Report | None:
    """Return what this visitor's measurement has found; one for another model's shapes ends."""
    if not (ticket := part(Choices).measured):
        return None
    report = _report(view().model, ticket)
    if report is None:
        _stop_measuring(view().model, ticket)
    return report


def _start() -> None:
    try:
        ticket = _start_measuring(view().model, LENGTHS)
    except InlookError as error:
        PROBLEM.leave(str(error))
    else:
        put({"efficient_attention.measured": ticket})


def _stop() -> None:
    _stop_measuring(view().model, part(Choices).measured)


def _results(was_running: bool) -> None:
    """Draw what was measured so far; called again and again while the process runs."""
    report = _current_report()
    if report is None or (was_running and not report.progress.running):
        st.rerun()
    progress = report.progress
    if progress.running:
        doing = f"Measuring {progress.doing}…" if progress.doing else "Starting a process…"
        st.caption(f":material/hourglass_top: {doing}")
    elif progress.failure:
        st.warning(progress.failure, icon=":material/error:")
    if progress.measurements:
        chart(
            drawing(backend_costs, lines_of(progress), report.lengths),
            key="efficient_backend_costs",
            alt="Time and peak memory of each backend against the length of the text",
        )
        if not progress.running and (said := conclusion(progress)):
            st.markdown(said)
    _notes(report)


def _notes(report: Report) -> None:
    """Say what did not run, what was left out, and how was measured."""
    progress = report.progress
    for name, reason in progress.unavailable:
        st.caption(f":material/block: **{name}** does not run here: {escape_markdown(reason)}.")
    if report.left_out:
        st.caption(
            f"At {' and '.join(f'{n:,}' for n in report.left_out)} tokens, the matrix of scores "
            "would take more than half of the free memory: eager and sdpa math are left out there."
        )
    if progress.measurements:
        st.caption(
            f"{MEASURED} on {report.shapes.device}, {report.shapes.dtype}, "
            f"{counted(report.n_threads, 'thread')}: one run to warm up, then the median of "
            f"{min(m.n_runs for m in progress.measurements)} or more; thin lines reach from the "
            "fastest to the slowest. Memory is what is taken beyond queries, keys and values; "
            "below 1 MB, the system counts it only roughly."
        )
        csv_button(lambda: pd.DataFrame(map(vars, progress.measurements)), "attention_backends")


def lines_of(progress: Progress) -> list[BackendLine]:
    """Return one line per backend, whether it was measured or not."""
    return [
        _line(name, [m for m in progress.measurements if m.backend == name]) for name in BACKENDS
    ]


def _line(name: str, measured: list[Measurement]) -> BackendLine:
    return BackendLine(
        name,
        [m.n_positions for m in measured],
        [m.seconds for m in measured],
        [m.fastest for m in measured],
        [m.slowest for m in measured],
        [m.peak_bytes for m in measured],
    )


def conclusion(progress: Progress) -> str | None:
    """Say what tiling saved at the longest length that both were measured at."""
    by = {(m.backend, m.n_positions): m for m in progress.measurements}
    both = [n for name, n in by if name == "sdpa flash" and ("eager", n) in by]
    if not both:
        return None
    eager, flash = by["eager", max(both)], by["sdpa flash", max(both)]
    text = (
        f"At {max(both):,} tokens, tiled attention (sdpa flash) took "
        f"**{_duration(flash.seconds)}**, eager **{_duration(eager.seconds)}**: "
        f"{three_digits(eager.seconds / flash.seconds)} times as long"
    )
    if eager.peak_bytes and flash.peak_bytes:
        text += f", with {size_text(eager.peak_bytes)} of memory instead of "
        text += size_text(flash.peak_bytes) if flash.peak_bytes >= 1e6 else "less than 1 MB"
    return f"{text}."


def _duration(seconds: float) -> str:
    return f"{three_digits(seconds)} s" if seconds >= 1 else f"{three_digits(1e3 * seconds)} ms"
