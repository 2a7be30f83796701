"""What can be asked of one model: plain facts, per layer and for the whole.

Found by trying when a model is loaded, and read by pages, by the checks of interventions and by
whoever runs the model in a way of their own.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Wiring = Literal["sequential", "post", "parallel", "unknown"]
"""How attention and feedforward meet the residual stream: one after the other (`sequential`), so
with the norm on the sum (`post`), both from the same input (`parallel`), or another way."""

PartName = Literal["attention", "feedforward"]


class ModuleFacts(NamedTuple):
    """A module that holds weights."""

    path: str
    shape: tuple[int, ...] | None
    """Of its weight; None if it has none of its own."""
    has_bias: bool


@dataclass(frozen=True)
class LayerAbilities:
    """What can be seen and changed in one layer."""

    path: str
    """Module path of the block."""
    wiring: Wiring
    parts: tuple[PartName, ...]
    """The parts whose addition to the stream is known; empty where the wiring is not. What mixes
    positions in another way counts as attention here."""
    attention_path: str | None
    """Module path of the attention; None in a recurrent or convolution layer."""
    attn_out_path: str | None
    """Module path of what gives `attn_out` (the attention, or the norm after it); None where
    attention adds to the stream inside a module."""
    mlp_out_path: str | None
    """Module path of what gives `mlp_out`; None where the feedforward adds to the stream inside a
    module."""
    has_attention: bool
    """Whether attention weights are recorded here."""
    records_queries: bool
    """Whether queries, keys and values are recorded here."""
    n_heads: int
    """Query heads; 0 without attention."""
    n_kv_heads: int | None
    """None where keys are not recorded."""
    changes_heads: bool
    """Whether its heads, keys and masks can be changed in a run."""
    has_feedforward: bool
    """False in a block that only mixes positions."""
    neurons_path: str | None
    """Module path of the down projection whose input are the neurons; None where the feedforward
    has no single hidden layer."""
    router_path: str | None
    """Module path of the router of a mixture of experts."""

    @property
    def changes_attention(self) -> bool:
        """Whether what attention adds can be changed in a run."""
        return self.attn_out_path is not None

    @property
    def changes_feedforward(self) -> bool:
        """Whether what the feedforward adds can be changed in a run."""
        return self.mlp_out_path is not None


class Stretch(NamedTuple):
    """A rotation of queries and keys that depends on the length of the text."""

    after: int
    """Texts up to this length turn by the original rotation."""
    by_length: bool
    """Whether every length beyond has its own."""

    def is_same(self, n_before: int, n_after: int) -> bool:
        """Tell whether texts of two lengths turn alike."""
        if n_before == n_after or max(n_before, n_after) <= self.after:
            return True
        return not self.by_length and min(n_before, n_after) > self.after


@dataclass(frozen=True)
class Ways:
    """How a model wants to be run."""

    returns_weights: bool
    """Whether the family computes attention in a way of its own, so that the weights that it
    returns are all that is known of it."""
    continues: bool
    """Whether it goes on from a KV cache; otherwise every step runs all positions."""
    continues_by_many: bool
    """Whether it goes on from a KV cache by several tokens at once; some recurrent layers only take
    one."""
    shortens: bool
    """Whether its KV cache can be cut to fewer positions and used again."""
    stretches: tuple[Stretch, ...]
    """At which lengths queries and keys begin to turn in another way; empty for most models."""
    uncounted_id: int | None
    """A token whose presence makes a KV cache wrong: RoBERTa's padding gets no position of its own
    in a whole text, but one in a text that goes on."""
    has_tail: bool
    """Whether what comes after the last block can be run alone, on any vector of the stream."""
    names_positions: bool
    """Whether it must be told the positions when it goes on from a KV cache."""
    takes_positions: bool
    """Whether it can be told the positions of its tokens."""
    keeps_last_logits: bool
    """Whether it can compute the logits of the last position alone."""

    def same_rotation(self, n_before: int, n_after: int) -> bool:
        """Whether keys of a text of `n_before` tokens are those of one of `n_after` as well."""
        return all(stretch.is_same(n_before, n_after) for stretch in self.stretches)


@dataclass(frozen=True)
class Abilities(Ways):
    """What can be asked of one model."""

    layers: tuple[LayerAbilities, ...]
    embedding: ModuleFacts
    """What turns token IDs into vectors."""
    final_norm: ModuleFacts | None
    lm_head: ModuleFacts | None

    @property
    def told_apart(self) -> bool:
        """Whether in every layer it is known what each part adds to the stream."""
        return all(layer.parts for layer in self.layers)

    @property
    def feedforward_layers(self) -> tuple[int, ...]:
        """The layers that have a feedforward; a hybrid model may have others too."""
        return tuple(i for i, layer in enumerate(self.layers) if layer.has_feedforward)
