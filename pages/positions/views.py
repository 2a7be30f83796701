"""What the Positions page says and works out about one model: long helpers of `positions.py`."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

import model_hooks
from model_hooks import HookedModel, Trace
from model_hooks.errors import InlookError
from model_hooks.read.positions import Positions, PositionTable, positions_of, queries_and_keys
from model_hooks.read.rotation import Rotation
from pages.ask.session import hooked_model, token_ids_of
from pages.widgets.controls import number_of, pick_head, pick_layer, pick_position
from pages.widgets.next_pages import link_pages
from pages.text import escape_markdown, visible
from viz.rotation import TurnedPair, chosen_pairs, turn_length

TRAINED_AT = {"twin": 128}
"""Length of the texts that bundled models saw in training, by the beginning of their names, where
it is less than the context (training/configs)."""
SPAN = 64
"""How many positions the slider moves a query."""
KEY, CHOSEN = "positions_key", "positions_key.chosen"
TURNED, PAIRS, WAVES = "Turn a query and a key", "Which pairs matter", "Wavelengths"
VECTORS, BIAS = "One vector per position", "A bias by distance"
SWAP, SHIFT, LONGER = "Swap two tokens", "Move the text", "Longer texts"

QUERY_ALONE, BOTH = "the query alone", "query and key together"

HELP = {
    TURNED: (
        "The numbers of a query and of a key are taken in **pairs**. Each pair is an arrow in a "
        "plane, and the token's position says how far it is turned: the first pair fast, the last "
        "one slowly. The score sums, over all pairs, how well the two arrows agree. (Su et al. "
        "2021, *RoFormer*, section 3.2.2)"
    ),
    PAIRS: (
        "The score of a query and a key is a sum with one term per pair. Pairs that turn fast can "
        "tell neighbours apart; pairs that turn slowly carry what a token means, almost wherever "
        "it stands."
    ),
    WAVES: (
        "Pair $j$ of $d$ rotated dimensions turns by $\\theta_j = b^{-2j/d}$ per position; $b$ is "
        "the **base** (Su et al. 2021, section 3.2.2). Its **wavelength** $2\\pi/\\theta_j$ is how "
        "many tokens one full turn takes."
    ),
    VECTORS: (
        "Before the first layer, the model adds the vector of its position to every token's "
        "vector. **Cosine** tells how alike two of these vectors are: 1 is the same direction, 0 "
        "is unrelated."
    ),
    BIAS: (
        "A text that repeats one token gives every key the same content. Attention would spread "
        "evenly; whatever differs is what this model adds to a score by distance alone."
    ),
    SWAP: (
        "The same tokens in another order. Whatever changes in the prediction, the model knows "
        "from their positions."
    ),
    SHIFT: (
        "The text stays the same, but its first token is said to stand at position n instead of 0 "
        "(`position_ids`). Distances between tokens stay as they are."
    ),
    LONGER: (
        "How well each token of a long text is predicted from those before it: a low **loss** "
        "means few surprises. A text longer than those a model was trained on shows it positions "
        "or distances that it never saw."
    ),
}


def trained_length(model: HookedModel) -> int:
    """Return the length of the texts that a model was trained on, as far as it is known."""
    name = model.info.name
    for beginning, length in TRAINED_AT.items():
        if name.startswith(beginning) and name in model_hooks.bundled_models():
            return length
    return model.info.context_size or 512


class Pair(NamedTuple):
    """One query and one key of the prompt, unturned: as they were before RoPE."""

    layer: int
    head: int
    query_pos: int
    key_pos: int
    query: Float[np.ndarray, "d_head"]
    key: Float[np.ndarray, "d_head"]
    scale: float
    """What their product is multiplied with; 1 where that is not known."""
    measure: str
    """`score`, or `product of query and key` where the scale is not known."""
    recorded: float
    """The score that the model computed."""
    turn_error: float
    """Largest difference between the recorded vectors and the unturned ones turned again."""


@st.cache_resource(max_entries=4, show_spinner="Trying the model at several positions…")
def facts_of(model_name: str) -> Positions:
    """Find out what tells a model the order of its words."""
    return positions_of(hooked_model(model_name))


def answer(model: HookedModel, facts: Positions) -> str:
    """Say in a few sentences how this model knows the order of words."""
    name = f"**{escape_markdown(model.info.name)}**"
    ahead = (
        " Besides, each token reads only what comes before it, which alone gives away some of the "
        "order."
    )
    if facts.kind == "rotary":
        return f"{name} **turns its queries and keys** (rotary positions, RoPE): " + _rotary(facts)
    if facts.kind in ("learned", "sinusoidal"):
        how = "learned in training" if facts.kind == "learned" else "made of sines and cosines"
        rows = ""
        if facts.table is not None:
            rows = f" There are {len(facts.table.vectors):,}, one per position."
        return (
            f"{name} **adds a vector per position** to each token's vector ({facts.kind} absolute "
            f"positions). They are {how}.{rows} It uses no rotation."
        )
    if facts.kind == "alibi":
        return (
            f"{name} **lowers the score of a key by its distance** (ALiBi, Press et al. 2022): "
            "nothing is added to vectors and nothing is turned; a key further back simply starts "
            "with less."
        )
    if facts.kind == "relative":
        return (
            f"{name} **adds something to each score that depends on the distance** between query "
            "and key (a relative position bias). It uses no rotation."
        )
    if facts.kind == "none":
        elsewhere = len(model.info.attention_layers) < model.info.n_layers
        other = (
            " Its other layers, which are not attention, read the text in order."
            if elsewhere
            else ahead
        )
        return f"{name} **tells its attention nothing about positions**.{other}"
    return f"How {name} knows the order of words could not be found out."


def _rotary(facts: Positions) -> str:
    rotation = next((r for r in facts.rotations if r is not None), None)
    if rotation is None:
        return "the angle grows with the token's position."
    share = (
        f"all {rotation.d_head} numbers of a head"
        if rotation.n_rotated == rotation.d_head
        else f"{rotation.n_rotated} of the {rotation.d_head} numbers of a head"
    )
    joined = (
        "neighbours form a pair"
        if rotation.pairing == "interleaved"
        else f"number j forms a pair with number j + {rotation.n_pairs}"
    )
    text = (
        f"{share} take part, {joined}, and each pair is turned by an angle that grows with the "
        "token's position."
    )
    if facts.base:
        text += f" Base {facts.base:,.0f}"
        stretched = facts.rope_type not in (None, "default")
        text += f", stretched for long texts (`{facts.rope_type}`)." if stretched else "."
    if facts.n_without:
        bare = [i for i, kind in enumerate(facts.layers) if kind == "none"]
        some = ", ".join(map(str, bare[:8])) + (", …" if len(bare) > 8 else "")
        text += (
            f" **{facts.n_without} of its layers go without** ({some}): there, attention is told "
            "nothing about positions."
        )
    return text


def how_found(facts: Positions) -> str:
    """Say where the answer comes from."""
    if not facts.measured:
        return ":material/info: Read from the model's configuration."
    start = ":material/check_circle: Found by running single tokens at other positions."
    if any(facts.rotations):
        error = max(rotation.error for rotation in facts.rotations if rotation is not None)
        return (
            f"{start} The rotation found reproduces their queries and keys to {error:.0e} of their "
            "length."
        )
    if facts.table is not None:
        return f"{start} The vectors are the rows of `{facts.table.path}`."
    if facts.bias is not None:
        return f"{start[:-1]}, and a text that repeats one token."
    return start


def tabs_of(facts: Positions) -> list[str]:
    """Return the deeper views that this model has."""
    own: list[str] = []
    if any(facts.rotations):
        own = [TURNED, PAIRS, WAVES]
    elif facts.table is not None:
        own = [VECTORS]
    elif facts.kind in ("alibi", "relative") and facts.bias is not None:
        own = [BIAS]
    return [*own, SWAP, SHIFT, LONGER]


def pick_pair(
    model: HookedModel, model_name: str, trace: Trace, labels: Sequence[str], facts: Positions
) -> tuple[Pair, Rotation] | None:
    """Let the reader choose a query and a key of one head; None, with a sentence, if it cannot."""
    left, right = st.columns(2)
    with left:
        layer = pick_layer(model.info, key="positions.layer", only_attention=True)
        head = pick_head(model.info, key="positions.head")
    with right:
        query = pick_position(trace.tokens, key="positions.pos", label="Query token")
        key = _pick_key(labels, query)
    rotation = facts.rotations[layer]
    if rotation is None or head is None:
        st.info(
            f"Layer {layer} turns nothing: its attention is told nothing about positions. Choose "
            "another layer.",
            icon=":material/info:",
        )
        return None
    compared = compared_at(model_name, tuple(int(i) for i in trace.token_ids), 0)[layer]
    if compared is None:
        st.info("This layer keeps its queries and keys to itself.", icon=":material/info:")
        return None
    kv_head = head * compared.key.shape[1] // compared.query.shape[1]
    turned = compared.query[0, head, query], compared.key[0, kv_head, key]
    unturned = rotation.turned(turned[0], -query), rotation.turned(turned[1], -key)
    again = rotation.turned(unturned[0], query), rotation.turned(unturned[1], key)
    known = trace.layers[layer].scale
    scale, measure = (known, "score") if known else (1.0, "product of query and key")
    product = float(turned[0].astype(np.float64) @ turned[1].astype(np.float64))
    gaps = [float(np.abs(a - b).max()) for a, b in zip(again, turned, strict=True)]
    return (
        Pair(layer, head, query, key, *unturned, scale, measure, scale * product, max(gaps)),
        rotation,
    )


def _pick_key(labels: Sequence[str], query: int) -> int:
    chosen = st.session_state.get(CHOSEN)
    st.session_state[KEY] = max(0, query - 1) if chosen is None or chosen > query else chosen

    def keep() -> None:
        st.session_state[CHOSEN] = number_of(KEY)

    return st.selectbox(
        "Key token",
        range(query + 1),
        key=KEY,
        format_func=lambda pos: f"{pos}: {labels[pos]}",
        help="Which earlier token the query is compared with.",
        on_change=keep,
    )


@st.cache_resource(max_entries=8, show_spinner=False)
def compared_at(model_name: str, token_ids: tuple[int, ...], first: int) -> tuple:
    """Return the queries and keys of every layer, the text beginning at position `first`."""
    return queries_and_keys(hooked_model(model_name), list(token_ids), first)


def slider_of(
    pair: Pair, rotation: Rotation, both: bool
) -> tuple[list[TurnedPair], Float[np.ndarray, "step"], list[int], int]:
    """Work out what the slider moves: arrows, scores, its steps, and where it begins."""
    moved = np.arange(SPAN + 1)
    if both:
        queries, keys, steps = pair.query_pos + moved, pair.key_pos + moved, moved
        start = 0
    else:
        queries, keys = pair.key_pos + moved, np.full(SPAN + 1, pair.key_pos)
        steps, start = queries, min(pair.query_pos - pair.key_pos, SPAN)
    scores = pair.scale * rotation.products_at(pair.query, pair.key, queries, keys)
    turned_query = rotation.pair_values(rotation.turned(pair.query, queries))
    turned_key = rotation.pair_values(rotation.turned(pair.key, keys))
    waves = rotation.wavelengths
    pairs = [
        TurnedPair(
            f"{j}: {turn_length(waves[j]).removesuffix(' tokens')}",
            np.stack([turned_query[:, j].real, turned_query[:, j].imag], -1),
            np.stack([turned_key[:, j].real, turned_key[:, j].imag], -1),
        )
        for j in chosen_pairs(rotation.n_pairs)
    ]
    return pairs, scores, [int(step) for step in steps], start


def slider_frame(
    scores: Float[np.ndarray, "step"], steps: Sequence[int], moved: str
) -> pd.DataFrame:
    """Tabulate the scores that the slider runs through."""
    return pd.DataFrame({moved: steps, "score": scores})


USE_HELP = (
    "A pair adds at most the product of its two lengths to a score. The cells show each pair's "
    "share of that, averaged over all queries of the prompt and the keys they may read (the "
    "measure of Barbero et al. 2024, *Round and Round We Go!*)."
)
_BASES = (1_000, 10_000, 100_000, 500_000, 1_000_000, 10_000_000)
FAR = 64
"""How many positions the whole prompt is moved for the check in the model itself."""


def circles_note(rotation: Rotation, n_shown: int) -> str:
    """Say what the circles show."""
    which = "" if n_shown == rotation.n_pairs else f" ({n_shown} of {rotation.n_pairs} are shown)"
    return (
        f"Each circle is a pair of dimensions{which}; above it, its number and how many tokens one "
        "turn takes. Long arrows count more: lengths follow the square root of the pair's length."
    )


def move_sentence(
    scores: Float[np.ndarray, "step"],
    steps: Sequence[int],
    start: int,
    both: bool,
    labels: Sequence[str],
    pair: Pair,
) -> str:
    """Say what moving does to the score."""
    names = (
        f"“:blue[{escape_markdown(labels[pair.query_pos])}]”",
        f"“:orange[{escape_markdown(labels[pair.key_pos])}]”",
    )
    if both:
        change = float(np.abs(scores - scores[start]).max())
        return (
            f"**Move both, nothing changes.** {names[0]} and {names[1]} stay "
            f"{pair.query_pos - pair.key_pos} apart. Every arrow turns, yet over {steps[-1]} "
            f"positions the {pair.measure} changes by at most **{change:.0e}**, which is rounding."
        )
    return (
        f"**Move one, and the {pair.measure} changes**: between {scores.min():.3f} and "
        f"{scores.max():.3f} while {names[0]} moves from the place of {names[1]} to "
        f"{len(steps) - 1} positions after it. In the prompt it stands at {pair.query_pos}, and "
        f"it is {pair.recorded:.3f}."
    )


def shift_check(model: HookedModel, model_name: str, trace: Trace, pair: Pair) -> str:
    """Compare the score with the model's own, recorded with the whole prompt moved."""
    exact = (
        f"The model recorded {pair.recorded:.5f}; query and key turned back to position 0 and "
        f"forward again differ from the recorded ones by at most {pair.turn_error:.0e}."
    )
    size = model.info.context_size
    by = FAR if size is None else min(FAR, size - len(trace))
    if by < 1:
        return f":material/check_circle: {exact}"
    ids = tuple(int(i) for i in trace.token_ids)
    try:
        compared = compared_at(model_name, ids, by)[pair.layer]
    except InlookError:
        return f":material/check_circle: {exact}"
    kv_head = pair.head * compared.key.shape[1] // compared.query.shape[1]
    query = compared.query[0, pair.head, pair.query_pos].astype(np.float64)
    key = compared.key[0, kv_head, pair.key_pos].astype(np.float64)
    gap = abs(pair.scale * float(query @ key) - pair.recorded)
    return (
        f":material/check_circle: {exact} With the whole prompt {by} positions further on, the "
        f"model itself computes a {pair.measure} that differs by {gap:.0e}."
    )


