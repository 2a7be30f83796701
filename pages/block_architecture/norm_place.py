"""Norm before or after each part: how large do stream and gradient get, and is a warm-up needed?"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks import InlookError
from model_hooks.host import Run
from model_hooks.read.gradients import stream_gradients, untrained_gradients
from model_hooks.read.recorded import PARTS, part_sizes
from pages.ask.computed import computed
from pages.block_architecture import trained
from pages.block_architecture.scene import Scene
from pages.text import escape_markdown
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.provenance import numbers_from
from pages.widgets.run_whole import say_twins_run_whole
from viz import Depth, loss_curves, stream_and_gradients
from viz.numbers import bits, three_digits

AFTER, BEFORE = "twin-original-2017", "twin-pre-norm"
NAMES = {AFTER: "norm after (2017)", BEFORE: "norm before"}
WEIGHTS = {"trained": "trained", "fresh": "before training"}
MAX_GRADIENT_WORK = 4e10
"""Parameters times tokens up to which gradients are computed without being asked for."""
MAX_UNTRAINED = 3e7
"""Parameters up to which a model is built anew with random weights."""
WARMUP_RUNS = {
    "adam-slow-post-norm-warmup": "norm after, with warm-up",
    "adam-slow-post-norm-no-warmup": "norm after, no warm-up",
    "adam-pre-norm-no-warmup": "norm before, no warm-up",
}
HELP = (
    "The **gradient** says how strongly the loss (the error on this prompt's next tokens) would "
    "change if the stream changed a little at that point. Learning follows it. Where it is tiny, "
    "blocks learn slowly; where it is huge, a step goes too far. In 2017 the **norm came after** "
    "each sum; most models since put the **norm before** each part."
)

_sizes = computed(part_sizes)
_gradients = {
    "trained": computed(stream_gradients, says="Following the loss back…"),
    "fresh": computed(untrained_gradients, says="Following the loss back…"),
}


class Measured(NamedTuple):
    """Means over the tokens of a prompt, per point of the stream."""

    sizes: Float[np.ndarray, "point"] | None
    gradients: Float[np.ndarray, "point"] | None
    loss: float | None
    problem: str | None
    """Why something is missing."""


def draw(scene: Scene) -> None:
    """Draw the tab: depth, then training curves."""
    have_twins = {AFTER, BEFORE} <= set(trained.names_of_bundled())
    can_build = have_twins or scene.info.n_parameters <= MAX_UNTRAINED
    weights = _pick_weights() if can_build else "trained"
    if have_twins:
        say_twins_run_whole()
        runs = dict(zip(NAMES.values(), trained.asked_of_twins(*NAMES), strict=True))
        what = f"`{AFTER}` and `{BEFORE}`, which differ in nothing but the place of the norm"
    else:
        st.info(trained.NO_TWINS + " Below is the loaded model alone.", icon=":material/info:")
        runs = {scene.info.name: scene.asked} if _may_compute(scene, weights) else {}
        what = f"the loaded model, {escape_markdown(scene.info.name)}"
    if runs:
        _draw_depth({name: measured(run, weights) for name, run in runs.items()}, what, weights)
        _draw_warmup()


def _pick_weights() -> str:
    return bind(
        st.segmented_control,
        "Weights",
        "block_architecture.weights",
        options=[*WEIGHTS],
        format_func=WEIGHTS.__getitem__,
        required=True,
        help="Before training, all weights are random: that is where a bad start shows.",
    )


def _may_compute(scene: Scene, weights: str) -> bool:
    """Ask before something that takes long."""
    work = scene.info.n_parameters * len(scene.asked.token_ids)
    if weights == "fresh" or work <= MAX_GRADIENT_WORK:
        return True
    return bind(st.toggle, "Compute them (takes a while)", "block_architecture.compute")


def measured(asked: Run, weights: str) -> Measured:
    """Measure stream and gradients of a model, trained or with fresh weights."""
    try:
        found = _gradients[weights](*asked)
    except InlookError as error:
        sizes = _stream_sizes(asked) if weights == "trained" else None
        return Measured(sizes, None, None, str(error))
    return Measured(found.sizes.mean(1), found.gradient_sizes.mean(1), found.loss, None)


def _stream_sizes(asked: Run) -> Float[np.ndarray, "point"]:
    sizes = _sizes(*asked).mean(-1)
    return np.append(sizes[:, PARTS.index("resid_pre")], sizes[-1, PARTS.index("resid_post")])


def _draw_depth(found: dict[str, Measured], what: str, weights: str) -> None:
    depths = [
        Depth(name, numbers.sizes, numbers.gradients)
        for name, numbers in found.items()
        if numbers.sizes is not None
    ]
    if depths:
        chart(
            drawing(stream_and_gradients, depths),
            key="block_architecture.depth",
            alt="Size of the residual stream and of the loss's gradient, block by block",
        )
    for name, numbers in found.items():
        st.markdown(f"- **{escape_markdown(name)}**: {in_words(numbers)}")
    if depths:
        shape = (len(depths), len(depths[0].sizes))
        numbers_from(None, shape, f"mean over the prompt's tokens in {what}")
        csv_button(lambda: table_of(found, WEIGHTS[weights]), "stream_and_gradients")


def in_words(numbers: Measured) -> str:
    """Say where stream and gradient begin and end."""
    if numbers.sizes is None:
        return escape_markdown(numbers.problem or "")
    enters, leaves = three_digits(numbers.sizes[0]), three_digits(numbers.sizes[-1])
    text = f"the stream goes from {enters} to {leaves}"
    if numbers.gradients is None:
        return f"{text}. {escape_markdown(numbers.problem or '')}"
    first, last = numbers.gradients[min(1, len(numbers.sizes) - 1)], numbers.gradients[-1]
    return (
        f"{text}; the gradient is {three_digits(first)} where block 1 begins and "
        f"{three_digits(last)} after the last "
        f"block (loss {bits(numbers.loss / np.log(2))} per token)."
    )


def table_of(found: dict[str, Measured], weights: str) -> pd.DataFrame:
    """Return sizes and gradients, one line per model and point of the stream."""
    tables = []
    for name, numbers in found.items():
        if numbers.sizes is None:
            continue
        columns = {
            "model": name,
            "weights": weights,
            "point": range(len(numbers.sizes)),
            "stream_size": numbers.sizes,
            "gradient_size": np.nan if numbers.gradients is None else numbers.gradients,
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables)


def _draw_warmup() -> None:
    st.markdown("### Training with and without warm-up")
    curves = [
        curve
        for name, title in WARMUP_RUNS.items()
        if (curve := trained.curve_of(name, title)) is not None
    ]
    if not curves:
        st.info(trained.NO_CURVES, icon=":material/info:")
        return
    chart(
        drawing(loss_curves, curves),
        key="block_architecture.warmup",
        alt="Training loss with the norm after or before, with and without warm-up",
    )
    ends = ", ".join(f"{curve.name} **{bits(curve.losses[-1])}**" for curve in curves)
    st.markdown(
        "**Warm-up** raises the learning rate slowly over the first steps, as in 2017. The same "
        f"small model, trained with Adam alone, ends at a loss of: {ends}. With the norm before, "
        "the learning rate was three times as high."
    )
    numbers_from(None, (len(curves),), f"the runs `adam-…` in {trained.SOURCE}")
