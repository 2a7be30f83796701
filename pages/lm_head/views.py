"""What the LM head page shows of one choice: one score, its stages, the whole distribution."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks import Decoding, HookedModel, Stage, Trace
from model_hooks.read.choice import (
    Surprisals,
    TokenScore,
    draw_counts,
    entropy_curve,
    surprisals,
    token_score,
)
from pages.ask.session import hooked_model, trace_of
from pages.generation.views import candidate_table
from pages.state.selection import select, selection
from pages.widgets.chart import Point, chart
from pages.widgets.components import token_strip
from pages.widgets.controls import number_of
from pages.widgets.download import csv_button
from pages.widgets.next_pages import link_pages
from pages.widgets.provenance import module_path, numbers_from
from pages.text import escape_markdown, visible
from viz import (
    candidates,
    candidates_bars,
    dot_product,
    drawn_counts,
    entropy_by_temperature,
    expected_spread,
    ranked_distribution,
    theme,
)
from viz.decoding import FILTERS, OTHERS, Candidate, percent, stage_name

N_TO_FOLLOW = 50
N_DRAWN = 14
"""Tokens that get a bar of their own among the draws."""
MAX_DRAWS = 5000
TEMPERATURES = np.round(np.linspace(0.1, 2.0, 39), 2)
LARGEST_EXPONENT = 300.0
"""Up to here a score's exponential is written out."""

NO_NUMBERS = (
    "After this token the model computes values that are not numbers (NaN), so there is nothing "
    "to choose from. Its weights look damaged: choose another model in the sidebar."
)
SCORE_HELP = (
    "The **LM head** is one table with a row for every token of the vocabulary. A token's score, "
    "its **logit**, is the dot product of its row with the final vector: both multiplied number "
    "by number, and everything added up. The better the two match, the higher the score."
)
STAGES_HELP = (
    "What happens between the scores and the choice, in the order in which it happens. **Softmax** "
    "comes last: it makes all scores positive and divides them by their sum, so that they become "
    "probabilities."
)
RANKED_HELP = (
    "Every token of the vocabulary, the most probable first. On a log scale each step to the "
    "right or down is ten times as far or as small: the long tail of hardly possible tokens is "
    "what top-k, top-p and min-p cut off."
)
ENTROPY_HELP = (
    "**Entropy** says how undecided the choice is, in bits (Shannon 1948). 0 bits: one token is "
    "certain. Each bit more doubles the number of equally good candidates. Temperature divides "
    "all scores: a low one makes differences larger, a high one makes them smaller."
)
SURPRISAL_HELP = (
    "**Surprisal** is how unexpected a token was: -log2 of its probability, in bits. 0 bits: the "
    "model was certain of it. Each bit more halves the probability."
)
DRAWS_HELP = (
    "The same choice made again and again, each time from the same probabilities. By chance, "
    "counts differ from what is expected; the range holds 95 of 100 repetitions (binomial "
    "distribution)."
)


class View(NamedTuple):
    """What every part of the page looks at: the choice after one position."""

    model: HookedModel
    trace: Trace
    pos: int
    logits: Float[np.ndarray, "vocab"]
    decoding: Decoding
    stages: tuple[Stage, ...]
    """By the options as they are set."""
    token_id: int
    """The token whose numbers are followed."""

    @property
    def prefix_ids(self) -> tuple[int, ...]:
        """The text up to and with the position."""
        return tuple(int(i) for i in self.trace.token_ids[: self.pos + 1])

    @property
    def sampling(self) -> Decoding:
        """The options as they are when sampling is switched on."""
        return replace(self.decoding, strategy="sample")

    @property
    def sampling_stages(self) -> tuple[Stage, ...]:
        """The stages that sampling goes through, whatever is switched on."""
        if self.decoding.strategy == "sample":
            return self.stages
        return self.sampling.stages(self.logits, self.prefix_ids)

    def token_of(self, token_id: int) -> str:
        """The text of a token ID for labels, spaces made visible."""
        return visible(self.model.token_strings([token_id])[0])

    def bold(self, token_id: int) -> str:
        """The same as Markdown."""
        return f"**{escape_markdown(self.token_of(token_id))}**"


