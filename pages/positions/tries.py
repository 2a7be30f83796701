"""The Positions page's experiments: swap tokens, move the text, read beyond the trained length."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

import model_hooks
from model_hooks import Decoding, HookedModel, Trace
from model_hooks.errors import InlookError
from model_hooks.experiments.rope_scaling import (
    RopeScaling,
    longest_text,
    token_losses,
    why_not_scalable,
)
from model_hooks.read.positions import next_token_at, positions_of
from model_hooks.write.generation import BoundedStore
from pages.ask.bundled import model_of
from pages.ask.session import hooked_model
from pages.positions import views
from pages.state.selection import selection
from pages.widgets.chart import chart
from pages.widgets.components import token_strip
from pages.widgets.controls import show_value
from pages.widgets.download import csv_button
from pages.text import escape_markdown, visible
from viz import before_after_bars, most_changed
from viz.positions import LossLine, loss_by_position, shift_change

STORY = Path(__file__).parent / "story.txt"
"""A story written for Inlook, in the words of a small child."""
TWINS = {"twin-gelu": "learned absolute positions", "twin-rope": "rotary positions"}
"""Two bundled models that differ in their positions alone."""
SWAP_TWO, SHUFFLE = "Swap two", "Shuffle all but the last"
MAX_POSITION = 4096
N_SHIFTS = 9
N_WINDOWS, N_BUCKETS = 3, 16
KEPT_LINES = 200
MAX_WORK = 1.5e12
"""Multiplications that one line of the loss picture may take: some ten seconds on a laptop."""
OWN_WORDS = 50_000_000
"""Up to so many parameters, the model may write the long text itself."""
PRESET, OWN = "A ready story", "The model's own"


def _twins() -> list[str]:
    """The twins that are bundled and not selected."""
    bundled = model_hooks.bundled_models()
    return [name for name in TWINS if name in bundled and name != selection().model]


def _missing_twins() -> str | None:
    bundled = model_hooks.bundled_models()
    if all(name in bundled for name in TWINS):
        return None
    return (
        "Two small models that differ in their positions alone are not in this copy's `models/`, "
        "so only the selected model is shown."
    )


def name_of(name: str) -> str:
    """Name a model with its kind of positions."""
    return f"{name} ({TWINS[name]})" if name in TWINS else name


# --- swap -------------------------------------------------------------------------------------


def swap(model: HookedModel, trace: Trace, labels: Sequence[str]) -> None:
    """Let the reader exchange two tokens, or shuffle them, and compare the next token."""
    fixed = min(views.n_special(selection().model, selection().prompt), len(trace) - 1)
    places = list(range(fixed, len(trace)))
    if len(places) < 2:
        st.info("Write a prompt of two words or more.", icon=":material/edit:")
        return
    mode = st.segmented_control(
        "Change the order", [SWAP_TWO, SHUFFLE], default=SWAP_TWO, required=True,
        key="positions.order",
    )  # fmt: skip
    if mode == SWAP_TWO:
        first, second = _two_places(places, labels)
        ids = views.swapped(trace.token_ids, first, second)
        changed, marks = (
            f"tokens {first} and {second} swapped",
            {first: "swapped", second: "swapped"},
        )
    else:
        if len(places) < 3:
            st.info("Shuffling needs three tokens or more.", icon=":material/edit:")
            return
        seed = st.number_input(
            "Shuffle number", 1, 999, key="positions.seed",
            help="Each number gives another order; the last token stays where it is.",
        )  # fmt: skip
        ids = views.shuffled(trace.token_ids, fixed, int(seed))
        changed, marks = "tokens shuffled", {}
    _in_order(model, ids, marks)
    before = _probabilities(trace.last_logits)
    after = _after(selection().model, tuple(ids))
    st.markdown(views.change_sentence(model, before, after))
    _bars(model, before, after, changed, "positions_swap")


def _two_places(places: Sequence[int], labels: Sequence[str]) -> tuple[int, int]:
    first_default = max(0, len(places) - 3)
    columns = st.columns(2)
    chosen = []
    for column, name, default in zip(
        columns, ("One token", "The other"), (first_default, first_default + 1), strict=True
    ):
        with column:
            key = f"positions.swap.{name}"
            known = st.session_state.get(key) in places
            # Set each time: a browser that is not told goes on showing the last prompt's label.
            st.session_state[key] = st.session_state[key] if known else places[default]
            chosen.append(
                st.selectbox(name, places, key=key, format_func=lambda p: f"{p}: {labels[p]}")
            )
    return chosen[0], chosen[1]


def _in_order(model: HookedModel, ids: Sequence[int], marks: dict[int, str]) -> None:
    token_strip(
        model.token_strings(ids),
        key="positions_swapped",
        marks=marks,
        height=140,
        label="The text in its new order",
    )


@st.cache_resource(max_entries=32, show_spinner=False)
def _after(model_name: str, token_ids: tuple[int, ...]) -> Float[np.ndarray, "vocab"]:
    return _probabilities(hooked_model(model_name).trace(list(token_ids)).last_logits)


def _probabilities(logits: Float[np.ndarray, "vocab"]) -> Float[np.ndarray, "vocab"]:
    exponentials = np.exp(logits.astype(np.float64) - logits.max())
    return exponentials / exponentials.sum()


def _bars(
    model: HookedModel,
    before: Float[np.ndarray, "vocab"],
    after: Float[np.ndarray, "vocab"],
    change: str,
    key: str,
) -> None:
    token_ids = most_changed(before, after)
    tokens = [visible(model.token_strings([int(i)])[0]) for i in token_ids]
    chart(
        before_after_bars(tokens, before[token_ids], after[token_ids], change),
        key=key,
        alt=f"Probabilities of the next token, as it is and with {change}",
    )
    csv_button(
        lambda: pd.DataFrame(
            {
                "token_id": token_ids,
                "token": tokens,
                "probability": before[token_ids],
                "probability_changed": after[token_ids],
            }
        ),
        key,
    )


# --- move the text ----------------------------------------------------------------------------


class Moved(NamedTuple):
    """The predictions of one model with its text at other positions."""

    shifts: tuple[int, ...]
    probabilities: Float[np.ndarray, "shift vocab"]


def shift() -> None:
    """Move the whole text by n positions and compare the predictions of several models."""
    names = [selection().model, *_twins()]
    rooms, reasons = {}, []
    for name in names:
        try:
            rooms[name] = _room(name, selection().prompt)
        except InlookError as error:
            reasons.append(f"{name}: {error}")
    if note := _missing_twins():
        st.caption(note)
    names = [name for name in names if rooms.get(name, 0) > 0]
    if not names:
        reasons = reasons or ["The prompt fills the whole context, so it cannot be moved."]
    for reason in reasons:
        st.info(escape_markdown(reason), icon=":material/info:")
    if not names:
        return
    furthest = max(rooms[name] for name in names)
    shift = st.session_state.get("positions.shift", furthest + 1)
    show_value("positions.shift", shift if shift <= furthest else max(1, furthest // 4))
    by = st.slider(
        "Move the text by", 0, furthest, key="positions.shift",
        help="How many positions further on the first token is said to stand.",
    )  # fmt: skip
    moved: dict[str, Moved] = {}
    for name in list(names):
        try:
            moved[name] = _moved(name, selection().prompt, rooms[name], min(by, rooms[name]))
        except InlookError as error:
            st.info(escape_markdown(str(error)), icon=":material/info:")
            names.remove(name)
    if not names:
        return
    changes = {
        name: views.moved_share(m.probabilities[0], m.probabilities) for name, m in moved.items()
    }
    grid = sorted({step for m in moved.values() for step in m.shifts})
    lines = {
        name_of(name): np.array(
            [dict(zip(moved[name].shifts, changes[name], strict=True)).get(step, np.nan)
             for step in grid]
        )
        for name in names
    }  # fmt: skip
    chart(
        shift_change(grid, lines, by),
        key="positions_shift",
        alt="Share of the prediction that changes when the whole text is moved",
    )
    csv_button(lambda: pd.DataFrame({"moved_by": grid, **lines}), "positions_shift")
    st.markdown(_shift_verdict(names, moved, changes))
    shown = names[0]
    if len(names) > 1:
        shown = st.segmented_control(
            "The next-token list of", names, default=names[0], required=True,
            key="positions.shift.model",
        )  # fmt: skip
    by = min(by, rooms[shown])
    before = moved[shown].probabilities[0]
    after = moved[shown].probabilities[moved[shown].shifts.index(by)]
    st.markdown(views.change_sentence(model_of(shown), before, after))
    _bars(model_of(shown), before, after, f"text moved by {by}", "positions_shift_list")


def _room(name: str, prompt: str) -> int:
    """By how many positions a model's text can move."""
    model = model_of(name)
    facts = positions_of(model)
    longest = len(facts.table.vectors) if facts.table else model.info.context_size
    return (longest or MAX_POSITION) - len(model.encode(prompt))


