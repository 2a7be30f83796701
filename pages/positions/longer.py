"""How well is each token of a long text predicted, within and beyond the trained length?"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks.experiments.long_texts import losses_or_reason
from pages.ask.computed import computed
from pages.positions import others
from pages.positions.choices import Choices, Source, Stretch
from pages.positions.long_lines import Line, plan, text_is_kept, windows_of
from pages.positions.subject import Subject
from pages.state.mailbox import Message
from pages.state.visit import part
from pages.text import escape_markdown
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from viz.numbers import bits, counted, signed
from viz.positions import LossLine, loss_by_position

HELP = (
    "How well each token of a long text is predicted from those before it: a low **loss** means "
    "few surprises. A text longer than those a model was trained on shows it positions or "
    "distances that it never saw."
)
SOURCES: dict[Source, str] = {"story": "A ready story", "own": "The model's own"}
STRETCHES: dict[Stretch, str] = {
    "as_trained": "as trained",
    "linear": "linear",
    "dynamic": "dynamic",
    "yarn": "YaRN",
}
STRETCH_HELP = (
    "Ways to make a rotation serve longer texts, without training again. **Linear** squeezes all "
    "positions into the trained range (position interpolation, Chen et al. 2023). **Dynamic** "
    "raises the base as the text grows. **YaRN** (Peng et al. 2023) squeezes slow pairs only. All "
    "three are transformers' own rope settings."
)
N_BUCKETS = 16
"""Points of a line: each is a mean over neighbouring positions."""
MEASURE = Message[bool]("positions.measure")

_losses = computed(losses_or_reason)


def draw(subject: Subject) -> None:
    """Measure the loss by position."""
    others.say_which()
    lines, notes = plan(_pick(subject.asked.model_name), part(Choices), subject.asked.interventions)
    for note in dict.fromkeys(notes):
        st.caption(note)
    missing = [line for line in lines if not _is_measured(line)]
    if MEASURE.take():
        _measure(missing)
    elif missing:
        st.button(
            "Measure",
            type="primary",
            icon=":material/play_arrow:",
            key="positions_measure",
            on_click=MEASURE.leave,
            args=(True,),
        )
        st.caption(f"{counted(len(missing), 'line')} to measure; each takes some seconds.")
    found = {line: _losses_of(line) for line in lines if _is_measured(line)}
    for reason in found.values():
        if isinstance(reason, str):
            st.info(escape_markdown(reason), icon=":material/info:")
    if drawn := {line: one for line, one in found.items() if not isinstance(one, str)}:
        _draw_losses(drawn)


def _pick(own: str) -> Sequence[str]:
    """Let the reader choose models, text, length and rotations; return the models."""
    left, right = st.columns(2)
    offered = [own, *others.twins()]
    with left:
        names = bind(
            st.multiselect,
            "Models",
            "positions.models",
            options=offered,
            when_none=tuple(offered),
        )
        bind(
            st.segmented_control,
            "Text to read",
            "positions.source",
            options=[*SOURCES],
            format_func=SOURCES.__getitem__,
            required=True,
            help="A story that comes with Inlook, or your prompt, continued by the model itself.",
        )
    with right:
        bind(
            st.select_slider,
            "Length of the text",
            "positions.times",
            options=[1, 2, 4],
            format_func=lambda n: f"{n} \N{MULTIPLICATION SIGN} trained",
            help="In multiples of the length of the texts that each model was trained on. For a "
            "model of your own that is the context size in its configuration.",
        )
        bind(
            st.multiselect,
            "Rotation",
            "positions.stretches",
            options=[*STRETCHES],
            format_func=STRETCHES.__getitem__,
            help=STRETCH_HELP,
        )
    return names


def _is_measured(line: Line) -> bool:
    return text_is_kept(line) and all(
        _losses.is_kept(line.model, window, line.scaling, line.interventions)
        for window in windows_of(line)
    )


def _measure(lines: Sequence[Line]) -> None:
    """Read the long text with each line's settings, and show how far it is."""
    progress = st.progress(0.0, "Reading a long text…")
    for i, line in enumerate(lines):
        label = f"Reading {line.length} tokens: {escape_markdown(line.name)}"
        progress.progress(i / len(lines), label)
        windows = windows_of(line)
        for n, window in enumerate(windows, 1):
            _losses(line.model, window, line.scaling, line.interventions)
            progress.progress((i + n / len(windows)) / len(lines), label)
    progress.empty()


def _losses_of(line: Line) -> LossLine | str:
    """Return the mean loss by position, or the sentence why there is none."""
    windows = windows_of(line)
    found = [_losses(line.model, window, line.scaling, line.interventions) for window in windows]
    for one in found:
        if isinstance(one, str):
            return one
    return loss_line(line.name, np.mean(found, 0) / np.log(2), len(windows))


def loss_line(name: str, losses: Float[np.ndarray, "pos"], n_windows: int) -> LossLine:
    """Average the loss over neighbouring positions.

    Args:
        name: What the line is called.
        losses: The loss of each token but the first, in bits.
        n_windows: How many texts they are the means of.
    """
    edges = np.unique(np.linspace(0, len(losses), min(N_BUCKETS, len(losses)) + 1).astype(int))
    parts = [losses[a:b] for a, b in pairwise(edges)]
    # The loss at index i is that of predicting position i + 1.
    middles = [float(a + b + 1) / 2 for a, b in pairwise(edges)]
    means = np.array([part.mean() for part in parts])
    return LossLine(name, middles, means, [n_windows * len(part) for part in parts])


def _draw_losses(lines: Mapping[Line, LossLine]) -> None:
    chart(
        drawing(loss_by_position, list(lines.values()), sorted({line.trained for line in lines})),
        key="positions_losses",
        alt="Mean loss of predicting a token, by its position in a long text",
    )
    st.markdown(verdict(lines))
    csv_button(lambda: table_of(list(lines.values())), "positions_losses")


def table_of(lines: Sequence[LossLine]) -> pd.DataFrame:
    """Return a line per point."""
    return pd.DataFrame(
        [
            {"run": line.name, "position": x, "loss_bits": y, "n_predictions": n}
            for line in lines
            for x, y, n in zip(line.positions, line.losses, line.n_tokens, strict=True)
        ]
    )


def verdict(lines: Mapping[Line, LossLine]) -> str:
    """Say per line how the loss beyond the trained length compares with that within."""
    parts = []
    for line, measured in lines.items():
        at = np.array(measured.positions)
        inside = measured.losses[(at <= line.trained) & (at > 0.25 * line.trained)]
        beyond = measured.losses[at > line.trained]
        if len(inside) and len(beyond):
            parts.append(
                f"- **{escape_markdown(line.name)}**: {bits(inside.mean())} per token within, "
                f"{bits(beyond.mean())} beyond the trained length "
                f"({signed(beyond.mean() - inside.mean())})"
            )
    return "\n".join(parts)