@st.cache_resource(max_entries=16, show_spinner=False)
def logits_at(model_name: str, token_ids: tuple[int, ...], pos: int) -> Float[np.ndarray, "vocab"]:
    """Return the model's logits after one position; shared between sessions."""
    trace = trace_of(model_name, token_ids)
    if pos == len(trace) - 1:
        return trace.last_logits
    return hooked_model(model_name).logits_of(trace.layers[-1].resid_post[[pos]])[0]


@st.cache_resource(max_entries=4, show_spinner="Reading every prediction…")
def surprisals_of(model_name: str, token_ids: tuple[int, ...]) -> Surprisals:
    """Measure every token of the prompt; shared between sessions."""
    return surprisals(hooked_model(model_name), trace_of(model_name, token_ids))


@st.cache_resource(max_entries=16, show_spinner=False)
def curves_of(
    model_name: str, token_ids: tuple[int, ...], pos: int, decoding: Decoding
) -> Float[np.ndarray, "2 temperature"]:
    """Return the entropy at every temperature; `decoding` comes with temperature and seed 1, 0."""
    logits = logits_at(model_name, token_ids, pos)
    return entropy_curve(decoding, logits, token_ids[: pos + 1], TEMPERATURES)


def view_of(model: HookedModel, trace: Trace, pos: int, decoding: Decoding) -> View | None:
    """Look at the choice after one position; None if it holds values that are not numbers."""
    logits = logits_at(selection().model, tuple(int(i) for i in trace.token_ids), pos)
    if np.isnan(logits).any() or not np.isfinite(logits.max()):
        return None
    stages = decoding.stages(logits, trace.token_ids[: pos + 1])
    view = View(model, trace, pos, logits, decoding, stages, 0)
    return view._replace(token_id=_followed(view))


def answer(view: View) -> str:
    """Say in one sentence what the scores come to."""
    final, n_tokens = view.stages[-1], len(view.logits)
    best = int(final.scores.argmax())
    n_left = int((final.probabilities > 0).sum())
    after = escape_markdown(visible(view.trace.tokens[view.pos]))
    left = "" if n_left == n_tokens else f" {n_left:,} of them may still be picked."
    return (
        f"After “{after}”, the model scores all **{n_tokens:,} tokens** of its vocabulary.{left} "
        f"{view.bold(best)} leads with **{percent(float(final.probabilities[best]))}**; the choice "
        f"is as open as a fair draw among **{2**final.entropy_bits:,.1f} tokens** "
        f"({final.entropy_bits:.2f} bits)."
    )


def candidate_chart(view: View) -> None:
    """Draw the candidates; a click on one follows it."""
    rows = rows_of(view)
    key = _key(view, "candidates")

    def follow_clicked(point: Point) -> None:
        if point.customdata != OTHERS:
            _follow(view, int(point.customdata))

    chart(
        candidates_bars(rows, view.token_id, chosen_is="followed"),
        key=key,
        on_click=follow_clicked,
        view="candidates",
        alt="Candidates: " + ", ".join(f"{row.token} {percent(row.probability)}" for row in rows),
    )
    csv_button(lambda: stages_frame(view), "candidates")


def pick_token(view: View) -> None:
    """Let the reader choose the token to follow without a mouse."""
    order = np.argsort(-view.logits, kind="stable")[:N_TO_FOLLOW].tolist()
    if view.token_id not in order:
        order.append(view.token_id)
    key = _key(view, "follow")
    st.session_state[key] = view.token_id  # each time: its label changes with the options
    probabilities = view.stages[-1].probabilities
    st.selectbox(
        "Token to follow",
        order,
        key=key,
        format_func=lambda i: f"{view.token_of(i)}   {percent(float(probabilities[i]))} (ID {i})",
        help="Its numbers fill the formulas below. A click on its bar chooses it, too.",
        on_change=lambda: _follow(view, number_of(key)),
    )


