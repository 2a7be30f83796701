"""A line that says "Checked" compares two sources: with either of them spoiled, it turns."""

import ast
import functools
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from model_hooks import HookedModel
from model_hooks.text.tokenization import byte_tokenizer
from tests.conftest import tiny_gpt2, tiny_llama, with_random_weights
from tests.pages.conftest import opened

PAGES = Path(__file__).parents[2] / "pages"
INTO_BYTES = {"tokenizer"}
"""Pages that are shown with a tokenizer that cuts words."""


class Case(NamedTuple):
    """One line, and what spoils one of its sources."""

    drawn_by: str
    """The function that draws it."""
    link: dict
    begins: str
    """What comes after "Checked: "."""
    source: str
    """A function or method that gives one of the numbers."""
    spoil: Callable
    """Makes another answer of its answer."""
    turned: str = "Not equal: "
    """What the page says then."""


def _shifted(array):
    """Other numbers of the same size, so that no factor explains them."""
    return array + np.abs(array).max() * np.sin(np.arange(array.shape[-1])).astype(array.dtype)


def _half_weights(weights):
    return weights * np.float32(0.5)


def _more_bytes(layers):
    return tuple(layer._replace(n_bytes=layer.n_bytes + 4) for layer in layers)


def _other_mlp_out(layer):
    return replace(layer, mlp_out=_shifted(layer.mlp_out))


def _one_more(parts):
    first = next(iter(parts))
    return {**parts, first: parts[first] + 1}


def _all_moved(scores):
    return scores._replace(differences=scores.differences + scores.largest.max())


def _wrong_output(given):
    taken, made = given
    return taken, _shifted(made)


ARITHMETIC = {"page": "attention", "layer": 1, "head": 1, "attention__tab": "arithmetic"}
CASES = [
    Case(
        "attention/arithmetic.py:_softmax",
        ARITHMETIC,
        "The model's own attention weight is",
        "model_hooks.run.trace:Trace.attention",
        _half_weights,
    ),
    Case(
        "attention/arithmetic.py:_all_heads",
        ARITHMETIC,
        "All heads' outputs, projected and summed, equal",
        "model_hooks.read.heads:head_outputs",
        _half_weights,
        "Not equal: All heads' outputs",
    ),
    Case(
        "attention/arithmetic.py:_all_heads",
        ARITHMETIC,
        "All heads' outputs, projected and summed, equal",
        "model_hooks.read.arithmetic:head_outputs",
        _half_weights,
        "their outputs are not checked against it",
    ),
    Case(
        "efficient_attention/walk.py:_check",
        {"page": "efficient_attention", "efficient_attention__tab": "flash"},
        "the last tile's output equals",
        "model_hooks.read.flash:walk_tiles",
        lambda walk: (walk[0], _shifted(walk[1]), walk[2]),
    ),
    Case(
        "feedforward/neurons.py:_check_sum",
        {"page": "feedforward", "layer": 1},
        "all ",
        "model_hooks.read.neurons:neuron_writes",
        _shifted,
    ),
    Case(
        "layers/parts.py:draw",
        {"page": "layers", "layers__tab": "parts"},
        "the parts sum to",
        "model_hooks.run.trace:_layer",
        _other_mlp_out,
    ),
    Case(
        "layers/reading.py:check_last_row",
        {"page": "layers"},
        "the last row equals",
        "model_hooks.read.lens:output_log_probs",
        _shifted,
    ),
    Case(
        "layers/reading.py:check_last_row",
        {"page": "layers"},
        "the last row equals",
        "model_hooks.model:HookedModel.logits_of",
        _shifted,
    ),
    Case(
        "tokenizer/merging.py:_draw_merges",
        {"page": "tokenizer"},
        "the tokenizer's own code makes the same tokens",
        "model_hooks.text.tokenization:TokenizerView.cut",
        lambda ids: (*ids, 0),
    ),
    Case(
        "tokenizer/prompt.py:_draw_checks",
        {"page": "tokenizer"},
        "these token IDs give back exactly your text",
        "model_hooks.text.pieces:Pieces.decode",
        lambda text: f"{text}!",
        "These token IDs do not give back exactly your text",
    ),
    Case(
        "block_architecture/norm_kind.py:_draw_check",
        {"page": "block_architecture", "block_architecture__tab": "kind"},
        "the steps of",
        "model_hooks.read.norms:norm_calls",
        _wrong_output,
        "its steps are not shown",
    ),
    Case(
        "block_architecture/whole.py:_draw_parameters",
        {"page": "block_architecture"},
        "the parts add up to",
        "model_hooks.read.architecture:count_parameters",
        _one_more,
    ),
    Case(
        "lm_head/beams.py:_check",
        {"page": "lm_head", "lm_head__tab": "beams"},
        "the winner's sum is",
        "model_hooks.experiments.continuations:text_log_prob",
        lambda total: total - 0.5,
    ),
    Case(
        "lm_head/one_score.py:draw",
        {"page": "lm_head", "lm_head__tab": "one_score"},
        "this gives",
        "model_hooks.model:HookedModel.logits_of",
        _shifted,
        "Not equal: the model's own logit is",
    ),
    Case(
        "positions/turned.py:_check",
        {"page": "positions", "positions__tab": "turned"},
        "the model recorded",
        "model_hooks.read.moved:moved_scores",
        _all_moved,
    ),
    Case(
        "kv_cache/contents.py:_check_sizes",
        {"page": "kv_cache", "kv_cache__tab": "contents"},
        "by arithmetic",
        "model_hooks.read.cached:cached_layers",
        _more_bytes,
    ),
]


