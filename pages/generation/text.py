"""What is written so far, and where does the model read from to predict one of its tokens?"""

from collections.abc import Sequence

from model_hooks.read.recorded import decode_after
from pages.ask.computed import computed
from pages.ask.draft import Draft, Ids
from pages.generation.choice import Choice
from pages.state.visit import put
from pages.text import escape_markdown, visible
from pages.widgets.components import token_strip

_decode_after = computed(decode_after, keep=False)


def draw(draft: Draft, tokens: Sequence[str], choice: Choice, head: int | None) -> None:
    """Show the text with the chosen position, shaded by what was read to predict it."""
    n_prompt = len(draft.prompt_ids)
    marks = {
        n_prompt + i: f"{i + 1} yours" if step.forced else str(i + 1)
        for i, step in enumerate(draft.steps)
    }
    token_strip(
        [*tokens, "?"],
        key="generation.tokens",
        selected=choice.pos,
        on_pick=lambda pos: put(pos=pos),
        weights=shades(choice, len(tokens), head),
        marks={**marks, len(tokens): "next"},
        label="The text: prompt, generated tokens with their step, and the next token",
    )


def end_of(model_name: str, token_ids: Ids, n_tokens: int, n_letters: int | None = None) -> str:
    """Return the end of a text on one line, as it reads after what stands before it.

    Args:
        model_name: The model.
        token_ids: The whole text.
        n_tokens: How many tokens the end has at the most.
        n_letters: How many letters; None sets no limit.
    """
    before, end = token_ids[-2 * n_tokens : -n_tokens], token_ids[-n_tokens:]
    line = visible(_decode_after(model_name, before, end)).replace("·", " ")
    return line if n_letters is None else line[-n_letters:]


def shades(choice: Choice, n_tokens: int, head: int | None) -> list[float] | None:
    """Return what is read of each token and of the next one: nothing of what comes later."""
    if choice.attention is None:
        return None
    read = choice.attention.mean(0) if head is None else choice.attention[head]
    return [*read.tolist(), *[0.0] * (n_tokens + 1 - len(read))]


def note(tokens: Sequence[str], choice: Choice, layer: int, head: int | None) -> str:
    """Say what the shade of the tokens means."""
    if choice.attention is None:
        return "The first token is predicted from nothing, so nothing is shaded."
    reader = escape_markdown(visible(tokens[choice.pos - 1]))
    heads = "the mean of all heads" if head is None else f"head {head}"
    what = "the next token" if choice.token_id is None else f"token {choice.pos}"
    return (
        f"Shade: where position {choice.pos - 1} ({reader}), which predicts {what}, reads from "
        f"in layer {layer}, {heads}. Click a token to see the distribution it came from."
    )
