"""The block of the loaded model beside that of 2017, and what each difference means in numbers."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from model_hooks import HookedModel, ModelInfo, Trace
from model_hooks.parts.differences import Difference, attention_name, differences
from model_hooks.parts.facts import (
    ORIGINAL_2017,
    AttentionFacts,
    BlockFacts,
    active_share,
    cache_numbers_per_token,
)
from model_hooks.read.architecture import Part, block_facts, count_parameters
from pages.ask.session import hooked_model
from pages.state.selection import selection
from pages.widgets.controls import show_value
from viz.architecture import BlockPieces, Piece

D_MODEL_2017 = 512
PAPER = "[Vaswani et al. 2017](https://arxiv.org/abs/1706.03762)"
PICTURE_HELP = (
    "Read it from below. The thick line is the **residual stream**: one token's vector on its way "
    "through the model. A part reads it, works out something, and the **+** adds that to it. "
    "Numbers mark where the two blocks differ."
)
POSITIONS = {
    "rope": "rotary positions",
    "learned": "learned positions",
    "sinusoidal": "sinusoidal positions",
    "alibi": "ALiBi positions",
    "relative": "relative positions",
    "none": "no position signal",
}
WRITTEN = {
    "norm place": "Where it normalises",
    "wiring": "How parts are joined",
    "norm kind": "Kind of norm",
    "attention": "Heads",
    "window": "How far it looks back",
    "query and key norm": "Queries and keys",
    "positions": "Positions",
    "activation": "Activation",
    "gate": "Gate",
    "experts": "Experts",
    "biases": "Biases",
    "mixing": "Mixing",
}


@st.cache_resource(max_entries=4, show_spinner="Taking the block apart…")
def facts_of(model_name: str) -> tuple[BlockFacts, ...]:
    """Read what each block of a model is made of; shared between sessions."""
    return block_facts(hooked_model(model_name))


@st.cache_resource(max_entries=4, show_spinner=False)
def parameters_of(model_name: str) -> dict[Part, int]:
    """Count the parameters of each part; shared between sessions."""
    return count_parameters(hooked_model(model_name))


def pieces_of(
    facts: BlockFacts, d_model: int, numbers: dict[str, int] | None = None
) -> BlockPieces:
    """Put a block's facts into the boxes of the picture.

    Args:
        facts: The block.
        d_model: Width of the residual stream.
        numbers: Per topic of a difference, the number of its mark.
    """
    numbers = numbers or {}

    def marks(*topics: str) -> tuple[int, ...]:
        return tuple(numbers[topic] for topic in topics if topic in numbers)

    narrow = facts.wiring == "parallel"
    inside = facts.position not in ("learned", "sinusoidal")
    mixer = None
    if facts.attention is not None:
        topics = ("attention", "window", "query and key norm", *(("positions",) if inside else ()))
        title = attention_name(facts.attention).capitalize()
        mixer = Piece(
            title.replace(" attention", "<br>attention") if narrow else title,
            "<br>".join(_attention_lines(facts, facts.attention, narrow)),
            marks(*topics, *(("biases",) if facts.feedforward is None else ())),
        )
    elif facts.mixer is not None:
        mixer = Piece(facts.mixer, "mixes positions without attention", marks("mixing"))
    feedforward = None
    if (found := facts.feedforward) is not None:
        width = "" if found.width is None else f"{d_model:,} → {found.width:,} → {d_model:,}"
        lines = [width] if width else []
        if found.n_experts:
            chosen = found.experts_per_token or "some"
            lines.append(f"{chosen} of {found.n_experts} experts per token")
        if found.gated:
            lines.append("with a gate")
        feedforward = Piece(
            f"Feedforward:{'<br>' if narrow else ' '}{found.name}",
            "<br>".join(lines) if narrow else ", ".join(lines),
            marks("activation", "gate", "experts", "biases"),
        )
    norms = {
        norm.place: Piece(norm.kind, "", marks("norm place", "norm kind"))
        for norm in facts.main_norms
    }
    return BlockPieces(
        facts.wiring,
        mixer,
        feedforward,
        norms,
        enters="" if inside else f"a token's vector; {POSITIONS[facts.position]} were added once",
        marks=marks("wiring"),
        enters_marks=() if inside else marks("positions"),
    )


def _attention_lines(facts: BlockFacts, attention: AttentionFacts, narrow: bool) -> list[str]:
    n_heads, n_sets = attention.n_heads, attention.n_kv_heads
    lines = [f"{n_heads} heads"]
    if n_sets < n_heads:
        sets = f"{n_sets} KV head{'s' * (n_sets > 1)}"
        lines = [f"{n_heads} heads, {sets}" if narrow else f"{n_heads} query heads share {sets}"]
    if attention.window is not None:
        lines.append(f"the last {attention.window:,} tokens")
    if facts.norms_at("on queries and keys"):
        lines.append("queries and keys normalised")
    if facts.position not in ("learned", "sinusoidal"):
        lines.append(POSITIONS.get(facts.position, facts.position))
    return lines


def unread(facts: BlockFacts, info: ModelInfo) -> str | None:
    """Say in one sentence what of a block could not be read; None if all was."""
    if facts.wiring == "unknown":
        return (
            f"How the parts of this block ({info.family}) are joined could not be read from what "
            "they compute, so they are drawn unconnected. All else here was read from it."
        )
    elsewhere = [norm for norm in facts.norms if norm.place == "elsewhere"]
    if elsewhere:
        names = ", ".join(norm.path.rpartition(".")[2] for norm in elsewhere)
        return f"Not drawn, because its place could not be told: {names}."
    return None


def other_layers(all_facts: tuple[BlockFacts, ...], facts: BlockFacts) -> str:
    """Say how many blocks are built like this one."""
    same = [other for other in all_facts if _shape(other) == _shape(facts)]
    n_layers = len(all_facts)
    if len(same) == n_layers:
        return f"All {n_layers} blocks are built like this."
    others = n_layers - len(same)
    return (
        f"{len(same)} of {n_layers} blocks are built like this one; {others} "
        f"{'is' if others == 1 else 'are'} not: choose another layer to see."
    )


def _shape(facts: BlockFacts) -> tuple:
    """What two blocks have in common that are built alike."""
    attention = facts.attention
    return (
        facts.wiring,
        tuple((norm.place, norm.kind) for norm in facts.norms),
        attention and (attention.kind, attention.n_heads, attention.n_kv_heads, attention.window),
        facts.mixer,
        facts.feedforward,
    )


class Scene(NamedTuple):
    """What the explanations take their numbers from."""

    model: HookedModel
    trace: Trace
    facts: BlockFacts
    parameters: dict[Part, int]
    pos: int
    token: str

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return self.model.info.d_model

    def size(self, array: np.ndarray) -> float:
        """Length of one token's vector."""
        return float(np.linalg.norm(array[self.pos]))


