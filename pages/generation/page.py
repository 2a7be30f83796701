"""Generation: one token at a time, and why was it this one?"""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from model_hooks import InlookError
from model_hooks.host import Run
from model_hooks.read.recorded import ending_ids, tokens_of
from model_hooks.write.writing import rewritten
from pages.ask import writing
from pages.ask.computed import computed
from pages.ask.draft import Draft
from pages.ask.session import info, prompt_run
from pages.generation import branches, costs, facts, instead, lockstep, replay, text, why
from pages.generation.choice import Choice, choice_at
from pages.generation.choices import Choices, Details
from pages.state.visit import is_of_other, part, view
from pages.text import escape_markdown
from pages.widgets.bind import bind
from pages.widgets.candidates import candidate_table, rows_of
from pages.widgets.compared import draw_between, draw_each
from pages.widgets.controls import pick_head, pick_layer
from pages.widgets.fragment import fragment
from pages.widgets.heading import heading, page_title
from pages.widgets.next_pages import try_next
from viz.decoding import Candidate

DETAILS: dict[Details, str] = {
    "numbers": "Numbers, stage by stage",
    "costs": "Cost of each step",
    "replay": "Replay",
}
NEXT_PAGES = {
    "attention": "**Attention**: what does each head read from?",
    "layers": "**Layers**: when did the model make up its mind?",
    "kv_cache": "**KV cache**: how much work do kept keys and values save?",
    "lm_head": "**LM head**: how do the final scores become a choice?",
}

_tokens_of = computed(tokens_of)
_ending_ids = computed(ending_ids)
_rewritten = computed(rewritten)


def draw() -> None:
    """Draw the page."""
    page_title("Generation")
    st.markdown(
        "**Why this token?** A language model writes one token at a time: it gives every token it "
        "knows a probability, one of them is picked, and the text with it goes in again. "
        "Press **Step** and watch."
    )
    _explore(prompt_run())
    try_next(
        NEXT_PAGES,
        "Sample with a temperature of 1.5, and watch the bars flatten.",
        "Take the second candidate, and see where the story goes.",
        "Switch the KV cache off, and compare the cost.",
    )


@fragment
def _explore(asked: Run) -> None:
    """Draw the choice and what led to it; a click here reruns nothing else."""
    if writing.moves_wait():
        st.rerun()  # the text is written in the bar
    draft = writing.current_draft(asked)
    message = st.empty()
    if draft.steps and draft.written[-1] in _ending_ids(asked.model_name):
        message.info("The last token ends the text; you can still go on.", icon=":material/flag:")
    draw_between(lockstep.draw)
    rows, choice = draw_each(lambda: _draw_choice(draft, message))
    branches.draw(draft)
    _details(draft, rows, choice.token_id)


def _draw_choice(own: Draft, message: DeltaGenerator) -> tuple[list[Candidate], Choice]:
    """Draw the choice of the run that is looked at, and where it read from.

    Args:
        own: What the visitor is writing.
        message: Where to say what went wrong.
    """
    asked = prompt_run()
    draft = _draft_of_a(asked) if is_of_other() else own
    tokens = _tokens_of(asked.model_name, draft.token_ids)
    above, below = st.container(), st.container()
    with below:
        heading("Where did it read from?")
        layer_box, head_box = st.columns([1, 1.9])
    with layer_box:
        layer = pick_layer(info(), only_attention=True)
    with head_box:
        head = pick_head(info(), mean=True)
    choice = _looked_at(asked, draft, layer, message)
    with below:
        text.draw(draft, tokens, choice, head)
        st.caption(text.note(tokens, choice, layer, head))
    rows = rows_of(choice.stages, choice.token_id) if choice.stages else []
    with above:
        facts.draw(asked, draft, tokens, choice)
        if rows:
            instead.draw(rows, choice, may_take=choice.pos >= len(draft.prompt_ids))
            why.draw(asked, draft, tokens, choice)
    return rows, choice


def _draft_of_a(asked: Run) -> Draft:
    """Return the text of the pinned run, with how each token came to be in it."""
    way = view().decoding, view().written, view().use_cache, asked.interventions
    steps = _rewritten(asked.model_name, asked.token_ids, (), *way)
    return Draft(asked.model_name, asked.token_ids, steps)


def _looked_at(asked: Run, draft: Draft, layer: int, message: DeltaGenerator) -> Choice:
    """Return the choice at the chosen position; of a full context's next token, at the last."""
    n_tokens = len(draft.token_ids)
    newest, pos = n_tokens - 1 if draft.steps else n_tokens, view().pos
    pos = newest if pos is None else min(pos, n_tokens)
    try:
        return choice_at(asked, draft, pos, layer)
    except InlookError as error:
        _say_problem(message, str(error))
        return choice_at(asked, draft, newest, layer)


def _say_problem(place: DeltaGenerator, problem: str) -> None:
    place.error(escape_markdown(problem), icon=":material/error:")


def _details(draft: Draft, rows: list[Candidate], token_id: int | None) -> None:
    """Draw what lies below the chart, one at a time: a click redraws only what is seen."""
    # Streamlit's tabs would take a tenth of the time of a step.
    bind(
        st.segmented_control,
        "Below the chart",
        "generation.details",
        options=[*DETAILS],
        format_func=DETAILS.__getitem__,
        required=True,
        wrap=True,
        label_visibility="collapsed",
    )
    shown = part(Choices).details
    if shown == "numbers":
        if rows:
            candidate_table(rows, view().decoding, token_id)
    elif not draft.steps:
        st.info("Take a step, and you see it here.")
    elif shown == "costs":
        costs.draw(draft)
    else:
        replay.draw(draft)
