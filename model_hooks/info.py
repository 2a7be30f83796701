"""How large is a model, and how is it built? The facts that pages quote, read when it is loaded."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ModelInfo:
    """Sizes and architecture of one loaded model."""

    name: str
    """What the model was loaded as: a bundled name, a path or a Hub id."""
    family: str
    """The model type of transformers, such as `llama`."""
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int
    d_mlp: int | None
    """Width of the feedforward's hidden layer; of one expert in a mixture of experts."""
    vocab_size: int
    """Rows of the LM head: as many logits as the model computes."""
    context_size: int | None
    """Most positions the model accepts; None where nothing limits them."""
    position: str
    """`rope`, `learned`, `sinusoidal`, `alibi`, `relative` or `none`."""
    norm: str
    """`LayerNorm` or `RMSNorm`; another class name where it is neither."""
    norm_placement: str
    """`pre`, `post`, or `pre and post` where sublayers are normalised on both sides."""
    activation: str
    gated_mlp: bool
    parallel: bool
    """Whether attention and feedforward read the same input and are added together."""
    n_experts: int | None
    """Experts per feedforward layer, None without a mixture of experts."""
    experts_per_token: int | None
    sliding_window: tuple[int | None, ...]
    """Per layer: how many positions a query may look back, itself included; None if all."""
    attention_layers: tuple[int, ...]
    """Layers whose attention is recorded; in a hybrid, others mix positions in another way."""
    tied_embeddings: bool
    n_parameters: int
    dtype: str
    bytes_per_number: int
    """Of a weight."""
    device: str
    generation_settings: tuple[tuple[str, Any], ...] = ()
    """What the checkpoint's own `generation_config.json` asks for when a token is picked, beyond
    plain greedy decoding: transformers' names, each with a plain value."""
    quantisation: str | None = None
    """How the weights were stored in fewer bits, by llama.cpp's name such as `Q4_1`, before they
    were turned back into numbers of `dtype`; None if they were not."""
    adapter: str | None = None
    """What sits on the model, such as `LoRA, rank 8`, whether or not it is in these weights; None
    where there is no adapter."""
