"""What the Feedforward page shows, worked out from the trace: long helpers of `feedforward.py`."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks import HookedModel, ModelInfo, NeuronTrace, Routing, Trace
from model_hooks.read.feedforward import (
    FeedforwardLens,
    feedforward_lens,
    probabilities_without,
)
from model_hooks.read.neurons import (
    NeuronEffects,
    Pushes,
    neuron_effects,
    pushed_tokens,
    strongest,
)
from pages.ask.session import hooked_model, trace_of
from pages.state.selection import selection
from pages.text import escape_markdown, visible
from pages.widgets.controls import show_value
from pages.widgets.next_pages import link_pages
from viz.decoding import percent
from viz.feedforward import Points

Source = tuple[str, tuple[int, ...]]
"""A model's name and a prompt's token IDs."""

SHAWSHANK = "The Shawshank"
N_NEURONS = 12
N_TOKENS = 8
"""Neurons in the chart; tokens promoted, and as many suppressed."""
MAX_DOTS = 600
N_CURVE = 240
MAX_COLUMNS = 48
"""Tokens of the router's picture: of a longer text, those around the selected one."""
MAX_WORK = 2e11
"""Multiplications that may run unasked when every feedforward is switched off in turn: seconds."""
BY_EFFECT, BY_SIZE = "effect", "size"

STEPS_HELP = (
    "Right before and right after each feedforward, the token's vector is sent straight to the end "
    "of the model, through the final norm and the LM head (the *logit lens*). The thick step is "
    "what the feedforward changes; the dotted line is attention."
)
MEASURE_HELP = (
    "**Probability**: of this word, among all tokens. **Score**: the logit, before the softmax "
    "makes probabilities. **Rank**: 1 is the most probable token."
)
NEURONS_HELP = (
    "A feedforward's hidden layer is a row of **neurons**. Each compares the token's vector with a "
    "pattern it has learned; how well it fits is its **activation**. Then it adds its own learned "
    "vector, its output row, times the activation. Sent through the final norm and the LM head, "
    "that vector tells which tokens the neuron pushes up or down (Geva et al. 2022)."
)
ORDER_HELP = (
    "**Push on the word**: what the neuron adds to the word's score (logit) right after this "
    "layer. **Size**: the length of the vector that it adds, whatever it is good for."
)
ACTIVATION_HELP = (
    "Each dot is one neuron of this layer, at this token. The **activation function** bends the "
    "line: without it, the whole feedforward would be one plain matrix and could store no "
    "conditions."
)
OFF_HELP = (
    "The text runs once more while one feedforward adds nothing, at all tokens (ablation). If the "
    "word's probability falls, the feedforward mattered; if it does not, others may have stood in "
    "for it. A layer that many others rely on breaks more than one word."
)
EXPERTS_HELP = (
    "This model has several feedforwards per layer, called **experts**. For each token, a "
    "**router** picks a few of them and adds up what they give, by these weights. Empty cells: the "
    "expert did not run."
)


@st.cache_resource(max_entries=8, show_spinner=False)
def output_of(model_name: str, token_ids: tuple[int, ...], pos: int) -> Float[np.ndarray, "vocab"]:
    """Return the log-probabilities after a position."""
    model, trace = hooked_model(model_name), trace_of(model_name, token_ids)
    logits = model.logits_of(trace.layers[-1].resid_post[[pos]])[0].astype(np.float64)
    highest = logits.max()
    return logits - highest - np.log(np.exp(logits - highest).sum())


@st.cache_resource(max_entries=32, show_spinner=False)
def lens_of(
    model_name: str, token_ids: tuple[int, ...], pos: int, token_id: int
) -> FeedforwardLens:
    """Follow one token across every feedforward."""
    model, trace = hooked_model(model_name), trace_of(model_name, token_ids)
    return feedforward_lens(model, trace, token_id, pos)


@st.cache_resource(max_entries=3, show_spinner="Reading the neurons…")
def neurons_of(model_name: str, token_ids: tuple[int, ...], layer: int) -> NeuronTrace:
    """Read the neurons of one layer."""
    return hooked_model(model_name).neurons(trace_of(model_name, token_ids), layer)


@st.cache_resource(max_entries=16, show_spinner=False)
def effects_of(
    model_name: str, token_ids: tuple[int, ...], layer: int, pos: int, token_id: int
) -> NeuronEffects:
    """Measure every neuron of one layer."""
    model, trace = hooked_model(model_name), trace_of(model_name, token_ids)
    return neuron_effects(model, trace, layer, token_id, pos)


