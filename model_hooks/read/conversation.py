"""How is a conversation one text, which of its tokens are whose words, and what was answered?"""

from dataclasses import dataclass

from model_hooks.model import HookedModel
from model_hooks.text.tokenization import TokenizerView

Turns = tuple[tuple[str, str], ...]
"""Who speaks (`system`, `user`, `assistant`) and what is said."""


@dataclass(frozen=True)
class Conversation:
    """A conversation as the chat template of a model writes it, up to where an answer goes."""

    prompt: str | None
    """The text that becomes its tokens when it is a prompt; None where no text does."""
    speakers: tuple[str, ...]
    """Per token, whose words it is a part of; nothing for what the template wrote."""


def can_converse(model: HookedModel) -> bool:
    """Tell whether a model's tokenizer has a chat template."""
    return TokenizerView(model.tokenizer).chat_template is not None


def write_conversation(model: HookedModel, turns: Turns) -> Conversation:
    """Write a conversation as one text, and say whose words its tokens are.

    Raises:
        PromptError: There is no chat template, or it fails; the message says why.
    """
    view = TokenizerView(model.tokenizer)
    said = [{"role": role, "content": content} for role, content in turns]
    prompt = view.chat_prompt(said)
    if prompt is None:
        return Conversation(None, ("",) * len(view.chat_ids(said)))
    whose = _whose(prompt, turns)
    speakers = []
    for token in view.tokenize(prompt).tokens:
        letters = set(whose[slice(*token.span)]) if token.span is not None else set()
        speakers.append(letters.pop() if len(letters) == 1 else "")
    return Conversation(prompt, tuple(speakers))


def answer_of(model: HookedModel, prompt_ids: tuple[int, ...], written: tuple[int, ...]) -> str:
    """Return what was answered: the text of the written tokens up to the first that ends it."""
    ends = [n for n, token_id in enumerate(written) if token_id in model.eos_token_ids]
    said = written[: ends[0]] if ends else written
    return model.decode_after(prompt_ids, said).strip()


def _whose(text: str, turns: Turns) -> list[str]:
    """Say for each letter of a conversation's text who says it; nothing for the template's own.

    Templates keep the order of what is said, and may cut off spaces at its ends.
    """
    whose, start = [""] * len(text), 0
    for role, content in turns:
        said = content if content in text[start:] else content.strip()
        at = text.find(said, start)
        if said and at >= 0:
            start = at + len(said)
            whose[at:start] = [role] * len(said)
    return whose