@st.cache_resource(max_entries=32, show_spinner="Moving the text…")
def _moved(name: str, prompt: str, room: int, by: int) -> Moved:
    shifts = _grid(name, prompt, room)
    if by in shifts.shifts:
        return shifts
    model = model_of(name)
    extra = next_token_at(model, model.encode(prompt), [by])
    return Moved((*shifts.shifts, by), np.concatenate([shifts.probabilities, extra]))


@st.cache_resource(max_entries=8, show_spinner="Moving the text…")
def _grid(name: str, prompt: str, room: int) -> Moved:
    model = model_of(name)
    shifts = sorted({int(step) for step in np.linspace(0, room, N_SHIFTS)} | {min(1, room)})
    return Moved(tuple(shifts), next_token_at(model, model.encode(prompt), shifts))


def _shift_verdict(
    names: Sequence[str], moved: dict[str, Moved], changes: dict[str, Float[np.ndarray, "shift"]]
) -> str:
    parts = []
    for name in names:
        worst = float(changes[name].max())
        furthest = max(moved[name].shifts)
        if worst < 1e-3:
            parts.append(
                f"**{escape_markdown(name)}** notices nothing: over all moves up to {furthest}, at "
                f"most {worst:.0e} of its prediction changes, which is rounding."
            )
        else:
            parts.append(
                f"**{escape_markdown(name)}** takes a moved text for another one: up to "
                f"{worst:.0%} of its prediction changes."
            )
    return " ".join(parts)


