"""What the generation page draws of one choice, of all steps and of the branches."""

import html
from collections.abc import Sequence

import numpy as np
import streamlit as st

from model_hooks import Decoding, Generation, Step
from pages.ask import draft as writing
from pages.ask.draft import Choice, Draft
from pages.state.selection import select
from pages.widgets.chart import Point, chart
from pages.widgets.components import token_strip
from pages.widgets.controls import number_of
from pages.widgets.next_pages import link_pages
from pages.text import escape_markdown, visible
from viz import candidates_bars, choices_replay, step_costs
from viz.decoding import OTHERS, Candidate, candidates, percent, stage_name

N_CANDIDATES = 10
N_TO_PICK = 50
"""Tokens offered for choosing by keyboard."""
N_REPLAYED = 100
"""Steps in the replay, the newest: each costs about a kilobyte."""
TIP_TOKENS = 12
NUMBERS_HELP = (
    "**Probability**: with the options set on this page, out of the whole vocabulary.\n\n"
    "**Rank**: 1 is the token that the model itself finds most probable.\n\n"
    "**Entropy**: how undecided the model is, before any option. 0 bits: only one token is "
    "possible. Each bit more doubles the number of equally good candidates.\n\n"
    "**Computed**: how many positions ran through the model for this token, and how long it took."
)


def text_strip(generation: Generation, choice: Choice, head: int | None) -> None:
    """Show the text with the chosen position, shaded by what was read to predict it."""
    n_tokens, n_prompt = len(generation.token_ids), len(generation.prompt_ids)
    weights = None
    if choice.attention is not None:
        read = choice.attention.mean(0) if head is None else choice.attention[head]
        weights = [*read, *[0.0] * (n_tokens + 1 - len(read))]
    marks = {
        n_prompt + i: f"{i + 1} yours" if step.forced else str(i + 1)
        for i, step in enumerate(generation.steps)
    }
    token_strip(
        [*generation.tokens, "?"],
        key="generation.tokens",
        selected=choice.pos,
        on_pick=lambda pos: select(pos=pos),
        weights=weights,
        marks={**marks, n_tokens: "next"},
        label="The text: prompt, generated tokens with their step, and the next token",
    )


def token_facts(generation: Generation, choice: Choice) -> None:
    """Say which token is looked at and how it came to be there."""
    n_prompt, n_tokens = len(generation.prompt_ids), len(generation.token_ids)
    if choice.token_id is None:
        st.subheader("What comes next?")
        story = f"Nothing is picked yet: these are the candidates for token {choice.pos}."
    else:
        name = escape_markdown(visible(generation.tokens[choice.pos]))
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(f"Token {choice.pos}: {name}", width="stretch")
            if n_prompt <= choice.pos < n_tokens - 1:
                st.button(
                    "Rewind to here", key="generation.rewind", icon=":material/undo:",
                    shortcut="W", help="Take back all tokens after this one (key W).",
                    on_click=writing.rewind_to, args=(choice.pos - n_prompt + 1,),
                )  # fmt: skip
        if choice.pos == 0:
            st.info("Nothing comes before the first token, so the model never predicts it.")
            return
        if choice.pos < n_prompt:
            story = "From your prompt. The chart shows what the model expected here."
        else:
            story = _how_picked(choice.step, generation.decoding)
    # One element: each costs the browser a few milliseconds of every step.
    st.markdown(f"{story}\n\n{_numbers(choice)}", help=NUMBERS_HELP)


def attention_note(generation: Generation, choice: Choice, layer: int, head: int | None) -> None:
    """Say what the shade of the tokens means."""
    if choice.attention is None:
        st.caption("The first token is predicted from nothing, so nothing is shaded.")
        return
    reader = escape_markdown(visible(generation.tokens[choice.pos - 1]))
    heads = "the mean of all heads" if head is None else f"head {head}"
    what = "the next token" if choice.token_id is None else f"token {choice.pos}"
    st.caption(
        f"Shade: where position {choice.pos - 1} ({reader}), which predicts {what}, reads from "
        f"in layer {layer}, {heads}. Click a token to see the distribution it came from."
    )


def rows_of(generation: Generation, choice: Choice) -> list[Candidate]:
    """Return the candidates of a choice as rows."""
    model = generation.model
    return candidates(
        choice.stages,
        lambda token_id: visible(model.token_strings([token_id])[0]),
        n_candidates=N_CANDIDATES,
        chosen=choice.token_id,
    )


