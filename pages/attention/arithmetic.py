"""How does one query read one key of one head? Number by number."""

from collections.abc import Sequence

import numpy as np
import streamlit as st
from jaxtyping import Float

from model_hooks.host import Run
from model_hooks.read.arithmetic import QueryArithmetic, query_arithmetic
from model_hooks.read.heads import Added, heads_added
from pages.ask.computed import computed
from pages.text import escape_markdown
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.check import agree, check
from pages.widgets.drawing import drawing
from viz import dot_product, softmax_bars, weighted_sum
from viz.numbers import percent, three_digits

HELP = (
    "Attention works in two steps. **Relevance scoring**: the query is compared with the key of "
    "every token it may read. **Information combination**: what those tokens offer, their values, "
    "is added up in proportion. (Vaswani et al. 2017, equation 1)"
)

_steps = computed(query_arithmetic)
_added = computed(heads_added)


def draw(asked: Run, labels: Sequence[str], layer: int, head: int | None, query: int) -> None:
    """Draw relevance scoring and information combination with this head's own numbers."""
    if head is None:
        st.caption("Choose one head: the mean of all heads has no arithmetic of its own.")
        return
    steps: QueryArithmetic | None = _steps(*asked, layer, head, query)
    if steps is None:
        st.caption(
            "This family keeps its queries and keys to itself: only the attention weights it "
            "returns are recorded, so there is no arithmetic to show."
        )
        return
    key = _pick_key(labels, steps.recorded[: query + 1])
    names = f":blue[{escape_markdown(labels[query])}]", f":orange[{escape_markdown(labels[key])}]"
    name = f"layer {layer}, head {head}"
    _relevance(steps, name, query, key, names)
    _softmax(steps, labels, query, key)
    _combination(steps, labels, name, query, key)
    _all_heads(_added(*asked, layer, query), head)


def _pick_key(labels: Sequence[str], row: Float[np.ndarray, "key"]) -> int:
    """Let the reader choose a key; at first the one that is read most."""
    return bind(
        st.selectbox,
        "Key token",
        "attention.key",
        options=range(len(row)),
        when_none=int(np.argmax(row)),
        keeps=True,
        format_func=lambda pos: f"{pos}: {labels[pos]} ({percent(float(row[pos]))})",
        help="Which token is read, with its attention weight. A click in the matrix chooses "
        "query and key at once.",
    )


def _relevance(
    steps: QueryArithmetic, name: str, query: int, key: int, names: tuple[str, str]
) -> None:
    st.markdown(
        f"**1. Relevance.** The query of {names[0]} and the key of {names[1]} are vectors of "
        f"{len(steps.query)} numbers. Multiplied number by number and summed, they tell how well "
        "the two match."
    )
    chart(
        drawing(dot_product, steps.query, steps.keys[key]),
        key="attention_dot_product",
        alt=f"Query {query}, key {key} and their product in {name}",
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
        drawing(
            softmax_bars,
            steps.scores[: query + 1],
            steps.weights[: query + 1],
            labels[: query + 1],
            key,
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
    check(
        agree(steps.difference),
        f"The model's own attention weight is {steps.recorded[key]:.4f}; over the whole row, the "
        f"largest difference is {steps.difference:.1e}.",
        f"The model's own attention weight is {steps.recorded[key]:.4f}, by up to "
        f"{steps.difference:.4f} another one: this family adds something to its scores (such as "
        "a sink or a position bias) that this formula leaves out.",
    )


def _combination(
    steps: QueryArithmetic, labels: Sequence[str], name: str, query: int, key: int
) -> None:
    st.markdown(
        "**3. Combination.** Each key's :green[value], another vector, is multiplied by its "
        "weight; the sum is the head's output for this query."
    )
    chart(
        drawing(
            weighted_sum,
            steps.recorded[: query + 1],
            steps.values[: query + 1],
            labels[: query + 1],
            key,
        ),
        key="attention_weighted_sum",
        alt=f"Weighted values and their sum, the output of {name}",
    )


def _all_heads(added: Added | None, head: int) -> None:
    """Say what becomes of the head's output, and check all heads of the layer together."""
    if added is None:
        st.caption(
            "In this family, what attention adds is not simply the sum of its heads (a norm "
            "follows, for instance), so their outputs are not checked against it."
        )
        return
    st.markdown(
        f"The output projection (`{added.path}`) turns this output of {added.d_value} numbers "
        f"into {len(added.recorded)} that are added to the vector of the query. Their size is "
        f"**{three_digits(added.head_norms[head])}**; all {len(added.head_norms)} heads of the "
        "layer "
        f"together add **{three_digits(np.linalg.norm(added.recorded))}**."
    )
    check(
        agree(added.difference, float(np.abs(added.recorded).max())),
        f"All heads' outputs, projected and summed, equal what the model recorded as added by "
        f"this layer's attention; the largest difference is {added.difference:.1e}.",
        f"All heads' outputs, projected and summed, differ from what the model recorded by up to "
        f"{added.difference:.4f}.",
    )
