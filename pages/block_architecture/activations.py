"""ReLU, GELU and SwiGLU: what does each do with one token's numbers, and does it train better?"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks import InlookError, NeuronTrace
from model_hooks.parts.activations import ACTIVATIONS, activation_curve
from model_hooks.read.neurons import neurons_of
from pages.ask.computed import computed
from pages.block_architecture import trained
from pages.block_architecture.scene import Scene
from pages.text import escape_markdown
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.provenance import numbers_from
from pages.widgets.quantity import NEGATIVE, SMALL, shown
from viz import activation_curves, final_losses, gate_and_up
from viz.feedforward import Points
from viz.numbers import three_digits

MAX_DOTS = 1500
NEARLY_OFF = 0.01
TWINS = {
    "twin-pre-norm": "ReLU",
    "twin-gelu": "GELU",
    "twin-rmsnorm": "GELU, no gate",
    "twin-swiglu": "SwiGLU (SiLU with a gate)",
}
HELP = (
    "A **neuron** multiplies the token's vector with its own weights; the result is its "
    "**pre-activation**. The **activation function** decides what of it leaves: ReLU (2017) cuts "
    "negative numbers off, GELU (Hendrycks and Gimpel 2016) and SiLU bend smoothly. **SwiGLU** "
    "(Shazeer 2020) is SiLU used as a gate: what leaves is multiplied by a second product."
)

_neurons = computed(neurons_of)


class Seen(NamedTuple):
    """The hidden layer of a feedforward at one position."""

    pre_activation: Float[np.ndarray, "neuron"]
    activated: Float[np.ndarray, "neuron"]
    up: Float[np.ndarray, "neuron"] | None
    """What the activated values are multiplied with; None without a gate."""
    activation: Float[np.ndarray, "neuron"]
    row_sizes: Float[np.ndarray, "neuron"]
    """Lengths of the neurons' output rows."""

    @property
    def sizes(self) -> Float[np.ndarray, "neuron"]:
        """Lengths of the vectors that the neurons add."""
        return np.abs(self.activation) * self.row_sizes


class Off(NamedTuple):
    """How many of a token's neurons are off."""

    below_zero: float
    """Share whose pre-activation is not positive: ReLU would give exactly zero."""
    nearly_off: float
    """Share whose activation is below a hundredth of the layer's largest."""


def draw(scene: Scene) -> None:
    """Draw the tab: curves with this token's dots, the gate, and the twins' losses."""
    try:
        neurons: NeuronTrace = _neurons(*scene.asked, scene.layer)
    except InlookError as error:
        st.info(escape_markdown(str(error)), icon=":material/info:")
    else:
        _draw_neurons(scene, neurons)
    _draw_losses()


def seen_at(neurons: NeuronTrace, pos: int) -> Seen | None:
    """Return the hidden layer at one position; None where what enters it cannot be read."""
    if neurons.pre_activation is None or neurons.activated is None:
        return None
    return Seen(
        neurons.pre_activation[pos],
        neurons.activated[pos],
        None if neurons.up is None else neurons.up[pos],
        neurons.activation[pos],
        np.linalg.norm(neurons.output_rows, axis=1),
    )


def share_off(
    pre_activation: Float[np.ndarray, "neuron"], activation: Float[np.ndarray, "neuron"]
) -> Off:
    """Count a token's neurons that are off.

    Args:
        pre_activation: What enters the activation function.
        activation: What the neurons give: with a gate, gate times up.
    """
    largest = float(np.abs(activation).max(initial=0.0))
    return Off(
        float((pre_activation <= 0).mean()),
        float((np.abs(activation) <= NEARLY_OFF * largest).mean()),
    )


def _draw_neurons(scene: Scene, neurons: NeuronTrace) -> None:
    seen = seen_at(neurons, scene.pos)
    if seen is None:
        st.info(
            "The activation function of this model is no module of its own, so what enters it "
            "cannot be read.",
            icon=":material/info:",
        )
        return
    st.markdown(_in_words(scene, seen))
    strongest = np.sort(np.argsort(-seen.sizes, kind="stable")[:MAX_DOTS])
    _draw_curves(seen, strongest)
    if seen.up is not None:
        st.markdown(_gate_line(seen, seen.up))
    if len(strongest) < len(seen.sizes):
        st.caption(f"Drawn: the {MAX_DOTS:,} neurons that add most, of {len(seen.sizes):,}.")
    numbers_from(
        neurons.path, neurons.activation.shape, "around the activation before", scene.layer
    )
    csv_button(lambda: table_of(seen), "activations")