def formula() -> None:
    """Write down what is turned and why only the distance counts."""
    st.latex(
        r"{\color{#3b82c4}q}_m \cdot {\color{#d9702b}k}_n = \sum_j |{\color{#3b82c4}q}_j|\,"
        r"|{\color{#d9702b}k}_j| \cos\big(\varphi_j + (m - n)\,\theta_j\big)"
    )
    st.markdown(
        r"$m$ and $n$ are the positions of query and key, $\theta_j$ is how far pair $j$ turns "
        r"per position, and $\varphi_j$ is the angle between the two arrows before they are "
        r"turned. Only $m - n$ is left. (Su et al. 2021, *RoFormer*, equations 14 to 16)"
    )


def terms_of(pair: Pair, rotation: Rotation) -> tuple[Float[np.ndarray, "pair"], float | None]:
    """Return what each pair adds to the score, and what the dimensions without rotation add."""
    query = rotation.turned(pair.query, pair.query_pos)
    key = rotation.turned(pair.key, pair.key_pos)
    rest = pair.scale * rotation.rest_product(query, key) if len(rotation.untouched) else None
    return pair.scale * rotation.pair_products(query, key), rest


def terms_sentence(
    terms: Float[np.ndarray, "pair"], rest: float | None, pair: Pair, labels: Sequence[str]
) -> str:
    """Say what the terms sum to, and what the model recorded."""
    total = float(terms.sum()) + (rest or 0.0)
    others = "" if rest is None else " and the rest"
    distance = pair.query_pos - pair.key_pos
    return (
        f"The {pair.measure} of “:blue[{escape_markdown(labels[pair.query_pos])}]” for "
        f"“:orange[{escape_markdown(labels[pair.key_pos])}]”, {distance} back, "
        f"is the sum of {len(terms)} pairs{others}: {total:.4f}. The model recorded "
        f"{pair.recorded:.4f}."
    )


