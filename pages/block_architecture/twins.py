"""The twins: small models that differ in one choice each, their training runs and their text."""

import json
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
import torch
from jaxtyping import Float

from model_hooks import HookedModel, bundled_models
from model_hooks.errors import InlookError
from pages.ask.bundled import bundled_model
from pages.shell import sidebar
from pages.state.selection import selection
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.provenance import numbers_from
from pages.text import escape_markdown, visible
from viz import before_after_bars, most_changed
from viz.comparison import probability_by_token
from viz.training import Curve, final_losses, loss_curves

TRAINING = Path(__file__).parents[2] / "training"
MAX_TOKENS = 128
"""Of a prompt that twins read: they were trained on no more."""
NO_TWINS = (
    "The twins (small models that differ in one choice each) are not among the bundled models "
    "here, so there is nothing to compare: `training/README.md` says how to train them."
)
NO_CURVES = (
    "The curves of these training runs are not here: `training/README.md` says how to make them."
)
HELP = (
    "The **twins** are small models that were trained on the same text in the same order for the "
    "same number of steps. Each differs from one other in a single choice, so the gap between the "
    "two is due to that choice, or to chance: several **seeds** (other random starts) show how "
    "much chance does. **Bits per byte** tell how surprised a model is by stories it never read: "
    "fewer are better."
)
MEASURE = "bits per byte<br>(lower is better)"
CACHE = "cache bytes per token"
TABLE, PAIR = "All twins", "Two side by side"


class Twin(NamedTuple):
    """One twin: what it changes, and what there is of it."""

    name: str
    compared_with: str | None
    change: str
    bundled: bool


@st.cache_resource(ttl=60)
def twins() -> list[Twin]:
    """List the twins of `training/configs/twins.json`, from the design of 2017 on."""
    path = TRAINING / "configs" / "twins.json"
    if not path.is_file():
        return []
    recipes = json.loads(path.read_text(encoding="utf-8"))["recipes"]
    bundled = bundled_models()
    return [
        Twin(name, recipe["compared_with"], recipe["change"], name in bundled)
        for name, recipe in recipes.items()
        if name.startswith("twin-")
    ]


def names_of_bundled() -> list[str]:
    """Return the twins that can be loaded."""
    return [twin.name for twin in twins() if twin.bundled]


@st.cache_resource(ttl=60)
def runs_of(name: str) -> list[pd.DataFrame]:
    """Return the curves of a run's seeds, as far as they are there."""
    paths = sorted((TRAINING / "curves").glob(f"{name}-seed*.csv"))
    frames = []
    for path in paths:
        try:
            frame = pd.read_csv(path)
        except (OSError, ValueError):
            continue
        if {"step", "train_loss", "valid_bits_per_byte"} <= set(frame.columns) and len(frame):
            frames.append(frame)
    return frames


def curve_of(frame: pd.DataFrame, name: str) -> Curve:
    """Return a run's training loss for the figure."""
    return Curve(
        name,
        frame["step"].to_numpy(dtype=np.int64),
        frame["train_loss"].to_numpy(dtype=np.float64),
    )


def final_bits(name: str) -> Float[np.ndarray, "seed"]:
    """Return where each seed of a run ended: bits per byte on held-out text."""
    ends = [frame["valid_bits_per_byte"].dropna() for frame in runs_of(name)]
    return np.array([end.iloc[-1] for end in ends if len(end)], dtype=np.float64)


def mean_of(values: Float[np.ndarray, "seed"]) -> str:
    """Write the mean over seeds."""
    return f"{values.mean():.3f}" if len(values) else "not measured"


def seeds_of(values: Float[np.ndarray, "seed"]) -> str:
    """Write how many seeds there are, and how far apart they ended."""
    if len(values) < 2:
        return "one" if len(values) else ""
    return f"{len(values)}, {np.ptp(values):.3f} apart"


def ids_for(model: HookedModel, prompt: str) -> tuple[int, ...]:
    """Encode the prompt for a twin, cut to what it was trained on."""
    return tuple(model.encode(prompt)[:MAX_TOKENS])


def draw() -> None:
    """The tab: the table of all twins, or two of them side by side."""
    known = twins()
    if not known:
        st.info(NO_TWINS, icon=":material/info:")
        return
    view = st.segmented_control(
        "Show", [TABLE, PAIR], default=TABLE, required=True, key="block_architecture.twins"
    )
    if view == TABLE:
        _table(known)
    else:
        _pair(known)


