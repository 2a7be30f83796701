"""The sidebar every page shares: model, prompt, preset prompts and the prompt's token count."""

import math
import time
from typing import NamedTuple

import streamlit as st
from safetensors import safe_open

import model_hooks
from model_hooks.errors import InlookError
from pages.ask import session
from pages.state.selection import select, selection
from pages.widgets.controls import show_value
from pages.widgets.text import escape_markdown

_DRAWN = "sidebar.drawn"
SETTLE_S = 1.5
"""So long after the first drawing, no reader empties the prompt, but a slow browser may."""


class Preset(NamedTuple):
    """A prompt worth trying and what to look for."""

    title: str
    prompt: str
    look_for: str


PRESETS = (
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
        "Which name was it?",
        "Lily and Tim went to the beach. Lily and",
        "The name stands earlier in the text. Which heads look back at it, and does it help?",
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


class BundledModel(NamedTuple):
    """A checkpoint in models/ and its sizes."""

    name: str
    n_parameters: int
    n_bytes: int


@st.cache_resource
def bundled_models() -> list[BundledModel]:
    """List the checkpoints in models/, read from the headers of their weight files."""
    found = []
    for name, folder in model_hooks.bundled_models().items():
        n_parameters = n_bytes = 0
        for weights in folder.glob("*.safetensors"):
            n_bytes += weights.stat().st_size
            with safe_open(weights, framework="numpy") as tensors:
                shapes = [tensors.get_slice(name).get_shape() for name in tensors.keys()]  # noqa: SIM118
            n_parameters += sum(map(math.prod, shapes))
        found.append(BundledModel(name, n_parameters, n_bytes))
    return found


def draw() -> None:
    """Draw everything that does not need the model."""
    with st.sidebar:
        _prompt_box()
        _preset_picker()
        _model_picker()


def remember_drawn() -> None:
    """Note when a run first came to its end: soon the browser has the sidebar as it should be."""
    st.session_state.setdefault(_DRAWN, time.monotonic())


def _is_settled() -> bool:
    """Say whether the browser has had time to take over what the first run set."""
    return time.monotonic() - st.session_state.get(_DRAWN, math.inf) >= SETTLE_S


def _chosen(key: str, default: str) -> str | None:
    """Return what a widget reports; None for its default, until the browser is settled.

    A quick click cuts the first run short, and what it set may never reach the browser. Then a
    widget reports Streamlit's default for it, which nobody chose.
    """
    value = st.session_state[key]
    return None if value == default and not _is_settled() else value


def draw_token_count() -> None:
    """Fill in the token count, once the model is open."""
    slot = st.session_state.pop("sidebar.count")
    if not session.model_is_open():
        return
    try:
        n_tokens = len(session.token_ids_of(selection().model, selection().prompt))
    except InlookError:
        return
    context_size = session.hooked_model(selection().model).info.context_size
    if context_size is None:
        slot.caption(f"{n_tokens:,} tokens")
    elif n_tokens > context_size:
        slot.caption(f":red[**{n_tokens:,} of {context_size:,} tokens: too long**]")
    else:
        slot.caption(f"{n_tokens:,} of {context_size:,} tokens")


def _model_picker() -> None:
    sizes = {model.name: model for model in bundled_models()}
    names = list(sizes)
    if selection().model not in sizes:
        names.append(selection().model)

    def describe(name: str) -> str:
        if name not in sizes:
            return name
        model = sizes[name]
        return f"{name} ({model.n_parameters / 1e6:.1f}M, {model.n_bytes / 1e6:.0f} MB)"

    show_value("model", selection().model)
    st.selectbox(
        "Model",
        names,
        key="model",
        format_func=describe,
        help="Parameters (in millions) and size on disk.",
        on_change=lambda: _open_model(names[0]),
    )
    with st.expander("Your own model"):
        st.text_input(
            "Folder or Hub id",
            key="own_model",
            placeholder="openai-community/gpt2",
            help="A folder with a causal language model in Hugging Face format, or the name of "
            "one on the Hugging Face Hub (downloaded once). Safetensors only.",
            on_change=_open_own_model,
        )


def _open_model(default: str) -> None:
    if name := _chosen("model", default):
        select(model=name)


def _open_own_model() -> None:
    if name := st.session_state["own_model"].strip():
        select(model=name)


def _prompt_box() -> None:
    show_value("prompt", selection().prompt)
    st.text_area(
        "Prompt",
        key="prompt",
        height=100,
        on_change=_take_prompt,
    )
    st.session_state["sidebar.count"] = st.empty()


def _take_prompt() -> None:
    if (prompt := _chosen("prompt", "")) is not None:
        select(prompt=prompt)


def _preset_picker() -> None:
    preset = next((p for p in PRESETS if p.prompt == selection().prompt), None)
    show_value("preset", preset)
    st.selectbox(
        "Prompts to try",
        PRESETS,
        index=None,
        key="preset",
        format_func=lambda preset: preset.title,
        placeholder="Choose one",
        on_change=_use_preset,
    )
    if preset:
        st.caption(escape_markdown(preset.look_for))


def _use_preset() -> None:
    if preset := st.session_state["preset"]:
        select(prompt=preset.prompt)
