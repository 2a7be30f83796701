"""Forward pass: what happens between my prompt and the next token?"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import streamlit as st

from model_hooks.host import Run
from pages.ask.session import run, tokens_of_run
from pages.forward_pass import blocks, choice, embedding, lm_head, tokenizer, tour, welcome
from pages.forward_pass.choices import Choices, StageName
from pages.forward_pass.flow import Card, draw_flow
from pages.forward_pass.seen import Seen, look
from pages.state.visit import part, put, uses
from pages.teach.moves import open_lesson
from pages.widgets.bind import bind
from pages.widgets.choices_apart import draw_choices
from pages.widgets.compared import draw_between, draw_each
from pages.widgets.controls import current_position, pick_position
from pages.widgets.fragment import fragment
from pages.widgets.heading import heading, page_title
from pages.widgets.next_pages import try_next
from pages.widgets.words import token_name
from viz import candidates


class Stage(NamedTuple):
    """One stage of the forward pass."""

    name: StageName
    title: str
    draw: Callable[[Seen], None]
    deeper: tuple[str, ...]
    """The pages that go deeper into it."""


STAGES = (
    Stage("tokenizer", "Tokenizer", tokenizer.draw, ("tokenizer", "generation")),
    Stage("embedding", "Embedding", embedding.draw, ("positions", "tokenizer", "generation")),
    Stage(
        "blocks",
        "Blocks",
        blocks.draw,
        ("attention", "feedforward", "layers", "block_architecture"),
    ),
    Stage("lm_head", "LM head", lm_head.draw, ("lm_head", "layers", "generation")),
    Stage("choice", "Choice", choice.draw, ("generation", "lm_head")),
)
TITLES = {stage.name: f"{number} {stage.title}" for number, stage in enumerate(STAGES, 1)}
LINKS = {
    "tokenizer": "**Tokenizer**: how text is cut into tokens",
    "positions": "**Positions**: how the model knows where a token stands",
    "attention": "**Attention**: what each single head reads",
    "feedforward": "**Feedforward**: what its neurons do",
    "layers": "**Layers**: what each layer would predict",
    "block_architecture": "**Block architecture**: other ways to build a block",
    "lm_head": "**LM head**: from the final vector to probabilities",
    "generation": "**Generation**: write on, token by token",
}
PLACES = {"stage": "forward_pass.stage", "pos": "pos", "layer": "layer"}
"""What a click in the picture chooses, by what the picture reports."""


def draw() -> None:
    """Draw the page."""
    names = tuple(stage.name for stage in STAGES)
    number, tours = names.index(part(Choices).stage), part(Choices).tour
    with st.container(key="forward.title", horizontal=True, vertical_alignment="center"):
        page_title("Forward pass")
        if tours:
            tour.buttons(names, number)
        elif open_lesson() is None:
            welcome.ways_in()
    if tours:
        uses("forward_pass.stage")
    else:
        with st.container(key="forward.words"):
            st.markdown(welcome.about())
    _explore(run())


@fragment
def _explore(asked: Run) -> None:
    """Draw everything below the question; a click reruns nothing else."""
    number = STAGES.index(_open_stage())
    words = st.container(key="forward.words") if part(Choices).tour else None
    picture = st.container()
    with st.container(border=True, key="forward.stage"):
        pos = _heading()
        seen = look(asked, pos)
        draw_each(lambda: STAGES[number].draw(_look()))
        if STAGES[number].name in ("lm_head", "choice"):
            draw_between(lambda: draw_choices(lambda: _look().stages, "forward_pair"))
        _step_buttons(number)
    if words is not None:
        stop = f":blue-badge[Stop {number + 1} of {len(STAGES)}: {STAGES[number].title}]"
        words.markdown(f"{stop} {tour.sentence(seen, STAGES[number].name)}")
    with picture:
        draw_each(lambda: _draw_picture(_look(), STAGES[number].name), wide=True)
    _try_next(STAGES[number])


def _open_stage() -> Stage:
    return next(stage for stage in STAGES if stage.name == part(Choices).stage)


def _look() -> Seen:
    """Look at the run that is looked at, in the lane of the chosen token."""
    return look(run(), current_position(len(tokens_of_run())))


def _draw_picture(seen: Seen, stage: StageName) -> None:
    draw_flow(
        seen,
        cards=cards(seen),
        candidates=candidates(seen.stages, token_name, n_candidates=5, chosen=seen.picked),
        choice=choice.picked(seen),
        stage=stage,
        details=".st-key-forward-stage",
        key="forward.flow",
        on_pick=lambda what, value: put({PLACES[what]: value}),
    )


def _heading() -> int:
    """Draw the controls of the open stage; return the position that is looked at.

    They lie in one row, so that the stage's first sentence is seen beneath the whole picture.
    """
    stages, token = st.columns([5, 2], vertical_alignment="bottom", gap="xsmall")
    with stages:
        heading(_open_stage().title)
    bind(
        stages.segmented_control,
        "Stage",
        "forward_pass.stage",
        options=[stage.name for stage in STAGES],
        format_func=TITLES.__getitem__,
        label_visibility="collapsed",
        required=True,
        wrap=True,
    )
    with token:
        pos = pick_position(tokens_of_run(), label="Token to follow")
    return pos


def cards(seen: Seen) -> list[Card]:
    """Return the headings of the picture, with the shape that leaves each stage."""
    n_tokens, d_model = seen.embedding.shape
    n_layers = seen.info.n_layers
    shapes = (
        f"[{n_tokens}]",
        f"[{n_tokens}, {d_model}]",
        f"[{n_tokens}, {d_model}]",
        f"[1, {len(seen.stages[0].scores)}]",
        "1 ID",
    )
    titles = [stage.title for stage in STAGES]
    titles[2] = f"{n_layers} blocks" if n_layers > 1 else "1 block"
    return [
        Card(stage.name, title, shape)
        for stage, title, shape in zip(STAGES, titles, shapes, strict=True)
    ]


def _step_buttons(number: int) -> None:
    """Offer the stage before and the stage after."""
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        neighbours: list[tuple[int, str, Literal["left", "right"]]] = [
            (number - 1, ":material/arrow_back:", "left"),
            (number + 1, ":material/arrow_forward:", "right"),
        ]
        for other, icon, place in neighbours:
            if 0 <= other < len(STAGES):
                st.button(
                    TITLES[STAGES[other].name],
                    icon=icon,
                    icon_position=place,
                    key=f"forward.{place}",
                    type="primary" if other > number else "secondary",
                    on_click=put,
                    kwargs={"forward_pass.stage": STAGES[other].name},
                )


def _try_next(stage: Stage) -> None:
    """Say what to try here, and link to the pages that go deeper into the open stage."""
    try_next(
        {page: LINKS[page] for page in stage.deeper},
        "Click an earlier token: whom does it read, and what would its lane predict?",
        "Change one word of the prompt, and watch the last lane's prediction.",
        "Choose **Sample** in the decoding options: is the favourite still picked?",
    )
