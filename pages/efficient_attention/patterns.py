"""What does the model lose if each token reads only some of the earlier ones?"""

from collections.abc import Sequence

import streamlit as st

from model_hooks import AttentionPattern, InterventionError, ModelInfo
from model_hooks.read.attention_cost import Change, pattern_costs
from model_hooks.read.recorded import copied_from
from pages.ask.computed import computed
from pages.efficient_attention import mask, paid
from pages.efficient_attention.choices import Choices, Kind
from pages.efficient_attention.loss import Losses, draw_next_token, loss_metric, loss_note, losses
from pages.efficient_attention.subject import ARITHMETIC, MEASURED, Subject
from pages.state.visit import part
from pages.text import escape_markdown
from pages.widgets.bind import bind
from pages.widgets.heading import heading
from pages.widgets.quantity import CACHED, shown
from viz.numbers import counted, operations, percent, percent_change, plural, size_text

KINDS: dict[Kind, str] = {
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

MOST_TOKENS = 4096
"""Texts of more tokens do not run under a pattern: masks of all pairs take minutes."""

_copied_from = computed(copied_from)
_costs = computed(pattern_costs)


def draw(subject: Subject) -> None:
    """Draw the tab."""
    pattern = _pick_pattern(subject)
    if pattern is None:
        return
    if len(subject.tokens) > MOST_TOKENS:
        st.info(
            f"What a pattern costs takes a run of its own, with a mask of all pairs of tokens in "
            f"every layer: it is made for texts of up to {MOST_TOKENS:,} tokens, and this one has "
            f"{len(subject.tokens):,}.",
            icon=":material/info:",
        )
        mask.draw(subject, pattern)
        return
    found = losses(subject.asked, pattern)
    if found is None:
        return
    for note in notes_on(pattern, subject.info, len(subject.tokens)):
        st.info(note, icon=":material/info:")
    picture, prediction = st.columns([6, 5], gap="large")
    with picture:
        mask.draw(subject, pattern)
    with prediction:
        heading("The next token")
        st.caption(f"{MEASURED} Two runs of your prompt through the loaded model.")
        draw_next_token(
            subject.asked,
            pattern,
            f"with {name_of(pattern)}",
            key="efficient_patterns",
            last_token=subject.labels[-1],
        )
    _numbers(subject, pattern, found)
    if len(subject.tokens) > 1 and pattern.kind != "full":
        paid.draw(subject, pattern, name_of(pattern), found)


def _pick_pattern(subject: Subject) -> AttentionPattern | None:
    """Let the reader choose a pattern; None, and one sentence, where its sizes make no sense."""
    bind(
        st.segmented_control,
        "Each token may read",
        "efficient_attention.kind",
        options=[*KINDS],
        format_func=KINDS.__getitem__,
        required=True,
        help=PATTERN_HELP,
    )
    kind = part(Choices).kind
    with st.container(horizontal=True, vertical_alignment="bottom"):
        sizes = _pick_sizes(kind, subject)
        layers = bind(
            st.multiselect,
            "Layers",
            "efficient_attention.layers",
            options=subject.info.attention_layers,
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


def _pick_sizes(kind: Kind, subject: Subject) -> dict[str, int]:
    """Let the reader choose the sizes that a kind of pattern has."""
    sizes: dict[str, int] = {}
    n_tokens = len(subject.tokens)
    if kind != "full":
        name = "Tokens per block" if kind == "block" else "Window: last tokens, w"
        at_first = first_window(n_tokens, _copied_from(*subject.asked))
        sizes["window"] = _pick_size(name, "window", at_first)
    if kind == "window_first":
        sizes["n_first"] = _pick_size("First tokens kept", "n_first")
    if kind == "strided":
        sizes["stride"] = _pick_size("And every s-th before, s", "stride", max(2, n_tokens // 4))
    return sizes


def first_window(n_tokens: int, copied: int | None) -> int:
    """Return the window that a page opens with: one that is just too short for the next token.

    Args:
        n_tokens: The length of the text.
        copied: Where the next token stands in the text already; None: a third of the text.
    """
    too_short = 0 if copied is None else n_tokens - 1 - copied
    return too_short or max(1, n_tokens // 3)


def _pick_size(label: str, name: str, at_first: int | None = None) -> int:
    return bind(
        st.number_input,
        label,
        f"efficient_attention.{name}",
        min_value=0,
        max_value=100_000,
        when_none=at_first,
        width=200,
    )


def name_of(pattern: AttentionPattern) -> str:
    """Name a pattern in a sentence."""
    name = {
        "full": "full attention",
        "window": f"a window of {pattern.window}",
        "window_first": f"a window of {pattern.window} and the first {pattern.n_first}",
        "strided": f"a window of {pattern.window} and every {pattern.stride}. before",
        "block": f"blocks of {pattern.window}",
    }[pattern.kind]
    return name if pattern.layers is None else f"{name} in {layers_in_words(pattern.layers)}"


def layers_in_words(layers: Sequence[int]) -> str:
    """Write some layers' numbers."""
    numbers = [str(layer) for layer in layers]
    listed = numbers[0] if len(numbers) == 1 else f"{', '.join(numbers[:-1])} and {numbers[-1]}"
    return f"{plural(len(numbers), 'layer')} {listed}"


def notes_on(pattern: AttentionPattern, info: ModelInfo, n_tokens: int) -> list[str]:
    """Return what a reader should know about this pattern, this text or this model."""
    notes = []
    if pattern.kind in ("window", "window_first", "block") and pattern.window >= n_tokens:
        what = "block" if pattern.kind == "block" else "window"
        notes.append(
            f"A {what} of {pattern.window:,} holds the whole text ({n_tokens:,} tokens), so "
            "nothing is taken away: choose a smaller one, or write a longer prompt."
        )
    if windows := [layer for layer in info.attention_layers if info.sliding_window[layer]]:
        sizes = sorted({info.sliding_window[layer] or 0 for layer in windows})
        notes.append(
            f"This model was trained with a sliding window of {' or '.join(map(str, sizes))} "
            f"tokens in {len(windows)} of its {info.n_layers} layers. The pattern is laid over it: "
            "what the model's own mask forbids stays forbidden."
        )
    if others := [i for i in range(info.n_layers) if i not in info.attention_layers]:
        notes.append(
            f"{layers_in_words(others).capitalize()} {plural(len(others), 'has', 'have')} no "
            f"attention: {plural(len(others), 'it carries', 'they carry')} information along the "
            "text in another way, which no pattern changes."
        )
    return notes


def _numbers(subject: Subject, pattern: AttentionPattern, found: Losses) -> None:
    """Show what is left of scores, operations and cache, and what it does to the loss."""
    costs = _costs(*subject.asked, pattern)
    layers = counted(len(subject.info.attention_layers), "layer")
    n_tokens, dtype = len(subject.tokens), subject.info.dtype
    as_it_is = shown(CACHED, costs.cached_bytes.before, subject.info.name, n_tokens, dtype)
    with st.container(horizontal=True, gap="large"):
        st.metric(
            "Scores left",
            percent(costs.pairs.share),
            help=SHARE_HELP,
            width="content",
            delta=f"{costs.pairs.after:,} of {costs.pairs.before:,} pairs in {layers}",
            delta_color="off",
            delta_arrow="off",
        )
        _cost("Operations of attention", operations(costs.flops.after), costs.flops, FLOPS_HELP)
        _cost(
            "KV cache to keep",
            size_text(costs.cached_bytes.after),
            costs.cached_bytes,
            f"{CACHE_HELP} {counted(n_tokens, 'token')} in {dtype}; as it is: {as_it_is}.",
        )
        loss_metric(found)
    st.caption(
        f"{ARITHMETIC} Scores, operations and cache follow from this model's sizes and the mask; "
        "to really save them takes a program that skips what is masked. Here the mask is laid over "
        f"ordinary attention, so nothing runs faster. {MEASURED} The loss comes from a run."
        + loss_note(found)
    )


def _cost(label: str, value: str, change: Change, help_text: str) -> None:
    share = change.share
    st.metric(
        label,
        value,
        percent_change(share - 1) if share is not None and share != 1 else None,
        delta_color="inverse",
        help=help_text,
        width="content",
    )