def explain(difference: Difference, scene: Scene) -> str:
    """Explain one difference with numbers of the loaded model, as Markdown."""
    return _EXPLANATIONS[difference.topic](scene)


def _norm_place(scene: Scene) -> str:
    layers = scene.trace.layers
    first, last = scene.size(scene.trace.embedding), scene.size(layers[-1].resid_post)
    facts = scene.facts
    after = bool(facts.norms_at("after attention", "after feedforward"))
    before = bool(facts.norms_at("before attention", "before feedforward", "before both"))
    text = (
        "In 2017, each sum was normalised, so the vector had a fixed size again after every part, "
        "and everything below was rescaled each time. Here the **stream itself is never "
        f"normalised**: for token {scene.pos}, “{scene.token}”, it goes from size {first:.3g} "
        f"(embedding) to {last:.3g} (after the last block)."
    )
    if not facts.main_norms:
        return "In 2017, each sum was normalised. In this block no norm was found."
    if before:
        text += " Only the copy that a part reads is normalised."
    if after:
        recorded = layers[facts.layer]
        text += (
            " What a part gives is normalised before it is added: here attention adds a vector of "
            f"size {scene.size(recorded.attn_out):.3g}, the feedforward one of "
            f"{scene.size(recorded.mlp_out):.3g}."
        )
    return text + (
        " So there is a straight road of additions from the loss back to the first block, and "
        "training can start without a slow warm-up: see **Norm before or after** below."
    )


def _norm_kind(scene: Scene) -> str:
    vector = scene.trace.layers[scene.facts.layer].resid_pre[scene.pos].astype(float)
    size = float(np.linalg.norm(vector)) or 1.0
    share = abs(vector.mean()) * np.sqrt(len(vector)) / size
    kinds = " and ".join(dict.fromkeys(norm.kind for norm in scene.facts.main_norms))
    return (
        "LayerNorm subtracts a vector's mean, then divides by its standard deviation. RMSNorm only "
        f"divides by the root of the mean square: 4 operations per number instead of 7, and "
        f"{scene.d_model:,} learned numbers instead of {2 * scene.d_model:,}. This block uses "
        f"{kinds}. What the mean is worth: in the vector that enters this block at “{scene.token}” "
        f"it is {vector.mean():.3g}, which makes up **{share:.1%}** of the vector's size."
    )


