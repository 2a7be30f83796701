"""What every page stands on: model, prompt and trace, and one sentence where there is none."""

import gc

import pytest
from streamlit.testing.v1 import AppTest

from model_hooks.errors import BrokenModelError
from pages.ask import session


def shell():
    """Draw what app.py draws around a page, and a page that shows only its token count."""
    import streamlit as st

    from pages.ask import session
    from pages.shell import sidebar
    from pages.state import selection

    selection.follow_link()
    sidebar.draw()
    session.open_model()
    sidebar.draw_token_count()
    st.title(len(session.current_trace().tokens))
    sidebar.remember_drawn()


@pytest.fixture
def open_shell(tiny_session):
    def open_shell(prompt="the cat sat on the mat", **link):
        app = AppTest.from_function(shell, default_timeout=30)
        for name, value in {"prompt": prompt, **link}.items():
            app.query_params[name] = value
        return app.run()

    return open_shell


def caption_of_count(app):
    return next(c.value for c in app.sidebar.caption if "tokens" in c.value)


def test_sidebar_counts_the_tokens(open_shell):
    app = open_shell()
    assert not app.exception
    assert caption_of_count(app).startswith("6 of ")
    assert app.title[0].value == "6"


def test_link_fills_the_sidebar(open_shell):
    app = open_shell(prompt="the dog", model="some/model")
    assert app.sidebar.text_area(key="prompt").value == "the dog"
    assert app.sidebar.selectbox(key="model").value == "some/model"


def test_prompt_and_model_reach_the_address(open_shell):
    app = open_shell(model="some/model")
    app.sidebar.text_area(key="prompt").set_value("the dog sat").run()
    assert not app.exception
    assert app.query_params["prompt"] == "the dog sat"
    assert app.query_params["model"] == "some/model"


@pytest.mark.parametrize("blank", ["", "   ", "\n\t"])
def test_blank_prompt_gets_a_hint(open_shell, blank):
    app = open_shell()
    app.sidebar.text_area(key="prompt").set_value(blank).run()
    assert not app.exception
    assert "Type a prompt" in app.info[0].value


def test_prompt_beyond_the_context_gets_one_sentence_and_is_kept(open_shell):
    app = open_shell()
    prompt = "the " * 25_000
    app.sidebar.text_area(key="prompt").set_value(prompt).run()
    assert not app.exception
    assert len(app.error) == 1
    assert "too long" in caption_of_count(app)
    assert app.sidebar.text_area(key="prompt").value == prompt


@pytest.mark.parametrize(
    "prompt",
    ["\x00the\x07", "<script>alert(1)</script>", "$x^2$ **b** :red[c]", "👩‍👩‍👧 שלום", "a\u202eb"],
)
def test_odd_prompts_run(open_shell, prompt):
    app = open_shell(prompt=prompt)
    assert not app.exception
    assert not app.error
    assert app.sidebar.text_area(key="prompt").value == prompt


def test_model_that_fails_says_why_and_keeps_the_sidebar(open_shell, monkeypatch):
    def fail(name):
        raise BrokenModelError("The file a_b.safetensors is *damaged*.")

    monkeypatch.setattr(session, "load_model", fail)
    app = open_shell(prompt="the dog", model="broken")
    assert not app.exception
    assert app.error[0].value == r"The file a\_b\.safetensors is \*damaged\*\."
    assert app.sidebar.text_area(key="prompt").value == "the dog"


def test_model_is_loaded_once(open_shell, monkeypatch, hooked):
    loaded = []
    monkeypatch.setattr(session, "load_model", lambda name: loaded.append(name) or hooked)
    open_shell(model="a")
    open_shell(model="a", prompt="the dog")
    assert loaded == ["a"]


def test_loading_freezes_the_garbage_collector(tiny_session):
    gc.unfreeze()
    session.hooked_model("any")
    assert gc.get_freeze_count() > 100_000


def test_traces_are_shared_by_token_ids(tiny_session):
    ids = session.token_ids_of("any", "the cat")
    assert session.trace_of("any", ids) is session.trace_of("any", ids)


def cut_short(drawn):
    """Report an empty prompt, as a browser does that never got the one of the first run."""
    import streamlit as st

    from pages.shell import sidebar
    from pages.state import selection

    selection.select(prompt="the dog")
    if drawn:
        sidebar.remember_drawn()
    st.session_state["prompt"] = ""
    sidebar._take_prompt()
    st.session_state["got"] = selection.selection().prompt


@pytest.mark.parametrize(("drawn", "prompt"), [(False, "the dog"), (True, "")])
def test_prompt_is_emptied_by_the_user_alone(drawn, prompt, monkeypatch):
    monkeypatch.setattr("pages.shell.sidebar.SETTLE_S", 0)
    app = AppTest.from_function(cut_short, args=(drawn,)).run()
    assert not app.exception
    assert app.session_state["got"] == prompt
