"""Every question that pages ask is found, and ends in numbers or in a sentence."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from benchmarks.questions import answers, changes, questions, without_numbers
from model_hooks import HookedModel
from model_hooks.cluster import listed
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about its own internals

PAGES = Path(__file__).parents[2] / "pages"
ASKS = ("computed", "streamed", "watched")
PROMPT = tiny_prompt(12)


def asked_in(source: str) -> set[str]:
    """The names of the functions that a module makes questions of, read from its code."""
    return {
        node.args[0].id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ASKS
        and isinstance(node.args[0], ast.Name)
    }


def test_every_question_in_the_code_of_pages_is_found():
    found = {name.rpartition(":")[2] for name in questions()}
    in_code = {name for path in PAGES.rglob("*.py") for name in asked_in(path.read_text())}
    assert in_code - {"function"} <= found  # `streamed` itself hands its argument on
    assert len(found) > 80


def test_what_may_be_asked_from_another_machine_is_what_pages_ask():
    """A new question of a page is to be named in `model_hooks/cluster/names.py`."""
    assert listed.questions() == questions()


@pytest.mark.parametrize(
    "family",
    [
        "gpt2",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("bloom", "jamba", "nemotron_h", "mixtral", "gemma3n_text", "deepseek_v3")
        ),
    ],
)
def test_every_question_ends_in_numbers_or_a_sentence(family):
    model = HookedModel.wrap(build(family), tiny_tokenizer(), family)
    found = list(answers(model, PROMPT))
    assert [one for one in found if one.kind in ("error", "not numbers")] == []
    assert all(one.says.endswith(".") for one in found if one.kind == "refused")
    assert {one.question for one in found} == {
        name.removeprefix("model_hooks.") for name in questions()
    }


def test_what_can_be_switched_off_is_tried_together_too():
    model = HookedModel.wrap(build("gpt2", n_layer=2), tiny_tokenizer(), "gpt2")
    *each, several = changes(model, PROMPT)
    assert all(len(one) == 1 for one in each)
    assert len(several) > 2


class Pair(NamedTuple):
    left: object
    right: object


@dataclass(frozen=True)
class Found:
    numbers: object


@pytest.mark.parametrize(
    ("value", "places"),
    [
        (Found((1.0, {"a": Pair(np.zeros(2), None)})), []),
        (Found((1.0, {"a": Pair(np.array([0, np.nan]), None)})), [".numbers[]['a'].left"]),
        ([Found(float("nan")), Found(2)], ["[].numbers"]),
        (np.array([np.inf, -np.inf]), []),
        (float("nan"), ["the number"]),
    ],
)
def test_what_is_no_number_is_found_wherever_it_stands(value, places):
    assert list(without_numbers(value)) == places
