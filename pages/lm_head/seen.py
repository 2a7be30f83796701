"""What do all parts of the LM head page look at? The choice after one position of a run."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import streamlit as st
from jaxtyping import Float

from model_hooks import Decoding, Stage
from model_hooks.host import Run
from model_hooks.read.choice import stages_after
from pages.ask.computed import computed
from pages.lm_head.choices import Choices
from pages.state.visit import part, put, view
from pages.text import escape_markdown, visible
from pages.widgets.press import press
from pages.widgets.words import token_name

_stages_after = computed(stages_after)


class Seen(NamedTuple):
    """The choice after one position."""

    asked: Run
    tokens: tuple[str, ...]
    """Of the whole run."""
    pos: int
    decoding: Decoding
    stages: tuple[Stage, ...]
    """By the options as they are set."""
    followed: int
    """The ID of the token whose numbers are followed."""

    @property
    def prefix_ids(self) -> tuple[int, ...]:
        """The text up to and with the position."""
        return self.asked.token_ids[: self.pos + 1]

    @property
    def after(self) -> str:
        """The token that the choice comes after, as Markdown."""
        return f"“{escape_markdown(visible(self.tokens[self.pos]))}”"

    @property
    def logits(self) -> Float[np.ndarray, "vocab"]:
        """What the model computes, before any option."""
        return self.stages[0].scores

    @property
    def sampling(self) -> Decoding:
        """The options as they are when sampling is switched on."""
        return replace(self.decoding, strategy="sample")

    @property
    def sampling_stages(self) -> tuple[Stage, ...]:
        """The stages that sampling goes through, whatever is switched on."""
        return _stages_after(*self.asked, self.sampling, self.pos)


def look(asked: Run, tokens: tuple[str, ...], pos: int) -> Seen:
    """Look at the choice after a position.

    Raises:
        InlookError: The model computes no numbers there, or cannot be asked.
    """
    decoding = view().decoding
    stages = _stages_after(*asked, decoding, pos)
    followed, scores = part(Choices).followed, stages[0].scores
    if followed is None or not 0 <= followed < len(scores):
        followed = int(scores.argmax())
    return Seen(asked, tokens, pos, decoding, stages, followed)


def stages_of(asked: Run, decoding: Decoding, pos: int) -> tuple[Stage, ...]:
    """Return the stages of the choice after a position, were it made in such a way."""
    return _stages_after(*asked, decoding, pos)


def follow(token_id: int) -> None:
    """Choose the token whose numbers are followed; a callback."""
    changes: dict[str, Any] = {"lm_head.followed": token_id}
    put(changes)


def bold(token_id: int) -> str:
    """Return a token of the vocabulary as Markdown."""
    return f"**{escape_markdown(token_name(token_id))}**"


def settings_of(decoding: Decoding) -> str:
    """Name the filters that are on, with their values."""
    return " and ".join(decoding.filters())


def greedy_note(seen: Seen) -> None:
    """Say that sampling is shown although greedy decoding is on, and offer to switch."""
    if seen.decoding.strategy == "sample":
        return
    st.info(
        "Greedy decoding is on, which always takes the most probable token. What follows is what "
        f"**sampling** would do with temperature {seen.decoding.temperature:g}.",
        icon=":material/info:",
    )
    press(
        "Switch to sampling",
        key="lm_head.to_sampling",
        on_click=put,
        kwargs={"decoding.strategy": "sample"},
    )
