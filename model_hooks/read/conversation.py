"""How is a conversation one text, which of its tokens are whose words, and what was answered?"""

from dataclasses import dataclass

from model_hooks.model import HookedModel
from model_hooks.text.chat import THINKING, chooses
from model_hooks.text.conversations import AS_USUAL, Asked
from model_hooks.text.tokenization import TokenizerView

Turns = tuple[tuple[str, str], ...]
"""Who speaks (`system`, `user`, `assistant`, `tool`) and what is said."""
THOUGHT = "</think>"
"""What ends the thinking that templates leave out of earlier answers."""


@dataclass(frozen=True)
class Conversation:
    """A conversation as the chat template of a model writes it."""

    prompt: str | None
    """The text that becomes its tokens when it is a prompt; None where no text does."""
    speakers: tuple[str, ...]
    """Per token, whose words it is a part of; nothing for what the template wrote."""


@dataclass(frozen=True)
class Choices:
    """What a chat template lets somebody choose."""

    thinking: bool
    """Whether the model is to think before it answers."""
    tools: bool
    """Which tools it may call."""


def can_converse(model: HookedModel) -> bool:
    """Tell whether a model's tokenizer has a chat template."""
    return TokenizerView(model.tokenizer).chat_template is not None


def choices_of_template(model: HookedModel) -> Choices:
    """Return what a model's chat template depends on besides the turns."""
    template = TokenizerView(model.tokenizer).chat_template or ""
    return Choices(chooses(template, *THINKING), chooses(template, "tools"))


def write_conversation(model: HookedModel, turns: Turns, asked: Asked = AS_USUAL) -> Conversation:
    """Write a conversation as one text, and say whose words its tokens are.

    Raises:
        PromptError: There is no chat template, it fails, or the tools are no list; the message
            says why.
    """
    view = TokenizerView(model.tokenizer)
    said = [{"role": role, "content": content} for role, content in turns]
    prompt = view.chat_prompt(said, asked)
    if prompt is None:
        return Conversation(None, ("",) * len(view.chat_ids(said, asked)))
    n_own = len(asked.beginning)
    whose = [*_whose(prompt[: len(prompt) - n_own], turns), *["assistant"] * n_own]
    speakers = []
    for token in view.tokenize(prompt).tokens:
        letters = set(whose[slice(*token.span)]) if token.span is not None else set()
        speakers.append(letters.pop() if len(letters) == 1 else "")
    return Conversation(prompt, tuple(speakers))


def answer_of(
    model: HookedModel, prompt_ids: tuple[int, ...], written: tuple[int, ...], begins: str = ""
) -> str:
    """Return what was answered: its beginning and what was written, up to the first end."""
    ends = [n for n, token_id in enumerate(written) if token_id in model.eos_token_ids]
    said = written[: ends[0]] if ends else written
    return (begins + model.decode_after(prompt_ids, said)).strip()


def _whose(text: str, turns: Turns) -> list[str]:
    """Say for each letter of a conversation's text who says it; nothing for the template's own.

    Templates keep the order of what is said, and may cut off spaces at its ends, and thinking.
    """
    whose, start = [""] * len(text), 0
    for role, content in turns:
        kept = (content, content.strip(), content.rpartition(THOUGHT)[2].strip())
        said = next((one for one in kept if one in text[start:]), "")
        at = text.find(said, start)
        if said and at >= 0:
            start = at + len(said)
            whose[at:start] = [role] * len(said)
    return whose