def rows_of(view: View) -> list[Candidate]:
    """Return the candidates as rows."""
    return candidates(view.stages, view.token_of, chosen=view.token_id)


def one_score(view: View) -> None:
    """The dot product that makes one token's logit."""
    info, head = view.model.info, view.model.anatomy.lm_head
    name = view.bold(view.token_id)
    score = token_score(view.model, view.trace, view.token_id, view.pos)
    if score is None:
        st.info(
            f"{escape_markdown(info.name)} has no LM head that is one table of rows, so there is "
            "no single dot product to show.",
            icon=":material/info:",
        )
        return
    n_tokens, width = len(view.logits), len(score.vector)
    after = escape_markdown(visible(view.trace.tokens[view.pos]))
    st.markdown(
        f"The last layer leaves one vector of **{width:,} numbers** for “{after}”. The LM head has "
        f"a row of as many numbers for each of the **{n_tokens:,} tokens**. Vector times row of "
        f"{name}, number by number, all added up: its score. All rows at once: shape "
        f"`[{n_tokens}, {width}]` times `[{width}]` gives `[{n_tokens}]` scores."
    )
    token = theme.shorten(view.token_of(view.token_id))
    chart(
        dot_product(
            score.vector,
            score.row,
            names=("final vector", f"row of {token}"),
            colours=(theme.RESIDUAL, theme.VALUE),
            dimension="dimension",
            shared_range=False,
        ),
        key="lm_head_dot_product",
        alt=f"The final vector, the LM head's row of {token}, and their product",
    )
    st.caption("Each strip has a colour range of its own; hover to read its numbers.")
    st.latex(score_formula(score))
    _check(
        score.is_exact,
        f"this gives {score.score:.5f}, and the model's own logit is {score.logit:.5f}.",
        f"the model's own logit is {score.logit:.5f}: this family does something more to its "
        "scores than this formula shows.",
    )
    if info.tied_embeddings:
        st.caption(
            "In this model the same table is used at the start, to turn each token into its first "
            "vector (tied embeddings)."
        )
    path = module_path(view.model, head)
    numbers_from(path, (n_tokens, width), "weight")
    csv_button(
        lambda: pd.DataFrame(
            {
                "dimension": range(width),
                "final_vector": score.vector,
                "row": score.row,
                "product": score.vector * score.row,
            }
        ),
        "token_score",
    )


def score_formula(score: TokenScore) -> str:
    """Write a token's logit with its own numbers, as LaTeX."""
    lines = [rf"h \cdot w &= \sum_{{i=1}}^{{{len(score.vector)}}} h_i\,w_i = {score.product:.4f}"]
    so_far = score.product
    if score.bias:
        lines.append(
            rf"{so_far:.4f} + b &= {so_far:.4f} {score.bias:+.4f} = {so_far + score.bias:.4f}"
        )
        so_far += score.bias
    if score.scale != 1:
        lines.append(
            rf"\text{{scaled}} &= {score.scale:.4g} \times {so_far:.4f}"
            rf" = {score.scale * so_far:.4f}"
        )
        so_far *= score.scale
    if score.softcap is not None:
        lines.append(
            rf"\text{{softcap}} &= {score.softcap:g} \tanh\frac{{{so_far:.4f}}}"
            rf"{{{score.softcap:g}}} = {score.score:.4f}"
        )
    lines.append(rf"\text{{logit}} &= {score.logit:.4f}")
    return r"\begin{aligned}" + r" \\ ".join(lines) + r"\end{aligned}"