def candidate_chart(rows: Sequence[Candidate], choice: Choice, *, clickable: bool) -> None:
    """Draw the candidates; a click on one takes it."""

    def take_clicked(point: Point) -> None:
        if point.customdata != OTHERS:
            writing.take_instead(choice.pos, int(point.customdata))

    chart(
        candidates_bars(rows, choice.token_id),
        key="generation.candidates",
        on_click=take_clicked if clickable else None,
        view="open" if choice.token_id is None else "picked",  # the legend needs room, too
        alt=f"Candidates for token {choice.pos}: "
        + ", ".join(f"{row.token} {percent(row.probability)}" for row in rows),
    )


def candidate_picker(generation: Generation, choice: Choice) -> None:
    """Let the user take another token without a mouse."""
    probabilities = choice.stages[-1].probabilities
    order = np.argsort(-choice.stages[0].scores, kind="stable")[:N_TO_PICK].tolist()
    key = "generation.take"
    st.session_state[key] = None  # what was taken before is no choice for this token
    names = map(visible, generation.model.token_strings(order))
    labels = {
        i: f"{name}   {percent(float(probabilities[i]))}"
        for i, name in zip(order, names, strict=True)
    }

    def take_chosen() -> None:
        if (token_id := number_of(key)) is not None:
            writing.take_instead(choice.pos, token_id)

    what = "Take another token instead" if choice.token_id is not None else "Take a token yourself"
    st.selectbox(
        f"{what}: choose here, or click its bar",
        order,
        index=None,
        key=key,
        format_func=labels.get,
        placeholder=f"The {len(order)} most probable ones",
        help="What was written from this position on stays as a branch.",
        on_change=take_chosen,
    )


def candidate_table(rows: Sequence[Candidate], decoding: Decoding, chosen: int | None) -> None:
    """Show what each stage made of each candidate, in numbers."""
    sampling = decoding.strategy == "sample"
    penalty = decoding.repetition_penalty != 1
    filters = [
        f"{stage_name(name)} {value:g}"
        for name in ("top_k", "top_p", "min_p")
        if sampling and (value := getattr(decoding, name))
    ]
    divisor = f"÷ {decoding.temperature:g}" if sampling else "not used: greedy"
    head = ["Token", "ID", "Rank", "Logit", "Model's own probability"]
    head += [f"After penalty<small>{decoding.repetition_penalty:g}</small>"] if penalty else []
    head += [
        f"After temperature<small>{divisor}</small>",
        f"After filters<small>{' · '.join(filters) or 'none on'}</small>",
        "Final probability",
    ]
    body = "".join(_table_row(row, penalty, row.token_id == chosen) for row in rows)
    total = sum(row.probability for row in rows)
    raw_total = sum(row.raw_probability for row in rows)
    st.html(
        "<div class='stages'><table><thead><tr>"
        + "".join(f"<th scope='col'>{cell}</th>" for cell in head)
        + f"</tr></thead><tbody>{body}</tbody><tfoot><tr><th scope='row' colspan='4'>Sum</th>"
        + f"<td>{percent(round(raw_total, 9))}</td>"
        + f"<td colspan='{3 if penalty else 2}'></td>"
        + f"<td>{percent(round(total, 9))}</td></tr></tfoot></table></div>"
    )


def cost_chart(generation: Generation) -> None:
    """Draw what each step took."""
    steps = generation.steps
    chart(
        step_costs(
            [visible(step.token) for step in steps],
            [step.rows_computed for step in steps],
            [step.seconds for step in steps],
            [step.cache_bytes for step in steps],
        ),
        key="generation.costs",
        alt=f"Positions computed, time and cache size of {len(steps)} steps",
    )
    st.caption(
        "The first step computes the whole prompt. With the KV cache on, each later step computes "
        "one position and the cache grows; with it off, each step computes all of them again. "
        "Times are measured on this machine."
    )