@st.cache_resource(max_entries=32, show_spinner=False)
def pushes_of(
    model_name: str, token_ids: tuple[int, ...], layer: int, pos: int, which: tuple[int, ...]
) -> tuple[Pushes, ...]:
    """Tell which tokens some neurons push."""
    model, trace = hooked_model(model_name), trace_of(model_name, token_ids)
    return pushed_tokens(model, trace, layer, which, N_TOKENS, pos)


@st.cache_resource(max_entries=16, show_spinner="Switching off one feedforward after another…")
def without_each(
    model_name: str, token_ids: tuple[int, ...], pos: int, token_id: int
) -> Float[np.ndarray, "layer"]:
    """Return a token's probability with each layer's feedforward switched off in turn."""
    return np.array(
        [
            np.nan
            if block.mlp_out is None
            else without_of(model_name, token_ids, pos, layer)[token_id]
            for layer, block in enumerate(hooked_model(model_name).anatomy.blocks)
        ]
    )


@st.cache_resource(max_entries=64, show_spinner=False)
def without_of(
    model_name: str, token_ids: tuple[int, ...], pos: int, layer: int | None
) -> Float[np.ndarray, "vocab"]:
    """Return the next token's probabilities without one layer's feedforward."""
    model, trace = hooked_model(model_name), trace_of(model_name, token_ids)
    return probabilities_without(model, trace, layer, pos).astype(np.float32)


@st.cache_resource(max_entries=4, show_spinner="Asking the routers…")
def routing_of(model_name: str, token_ids: tuple[int, ...]) -> tuple[Routing | None, ...]:
    """Read every layer's router."""
    return hooked_model(model_name).routing(trace_of(model_name, token_ids))


def has_routers(model: HookedModel) -> bool:
    """Tell whether any layer is a mixture of experts whose router can be read."""
    return any(layer.router_path is not None for layer in model.abilities.layers)


def shown(model: HookedModel, token_id: int) -> str:
    """Return a token's text for labels."""
    return visible(model.token_strings([int(token_id)])[0])


def bold(token: str) -> str:
    """Return a token as bold Markdown that shows it as it stands."""
    return f"**{escape_markdown(token)}**"


def best_layer(lens: FeedforwardLens) -> int | None:
    """Return the layer whose feedforward raises the probability most; None if none raises it."""
    gains = np.nan_to_num(lens.probabilities[:, 1] - lens.probabilities[:, 0], nan=-1.0)
    best = int(gains.argmax())
    return best if gains[best] > 0 else None


def answer(lens: FeedforwardLens, word: str, layer: int) -> str:
    """Say in two sentences which feedforward does most for a word, and what this one does."""
    best = best_layer(lens)
    if best is None:
        return f"No feedforward of this model makes {bold(word)} more probable here."
    gain = float(lens.probabilities[best, 1] - lens.probabilities[best, 0])
    most = f"The feedforward of **layer {best}** does most for {bold(word)}: {_step(lens, best)}"
    if gain < 0.01:
        most += ", which is little"
    if layer == best:
        return f"{most}."
    if layer not in lens.layers:
        return f"{most}. Layer {layer} has no feedforward."
    return f"{most}. That of layer {layer}: {_step(lens, layer)}."


def _step(lens: FeedforwardLens, layer: int) -> str:
    before, after = (percent(float(p)) for p in lens.probabilities[layer])
    ranks = [f"rank {rank:,}" for rank in lens.ranks[layer].tolist()]
    return f"from {before} ({ranks[0]}) to {after} ({ranks[1]})"


def pick_measure() -> str:
    """Let the reader choose between probability, score and rank."""
    return st.segmented_control(
        "Show",
        ["probability", "logit", "rank"],
        format_func={"probability": "Probability", "logit": "Score", "rank": "Rank"}.get,
        default="probability",
        required=True,
        key="feedforward.measure",
        help=MEASURE_HELP,
        persist_state="session",
    )


def values_of(lens: FeedforwardLens, measure: str) -> Float[np.ndarray, "layer side"]:
    """Return one measure per layer, NaN where there is no feedforward."""
    if measure == "probability":
        return lens.probabilities
    if measure == "logit":
        return lens.logits
    return np.where(np.isfinite(lens.logits), lens.ranks, np.nan)


