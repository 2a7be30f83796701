"""How does this model know the order of words? The answer in a few sentences."""

from model_hooks import ModelInfo
from model_hooks.opening.names import short_name
from model_hooks.read.positions import Positions
from pages.text import escape_markdown

AHEAD = (
    " Besides, each token reads only what comes before it, which alone gives away some of the "
    "order."
)
MOST_LISTED = 8
"""More layers are not listed one by one."""


def answer(info: ModelInfo, facts: Positions) -> str:
    """Say in a few sentences how a model knows the order of words."""
    name = f"**{escape_markdown(short_name(info.name))}**"
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
        hybrid = len(info.attention_layers) < info.n_layers
        other = " Its other layers, which are not attention, read the text in order."
        return (
            f"{name} **tells its attention nothing about positions**.{other if hybrid else AHEAD}"
        )
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
    return text + _layers_without(facts)


def _layers_without(facts: Positions) -> str:
    """Name the layers of a rotary model that turn nothing."""
    if not facts.n_without:
        return ""
    bare = [i for i, kind in enumerate(facts.layers) if kind == "none"]
    some = ", ".join(map(str, bare[:MOST_LISTED])) + (", …" if len(bare) > MOST_LISTED else "")
    return (
        f" **{facts.n_without} of its layers go without** ({some}): there, attention is told "
        "nothing about positions."
    )


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
