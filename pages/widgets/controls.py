"""Ready-made widgets bound to the shared selection: use these instead of own layer pickers.

Each widget shows the selection, clamped to what the model has, and writes it back when used.
Each needs a key that no other page uses, so begin it with the page's name: under a key that two
pages share, Streamlit empties the widget when the page changes. Every one works with the keyboard.

    layer = pick_layer(model.info, key="layers.layer")
    head = pick_head(model.info, key="layers.head")    # with mean=True, None is the mean of all
    pos = pick_position(trace.tokens, key="layers.pos")
    decoding = decoding_controls(model.info, key="layers.decoding")
    use_cache = cache_control(key="layers.use_cache")

A figure or component that lets the user click calls `select(layer=2, head=5)` in its callback.
"""

import time
from collections.abc import Sequence
from typing import Any

import streamlit as st

from model_hooks import Decoding, ModelInfo
from pages.state.selection import select, selection
from pages.widgets.text import visible

MAX_BUTTONS = 12
"""Up to here all choices lie open side by side; more go into a select box."""

ALWAYS_CHOSEN = ("strategy", "layer")
"""Fields for which a widget never reports None by its user's will: only when its first run was cut
short, before its value reached the browser. The next run shows the selection again."""

NUMBERED = ("pos", "layer", "head")
"""Fields that select boxes offer under labels of their own."""

NEW_S = 5.0
"""So long a widget is new on the page: even a slow browser has drawn it by then."""
_SHOWN = "controls.shown"

MAX_WIDGET_INTEGER = 2**53 - 1
"""Browsers cannot count further."""

LAYER_HELP = (
    "A transformer is a stack of **layers** (also called blocks). Each reads all vectors, adds "
    "something to each of them, and hands them to the next. Layer 0 comes first."
)
HEAD_HELP = (
    "Each layer looks back at earlier tokens several times in parallel. Each of these looks is an "
    "attention **head**, with its own pattern of what it reads."
)
POSITION_HELP = "Which token to look at, counted from 0. The last one predicts the next token."


def pick_layer(info: ModelInfo, *, key: str, only_attention: bool = False) -> int:
    """Let the user choose a layer, from 0.

    Args:
        info: The model's sizes.
        key: The widget's key, used nowhere else.
        only_attention: Offer only layers that have attention (a hybrid model has others too).
    """
    layers = info.attention_layers if only_attention else range(info.n_layers)
    return _choice("Layer", "layer", list(layers), key=key, help=LAYER_HELP)


def pick_head(info: ModelInfo, *, key: str, mean: bool = False) -> int | None:
    """Let the user choose an attention head, from 0.

    Args:
        info: The model's sizes.
        key: The widget's key.
        mean: Also offer the mean over all heads, returned as None.
    """
    heads = list(range(info.n_heads))
    return _choice("Head", "head", [None, *heads] if mean else heads, key=key, help=HEAD_HELP)


def pick_position(
    tokens: Sequence[str], *, key: str, label: str = "Token", default: int | None = None
) -> int:
    """Let the user choose one token of the prompt by its position, from 0.

    To let the user click on the tokens themselves, put `token_strip` above it:
    `token_strip(tokens, key=..., selected=pos, on_pick=lambda pos: select(pos=pos))`.

    Args:
        tokens: The tokens to choose from.
        key: The widget's key.
        label: Its label.
        default: The position shown while none was chosen; None for the last one.
    """
    # Set each time: a browser that is not told goes on showing the label of the last prompt.
    st.session_state[key] = current_position(len(tokens), default)
    return st.selectbox(
        label,
        range(len(tokens)),
        key=key,
        format_func=lambda pos: f"{pos}: {visible(tokens[pos])}",
        help=POSITION_HELP,
        on_change=_store,
        args=("pos", key),
    )


def current_position(n_tokens: int, default: int | None = None) -> int:
    """Return the selected position, the last one if it is beyond the end.

    Without a selected one, it is the default; None stands for the last one.
    """
    last = n_tokens - 1
    chosen = selection().pos
    if chosen is None:
        return last if default is None else default
    return _clamped("pos", chosen, 0, last)


