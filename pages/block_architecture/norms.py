"""Norms: before or after each part, and LayerNorm against RMSNorm, on this prompt's numbers."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks import HookedModel, ModelInfo, Trace
from model_hooks.errors import InlookError
from model_hooks.parts.facts import BlockFacts
from model_hooks.read.norms import (
    NormSteps,
    NormTimes,
    norm_calls,
    norm_operations,
    norm_steps,
    other_norm,
    time_norms,
)
from model_hooks.read.gradients import stream_gradients, untrained
from pages.ask.bundled import model_of
from pages.ask.session import hooked_model, trace_of
from pages.block_architecture import twins
from pages.state.selection import selection
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.provenance import numbers_from
from pages.text import escape_markdown
from viz.depth import Depth, stream_and_gradients
from viz.norms import norm_comparison, norm_steps_strips
from viz.training import loss_curves

AFTER, BEFORE = "twin-original-2017", "twin-pre-norm"
NAMES = {AFTER: "norm after (2017)", BEFORE: "norm before"}
MAX_GRADIENT_WORK = 4e10
"""Parameters times tokens up to which gradients are computed without being asked for."""
MAX_UNTRAINED = 3e7
"""Parameters up to which a model is built anew with random weights."""
WARMUP_RUNS = {
    "adam-slow-post-norm-warmup": "norm after, with warm-up",
    "adam-slow-post-norm-no-warmup": "norm after, no warm-up",
    "adam-pre-norm-no-warmup": "norm before, no warm-up",
}
TRAINED, FRESH = "trained", "before training"

PLACE_HELP = (
    "The **gradient** says how strongly the loss (the error on this prompt's next tokens) would "
    "change if the stream changed a little at that point. Learning follows it. Where it is tiny, "
    "blocks learn slowly; where it is huge, a step goes too far. In 2017 the **norm came after** "
    "each sum; most models since put the **norm before** each part."
)
KIND_HELP = (
    "**LayerNorm** (Ba et al. 2016) subtracts the vector's mean and divides by its standard "
    "deviation. **RMSNorm** (Zhang and Sennrich 2019) leaves the mean in and divides by the root "
    "of the mean square. Both then multiply each number by a learned weight."
)


class Measured(NamedTuple):
    """Means over the tokens of a prompt, per point of the stream."""

    sizes: Float[np.ndarray, "point"]
    gradients: Float[np.ndarray, "point"] | None
    loss: float | None
    problem: str | None


@st.cache_resource(max_entries=16, show_spinner="Following the loss back…")
def measured(name: str, prompt: str, fresh: bool) -> Measured:
    """Measure stream and gradients of a twin, trained or with fresh weights."""
    model = _fresh(name) if fresh else model_of(name)
    return _measure(model, model.trace(list(twins.ids_for(model, prompt))))


@st.cache_resource(max_entries=4, show_spinner="Following the loss back…")
def measured_here(model_name: str, token_ids: tuple[int, ...], fresh: bool) -> Measured:
    """Measure stream and gradients of the loaded model."""
    if not fresh:
        return _measure(hooked_model(model_name), trace_of(model_name, token_ids))
    model = _fresh(model_name)
    return _measure(model, model.trace(list(token_ids)))


@st.cache_resource(max_entries=4, show_spinner="Building it with fresh weights…")
def _fresh(name: str) -> HookedModel:
    return untrained(model_of(name))


def _measure(model: HookedModel, trace: Trace) -> Measured:
    try:
        found = stream_gradients(model, trace)
    except InlookError as error:
        states = [layer.resid_pre for layer in trace.layers] + [trace.layers[-1].resid_post]
        sizes = np.array([np.linalg.norm(state, axis=-1).mean() for state in states])
        return Measured(sizes, None, None, str(error))
    return Measured(found.sizes.mean(1), found.gradient_sizes.mean(1), found.loss, None)


def place(info: ModelInfo, token_ids: tuple[int, ...]) -> None:
    """The tab on the place of the norm: depth, then training curves."""
    have_twins = {AFTER, BEFORE} <= set(twins.names_of_bundled())
    can_build = have_twins or info.n_parameters <= MAX_UNTRAINED
    fresh = False
    if can_build:
        fresh = (
            st.segmented_control(
                "Weights",
                [TRAINED, FRESH],
                default=TRAINED,
                required=True,
                key="block_architecture.weights",
                help="Before training, all weights are random: that is where a bad start shows.",
            )
            == FRESH
        )
    if have_twins:
        prompt = selection().prompt
        found = {NAMES[name]: measured(name, prompt, fresh) for name in (AFTER, BEFORE)}
        what = f"`{AFTER}` and `{BEFORE}`, which differ in nothing but the place of the norm"
    else:
        st.info(twins.NO_TWINS + " Below is the loaded model alone.", icon=":material/info:")
        long = not fresh and info.n_parameters * len(token_ids) > MAX_GRADIENT_WORK
        if long and not st.toggle("Compute them (takes a while)", key="block_architecture.long"):
            return
        found = {info.name: measured_here(selection().model, token_ids, fresh)}
        what = f"the loaded model, {escape_markdown(info.name)}"
    chart(
        stream_and_gradients(
            [Depth(name, numbers.sizes, numbers.gradients) for name, numbers in found.items()]
        ),
        key="block_architecture.depth",
        alt="Size of the residual stream and of the loss's gradient, block by block",
    )
    for name, numbers in found.items():
        st.markdown(_depth_line(name, numbers))
    points = len(next(iter(found.values())).sizes)
    numbers_from(None, (len(found), points), f"mean over the prompt's tokens in {what}")
    csv_button(lambda: _depth_frame(found, fresh), "stream_and_gradients")
    _warmup()


def _depth_line(name: str, numbers: Measured) -> str:
    sizes = numbers.sizes
    text = f"- **{escape_markdown(name)}**: the stream goes from {sizes[0]:.3g} to {sizes[-1]:.3g}"
    if numbers.gradients is None:
        return f"{text}. {escape_markdown(numbers.problem or '')}"
    first, last = numbers.gradients[min(1, len(sizes) - 1)], numbers.gradients[-1]
    return (
        f"{text}; the gradient is {first:.2g} where block 1 begins and {last:.2g} after the last "
        f"block (loss {numbers.loss:.2f})."
    )


def _depth_frame(found: dict[str, Measured], fresh: bool) -> pd.DataFrame:
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "model": name,
                    "weights": FRESH if fresh else TRAINED,
                    "point": range(len(numbers.sizes)),
                    "stream_size": numbers.sizes,
                    "gradient_size": np.nan if numbers.gradients is None else numbers.gradients,
                }
            )
            for name, numbers in found.items()
        ]
    )


def _warmup() -> None:
    st.markdown("##### Training with and without warm-up")
    found = {name: twins.runs_of(name) for name in WARMUP_RUNS}
    found = {name: frames for name, frames in found.items() if frames}
    if not found:
        st.info(twins.NO_CURVES, icon=":material/info:")
        return
    chart(
        loss_curves(
            [twins.curve_of(frames[0], WARMUP_RUNS[name]) for name, frames in found.items()]
        ),
        key="block_architecture.warmup",
        alt="Training loss with the norm after or before, with and without warm-up",
    )
    ends = [
        f"{WARMUP_RUNS[name]} **{frames[0]['train_loss'].iloc[-1]:.2f}**"
        for name, frames in found.items()
    ]
    st.markdown(
        "**Warm-up** raises the learning rate slowly over the first steps, as in 2017. The same "
        f"small model, trained with Adam alone, ends at a loss of: {', '.join(ends)}. With "
        "the norm before, the learning rate was three times as high."
    )
    numbers_from(None, (len(found),), "runs in `training/curves/adam-*.csv`")


class Norm(NamedTuple):
    """One norm of the loaded model on one token's vector."""

    steps: NormSteps
    other: NormSteps