def pick_order(word: str) -> str:
    """Let the reader choose which neurons come first."""
    names = {BY_EFFECT: f"Push on “{escape_markdown(word)}”", BY_SIZE: "Size of what it adds"}
    return st.segmented_control(
        "Strongest by",
        list(names),
        format_func=names.get,
        default=BY_EFFECT,
        required=True,
        key="feedforward.order",
        help=ORDER_HELP,
        persist_state="session",
    )


def ranked(effects: NeuronEffects, order: str) -> list[int]:
    """Return the strongest neurons, the first one on top."""
    return strongest(effects.effects if order == BY_EFFECT else effects.sizes, N_NEURONS)


def pick_neuron(layer: int, n_neurons: int, first: int) -> int:
    """Let the reader choose a neuron of a layer; at first, the strongest one."""
    key = f"feedforward.neuron.{selection().model}.{layer}"
    chosen = _chosen_neurons().get((selection().model, layer), first)
    show_value(key, chosen)
    return st.number_input(
        f"Neuron of layer {layer} (0 to {n_neurons - 1})",
        0,
        n_neurons - 1,
        step=1,
        key=key,
        help="Click a bar, or type a number.",
        on_change=lambda: choose_neuron(layer, st.session_state[key]),
    )


def chosen_neuron(layer: int, first: int) -> int:
    """Return the neuron that is looked at in a layer."""
    return _chosen_neurons().get((selection().model, layer), first)


def choose_neuron(layer: int, neuron: int | None) -> None:
    """Look at a neuron of a layer; None goes back to the strongest."""
    if neuron is None:
        _chosen_neurons().pop((selection().model, layer), None)
    else:
        _chosen_neurons()[selection().model, layer] = int(neuron)


def _chosen_neurons() -> dict[tuple[str, int], int]:
    return st.session_state.setdefault("feedforward.neurons", {})


def hovers(neurons: NeuronTrace, effects: NeuronEffects, pos: int, which: Sequence[int], word: str,
           pushed: Sequence[str]) -> list[str]:  # fmt: skip
    """Say in hovers what some neurons do; the tokens are already fit for Plotly."""
    return [
        f"neuron {i}<br>activation {neurons.activation[pos, i]:.3f}<br>adds a vector of size "
        f"{effects.sizes[i]:.3f}<br>{effects.effects[i]:+.4f} to the score of {word}"
        f"<br>pushes most: {tokens}"
        for i, tokens in zip(which, pushed, strict=True)
    ]


def formula(neurons: NeuronTrace, neuron: int, pos: int, name: str) -> str:
    """Write how a neuron's activation came about, with its own numbers."""
    activation = f"{neurons.activation[pos, neuron]:.3f}"
    if neurons.pre_activation is None:
        return f"Its activation is **{activation}**."
    pre = neurons.pre_activation[pos, neuron]
    start = f"{escape_markdown(name)}({pre:.3f})"
    if not neurons.gated:
        return f"Its activation is {start} = **{activation}**."
    gate = neurons.activated[pos, neuron]
    up = neurons.up[pos, neuron]
    return f"Its activation is {start} × up = {gate:.3f} × {up:.3f} = **{activation}**."  # noqa: RUF001


def function_name(info: ModelInfo) -> str:
    """Return what the activation function is called."""
    return "the activation function" if info.activation == "unknown" else info.activation


def share_off(neurons: NeuronTrace, pos: int, name: str) -> str:
    """Say how many neurons the activation function keeps (nearly) silent."""
    pre, activated = neurons.pre_activation[pos], neurons.activated[pos]
    n_below, n_zero, n_neurons = int((pre < 0).sum()), int((activated == 0).sum()), len(pre)
    if n_zero > 0.5 * n_below:
        return (
            f"**{n_zero:,} of {n_neurons:,} neurons ({n_zero / n_neurons:.0%}) are off** at this "
            f"token: {escape_markdown(name)} gives exactly 0 for them."
        )
    return (
        f"**{n_below:,} of {n_neurons:,} neurons ({n_below / n_neurons:.0%}) are off or nearly "
        f"off** at this token: what goes in is below 0, where {escape_markdown(name)} lets little "
        "through."
    )


