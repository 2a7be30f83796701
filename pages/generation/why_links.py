"""Which layers and heads matter for a token, and where can they be looked at?"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import streamlit as st

from model_hooks.read.contributions import Contributions
from pages.text import escape_markdown
from pages.widgets.next_pages import link_page
from pages.widgets.quantity import ADDED, shown
from viz.numbers import signed

N_SHOWN = 3


class Part(NamedTuple):
    """A head, attention or feedforward, what it adds to the answer, and the page that shows it."""

    label: str
    page: str
    layer: int
    head: int | None = None

    @property
    def changes(self) -> dict[str, int]:
        """What a link to its page changes in the view."""
        head = {} if self.head is None else {"head": self.head}
        return {"layer": self.layer, **head}


def draw(found: Contributions, name_at: Callable[[int], str], *, is_next: bool) -> None:
    """Link to the heads and layers that add most, each on the page that shows it.

    Args:
        found: What was added to the answer's logit.
        name_at: A label for the word at a position.
        is_next: Whether the next token is explained, so that the last position is the reader.
    """
    st.markdown(
        "**Layers and heads that matter**",
        help="What each adds to the answer's logit by itself. Other parts may stand in for one "
        "that is switched off, so switching off a single one often changes little.",
    )
    heads, layers = st.columns(2)
    # Elsewhere, the token that is looked at is the one that reads.
    reader = {} if is_next else {"pos": found.pos}
    columns = (
        (heads, "Heads, on **Attention**", heads_of(found, name_at)),
        (layers, "Halves of layers, on **Layers** and **Feedforward**", layers_of(found)),
    )
    for column, where, parts in columns:
        with column:
            st.caption(where)
            for part in parts:
                link_page(
                    part.page, part.label, ":material/arrow_forward:", **part.changes, **reader
                )


def heads_of(found: Contributions, name_at: Callable[[int], str]) -> list[Part]:
    """Return the heads that add most, for or against the answer."""
    added = np.nan_to_num(found.by_head)
    order = np.argsort(-np.abs(added), axis=None, kind="stable")[:N_SHOWN]
    best = [tuple(map(int, np.unravel_index(i, added.shape))) for i in order]
    return [
        Part(
            f"Layer {layer}, head {head}: **{signed(added[layer, head])}**, most from "
            f"{escape_markdown(name_at(int(found.most_read[layer, head])))}",
            "attention",
            layer,
            head,
        )
        for layer, head in best
        if added[layer, head]
    ]


def layers_of(found: Contributions) -> list[Part]:
    """Return the attentions and feedforwards that add most, for or against the answer."""
    both = np.stack([found.attention, found.feedforward])
    order = np.argsort(-np.abs(both), axis=None, kind="stable")[:N_SHOWN]
    parts = []
    for i in order:
        which, layer = map(int, np.unravel_index(i, both.shape))
        name, page = (("Attention", "layers"), ("Feedforward", "feedforward"))[which]
        of = name.lower(), layer, found.pos, found.token_id
        added = shown(ADDED, both[which, layer], *of)
        parts.append(Part(f"{name} of layer {layer}: **{added}**", page, layer))
    return parts