@st.cache_resource(max_entries=8, show_spinner=False)
def norm_on(model_name: str, token_ids: tuple[int, ...], path: str, pos: int) -> Norm:
    """Step through a norm on a real vector; shared between sessions."""
    model = hooked_model(model_name)
    module = model.model.get_submodule(path)
    taken, given = norm_calls(model, trace_of(model_name, token_ids), module)
    steps = norm_steps(module, taken[pos], given[pos])
    return Norm(steps, other_norm(steps))


@st.cache_resource(max_entries=4, show_spinner="Measuring…")
def _times(n_tokens: int, d_model: int) -> NormTimes:
    vectors = np.random.default_rng(0).normal(size=(n_tokens, d_model)).astype(np.float32)
    return time_norms(vectors)


def kind(
    info: ModelInfo, facts: BlockFacts, token_ids: tuple[int, ...], pos: int, token: str
) -> None:
    """The tab on the kind of norm: both on one real vector, and what they cost."""
    norms = [norm for norm in facts.main_norms if norm.kind in ("LayerNorm", "RMSNorm")]
    if not norms:
        st.info(
            "No norm of this block reads the residual stream: choose another layer.",
            icon=":material/info:",
        )
        return
    names = {norm.path: f"{norm.place} ({norm.path.rpartition('.')[2]})" for norm in norms}
    key = "block_architecture.norm"
    if st.session_state.get(key) not in names:
        st.session_state.pop(key, None)
    path = st.selectbox("Norm", list(names), format_func=names.get, key=key)
    try:
        found = norm_on(selection().model, token_ids, path, pos)
    except InlookError as error:
        st.info(escape_markdown(str(error)), icon=":material/info:")
        return
    steps = found.steps
    pair = {steps.kind: steps, found.other.kind: found.other}
    layer_norm, rms_norm = pair["LayerNorm"], pair["RMSNorm"]
    size = float(np.linalg.norm(steps.vector)) or 1.0
    share = abs(steps.mean) * np.sqrt(len(steps.vector)) / size
    st.markdown(
        f"The vector of “{token}” has {len(steps.vector):,} numbers, size {size:.3g} and mean "
        f"{steps.mean:.4g}. Its mean makes up **{share:.1%}** of that size, and it is all that the "
        f"two norms disagree about. This model uses **{steps.kind}**"
        + (", with 1 + w as its weight" if steps.weight_is_offset else "")
        + "."
    )
    st.table(_steps_table(layer_norm, rms_norm, steps.kind))
    st.caption(_check(steps))
    strips, scatter = st.columns([3, 2], gap="medium")
    with strips:
        chart(
            norm_steps_strips(_strip_rows(layer_norm, rms_norm)),
            key="block_architecture.strips",
            alt="The first numbers of the vector after each step of both norms",
        )
        st.caption("Orange is negative, blue is positive; each row has a scale of its own.")
    with scatter:
        chart(
            norm_comparison(layer_norm.normalised, rms_norm.normalised),
            key="block_architecture.norms",
            alt="Each number of the vector after LayerNorm over the same after RMSNorm",
        )
    shift = float(np.abs(layer_norm.normalised - rms_norm.normalised).max())
    st.markdown(
        f"All dots lie on one line: LayerNorm only shifts (by the mean) and stretches a little. "
        f"The largest gap between the two is {shift:.3g}."
    )
    numbers_from(path, (len(token_ids), len(steps.vector)), "input and output", facts.layer)
    csv_button(lambda: _norm_frame(layer_norm, rms_norm, steps), "norm_steps")
    _cost(info, len(token_ids), len(steps.vector))