def terms_frame(
    terms: Float[np.ndarray, "pair"], rest: float | None, rotation: Rotation
) -> pd.DataFrame:
    """Tabulate what each pair adds."""
    frame = pd.DataFrame(
        {
            "pair": [str(j) for j in range(len(terms))],
            "first_dimension": rotation.pairs[:, 0],
            "second_dimension": rotation.pairs[:, 1],
            "tokens_per_turn": rotation.wavelengths,
            "adds": terms,
        }
    )
    if rest is not None:
        frame = pd.concat([frame, pd.DataFrame({"pair": ["rest"], "adds": [rest]})])
    return frame


@st.cache_resource(max_entries=16, show_spinner=False)
def use_of(
    model_name: str, token_ids: tuple[int, ...], layer: int
) -> Float[np.ndarray, "head pair"]:
    """Return how much each head of a layer uses each pair; shared between sessions."""
    compared = compared_at(model_name, token_ids, 0)
    return pair_use_of(compared, facts_of(model_name).rotations[layer], layer)


def use_frame(use: Float[np.ndarray, "head pair"], rotation: Rotation) -> pd.DataFrame:
    """Tabulate how much each head uses each pair."""
    n_heads, n_pairs = use.shape
    return pd.DataFrame(
        {
            "head": np.repeat(np.arange(n_heads), n_pairs),
            "pair": np.tile(np.arange(n_pairs), n_heads),
            "tokens_per_turn": np.tile(rotation.wavelengths, n_heads),
            "share": use.ravel(),
        }
    )


