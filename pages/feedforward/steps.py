"""Which layer's feedforward brings a word? The word right before and right after each of them."""

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float, Int
from streamlit.delta_generator import DeltaGenerator

from model_hooks import InlookError
from model_hooks.read.feedforward import FeedforwardLens, feedforward_lens
from pages.ask.computed import computed
from pages.feedforward.choices import Measure
from pages.feedforward.scene import Scene, bold
from pages.state.visit import put
from pages.text import escape_markdown
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.controls import pick_layer
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.press import press
from pages.widgets.quantity import LENS, shown
from pages.widgets.tail import read_from
from viz import feedforward_steps

LITTLE = 0.01
"""A gain in probability that is called little."""
HELP = (
    "Right before and right after each feedforward, the token's vector is sent straight to the end "
    "of the model, through the final norm and the LM head (the *logit lens*). The thick step is "
    "what the feedforward changes; the dotted line is attention."
)
MEASURE_HELP = (
    "**Probability**: of this word, among all tokens. **Score**: the logit, before the softmax "
    "makes probabilities. **Rank**: 1 is the most probable token."
)
MEASURES: dict[Measure, str] = {"probability": "Probability", "logit": "Score", "rank": "Rank"}

lens_of = computed(feedforward_lens)


def draw(scene: Scene, above: DeltaGenerator) -> int:
    """Draw the word's way across all feedforwards; return the layer to look into.

    Args:
        scene: What is looked at.
        above: Where the answer is put.
    """
    title, left, right = st.columns([5, 4, 4], vertical_alignment="bottom")
    title.header("Which layer brings the word?", help=HELP)
    with left:
        layer = pick_layer(scene.info)
    try:
        lens: FeedforwardLens = lens_of(*scene.asked, scene.word, scene.pos)
    except InlookError as error:
        st.info(escape_markdown(str(error)), icon=":material/info:")
        return layer
    with right:
        measure = _pick_measure()
    above.markdown(answer(lens, scene.name, layer, (scene.pos, scene.word)))
    _draw_steps(scene, lens, layer, measure)
    return layer


def best_layer(lens: FeedforwardLens) -> int | None:
    """Return the layer whose feedforward raises the probability most; None if none raises it."""
    gains = np.nan_to_num(lens.probabilities[:, 1] - lens.probabilities[:, 0], nan=-1.0)
    best = int(gains.argmax())
    return best if gains[best] > 0 else None


def answer(lens: FeedforwardLens, word: str, layer: int, of: tuple[int, int]) -> str:
    """Say in two sentences which feedforward does most for a word, and what this one does.

    Args:
        lens: The word's way.
        word: The word, for people.
        layer: The layer that is looked into.
        of: The position and the word's token ID.
    """
    best = best_layer(lens)
    if best is None:
        return f"No feedforward of this model makes {bold(word)} more probable here."
    gain = float(lens.probabilities[best, 1] - lens.probabilities[best, 0])
    most = (
        f"The feedforward of **layer {best}** does most for {bold(word)}: {_step(lens, best, of)}"
    )
    if gain < LITTLE:
        most += ", which is little"
    if layer == best:
        return f"{most}."
    if layer not in lens.layers:
        return f"{most}. Layer {layer} has no feedforward."
    return f"{most}. That of layer {layer}: {_step(lens, layer, of)}."


def values_of(
    lens: FeedforwardLens, measure: Measure
) -> Float[np.ndarray, "layer side"] | Int[np.ndarray, "layer side"]:
    """Return one measure per layer, NaN where there is no feedforward."""
    if measure == "probability":
        return lens.probabilities
    if measure == "logit":
        return lens.logits
    return np.where(np.isfinite(lens.logits), lens.ranks, np.nan)


def table_of(lens: FeedforwardLens) -> pd.DataFrame:
    """Return a word's way across the feedforwards, one line per layer, for download."""
    measures = {"logit": lens.logits, "probability": lens.probabilities, "rank": lens.ranks}
    rows = list(lens.layers)
    sides = {
        f"{name}_{side}": values[rows, i]
        for name, values in measures.items()
        for i, side in enumerate(("before", "after"))
    }
    return pd.DataFrame({"layer": rows, **sides})


def _pick_measure() -> Measure:
    return bind(
        st.segmented_control,
        "Show",
        "feedforward.measure",
        options=[*MEASURES],
        format_func=MEASURES.__getitem__,
        required=True,
        help=MEASURE_HELP,
    )


def _draw_steps(scene: Scene, lens: FeedforwardLens, layer: int, measure: Measure) -> None:
    chart(
        drawing(
            feedforward_steps, values_of(lens, measure), scene.name, measure=measure, selected=layer
        ),
        key="feedforward_steps",
        on_click=lambda point: put(layer=int(point.customdata)),
        alt=f"{measure} of {scene.name} before and after each layer's feedforward",
    )
    best = best_layer(lens)
    if best is not None and best != layer:
        press(
            f"Look into layer {best}",
            icon=":material/search:",
            key="feedforward_best",
            on_click=put,
            kwargs={"layer": best},
        )
    read_from(scene.info, scene.abilities, len(lens.layers), 2)
    csv_button(lambda: table_of(lens), "feedforward_steps")


def _step(lens: FeedforwardLens, layer: int, of: tuple[int, int]) -> str:
    sides = zip(("attention", "feedforward"), lens.probabilities[layer].tolist(), strict=True)
    before, after = (shown(LENS, p, part, layer, *of) for part, p in sides)
    ranks = [f"rank {rank:,}" for rank in lens.ranks[layer].tolist()]
    return f"from {before} ({ranks[0]}) to {after} ({ranks[1]})"
