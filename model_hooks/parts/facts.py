"""What is a block made of? Its norms, attention and feedforward, as plain values.

The names that the field has for them, and the block of 2017 to compare with.
"""

from dataclasses import dataclass
from typing import Literal

from model_hooks.parts.abilities import Wiring

Place = Literal[
    "before attention",
    "before feedforward",
    "before both",
    "after attention",
    "after feedforward",
    "on the sum after attention",
    "on the sum after feedforward",
    "on queries and keys",
    "inside mixing",
    "inside feedforward",
    "elsewhere",
]
"""Where a norm is: on what a part reads, on what it adds, or on the stream once it was added."""

AttentionKind = Literal["multi-head", "grouped-query", "multi-query", "latent"]


@dataclass(frozen=True)
class NormFacts:
    """One norm of a block."""

    place: Place
    kind: str
    """`LayerNorm` or `RMSNorm`; the class's name where it takes more than one vector."""
    path: str


@dataclass(frozen=True)
class AttentionFacts:
    """The attention of a block."""

    kind: AttentionKind
    n_heads: int
    n_kv_heads: int
    d_head: int
    window: int | None
    """How many positions a query may look back, itself included; None if all."""
    bias: bool
    path: str


@dataclass(frozen=True)
class FeedforwardFacts:
    """The feedforward of a block."""

    activation: str
    gated: bool
    width: int | None
    """Of the hidden layer; of one expert in a mixture of experts."""
    bias: bool
    n_experts: int | None
    experts_per_token: int | None
    shared_expert: bool
    """Whether one expert runs for every token beside the chosen ones."""

    @property
    def name(self) -> str:
        """The common name of activation and gate, such as `SwiGLU` (Shazeer 2020)."""
        return feedforward_name(self.activation, self.gated)


@dataclass(frozen=True)
class BlockFacts:
    """One block, in the order a token's vector meets its parts."""

    layer: int
    path: str
    wiring: Wiring
    norms: tuple[NormFacts, ...]
    attention: AttentionFacts | None
    """None in a recurrent or convolution layer."""
    mixer: str | None
    """Class of what mixes positions instead of attention; None if nothing does."""
    feedforward: FeedforwardFacts | None
    """None in a block that has none (some hybrids take turns)."""
    position: str
    """As in `ModelInfo`."""
    n_parameters: int
    n_biases: int
    """Of the parameters, those in learned biases; the biases of norms are among them."""

    def norms_at(self, *places: Place) -> tuple[NormFacts, ...]:
        """Return the norms at some places."""
        return tuple(norm for norm in self.norms if norm.place in places)

    @property
    def main_norms(self) -> tuple[NormFacts, ...]:
        """The norms on the way of the residual stream, without those inside a part."""
        return tuple(
            norm for norm in self.norms if norm.place.startswith(("before", "after", "on the sum"))
        )


ORIGINAL_2017 = BlockFacts(
    layer=0,
    path="",
    wiring="post",
    norms=(
        NormFacts("on the sum after attention", "LayerNorm", ""),
        NormFacts("on the sum after feedforward", "LayerNorm", ""),
    ),
    attention=AttentionFacts("multi-head", 8, 8, 64, None, False, ""),
    mixer=None,
    feedforward=FeedforwardFacts("relu", False, 2048, True, None, None, False),
    position="sinusoidal",
    n_parameters=4 * 512 * 512 + (2 * 512 * 2048 + 2048 + 512) + 2 * 2 * 512,
    n_biases=2048 + 512 + 2 * 512,
)
"""The block of the base model in "Attention Is All You Need" (Vaswani et al. 2017, sections 3.1 to
3.5 and table 3), without the attention to an encoder that a model with a decoder alone lacks.
Equation 2 gives the feedforward its biases; the projections of the heads are plain matrices."""


def feedforward_name(activation: str, gated: bool) -> str:
    """Return the common name of a feedforward's activation and gate."""
    known = activation.lower()
    for key, plain, with_gate in (
        ("relu2", "ReLU²", "gated ReLU²"),
        ("relu_squared", "ReLU²", "gated ReLU²"),
        ("gelu", "GELU", "GeGLU"),
        ("silu", "SiLU", "SwiGLU"),
        ("swish", "SiLU", "SwiGLU"),
        ("swiglu", "SwiGLU", "SwiGLU"),
        ("relu", "ReLU", "ReGLU"),
    ):
        if key in known:
            return with_gate if gated else plain
    return f"gated {activation}" if gated else activation


def active_share(facts: FeedforwardFacts) -> float:
    """Return the share of a mixture's experts that run for one token; 1 without a mixture."""
    if not facts.n_experts or not facts.experts_per_token:
        return 1.0
    return min(1.0, facts.experts_per_token / facts.n_experts)


def cache_numbers_per_token(n_kv_heads: int, d_key: int, d_value: int) -> int:
    """Return how many numbers one layer keeps per token: a key and a value per KV head."""
    return n_kv_heads * (d_key + d_value)
