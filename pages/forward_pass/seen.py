"""What do all stages of the forward pass look at? One run, one lane, one layer, one pick."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from model_hooks import Decoding, ModelInfo, Stage
from model_hooks.host import Run
from model_hooks.parts.abilities import Abilities
from model_hooks.read.recorded import (
    abilities_of,
    embedding,
    last_logits,
    mean_rows,
    part_sizes,
    vector,
)
from pages.ask.computed import computed
from pages.ask.session import info, tokens_of_run
from pages.state.visit import view
from pages.text import code_span, visible
from pages.widgets.words import token_name

_abilities_of = computed(abilities_of)
_embedding = computed(embedding)
_last_logits = computed(last_logits)
_mean_rows = computed(mean_rows, says="Looking at all layers…")
_part_sizes = computed(part_sizes)
_vector = computed(vector)


class Sizes(NamedTuple):
    """Lengths of vectors, by layer and position."""

    resid_pre: Float[np.ndarray, "layer pos"]
    attn_out: Float[np.ndarray, "layer pos"]
    resid_mid: Float[np.ndarray, "layer pos"]
    mlp_out: Float[np.ndarray, "layer pos"]
    resid_post: Float[np.ndarray, "layer pos"]
    added: Float[np.ndarray, "layer pos"]
    """Of resid_post - resid_pre: what the whole layer adds."""


class Seen(NamedTuple):
    """What all stages look at."""

    asked: Run
    info: ModelInfo
    abilities: Abilities
    tokens: tuple[str, ...]
    pos: int
    layer: int
    embedding: Float[np.ndarray, "pos d_model"]
    sizes: Sizes
    reads: tuple[Float[np.ndarray, "pos"] | None, ...]
    """Per layer, what the chosen lane reads, the mean over its heads; None without attention."""
    decoding: Decoding
    stages: tuple[Stage, ...]
    """The distribution of the next token after each decoding stage."""
    picked: int
    """The ID of the token that was chosen to come next."""

    @property
    def token(self) -> str:
        """The chosen token, as Markdown code that shows it as it stands."""
        return code(self.tokens[self.pos])

    @property
    def is_last(self) -> bool:
        """Whether the chosen lane is the one that makes the prediction."""
        return self.pos == len(self.tokens) - 1

    def vector(self, part: str, layer: int | None = None) -> Float[np.ndarray, "d_model"]:
        """Return what the chosen lane holds in a layer, the chosen one by default."""
        return _vector(*self.asked, self.layer if layer is None else layer, part, self.pos)


def look(asked: Run, pos: int) -> Seen:
    """Ask for everything that the picture and its stages show."""
    logits, decoding = _last_logits(*asked), view().decoding
    stages = decoding.stages(logits, asked.token_ids)
    return Seen(
        asked=asked,
        info=info(),
        abilities=_abilities_of(asked.model_name),
        tokens=tokens_of_run(),
        pos=pos,
        layer=min(view().layer, info().n_layers - 1),
        embedding=_embedding(*asked),
        sizes=Sizes(*_part_sizes(*asked).transpose(1, 0, 2)),
        reads=_mean_rows(*asked, pos),
        decoding=decoding,
        stages=stages,
        picked=decoding.pick(stages[-1], 0),
    )


def code(token: str) -> str:
    """Return a token as Markdown code."""
    return code_span(visible(token))


def code_of(token_id: int) -> str:
    """Return a token of the vocabulary as Markdown code."""
    return code(token_name(token_id))
