"""Which boxes does the picture of a block have, what do they say, and which differ from 2017?"""

from collections.abc import Mapping

from model_hooks.parts.differences import Topic, attention_name
from model_hooks.parts.facts import AttentionFacts, BlockFacts, FeedforwardFacts
from viz import BlockPieces, Piece
from viz.numbers import counted

POSITIONS = {
    "rope": "rotary positions",
    "learned": "learned positions",
    "sinusoidal": "sinusoidal positions",
    "alibi": "ALiBi positions",
    "relative": "relative positions",
    "none": "no position signal",
}
ADDED_ONCE = ("learned", "sinusoidal")
"""Positions that are added below all blocks; others act inside attention."""


def pieces_of(
    facts: BlockFacts, d_model: int, numbers: Mapping[Topic, int] | None = None
) -> BlockPieces:
    """Put a block's facts into the boxes of the picture.

    Args:
        facts: The block.
        d_model: Width of the residual stream.
        numbers: Per topic of a difference, the number of its mark.
    """
    marks = _Marks(numbers or {})
    inside = facts.position not in ADDED_ONCE
    norms = {
        norm.place: Piece(norm.kind, "", marks("norm place", "norm kind"))
        for norm in facts.main_norms
    }
    return BlockPieces(
        facts.wiring,
        _mixer(facts, marks),
        _feedforward(facts, d_model, marks),
        norms,
        enters="" if inside else f"a token's vector; {POSITIONS[facts.position]} were added once",
        marks=marks("wiring"),
        enters_marks=() if inside else marks("positions"),
    )


class _Marks:
    """The numbers of a box's marks, by the topics that it shows."""

    def __init__(self, numbers: Mapping[Topic, int]) -> None:
        self._numbers = numbers

    def __call__(self, *topics: Topic) -> tuple[int, ...]:
        return tuple(self._numbers[topic] for topic in topics if topic in self._numbers)


def _mixer(facts: BlockFacts, marks: _Marks) -> Piece | None:
    if facts.attention is None:
        if facts.mixer is None:
            return None
        return Piece(facts.mixer, "mixes positions without attention", marks("mixing"))
    topics: list[Topic] = ["attention", "window", "query and key norm"]
    if facts.position not in ADDED_ONCE:
        topics.append("positions")
    if facts.feedforward is None:
        topics.append("biases")
    narrow = facts.wiring == "parallel"
    title = attention_name(facts.attention).capitalize()
    return Piece(
        title.replace(" attention", "<br>attention") if narrow else title,
        "<br>".join(_attention_lines(facts, facts.attention, narrow)),
        marks(*topics),
    )


def _attention_lines(facts: BlockFacts, attention: AttentionFacts, narrow: bool) -> list[str]:
    lines = [_heads_line(attention, narrow)]
    if attention.window is not None:
        lines.append(f"the last {attention.window:,} tokens")
    if facts.norms_at("on queries and keys"):
        lines.append("queries and keys normalised")
    if facts.position not in ADDED_ONCE:
        lines.append(POSITIONS.get(facts.position, facts.position))
    return lines


def _heads_line(attention: AttentionFacts, narrow: bool) -> str:
    n_heads, n_sets = attention.n_heads, attention.n_kv_heads
    if n_sets >= n_heads:
        return counted(n_heads, "head")
    sets = counted(n_sets, "KV head")
    return f"{n_heads} heads, {sets}" if narrow else f"{n_heads} query heads share {sets}"


def _feedforward(facts: BlockFacts, d_model: int, marks: _Marks) -> Piece | None:
    if (found := facts.feedforward) is None:
        return None
    narrow = facts.wiring == "parallel"
    return Piece(
        f"Feedforward:{'<br>' if narrow else ' '}{found.name}",
        ("<br>" if narrow else ", ").join(_feedforward_lines(found, d_model)),
        marks("activation", "gate", "experts", "biases"),
    )


def _feedforward_lines(found: FeedforwardFacts, d_model: int) -> list[str]:
    lines = []
    if found.width is not None:
        lines.append(f"{d_model:,} → {found.width:,} → {d_model:,}")
    if found.n_experts:
        chosen = found.experts_per_token or "some"
        lines.append(f"{chosen} of {found.n_experts} experts per token")
    if found.gated:
        lines.append("with a gate")
    return lines