def dots(neurons: NeuronTrace, pos: int, neuron: int) -> tuple[list[int], Points]:
    """Choose the neurons to draw on the curve: all, or an even sample with the strongest."""
    pre, activated = neurons.pre_activation[pos], neurons.activated[pos]
    which = range(len(pre))
    if len(pre) > MAX_DOTS:
        order = np.argsort(pre, kind="stable")
        even = order[np.linspace(0, len(order) - 1, MAX_DOTS - 2 * N_NEURONS).astype(int)]
        loudest = strongest(neurons.activation[pos], 2 * N_NEURONS - 1)
        which = sorted({*even.tolist(), *loudest, neuron})
    which = list(which)
    points = Points(
        pre[which], activated[which], [f"neuron {i}" for i in which], which.index(neuron)
    )
    return which, points


def curve(
    model: HookedModel, neurons: NeuronTrace, pos: int
) -> tuple[Float[np.ndarray, "x"], Float[np.ndarray, "x"]]:
    """Ask the model's own activation function for its curve around this token's inputs."""
    pre = neurons.pre_activation[pos].astype(np.float64)
    reach = 1.05 * max(float(np.abs(pre).max()), 1.0)
    x = np.linspace(max(-reach, pre.min() * 1.2 - 1), min(reach, pre.max() * 1.2 + 1), N_CURVE)
    return x, model.activation_function(neurons.layer, x.astype(np.float32))


def sum_line(effects: NeuronEffects, word: str) -> str:
    """Say whether all neurons together are what the feedforward does to the word's score."""
    difference = abs(effects.total - effects.whole)
    scale = float(np.abs(effects.effects).sum()) + abs(effects.whole)
    bias = f" (and a bias of {effects.bias:+.4f})" if effects.bias else ""
    numbers = (
        f"all {len(effects.effects):,} neurons{bias} add {effects.total:+.4f} to the score of "
        f"{escape_markdown(word)}; the whole feedforward, sent through the model's own final norm "
        f"and LM head, adds {effects.whole:+.4f}. They differ by {difference:.0e}."
    )
    if difference <= 1e-3 * scale:
        return f":material/check_circle: Checked: {numbers}"
    return f":material/warning: Not exact in this model: {numbers}"


def fires_on(neurons: NeuronTrace, neuron: int) -> tuple[Float[np.ndarray, "pos"], list[str]]:
    """Return how strongly a neuron fires at each token, as a shade from 0 to 1 and in numbers."""
    values = neurons.activation[:, neuron]
    largest = float(np.abs(values).max()) or 1.0
    return np.abs(values) / largest, [f"{value:+.2f}" for value in values.tolist()]


def change_line(
    model: HookedModel,
    before: Float[np.ndarray, "vocab"],
    after: Float[np.ndarray, "vocab"],
    token_id: int,
    layer: int,
) -> str:
    """Say what a switched-off feedforward did to a word, and what the model says instead."""
    word = bold(shown(model, token_id))
    p, q = (percent(float(side[token_id])) for side in (before, after))
    verb = "falls" if after[token_id] < before[token_id] else "rises"
    start = f"Without the feedforward of layer {layer}, {word} {verb} from {p} to **{q}**. "
    first, now = int(before.argmax()), int(after.argmax())
    if first == now:
        return start + f"The most probable token stays {bold(shown(model, first))}."
    return (
        start + f"The most probable token was {bold(shown(model, first))} and becomes "
        f"{bold(shown(model, now))} ({percent(float(after[now]))})."
    )


def work_of(info: ModelInfo, n_tokens: int) -> float:
    """Estimate the multiplications of one run per layer."""
    return float(info.n_parameters) * n_tokens * info.n_layers