def stage_by_stage(view: View) -> None:
    """The table of all stages and the followed token's way through them, in formulas."""
    candidate_table(rows_of(view), view.decoding, view.token_id)
    st.markdown(f"The way of {view.bold(view.token_id)}, with its own numbers:")
    for line in stage_lines(view.stages, view.decoding, view.token_id):
        st.markdown(line)
    csv_button(lambda: stages_frame(view), "stages")


def stage_lines(stages: tuple[Stage, ...], decoding: Decoding, token_id: int) -> list[str]:
    """Write one token's way through the stages, a Markdown line per stage.

    Each line has the formula of its stage, filled with the token's numbers from the stage before.
    """
    raw = stages[0]
    z = float(raw.scores[token_id])
    rank = int((raw.scores > raw.scores[token_id]).sum()) + 1
    lines = [f"- **Logit** $z = {z:.4f}$, rank {rank:,} of {len(raw.scores):,}"]
    before = raw
    for stage in stages[1:]:
        removed = bool(stage.removed[token_id])
        if before.removed[token_id]:
            break
        old, new = float(before.scores[token_id]), float(stage.scores[token_id])
        if stage.name == "repetition_penalty":
            lines.append(_penalty_line(old, new, decoding.repetition_penalty))
        elif stage.name == "temperature":
            t = decoding.temperature
            lines.append(
                rf"- **Temperature** $\dfrac{{z}}{{T}} = \dfrac{{{old:.4f}}}{{{t:g}}} = {new:.4f}$"
            )
        else:
            verdict = "**removed**" if removed else "stays"
            why = _filter_reason(before, stage.name, decoding, token_id)
            lines.append(f"- **{stage_name(stage.name).capitalize()}** {why}: {verdict}")
        before = stage
    lines.append(_softmax_line(stages[-1], token_id))
    if decoding.strategy == "greedy":
        is_best = int(stages[-1].scores.argmax()) == token_id
        lines.append(
            "- **Greedy** takes the largest: "
            + ("this one" if is_best else "another one, so this one is never taken")
            + ". Temperature and filters are not used."
        )
    return lines


def whole_distribution(view: View) -> None:
    """Every token of the vocabulary by rank."""
    raw, final = view.stages[0].probabilities, view.stages[-1].probabilities
    chart(
        ranked_distribution(raw, final, view.token_of, chosen=view.token_id),
        key="lm_head_ranked",
        alt=f"The probabilities of all {len(raw):,} tokens by rank, on a log scale",
    )
    st.caption(cut_note(view))
    csv_button(lambda: distribution_frame(view), "distribution")


def cut_note(view: View) -> str:
    """Say what the filters leave."""
    raw, final = view.stages[0].probabilities, view.stages[-1].probabilities
    n_left = int((final > 0).sum())
    if view.decoding.strategy == "greedy":
        return "Greedy decoding cuts nothing off: it takes the first of all, whatever follows."
    if n_left == len(final):
        return "No filter is on: every token can be drawn, be it ever so improbable."
    kept = percent(round(float(raw[final > 0].sum()), 9))
    return (
        f"With {_filters(view.decoding)}, {n_left:,} of {len(raw):,} tokens are left. They had "
        f"{kept} of the model's own probability; the softmax shares out the whole among them."
    )


def temperature(view: View) -> None:
    """The entropy of this choice at every temperature."""
    sampling, stage = view.sampling, view.sampling_stages[-1]
    greedy_note(view)
    ids = tuple(int(i) for i in view.trace.token_ids)
    options = replace(sampling, temperature=1.0, seed=0)
    free, filtered = curves_of(selection().model, ids, view.pos, options)
    filters = _filters(sampling)
    chart(
        entropy_by_temperature(
            TEMPERATURES,
            free,
            filtered if filters else None,
            temperature=sampling.temperature,
            entropy=stage.entropy_bits,
            n_tokens=len(view.logits),
            filters=filters,
        ),
        key="lm_head_entropy",
        alt=f"Entropy against temperature; now {stage.entropy_bits:.2f} bits",
    )
    st.caption(
        f"Computed from these {len(view.logits):,} logits at {len(TEMPERATURES)} temperatures. "
        f"Now: temperature {sampling.temperature:g}, {stage.entropy_bits:.2f} bits, as open as a "
        f"fair draw among {2**stage.entropy_bits:,.1f} tokens."
    )
    csv_button(
        lambda: pd.DataFrame(
            {"temperature": TEMPERATURES, "entropy_bits": free, "with_filters": filtered}
        ),
        "entropy",
    )