def decoding_controls(info: ModelInfo, *, key: str) -> Decoding:
    """Let the user choose how the next token is picked.

    Out-of-range values of a link are clamped. With greedy decoding, the options of sampling
    are shown but disabled.
    """
    show_value(f"{key}.strategy", selection().strategy)
    strategy = st.segmented_control(
        "How to pick the next token",
        ["greedy", "sample"],
        format_func={"greedy": "Greedy", "sample": "Sample"}.get,
        required=True,
        key=f"{key}.strategy",
        help="**Greedy** always takes the most probable token. **Sample** draws one at random, "
        "in proportion to its probability.",
        on_change=_store,
        args=("strategy", f"{key}.strategy"),
    )
    off = strategy == "greedy"
    temperature = _slider(
        "Temperature", "temperature", 0.1, 2.0, 0.05, key=key, disabled=off,
        help="Divides the logits. Below 1 the favourites win more often; above 1 the choice "
        "becomes more random.",
    )  # fmt: skip
    top_k = _optional_whole(
        "Top-k", "top_k", info.vocab_size, key=key, disabled=off,
        help="Keep only the k most probable tokens. 0 keeps all.",
    )  # fmt: skip
    top_p = _slider(
        "Top-p", "top_p", 0.05, 1.0, 0.05, key=key, disabled=off, none_is=1.0,
        help="Keep the smallest set of tokens whose probabilities sum to at least p. 1 keeps all.",
    )  # fmt: skip
    min_p = _slider(
        "Min-p", "min_p", 0.0, 1.0, 0.01, key=key, disabled=off, none_is=0.0,
        help="Keep tokens at least this fraction as probable as the best one. 0 keeps all.",
    )  # fmt: skip
    penalty = _slider(
        "Repetition penalty", "repetition_penalty", 1.0, 2.0, 0.05, key=key,
        help="Makes tokens that are already in the text less likely. 1 leaves them alone.",
    )  # fmt: skip
    seed = _whole_number(
        "Seed", "seed", MAX_WIDGET_INTEGER, key=key, disabled=off,
        help="The same seed draws the same tokens again.",
    )  # fmt: skip
    return Decoding(strategy, temperature, top_k, top_p, min_p, penalty, seed)


def cache_control(*, key: str) -> bool:
    """Let the user switch the KV cache on or off."""
    show_value(key, selection().use_cache)
    return st.toggle(
        "KV cache",
        key=key,
        help="Keeps the keys and values of earlier tokens, so that each step computes only the "
        "new token. The text stays the same; only the work changes.",
        on_change=_store,
        args=("use_cache", key),
    )


def show_value(key: str, value: Any) -> None:
    """Give a widget its value before it is drawn: on a change, and while it is new on the page.

    A quick second click begins another run before the browser has drawn what the first one sent.
    Then it draws what the second one sends alone, so the value has to be in there too. Later a
    value that stays the same is not sent again, to keep what is being typed.
    """
    shown = st.session_state.setdefault(_SHOWN, {})
    if key not in st.session_state:
        shown[key] = time.monotonic()
    if st.session_state.get(key) != value or time.monotonic() - shown.get(key, 0) < NEW_S:
        st.session_state[key] = value


def number_of(key: str) -> int | None:
    """Return the number that a select box reports, or None: for its callback.

    The browser reports a label. Where the options have changed since, as those of another prompt,
    Streamlit finds no number for it and hands on the label itself: nothing was chosen.
    """
    value = st.session_state[key]
    return None if isinstance(value, str) else value


def _clamped(field: str, value: float, low: float, high: float) -> Any:
    """Pull a value of the selection into a range, and tell the selection if that changed it."""
    inside = min(max(value, low), high)
    if inside != value:
        select(**{field: inside})
    return inside


def _store(field: str, key: str, none_is: Any = None) -> None:
    value = st.session_state[key]
    if value is None and field in ALWAYS_CHOSEN:
        return
    if field in NUMBERED and isinstance(value, str):  # see `number_of`
        return
    select(**{field: None if none_is is not None and value == none_is else value})


def _choice(label: str, field: str, options: list, *, key: str, help: str) -> Any:
    chosen = getattr(selection(), field)
    if chosen not in options:
        known = [option for option in options if option is not None]
        chosen = min(known, key=lambda option: abs(option - (chosen or 0)))
        select(**{field: chosen})
    show_value(key, chosen)
    arguments: dict = {
        "format_func": lambda option: "Mean" if option is None else str(option),
        "key": key,
        "help": help,
        "on_change": _store,
        "args": (field, key),
    }
    if len(options) <= MAX_BUTTONS:
        return st.segmented_control(label, options, required=True, wrap=True, **arguments)
    return st.selectbox(label, options, **arguments)


def _slider(
    label: str, field: str, low: float, high: float, step: float, *, key: str, help: str,
    disabled: bool = False, none_is: float | None = None,
) -> float | None:  # fmt: skip
    key = f"{key}.{field}"
    value = getattr(selection(), field)
    show_value(key, none_is if value is None else _clamped(field, value, low, high))
    chosen = st.slider(
        label, low, high, step=step, key=key, help=help, disabled=disabled,
        on_change=_store, args=(field, key, none_is),
    )  # fmt: skip
    return None if none_is is not None and chosen == none_is else chosen


def _whole_number(
    label: str, field: str, high: int, *, key: str, help: str, disabled: bool = False,
    none_is: int | None = None,
) -> int:  # fmt: skip
    key = f"{key}.{field}"
    value = getattr(selection(), field)
    show_value(key, none_is if value is None else _clamped(field, value, 0, high))
    return st.number_input(
        label, 0, high, step=1, key=key, help=help, disabled=disabled,
        on_change=_store, args=(field, key, none_is),
    )  # fmt: skip


def _optional_whole(label: str, field: str, high: int, **arguments: Any) -> int | None:
    return _whole_number(label, field, high, none_is=0, **arguments) or None