def pick_rotation(model: HookedModel, facts: Positions) -> Rotation | None:
    """Return the rotation of all layers, or let the reader choose a layer where they differ."""
    found = [rotation for rotation in facts.rotations if rotation is not None]
    same = all(
        len(rotation.frequencies) == len(found[0].frequencies)
        and np.allclose(rotation.frequencies, found[0].frequencies, rtol=1e-3, atol=1e-6)
        for rotation in found
    )
    if same:
        return found[0]
    layer = pick_layer(model.info, key="positions.layer", only_attention=True)
    if facts.rotations[layer] is None:
        st.info(f"Layer {layer} turns nothing.", icon=":material/info:")
    return facts.rotations[layer]


def other_bases(rotation: Rotation, facts: Positions) -> dict[str, Float[np.ndarray, "pair"]]:
    """Let the reader choose bases to compare with; return their wavelengths."""
    chosen = st.multiselect(
        "Compare with base",
        _BASES,
        key="positions.bases",
        format_func=lambda base: f"{base:,}",
        max_selections=2,
        help="The same number of pairs with another base, by the formula of RoFormer. Models for "
        "long texts use larger ones: their slow pairs turn more slowly still.",
    )
    exponents = -2 * np.arange(rotation.n_pairs) / (2 * rotation.n_pairs)
    return {f"base {base:,}": 2 * np.pi / float(base) ** exponents for base in chosen}


