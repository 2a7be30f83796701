"""Which text does a beam search find, and is it more probable than the greedy one?"""

import numpy as np
import pandas as pd
import streamlit as st

from model_hooks import Decoding
from model_hooks.experiments.beams import BeamSearch, search_beams
from model_hooks.experiments.continuations import Text, text_log_prob, write_texts
from pages.ask.computed import computed, watched
from pages.ask.session import info
from pages.lm_head.continuing import longest, pick_n_tokens, progress, shown_text
from pages.lm_head.seen import Seen
from pages.server.settings import settings
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.check import agree, check
from pages.widgets.download import csv_button
from pages.widgets.wide import wide_figure
from pages.widgets.words import token_name
from viz import beam_trellis
from viz.continuations import trellis_width
from viz.numbers import bits, surprise, three_digits

HELP = (
    "**Beam search** keeps several texts at once. In each step it tries every token after each of "
    "them and keeps the most probable few. A text's probability is the product of its tokens' "
    "probabilities, so its surprise in bits is the **sum** of theirs: the smallest sum wins. "
    "Greedy decoding looks one token ahead only, and can miss it. Temperature and filters are not "
    "used here."
)
SCORE_HELP = (
    "A longer text always has a larger sum. **Mean per token** divides it by the number of tokens "
    "(a length penalty of 1), so that texts that end early do not win by being short."
)
SHOWN_HELP = (
    "Go back and watch which texts are kept after each step. A text that leads early may be "
    "dropped later."
)
MAX_BEAMS, MAX_STEPS = 6, 16
SCORES = {"sum": "Sum", "mean": "Mean per token"}
COLUMNS = {
    "found_by": st.column_config.TextColumn("Found by"),
    "text": st.column_config.TextColumn("Text", width="large"),
    "tokens": st.column_config.NumberColumn("Tokens"),
    "sum": st.column_config.NumberColumn("Sum (bits)", format="%.3g"),
    "mean": st.column_config.NumberColumn("Bits per token", format="%.3g"),
}

_search_beams = watched(search_beams)
_write_texts = watched(write_texts)
_text_log_prob = computed(text_log_prob)


def draw(seen: Seen) -> None:
    """Draw a beam search with its tree, beside greedy decoding."""
    left, middle, right = st.columns([1, 1, 2])
    n_beams = bind(
        left.number_input,
        "Beams",
        "lm_head.n_beams",
        min_value=2,
        max_value=max(2, settings().at_most("beams", MAX_BEAMS)),
        help="How many texts are kept after each step.",
    )
    n_tokens = pick_n_tokens(seen, middle.number_input, "lm_head.n_steps", MAX_STEPS)
    score_by = bind(
        right.segmented_control,
        "Best is the smallest",
        "lm_head.score_by",
        options=[*SCORES],
        format_func=SCORES.__getitem__,
        required=True,
        help=SCORE_HELP,
    )
    found, greedy = _search(seen, n_beams, n_tokens, 0.0 if score_by == "sum" else 1.0)
    checked = _text_log_prob(*_text(seen), found.results[0].token_ids, *_way(seen))
    _draw_search(seen, found, greedy)
    _check(found, checked)
    csv_button(lambda: steps_table(seen, found, greedy), "beams")


def _search(
    seen: Seen, n_beams: int, n_tokens: int, length_penalty: float
) -> tuple[BeamSearch, Text]:
    """Search, and write the greedy text; what was found before is not looked for again."""
    search = *_text(seen), n_beams, n_tokens, length_penalty, *_way(seen)
    alone = *_text(seen), Decoding(), n_tokens, (0,), *_way(seen)
    found, greedy = _search_beams.kept(*search), _write_texts.kept(*alone)
    if found is None or greedy is None:
        with progress("Searching", n_tokens * 2, "lm_head.beams.stop") as on_step:
            found = _search_beams(*search, on_value=lambda value: on_step(len(value.steps)))
            greedy = _write_texts(*alone, on_value=lambda texts: on_step(n_tokens + longest(texts)))
    return found, greedy[0]


def _text(seen: Seen) -> tuple[str, tuple[int, ...]]:
    return seen.asked.model_name, seen.prefix_ids


def _way(seen: Seen) -> tuple:
    """How a text is run: the last arguments of the questions that write."""
    return (seen.asked.interventions,)


