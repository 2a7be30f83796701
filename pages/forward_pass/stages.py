"""The five stages of a forward pass in detail: one function draws one stage."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import streamlit as st
from jaxtyping import Float
from streamlit.delta_generator import DeltaGenerator

from model_hooks import Decoding, HookedModel, LayerTrace, ModelInfo, Trace
from model_hooks import Stage as DecodingStage
from pages.feedforward import views as feedforward_views
from pages.forward_pass.flow import Card, Choice
from pages.state.selection import select, selection
from pages.widgets.chart import chart
from pages.widgets.components import token_strip
from pages.widgets.controls import decoding_controls, pick_layer, pick_position
from pages.widgets.next_pages import link_pages
from pages.widgets.provenance import module_path, numbers_from
from pages.text import visible
from viz import (
    added_sizes,
    attention_heatmap,
    block_diagram,
    candidates,
    candidates_bars,
    color_limit,
    layer_thumbnails,
    next_token_bars,
    vector_strip,
)
from viz.decoding import percent

MAX_PATTERN = 48
"""Tokens up to which a pattern is drawn with one label per token."""
BACKTICK_LOOKALIKE = "\u02cb"


class View(NamedTuple):
    """What all stages look at."""

    model: HookedModel
    trace: Trace
    pos: int
    layer: int
    patterns: list[Float[np.ndarray, "pos pos"] | None]
    """Per layer, the mean attention pattern over its heads; None without attention."""
    decoding: Decoding
    decoding_stages: tuple[DecodingStage, ...]
    picked: int
    """The ID of the token that was chosen to come next."""

    @property
    def info(self) -> ModelInfo:
        """The model's sizes."""
        return self.model.info

    @property
    def token(self) -> str:
        """The chosen token, as Markdown code that shows it as it stands."""
        return code(self.trace.tokens[self.pos])

    @property
    def is_last(self) -> bool:
        """Whether the chosen lane is the one that makes the prediction."""
        return self.pos == len(self.trace) - 1

    def token_of(self, token_id: int) -> str:
        """The text of one token ID, with spaces made visible."""
        return visible(self.model.token_strings([token_id])[0])


def tokenizer(view: View) -> None:
    """Token chips with IDs, and how much of the context they use."""
    trace, info = view.trace, view.info
    st.markdown(
        f"The **tokenizer** cuts the text into **{len(trace)} tokens**: words or pieces of words. "
        f"Each has a fixed number, its **ID**, among the {info.vocab_size:,} tokens of this "
        "model's vocabulary. From here on the model sees only the IDs."
    )
    token_strip(
        trace.tokens,
        ids=[int(i) for i in trace.token_ids],
        key="forward.tokens",
        selected=view.pos,
        on_pick=lambda pos: select(pos=pos),
        marks={len(trace) - 1: "predicts"},
        label="Tokens of the prompt with their IDs",
    )
    token_id = int(trace.token_ids[view.pos])
    spelled = " ".join(f"{byte:02X}" for byte in view.model.token_bytes(token_id)[:24])
    st.markdown(
        f"Token {view.pos} is {view.token}: ID **{token_id}**"
        + (f", spelled in bytes `{spelled}`." if spelled else "."),
        help="In token texts, `·` stands for a space and `↵` for a new line.",
    )
    if info.context_size is None:
        st.markdown(f"**Context:** {len(trace):,} positions used; this model sets no limit.")
    else:
        st.progress(
            len(trace) / info.context_size,
            text=f"**Context size:** {len(trace):,} of {info.context_size:,} positions used. "
            "More tokens than that do not fit into this model at once.",
        )
    st.caption(
        f":material/database: `{type(view.model.tokenizer).__name__}`, shape `[{len(trace)}]`"
    )


def embedding(view: View) -> None:
    """The chosen token's vector as it enters the first block."""
    trace, info = view.trace, view.info
    vector = trace.embedding[view.pos]
    token_id = int(trace.token_ids[view.pos])
    table = view.model.model.get_input_embeddings()
    st.markdown(
        f"Each ID is swapped for its row of a big table: a **vector** of {len(vector):,} numbers "
        f"that were learned in training. This is the vector of token {view.pos}, {view.token} "
        f"(row {token_id:,}), as it enters the first block."
    )
    figure = vector_strip(vector, limit=color_limit(trace.embedding))
    chart(
        figure,
        key="forward.embedding",
        alt=f"The {len(vector)} numbers of the embedding of token {view.pos}, one cell each",
    )
    st.markdown(f"It begins with {first_numbers(vector)}. {POSITION_NOTES.get(info.position, '')}")
    numbers_from(view.model.anatomy.blocks[0].path, trace.embedding.shape, "input", layer=0)
    path = module_path(view.model, table)
    if path and hasattr(table, "weight"):
        st.caption(f":material/table: the table is `{path}`, shape `{list(table.weight.shape)}`")


