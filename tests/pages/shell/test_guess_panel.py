"""Guess first: each page hides what comes out, until it was guessed or asked for."""

import pytest

from model_hooks.experiments.untrained import open_model
from tests.pages.conftest import choose, component_of, opened, switched, view_of, widget

STORY = "Lily and Tim went to the lighthouse. Lily and"


@pytest.fixture
def storyteller(open_with):
    open_with(open_model)


def press(app, key):
    next(one for one in app.button if one.key == key).click().run()
    assert not app.exception
    return app


def said(app):
    return "\n".join(one.value for one in [*app.markdown, *app.caption, *app.info])


def test_every_page_waits_for_its_guess_and_the_next_step_asks_anew(storyteller):
    app = opened("generation", prompt=STORY, guess_first=1)
    assert not app.exception
    assert "Guess first" in said(app)
    assert "97.9%" not in component_of(app, "text_bar_strip").json
    widget(app, "first.guessed").set_value("tim").run()
    press(app, "guess.reveal")
    assert "Right" in said(app)
    assert "97.9%" in component_of(app, "text_bar_strip").json
    press(app, "text_bar.step")
    assert "Which token comes next?" in said(app)
    assert "Right" not in said(app)
    assert view_of(app).first.guessed == ""

    press(switched(app, "layers"), "guess.reveal")
    assert "The model: **layer" in said(app)
    press(app, "guess.off")
    assert "Guess first" not in said(app)


@pytest.mark.slow
def test_on_attention_each_head_is_guessed(storyteller):
    app = opened("attention", prompt=STORY, guess_first=1)
    choose(app, "first.guessed", "3: ·Tim")
    press(app, "guess.reveal")
    assert "Right" in said(app)
    choose(app, "head", 1)
    assert not app.exception
    assert "**Guess first.**" in said(app)


@pytest.mark.slow
def test_the_tokenizer_hides_the_tokens(storyteller):
    app = opened("tokenizer", prompt=STORY, guess_first=1)
    assert not app.exception
    assert not [one for one in app.get("bidi_component") if "text_bar_strip" in one.proto.id]
    press(app, "guess.reveal")
    assert "The model: **13**" in said(app)


@pytest.mark.slow
def test_a_lesson_asks_its_own_questions(storyteller):
    app = opened(prompt=STORY, guess_first=1, lesson="from-prompt-to-next-token", step=2)
    assert not app.exception
    assert "same name after" in said(app)
    assert "Which token comes next?" not in said(app)
