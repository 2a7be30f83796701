"""Stage 3: what do all blocks do to the lanes? Every layer to pick from, then one in detail."""

import streamlit as st

from model_hooks.read.recorded import mean_patterns
from pages.ask.computed import computed
from pages.forward_pass import block
from pages.forward_pass.seen import Seen
from pages.state.visit import put
from pages.widgets.chart import chart
from pages.widgets.controls import pick_layer
from pages.widgets.drawing import drawing
from pages.widgets.long_text import say_window, window_around
from pages.widgets.provenance import numbers_from
from pages.widgets.terms import term
from viz import added_sizes, layer_thumbnails
from viz.layers import MAX_CELLS

_mean_patterns = computed(mean_patterns, says="Looking at all layers…")


def draw(seen: Seen) -> None:
    """Draw all layers to pick from, and the picked block as its two parts."""
    st.markdown(
        f"Every token now has a {term('lane')} of its own: its vector runs through all "
        f"{seen.info.n_layers} blocks, the {term('residual stream')}. A block adds to it twice. "
        ":blue-badge[Attention] brings in what earlier lanes know; the "
        ":violet-badge[feedforward] works on each lane alone."
    )
    who_reads, what_is_added = st.columns(2, gap="medium")
    with who_reads:
        _who_reads(seen)
    with what_is_added:
        _what_is_added(seen)
    pick_layer(seen.info)
    block.draw(seen)


def _who_reads(seen: Seen) -> None:
    st.markdown("**All layers: who reads from whom**")
    shown = window_around(len(seen.tokens), seen.pos)
    patterns = _mean_patterns(*seen.asked, MAX_CELLS, shown.start, shown.stop)
    chart(
        drawing(layer_thumbnails, patterns, selected=seen.layer),
        key="forward.layers",
        on_click=lambda point: put(layer=int(point.customdata)),
        alt=f"Attention patterns of all {seen.info.n_layers} layers, side by side",
    )
    st.caption(
        "A square per layer: rows are the tokens that read, columns the tokens that are read; "
        f"the mean over {seen.info.n_heads} heads. Click one to open that layer."
    )
    say_window(shown, len(seen.tokens))


def _what_is_added(seen: Seen) -> None:
    st.markdown(f"**All layers: what is added to token {seen.pos}**, {seen.token}")
    sizes, pos = seen.sizes, seen.pos
    resid_post = sizes.resid_post[:, pos]
    parts = (sizes.attn_out[:, pos], sizes.mlp_out[:, pos])
    parts = parts if seen.abilities.told_apart else (None, sizes.added[:, pos])
    chart(
        drawing(added_sizes, *parts, resid_post, selected=seen.layer),
        key="forward.sizes",
        alt="Sizes of what is added to one token in every layer",
    )
    numbers_from(None, seen.embedding.shape, "lengths of vectors in all layers")