def wave_sentence(rotation: Rotation, context_size: int | None) -> str:
    """Say how fast the fastest and the slowest pair turn, and which never come around."""
    finite = rotation.wavelengths[np.isfinite(rotation.wavelengths)]
    text = (
        f"The fastest pair turns once in {turn_length(float(finite.min()))}, the slowest in "
        f"{turn_length(float(finite.max()))}."
    )
    if context_size:
        slow = int((rotation.wavelengths > context_size).sum())
        text += (
            f" {slow} of {rotation.n_pairs} pairs never come around within the context of "
            f"{context_size:,} tokens: in a longer text they reach angles that training never "
            "showed."
        )
    return text


def table_sentence(table: PositionTable, trained: int) -> str:
    """Say how alike the vectors of neighbours are, and how far that reaches."""
    vectors = table.vectors[:trained].astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    parts = []
    for distance in (1, 16, 64):
        if distance < len(unit):
            cosine = float((unit[:-distance] * unit[distance:]).sum(-1).mean())
            parts.append(f"{cosine:.2f} at distance {distance}")
    text = f"Mean cosine of two positions: {', '.join(parts)}." if parts else ""
    if trained < len(table.vectors):
        text += (
            f" The model was trained on texts of {trained} tokens: the vectors from position "
            f"{trained} on are still as random as they were at first."
        )
    if table.offset:
        text += f" The first {table.offset} rows of the table are not positions."
    if table.exact:
        text += (
            " Checked: moving a token changes what enters the first block by exactly the "
            "difference of two rows."
        )
    return text


def bias_sentence(facts: Positions, head: int) -> str:
    """Say what a head loses with distance."""
    if facts.slopes is None:
        return "The bias was measured in the first layer; it follows no straight line."
    slope = float(facts.slopes[head])
    return (
        f"Head {head} takes **{slope:.4f}** off a score per token of distance: a key 16 tokens "
        f"back must score {16 * slope:.2f} more to be read as much. Heads with a small slope see "
        "far, heads with a large one see their neighbourhood."
    )


