"""Prompts worth trying, and what to look for in each."""

from typing import NamedTuple

from model_hooks import bundled_models
from model_hooks.loading import bundled_adapters
from model_hooks.opening.installed import SMOLLM2
from pages.state.view import DEFAULT_PROMPT


class Preset(NamedTuple):
    """A prompt worth trying and what to look for."""

    title: str
    prompt: str
    look_for: str
    layer: int | None = None
    """With `head`, where it is best seen; None leaves what is open."""
    head: int | None = None
    of_stories: bool = False
    """Whether what it says holds of models that have read children's stories only."""


PRESETS = (
    Preset(
        "Which name was it?",
        DEFAULT_PROMPT,
        "The name stands earlier in the text: one head looks back at it and copies it. After the "
        "same two words at the beginning, the model says another name.",
        of_stories=True,
    ),
    Preset(
        "A story begins",
        "Once upon a time, there was a little",
        "Few words fit here: see how the probability piles up on a handful of tokens.",
        of_stories=True,
    ),
    Preset(
        "A fixed phrase",
        "They lived happily ever",
        "One token is far ahead of all others. In which layer does it take the lead?",
        of_stories=True,
    ),
    Preset(
        "A film title",
        "The Shawshank",
        "The model knows how it goes on. Which layer's feedforward brings the word, and what is "
        "left without it?",
        of_stories=True,
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
        of_stories=True,
    ),
)

CHAT = (
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
    "<|im_end|>\n<|im_start|>user\nWhat is the capital of France?<|im_end|>\n"
    "<|im_start|>assistant\n"
)
"""What SmolLM2's own chat template makes of the question."""
OF_SMOLLM2 = (
    Preset(
        "A chat",
        CHAT,
        "A conversation is one text to the model: special tokens say who speaks. Run it, and it "
        "answers and ends its turn with a token of its own.",
    ),
    Preset(
        "Which name was it?",
        DEFAULT_PROMPT,
        "Layer 18, head 6 looks back at the name with 81% of its attention.",
        18,
        6,
    ),
    Preset(
        "Who gets the drink?",
        "When Mary and John went to the store, John gave a drink to",
        "Two names, and the one that was said once is the answer: layer 24, head 4 looks at it.",
        24,
        4,
    ),
    Preset(
        "Once more",
        "The dog chased the cat. The dog chased the",
        "The sentence repeats: layer 17, head 5 looks at what came after the same words before.",
        17,
        5,
    ),
    Preset(
        "A fact",
        "The capital of France is",
        "Switch the feedforward of layer 8 off in the sidebar, and Paris is gone.",
        8,
    ),
    Preset(
        "Arithmetic",
        "2 + 2 = 4\n3 + 4 =",
        "After one example it writes 7. Without the first line it gets sums wrong.",
    ),
    Preset(
        "A translation",
        "English: cat. French: chat. English: dog. French:",
        "It is unsure how to begin, and then writes the right word in two pieces.",
    ),
    Preset(
        "Wide open",
        "Lily and",
        "Very many words fit: compare its entropy with that of the longer prompts.",
    ),
)


def presets_of(model_name: str) -> tuple[Preset, ...]:
    """Return the prompts worth trying with a model."""
    if model_name == SMOLLM2.name:
        return OF_SMOLLM2
    has_read_stories = model_name in (*bundled_models(), *bundled_adapters())
    return tuple(preset for preset in PRESETS if has_read_stories or not preset.of_stories)
