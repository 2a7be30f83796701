"""Turns become the prompt, the answer becomes the next turn, and the link holds them."""

import pytest

from pages.state.link import decode, encode
from tests.pages.conftest import component_of, opened, view_of, with_prompt
from tests.talking import talking


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


def test_a_model_without_a_template_has_no_chat(open_page):
    app = open_page("tokenizer")
    assert not boxes(app)
    assert not app.exception
