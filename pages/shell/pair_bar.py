"""How do the texts of A and B lie beside each other? Token over token, with gaps."""

import html

import streamlit as st

from model_hooks.read.recorded import tokens_of
from model_hooks.text.alignment import Place, Places
from pages.ask.computed import computed
from pages.ask.pair import can_run_b, places, problem_of_a, runs
from pages.state.view import Selection, selection_of
from pages.state.visit import view
from pages.text import escape_markdown, visible

SHOWN = 160
"""Places that are shown at once, those around the chosen token."""
GAP = "-"
IN_WORDS = {
    "model": "the model",
    "prompt": "the prompt",
    "decoding": "how tokens are picked",
    "use_cache": "the KV cache",
    "interventions": "what is switched off",
    "written": "what was written",
}

_tokens_of = computed(tokens_of)


def draw_pair_of_texts() -> None:
    """Draw the text of A over that of B, token by token, if a run is pinned."""
    if (pinned := view().pinned) is None or not can_run_b():
        return
    if (problem := problem_of_a()) is not None:
        st.warning(
            f"The pinned run A cannot be shown: {escape_markdown(problem)} All that stands here is "
            "about B; Unpin or Swap in the sidebar.",
            icon=":material/keep_off:",
        )
        return
    a, b = (_tokens_of(one.model_name, one.token_ids) for one in runs())
    said = what_differs(pinned, selection_of(view()))
    st.html(pair_html(places(), a, b, view().pos, said))


def pair_html(
    found: Places, a: tuple[str, ...], b: tuple[str, ...], pos: int | None, said: str
) -> str:
    """Write both texts, place by place; whatever a token is called is shown as it stands.

    Args:
        found: Where they share a place.
        a: The tokens of A.
        b: The tokens of B.
        pos: The position in B to mark; None is the last one.
        said: In what else the runs differ.
    """
    chosen = len(b) - 1 if pos is None else pos
    at = next((i for i, place in enumerate(found) if place.b == chosen), len(found) - 1)
    first = max(0, min(at - SHOWN // 2, len(found) - SHOWN))
    shown = found[first : first + SHOWN]
    n_differ = sum(not place.equal for place in found)
    texts = f"{n_differ} of {len(found)} places differ" if n_differ else "the texts are the same"
    left_out = f", {len(found) - len(shown)} not shown" if len(shown) < len(found) else ""
    cells = "".join(_cell(place, a, b, place.b == chosen) for place in shown)
    return (
        '<div class="inlook-pair" role="group" aria-label="The texts of A and B">'
        f"<p><b>A</b> over <b>B</b>: {texts}{left_out}. {said}</p><ol>{cells}</ol></div>"
    )


def _cell(place: Place, a: tuple[str, ...], b: tuple[str, ...], is_chosen: bool) -> str:
    of_a = None if place.a is None else visible(a[place.a])
    of_b = None if place.b is None else visible(b[place.b])
    title = "; ".join(
        f"{run}: token {pos} {token}" if token is not None else f"{run}: nothing here"
        for run, pos, token in (("A", place.a, of_a), ("B", place.b, of_b))
    )
    classes = " ".join(
        name for name, holds in {"differs": not place.equal, "chosen": is_chosen}.items() if holds
    )
    rows = "".join(
        f"<i>{GAP}</i>" if token is None else f"<{tag}>{html.escape(token)}</{tag}>"
        for tag, token in (("span", of_a), ("b" if not place.equal else "span", of_b))
    )
    return f'<li class="{classes}" title="{html.escape(title)}">{rows}</li>'


def what_differs(a: Selection, b: Selection) -> str:
    """Say in which of their parts two runs differ."""
    named = [words for name, words in IN_WORDS.items() if getattr(a, name) != getattr(b, name)]
    if not named:
        return "B is the same run still: change something, such as one word of the prompt."
    *most, last = named
    return f"B differs in {', '.join(most)} and {last}." if most else f"B differs in {last}."
