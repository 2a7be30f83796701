"""Components that Streamlit lacks: a strip of tokens, a grid of all heads, lines of one head.

Each returns what was clicked and calls `on_pick` before the page reruns, so that other widgets
already show the new value:

    token_strip(trace.tokens, key="tokens", selected=pos, on_pick=lambda pos: put(pos=pos))
    head_grid(tiles, key="grid", selected=(layer, head),
              on_pick=lambda picked: put(layer=picked[0], head=picked[1]))

Without `selected`, the component remembers the last click itself. Colours follow the theme in the
browser; token text is never read as HTML. What is hovered never reaches Python.
"""

import base64
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import streamlit as st
from jaxtyping import Float, UInt8

from pages.state.mailbox import reported
from pages.state.visit import is_of_other, keyed
from pages.text import visible
from pages.widgets.drawn import Drawn, note
from pages.widgets.scripts import script, style

MAX_GRID_BYTES = 480_000
"""What all tiles of a head grid may weigh; longer prompts are max-pooled to fit."""
MAX_TILE_PX = 64
"""No tile is drawn larger on screen, so more pixels would only be sent in vain."""
MAX_LINES = 3000
MAX_CHIPS = 600
"""Tokens of a text that the bar shows at once, those around the chosen one."""
MAX_ROW_BYTES = 128_000
"""What the rows of a strip may weigh; those of a long text grow with the square of its length."""


def component(
    name: str, *, isolate_styles: bool = True, is_figure: bool = True
) -> Callable[..., Any]:
    """Register the component whose script and style lie in `browser/` under this name.

    Args:
        name: The name.
        isolate_styles: Whether its style touches nothing else.
        is_figure: Whether it shows something that is worth taking away.
    """
    mounted = st.components.v2.component(
        f"inlook_{name}",
        css=style(name),
        js=script(name),
        isolate_styles=isolate_styles,
    )

    def draw(*, key: str, data: Any = None, says: str = "", **callbacks: Any) -> None:
        told = data if isinstance(data, dict) else {}
        says = says or told.get("alt") or told.get("label", "")
        if is_figure:
            says = f"Run A, pinned: {says}" if is_of_other() and name != "chart" else says
            note(key, Drawn(name, data, says, isolate_styles))
        mounted(key=key, data=data, **callbacks)

    return draw


_token_strip = component("token_strip")
_text_strip = component("text_strip", is_figure=False)
_head_grid = component("head_grid")
_head_lines = component("head_lines")


def token_strip(
    tokens: Sequence[str],
    *,
    key: str,
    selected: int | None = None,
    on_pick: Callable[[int], None] | None = None,
    ids: Sequence[int] | None = None,
    weights: Sequence[float] | Float[np.ndarray, "pos"] | None = None,
    rows: Float[np.ndarray, "pos pos"] | None = None,
    marks: Mapping[int, str] | None = None,
    notes: Sequence[str] | None = None,
    hints: Sequence[str] | None = None,
    groups: Sequence[tuple[int, int, str]] | None = None,
    height: int = 256,
    start: int = 0,
    label: str = "Tokens",
) -> int | None:
    """Show tokens as chips; a click, or arrow keys and Enter, picks one.

    Args:
        tokens: Token strings, as in `trace.tokens`; spaces and newlines are made visible.
        key: The component's key.
        selected: The position to outline; None to remember the last click here.
        on_pick: Called with the position that was clicked, before the page reruns.
        ids: Token IDs, shown small beneath.
        weights: One number from 0 to 1 per token, shown as a shade and in the tooltip.
        rows: What each token reads, such as one head's attention: hovering over a token shades
            the others by its row and dims those below 0.05. The selected token's row is shown
            when nothing is hovered, unless `weights` are given. Of a long text only the rows
            `rows_to_send` go to the browser.
        marks: A short word above some tokens, by position.
        notes: A line of small print per token, at the bottom of its chip.
        hints: What else the tooltip says, per token; instead of its weight, if it has one.
        groups: Neighbouring tokens to frame together under a heading: (first position, position
            after the last, heading), in order.
        height: Pixels after which the strip scrolls.
        start: The position of the first token, where only a part of a text is shown: for tooltips.
            `selected`, the result and what `on_pick` gets count from the start of `tokens`.
        label: What a screen reader calls the strip.

    Returns:
        The selected position, or None.
    """
    key, on_pick = keyed(key), None if is_of_other() else on_pick
    n_tokens = len(tokens)
    selected = _remembered(key, selected)
    if selected is not None and not 0 <= selected < n_tokens:
        selected = None
    data = {
        "tokens": [visible(token) for token in tokens],
        "ids": None if ids is None else [int(token_id) for token_id in ids],
        "weights": None if weights is None else [round(float(weight), 4) for weight in weights],
        "rows": None if rows is None else _encoded_rows(rows, selected),
        "marks": None if not marks else [marks.get(pos) for pos in range(n_tokens)],
        "notes": None if notes is None else list(notes),
        "hints": None if hints is None else list(hints),
        "groups": [[first, stop, visible(heading)] for first, stop, heading in groups or ()],
        "height": height,
        "start": start,
        "label": label,
        "pickable": on_pick is not None,
        **_outline(key, selected),
    }
    _token_strip(key=key, data=data, on_picked_change=lambda: _picked(key, int, on_pick))
    return selected