# --- longer texts -----------------------------------------------------------------------------


class Run(NamedTuple):
    """One line of the loss picture: a model and how its rotation is stretched."""

    model: str
    scaling: RopeScaling | None
    length: int
    trained: int
    source: str
    prompt: str

    @property
    def name(self) -> str:
        """What the legend calls it."""
        how = {"linear": "linear", "dynamic": "dynamic", "yarn": "YaRN"}
        return self.model + (f", {how[self.scaling.rope_type]}" if self.scaling else "")


_SCALINGS = {
    "as trained": None,
    "linear": "linear",
    "dynamic": "dynamic",
    "YaRN": "yarn",
}
_SCALING_HELP = (
    "Ways to make a rotation serve longer texts, without training again. **Linear** squeezes all "
    "positions into the trained range (position interpolation, Chen et al. 2023). **Dynamic** "
    "raises the base as the text grows. **YaRN** (Peng et al. 2023) squeezes slow pairs only. All "
    "three are transformers' own rope settings."
)


def longer() -> None:
    """Measure the loss by position, within and beyond the trained length."""
    own = selection().model
    if note := _missing_twins():
        st.caption(note)
    left, right = st.columns(2)
    with left:
        names = st.multiselect(
            "Models", [own, *_twins()], default=[own, *_twins()],
            key=f"positions.long.models.{own}.{len(_twins())}",
        )  # fmt: skip
        source = st.segmented_control(
            "Text to read", [PRESET, OWN], default=PRESET, required=True, key="positions.source",
            help="A story that comes with Inlook, or your prompt, continued by the model itself.",
        )  # fmt: skip
    with right:
        times = st.select_slider(
            "Length of the text", [1, 2, 4], 2, key="positions.times",
            format_func=lambda n: f"{n} × trained",  # noqa: RUF001
            help="In multiples of the length of the texts that each model was trained on. For a "
            "model of your own that is the context size in its configuration.",
        )  # fmt: skip
        scalings = st.multiselect(
            "Rotation", list(_SCALINGS), default=["as trained", "linear", "YaRN"],
            key="positions.scalings", help=_SCALING_HELP,
        )  # fmt: skip
    runs, notes = _runs(names, scalings, times, source)
    for note in dict.fromkeys(notes):
        st.caption(note)
    if not runs:
        return
    kept = _kept()
    if missing := [run for run in runs if kept.get(run) is None]:
        place = st.empty()
        with place.container():
            pressed = st.button(
                "Measure", type="primary", icon=":material/play_arrow:", key="positions.measure"
            )
            st.caption(f"{len(missing)} lines to measure; each takes some seconds.")
        if pressed:
            _measure(missing)
            place.empty()
    lines = {run: line for run in runs if (line := kept.get(run)) is not None}
    for line in lines.values():
        if isinstance(line, str):
            st.info(escape_markdown(line), icon=":material/info:")
    if drawn := {run: line for run, line in lines.items() if isinstance(line, LossLine)}:
        _draw_losses(drawn)


