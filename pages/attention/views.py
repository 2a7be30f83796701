"""What the Attention page shows, worked out from the trace: the long helpers of that page.

Not named `_attention.py`: Streamlit would take the two for one address.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Bool, Float, UInt8

from model_hooks import HookedModel, ModelInfo, Trace
from model_hooks.read.arithmetic import OutputProjection, output_projection, value_norms
from model_hooks.read.patterns import (
    entropy_bits,
    first_token_score,
    induction_score,
    mean_distance,
    previous_token_score,
    readable_keys,
    rollout_step,
    same_token_score,
    without_first_token,
)
from pages.widgets.components import head_tiles, token_strip
from pages.widgets.next_pages import link_pages
from pages.widgets.text import escape_markdown
from viz.attention import block_size

STREAMED_FROM = 512
"""From this many tokens on, heads are computed one by one and not kept: they fill memory."""
SPAN_FROM = 64
"""From this many tokens on, the reader may choose which of them to draw."""

MAX_LINE_TOKENS = 96
"""Lines between more tokens than this cannot be followed by eye."""

GRID_HELP = (
    "Each square is the attention pattern of one **head**. Rows are queries (the token that "
    "reads), columns are keys (the token that is read), the first token at the top left. A strong "
    "colour is a large weight. A stripe along the diagonal reads nearby tokens; a stripe down the "
    "left edge reads the first token."
)
MATRIX_HELP = (
    "Each row is one token as the **query**: it asks what to read. Each column is a token as a "
    "**key**: it can be read. A cell is the attention weight, from 0 to 1; a row's weights sum to "
    "1. Click a row to follow its token below."
)
SINK_HELP = (
    "Many heads put the weight they have no use for on the first token, the *attention sink* "
    "(Xiao et al. 2023). Hiding it brings out the rest."
)
KEEP, RESCALE = "Keep weights", "Rescale rows"

WEIGHT, SIZE, ROLLOUT = "Attention weight", "Weight x size of value", "Rollout"
MEASURE_HELP = """
What the matrix shows:
- **Attention weight**: how much of each key this head takes.
- **Weight x size of value**: the size of what that adds to the query's vector, ‖a · v · W_O‖. A
  key with a large weight but a tiny value adds little (Kobayashi et al. 2020).
- **Rollout**: from which tokens of the *prompt* information can have come to each position, through
  all heads of all layers up to this one and around them (Abnar and Zuidema 2020).
"""

BY_LAYER = "Layer and head"
SORT_HELP = """
Sorts the heads by what they do on this prompt, the highest number first:
- **Previous token**: weight on the token just before.
- **First token**: weight on the first token.
- **Same token**: weight on earlier copies of the query's token.
- **Induction**: weight on what *followed* an earlier copy of the query's token: such heads continue
  what was seen before.
- **Entropy**: how spread out a row is, in bits. 0 is one key only; 3 is like 8 keys alike.
- **Distance**: how many tokens back a head reads, on average.

Each is averaged over all queries but the first; *same token* and *induction* over those queries
whose token occurred before.
"""
SCORES: dict[str, tuple[Callable[..., Float[np.ndarray, "head"]], str]] = {
    "Previous token": (lambda attention, _: previous_token_score(attention), "{:.2f}"),
    "First token": (lambda attention, _: first_token_score(attention), "{:.2f}"),
    "Same token": (same_token_score, "{:.2f}"),
    "Induction": (induction_score, "{:.2f}"),
    "Entropy": (lambda attention, _: entropy_bits(attention), "{:.1f} bits"),
    "Distance": (lambda attention, _: mean_distance(attention), "{:.1f} back"),
}
"""By name: what to compute from a layer's attention and the token IDs, and how to write it."""


SEVERAL_HELP = (
    "Choose a group of tokens, such as the pieces of a name, and read their attention as one: "
    "averaged over the queries, summed over the keys."
)

NEXT_PAGES = {
    "efficient_attention": "**Efficient attention**: what happens when tokens may read less",
    "positions": "**Positions**: how a head knows which token is near",
    "feedforward": "**Feedforward**: what happens to a token after it has read the others",
    "layers": "**Layers**: when the prediction forms",
}


class Survey(NamedTuple):
    """All heads of one prompt at a glance."""

    layers: tuple[int, ...]
    """The layers that have attention."""
    tiles: UInt8[np.ndarray, "layer head size size"] | None


