"""Prompts worth trying, and what to look for in each."""

from typing import NamedTuple

from pages.state.view import DEFAULT_PROMPT


class Preset(NamedTuple):
    """A prompt worth trying and what to look for."""

    title: str
    prompt: str
    look_for: str


PRESETS = (
    Preset(
        "Which name was it?",
        DEFAULT_PROMPT,
        "The name stands earlier in the text: one head looks back at it and copies it. After the "
        "same two words at the beginning, the model says another name.",
    ),
    Preset(
        "A story begins",
        "Once upon a time, there was a little",
        "Few words fit here: see how the probability piles up on a handful of tokens.",
    ),
    Preset(
        "A fixed phrase",
        "They lived happily ever",
        "One token is far ahead of all others. In which layer does it take the lead?",
    ),
    Preset(
        "A film title",
        "The Shawshank",
        "The model knows how it goes on. Which layer's feedforward brings the word, and what is "
        "left without it?",
    ),
    Preset(
        "Wide open",
        "Sam was sad because he lost his",
        "Many words fit, so no token gets much: compare the entropy with that of a fixed phrase.",
    ),
    Preset(
        "Once more",
        "Max saw a ball. Max saw a kite. Max saw a",
        "A sentence repeats: some heads look at what came after the same words before.",
    ),
    Preset(
        "Made-up words",
        "The zib and the florp liked to",
        "The tokenizer has no tokens for these words: watch it cut them into pieces.",
    ),
    Preset(
        "Not a story",
        "2 + 2 =",
        "The bundled model has read children's stories only: see how unsure it is.",
    ),
)
