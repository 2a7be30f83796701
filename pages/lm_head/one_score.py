"""How does the final vector become one token's score?"""

import pandas as pd
import streamlit as st

from model_hooks import ModelInfo
from model_hooks.opening.names import short_name
from model_hooks.read.choice import TokenScore, token_score
from pages.ask.computed import computed
from pages.ask.session import info
from pages.lm_head.seen import Seen, bold
from pages.text import escape_markdown
from pages.widgets.chart import chart
from pages.widgets.check import check
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.provenance import numbers_from
from pages.widgets.words import token_name
from viz import dot_product, theme

HELP = (
    "The **LM head** is one table with a row for every token of the vocabulary. A token's score, "
    "its **logit**, is the dot product of its row with the final vector: both multiplied number "
    "by number, and everything added up. The better the two match, the higher the score."
)

_token_score = computed(token_score)


def draw(seen: Seen) -> None:
    """Draw the dot product that makes the followed token's logit."""
    score: TokenScore | None = _token_score(*seen.asked, seen.followed, seen.pos)
    if score is None:
        st.info(
            f"{escape_markdown(short_name(info().name))} has no LM head that is one table of rows, "
            "so there is no single dot product to show.",
            icon=":material/info:",
        )
        return
    st.markdown(_sentence(seen, score))
    _strips(seen, score)
    st.latex(formula(score))
    check(
        score.is_exact,
        f"this gives {score.score:.5f}, and the model's own logit is {score.logit:.5f}.",
        f"the model's own logit is {score.logit:.5f}: this family does something more to its "
        "scores than this formula shows.",
    )
    _origin(info(), score)
    csv_button(lambda: table_of(score), "token_score")


def _sentence(seen: Seen, score: TokenScore) -> str:
    n_tokens, width = score.n_tokens, len(score.vector)
    return (
        f"The last layer leaves one vector of **{width:,} numbers** for {seen.after}. The LM head "
        f"has a row of as many numbers for each of the **{n_tokens:,} tokens**. Vector times row "
        f"of {bold(seen.followed)}, number by number, all added up: its score. All rows at once: "
        f"shape `[{n_tokens}, {width}]` times `[{width}]` gives `[{n_tokens}]` scores."
    )


def _strips(seen: Seen, score: TokenScore) -> None:
    token = theme.shorten(token_name(seen.followed))
    chart(
        drawing(
            dot_product,
            score.vector,
            score.row,
            names=("final vector", f"row of {token}"),
            colours=(theme.RESIDUAL, theme.VALUE),
            dimension="dimension",
            shared_range=False,
        ),
        key="lm_head_dot_product",
        alt=f"The final vector, the LM head's row of {token}, and their product",
    )
    st.caption("Each strip has a colour range of its own; hover to read its numbers.")


def _origin(of: ModelInfo, score: TokenScore) -> None:
    if of.tied_embeddings:
        st.caption(
            "In this model the same table is used at the start, to turn each token into its first "
            "vector (tied embeddings)."
        )
    numbers_from(score.path, (score.n_tokens, len(score.vector)), "weight")


def formula(score: TokenScore) -> str:
    """Write a token's logit with its own numbers, as LaTeX."""
    lines = [rf"h \cdot w &= \sum_{{i=1}}^{{{len(score.vector)}}} h_i\,w_i = {score.product:.4f}"]
    so_far = score.product
    if score.bias:
        lines.append(
            rf"{so_far:.4f} + b &= {so_far:.4f} {score.bias:+.4f} = {so_far + score.bias:.4f}"
        )
        so_far += score.bias
    if score.scale != 1:
        lines.append(
            rf"\text{{scaled}} &= {score.scale:.4g} \times {so_far:.4f}"
            rf" = {score.scale * so_far:.4f}"
        )
        so_far *= score.scale
    if score.softcap is not None:
        lines.append(
            rf"\text{{softcap}} &= {score.softcap:g} \tanh\frac{{{so_far:.4f}}}"
            rf"{{{score.softcap:g}}} = {score.score:.4f}"
        )
    lines.append(rf"\text{{logit}} &= {score.logit:.4f}")
    return r"\begin{aligned}" + r" \\ ".join(lines) + r"\end{aligned}"


def table_of(score: TokenScore) -> pd.DataFrame:
    """Return the two vectors and their product, for download."""
    return pd.DataFrame(
        {
            "dimension": range(len(score.vector)),
            "final_vector": score.vector,
            "row": score.row,
            "product": score.vector * score.row,
        }
    )
