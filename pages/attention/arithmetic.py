"""The last zoom of the Attention page: one query and one key of one head, number by number."""

from collections.abc import Sequence

import numpy as np
import streamlit as st
from jaxtyping import Float

from model_hooks import HookedModel, Trace
from model_hooks.read.arithmetic import QueryArithmetic, head_outputs, query_arithmetic
from pages.attention.views import projection_of
from pages.widgets.chart import chart
from pages.widgets.controls import number_of
from pages.widgets.text import escape_markdown
from viz import dot_product, softmax_bars, weighted_sum

TOLERANCE = 1e-4
"""Largest difference that counts as rounding (float32; attention weights lie between 0 and 1)."""
KEY, CHOSEN = "attention_key", "attention_key.chosen"
HELP = (
    "Attention works in two steps. **Relevance scoring**: the query is compared with the key of "
    "every token it may read. **Information combination**: what those tokens offer, their values, "
    "is added up in proportion. (Vaswani et al. 2017, equation 1)"
)


def draw(
    model: HookedModel,
    trace: Trace,
    labels: Sequence[str],
    layer: int,
    head: int | None,
    query: int,
) -> None:
    """Draw relevance scoring and information combination with this head's own numbers."""
    if head is None:
        st.caption("Choose one head: the mean of all heads has no arithmetic of its own.")
        return
    steps = query_arithmetic(trace, layer, head, query)
    if steps is None:
        st.caption(
            "This family keeps its queries and keys to itself: only the attention weights it "
            "returns are recorded, so there is no arithmetic to show."
        )
        return
    key = _pick_key(labels, steps.recorded[: query + 1], query)
    names = f":blue[{escape_markdown(labels[query])}]", f":orange[{escape_markdown(labels[key])}]"
    _relevance(steps, layer, head, query, key, names)
    _softmax(steps, labels, query, key)
    _combination(model, trace, steps, labels, layer, head, query, key)


def pick(key: int | None) -> None:
    """Choose the key to look at, as a click in the matrix does; None for the one read most."""
    st.session_state[CHOSEN] = key


def _pick_key(labels: Sequence[str], row: Float[np.ndarray, "key"], query: int) -> int:
    """Let the reader choose a key; at first the one that is read most."""
    chosen = st.session_state.get(CHOSEN)
    st.session_state[KEY] = int(np.argmax(row)) if chosen is None or chosen > query else chosen
    return st.selectbox(
        "Key token",
        range(query + 1),
        key=KEY,
        format_func=lambda pos: f"{pos}: {labels[pos]} ({row[pos]:.3f})",
        help="Which token is read, with its attention weight. A click in the matrix chooses "
        "query and key at once.",
        on_change=lambda: pick(number_of(KEY)),
    )


def _relevance(
    steps: QueryArithmetic, layer: int, head: int, query: int, key: int, names: tuple[str, str]
) -> None:
    st.markdown(
        f"**1. Relevance.** The query of {names[0]} and the key of {names[1]} are vectors of "
        f"{len(steps.query)} numbers. Multiplied number by number and summed, they tell how well "
        "the two match."
    )
    chart(
        dot_product(steps.query, steps.keys[key]),
        key="attention_dot_product",
        alt=f"Query {query}, key {key} and their product in layer {layer}, head {head}",
    )
    product, scale = float(steps.products[key]), steps.scale
    square = 1 / scale**2
    root = rf"\frac{{1}}{{\sqrt{{{square:.0f}}}}}" if abs(square - round(square)) < 1e-3 else ""
    named = f"{root} = {scale:.4f}" if root else f"{scale:.4f}"
    st.latex(
        r"\begin{aligned}"
        rf"{{\color{{#3b82c4}}q}} \cdot {{\color{{#d9702b}}k}} &= {product:.4f} \\"
        rf"\text{{score}} &= {product:.4f} \times {scale:.4f} = {product * scale:.4f}"
        r"\end{aligned}"
    )
    notes = [f"The scale is ${named}$: it keeps scores from growing with the vectors' length."]
    if steps.softcap:
        notes.append(
            f"This family then bends the score under {steps.softcap:g}: "
            f"${steps.softcap:g} \\tanh({product * scale:.4f} / {steps.softcap:g}) = "
            f"{steps.scores[key]:.4f}$."
        )
    if not steps.readable[key]:
        notes.append(
            "The mask then sets it to $-\\infty$: the key lies outside the window that this "
            "query may read."
        )
    st.caption(" ".join(notes))


