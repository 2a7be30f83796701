"""LayerNorm and RMSNorm: what does each do to one vector of this model, and what does it cost?"""

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks import ModelInfo
from model_hooks.parts.facts import NormFacts
from model_hooks.read.norms import (
    NormAt,
    NormSteps,
    NormTimes,
    mean_share,
    norm_at,
    norm_operations,
    norm_times,
)
from pages.ask.computed import computed
from pages.block_architecture.scene import Scene
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.check import agree, check
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.provenance import numbers_from
from viz import norm_comparison, norm_steps_strips
from viz.numbers import percent, three_digits

HELP = (
    "**LayerNorm** (Ba et al. 2016) subtracts the vector's mean and divides by its standard "
    "deviation. **RMSNorm** (Zhang and Sennrich 2019) leaves the mean in and divides by the root "
    "of the mean square. Both then multiply each number by a learned weight."
)
STEPS = (
    "the vector",
    "subtract the mean",
    "mean of the squares",
    "root of it (+ eps)",
    "divide",
    "times the weight",
)

_norm_at = computed(norm_at)
_times = computed(norm_times, says="Measuring…")


def draw(scene: Scene) -> None:
    """Draw the tab: both norms on one real vector, and what they cost."""
    norms = [norm for norm in scene.facts.main_norms if norm.kind in ("LayerNorm", "RMSNorm")]
    if not norms:
        st.info(
            "No norm of this block reads the residual stream: choose another layer.",
            icon=":material/info:",
        )
        return
    path = _pick_norm(scene, norms)
    found: NormAt = _norm_at(*scene.asked, path, scene.pos)
    steps = found.steps
    pair = {steps.kind: steps, found.other.kind: found.other}
    layer_norm, rms_norm = pair["LayerNorm"], pair["RMSNorm"]
    st.markdown(_in_words(steps, scene.token))
    st.table(table_of(layer_norm, rms_norm, steps.kind))
    _draw_check(steps, scene.info.dtype)
    _draw_numbers(layer_norm, rms_norm)
    shape = (len(scene.asked.token_ids), len(steps.vector))
    numbers_from(path, shape, "input and output", scene.layer)
    csv_button(lambda: numbers_of(layer_norm, rms_norm, steps), "norm_steps")
    _draw_cost(scene.info, scene.asked.model_name, len(scene.asked.token_ids))


def _pick_norm(scene: Scene, norms: list[NormFacts]) -> str:
    """Let the reader choose a norm of the block; return its module path."""
    begin = f"{scene.facts.path}."
    names = {
        norm.path.removeprefix(begin): f"{norm.place} ({norm.path.rpartition('.')[2]})"
        for norm in norms
    }
    chosen = bind(
        st.selectbox,
        "Norm",
        "block_architecture.norm",
        options=[*names],
        when_none=next(iter(names)),
        keeps=True,
        format_func=names.__getitem__,
    )
    return begin + chosen


def _in_words(steps: NormSteps, token: str) -> str:
    found = mean_share(steps.vector)
    weight = ", with 1 + w as its weight" if steps.weight_is_offset else ""
    return (
        f"The vector of “{token}” has {len(steps.vector):,} numbers, size "
        f"{three_digits(found.size)} and "
        f"mean {three_digits(found.mean)}. Its mean makes up **{percent(found.share)}** of that "
        "size, and it is "
        f"all that the two norms disagree about. This model uses **{steps.kind}**{weight}."
    )


def table_of(layer_norm: NormSteps, rms_norm: NormSteps, own: str) -> pd.DataFrame:
    """Return both norms step by step, in words: the first numbers after each step."""

    def name(kind: str) -> str:
        return f"{kind} (this model)" if kind == own else kind

    columns = {name(steps.kind): _step_cells(steps) for steps in (layer_norm, rms_norm)}
    return pd.DataFrame({"step": STEPS, **columns}).set_index("step")


def _step_cells(steps: NormSteps) -> list[str]:
    bias = "" if steps.bias is None else "  (+ bias)"
    return [
        _first(steps.vector),
        _first(steps.centred) if steps.kind == "LayerNorm" else "left out",
        three_digits(steps.mean_square),
        three_digits(steps.divisor),
        _first(steps.normalised),
        _first(steps.output) + bias,
    ]


