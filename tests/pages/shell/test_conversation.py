"""Turns become the prompt, the answer becomes the next turn, and the link holds them."""

from dataclasses import replace

import pytest

from model_hooks import Decoding
from model_hooks.text.conversations import Asked
from pages.state.link import decode, encode
from tests.pages.conftest import component_of, opened, view_of, with_prompt
from tests.talking import TEMPLATE, talking

ASKS = (
    "{% if tools %}{{ tools | tojson }}{% endif %}" + TEMPLATE + "{% if add_generation_prompt and "
    "enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
)


@pytest.fixture(scope="module")
def model():
    return talking()


@pytest.fixture
def chat(open_with, model, monkeypatch):
    """Open a page with the conversation unfolded."""
    open_with(lambda name: model)
    monkeypatch.setattr("pages.shell.conversation.is_open", lambda button: True)
    return opened("tokenizer", n_per_run=3)


def boxes(app):
    return [box for box in app.text_area if str(box.key).startswith("chat.")]


def ask(app, said, system=""):
    boxes(app)[0].set_value(system)
    boxes(app)[-1].set_value(said)
    next(one for one in app.button if one.label == "Ask").click()
    return app.run()


def test_a_turn_becomes_the_prompt_and_is_answered(chat, model):
    app = ask(chat, "Hi", "Be brief.")
    assert not app.exception
    seen = view_of(app)
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert list(model.encode(seen.prompt)) == model.encode_chat(said)
    assert seen.turns == ("system:Be brief.", "user:Hi")
    steps = list(model.generate(seen.prompt, max_new_tokens=3))
    assert seen.written == tuple(step.token_id for step in steps)
    assert decode(type(seen), encode(seen)) == seen


def test_the_answer_is_the_next_turn_and_every_token_says_whose_it_is(chat, model):
    app = ask(chat, "Hi")
    first = view_of(app)
    answer = model.decode_after(model.encode(first.prompt), list(first.written)).strip()
    assert boxes(app)[-2].value == answer
    app = ask(app, "And?")
    assert view_of(app).turns == ("user:Hi", f"assistant:{answer}", "user:And?")
    strip = component_of(app, "text_bar_strip").json
    for speaker in ("user", "assistant"):
        assert f'"{speaker}"' in strip


def test_a_prompt_typed_as_text_is_no_conversation_any_more(chat):
    app = ask(chat, "Hi")
    app = with_prompt(app, "just a text")
    assert view_of(app).turns == ()
    assert '"user"' not in component_of(app, "text_bar_strip").json


def test_nothing_said_is_one_sentence(chat):
    app = ask(chat, "   ")
    assert "Say something" in app.error[0].value
    assert view_of(app).turns == ()


@pytest.fixture(scope="module")
def advised():
    """A model that can be asked for more, with options that its makers advise."""
    return talking(template=ASKS, do_sample=True, temperature=0.5)


def test_what_the_template_lets_choose_is_asked_for_and_in_the_link(
    open_with, advised, monkeypatch
):
    open_with(lambda name: advised)
    monkeypatch.setattr("pages.shell.conversation.is_open", lambda button: True)
    app = opened("tokenizer", n_per_run=3)
    (begins,) = [box for box in app.text_input if box.label == "The answer begins with"]
    begins.set_value("It is ")
    next(box for box in app.selectbox if box.label == "Think first").set_value(False)
    next(box for box in app.text_area if box.label == "Tools").set_value('[{"name": "weather"}]')
    app = ask(app, "Hi")
    assert not app.exception
    seen = view_of(app)
    assert seen.prompt.startswith('[{"name": "weather"}]')
    assert seen.prompt.endswith("<|turn|>assistant\n<think></think>It is ")
    assert (seen.decoding.strategy, seen.decoding.temperature) == ("sample", 0.5)
    assert len(seen.written) == 3
    assert decode(type(seen), encode(seen)) == seen
    assert boxes(app)[-2].value.startswith("It is ")
    app = ask(app, "And?")
    after = view_of(app)
    assert after.asked == Asked(thinking=False, tools='[{"name": "weather"}]')
    assert after.turns[1].startswith("assistant:It is ")
    assert not app.exception


def test_a_way_of_picking_that_was_chosen_stays_in_a_first_turn(open_with, advised, monkeypatch):
    open_with(lambda name: advised)
    monkeypatch.setattr("pages.shell.conversation.is_open", lambda button: True)
    app = ask(opened("tokenizer", n_per_run=1, strategy="sample", temperature=0.25), "Hi")
    assert view_of(app).decoding == Decoding("sample", temperature=0.25)
    assert not app.exception


def test_a_model_without_a_template_has_no_chat(open_page):
    app = open_page("tokenizer")
    assert not boxes(app)
    assert not app.exception


def test_a_speaker_that_only_a_link_knows_is_no_error(chat):
    turns = ("narrator:Once", "user:Hi")
    app = opened("tokenizer", **encode(replace(view_of(chat), turns=turns)))
    assert not app.exception
    assert view_of(app).turns == turns
    assert [box.value for box in boxes(app)][-3:-1] == ["Once", "Hi"]
