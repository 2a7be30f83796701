"""What adds up to the score of a word? One number per part of the model."""

import pandas as pd
import streamlit as st

from model_hooks import ModelInfo
from model_hooks.host import Run
from model_hooks.opening.names import short_name
from model_hooks.parts.abilities import Abilities
from model_hooks.read.attribution import Attribution, attribute_logit
from pages.ask.computed import computed
from pages.layers.choices import Choices
from pages.layers.reading import Reading
from pages.state.visit import part, put
from pages.text import escape_markdown
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.check import check
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.quantity import ADDED, shown
from pages.widgets.words import candidate_ids, token_name, token_names
from viz import logit_parts

LEAST_NAMED = 0.005
"""A part that adds less to a logit is not named: it would read as 0.00."""
HELP = (
    "The vector at the end is a sum: the embedding, plus what every attention and every "
    "feedforward added. The LM head turns a sum of vectors into a sum of scores, so a token's "
    "score (its **logit**) splits into one number per part (*direct logit attribution*, Elhage et "
    "al. 2021). The final norm divides every part by the same number: the size of the whole."
)
AGAINST_HELP = (
    "Which of two tokens wins depends only on the difference of their logits. Compare with a rival "
    "to see which parts decide between them."
)

_attribution = computed(attribute_logit)


def draw(
    asked: Run,
    info: ModelInfo,
    abilities: Abilities,
    reading: Reading,
    words: list[int],
    pos: int,
    layer: int,
) -> None:
    """Draw the parts of one token's logit, or of the difference of two."""
    token_id, against = _pick(reading, words)
    found: Attribution = _attribution(*asked, token_id, pos, against)
    told_apart = abilities.told_apart
    if found.is_exact and told_apart:
        _draw_parts(found, layer)
    else:
        st.info(escape_markdown(inexact_reason(info, told_apart)), icon=":material/info:")
        if not told_apart:
            return
    numbers = sum_text(found)
    check(found.is_exact, numbers)
    _parts_from(info, abilities, layer)
    csv_button(lambda: table_of(found), "logit_parts")


def strongest(found: Attribution, name: str) -> str:
    """Say which two parts push most for a token, and which most against it."""
    named: dict[tuple[str | int, ...], float] = {
        ("the embedding",): found.embedding,
        ("the biases",): found.constant,
    }
    for layer in range(len(found.attention)):
        named["attention", layer] = float(found.attention[layer])
        named["feedforward", layer] = float(found.feedforward[layer])
    order = sorted(named, key=lambda part: -named[part])
    whose = (found.pos, found.token_id, *(() if found.against is None else (found.against,)))
    pushes = {
        part: f"**{' '.join(map(str, part))}** ({shown(ADDED, named[part], *part, *whose)})"
        for part in order
    }
    for_it = [pushes[part] for part in order[:2] if named[part] >= LEAST_NAMED]
    against_it = [pushes[part] for part in order[:-3:-1] if named[part] <= -LEAST_NAMED]
    sentence = f"Most for {name}: {' and '.join(for_it) or 'nothing'}."
    return sentence + (f" Most against: {' and '.join(against_it)}." if against_it else "")


def sum_text(found: Attribution) -> str:
    """Say what the parts sum to, and what the model's logit is."""
    what = "logit" if found.against is None else "difference of the two logits"
    if found.softcap is not None:
        what += f" before the softcap of {found.softcap:g}"
    return (
        f"the parts sum to {found.total:.5f}, the model's {what} is {found.logit:.5f}; they differ "
        f"by {found.difference:.0e}."
    )


def inexact_reason(info: ModelInfo, told_apart: bool = True) -> str:
    """Say why a family's logit cannot be split into parts."""
    if not told_apart:
        return (
            f"In this family ({info.family}) what attention adds and what the feedforward adds "
            "cannot be told apart from outside, so the logit is not split into parts."
        )
    if info.norm_placement == "post":
        return (
            f"{short_name(info.name)} normalises the stream itself after each addition "
            "(post-norm), so what one part added is rescaled again and again, and the logit is not "
            "a plain sum of parts."
        )
    return (
        f"In {short_name(info.name)} ({info.family}) something other than a norm and a linear "
        "layer stands between the parts and the logit, so the logit is not a plain sum of parts."
    )


def table_of(found: Attribution) -> pd.DataFrame:
    """Return a logit's parts as a table, for download."""
    rows: list[tuple[str, int | None, float]] = [("embedding", None, found.embedding)]
    for layer, (attention, feedforward) in enumerate(
        zip(found.attention.tolist(), found.feedforward.tolist(), strict=True)
    ):
        rows += [("attention", layer, attention), ("feedforward", layer, feedforward)]
    rows += [
        ("bias", None, found.constant),
        ("sum", None, found.total),
        ("logit", None, found.logit),
    ]
    frame = pd.DataFrame(rows, columns=["part", "layer", "value"])
    return frame.astype({"layer": "Int64"})


def _pick(reading: Reading, words: list[int]) -> tuple[int, int | None]:
    """Let the reader choose whose logit to split, and which other one to subtract."""
    output, chosen = reading.output, part(Choices)
    also = [i for i in (chosen.logit_of, chosen.against) if i is not None and 0 <= i < len(output)]
    ids = candidate_ids(output, [*words, *also])
    names = token_names(ids)
    left, right = st.columns(2)
    token_id = bind(
        left.selectbox,
        "Logit of",
        "layers.logit_of",
        options=ids,
        when_none=ids[0],
        format_func=names.__getitem__,
    )
    others = [None, *(i for i in ids if i != token_id)]
    if chosen.against not in others:
        put({"layers.against": None})
        st.rerun()
    against = bind(
        right.selectbox,
        "Compared with",
        "layers.against",
        options=others,
        format_func=lambda i: "nothing" if i is None else names[i],
        help=AGAINST_HELP,
    )
    return token_id, against


def _draw_parts(found: Attribution, layer: int) -> None:
    name = token_name(found.token_id)
    what = f"logit of “{name}”"
    if found.against is not None:
        what += f" minus “{token_name(found.against)}”"
    figure = drawing(
        logit_parts,
        found.embedding,
        found.attention,
        found.feedforward,
        found.constant,
        logit=found.logit,
        token=what,
        selected=layer,
    )
    chart(figure, key="layers_parts", alt=f"What each part adds to the logit of {name}")
    st.markdown(strongest(found, escape_markdown(name)))
    st.caption(
        "Every part is counted at the scale of the last layer: the final norm divides all of them "
        "by the size of the whole. The Feedforward page counts one right after its layer, where "
        "the stream has another size: there it adds another number."
    )


def _parts_from(info: ModelInfo, abilities: Abilities, layer: int) -> None:
    """Say where the parts of a logit come from."""
    seen = abilities.layers[layer]
    taps = [f"`{path}`" for path in (seen.attn_out_path, seen.mlp_out_path) if path]
    where = " and ".join(taps) or f"what happens inside `{seen.path}`"
    st.caption(
        f":material/database: layer {layer}: {where}, shape `[{info.d_model}]` here; "
        "likewise in every layer"
    )
