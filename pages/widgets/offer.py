"""What else could there be? Lists that ask for something once, instead of keeping a choice.

    offer(st.selectbox, "Take another token", token_ids, take, key="generation.take")
    offer(st.radio, "Branches", texts, go_to, key="generation.branches", shown=current)

What is chosen is handed on, and then the list shows what is the case again.
"""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

_OFFERS = "offer.offers"


def offer(
    widget: Callable[..., Any],
    label: str,
    options: Sequence[Any],
    on_choose: Callable[[Any], None],
    *,
    key: str,
    shown: Any = None,
    format_func: Callable[[Any], str] = str,
    **arguments: Any,
) -> None:
    """Draw a list; whatever else than what it shows is chosen goes to `on_choose`.

    Args:
        widget: `st.selectbox` or `st.radio`, of a column too.
        label: The list's label.
        options: What there is to choose from.
        on_choose: Called with the chosen option, before the page is drawn anew.
        key: The list's key; its widget is a new one each time that something else is shown.
        shown: The option that is the case; None: the list shows none.
        format_func: Writes an option.
        **arguments: What else the widget takes.
    """
    labels = [format_func(option) for option in options]
    index = None if shown is None else list(options).index(shown)
    n = _generation(key, (labels, index))

    def take() -> None:
        chosen = st.session_state.get(f"{key}.{n}")
        if chosen is not None and chosen != index:
            _offers()[key] = (n, None)
            on_choose(options[chosen])

    widget(
        label,
        range(len(labels)),
        index=index,
        key=f"{key}.{n}",
        format_func=labels.__getitem__,
        on_change=take,
        **arguments,
    )


def _generation(key: str, shown: tuple[list[str], int | None]) -> int:
    """Count the widgets that a list has had: one stays as long as it shows the same."""
    n, before = _offers().get(key, (0, None))
    if before != shown:
        n += 1
        _offers()[key] = (n, shown)
    return n


def _offers() -> dict[str, tuple[int, Any]]:
    return st.session_state.setdefault(_OFFERS, {})