@pytest.fixture(scope="module")
def of_words(tokenizer):
    return HookedModel.wrap(with_random_weights(tiny_llama), tokenizer, "tiny")


@pytest.fixture(scope="module")
def of_bytes():
    model = with_random_weights(tiny_llama)
    model.resize_token_embeddings(256)
    return HookedModel.wrap(model, byte_tokenizer(), "tiny")


@pytest.fixture
def show(open_with, of_words, of_bytes):
    """Open a page on a model that nobody has asked yet, and return all that it says."""

    def show(page, **link):
        model = of_bytes if page in INTO_BYTES else of_words
        open_with(lambda name: model)
        app = opened(page, **link)
        assert not app.exception
        elements = (*app.caption, *app.markdown, *app.info, *app.warning, *app.error)
        return "\n".join(element.value for element in elements)

    return show


def spoil(monkeypatch, source, change):
    """Let a function or method give other answers."""
    module, _, path = source.partition(":")
    holder, _, name = path.rpartition(".")
    place = pkgutil.resolve_name(f"{module}:{holder}" if holder else module)
    own = getattr(place, name)

    @functools.wraps(own)
    def spoiled(*args, **named):
        return change(own(*args, **named))

    monkeypatch.setattr(place, name, spoiled)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.drawn_by}-{case.source}")
def test_the_line_turns_when_a_source_is_spoiled(show, monkeypatch, case):
    assert f"Checked: {case.begins}" in show(**case.link)
    spoil(monkeypatch, case.source, case.spoil)
    said = show(**case.link)
    assert f"Checked: {case.begins}" not in said
    assert case.turned in said


def test_position_vectors_are_checked_by_moving_a_token(open_with, tokenizer):
    moving = "Checked: moving a token changes"

    def said(spoiled):
        model = with_random_weights(tiny_gpt2)
        if spoiled:  # what is added is no row of the table any more
            model.transformer.wpe.register_forward_hook(lambda _, given, row: 1.1 * row)
        hooked = HookedModel.wrap(model, tokenizer, "tiny")
        open_with(lambda name: hooked)
        app = opened("positions", positions__tab="added")
        assert not app.exception
        return "\n".join(element.value for element in (*app.markdown, *app.caption))

    assert moving in said(spoiled=False)
    assert moving not in said(spoiled=True)


def drawing_functions():
    """Every function of the pages that calls `check`."""
    found = set()
    for path in PAGES.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            calls = (node for node in ast.walk(function) if isinstance(node, ast.Call))
            names = {getattr(call.func, "id", "") for call in calls}
            if isinstance(function, ast.FunctionDef) and names & {"check", "check_text"}:
                found.add(f"{path.relative_to(PAGES).as_posix()}:{function.name}")
    return found - {"widgets/check.py:check"}


def test_every_line_is_among_these():
    assert drawing_functions() == {case.drawn_by for case in CASES}
