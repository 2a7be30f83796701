"""In which choices does one block differ from another, such as that of 2017?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from model_hooks.parts.facts import (
    ORIGINAL_2017,
    AttentionFacts,
    BlockFacts,
    FeedforwardFacts,
    feedforward_name,
)

Topic = Literal[
    "norm place",
    "norm kind",
    "wiring",
    "attention",
    "window",
    "query and key norm",
    "positions",
    "activation",
    "gate",
    "experts",
    "biases",
    "mixing",
]


@dataclass(frozen=True)
class Difference:
    """One choice that a block makes otherwise than that of 2017."""

    topic: Topic
    then: str
    now: str


def differences(facts: BlockFacts, original: BlockFacts = ORIGINAL_2017) -> tuple[Difference, ...]:
    """Return the choices (not the sizes) in which a block differs from another one."""
    return tuple(
        difference for difference in _compared(original, facts) if difference.then != difference.now
    )


def _compared(then: BlockFacts, now: BlockFacts) -> Iterator[Difference]:
    if now.wiring != "unknown":
        yield Difference("norm place", norm_place(then), norm_place(now))
        yield Difference("wiring", _order(then), _order(now))
    yield Difference("norm kind", _kinds(then), _kinds(now))
    yield from _compared_mixing(then, now)
    yield Difference("positions", then.position, now.position)
    if then.feedforward is not None and now.feedforward is not None:
        yield from _compared_feedforward(then.feedforward, now.feedforward)
    yield Difference("biases", _biases(then), _biases(now))


def _compared_mixing(then: BlockFacts, now: BlockFacts) -> Iterator[Difference]:
    if now.attention is None or then.attention is None:
        yield Difference("mixing", "attention", now.mixer or "none: each token is alone here")
        return
    normalised = "normalised" if now.norms_at("on queries and keys") else "none"
    yield Difference("attention", attention_name(then.attention), attention_name(now.attention))
    yield Difference("window", _window(then.attention), _window(now.attention))
    yield Difference("query and key norm", "none", normalised)


def _compared_feedforward(then: FeedforwardFacts, now: FeedforwardFacts) -> Iterator[Difference]:
    names = (feedforward_name(facts.activation, False) for facts in (then, now))
    yield Difference("activation", *names)
    yield Difference("gate", "no gate", "a gate" if now.gated else "no gate")
    yield Difference("experts", "one network", _experts(now))


def norm_place(facts: BlockFacts) -> str:
    """Say where a block normalises: `before each part`, `after each sum` and so on."""
    places = {norm.place for norm in facts.main_norms}
    before = any(place.startswith("before") for place in places)
    after = any(place.startswith("after") for place in places)
    on_sum = any(place.startswith("on the sum") for place in places)
    words = [
        *(["before each part"] if before else []),
        *(["after each part"] if after else []),
        *(["on each sum"] if on_sum else []),
    ]
    return " and ".join(words) or "no norm found"


def attention_name(facts: AttentionFacts) -> str:
    """Name a kind of attention in words."""
    return f"{facts.kind} attention"


def _order(facts: BlockFacts) -> str:
    return "side by side" if facts.wiring == "parallel" else "one after the other"


def _kinds(facts: BlockFacts) -> str:
    return " and ".join(dict.fromkeys(norm.kind for norm in facts.main_norms)) or "none found"


def _window(facts: AttentionFacts) -> str:
    return "all earlier tokens" if facts.window is None else f"the last {facts.window:,} tokens"


def _experts(facts: FeedforwardFacts) -> str:
    if not facts.n_experts:
        return "one network"
    chosen = f"{facts.experts_per_token} of " if facts.experts_per_token else ""
    return f"{chosen}{facts.n_experts} experts"


def _biases(facts: BlockFacts) -> str:
    attention = facts.attention is not None and facts.attention.bias
    feedforward = facts.feedforward is not None and facts.feedforward.bias
    return {
        (True, True): "in attention and feedforward",
        (True, False): "in attention",
        (False, True): "in the feedforward",
    }.get((attention, feedforward), "none")