POSITION_NOTES = {
    "rope": "It does not say yet *where* the token stands: this model tells that inside attention, "
    "by rotating queries and keys (RoPE).",
    "learned": "The place in the text is already in it: this model adds a learned vector for each "
    "position.",
    "sinusoidal": "The place in the text is already in it: this model adds a pattern of sine "
    "waves for each position.",
    "alibi": "It does not say *where* the token stands: this model lowers attention to far tokens "
    "instead (ALiBi).",
}


def blocks(view: View) -> None:
    """All layers to pick from, and the picked block as its two parts."""
    trace, info, layer = view.trace, view.info, view.layer
    st.markdown(
        f"Every token now has a **lane** of its own: its vector runs through all {info.n_layers} "
        "blocks, the **residual stream**. A block adds to it twice. :blue-badge[Attention] brings "
        "in what earlier lanes know; the :violet-badge[feedforward] works on each lane alone."
    )
    who_reads, what_is_added = st.columns(2, gap="medium")
    with who_reads:
        st.markdown("**All layers: who reads from whom**")
        chart(
            layer_thumbnails(view.patterns, selected=layer),
            key="forward.layers",
            on_click=lambda point: select(layer=int(point.customdata)),
            alt=f"Attention patterns of all {info.n_layers} layers, side by side",
        )
        st.caption(
            "A square per layer: rows are the tokens that read, columns the tokens that are read; "
            f"the mean over {trace.n_heads} heads. Click one to open that layer."
        )
    with what_is_added:
        st.markdown(f"**All layers: what is added to token {view.pos}**, {view.token}")
        anatomy = view.model.anatomy
        told_apart = all(block.parts for block in anatomy.blocks)
        attn_out, mlp_out, added, resid_post = (
            np.array([_size(state(one), view.pos) for one in trace.layers])
            for state in (
                lambda one: one.attn_out,
                lambda one: one.mlp_out,
                lambda one: one.resid_post - one.resid_pre,
                lambda one: one.resid_post,
            )
        )
        figure = (
            added_sizes(attn_out, mlp_out, resid_post, selected=layer)
            if told_apart
            else added_sizes(None, added, resid_post, selected=layer)
        )
        chart(
            figure,
            key="forward.sizes",
            alt="Sizes of what is added to one token in every layer",
        )
        numbers_from(None, trace.embedding.shape, "lengths of vectors in all layers")
    pick_layer(info, key="forward.layer")
    _block(view, trace.layers[layer])