def replay_chart(generation: Generation) -> None:
    """Draw all choices in one figure that is scrubbed in the browser."""
    n_steps = len(generation.steps)
    first = max(0, n_steps - N_REPLAYED)
    rows, contexts = [], []
    for step in generation.steps[first:]:
        choice = Choice(step.pos, step.token_id, step, step.stages, None)
        rows.append(rows_of(generation, choice))
        before = visible(generation.model.decode(step.forward.token_ids[-16:]))
        contexts.append(before.replace("·", " ")[-40:])
    chart(
        choices_replay(
            rows, [step.token_id for step in generation.steps[first:]], contexts, first + 1
        ),
        key="generation.replay",
        alt="The candidates of every step, with a slider",
    )


def branch_list(draft: Draft) -> None:
    """List the branches; choosing one goes there."""
    starts = f"generation.branch.{'.'.join(str(len(tip.steps)) for tip in draft.tips)}"
    key = f"{starts}.{draft.tip}"
    st.subheader("Branches")
    st.radio(
        "Every text you wrote from this prompt",
        range(len(draft.tips)),
        index=draft.tip,
        key=key,
        format_func=lambda tip: _tip_text(draft.tips[tip]),
        on_change=lambda: writing.go_to_branch(st.session_state[key]),
    )
    st.button(
        "Forget the others", key="generation.forget", icon=":material/delete:",
        on_click=writing.forget_branches,
    )  # fmt: skip


def try_next() -> None:
    """Link to the pages that go on from here, as far as they exist."""
    st.subheader("Try next")
    link_pages(
        {
            "attention": "**Attention**: what does each head read from?",
            "layers": "**Layers**: when did the model make up its mind?",
            "kv_cache": "**KV cache**: how much work do kept keys and values save?",
            "lm_head": "**LM head**: how do the final scores become a choice?",
        }
    )


def _numbers(choice: Choice) -> str:
    """The figures of a choice in one line."""
    first, last = choice.stages[0], choice.stages[-1]
    parts = []
    if (token_id := choice.token_id) is not None:
        rank = int((first.scores > first.scores[token_id]).sum()) + 1
        parts.append(f"probability **{percent(float(last.probabilities[token_id]))}**")
        parts.append(f"rank **{rank:,}** of {len(first.scores):,}")
    parts.append(
        f"entropy **{first.entropy_bits:.2f} bits** (like a fair draw among "
        f"{2**first.entropy_bits:,.1f} tokens)"
    )
    if (step := choice.step) is not None:
        positions = "position" if step.rows_computed == 1 else "positions"
        parts.append(
            f"computed **{step.rows_computed:,} {positions}** in {step.seconds * 1e3:.1f} ms"
        )
    return " · ".join(parts)


def _how_picked(step: Step, now: Decoding) -> str:
    if step.forced:
        text = "You chose it."
    elif step.decoding.strategy == "greedy":
        text = "Picked greedily: the most probable token."
    else:
        text = f"Drawn at random, with seed {step.decoding.seed}."
    if step.decoding != now:
        text += (
            f" It was picked with other options, when its probability was "
            f"{percent(step.probability)}; below, the options set now apply."
        )
    return text


def _table_row(row: Candidate, penalty: bool, chosen: bool) -> str:
    name = html.escape(row.token)
    name = f"<i>{name}</i>" if row.token_id == OTHERS else f"<code>{name}</code>"
    if row.removed_by:
        name = f"<s>{name}</s>"
    filtered = _number(row.tempered, ".3f")
    if row.removed_by:
        filtered = f"removed by {stage_name(row.removed_by)}"
    cells = [
        "" if row.token_id == OTHERS else str(row.token_id),
        _number(row.rank, ",d"),
        _number(row.logit, ".3f"),
        percent(row.raw_probability),
        *([_number(row.penalised, ".3f")] if penalty else []),
        _number(row.tempered, ".3f"),
        filtered,
        percent(row.probability),
    ]
    classes = " ".join(name for name, on in (("chosen", chosen), ("removed", row.removed_by)) if on)
    return (
        f"<tr class='{classes}'><th scope='row'>{'▶ ' if chosen else ''}{name}</th>"
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
    )


def _number(value: float | None, spec: str) -> str:
    return "" if value is None else format(value, spec)


def _tip_text(tip: Generation) -> str:
    ids = [step.token_id for step in tip.steps]
    tail = visible(tip.model.decode(ids[-TIP_TOKENS:])).replace("·", " ")
    dots = "…" if len(ids) > TIP_TOKENS else ""
    plural = "token" if len(ids) == 1 else "tokens"
    return escape_markdown(f"{len(ids)} {plural}: {dots}{tail}")
