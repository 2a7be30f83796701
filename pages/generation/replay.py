"""How did the text come about, choice by choice?"""

from pages.ask.draft import Draft
from pages.generation.choice import stages_of_step
from pages.generation.text import end_of
from pages.widgets.candidates import rows_of
from pages.widgets.chart import chart
from pages.widgets.drawing import drawing
from viz import choices_replay

N_REPLAYED = 100
"""Steps in the replay, the newest: each costs about a kilobyte."""
CONTEXT_TOKENS = 16
CONTEXT_LETTERS = 40


def draw(draft: Draft) -> None:
    """Draw all choices in one figure that is scrubbed in the browser."""
    first = max(0, len(draft.steps) - N_REPLAYED)
    chosen = draft.written[first:]
    rows = [
        rows_of(stages_of_step(draft, first + i), token_id) for i, token_id in enumerate(chosen)
    ]
    contexts = [
        end_of(draft.model_name, draft.token_ids[: step.pos], CONTEXT_TOKENS, CONTEXT_LETTERS)
        for step in draft.steps[first:]
    ]
    chart(
        drawing(choices_replay, rows, chosen, contexts, first + 1),
        key="generation.replay",
        alt="The candidates of every step, with a slider",
    )
