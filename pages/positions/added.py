"""What is added for a position: a vector to each token, or a number to each score?"""

import numpy as np
import pandas as pd
import streamlit as st

from model_hooks.read.positions import Positions, PositionTable
from pages.positions.subject import Subject, trained_length
from pages.widgets.chart import chart
from pages.widgets.controls import pick_head
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.provenance import numbers_from
from viz.numbers import three_digits
from viz.positions import bias_by_distance, position_similarity, position_vectors

VECTORS_HELP = (
    "Before the first layer, the model adds the vector of its position to every token's vector. "
    "**Cosine** tells how alike two of these vectors are: 1 is the same direction, 0 is unrelated."
)
BIAS_HELP = (
    "A text that repeats one token gives every key the same content. Attention would spread "
    "evenly; whatever differs is what this model adds to a score by distance alone."
)
DISTANCES = (1, 16, 64)
"""Between positions whose vectors are compared in words."""


def draw_vectors(subject: Subject) -> None:
    """Draw the vectors that stand for positions, and how alike they are."""
    table = subject.facts.table
    if table is None:
        return
    picture, alike = st.columns(2)
    with picture:
        chart(
            drawing(position_vectors, table.vectors),
            key="positions_vectors",
            alt=f"The {len(table.vectors)} position vectors of this model",
        )
    with alike:
        chart(
            drawing(position_similarity, table.vectors),
            key="positions_similarity",
            alt="Cosine between the vectors of every two positions",
        )
    st.markdown(vectors_in_words(table, trained_length(subject.info)))
    numbers_from(table.path, table.vectors.shape, "rows")
    csv_button(lambda: pd.DataFrame(table.vectors), "position_vectors")


def vectors_in_words(table: PositionTable, trained: int) -> str:
    """Say how alike the vectors of neighbours are, and how far that reaches."""
    vectors = table.vectors[:trained].astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    parts = []
    for distance in DISTANCES:
        if distance < len(unit):
            cosine = float((unit[:-distance] * unit[distance:]).sum(-1).mean())
            parts.append(f"{three_digits(cosine)} at distance {distance}")
    text = f"Mean cosine of two positions: {', '.join(parts)}." if parts else ""
    if trained < len(table.vectors):
        text += (
            f" The model was trained on texts of {trained} tokens: the vectors from position "
            f"{trained} on are still as random as they were at first."
        )
    if table.offset:
        text += f" The first {table.offset} rows of the table are not positions."
    if table.exact:
        text += (
            " Checked: moving a token changes what enters the first block by exactly the "
            "difference of two rows."
        )
    return text


def draw_bias(subject: Subject) -> None:
    """Draw what is added to scores by distance."""
    bias = subject.facts.bias
    if bias is None:
        return
    head = pick_head(subject.info)
    chart(
        drawing(bias_by_distance, bias, head),
        key="positions_bias",
        alt="What is added to a score by the distance between query and key, per head",
    )
    st.markdown(bias_in_words(subject.facts, head or 0))
    csv_button(lambda: pd.DataFrame(bias), "position_bias")


def bias_in_words(facts: Positions, head: int) -> str:
    """Say what a head loses with distance."""
    if facts.slopes is None:
        return "The bias was measured in the first layer; it follows no straight line."
    slope = float(facts.slopes[head])
    return (
        f"Head {head} takes **{three_digits(slope)}** off a score per token of distance: a key 16 "
        "tokens "
        f"back must score {three_digits(16 * slope)} more to be read as much. Heads with a small "
        "slope see "
        "far, heads with a large one see their neighbourhood."
    )