def expert_window(n_tokens: int, pos: int) -> slice:
    """Return the positions of the router's picture."""
    start = min(max(0, pos - MAX_COLUMNS // 2), max(0, n_tokens - MAX_COLUMNS))
    return slice(start, min(n_tokens, start + MAX_COLUMNS))


def no_router_line(routings: Sequence[Routing | None], layer: int) -> str:
    """Say where there are routers instead."""
    others = [str(routing.layer) for routing in routings if routing is not None]
    return (
        f"Layer {layer} has no router that can be read. "
        f"{'Layers' if len(others) > 1 else 'Layer'} with one: {', '.join(others) or 'none'}."
    )


def choice_line(routing: Routing, label: str, pos: int) -> str:
    """Say which experts one token was sent to."""
    if routing.chosen is None:
        return (
            "This family's router keeps its choice to itself: shown are the scores that it chooses "
            "by."
        )
    picked = [
        f"**expert {expert}** (weight {weight:.2f})"
        for expert, weight in zip(
            routing.chosen[pos].tolist(), routing.chosen_weights[pos].tolist(), strict=True
        )
    ]
    listed = " and ".join([", ".join(picked[:-1]), picked[-1]] if len(picked) > 1 else picked)
    return (
        f"In layer {routing.layer}, {bold(label)} goes to {listed}, out of {routing.n_experts} "
        "experts."
    )


def load_line(routing: Routing) -> str:
    """Say how evenly a prompt's tokens are spread over the experts."""
    counts = np.bincount(routing.chosen.ravel(), minlength=routing.n_experts)
    idle = int((counts == 0).sum())
    return (
        f"Over all {len(routing.scores):,} tokens, expert {int(counts.argmax())} is picked most "
        f"often ({int(counts.max()):,} times); {idle} of {routing.n_experts} never."
    )


def steps_frame(lens: FeedforwardLens) -> pd.DataFrame:
    """Return a word's way across the feedforwards, for download."""
    layers = np.arange(len(lens.logits))
    sides = {
        f"{name}_{side}": getattr(lens, f"{field}")[:, i]
        for name, field in (
            ("logit", "logits"),
            ("probability", "probabilities"),
            ("rank", "ranks"),
        )
        for i, side in enumerate(("before", "after"))
    }
    frame = pd.DataFrame({"layer": layers, **sides})
    return frame[frame.layer.isin(lens.layers)]


def neurons_frame(neurons: NeuronTrace, effects: NeuronEffects, pos: int) -> pd.DataFrame:
    """Return every neuron of a layer at one token, for download."""
    columns = {"neuron": range(len(effects.sizes))}
    if neurons.pre_activation is not None:
        columns |= {
            "pre_activation": neurons.pre_activation[pos],
            "activated": neurons.activated[pos],
        }
    if neurons.gated:
        columns["up"] = neurons.up[pos]
    return pd.DataFrame(
        {
            **columns,
            "activation": neurons.activation[pos],
            "size": effects.sizes,
            "effect_on_word": effects.effects,
        }
    )


def pushes_frame(model: HookedModel, pushes: Pushes) -> pd.DataFrame:
    """Return the tokens that a neuron pushes, for download."""
    return pd.DataFrame(
        {
            "token_id": pushes.token_ids,
            "token": [model.token_strings([i])[0] for i in pushes.token_ids],
            "effect": pushes.effects,
        }
    )


def each_frame(each: Float[np.ndarray, "layer"], as_is: float) -> pd.DataFrame:
    """Return a word's probability without each feedforward, for download."""
    return pd.DataFrame({"layer": range(len(each)), "probability": each, "as_it_is": as_is})


def off_frame(
    model: HookedModel, before: Float[np.ndarray, "vocab"], after: Float[np.ndarray, "vocab"]
) -> pd.DataFrame:
    """Return every token's probability with and without a feedforward, for download."""
    ids = range(len(before))
    tokens = [model.token_strings([i])[0] for i in ids]
    return pd.DataFrame({"token_id": ids, "token": tokens, "as_it_is": before, "without": after})


def experts_frame(routing: Routing, trace: Trace) -> pd.DataFrame:
    """Return a router's scores and weights, for download."""
    n_pos, n_experts = routing.scores.shape
    weights = routing.weights
    positions = np.repeat(np.arange(n_pos), n_experts)
    return pd.DataFrame(
        {
            "pos": positions,
            "token": [trace.tokens[pos] for pos in positions],
            "expert": np.tile(np.arange(n_experts), n_pos),
            "score": routing.scores.ravel(),
            "weight": np.full(routing.scores.size, np.nan) if weights is None else weights.ravel(),
        }
    )


def try_next() -> None:
    """Link to the pages that go on from here, as far as they exist."""
    st.subheader("Try next")
    st.markdown(
        "- Type a word that the model did *not* choose: which feedforward holds it down?\n"
        "- Choose an earlier token: every token has its own prediction, and its own neurons."
    )
    link_pages(
        {
            "layers": "**Layers**: both halves, layer by layer",
            "attention": "**Attention**: what each token gathers first",
            "block_architecture": "**Block architecture**: then and now",
        },
        icon=":material/arrow_forward:",
    )