def surprise(view: View) -> None:
    """How unexpected each token of the prompt was."""
    trace = view.trace
    if len(trace) == 1:
        st.info(
            "One token alone has nothing before it that could predict it: type a longer prompt."
        )
        return
    ids = tuple(int(i) for i in trace.token_ids)
    found = surprisals_of(selection().model, ids)
    known = np.isfinite(found.bits)
    if not known.any():
        st.error(NO_NUMBERS, icon=":material/error:")
        return
    largest = float(found.bits[known].max())
    shades = np.where(known, found.bits, 0) / (largest or 1)
    token_strip(
        trace.tokens,
        key="lm_head_surprisal",
        selected=view.pos,
        weights=shades,
        notes=["" if not k else f"{b:.1f}" for k, b in zip(known, found.bits, strict=True)],
        hints=["nothing predicts it" if not k else f"{b:.2f} bits, rank {r:,}" for k, b, r in
               zip(known, found.bits, found.ranks, strict=True)],
        on_pick=lambda pos: select(pos=pos),
        label="Surprisal of each token in bits",
    )  # fmt: skip
    mean = float(found.bits[known].mean())
    st.caption(
        f"The number under a token is its surprisal in bits; the stronger its shade, the more "
        f"surprising it was (strongest: {largest:.1f} bits). The mean is {mean:.2f} bits a token, "
        f"so the model was as unsure as if it chose among {2**mean:,.1f} equally good tokens each "
        "time (the *perplexity* of this text)."
    )
    st.markdown(_surprise_sentence(view, found))
    if view.pos > 0:
        st.button(
            "Look at that choice",
            key="lm_head.before",
            icon=":material/arrow_back:",
            help="Goes to the token before, whose vector predicted this one.",
            on_click=_look_at_choice,
            args=(view,),
        )
    csv_button(
        lambda: pd.DataFrame(
            {
                "pos": range(len(trace)),
                "token_id": trace.token_ids,
                "token": trace.tokens,
                "bits": found.bits,
                "rank": found.ranks,
                "expected_id": found.top_ids,
                "expected_probability": found.top_probabilities,
            }
        ),
        "surprisal",
    )