def _runs(
    names: Sequence[str], scalings: Sequence[str], times: int, source: str
) -> tuple[list[Run], list[str]]:
    """The lines to draw, and sentences about what cannot be drawn."""
    runs, notes = [], []
    for name in names:
        model = model_of(name)
        facts = positions_of(model)
        trained = views.trained_length(model)
        length = trained * times
        if model.info.context_size is None:
            notes.append(
                f"The configuration of {escape_markdown(name)} names no context size, so its "
                f"trained length is not known; {trained} stands in for it."
            )
        most = longest_text(model, len(facts.table.vectors) if facts.table else None)
        if most is not None and length > most:
            length = most
            notes.append(
                f"{escape_markdown(name)} has no vector for positions from {most} on, so its line "
                "ends there: absolute positions cannot go on beyond their table."
                if facts.table
                else f"{escape_markdown(name)} reads at most {most} tokens."
            )
        if source == PRESET and length > (n_story := sum(map(len, _story(name)))):
            length = n_story
            notes.append(f"For {escape_markdown(name)}, the story has only {length:,} tokens.")
        if length > (affordable := int(MAX_WORK / (2 * model.info.n_parameters))):
            length = affordable
            notes.append(
                f"More than {length:,} tokens would take {escape_markdown(name)} too long here."
            )
        if source == OWN and model.info.n_parameters > OWN_WORDS:
            notes.append(f"{escape_markdown(name)} is too large to write a long text here.")
            continue
        prompt = selection().prompt if source == OWN else ""
        why_not = why_not_scalable(model)
        wanted = [_SCALINGS[scaling] for scaling in scalings]
        if why_not and any(wanted):
            notes.append(escape_markdown(why_not))
        if why_not and not facts.table and None not in wanted:
            continue
        for scaling in wanted if not why_not else [None]:
            if scaling is not None and length <= trained:
                notes.append("A text within the trained length needs no stretching.")
                continue
            stretch = RopeScaling(scaling, length / trained, trained) if scaling else None
            runs.append(Run(name, stretch, length, trained, source, prompt))
    return runs, notes


def _measure(runs: Sequence[Run]) -> None:
    """Read the long text with each run's settings, and show how far it is."""
    progress = st.progress(0.0, "Reading a long text…")
    for i, run in enumerate(runs):

        def show(done: float, i: int = i, run: Run = run) -> None:
            label = f"Reading {run.length} tokens: {escape_markdown(run.name)}"
            progress.progress((i + done) / len(runs), label)

        show(0)
        _kept().put(run, _losses(run, show))
    progress.empty()


@st.cache_resource
def _kept() -> BoundedStore[LossLine | str]:
    """What was measured, shared by all sessions."""
    return BoundedStore(KEPT_LINES, lambda line: 1)