def _block(view: View, recorded: LayerTrace) -> None:
    info, layer, pos = view.info, recorded.layer, view.pos
    anatomy = view.model.anatomy.blocks[layer]
    parts = anatomy.parts
    st.markdown(f"##### Block {layer} for token {pos}, {view.token}")
    mixer = "Attention" if recorded.has_attention else "Mixing"
    chart(
        block_diagram(
            anatomy.wiring,
            resid_pre=_size(recorded.resid_pre, pos),
            attn_out=_size(recorded.attn_out, pos) if "attention" in parts else None,
            mlp_out=_size(recorded.mlp_out, pos) if "feedforward" in parts else None,
            resid_post=_size(recorded.resid_post, pos),
            together=_size(recorded.resid_post - recorded.resid_pre, pos),
            norm="" if info.norm == "none" else info.norm,
            norm_placement=info.norm_placement,
            mixer=mixer,
        ),
        key="forward.block",
        alt=f"Block {layer}: the residual stream, what {mixer.lower()} adds and what the "
        "feedforward adds",
    )
    st.caption(
        "Numbers are sizes: the length (norm) of the vector. Two vectors that point in different "
        "directions add up to less than the sum of their sizes."
        + (" In this model both parts read the same input." if info.parallel else "")
    )
    if not parts:
        st.info(
            f"In this family ({info.family}) what attention adds and what the feedforward adds "
            "cannot be told apart from outside, so the block is shown as a whole.",
            icon=":material/info:",
        )
    limit = color_limit(recorded.attn_out[pos], recorded.mlp_out[pos])
    with st.container(border=True):
        picture, facts = st.columns([3, 2], gap="medium")
        facts.markdown(f":blue-badge[{mixer}] Here the lanes meet.")
        if recorded.has_attention:
            with picture:
                _pattern(view, layer)
            facts.markdown(_strongest(view, layer))
            facts.markdown(_attention_facts(info, layer))
        else:
            picture.info("This layer has no attention: it mixes positions in another way.")
        if "attention" in parts:
            with facts:
                _added(view, recorded.attn_out, limit, "attention", layer)
                path = anatomy.attention_path or anatomy.path
                numbers_from(path, recorded.attn_out.shape, layer=layer)
    if "feedforward" not in parts:
        return
    with st.container(border=True):
        facts, vector = st.columns(2, gap="medium")
        facts.markdown(":violet-badge[Feedforward] Here each lane is alone.")
        facts.markdown(_feedforward_facts(info))
        if feedforward_views.has_routers(view.model):
            with facts:
                _router_choice(view, layer)
        with vector:
            _added(view, recorded.mlp_out, limit, "feedforward", layer)
            path = anatomy.mlp_out.path if anatomy.mlp_out else anatomy.path
            numbers_from(path, recorded.mlp_out.shape, layer=layer)


def _pattern(view: View, layer: int) -> None:
    """The mean pattern of one layer; of a long prompt, the last tokens up to the chosen one."""
    pattern = view.patterns[layer]
    start = max(0, min(view.pos + 1, len(pattern)) - MAX_PATTERN)
    end = min(len(pattern), start + MAX_PATTERN)
    shown = slice(start, end)
    chart(
        attention_heatmap(
            pattern[shown, shown],
            [visible(token) for token in view.trace.tokens[shown]],
            query=view.pos,
            start=start,
            measure="mean attention weight",
        ),
        key="forward.pattern",
        alt=f"Mean attention pattern of layer {layer}: rows read from columns",
    )
    if len(pattern) > MAX_PATTERN:
        st.caption(f"Drawn: tokens {start} to {end - 1} of {len(pattern)}.")


def _strongest(view: View, layer: int) -> str:
    row = view.patterns[layer][view.pos]
    key = int(row.argmax())
    token = "itself" if key == view.pos else f"token {key}, {code(view.trace.tokens[key])}"
    return (
        f"Token {view.pos}, {view.token}, reads most from {token}: **{row[key]:.0%}** of its "
        "attention, averaged over heads."
    )


def _added(
    view: View, added: Float[np.ndarray, "pos d_model"], limit: float, part: str, layer: int
) -> None:
    st.markdown(f"It adds this vector, of size **{_size(added, view.pos):.3g}**:")
    chart(
        vector_strip(added[view.pos], limit=limit),
        key=f"forward.{part}",
        alt=f"The numbers that {part} of layer {layer} adds to token {view.pos}",
    )


