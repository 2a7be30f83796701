"""What can a lesson ask of one run of its prompt? Rows of the closed table."""

from collections.abc import Mapping

import numpy as np

from model_hooks.errors import PromptError
from model_hooks.read.recorded import attention
from pages.ask.computed import computed
from pages.teach.subject import Kind, Subject

_attention = computed(attention)


def _ranked(about: Subject, place: int) -> int:
    return int(np.argsort(-about.probabilities(), kind="stable")[place - 1])


def top_token(about: Subject, place: int = 1) -> str:
    """Return the token that leads; with `place`, the one on that place."""
    return about.token(_ranked(about, place))


def top_probability(about: Subject, place: int = 1) -> float:
    """Return the probability of the token on a place."""
    return float(about.probabilities()[_ranked(about, place)])


def probability(about: Subject, of: str) -> float:
    """Return the probability of a word."""
    return float(about.probabilities()[about.token_id(of)])


def rank(about: Subject, of: str) -> int:
    """Return the rank of a word, from 1."""
    chances = about.probabilities()
    return int((chances > chances[about.token_id(of)]).sum()) + 1


def entropy(about: Subject) -> float:
    """Return how open the choice is, in bits."""
    chances = about.probabilities().astype(np.float64)
    chances = chances[chances > 0]
    return float(-(chances * np.log2(chances)).sum())


def n_kept(about: Subject) -> int:
    """Return how many tokens the filters leave."""
    return int((about.probabilities() > 0).sum())


def vocabulary(about: Subject) -> int:
    """Return how many tokens get a probability."""
    return len(about.probabilities())


def context(about: Subject) -> int:
    """Return how many tokens the model reads at most.

    Raises:
        PromptError: Nothing limits them.
    """
    if (size := about.info.context_size) is None:
        raise PromptError("Nothing limits how many tokens this model reads.")
    return size


def n_tokens(about: Subject) -> int:
    """Return how many tokens the prompt is."""
    return len(about.run.token_ids)


def n_pieces(about: Subject, of: str) -> int:
    """Return how many tokens a word is."""
    return len(about.pieces(of))


def pieces(about: Subject, of: str) -> str:
    """Return the tokens of a word, with bars between them."""
    return "|".join(about.pieces(of))


def most_read(about: Subject) -> int:
    """Return the position that a head reads most from the token that is looked at."""
    weights = _attention(*about.run, about.layer, about.head)[about.at]
    return int(np.nan_to_num(weights)[: about.at + 1].argmax())


def most_weight(about: Subject) -> float:
    """Return how much of the attention that position gets."""
    return float(_attention(*about.run, about.layer, about.head)[about.at].max())


ONE_RUN: Mapping[str, Kind] = {
    "top_token": Kind("token", top_token, {"place": 1}),
    "top_probability": Kind("share", top_probability, {"place": 1}),
    "probability": Kind("share", probability, {"of": str}),
    "rank": Kind("number", rank, {"of": str}),
    "entropy": Kind("bits", entropy),
    "tokens_kept": Kind("number", n_kept),
    "vocabulary": Kind("number", vocabulary),
    "context": Kind("number", context),
    "tokens": Kind("number", n_tokens),
    "pieces": Kind("number", n_pieces, {"of": str}),
    "pieces_text": Kind("pieces", pieces, {"of": str}),
    "most_read": Kind("place", most_read),
    "most_weight": Kind("share", most_weight),
}
"""By the names that lesson files use."""