def draws(view: View) -> None:
    """The same choice made many times."""
    greedy_note(view)
    how_many, again, said = st.columns([1, 1, 3], vertical_alignment="bottom")
    n_draws = how_many.number_input(
        "Draws", 10, MAX_DRAWS, 200, step=50, key="lm_head.n_draws", persist_state="session"
    )
    n_again = st.session_state.setdefault("lm_head.n_again", 0)

    def draw_again() -> None:
        st.session_state["lm_head.n_again"] = n_again + 1

    again.button(
        "Draw again", key="lm_head.again", icon=":material/casino:", on_click=draw_again,
        help="Another set of draws, from the same probabilities.",
    )  # fmt: skip
    stage = view.sampling_stages[-1]
    seed = (view.decoding.seed + n_again) % 2**63
    counts = draw_counts(stage, n_draws, seed)
    shown = np.argsort(-stage.probabilities, kind="stable")[:N_DRAWN]
    shown = shown[stage.probabilities[shown] > 0]
    others = np.ones(len(counts), bool)
    others[shown] = False
    names = [view.token_of(int(i)) for i in shown]
    probabilities, drawn = stage.probabilities[shown], counts[shown]
    if stage.probabilities[others].sum() > 0:
        names.append(f"{int((stage.probabilities[others] > 0).sum()):,} others")
        probabilities = np.append(probabilities, stage.probabilities[others].sum())
        drawn = np.append(drawn, counts[others].sum())
    spread = expected_spread(np.minimum(probabilities, 1.0), n_draws)
    chart(
        drawn_counts(names, drawn, spread, n_draws),
        key="lm_head_draws",
        alt=f"How often each token came in {n_draws} draws, and how often was to be expected",
    )
    inside = int(((drawn >= spread.low) & (drawn <= spread.high)).sum())
    said.markdown(
        f"Of {n_draws:,} draws, **{int((counts > 0).sum()):,} different tokens** came. {inside} of "
        f"{len(drawn)} counts lie in their expected range."
    )
    st.caption(f"Drawn by `torch.multinomial` from the final probabilities, seed {seed}.")
    csv_button(
        lambda: pd.DataFrame(
            {
                "token": names,
                "probability": probabilities,
                "drawn": drawn,
                "expected": spread.expected,
                "low": spread.low,
                "high": spread.high,
            }
        ),
        "draws",
    )


def greedy_note(view: View) -> None:
    """Say that sampling is shown although greedy decoding is on, and offer to switch."""
    if view.decoding.strategy == "sample":
        return
    st.info(
        "Greedy decoding is on, which always takes the most probable token. What follows is what "
        f"**sampling** would do with temperature {view.decoding.temperature:g}.",
        icon=":material/info:",
    )
    st.button(
        "Switch to sampling",
        key="lm_head.to_sampling",
        on_click=lambda: select(strategy="sample"),
    )


def stages_frame(view: View) -> pd.DataFrame:
    """Return the rows of the table of stages, for download."""
    return pd.DataFrame([row._asdict() for row in rows_of(view)])


def distribution_frame(view: View) -> pd.DataFrame:
    """Return every token of the vocabulary after every stage, for download."""
    order = np.argsort(-view.logits, kind="stable")
    columns: dict = {
        "rank": np.arange(1, len(order) + 1),
        "token_id": order,
        "token": [view.model.token_strings([int(i)])[0] for i in order],
    }
    for stage in view.stages:
        columns[f"score_{stage.name}"] = stage.scores[order]
        columns[f"probability_{stage.name}"] = stage.probabilities[order]
    return pd.DataFrame(columns)


def try_next() -> None:
    """Say what to try, and link to the pages that go on from here, as far as they exist."""
    st.subheader("Try next")
    st.markdown(
        "- Sample with a **temperature** of 0.3, then 1.5, and watch entropy and draws change.\n"
        "- Set **top-k** to 5 and look where the cut-off lands in *All tokens*.\n"
        "- In *Beam search*, try 2 beams, then 6: does the winner change?"
    )
    link_pages(
        {
            "generation": "**Generation**: write token by token with these options",
            "layers": "**Layers**: when did the winning score take shape?",
            "kv_cache": "**KV cache**: how is all this writing kept fast?",
        }
    )


def _key(view: View, name: str) -> str:
    """A widget key of its own for every choice: another prompt begins anew."""
    return f"lm_head.{name}.{abs(hash((selection().model, view.prefix_ids)))}"


def _followed(view: View) -> int:
    """Return the followed token: the one chosen here, or else the most probable one."""
    chosen = st.session_state.get(_key(view, "followed"))
    known = chosen is not None and chosen < len(view.logits)
    return chosen if known else int(view.logits.argmax())


def _follow(view: View, token_id: int | None) -> None:
    st.session_state[_key(view, "followed")] = token_id


def _filters(decoding: Decoding) -> str:
    on = [f"{stage_name(name)} {value:g}" for name in FILTERS if (value := getattr(decoding, name))]
    return " and ".join(on)


