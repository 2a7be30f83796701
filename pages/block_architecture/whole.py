"""What was kept of the first transformer, and where in the model are the parameters?"""

import pandas as pd
import streamlit as st

from model_hooks.opening.names import short_name
from model_hooks.read.architecture import Part
from pages.block_architecture.blocks import PAPER
from pages.block_architecture.scene import Scene
from pages.text import escape_markdown
from pages.widgets.chart import chart
from pages.widgets.check import check
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.quantity import PARAMETERS, shown
from viz import encoder_decoder, parameter_bars

PART_NOTES: dict[Part, str] = {
    "token embedding": "one vector per token of the vocabulary",
    "position embedding": "one vector per position",
    "attention": "query, key, value and output projections of all blocks",
    "other mixing": "recurrent or convolution layers",
    "feedforward": "all blocks; of a mixture, all experts",
    "norms": "weights (and biases) of all norms",
    "LM head": "from the last vector to one score per token",
    "other": "parts that belong to none of these",
}


def draw(scene: Scene) -> None:
    """Draw the tab."""
    picture, parts = st.columns([4, 5], gap="large")
    with picture:
        chart(
            drawing(encoder_decoder),
            key="block_architecture.2017",
            alt="The encoder-decoder of 2017 with the path of a decoder-only model marked",
        )
        st.caption(f"Drawn after figure 1 of {PAPER}.")
    with parts:
        st.markdown(
            "The first transformer translated: an **encoder** read the whole sentence, and a "
            "**decoder** wrote the translation token by token, looking at the encoder. A language "
            f"model such as {escape_markdown(short_name(scene.info.name))} only continues one "
            "text, so it keeps the **thick path**: no encoder, and no attention to it. This model "
            f"has **{scene.info.n_layers}** such blocks; the base model of 2017 had 6 on each side."
        )
        st.markdown("### Where the parameters are")
        _draw_parameters(scene)


def _draw_parameters(scene: Scene) -> None:
    info, table = scene.info, table_of(scene.parameters)
    parts = [str(part) for part in table["part"]]
    notes = [PART_NOTES[part] for part in table["part"]]
    chart(
        drawing(parameter_bars, parts, table["parameters"].to_numpy(), notes),
        key="block_architecture.parameters",
        alt="Parameters per part of the loaded model",
    )
    total = sum(scene.parameters.values())
    n_parameters = shown(PARAMETERS, info.n_parameters, info.name)
    tied = " The LM head uses the token embedding's numbers again, so they count once."
    check(
        total == info.n_parameters,
        f"the parts add up to {total:,}, the model has {n_parameters}."
        + tied * info.tied_embeddings,
    )
    csv_button(table, "parameters")


def table_of(parameters: dict[Part, int]) -> pd.DataFrame:
    """List the parameters per part, the largest first, without parts that the model lacks."""
    counts = sorted(((n, part) for part, n in parameters.items() if n), reverse=True)
    return pd.DataFrame(
        {"part": [part for _, part in counts], "parameters": [n for n, _ in counts]}
    )