def _wiring(scene: Scene) -> str:
    recorded = scene.trace.layers[scene.facts.layer]
    return (
        "In 2017 the feedforward read what attention had just added. Here **both read the same "
        "vector** and their results are added together: their matrix products can run at the same "
        "time, but the feedforward must wait one block to see what attention brought. At token "
        f"{scene.pos}, attention adds a vector of size {scene.size(recorded.attn_out):.3g}, the "
        f"feedforward one of size {scene.size(recorded.mlp_out):.3g}."
    )


def _attention(scene: Scene) -> str:
    attention = scene.facts.attention
    if attention.kind == "latent":
        return (
            "Keys and values of all heads are squeezed through **one short vector per token** and "
            "unfolded again when needed (multi-head latent attention, DeepSeek-V2 2024): only that "
            f"short vector has to be kept. Attention has {attention.n_heads} heads here."
        )
    per_token = cache_numbers_per_token(attention)
    full = 2 * attention.n_heads * attention.d_head
    shared = attention.n_heads // attention.n_kv_heads
    return (
        f"In 2017 each head had its own keys and values. Here {attention.n_heads} query heads "
        f"share {attention.n_kv_heads} sets: {shared} heads ask different questions of the same "
        f"keys. The KV cache keeps only **{per_token:,} numbers** per token and layer instead of "
        f"{full:,}: {full / per_token:.3g} times less to store and to load."
    )


def _window(scene: Scene) -> str:
    windows = scene.model.info.sliding_window
    limited = sum(window is not None for window in windows)
    return (
        f"In this layer a token reads at most the last **{scene.facts.attention.window:,}** tokens "
        f"(itself included); {limited} of {len(windows)} layers are limited like this. Work and "
        "cache stop growing there. Older text still arrives, handed on from layer to layer."
    )


def _query_key(scene: Scene) -> str:
    norms = scene.facts.norms_at("on queries and keys")
    kinds = " and ".join(dict.fromkeys(norm.kind for norm in norms))
    return (
        f"Before a query is compared with a key, {kinds} brings both to a fixed size ({len(norms)} "
        "norms in this layer). So no score can become huge just because a vector is long, and "
        "training stays stable."
    )


def _positions(scene: Scene) -> str:
    facts = scene.facts
    n_learned = scene.parameters["position embedding"]
    return {
        "rope": "In 2017 a wave pattern per position was added to each token's vector once, at the "
        "bottom. Here nothing is added: **inside attention**, each query and each key is turned by "
        "an angle that grows with its position, so that a score depends on how far apart the two "
        "are (RoPE, Su et al. 2021).",
        "learned": "In 2017 each position had a fixed wave pattern. Here each position has a "
        f"**learned vector**, {n_learned:,} numbers in all, added once at the bottom. A position "
        "beyond the last learned one has no vector.",
        "alibi": "In 2017 a wave pattern per position was added at the bottom. Here every score "
        "gets a **penalty that grows with the distance** between query and key (ALiBi, Press et "
        "al. 2021); nothing is added to the vectors.",
        "relative": "In 2017 a wave pattern per position was added at the bottom. Here the scores "
        "depend on the **distance** between query and key by learned numbers.",
        "none": "In 2017 a wave pattern per position was added at the bottom. **No position signal "
        "was found here**: the causal mask, or layers of another kind, tell the order.",
    }.get(facts.position, f"This model marks positions in another way ({facts.position}).")


def _activation(scene: Scene) -> str:
    name = scene.facts.feedforward.name
    return (
        "ReLU, the choice of 2017, lets positive numbers pass and turns negative ones into zero. "
        f"{name} bends smoothly instead: slightly negative numbers leak through a little, so a "
        "neuron that is off still learns. See the curves, with this token's own numbers, below "
        "under **ReLU, GELU, SwiGLU**."
    )


def _gate(scene: Scene) -> str:
    feedforward, d_model = scene.facts.feedforward, scene.d_model
    if feedforward.width is None:
        return "Each neuron's value is multiplied by a second one, the gate."
    weights, plain = 3 * d_model * feedforward.width, round(1.5 * feedforward.width)
    experts = "Each expert" if feedforward.n_experts else "The feedforward"
    return (
        "Each neuron gets **two** products with the token's vector; one goes through the "
        "activation and becomes a gate that the other is multiplied by (Shazeer 2020). That takes "
        f"a third matrix. {experts} has 3 x {d_model:,} x {feedforward.width:,} = **{weights:,} "
        f"weights**; without a gate, as many would have made {plain:,} neurons of "
        f"{feedforward.width:,}."
    )


