"""How is a conversation written as one text, by a template that nobody has read?

A chat template is a program that comes with a checkpoint. It runs in a process of its own
(`chat_worker.py`), whose time, memory and answer are bounded: what it cannot do there it cannot do
at all.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model_hooks.errors import PromptError
from model_hooks.opening.aside import Aside, EndedError
from model_hooks.opening.reasons import reason
from model_hooks.text.conversations import AS_USUAL, Asked, tools_of

TIME_LIMIT_S = 5.0
MEMORY_LIMIT_BYTES = 10**9
MOST_CHARACTERS = 2_000_000
"""Of what a template writes."""
THINKING = ("enable_thinking", "thinking")
"""What templates call the choice whether the model is to think first."""
WORKER = Path(__file__).with_name("chat_worker.py")


def fill_in(
    template: str,
    turns: Sequence[Mapping[str, str]],
    special_tokens: Mapping[str, Any],
    asked_for: Asked = AS_USUAL,
) -> str:
    """Write a conversation as one text, up to where the model answers, if it is asked to.

    Args:
        template: A chat template (Jinja), as transformers renders it.
        turns: Each with a `role` and its `content`.
        special_tokens: Names that the template may use, such as `bos_token`, and their texts.
        asked_for: What it is asked for besides; the answer's own beginning is added to its text.

    Raises:
        PromptError: The tools are no list, or the template fails, or takes too much time or
            memory; the message says which.
    """
    tokens = {name: str(token) for name, token in special_tokens.items()}
    asked = {"template": template, "turns": list(turns), "special_tokens": tokens}
    asked |= {"answer": asked_for.answer, "tools": tools_of(asked_for.tools)}
    if asked_for.thinking is not None:
        asked["choices"] = dict.fromkeys(THINKING, asked_for.thinking)
    try:
        answer = _worker.ask(asked, TIME_LIMIT_S)
    except EndedError as error:
        answer = {"problem": str(error)}
    if "text" in answer:
        return answer["text"] + asked_for.beginning
    raise PromptError(
        "This tokenizer's chat template could not be filled in with this conversation: "
        f"{reason(ValueError(answer['problem']))}."
    )


def chooses(template: str, *names: str) -> bool:
    """Tell whether a template depends on a choice: asks for one of some names in an `if`."""
    asked = "|".join(map(re.escape, names))
    return bool(
        re.search(rf"{{%-?\s*(?:el)?if\b[^%]*?(?<![\w.'\"])(?:{asked})(?![\w'\"])", template)
    )


_worker = Aside(WORKER, MEMORY_LIMIT_BYTES, str(MOST_CHARACTERS))
