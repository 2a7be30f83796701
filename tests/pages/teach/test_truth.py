"""What lessons say is true of the models that they are made for; a false lesson is found out."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import app  # noqa: F401 it imports all pages, which make the fields of a view known
from model_hooks import bundled_models
from model_hooks.bundled import models_at_hand
from model_hooks.experiments.untrained import open_model
from pages.teach.answers import answer
from pages.teach.lesson import Condition, Guess, Option
from pages.teach.reading import FOLDER, lessons, read_lesson
from pages.teach.subject import Subject
from pages.teach.truth import Found, false_claims, filled, holds, look, number_in, verdict, view_of

PROMPT = "Lily and Tim went to the lighthouse. Lily and"
FOUND = {
    "who": Found("token", " Tim", "`·Tim`"),
    "chance": Found("share", 0.98, "98%"),
    "layer": Found("layer", 4, "layer 4"),
    "none": Found("token", None, "(none)"),
}
LESSONS = [
    pytest.param(path, id=path.stem, marks=pytest.mark.slow) for path in FOLDER.glob("*.toml")
]


@pytest.fixture
def real_models(open_with):
    open_with(open_model)


def faults_of(lesson):
    """What is not true in a lesson, by the number of its step."""
    at_hand = {model.name for model in models_at_hand()}
    found = {}
    for number, step in enumerate(lesson.steps, 1):
        seen = view_of(lesson, number)
        if seen.model in at_hand and (faults := false_claims(step, look(step, seen))):
            found[number] = faults
    return found


@pytest.mark.parametrize("path", LESSONS)
def test_everything_that_a_lesson_says_is_true(real_models, path):
    assert faults_of(read_lesson(path)) == {}


@pytest.mark.parametrize(
    ("true", "false"),
    [
        ('{ value = "who", is = " Tim" }', '{ value = "who", is = " Tom" }'),
        pytest.param(
            "near = 0.98, within = 0.02", "near = 0.9, within = 0.02", marks=pytest.mark.slow
        ),
        ('value = "rank_there", below = 2', 'value = "rank_there", above = 2'),
        pytest.param('value = "size", is', 'value = "size", below', marks=pytest.mark.slow),
    ],
)
def test_a_lesson_that_is_false_is_found_out(real_models, tmp_path, true, false):
    text = (FOLDER / "from-prompt-to-next-token.toml").read_text(encoding="utf-8")
    assert text.count(true) == 1
    path = tmp_path / "false.toml"
    path.write_text(text, encoding="utf-8")
    assert faults_of(read_lesson(path)) == {}
    path.write_text(text.replace(true, false), encoding="utf-8")
    assert len(faults_of(read_lesson(path))) == 1


def test_answers_are_those_of_the_plain_model(real_models):
    folder = bundled_models()["storyteller"]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    how = {"attn_implementation": "eager", "dtype": torch.float32}
    plain = AutoModelForCausalLM.from_pretrained(folder, **how).eval()
    ids = tokenizer(PROMPT, return_tensors="pt").input_ids
    with torch.inference_mode():
        out = plain(ids, output_attentions=True, output_hidden_states=True)
    chances = out.logits[0].double().softmax(-1).numpy()
    about = Subject("storyteller", PROMPT, layer=4, head=4)
    first, second = np.argsort(-chances[-1])[:2]
    assert answer("top_token", about, {}) == tokenizer.decode([int(first)])
    assert answer("top_token", about, {"place": 2}) == tokenizer.decode([int(second)])
    assert answer("probability", about, {"of": " Tim"}) == pytest.approx(
        chances[-1, first], abs=1e-5
    )
    bits = -(chances[-1] * np.log2(chances[-1])).sum()
    assert answer("entropy", about, {}) == pytest.approx(bits, abs=1e-4)
    row = out.attentions[4][0, 4, -1].numpy()
    assert answer("most_read", about, {}) == row.argmax()
    assert answer("most_weight", about, {}) == pytest.approx(row.max(), abs=1e-5)
    assert answer("tokens", about, {}) == ids.shape[1]
    lens = plain.lm_head(plain.model.norm(torch.stack(out.hidden_states[:-1])[:, 0, -1]))
    leads = [*(lens.argmax(-1) == int(first)).tolist(), True]  # the last state is normed already
    until = max(place for place, lead in enumerate(leads) if not lead)
    assert answer("lead_layer", about, {}) == until


@pytest.mark.parametrize(
    ("condition", "is_so"),
    [
        (Condition("who", "is", " Tim"), True),
        (Condition("who", "is_not", " Tim"), False),
        (Condition("none", "is_not", " Tim"), False),
        (Condition("chance", "above", 0.97), True),
        (Condition("chance", "below", "layer"), True),
        (Condition("chance", "near", 0.97, 0.02), True),
        (Condition("chance", "near", 0.9, 0.02), False),
    ],
)
def test_conditions_hold_or_not(condition, is_so):
    assert holds(condition, FOUND) is is_so


def chosen(kind, value="who", within=0.0, options=()):
    return Guess("?", kind, value, within, options)


@pytest.mark.parametrize(
    ("guess", "told", "is_right"),
    [
        (chosen("token"), "tim ", "yes"),
        (chosen("token"), "Tom", "no"),
        (chosen("token"), "  ", "unknown"),
        (chosen("share", "chance", 0.02), "97 %", "yes"),
        (chosen("share", "chance", 0.02), "93", "nearly"),
        (chosen("share", "chance", 0.02), "50", "no"),
        (chosen("share", "chance", 0.02), "many", "unknown"),
        (chosen("layer", "layer"), "4", "yes"),
        (chosen("layer", "layer"), "3", "no"),
        (chosen("token", "none"), "Tim", "unknown"),
    ],
)
def test_a_guess_is_compared_with_the_truth(guess, told, is_right):
    assert verdict(guess, told, FOUND).is_right == is_right


def test_of_several_answers_the_one_whose_conditions_hold_is_right():
    options = (
        Option("Tom", (Condition("who", "is", " Tom"),)),
        Option("Tim", (Condition("who", "is", " Tim"),)),
    )
    guess = chosen("choice", options=options)
    came = [verdict(guess, told, FOUND).is_right for told in ("0", "1", "7", "²", "Tim")]
    assert came == ["no", "yes", "unknown", "unknown", "unknown"]
    assert verdict(guess, "0", FOUND).truth == "Tim"


@pytest.mark.parametrize(
    ("told", "number"), [("4,096", 4096), ("about 3.5 bits", 3.5), ("-2", -2), ("", None)]
)
def test_numbers_are_read_as_people_write_them(told, number):
    assert number_in(told) == number


def test_a_number_that_begins_a_sentence_begins_no_list():
    found = {"n": Found("number", 10, "10"), "p": Found("share", 0.5, "50.0%")}
    assert filled("{n}. With {n} more", found) == r"10\. With 10 more"
    assert filled("{p}. So {n}.", found) == "50.0%. So 10."


def test_lessons_have_their_models_at_hand_or_in_a_package():
    known = {*bundled_models(), "SmolLM2-135M-Instruct"}
    assert {model for lesson in lessons().values() for model in lesson.models} <= known