def lm_head(view: View) -> None:
    """The final vector of a lane, and the probabilities that the LM head makes of it."""
    trace, info, anatomy = view.trace, view.info, view.model.anatomy
    final = trace.layers[-1].resid_post
    norm = module_path(view.model, anatomy.final_norm) if anatomy.final_norm is not None else None
    head = module_path(view.model, anatomy.lm_head) if anatomy.lm_head is not None else None
    steps = f"`{norm}` and `{head}`" if norm and head else "the model's last layers"
    st.markdown(
        f"After the last block, only one vector is needed: that of the **last token**. The **LM "
        f"head** turns its {info.d_model:,} numbers into one number (logit) for each of the "
        f"{len(trace.last_logits):,} tokens, and the softmax turns those into **probabilities** "
        "that sum to 1."
    )
    if view.is_last:
        raw = view.decoding_stages[0]
        lane = f"**The last lane**, token {view.pos}, {view.token}"
    else:
        logits = view.model.logits_of(final[[view.pos]])[0]
        raw = Decoding().stages(logits, trace.token_ids[: view.pos + 1])[0]
        lane = f"**The lane of token {view.pos}**, {view.token}"
    st.markdown(f"{lane}: the vector that leaves block {info.n_layers - 1}.")
    chart(
        vector_strip(final[view.pos]),
        key="forward.final",
        alt=f"The {final.shape[1]} numbers of the final vector of token {view.pos}",
    )
    numbers_from(anatomy.blocks[-1].path, final.shape, layer=info.n_layers - 1)
    if not view.is_last:
        actual = int(trace.token_ids[view.pos + 1])
        rank = int((raw.scores > raw.scores[actual]).sum()) + 1
        st.markdown(
            f"Every lane makes a prediction, but this one is not used: what follows is already "
            f"in the prompt, {code(trace.tokens[view.pos + 1])}. This lane gave it "
            f"**{percent(float(raw.probabilities[actual]))}**, rank {rank:,}."
        )
        st.button(
            "Go to the lane that predicts", icon=":material/last_page:", key="forward.last",
            on_click=lambda: select(pos=None),
        )  # fmt: skip
    st.markdown("**What comes next**, straight from the model:")
    chart(
        next_token_bars(candidates([raw], view.token_of)),
        key="forward.next",
        alt="Probabilities of the most probable next tokens, and of all others together",
    )
    st.caption(
        f":material/database: softmax of the logits after {steps}, shape "
        f"`[1, {final.shape[1]}] → [1, {len(raw.scores)}]`"
    )


def choice(view: View) -> None:
    """The distribution that a token is picked from, and the pick."""
    decoding, stages = view.decoding, view.decoding_stages
    raw, final = stages[0].probabilities, stages[-1].probabilities
    token = code(view.token_of(view.picked))
    if decoding.strategy == "greedy":
        how = "**Greedy** decoding takes the most probable token"
    else:
        n_left = int((final > 0).sum())
        how = (
            f"**Sampling** draws one of {n_left:,} tokens at random, in proportion to these "
            f"probabilities (seed {decoding.seed})"
        )
    st.markdown(f"{how}: **{token}**, with {percent(float(final[view.picked]))}.")
    rows = candidates(stages, view.token_of, chosen=view.picked)
    chart(
        candidates_bars(rows, view.picked),
        key="forward.choice",
        alt="Probabilities of the candidates after the decoding options; the picked one is marked",
    )
    st.markdown(
        "The picked token is put at the end of the text, and everything above runs again for the "
        "next one. That is all a language model does to write."
    )
    st.caption(f":material/database: softmax of the last position's logits, shape `[{len(raw)}]`")


class Stage(NamedTuple):
    """One stage of the forward pass."""

    name: str
    title: str
    draw: Callable[[View], None]


STAGES = (
    Stage("tokenizer", "Tokenizer", tokenizer),
    Stage("embedding", "Embedding", embedding),
    Stage("blocks", "Blocks", blocks),
    Stage("lm_head", "LM head", lm_head),
    Stage("choice", "Choice", choice),
)


def opened() -> int:
    """Return the number of the stage that is open, the first one if the link has another name."""
    names = [stage.name for stage in STAGES]
    return names.index(selection().stage) if selection().stage in names else 0


def heading(info: ModelInfo, trace: Trace, number: int) -> tuple[Decoding, int, DeltaGenerator]:
    """Draw the open stage's title and controls; return options, position and where to go on.

    The options lie open in the stage that uses them, and elsewhere in a popover: the picture
    always shows what they pick.
    """
    title, token, options = st.columns([3, 2, 2], vertical_alignment="bottom")
    title.subheader(f"{number + 1} {STAGES[number].title}")
    with token:
        pos = pick_position(trace.tokens, key="forward.pos", label="Lane of token")
    if STAGES[number].draw is choice:
        options, body = st.columns([2, 3], gap="large")
        place = options
    else:
        place = options.popover("Decoding options", icon=":material/tune:", width="stretch")
        body = st.container()
    with place:
        return decoding_controls(info, key="forward.decoding"), pos, body


def cards(view: View) -> list[Card]:
    """Return the headings of the picture, with the shape that leaves each stage."""
    n_tokens, d_model = view.trace.embedding.shape
    vocab_size = len(view.trace.last_logits)
    shapes = (
        f"[{n_tokens}]",
        f"[{n_tokens}, {d_model}]",
        f"[{n_tokens}, {d_model}]",
        f"[1, {vocab_size}]",
        "1 ID",
    )
    titles = [stage.title for stage in STAGES]
    titles[2] = f"{view.info.n_layers} blocks" if view.info.n_layers > 1 else "1 block"
    return [
        Card(stage.name, title, shape)
        for stage, title, shape in zip(STAGES, titles, shapes, strict=True)
    ]