_scores: WeakKeyDictionary[Trace, dict[str, Float[np.ndarray, "layer head"]]] = WeakKeyDictionary()
_projections: WeakKeyDictionary[Trace, dict[int, OutputProjection | None]] = WeakKeyDictionary()
_surveys: WeakKeyDictionary[Trace, Survey] = WeakKeyDictionary()
"""Kept as long as their trace is."""


def survey(trace: Trace) -> Survey:
    """Look at every head, once per trace; shared between sessions."""
    if trace not in _surveys:
        layers = trace.attention_layers
        tiles = None
        if layers:
            with st.spinner("Looking at all heads…"):
                tiles = head_tiles(_each_layer(trace, layers), len(layers))
        _surveys[trace] = Survey(layers, tiles)
    return _surveys[trace]


def scores_of(trace: Trace) -> dict[str, Float[np.ndarray, "layer head"]]:
    """Return every score of `SCORES` for every head that is there; kept as long as the trace."""
    if trace not in _scores:
        with st.spinner("Measuring all heads…"):
            rows: dict[str, list] = {name: [] for name in SCORES}
            for attention in _each_layer(trace, trace.attention_layers):
                for name, (score, _) in SCORES.items():
                    rows[name].append(score(attention, trace.token_ids))
            _scores[trace] = {name: np.stack(row) for name, row in rows.items()}
    return _scores[trace]


def pick_order(trace: Trace) -> list[tuple[int, int, str]] | None:
    """Let the reader sort the heads, and say so where the prompt gives nothing to sort by."""
    name = st.selectbox(
        "Sort heads by",
        [BY_LAYER, *SCORES],
        key="attention_sort",
        help=SORT_HELP,
        persist_state="session",
    )
    if name == BY_LAYER:
        return None
    scores = scores_of(trace)[name]
    if np.isnan(scores).all():
        reason = "needs at least two tokens" if len(trace) < 2 else "needs a token that repeats"
        st.caption(f"**{name}** {reason}; this prompt has none, so the heads are not sorted.")
        return None
    return sorted_heads(scores, SCORES[name][1])


def sorted_heads(scores: Float[np.ndarray, "layer head"], form: str) -> list[tuple[int, int, str]]:
    """Return (row, head, score in words) of all heads, the highest score first."""
    ranked = np.argsort(-scores, axis=None, kind="stable")
    cells = (divmod(int(cell), scores.shape[1]) for cell in ranked)
    return [(row, head, form.format(scores[row, head])) for row, head in cells]


def attention_of(trace: Trace, layer: int) -> Float[np.ndarray, "head pos pos"]:
    """Return a layer's attention weights; those of a long prompt are not kept in memory."""
    if len(trace) < STREAMED_FROM:
        return trace.attention(layer)
    return np.stack([trace.attention(layer, head) for head in range(trace.n_heads)])


def pattern_of(
    trace: Trace, layer: int, head: int | None
) -> tuple[Float[np.ndarray, "pos pos"], Bool[np.ndarray, "pos pos"]]:
    """Return one head's pattern (the mean of all heads if None), and what the mask lets be read."""
    if head is None or len(trace) < STREAMED_FROM:
        attention = attention_of(trace, layer)
        pattern = attention.mean(0) if head is None else attention[head]
        return pattern, readable_keys(attention)
    pattern = trace.attention(layer, head)
    return pattern, readable_keys(pattern[None])


def name_of(layer: int, head: int | None) -> str:
    """Name a head in a heading."""
    return f"Layer {layer}, mean of all heads" if head is None else f"Layer {layer}, head {head}"


class Shown(NamedTuple):
    """What the matrix, the strip and the lines show."""

    weights: Float[np.ndarray, "pos pos"]
    readable: Bool[np.ndarray, "pos pos"]
    measure: str
    highest: float
    name: str

    @property
    def shares(self) -> Float[np.ndarray, "pos pos"]:
        """The same from 0 to 1: sizes as parts of their row's sum, weights as they are."""
        if self.measure != "size":
            return self.weights
        total = self.weights.sum(-1, keepdims=True)
        return np.divide(self.weights, total, out=np.zeros_like(self.weights), where=total > 0)


