"""How a token came to be there is told from how it was picked, and from what is set now."""

import numpy as np
import pytest

from model_hooks import AblateHead, Decoding, Stage
from model_hooks.write.writing import WrittenStep
from pages.generation.choice import Choice
from pages.generation.facts import how_picked, numbers
from pages.generation.text import note, shades

SAMPLE = Decoding("sample", seed=5)
OFF = (AblateHead(0, 0),)


def step(**changes):
    told = {
        "pos": 2,
        "token_id": 1,
        "token": "b",
        "decoding": Decoding(),
        "forced": False,
        "reused": False,
        "probability": 0.25,
        "raw_probability": 0.5,
        "rank": 1,
        "entropy_bits": 1.0,
        "rows_computed": 1,
        "flops": 1,
        "seconds": 0.012,
        "cache_bytes": 0,
        "prefill": False,
    }
    return WrittenStep(**{**told, **changes})


@pytest.mark.parametrize(
    ("picked", "says"),
    [
        ({}, "Picked greedily: the most probable token."),
        ({"decoding": SAMPLE}, "Drawn at random, with seed 5."),
        ({"forced": True}, "You chose it."),
    ],
)
def test_who_picked_it_is_said(picked, says):
    made = step(**picked)
    assert how_picked(made, made.decoding, ()) == says


def test_other_options_are_said_with_the_probability_of_then():
    told = how_picked(step(), SAMPLE, ())
    assert "picked with other options, when its probability was 25.0%" in told


@pytest.mark.parametrize(("then", "now"), [((), OFF), (OFF, ())])
def test_parts_switched_on_or_off_since_are_said(then, now):
    told = how_picked(step(interventions=then), Decoding(), now)
    assert "before parts of the model were switched on or off" in told
    assert "25.0%" in told


def test_numbers_are_those_of_the_stages():
    scores = np.log(np.array([0.5, 0.25, 0.25], np.float32))
    stages = Decoding("sample", top_k=1).stages(scores, [0])
    line = numbers(Choice(2, 1, step(rows_computed=2), stages, None))
    assert "probability **0%** · rank **2** of 3 · entropy **0 bits**" in line
    assert "fair draw among 1 token), with the options set" in line
    assert "computed **2 positions** in 12 ms (measured once)" in line
    nothing = numbers(Choice(2, None, None, stages, None))
    assert nothing.startswith("entropy")


def test_probability_rank_and_entropy_are_of_one_distribution():
    scores = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    raw, penalised = Decoding(repetition_penalty=8.0).stages(scores, [0])
    assert raw.scores.argmax() != penalised.scores.argmax()
    line = numbers(Choice(2, int(penalised.scores.argmax()), step(), (raw, penalised), None))
    p = penalised.probabilities.astype(float)
    assert f"probability **{100 * p.max():.1f}%** · rank **1** of 3" in line
    assert f"entropy **{-(p * np.log2(p)).sum():.3g} bits**" in line
    assert "options" in line
    assert "options" not in numbers(Choice(2, 0, step(), (raw,), None))


def test_what_comes_later_is_not_shaded():
    read = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
    choice = Choice(2, None, None, (Stage("raw", np.zeros(3, np.float32)),), read)
    assert shades(choice, 4, 0) == [0.25, 0.75, 0, 0, 0]
    assert shades(choice, 4, None) == [0.375, 0.625, 0, 0, 0]
    assert shades(choice._replace(attention=None), 4, 0) is None
    assert "position 1 (\\*)" in note(["a", "*"], choice, 3, 1)
    assert "layer 3, head 1" in note(["a", "*"], choice, 3, 1)
