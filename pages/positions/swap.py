"""What does the order of the tokens do to the prediction? The same tokens in another one."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from model_hooks.arrays import softmax
from model_hooks.experiments.long_texts import text_tokens
from model_hooks.read.recorded import copied_from, last_logits, tokens_of
from pages.ask.computed import computed
from pages.positions.choices import Choices, Order
from pages.positions.compared import draw_compared
from pages.positions.subject import Subject
from pages.state.visit import part, view
from pages.widgets.before_after import BeforeAfter
from pages.widgets.bind import bind
from pages.widgets.components import token_strip

HELP = (
    "The same tokens in another order. Whatever changes in the prediction, the model knows from "
    "their positions."
)
ORDERS: dict[Order, str] = {"swap": "Swap two", "shuffle": "Shuffle all but the last"}
MOST_SEEDS = 999

_text_tokens = computed(text_tokens)
_last_logits = computed(last_logits)
_copied_from = computed(copied_from)
_tokens_of = computed(tokens_of)


def draw(subject: Subject) -> None:
    """Let the reader exchange two tokens, or shuffle them, and compare the next token."""
    asked = subject.asked
    n_special = len(_text_tokens(asked.model_name, view().prompt).before)
    fixed = min(n_special, len(subject.tokens) - 1)
    places = range(fixed, len(subject.tokens))
    if len(places) < 2:
        st.info("Write a prompt of two words or more.", icon=":material/edit:")
        return
    bind(
        st.segmented_control,
        "Change the order",
        "positions.order",
        options=[*ORDERS],
        format_func=ORDERS.__getitem__,
        required=True,
    )
    if part(Choices).order == "swap":
        first, second = _two_places(places, subject)
        ids = swapped(asked.token_ids, first, second)
        change, marks = (
            f"tokens {first} and {second} swapped",
            dict.fromkeys((first, second), "swapped"),
        )
    elif len(places) < 3:
        st.info("Shuffling needs three tokens or more.", icon=":material/edit:")
        return
    else:
        ids = shuffled(asked.token_ids, fixed, _pick_seed())
        change, marks = "tokens shuffled", {}
    token_strip(
        _tokens_of(asked.model_name, ids),
        key="positions_swapped",
        marks=marks,
        height=140,
        label="The text in its new order",
    )
    before, after = (
        softmax(_last_logits(*asked._replace(token_ids=one))) for one in (asked.token_ids, ids)
    )
    shown = BeforeAfter(before, after, change, pos=len(asked.token_ids) - 1)
    draw_compared(shown, asked.model_name, key="positions_swap")


def _two_places(places: range, subject: Subject) -> tuple[int, int]:
    """Let the reader choose two positions."""
    at_first = two_places(places, _copied_from(*subject.asked))
    left, right = st.columns(2)
    with left:
        first = _pick_place("One token", "first", places, at_first[0], subject.labels)
    with right:
        second = _pick_place("The other", "second", places, at_first[1], subject.labels)
    return first, second


def two_places(places: range, copied: int | None) -> tuple[int, int]:
    """Return which two positions are swapped at first.

    Args:
        places: What there is to choose from, two positions or more.
        copied: Where the next token stands in the text already: in `Lily and Tim ... Lily and`,
            the names on both sides of the `and` before it are swapped. None: two near the end.
    """
    if copied is not None and {copied - 2, copied} <= set(places):
        return copied - 2, copied
    at_first = max(0, len(places) - 3)
    return places[at_first], places[at_first + 1]


def _pick_place(label: str, field: str, places: range, at_first: int, labels: Sequence[str]) -> int:
    return bind(
        st.selectbox,
        label,
        f"positions.{field}",
        options=places,
        when_none=at_first,
        format_func=lambda pos: f"{pos}: {labels[pos]}",
    )


def _pick_seed() -> int:
    return bind(
        st.number_input,
        "Shuffle number",
        "positions.seed",
        min_value=1,
        max_value=MOST_SEEDS,
        help="Each number gives another order; the last token stays where it is.",
    )


def swapped(token_ids: Sequence[int], first: int, second: int) -> tuple[int, ...]:
    """Return the tokens with two of them in each other's place."""
    ids = list(token_ids)
    ids[first], ids[second] = ids[second], ids[first]
    return tuple(ids)


def shuffled(token_ids: Sequence[int], n_fixed: int, seed: int) -> tuple[int, ...]:
    """Return the tokens in random order, except for the first `n_fixed` and the last one."""
    inner = np.array(token_ids[n_fixed:-1], dtype=np.int64)
    mixed = np.random.default_rng(seed).permutation(inner).tolist()
    return (*token_ids[:n_fixed], *mixed, *token_ids[-1:])
