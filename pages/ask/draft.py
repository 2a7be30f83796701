"""What is being written? A prompt, its steps and the ends of all its branches, as one value."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from model_hooks.write.writing import WrittenStep

MAX_TIPS = 12
"""Branches kept; beyond, the one that was left longest ago is dropped."""

Ids = tuple[int, ...]
Steps = tuple[WrittenStep, ...]


@dataclass(frozen=True)
class Draft:
    """A text being written and the ends of all its branches, the current one's among them."""

    model_name: str
    prompt_ids: Ids
    steps: Steps = ()
    """Of the current text."""
    tips: tuple[Steps, ...] = ()
    """Whole texts, none of which is the beginning of another one."""

    @property
    def written(self) -> Ids:
        """The IDs of the generated tokens."""
        return ids_of(self.steps)

    @property
    def token_ids(self) -> Ids:
        """All token IDs so far, the prompt's first."""
        return self.prompt_ids + self.written

    @property
    def tip(self) -> int | None:
        """Which of the tips the text is; None if it ends where branches go on or part."""
        tips = [ids_of(tip) for tip in self.tips]
        return tips.index(self.written) if self.written in tips else None

    def moved(self, to: Steps) -> "Draft":
        """Return the draft at another text of the same prompt; what was written stays a tip."""
        tips = [*self.tips]
        for text in (self.steps, to):
            new = ids_of(text)
            tips = [tip for tip in tips if not _begins(new, ids_of(tip))]
            if new and not any(_begins(ids_of(tip), new) for tip in tips):
                tips.append(text)
        return replace(self, steps=to, tips=tuple(tips[-MAX_TIPS:]))

    def nearest(self, written: Ids) -> Steps:
        """Return the longest beginning of these generated tokens that any branch has."""
        texts = (self.steps, *self.tips)
        lengths = [_common_length(ids_of(text), written) for text in texts]
        best = max(lengths)
        return texts[lengths.index(best)][:best]

    def without_others(self) -> "Draft":
        """Return the same text without the other branches."""
        return replace(self, tips=(self.steps,) if self.steps else ())


@dataclass(frozen=True)
class Move:
    """What a click asks of a draft: which text stays, and whether a token is written after it."""

    prompt_ids: Ids | None = None
    """The prompt that it is meant for; None: whatever the prompt is when it is made."""
    written: Ids | None = None
    """The generated tokens that stay, of any branch; None: all of the current text."""
    back: int = 0
    """How many of these are taken back, from the end."""
    writes: bool = False
    """Whether one more token is written after them."""
    choose: int | None = None
    """Its ID, where the reader chooses it; None: the model does."""

    def kept(self, draft: Draft) -> Steps:
        """Return the steps of a draft that stay."""
        steps = draft.steps if self.written is None else draft.nearest(self.written)
        return steps[: max(0, len(steps) - self.back)]

    def is_for(self, draft: Draft) -> bool:
        """Whether it was meant for this draft's prompt."""
        return self.prompt_ids in (None, draft.prompt_ids)


def ids_of(steps: Sequence[WrittenStep]) -> Ids:
    """Return the IDs of the tokens that steps wrote."""
    return tuple(step.token_id for step in steps)


def taking(draft: Draft, pos: int, token_id: int) -> Move | None:
    """Return the move that puts another token at a position; None if it stands there already.

    What was written from there on stays a branch.
    """
    n_kept = pos - len(draft.prompt_ids)
    if draft.written[n_kept : n_kept + 1] == (token_id,):
        return None
    return Move(draft.prompt_ids, draft.written[:n_kept], writes=True, choose=token_id)


def _begins(text: Ids, beginning: Ids) -> bool:
    return text[: len(beginning)] == beginning


def _common_length(a: Ids, b: Ids) -> int:
    pairs = enumerate(zip(a, b, strict=False))
    return next((i for i, (left, right) in pairs if left != right), min(len(a), len(b)))
