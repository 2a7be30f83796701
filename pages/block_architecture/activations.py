"""ReLU, GELU and SwiGLU on the numbers of one token."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
import torch
from jaxtyping import Float

from model_hooks import NeuronTrace
from model_hooks.errors import InlookError
from model_hooks.parts.facts import BlockFacts
from pages.block_architecture import twins
from pages.feedforward.views import neurons_of
from pages.state.selection import selection
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.provenance import numbers_from
from pages.text import escape_markdown
from viz.feedforward import Points, activation_curves, gate_and_up
from viz.training import final_losses

FUNCTIONS = {
    "ReLU": torch.nn.functional.relu,
    "GELU": torch.nn.functional.gelu,
    "SiLU": torch.nn.functional.silu,
}
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


class Off(NamedTuple):
    """How many of a token's neurons are off."""

    below_zero: float
    """Share whose pre-activation is not positive: ReLU would give exactly zero."""
    nearly_off: float
    """Share whose activation is below a hundredth of the layer's largest."""


def share_off(
    pre_activation: Float[np.ndarray, "neuron"], activated: Float[np.ndarray, "neuron"]
) -> Off:
    """Count a token's neurons that are off."""
    largest = float(np.abs(activated).max(initial=0.0))
    return Off(
        float((pre_activation <= 0).mean()),
        float((np.abs(activated) <= NEARLY_OFF * largest).mean()),
    )


def draw(facts: BlockFacts, token_ids: tuple[int, ...], pos: int, token: str) -> None:
    """The tab: curves with this token's dots, the gate, and the twins' losses."""
    try:
        neurons = neurons_of(selection().model, token_ids, facts.layer)
    except InlookError as error:
        st.info(escape_markdown(str(error)), icon=":material/info:")
        neurons = None
    if neurons is not None:
        _curves(neurons, facts, pos, token)
    _losses()


def _curves(neurons: NeuronTrace, facts: BlockFacts, pos: int, token: str) -> None:
    if neurons.pre_activation is None or neurons.activated is None:
        st.info(
            "The activation function of this model is no module of its own, so what enters it "
            "cannot be read.",
            icon=":material/info:",
        )
        return
    before, after = neurons.pre_activation[pos], neurons.activated[pos]
    strength = np.abs(neurons.activation[pos]) * np.linalg.norm(neurons.output_rows, axis=1)
    shown = np.sort(np.argsort(-strength, kind="stable")[:MAX_DOTS])
    span = float(max(3.0, np.abs(before).max(initial=0.0)))
    x = np.linspace(-span, span, 201, dtype=np.float32)
    curves = {
        name: (x, function(torch.from_numpy(x)).numpy()) for name, function in FUNCTIONS.items()
    }
    off = share_off(before, after)
    name = facts.feedforward.name if facts.feedforward else "its own"
    sentence = (
        f"At “{token}”, **{off.below_zero:.0%}** of the {len(before):,} neurons of layer "
        f"{facts.layer} get a negative number: ReLU would switch exactly these off. Here the "
        f"activation is **{name}**, and {off.nearly_off:.0%} of the neurons give less than a "
        "hundredth of the largest."
    )
    st.markdown(sentence)
    names = [f"neuron {i}" for i in shown]
    left, right = st.columns(2, gap="medium")
    with left:
        chart(
            activation_curves(curves, Points(before[shown], after[shown], names)),
            key="block_architecture.activations",
            alt="ReLU, GELU and SiLU, with this token's neurons on the curve of this model",
        )
    with right:
        if neurons.gated:
            chart(
                gate_and_up(after[shown], neurons.up[pos][shown], names),
                key="block_architecture.gate",
                alt="Each neuron's gate against what it is multiplied with",
            )
        else:
            st.markdown(
                "**No gate here.** What leaves the activation goes straight to the matrix that "
                "leads back to the stream. In SwiGLU it would be multiplied by a second product "
                "first."
            )
    if neurons.gated:
        st.markdown(_gate_line(neurons, strength, pos))
    if len(shown) < len(before):
        st.caption(f"Drawn: the {MAX_DOTS:,} neurons that add most, of {len(before):,}.")
    numbers_from(
        neurons.path, neurons.activation.shape, "around the activation before", facts.layer
    )
    csv_button(lambda: _frame(neurons, pos), "activations")


def _gate_line(neurons: NeuronTrace, strength: Float[np.ndarray, "neuron"], pos: int) -> str:
    top = int(strength.argmax())
    gate, up = neurons.activated[pos][top], neurons.up[pos][top]
    return (
        f"With a gate there are three factors. Neuron {top} adds most: gate {gate:.3g} × up "  # noqa: RUF001
        f"{up:.3g} × its output row of size {np.linalg.norm(neurons.output_rows[top]):.3g} = a "  # noqa: RUF001
        f"vector of size **{strength[top]:.3g}**. A gate near zero shuts a neuron, however large "
        "the other product is."
    )


def _frame(neurons: NeuronTrace, pos: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "neuron": range(neurons.activation.shape[1]),
            "pre_activation": neurons.pre_activation[pos],
            "activated": neurons.activated[pos],
            "up": neurons.up[pos] if neurons.gated else np.nan,
            "activation": neurons.activation[pos],
        }
    )


def _losses() -> None:
    st.markdown("##### Does it make a better model?")
    found = {name: twins.final_bits(name) for name in TWINS}
    found = {name: bits for name, bits in found.items() if len(bits)}
    if len(found) < 2:
        st.info(twins.NO_CURVES, icon=":material/info:")
        return
    chart(
        final_losses(
            [f"{name}: {TWINS[name]}" for name in found],
            list(found.values()),
            measure=twins.MEASURE,
        ),
        key="block_architecture.activation_losses",
        alt="Where twins with ReLU, GELU and SwiGLU ended, in bits per byte",
    )
    st.markdown(
        "Compare the first with the second, and the third with the fourth: those two pairs differ "
        "in the activation alone. SwiGLU's feedforward is narrower (341 neurons, not 512), "
        "so that its third matrix costs nothing extra: the parameters stay equal."
    )
    numbers_from(None, (len(found),), "last line of `training/curves/twin-*.csv`")
