"""Which lines can be drawn of long texts: by which models, how long, from which text?"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model_hooks import Intervention, ModelInfo
from model_hooks.experiments.long_texts import Limits, limits_of, own_text, text_tokens
from model_hooks.experiments.rope_scaling import RopeScaling
from model_hooks.read.recorded import encode, info_of
from pages.ask.computed import computed
from pages.ask.session import text_so_far
from pages.positions.choices import Choices, Source, Stretch
from pages.positions.subject import trained_length
from pages.state.visit import view
from pages.text import escape_markdown

STORY = Path(__file__).parent / "story.txt"
"""A story written for Inlook, in the words of a small child."""
N_WINDOWS = 3
"""Stretches of the story that a line is the mean of."""
MAX_WORK = 1.5e12
"""Multiplications that one line may take: some ten seconds on a laptop."""
OWN_WORDS = 50_000_000
"""Up to so many parameters, the model may write the long text itself."""

_info_of = computed(info_of)
_limits_of = computed(limits_of, says="Trying the model at several positions…")
_encode = computed(encode)
_text_tokens = computed(text_tokens)
_own_text = computed(own_text, says="The model writes a long text…")
WITHIN = "A text within the trained length needs no stretching."


class Line(NamedTuple):
    """One line of the picture: a model, its text, and how its rotation is stretched."""

    model: str
    scaling: RopeScaling | None
    length: int
    trained: int
    source: Source
    prompt: str
    """What the model's own text begins with."""
    interventions: tuple[Intervention, ...]

    @property
    def name(self) -> str:
        """What the legend calls it."""
        how = {"linear": "linear", "dynamic": "dynamic", "yarn": "YaRN"}
        return self.model + (f", {how[self.scaling.rope_type]}" if self.scaling else "")


def plan(
    names: Sequence[str], chosen: Choices, interventions: tuple[Intervention, ...]
) -> tuple[list[Line], list[str]]:
    """Return the lines to draw, and sentences about what cannot be drawn.

    Args:
        names: Models.
        chosen: What the reader chose.
        interventions: What is switched off in the selected model.
    """
    lines: list[Line] = []
    notes: list[str] = []
    for name in names:
        info, limits = _info_of(name), _limits_of(name)
        trained = trained_length(info)
        notes += unknown_length(info, trained)
        length, said = length_of(
            info, limits, trained * chosen.times, _most_of(name, chosen.source)
        )
        notes += said
        if chosen.source == "own" and info.n_parameters > OWN_WORDS:
            notes.append(f"{escape_markdown(name)} is too large to write a long text here.")
            continue
        scalings, said = scalings_of(chosen.stretches, limits, length, trained)
        notes += said
        prompt = text_so_far() if chosen.source == "own" else ""
        switched = interventions if name == view().model else ()
        lines += [
            Line(name, scaling, length, trained, chosen.source, prompt, switched)
            for scaling in scalings
        ]
    return lines, notes


def unknown_length(info: ModelInfo, trained: int) -> list[str]:
    """Say so where the trained length of a model is not known."""
    if info.context_size is not None:
        return []
    return [
        f"The configuration of {escape_markdown(info.name)} names no context size, so its trained "
        f"length is not known; {trained} stands in for it."
    ]


def length_of(
    info: ModelInfo, limits: Limits, wanted: int, n_story: int | None
) -> tuple[int, list[str]]:
    """Return how long a text a model reads here, and why it is no longer.

    Args:
        info: The model's sizes.
        limits: What limits its texts.
        wanted: The length that was asked for.
        n_story: Tokens of the story; None where the model writes the text itself.
    """
    name, length, notes = escape_markdown(info.name), wanted, []
    if limits.longest is not None and length > limits.longest:
        length = limits.longest
        notes.append(
            f"{name} reads at most {length} tokens."
            if limits.n_vectors is None
            else f"{name} has no vector for positions from {length} on, so its line ends there: "
            "absolute positions cannot go on beyond their table."
        )
    if n_story is not None and length > n_story:
        length = n_story
        notes.append(f"For {name}, the story has only {length:,} tokens.")
    if length > (affordable := int(MAX_WORK / (2 * info.n_parameters))):
        length = affordable
        notes.append(f"More than {length:,} tokens would take {name} too long here.")
    return length, notes


def scalings_of(
    stretches: Sequence[Stretch], limits: Limits, length: int, trained: int
) -> tuple[list[RopeScaling | None], list[str]]:
    """Return the ways to stretch a rotation for a text, None for not at all; and what cannot be."""
    as_trained = "as_trained" in stretches
    scalings = [
        None if stretch == "as_trained" else RopeScaling(stretch, length / trained, trained)
        for stretch in stretches
        if stretch == "as_trained" or length > trained
    ]
    any_other = len(stretches) > as_trained
    if limits.why_not_scalable:
        reads = as_trained or limits.n_vectors is not None
        return [None] * reads, [escape_markdown(limits.why_not_scalable)] * any_other
    return scalings, [WITHIN] * (any_other and length <= trained)


def text_is_kept(line: Line) -> bool:
    """Tell whether a line's text is there, so that nobody has to wait until it is written."""
    return line.source == "story" or _own_text.is_kept(*_own_key(line))


def windows_of(line: Line) -> list[tuple[int, ...]]:
    """Return stretches of the long text, each as long as the line; the model's own is one."""
    if line.source == "own":
        return [_own_text(*_own_key(line))]
    before, story = _story(line.model)
    size = line.length - len(before)
    work = 2 * _info_of(line.model).n_parameters * line.length
    n_windows = min(N_WINDOWS, max(1, int(MAX_WORK / work)), len(story) - size + 1)
    starts = np.linspace(0, len(story) - size, n_windows).astype(int).tolist()
    return [(*before, *story[start : start + size]) for start in starts]


def _own_key(line: Line) -> tuple:
    prompt_ids = _encode(line.model, line.prompt)
    return line.model, prompt_ids, line.length, line.trained, line.interventions


def _most_of(name: str, source: Source) -> int | None:
    return None if source == "own" else sum(map(len, _story(name)))


def _story(name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the special tokens before a text, and the story's own tokens."""
    return _text_tokens(name, STORY.read_text(encoding="utf-8").replace("\n", " "))