def _penalty_line(old: float, new: float, penalty: float) -> str:
    if old == new:
        return "- **Repetition penalty** not in the text yet: the score stays"
    sign = r"\dfrac{%s}{%s}" if old > 0 else r"%s \times %s"
    formula = sign % (f"{old:.4f}", f"{penalty:g}")
    return f"- **Repetition penalty** already in the text: ${formula} = {new:.4f}$"


def _filter_reason(before: Stage, name: str, decoding: Decoding, token_id: int) -> str:
    """Say why a filter keeps or removes a token, from the distribution that it looked at."""
    scores, probabilities = before.scores, before.probabilities
    if name == "top_k":
        rank = int((scores > scores[token_id]).sum()) + 1
        sign = r"\le" if rank <= decoding.top_k else ">"
        return rf"rank ${rank} {sign} k = {decoding.top_k}$"
    if name == "top_p":
        ahead = float(probabilities[scores > scores[token_id]].sum())
        sign = "<" if ahead < decoding.top_p else r"\ge"
        return rf"the more probable ones add up to ${ahead:.4f} {sign} p = {decoding.top_p:g}$"
    own, best = float(probabilities[token_id]), float(probabilities.max())
    limit = decoding.min_p * best
    sign = r"\ge" if own >= limit else "<"
    return rf"${own:.4f} {sign} {decoding.min_p:g} \times {best:.4f} = {limit:.4f}$"


def _softmax_line(stage: Stage, token_id: int) -> str:
    scores = stage.scores.astype(np.float64)
    z, p = float(scores[token_id]), float(stage.probabilities[token_id])
    if stage.removed[token_id]:
        return "- **Softmax** a removed token gets the probability $0$"
    n_left = int((~stage.removed).sum())
    left = "one token" if n_left == 1 else f"{n_left:,} tokens"
    highest = float(scores.max())
    shift = 0.0 if abs(highest) < LARGEST_EXPONENT else highest
    power = f"{z:.4f}" if not shift else rf"{z:.4f} - {highest:.4f}"
    total = float(np.exp(scores - shift).sum())
    top = float(np.exp(z - shift))
    return (
        rf"- **Softmax** over the {left} left: $\dfrac{{e^{{{power}}}}}"
        rf"{{\sum_j e^{{z_j{'' if not shift else f' - {highest:.4f}'}}}}} = "
        rf"\dfrac{{{_scientific(top)}}}{{{_scientific(total)}}} = {p:.6f}$, or **{percent(p)}**"
    )


def _scientific(value: float) -> str:
    """Write a number as LaTeX, with a power of ten where it is very large or small."""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return f"{value:.4f}"
    mantissa, exponent = f"{value:.4e}".split("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}"


def _surprise_sentence(view: View, found: Surprisals) -> str:
    pos = view.pos
    name = escape_markdown(visible(view.trace.tokens[pos]))
    if pos == 0:
        return f"**{name}** is the first token: nothing comes before it, so nothing predicts it."
    probability = percent(float(2 ** -found.bits[pos]))
    sentence = (
        f"**{name}** had a probability of **{probability}**: {found.bits[pos]:.2f} bits, rank "
        f"{found.ranks[pos]:,}. "
    )
    if found.ranks[pos] == 1:
        return sentence + "It was the token that the model expected most."
    expected = view.bold(int(found.top_ids[pos]))
    return sentence + (
        f"Most expected was {expected} ({percent(float(found.top_probabilities[pos]))})."
    )


def _look_at_choice(view: View) -> None:
    """Go to the choice that the selected token came from, and follow that token in it."""
    _follow(view._replace(pos=view.pos - 1), int(view.trace.token_ids[view.pos]))
    select(pos=view.pos - 1)


def _check(holds: bool, well: str, badly: str) -> None:
    if holds:
        st.caption(f":green[:material/check_circle:] Check: {well}")
    else:
        st.caption(f":orange[:material/info:] Check: {badly}")
