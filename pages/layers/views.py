"""What the Layers page shows, worked out from the trace: long helpers of `layers.py`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float, Int

from model_hooks import HookedModel, ModelInfo, Trace
from model_hooks.read.attribution import Attribution, attribute_logit
from model_hooks.read.lens import (
    Lens,
    Point,
    lens_at,
    output_log_probs,
    ranks_of,
    read_lens,
    stream_points,
)
from pages.ask.session import hooked_model, trace_of
from pages.state.selection import select
from pages.widgets.next_pages import link_pages
from pages.widgets.provenance import module_path
from pages.text import escape_markdown, visible
from pages.widgets.words import candidate_ids, token_names
from viz.decoding import percent

WINDOW = 12
"""Columns of the lens table whose cells can still be read."""
MAX_WORK = 5e11
"""Multiplications in the LM head that one picture may take: some ten seconds."""
AROUND, ALL = "Around this token", "All tokens"

LEAST_NAMED = 0.005
"""A part that adds less to a logit is not named: it would read as 0.00."""

LENS_HELP = (
    "After every layer, the vector of the selected token is sent straight to the end of the model: "
    "through the final norm and the LM head, as if no layer came after. What comes out is the "
    "layer's guess (the *logit lens*, nostalgebraist 2020). Early vectors were never trained to be "
    "read like this, so take early guesses as hints."
)
RANK_HELP = (
    "**Guess**: the most probable token there. **Probability**: how sure that guess is. **Rank**: "
    "how many tokens stand before the one the model ends on; 1 means it leads already."
)
WATCH_HELP = (
    "How likely some words are after each half of each layer. ● is right after attention, ■ right "
    "after the feedforward."
)
HALVES_HELP = (
    "The same reading before a layer, between its two halves, and after it. **Attention** brings "
    "in what other tokens know; the **feedforward** then works on this token alone. The layer is "
    "shaded in the other figures."
)
PARTS_HELP = (
    "The vector at the end is a sum: the embedding, plus what every attention and every "
    "feedforward added. The LM head turns a sum of vectors into a sum of scores, so a token's "
    "score (its **logit**) splits into one number per part (*direct logit attribution*, Elhage et "
    "al. 2021). The final norm divides every part by the same number: the size of the whole."
)
GROWTH_HELP = (
    "Each layer adds to the token's vector. **Length** tells how large it has become. **Cosine** "
    "tells how much it points the same way: 1 is the same direction, 0 is unrelated."
)


NO_NUMBERS = (
    "At this token the model computes values that are not numbers (NaN), so there is no prediction "
    "to take apart. Its weights look damaged: choose another model in the sidebar."
)


class Reading(NamedTuple):
    """The lens at one position, at every point of its stream."""

    points: tuple[Point, ...]
    log_probs: Float[np.ndarray, "point vocab"]
    difference: float
    """The largest difference between the last row's probabilities and the model's output."""


@st.cache_resource(max_entries=8, show_spinner="Reading every layer…")
def lens_of(
    model_name: str, token_ids: tuple[int, ...], start: int, stop: int, halves: bool
) -> Lens:
    """Read the lens at some positions; shared between sessions."""
    model, trace = hooked_model(model_name), trace_of(model_name, token_ids)
    return read_lens(model, trace, slice(start, stop), halves)


@st.cache_resource(max_entries=8, show_spinner=False)
def reading_of(model_name: str, token_ids: tuple[int, ...], pos: int) -> Reading:
    """Read the lens at one position, in full, and check its last row."""
    model, trace = hooked_model(model_name), trace_of(model_name, token_ids)
    log_probs = lens_at(model, trace, pos)
    output = output_log_probs(model, trace, pos)
    difference = float(np.abs(np.exp(log_probs[-1]) - np.exp(output)).max())
    return Reading(stream_points(model), log_probs, difference)


@st.cache_resource(max_entries=16, show_spinner=False)
def attribution_of(
    model_name: str, token_ids: tuple[int, ...], pos: int, token_id: int, against: int | None
) -> Attribution:
    """Split a logit into its parts; shared between sessions."""
    model, trace = hooked_model(model_name), trace_of(model_name, token_ids)
    return attribute_logit(model, trace, token_id, pos, against)


def window(n_tokens: int, pos: int, size: int = WINDOW) -> slice:
    """Return up to `size` positions around one, as far left as the text allows."""
    start = min(max(0, pos - size + 3), max(0, n_tokens - size))
    return slice(start, min(n_tokens, start + size))


def point_name(point: Point, info: ModelInfo) -> str:
    """Name a point of the stream, such as `after attention 3`."""
    if point.after == "embedding":
        return "embedding"
    if point.after == "attention" and point.layer not in info.attention_layers:
        return f"after mixing {point.layer}"
    return f"after {point.after} {point.layer}"


def row_labels(points: Sequence[Point], info: ModelInfo) -> list[str]:
    """Label the rows of the lens table; short, to leave room for the cells."""
    halves = any(point.after == "attention" for point in points)
    labels = []
    for point in points:
        if point.after == "embedding":
            labels.append("embedding")
        elif not halves:
            labels.append(f"layer {point.layer}")
        elif point.after == "attention":
            mixer = "attn" if point.layer in info.attention_layers else "mix"
            labels.append(f"{point.layer} ● {mixer}")
        else:
            labels.append(f"{point.layer} ■ ffn")
    return [*labels[:-1], f"{labels[-1]} = output"]


def final_id(reading: Reading) -> int:
    """Return the token that the model ends on."""
    return int(reading.log_probs[-1].argmax())


def has_numbers(reading: Reading) -> bool:
    """Tell whether the output is made of numbers; a damaged model's may not be."""
    return bool(np.isfinite(reading.log_probs[-1].max()))