def _table(known: list[Twin]) -> None:
    frame = table_frame(known)
    written = frame.assign(
        parameters=[f"{n:,.0f}" if n else "" for n in frame.parameters.fillna(0)],
        **{CACHE: [f"{n:,.0f}" if n else "" for n in frame[CACHE].fillna(0)]},
    )
    times = _times(tuple(names_of_bundled())) if st.session_state.get(_MEASURED) else None
    if times is not None:
        pairs = [times.get(twin.name) for twin in known]
        written["reads 128 tokens in"] = [f"{pair[0]:.1f} ms" if pair else "" for pair in pairs]
        written["writes tokens per second"] = [f"{pair[1]:.0f}" if pair else "" for pair in pairs]
    st.table(written.set_index("model"))
    if not names_of_bundled():
        st.info(NO_TWINS, icon=":material/info:")
    elif times is None:
        st.button(
            "Measure their speed on this computer", key=_MEASURED + ".button",
            icon=":material/timer:", on_click=lambda: st.session_state.update({_MEASURED: True}),
        )  # fmt: skip
    else:
        st.caption(
            "Speed: median of several runs in turns on this computer, with everything else it has "
            "to do; read differences below a tenth as none."
        )
    values = [final_bits(twin.name) for twin in known]
    shown = [(twin, bits) for twin, bits in zip(known, values, strict=True) if len(bits)]
    if not shown:
        st.info(NO_CURVES, icon=":material/info:")
        return
    chart(
        final_losses([t.name for t, _ in shown], [bits for _, bits in shown], measure=MEASURE),
        key="block_architecture.spread",
        alt="Where every seed of every twin ended, in bits per byte",
    )
    numbers_from(None, (len(shown), max(map(len, values))), "last line of `training/curves/*.csv`")
    csv_button(table_frame(known), "twins")


_MEASURED = "block_architecture.speed"


def table_frame(known: list[Twin]) -> pd.DataFrame:
    """List the twins: choice, size, loss over seeds, and bytes of cache."""
    folders = bundled_models()
    sizes = {model.name: model.n_parameters for model in sidebar.bundled_models()}
    return pd.DataFrame(
        {
            "model": [twin.name for twin in known],
            "its one change": [twin.change for twin in known],
            "compared with": [twin.compared_with or "" for twin in known],
            "bits per byte": [mean_of(final_bits(twin.name)) for twin in known],
            "seeds": [seeds_of(final_bits(twin.name)) for twin in known],
            "parameters": [sizes.get(twin.name) for twin in known],
            CACHE: [
                cache_bytes_per_token(folders[twin.name]) if twin.bundled else None
                for twin in known
            ],
        }
    )


