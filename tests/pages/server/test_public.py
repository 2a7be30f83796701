"""A server for strangers, as a visitor meets it: pages, links and boxes."""

import logging

import pytest
from streamlit.testing.v1 import AppTest

from model_hooks.opening.allowed import allow_only
from pages.ask import computed, session
from pages.ask.admission import Admission
from pages.server.quiet import SENTENCE, _WithoutWords
from pages.server.settings import Settings, read
from pages.server.turns import Turns
from tests.pages.conftest import opened, widget

PUBLIC = read({"INLOOK_PUBLIC": "1"}, pytest.fail)
REFUSED = "This server opens only the models on its list"


@pytest.fixture
def public(monkeypatch, tiny_session):
    """Let the pages run on a public server, with a tiny model for each name on the list."""
    computed.set_host(Admission(computed.host(), PUBLIC, Turns(1)))
    allow_only(PUBLIC.models)
    for module in ("pages.ask.session", "pages.ask.writing", "pages.widgets.models"):
        monkeypatch.setattr(f"{module}.settings", lambda: PUBLIC)
    yield
    allow_only(None)


def errors(app: AppTest) -> str:
    assert not app.exception
    return " ".join(error.value for error in app.error)


@pytest.mark.parametrize("name", ["/etc", "openai-community/gpt2", "./models/storyteller"])
def test_a_link_opens_no_other_model(public, name):
    app = opened("attention", model=name)
    assert REFUSED in errors(app)
    assert not [box for box in app.text_input if box.label == "Folder or Hub id"]


def test_a_bundled_model_opens(public):
    app = opened("attention", model="storyteller")
    assert errors(app) == ""
    assert any("storyteller" in str(one) for one in widget(app, "model").options)


def test_no_other_tokenizer_is_compared(public):
    assert REFUSED in errors(opened("tokenizer", tokenizer__second="/etc"))


def test_a_long_prompt_is_refused_with_the_limit(public, monkeypatch):
    monkeypatch.setattr(session, "settings", lambda: Settings(prompt_tokens=3))
    assert "up to 3 tokens" in errors(opened("attention"))


def test_what_nobody_foresaw_reaches_the_log_without_its_words():
    record = logging.LogRecord("x", logging.ERROR, "x", 1, "Uncaught", (), None)
    try:
        raise ValueError("the canary sang")
    except ValueError as error:
        record.exc_info = (ValueError, error, error.__traceback__)
        _WithoutWords().filter(record)
    said = logging.Formatter().format(record)
    assert "canary" not in said
    assert "ValueError" in said
    assert "test_public.py" in said


def test_a_visitor_reads_that_something_went_wrong():
    def script():
        from pages.server.quiet import say_sorry

        assert say_sorry(ValueError("the canary sang"))

    (error,) = AppTest.from_function(script).run().error
    assert error.value == SENTENCE