def _losses(run: Run, show: Callable[[float], None]) -> LossLine | str:
    """Return the mean loss by position, or the sentence why there is none."""
    model = model_of(run.model)
    try:
        windows = _windows(run)
        total = np.zeros(run.length - 1)
        for n, window in enumerate(windows, 1):
            total += token_losses(model, window, run.scaling)
            show(n / len(windows))
    except InlookError as error:
        return str(error)
    return _line(run.name, total / len(windows), len(windows))


def _line(name: str, losses: Float[np.ndarray, "pos"], n_windows: int) -> LossLine:
    """Average the loss over neighbouring positions."""
    edges = np.unique(np.linspace(0, len(losses), min(N_BUCKETS, len(losses)) + 1).astype(int))
    parts = [losses[a:b] for a, b in pairwise(edges)]
    # The loss at index i is that of predicting position i + 1.
    middles = [float(a + b + 1) / 2 for a, b in pairwise(edges)]
    means = np.array([part.mean() for part in parts])
    return LossLine(name, middles, means, [n_windows * len(part) for part in parts])


def _windows(run: Run) -> list[list[int]]:
    """Several stretches of the long text, each as long as the run."""
    model = model_of(run.model)
    if run.source == OWN:
        return [list(_own_text(run.model, run.prompt, run.length))]
    before, story = _story(run.model)
    size = run.length - len(before)
    affordable = max(1, int(MAX_WORK / (2 * model.info.n_parameters * run.length)))
    n_windows = min(N_WINDOWS, affordable, len(story) - size + 1)
    starts = np.linspace(0, len(story) - size, n_windows).astype(int)
    return [[*before, *story[start : start + size]] for start in starts]


@st.cache_resource(max_entries=8, show_spinner=False)
def _story(name: str) -> tuple[list[int], list[int]]:
    """The special tokens before a text, and the story's own tokens."""
    model, text = model_of(name), STORY.read_text(encoding="utf-8").replace("\n", " ")
    story = model.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    whole = model.encode(text)
    return whole[: max(0, len(whole) - len(story))], story


@st.cache_resource(max_entries=8, show_spinner="The model writes a long text…")
def _own_text(name: str, prompt: str, length: int) -> tuple[int, ...]:
    """Let the model go on from the prompt, forgetting the beginning where its context is full."""
    model = model_of(name)
    ids = [int(i) for i in model.encode(prompt or "Once upon a time")]
    size = views.trained_length(model)
    seed = 0
    while len(ids) < length:
        context = ids if len(ids) <= size // 2 else ids[-(size // 2) :]
        steps = size - len(context)
        decoding = Decoding("sample", seed=(seed := seed + 1))
        before = len(ids)
        for step in model.generate(context, decoding, max_new_tokens=steps):
            ids.append(int(step.token_id))
            if len(ids) >= length:
                break
        if len(ids) == before:
            break
    return tuple(ids[:length])


def _draw_losses(lines: dict[Run, LossLine]) -> None:
    chart(
        loss_by_position(list(lines.values()), sorted({run.trained for run in lines})),
        key="positions_losses",
        alt="Mean loss of predicting a token, by its position in a long text",
    )
    st.markdown(loss_verdict(lines))
    csv_button(
        lambda: pd.DataFrame(
            [
                {"run": line.name, "position": x, "loss": y, "n_predictions": n}
                for line in lines.values()
                for x, y, n in zip(line.positions, line.losses, line.n_tokens, strict=True)
            ]
        ),
        "positions_losses",
    )


def loss_verdict(lines: dict[Run, LossLine]) -> str:
    """Say per line how the loss beyond the trained length compares with that within."""
    parts = []
    for run, line in lines.items():
        at = np.array(line.positions)
        inside = line.losses[(at <= run.trained) & (at > 0.25 * run.trained)]
        beyond = line.losses[at > run.trained]
        if len(inside) and len(beyond):
            parts.append(
                f"- **{escape_markdown(run.name)}**: {inside.mean():.2f} nats within, "
                f"{beyond.mean():.2f} beyond the trained length "
                f"({beyond.mean() - inside.mean():+.2f})"
            )
    return "\n".join(parts)