def text_strip(
    tokens: Sequence[str],
    *,
    key: str,
    selected: int,
    n_prompt: int,
    follows: tuple[str, str] | None,
    prompt: str,
    on_pick: Callable[[int], None],
    on_prompt: Callable[[str], None],
    on_keys: Callable[[str], None],
    hears_keys: bool = True,
    buttons: Mapping[str, str] = MappingProxyType({}),
    speakers: Sequence[str] = (),
    folds: bool = False,
) -> None:
    """Show a text that grows, as tokens to choose from, with its prompt to edit and keys for it.

    Args:
        tokens: Token strings, the prompt's first; none shows the prompt as it was typed.
        key: The component's key.
        selected: The position to mark; that after the last one is the token to come.
        n_prompt: How many of them are the prompt's.
        follows: The token to come and its probability, for people; None where there is none.
        prompt: The prompt as it was typed.
        on_pick: Called with the position that was clicked, before the page reruns.
        on_prompt: Called with another prompt.
        on_keys: Called with the keys that were pressed since it was called last, in order: `N`,
            `B`, `R` for Shift and B, `G`.
        hears_keys: Whether the keyboard is listened to.
        buttons: Which of these a click on a button tells, by the button's key.
        speakers: Whose words each token is, in a conversation; nothing where it is none.
        folds: Whether tokens that are nobody's words are folded, except the chosen one.
    """
    first = max(0, min(selected - MAX_CHIPS // 2, len(tokens) - MAX_CHIPS))
    shown = tokens[first : first + MAX_CHIPS]
    data = {
        "tokens": [visible(token) for token in shown],
        "first": first,
        "n_tokens": len(tokens),
        "n_prompt": n_prompt,
        "next": None if follows is None else [visible(follows[0]), follows[1]],
        "speakers": list(speakers[first : first + MAX_CHIPS]),
        "folds": folds,
        "prompt": prompt,
        "keys": hears_keys,
        "buttons": {name.replace(".", "-"): said for name, said in buttons.items()},
        "n_seen": st.session_state.get(f"{key}.seen", 0),
        **_outline(key, selected),
    }
    _text_strip(
        key=key,
        data=data,
        default={"keys": {"n": 0, "log": ""}},
        on_picked_change=lambda: _picked(key, int, on_pick),
        on_prompt_change=lambda: _edited(key, on_prompt),
        on_keys_change=lambda: _typed(key, on_keys),
    )


def head_grid(
    tiles: UInt8[np.ndarray, "layer head size size"],
    *,
    key: str,
    selected: tuple[int, int] | None = None,
    on_pick: Callable[[tuple[int, int]], None] | None = None,
    layers: Sequence[int] | None = None,
    order: Sequence[tuple[int, int, str]] | None = None,
    label: str = "Attention of every layer and head",
) -> tuple[int, int] | None:
    """Show the attention patterns of all layers and heads as a grid to pick from.

    Colour stands for the square root of the weight, so that small weights stay visible; masked
    keys stay empty. The grid is an overview: show numbers in a heatmap of the picked head.

    Args:
        tiles: What `model_hooks.read.heads.head_tiles` made of the attention weights.
        key: The component's key.
        selected: The (layer, head) to outline; None to remember the last click here.
        on_pick: Called with the (layer, head) that was clicked, before the page reruns.
        layers: The number of each layer; 0, 1, 2... when omitted.
        order: (row of `tiles`, head, caption) of each tile, where they are to run in another order
            than by layer and head.
        label: What a screen reader calls the grid.

    Returns:
        The selected (layer, head), or None.
    """
    key, on_pick = keyed(key), None if is_of_other() else on_pick
    selected = _remembered(key, selected)
    names = list(range(len(tiles))) if layers is None else [int(i) for i in layers]
    captions = None
    if order is not None:
        captions = [[names[row], int(head), caption] for row, head, caption in order]
        tiles = tiles[[row for row, _, _ in order], [head for _, head, _ in order]]
    header = {
        "layers": names,
        "n_heads": tiles.shape[1] if captions is None else None,
        "captions": captions,
        "size": tiles.shape[-1],
        "label": label,
        **_outline(key, selected),
    }
    encoded = json.dumps(header).encode()
    data = struct.pack("<I", len(encoded)) + encoded + tiles.tobytes()
    _head_grid(
        key=key, data=data, says=label, on_picked_change=lambda: _picked(key, tuple, on_pick)
    )
    return selected


def head_lines(
    tokens: Sequence[str],
    weights: Float[np.ndarray, "pos pos"],
    *,
    key: str,
    selected: int | None = None,
    on_pick: Callable[[int], None] | None = None,
    threshold: float = 0.02,
    height: int = 480,
    start: int = 0,
    label: str = "Query tokens",
) -> int | None:
    """Draw one head's attention as lines from query tokens (left) to key tokens (right).

    Width and opacity of a line stand for its weight. Hovering over a token leaves only its lines,
    and writes the weights of a query beside its keys.

    Args:
        tokens: Token strings, as in `trace.tokens`.
        weights: Attention weights, one row per query.
        key: The component's key.
        selected: The query to single out; None to remember the last click here.
        on_pick: Called with the query position that was clicked, before the page reruns.
        threshold: Weights below it get no line. At most the 3,000 largest are drawn.
        height: Pixels after which the box scrolls.
        start: The position of the first token, where only a part of a text is drawn. `selected`,
            the result and what `on_pick` gets count from the start of `tokens`.
        label: What a screen reader calls the column of query tokens.

    Returns:
        The selected query's position, or None.
    """
    key, on_pick = keyed(key), None if is_of_other() else on_pick
    weights = np.asarray(weights)
    if weights.shape != (len(tokens), len(tokens)):
        raise ValueError(f"weights {weights.shape} do not fit {len(tokens)} tokens")
    selected = _remembered(key, selected)
    if selected is not None and not 0 <= selected < len(tokens):
        selected = None
    query, key_pos = np.nonzero(weights >= threshold)
    strongest = np.argsort(-weights[query, key_pos], kind="stable")[:MAX_LINES]
    query, key_pos = query[strongest], key_pos[strongest]
    data = {
        "tokens": [visible(token) for token in tokens],
        "lines": {
            "query": query.tolist(),
            "key": key_pos.tolist(),
            "weight": [round(weight, 3) for weight in weights[query, key_pos].tolist()],
        },
        "height": height,
        "start": start,
        "label": label,
        **_outline(key, selected),
    }
    _head_lines(key=key, data=data, on_picked_change=lambda: _picked(key, int, on_pick))
    return selected


def rows_to_send(n_tokens: int, selected: int | None) -> range:
    """Return the positions whose rows a strip knows: all of a short text, else those near one.

    They stay the same while the selection moves a little, so that nothing is sent again.
    """
    n_rows = max(1, MAX_ROW_BYTES // max(1, n_tokens))
    if n_rows >= n_tokens:
        return range(n_tokens)
    pos = n_tokens - 1 if selected is None else selected
    step = max(1, n_rows // 2)
    first = min(max(0, pos // step * step - (n_rows - step) // 2), n_tokens - n_rows)
    return range(first, first + n_rows)


def _encoded_rows(rows: Float[np.ndarray, "pos pos"], selected: int | None) -> dict[str, Any]:
    sent = rows_to_send(len(rows), selected)
    weights = _to_bytes(rows[sent.start : sent.stop])
    return {"first": sent.start, "bytes": base64.b64encode(weights.tobytes()).decode()}


def _to_bytes(weights: Float[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
    return (np.sqrt(np.clip(weights, 0, 1)) * 255 + 0.5).astype(np.uint8)


def _remembered(key: str, selected: Any) -> Any:
    return st.session_state.get(f"{key}.picked") if selected is None else selected


def _picked(key: str, convert: Callable[[Any], Any], on_pick: Callable | None) -> None:
    """Keep what the browser reports, and pass it on."""
    if (told := reported(key, "picked")) is None:
        return
    value = convert(told)
    st.session_state[f"{key}.picked"] = value
    if outline := st.session_state.get(f"{key}.outline"):
        st.session_state[f"{key}.outline"] = outline._replace(shown=value)
    if on_pick is not None:
        on_pick(value)


def _edited(key: str, on_prompt: Callable[[str], None]) -> None:
    if (prompt := reported(key, "prompt")) is not None:
        on_prompt(str(prompt))


def _typed(key: str, on_keys: Callable[[str], None]) -> None:
    """Pass on the keys that are new: the browser tells how many there were, and the last ones."""
    if (told := reported(key, "keys")) is None:
        return
    n_new = int(told["n"]) - st.session_state.get(f"{key}.seen", 0)
    st.session_state[f"{key}.seen"] = int(told["n"])
    if n_new > 0:
        on_keys(str(told["log"])[-n_new:])


class _Outline(NamedTuple):
    """What the browser was last told to outline, how often it was told, what it outlines now."""

    sent: Any
    n_sent: int
    shown: Any


def _outline(key: str, selected: Any) -> dict[str, Any]:
    """Say what to outline, without changing the data when the browser outlines it already.

    A click is outlined in the browser at once. Sending its result back would change the data and
    with it send everything again, so the selection is sent only when it came from elsewhere, or
    when the component is new on the page.
    """
    outline = st.session_state.get(f"{key}.outline", _Outline(None, 0, None))
    is_new = key not in st.session_state
    if is_new or selected != outline.shown:
        outline = _Outline(selected, outline.n_sent + 1, selected)
        st.session_state[f"{key}.outline"] = outline
    return {"selected": outline.sent, "n_sent": outline.n_sent}