def answer(reading: Reading, info: ModelInfo, name: str, previous: str) -> str:
    """Say in one sentence where the final token takes the lead, and from where on it keeps it."""
    token = final_id(reading)
    leads = ranks_of(reading.log_probs, [token])[:, 0] == 1
    first = int(np.argmax(leads))
    for_good = len(leads) - int(np.argmin(leads[::-1])) if not leads.all() else 0
    probability = percent(float(np.exp(reading.log_probs[-1, token])))
    start = (
        f"After “{escape_markdown(previous)}” the model ends on **{escape_markdown(name)}** "
        f"({probability}). "
    )
    place = escape_markdown(point_name(reading.points[first], info))
    if first == for_good:
        return start + f"It takes the lead **{place}** and keeps it."
    kept = escape_markdown(point_name(reading.points[for_good], info))
    return start + f"It first leads **{place}**, and for good from **{kept}** on."


def check_line(difference: float, n_tokens: int) -> str:
    """Say whether the lens's last row equals the model's output."""
    same = difference <= 1e-3
    sign = ":material/check_circle: Checked" if same else ":material/warning: Not equal"
    verb = "equals" if same else "should equal"
    return (
        f"{sign}: the last row {verb} the model's own output, from a plain run of the text up to "
        f"this token. Over all {n_tokens:,} tokens, no probability differs by more than "
        f"{difference:.0e}."
    )


def sum_line(found: Attribution) -> str:
    """Say whether the parts sum to the logit."""
    what = "logit" if found.against is None else "difference of the two logits"
    if found.softcap is not None:
        what += f" before the softcap of {found.softcap:g}"
    numbers = (
        f"the parts sum to {found.total:.5f}, the model's {what} is {found.logit:.5f}; they differ "
        f"by {found.difference:.0e}."
    )
    if found.is_exact:
        return f":material/check_circle: Checked: {numbers}"
    return f":material/warning: Not exact: {numbers}"