def _softmax(steps: QueryArithmetic, labels: Sequence[str], query: int, key: int) -> None:
    n_readable = int(steps.readable.sum())
    st.markdown(
        f"**2. Softmax.** All {n_readable} scores that this query may have become weights that "
        "are positive and sum to 1; what comes later in the text is masked."
    )
    chart(
        softmax_bars(
            steps.scores[: query + 1], steps.weights[: query + 1], labels[: query + 1], key
        ),
        key="attention_softmax",
        alt=f"Scores and weights of all keys for query {query}",
    )
    highest = float(steps.scores.max())
    total = float(np.exp(steps.scores - highest).sum())
    if steps.readable[key]:
        score = float(steps.scores[key])
        above = float(np.exp(score - highest))
        st.latex(
            rf"\frac{{e^{{{score:.3f} - {highest:.3f}}}}}{{\sum_j e^{{s_j - {highest:.3f}}}}}"
            rf" = \frac{{{above:.4f}}}{{{total:.4f}}} = {above / total:.4f}"
        )
    _check(
        steps.difference <= TOLERANCE,
        f"The model's own attention weight is {steps.recorded[key]:.4f}; over the whole row, the "
        f"largest difference is {steps.difference:.1e}.",
        f"The model's own attention weight is {steps.recorded[key]:.4f}, by up to "
        f"{steps.difference:.4f} another one: this family adds something to its scores (such as "
        "a sink or a position bias) that this formula leaves out.",
    )


def _combination(
    model: HookedModel,
    trace: Trace,
    steps: QueryArithmetic,
    labels: Sequence[str],
    layer: int,
    head: int,
    query: int,
    key: int,
) -> None:
    st.markdown(
        "**3. Combination.** Each key's :green[value], another vector, is multiplied by its "
        "weight; the sum is the head's output for this query."
    )
    chart(
        weighted_sum(
            steps.recorded[: query + 1], steps.values[: query + 1], labels[: query + 1], key
        ),
        key="attention_weighted_sum",
        alt=f"Weighted values and their sum, the output of layer {layer}, head {head}",
    )
    projection = projection_of(model, trace, layer)
    if projection is None:
        st.caption(
            "In this family, what attention adds is not simply the sum of its heads (a norm "
            "follows, for instance), so their outputs are not checked against it."
        )
        return
    rows = projection.rows
    outputs = head_outputs(trace, layer)[:, query]
    added = np.stack([output @ part for output, part in zip(outputs, rows, strict=True)])
    total = added.sum(0) if projection.bias is None else added.sum(0) + projection.bias
    recorded = trace.layers[layer].attn_out[query]
    difference = float(np.abs(total - recorded).max())
    st.markdown(
        f"The output projection (`{projection.path}`) turns this output of {rows.shape[1]} numbers "
        f"into {rows.shape[2]} that are added to the vector of the query. Their size is "
        f"**{np.linalg.norm(added[head]):.3f}**; all {len(rows)} heads of the layer together add "
        f"**{np.linalg.norm(recorded):.3f}**."
    )
    _check(
        difference <= max(TOLERANCE, 1e-3 * float(np.abs(recorded).max())),
        f"All heads' outputs, projected and summed, equal what the model recorded as added by "
        f"this layer's attention; the largest difference is {difference:.1e}.",
        f"All heads' outputs, projected and summed, differ from what the model recorded by up to "
        f"{difference:.4f}.",
    )


def _check(holds: bool, well: str, badly: str) -> None:
    if holds:
        st.caption(f":green[:material/check_circle:] Check: {well}")
    else:
        st.caption(f":orange[:material/info:] Check: {badly}")