def reads(view: View) -> list[Float[np.ndarray, "pos"] | None]:
    """Return what the chosen token reads from each token, layer by layer."""
    return [None if pattern is None else pattern[view.pos] for pattern in view.patterns]


def picked_choice(view: View) -> Choice:
    """Return the picked token for the picture."""
    final = view.decoding_stages[-1].probabilities
    greedy = view.decoding.strategy == "greedy"
    return Choice(
        view.picked,
        view.token_of(view.picked),
        float(final[view.picked]),
        "Greedy: the most probable token." if greedy else f"Sampled, seed {view.decoding.seed}.",
    )


def code(token: str) -> str:
    """Return a token as Markdown code; the one character that would end the code is replaced."""
    return f"`{visible(token).replace('`', BACKTICK_LOOKALIKE)}`"


def first_numbers(vector: Float[np.ndarray, "d"], count: int = 4) -> str:
    """Write a vector's first numbers as code."""
    shown = ", ".join(f"{value:.3f}" for value in vector[:count])
    return f"`[{shown}{', …' if len(vector) > count else ''}]`"


def _attention_facts(info: ModelInfo, layer: int) -> str:
    facts = [f"{info.n_heads} heads of {info.d_head} numbers each"]
    if info.n_kv_heads < info.n_heads:
        facts.append(f"sharing {info.n_kv_heads} sets of keys and values")
    if window := info.sliding_window[layer]:
        facts.append(f"looking back at most {window:,} tokens")
    return ", ".join(facts) + "."


def _feedforward_facts(info: ModelInfo) -> str:
    width = f"{info.d_model:,} → {info.d_mlp:,} → {info.d_model:,} numbers" if info.d_mlp else ""
    gated = ", with a gate" if info.gated_mlp else ""
    experts = (
        f" {info.experts_per_token} of {info.n_experts} such networks (experts) run for each token."
        if info.n_experts and info.experts_per_token
        else ""
    )
    return (
        f"A small neural network, the same for every lane: {width} (activation "
        f"`{info.activation}`{gated}).{experts} Most of what the model learned is stored here."
    )


def _router_choice(view: View, layer: int) -> None:
    source = selection().model, tuple(view.trace.token_ids.tolist())
    if (routing := feedforward_views.routing_of(*source)[layer]) is not None:
        label = visible(view.trace.tokens[view.pos])
        st.markdown(feedforward_views.choice_line(routing, label, view.pos))


def _size(array: Float[np.ndarray, "pos d_model"], pos: int) -> float:
    return float(np.linalg.norm(array[pos]))


def step_buttons(number: int) -> None:
    """Offer the stage before and the stage after."""
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        for other, icon, place in (
            (number - 1, ":material/arrow_back:", "left"),
            (number + 1, ":material/arrow_forward:", "right"),
        ):
            if 0 <= other < len(STAGES):
                stage = STAGES[other]
                st.button(
                    f"{other + 1} {stage.title}", icon=icon, icon_position=place,
                    key=f"forward.{place}", type="primary" if other > number else "secondary",
                    on_click=lambda name=stage.name: select(stage=name),
                )  # fmt: skip


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
DEEPER = {
    "tokenizer": ("tokenizer", "generation"),
    "embedding": ("positions", "tokenizer", "generation"),
    "blocks": ("attention", "feedforward", "layers", "block_architecture"),
    "lm_head": ("lm_head", "layers", "generation"),
    "choice": ("generation", "lm_head"),
}


def try_next(number: int) -> None:
    """Say what to try here, and link to the pages that go deeper into the open stage."""
    st.subheader("Try next")
    st.markdown(
        "- Click an earlier token: whom does it read, and what would its lane predict?\n"
        "- Change one word of the prompt, and watch the last lane's prediction.\n"
        "- Choose **Sample** in the decoding options: is the favourite still picked?"
    )
    pages = DEEPER[STAGES[number].name]
    link_pages({page: LINKS[page] for page in pages}, icon=":material/arrow_forward:")