def cache_bytes_per_token(folder: Path) -> int:
    """Bytes of keys and values per token, as float16 numbers, by a model's config."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    n_heads = config["num_attention_heads"]
    d_head = config.get("head_dim") or config["hidden_size"] // n_heads
    n_kv_heads = config.get("num_key_value_heads") or n_heads
    return 2 * 2 * config["num_hidden_layers"] * n_kv_heads * d_head


def speed_ids() -> list[int]:
    """Return the text that speed is measured on: which tokens it holds does not matter."""
    return [i % 100 + 100 for i in range(MAX_TOKENS)]


@st.cache_resource(max_entries=2, show_spinner="Measuring…")
def _times(names: tuple[str, ...], repeats: int = 7) -> dict[str, tuple[float, float]]:
    """Milliseconds to read 128 tokens, and tokens written per second, in turns."""
    ids = speed_ids()
    read: dict[str, list[float]] = {name: [] for name in names}
    written: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(repeats + 1):
        for name in names:
            model = bundled_model(name)
            model.forget()
            started = time.perf_counter()
            with torch.inference_mode():
                model.model(input_ids=torch.tensor([ids]), use_cache=False)
            read[name].append(time.perf_counter() - started)
            steps = list(model.generate(ids[:32], max_new_tokens=5))[1:]
            written[name] += [step.seconds for step in steps]
            model.forget()
    return {
        name: (
            1e3 * statistics.median(read[name][1:]),
            1 / statistics.median(written[name][1:]) if written[name] else float("nan"),
        )
        for name in names
    }


class Reading(NamedTuple):
    """How two models read the same text."""

    tokens: tuple[str, ...]
    actual: tuple[Float[np.ndarray, "pos"], Float[np.ndarray, "pos"]]
    """Probability of each next token of the text, per model."""
    following: tuple[Float[np.ndarray, "vocab"], Float[np.ndarray, "vocab"]]
    """Probabilities of what comes after the text, per model."""


@st.cache_resource(max_entries=16, show_spinner="Reading the prompt with both…")
def read_with_both(first: str, second: str, prompt: str) -> Reading:
    """Run the prompt through two twins."""
    actual, following, tokens = [], [], ()
    for name in (first, second):
        model = bundled_model(name)
        ids = ids_for(model, prompt)
        trace = model.trace(list(ids))
        logits = model.logits(trace)
        log_probs = torch.log_softmax(torch.tensor(logits), -1).numpy()
        probabilities = np.exp(log_probs)
        actual.append(probabilities[np.arange(len(ids) - 1), list(ids[1:])])
        following.append(probabilities[-1])
        tokens = trace.tokens
    return Reading(tokens, tuple(actual), tuple(following))


def _pair(known: list[Twin]) -> None:
    names = [twin.name for twin in known if twin.bundled or runs_of(twin.name)]
    if len(names) < 2:
        st.info(NO_TWINS, icon=":material/info:")
        return
    left, right = st.columns(2)
    second = right.selectbox(
        "Twin", names, index=1, key="block_architecture.second",
        help="The other one changes to the one it is compared with.",
        on_change=_follow_second,
    )  # fmt: skip
    first = left.selectbox("Compared with", names, index=0, key="block_architecture.first")
    if first == second:
        st.info("Choose two different twins.", icon=":material/info:")
        return
    changes = {twin.name: twin for twin in known}
    if changes[second].compared_with == first:
        st.markdown(f"**The one change:** {changes[second].change}.")
    elif changes[first].compared_with == second:
        st.markdown(f"**The one change**, the other way round: {changes[first].change}.")
    else:
        st.caption("These two differ in more than one choice.")
    runs = [(name, runs_of(name)) for name in (first, second)]
    curves = [curve_of(frames[0], name) for name, frames in runs if frames]
    if curves:
        chart(
            loss_curves(curves, from_step=50),
            key="block_architecture.pair_curves",
            alt=f"Training loss of {first} and {second}",
        )
        ends = "; ".join(
            f"{name} {mean_of(final_bits(name))} (seeds: {seeds_of(final_bits(name)) or 'none'})"
            for name, _ in runs
        )
        st.caption(f"Bits per byte at the end: {ends}. The first 50 steps are left out.")
    else:
        st.info(NO_CURVES, icon=":material/info:")
    bundled = names_of_bundled()
    if first not in bundled or second not in bundled:
        st.info(NO_TWINS, icon=":material/info:")
        return
    _same_prompt(first, second)


def _follow_second() -> None:
    chosen = st.session_state["block_architecture.second"]
    other = next((twin.compared_with for twin in twins() if twin.name == chosen), None)
    if other is not None:
        st.session_state["block_architecture.first"] = other


def _same_prompt(first: str, second: str) -> None:
    try:
        reading = read_with_both(first, second, selection().prompt)
    except InlookError as error:
        st.info(escape_markdown(str(error)), icon=":material/info:")
        return
    st.markdown("**The same prompt through both**")
    if len(reading.tokens) > 1:
        one, other = reading.actual
        chart(
            probability_by_token(
                [visible(token) for token in reading.tokens[1:]], one, other, (first, second), 1
            ),
            key="block_architecture.pair_tokens",
            alt=f"Probability that {first} and {second} gave each token of the prompt",
        )
        bits = [-np.log2(np.maximum(values, 1e-12)).mean() for values in reading.actual]
        st.caption(
            f"Surprise per token: {bits[0]:.2f} bits with {first}, {bits[1]:.2f} with {second}."
            + (f" Only the first {MAX_TOKENS} tokens." if len(reading.tokens) == MAX_TOKENS else "")
        )
    ids = most_changed(*reading.following)
    shown = [visible(token) for token in bundled_model(first).token_strings(ids.tolist())]
    chart(
        before_after_bars(
            shown, reading.following[0][ids], reading.following[1][ids], second, first
        ),
        key="block_architecture.pair_next",
        alt=f"What {first} and {second} expect next",
    )
    numbers_from(
        None, (2, len(reading.following[0])), "softmax of the logits after the last position"
    )
    csv_button(lambda: _pair_frame(reading, first, second), "twins_pair")


def _pair_frame(reading: Reading, first: str, second: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "pos": range(1, len(reading.tokens)),
            "token": reading.tokens[1:],
            first: reading.actual[0],
            second: reading.actual[1],
        }
    )