def _steps_table(layer_norm: NormSteps, rms_norm: NormSteps, own: str) -> pd.DataFrame:
    def name(kind: str) -> str:
        return f"{kind} (this model)" if kind == own else kind

    def first(values: np.ndarray) -> str:
        return ", ".join(f"{value:.3f}" for value in values[:3]) + ", …"

    def last(steps: NormSteps) -> str:
        extra = " + bias" if steps.bias is not None else ""
        return f"{first(steps.output)}{'  (' + extra.strip() + ')' if extra else ''}"

    return pd.DataFrame(
        {
            "step": [
                "the vector",
                "subtract the mean",
                "mean of the squares",
                "root of it (+ eps)",
                "divide",
                "times the weight",
            ],
            name("LayerNorm"): [
                first(layer_norm.vector),
                first(layer_norm.centred),
                f"{layer_norm.mean_square:.4g}",
                f"{layer_norm.divisor:.4g}",
                first(layer_norm.normalised),
                last(layer_norm),
            ],
            name("RMSNorm"): [
                first(rms_norm.vector),
                "left out",
                f"{rms_norm.mean_square:.4g}",
                f"{rms_norm.divisor:.4g}",
                first(rms_norm.normalised),
                last(rms_norm),
            ],
        }
    ).set_index("step")


