"""What does each difference from 2017 mean, in numbers of the loaded model?"""

from collections.abc import Callable

from model_hooks.parts.differences import Difference, Topic
from model_hooks.parts.facts import ORIGINAL_2017, active_share, cache_numbers_per_token
from model_hooks.read.norms import mean_share, norm_operations
from model_hooks.read.recorded import vector
from pages.ask.computed import computed
from pages.block_architecture.scene import Scene
from viz.numbers import counted, percent, three_digits

WRITTEN: dict[Topic, str] = {
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

_vector = computed(vector)


def explain(difference: Difference, scene: Scene) -> str:
    """Explain one difference with numbers of the loaded model, as Markdown."""
    return EXPLANATIONS[difference.topic](scene)


def _norm_place(scene: Scene) -> str:
    facts = scene.facts
    if not facts.main_norms:
        return "In 2017, each sum was normalised. In this block no norm was found."
    first, last = scene.told("resid_pre", 0), scene.told("resid_post", scene.info.n_layers - 1)
    text = (
        "In 2017, each sum was normalised, so the vector had a fixed size again after every part, "
        "and everything below was rescaled each time. Here the **stream itself is never "
        f"normalised**: for token {scene.pos}, “{scene.token}”, it goes from size "
        f"{first} (embedding) to {last} (after the last block)."
    )
    if facts.norms_at("before attention", "before feedforward", "before both"):
        text += " Only the copy that a part reads is normalised."
    if facts.norms_at("after attention", "after feedforward"):
        text += (
            " What a part gives is normalised before it is added: here attention adds a vector of "
            f"size {scene.told('attn_out')}, the feedforward one of "
            f"{scene.told('mlp_out')}."
        )
    return text + (
        " So there is a straight road of additions from the loss back to the first block, and "
        "training can start without a slow warm-up: see **Norm before or after** below."
    )


def _norm_kind(scene: Scene) -> str:
    found = mean_share(_vector(*scene.asked, scene.layer, "resid_pre", scene.pos))
    kinds = " and ".join(dict.fromkeys(norm.kind for norm in scene.facts.main_norms))
    d_model = scene.info.d_model
    return (
        "LayerNorm subtracts a vector's mean, then divides by its standard deviation. RMSNorm only "
        f"divides by the root of the mean square: {norm_operations('RMSNorm')} operations per "
        f"number instead of {norm_operations('LayerNorm')}, and {d_model:,} learned numbers "
        f"instead of {2 * d_model:,}. This block uses {kinds}. What the mean is worth: in the "
        f"vector that enters this block at “{scene.token}” it is {three_digits(found.mean)}, which "
        "makes up "
        f"**{percent(found.share)}** of the vector's size."
    )


def _wiring(scene: Scene) -> str:
    return (
        "In 2017 the feedforward read what attention had just added. Here **both read the same "
        "vector** and their results are added together: their matrix products can run at the same "
        "time, but the feedforward must wait one block to see what attention brought. At token "
        f"{scene.pos}, attention adds a vector of size {scene.told('attn_out')}, the "
        f"feedforward one of size {scene.told('mlp_out')}."
    )


def _attention(scene: Scene) -> str:
    attention = scene.facts.attention
    assert attention is not None, "only a block with attention differs in it"
    if attention.kind == "latent":
        return (
            "Keys and values of all heads are squeezed through **one short vector per token** and "
            "unfolded again when needed (multi-head latent attention, DeepSeek-V2 2024): only that "
            f"short vector has to be kept. Attention has {attention.n_heads} heads here."
        )
    per_token = cache_numbers_per_token(attention.n_kv_heads, attention.d_head, attention.d_head)
    full = cache_numbers_per_token(attention.n_heads, attention.d_head, attention.d_head)
    shared = attention.n_heads // attention.n_kv_heads
    return (
        f"In 2017 each head had its own keys and values. Here {attention.n_heads} query heads "
        f"share {counted(attention.n_kv_heads, 'set')}: {shared} heads ask different questions of "
        f"the same keys. The KV cache keeps only **{per_token:,} numbers** per token and layer "
        f"instead of {full:,}: {three_digits(full / per_token)} times less to store and to load."
    )


def _window(scene: Scene) -> str:
    windows = scene.info.sliding_window
    limited = sum(window is not None for window in windows)
    return (
        f"In this layer a token reads at most the last **{windows[scene.layer]:,}** tokens "
        f"(itself included); {limited} of {len(windows)} layers are limited like this. Work and "
        "cache stop growing there. Older text still arrives, handed on from layer to layer."
    )


def _query_key(scene: Scene) -> str:
    norms = scene.facts.norms_at("on queries and keys")
    kinds = " and ".join(dict.fromkeys(norm.kind for norm in norms))
    return (
        f"Before a query is compared with a key, {kinds} brings both to a fixed size "
        f"({counted(len(norms), 'norm')} in this layer). So no score can become huge just because "
        "a vector is long, and training stays stable."
    )


def _positions(scene: Scene) -> str:
    position = scene.facts.position
    if position == "learned":
        n_learned = scene.parameters["position embedding"]
        return (
            "In 2017 each position had a fixed wave pattern. Here each position has a "
            f"**learned vector**, {n_learned:,} numbers in all, added once at the bottom. A "
            "position beyond the last learned one has no vector."
        )
    return _OTHER_POSITIONS.get(
        position, f"This model marks positions in another way ({position})."
    )


_OTHER_POSITIONS = {
    "rope": "In 2017 a wave pattern per position was added to each token's vector once, at the "
    "bottom. Here nothing is added: **inside attention**, each query and each key is turned by an "
    "angle that grows with its position, so that a score depends on how far apart the two are "
    "(RoPE, Su et al. 2021).",
    "alibi": "In 2017 a wave pattern per position was added at the bottom. Here every score gets "
    "a **penalty that grows with the distance** between query and key (ALiBi, Press et al. 2021); "
    "nothing is added to the vectors.",
    "relative": "In 2017 a wave pattern per position was added at the bottom. Here the scores "
    "depend on the **distance** between query and key by learned numbers.",
    "none": "In 2017 a wave pattern per position was added at the bottom. **No position signal "
    "was found here**: the causal mask, or layers of another kind, tell the order.",
}


def _activation(scene: Scene) -> str:
    feedforward = scene.facts.feedforward
    assert feedforward is not None, "only a block with a feedforward differs in it"
    return (
        "ReLU, the choice of 2017, lets positive numbers pass and turns negative ones into zero. "
        f"{feedforward.name} bends smoothly instead: slightly negative numbers leak through a "
        "little, so a neuron that is off still learns. See the curves, with this token's own "
        "numbers, below under **ReLU, GELU, SwiGLU**."
    )


def _gate(scene: Scene) -> str:
    feedforward, d_model = scene.facts.feedforward, scene.info.d_model
    assert feedforward is not None, "only a block with a feedforward differs in it"
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
    assert feedforward is not None, "only a block with a feedforward differs in it"
    chosen = feedforward.experts_per_token
    shared = " One more expert runs for every token." if feedforward.shared_expert else ""
    if not chosen:
        return f"The feedforward is split into **{feedforward.n_experts} experts**." + shared
    return (
        f"The feedforward is split into **{feedforward.n_experts} experts**, and a router sends "
        f"each token to {chosen} of them.{shared} So a token uses only "
        f"**{percent(active_share(feedforward))}** of the experts' weights: the model can know "
        "more "
        "without working more per token, but all of it has to fit into memory."
    )


def _biases(scene: Scene) -> str:
    facts = scene.facts
    text = (
        "A bias is a learned vector that is added after a product with a matrix. The block of 2017 "
        f"had {ORIGINAL_2017.n_biases:,} such numbers, in its feedforward and its norms; this one "
        f"has **{facts.n_biases:,}** of {facts.n_parameters:,} parameters."
    )
    if facts.n_biases < ORIGINAL_2017.n_biases:
        text += " Training can be more stable without them (PaLM, Chowdhery et al. 2022)."
    return text


def _mixing(scene: Scene) -> str:
    facts = scene.facts
    if facts.mixer is None:
        return "This block has a feedforward only: no token sees another one here."
    return (
        f"This layer has **no attention**: `{facts.mixer}` carries information from token to token "
        "in another way, usually by a state of fixed size that is updated at each token. It needs "
        "no cache that grows, but it cannot look up one earlier token exactly."
    )


EXPLANATIONS: dict[Topic, Callable[[Scene], str]] = {
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