def _draw_search(seen: Seen, found: BeamSearch, greedy: Text) -> None:
    n_steps = max(len(found.steps), longest(found.results))
    n_shown = n_steps
    if n_steps > 1:
        n_shown = bind(
            st.slider,
            "Steps done",
            "lm_head.n_shown",
            min_value=1,
            max_value=n_steps,
            when_none=n_steps,
            help=SHOWN_HELP,
        )
    st.markdown(verdict(found, greedy))
    with wide_figure("lm_head_beams", trellis_width(n_steps)):
        chart(
            beam_trellis(found.steps, found.results, greedy, token_name, n_shown=n_shown),
            key="lm_head_beams",
            alt=f"Beam search with {found.n_beams} beams after {n_shown} of {n_steps} steps",
        )
    st.caption(
        "A column is a step, a row a rank. The number under a token is the surprise of "
        "the text from the prompt up to it, in bits: 0 is certain."
    )
    st.dataframe(results_table(seen, found, greedy), hide_index=True, column_config=COLUMNS)


def _check(found: BeamSearch, checked: float) -> None:
    best = found.results[0].total
    check(
        agree(abs(best - checked), abs(checked), info().dtype),
        f"the winner's sum is {surprise(best):.4f} bits; one plain run of the whole text gives "
        f"{surprise(checked):.4f}. The "
        f"search is transformers' `generate(num_beams={found.n_beams}, "
        f"length_penalty={found.length_penalty:g})`.",
    )


def verdict(found: BeamSearch, greedy: Text) -> str:
    """Say who wins, by how much."""
    best = found.results[0]
    if best.token_ids == greedy.token_ids:
        return (
            f"**Beam search and greedy decoding end on the same text**, with a sum of "
            f"**{bits(surprise(best.total))}**: here, the best next token was each time part of "
            "the best text. "
            "Try another prompt, or more tokens."
        )
    ratio = float(np.exp(min(700.0, abs(best.total - greedy.total))))
    times = three_digits(ratio)
    if best.total > greedy.total:
        won = f"**Beam search wins**: its text is **{times} times as probable** as the greedy one."
    else:
        won = f"**Greedy's sum is smaller**: its text is {times} times as probable."
    sums = (
        f" The sums are {bits(surprise(best.total))} (beam search) and "
        f"{bits(surprise(greedy.total))} (greedy)."
    )
    differs = len(best.token_ids) != len(greedy.token_ids)
    return won + sums + (" The two texts have different lengths." if differs else "")


def results_table(seen: Seen, found: BeamSearch, greedy: Text) -> pd.DataFrame:
    """Return the results of the search and the greedy text as a table, the best first."""
    rows = [
        ("both" if text.token_ids == greedy.token_ids else "beam search", text)
        for text in found.results
    ]
    if all(by != "both" for by, _ in rows):
        rows.append(("greedy", greedy))
    rows.sort(key=lambda row: -row[1].total / len(row[1].token_ids) ** found.length_penalty)
    return pd.DataFrame(
        {
            "found_by": [by for by, _ in rows],
            "text": [shown_text(seen, text) for _, text in rows],
            "tokens": [len(text.token_ids) for _, text in rows],
            "sum": [surprise(text.total) for _, text in rows],
            "mean": [surprise(text.total) / len(text.token_ids) for _, text in rows],
        }
    )


def steps_table(seen: Seen, found: BeamSearch, greedy: Text) -> pd.DataFrame:
    """Return every text that the search kept after every step, for download."""
    rows = [
        (step, rank, text, "kept")
        for step, texts in enumerate(found.steps, 1)
        for rank, text in enumerate(texts, 1)
    ]
    rows += [(len(t.token_ids), i, t, "result") for i, t in enumerate(found.results, 1)]
    rows.append((len(greedy.token_ids), 1, greedy, "greedy"))
    return pd.DataFrame(
        {
            "step": [step for step, *_ in rows],
            "rank": [rank for _, rank, *_ in rows],
            "kind": [kind for *_, kind in rows],
            "token_ids": [" ".join(map(str, text.token_ids)) for _, _, text, _ in rows],
            "text": [shown_text(seen, text, None) for _, _, text, _ in rows],
            "sum": [surprise(text.total) for _, _, text, _ in rows],
            "ended": [text.ended for _, _, text, _ in rows],
        }
    )