def _experts(scene: Scene) -> str:
    feedforward = scene.facts.feedforward
    chosen = feedforward.experts_per_token
    shared = " One more expert runs for every token." if feedforward.shared_expert else ""
    if not chosen:
        return f"The feedforward is split into **{feedforward.n_experts} experts**." + shared
    return (
        f"The feedforward is split into **{feedforward.n_experts} experts**, and a router sends "
        f"each token to {chosen} of them.{shared} So a token uses only "
        f"**{active_share(feedforward):.0%}** of the experts' weights: the model can know more "
        "without working more per token, but all of it has to fit into memory."
    )


def _biases(scene: Scene) -> str:
    facts = scene.facts
    fewer = facts.n_biases < ORIGINAL_2017.n_biases
    why = " Training can be more stable without them (PaLM, Chowdhery et al. 2022)."
    return (
        "A bias is a learned vector that is added after a product with a matrix. The block of 2017 "
        f"had {ORIGINAL_2017.n_biases:,} such numbers, in its feedforward and its norms; this one "
        f"has **{facts.n_biases:,}** of {facts.n_parameters:,} parameters."
    ) + (why if fewer else "")


def _mixing(scene: Scene) -> str:
    facts = scene.facts
    if facts.mixer is None:
        return "This block has a feedforward only: no token sees another one here."
    return (
        f"This layer has **no attention**: `{facts.mixer}` carries information from token to token "
        "in another way, usually by a state of fixed size that is updated at each token. It needs "
        "no cache that grows, but it cannot look up one earlier token exactly."
    )


_EXPLANATIONS: dict[str, Callable[[Scene], str]] = {
    "norm place": _norm_place,
    "norm kind": _norm_kind,
    "wiring": _wiring,
    "attention": _attention,
    "window": _window,
    "query and key norm": _query_key,
    "positions": _positions,
    "activation": _activation,
    "gate": _gate,
    "experts": _experts,
    "biases": _biases,
    "mixing": _mixing,
}


def pick_difference(found: tuple[Difference, ...], key: str) -> int:
    """Let the user choose a difference; return its place in the list."""
    options = list(range(1, len(found) + 1))
    known = st.session_state.get(key)
    show_value(key, known if known in options else options[0])
    chosen = st.segmented_control(
        "What changed since 2017",
        options,
        format_func=lambda number: f"{number} · {WRITTEN[found[number - 1].topic]}",
        required=True,
        wrap=True,
        key=key,
        help="Each number is a mark in the picture of the loaded model's block.",
    )
    return chosen - 1


def numbers_of(facts: BlockFacts) -> tuple[tuple[Difference, ...], dict[str, int]]:
    """Return a block's differences from that of 2017, and the number of each one's mark."""
    found = differences(facts)
    return found, {difference.topic: number for number, difference in enumerate(found, 1)}


def differences_frame(found: tuple[Difference, ...], facts: BlockFacts) -> pd.DataFrame:
    """List the differences for a file."""
    model = selection().model
    return pd.DataFrame(
        [
            {"model": model, "layer": facts.layer, "what": WRITTEN[d.topic], "2017": d.then,
             "this block": d.now}
            for d in found
        ]
    )  # fmt: skip


PART_NOTES: dict[Part, str] = {
    "token embedding": "one vector per token of the vocabulary",
    "position embedding": "one vector per position",
    "attention": "query, key, value and output projections of all blocks",
    "other mixing": "recurrent or convolution layers",
    "feedforward": "all blocks; of a mixture, all experts",
    "norms": "weights (and biases) of all norms",
    "LM head": "from the last vector to one score per token",
    "other": "parts that belong to none of these",
}


def parts_frame(parameters: dict[Part, int]) -> pd.DataFrame:
    """List the parameters per part, the largest first, without parts that the model lacks."""
    counted = sorted(((n, part) for part, n in parameters.items() if n), reverse=True)
    return pd.DataFrame(
        {"part": [part for _, part in counted], "parameters": [n for n, _ in counted]}
    )


def parts_line(info: ModelInfo, parameters: dict[Part, int]) -> str:
    """Say whether the parts add up to the whole model."""
    total = sum(parameters.values())
    same = total == info.n_parameters
    sign = ":material/check_circle: Checked" if same else ":material/warning: Not equal"
    tied = (
        " The LM head uses the token embedding's numbers again, so they count once."
        if info.tied_embeddings
        else ""
    )
    return f"{sign}: the parts add up to {total:,}, the model has {info.n_parameters:,}.{tied}"