def inexact_reason(info: ModelInfo, told_apart: bool = True) -> str:
    """Say why a family's logit cannot be split into parts."""
    if not told_apart:
        return (
            f"In this family ({info.family}) what attention adds and what the feedforward adds "
            "cannot be told apart from outside, so the logit is not split into parts."
        )
    if info.norm_placement == "post":
        return (
            f"{info.name} normalises the stream itself after each addition (post-norm), so what "
            "one part added is rescaled again and again, and the logit is not a plain sum of parts."
        )
    return (
        f"In {info.name} ({info.family}) something other than a norm and a linear layer stands "
        "between the parts and the logit, so the logit is not a plain sum of parts."
    )


class Growth(NamedTuple):
    """One token's vector at the embedding and after each layer."""

    norms: Float[np.ndarray, "point"]
    typical_norms: Float[np.ndarray, "point"]
    """Median over all tokens."""
    with_previous: Float[np.ndarray, "point"]
    """Cosine with the state one layer earlier; NaN for the embedding."""
    with_last: Float[np.ndarray, "point"]


def growth(trace: Trace, pos: int) -> Growth:
    """Measure how one token's vector grows and turns."""
    states = np.stack([trace.embedding, *(layer.resid_post for layer in trace.layers)])
    norms = np.linalg.norm(states.astype(np.float64), axis=-1)
    mine = states[:, pos].astype(np.float64)
    return Growth(
        norms=norms[:, pos],
        typical_norms=np.median(norms, axis=1),
        with_previous=np.array([np.nan, *map(cosine, mine, mine[1:])]),
        with_last=np.array([cosine(state, mine[-1]) for state in mine]),
    )


def cosine(a: Float[np.ndarray, "d"], b: Float[np.ndarray, "d"]) -> float:
    """Return the cosine of the angle between two vectors; NaN where one is zero."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else float("nan")


def lens_frame(lens: Lens, labels: Sequence[str], trace: Trace, model: HookedModel) -> pd.DataFrame:
    """Return the lens table, one line per cell, for download."""
    n_points, n_pos = lens.final_ranks.shape
    positions = np.tile(np.arange(lens.start, lens.start + n_pos), n_points)
    return pd.DataFrame(
        {
            "point": np.repeat(labels, n_pos),
            "pos": positions,
            "token": [trace.tokens[pos] for pos in positions],
            "guess_id": lens.top_ids[..., 0].ravel(),
            "guess": model.token_strings(lens.top_ids[..., 0].ravel().tolist()),
            "guess_probability": lens.top_probabilities[..., 0].ravel(),
            "final_token_id": np.tile(lens.final_ids, n_points),
            "final_token": model.token_strings(lens.final_ids.tolist()) * n_points,
            "final_rank": lens.final_ranks.ravel(),
            "final_probability": lens.final_probabilities.ravel(),
        }
    )


def words_frame(
    names: Sequence[str],
    token_ids: Sequence[int],
    words: Sequence[str],
    probabilities: Float[np.ndarray, "point word"],
    ranks: Int[np.ndarray, "point word"],
) -> pd.DataFrame:
    """Return the watched words' curves as a table, for download."""
    n_points, n_words = probabilities.shape
    return pd.DataFrame(
        {
            "point": np.repeat(names, n_words),
            "token_id": np.tile(token_ids, n_points),
            "token": list(words) * n_points,
            "probability": probabilities.ravel(),
            "rank": ranks.ravel(),
        }
    )


def parts_frame(found: Attribution) -> pd.DataFrame:
    """Return a logit's parts as a table, for download."""
    layers = range(len(found.attention))
    rows = [("embedding", None, found.embedding)]
    for layer in layers:
        rows.append(("attention", layer, float(found.attention[layer])))
        rows.append(("feedforward", layer, float(found.feedforward[layer])))
    rows += [
        ("bias", None, found.constant),
        ("sum", None, found.total),
        ("logit", None, found.logit),
    ]
    frame = pd.DataFrame(rows, columns=["part", "layer", "value"])
    return frame.astype({"layer": "Int64"})