def _first(values: Float[np.ndarray, "d_model"]) -> str:
    return ", ".join(f"{value:.3f}" for value in values[:3]) + ", …"


def _draw_check(steps: NormSteps, dtype: str) -> None:
    if steps.module_output is None:  # there is nothing to compare with
        return
    largest = float(np.abs(steps.module_output).max())
    check(
        agree(steps.difference, largest, dtype),
        f"the steps of {steps.kind} give what the module itself gave in this run; no number "
        f"differs by more than {steps.difference:.0e} (the largest is {three_digits(largest)}). "
        "The other "
        "column shows what the other norm would make of the same vector with the same weight.",
        f"the steps of {steps.kind} and what the module itself gave in this run differ by up to "
        f"{steps.difference:.0e} (the largest number is {three_digits(largest)}).",
    )


def _draw_numbers(layer_norm: NormSteps, rms_norm: NormSteps) -> None:
    strips, scatter = st.columns([3, 2], gap="medium")
    with strips:
        chart(
            drawing(norm_steps_strips, _strip_rows(layer_norm, rms_norm)),
            key="block_architecture.strips",
            alt="The first numbers of the vector after each step of both norms",
        )
        st.caption("Orange is negative, blue is positive; each row has a scale of its own.")
    with scatter:
        chart(
            drawing(norm_comparison, layer_norm.normalised, rms_norm.normalised),
            key="block_architecture.norms",
            alt="Each number of the vector after LayerNorm over the same after RMSNorm",
        )
    shift = float(np.abs(layer_norm.normalised - rms_norm.normalised).max())
    st.markdown(
        "All dots lie on one line: LayerNorm only shifts (by the mean) and stretches a little. "
        f"The largest gap between the two is {three_digits(shift)}."
    )


def _strip_rows(
    layer_norm: NormSteps, rms_norm: NormSteps
) -> list[tuple[str, Float[np.ndarray, "d_model"]]]:
    own = rms_norm if layer_norm.module_output is None else layer_norm
    return [
        ("vector", layer_norm.vector),
        ("LayerNorm: − mean", layer_norm.centred),  # noqa: RUF001
        ("LayerNorm: ÷ deviation", layer_norm.normalised),
        ("RMSNorm: ÷ root", rms_norm.normalised),
        ("difference", layer_norm.normalised - rms_norm.normalised),
        ("output here", own.output),
    ]


def numbers_of(layer_norm: NormSteps, rms_norm: NormSteps, own: NormSteps) -> pd.DataFrame:
    """Return every number of the vector in each step, for download."""
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


def _draw_cost(info: ModelInfo, model_name: str, n_tokens: int) -> None:
    st.markdown("### What they cost")
    d_model = info.d_model
    st.table(costs_of(_times(model_name, n_tokens), d_model))
    st.caption(
        f"Times: median of 40 runs on this computer, in turns, for {n_tokens} vectors of "
        f"{d_model:,} numbers (random ones: the time does not depend on them). “Written out” is "
        "one operation after the other; PyTorch's own functions may do several at once, and how "
        "well depends on the computer."
    )
    share = 2 * info.n_layers * norm_operations("LayerNorm") * d_model / (2 * info.n_parameters)
    st.markdown(
        f"Either way a norm is cheap to count: two per block take about {percent(share)} of the "
        "operations of one token. What costs more is moving the vector through memory again."
    )


def costs_of(times: NormTimes, d_model: int) -> pd.DataFrame:
    """Return what both norms cost on vectors of `d_model` numbers, in words."""
    operations = [d_model * norm_operations(kind) for kind in ("LayerNorm", "RMSNorm")]
    return pd.DataFrame(
        {
            "": ["LayerNorm", "RMSNorm"],
            "operations per vector": [f"{n:,}" for n in operations],
            "learned numbers": [f"{2 * d_model:,}", f"{d_model:,}"],
            "written out": [_micro(times.layer_norm), _micro(times.rms_norm)],
            "PyTorch's own": [_micro(times.fused_layer_norm), _micro(times.fused_rms_norm)],
        }
    ).set_index("")


def _micro(seconds: float) -> str:
    return f"{1e6 * seconds:,.0f} µs"
