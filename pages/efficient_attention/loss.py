"""How well is the prompt predicted, as it is and with a change?"""

from typing import NamedTuple

import numpy as np
import streamlit as st
from jaxtyping import Float

from model_hooks import InlookError, Intervention
from model_hooks.arrays import softmax
from model_hooks.host import Run
from model_hooks.read.choice import surprisals
from model_hooks.read.recorded import last_logits
from pages.ask.computed import computed
from pages.text import escape_markdown
from pages.widgets import quantity
from pages.widgets.before_after import BeforeAfter, draw_before_after
from viz.numbers import bits, signed

LOSS_HELP = (
    "How badly the model predicts your prompt: the average of -log2(probability) over its tokens, "
    "from the second on. 0 bits: each token was certain; 1 bit: as unsure as a coin toss."
)

_surprisals = computed(surprisals, says="Running the model…")
_last_logits = computed(last_logits, says="Running the model…")


class Losses(NamedTuple):
    """What each token of the prompt costs as it is and with a change, in bits."""

    before: Float[np.ndarray, "pos"]
    """-log2 of each token's probability; NaN for the first one."""
    after: Float[np.ndarray, "pos"]

    @property
    def means(self) -> tuple[float, float]:
        """The loss on the whole prompt; NaN for a prompt of one token."""
        return mean_bits(self.before), mean_bits(self.after)


def with_change(asked: Run, change: Intervention) -> Run:
    """Return a run with one more change."""
    return asked._replace(interventions=(*asked.interventions, change))


def bits_of(asked: Run) -> Float[np.ndarray, "pos"]:
    """Return -log2 of each token's probability; NaN for the first one.

    Raises:
        InlookError: The run cannot be made.
    """
    return _surprisals(*asked).bits


def mean_bits(bits: Float[np.ndarray, "pos"]) -> float:
    """Return the mean from the second token on; NaN for one token."""
    return float(bits[1:].mean()) if len(bits) > 1 else float("nan")


def losses(asked: Run, change: Intervention) -> Losses | None:
    """Return the losses as they are and with a change; None, and a sentence, if it cannot be."""
    try:
        return Losses(bits_of(asked), bits_of(with_change(asked, change)))
    except InlookError as error:
        st.warning(escape_markdown(str(error)), icon=":material/info:")
        return None


def draw_next_token(
    asked: Run, change: Intervention, in_words: str, *, key: str, last_token: str
) -> None:
    """Show the next token's probabilities as they are and with a change.

    Args:
        asked: The run as it is.
        change: A change that the model can make.
        in_words: The change, such as `with a window of 3`.
        key: The chart's key.
        last_token: The last token of the prompt, for people.
    """
    before, after = (softmax(_last_logits(*one)) for one in (asked, with_change(asked, change)))
    shown = BeforeAfter(before, after, in_words, pos=len(asked.token_ids) - 1)
    draw_before_after(shown, key=key, last_token=last_token)


def loss_metric(found: Losses) -> None:
    """Show the loss on the prompt with a change, and how far that is from the loss without."""
    before, after = found.means
    if np.isnan(before):
        st.metric("Loss on the prompt", "none", help=f"{LOSS_HELP} One token has no loss.")
        return
    st.metric(
        "Loss on the prompt",
        bits(after),
        f"{signed(after - before)} bits",
        delta_color="inverse" if round(after - before, 2) else "off",
        help=f"{LOSS_HELP} As it is: {quantity.shown(quantity.LOSS, before)}.",
        width="content",
    )


def loss_note(found: Losses) -> str:
    """Return a sentence for a loss that fell, which surprises; empty otherwise."""
    before, after = found.means
    if not after < before:
        return ""
    return " On one short text the loss can fall by chance: a longer prompt tells more."
