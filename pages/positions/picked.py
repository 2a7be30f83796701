"""Which query and which key of one head are looked at?"""

from typing import NamedTuple

import streamlit as st

from model_hooks.read.rotation import Rotation
from model_hooks.read.turning import UnturnedPair, unturned_pair
from pages.ask.computed import computed
from pages.positions.subject import Subject
from pages.text import escape_markdown
from pages.widgets.bind import bind
from pages.widgets.controls import pick_head, pick_layer, pick_position

_unturned = computed(unturned_pair)


class Picked(NamedTuple):
    """One query and one key of a head that is turned."""

    layer: int
    head: int
    query_pos: int
    key_pos: int
    pair: UnturnedPair
    rotation: Rotation
    names: tuple[str, str]
    """The query's token and the key's, for Markdown, in their colours."""

    @property
    def scale(self) -> float:
        """What a product of query and key is multiplied with; 1 where that is not known."""
        return 1.0 if self.pair.scale is None else self.pair.scale

    @property
    def measure(self) -> str:
        """What is computed: a score, or a mere product where the scale is not known."""
        return "product of query and key" if self.pair.scale is None else "score"

    @property
    def distance(self) -> int:
        """How far back the key stands."""
        return self.query_pos - self.key_pos


def pick_pair(subject: Subject) -> Picked | None:
    """Let the reader choose a query and a key of one head; None, with a sentence, if it cannot."""
    of_layer, of_head, of_query, of_key = st.columns([3, 4, 3, 3])
    with of_layer:
        layer = pick_layer(subject.info, only_attention=True)
    with of_head:
        head = pick_head(subject.info) or 0
    with of_query:
        query = pick_position(subject.tokens, label="Query token")
    with of_key:
        key = _pick_key(subject.labels, query)
    rotation = subject.facts.rotations[layer]
    if rotation is None:
        st.info(
            f"Layer {layer} turns nothing: its attention is told nothing about positions. Choose "
            "another layer.",
            icon=":material/info:",
        )
        return None
    pair = _unturned(*subject.asked, layer, head, query, key)
    if pair is None:
        st.info("This layer keeps its queries and keys to itself.", icon=":material/info:")
        return None
    names = (
        f"“:blue[{escape_markdown(subject.labels[query])}]”",
        f"“:orange[{escape_markdown(subject.labels[key])}]”",
    )
    return Picked(layer, head, query, key, pair, rotation, names)


def _pick_key(labels: tuple[str, ...], query: int) -> int:
    return bind(
        st.selectbox,
        "Key token",
        "positions.key",
        options=range(query + 1),
        when_none=max(0, query - 1),
        keeps=True,
        format_func=lambda pos: f"{pos}: {labels[pos]}",
        help="Which earlier token the query is compared with.",
    )
