"""Local and sparse attention, on the Efficient attention page: what the loaded model loses."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from model_hooks import AttentionPattern, InterventionError, ModelInfo, Trace
from pages.efficient_attention.views import (
    ARITHMETIC,
    MEASURED,
    Prediction,
    Subject,
    head_sizes,
    itemsize_of,
    layers_in_words,
    loss_metric,
    loss_note,
    next_token,
    prediction_with,
    predictions,
)
from pages.state.selection import selection
from pages.widgets.chart import chart
from pages.widgets.controls import pick_layer
from pages.widgets.download import csv_button
from pages.text import escape_markdown, operations, size_text
from viz import layer_losses, loss_changes, mask_cells, mask_picture

KINDS = {
    "full": "Full",
    "window": "Sliding window",
    "window_first": "Window + first tokens",
    "strided": "Strided",
    "block": "Blocks",
}
PATTERN_HELP = """
Which earlier tokens a query may read:
- **Full**: all of them, as far as the model's own mask goes.
- **Sliding window**: the last w, itself included (Beltagy et al. 2020, Longformer).
- **Window + first tokens**: also the first few of the text, on which many heads put the weight they
  have no use for (Xiao et al. 2023, attention sinks).
- **Strided**: the last w, and every s-th token before (Child et al. 2019, Sparse Transformer).
- **Blocks**: those in the same block of w tokens.
"""
LAYERS_HELP = "Where the pattern acts. Leave it empty for all layers."
SHARE_HELP = (
    "Of all pairs of query and key that this model's own attention computes, the share that the "
    "pattern leaves. Pairs are counted for one head in each layer."
)
FLOPS_HELP = (
    "Operations for the scores and weighted sums of this prompt, counting only pairs that are "
    "left: 2 x (width of key + width of value) per pair and head."
)
CACHE_HELP = (
    "Keys and values that must be kept after this prompt because a later token may read them."
)
MANY_LAYERS = 24
"""With more layers than this, trying one after the other asks first."""


def draw(subject: Subject) -> None:
    """Draw the tab."""
    info = subject.model.info
    n_tokens = len(subject.trace)
    pattern = _pick_pattern(info, n_tokens)
    if pattern is None:
        return
    found = predictions(subject, pattern)
    if found is None:
        return
    for note in _notes(pattern, info, n_tokens):
        st.info(note, icon=":material/info:")
    _numbers(pattern, subject.trace, info, *found, itemsize=itemsize_of(subject.model))
    picture, prediction = st.columns([6, 5], gap="large")
    with picture:
        _mask(pattern, subject, info)
    with prediction:
        st.subheader("The next token")
        st.caption(f"{MEASURED} Two runs of your prompt through the loaded model.")
        next_token(subject, *found, f"with {_name(pattern)}", key="efficient.patterns")
    if n_tokens > 1 and pattern.kind != "full":
        _which_tokens(subject, *found, _name(pattern))
        _one_layer_at_a_time(subject, pattern, *found)


def _pick_pattern(info: ModelInfo, n_tokens: int) -> AttentionPattern | None:
    """Let the reader choose a pattern; None, and one sentence, where its sizes make no sense."""
    kind = st.segmented_control(
        "Each token may read",
        list(KINDS),
        format_func=KINDS.get,
        default="window",
        required=True,
        key="efficient.kind",
        help=PATTERN_HELP,
        persist_state="session",
    )
    sizes: dict[str, int] = {}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if kind != "full":
            name = "Tokens per block" if kind == "block" else "Window: last tokens, w"
            sizes["window"] = _whole(name, "window", max(1, n_tokens // 3))
        if kind == "window_first":
            sizes["n_first"] = _whole("First tokens kept", "n_first", 1)
        if kind == "strided":
            sizes["stride"] = _whole("And every s-th before, s", "stride", max(2, n_tokens // 4))
        layers = st.multiselect(
            "Layers",
            info.attention_layers,
            key=f"efficient.layers.{selection().model}",
            placeholder="All layers",
            help=LAYERS_HELP,
            select_all=False,
            disabled=kind == "full",
            width=260,
        )
    try:
        return AttentionPattern(kind, layers=tuple(sorted(layers)) or None, **sizes)
    except InterventionError as error:
        st.warning(escape_markdown(str(error)), icon=":material/straighten:")
        return None


def _whole(label: str, name: str, at_first: int) -> int:
    return st.number_input(
        label, 0, 100_000, at_first, key=f"efficient.{name}", persist_state="session", width=200
    )


def _name(pattern: AttentionPattern) -> str:
    name = {
        "full": "full attention",
        "window": f"a window of {pattern.window}",
        "window_first": f"a window of {pattern.window} and the first {pattern.n_first}",
        "strided": f"a window of {pattern.window} and every {pattern.stride}. before",
        "block": f"blocks of {pattern.window}",
    }[pattern.kind]
    return name if pattern.layers is None else f"{name} in {layers_in_words(pattern.layers)}"


def _notes(pattern: AttentionPattern, info: ModelInfo, n_tokens: int) -> list[str]:
    """What a reader should know about this pattern, this text or this model."""
    notes = []
    if pattern.kind in ("window", "window_first", "block") and pattern.window >= n_tokens:
        what = "block" if pattern.kind == "block" else "window"
        notes.append(
            f"A {what} of {pattern.window:,} holds the whole text ({n_tokens:,} tokens), so "
            "nothing is taken away: choose a smaller one, or write a longer prompt."
        )
    if windows := [layer for layer in info.attention_layers if info.sliding_window[layer]]:
        sizes = sorted({info.sliding_window[layer] for layer in windows})
        notes.append(
            f"This model was trained with a sliding window of {' or '.join(map(str, sizes))} "
            f"tokens in {len(windows)} of its {info.n_layers} layers. The pattern is laid over it: "
            "what the model's own mask forbids stays forbidden."
        )
    if others := [i for i in range(info.n_layers) if i not in info.attention_layers]:
        notes.append(
            f"{layers_in_words(others).capitalize()} {'has' if len(others) == 1 else 'have'} no "
            "attention: they carry information along the text in another way, which no pattern "
            "changes."
        )
    return notes


def _numbers(
    pattern: AttentionPattern,
    trace: Trace,
    info: ModelInfo,
    before: Prediction,
    after: Prediction,
    itemsize: int,
) -> None:
    """Show what is left of scores, operations and cache, and what it does to the loss."""
    n_tokens = len(trace)
    pairs, flops, cached = np.zeros(2), np.zeros(2), np.zeros(2)
    for layer in trace.attention_layers:
        recorded = trace.layers[layer]
        acts = pattern.layers is None or layer in pattern.layers
        here = pattern if acts else AttentionPattern("full")
        left = recorded.readable & here.readable(n_tokens)
        both = np.array([recorded.readable.sum(), left.sum()])
        pairs += both
        sizes = head_sizes(recorded, info)
        flops += both * sizes.n_heads * 2 * (sizes.d_key + sizes.d_value)
        kept = [
            shape.n_cached(n_tokens, info.sliding_window[layer])
            for shape in (AttentionPattern("full"), here)
        ]
        cached += np.array(kept) * sizes.numbers_cached * itemsize
    with st.container(horizontal=True, gap="large"):
        st.metric(
            "Scores left", f"{pairs[1] / pairs[0]:.0%}", help=SHARE_HELP, width="content",
            delta=f"{int(pairs[1]):,} of {int(pairs[0]):,} pairs", delta_color="off",
            delta_arrow="off",
        )  # fmt: skip
        st.metric(
            "Operations of attention", operations(flops[1]), _change(flops), delta_color="inverse",
            help=FLOPS_HELP, width="content",
        )  # fmt: skip
        st.metric(
            "KV cache to keep", size_text(cached[1]), _change(cached), delta_color="inverse",
            help=CACHE_HELP, width="content",
        )  # fmt: skip
        loss_metric(before, after)
    st.caption(
        f"{ARITHMETIC} Scores, operations and cache follow from this model's sizes and the mask; "
        "to really save them takes a program that skips what is masked. Here the mask is laid over "
        f"ordinary attention, so nothing runs faster. {MEASURED} The loss comes from a run."
        + loss_note(before, after)
    )


def _change(values: np.ndarray) -> str | None:
    before, after = values
    return f"{after / before - 1:+.0%}" if before and after != before else None


def _mask(pattern: AttentionPattern, subject: Subject, info: ModelInfo) -> None:
    """Draw what each query may read, in one layer where layers differ."""
    trace = subject.trace
    st.subheader("The mask")
    windows = {info.sliding_window[layer] for layer in trace.attention_layers}
    if len(windows) > 1 or pattern.layers is not None:
        layer = pick_layer(info, key="efficient.mask_layer", only_attention=True)
        st.caption("Layers differ here: this is the mask of the layer chosen above.")
    else:
        layer = trace.attention_layers[0]
        st.caption("The same in every layer and head.")
    own = trace.layers[layer].readable
    acts = pattern.layers is None or layer in pattern.layers
    left = own & pattern.readable(len(own)) if acts else own
    chart(
        mask_picture(mask_cells(own, left), subject.labels),
        key="efficient.mask",
        alt=f"Which keys each query may read in layer {layer}: {left.sum()} of {own.sum()} pairs",
    )
    csv_button(lambda: _mask_table(own, left, trace.tokens), "attention_mask")


def _mask_table(own: np.ndarray, left: np.ndarray, tokens: Sequence[str]) -> pd.DataFrame:
    query, key = np.nonzero(np.tri(len(own), dtype=bool))
    names = np.array(tokens, dtype=object)
    return pd.DataFrame(
        {
            "query": query,
            "query_token": names[query],
            "key": key,
            "key_token": names[key],
            "own_mask": own[query, key],
            "with_pattern": left[query, key],
        }
    )


def _which_tokens(subject: Subject, before: Prediction, after: Prediction, change: str) -> None:
    """Draw which tokens of the prompt are predicted worse."""
    st.subheader("Which tokens pay for it")
    st.caption(
        f"{MEASURED} Up, in hatched orange: the token became harder to predict. Down, in green: "
        "easier."
    )
    chart(
        loss_changes(before.bits[1:], after.bits[1:], subject.labels, f"with {change}"),
        key="efficient.loss_changes",
        alt=f"Added loss of each token of the prompt with {change}",
    )
    csv_button(
        lambda: pd.DataFrame(
            {"pos": range(1, len(before.bits)), "token": subject.trace.tokens[1:],
             "bits_before": before.bits[1:], "bits_after": after.bits[1:]}
        ),
        "pattern_losses",
    )  # fmt: skip


def _one_layer_at_a_time(
    subject: Subject, pattern: AttentionPattern, before: Prediction, after: Prediction
) -> None:
    """Draw the loss with the pattern in each layer alone."""
    info = subject.model.info
    layers = pattern.layers or info.attention_layers
    if len(layers) < 2:
        return
    if not st.toggle(
        "Try it in one layer at a time",
        key="efficient.by_layer",
        help=f"Runs your prompt {len(layers)} more times, with the pattern in one layer each.",
    ):
        return
    losses = []
    progress = st.progress(0.0) if len(layers) > MANY_LAYERS else None
    for done, layer in enumerate(layers):
        alone = AttentionPattern(
            pattern.kind, pattern.window, pattern.n_first, pattern.stride, (layer,)
        )
        losses.append(prediction_with(selection().model, subject.token_ids, (alone,)).loss)
        if progress:
            progress.progress((done + 1) / len(layers))
    if progress:
        progress.empty()
    worst = int(np.argmax(losses))
    st.caption(
        f"{MEASURED} Alone, it costs most in layer {layers[worst]} "
        f"({losses[worst] - before.loss:+.2f} bits per token); in all of them together "
        f"{after.loss - before.loss:+.2f}."
    )
    chart(
        layer_losses(layers, losses, before.loss, after.loss),
        key="efficient.layer_losses",
        alt="Added loss with the pattern in one layer at a time",
    )