def halves_frame(
    states: Sequence[str],
    tokens: Sequence[str],
    probabilities: Float[np.ndarray, "state token"],
) -> pd.DataFrame:
    """Return a layer's before and after as a table, for download."""
    return pd.DataFrame(
        {
            "state": np.repeat(states, len(tokens)),
            "token": list(tokens) * len(states),
            "probability": probabilities.ravel(),
        }
    )


def growth_frame(measures: Growth) -> pd.DataFrame:
    """Return the growth of the stream as a table, for download."""
    return pd.DataFrame({"layer": range(-1, len(measures.norms) - 1), **measures._asdict()})


def shown(model: HookedModel, token_id: int) -> str:
    """Return a token's text for labels."""
    return visible(model.token_strings([int(token_id)])[0])


def table_controls(model: HookedModel, n_tokens: int, pos: int) -> tuple[str, slice, bool]:
    """Let the reader choose what the lens table shows: contents, columns, and half layers."""
    contents, columns, rows = st.columns([3, 3, 3], vertical_alignment="bottom")
    with contents:
        show = st.segmented_control(
            "Cells show",
            ["token", "probability", "rank"],
            format_func={"token": "Guess", "probability": "Probability", "rank": "Rank"}.get,
            default="token",
            required=True,
            key="layers.show",
            help=RANK_HELP,
            persist_state="session",
        )
    halves = not model.info.parallel and any(len(b.parts) == 2 for b in model.anatomy.blocks)
    with rows:
        by_half = st.toggle(
            "Each half of a layer",
            key="layers.halves",
            help="A layer has two halves: ● attention, then ■ feedforward. Look after each.",
            disabled=not halves,
            persist_state="session",
        )
    span = window(n_tokens, pos)
    if n_tokens > WINDOW:
        info = model.info
        work = len(stream_points(model, by_half)) * n_tokens * info.d_model * info.vocab_size
        with columns:
            chosen = st.segmented_control(
                "Tokens",
                [AROUND, ALL],
                default=AROUND,
                required=True,
                key="layers.span",
                disabled=work > MAX_WORK,
                help="All of a long text are drawn as colours; hover to read a cell.",
                persist_state="session",
            )
        if chosen == ALL and work <= MAX_WORK:
            span = slice(0, n_tokens)
    return show, span, by_half and halves


def select_cell(lens: Lens, cell: tuple[int, int]) -> None:
    """Select the token and the layer of a cell that was clicked."""
    row, column = cell
    layer = lens.points[row].layer
    select(pos=lens.start + column, **({} if layer < 0 else {"layer": layer}))


def read_from(model: HookedModel, *shape: int, blocks: str | None = None) -> None:
    """Say where numbers come from that went from the stream through the model's tail.

    Args:
        model: The model.
        shape: Of the vectors, without d_model.
        blocks: The blocks whose stream it is; all of them by default.
    """
    anatomy, info = model.anatomy, model.info
    blocks = blocks or f"`{anatomy.blocks[0].path}` to `{anatomy.blocks[-1].path}`"
    steps = [f"residual stream of {blocks}"]
    for module in (anatomy.final_norm, anatomy.lm_head):
        if module is not None and (path := module_path(model, module)):
            steps.append(f"`{path}`")
    st.caption(
        f":material/database: {' → '.join(steps)}, shape `{[*shape, info.d_model]} → "
        f"{[*shape, info.vocab_size]}`, softmax over all {info.vocab_size:,} tokens"
    )


def parts_from(model: HookedModel, layer: int) -> None:
    """Say where the parts of a logit come from."""
    block = model.anatomy.blocks[layer]
    taps = [f"`{tap.path}`" for tap in (block.attn_out, block.mlp_out) if tap is not None]
    where = " and ".join(taps) or f"what happens inside `{block.path}`"
    st.caption(
        f":material/database: layer {layer}: {where}, shape `[{model.info.d_model}]` here; "
        "likewise in every layer"
    )