def _check(steps: NormSteps) -> str:
    largest = float(np.abs(steps.module_output).max())
    return (
        f":material/check_circle: Checked: the steps of {steps.kind} give what the module itself "
        f"gave in this run; no number differs by more than {steps.difference:.0e} (the largest is "
        f"{largest:.3g}). The other column shows what the other norm would make of the same "
        "vector with the same weight."
    )


def _strip_rows(
    layer_norm: NormSteps, rms_norm: NormSteps
) -> list[tuple[str, Float[np.ndarray, "d_model"]]]:
    return [
        ("vector", layer_norm.vector),
        ("LayerNorm: − mean", layer_norm.centred),  # noqa: RUF001
        ("LayerNorm: ÷ deviation", layer_norm.normalised),
        ("RMSNorm: ÷ root", rms_norm.normalised),
        ("difference", layer_norm.normalised - rms_norm.normalised),
        ("output here", layer_norm.output if layer_norm.module_output is not None
         else rms_norm.output),
    ]  # fmt: skip


def _norm_frame(layer_norm: NormSteps, rms_norm: NormSteps, own: NormSteps) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "number": range(len(own.vector)),
            "vector": own.vector,
            "layer_norm": layer_norm.normalised,
            "rms_norm": rms_norm.normalised,
            "weight": np.nan if own.weight is None else own.weight,
            "output": own.output,
            "module_output": own.module_output,
        }
    )


def _cost(info: ModelInfo, n_tokens: int, d_model: int) -> None:
    st.markdown("##### What they cost")
    times = _times(n_tokens, d_model)
    counted = norm_operations("LayerNorm"), norm_operations("RMSNorm")
    st.table(
        pd.DataFrame(
            {
                "": ["LayerNorm", "RMSNorm"],
                "operations per vector": [f"{n * d_model:,}" for n in counted],
                "learned numbers": [f"{2 * d_model:,}", f"{d_model:,}"],
                "written out": [_micro(times.layer_norm), _micro(times.rms_norm)],
                "PyTorch's own": [_micro(times.fused_layer_norm), _micro(times.fused_rms_norm)],
            }
        ).set_index("")
    )
    st.caption(
        f"Times: median of 40 runs on this computer, in turns, for {n_tokens} vectors of "
        f"{d_model:,} numbers (random ones: the time does not depend on them). “Written out” is "
        "one operation after the other; PyTorch's own functions may do several at once, and how "
        "well depends on the computer."
    )
    share = 2 * info.n_layers * norm_operations("LayerNorm") * d_model / (2 * info.n_parameters)
    st.markdown(
        f"Either way a norm is cheap to count: two per block take about {share:.1%} of the "
        "operations of one token. What costs more is moving the vector through memory again."
    )


def _micro(seconds: float) -> str:
    return f"{1e6 * seconds:,.0f} µs"