def pick_measure(model: HookedModel, trace: Trace, layer: int, head: int | None) -> Shown:
    """Let the reader choose what to look at in a layer and head, and compute it."""
    measure = st.segmented_control(
        "Show",
        [WEIGHT, SIZE, ROLLOUT],
        default=WEIGHT,
        required=True,
        key="attention_measure",
        help=MEASURE_HELP,
        persist_state="session",
    )
    pattern, readable = pattern_of(trace, layer, head)
    name = name_of(layer, head)
    if measure == SIZE:
        projection = projection_of(model, trace, layer)
        if projection is None:
            st.caption(
                "Not available here: in this family, what attention adds is not simply the sum "
                "of its heads. Attention weights are shown instead."
            )
        else:
            norms = value_norms(trace, layer, projection)
            sizes = _sizes(trace, layer, head, norms)
            return Shown(sizes, readable, "size", float(sizes.max()), name)
    if measure == ROLLOUT:
        if trace.attention_layers == tuple(range(trace.n_layers)):
            rollout = rollout_of(trace, layer)
            st.caption("Rollout takes all heads together: the choice of a head has no effect.")
            return Shown(rollout, rollout > 0, "share", 1.0, f"Rollout up to layer {layer}")
        st.caption(
            "Rollout needs attention in every layer; here, some mix positions in another way. "
            "Attention weights are shown instead."
        )
    return Shown(pattern, readable, "attention weight", 1.0, name)


def rollout_of(trace: Trace, layer: int) -> Float[np.ndarray, "pos pos"]:
    """Return the attention rollout from the prompt up to a layer."""
    rollout = None
    for attention in _each_layer(trace, range(layer + 1)):
        rollout = rollout_step(rollout, attention)
    return rollout


def projection_of(model: HookedModel, trace: Trace, layer: int) -> OutputProjection | None:
    """Return a layer's output projection, checked on this trace once."""
    found = _projections.setdefault(trace, {})
    if layer not in found:
        found[layer] = output_projection(model, trace, layer)
    return found[layer]


def _sizes(
    trace: Trace, layer: int, head: int | None, norms: Float[np.ndarray, "head pos"]
) -> Float[np.ndarray, "pos pos"]:
    """Attention weight times size of the key's value, the mean over heads if None."""
    if head is not None:
        return pattern_of(trace, layer, head)[0] * norms[head]
    return (attention_of(trace, layer) * norms[:, None]).mean(0)


def sink_switch(shown: Shown) -> Shown:
    """Let the reader hide the first token, and say what that does to the rows."""
    hide = st.toggle(
        "Hide the first token", key="hide_sink", help=SINK_HELP, persist_state="session"
    )
    if not hide:
        return shown
    rows = shown.weights[1:]
    total = float(rows.sum())
    share = float(rows[:, 0].sum()) / total if total else 1.0
    way = st.segmented_control(
        "What remains",
        [KEEP, RESCALE],
        default=KEEP,
        required=True,
        key="hide_sink.rows",
        label_visibility="collapsed",
        persist_state="session",
    )
    note = f"Hidden: the first token, with {share:.0%} of all that is read after it. "
    if way == RESCALE:
        st.caption(note + "What remains of each row is stretched to the sum it had.")
    else:
        st.caption(note + "**Rows no longer sum to 1.**" * (shown.measure != "size"))
    weights = without_first_token(shown.weights, rescale=way == RESCALE)
    highest = float(weights.max()) or 1.0
    return shown._replace(
        weights=weights, highest=highest if shown.measure == "size" else shown.highest
    )


def pick_span(labels: Sequence[str]) -> slice:
    """Let the reader of a long prompt choose which tokens to draw."""
    last = len(labels) - 1
    if len(labels) < SPAN_FROM:
        return slice(0, last + 1)
    first, last = st.slider(
        "Tokens to draw",
        0,
        last,
        (0, last),
        key=f"attention_span.{last}",
        help="Choose fewer to see every token by itself.",
    )
    return slice(first, last + 1)


def mask_note(info: ModelInfo, layer: int) -> str:
    """Say why some cells are grey."""
    note = "Grey is masked: no token reads what comes after it"
    window = info.sliding_window[layer]
    if window:
        note += f", nor (in this layer) more than its window of {window:,} tokens, itself included"
    return note + "."


def other_layers_note(info: ModelInfo) -> str | None:
    """Name the layers of a hybrid model that have no attention."""
    others = [layer for layer in range(info.n_layers) if layer not in info.attention_layers]
    if not others:
        return None
    which = ", ".join(map(str, others))
    return (
        f"Left out, having no attention: {'layer' if len(others) == 1 else 'layers'} {which}. "
        "They carry information along the text in another way, so there is no pattern to draw."
    )


