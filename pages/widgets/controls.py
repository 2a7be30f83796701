"""Ready-made controls for what all pages share: layer, head, token, how the next token is picked.

Each shows the view, within what the model has, and changes it when used, by the keyboard too.

    layer = pick_layer(info())
    head = pick_head(info(), mean=True)     # with mean=True, None is the mean of all
    pos = pick_position(tokens)
    decoding = decoding_controls(info())

A figure or component that lets the reader click calls `put(layer=2, head=5)` in its callback.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import streamlit as st

from model_hooks import Decoding, InlookError, ModelInfo, Stage
from model_hooks.write.decoding import OPTIONS
from model_hooks.write.options import Option
from model_hooks.write.own import OwnDecoding, own_decoding
from model_hooks.write.rules import NO_RULES, Rules
from pages.state.visit import put, view
from pages.text import code_span, escape_markdown, visible
from pages.widgets.bind import bind
from pages.widgets.words import token_name
from viz.numbers import counted, fair_draw, percent

MAX_BUTTONS = 12
"""Up to here all choices lie open side by side; more go into a select box."""
MAX_WIDGET_INTEGER = 2**53 - 1
"""Browsers cannot count further."""

LAYER_HELP = (
    "A transformer is a stack of **layers** (also called blocks). Each reads all vectors, adds "
    "something to each of them, and hands them to the next. Layer 0 comes first."
)
HEAD_HELP = (
    "Each layer looks back at earlier tokens several times in parallel. Each of these looks is an "
    "attention **head**, with its own pattern of what it reads."
)
POSITION_HELP = "Which token to look at, counted from 0. The last one predicts the next token."
STRATEGY_HELP = (
    "**Greedy** always takes the most probable token. **Sample** draws one at random, in "
    "proportion to its probability."
)
CACHE_HELP = (
    "Keeps the keys and values of earlier tokens, so that each step computes only the new token. "
    "The text stays the same; only the work changes."
)
SAMPLED = {"decoding.strategy": "sample"}
OWN = "This model's own `generation_config.json`"
OWN_BUTTON = "Use the model's own options"
PLAIN_BUTTON = "Back to plain greedy"


def pick_layer(info: ModelInfo, *, only_attention: bool = False, slot: str = "") -> int:
    """Let the reader choose a layer, from 0.

    Args:
        info: The model's sizes.
        only_attention: Offer only layers that have attention (a hybrid model has others too).
        slot: Tells two such controls on one page apart.
    """
    layers = info.attention_layers if only_attention else range(info.n_layers)
    return pick_among("Layer", "layer", layers, help=LAYER_HELP, slot=slot)


def pick_head(info: ModelInfo, *, mean: bool = False, slot: str = "") -> int | None:
    """Let the reader choose an attention head, from 0.

    Args:
        info: The model's sizes.
        mean: Also offer the mean over all heads, returned as None.
        slot: Tells two such controls on one page apart.
    """
    heads: list[int | None] = [*range(info.n_heads)]
    offered = [None, *heads] if mean else heads
    return pick_among("Head", "head", offered, help=HEAD_HELP, slot=slot, none="Mean")


def pick_among(
    label: str,
    field: str,
    options: Sequence[Any] | range,
    *,
    none: str = "",
    slot: str = "",
    **arguments: Any,
) -> Any:
    """Let the reader choose one of some numbers: as buttons, or from a list where they are many.

    Args:
        label: The control's label.
        field: The field of the view.
        options: What there is to choose from.
        none: What None is called.
        slot: Tells two such controls on one page apart.
        **arguments: Whatever else the widgets take.
    """
    arguments |= {
        "options": options,
        "format_func": lambda option: none if option is None else str(option),
        "slot": slot,
    }
    if len(options) <= MAX_BUTTONS:
        return bind(st.segmented_control, label, field, required=True, wrap=True, **arguments)
    return bind(st.selectbox, label, field, **arguments)


def pick_position(
    tokens: Sequence[str], *, label: str = "Token", default: int | None = None, slot: str = ""
) -> int:
    """Let the reader choose one token of the text by its position, from 0.

    To let them click on the tokens themselves, put `token_strip` above it:
    `token_strip(tokens, key=..., selected=pos, on_pick=lambda pos: put(pos=pos))`.

    Args:
        tokens: The tokens to choose from.
        label: Its label.
        default: The position shown while none was chosen; None for the last one.
        slot: Tells two such controls on one page apart.
    """
    return bind(
        st.selectbox,
        label,
        "pos",
        options=range(len(tokens)),
        when_none=len(tokens) - 1 if default is None else default,
        format_func=lambda pos: f"{pos}: {visible(tokens[pos])}",
        help=POSITION_HELP,
        slot=slot,
    )


def current_position(n_tokens: int, default: int | None = None) -> int:
    """Return the chosen position, the last one if it is beyond the end.

    While none is chosen, it is the default; None stands for the last one.
    """
    last = n_tokens - 1
    chosen = view().pos
    if chosen is None:
        return last if default is None else default
    return min(max(chosen, 0), last)


def decoding_controls(
    info: ModelInfo, stages_of: Callable[[Decoding], Sequence[Stage]] | None = None
) -> Decoding:
    """Let the reader choose how the next token is picked.

    With greedy decoding, the options of sampling say what they would do, and whoever moves one
    samples.

    Args:
        info: The model's sizes.
        stages_of: Gives the stages of the next choice, were it made in such a way.
    """
    strategy = bind(
        st.segmented_control,
        "How to pick the next token",
        "decoding.strategy",
        options=["greedy", "sample"],
        format_func=str.capitalize,
        required=True,
        help=STRATEGY_HELP,
    )
    if strategy == "greedy":
        _offer_sampling(stages_of)
    for option in OPTIONS:
        unused = strategy == "greedy" and option.sampling_only
        _option_control(option, info.vocab_size, also=SAMPLED if unused else {})
    own = own_decoding(info.generation_settings, info.vocab_size)
    _own_options(own, replace(own.decoding, seed=view().decoding.seed))
    return view().decoding


def _offer_sampling(stages_of: Callable[[Decoding], Sequence[Stage]] | None) -> None:
    """Say what the options of sampling would do, and begin to sample on a click."""
    said = ""
    if stages_of is not None:
        with suppress(InlookError):  # the page says why there is no next token
            said = what_sampling_does(stages_of(replace(view().decoding, strategy="sample")))
    if said:
        st.caption(f"{said} Greedy does not use temperature and filters; move one, and you sample.")
    st.button(
        "Sample instead",
        key="decoding.sample",
        icon=":material/casino:",
        on_click=put,
        args=(SAMPLED,),
    )


def what_sampling_does(stages: Sequence[Stage]) -> str:
    """Say in a sentence, as Markdown, how sampling would choose the next token."""
    last = stages[-1]
    best = int(last.scores.argmax())
    share, token = float(last.probabilities[best]), escape_markdown(token_name(best))
    if share >= 1:
        return f"With these options, sampling too would always take **{token}**."
    return (
        f"Greedy always takes **{token}**. With these options, sampling would take it with "
        f"**{percent(share)}**, as open as a fair draw among {fair_draw(last.entropy_bits)}."
    )


def settings_of(decoding: Decoding) -> str:
    """Name all that picks a token, with its numbers: `greedy, repetition penalty 1.1`."""
    how = "sampling" if decoding.strategy == "sample" else "greedy"
    numbers = [option.setting(value) for option, value in decoding.active()]
    rules = ["the model's rules"] if decoding.rules.are_on else []
    return ", ".join([how, *numbers, *rules])


def _own_options(own: OwnDecoding, wanted: Decoding) -> None:
    """Say what the model's own settings ask for, where they do, and offer to apply it."""
    set_now = view().decoding
    said = []
    if wanted not in (set_now, Decoding(seed=wanted.seed)):
        said.append(f"{OWN} asks for {settings_of(wanted)}, which is not what is set here.")
        st.button(OWN_BUTTON, key="decoding.own", on_click=put, args=({"decoding": wanted},))
    elif wanted == set_now != Decoding(seed=wanted.seed):
        said.append(f"These are the options that {OWN[:1].lower() + OWN[1:]} asks for.")
        ours = {"decoding": Decoding(seed=set_now.seed)}
        st.button(PLAIN_BUTTON, key="decoding.plain", on_click=put, args=(ours,))
    if own.left_out:
        left_out = [f"`{name}` {code_span(visible(value))}" for name, value in own.left_out]
        said.append(f"{OWN} asks for what Inlook does not do: {', '.join(left_out)}.")
    if set_now.rules.are_on:
        said.append(f"The model's rules are on: {rules_told(set_now.rules)}.")
        lifted = {"decoding.rules": NO_RULES}
        st.button("Lift the model's rules", key="decoding.lift", on_click=put, args=(lifted,))
    if said:
        st.caption(" ".join(said))