def _in_words(scene: Scene, seen: Seen) -> str:
    off = share_off(seen.pre_activation, seen.activation)
    below = shown(NEGATIVE, off.below_zero, scene.layer, scene.pos)
    small = shown(SMALL, off.nearly_off, scene.layer, scene.pos)
    name = scene.facts.feedforward.name if scene.facts.feedforward else "its own"
    return (
        f"At “{scene.token}”, **{below}** of the {len(seen.activated):,} neurons "
        "of "
        f"layer {scene.layer} get a negative number: ReLU would switch exactly these off. Here the "
        f"activation is **{name}**, and {small} of the neurons give less than a "
        f"hundredth of the largest{' (gate times up counts)' if seen.up is not None else ''}."
    )


def _draw_curves(seen: Seen, shown: np.ndarray) -> None:
    span = float(max(3.0, np.abs(seen.pre_activation).max(initial=0.0)))
    x = np.linspace(-span, span, 201, dtype=np.float32)
    curves = {name: (x, activation_curve(name, x)) for name in ACTIVATIONS}
    names = [f"neuron {i}" for i in shown]
    left, right = st.columns(2, gap="medium")
    with left:
        chart(
            drawing(
                activation_curves,
                curves,
                Points(seen.pre_activation[shown], seen.activated[shown], names),
            ),
            key="block_architecture.activations",
            alt="ReLU, GELU and SiLU, with this token's neurons on the curve of this model",
        )
    with right:
        if seen.up is None:
            st.markdown(
                "**No gate here.** What leaves the activation goes straight to the matrix that "
                "leads back to the stream. In SwiGLU it would be multiplied by a second product "
                "first."
            )
            return
        chart(
            drawing(gate_and_up, seen.activated[shown], seen.up[shown], names),
            key="block_architecture.gate",
            alt="Each neuron's gate against what it is multiplied with",
        )


def _gate_line(seen: Seen, up: Float[np.ndarray, "neuron"]) -> str:
    top = int(seen.sizes.argmax())
    return (
        f"With a gate there are three factors. Neuron {top} adds most: gate "
        f"{three_digits(seen.activated[top])} × up {three_digits(up[top])} × "  # noqa: RUF001
        f"its output row of size {three_digits(seen.row_sizes[top])} = a vector of size "
        f"**{three_digits(seen.sizes[top])}**. A gate near zero "
        "shuts a neuron, however large the other product is."
    )


def table_of(seen: Seen) -> pd.DataFrame:
    """Return every neuron's numbers at one position, for download."""
    return pd.DataFrame(
        {
            "neuron": range(len(seen.activation)),
            "pre_activation": seen.pre_activation,
            "activated": seen.activated,
            "up": np.nan if seen.up is None else seen.up,
            "activation": seen.activation,
        }
    )


def _draw_losses() -> None:
    st.markdown("### Does it make a better model?")
    found = {name: bits for name in TWINS if len(bits := trained.final_bits(name))}
    if len(found) < 2:
        st.info(trained.NO_CURVES, icon=":material/info:")
        return
    names = [f"{name}: {TWINS[name]}" for name in found]
    chart(
        drawing(final_losses, names, list(found.values()), measure=trained.MEASURE),
        key="block_architecture.activation_losses",
        alt="Where twins with ReLU, GELU and SwiGLU ended, in bits per byte",
    )
    st.markdown(
        "Compare the first with the second, and the third with the fourth: those two pairs differ "
        "in the activation alone. SwiGLU's feedforward is narrower (341 neurons, not 512), "
        "so that its third matrix costs nothing extra: the parameters stay equal."
    )
    numbers_from(None, (len(found),), f"the ends of the runs `twin-…` in {trained.SOURCE}")