def position_of(row: int, span: slice) -> int:
    """Return the position that a row of the matrix stands for; the last one of a block."""
    block = block_size(span.stop - span.start)
    return min(span.start + (row + 1) * block, span.stop) - 1


def summary(labels: Sequence[str], row: Float[np.ndarray, "pos"], query: int) -> str:
    """Say in one sentence what a query reads most."""
    reader = f":blue[{escape_markdown(labels[query])}] (token {query})"
    strongest = [key for key in np.argsort(-row, kind="stable")[:3] if row[key] > 0]
    if not strongest:
        return f"{reader} reads from nothing but the first token, which is hidden."
    read = []
    for key in strongest:
        token = f":orange[{escape_markdown(labels[key])}] (token {key})"
        read.append(f"{'itself' if key == query else token}, {row[key]:.1%}")
    return f"{reader} reads most from " + "; then from ".join(read) + "."


def lines_span(span: slice, query: int) -> slice:
    """Return the tokens to draw lines for: at most `MAX_LINE_TOKENS`, up to the query."""
    last = max(min(span.stop, query + 1), min(span.start + MAX_LINE_TOKENS, span.stop))
    return slice(max(span.start, last - MAX_LINE_TOKENS), last)


def lines_note(span: slice, query: int, row: Float[np.ndarray, "pos"], n_tokens: int) -> str | None:
    """Say what the lines leave out of a long text."""
    if span == slice(0, n_tokens):
        return None
    note = f"Lines are drawn among tokens {span.start} to {span.stop - 1}."
    if span.start <= query < span.stop:
        note += f" Of what the query reads, {row[span].sum():.0%} lies there."
    return note


def several_tokens(
    trace: Trace, labels: Sequence[str], shares: Float[np.ndarray, "pos pos"]
) -> None:
    """Let the reader choose several queries and keys, and sum what they read."""
    positions = range(len(labels))
    by_query, by_key = st.columns(2)
    arguments = {"format_func": lambda pos: f"{pos}: {labels[pos]}", "persist_state": "session"}
    queries = by_query.multiselect(
        "Queries", positions, key=f"attention_queries.{len(labels)}", **arguments
    )
    keys = by_key.multiselect("Keys", positions, key=f"attention_keys.{len(labels)}", **arguments)
    if not queries and not keys:
        st.caption(
            "Choose some queries to see what they read together, some keys to see who reads them."
        )
        return
    if queries:
        st.markdown(f"What the chosen :blue[queries] read, on average over {len(queries)}:")
        token_strip(
            trace.tokens, key="attention_sum.read", weights=shares[queries].mean(0),
            label="Read by the chosen queries",
        )  # fmt: skip
    if keys:
        st.markdown("How much of its weight each token puts on the chosen :orange[keys]:")
        token_strip(
            trace.tokens, key="attention_sum.readers", weights=shares[:, keys].sum(1),
            label="Readers of the chosen keys",
        )  # fmt: skip
    if queries and keys:
        total = float(shares[np.ix_(queries, keys)].sum())
        st.markdown(
            f"Together the chosen queries put **{total:.3f}** on the chosen keys, "
            f"**{total / len(queries):.1%}** of what they have to give."
        )


def table_of(shown: Shown, tokens: Sequence[str]) -> pd.DataFrame:
    """Return what the matrix draws as a table, one line per query and key, for download."""
    query, key = np.nonzero(shown.readable)
    names = np.array(tokens, dtype=object)
    return pd.DataFrame(
        {
            "query": query,
            "query_token": names[query],
            "key": key,
            "key_token": names[key],
            shown.measure.replace(" ", "_"): shown.weights[query, key],
        }
    )


def try_next() -> None:
    """Say what to try on this page, and link to the pages that go on from here."""
    st.markdown(
        "- Sort the heads by **Previous token**, then open the first one.\n"
        "- Write a prompt that repeats itself, and sort by **Induction**.\n"
        "- Hide the first token: which heads have anything left?"
    )
    link_pages(NEXT_PAGES)


def _each_layer(trace: Trace, layers: Sequence[int]) -> Iterator[Float[np.ndarray, "head pos pos"]]:
    for layer in layers:
        yield attention_of(trace, layer)