def rules_told(rules: Rules) -> str:
    """Say what rules forbid, in a few words."""
    n_tokens, n_first = len(rules.suppress_tokens), len(rules.begin_suppress_tokens)
    n_sequences, n_new = len(rules.bad_words_ids), rules.min_new_tokens
    told = {
        f"{counted(n_tokens, 'token')} never picked": n_tokens,
        f"{counted(n_first, 'token')} never picked first": n_first,
        f"{counted(n_sequences, 'sequence')} never completed": n_sequences,
        f"no end before {counted(n_new, 'token')} are written": n_new,
        f"no end before the text has {counted(rules.min_length, 'token')}": rules.min_length,
    }
    return ", ".join(words for words, is_on in told.items() if is_on)


def cache_control() -> bool:
    """Let the reader switch the KV cache on or off."""
    return bind(st.toggle, "KV cache", "use_cache", help=CACHE_HELP)


def _option_control(option: Option, vocab_size: int, also: Mapping[str, Any]) -> None:
    kind = int if option.kind == "whole" else float
    bind(
        st.number_input if option.kind == "whole" else st.slider,
        option.label,
        f"decoding.{option.name}",
        min_value=kind(option.low),
        max_value=kind(min(option.highest(vocab_size), MAX_WIDGET_INTEGER)),
        step=kind(option.step),
        none_is=kind(option.off) if option.optional and option.off is not None else None,
        help=option.help,
        also=also,
    )
