"""How is a conversation written as one text, by a template that nobody has read?

A chat template is a program that comes with a checkpoint. It runs in a process of its own
(`chat_worker.py`), whose time, memory and answer are bounded: what it cannot do there it cannot do
at all.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model_hooks.errors import PromptError
from model_hooks.opening.aside import Aside, EndedError
from model_hooks.opening.reasons import reason

TIME_LIMIT_S = 5.0
MEMORY_LIMIT_BYTES = 10**9
MOST_CHARACTERS = 2_000_000
"""Of what a template writes."""
WORKER = Path(__file__).with_name("chat_worker.py")


def fill_in(
    template: str, turns: Sequence[Mapping[str, str]], special_tokens: Mapping[str, Any]
) -> str:
    """Write a conversation as one text, up to where the model answers.

    Args:
        template: A chat template (Jinja), as transformers renders it.
        turns: Each with a `role` and its `content`.
        special_tokens: Names that the template may use, such as `bos_token`, and their texts.

    Raises:
        PromptError: It fails, or takes too much time or memory; the message says which.
    """
    tokens = {name: str(token) for name, token in special_tokens.items()}
    asked = {"template": template, "turns": list(turns), "special_tokens": tokens}
    try:
        answer = _worker.ask(asked, TIME_LIMIT_S)
    except EndedError as error:
        answer = {"problem": str(error)}
    if "text" in answer:
        return answer["text"]
    raise PromptError(
        "This tokenizer's chat template could not be filled in with this conversation: "
        f"{reason(ValueError(answer['problem']))}."
    )


_worker = Aside(WORKER, MEMORY_LIMIT_BYTES, str(MOST_CHARACTERS))
