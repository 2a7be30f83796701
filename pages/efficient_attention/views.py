"""What the tabs of the Efficient attention page share: runs with a change, and their comparison."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks import HookedModel, InlookError, Intervention, LayerTrace, ModelInfo, Trace
from model_hooks.read.choice import surprisals
from pages.ask.session import hooked_model, trace_of
from pages.state.selection import selection
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.next_pages import link_pages
from pages.text import escape_markdown, visible
from viz import before_after_bars, most_changed

COST_HELP = (
    "A text of n tokens has about n²/2 pairs of a query and a key, in every head of every layer. "
    "Each pair costs one score (a product of two vectors) and one weighted value."
)
LOSS_HELP = (
    "How badly the model predicts your prompt: the average of -log2(probability) over its tokens, "
    "from the second on. 0 bits: each token was certain; 1 bit: as unsure as a coin toss."
)
MEASURED = ":green[:material/science: measured]"
ARITHMETIC = ":blue[:material/calculate: arithmetic]"

NEXT_PAGES = {
    "kv_cache": "**KV cache**: where keys and values are kept, and why that makes writing fast",
    "attention": "**Attention**: which tokens each head reads",
    "block_architecture": "**Block architecture**: what else has changed since 2017",
}


class Subject(NamedTuple):
    """What the page looks at."""

    model: HookedModel
    trace: Trace
    token_ids: tuple[int, ...]

    @property
    def labels(self) -> list[str]:
        """The tokens for people."""
        return [visible(token) for token in self.trace.tokens]


class Prediction(NamedTuple):
    """What a run predicts: the next token, and each token of the prompt."""

    logits: Float[np.ndarray, "vocab"]
    bits: Float[np.ndarray, "pos"]
    """-log2 of each token's probability; NaN for the first one."""

    @property
    def loss(self) -> float:
        """Mean of the bits; NaN for a prompt of one token."""
        return float(self.bits[1:].mean()) if len(self.bits) > 1 else float("nan")

    def probabilities(self) -> Float[np.ndarray, "vocab"]:
        """Softmax over the whole vocabulary."""
        exponentials = np.exp(self.logits.astype(np.float64) - self.logits.max())
        return exponentials / exponentials.sum()


@st.cache_resource(max_entries=64, show_spinner="Running the model…")
def prediction_with(
    model_name: str, token_ids: tuple[int, ...], interventions: tuple[Intervention, ...]
) -> Prediction:
    """Run a prompt under interventions; shared between sessions, for it is never changed.

    Raises:
        InterventionError: The model lacks what is to be changed.
    """
    model = hooked_model(model_name)
    if interventions:
        trace = model.trace(list(token_ids), interventions)
    else:
        trace = trace_of(model_name, token_ids)
    return Prediction(trace.last_logits, surprisals(model, trace).bits)


def predictions(
    subject: Subject, *interventions: Intervention
) -> tuple[Prediction, Prediction] | None:
    """Return the prediction as it is and with a change; None, and a sentence, if it cannot be."""
    name = selection().model
    try:
        after = prediction_with(name, subject.token_ids, interventions)
    except InlookError as error:
        st.warning(escape_markdown(str(error)), icon=":material/info:")
        return None
    return prediction_with(name, subject.token_ids, ()), after


def next_token(
    subject: Subject, before: Prediction, after: Prediction, change: str, *, key: str
) -> None:
    """Show the next token's probabilities as they are and with a change, on one scale."""
    was, now = before.probabilities(), after.probabilities()
    token_ids = most_changed(was, now)
    tokens = [token_name(subject.model, token_id) for token_id in token_ids]
    first, last = (token_name(subject.model, int(p.argmax())) for p in (was, now))
    if first == last:
        verdict = f"stays **{escape_markdown(first)}**"
    else:
        verdict = f"was **{escape_markdown(first)}** and becomes **{escape_markdown(last)}**"
    st.markdown(
        f"After {escape_markdown(subject.labels[-1])}, the most probable token {verdict}. Its "
        f"probability goes from {was.max():.1%} to {now[was.argmax()]:.1%}."
    )
    chart(
        before_after_bars(tokens, was[token_ids], now[token_ids], change),
        key=f"{key}.bars",
        alt=f"Probabilities of the next token, as it is and {change}",
    )
    csv_button(
        lambda: pd.DataFrame(
            {"token_id": token_ids, "token": tokens, "before": was[token_ids],
             "after": now[token_ids]}
        ),
        f"{key}.next_token",
    )  # fmt: skip


def loss_metric(before: Prediction, after: Prediction) -> None:
    """Show the loss on the prompt with a change, and how far that is from the loss without."""
    if np.isnan(before.loss):
        st.metric("Loss on the prompt", "none", help=f"{LOSS_HELP} One token has no loss.")
        return
    st.metric(
        "Loss on the prompt",
        f"{after.loss:.2f} bits",
        f"{after.loss - before.loss:+.2f} bits",
        delta_color="inverse" if round(after.loss - before.loss, 2) else "off",
        help=LOSS_HELP,
        width="content",
    )


def loss_note(before: Prediction, after: Prediction) -> str:
    """Return a sentence for a loss that fell, which surprises; empty otherwise."""
    if not after.loss < before.loss:
        return ""
    return " On one short text the loss can fall by chance: a longer prompt tells more."


class HeadSizes(NamedTuple):
    """The sizes of attention in one layer."""

    n_heads: int
    n_kv_heads: int
    d_key: int
    d_value: int

    @property
    def numbers_cached(self) -> int:
        """How many numbers a KV cache keeps of one token."""
        return self.n_kv_heads * (self.d_key + self.d_value)


def head_sizes(recorded: LayerTrace, info: ModelInfo) -> HeadSizes:
    """Read the sizes of a layer's heads from what was recorded, else from the config."""
    if recorded.query is None:
        return HeadSizes(info.n_heads, info.n_kv_heads, info.d_head, info.d_head)
    n_heads, _, d_key = recorded.query.shape
    return HeadSizes(n_heads, len(recorded.key), d_key, recorded.value.shape[-1])


def itemsize_of(model: HookedModel) -> int:
    """Return the bytes of one number of a model's keys and values."""
    return model.info.bytes_per_number


def token_name(model: HookedModel, token_id: int) -> str:
    """Return one token for people, not read as the neighbour of others."""
    return visible(model.token_strings([int(token_id)])[0])


def layers_in_words(layers: Sequence[int]) -> str:
    """Write some layers' numbers."""
    if len(layers) == 1:
        return f"layer {layers[0]}"
    return f"layers {', '.join(map(str, layers[:-1]))} and {layers[-1]}"


def try_next() -> None:
    """Say what to try on this page, and link to the pages that go on from here."""
    st.subheader("Try next")
    st.markdown(
        "- Write a name early in a long prompt, then shrink the window until the model forgets "
        "it.\n"
        "- Keep the first token in the window: does the loss come back?\n"
        "- Put all KV heads into one group, and compare with the model that was trained so."
    )
    link_pages(NEXT_PAGES)