def pick_measure() -> str:
    """Let the reader choose between probability and rank."""
    return st.segmented_control(
        "Show",
        ["probability", "rank"],
        format_func={"probability": "Probability", "rank": "Rank"}.get,
        default="probability",
        required=True,
        key="layers.measure",
        label_visibility="collapsed",
        persist_state="session",
    )


def states_of(reading: Reading, layer: int) -> list[int]:
    """Return the points before, (between the halves of) and after a layer."""
    inside = [i for i, point in enumerate(reading.points) if point.layer == layer]
    return [inside[0] - 1, *inside]


def state_names(states: Sequence[int]) -> list[str]:
    """Name a layer's states for people."""
    if len(states) == 2:
        return ["before the layer", "after it"]
    return ["before the layer", "after attention", "after feedforward"]


def tokens_that_move(reading: Reading, states: Sequence[int], count: int = 6) -> list[int]:
    """Return the leading tokens of a layer's states, those that lead after it first."""
    leading = np.argsort(-reading.log_probs[list(states)], axis=-1, kind="stable")[:, :3]
    in_order = [int(token) for row in leading[::-1] for token in row]
    return list(dict.fromkeys(in_order))[:count]


def pick_logit(
    model: HookedModel, reading: Reading, words: Sequence[int]
) -> tuple[int, int | None]:
    """Let the reader choose whose logit to split, and which other one to subtract."""
    ids = candidate_ids(reading.log_probs[-1], words)
    names = token_names(model, ids)
    left, right = st.columns(2)
    # A key per prediction: on another token, the choice starts again with what leads there.
    key = f"layers.logit.{ids[0]}"
    with left:
        token_id = st.selectbox("Logit of", ids, format_func=names.get, key=key)
    with right:
        against = st.selectbox(
            "Compared with",
            [None, *(i for i in ids if i != token_id)],
            format_func=lambda i: "nothing" if i is None else names[i],
            key=f"{key}.against",
            help="Which of two tokens wins depends only on the difference of their logits. "
            "Compare with a rival to see which parts decide between them.",
        )
    return token_id, against


def logit_name(model: HookedModel, found: Attribution) -> str:
    """Name what is split: a logit, or the difference of two."""
    name = f"logit of “{shown(model, found.token_id)}”"
    if found.against is not None:
        name += f" minus “{shown(model, found.against)}”"
    return name


def strongest(found: Attribution, name: str) -> str:
    """Say which two parts push most for a token, and which most against it."""
    named = {"the embedding": found.embedding, "the biases": found.constant}
    for layer in range(len(found.attention)):
        named[f"attention {layer}"] = float(found.attention[layer])
        named[f"feedforward {layer}"] = float(found.feedforward[layer])
    order = sorted(named, key=lambda part: -named[part])
    pushes = {part: f"**{part}** ({value:+.2f})" for part, value in named.items()}
    for_it = [pushes[part] for part in order[:2] if named[part] >= LEAST_NAMED]
    against_it = [pushes[part] for part in order[:-3:-1] if named[part] <= -LEAST_NAMED]
    sentence = f"Most for {name}: {' and '.join(for_it) or 'nothing'}."
    return sentence + (f" Most against: {' and '.join(against_it)}." if against_it else "")


def wide_figure(name: str, min_width: int = 720) -> Any:
    """Return a container that scrolls sideways on a screen too narrow for its figure."""
    key = f"{name}_scroll"
    st.html(
        f"<style>.st-key-{key} {{ overflow-x: auto; }} "
        f".st-key-{key} > * {{ min-width: {min_width}px; }}</style>"
    )
    return st.container(key=key)


def try_next() -> None:
    """Link to the pages that go on from here, as far as they exist."""
    st.subheader("Try next")
    link_pages(
        {
            "attention": "**Attention**: what did the layers read to get there?",
            "feedforward": "**Feedforward**: which neurons pushed the word?",
            "lm_head": "**LM head**: how do the final scores become a choice?",
        }
    )