def pair_use_of(
    compared: Sequence, rotation: Rotation, layer: int
) -> Float[np.ndarray, "head pair"]:
    """Return, per head, the share of its scores' largest possible size that each pair holds.

    A pair adds at most the product of its two lengths to a score. This product, averaged over all
    queries and the keys they may read, tells how much a head uses the pair (Barbero et al. 2024,
    "Round and Round We Go! What makes Rotary Positional Encodings useful?", section 3). What the
    dimensions without rotation can add counts in the whole, so that rows may sum to less than 1.
    """
    query, key = compared[layer].query[0], compared[layer].key[0]
    group = query.shape[0] // key.shape[0]
    key = np.repeat(key, group, 0)
    lengths = []
    for vectors in (query, key):
        pairs = np.abs(rotation.pair_values(vectors))
        rest = np.linalg.norm(vectors[..., rotation.untouched], axis=-1)
        lengths.append(np.concatenate([pairs, rest[..., None]], -1))
    # Each query meets the keys up to its own position.
    use = (lengths[0] * np.cumsum(lengths[1], 1)).sum(1)
    total = use.sum(-1, keepdims=True)
    return np.divide(use, total, out=np.zeros_like(use), where=total > 0)[:, :-1]


def use_sentence(use: Float[np.ndarray, "head pair"], rotation: Rotation, head: int) -> str:
    """Say which pairs a head uses most."""
    order = np.argsort(-use[head])[:3]
    named = ", ".join(
        f"**pair {j}** ({use[head, j]:.0%}, one turn in {turn_length(rotation.wavelengths[j])})"
        for j in order
    )
    return f"Head {head} works most with {named}."


def swapped(token_ids: Sequence[int], first: int, second: int) -> list[int]:
    """Return the tokens with two of them in each other's place."""
    ids = [int(i) for i in token_ids]
    ids[first], ids[second] = ids[second], ids[first]
    return ids


def shuffled(token_ids: Sequence[int], n_fixed: int, seed: int) -> list[int]:
    """Return the tokens in random order, except for the first `n_fixed` and the last one."""
    ids = [int(i) for i in token_ids]
    inner = np.array(ids[n_fixed:-1], dtype=np.int64)
    mixed = np.random.default_rng(seed).permutation(inner)
    return [*ids[:n_fixed], *(int(i) for i in mixed), *ids[-1:]]


def n_special(model_name: str, prompt: str) -> int:
    """Return how many tokens the tokenizer puts before every text."""
    model = hooked_model(model_name)
    plain = model.tokenizer(prompt, add_special_tokens=False, verbose=False)["input_ids"]
    return max(0, len(token_ids_of(model_name, prompt)) - len(plain))


def moved_share(before: Float[np.ndarray, "vocab"], after: Float[np.ndarray, "*n vocab"]) -> float:
    """Return how much probability went to other tokens, from 0 to 1 (total variation distance)."""
    return 0.5 * np.abs(after - before).sum(-1)


def change_sentence(
    model: HookedModel,
    before: Float[np.ndarray, "vocab"],
    after: Float[np.ndarray, "vocab"],
) -> str:
    """Say what became of the most probable token, and how much probability moved."""
    first, now = (visible(model.token_strings([int(p.argmax())])[0]) for p in (before, after))
    share = float(moved_share(before, after))
    amount = f"{share:.1%}" if share >= 5e-4 or share == 0 else f"{share:.0e}"
    same = before.argmax() == after.argmax()
    top = (
        f"The most probable token stays **{escape_markdown(first)}** "
        if same
        else f"The most probable token was **{escape_markdown(first)}** and becomes "
        f"**{escape_markdown(now)}** "
    )
    return (
        f"{top}({before.max():.1%} before, {after[before.argmax()]:.1%} after). In all, {amount} "
        "of the probability went to other tokens."
    )


def reason_of(error: InlookError) -> None:
    """Show why something cannot be done."""
    st.info(escape_markdown(str(error)), icon=":material/info:")


def try_next() -> None:
    """Link to the pages that go on from here, as far as they exist."""
    st.subheader("Try next")
    link_pages(
        {
            "attention": "**Attention**: which heads look at the token just before?",
            "block_architecture": "**Block architecture**: what else changed since 2017?",
            "efficient_attention": (
                "**Efficient attention**: how far back does a layer look at all?"
            ),
        }
    )
